"""What a path on the command line means (format, files, dataset), and whether it may be written."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrikit.errors import CannotCreateError, MissingInputError, UnsafeError, UsageError
from mrikit.io.guard import first_line

FORMATS = {
    ".npy": "npy",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".mrd": "mrd",
    ".nii.gz": "nifti",
    ".nii": "nifti",
    ".cfl": "cfl",
    ".hdr": "cfl",
}
_DATASET = re.compile(r"(?P<file>.+\.(?:h5|hdf5|mrd)):(?P<dataset>.+)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Location:
    """A path, understood. `files` is empty for a pipe; a .cfl has two, the data first."""

    name: str
    format: str
    files: tuple[Path, ...] = ()
    dataset: str | None = None

    @property
    def compressed(self) -> bool:
        return self.files[0].suffix.lower() == ".gz"


def listed(path: Path, suffixes: Iterable[str]) -> list[Path]:
    """The file at `path`, or those with one of `suffixes` in the folder there, by name.

    Raises MissingInputError where the folder has none.
    """
    if not path.is_dir():
        return [path]
    known = tuple(suffixes)
    files = sorted(f for f in path.iterdir() if f.name.lower().endswith(known) and not f.name.startswith("."))
    if not files:
        raise MissingInputError(
            f"{path}: no file in this folder is one of {', '.join(known)}", hint="folders in it are not searched"
        )
    return files


def stem(path: str) -> str:
    """The name of a volume without folders, dataset and suffix: `a.1` of `scans/a.1.nii.gz`."""
    name = Path(split_dataset(path)[0]).name
    for suffix in sorted(FORMATS, key=len, reverse=True):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def split_dataset(path: str) -> tuple[str, str | None]:
    """`scan.h5:maps` as ("scan.h5", "maps"); any other path as (path, None)."""
    match = _DATASET.fullmatch(path)
    return (match["file"], match["dataset"]) if match else (path, None)


def locate(path: str | os.PathLike[str]) -> Location:
    """What `path` means. Raises UsageError for unknown suffixes, UnsafeError for formats that run code."""
    name = os.fspath(path)
    if name == "-":
        return Location(name, "npy")
    file, dataset = split_dataset(name)
    lower = file.lower()
    for suffix, format in FORMATS.items():
        if lower.endswith(suffix):
            stem = file[: -len(suffix)]
            files = (stem + ".cfl", stem + ".hdr") if format == "cfl" else (file,)
            return Location(name, format, tuple(map(Path, files)), dataset)
    if Path(file + ".cfl").exists():  # BART's own way: the base name stands for both files
        return Location(name, "cfl", (Path(file + ".cfl"), Path(file + ".hdr")))
    if is_pipe(file):  # <(mrikit ...) in bash, /dev/stdin
        return Location(name, "npy", (Path(file),))
    if lower.endswith((".npz", ".pkl", ".pickle", ".pt", ".pth")):
        raise UnsafeError(
            f"{name}: archives and pickles are not opened, they can run code", hint="save each array as .npy"
        )
    raise UsageError(f"{name}: no format known by this name", hint=f"known are {', '.join(FORMATS)} and - for a pipe")


def is_pipe(file: str | os.PathLike[str]) -> bool:
    """Whether `file` is there and can only be read from beginning to end."""
    try:
        mode = Path(file).stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def open_file(name: str, file: Path) -> io.FileIO:
    """The file, open for reading, unbuffered. Raises MissingInputError."""
    try:
        return io.FileIO(file, "rb")
    except FileNotFoundError:
        what = "no such file" if os.fspath(file) == name else f"there is no {file}"
        raise MissingInputError(f"{name}: {what}") from None
    except OSError as error:
        what = "is a folder" if error.errno == errno.EISDIR else f"cannot be opened: {first_line(error)}"
        raise MissingInputError(f"{name}: {what}") from None


def open_stdin() -> Any:
    """Standard input, unbuffered. Raises UsageError where it is a terminal."""
    stream = sys.stdin.buffer
    if stream.isatty():
        raise UsageError("-: nothing is piped into standard input", hint="name a file, or pipe a command into this one")
    return getattr(stream, "raw", stream)


def require_output(output: Location, *, force: bool, inputs: Iterable[str | os.PathLike[str]]) -> None:
    """Raise UsageError or CannotCreateError where `output` must not or cannot be written."""
    for path in inputs:
        source = _files(path)
        if any(_same(a, b) for a in source for b in output.files):
            raise UsageError(f"{output.name}: is an input too", hint="write to another file")
    for file in output.files:
        # lstat: a link that leads nowhere is there, too.
        if file.exists() and not file.is_file():
            raise CannotCreateError(f"{output.name}: is not a regular file")
        if os.path.lexists(file) and not force:
            raise CannotCreateError(f"{output.name}: exists", hint="--force replaces it")
        if not file.parent.is_dir():
            raise CannotCreateError(f"{output.name}: there is no folder {file.parent}", hint=f"mkdir -p {file.parent}")


def _files(path: str | os.PathLike[str]) -> tuple[Path, ...]:
    try:
        return locate(path).files
    except (UsageError, UnsafeError):  # not a volume: weights, a list of files
        return (Path(path),)


def _same(a: Path, b: Path) -> bool:
    if os.path.realpath(a) == os.path.realpath(b):
        return True
    return a.exists() and b.exists() and a.samefile(b)
