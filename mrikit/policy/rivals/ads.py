"""Active diffusion subsampling: measure next where posterior samples disagree most. Nolan 2024, arXiv 2406.14388.

With d_ij^2 = ||k_i - k_j||^2 of samples i and j in one column, and sigma the noise of the measurement:

    published    sum_i log sum_j exp( d_ij^2 / (2 sigma^2) )
    entropy      -sum_i log sum_j exp( -d_ij^2 / (2 sigma^2) ), that of a Gaussian mixture, up to a constant
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mrikit.errors import UsageError
from mrikit.policy.budget import Budget

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
