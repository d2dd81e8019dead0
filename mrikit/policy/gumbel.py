"""Drawing K places without replacement by the Gumbel top-K trick, and a gradient through the draw.

Kool 2019, arXiv 1903.06059: the K highest of log p_l + G_l, with G_l standard Gumbel noise, are a draw of K places
without replacement, each in turn with probability proportional to p_l.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mrikit.policy.budget import Budget
from mrikit.policy.gate import straight_through, top_k


def perturbed(logits: Tensor) -> Tensor:
    """`logits` plus independent Gumbel noise from torch's own generator."""
    return logits - torch.empty_like(logits).exponential_().log()


def draw(logits: Tensor, budget: Budget) -> Tensor:
    """Masks `(batch, n)` drawn by p_l ~ exp(logits_l) among the free places."""
    return top_k(perturbed(logits), budget)


def relaxed_draw(logits: Tensor, budget: Budget, temperature: float) -> Tensor:
    """`draw`, with the gradient of one softmax a place, each without those that were taken before.

    Huijben 2020, Deep probabilistic subsampling, section 3. In order of rank, the place j is in the softmaxes of turns
    0 to min(j, K - 1), so they sum to exp(s_j) sum_k 1 / Z_k, where Z_k is the sum of exp(s) from place k on.
    """
    scores = perturbed(logits)
    low, k = budget.low.to(logits.device), budget.chosen
    order = scores.detach().masked_fill(low, -torch.inf).argsort(dim=1, descending=True, stable=True)
    order = order[:, : budget.n - budget.n_low]
    ranked = scores.gather(1, order) / temperature
    left = ranked.flip(1).logcumsumexp(dim=1).flip(1)
    shares = (-left[:, :k]).logcumsumexp(dim=1)
    turns = torch.arange(ranked.shape[1], device=logits.device).clamp_max(k - 1)
    soft = torch.ones_like(scores).scatter(1, order, (ranked + shares[:, turns]).exp())
    return straight_through(top_k(scores, budget), soft)
