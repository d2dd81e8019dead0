"""The command table, the help pages and the start of the program."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from running import ROOT, Mrikit, Shell

from mrikit import __version__
from mrikit.cli import app
from mrikit.cli.help import Command

HEAVY = {"numpy", "torch", "scipy", "h5py", "nibabel", "matplotlib", "sigpy", "cupy", "rich", "pydantic"}
COMMANDS = sorted(app.table())


def loaded_by(code: str) -> set[str]:
    """Top-level and mrikit modules in `sys.modules` after running `code` in a fresh Python."""
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules), file=sys.__stdout__)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("args", [["--help"], ["--version"], [], ["espirti"], ["--hlep"], ["policy", "--help"]])
def test_the_front_page_imports_no_command_and_nothing_heavy(args: list[str]) -> None:
    modules = loaded_by(f"import os; sys.stdout = sys.stderr; from mrikit.cli.app import main; main({args!r})")

    assert not modules & HEAVY
    assert not [name for name in modules if name.startswith("mrikit.cli.commands.")]


def test_importing_every_command_loads_nothing_heavy() -> None:
    modules = loaded_by("from mrikit.cli import app\nfor name in app.table(): app.load(name)")

    assert not modules & HEAVY


def test_a_missing_input_is_found_out_before_anything_heavy_is_loaded() -> None:
    modules = loaded_by("from mrikit.cli.app import main; assert main(['rss', 'nowhere.h5', 'out.npy']) == 66")

    assert not modules & HEAVY


@pytest.mark.parametrize(("call", "own"), [("main()", True), ("main(['--version'])", False)])
def test_the_collector_is_spared_in_a_process_of_our_own(call: str, own: bool) -> None:
    """What is imported is no garbage. A library leaves the collector of its host alone."""
    script = f"""
import atexit, gc, sys
from mrikit.cli.app import main
before = gc.get_threshold()
atexit.register(lambda: print(gc.get_freeze_count() > 1000, file=sys.stderr))  # runs after what {call} registers
sys.argv = ["mrikit", "--version"]
{call}
print(gc.get_threshold() != before, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.split() == [str(own)] * 2


def test_help_opens_with_the_pipeline_and_groups_commands(mrikit: Mrikit) -> None:
    result = mrikit("--help")

    assert result.code == 0
    assert result.stderr == ""
    assert [line.strip() for line in result.text.splitlines()[:4]] == app.PIPELINE.splitlines()
    for section, commands in app.COMMANDS.items():
        assert (f"{section}:" in result.text) == bool(commands)
    for name, text in app.table().items():
        assert f" {name} {text}" in " ".join(result.text.split())


def test_without_arguments_the_help_goes_to_stderr_and_the_exit_code_says_usage(mrikit: Mrikit) -> None:
    result = mrikit()

    assert (result.code, result.stdout) == (2, b"")
    assert "Usage: mrikit" in result.stderr


def test_a_group_lists_its_commands_and_no_others(mrikit: Mrikit) -> None:
    text = " ".join(mrikit("policy", "--help").text.split())

    assert "Usage: mrikit policy COMMAND" in text
    for name, line in app.table().items():
        assert (f" {name} {line}" in text) == name.startswith("policy ")
    assert mrikit("policy").code == 2 and "Usage: mrikit policy" in mrikit("policy").stderr


def test_version(mrikit: Mrikit) -> None:
    assert mrikit("--version").text == f"mrikit {__version__}\n"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("inof", "did you mean info?"),
        ("policy-propose", "did you mean policy propose?"),
        ("conv", "did you mean convert or convdecoder?"),
        ("RSS", "rss"),
        ("xyzzy", "mrikit --help"),
        ("policy tain", "did you mean train? mrikit policy --help"),
        ("policy info", "mrikit policy --help"),
    ],
)
def test_an_unknown_command_is_one_line_with_the_nearest_names(mrikit: Mrikit, words: str, hint: str) -> None:
    result = mrikit(*words.split())
    *group, word = words.split()

    assert result.code == 2
    assert result.stderr.startswith(f"{' '.join(['mrikit', *group])}: no command {word!r} (hint: ")
    assert hint in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_unknown_option_before_the_command_is_one_line(mrikit: Mrikit) -> None:
    result = mrikit("--forec", "rss")

    assert result.code == 2
    assert result.stderr.startswith("mrikit: no such option")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name: str, mrikit: Mrikit) -> None:
    command = app.load(name)
    result = mrikit(*name.split(), "--help")

    assert isinstance(command, Command)
    assert " ".join((command.help or "").split()).startswith(app.table()[name].rstrip("."))
    assert command.spec.examples, "no examples"
    assert result.code == 0
    for line, what in command.spec.examples:
        assert f"  {line}\n" in result.text
        assert f"mrikit {name}" in line
        assert what == what.strip().rstrip(".")
    for param in command.params:
        assert param.help, f"{param.name} has no help text"  # type: ignore[attr-defined]
    for option in ("--json", "--quiet", "--verbose", "--debug", "--help"):
        assert f"{option} " in result.text


@pytest.mark.parametrize("kind", [list, tuple])
def test_the_first_words_name_the_command(kind: type) -> None:
    assert app.named(kind(["policy", "train", "x"])) == "policy train"
    assert app.named(kind(["rss", "x"])) == "rss"
    assert app.named(kind(["policies"])) == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_parses(name: str) -> None:
    import shlex

    for line, _ in app.load(name).spec.examples:
        for words in split_pipeline(shlex.split(line)):
            if words[0] == "mrikit":
                name = app.named(words[1:])
                assert name, words
                app.load(name).make_context(name, words[1 + len(name.split()) :])  # raises UsageError


def split_pipeline(words: list[str]) -> list[list[str]]:
    """`["a", "|", "b", ">", "c"]` as `[["a"], ["b"]]`."""
    stages: list[list[str]] = [[]]
    for word in words:
        if word == "|":
            stages.append([])
        elif word in (">", "2>"):
            break
        else:
            stages[-1].append(word)
    return stages


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_file_is_a_door(name: str) -> None:
    """No try, no print, no module-level import that is heavy, and, but for its options, half a screenful."""
    path = ROOT / "mrikit" / "cli" / "commands" / f"{re.sub('[- ]', '_', name)}.py"
    source = path.read_text()
    nodes = list(ast.walk(ast.parse(source)))
    function = next(n for n in nodes if isinstance(n, ast.FunctionDef) and n.name == path.stem)

    assert (function.end_lineno or 0) - function.body[0].lineno < 50
    assert not [node for node in nodes if isinstance(node, ast.Try)]
    assert not [n for n in nodes if isinstance(n, ast.Call) and getattr(n.func, "id", "") in ("print", "open")]
    names = [n.module or "" for n in ast.parse(source).body if isinstance(n, ast.ImportFrom)]
    light = ("__future__", "functools", "pathlib", "typing", "mrikit.cli", "mrikit.errors")
    assert all(name.startswith(light) for name in names)
    imported = [alias.name for n in ast.parse(source).body if isinstance(n, ast.Import) for alias in n.names]
    assert set(imported) <= {"typer"}


def test_every_command_file_is_in_the_table() -> None:
    files = {path.stem.replace("_", "-") for path in (ROOT / "mrikit/cli/commands").glob("[a-z]*.py")}

    assert files == {name.replace(" ", "-") for name in app.table()}


def test_a_context_can_be_made_for_documentation() -> None:
    ctx = click.Context(app.load("rss"), info_name="mrikit rss")

    assert app.load("rss").get_usage(ctx) == "Usage: mrikit rss [OPTIONS] IN OUT"


def test_help_into_a_closed_pipe_is_silent(shell: Shell) -> None:
    result = shell("(mrikit --help; echo $? >&2) | true")

    assert result.stderr.strip() in ("0", "141")


def test_help_onto_a_full_disk_fails(shell: Shell) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    result = shell("mrikit --help > /dev/full")

    assert result.code == 74
    assert result.stderr.startswith("mrikit: No space left on device")


def test_python_m_mrikit_is_mrikit() -> None:
    words = [sys.executable, "-m", "mrikit", "--version"]

    assert subprocess.run(words, cwd=ROOT, capture_output=True, check=True).stdout == f"mrikit {__version__}\n".encode()


@pytest.mark.slow
def test_help_costs_what_an_empty_typer_program_costs(tmp_path: Path) -> None:
    import statistics
    import time

    empty = tmp_path / "empty.py"
    empty.write_text(
        "import typer\napp = typer.Typer(rich_markup_mode=None)\n"
        "@app.command()\ndef main() -> None:\n    'Does nothing.'\napp()\n"
    )
    programs = {"mrikit": ["-m", "mrikit", "--help"], "empty": [str(empty)]}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(11):  # in turns, so that a busy machine is busy for both
        for name, words in programs.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, check=True)
            seconds[name].append(time.perf_counter() - start)

    assert statistics.median(seconds["mrikit"]) <= 1.5 * statistics.median(seconds["empty"])
