"""Small simulated scans, and volumes written and read in one line: for tests that meet mrikit as a user does.

Its name is unique, so that no folder's conftest.py can stand in its place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrikit.axes import KINDS
from mrikit.io import Geometry, Header, Reader, open_reader, open_writer
from mrikit.physics.phantom import Simulated
from mrikit.physics.phantom import scan as simulate

ROOT = Path(__file__).resolve().parents[1]

#: An oblique slab, turned about x, of numbers that NIfTI's float32 holds exactly.
PLACED = Geometry(
    (3.0, 2.5, 5.0),
    ((3.0, 0.0, 0.0, -96.0), (0.0, 1.5, -4.0, -80.0), (0.0, 2.0, 3.0, -40.0), (0.0, 0.0, 0.0, 1.0)),
)


@lru_cache
def simulated(matrix: int | tuple[int, int] = 64, coils: int = 4, slices: int = 2, seed: int = 0) -> Simulated:
    """A simulated brain and its truth; shared, so not to be changed."""
    return simulate(matrix, coils=coils, slices=slices, noise=0.005, seed=seed)


def save(path: Path, array: np.ndarray, kind: str, **more: Any) -> Path:
    """Write a whole volume with mrikit's own header; `more` goes into it."""
    axes = next(axes for axes in KINDS[kind] if len(axes) == array.ndim)
    header = Header(kind, axes, array.shape, array.dtype, **more)
    with open_writer(path, header) as writer:
        for one in array if header.sliced else [array]:
            writer.write(np.ascontiguousarray(one))
        writer.finish()
    return path


def small_scans(folder: Path, n: int = 24) -> list[str]:
    """`n` small scans in `folder`/scans, by their names in `folder`; the i-th is `simulated(16, 2, 1, seed=i)`."""
    (folder / "scans").mkdir()
    for i in range(n):
        save(folder / "scans" / f"s{i:02d}.npy", simulated(16, 2, 1, seed=i).kspace, "kspace")
    return [f"scans/s{i:02d}.npy" for i in range(n)]


def read(path: Path | str) -> np.ndarray:
    """The values of a volume."""
    with open_reader(path) as reader:
        return reader.read()


def opened(path: Path | str) -> Reader:
    """A reader after its last slice, when header and history are complete."""
    with open_reader(path) as reader:
        reader.read()
    return reader


def history(path: Path | str) -> list[Mapping[str, Any]]:
    """The history of a volume, oldest step first."""
    return list(opened(path).history)


def real_scan(name: str) -> Path:
    """A real scan of $MRIKIT_DATA, by default of ../shared/data; skips the test where it is absent."""
    folder = Path(os.environ.get("MRIKIT_DATA", ROOT.parent / "shared" / "data"))
    path = folder / "kspace" / name
    if not path.exists():
        pytest.skip(f"no {path}: real scans are outside the repository")
    return path
