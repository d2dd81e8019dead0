"""The options that are the same everywhere, and `Settings`, what they were set to."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from mrikit.cli.types import Device

PANEL = "Common options"

#: Options that a command asks for with `uses=(...)`.
ON_REQUEST: dict[str, tuple[Any, Any]] = {
    "device": (
        Annotated[
            str,
            typer.Option(
                "--device",
                metavar="DEVICE",
                help="Where to compute: auto, cpu, cuda or cuda:i. A cuda that cannot be had is an error.",
                click_type=Device(),
                rich_help_panel=PANEL,
            ),
        ],
        "auto",
    ),
    "seed": (
        Annotated[int, typer.Option("--seed", help="Seed of all random numbers.", min=0, rich_help_panel=PANEL)],
        0,
    ),
    "threads": (
        Annotated[
            int | None,
            typer.Option(
                "--threads",
                help="CPU threads to use; all by default.",
                min=1,
                show_default=False,
                rich_help_panel=PANEL,
            ),
        ],
        None,
    ),
    "chunk": (
        Annotated[
            int | None,
            typer.Option(
                "--chunk",
                help="Work on so many pieces at a time; fewer take less memory, the result is the same.",
                min=1,
                show_default=False,
                rich_help_panel=PANEL,
            ),
        ],
        None,
    ),
}


def _flag(name: str, help: str) -> tuple[Any, Any]:
    option = typer.Option(name, help=help, rich_help_panel=PANEL, show_default=False)
    return Annotated[bool, option], False


#: Options that every command has; --force only where there is an output.
ALWAYS: dict[str, tuple[Any, Any]] = {
    "force": _flag("--force", "Overwrite outputs that exist."),
    "json": _flag("--json", "Report as one JSON object on stdout, or on stderr where stdout carries data."),
    "quiet": _flag("--quiet", "Print errors only."),
    "verbose": _flag("--verbose", "Print more, warnings of libraries included."),
    "debug": _flag("--debug", "Print the traceback of an error."),
}


@dataclass(frozen=True)
class Settings:
    """Values of the common options; those a command does not have keep these defaults."""

    device: str = "auto"
    seed: int = 0
    threads: int | None = None
    chunk: int | None = None
    force: bool = False
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    debug: bool = False


def parameters(uses: Sequence[str], *, writes: bool) -> list[inspect.Parameter]:
    """Signature parameters of the common options of a command that `uses` these."""
    wanted = {name: ON_REQUEST[name] for name in uses}
    wanted |= {name: option for name, option in ALWAYS.items() if writes or name != "force"}
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for name, (annotation, default) in wanted.items()
    ]


_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@contextmanager
def limited_threads(n: int | None) -> Iterator[None]:
    """Hold numerical libraries to `n` threads; they read the environment when first imported."""
    if n is None:
        yield
        return
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(n)))
    torch = sys.modules.get("torch")
    torch_before = torch.get_num_threads() if torch else None
    if torch:
        torch.set_num_threads(n)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if torch:
            torch.set_num_threads(torch_before)
