"""The noise of a scan is found, whatever detail and broken coils are beside it."""

import numpy as np
import pytest

from mrikit.physics.coils import edge_samples
from mrikit.physics.fourier import fft2c
from mrikit.physics.masks import mask
from mrikit.physics.noise import noise_level
from mrikit.physics.phantom import coil_maps, scan
from mrikit.physics.sampling import undersample
from mrikit.rng import generator


def white(n_coils, shape=(100, 60)):
    """Noise of unit variance in the real part and in the other."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((n_coils, *shape)) + 1j * rng.standard_normal((n_coils, *shape))
    return noise.astype(np.complex64)


def maps_of(n_coils, shape=(100, 60)):
    return coil_maps(n_coils, shape, generator(0, "maps"))


@pytest.mark.parametrize("n_coils", [1, 2, 4, 8])
def test_noise_level_finds_the_noise(n_coils):
    kspace = 0.3 * white(n_coils)
    kspace[:, 45:55] *= 500
    assert noise_level(kspace, maps_of(n_coils)) == pytest.approx(0.3 * np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("n_coils", [8, 16])
def test_detail_is_not_noise(n_coils):
    """An image that is all detail has as much at the ends of the readout as anywhere, shared out by the maps."""
    maps = maps_of(n_coils)
    image = white(1)[0]
    kspace = fft2c(maps * image) + 0.05 * white(n_coils)[:, ::-1]
    level = np.sqrt(np.mean(np.abs(kspace) ** 2))
    assert level > 4 * 0.05 * np.sqrt(2)
    assert noise_level(kspace, maps) == pytest.approx(0.05 * np.sqrt(2), rel=0.25)


@pytest.mark.parametrize(("n_coils", "seed"), [(8, 3), (8, 4), (16, 3), (16, 4)])
def test_the_noise_of_a_scan_of_low_resolution_is_found_below_its_signal(n_coils, seed):
    low = scan((48, 40), coils=n_coils, noise=0.002, seed=seed)
    noisefree = scan((48, 40), coils=n_coils, noise=0, seed=seed)
    truth = np.sqrt(np.mean(np.abs(low.kspace - noisefree.kspace) ** 2))
    assert np.sqrt(np.mean(np.abs(edge_samples(low.kspace[0])) ** 2)) > 2.5 * truth
    assert 0.6 * truth < noise_level(low.kspace[0], low.maps[0]) < 1.6 * truth


@pytest.mark.parametrize("missing", [0, 24])
def test_the_noise_is_found_beside_the_signal_of_a_partial_echo(missing):
    """Where the readout begins next to the centre of k-space, one of its ends is full of signal."""
    brain = scan((96, 80), coils=8, noise=0.005, seed=3)
    noisefree = scan((96, 80), coils=8, noise=0, seed=3)
    truth = np.sqrt(np.mean(np.abs(brain.kspace - noisefree.kspace) ** 2))
    kspace = brain.kspace[0].copy()
    kspace[:, :missing] = 0
    assert noise_level(kspace, brain.maps[0]) == pytest.approx(truth, rel=0.15)


def test_few_samples_have_the_noise_of_all_coils():
    """Of fewer samples than coils some principal components are zero, which says nothing about noise."""
    kspace = np.zeros((32, 40, 8), np.complex64)
    kspace[:, :, 4] = white(32, (40, 1))[:, :, 0]
    assert noise_level(kspace, maps_of(32, (40, 8))) == pytest.approx(np.sqrt(2), rel=0.15)


def test_the_noise_is_found_where_a_plane_mask_leaves_few_samples_at_the_ends():
    """Under-sampled 8-fold, the ends of the readout hold fewer samples than tell 16 coils apart."""
    full = scan((96, 96), coils=16, noise=0.002, seed=3)
    few = undersample(full.kspace[0], mask((96, 96), 8, kind="poisson", seed=1))
    assert edge_samples(few).shape[1] < 4 * 16
    assert noise_level(few, full.maps[0]) == pytest.approx(noise_level(full.kspace[0], full.maps[0]), rel=0.3)


@pytest.mark.parametrize("broken", ["dead", "repeated"])
def test_broken_coils_leave_the_noise_what_it_is(broken):
    share = 0 if broken == "dead" else 1
    kspace, maps = (np.concatenate([coils, coils * share]) for coils in (white(4), maps_of(4)))
    assert noise_level(kspace, maps) == pytest.approx(np.sqrt(2 if broken == "dead" else 4), rel=0.1)


@pytest.mark.parametrize("n_coils", [1, 4])
def test_no_noise_is_found_where_there_is_none(n_coils):
    nothing = np.zeros((n_coils, 40, 40), np.complex64)
    assert noise_level(nothing, maps_of(n_coils, (40, 40))) == 0
    assert noise_level(white(n_coils, (40, 40)), nothing) == pytest.approx(np.sqrt(2), rel=0.1)
