"""Mean and spread of samples that come in batches, without keeping them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Moments:
    """Of the `n` samples so far: their mean `(y, x)` complex128, and the sum of |x_i - mean|^2 `(y, x)` float64."""

    n: int
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> Moments:
        return cls(0, np.zeros(shape, np.complex128), np.zeros(shape))

    def add(self, samples: np.ndarray) -> None:
        """Take in `samples` `(sample, y, x)`: Chan et al. 1979, doi:10.1007/978-3-642-51461-6_3."""
        mean = samples.mean(axis=0, dtype=np.complex128)
        apart = mean - self.mean
        total = self.n + len(samples)
        self.squares = self.squares + np.sum(np.abs(samples - mean) ** 2, axis=0)
        self.squares += np.abs(apart) ** 2 * (self.n * len(samples) / total)
        self.mean = self.mean + apart * (len(samples) / total)
        self.n = total

    @property
    def std(self) -> np.ndarray:
        """sqrt(mean |x_i - mean|^2), `(y, x)`; of n samples of a posterior it is sqrt(1 - 1/n) of the posterior's."""
        return np.sqrt(self.squares / self.n)
