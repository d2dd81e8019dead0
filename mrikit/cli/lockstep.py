"""Several volumes, slice by slice, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

import numpy as np

from mrikit.cli.checks import check_input
from mrikit.errors import DataError
from mrikit.io import Reader


class Lockstep:
    """Iterable of tuples, the same slice of every reader; `len` is the number of slices.

    n_slices: length of the common slice axis, None where no reader has one.
    A reader without slice axis, or a mask with one slice, gives the same slice each time; None gives None.
    """

    def __init__(self, readers: Sequence[Reader | None], *, check: bool = True) -> None:
        self.readers = readers
        present = [reader for reader in readers if reader is not None]
        self.check = check
        self.n_slices: int | None = None
        first = next((reader for reader in present if reader.header.sliced and not _repeats(reader)), None)
        first = first or next((reader for reader in present if reader.header.sliced), None)
        if first is None:
            return
        self.n_slices = first.header.n_slices
        for reader in present:
            if not _repeats(reader) and reader.header.n_slices != self.n_slices:
                raise DataError(
                    f"{reader.name}: slice axis has length {reader.header.n_slices}, "
                    f"but {first.name} has {self.n_slices} slices",
                    hint="`mrikit info FILE` shows what a file holds",
                )

    def __len__(self) -> int:
        return 1 if self.n_slices is None else self.n_slices

    def __iter__(self) -> Iterator[tuple[np.ndarray | None, ...]]:
        sources = [repeat(None) if reader is None else self._slices(reader) for reader in self.readers]
        for _ in range(len(self)):
            yield tuple(next(source) for source in sources)

    def _slices(self, reader: Reader) -> Iterator[np.ndarray]:
        for i, array in enumerate(reader):
            if self.check:
                check_input(reader, i, array)
            yield array
        while _repeats(reader) and self.n_slices is not None:
            yield array


def _repeats(reader: Reader) -> bool:
    header = reader.header
    return not header.sliced or (header.kind == "mask" and header.n_slices == 1)
