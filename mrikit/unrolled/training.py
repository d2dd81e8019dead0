"""Training an unrolled network, from images and scans to weights with a card."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from mrikit import weights
from mrikit.errors import UsageError
from mrikit.train import distributed
from mrikit.train.collect import as_paths, collect_together
from mrikit.train.data import Images
from mrikit.train.loop import Recipe, hold
from mrikit.train.presets import Preset
from mrikit.train.run import Job, n_parameters
from mrikit.unrolled.architectures import Network, build
from mrikit.unrolled.objective import ALIGNMENTS, loss
from mrikit.unrolled.presets import choose
from mrikit.unrolled.simulate import KINDS, Simulation, Stream
from mrikit.unrolled.validation import Validation

N_VALIDATION = 8
WHOLE = 2**20  # a crop of more rows than any matrix has


def unroll_train(
    files: Path | str | Sequence[Path | str],
    job: Job,
    *,
    recipe: Recipe,
    epochs: float | None = None,
    network: Preset | None = None,
    init: str | None = None,
    align: str | None = None,
    align_weight: float | None = None,
    magnitude_weight: float = 0.0,
    simulated: float = 0.5,
    accels: tuple[float, float] = (2.0, 12.0),
    mask_kinds: Sequence[str] = KINDS,
    crop: int = 64,
    per_scan: int = 2,
    validate: Path | str | Sequence[Path | str] = (),
    strict: bool = False,
) -> Network:
    """Train on what `collect` finds in `files` and on simulated anatomy; write the job's weights and card.

    An item of the recipe's batch is a scan, of which `per_scan` masks and bands of rows make a problem each; accels,
    mask_kinds and crop are those of `Simulation`. simulated: share of simulated anatomy. epochs: instead of
    `recipe.n_steps`, so many times as many scans as there are images in `files`. init: weights to begin with, by name
    or file. network: its architecture and settings; by default those of `init`, or else of flat-small. align,
    align_weight, magnitude_weight: of `objective.loss`; by default FLAT alone aligns its states, with a weight of 0.1.
    validate: what to validate with, on whole matrices, the same problems in every run. Started by torchrun, the
    processes train together.

    Raises CannotCreateError where there is a run or a card already, UsageError where an alignment, a weight of none, an
    acceleration or a kind of mask that cannot be is given, TemporaryError when asked to stop, ResultError where the
    training diverges.
    """
    files, validate = as_paths(files), as_paths(validate)
    chosen = network or choose(init=init)
    align = align or ("state" if chosen.architecture == "flat" else "none")
    if align not in ALIGNMENTS:
        raise UsageError(f"--align {align}: expected one of {', '.join(ALIGNMENTS)}")
    if align == "none" and align_weight is not None:
        raise UsageError(f"--align-weight {align_weight:g}: these states are not aligned", hint="--align state")
    align_weight = 0.1 if align_weight is None else align_weight
    simulation = Simulation(Images([], [], simulated=1.0), per_scan, crop, accels, tuple(mask_kinds))
    job.require_free()

    with distributed.joined(job.device) as device:
        torch.manual_seed(recipe.seed)
        model = build(chosen.architecture, chosen.config).to(device, memory_format=torch.channels_last)
        begun = weights.fill(model, init) if init else None
        hold(model, recipe.hold)  # what cannot be held is known before scans are read
        learned, kept = collect_together(
            files, validate, simulated, cache=job.folder / "mvue", strict=strict,
            warn=job.watcher.warn, say=job.watcher.say,
        )  # fmt: skip
        simulation = replace(simulation, images=learned.images, scans=learned.scans)
        if epochs is not None:
            scans_per_step = recipe.batch * distributed.size()
            recipe = replace(recipe, n_steps=math.ceil(epochs * learned.images.n_images / scans_per_step))
        validation = None
        if kept:
            held_back = replace(simulation, images=kept.images, scans=kept.scans, per_scan=1, crop=WHOLE)
            validation = Validation(Stream(held_back, 0, "validate").items(range(N_VALIDATION), device, n_workers=0))
        terms = {
            "train": [f.name for f in files],
            "skipped": list(learned.skipped),
            "simulated_anatomy": simulated,
            "accel": list(accels),
            "mask_kinds": list(mask_kinds),
            "crop": crop,
            "problems_per_scan": per_scan,
            "align": align,
            "align_weight": align_weight,
            "magnitude_weight": magnitude_weight,
            "init": begun,
        }
        measure = partial(loss, align=align, align_weight=align_weight, magnitude_weight=magnitude_weight)
        state = job.fit(
            model,
            lambda numbers: Stream(simulation, recipe.seed).items(numbers, device),
            lambda net, item: measure(net(item[0]), item[1], net.times),
            recipe,
            {**terms, "files": learned.files, "architecture": chosen.architecture, "config": model.config.to_json()},
            validation=validation,
        )
        job.finish(
            model, state, job.how(recipe, "scans", terms, validate),
            architecture=chosen.architecture, config=model.config.to_json(),
            summary=f"{model.config.n_unrolls} cascades, {n_parameters(model):,} parameters, "
            f"for accelerations {accels[0]:g} to {accels[1]:g}",
        )  # fmt: skip
    return model
