"""Training an unrolled network, from images to weights with a card."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mrikit import weights
from mrikit._version import __version__
from mrikit.errors import CannotCreateError
from mrikit.train import distributed
from mrikit.train.data import Images
from mrikit.train.loop import Recipe, State, fit
from mrikit.unrolled.model import Config, Unrolled
from mrikit.unrolled.objective import loss
from mrikit.unrolled.simulate import KINDS, Simulation, Stream
from mrikit.unrolled.validation import Validation

N_VALIDATION = 8
WHOLE = 2**20  # a band of more rows than any matrix has


def unroll_train(
    files: Sequence[Path],
    out: Path,
    *,
    recipe: Recipe,
    epochs: float | None = None,
    config: Config | None = None,
    simulated: float = 0.5,
    accels: tuple[float, float] = (2.0, 10.0),
    mask_kinds: Sequence[str] = KINDS,
    band: int = 64,
    per_scan: int = 2,
    validate: Sequence[Path] = (),
    device: str = "cpu",
    resume: bool = False,
    force: bool = False,
    command: str = "",
    report: Callable[[dict[str, float]], None] = lambda line: None,
    draw: Callable[[Path, list[dict[str, float]], dict[str, np.ndarray]], None] = lambda folder, lines, images: None,
) -> Unrolled:
    """Train on simulated scans of the images in `files` and of simulated anatomy; write weights and card to `out`.

    A folder `out`.run beside it keeps the state of the run, from which `resume` goes on exactly, and its losses.

    An item of the recipe's batch is a simulated scan, of which `per_scan` masks and bands of rows make a problem each;
    accels, mask_kinds and band are those of `Simulation`. simulated: share of simulated anatomy. epochs: instead of
    `recipe.n_steps`, so many times as many scans as there are images in `files`. validate: images to validate with,
    on whole matrices, the same problems in every run. draw: gets the folder, the log and images to show at every
    save. Started by torchrun, the processes train together.

    Raises CannotCreateError where there is a run or a card already, TemporaryError when asked to stop.
    """
    folder = out.with_suffix(".run")
    if not (resume or force):
        for taken in (folder, out.with_suffix(".json")):
            if taken.exists():
                raise CannotCreateError(
                    f"{taken}: exists already", hint="--resume goes on with that run, --force begins anew"
                )
    simulation = Simulation(Images(files, simulated), per_scan, band, accels, tuple(mask_kinds))
    held_back = replace(simulation, images=Images(validate, 0), per_scan=1, band=WHOLE) if validate else None
    with distributed.joined(device) as device:
        first = distributed.rank() == 0
        if epochs is not None:
            scans_per_step = recipe.batch * distributed.size()
            recipe = replace(recipe, n_steps=math.ceil(epochs * simulation.images.n_images / scans_per_step))
        torch.manual_seed(recipe.seed)
        network = Unrolled(config or Config()).to(device, memory_format=torch.channels_last)
        validation = None
        if held_back is not None and first:
            problems = Stream(held_back, 0, "validate").items(range(N_VALIDATION), device, n_workers=0)
            validation = Validation(problems)
        data = {
            "images": [f.name for f in files],
            "simulated_anatomy": simulated,
            "accel": list(accels),
            "mask_kinds": list(mask_kinds),
            "crop": band,
            "problems_per_scan": per_scan,
        }
        if first:
            folder.mkdir(parents=True, exist_ok=True)
        state = fit(
            network,
            lambda numbers: Stream(simulation, recipe.seed).items(numbers, device),
            lambda model, item: loss(model(item[0]), item[1], model.times),
            recipe,
            folder,
            resume=resume,
            terms={**data, "config": network.config.to_json()},
            validate=validation,
            report=report,
            draw=lambda lines: draw(folder, lines, validation.images if validation else {}),
        )
        network.load_state_dict(state.average)
        if first:
            how = {
                "command": command,
                "seed": recipe.seed,
                "steps": recipe.n_steps,
                "scans_per_step": recipe.batch * distributed.size(),
                "learning_rate": recipe.learning_rate,
                **data,
                "validation": [f.name for f in validate],
            }
            weights.save(out, network.state_dict(), card(network, how, state))
    return network


def card(network: Unrolled, how: dict[str, Any], state: State) -> dict[str, Any]:
    """What the weights are, how they were made and the last figures of the run."""
    n_parameters = sum(p.numel() for p in network.parameters())
    low, high = how["accel"]
    figures: dict[str, float] = {}
    for line in state.lines:
        figures |= line
    return {
        "architecture": "flat",
        "summary": f"{network.config.n_unrolls} cascades, {n_parameters:,} parameters, "
        f"for accelerations {low:g} to {high:g}",
        "config": network.config.to_json(),
        "training": {**how, "mrikit": __version__, "torch": torch.__version__},
        "metrics": {k: v for k, v in figures.items() if k not in ("step", "seconds_per_step", "skipped")},
        "licence": "BSD-3-Clause",
        "use": "For research. Not for diagnosis.",
    }
