"""A slice is brought to unit scale, its noise is found, and its coils are told in fewer virtual ones."""

import numpy as np
import pytest
import torch

from mrikit.physics.coils import edge_samples
from mrikit.physics.fourier import fft2c
from mrikit.physics.masks import mask
from mrikit.physics.phantom import coil_maps, scan
from mrikit.physics.sampling import undersample
from mrikit.physics.scan import TAIL, noise_level, standardise, virtual_coils
from mrikit.physics.sense import Sense
from mrikit.rng import generator


@pytest.fixture(scope="module")
def brain():
    return scan((48, 40), coils=8, noise=0.01, seed=3)


@pytest.mark.parametrize("shape", [(48, 40), (40, 48)])
@pytest.mark.parametrize("lines_along_y", [False, True])
def test_rescale_undoes_scale_and_orientation(shape, lines_along_y):
    full = scan(shape, coils=4, noise=0.01, seed=3)
    lines = mask(shape, 3, axis="y" if lines_along_y else "x", seed=1)
    one = standardise(undersample(full.kspace[0], lines), full.maps[0], lines)
    assert one.transposed == lines_along_y
    inside = np.quantile(np.abs(np.sum(one.maps.conj() * coil_images(one), axis=0)), 0.99)
    assert inside == pytest.approx(1, rel=1e-4)
    image = full.image[0].T if lines_along_y else full.image[0]
    assert np.allclose(one.rescale(image / np.float32(one.scale)), full.image[0], rtol=1e-5)
    assert one.rescale(np.stack([image, image])).shape == (2, *shape)


@pytest.mark.parametrize("kind", ["random", "poisson"])
def test_an_image_divided_by_its_coarse_phase_is_almost_real(brain, kind):
    sampled = mask(brain.kspace.shape[-2:], 2, kind=kind, acs=16, seed=1)
    one = standardise(undersample(brain.kspace[0], sampled), brain.maps[0], sampled)
    assert np.allclose(np.abs(one.phase), 1, atol=1e-6)
    image = brain.image[0]
    imaginary = [np.sum(x.imag**2) / np.sum(np.abs(x) ** 2) for x in (image, image / one.phase)]
    assert imaginary[1] < 0.05 < imaginary[0]
    assert np.allclose(one.turned(one.phase).maps, brain.maps[0] * one.phase)


def test_without_a_centre_there_is_no_phase(brain):
    sampled = np.arange(40) % 4 == 3  # the line of frequency 0, 20, is not among them
    one = standardise(undersample(brain.kspace[0], sampled), brain.maps[0], sampled)
    assert np.array_equal(one.phase, np.ones((48, 40)))


def coil_images(one):
    """Of a scan with a mask of lines: image along y already."""
    return Sense(np.ones_like(one.maps[:, None]), one.mask, axes=(-1,)).adjoint(one.kspace[:, None])


@pytest.mark.parametrize("xp", [np, torch])
@pytest.mark.parametrize("axes", [(-1,), (-2, -1)])
def test_virtual_coils_leave_the_problem_what_it_is(brain, xp, axes):
    sampled = mask((48, 40), 4, kind="random" if axes == (-1,) else "poisson", seed=1)
    one = standardise(undersample(brain.kspace[0], sampled), brain.maps[0], sampled)
    # As many coils again that repeat the others: at least half of them say nothing new.
    kspace, maps = (xp.asarray(np.concatenate([a, a])[None] / np.sqrt(2).astype("f")) for a in (one.kspace, one.maps))
    few_kspace, few_maps = virtual_coils(kspace, maps, axes)
    assert few_kspace.shape == few_maps.shape
    assert few_maps.shape[1] <= (5 if axes == (-1,) else 8)
    lost = 1 - float((abs(few_maps) ** 2).sum() / (abs(maps) ** 2).sum())
    assert 0 <= lost + 1e-6 < TAIL + 2e-6
    image = xp.asarray(brain.image / np.float32(one.scale))
    whole, few = (Sense(m, xp.asarray(sampled), axes=axes) for m in (maps, few_maps))
    for ours, theirs in (
        (few.normal(image), whole.normal(image)),
        (few.adjoint(few_kspace), whole.adjoint(kspace)),
    ):
        assert float(abs(ours - theirs).max()) < 0.01 * float(abs(theirs).max())


def test_virtual_coils_are_the_coils_where_all_are_needed(brain):
    kspace, maps = brain.kspace[:, :2], brain.maps[:, :2]
    assert virtual_coils(kspace, maps, (-2, -1))[1] is maps
    empty = np.zeros_like(maps)
    assert virtual_coils(kspace, empty, (-1,))[1] is empty


def test_lines_along_y_are_lines_along_x_of_the_transposed_scan(brain):
    lines = mask((48, 40), 3, axis="y", seed=1)
    turned = standardise(undersample(brain.kspace[0], lines), brain.maps[0], lines)
    assert turned.transposed
    assert turned.mask.shape == (48,)
    swapped = brain.kspace[0].swapaxes(-1, -2)
    direct = standardise(undersample(swapped, lines[:, 0]), brain.maps[0].swapaxes(-1, -2), lines[:, 0])
    assert np.allclose(turned.kspace, direct.kspace, atol=1e-5)


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
