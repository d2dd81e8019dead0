"""The training loop for every model: Adam, a moving average of the weights, exact resume.

What step s learns from depends on s and the seed alone, and so does its learning rate. A checkpoint therefore
needs the weights, their average, Adam's two moments and the number of the step, nothing more.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mrikit.train import checkpoint


@dataclass(frozen=True)
class Recipe:
    """How to train, whatever the model. save_every and report_every count steps."""

    n_steps: int
    seed: int = 0
    learning_rate: float = 1e-3
    warm_up: int = 200
    average: float = 0.999
    clip: float = 1.0
    save_every: int = 200
    report_every: int = 50


@dataclass
class State:
    """Everything a resumed run needs; `step` steps are done."""

    model: nn.Module
    average: dict[str, Tensor]
    optimiser: torch.optim.Adam
    step: int = 0


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then a cosine down to 1 % at the last step."""
    warm = min(1.0, (step + 1) / max(1, recipe.warm_up))
    cosine = 0.5 * (1 + math.cos(math.pi * step / recipe.n_steps))
    return recipe.learning_rate * warm * (0.01 + 0.99 * cosine)


def fit(
    model: nn.Module,
    batches: Callable[[int], Iterator[Any]],
    loss: Callable[[nn.Module, Any], tuple[Tensor, dict[str, float]]],
    recipe: Recipe,
    folder: Path,
    *,
    resume: bool = False,
    report: Callable[[dict[str, float]], None] = lambda line: None,
) -> State:
    """Train `model` and return the final state; `folder` gets state.safetensors and loss.jsonl.

    batches(step) yields what steps step, step + 1, ... learn from. A step whose gradient is not finite changes
    nothing.
    """
    state = new_state(model, recipe)
    path = folder / "state.safetensors"
    if resume and path.exists():
        checkpoint.load_state(path, state, asdict(recipe))
    else:
        path.unlink(missing_ok=True)
        checkpoint.start_log(folder)
    if state.step >= recipe.n_steps:
        return state
    tally = Tally()
    for batch in batches(state.step):
        for group in state.optimiser.param_groups:
            group["lr"] = group["factor"] * learning_rate(recipe, state.step)
        total, parts = loss(model, batch)
        state.optimiser.zero_grad(set_to_none=True)
        total.backward()
        norm = float(nn.utils.clip_grad_norm_(model.parameters(), recipe.clip))
        if math.isfinite(norm):
            state.optimiser.step()
            update_average(state, recipe)
            tally.add({"loss": float(total.detach()), "gradient": norm, **parts})
        state.step += 1
        last = state.step == recipe.n_steps
        if last or state.step % recipe.report_every == 0:
            line = {"step": state.step, **tally.means()}
            checkpoint.log(folder, line)
            report(line)
            tally = Tally()
        if last or state.step % recipe.save_every == 0:
            checkpoint.save_state(path, state, asdict(recipe))
        if last:
            break
    return state


class Tally:
    """Means of what steps report, over the finite ones, and the seconds a step takes."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.count = 0
        self.start = time.perf_counter()

    def add(self, parts: dict[str, float]) -> None:
        self.count += 1
        for name, value in parts.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        n = max(1, self.count)
        seconds = (time.perf_counter() - self.start) / n
        return {**{k: round(v / n, 6) for k, v in self.sums.items()}, "seconds_per_step": round(seconds, 4)}


def new_state(model: nn.Module, recipe: Recipe) -> State:
    """State before the first step. Parameters that are the model's own, not a layer's, learn ten times as fast."""
    own = {id(p) for p in model.parameters(recurse=False)}
    groups = [
        {"params": [p for p in model.parameters() if id(p) not in own], "factor": 1.0},
        {"params": [p for p in model.parameters() if id(p) in own], "factor": 10.0},
    ]
    optimiser = torch.optim.Adam([g for g in groups if g["params"]], betas=(0.9, 0.99))
    return State(model, {k: v.detach().clone() for k, v in model.state_dict().items()}, optimiser)


def update_average(state: State, recipe: Recipe) -> None:
    """Move the average towards the weights, faster at first so that the random start is forgotten."""
    decay = min(recipe.average, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        for name, value in state.model.state_dict().items():
            state.average[name].lerp_(value, 1 - decay)
