"""Random streams, and what is said of the mean of a sample."""

from __future__ import annotations

import numpy as np
import pytest

from mrikit.rng import generator, interval


@pytest.mark.parametrize("n", [3, 5, 10, 40])
def test_an_interval_holds_the_mean_nineteen_times_in_twenty(n: int) -> None:
    draws = generator(0, "test").standard_normal((1000, n))
    held = [low <= 0 <= high for low, high in (interval(values, "test") for values in draws)]
    assert 0.9 <= np.mean(held) <= 0.99


@pytest.mark.parametrize("n", [1, 2])
def test_one_value_or_two_have_none(n: int) -> None:
    assert interval(np.arange(n), "test") is None
