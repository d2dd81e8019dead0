"""Axis names and order, kinds of data, dtypes and units, with their checks and error texts.

Conventions, everywhere in mrikit:

- C order, slices first. k-space is `(slice, coil, y, x)`, maps `(slice, coil, y, x)` or, with several
  sets, `(slice, set, coil, y, x)`, images `(slice, y, x)`, posterior samples `(slice, sample, y, x)`,
  the states of an unrolled network `(slice, state, y, x)`, masks `(x,)`, `(y, x)`, `(slice, x)` or
  `(slice, y, x)`.
- y is the readout and x the phase encode, as in fastMRI.
- The Fourier transform is orthonormal and centred at N//2, for odd N too.
- Complex is complex64. Lengths are mm, times ms, angles radians, frequencies Hz.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mrikit.errors import DataError, UsageError

Axes = tuple[str, ...]

#: What a file can hold -> the axes it can have, the usual ones first.
KINDS: dict[str, tuple[Axes, ...]] = {
    "kspace": (("slice", "coil", "y", "x"),),
    "maps": (("slice", "coil", "y", "x"), ("slice", "set", "coil", "y", "x")),
    "image": (("slice", "y", "x"), ("slice", "set", "y", "x")),
    "samples": (("slice", "sample", "y", "x"),),
    "states": (("slice", "state", "y", "x"),),
    "mask": (("x",), ("y", "x"), ("slice", "x"), ("slice", "y", "x")),
    "noise": (("coil", "sample"),),
}

#: Kinds that are images, one or several a slice: NIfTI takes them, and `--part` is for them.
IMAGES = ("image", "samples", "states")

COMPLEX = np.dtype(np.complex64)
REAL = np.dtype(np.float32)

#: Beyond these magnitudes of k-space, sums of squares leave complex64 and a result is silently wrong.
SMALLEST, LARGEST = 1e-15, 1e15


def axes_for(kind: str, shape: Sequence[int], name: str) -> Axes:
    """Axes of a bare array of `shape` that is to be read as `kind`; a missing slice axis is implied.

    Raises DataError, naming the file `name`, where no axes of that kind have as many dimensions.
    """
    for axes in KINDS[kind]:
        if len(shape) == len(axes):
            return axes
    for axes in KINDS[kind]:
        if axes[0] == "slice" and len(shape) == len(axes) - 1:
            return axes[1:]
    expected = " or ".join("(" + ", ".join(axes) + ")" for axes in KINDS[kind])
    hint = "`mrikit info FILE` shows what a file holds"
    if kind == "kspace" and len(shape) == 2:
        hint = "of one slice and one coil, save array[None, None]"
    raise DataError(
        f"{name}: {kind} must have axes {expected}, found {len(shape)} axes of lengths {describe(shape)}",
        hint=hint,
    )


def describe(shape: Sequence[int], axes: Sequence[str] | None = None) -> str:
    """`1 x 8 x 230 x 180`, or with names `1 slice x 8 coil x 230 y x 180 x`."""
    if axes is None:
        return " x ".join(str(n) for n in shape) or "a single number"
    return " x ".join(f"{n} {axis}" for n, axis in zip(shape, axes, strict=True))


def require_match(name: str, shape: Sequence[int], other: str, other_shape: Sequence[int], axis: str) -> None:
    """Raise DataError unless both shapes agree on the trailing (y, x); `axis` is what is being compared."""
    if tuple(shape[-2:]) != tuple(other_shape[-2:]):
        raise DataError(
            f"{name}: {axis} is {describe(shape[-2:])} (y x x), but {other} has {describe(other_shape[-2:])}"
        )


def require_complex(dtype: np.dtype, name: str, kind: str) -> None:
    """Raise DataError unless `dtype` is complex, as k-space and maps must be."""
    if dtype.kind != "c":
        raise DataError(
            f"{name}: {kind} must be complex, found {dtype}",
            hint="was the imaginary part lost when the file was written?",
        )


def parse_slices(text: str | None, n: int, name: str) -> list[int]:
    """Slice numbers of `3`, `0,4,8` or `2:10:2` of the `n` that the file `name` has; all of them for None."""
    if text is None:
        return list(range(n))
    try:
        if ":" in text:
            chosen = list(range(n))[slice(*(int(t) if t else None for t in text.split(":")))]
        else:
            chosen = [int(t) for t in text.split(",")]
    except (ValueError, TypeError):
        raise UsageError(f"--slices {text}: expected 3, 0,4,8 or 2:10:2") from None
    if not chosen or not all(-n <= i < n for i in chosen):
        raise UsageError(f"--slices {text}: {name} has {n}, numbered 0 to {n - 1}")
    return [i % n for i in chosen]


def as_bool(mask: np.ndarray) -> np.ndarray:
    """A mask as bool: what is not zero is sampled. Raises DataError for NaN, which is neither."""
    if not all_finite(mask):
        raise DataError("the mask has NaN or infinity, expected what is zero or not")
    return mask.astype(bool, copy=False)


def all_finite(array: np.ndarray) -> bool:
    """True without NaN and infinity; a sum, which either would spoil, decides most cases fast."""
    if array.dtype.kind not in "fc":
        return True
    with np.errstate(all="ignore"):
        return bool(np.isfinite(array.sum())) or bool(np.isfinite(array).all())
