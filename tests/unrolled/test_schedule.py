"""The grid of times, and how much of an estimate every step takes."""

from itertools import pairwise

import numpy as np
import pytest

from mrikit.unrolled.schedule import step_weight, times


@pytest.mark.parametrize("n_unrolls", [1, 5, 12])
@pytest.mark.parametrize("power", [0.0, 0.5, 2.0])
def test_the_grid(n_unrolls, power):
    grid = times(n_unrolls, power)
    assert grid[0] == 1
    assert grid[-1] == 0
    assert np.all(np.diff(grid) < 0)
    assert sum(t - t_next for t, t_next in pairwise(grid)) == pytest.approx(1)
    weights = [step_weight(t, t_next) for t, t_next in pairwise(grid)]
    assert weights[-1] == 1  # the last step takes the whole x0hat
    if power == 0:
        assert np.allclose(weights, [1 / (n_unrolls - k) for k in range(n_unrolls)])
