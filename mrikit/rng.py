"""One seed, many independent named streams.

Every random number in mrikit comes from `generator(seed, name, *items)`. The stream depends on those
alone, never on the order in which streams are asked for, on the batch size or on the device, so slice 7
of a volume gets the same numbers whether it is computed alone or as one of forty.
"""

from __future__ import annotations

import zlib

import numpy as np

N_RESAMPLES = 2000
FEW = 20  # values, of which resampling makes intervals that are too short


def generator(seed: int, name: str, *items: int) -> np.random.Generator:
    """NumPy generator of the stream `name`, for one item (a slice, a training step, ...) where items are given."""
    return np.random.default_rng([seed & 0xFFFFFFFFFFFFFFFF, zlib.crc32(name.encode()), *items])


def interval(values: np.ndarray, name: str) -> tuple[float, float] | None:
    """95 % interval of the mean of `values` `(n,)`, by resampling with the stream `name`; None of less than three.

    Efron 1979, doi:10.1214/aos/1176344552; of fewer than 20 values it is Student's. Two say next to nothing.
    """
    n = len(values)
    if n < 3:
        return None
    if n < FEW:
        from scipy.special import stdtrit

        mean, half = float(values.mean()), float(stdtrit(n - 1, 0.975) * values.std(ddof=1)) / n**0.5
        return mean - half, mean + half
    index = generator(0, name).integers(len(values), size=(N_RESAMPLES, n))
    low, high = np.quantile(values[index].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)
