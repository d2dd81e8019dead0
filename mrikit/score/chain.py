"""What all samplers share: random numbers of each sample's own, the walk through the levels, calls that are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from mrikit.errors import ResultError
from mrikit.rng import generator
from mrikit.score.posterior import Posterior
from mrikit.score.prior import Prior

N_START = 30  # conjugate gradients for the start, of which there is one


class Chain:
    """One batch of samples on their way. Every sample has random numbers of its own, whatever else is in the batch.

    n_calls: how often the network was asked. watch: called after each time.
    """

    def __init__(
        self,
        posterior: Posterior,
        prior: Prior,
        streams: Sequence[np.random.Generator],
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        self.posterior = posterior
        self.prior = prior
        self.streams = streams
        self.watch = watch
        self.n_calls = 0
        self.place = "the start"

    def walk(
        self, levels: Sequence[float], n_steps: int = 1, end: float | None = None
    ) -> Iterator[tuple[float, float]]:
        """Every level, `n_steps` times, with that of the step which follows: `end`, by default the last, in the end."""
        for i, (sigma, following) in enumerate(pairwise([*levels, levels[-1] if end is None else end]), start=1):
            for k in range(1, n_steps + 1):
                self.place = f"level {i} of {len(levels)}, step {k} of {n_steps}"
                yield sigma, following if k == n_steps else sigma

    def denoise(self, x: Tensor, sigma: float) -> Tensor:
        """What the prior makes of `x`. Raises ResultError, naming the level and the step, where x is not finite."""
        self.require_finite(x)
        self.n_calls += 1
        denoised = self.prior.denoise(x, sigma)
        self.watch()
        return denoised

    def score(self, x: Tensor, sigma: float) -> Tensor:
        """Gradient of the prior's log density at level `sigma`."""
        return (self.denoise(x, sigma) - x) / sigma**2

    def require_finite(self, x: Tensor) -> None:
        """Raise ResultError, naming the level and the step, where x is not finite."""
        if not bool(torch.isfinite(torch.view_as_real(x)).all()):
            raise ResultError(
                f"the chain diverged to NaN or infinity at {self.place}", hint="another --sampler, or more --steps"
            )

    def normal(self) -> Tensor:
        """Images of unit variance in either part, `(batch, y, x)`."""
        return self._draw(self.posterior.rhs.shape[-2:])

    def uniform(self) -> Tensor:
        """Images whose parts are uniform in [0, 1)."""
        return self._complex([g.random((*self.posterior.rhs.shape[-2:], 2), np.float32) for g in self.streams])

    def measured_noise(self, spread: float) -> Tensor:
        """A^H n for noise n as data have it beside a mean of std `spread`, drawn where there are samples."""
        posterior = self.posterior
        shape = posterior.kspace.shape[1:]
        mask = posterior.mask.expand(shape[-2:])
        kspace = torch.zeros((len(self.streams), *shape), dtype=posterior.rhs.dtype, device=posterior.rhs.device)
        kspace[..., mask] = posterior.sigma_at(spread) * self._draw((shape[0], int(mask.sum())))
        return posterior.operator.adjoint(kspace)

    def guess(self, spread: float) -> Tensor:
        """E[x | y] where x has a Gaussian prior of mean 0 and std `spread`, `(1, y, x)`."""
        nothing = torch.zeros_like(self.posterior.rhs)
        return self.posterior.combine(nothing, spread, n_iters=N_START)

    def start(self, spread: float) -> Tensor:
        """An exact draw of x given y, where x has a Gaussian prior of mean 0 and std `spread`."""
        prior = spread * self.normal()
        return self.posterior.combine(prior, spread, self.measured_noise(spread), n_iters=N_START)

    def _draw(self, shape: Sequence[int]) -> Tensor:
        return self._complex([g.standard_normal((*shape, 2), dtype=np.float32) for g in self.streams])

    def _complex(self, arrays: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(arrays).view(np.complex64)[..., 0]).to(self.posterior.rhs.device)


def streams(seed: int, slice_: int, samples: range) -> list[np.random.Generator]:
    """The random numbers of these samples of a slice, by the seed and their numbers alone."""
    return [generator(seed, "langevin", slice_, sample) for sample in samples]
