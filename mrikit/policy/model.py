"""A flow policy: a velocity network and the frozen task that it measures for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mrikit.policy.flow import STEPS, integrate
from mrikit.policy.gate import top_k
from mrikit.policy.task import Item, Task, repeated
from mrikit.policy.velocity import Velocity, resize


class FlowPolicy(nn.Module):
    """Masks of exactly the budget, made of noise and of what the task sees of an item before it is measured.

    samples: the flows from so many noises are averaged, and so come to the places that are measured most often.
    """

    def __init__(
        self, velocity: Velocity, task: Task, solver: str = "euler", n_steps: int = STEPS, samples: int = 1
    ) -> None:
        super().__init__()
        self.velocity = velocity
        self.task = task.freeze()
        self.solver, self.n_steps, self.samples = solver, n_steps, samples

    def train(self, mode: bool = True) -> FlowPolicy:
        """As of any network, but the task never leaves the mode in which it is used."""
        super().train(mode)
        self.task.eval()
        return self

    @torch.no_grad()
    def scores(self, condition: Any, rate: float, noise: Tensor) -> Tensor:
        """Where the flow leads from `noise` `(samples, batch, n)`: scores `(batch, n)` of the places it knows."""
        seen = repeated(condition, len(noise))
        ends = integrate(lambda x, t: self.velocity(x, t, seen, rate), noise.flatten(0, 1), self.solver, self.n_steps)
        return ends.unflatten(0, noise.shape[:2]).mean(dim=0)

    def forward(self, item: Item) -> Tensor:
        """Masks `(batch, n)` of an item; the noise comes from torch's own generator."""
        device = next(self.velocity.parameters()).device
        noise = torch.randn(self.samples, len(item), self.velocity.config.n, device=device)
        scores = self.scores(self.task.condition(item), item.budget.rate, noise)
        return top_k(resize(scores, item.budget.n), item.budget)
