"""Deep probabilistic subsampling: learned logits, Gumbel top-K, a relaxed gradient. Huijben 2020.

openreview.net/forum?id=SJeq9JBFvH
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mrikit.policy.gate import top_k
from mrikit.policy.gumbel import relaxed_draw
from mrikit.policy.task import Item

TEMPERATURE = 2.0  # of DPS
ANNEALED = (10.0, 0.5)  # of the target `learned`


class Logits(nn.Module):
    """One logit a place, for all items; the temperature falls geometrically over the first `n_items` it learns from."""

    weight: Tensor
    seen: Tensor

    def __init__(
        self, n: int, temperatures: tuple[float, float] = (TEMPERATURE, TEMPERATURE), n_items: int = 1
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n))
        self.temperatures, self.n_items = temperatures, n_items
        self.register_buffer("seen", torch.tensor(0))

    def relaxed(self, item: Item) -> Tensor:
        """Masks `(batch, n)` drawn by the logits, with a gradient."""
        first, last = self.temperatures
        temperature = first * (last / first) ** min(1.0, float(self.seen) / self.n_items)
        self.seen += 1
        return relaxed_draw(self.weight.expand(len(item), -1), item.budget, temperature)

    def forward(self, item: Item) -> Tensor:
        """Masks `(batch, n)` of the highest logits."""
        return top_k(self.weight.expand(len(item), -1), item.budget)
