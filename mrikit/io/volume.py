"""What a volume on disk or in a pipe is, and how one is read and written: slice by slice.

Every format module has one class that follows `Reader` and one that follows `Writer`; nothing else in
mrikit knows formats. A volume whose first axis is not `slice` (a mask, say) is one slab: one "slice".
"""

from __future__ import annotations

import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np

from mrikit.axes import Axes
from mrikit.errors import DataError


@dataclass(frozen=True)
class Geometry:
    """Where voxels lie. What is not known is None; nothing is ever invented.

    voxel: edge lengths in mm along (x, y, slice).
    affine: 4 x 4, from voxel indices (x, y, slice) to RAS mm, row by row.
    """

    voxel: tuple[float, float, float] | None = None
    affine: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True)
class Header:
    """Everything known before the first slice.

    shape and axes include the slice axis. `history` is empty where it comes only at the end of a stream;
    `Reader.history` is the one to ask after the last slice. `dialect` says what the file is in words.
    """

    kind: str
    axes: Axes
    shape: tuple[int, ...]
    dtype: np.dtype
    geometry: Geometry = field(default_factory=Geometry)
    units: str | None = None
    history: tuple[Mapping[str, Any], ...] = ()
    dialect: str = ""

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
    mask: the sampling mask stored beside k-space (HDF5 only), else None.
    crc32: of the slices read so far, as bytes in C order; the content's identity in a history.
    """

    name: str
    header: Header
    mask: np.ndarray | None = None
    crc32: int = 0

    @abstractmethod
    def _slices(self) -> Iterator[np.ndarray]:
        """Yield every slice in order."""

    @property
    def history(self) -> tuple[Mapping[str, Any], ...]:
        """Commands that made this volume, oldest first; complete once every slice has been read."""
        return self.header.history

    def __iter__(self) -> Iterator[np.ndarray]:
        for array in self._slices():
            self.crc32 = zlib.crc32(array.data, self.crc32)
            yield array

    def read(self) -> np.ndarray:
        """Return the whole volume, `header.shape`."""
        out = np.empty(self.header.shape, self.header.dtype)
        if not self.header.sliced:
            out[...] = next(iter(self))
            return out
        for i, array in enumerate(self):
            out[i] = array
        return out

    def close(self) -> None:  # noqa: B027 - most readers hold nothing
        """Release the file."""

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Writer(ABC):
    """A volume being written. It appears under its name only in `finish`, and then whole.

    Leaving the `with` block without `finish` drops what was written.
    """

    name: str
    header: Header

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
        if array.shape != self.header.slice_shape or array.dtype != self.header.dtype:
            raise DataError(
                f"{self.name}: slice is {array.shape} {array.dtype}, "
                f"the header promised {self.header.slice_shape} {self.header.dtype}"
            )

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.abort()
