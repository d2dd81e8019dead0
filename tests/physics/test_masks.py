"""Masks keep what was asked for, to the sample, and say what they hold."""

import math
import time

import numpy as np
import pytest

from mrikit.errors import UsageError
from mrikit.physics import masks, sampling

SHAPES = [(230, 180), (64, 64), (41, 77), (33, 256)]


@pytest.mark.parametrize("kind", masks.LINE_KINDS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("accel", [1, 1.3, 2, 3.5, 6, 8, 12])
def test_line_masks_keep_exactly_the_budget(kind, shape, accel):
    for axis, n in (("x", shape[1]), ("y", shape[0])):
        for seed in range(5):
            lines = masks.mask(shape, accel, kind=kind, axis=axis, seed=seed)
            assert lines.dtype == bool
            if axis == "y":
                assert lines.shape == shape
                assert (lines == lines[:, :1]).all()
                lines = lines[:, 0]
            assert lines.shape == (n,)
            assert lines.sum() == round(n / accel)


@pytest.mark.parametrize("kind", masks.PLANE_KINDS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("accel", [1, 1.05, 1.5, 2, 4, 8, 15])
@pytest.mark.parametrize("acs", ["auto", 0, 5])
def test_plane_masks_keep_exactly_the_budget(kind, shape, accel, acs):
    sampled = masks.mask(shape, accel, kind=kind, acs=acs, seed=7)
    assert sampled.shape == shape
    assert sampled.dtype == bool
    assert sampled.sum() == round(shape[0] * shape[1] / accel)


def test_acs_auto_is_8_percent_up_to_6_then_4_percent_at_least_12_and_within_the_budget():
    assert masks.acs_lines(320, 4) == 26
    assert masks.acs_lines(320, 6) == 26
    assert masks.acs_lines(320, 6.1) == 13
    assert masks.acs_lines(180, 8) == 12
    assert masks.acs_lines(64, 8) == 8
    assert masks.budget(180, 8) == 22


@pytest.mark.parametrize("kind", masks.KINDS)
@pytest.mark.parametrize("n", [180, 181])
@pytest.mark.parametrize("acs", [10, 11])
def test_the_acs_is_sampled_and_centred_on_the_zero_frequency(kind, n, acs):
    sampled = masks.mask((n, n), 6, kind=kind, acs=acs, seed=2)
    expected = np.arange(n // 2 - acs // 2, n // 2 - acs // 2 + acs)
    if sampled.ndim == 1:
        assert sampled[expected].all()
        assert sampling.calibration_extent(sampled, n)[1] >= acs
    else:
        assert sampled[np.ix_(expected, expected)].all()
        assert min(sampling.calibration_extent(sampled)) >= acs
    assert expected[acs // 2] == n // 2


@pytest.mark.parametrize("kind", masks.KINDS)
def test_the_seed_decides(kind):
    a, b, c = (masks.mask((128, 120), 4, kind=kind, seed=seed) for seed in (5, 5, 6))
    assert (a == b).all()
    assert (a != c).any()


def test_equispaced_lines_are_evenly_spaced_outside_the_acs():
    lines = masks.mask((1, 320), 5, kind="equispaced", acs=20, seed=1)
    gaps = np.diff(np.flatnonzero(np.delete(lines, np.arange(150, 170))))
    assert set(gaps) <= {math.floor(300 / 44), math.ceil(300 / 44)}


def test_gaussian_lines_crowd_around_the_centre_and_random_ones_do_not():
    def share_inside(kind):
        inside = [masks.mask((1, 256), 4, kind=kind, acs=0, seed=s)[64:192].mean() for s in range(20)]
        return np.mean(inside) / 0.5

    assert share_inside("gaussian") > 0.75
    assert share_inside("random") == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("slope", [0.4, 1.5, 3.0])
def test_poisson_samples_keep_their_distance_and_leave_no_room(slope):
    shape = (61, 72)
    order = np.random.default_rng(0).permutation(shape[0] * shape[1])
    kept = masks.poisson_disc(shape, slope, order)
    radius = masks.poisson_radius(shape, slope).ravel()

    def distances(points):
        y, x = np.divmod(points, shape[1])
        ky, kx = np.divmod(kept, shape[1])
        return np.hypot(y[:, None] - ky, x[:, None] - kx)

    between = distances(kept)
    np.fill_diagonal(between, np.inf)
    assert (between >= np.minimum(radius[kept][:, None], radius[kept])).all()
    banned = (distances(order) < radius[kept]).any(axis=1)
    assert banned.all()


def test_poisson_mask_is_a_poisson_disc_that_thins_out_to_the_corners():
    sampled = masks.mask((256, 256), 8, kind="poisson", acs=0, seed=3)
    radius = masks.poisson_radius(sampled.shape, 1.0) - 0.8
    density = [sampled[(radius >= r) & (radius < r + 0.2)].mean() for r in np.arange(0, 1.4, 0.2)]
    assert (np.diff(density) < 0).all()
    assert density[0] > 8 * density[-1] > 0
    # Uniform random points of the outer density (about 1 in 12) would be neighbours all the time.
    outer = sampled & (radius > 0.7)
    assert not (outer[1:] & outer[:-1]).any()
    assert not (outer[:, 1:] & outer[:, :-1]).any()


def test_poisson_is_fast():
    start = time.perf_counter()
    masks.mask((320, 320), 8, kind="poisson")
    assert time.perf_counter() - start < 2  # 0.1 s where measured


def test_radial_samples_lie_on_spokes_through_the_centre():
    shape = (128, 128)
    sampled = masks.mask(shape, 10, kind="radial", acs=0, seed=0)
    y, x = np.nonzero(sampled)
    ring = np.hypot(y - 64, x - 64)
    angle = np.sort(np.arctan2(y - 64, x - 64)[(ring > 55) & (ring < 57)])
    # About 1638 samples on 128 long spokes: 13 of them, 26 ends, each a cluster of angles 2 / 56 wide.
    clusters = 1 + np.count_nonzero(np.diff(angle) > 0.05)
    assert 18 <= clusters <= 28
    assert sampled[64, 64]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"accel": 8, "acs": 24}, r"--acs 24 needs 24 lines, but R = 8 on 180 columns leaves 22"),
        ({"accel": 8, "acs": 34, "axis": "y"}, r"--acs 34 needs 34 lines, but R = 8 on 230 rows leaves 29"),
        ({"accel": 8, "acs": 80, "kind": "poisson"}, r"block of 80 x 80 samples, but R = 8 .* leaves 5175"),
        ({"accel": 400}, r"R = 400 on 180 columns leaves nothing"),
        ({"accel": 0.5}, r"an acceleration is a number from 1 up, not 0.5"),
        ({"accel": math.nan}, r"not nan"),
        ({"accel": math.inf}, r"not inf"),
        ({"accel": 4, "kind": "possion"}, r"no mask kind 'possion': the kinds are random, equispaced"),
        ({"accel": 4, "axis": "z"}, r"axis x or y, not 'z'"),
        ({"accel": 4, "acs": -1}, r"--acs is a number of lines or auto, not -1"),
        ({"accel": 4, "shape": (0, 180)}, r"two positive numbers, y and x, not \(0, 180\)"),
        ({"accel": 4, "shape": (1, 2, 180)}, r"two positive numbers"),
    ],
)
def test_what_cannot_be_met_is_a_usage_error(arguments, text):
    with pytest.raises(UsageError, match=text):
        masks.mask(arguments.pop("shape", (230, 180)), arguments.pop("accel"), **arguments)


def test_a_misspelt_kind_is_met_with_the_nearest_name():
    with pytest.raises(UsageError) as caught:
        masks.mask((10, 10), 2, kind="possion")
    assert caught.value.hint == "did you mean poisson?"
