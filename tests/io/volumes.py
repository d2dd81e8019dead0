"""Small volumes of every kind, and one way to write them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mrikit.axes import KINDS
from mrikit.io import Geometry, Header, open_writer

LENGTHS = {"slice": 3, "set": 2, "coil": 4, "sample": 2, "state": 6, "y": 5, "x": 7}
AFFINE = ((0.0, -2.0, 0.0, 10.0), (1.5, 0.0, 0.0, -20.0), (0.0, 0.0, 3.0, 5.0), (0.0, 0.0, 0.0, 1.0))
PLACED = Geometry((1.5, 2.0, 3.0), AFFINE)


def volume(kind: str, axes: tuple[str, ...] | None = None, dtype: str | None = None, **more):
    """A header and an array that fits it."""
    axes = axes or KINDS[kind][0]
    shape = tuple(LENGTHS[axis] for axis in axes)
    header = Header(kind, axes, shape, np.dtype(dtype or ("?" if kind == "mask" else "c8")), **more)
    rng = np.random.default_rng(1)
    if header.dtype == bool:
        return header, rng.random(shape) > 0.5
    array = rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if header.dtype.kind == "c" else 0)
    return header, array.astype(header.dtype)


def write(path, header, array, history=(), **options):
    """Write a whole volume."""
    with open_writer(path, header, **options) as writer:
        for part in array if header.sliced else [array]:
            writer.write(part)
        writer.finish(history)
    return path


def without_trailer(path: Path) -> bytes:
    """The bytes of a saved stream up to the end of its data."""
    data = path.read_bytes()
    return data[: data.rindex(b"MRIKTAIL")]


def comment(path: Path) -> dict:
    """What mrikit wrote behind the dict of a .npy header."""
    line = path.read_bytes().split(b"\n", 1)[0]
    return json.loads(line.split(b"# mrikit ")[1])
