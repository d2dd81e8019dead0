"""What a mask or a scan says about its sampling, against cases small enough to count by hand."""

import math

import numpy as np
import pytest

from mrikit.errors import DataError
from mrikit.physics.masks import mask
from mrikit.physics.sampling import (
    acceleration,
    calibration_extent,
    centre,
    is_complete,
    is_one_sided,
    same_acceleration,
    sampling,
    undersample,
)


def test_acceleration_counts_the_acs():
    assert acceleration(mask((230, 180), 8)) == pytest.approx(180 / 22)
    assert acceleration(np.zeros(4, bool)) == math.inf


def test_calibration_extent_grows_evenly_around_the_centre():
    lines = np.zeros(20, bool)
    assert calibration_extent(lines, 9) == (0, 0)
    lines[10] = True
    assert calibration_extent(lines, 9) == (9, 1)
    lines[9:13] = True  # 1 below the centre, 2 above: 3 lines are centred, 4 would need 8..11
    assert calibration_extent(lines, 9) == (9, 3)
    lines[8] = True
    assert calibration_extent(lines, 9) == (9, 5)
    assert calibration_extent(np.ones(7, bool), 9) == (9, 7)
    assert calibration_extent(np.ones((9, 8), bool)) == (9, 8)
    assert calibration_extent(np.repeat(lines[None], 30, 0)) == (30, 5)

    plane = np.zeros((40, 41), bool)
    plane[20] = True  # a lone row is no calibration region to prefer over the block
    plane[14:26, 16:25] = True
    assert calibration_extent(plane) == (12, 9)
    for n in (19, 20):
        for length in range(1, n + 1):
            block = np.zeros(n, bool)
            block[centre(n, length)] = True
            assert calibration_extent(block, 3) == (3, length)


def test_undersample_zeroes_the_rest_and_keeps_what_is_sampled():
    kspace = np.ones((2, 3, 6, 8), np.complex64)
    lines = mask((6, 8), 2, acs=2)
    out = undersample(kspace, lines)
    assert out.dtype == np.complex64
    assert (out == lines).all()
    plane = mask((6, 8), 2, kind="radial", acs=1)
    assert (undersample(kspace, plane) == plane).all()
    kspace[..., ~lines] = np.nan
    assert np.isfinite(undersample(kspace, lines)).all()


def test_undersample_names_the_lengths_that_do_not_match():
    kspace = np.ones((3, 6, 8), np.complex64)
    with pytest.raises(DataError, match="the mask has 9 samples along x, but k-space has 8"):
        undersample(kspace, np.ones(9, bool))
    with pytest.raises(DataError, match="the mask has 5 samples along y, but k-space has 6"):
        undersample(kspace, np.ones((5, 8), bool))


def test_sampling_finds_lines_planes_and_zero_padding():
    rng = np.random.default_rng(0)
    full = (rng.standard_normal((4, 40, 30)) + 1j).astype(np.complex64)
    lines = mask((40, 30), 3, acs=4)
    assert (sampling(undersample(full, lines)) == lines).all()

    padded = undersample(full, lines)
    padded[:, :5] = padded[:, 36:] = 0  # a readout with zero-padded edges
    padded[:, 20, 15] = 0  # and a sample that happens to be zero: less than one in a hundred rows is not
    assert sampling(padded).shape == (40, 30)
    padded[:, 20, 15] = 1
    assert (sampling(padded) == lines).all()

    edges = full.copy()
    edges[..., :3] = 0
    assert sampling(edges).tolist() == [False] * 3 + [True] * 27

    echo = undersample(full, lines)
    echo[:, :10] = 0  # an asymmetric one, of which 10 rows of 40 were not measured
    assert (sampling(echo) == (np.arange(40)[:, None] >= 10) & lines).all()

    plane = mask((40, 30), 4, kind="poisson", acs=4)
    assert (sampling(undersample(full, plane)) == plane).all()
    rows = mask((40, 30), 2, acs=4, axis="y")
    assert (sampling(undersample(full, rows)) == rows).all()

    one_coil_silent = undersample(full, lines)
    one_coil_silent[1:] = 0
    assert (sampling(one_coil_silent) == lines).all()
    assert sampling(np.stack([full, undersample(full, lines)])).shape == (2, 30)
    assert not sampling(np.zeros((2, 8, 9), np.complex64)).any()


def test_one_sided_is_what_ends_sooner_by_more_than_zero_padding_does():
    for n in (7, 8, 64, 65):
        assert not is_one_sided(np.ones(n, bool)) and not is_one_sided(np.zeros(n, bool))
    for missing, expected in ((2, False), (12, True), (24, True)):
        taken = np.arange(64) >= missing
        assert is_one_sided(taken) == is_one_sided(taken[::-1]) == expected
    assert not is_one_sided(np.abs(np.arange(64) - 32) < 20)
    assert is_one_sided(np.stack([np.arange(64) >= 24, np.arange(64) >= 0])).tolist() == [True, False]


def test_one_zero_in_a_hundred_rows_does_not_unmake_a_line():
    kspace = np.ones((1, 200, 10), np.complex64)
    kspace[:, 7:9, 3] = 0
    assert sampling(kspace).all()
    assert sampling(kspace).shape == (10,)
    kspace[:, 9, 3] = 0
    assert sampling(kspace).shape == (200, 10)


def test_a_full_scan_may_have_padded_edges_or_be_a_partial_fourier_one():
    assert is_complete(np.ones(20, bool))
    assert is_complete(np.ones((20, 30), bool))
    assert is_complete(np.arange(20) > 5)  # 14 of 20, the centre among them
    assert not is_complete(np.arange(20) > 10)  # without the centre
    assert not is_complete(np.arange(20) % 2 == 0)
    assert not is_complete(mask((20, 20), 2, kind="poisson"))
    assert not is_complete(np.zeros(20, bool))
    corner = np.ones((20, 30), bool)
    corner[:3] = False
    assert is_complete(corner)
    corner[0, 0] = True
    assert not is_complete(corner)


@pytest.mark.parametrize("kind", ["random", "poisson"])
def test_an_acceleration_is_the_same_to_within_a_line(kind):
    drawn = mask((64, 180), 8, kind=kind)
    assert same_acceleration(drawn, 8)
    assert same_acceleration(drawn, acceleration(drawn))
    assert not same_acceleration(drawn, 6)
    assert not same_acceleration(drawn, 10)
    rows = mask((180, 64), 8, axis="y")
    assert same_acceleration(rows, 8)
    assert not same_acceleration(rows, 7)
