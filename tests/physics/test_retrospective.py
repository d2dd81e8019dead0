"""Under-sampling after the fact: budgets met on scans that are not complete, and masks of any number type."""

import numpy as np
import pytest

from mrikit.errors import DataError, UsageError
from mrikit.physics.masks import KINDS, LINE_KINDS, mask
from mrikit.physics.retrospective import Sampling
from mrikit.physics.sampling import acceleration, calibration_extent, sampling


def kspace(shape=(40, 96), coils=2):
    rng = np.random.default_rng(0)
    return (rng.standard_normal((coils, *shape)) + 1j * rng.standard_normal((coils, *shape))).astype(np.complex64)


def padded():
    """A scan whose first 12 and last 10 columns were never acquired."""
    k = kspace()
    k[..., :12] = k[..., -10:] = 0
    return k


@pytest.mark.parametrize("accel", [2, 3, 4, 6])
@pytest.mark.parametrize("kind", LINE_KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_lines_of_a_padded_scan_are_as_many_as_asked_for(kind, accel, seed):
    kept, used = Sampling(accel, kind, seed=seed).keep(padded())
    assert used.sum() == round(96 / accel)
    assert np.array_equal((kept != 0).any(axis=(0, 1)), used)
    assert calibration_extent(used, n_y=40)[1] >= 12


def test_rows_of_a_padded_scan_are_as_many_as_asked_for():
    _, used = Sampling(4, axis="y").keep(padded())
    assert used.sum() == 10 * 74
    assert set(used.sum(axis=1)) == {0, 74}


@pytest.mark.parametrize("accel", [2, 4, 8])
@pytest.mark.parametrize("kind", LINE_KINDS)
def test_lines_of_an_asymmetric_echo_are_as_many_as_of_a_whole_one(kind, accel):
    whole, echo = kspace((100, 96)), kspace((100, 96))
    echo[:, :32] = 0
    drawn, used = Sampling(accel, kind).draw(sampling(echo), (100, 96)), Sampling(accel, kind).keep(echo)[1]
    assert np.array_equal(drawn, Sampling(accel, kind).keep(whole)[1])
    assert used.shape == (100, 96) and np.array_equal(used.any(axis=0), drawn) and not used[:32].any()
    assert acceleration(used) == acceleration(drawn) == 96 / round(96 / accel)
    kept, _ = Sampling().keep(echo, drawn)
    assert np.array_equal(Sampling(accel, kind).keep(kept)[0], kept)
    assert np.array_equal(Sampling(accel, kind).keep(echo, drawn)[0], kept)


@pytest.mark.parametrize("accel", [2, 4, 8])
def test_samples_of_a_padded_scan_are_as_many_as_asked_for(accel):
    _, used = Sampling(accel, "poisson").keep(padded())
    assert used.sum() == round(40 * 96 / accel)


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_complete_scan_is_sampled_by_the_mask_itself(kind, axis):
    _, used = Sampling(5, kind, axis=axis, seed=3).keep(kspace())
    assert np.array_equal(used, mask((40, 96), 5, kind=kind, axis=axis, seed=3))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_what_is_not_zero_in_a_mask_is_sampled(dtype):
    sampled = mask((40, 96), 4)
    numbers = sampled.astype(dtype)
    numbers[48] += numbers[48]  # some mark the centre with 2
    kept, used = Sampling().keep(kspace(), numbers)
    assert np.array_equal(used, sampled)
    assert kept.any()


def test_nan_in_a_mask_is_neither():
    with pytest.raises(DataError, match="mask has NaN"):
        Sampling().keep(kspace(), np.where(mask((40, 96), 4), 1, np.nan))


@pytest.mark.parametrize("accel", [0, 0.5, -3, float("nan"), float("inf")])
def test_what_is_no_acceleration_is_refused(accel):
    with pytest.raises(UsageError, match="an acceleration is a number from 1 up"):
        Sampling(accel)
