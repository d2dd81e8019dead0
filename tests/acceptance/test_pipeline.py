"""The pipeline of the design's first page, as four commands with files and as one pipe: the same to the last bit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel
import numpy as np
import pytest
from scans import PLACED, history, opened, read, real_scan, save, simulated

import mrikit

if TYPE_CHECKING:
    from running import Shell

FILES = """
mrikit espirit scan.h5 maps.npy &&
mrikit mvue scan.h5 maps.npy reference.nii &&
mrikit flat-recon --accel 8 --quiet scan.h5 out.nii &&
mrikit metrics --json reference.nii out.nii
"""
PIPE = """
mrikit espirit scan.h5 - | mrikit mvue scan.h5 - - | tee reference.npy |
mrikit metrics --json - <(mrikit convert scan.h5 - | mrikit flat-recon --accel 8 --quiet - - | tee out.npy)
"""


def as_files_and_as_one_pipe(shell: Shell, folder: Path) -> None:
    """Both ways give the same scores, voxels, shape, dtype and geometry."""
    files, pipe = shell(FILES), shell(PIPE)
    assert (files.code, files.stderr) == (0, "")
    assert (pipe.code, pipe.stderr) == (0, "")

    (from_files,), (from_pipe,) = (list(r.json["metrics"].values()) for r in (files, pipe))
    assert from_pipe == from_files
    scan = opened(folder / "scan.h5").header
    n_slices, _, n_y, n_x = scan.shape
    for name in ("reference", "out"):
        # The stream is complex, NIfTI has its magnitude.
        stream, nifti = read(folder / f"{name}.npy"), read(folder / f"{name}.nii")
        assert (stream.dtype, nifti.dtype) == (np.complex64, np.float32)
        assert stream.shape == nifti.shape == (n_slices, n_y, n_x)
        np.testing.assert_array_equal(np.abs(stream), nifti)
        np.testing.assert_array_equal(np.load(folder / f"{name}.npy"), stream)  # a saved stream is a .npy
        assert opened(folder / f"{name}.npy").header.geometry == scan.geometry
        assert opened(folder / f"{name}.nii").header.geometry == scan.geometry

        assert shell(f"mrikit convert {name}.npy {name}_again.nii").code == 0
        a, b = (nibabel.load(folder / f"{n}.nii") for n in (name, f"{name}_again"))
        np.testing.assert_array_equal(np.asanyarray(a.dataobj), np.asanyarray(b.dataobj))
        np.testing.assert_array_equal(a.affine, b.affine)
        assert a.header.get_zooms() == b.header.get_zooms()
        assert (a.header["sform_code"], a.header["qform_code"]) == (b.header["sform_code"], b.header["qform_code"])

    assert [step["command"][1] for step in history(folder / "reference.npy")][-2:] == ["espirit", "mvue"]
    assert [step["command"][1] for step in history(folder / "out.npy")][-2:] == ["convert", "flat-recon"]


def test_a_phantom(shell: Shell, tmp_path: Path) -> None:
    save(tmp_path / "scan.h5", simulated(96).kspace, "kspace", geometry=PLACED)

    as_files_and_as_one_pipe(shell, tmp_path)


def test_the_history_tells_the_whole_way(shell: Shell, tmp_path: Path) -> None:
    result = shell(
        "mrikit phantom --matrix 72 --coils 3 scan.h5 &&"
        "mrikit espirit scan.h5 - | mrikit mvue scan.h5 - - | mrikit convert - reference.nii"
    )

    assert (result.code, result.stderr) == (0, "")
    phantom, espirit, mvue, convert = history(tmp_path / "reference.nii")
    assert phantom["command"] == ["mrikit", "phantom", "--matrix", "72", "--coils", "3", "scan.h5"]
    assert espirit["inputs"].keys() == {"scan.h5"}
    assert mvue["inputs"] == {**espirit["inputs"], "<stdin>": mvue["inputs"]["<stdin>"]}
    assert convert["inputs"].keys() == {"<stdin>"}
    assert {step["version"] for step in (phantom, espirit, mvue, convert)} == {mrikit.__version__}


def test_a_failing_stage_fails_the_pipe_and_leaves_no_output(shell: Shell, tmp_path: Path) -> None:
    result = shell("mrikit espirit gone.h5 - | mrikit rss - out.npy")

    assert result.code == 65
    assert sorted(result.stderr.splitlines()) == [
        "mrikit espirit: gone.h5: no such file",
        "mrikit rss: <stdin>: empty (hint: did the command that should write it fail?)",
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["brain_axial_8ch.h5", "brain_lowres_16ch.h5", "head_sagittal_1ch.h5"])
def test_a_real_scan(shell: Shell, tmp_path: Path, name: str) -> None:
    shutil.copy(real_scan(name), tmp_path / "scan.h5")

    as_files_and_as_one_pipe(shell, tmp_path)


@pytest.mark.slow
def test_a_real_scan_is_reconstructed_as_it_was_acquired(shell: Shell, tmp_path: Path) -> None:
    """A Poisson disc of R about 8: nothing is under-sampled further, and a contradicting --accel is refused."""
    scan = real_scan("brain_axial_8ch_poisson.h5")
    result = shell(f"mrikit flat-recon {scan} out.npy --maps-out maps.npy --json")

    assert (result.code, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    assert report["requested_accel"] is None
    assert report["achieved_accel"] == pytest.approx(8.04, abs=0.01)
    image = read(tmp_path / "out.npy")
    assert image.shape == (1, 230, 180) and np.isfinite(image).all()

    contradicted = shell(f"mrikit flat-recon --accel 4 {scan} other.npy")
    assert contradicted.code == 65
    assert "brain_axial_8ch_poisson.h5: k-space is already under-sampled, with R = 8.04" in contradicted.stderr
    assert shell(f"mrikit flat-recon --accel 8 {scan} out.npy --force").code == 0
    np.testing.assert_array_equal(read(tmp_path / "out.npy"), image)
