"""What mrikit writes about a volume, in any format, and what is made of files that say less.

The same few fields travel in every format, as JSON: kind, axes, affine, voxel_mm, units.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mrikit.axes import COMPLEX, KINDS, REAL, Axes, as_bool, axes_for, describe, require_complex
from mrikit.errors import DataError
from mrikit.io.guard import require_shape
from mrikit.io.volume import Geometry, Header

BOOL = np.dtype(np.bool_)
#: Where a bare array is read and nothing said what it is: the first kind that fits.
GUESSES = {"c": ("kspace", "image", "maps", "samples", "mask"), "b": ("mask",)}
GUESSES_REAL = ("image", "samples", "mask")


#: The names of the JSON fields.
FIELDS = ("kind", "axes", "affine", "voxel_mm", "units")


@dataclass(frozen=True)
class Meta:
    """What a file written by mrikit says about itself."""

    kind: str
    axes: Axes
    geometry: Geometry
    units: str | None


def fields(header: Header) -> dict[str, Any]:
    """The JSON fields of a header."""
    return {
        "kind": header.kind,
        "axes": list(header.axes),
        "affine": header.geometry.affine and [list(row) for row in header.geometry.affine],
        "voxel_mm": header.geometry.voxel and list(header.geometry.voxel),
        "units": header.units,
    }


def parse(name: str, said: Any) -> Meta:
    """The Meta that JSON fields spell. Raises DataError where they are not ones that mrikit writes."""
    try:
        kind, axes, units = said["kind"], tuple(said["axes"]), said.get("units")
        if axes not in KINDS[kind]:
            raise ValueError(f"{kind} with axes {axes}")
        if not (units is None or (isinstance(units, str) and len(units) <= 100)):
            raise ValueError("units that are no short text")
        voxel, affine = said.get("voxel_mm"), said.get("affine")
        geometry = Geometry(
            None if voxel is None else _numbers(voxel, 3),  # type: ignore[arg-type]
            None if affine is None else tuple(_numbers(row, 4) for row in affine),
        )
        if geometry.affine is not None and len(geometry.affine) != 4:
            raise ValueError("an affine that is not 4 x 4")
        if geometry.voxel is not None and min(geometry.voxel) <= 0:
            raise ValueError("a voxel without volume")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{name}: what it says about itself cannot be meant: {error}") from None
    return Meta(kind, axes, geometry, units)


def _numbers(values: Sequence[Any], n: int) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != n or not all(math.isfinite(value) for value in numbers):
        raise ValueError(f"{values} where {n} numbers belong")
    return numbers


def parse_history(name: str, said: Any) -> tuple[Mapping[str, Any], ...]:
    """A history from JSON. Raises DataError unless it is a list of records."""
    if not isinstance(said, list) or not all(isinstance(record, dict) for record in said):
        raise DataError(f"{name}: its history is not a list of records")
    return tuple(said)


def settle(
    name: str,
    shape: Sequence[Any],
    dtype: np.dtype,
    asked: tuple[str, ...],
    *,
    meta: Meta | None = None,
    kind: str | None = None,
    **more: Any,
) -> tuple[Header, tuple[str, ...]]:
    """The header a file is read with, and notes on what was assumed.

    asked: the kinds that the caller takes, the preferred one first; empty for any.
    meta: what the file says in mrikit's words; else `kind` is what its dataset's name says, if it does.
    A missing slice axis is added, of length 1. Raises DataError.
    """
    shape = require_shape(name, shape)
    said = meta.kind if meta else kind
    if said and asked and said not in asked:
        raise DataError(f"{name}: holds {said}, expected {' or '.join(asked)}")
    notes: tuple[str, ...] = ()
    if meta:
        kind, axes = meta.kind, meta.axes
        if len(axes) != len(shape):
            raise DataError(f"{name}: names {len(axes)} axes ({', '.join(axes)}), but has {describe(shape)}")
        more = {"geometry": meta.geometry, "units": meta.units} | more
    else:
        kind, axes = _assume(name, shape, (said,) if said else asked or GUESSES.get(dtype.kind, GUESSES_REAL))
        if not said:
            notes = (f"{name}: does not name its axes; read as {kind}, {describe(shape, axes)}",)
    if axes not in KINDS[kind]:
        axes, shape = ("slice", *axes), (1, *shape)
    return Header(kind, axes, shape, slice_dtype(name, kind, dtype), **more), notes


def _assume(name: str, shape: tuple[int, ...], kinds: tuple[str, ...]) -> tuple[str, Axes]:
    """The first kind whose usual axes are as many as the array's, else the first that can be at all."""
    for kind in kinds:
        if len(KINDS[kind][0]) == len(shape):
            return kind, KINDS[kind][0]
    for kind in kinds[:-1]:
        try:
            return kind, axes_for(kind, shape, name)
        except DataError:
            continue
    return kinds[-1], axes_for(kinds[-1], shape, name)


def slice_dtype(name: str, kind: str, dtype: np.dtype) -> np.dtype:
    """Bool, complex64 or float32, as which slices stored as `dtype` are handed out. Raises DataError."""
    if dtype.kind not in "biufc":
        raise DataError(f"{name}: holds {dtype}, expected numbers")
    if kind == "mask":
        return BOOL
    if kind in ("kspace", "maps", "noise"):
        require_complex(dtype, name, kind)
    return COMPLEX if dtype.kind == "c" else REAL


def convert(array: np.ndarray, header: Header) -> np.ndarray:
    """A slice as the header promises it: shape, dtype, C-contiguous; a copy only where one is due.

    Raises DataError for a mask with NaN.
    """
    if header.dtype == BOOL and array.dtype != BOOL:
        array = as_bool(array)
    with np.errstate(over="ignore"):  # beyond float32 is inf, which the caller's own check sees
        return np.ascontiguousarray(array, header.dtype).reshape(header.slice_shape)


def require_writable(header: Header) -> None:
    """Raise ValueError for a header that no writer takes: a bug in the caller, not a user's mistake."""
    if header.axes not in KINDS[header.kind] or len(header.axes) != len(header.shape) or min(header.shape) < 1:
        raise ValueError(f"{header.kind} cannot have axes {header.axes} of lengths {header.shape}")
    if header.dtype not in (COMPLEX, REAL, BOOL) or (header.dtype == BOOL) != (header.kind == "mask"):
        raise ValueError(f"{header.kind} cannot be written as {header.dtype}")
