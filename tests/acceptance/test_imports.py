"""Who may import whom, and what a command loads: the rules of CONTRIBUTING.md, held by ast."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from scans import ROOT, save, simulated

import mrikit as api

PACKAGE = ROOT / "mrikit"
FOUNDATION = {"axes", "errors", "rng"}
PHYSICS = {"physics", "arrays", *FOUNDATION}

#: part of mrikit -> the other parts it may import, anywhere in its files; top to bottom, never up.
MAY_IMPORT: dict[str, set[str]] = {
    "__main__": {"cli"},
    "__init__": {"_version"},  # the Python API is loaded by name, when it is asked for
    "cli": {"policy", "score", "unrolled", "classical", "train", "evaluate", "weights", "io", "_version", *PHYSICS},
    "evaluate": {"score", "unrolled", "classical", "weights", "io", *PHYSICS},
    "policy": {"unrolled", "score", "classical", "train", "nets", "weights", "_version", *PHYSICS},
    "score": {"io", "classical", "train", "nets", "weights", "_version", *PHYSICS},
    "unrolled": {"classical", "train", "nets", "weights", "_version", *PHYSICS},
    "train": {"nets", "weights", "io", "_version", *PHYSICS},
    "classical": {"nets", *PHYSICS},
    "weights": {"errors", "io", "_version"},
    "nets": set(),
    "physics": {"arrays", *FOUNDATION},
    "io": {"axes", "errors", "_version"},
    "arrays": FOUNDATION,
    "rng": {"errors"},
    "axes": {"errors"},
    "errors": set(),
    "_version": set(),
}
#: slow package -> the parts that may import it at module level
HOMES: dict[str, set[str]] = {
    "torch": {"nets", "train", "unrolled", "score", "policy"},
    "safetensors": {"train"},
    "cupy": set(),
    "sigpy": set(),
    "h5py": set(),
    "nibabel": set(),
    "matplotlib": set(),
    "scipy": set(),
    "ismrmrd": set(),
    "snakemake": set(),
}
#: part -> packages that no line of it may import, at any level
NEVER: dict[str, set[str]] = {
    "io": {"torch", "cupy", "sigpy"},
    "physics": {"torch", "cupy", "sigpy", "scipy"},
    "nets": {"numpy", "scipy", "cupy", "sigpy"},
    "axes": {"torch", "cupy"},
    "errors": {"numpy", "torch"},
}
#: files of physics that are written against the array API and serve NumPy, CuPy and torch alike
ANY_ARRAY = ("fourier", "sense", "cg", "coils", "espirit", "kernels")
#: the only places that open files
OPENERS = (
    "io/", "weights/", "train/collect.py", "train/scans.py", "train/checkpoint.py", "train/loop.py",
    "train/presets.py", "train/pictures.py",
    "score/checkpoint.py", "evaluate/figures.py", "evaluate/report.py", "evaluate/results.py", "evaluate/cost.py",
    "evaluate/illustrate.py", "evaluate/page.py", "cli/", "arrays.py",
)  # fmt: skip


@dataclass(frozen=True)
class Import:
    """`module`, imported by a line of `file`; `top`: whenever the file is, `typing`: for a type checker only."""

    file: Path
    line: int
    module: str
    top: bool
    typing: bool

    @property
    def part(self) -> str:
        """The part of mrikit that the file belongs to."""
        return part_of(self.file)

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.module}"


def part_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


@lru_cache
def files() -> tuple[tuple[Path, ast.Module], ...]:
    """Every file of the package, parsed."""
    return tuple((path, ast.parse(path.read_text())) for path in sorted(PACKAGE.rglob("*.py")))


@lru_cache
def imports() -> tuple[Import, ...]:
    return tuple(one for path, tree in files() for one in _imports(path, tree, top=True, typing=False))


def _imports(path: Path, node: ast.AST, *, top: bool, typing: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(path, child.lineno, alias.name, top, typing)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{path}:{child.lineno}: a relative import"
            base = child.module or ""
            for alias in child.names:  # `from mrikit.io import guard` imports mrikit.io.guard
                yield Import(path, child.lineno, f"{base}.{alias.name}", top, typing)
        else:
            in_function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            for_checker = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            yield from _imports(path, child, top=top and not in_function, typing=typing or for_checker)


def own(module: str) -> list[str]:
    """`mrikit.io.guard` as ["io", "guard"]; empty for other packages."""
    words = module.split(".")
    return words[1:] if words[0] == "mrikit" else []


def test_every_part_has_a_rule() -> None:
    parts = {part_of(path) for path, _ in files()}

    assert parts <= MAY_IMPORT.keys()


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_a_part_imports_only_what_stands_below_it(part: str) -> None:
    wrong = [
        one
        for one in imports()
        if one.part == part and (names := own(one.module)) and names[0] not in {part, *MAY_IMPORT[part]}
        if names[0] in MAY_IMPORT
    ]

    assert not wrong, "\n".join(map(str, wrong))


def test_the_rules_have_no_circle() -> None:
    done: set[str] = set()
    while left := MAY_IMPORT.keys() - done:
        free = {part for part in left if MAY_IMPORT[part] <= done}
        assert free, f"a circle among {sorted(left)}"
        done |= free


def test_no_two_modules_import_each_other() -> None:
    """Imports inside functions count; those for type checkers do not."""
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path, _ in files()}
    needs: dict[str, set[str]] = {module: set() for module in modules}
    for one in imports():
        here = ".".join(one.file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        target = one.module if one.module in modules else one.module.rpartition(".")[0]
        if target in modules and target != here and not one.typing:
            needs[here].add(target)
    done: set[str] = set()
    while left := modules - done:
        free = {module for module in left if needs[module] <= done}
        assert free, f"a circle among {sorted(left)}"
        done |= free


def test_nothing_imports_the_command_line() -> None:
    wrong = [one for one in imports() if own(one.module)[:1] == ["cli"] and one.part not in ("cli", "__main__")]

    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("package", HOMES)
def test_slow_packages_are_imported_when_they_are_needed(package: str) -> None:
    wrong = [
        one
        for one in imports()
        if one.module.split(".")[0] == package and one.top and not one.typing and one.part not in HOMES[package]
    ]

    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("part", NEVER)
def test_a_part_stays_free_of_what_it_must_not_know(part: str) -> None:
    wrong = [one for one in imports() if one.part == part and one.module.split(".")[0] in NEVER[part]]

    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("name", ANY_ARRAY)
def test_physics_for_any_array_knows_no_numpy(name: str) -> None:
    path = PACKAGE / "physics" / f"{name}.py"
    wrong = [one for one in imports() if one.file == path and one.module.split(".")[0] == "numpy"]

    assert path.exists()
    assert not wrong, "\n".join(map(str, wrong))


def calls(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of what is called: `print`, `np.load`, `path.open`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def test_files_are_opened_in_their_places_only() -> None:
    names = {"open", "load", "save", "read_text", "write_text", "read_bytes", "write_bytes", "load_file", "save_file"}
    wrong = []
    for path, tree in files():
        where = path.relative_to(PACKAGE).as_posix()
        if not where.startswith(OPENERS):
            for line, text in calls(tree):
                if text.rpartition(".")[2] in names and not text.startswith("weights."):
                    wrong.append(f"mrikit/{where}:{line} calls {text}")

    assert not wrong, "\n".join(wrong)


def test_only_the_command_line_prints_and_reads_options_and_the_environment() -> None:
    wrong = []
    for path, tree in files():
        if part_of(path) in ("cli", "__main__"):
            continue
        words = {(node.lineno, ast.unparse(node)) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        banned = {"os.environ", "os.getenv", "sys.argv", "sys.exit"}
        wrong += [f"{path.relative_to(ROOT)}:{line} has {text}" for line, text in words if text in banned]
        wrong += [f"{path.relative_to(ROOT)}:{line} prints" for line, text in calls(tree) if text == "print"]

    assert not wrong, "\n".join(wrong)


# ---- what a command loads

SLOW = {
    "torch",
    "sympy",  # for which torch reaches where a network is built on its meta device by functions such as linspace
    "ismrmrd",
    "snakemake",
    "scipy",
    "matplotlib",
    "sigpy",
    "h5py",
    "nibabel",
    "cupy",
    "safetensors",
    "skimage",
    "rich",
}

#: command line -> the slow packages it may load
LOADS: dict[str, set[str]] = {
    "--help": set(),
    "mask --help": set(),
    "flat-recon --help": set(),
    "mask --shape 64 --accel 4 mask_out.npy": set(),
    "phantom --matrix 32 --coils 2 scan_out.npy": set(),
    "rss scan.npy out.npy": set(),
    "espirit scan.npy out.npy": set(),
    "mvue scan.npy maps.npy out.npy": set(),
    "whiten scan.npy out.npy": set(),
    "compress --coils 2 scan.npy out.npy": set(),
    "undersample scan.npy mask.npy out.npy": set(),
    "pics --reg l2 --iters 2 scan.npy maps.npy out.npy": set(),
    "convert scan.npy out.cfl": set(),
    "convert scan.npy out.h5": {"h5py"},
    "convert image.npy out.nii": {"nibabel", "scipy"},  # which nibabel imports itself
    "info scan.npy": set(),
    "metrics image.npy image.npy": set(),
    "models": set(),
    "view image.npy out.png": {"matplotlib"},
    "langevin --help": set(),
    "score-train --help": set(),
    "policy --help": set(),
    "policy train --help": set(),
    "evaluate --help": set(),
    "evaluate --quiet --methods zf,l2 --accel 2 --out results scan.npy": {"matplotlib"},
    "convdecoder --help": set(),
}
WITHOUT_NUMPY = {"models", *(line for line in LOADS if line.endswith("--help"))}


def loaded(folder: Path, line: str) -> set[str]:
    """Top-level packages in `sys.modules` after a command."""
    code = (
        "import sys; from mrikit.cli.app import main; code = main(sys.argv[1:]); "
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr); sys.exit(code)"
    )
    words = [sys.executable, "-c", code, *line.split()]
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1", "HOME": str(folder)}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize("line", LOADS)
def test_a_command_loads_what_it_needs(tmp_path: Path, line: str) -> None:
    save(tmp_path / "scan.npy", simulated().kspace[:1], "kspace")
    save(tmp_path / "maps.npy", simulated().maps[:1], "maps")
    save(tmp_path / "image.npy", np.abs(simulated().image[:1]), "image")
    save(tmp_path / "mask.npy", api.mask((64, 64), 4), "mask")
    packages = loaded(tmp_path, line)

    assert packages & SLOW <= LOADS[line]
    assert ("numpy" in packages) == (line not in WITHOUT_NUMPY)


@pytest.mark.parametrize("line", ["flat-recon --accel 4 scan.npy out.npy", "policy propose --accel 4 scan.npy m.npy"])
def test_a_network_loads_torch_and_nothing_for_pictures_or_other_formats(tmp_path: Path, line: str) -> None:
    save(tmp_path / "scan.npy", simulated().kspace[:1], "kspace")
    packages = loaded(tmp_path, f"{line} --quiet")

    assert packages & SLOW == {"torch", "safetensors"}
