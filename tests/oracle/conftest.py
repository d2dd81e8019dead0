"""BART as an oracle, and the scans it is asked about."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mrikit.io import Header, open_reader, open_writer

DATA = Path(os.environ.get("MRIKIT_DATA", "../shared/data")) / "kspace"


@pytest.fixture
def bart(tmp_path):
    """`bart("ecalib -m1", kspace)` writes the arrays as .cfl, runs the tool and reads what it wrote.

    Arrays are slices, k-space `(coil, y, x)` or maps; the result has BART's axes, reversed, without those of length 1.
    """
    if not shutil.which("bart"):
        pytest.skip("BART is not installed (Debian package bart)")

    def run(command: str, *arrays: np.ndarray) -> np.ndarray:
        names = []
        for i, array in enumerate(arrays):
            names.append(str(tmp_path / f"in{i}"))
            header = Header("kspace", ("slice", "coil", "y", "x"), (1, *array.shape), array.dtype)
            with open_writer(names[-1] + ".cfl", header, force=True) as writer:
                writer.write(np.ascontiguousarray(array))
                writer.finish()
        words = ["bart", *command.split(), *names, str(tmp_path / "out")]
        subprocess.run(words, check=True, capture_output=True)
        with open_reader(tmp_path / "out.cfl", kind=("image", "kspace")) as reader:
            return reader.read().squeeze()

    return run


@pytest.fixture(params=["brain_axial_8ch", "brain_lowres_16ch", "sphere_8ch"])
def real(request):
    """One slice of a real scan, `(coil, y, x)`."""
    path = DATA / f"{request.param}.h5"
    if not path.exists():
        pytest.skip(f"{path} is not here; $MRIKIT_DATA says where real scans are")
    with open_reader(path, "kspace") as reader:
        return next(iter(reader))
