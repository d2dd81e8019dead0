"""mrikit score-train: train a score prior."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrikit.cli import params
from mrikit.cli.runner import Run, command
from mrikit.cli.training import every, training


@command(
    examples=[
        ("mrikit score-train images/*.npy prior.safetensors", "the small prior, on images and simulated anatomy"),
        ("mrikit score-train multicoil_train/ images.nii prior.safetensors", "on MVUEs of fastMRI scans and on images"),
        ("mrikit score-train --preset ncsnv2 --learning-rate 1e-4 --crop 384 scans/ big.safetensors", "as published"),
        ("mrikit score-train --resume images/*.npy prior.safetensors", "go on where a run was cut off"),
    ],
    uses=["device", "seed", "threads"],
)
def score_train(
    run: Run,
    images: Annotated[
        list[str],
        params.input_file("IMAGES...", "Images (image, y, x), full k-space, or folders of these.", folder=True),
    ],
    out: Annotated[str, params.output_file("WEIGHTS", "Weights, with a .json card beside them.", ".safetensors")],
    preset: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="small, ncsnv2, ncsnv2-small, or a .json file of the same form.")
    ] = "small",
    sigma_max: Annotated[float | None, typer.Option(help="Highest noise level to learn.", show_default=False)] = None,
    sigma_min: Annotated[float | None, typer.Option(help="Lowest noise level.", show_default=False)] = None,
    levels: Annotated[int | None, typer.Option(help="Noise levels, geometric.", show_default=False)] = None,
    steps: Annotated[int, typer.Option(help="Training steps.", min=1)] = 60_000,
    batch: Annotated[int, typer.Option(help="Images a step, in each process.", min=1)] = 1,
    per_image: Annotated[int, typer.Option(help="Patches of one image.", min=1)] = 4,
    crop: Annotated[int, typer.Option(help="Voxels along either edge of a patch.", min=32)] = 96,
    simulated: params.Simulated = 0.5,
    learning_rate: params.LearningRate = 1e-3,
    validate: params.Validate = None,
    strict: params.Strict = False,
    save_every: params.SaveEvery = 500,
    licence: params.Licence = "not stated",
    init: params.Init = None,
    resume: params.Resume = False,
) -> None:
    """Train a score prior on complex images, without knowing how scans will be measured.

    Every step draws patches of an image, a measured scan's MVUE or simulated anatomy, scaled by its 99 % quantile, and
    learns to take noise of a level drawn at random off them (denoising score matching). Magnitude images are given a
    simulated phase. WEIGHTS.run beside the weights keeps the state of the run, loss.jsonl, loss.png and, with
    --validate, validation.png. Ctrl-C, SIGTERM and SIGUSR1 end the run after its step with exit code 75;
    --resume goes on exactly there.
    """
    from mrikit.score.presets import PRESETS
    from mrikit.score.training import score_train
    from mrikit.train.loop import Recipe

    network = PRESETS.changed(PRESETS.preset(preset), sigma_max=sigma_max, sigma_min=sigma_min, n_levels=levels)
    with training(run, out, steps, reads=(preset, init), resume=resume, licence=licence) as job:
        score_train(
            [Path(f) for f in images],
            job,
            recipe=Recipe(steps, seed=run.seed, batch=batch, learning_rate=learning_rate, **every(save_every)),
            network=network,
            init=init,
            simulated=simulated,
            crop=crop,
            per_image=per_image,
            validate=[Path(f) for f in validate or []],
            strict=strict,
        )
