"""Paths as users type them, and the checks on them that need nothing but the file system.

They run before NumPy is imported and before a byte of a pipe is read, so that a command which cannot
end well does not begin.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from mrikit.errors import CannotCreateError, MissingInputError, UsageError

PIPE = "-"
# As in io.paths, which imports NumPy.
_DATASET = re.compile(r"(?P<file>.+\.(?:h5|hdf5|mrd)):(?P<dataset>.+)", re.IGNORECASE | re.DOTALL)


def on_disk(text: str) -> Path:
    """File behind what was typed: `scan.h5:kspace` is in `scan.h5`, BART's `maps` and `maps.hdr` are `maps.cfl`."""
    match = _DATASET.fullmatch(text)
    path = Path(match["file"] if match else text)
    if path.suffix.lower() == ".hdr" and ((data := path.with_suffix(".cfl")).exists() or not path.exists()):
        return data
    pair = path.with_name(path.name + ".cfl") if path.name else path
    return pair if not path.exists() and pair.exists() else path


def check_inputs(inputs: Sequence[str], folders: Sequence[str] = ()) -> None:
    """Raise UsageError or MissingInputError unless every input can be opened; those in `folders` may be folders."""
    if inputs.count(PIPE) > 1:
        raise UsageError("only one input can be -, there is one stdin", hint="write the others to files")
    if PIPE in inputs and sys.stdin.isatty():
        raise UsageError("input - is the terminal", hint="pipe something in: mrikit ... - | mrikit ... -")
    for text in inputs:
        if text != PIPE:
            _check_input(text, on_disk(text), folder=text in folders)


def _check_input(text: str, path: Path, *, folder: bool) -> None:
    if path.is_dir() and not folder:
        raise MissingInputError(f"{text}: is a folder, expected a file")
    if not path.exists():
        raise MissingInputError(f"{text}: no such file", hint=_nearest(path))
    if not os.access(path, os.R_OK):
        raise MissingInputError(f"{text}: permission denied", hint=f"ls -l {path}")


def _nearest(path: Path) -> str | None:
    import difflib

    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f"there is no folder {path.parent}"
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"did you mean {path.parent / near[0]}?" if near else None


def check_outputs(outputs: Sequence[str], inputs: Sequence[str], *, force: bool, resume: bool = False) -> None:
    """Raise UsageError or CannotCreateError unless every output can be made without harm.

    resume: they are of a run that is to go on; where one is there, that run has ended.
    """
    if outputs.count(PIPE) > 1:
        raise UsageError("only one output can be -, there is one stdout", hint="write the others to files")
    if PIPE in outputs and sys.__stdout__ is None:
        raise CannotCreateError("output -: standard output is closed")
    if PIPE in outputs and sys.stdout.isatty():
        raise UsageError("output - is the terminal", hint="pipe it on, or name a file")
    hint = "its run has ended; --force without --resume begins anew" if resume else "--force overwrites it"
    taken = [(text, on_disk(text)) for text in inputs if text != PIPE]
    for text in outputs:
        if text == PIPE:
            continue
        path = on_disk(text)
        for other, other_path in taken:
            if _same(path, other_path):
                raise UsageError(f"{text}: is the same file as {other}", hint="an output needs a name of its own")
        _check_output(text, path, force, hint)
        taken.append((text, path))


def _same(a: Path, b: Path) -> bool:
    if a.exists() and b.exists():
        return a.samefile(b)
    return a.resolve() == b.resolve()


def _check_output(text: str, path: Path, force: bool, hint: str) -> None:
    folder = path.parent
    if path.is_dir():
        raise CannotCreateError(f"{text}: is a folder, expected a file name")
    if not folder.is_dir():
        raise CannotCreateError(f"{text}: there is no folder {folder}", hint=f"mkdir -p {folder}")
    if path.exists() and not force:
        if str(path) != text:  # FILE.h5:DATASET
            raise CannotCreateError(f"{text}: {path} exists already, and no dataset is added to it", hint=hint)
        raise CannotCreateError(f"{text}: exists already", hint=hint)
    if not os.access(folder, os.W_OK):
        raise CannotCreateError(f"{text}: folder {folder} cannot be written to", hint=f"ls -ld {folder}")


def check_folder(text: str, *, force: bool) -> Path:
    """The folder `text`, to be made at the end. Raises CannotCreateError where that cannot be, or it is there."""
    folder = Path(text)
    if folder.exists() and not force:
        raise CannotCreateError(f"{text}: exists already", hint="--force writes over it")
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise CannotCreateError(f"{text}: cannot be made, {there} is no folder that can be written to")
    return folder


def check_formats(volumes: Sequence[str]) -> None:
    """Raise UsageError unless every volume has a suffix that stands for a format. Imports NumPy."""
    from mrikit.io.paths import locate

    for text in volumes:
        locate(text)
