"""Training a score prior, from images to weights with a card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from mrikit import weights
from mrikit.errors import UsageError
from mrikit.score.architectures import Network, build
from mrikit.score.levels import geometric
from mrikit.score.objective import loss
from mrikit.score.patches import Patches, Stream
from mrikit.score.presets import preset
from mrikit.score.validation import Validation
from mrikit.train import distributed
from mrikit.train.collect import as_paths, collect_together
from mrikit.train.loop import Recipe
from mrikit.train.presets import Preset
from mrikit.train.run import Job, n_parameters

N_VALIDATION = 8
DEFAULT_PRESET = "small"


def score_train(
    files: Path | str | Sequence[Path | str],
    job: Job,
    *,
    recipe: Recipe,
    network: Preset | None = None,
    init: str | None = None,
    simulated: float = 0.5,
    crop: int = 96,
    per_image: int = 4,
    validate: Path | str | Sequence[Path | str] = (),
    strict: bool = False,
) -> Network:
    """Train on the images that `collect` finds in `files` and on simulated anatomy; write the job's weights and card.

    Images without a phase of their own are given one.

    An item of the recipe's batch is an image, of which `per_image` patches of `crop` x `crop` voxels are learned from.
    network: its architecture and settings; by default small. init: weights of such a network to begin with, by name or
    file. simulated: share of simulated anatomy. validate: what to validate with, the same patches and noise in every
    run. Started by torchrun, the processes train together.

    Raises CannotCreateError where there is a run or a card already, UsageError for a crop too small for a network,
    TemporaryError when asked to stop.
    """
    files, validate = as_paths(files), as_paths(validate)
    chosen = network or preset(DEFAULT_PRESET)
    if crop < 32 or crop % 2:
        raise UsageError(f"--crop {crop}: expected an even number from 32 up")
    job.require_free()

    with distributed.joined(job.device) as device:
        torch.manual_seed(recipe.seed)
        prior = build(chosen.architecture, chosen.config).to(device, memory_format=torch.channels_last)
        begun = weights.fill(prior, init) if init else None
        learned, kept = collect_together(
            files, validate, simulated, cache=job.folder / "mvue", as_measured=0.0, strict=strict,
            warn=job.watcher.warn, say=job.watcher.say,
        )  # fmt: skip
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
            "init": begun,
        }
        config = prior.config
        levels = geometric(config.sigma_max, config.sigma_min, config.n_levels)
        sigma_data = getattr(config, "sigma_data", None)
        state = job.fit(
            prior,
            lambda numbers: Stream(patches, recipe.seed).items(numbers, device),
            lambda net, images: loss(net, images, levels, sigma_data),
            recipe,
            {**terms, "architecture": chosen.architecture, "config": config.to_json()},
            validation=validation,
        )
        job.finish(
            prior, state, job.how(recipe, "images", terms, validate),
            architecture=chosen.architecture, config=config.to_json(),
            summary=f"score prior, {n_parameters(prior):,} parameters, "
            f"noise {config.sigma_max:g} to {config.sigma_min:g}",
        )  # fmt: skip
    return prior
