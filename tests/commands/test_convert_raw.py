"""mrikit convert of ISMRMRD raw data: noise whitened, and orientation that a NIfTI viewer would show."""

from __future__ import annotations

import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from running import Mrikit
from scans import history, opened, read

pytest.importorskip("ismrmrd")
import raw

#: Three spheres of unequal brightness, by hand in RAS mm: right-front-top, left-front-bottom, right-back-bottom.
SPHERES = {(16.0, 20.0, 12.0): 3.0, (-14.0, 16.0, -10.0): 2.0, (10.0, -18.0, -6.0): 1.0}
WIDTH = 4.0  # standard deviation of a sphere's edge, mm
FIELD, EDGE = 80.0, 4.0
LPS = np.diag([-1.0, -1.0, 1.0])

#: orientation -> (phase, read, slice) directions in LPS, as a scanner has them.
DIRECTIONS = {
    "axial": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "coronal": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "sagittal": ((0, 1, 0), (0, 0, -1), (1, 0, 0)),
    "axial, phase and readout exchanged": ((0, 1, 0), (1, 0, 0), (0, 0, -1)),
    "oblique": ((0.8, 0, 0.6), (0, 1, 0), (-0.6, 0, 0.8)),
}


def acquire(path: Path, frame: np.ndarray, centre: np.ndarray) -> Path:
    """Slices of `SPHERES` in the frame (phase, read, slice), LPS, about `centre`: their Fourier integrals, exactly.

    A readout sample at wave vector k is sum_i a_i exp(-2 pi i k.(r_i - p)) times the Gaussian's transform, with p the
    centre of the slice, as a scanner with gradients along `frame` measures it.
    """
    n, readouts = round(FIELD / EDGE), []
    wave = (np.arange(n) - n // 2) / FIELD
    oversampled = (np.arange(2 * n) - n) / (2 * FIELD)
    for i, depth in enumerate(np.arange(-35.0, 36.0, 5.0)):
        position = centre + depth * frame[2]
        kspace = np.zeros((2 * n, n), complex)
        for ras, brightness in SPHERES.items():
            phase, read, off = frame @ (LPS @ ras - position)
            turn = np.exp(-2j * np.pi * (oversampled[:, None] * read + wave * phase))
            envelope = np.exp(-2 * (np.pi * WIDTH) ** 2 * (oversampled[:, None] ** 2 + wave**2))
            kspace += brightness * np.exp(-0.5 * (off / WIDTH) ** 2) * turn * envelope
        directions = dict(zip(("phase_dir", "read_dir", "slice_dir"), frame, strict=True))
        readouts += raw.lines(kspace[None].astype(np.complex64), slice=i, position=position, **directions)
    head = raw.header()
    encoding = head.encoding[0]
    for space, n_read in ((encoding.encodedSpace, 2 * n), (encoding.reconSpace, n)):
        space.matrixSize = raw.xsd.matrixSizeType(x=n_read, y=n, z=1)
        space.fieldOfView_mm = raw.xsd.fieldOfViewMm(x=n_read * EDGE, y=n * EDGE, z=5.0)
    limits = encoding.encodingLimits.kspace_encoding_step_1
    limits.maximum, limits.center = n - 1, n // 2
    return raw.write(path, readouts, head)


@pytest.mark.parametrize("orientation", DIRECTIONS)
def test_spheres_lie_where_they_are(mrikit: Mrikit, tmp_path: Path, orientation: str) -> None:
    frame = np.array(DIRECTIONS[orientation], float)
    acquire(tmp_path / "raw.mrd", frame, centre=np.array([2.0, -4.0, 1.0]))
    assert mrikit("convert", "raw.mrd", "scan.h5").code == 0
    assert mrikit("rss", "scan.h5", "out.nii").code == 0

    volume = nibabel.load(tmp_path / "out.nii")
    values, affine = np.asanyarray(volume.dataobj), volume.affine
    places = np.stack(np.meshgrid(*map(np.arange, values.shape), indexing="ij"), -1) @ affine[:3, :3].T + affine[:3, 3]
    brightest = []
    for ras in SPHERES:
        near = np.linalg.norm(places - ras, axis=-1) < 3 * WIDTH
        weights = values[near] / values[near].sum()
        np.testing.assert_allclose(weights @ places[near], ras, atol=0.5)
        brightest.append(values[near].max())
    assert brightest == sorted(brightest, reverse=True)
    assert volume.header["sform_code"] == 1


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    """A scan of nothing but noise, with a noise scan of the same covariance; lines have half the noise's dwell time."""
    rng = np.random.default_rng(3)
    mix = rng.standard_normal((3, 3)) + 1j * rng.standard_normal((3, 3)) + 3 * np.eye(3)

    def draw(*shape: int) -> np.ndarray:
        white = (rng.standard_normal((3, *shape)) + 1j * rng.standard_normal((3, *shape))) / np.sqrt(2)
        return np.tensordot(mix, white, 1).astype(np.complex64)

    noise = raw.readout(draw(4000), 0, "IS_NOISE_MEASUREMENT", sample_time_us=4.0)
    readouts = [
        one
        for i in range(20)
        for one in raw.lines(np.sqrt(2) * draw(2 * raw.N_Y, raw.N_X), slice=i, position=(0, 0, 5.0 * i))
    ]
    return raw.write(tmp_path / "raw.mrd", [noise, *readouts])


def covariance(path: Path) -> np.ndarray:
    samples = np.moveaxis(read(path), 1, 0).reshape(3, -1)
    return samples @ samples.conj().T / samples.shape[1]


@pytest.mark.parametrize(("option", "value"), [("--part", "mag"), ("--crop", "8")])
def test_raw_data_with_noise_stay_complex_and_whole(
    mrikit: Mrikit, noisy: Path, tmp_path: Path, option: str, value: str
) -> None:
    done = mrikit("convert", option, value, "raw.mrd", "out.npy")
    assert (done.code, done.stderr.count("\n"), option in done.stderr) == (2, 1, True)
    assert not (tmp_path / "out.npy").exists()


def test_the_noise_scan_whitens(mrikit: Mrikit, noisy: Path, tmp_path: Path) -> None:
    done = mrikit("convert", "raw.mrd", "scan.h5")

    assert (done.code, done.stderr) == (0, "mrikit convert: coils whitened with 4000 noise samples\n")
    np.testing.assert_allclose(covariance(tmp_path / "scan.h5"), np.eye(3), atol=0.08)
    assert history(tmp_path / "scan.h5")[-1]["facts"] == {"noise_samples": 4000}
    assert opened(tmp_path / "scan.h5").header.geometry.affine is not None

    assert mrikit("convert", "--no-whiten", "raw.mrd", "as_it_was.h5").code == 0
    asked = mrikit("convert", "--whiten", "as_it_was.h5", "again.h5")
    assert (asked.code, "--whiten: as_it_was.h5 has no noise scan" in asked.stderr) == (2, True)
    assert abs(covariance(tmp_path / "as_it_was.h5")[0, 1]) > 1


def test_under_sampled_raw_data_goes_through_the_tools(mrikit: Mrikit, tmp_path: Path) -> None:
    kspace = raw.random_kspace()
    raw.write(tmp_path / "raw.h5", raw.lines(kspace, [0, 3, 4, 5, 6, 9]))
    assert mrikit("convert", "raw.h5", "scan.h5").code == 0

    assert mrikit("info", "scan.h5", "--json").json["sampling"]["sampled"] == 6
    assert opened(tmp_path / "scan.h5").header.mask.sum() == 6
    assert mrikit("info", "raw.h5").text.startswith("raw.h5\n  format      ISMRMRD\n")


def test_without_the_extra_one_line_says_how_to_get_it(
    mrikit: Mrikit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw.write(tmp_path / "raw.mrd", raw.lines(raw.random_kspace()))
    for name in [name for name in sys.modules if name.split(".")[0] == "ismrmrd"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if not (Path(p) / "ismrmrd" / "constants.py").exists()])
    done = mrikit("convert", "raw.mrd", "scan.h5")

    assert done.code == 75
    assert done.stderr == (
        "mrikit convert: needs the Python package ismrmrd, which is not installed (hint: pip install 'mrikit[mrd]')\n"
    )
