"""What surrounds a training run: who is told how it goes, and where it writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrikit.errors import CannotCreateError, UsageError


@dataclass(frozen=True)
class Watcher:
    """Who is told how training goes. report: figures of every step. warn, say: a line of text.

    draw: a folder, the lines of the log and images to show, at every save.
    """

    report: Callable[[dict[str, float]], None] = lambda line: None
    warn: Callable[[str], None] = lambda text: None
    say: Callable[[str], None] = lambda text: None
    draw: Callable[[Path, list[dict[str, float]], dict[str, np.ndarray]], None] = lambda folder, lines, images: None


def run_folder(out: Path, *, resume: bool, force: bool) -> Path:
    """The folder of the run that makes the weights `out`.

    Raises CannotCreateError where there is a run or a card already, unless it is resumed or may be written over.
    """
    folder = out.with_suffix(".run")
    if not (resume or force):
        for taken in (folder / "state.safetensors", out.with_suffix(".json")):
            if taken.exists():
                raise CannotCreateError(
                    f"{taken}: exists already", hint="--resume goes on with that run, --force begins anew"
                )
    return folder


def require_apart(out: Path, *inputs: str | None) -> None:
    """Raise UsageError where `out` or its card is one of `inputs`, names or files that are read."""
    for name in inputs:
        if name and Path(name).resolve() in (out.resolve(), out.with_suffix(".json").resolve()):
            raise UsageError(f"{name}: training reads it and would write over it", hint="give WEIGHTS another name")
