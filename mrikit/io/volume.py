"""What a volume on disk or in a pipe is, and how one is read and written: slice by slice.

Every format module has one class that follows `Reader` and one that follows `Writer`; nothing else in
mrikit knows formats. A volume whose first axis is not `slice` (a mask, say) is one slab: one "slice".
"""

from __future__ import annotations

import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise
from types import TracebackType
from typing import Any

import numpy as np

from mrikit.axes import Axes
from mrikit.errors import DataError, UsageError


@dataclass(frozen=True)
class Geometry:
    """Where voxels lie. What is not known is None; nothing is ever invented.

    voxel: edge lengths in mm along (x, y, slice).
    affine: 4 x 4, from voxel indices (x, y, slice) to RAS mm, row by row.
    """

    voxel: tuple[float, float, float] | None = None
    affine: tuple[tuple[float, ...], ...] | None = None

    def from_voxel(self, y: int, x: int) -> Geometry:
        """That of a volume which begins at the voxel (y, x) of every slice."""
        if self.affine is None:
            return self
        moved = tuple((row[0], row[1], row[2], row[3] + row[0] * x + row[1] * y) for row in self.affine[:3])
        return replace(self, affine=(*moved, self.affine[3]))

    def of_slices(self, first: int, every: int) -> Geometry:
        """That of a volume of every so many slices, from `first` on."""
        voxel, affine = self.voxel, self.affine
        if voxel is not None:
            voxel = (voxel[0], voxel[1], voxel[2] * every)
        if affine is not None:
            moved = tuple((row[0], row[1], row[2] * every, row[3] + row[2] * first) for row in affine[:3])
            affine = (*moved, affine[3])
        return Geometry(voxel, affine)


@dataclass(frozen=True)
class Header:
    """Everything known before the first slice.

    shape and axes include the slice axis. `history` is empty where it comes only at the end of a stream;
    `Reader.history` is the one to ask after the last slice. `dialect` says what the file is in words.
    `dtype` is complex64, float32 or, for masks, bool: readers convert everything else, writers take these.
    `mask` is the sampling mask that lies beside k-space; HDF5 alone has a place for it.
    """

    kind: str
    axes: Axes
    shape: tuple[int, ...]
    dtype: np.dtype
    geometry: Geometry = field(default_factory=Geometry)
    units: str | None = None
    history: tuple[Mapping[str, Any], ...] = ()
    dialect: str = ""
    mask: np.ndarray | None = field(default=None, compare=False, repr=False)

    @property
    def sliced(self) -> bool:
        return self.axes[:1] == ("slice",)

    @property
    def n_slices(self) -> int:
        return self.shape[0] if self.sliced else 1

    @property
    def slice_shape(self) -> tuple[int, ...]:
        return self.shape[1:] if self.sliced else self.shape

    @property
    def slice_nbytes(self) -> int:
        return math.prod(self.slice_shape) * self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class Reader(ABC):
    """An open volume. Iterating yields every slice once, in order: C-contiguous, native byte order.

    name: the file as the user typed it, for error texts (`<stdin>` for a pipe).
    notes: what had to be assumed about a file that does not say it, one line each, for the user to see.
    datasets: everything that the file holds, name -> "shape dtype" (HDF5 only).
    noise: samples (coil, sample) of a noise scan acquired with k-space, without signal (ISMRMRD only).
    crc32: of the slices read so far, as bytes in C order; the content's identity in a history.
    piped: whether the file can only be read once, from beginning to end.
    """

    name: str
    header: Header
    notes: tuple[str, ...] = ()
    datasets: Mapping[str, str] = {}  # a fresh one where a format has any
    noise: np.ndarray | None = None
    crc32: int = 0
    piped: bool = False
    _started = False

    @abstractmethod
    def _slices(self) -> Iterator[np.ndarray]:
        """Yield every slice in order."""

    def _check_end(self) -> None:  # noqa: B027 - most formats say everything at the beginning
        """Raise DataError unless what follows the last slice is right; called before that slice goes out."""

    @property
    def history(self) -> tuple[Mapping[str, Any], ...]:
        """Commands that made this volume, oldest first; complete once the last slice has been handed out."""
        return self.header.history

    def __iter__(self) -> Iterator[np.ndarray]:
        if self._started:
            raise RuntimeError(f"{self.name}: a reader is for one pass; open the file again")
        self._started = True
        for i, array in enumerate(self._slices()):
            self.crc32 = zlib.crc32(array.data, self.crc32)
            # Before the last slice goes out, since zip() of two readers never asks the second one for more.
            if i == self.header.n_slices - 1:
                self._check_end()
            yield array

    def read_slice(self, index: int) -> np.ndarray:
        """Slice `index` of a reader just opened; those before it are read too, except from HDF5."""
        return next(islice(self._slices(), index, None))

    def read(self) -> np.ndarray:
        """Return the whole volume, `header.shape`."""
        out = np.empty(self.header.shape, self.header.dtype)
        for i, array in enumerate(self):
            out[i if self.header.sliced else ...] = array
        return out

    def close(self) -> None:  # noqa: B027 - most readers hold nothing
        """Release the file."""

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Kept(Reader):
    """The slices of another reader, kept in memory, so that they can be read more than once."""

    def __init__(self, reader: Reader) -> None:
        self.name, self.header, self._reader = reader.name, reader.header, reader
        self._kept: list[np.ndarray] = []

    def _slices(self) -> Iterator[np.ndarray]:
        self._kept = self._kept or list(self._reader)
        return iter(self._kept)

    def __iter__(self) -> Iterator[np.ndarray]:
        return self._slices()


class Picked(Reader):
    """The slices `numbers` of another reader, which is read to its end, in rising order.

    Where they are not evenly spaced, nothing is known of where they lie. Raises UsageError where it has no slice axis.
    """

    def __init__(self, reader: Reader, numbers: Iterable[int]) -> None:
        if not reader.header.sliced:
            raise UsageError(f"--slices: {reader.name} has no slices")
        self._numbers, self._reader = sorted(set(numbers)), reader
        self.name, self.noise, self.piped = reader.name, reader.noise, reader.piped
        steps = {b - a for a, b in pairwise(self._numbers)} or {1}
        header, first = reader.header, self._numbers[0]
        geometry = header.geometry.of_slices(first, steps.pop()) if len(steps) == 1 else Geometry()
        mask = header.mask
        if mask is not None and mask.ndim == 3 and len(mask) > 1:
            mask = mask[self._numbers]
        shape = (len(self._numbers), *header.shape[1:])
        self.header = replace(header, shape=shape, geometry=geometry, mask=mask)

    @property
    def history(self) -> tuple[Mapping[str, Any], ...]:
        return self._reader.history

    def _slices(self) -> Iterator[np.ndarray]:
        chosen, last = set(self._numbers), None
        for i, array in enumerate(self._reader):
            if i in chosen:
                if last is not None:
                    yield last
                last = array
        assert last is not None
        yield last


class Writer(ABC):
    """A volume being written. It appears under its name only in `finish`, and then whole.

    Leaving the `with` block without `finish` drops what was written.
    """

    name: str
    header: Header
    _written = 0

    @abstractmethod
    def write(self, array: np.ndarray) -> None:
        """Append the next slice, of shape `header.slice_shape`."""

    @abstractmethod
    def finish(self, history: Sequence[Mapping[str, Any]] = ()) -> None:
        """Write what is known only at the end and put the file in its place."""

    @abstractmethod
    def abort(self) -> None:
        """Drop everything written; does nothing after `finish`."""

    def _require_slice(self, array: np.ndarray) -> None:
        if self._written == self.header.n_slices:
            raise DataError(f"{self.name}: a slice more than the {self.header.n_slices} that the header promised")
        if array.shape != self.header.slice_shape or array.dtype != self.header.dtype:
            raise DataError(
                f"{self.name}: slice is {array.shape} {array.dtype}, "
                f"the header promised {self.header.slice_shape} {self.header.dtype}"
            )
        self._written += 1

    def _require_complete(self) -> None:
        if self._written < self.header.n_slices:
            raise DataError(f"{self.name}: {self._written} of {self.header.n_slices} slices were written")

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.abort()
