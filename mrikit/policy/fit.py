"""Training a task model, a rival and a flow policy, all on the one loop of `train`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from mrikit.policy.gumbel import draw
from mrikit.policy.model import FlowPolicy
from mrikit.policy.objective import Learner, Objective, losses
from mrikit.policy.rivals.adps import ActiveDps
from mrikit.policy.rivals.dps import ANNEALED, Logits
from mrikit.policy.rivals.loupe import Loupe
from mrikit.policy.targets import logits
from mrikit.policy.task import Item, Policy, Task, total
from mrikit.policy.velocity import Velocity
from mrikit.train import checkpoint
from mrikit.train.loop import Recipe, State, fit

Items = Callable[[range], Generator[Any, None, None]]  # the items of these numbers, each a batch
N_USUAL = 16  # batches whose target masks are the usual ones
Rival = TypeVar("Rival", Loupe, Logits, ActiveDps)


def train_task(
    task: Task, items: Items, masks: Policy, recipe: Recipe, folder: Path, *, resume: bool = False, **watched: Any
) -> Task:
    """`task`, trained on `masks` of the items and frozen; `folder` keeps the run's state, from which `resume` goes on.

    watched: `terms`, `report` and `draw`, as `train.loop.fit` has them.
    """

    def loss(model: Any, item: Item) -> tuple[Tensor, dict[str, float]]:
        return total(model.own_losses(item, masks(item)))

    task.train()
    _fit(task, items, loss, recipe, folder, resume=resume, **watched)
    return task.freeze()


def train_rival(
    rival: Rival, task: Task, items: Items, recipe: Recipe, folder: Path, *, resume: bool = False, **watched: Any
) -> Rival:
    """`rival`, trained through the frozen `task`, whose losses are summed.

    The loop lets the weights of LOUPE and DPS, which are in no layer, learn ten times as fast as the recipe says: the
    2e-3 of DPS are 2e-4 there.
    """
    frozen = task.freeze()

    def loss(model: Any, item: Item) -> tuple[Tensor, dict[str, float]]:
        return total(frozen.losses(item, model.relaxed(item)))

    _fit(rival, items, loss, recipe, folder, resume=resume, **watched)
    return rival.eval()


def _fit(model: nn.Module, items: Items, loss: Any, recipe: Recipe, folder: Path, **how: Any) -> State:
    """`train.loop.fit`, after which the model has the averaged weights."""
    folder.mkdir(parents=True, exist_ok=True)
    with checkpoint.alone(folder):
        state = fit(model, items, loss, recipe, folder, **how)
    model.load_state_dict(state.average)
    return state


def train_flow(
    velocity: Velocity,
    task: Task,
    items: Items,
    objective: Objective,
    recipe: Recipe,
    folder: Path,
    *,
    resume: bool = False,
    **watched: Any,
) -> tuple[FlowPolicy, State]:
    """The flow policy of `velocity`, trained for the frozen `task`, and the state in which the training ended.

    watched: `terms`, `report` and `draw`, as `train.loop.fit` has them.
    """
    frozen = task.freeze()
    learner = Learner(velocity, objective.n_losses(frozen))
    learned = None
    if objective.target == "learned":
        how = {name: watched[name] for name in ("terms", "report") if name in watched}
        learned = learn_target(frozen, items, recipe, folder / "target", velocity, resume=resume, **how)
        torch.manual_seed(recipe.seed)  # a run that is resumed behind its target has drawn nothing for it

    @torch.no_grad()
    def targets(item: Item) -> Tensor:
        wanted = target_logits(item, frozen, objective, learned)
        return draw(wanted.repeat(objective.draws, 1), item.budget)

    velocity.usual.copy_(torch.cat([targets(item) for item in items(range(N_USUAL))]).mean(dim=0))

    def loss(model: Any, item: Item) -> tuple[Tensor, dict[str, float]]:
        target = targets(item)
        parts = losses(model.velocity, item, target, frozen, objective)
        weighed = model.weighting(torch.stack(list(parts.values())))
        return weighed, {name: float(value.detach()) for name, value in parts.items()}

    state = _fit(learner, items, loss, recipe, folder, resume=resume, **watched)
    return FlowPolicy(learner.velocity, frozen).eval(), state


def target_logits(item: Item, task: Task, objective: Objective, learned: Tensor | None) -> Tensor:
    """Logits `(batch, n)` that target masks are drawn by."""
    if learned is not None:
        return objective.gamma * learned.expand(len(item), -1)
    return logits(objective.target, task.energy(item), objective.gamma)


def learn_target(
    task: Task, items: Items, recipe: Recipe, folder: Path, like: Velocity, *, resume: bool = False, **watched: Any
) -> Tensor:
    """Logits `(n,)` of the target `learned`: one set for all items, by the task alone, the temperature falling."""
    slow = replace(recipe, learning_rate=1e-4)  # 1e-3 of logits: see `train_rival`
    chosen = Logits(like.config.n, ANNEALED, recipe.n_steps * recipe.batch).to(next(like.parameters()).device)
    train_rival(chosen, task, items, slow, folder, resume=resume, **watched)
    return chosen.weight.detach()
