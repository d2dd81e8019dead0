"""The scans that methods are compared on: fully sampled, so that there is a reference."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mrikit.axes import all_finite, parse_slices
from mrikit.errors import DataError, UsageError
from mrikit.io import open_reader
from mrikit.io.paths import stem
from mrikit.physics.sampling import acceleration, is_complete, is_partial, sampling

Say = Callable[[str], None]


@dataclass(frozen=True)
class ScanFile:
    """A fully sampled file of k-space. slices: those that are taken. matrix: (y, x). crc: of all slices."""

    name: str
    file: str
    slices: tuple[int, ...]
    matrix: tuple[int, int]
    crc: int

    @property
    def terms(self) -> dict[str, Any]:
        return {"file": Path(self.file).name, "matrix": list(self.matrix), "crc32": self.crc}


def open_scans(files: Iterable[str], slices: str | None = None, *, strict: bool = False, warn: Say) -> list[ScanFile]:
    """The scans in `files`; slices that are not fully sampled, or empty, are named and left out, or with `strict`
    refused. slices: which to take, as `parse_slices` reads them. Scans of one name have that of their folder before it.

    Raises DataError where nothing is left, UsageError where two scans have one name all the same, or one is a pipe.
    """
    found: list[ScanFile] = []
    for file in files:
        if file == "-":
            raise UsageError("a scan to compare on is read again and again, and so cannot be -", hint="name a file")
        crc = 0
        with open_reader(file, "kspace") as reader:
            n_slices, _, *matrix = reader.header.shape
            chosen, complete = parse_slices(slices, n_slices, file), []
            for i, kspace in enumerate(reader):
                crc = zlib.crc32(np.ascontiguousarray(kspace), crc)
                if i not in chosen:
                    continue
                if not all_finite(kspace):
                    raise DataError(f"{file}: k-space has NaN or infinity in slice {i}")
                if flaw := _flaw(kspace):
                    if strict:
                        raise DataError(f"{file}: slice {i} {flaw}", hint="without --strict it is left out")
                    warn(f"{file}: slice {i} {flaw}; left out, since there is no reference for it")
                else:
                    complete.append(i)
        if complete:
            found.append(ScanFile(stem(file), file, tuple(complete), (matrix[0], matrix[1]), crc))
    if not found:
        raise DataError("none of these scans is fully sampled", hint="`mrikit phantom scan.h5` makes one that is")
    twice = _twice(found)
    found = [
        replace(scan, name=f"{Path(scan.file).absolute().parent.name}-{scan.name}") if scan.name in twice else scan
        for scan in found
    ]
    if twice := _twice(found):
        raise UsageError(f"two scans are called {', '.join(sorted(twice))}", hint="give their files other names")
    return found


def _twice(scans: Sequence[ScanFile]) -> set[str]:
    """The names that more than one scan has."""
    names = [scan.name for scan in scans]
    return {name for name in names if names.count(name) > 1}


def _flaw(kspace: np.ndarray) -> str | None:
    """Why a slice `(coil, y, x)` is no reference, behind `slice 3`; None where it is one."""
    acquired = sampling(kspace)
    if not is_complete(acquired):
        return f"is not fully sampled, R = {acceleration(acquired):.3g}"
    return "is of partial Fourier, or of an asymmetric echo" if is_partial(kspace) else None
