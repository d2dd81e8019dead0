"""What surrounds a training run: where it writes, who is told how it goes, and what its weights' card says."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from mrikit import weights
from mrikit._version import __version__
from mrikit.errors import CannotCreateError, UsageError
from mrikit.train import checkpoint, distributed
from mrikit.train.loop import Recipe, State, fit


@dataclass(frozen=True)
class Watcher:
    """Who is told how training goes. report: figures of every step. warn, say: a line of text.

    draw: a folder, the lines of the log and images to show, at every save.
    """

    report: Callable[[dict[str, float]], None] = lambda line: None
    warn: Callable[[str], None] = lambda text: None
    say: Callable[[str], None] = lambda text: None
    draw: Callable[[Path, list[dict[str, float]], dict[str, np.ndarray]], None] = lambda folder, lines, images: None


class Validates(Protocol):
    """What looks at a network now and then; images: what it saw last, by name."""

    images: dict[str, np.ndarray]

    def __call__(self, network: Any) -> dict[str, float]:
        """Figures of the network."""


@dataclass(frozen=True)
class Job:
    """A training run around its loop: what it writes, how it begins, and who is told.

    out: the weights; `folder` beside them keeps the state of the run, from which `resume` goes on exactly, its losses
    and the MVUE images of measured scans. force: write over a run that is there. device: as torch names it. command,
    licence: for the card.
    """

    out: Path
    resume: bool = False
    force: bool = False
    device: str = "cpu"
    command: str = ""
    licence: str = "not stated"
    watcher: Watcher = field(default_factory=Watcher)

    def __post_init__(self) -> None:
        object.__setattr__(self, "out", Path(self.out))  # a name will do

    @property
    def folder(self) -> Path:
        return self.out.with_suffix(".run")

    def require_free(self) -> None:
        """Raise CannotCreateError where there is a run or a card already that is not to be gone on with."""
        if self.resume or self.force:
            return
        for taken in (*self.folder.rglob("state.safetensors"), self.out.with_suffix(".json")):
            if taken.exists():
                raise CannotCreateError(
                    f"{taken}: exists already", hint="--resume goes on with that run, --force begins anew"
                )

    def fit(
        self,
        network: nn.Module,
        items: Callable[[range], Generator[Any, None, None]],
        loss: Callable[[Any, Any], tuple[Tensor, dict[str, float]]],
        recipe: Recipe,
        terms: Mapping[str, Any],
        *,
        validation: Validates | None = None,
    ) -> State:
        """`loop.fit` in the run's folder; the network gets the averaged weights."""
        if distributed.rank() == 0:
            self.folder.mkdir(parents=True, exist_ok=True)
        told = self.told(self.folder, validation)
        with checkpoint.alone(self.folder) if distributed.rank() == 0 else nullcontext():
            state = fit(network, items, loss, recipe, self.folder, terms=terms, validate=validation, **told)
        network.load_state_dict(state.average)
        return state

    def told(self, folder: Path, validation: Validates | None = None) -> dict[str, Any]:
        """What `loop.fit` in `folder` is to be given for this job: resume, report and draw."""

        def draw(lines: list[dict[str, float]]) -> None:
            self.watcher.draw(folder, lines, validation.images if validation else {})

        if self.resume and distributed.rank() == 0 and not (folder / "state.safetensors").exists():
            self.watcher.say(f"{folder}: nothing to go on with, so this run begins")
        return {"resume": self.resume, "report": self.watcher.report, "draw": draw}

    def finish(
        self,
        network: nn.Module,
        state: State,
        training: Mapping[str, Any],
        *,
        architecture: str,
        config: Mapping[str, Any],
        summary: str,
    ) -> None:
        """Write the weights and their card, in the first process alone. training: what `how` returns."""
        if distributed.rank():
            return
        figures: dict[str, float] = {}
        for line in state.lines:
            figures |= line
        card = {
            "architecture": architecture,
            "summary": summary,
            "config": config,
            "training": {**training, "mrikit": __version__, "torch": torch.__version__},
            "metrics": {k: v for k, v in figures.items() if k not in ("step", "seconds_per_step", "skipped")},
            "use": "For research. Not for diagnosis.",
            "licence": self.licence,
        }
        weights.save(self.out, network.state_dict(), card)

    def how(self, recipe: Recipe, items: str, terms: Mapping[str, Any], held_back: Sequence[Path]) -> dict[str, Any]:
        """How weights were trained, for their card. items: what a batch of the recipe counts. terms: what else matters.

        held_back: the files validated with.
        """
        return {
            "command": self.command,
            "seed": recipe.seed,
            "steps": recipe.n_steps,
            f"{items}_per_step": recipe.batch * distributed.size(),
            "optimiser": recipe.optimiser,
            "learning_rate": recipe.learning_rate,
            **({"hold": list(recipe.hold)} if recipe.hold else {}),
            **terms,
            "validation": [f.name for f in held_back],
        }


def require_apart(out: Path, *inputs: str | None) -> None:
    """Raise UsageError where `out` or its card is one of `inputs`, names or files that are read."""
    for name in inputs:
        if name and Path(name).resolve() in (out.resolve(), out.with_suffix(".json").resolve()):
            raise UsageError(f"{name}: training reads it and would write over it", hint="give WEIGHTS another name")


def n_parameters(network: nn.Module) -> int:
    """How many numbers it learns."""
    return sum(p.numel() for p in network.parameters())
