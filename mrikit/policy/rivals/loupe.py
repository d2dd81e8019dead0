"""LOUPE: independent probabilities of measuring, learned through relaxed thresholds. Bahadir 2020.

doi:10.1109/TCI.2020.3006727.  p = sigmoid(5 w), rescaled to the budget's mean; masks sigmoid(12 (p - u)), u uniform.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mrikit.policy.budget import rescale
from mrikit.policy.gate import top_k
from mrikit.policy.task import Item

SLOPE, STEEPNESS = 5.0, 12.0


class Loupe(nn.Module):
    """One weight w a place, for all items. The budget is met on average while it learns, and exactly in use."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n))

    def relaxed(self, item: Item) -> Tensor:
        """Soft masks `(batch, n)` of one draw, 1 in the LF band."""
        free = ~item.budget.low.to(self.weight.device)
        p = rescale(torch.sigmoid(SLOPE * self.weight[free]), item.budget.chosen / int(free.sum()))
        soft = torch.sigmoid(STEEPNESS * (p - torch.rand(len(item), len(p), device=p.device)))
        return torch.ones(len(item), item.budget.n, device=p.device).masked_scatter(free, soft)

    def forward(self, item: Item) -> Tensor:
        """Masks `(batch, n)` of the most probable places: a draw would miss the budget."""
        return top_k(self.weight.expand(len(item), -1), item.budget)
