"""How much may be measured: K of N lines or pixels, the lowest frequencies among them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mrikit.errors import DataError, UsageError
from mrikit.physics.masks import acs_share, budget
from mrikit.physics.sampling import centre

N_CALIBRATION = 8  # lines; ESPIRiT's kernel of 6 asks for no fewer


@dataclass(frozen=True)
class Budget:
    """`kept` of `n` places are measured. The `n_low` central ones, the LF band, always are; the rest is chosen."""

    n: int
    kept: int
    n_low: int = 0

    def __post_init__(self) -> None:
        if self.n <= self.n_low:
            raise DataError(
                f"a scan of {self.n} lines leaves none to choose beside {self.n_low} low-frequency ones",
                hint=f"a policy needs {self.n_low + 1} lines or more",
            )
        if not 0 <= self.n_low < self.kept <= self.n:
            raise UsageError(
                f"{self.kept} of {self.n} places, {self.n_low} of them low-frequency ones, leave nothing to choose",
                hint="use a lower acceleration or a narrower low-frequency band",
            )

    @property
    def chosen(self) -> int:
        """How many of the free places are measured."""
        return self.kept - self.n_low

    @property
    def rate(self) -> float:
        """The share of all places that is measured."""
        return self.kept / self.n

    @property
    def low(self) -> Tensor:
        """The LF band, bool `(n,)`."""
        mask = torch.zeros(self.n, dtype=torch.bool)
        mask[centre(self.n, self.n_low)] = True
        return mask


def lines(n: int, accel: float, n_low: int | None = None) -> Budget:
    """Exactly Python's round(n / accel) of `n` lines; by default `acs_share` of n are LF.

    They are `N_CALIBRATION` at least, from which coil maps can be estimated, but of a small budget one half.

    Raises UsageError for an acceleration below 1 or one that leaves no line to choose, DataError for a scan that is
    narrower than the LF band and one line.
    """
    kept = budget(n, accel, "lines")
    if n_low is None:
        n_low = max(1, round(acs_share(accel) * n), min(N_CALIBRATION, kept // 2))
    return Budget(n, kept, n_low)


def pixels(n: int, rate: float) -> Budget:
    """round(rate n) of `n` pixels, one at least. Raises UsageError unless 0 < rate <= 1."""
    if not (math.isfinite(rate) and 0 < rate <= 1):
        raise UsageError(f"a sampling rate is above 0 and 1 at most, not {rate!r}")
    return Budget(n, max(1, round(rate * n)))


def rescale(p: Tensor, rho: float) -> Tensor:
    """Probabilities whose mean is rho: lowered by a factor, or their complements are."""
    mean = p.mean()
    return p * rho / mean if mean > rho else 1 - (1 - p) * (1 - rho) / (1 - mean).clamp_min(torch.finfo(p.dtype).tiny)
