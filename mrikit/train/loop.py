"""The training loop for every model: Adam, a moving average of the weights, exact resume, one process or several.

Item i of the data depends on i and the seed alone. Step s learns from the items s * B .. (s + 1) * B - 1, where B
counts those of all processes, and its learning rate depends on s. A checkpoint therefore needs the weights, their
average, the optimisers' moments, the usual size of a gradient and the number of the step, nothing more.
"""

from __future__ import annotations

import fnmatch
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mrikit.errors import ResultError, TemporaryError, UsageError
from mrikit.rng import generator
from mrikit.train import checkpoint, distributed, stop
from mrikit.train.muon import Muon

OPTIMISERS = ("adam", "muon")
PATIENCE = 100  # steps in a row that may not be taken


@dataclass(frozen=True)
class Recipe:
    """How to train, whatever the model.

    batch: items a step, in each process. optimiser: `adam`, or `muon`, by which kernels learn, and all else by Adam.
    average: decay of the moving average of the weights. clip: largest norm of a gradient. outlier: a step whose
    gradient is so many times the usual is not taken. hold: parameters that stay what they are, by their names in the
    weights, `*` standing for anything. *_every count steps.
    """

    n_steps: int
    seed: int = 0
    batch: int = 1
    learning_rate: float = 1e-3
    optimiser: str = "adam"
    warm_up: int = 200
    average: float = 0.999
    clip: float = 1.0
    outlier: float = 10.0
    hold: tuple[str, ...] = ()
    report_every: int = 50
    save_every: int = 200
    validate_every: int = 200

    def __post_init__(self) -> None:
        if self.optimiser not in OPTIMISERS:
            raise UsageError(f"optimiser {self.optimiser}: expected {' or '.join(OPTIMISERS)}")
        for name in ("n_steps", "batch", "report_every", "save_every", "validate_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)}: expected a number from 1 up")
        if not self.learning_rate >= 0:
            raise UsageError(f"learning_rate {self.learning_rate}: expected a number from 0 up")

    def terms(self) -> dict[str, Any]:
        """What the weights depend on. Twice the batch in one process are the same terms as two processes."""
        terms = {name: value for name, value in asdict(self).items() if not name.endswith("_every")}
        items_per_step = terms.pop("batch") * distributed.size()
        if not self.hold:  # as in runs of before there was such a thing
            del terms["hold"]
        return {"steps": terms.pop("n_steps"), "items_per_step": items_per_step, **terms}


@dataclass
class State:
    """Everything a resumed run needs; `step` steps are done. tally: since the last of the `lines` logged."""

    model: nn.Module
    average: dict[str, Tensor]
    optimisers: tuple[torch.optim.Optimizer, ...]
    step: int = 0
    usual_norm: float = 0.0
    tally: Tally = field(default_factory=lambda: Tally())
    lines: list[dict[str, float]] = field(default_factory=list)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, over a fifth of the steps at most, then a cosine down to 1 % at the last step."""
    warm = min(1.0, (step + 1) / max(1, min(recipe.warm_up, recipe.n_steps // 5)))
    cosine = 0.5 * (1 + math.cos(math.pi * step / recipe.n_steps))
    return recipe.learning_rate * warm * (0.01 + 0.99 * cosine)


def fit(
    model: nn.Module,
    items: Callable[[range], Generator[Any, None, None]],
    loss: Callable[[nn.Module, Any], tuple[Tensor, dict[str, float]]],
    recipe: Recipe,
    folder: Path,
    *,
    resume: bool = False,
    terms: Mapping[str, Any] | None = None,
    validate: Callable[[nn.Module], dict[str, float]] | None = None,
    report: Callable[[dict[str, float]], None] = lambda line: None,
    draw: Callable[[list[dict[str, float]]], None] = lambda lines: None,
) -> State:
    """Train `model` and return the final state; `folder` gets state.safetensors and loss.jsonl.

    items: yields the items of these numbers. loss: of one item, and its parts as numbers; what it draws from torch's
    own generator depends on the seed and the item alone. terms: what else a resumed run must agree in.
    validate: figures of a model, called with the averaged weights. report: gets `step`, `steps` and, where there are
    any, new figures. draw: gets all lines of the log whenever the state is saved.

    A step whose gradient is not finite, or an outlier, changes nothing. Where torch.distributed is initialised, every
    process calls this and the first alone validates, reports, draws and writes. Raises TemporaryError, with the state
    saved, after the step in which one of `stop.REQUESTS` came, ResultError where `PATIENCE` steps in a row, or half
    of all, were not taken, or the weights are not finite in the end, and UsageError where the recipe holds parameters
    that the model does not have, or all of them.
    """
    hold(model, recipe.hold)
    state = new_state(model, recipe)
    path = folder / "state.safetensors"
    terms = {**recipe.terms(), **(terms or {})}
    if resume and path.exists():
        checkpoint.load_state(path, state, terms)
    first = distributed.rank() == 0
    if first:
        if state.step == 0:
            path.unlink(missing_ok=True)
        log = checkpoint.Log(folder, state.step)
        state.lines = log.lines
        begun: dict[str, float] = {}
        if not state.step and validate is not None:  # what the weights that it begins with are worth
            with averaged(state) as network:
                begun = validate(network)
            log.add({"step": 0, **begun})
        if state.step or begun:
            report({"step": state.step, "steps": recipe.n_steps, **begun})
    idle = 0
    numbers = own_numbers(recipe, state.step)
    # Closed here: left to the garbage collector, it can leave worker processes behind that nobody ends.
    with stop.requests() as signals, closing(items(numbers)) as source:
        supply = zip(numbers, source, strict=True)
        while state.step < recipe.n_steps:
            losses = accumulate(state, loss, islice(supply, recipe.batch), recipe)
            stopping = distributed.sum_gradients(model, bool(signals))
            norm = take_step(state, recipe)
            idle = 0 if norm is not None else idle + 1
            if idle >= min(PATIENCE, (recipe.n_steps + 1) // 2):
                raise diverged(folder, f"none of the last {idle} steps up to {state.step} could be taken")
            state.tally.add(losses, norm)
            last = state.step == recipe.n_steps
            line: dict[str, float] = {}
            if last or state.step % recipe.report_every == 0:
                line |= state.tally.means()
                state.tally = Tally()
            if first:
                if validate is not None and (last or state.step % recipe.validate_every == 0):
                    with averaged(state) as network:
                        line |= validate(network)
                if line:
                    log.add({"step": state.step, **line})
                report({"step": state.step, "steps": recipe.n_steps, **line})
                if last or stopping or state.step % recipe.save_every == 0:
                    checkpoint.save_state(path, state, terms)
                    draw(state.lines)
            if stopping and not last:
                distributed.wait()  # for the first process to have saved
                raise TemporaryError(
                    f"{folder}: stopped as asked after step {state.step} of {recipe.n_steps}, and saved",
                    hint="the same command with --resume goes on from there",
                )
    if not all(bool(value.isfinite().all()) for value in state.average.values()):
        raise diverged(folder, "the weights are not finite")
    return state


def hold(model: nn.Module, patterns: Iterable[str]) -> None:
    """Have the parameters of these names learn nothing. Raises UsageError as `fit` does."""
    named = dict(model.named_parameters())
    for pattern in patterns:
        held = fnmatch.filter(named, pattern)
        if not held:
            begin = sorted({name.partition(".")[0] + ".*" * ("." in name) for name in named})
            raise UsageError(f"hold {pattern}: this network has no such parameter", hint=f"it has {', '.join(begin)}")
        for name in held:
            named[name].requires_grad_(False)
    if not any(p.requires_grad for p in named.values()):
        raise UsageError("hold: nothing is left to learn")


def diverged(folder: Path, found: str) -> ResultError:
    """The error of a run that came to nothing."""
    return ResultError(f"{folder}: the training has diverged: {found}", hint="try a lower --learning-rate")


def own_numbers(recipe: Recipe, step: int) -> range:
    """Numbers of this process's items from `step` on: those that leave its rank when divided by the size."""
    total = recipe.batch * distributed.size()
    return range(step * total + distributed.rank(), recipe.n_steps * total, distributed.size())


def accumulate(
    state: State,
    loss: Callable[[nn.Module, Any], tuple[Tensor, dict[str, float]]],
    items: Iterable[tuple[int, Any]],
    recipe: Recipe,
) -> dict[str, float]:
    """Set the gradients to this process's part of those of a step; returns the means of its losses."""
    state.model.zero_grad(set_to_none=True)
    means: dict[str, float] = {}
    for number, item in items:
        torch.manual_seed(int(generator(recipe.seed, "torch", number).integers(2**62)))
        total, parts = loss(state.model, item)
        (total / (recipe.batch * distributed.size())).backward()
        for name, value in {"loss": float(total.detach()), **parts}.items():
            means[name] = means.get(name, 0.0) + value / recipe.batch
    return means


def take_step(state: State, recipe: Recipe) -> float | None:
    """Take the step that the gradients say; returns their norm, or None where the step was not taken."""
    for group in (group for optimiser in state.optimisers for group in optimiser.param_groups):
        group["lr"] = group["factor"] * learning_rate(recipe, state.step)
    norm = float(nn.utils.clip_grad_norm_(state.model.parameters(), recipe.clip))
    taken = is_usual(state, norm, recipe)
    if taken:
        for optimiser in state.optimisers:
            optimiser.step()
        update_average(state, recipe)
    state.step += 1
    return norm if taken else None


def is_usual(state: State, norm: float, recipe: Recipe) -> bool:
    """Whether a gradient of this norm is worth a step: finite, and no outlier among those before it.

    One such gradient, even clipped, would move Adam's moments far from what the others say.
    """
    if not math.isfinite(norm):
        return False
    limit = recipe.outlier * state.usual_norm if state.usual_norm else math.inf
    bounded = min(norm, limit)  # so that the usual norm follows a change that lasts
    state.usual_norm += (0.02 if state.usual_norm else 1.0) * (bounded - state.usual_norm)
    return norm <= limit


@contextmanager
def averaged(state: State) -> Iterator[nn.Module]:
    """The model with the averaged weights and set to evaluate; afterwards it is as it was."""
    weights = {name: value.clone() for name, value in state.model.state_dict().items()}
    training = state.model.training
    state.model.load_state_dict(state.average)
    state.model.eval()
    try:
        with torch.no_grad():
            yield state.model
    finally:
        state.model.load_state_dict(weights)
        state.model.train(training)


class Tally:
    """Means of what steps report, over those that were taken, and the seconds a step takes."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.taken = self.skipped = 0
        self.start = time.perf_counter()

    def kept(self) -> dict[str, Any]:
        """What `go_on` takes in another process."""
        seconds = time.perf_counter() - self.start
        return {"sums": self.sums, "taken": self.taken, "skipped": self.skipped, "seconds": seconds}

    def go_on(self, sums: dict[str, float], taken: int, skipped: int, seconds: float) -> None:
        """Go on from what was `kept`."""
        self.sums, self.taken, self.skipped = dict(sums), taken, skipped
        self.start = time.perf_counter() - seconds

    def add(self, losses: dict[str, float], norm: float | None) -> None:
        """Count a step with the norm of its gradient, None where it was not taken."""
        if norm is None:
            self.skipped += 1
            return
        self.taken += 1
        for name, value in {**losses, "gradient": norm}.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """Means over the steps and over all processes; `skipped`, if any, counts the steps that were not taken."""
        seconds = (time.perf_counter() - self.start) / max(1, self.taken + self.skipped)
        means = {name: total / self.taken for name, total in self.sums.items()}
        line = distributed.mean({**means, "seconds_per_step": seconds})
        skipped = {"skipped": self.skipped} if self.skipped else {}
        return {**{name: round(value, 6) for name, value in line.items()}, **skipped}


def new_state(model: nn.Module, recipe: Recipe) -> State:
    """State before the first step. Parameters that are the model's own, not a layer's, learn ten times as fast."""
    distributed.share(model)
    own = {id(p) for p in model.parameters(recurse=False)}
    learning = [p for p in model.parameters() if p.requires_grad]
    layers = [p for p in learning if id(p) not in own]
    kernels = [p for p in layers if recipe.optimiser == "muon" and p.ndim == 4]
    apart = own | {id(p) for p in kernels}
    groups = [
        {"params": [p for p in layers if id(p) not in apart], "factor": 1.0},
        {"params": [p for p in learning if id(p) in own], "factor": 10.0},
    ]
    optimisers: list[torch.optim.Optimizer] = []
    if groups := [group for group in groups if group["params"]]:
        optimisers.append(torch.optim.Adam(groups, betas=(0.9, 0.99)))
    if kernels:
        optimisers.append(Muon([{"params": kernels, "factor": 1.0}]))
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    return State(model, average, tuple(optimisers))


def update_average(state: State, recipe: Recipe) -> None:
    """Move the average towards the weights, faster at first so that the random start is forgotten."""
    decay = min(recipe.average, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        for name, value in state.model.state_dict().items():
            if value.is_floating_point():
                state.average[name].lerp_(value, 1 - decay)
            else:  # a counter of batch normalisation
                state.average[name].copy_(value)
