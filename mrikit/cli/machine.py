"""What `mrikit doctor` finds out about a machine. Nothing here fails: what cannot be found out is None."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mrikit._version import __version__
from mrikit.cli.failures import EXTRAS

REQUIRED = (
    "array-api-compat",
    "numpy",
    "pillow",
    "h5py",
    "nibabel",
    "torch",
    "sigpy",
    "safetensors",
    "matplotlib",
    "rich",
    "typer",
    "click",
)
#: Packages of the extras and what they are for.
EXTRA_USES = {"ismrmrd": "raw data in ISMRMRD's format", "snakemake": "whole datasets, `mrikit batch`"}
#: Smallest NVIDIA driver for which the wheels of a CUDA version are made, newest first.
DRIVERS = ((580, "cuda13", "cupy-cuda13x"), (525, "cuda12", "cupy-cuda12x"))


def examine() -> dict[str, Any]:
    """Versions, devices, memory and optional parts, as JSON has them."""
    gpus = nvidia_gpus()
    return {
        "mrikit": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": cpus(),
        "memory_gib": memory_gib(),
        "packages": {name: version(name) for name in REQUIRED},
        "gpus": gpus,
        "torch_cuda": torch_cuda() if gpus else None,
        "optional": optional_parts(gpus),
    }


def version(package: str) -> str | None:
    """Installed version of a package, found without importing it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def cpus() -> int:
    """CPU threads that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_per_job(jobs: int) -> int:
    """An even share of these threads for each of `jobs` at a time, one at least."""
    return max(1, cpus() // jobs)


def memory_gib() -> float | None:
    """Memory of this computer."""
    with suppress(OSError, ValueError, AttributeError):  # not every system has sysconf
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    return None


def nvidia_gpus() -> list[dict[str, str]]:
    """Name, memory and driver of every NVIDIA GPU that the driver knows."""
    query = "--query-gpu=name,memory.total,driver_version"
    answer = _answer(["nvidia-smi", query, "--format=csv,noheader"])
    rows = [[field.strip() for field in line.split(",")] for line in (answer or "").splitlines()]
    return [dict(zip(("name", "memory", "driver"), row, strict=True)) for row in rows if len(row) == 3]


def torch_cuda() -> str:
    """Whether torch can compute on a GPU, or why not. Imports torch."""
    try:
        import torch

        if torch.version.cuda is None:
            return "no: this torch is built for the CPU only"
        return f"yes, CUDA {torch.version.cuda}" if torch.cuda.is_available() else "no: it finds no GPU it can use"
    except Exception as error:  # a broken installation is what a doctor is for
        return f"no: {type(error).__name__}: {error}"


def optional_parts(gpus: Sequence[dict[str, str]]) -> list[dict[str, str | None]]:
    """Every part that mrikit can do without: its version, what it is for and how to get it."""
    cupy, how = cupy_package(gpus)
    bart = shutil.which("bart")
    parts: list[tuple[str, str | None, str, str]] = [
        (cupy, version(cupy), "classical tools on an NVIDIA GPU", how),
        *((name, version(name), use, f"pip install 'mrikit[{EXTRAS[name]}]'") for name, use in EXTRA_USES.items()),
        ("bart", _answer([bart, "version"]) if bart else None, "comparisons in tests", "apt install bart"),
    ]
    return [{"name": name, "version": v, "for": use, "install": how} for name, v, use, how in parts]


def cupy_package(gpus: Sequence[dict[str, str]]) -> tuple[str, str]:
    """The CuPy package for the driver of this machine, and how to install it."""
    installed = next((package for _, _, package in DRIVERS if version(package)), None)
    driver = int(re.match(r"\d*", gpus[0]["driver"]).group() or 0) if gpus else 0  # type: ignore[union-attr]
    for least, extra, package in DRIVERS:
        if driver >= least:
            return package, f"pip install 'mrikit[{extra}]'"
    if driver:
        return installed or DRIVERS[-1][2], f"update the NVIDIA driver, {driver} is older than {DRIVERS[-1][0]}"
    return installed or DRIVERS[0][2], "of no use here: no NVIDIA GPU"


def missing_cupy() -> str | None:
    """How to get the CuPy for the driver of this machine, None where there is one."""
    return cupy_package(nvidia_gpus())[1] if find_spec("cupy") is None else None


def _answer(words: Sequence[str]) -> str | None:
    """First words of what a program prints, None if it cannot be run."""
    with suppress(OSError, subprocess.SubprocessError, ValueError):
        done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip() or None
    return None


def render(facts: dict[str, Any]) -> str:
    """The facts as aligned plain text."""
    memory = f"{facts['memory_gib']} GiB of memory" if facts["memory_gib"] else "memory unknown"
    lines = [
        f"mrikit {facts['mrikit']}, Python {facts['python']} in {Path(sys.prefix)}",
        f"{facts['system']}, {facts['cpus']} CPU threads, {memory}",
        "",
        "Packages",
        *_rows((name, v or "missing: pip install mrikit") for name, v in facts["packages"].items()),
        "",
        "GPUs",
        *(_rows((gpu["name"], f"{gpu['memory']}, driver {gpu['driver']}") for gpu in facts["gpus"])),
    ]
    lines += _rows([("torch", facts["torch_cuda"])]) if facts["gpus"] else ["  none: everything runs on the CPU"]
    lines += ["", "Optional parts"]
    lines += _rows(
        (part["name"], f"{part['version'] or 'not installed: ' + part['install']} (for {part['for']})")
        for part in facts["optional"]
    )
    return "\n".join(lines)


def _rows(pairs: Any) -> list[str]:
    return [f"  {name:<18}{text}" for name, text in pairs]
