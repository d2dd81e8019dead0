"""Training an unrolled network, from images to weights with a card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from mrikit import weights
from mrikit._version import __version__
from mrikit.errors import CannotCreateError
from mrikit.train.collect import collect
from mrikit.train.loop import Recipe, fit
from mrikit.unrolled.model import Config, Unrolled
from mrikit.unrolled.objective import loss
from mrikit.unrolled.simulate import Simulation, Stream


def unroll_train(
    files: list[Path],
    out: Path,
    *,
    recipe: Recipe,
    config: Config | None = None,
    simulated: float = 0.5,
    crops: int = 2,
    strict: bool = False,
    resume: bool = False,
    force: bool = False,
    command: str = "",
    report: Callable[[dict[str, float]], None] = lambda line: None,
    warn: Callable[[str], None] = lambda text: None,
    say: Callable[[str], None] = lambda text: None,
) -> Unrolled:
    """Train on what `collect` finds in `files` and on simulated anatomy; write weights and card to `out`.

    A folder `out`.run beside it keeps the state of the run, from which `resume` goes on exactly, its losses, and the
    MVUE images of measured scans. simulated: share of simulated anatomy. crops: problems a step.
    """
    folder = out.with_suffix(".run")
    if not (resume or force):
        for taken in (folder, out.with_suffix(".json")):
            if taken.exists():
                raise CannotCreateError(
                    f"{taken}: exists already", hint="--resume goes on with that run, --force begins anew"
                )
    torch.manual_seed(recipe.seed)
    network = Unrolled(config or Config()).to(memory_format=torch.channels_last)
    data = collect(files, simulated, cache=folder / "mvue", strict=strict, warn=warn, say=say)
    simulation = Simulation(data.images, crops=crops, scans=data.scans)
    stream = Stream(simulation, recipe.seed)
    folder.mkdir(parents=True, exist_ok=True)
    state = fit(
        network,
        stream.batches,
        lambda model, batch: loss(model(batch[0]), batch[1], model.times),
        recipe,
        folder,
        resume=resume,
        report=report,
    )
    network.load_state_dict(state.average)
    n_parameters = sum(p.numel() for p in network.parameters())
    described = {
        "architecture": "flat",
        "summary": f"{network.config.n_unrolls} cascades, {n_parameters:,} parameters, for accelerations 2 to 12",
        "config": network.config.to_json(),
        "training": {
            "command": command,
            "seed": recipe.seed,
            "steps": recipe.n_steps,
            "crops_per_step": crops,
            "images": [f.name for f in files],
            "skipped": list(data.skipped),
            "simulated_anatomy": simulated,
            "mrikit": __version__,
            "torch": torch.__version__,
        },
        "licence": "BSD-3-Clause",
        "use": "For research. Not for diagnosis.",
    }
    weights.save(out, network.state_dict(), described)
    return network
