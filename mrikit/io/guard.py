"""Checks and limits against files that claim what they do not hold; errors name the file and both sizes.

Exit codes, the same for every format:

- a file that is shorter than its own header says is damaged: DataError (65);
- a slice that would not fit in this computer's memory is refused for safety (UnsafeError, 77) where the file
  has not the data for it, and is TemporaryError (75) where it has: a larger computer reads it;
- compressed data that would grow beyond `MAX_RATIO` times its size is refused: UnsafeError (77).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from mrikit.axes import describe
from mrikit.errors import DataError, TemporaryError, UnsafeError

#: Bytes of a header or history that are read at all.
MAX_TEXT = 16 << 20
MAX_DIMS = 16
#: Real scans and masks compress less than this; below `HARMLESS` bytes nothing is asked.
MAX_RATIO = 250
HARMLESS = 256 << 20


def physical_memory() -> int:
    """Bytes of memory in this computer."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def require_shape(name: str, shape: Sequence[Any]) -> tuple[int, ...]:
    """The shape as plain integers. Raises DataError for a length below 1 or too many dimensions."""
    if len(shape) > MAX_DIMS:
        raise DataError(f"{name}: {len(shape)} dimensions claimed, at most {MAX_DIMS} are read")
    if any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1 for n in shape):
        raise DataError(f"{name}: claims lengths {describe(shape)}, every length must be at least 1")
    return tuple(int(n) for n in shape)


def require_present(name: str, claimed: int, present: int) -> None:
    """Raise DataError where a file is shorter than its header says."""
    if claimed > present:
        raise DataError(
            f"{name}: truncated: its header needs {size(claimed)}, the file has {size(present)}",
            hint="copy or make the file again",
        )


def require_slice_fits(name: str, nbytes: int, present: int | None = None) -> None:
    """Raise unless one slice fits in memory; `present` is how much data the file is known to have."""
    memory = physical_memory()
    if nbytes <= memory:
        return
    message = f"{name}: one slice needs {size(nbytes)}, this computer has {size(memory)} of memory"
    if present is not None and present >= nbytes:
        raise TemporaryError(message, hint="use a computer with more memory")
    raise UnsafeError(message)


def require_ratio(name: str, claimed: int, stored: int) -> None:
    """Raise UnsafeError where `stored` bytes claim to unpack to far more than real data does."""
    if claimed > max(HARMLESS, MAX_RATIO * stored):
        raise UnsafeError(
            f"{name}: {size(stored)} of stored data claim to unpack to {size(claimed)}, "
            f"more than {MAX_RATIO} times as much"
        )


def require_text(name: str, what: str, nbytes: int, limit: int = MAX_TEXT) -> None:
    """Raise UnsafeError where a header, history or other text is longer than anything real."""
    if nbytes > limit:
        raise UnsafeError(f"{name}: {what} of {size(nbytes)} claimed, at most {size(limit)} is read")


def parse_json(name: str, what: str, text: str | bytes) -> Any:
    """What a JSON text in a file says. Raises DataError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: {what} is not readable JSON ({first_line(error)})") from None


def nbytes(shape: Sequence[int], itemsize: int) -> int:
    """Bytes of an array, in integers that do not overflow."""
    return math.prod(shape) * itemsize


def first_line(error: BaseException) -> str:
    """What went wrong, in the system's words, without the lines of detail that HDF5 adds."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return (str(error).splitlines() or [type(error).__name__])[0].strip(" '\"")


def size(nbytes: int) -> str:
    """`512 bytes`, `3.2 MB`, `1.1 TB`."""
    if nbytes < 1000:
        return f"{nbytes} bytes"
    value = float(nbytes)
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if value < 1000:
            return f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1e} EB"
