"""Training a score prior, from images to weights with a card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mrikit import weights
from mrikit._version import __version__
from mrikit.errors import UsageError
from mrikit.score.architectures import Network, build
from mrikit.score.levels import geometric
from mrikit.score.objective import loss
from mrikit.score.patches import Patches, Stream
from mrikit.score.presets import preset
from mrikit.score.validation import Validation
from mrikit.train import distributed
from mrikit.train.collect import Data, collect
from mrikit.train.loop import Recipe, State, fit
from mrikit.train.presets import Preset
from mrikit.train.run import Watcher, run_folder

N_VALIDATION = 8
DEFAULT_PRESET = "small"


def score_train(
    files: Sequence[Path],
    out: Path,
    *,
    recipe: Recipe,
    network: Preset | None = None,
    simulated: float = 0.5,
    crop: int = 96,
    per_image: int = 4,
    validate: Sequence[Path] = (),
    strict: bool = False,
    device: str = "cpu",
    resume: bool = False,
    force: bool = False,
    command: str = "",
    licence: str = "not stated",
    watcher: Watcher | None = None,
) -> Network:
    """Train on the images that `collect` finds in `files` and on simulated anatomy; write weights and card to `out`.

    A folder `out`.run beside it keeps the state of the run, from which `resume` goes on exactly, its losses, and the
    MVUE images of measured scans. Images without a phase of their own are given one.

    An item of the recipe's batch is an image, of which `per_image` patches of `crop` x `crop` voxels are learned from.
    network: its architecture and settings; by default small. simulated: share of simulated anatomy. validate: what to
    validate with, the same patches and noise in every run. command, licence: for the card. Started by torchrun, the
    processes train together.

    Raises CannotCreateError where there is a run or a card already, UsageError for a crop too small for a network,
    TemporaryError when asked to stop.
    """
    watcher, chosen = watcher or Watcher(), network or preset(DEFAULT_PRESET)
    if crop < 32 or crop % 2:
        raise UsageError(f"--crop {crop}: expected an even number from 32 up")
    folder = run_folder(out, resume=resume, force=force)

    def gather(paths: Sequence[Path], share: float) -> Data:
        return collect(
            paths, share, cache=folder / "mvue", as_measured=0.0, strict=strict, warn=watcher.warn, say=watcher.say
        )

    with distributed.joined(device) as device:
        first = distributed.rank() == 0
        torch.manual_seed(recipe.seed)
        prior = build(chosen.architecture, chosen.config).to(device, memory_format=torch.channels_last)
        learned = gather(files, simulated) if first else None
        kept = gather(validate, 0.0) if first and validate else None
        distributed.wait()  # then the others find the MVUE images in the cache
        learned = learned or gather(files, simulated)
        patches = Patches(learned.images, crop, per_image)
        validation = None
        if kept:
            held_back = Stream(Patches(kept.images, crop, 1), 0, "validate")
            validation = Validation(held_back.items(range(N_VALIDATION), device, n_workers=0))
        terms = {
            "train": [f.name for f in files],
            "skipped": list(learned.skipped),
            "simulated_anatomy": simulated,
            "crop": crop,
            "patches_per_image": per_image,
        }
        if first:
            folder.mkdir(parents=True, exist_ok=True)
        config = prior.config
        levels = geometric(config.sigma_max, config.sigma_min, config.n_levels)
        sigma_data = getattr(config, "sigma_data", None)
        state = fit(
            prior,
            lambda numbers: Stream(patches, recipe.seed).items(numbers, device),
            lambda net, images: loss(net, images, levels, sigma_data),
            recipe,
            folder,
            resume=resume,
            terms={**terms, "architecture": chosen.architecture, "config": config.to_json()},
            validate=validation,
            report=watcher.report,
            draw=lambda lines: watcher.draw(folder, lines, validation.images if validation else {}),
        )
        prior.load_state_dict(state.average)
        if first:
            how = {
                "command": command,
                "seed": recipe.seed,
                "steps": recipe.n_steps,
                "images_per_step": recipe.batch * distributed.size(),
                "learning_rate": recipe.learning_rate,
                **terms,
                "validation": [f.name for f in validate],
            }
            described = card(chosen.architecture, prior, how, state)
            weights.save(out, prior.state_dict(), described | {"licence": licence})
    return prior


def card(architecture: str, prior: Network, how: dict[str, Any], state: State) -> dict[str, Any]:
    """What the weights are, how they were made and the last figures of the run."""
    n_parameters = sum(p.numel() for p in prior.parameters())
    figures: dict[str, float] = {}
    for line in state.lines:
        figures |= line
    return {
        "architecture": architecture,
        "summary": f"score prior, {n_parameters:,} parameters, "
        f"noise {prior.config.sigma_max:g} to {prior.config.sigma_min:g}",
        "config": prior.config.to_json(),
        "training": {**how, "mrikit": __version__, "torch": torch.__version__},
        "metrics": {k: v for k, v in figures.items() if k not in ("step", "seconds_per_step", "skipped")},
        "use": "For research. Not for diagnosis.",
    }
