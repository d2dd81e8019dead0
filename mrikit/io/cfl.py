"""`.cfl` and `.hdr`, the two files of a BART volume: complex64, first dimension fastest, names by number.

| ours    | BART's dimension                                                         |
|---------|--------------------------------------------------------------------------|
| y       | 0 READ, the readout                                                      |
| x       | 1 PHS1                                                                   |
| coil    | 3 COIL                                                                   |
| set     | 4 MAPS                                                                   |
| slice   | 13 SLICE; where that is 1 and 2 (PHS2) is not, slices are taken from 2,   |
|         | but not of k-space, where 2 is a phase encode                            |
| state   | 8 ITER                                                                   |
| sample  | 15 BATCH; of noise, 0                                                    |

Real images and masks are stored as complex, as BART does. Kind, axes, dtype, geometry, units and history
stand behind `# mrikit` in the .hdr, where BART skips them. The .cfl takes its name before the .hdr, so
whoever finds a new .hdr finds its data; two files cannot appear at once.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mrikit.axes import COMPLEX, KINDS, Axes, describe
from mrikit.errors import DataError
from mrikit.io import guard, meta
from mrikit.io.atomic import PartFile, writing
from mrikit.io.paths import open_file
from mrikit.io.rawio import Blocks, flat, read_exact, write_all
from mrikit.io.volume import Geometry, Header, Reader, Writer

NUMBER = {"y": 0, "x": 1, "coil": 3, "set": 4, "state": 8, "slice": 13, "sample": 15}
PHS2 = 2
N_DIMS = 16
MARK = "# mrikit"
_NUMBERS = ", ".join(map(str, sorted({*NUMBER.values(), PHS2})))
#: Axes of one slice as it is stored, slowest first.
STORED = ("sample", "state", "set", "coil", "x", "y")
GUESSES = ("image", "kspace", "maps", "states", "samples")


class CflReader(Reader):
    """A BART volume; `file` is the open .cfl, `hdr` the path of its header."""

    def __init__(self, file: io.FileIO, hdr: Path, name: str, asked: tuple[str, ...]) -> None:
        self.name = name
        self._file = file
        said, dims = _read_hdr(name, hdr)
        nbytes, present = guard.nbytes(dims, COMPLEX.itemsize), os.fstat(file.fileno()).st_size
        guard.require_present(name, nbytes, present)
        if present > nbytes:
            raise DataError(f"{name}: its header means {guard.size(nbytes)}, the .cfl has {guard.size(present)}")
        own = meta.parse(name, said) if said else None
        lengths, slice_dim = _lengths(name, dims)
        if own is None:
            own = _choose(name, lengths, asked or GUESSES, slice_dim)
            if not asked:
                self.notes = (f"{name}: does not name its kind; read as {own.kind}",)
        shape = tuple(lengths[axis] for axis in _stored_axes(own.kind, own.axes))
        if math.prod(shape) != math.prod(dims):
            raise DataError(f"{name}: names axes {', '.join(own.axes)}, but has BART dimensions {describe(dims)}")
        dtype = np.dtype(np.float32) if said.get("dtype") == "float32" else COMPLEX
        history = meta.parse_history(name, said.get("history", []))
        self.header, _ = meta.settle(name, shape, dtype, asked, meta=own, history=history, dialect="BART .cfl")
        self._blocks = _blocks(lengths, slice_dim)
        self._stored = tuple(lengths[axis] for axis in STORED)
        guard.require_slice_fits(name, math.prod(self._stored) * COMPLEX.itemsize, present)

    def _slices(self) -> Iterator[np.ndarray]:
        for i in range(self.header.n_slices):
            array = np.empty(self._stored, COMPLEX)
            self._blocks.read(self._file, i, flat(array), self.name)
            array = np.swapaxes(array, -1, -2)
            yield meta.convert(array.real if self.header.dtype == np.float32 else array, self.header)

    def close(self) -> None:
        self._file.close()


def _read_hdr(name: str, hdr: Path) -> tuple[dict[str, Any], tuple[int, ...]]:
    """What mrikit wrote into the header ({} where it was not mrikit) and the dimensions, filled up to 16."""
    with open_file(name, hdr) as file:
        size = os.fstat(file.fileno()).st_size
        guard.require_text(name, "a header", size)
        lines = read_exact(file, size, name, "header").decode("latin1").split("\n")
    said: Any = {}
    dims: tuple[int, ...] = ()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if line.strip() == "# Dimensions":
            try:
                dims = guard.require_shape(name, [int(word) for word in after.split()])
            except ValueError:
                raise DataError(f"{name}: its .hdr has dimensions {after[:60]!r}, expected numbers") from None
        elif line.strip() == MARK:
            said = guard.parse_json(name, "its .hdr", after)
    if not dims or not isinstance(said, dict):
        raise DataError(f"{name}: its .hdr does not give the dimensions, is it BART's?")
    return said, dims + (1,) * (N_DIMS - len(dims))


def _lengths(name: str, dims: tuple[int, ...]) -> tuple[dict[str, int], int]:
    """Length of every axis, and which of BART's dimensions holds the slices."""
    if dims[0] == 1 and dims[1] > 1 and dims[PHS2] > 1:
        plane = name.removesuffix(".cfl")
        raise DataError(
            f"{name}: BART dimension 0 has length 1, expected a readout: its plane is along dimensions 1 and 2",
            hint=f"bart transpose 0 2 {plane} {plane}_plane",
        )
    slice_dim = PHS2 if dims[PHS2] > 1 and dims[NUMBER["slice"]] == 1 else NUMBER["slice"]
    numbers = NUMBER | {"slice": slice_dim}
    for number, n in enumerate(dims):
        if n > 1 and number not in numbers.values():
            raise DataError(
                f"{name}: BART dimension {number} has length {n}, only {_NUMBERS} can be above 1",
                hint=f"`bart slice {number} 0` picks one",
            )
    return {axis: dims[number] for axis, number in numbers.items()}, slice_dim


def _stored_axes(kind: str, axes: Axes) -> Axes:
    """The axes under which BART's dimensions hold a volume; the samples of noise are a readout."""
    return ("coil", "y") if kind == "noise" else axes


def _choose(name: str, lengths: Mapping[str, int], kinds: Sequence[str], slice_dim: int) -> meta.Meta:
    """The first kind, and the fewest axes of it, that have a place for every dimension above 1."""
    long = {axis for axis, n in lengths.items() if n > 1}
    for kind in kinds:
        if kind == "kspace" and slice_dim == PHS2:
            continue
        for axes in KINDS[kind]:
            if long <= set(_stored_axes(kind, axes)):
                return meta.Meta(kind, axes, Geometry(), None)
    if "kspace" in kinds and slice_dim == PHS2:
        raise DataError(
            f"{name}: its k-space is of a volume, with {lengths['slice']} encodes along dimension 2, expected slices",
            hint=f"bart fft -u -i 4 {name.removesuffix('.cfl')} HYBRID; bart transpose 2 13 HYBRID SLICES",
        )
    found = describe([lengths[axis] for axis in lengths], list(lengths))
    raise DataError(f"{name}: has {found}, which cannot be {' or '.join(kinds)}")


def _blocks(lengths: Mapping[str, int], slice_dim: int) -> Blocks:
    slower = ("sample",) if slice_dim == NUMBER["slice"] else ("sample", "state", "set", "coil")
    outer = math.prod(lengths[axis] for axis in slower)
    piece = math.prod(lengths[axis] for axis in STORED if axis not in slower) * COMPLEX.itemsize
    return Blocks(0, outer, lengths["slice"], piece)


class CflWriter(Writer):
    """A BART volume being written, to a .cfl and a .hdr."""

    def __init__(self, cfl: PartFile, hdr: PartFile, header: Header) -> None:
        self.name, self.header, self._cfl, self._hdr = cfl.name, header, cfl, hdr
        lengths = dict(zip(_stored_axes(header.kind, header.axes), header.shape, strict=True))
        self._lengths = {axis: lengths.get(axis, 1) for axis in NUMBER}
        self._blocks = _blocks(self._lengths, NUMBER["slice"])
        # Of our slices, which have y before x.
        self._shape = tuple(self._lengths[axis] for axis in (*STORED[:-2], "y", "x"))

    def write(self, array: np.ndarray) -> None:
        i = self._written
        self._require_slice(array)
        stored = np.ascontiguousarray(np.swapaxes(array.reshape(self._shape), -1, -2), COMPLEX)
        with writing(self.name):
            self._blocks.write(self._cfl.file, i, flat(stored))

    def finish(self, history: Sequence[Mapping[str, Any]] = ()) -> None:
        self._require_complete()
        dims = [1] * N_DIMS
        for axis, number in NUMBER.items():
            dims[number] = self._lengths[axis]
        said = meta.fields(self.header) | {"dtype": self.header.dtype.name, "history": list(history)}
        text = f"# Dimensions\n{' '.join(map(str, dims))} \n{MARK}\n{json.dumps(said)}\n"
        with writing(self.name):
            write_all(self._hdr.file, text.encode())
        self._cfl.commit()
        self._hdr.commit()

    def abort(self) -> None:
        self._cfl.abort()
        self._hdr.abort()
