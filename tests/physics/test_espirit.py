"""ESPIRiT: exact on scans whose maps are known, the same on every namespace, and clear where it cannot work."""

import array_api_strict
import numpy as np
import pytest
import torch

from mrikit.arrays import to_numpy
from mrikit.errors import DataError, UsageError
from mrikit.physics.espirit import (
    Polynomial,
    _exact,
    calibration_image,
    calibration_region,
    enlarged,
    espirit,
    gram_on_grid,
    interpolate,
    positions,
    resample,
)  # fmt: skip
from mrikit.physics.fourier import fft2c, ifft2c
from mrikit.physics.masks import mask
from mrikit.physics.phantom import coil_maps, scan
from mrikit.physics.sampling import centre, undersample
from mrikit.rng import generator


@pytest.fixture(scope="module")
def brain():
    return scan((96, 80), coils=6, noise=0.001, anatomy="brain", seed=1)


def projection_error(maps: np.ndarray, kspace_maps: np.ndarray, weight: np.ndarray) -> float:
    """Weighted relative distance of true maps from the line that estimated maps span, voxel by voxel."""
    true = kspace_maps / np.sqrt((np.abs(kspace_maps) ** 2).sum(axis=0))
    along = (np.conj(maps) * true).sum(axis=0) * maps
    error = (np.abs(along - true) ** 2).sum(axis=0)
    inside = np.abs(maps).sum(axis=0) > 0
    return float(np.sqrt((weight * error)[inside].sum() / weight[inside].sum()))


def test_it_finds_the_true_maps(brain):
    maps = espirit(brain.kspace[0])
    weight = np.abs(brain.image[0]) ** 2
    assert projection_error(maps, brain.maps[0], weight) < 0.02
    in_object = np.abs(brain.image[0]) > 0.1 * np.abs(brain.image[0]).max()
    assert (np.abs(maps).sum(axis=0) > 0)[in_object].mean() > 0.99


def test_maps_have_unit_norm_or_are_zero(brain):
    norm = (np.abs(espirit(brain.kspace[0])) ** 2).sum(axis=0)
    assert np.all((np.abs(norm - 1) < 1e-4) | (norm == 0))


def test_coarse_to_fine_is_the_eigenvector(brain):
    kspace = brain.kspace[0]
    fast = espirit(kspace, calib=24)
    blocks = _exact(gram_on_grid(calibration_region(kspace, 24, 6), 6, 0.001), (96, 80), (96, 80), 1)
    vectors, values = (np.concatenate(parts) for parts in list(zip(*blocks, strict=True))[1:])
    exact = np.moveaxis(vectors[..., 0], -1, 0) * (values[..., 0, 0] > 0.8)
    weight = np.abs(brain.image[0]) ** 2
    both = (np.abs(fast).sum(axis=0) > 0) & (np.abs(exact).sum(axis=0) > 0)
    overlap = np.abs((np.conj(fast) * exact).sum(axis=0))[both]
    assert np.sqrt(((1 - overlap**2) * weight[both]).sum() / weight[both].sum()) < 0.01
    assert both.sum() * 2 / ((np.abs(fast).sum(axis=0) > 0).sum() + (values[..., 0, 0] > 0.8).sum()) > 0.995


def test_it_takes_little_more_memory_than_the_maps(random, allocated):
    kspace = np.zeros((8, 512, 512), np.complex64)  # 17 MB
    kspace[:, 244:268, 244:268] = random.complex(8, 24, 24)
    assert allocated(lambda: espirit(kspace)) < 3 * kspace.nbytes


def test_a_second_set_is_orthogonal_and_the_first_stays(brain):
    two = espirit(brain.kspace[0], sets=2, crop=0.5)
    assert two.shape == (2, 6, 96, 80)
    inside = (np.abs(two) ** 2).sum(axis=1).min(axis=0) > 0.5
    assert np.abs((np.conj(two[0]) * two[1]).sum(axis=0))[inside].max(initial=0) < 1e-3
    one = espirit(brain.kspace[0], sets=1, crop=0.9)
    weight = (np.abs(one).sum(axis=0) > 0) * np.abs(brain.image[0]) ** 2
    same = np.abs((np.conj(two[0]) * one).sum(axis=0))
    assert (weight * same).sum() / weight.sum() > 0.999


@pytest.mark.parametrize("xp", [torch, array_api_strict])
@pytest.mark.parametrize("options", [{}, {"sets": 2}, {"refine": True}])
def test_other_namespaces_agree(xp, options, brain):
    kspace = undersample(brain.kspace[0], mask((96, 80), 2, acs=24, seed=1))
    expected = espirit(kspace, **options)
    found = to_numpy(espirit(xp.asarray(kspace), **options))
    weight = np.abs(brain.image[0]) ** 2
    assert np.sqrt((weight * np.abs(found - expected) ** 2).sum() / weight.sum()) < 2e-2


def test_one_coil_is_one_where_there_is_signal():
    single = scan(64, coils=1, noise=0.001, seed=2)
    maps = espirit(single.kspace[0])
    inside = np.abs(single.image[0]) > 0.2 * np.abs(single.image[0]).max()
    assert np.allclose(maps[0][inside], 1, atol=1e-3)


def test_slices_are_independent(brain):
    twice = np.concatenate([brain.kspace, 2 * brain.kspace])
    together = espirit(twice)
    assert together.shape == (2, 6, 96, 80)
    assert np.allclose(together[0], espirit(brain.kspace[0]))


def test_auto_takes_what_was_acquired(brain):
    kspace = undersample(brain.kspace[0], mask((96, 80), 4, acs=12, seed=3))
    region = calibration_region(kspace, "auto", 6)
    assert region.shape == (6, 48, 12)  # 12 lines wide, and longer for as many samples as 24 x 24
    assert calibration_region(brain.kspace[0], "auto", 6).shape == (6, 24, 24)


def test_too_few_lines_are_refused(brain):
    kspace = undersample(brain.kspace[0], mask((96, 80), 8, acs=4, seed=3))
    with pytest.raises(DataError, match=r"calibration region is \d+ x \d+ .* needs 8 x 8") as error:
        espirit(kspace)
    assert "--maps" in error.value.hint


def test_more_sets_than_coils_is_refused(brain):
    with pytest.raises(UsageError, match="--sets 7"):
        espirit(brain.kspace[0], sets=7)


def test_the_polynomial_passes_through_its_samples(brain):
    samples = gram_on_grid(calibration_region(brain.kspace[0], 24, 6), 6, 0.001)
    grid = np.arange(11) / 11
    assert np.allclose(Polynomial(samples, grid).rows(grid), samples, atol=1e-5)
    eigenvalues = np.linalg.eigvalsh(samples)
    assert eigenvalues.max() < 1 + 1e-4
    assert eigenvalues.min() > -1e-4


@pytest.mark.parametrize("n", [9, 10, 11, 12, 13])
def test_interpolation_keeps_straight_lines(n):
    line = np.arange(0, n + 3, 4, dtype=np.float64)
    coarse = np.broadcast_to(line[None, :, None, None], (1, len(line), 1, 1))
    assert np.allclose(interpolate(coarse, n, 4, axis=1)[0, :, 0, 0], np.arange(n))
    assert len(positions(n, np.zeros(1, np.float32), 4)) == len(line)


def test_a_region_is_never_larger_than_what_was_acquired(brain):
    kspace = undersample(brain.kspace[0], mask((96, 80), 8, acs=4, seed=3))
    with pytest.raises(DataError, match="calibration region"):
        espirit(kspace, calib=24)
    rows = undersample(brain.kspace[0], mask((96, 80), 8, axis="y", acs=12, seed=3))
    assert calibration_region(rows, 24, 6).shape == (6, 12, 24)


def test_what_the_calibration_data_shows_has_maps(brain):
    """From 12 lines the eigenvalue alone loses part of the object; `keep` brings it back, and adds little air."""
    kspace = undersample(brain.kspace[0], mask((96, 80), 4, acs=12, seed=0))
    strict, kept = ((np.abs(espirit(kspace, crop=0.995, keep=k)).sum(axis=0) > 0) for k in (1, 0.05))
    in_object = np.abs(brain.image[0]) > 0.2 * np.abs(brain.image[0]).max()
    assert strict[in_object].mean() < 0.9
    assert kept[in_object].mean() > 0.99
    assert np.all(kept | ~strict)


def test_the_calibration_image_is_a_windowed_fft(brain):
    region = calibration_region(brain.kspace[0], 12, 6)
    window = np.outer(*(1 + np.cos(2 * np.pi * (np.arange(12) - 6) / 13),) * 2)
    padded = np.zeros_like(brain.kspace[0])
    padded[:, 42:54, 34:46] = region * window
    expected = np.sqrt((np.abs(ifft2c(padded)) ** 2).sum(axis=0)) * np.sqrt(96 * 80)
    image = calibration_image(region, (96, 80), (96, 80))
    assert np.abs(image - expected).max() < 0.03 * expected.max()  # between coarse points it is interpolated


def test_keep_gives_maps_to_the_first_set_alone(brain):
    kspace = undersample(brain.kspace[0], mask((96, 80), 4, acs=12, seed=0))
    strict, kept = (np.abs(espirit(kspace, sets=2, crop=0.995, keep=k)).sum(axis=1) > 0 for k in (1, 0.05))
    assert np.array_equal(strict[1], kept[1])
    assert kept[0].sum() > strict[0].sum()


@pytest.fixture(scope="module")
def cut():
    """k-space `(coil, y, x)`, maps and image of an object that fills the field of view along y."""
    rng = generator(3, "cut")
    shape = (96, 80)
    image = np.zeros(shape, np.complex64)
    image[:, 12:68] = 1 + 0.3 * rng.standard_normal((96, 56))
    maps = coil_maps(6, shape, rng)
    return fft2c((maps * image).astype(np.complex64)), maps, image


@pytest.mark.parametrize("kind", ["random", "poisson"])
def test_refined_maps_are_right_at_the_edges_of_the_field_of_view(kind, cut):
    kspace, maps, image = cut
    seen = undersample(kspace, mask((96, 80), 3, kind=kind, acs=14, seed=1))
    edges = np.abs(image) ** 2 * (np.minimum(np.arange(96), np.arange(96)[::-1]) < 6)[:, None]
    periodic, refined = (projection_error(espirit(seen, refine=refine), maps, edges) for refine in (False, True))
    assert refined < 0.05 < periodic / 4


def test_few_central_lines_are_enough_for_refined_maps(brain):
    seen = undersample(brain.kspace[0], mask((96, 80), 2, acs=8, seed=1))
    weight = np.abs(brain.image[0]) ** 2
    plain, refined = (projection_error(espirit(seen, refine=refine), brain.maps[0], weight) for refine in (False, True))
    assert refined < 0.6 * plain


@pytest.mark.parametrize("sets", [1, 2])
def test_refined_maps_of_a_full_scan_are_as_good(sets, brain):
    weight = np.abs(brain.image[0]) ** 2
    plain, refined = (
        espirit(brain.kspace[0], refine=refine, sets=sets).reshape(sets, 6, 96, 80)[0] for refine in (False, True)
    )
    assert projection_error(refined, brain.maps[0], weight) < 1.1 * projection_error(plain, brain.maps[0], weight)


def test_large_scans_are_refined_by_their_central_samples():
    large = scan((256, 208), coils=4, noise=0.001, anatomy="brain", seed=1)
    seen = undersample(large.kspace[0], mask((256, 208), 4, seed=1))
    weight = np.abs(large.image[0]) ** 2
    assert projection_error(espirit(seen, refine=True), large.maps[0], weight) < 0.02


def test_the_field_is_enlarged_along_axes_that_are_fully_sampled(brain):
    kspace = brain.kspace[0]
    lines = undersample(kspace, mask((96, 80), 4, seed=1))
    plane = undersample(kspace, mask((96, 80), 4, kind="poisson", seed=1))
    assert [enlarged(k) for k in (kspace, lines, plane)] == [(120, 100), (120, 80), (96, 80)]


@pytest.mark.parametrize(("n", "wide", "length"), [(16, 16, 16), (15, 15, 7), (16, 21, 8), (15, 20, 9)])
def test_resampling_is_zero_filling_the_image(n, wide, length):
    line = generator(1, "line", n).standard_normal((1, n, 2)).view(np.complex128)[..., 0].astype(np.complex64)
    image = np.zeros((1, wide), np.complex64)
    first = wide // 2 - n // 2
    image[:, first : first + n] = ifft2c(line, axes=(-1,))
    expected = fft2c(image, axes=(-1,))[:, centre(wide, length)] * np.sqrt(wide / n)
    assert np.allclose(line @ resample(n, wide, length, line).T, expected, atol=1e-5)
