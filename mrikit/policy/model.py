"""A flow policy: a velocity network and the frozen task that it measures for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mrikit.policy.flow import STEPS, integrate
from mrikit.policy.gate import top_k
from mrikit.policy.task import Item, Task
from mrikit.policy.velocity import Velocity, resize


class FlowPolicy(nn.Module):
    """Masks of exactly the budget, made of noise and of what the task sees of an item before it is measured."""

    def __init__(self, velocity: Velocity, task: Task, solver: str = "euler", n_steps: int = STEPS) -> None:
        super().__init__()
        self.velocity = velocity
        self.task = task.freeze()
        self.solver, self.n_steps = solver, n_steps

    def train(self, mode: bool = True) -> FlowPolicy:
        """As of any network, but the task never leaves the mode in which it is used."""
        super().train(mode)
        self.task.eval()
        return self

    @torch.no_grad()
    def scores(self, condition: Any, rate: float, noise: Tensor) -> Tensor:
        """Where the flow leads from `noise` `(batch, n)`, one score for every place that the network knows."""
        return integrate(lambda x, t: self.velocity(x, t, condition, rate), noise, self.solver, self.n_steps)

    def forward(self, item: Item) -> Tensor:
        """Masks `(batch, n)` of an item; the noise comes from torch's own generator."""
        device = next(self.velocity.parameters()).device
        noise = torch.randn(len(item), self.velocity.config.n, device=device)
        scores = self.scores(self.task.condition(item), item.budget.rate, noise)
        return top_k(resize(scores, item.budget.n), item.budget)
