"""From scores to masks: the sigmoid gate, through which gradients flow, and the exact choice of the K highest.

    m = sigmoid( alpha(t) (x - q) ),    alpha(t) = s t^p                    arXiv 2606.00078

q lies midway between the K-th highest score and the next, so that the gate tends to exactly K ones as s grows.
Scores of the LF band count neither for q nor for the ranking: its places are always taken.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mrikit.policy.budget import Budget


def threshold(x: Tensor, budget: Budget) -> Tensor:
    """q `(batch, 1)` of scores `(batch, n)`: `budget.chosen` of the free ones lie above it."""
    ranked = x[:, ~budget.low.to(x.device)].sort(dim=1, descending=True).values
    ranked = torch.cat([ranked, ranked[:, -1:] - 1], dim=1)  # where all are taken, q lies below the last
    k = budget.chosen
    return (ranked[:, k - 1 : k] + ranked[:, k : k + 1]) / 2


def gate(x: Tensor, t: Tensor, budget: Budget, steepness: float, power: float) -> Tensor:
    """Soft masks `(batch, n)` in [0, 1] of scores `(batch, n)` at times `(batch,)`, 1 in the LF band."""
    alpha = steepness * t[:, None] ** power
    soft = torch.sigmoid(alpha * (x - threshold(x, budget)))
    return torch.where(budget.low.to(x.device), 1.0, soft)


def top_k(x: Tensor, budget: Budget) -> Tensor:
    """Masks `(batch, n)` of ones and zeros with exactly `budget.kept` ones; of equal scores the first is taken."""
    ranked = x.detach().masked_fill(budget.low.to(x.device), torch.inf)
    order = ranked.argsort(dim=1, descending=True, stable=True)
    return torch.zeros_like(ranked).scatter(1, order[:, : budget.kept], 1.0)


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """`hard`, with the gradient of `soft`. Bengio 2013, arXiv 1308.3432."""
    return hard + soft - soft.detach()
