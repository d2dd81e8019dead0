"""Active DPS: one place a step, chosen by a recurrent network that sees what was measured so far.

Van Gorp 2021, Active deep probabilistic subsampling, proceedings.mlr.press/v139/van-gorp21a.html.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from mrikit.policy.gate import straight_through
from mrikit.policy.gumbel import perturbed
from mrikit.policy.rivals.dps import TEMPERATURE
from mrikit.policy.task import Item, Task

WIDTHS = (1, 16, 32, 64)


class ActiveDps(nn.Module):
    """Features 1-16-32-64 of the current image and the mask -> LSTM 64 -> logits of the next place."""

    def __init__(self, n: int, task: Task) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(WIDTHS):
            layers += [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.memory = nn.LSTMCell(WIDTHS[-1] + n, 64)
        self.logits = nn.Linear(64, n)
        self.see = task.view  # a method, and so no part of what is trained

    def _masks(self, item: Item, *, learning: bool) -> Tensor:
        mask = item.budget.low.to(self.logits.weight.device, torch.float32).expand(len(item), -1)
        state: tuple[Tensor, Tensor] | None = None
        for _ in range(item.budget.chosen):
            image = self.features(self.see(item, mask)).mean(dim=(-2, -1))
            state = self.memory(torch.cat([image, mask], dim=1), state)
            scores = self.logits(state[0]).masked_fill(mask.detach() > 0.5, -torch.inf)
            scores = perturbed(scores) if learning else scores
            hard = functional.one_hot(scores.argmax(dim=1), item.budget.n).to(scores.dtype)
            if learning:
                hard = straight_through(hard, torch.softmax(scores / TEMPERATURE, dim=1))
            mask = mask + hard
        return mask

    def relaxed(self, item: Item) -> Tensor:
        """Masks `(batch, n)` drawn place by place, with a gradient."""
        return self._masks(item, learning=True)

    @torch.no_grad()
    def forward(self, item: Item) -> Tensor:
        """Masks `(batch, n)` of the most probable place at every step."""
        return self._masks(item, learning=False)
