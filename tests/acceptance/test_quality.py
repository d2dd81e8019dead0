"""How good flat-recon with the default weights is on real scans, against what anyone has without it."""

from __future__ import annotations

import numpy as np
import pytest
from scans import read, real_scan

import mrikit
from mrikit.physics.fourier import fft2c
from mrikit.physics.sampling import acquired_plane, calibration_extent, centre

pytestmark = pytest.mark.slow


def psnr(image: np.ndarray, reference: np.ndarray) -> float:
    """PSNR of the magnitude where the reference is above 5 % of its maximum."""
    reference, image = np.abs(reference), np.abs(image)
    head = reference > 0.05 * reference.max()
    return float(20 * np.log10(reference.max() / np.sqrt(np.mean((image - reference)[head] ** 2))))


def best_l2(kspace: np.ndarray, maps: np.ndarray, reference: np.ndarray) -> float:
    """What regularised least squares reaches where its weight is chosen with the reference in hand."""
    images = (mrikit.pics(kspace, maps, reg="l2", lamda=lamda) for lamda in (0.001, 0.01, 0.1))
    return max(psnr(image, reference) for image in images)


@pytest.fixture(scope="module")
def brain() -> tuple[np.ndarray, np.ndarray]:
    """A fully sampled axial brain and its reference image."""
    kspace = read(real_scan("brain_axial_8ch.h5"))[0]
    return kspace, mrikit.mvue(kspace, mrikit.espirit(kspace))


@pytest.mark.parametrize("accel", [4, 8])
def test_random_lines_of_a_real_brain(brain: tuple[np.ndarray, np.ndarray], accel: int) -> None:
    full, reference = brain
    kspace = mrikit.undersample(full, mrikit.mask(full.shape[-2:], accel))
    maps = mrikit.espirit(kspace)
    flat = psnr(mrikit.flat_recon(kspace, maps=maps), reference)

    assert flat > best_l2(kspace, maps, reference) + 0.5
    assert flat > psnr(mrikit.mvue(kspace, maps), reference) + 3


def test_the_sampling_of_a_real_acquisition(brain: tuple[np.ndarray, np.ndarray]) -> None:
    """The Poisson disc, R about 8, that a scanner acquired, taken from a scan of which everything is known."""
    full, reference = brain
    mask = acquired_plane(read(real_scan("brain_axial_8ch_poisson.h5"))[0])
    kspace = mrikit.undersample(full, mask)
    maps = mrikit.espirit(kspace)
    head = (np.abs(reference) > 0.05 * np.abs(reference).max()) & (np.abs(maps) > 0).any(axis=0)
    truth = np.abs(reference)[head]
    errors = []
    for image in (mrikit.flat_recon(kspace, maps=maps), mrikit.mvue(kspace, maps)):
        found = np.abs(image)[head]
        found *= (found @ truth) / (found @ found)
        errors.append(float(np.linalg.norm(found - truth) / np.linalg.norm(truth)))
    flat, zero_filled = errors

    assert flat < 0.08
    assert 20 * np.log10(zero_filled / flat) > 5


def test_an_accelerated_scan_predicts_samples_it_has_not_seen() -> None:
    """A tenth of what was acquired around the calibration region is hidden; the reconstruction has to tell it.

    The scan is accelerated for real, so there is no full image of it: the scan of brain_axial_8ch.h5 is the same,
    but its slice is another.
    """
    acquired = read(real_scan("brain_axial_8ch_poisson.h5"))[0]
    hidden = acquired_plane(acquired)
    block = calibration_extent(hidden)
    hidden[tuple(centre(n, length) for n, length in zip(hidden.shape, block, strict=True))] = False
    hidden &= np.random.default_rng(0).random(hidden.shape) < 0.1
    kspace = np.where(hidden, 0, acquired).astype(np.complex64)
    maps = mrikit.espirit(kspace)

    def error(image: np.ndarray) -> float:
        """0: told exactly; 1: as well as zeros tell it."""
        predicted = fft2c(maps * image)[:, hidden]
        return float(np.linalg.norm(predicted - acquired[:, hidden]) / np.linalg.norm(acquired[:, hidden]))

    flat = error(mrikit.flat_recon(kspace, maps=maps))
    l2 = min(error(mrikit.pics(kspace, maps, reg="l2", lamda=lamda)) for lamda in (0.001, 0.01, 0.1))

    assert flat < 0.4
    assert flat < l2
