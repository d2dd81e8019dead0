"""A slice is brought to unit scale, its noise is found, and its coils are told in fewer virtual ones."""

import numpy as np
import pytest
import torch

from mrikit.physics.masks import mask
from mrikit.physics.phantom import scan
from mrikit.physics.sampling import undersample
from mrikit.physics.scan import TAIL, standardise, virtual_coils
from mrikit.physics.sense import Sense


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


def test_lines_along_x_are_lines_however_they_are_spelt(brain):
    lines = mask((48, 40), 3, seed=1)
    kept = undersample(brain.kspace[0], lines)
    short, plane = (standardise(kept, brain.maps[0], m) for m in (lines, np.tile(lines, (48, 1))))
    assert not plane.transposed and plane.axes == short.axes
    assert np.array_equal(plane.mask, lines) and np.array_equal(plane.kspace, short.kspace)
