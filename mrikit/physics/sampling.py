"""What a mask, or a scan, says about its sampling: which samples, how fast, and what calibration can use."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mrikit.arrays import Array, namespace, to_numpy
from mrikit.axes import as_bool
from mrikit.errors import DataError, UsageError

UNEVEN = 0.2  # by how much of the longer side zero-padding may differ from one side to the other


def centre(n: int, length: int) -> slice:
    """The `length` indices of an axis of `n` whose own centre, length // 2, falls on the centre n // 2.

    A crop to this slice therefore is a centred k-space again. For even n it is fastMRI's choice; for odd n
    and even length fastMRI starts one index later, which puts the crop's centre beside the zero frequency.
    """
    start = n // 2 - length // 2
    return slice(start, start + length)


def acceleration(mask: np.ndarray) -> float:
    """N / sampled of a mask of any shape, counted in lines where it is `lines_of` them; infinite without a sample."""
    mask = lines_of(mask)
    n_sampled = int(mask.sum())
    return mask.size / n_sampled if n_sampled else math.inf


def as_mask(mask: np.ndarray) -> np.ndarray:
    """`mask` as bool, as `as_bool` makes it. Raises DataError for NaN, and for axes other than (x) and (y, x)."""
    mask = np.asarray(mask)
    if mask.ndim not in (1, 2):
        raise DataError(f"a mask has axes (x) or (y, x), found {mask.ndim} axes")
    return as_bool(mask)


def undersample(kspace: Array, mask: Array) -> Array:
    """k-space (..., coil, y, x) with the samples outside `mask`, (x,) or (y, x), set to zero.

    Raises DataError, naming both lengths, where the mask is not of this k-space.
    """
    mask = as_mask(to_numpy(mask))
    require_of_matrix(mask, kspace.shape[-2:])
    xp = namespace(kspace)
    return xp.where(xp.asarray(mask), kspace, xp.zeros_like(kspace))


def require_of_matrix(mask: np.ndarray, matrix: Sequence[int]) -> None:
    """Raise DataError, naming both lengths, unless `mask`, (x,) or (y, x), is of a `matrix` (y, x)."""
    for axis, found, expected in zip("xy", mask.shape[::-1], matrix[::-1], strict=False):
        if found != expected:
            raise DataError(f"the mask has {found} samples along {axis}, but k-space has {expected}")


def sampling(kspace: np.ndarray) -> np.ndarray:
    """Mask of what k-space (..., coil, y, x) holds: a sample is acquired where any coil is not zero.

    Leading axes stay. The mask is one of lines, (..., x), where every column is either empty or filled on
    the same unbroken block of rows, which may be shorter than y: a readout whose edges are zero-padded
    still counts as a line. One sample in a hundred may be zero by chance. Anything else, rows with
    gaps (lines along y) and asymmetric echoes included, is (..., y, x). Columns that are zero-padding count
    as not acquired.
    """
    if kspace.ndim < 3:
        raise DataError(f"k-space has axes (..., coil, y, x), found {kspace.ndim} axes")
    acquired = (kspace != 0).any(axis=-3)
    rows, columns = acquired.any(axis=-1), acquired.any(axis=-2)
    n_rows = rows.sum(axis=-1)
    unbroken = np.count_nonzero(np.diff(rows.astype(np.int8), axis=-1, prepend=0, append=0), axis=-1) <= 2
    missing = np.where(columns, n_rows[..., None] - acquired.sum(axis=-2), 0)
    is_lines = unbroken & ~is_one_sided(rows) & (missing <= 0.01 * n_rows[..., None]).all(axis=-1)
    return columns if bool(np.all(is_lines)) else acquired


def is_one_sided(taken: np.ndarray) -> np.ndarray:
    """Whether what is `taken` of an axis, bool (..., n), ends much sooner on one side of the centre.

    That is partial Fourier or an asymmetric echo: what is missing there is not small, as in zero-padding.
    """
    n = taken.shape[-1]
    below = n // 2 - taken.argmax(axis=-1)
    above = n - 1 - taken[..., ::-1].argmax(axis=-1) - n // 2
    return np.abs(below - above) > 1 + UNEVEN * np.maximum(below, above)


def acquired_plane(kspace: np.ndarray) -> np.ndarray:
    """`sampling` of k-space (coil, y, x) spelt out as (y, x): rows that hold nothing are not acquired."""
    acquired = sampling(kspace)
    return (kspace != 0).any(axis=(0, 2))[:, None] & acquired if acquired.ndim == 1 else acquired


def is_partial(kspace: np.ndarray) -> bool:
    """Whether k-space (coil, y, x) is of partial Fourier or an asymmetric echo: `is_one_sided` along y or x."""
    plane = acquired_plane(kspace)
    return any(bool(is_one_sided(plane.any(axis=axis))) for axis in (0, 1))


def is_complete(acquired: np.ndarray) -> bool:
    """Whether an acquired mask is that of a fully sampled scan: one unbroken block that holds the centre.

    Zero-padded edges and partial Fourier, down to 0.6 of an axis, count as fully sampled.
    """
    lines = lines_of(acquired)
    return lines.ndim == 1 and _is_whole(lines)


def lines_of(mask: np.ndarray) -> np.ndarray:
    """The lines (x,), or else (y,), that a mask (y, x) is made of, or the mask itself, bool, where it is not of lines.

    They hold one and the same block of the readout, the other axis, which counts as whole as `is_complete` has it: the
    part that an asymmetric echo lacks saves no time.
    """
    mask = np.asarray(mask, dtype=bool)
    if mask.ndim != 2:
        return mask
    rows, columns = mask.any(axis=1), mask.any(axis=0)
    if mask.sum() == rows.sum() * columns.sum():
        for readout, lines in ((rows, columns), (columns, rows)):
            if _is_whole(readout):
                return lines
    return mask


def _is_whole(line: np.ndarray) -> bool:
    """Whether the True of a line are neighbours around its centre, 0.6 of it at least."""
    n_blocks = np.count_nonzero(np.diff(line.astype(np.int8), prepend=0, append=0)) // 2
    return bool(n_blocks == 1 and line[len(line) // 2] and line.mean() >= 0.6)


def same_acceleration(mask: np.ndarray, accel: float) -> bool:
    """Whether `mask` keeps what `accel` asks for, to within one line, or 1 % for a mask of the plane."""
    mask = lines_of(mask)
    slack = 1 if mask.ndim == 1 else 0.01 * mask.size / accel
    return abs(int(mask.sum()) - mask.size / accel) <= slack + 0.5


def calibration_extent(mask: np.ndarray, n_y: int | None = None) -> tuple[int, int]:
    """(y, x) size of the largest fully sampled block centred on the zero frequency; (0, 0) without one.

    The block is placed as `centre` places it and, of all that fit, has the longest shorter edge, then the
    largest area: one sampled row through the centre does not make a calibration region. A line mask (x,)
    is sampled on all of its `n_y` rows, which the caller must give.
    """
    mask = np.asarray(mask, dtype=bool)
    if mask.ndim == 1:
        if n_y is None:
            raise UsageError("the calibration extent of a line mask needs n_y, the rows it stands for")
        n_x = _centred_run(mask)
        return (n_y, n_x) if n_x else (0, 0)
    if mask.ndim != 2:
        raise DataError(f"a mask has axes (x) or (y, x), found {mask.ndim} axes")
    best = (0, 0)
    full = np.ones(mask.shape[1], dtype=bool)
    for height in range(1, mask.shape[0] + 1):
        block = centre(mask.shape[0], height)
        full = full & mask[block.start] & mask[block.stop - 1]  # the one row that this height adds
        width = _centred_run(full)
        if not width:
            break
        if (min(height, width), height * width) > (min(best), best[0] * best[1]):
            best = (height, width)
    return best


def centre_block(mask: np.ndarray) -> np.ndarray:
    """The fully sampled centre of a mask (x,) or (y, x), as a mask of the same shape."""
    extent = calibration_extent(mask, n_y=1)[-mask.ndim :]
    block = np.zeros_like(mask)
    block[tuple(centre(n, length) for n, length in zip(mask.shape, extent, strict=True))] = True
    return block


def _centred_run(lines: np.ndarray) -> int:
    """Length of the longest run of True that `centre` would place there."""
    middle = len(lines) // 2
    gaps = np.flatnonzero(~lines)
    below = middle - max((int(g) for g in gaps[gaps < middle][-1:]), default=-1) - 1
    above = min((int(g) for g in gaps[gaps >= middle][:1]), default=len(lines)) - middle
    return 2 * above if above <= below else 2 * below + 1
