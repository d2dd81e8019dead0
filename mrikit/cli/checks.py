"""Checks on what comes in and what goes out, one slice at a time."""

from __future__ import annotations

import numpy as np

from mrikit.axes import IMAGES, LARGEST, SMALLEST, all_finite, describe, require_complex
from mrikit.errors import DataError, ResultError, UsageError
from mrikit.io import Header, Reader

_COMPLEX_KINDS = ("kspace", "maps", "noise")


def check_header(reader: Reader) -> None:
    """Raise DataError if k-space, maps or noise are not complex."""
    if reader.header.kind in _COMPLEX_KINDS:
        require_complex(reader.header.dtype, reader.name, reader.header.kind)


def check_input(reader: Reader, index: int, array: np.ndarray) -> None:
    """Raise DataError if the slice has NaN, infinity or numbers near them, or k-space or a mask has no sample."""
    header = reader.header
    if not all_finite(array):
        raise DataError(
            f"{reader.name}: {header.kind} has NaN or infinity at {_first_bad(array, header, index)}",
            hint="counting from 0; the file was damaged, or scaled beyond its dtype, before mrikit read it",
        )
    largest = float(np.abs(array).max()) if header.kind in ("kspace", "noise") else None
    if header.kind == "kspace" and largest == 0:
        raise DataError(
            f"{reader.name}: k-space is zero everywhere in slice {index}, expected samples",
            hint="counting from 0; `mrikit convert --slices` keeps those that were acquired",
        )
    if largest and not SMALLEST <= largest <= LARGEST:
        raise DataError(
            f"{reader.name}: the largest sample is {largest:.3g}, expected {SMALLEST:g} to {LARGEST:g}",
            hint="squares of such numbers are none in complex64; scale the data and save them again",
        )
    if header.kind == "mask" and not array.any():
        where = f" in slice {index}" if header.sliced else ""
        raise DataError(f"{reader.name}: the mask keeps nothing{where}, expected samples")


def off_centre(reader: Reader, array: np.ndarray) -> str | None:
    """A warning of k-space whose brightest sample, in the first slice, is far from where the centre is to be."""
    if reader.header.kind != "kspace":
        return None
    sizes = np.abs(array).max(axis=0)
    (y, x), (n_y, n_x) = np.unravel_index(np.argmax(sizes), sizes.shape), sizes.shape
    near = abs(int(y) - n_y // 2) <= n_y / 4 and abs(int(x) - n_x // 2) <= n_x / 4
    if near or min(n_y, n_x) < 32:  # so few samples may be of anything
        return None
    return (
        f"{reader.name}: the brightest sample is at y {y}, x {x}, expected near the centre, {n_y // 2}, {n_x // 2}: "
        f"is it an image, or k-space without fftshift?"
    )


def beyond_own_mask(reader: Reader, array: np.ndarray) -> str | None:
    """A warning of k-space whose first slice, `array`, holds samples that the mask stored beside it denies."""
    mask = reader.header.mask
    if reader.header.kind != "kspace" or mask is None:
        return None
    sampled = (array != 0).any(axis=-3)
    n_beyond = np.count_nonzero(sampled & ~(mask[0] if mask.ndim == 3 else mask))
    if not n_beyond:
        return None
    name, share = reader.name, n_beyond / np.count_nonzero(sampled)
    return (
        f"{name}: {share:.0%} of the samples lie outside the mask stored beside them, and are taken all the same; "
        f"`mrikit undersample {name} {name}:mask OUT` leaves those of the mask"
    )


def check_part(reader: Reader, part: str) -> None:
    """Raise UsageError where a `part` of what must stay complex is asked for."""
    if part not in ("auto", "complex") and reader.header.kind not in IMAGES:
        raise UsageError(f"--part {part}: {reader.name} is {reader.header.kind}, which must stay as it is")


def check_crop(reader: Reader, crop: tuple[int, int]) -> None:
    """Raise UsageError unless the volume is one of images or maps with a centre of `crop` (y, x)."""
    kind, matrix = reader.header.kind, reader.header.shape[-2:]
    if kind not in (*IMAGES, "maps"):
        raise UsageError(f"--crop: {reader.name} is {kind}, and images and maps alone can be cropped")
    if any(n > there for n, there in zip(crop, matrix, strict=True)):
        raise UsageError(f"--crop {crop[0]},{crop[1]}: {reader.name} has {describe(matrix)} (y x x) alone")


def other_units(name: str, reference: str, nmse: float) -> str | None:
    """A warning of an image that is next to nothing of its reference."""
    if not nmse > 0.5:  # zero-filled heads of R = 20 have 0.2
        return None
    return f"{name}: NMSE is {nmse:.3g}: are its units those of {reference}? --scale fits them"


def check_one_shape(reference: Reader, image: Reader) -> None:
    """Raise DataError unless `image`, each of its states if it has any, is of the shape of `reference`."""
    sizes = zip(image.header.axes, image.header.shape, strict=True)
    shape = tuple(length for axis, length in sizes if axis != "state")
    if shape != reference.header.shape:
        *_, n_y, n_x = reference.header.shape
        hint = None
        if shape[-2:] != (n_y, n_x) and n_y <= shape[-2] and n_x <= shape[-1]:
            hint = f"`mrikit convert --crop {n_y},{n_x}` keeps the centre of an image"
        elif shape[-2:] == (n_y, n_x):
            hint = "`mrikit convert --slices` keeps some of the slices"
        raise DataError(
            f"{image.name}: the image is {describe(shape)}, but the reference {reference.name} "
            f"{describe(reference.header.shape)}, expected one shape",
            hint=hint,
        )


def check_result(name: str, index: int | None, array: np.ndarray) -> None:
    """Raise ResultError if a computed slice has NaN or infinity or is zero everywhere."""
    where = "the result" if index is None else f"slice {index} of the result"
    if not all_finite(array):
        raise ResultError(f"{name}: {where} has NaN or infinity", hint="nothing was written")
    if not array.any():
        raise ResultError(f"{name}: {where} is zero everywhere", hint="nothing was written")


def _first_bad(array: np.ndarray, header: Header, index: int) -> str:
    at = np.unravel_index(np.argmin(np.isfinite(array)), array.shape)
    axes = header.axes[1:] if header.sliced else header.axes
    place = [f"slice {index}"] if header.sliced else []
    return ", ".join(place + [f"{axis} {i}" for axis, i in zip(axes, at, strict=True)])
