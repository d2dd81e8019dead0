"""What a flow policy minimises: flow matching to the target masks, and the frozen task's losses through the gate."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mrikit.policy.flow import marginal, matching_loss, path
from mrikit.policy.gate import gate, straight_through, top_k
from mrikit.policy.targets import TARGETS
from mrikit.policy.task import Item, Task, repeated
from mrikit.policy.velocity import Velocity
from mrikit.policy.weighting import Weighting
from mrikit.train.config import Settings

LOSSES = ("both", "flow", "task")


@dataclass(frozen=True)
class Objective(Settings):
    """losses: both, or one alone, the ablations. target, gamma: of `targets`; a low gamma draws masks that are far from
    good ones, to which the flow's loss then leads. steepness, power: s and p of the gate.

    straight_through: the task sees masks of exactly K places, with the gate's gradient. draws: targets, noises and
    times for each of a batch in the flow's loss, of which the task, which takes much longer, sees the first.
    """

    losses: str = "both"
    target: str = "energy"
    gamma: float = 4.0
    steepness: float = 20.0
    power: float = 2.0
    straight_through: bool = False
    draws: int = 1

    def __post_init__(self) -> None:
        self.require_choice("losses", *LOSSES)
        self.require_choice("target", *TARGETS)
        self.require_choice("straight_through", True, False)
        for name, low, high in (("gamma", 0, 100), ("steepness", 0, 1e6), ("power", 0, 100), ("draws", 1, 1024)):
            self.require_number(name, low, high)

    def n_losses(self, task: Task) -> int:
        """How many losses there are to be weighed."""
        return (self.losses != "task") + (self.losses != "flow") * task.n_losses


class Learner(nn.Module):
    """What is trained: a velocity network, and the weights of the losses. The frozen task stands outside."""

    def __init__(self, velocity: Velocity, n_losses: int) -> None:
        super().__init__()
        self.velocity = velocity
        self.weighting = Weighting(n_losses)


def losses(velocity: Velocity, item: Item, target: Tensor, task: Task, objective: Objective) -> dict[str, Tensor]:
    """The losses by name, means over the batch, of velocities towards the target masks `(draws batch, n)`.

    Noise and times come from torch's own generator.
    """
    x0, t = torch.randn_like(target), torch.rand(len(target), device=target.device)
    condition = repeated(task.condition(item), objective.draws)
    u = velocity(path(x0, target, t), t, condition, item.budget.rate)
    found = {} if objective.losses == "task" else {"flow": matching_loss(u, x0, target)}
    if objective.losses == "flow":
        return found
    x0, u, t = x0[: len(item)], u[: len(item)], t[: len(item)]
    x = marginal(x0, u, t)
    mask = gate(x, t, item.budget, objective.steepness, objective.power)
    if objective.straight_through:
        mask = straight_through(top_k(x, item.budget), mask)
    return found | task.losses(item, mask)
