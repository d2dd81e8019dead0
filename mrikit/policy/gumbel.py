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

    Huijben 2020, Deep probabilistic subsampling, section 3: the rank of a place says from which softmaxes it is out.
    """
    scores = perturbed(logits)
    free = ~budget.low.to(logits.device)
    ranks = scores.detach().masked_fill(~free, -torch.inf).argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    turn = torch.arange(budget.chosen, device=logits.device)[:, None]
    out = (ranks[:, None] < turn) | ~free  # (batch, turn, n)
    soft = torch.softmax((scores[:, None] / temperature).masked_fill(out, -torch.inf), dim=2).sum(dim=1)
    return straight_through(top_k(scores, budget), torch.where(free, soft, 1.0))
