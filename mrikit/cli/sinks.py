"""The output side of a stream: a writer that opens when its first slice is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mrikit.arrays import to_numpy
from mrikit.axes import IMAGES, KINDS, Axes
from mrikit.cli.checks import check_result
from mrikit.io import Geometry, Header, Writer

Open = Callable[[str, Header], Writer]


class Sink:
    """One output of a stream.

    n_slices: length of the slice axis, None for a result without one.
    part: which part of complex values is written; `auto` is `default_part`.
    mask: the sampling mask that HDF5 stores beside k-space.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        n_slices: int | None,
        open_: Open,
        *,
        part: str = "auto",
        geometry: Geometry | None = None,
        units: str | None = None,
        mask: np.ndarray | None = None,
        check: bool = True,
    ) -> None:
        self.name = name
        self.kind = kind
        self.n_slices = n_slices
        self.part = default_part(name, kind) if part == "auto" else part
        self.keep_real = part == "auto"
        self.geometry = geometry or Geometry()
        self.units = units
        self.mask = mask
        self.check = check
        self._open = open_
        self._written = 0
        self.writer: Writer | None = None

    def put(self, array: Any) -> None:
        """Check the next slice and write it."""
        result = as_numpy(array, mask=self.kind == "mask")
        if self.check:
            check_result(self.name, None if self.n_slices is None else self._written, result)
        result = np.ascontiguousarray(
            result if self.kind == "mask" else take_part(result, self.part, keep_real=self.keep_real)
        )
        if self.writer is None:
            self.writer = self._open(self.name, self._header(result))
        self.writer.write(result)
        self._written += 1

    def _header(self, first: np.ndarray) -> Header:
        axes = output_axes(self.kind, first.ndim, sliced=self.n_slices is not None)
        shape = first.shape if self.n_slices is None else (self.n_slices, *first.shape)
        return Header(self.kind, axes, shape, first.dtype, geometry=self.geometry, units=self.units, mask=self.mask)

    def finish(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Put the file in its place."""
        if self.writer is None:
            raise ValueError(f"{self.name}: no slice was written")
        self.writer.finish(history)

    def facts(self) -> dict[str, Any]:
        """What was written, for the report."""
        assert self.writer is not None
        header = self.writer.header
        return {"file": self.name, "kind": header.kind, "shape": header.shape, "dtype": str(header.dtype)}


def default_part(name: str, kind: str) -> str:
    """`mag` for images in NIfTI, as its viewers expect; k-space, maps and noise are nothing without phase."""
    nifti = name.lower().endswith((".nii", ".nii.gz"))
    return "mag" if nifti and kind in IMAGES else "complex"


def output_axes(kind: str, ndim: int, *, sliced: bool) -> Axes:
    """Axes of a volume of `kind` whose slices, or which itself if not `sliced`, have `ndim` dimensions."""
    for axes in KINDS[kind]:
        if axes[0] == "slice" and len(axes) == ndim + 1:
            return axes if sliced else axes[1:]
        if axes[0] != "slice" and len(axes) == ndim and not sliced:
            return axes
    raise ValueError(f"a slice of {kind} cannot have {ndim} axes")


def as_numpy(array: Any, *, mask: bool = False) -> np.ndarray:
    """`array` in host memory and in a dtype that files have: complex64, float32 or, for a mask, bool."""
    result = to_numpy(array)
    if mask:
        return result.astype(np.bool_, copy=False)
    return result.astype(np.complex64 if result.dtype.kind == "c" else np.float32, copy=False)


def take_part(array: np.ndarray, part: str, *, keep_real: bool) -> np.ndarray:
    """Magnitude, phase (radians), real or imaginary part or complex; with `keep_real`, real arrays as is."""
    if array.dtype.kind != "c" and keep_real:
        return array
    if part == "mag":
        return np.abs(array)
    if part == "phase":
        return np.angle(array).astype(np.float32)
    if part == "real":
        return array.real
    if part == "imag":
        return array.imag
    return array.astype(np.complex64, copy=False)
