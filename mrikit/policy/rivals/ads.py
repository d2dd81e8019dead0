"""Active diffusion subsampling: measure next where posterior samples disagree most. Nolan 2024, arXiv 2406.14388.

With d_ij^2 = ||k_i - k_j||^2 of samples i and j in one column, and sigma the noise of the measurement:

    published    sum_i log sum_j exp( d_ij^2 / (2 sigma^2) )
    entropy      -sum_i log sum_j exp( -d_ij^2 / (2 sigma^2) ), of Gaussians of std sigma in either part
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mrikit.errors import UsageError
from mrikit.physics.fourier import fft2c
from mrikit.physics.scan import Scan, Slice
from mrikit.policy.budget import Budget
from mrikit.policy.mri import Slices
from mrikit.score.posterior import SMALLEST_SIGMA
from mrikit.score.reconstruct import Plan, sample

FORMS = ("published", "entropy")


def column_scores(samples: Tensor, sigma: float, form: str = "published") -> Tensor:
    """Scores `(n,)` of the columns of posterior samples in k-space, `(sample, ..., n)` complex; higher is better.

    sigma: std of the noise of a complex sample, in the units of `samples`. Raises UsageError for another form.
    """
    if form not in FORMS:
        raise UsageError(f"there is no form {form!r} of the ADS score: there are {' and '.join(FORMS)}")
    columns = samples.flatten(1, -2) if samples.ndim > 2 else samples[:, None]
    # Pair by pair, since all differences at once take the samples' memory squared.
    squared = torch.stack([(columns - one).abs().square().sum(dim=1) for one in columns])  # (i, j, n)
    sign = 1 if form == "published" else -1
    return sign * torch.logsumexp(sign * squared / (2 * sigma**2), dim=1).sum(dim=0)


def ads(posterior: Callable[[Tensor], Tensor], budget: Budget, sigma: float, form: str = "published") -> Tensor:
    """The mask `(n,)`, column by column from the LF band on.

    posterior: samples in k-space `(sample, ..., n)`, given what the columns of a bool mask `(n,)` measure.
    """
    taken = budget.low
    for _ in range(budget.chosen):
        scores = column_scores(posterior(taken), sigma, form).masked_fill(taken, -torch.inf)
        taken = taken.clone()
        taken[scores.argmax()] = True
    return taken.float()


class Ads:
    """`ads` on posterior samples by `plan`, drawn anew behind every column: as many samplings as columns are chosen."""

    def __init__(self, plan: Plan, form: str = "published") -> None:
        self.plan, self.form = plan, form

    def __call__(self, item: Slices) -> Tensor:
        return torch.stack([self._mask(item, i) for i in range(len(item))]).to(item.device)

    def _mask(self, item: Slices, i: int) -> Tensor:
        kspace, maps = item.kspace[i].cpu(), item.maps[i].cpu()
        sigma = max(float(item.sigma[i]), SMALLEST_SIGMA)
        number = int(torch.randint(2**31, ()))

        def posterior(taken: Tensor) -> Tensor:
            scan = Scan((kspace * taken).numpy(), maps.numpy(), taken.numpy(), 1.0, sigma)
            piece = Slice(scan, scan.maps, item.budget.n / float(taken.sum()))
            images = torch.from_numpy(np.concatenate(list(sample(piece, self.plan, number))))
            return fft2c(images[:, None] * maps, axes=(-1,))

        return ads(posterior, item.budget, sigma, self.form)
