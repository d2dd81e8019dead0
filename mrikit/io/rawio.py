"""Bytes in and out of raw files and pipes, whose reads and writes can be short."""

from __future__ import annotations

import io
import select
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from mrikit.errors import DataError
from mrikit.io.guard import first_line

#: What files, and gzip files, raise that are damaged.
READ_ERRORS = (OSError, EOFError, zlib.error)


def flat(array: np.ndarray) -> memoryview:
    """The bytes of a C-contiguous array, without a copy."""
    return memoryview(array.reshape(-1).view(np.uint8).data)


def read_into(file: Any, buffer: memoryview | bytearray, name: str) -> int:
    """Number of bytes read: all that `buffer` takes, or fewer at the end of the file. Raises DataError."""
    view = memoryview(buffer)
    done = 0
    try:
        while done < len(view):
            n = file.readinto(view[done:])
            if n is None:  # a pipe that another program has made non-blocking
                select.select([file], [], [])
            elif n == 0:
                break
            else:
                done += n
    except READ_ERRORS as error:
        raise _unreadable(name, error) from error
    return done


def _unreadable(name: str, error: BaseException) -> DataError:
    return DataError(f"{name}: damaged, it cannot be read to its end ({first_line(error)})")


def read_exact(file: Any, n: int, name: str, what: str) -> bytes:
    """The next `n` bytes. Raises DataError where the file ends before."""
    buffer = bytearray(n)
    if read_into(file, buffer, name) < n:
        raise truncated(name, what)
    return bytes(buffer)


def truncated(name: str, where: str) -> DataError:
    """The error of a file or pipe that ends too early."""
    return DataError(f"{name}: truncated: it ends within its {where}", hint="did the command that made it fail?")


def write_all(file: Any, data: Any) -> None:
    """Write every byte of `data`; OSError passes."""
    view = memoryview(data)
    done = 0
    while done < len(view):
        n = file.write(view[done:])
        if n is None:
            select.select([], [file], [])
        else:
            done += n


@dataclass(frozen=True)
class Blocks:
    """The pieces of every slice in a file whose order is (outer, slice, inner), slowest first.

    Posterior samples in NIfTI and BART lie sample by sample, so a slice has one piece a sample: outer > 1.
    """

    start: int
    outer: int
    n_slices: int
    piece: int

    @property
    def end(self) -> int:
        """Offset behind the last piece."""
        return self.start + self.outer * self.n_slices * self.piece

    def read(self, file: Any, i: int, out: memoryview, name: str) -> None:
        """Fill `out` with the pieces of slice `i`. Raises DataError."""
        for k in range(self.outer):
            try:
                file.seek(self._offset(k, i))
            except READ_ERRORS as error:
                raise _unreadable(name, error) from error
            if read_into(file, out[k * self.piece : (k + 1) * self.piece], name) < self.piece:
                raise truncated(name, f"slice {i + 1} of {self.n_slices}")

    def write(self, file: io.RawIOBase, i: int, data: memoryview) -> None:
        """Put the pieces of slice `i` in their places."""
        for k in range(self.outer):
            file.seek(self._offset(k, i))
            write_all(file, data[k * self.piece : (k + 1) * self.piece])

    def _offset(self, k: int, i: int) -> int:
        return self.start + (k * self.n_slices + i) * self.piece
