"""Coverage, z-scores and correlation of samples that are exact, and of some that are not."""

import numpy as np
import pytest

from mrikit.errors import DataError
from mrikit.score.calibration import EDGES, calibrate
from mrikit.score.moments import Moments

N = 40_000


def drawn(n_samples, claimed=1.0, seed=0):
    """The truth, one more draw, beside mean and std of samples whose spread is `claimed` times the posterior's."""
    rng = np.random.default_rng(seed)
    spread = np.linspace(0.1, 2, N)[None]

    def complex_normal(*shape):
        return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)

    moments = Moments.none((1, N))
    moments.add(5 + claimed * spread * complex_normal(n_samples, 1, N))
    return 5 + spread * complex_normal(1, N), moments.mean, moments.std


@pytest.mark.parametrize("n_samples", [3, 8, 48])
def test_exact_samples_have_the_coverage_that_is_expected(n_samples):
    found = calibrate(*drawn(n_samples), n_samples)
    for k in (1, 2, 3):
        p = found.expected[k]
        assert found.coverage[k] == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / N) + 1e-6)
    assert (found.n_samples, found.n_voxels) == (n_samples, N)


def test_what_is_expected_of_many_samples_is_a_complex_gaussian():
    found = calibrate(*drawn(500), 500)
    assert [found.expected[k] for k in (1, 2, 3)] == pytest.approx([1 - np.exp(-(k**2)) for k in (1, 2, 3)], abs=2e-3)
    assert found.z_std == pytest.approx(found.expected_z_std, rel=0.01) == pytest.approx(1, abs=0.01)
    middle = (EDGES[1:] + EDGES[:-1]) / 2
    density = np.exp(-(middle**2) / 2) / np.sqrt(2 * np.pi) * (EDGES[1] - EDGES[0])
    assert np.abs(np.array(found.histogram) - density).max() < 0.003
    assert found.pearson > 0.6


@pytest.mark.parametrize(("claimed", "sign"), [(0.5, -1), (2.0, 1)])
def test_a_spread_that_is_wrong_is_seen(claimed, sign):
    found = calibrate(*drawn(8, claimed), 8)
    assert sign * (found.coverage[1] - found.expected[1]) > 0.15
    assert sign * (found.z_std - found.expected_z_std) < -0.3


def test_a_spread_that_says_nothing_of_the_error_has_no_correlation():
    truth, mean, std = drawn(8)
    shuffled = np.random.default_rng(1).permutation(std, axis=1)
    assert abs(calibrate(truth, mean, shuffled, 8).pearson) < 0.05


def test_voxels_without_spread_do_not_count():
    truth, mean, std = drawn(8)
    std[:, : N // 4] = 0
    assert calibrate(truth, mean, std, 8).n_voxels == N - N // 4


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda truth, mean, std: (np.abs(truth), mean, std, 8), "must be complex"),
        (lambda truth, mean, std: (truth[:, 1:], mean, std, 8), "the reference is 1 x 39999"),
        (lambda truth, mean, std: (truth, mean, std, 1), "1 sample has no spread"),
        (lambda truth, mean, std: (truth, mean, 0 * std, 8), "no spread"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, text):
    with pytest.raises(DataError, match=text):
        calibrate(*change(*drawn(8)))
