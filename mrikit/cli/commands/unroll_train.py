"""mrikit unroll-train: train an unrolled network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrikit.cli import params
from mrikit.cli.runner import Run, command
from mrikit.cli.training import every, training
from mrikit.errors import UsageError


@command(
    examples=[
        ("mrikit unroll-train images/*.npy flat.safetensors", "on scans simulated from magnitude images"),
        ("mrikit unroll-train multicoil_train/ images.nii flat.safetensors", "on fastMRI scans and on images"),
        ("mrikit unroll-train --validate held_back.npy images/*.npy flat.safetensors", "with PSNR as it goes"),
        ("mrikit unroll-train --init flat-small --steps 1000 scans/ own.safetensors", "the default weights, adapted"),
        ("mrikit unroll-train --resume images/*.npy flat.safetensors", "go on where a run was cut off"),
        ("mrikit unroll-train --mode free --align none images/*.npy plain.safetensors", "a plain unrolled network"),
        ("torchrun --nproc-per-node 2 -m mrikit unroll-train images/*.npy flat.safetensors", "in two processes"),
    ],
    uses=["device", "seed", "threads"],
)
def unroll_train(
    run: Run,
    train: Annotated[
        list[str],
        params.input_file("TRAIN...", "Images (image, y, x), full k-space, or folders of these.", folder=True),
    ],
    out: Annotated[str, params.output_file("WEIGHTS", "Weights, with a .json card beside them.", ".safetensors")],
    arch: params.Architecture = None,
    config: params.Config = None,
    mode: params.Mode = None,
    cascades: params.Cascades = None,
    schedule_power: params.SchedulePower = None,
    shared: params.Shared = None,
    maps: params.NetworkMaps = None,
    init: params.Init = None,
    align: params.Align = None,
    align_weight: params.AlignWeight = None,
    magnitude_weight: params.MagnitudeWeight = 0.0,
    steps: params.Steps = None,
    epochs: params.Epochs = None,
    batch: params.Batch = 1,
    per_scan: Annotated[int, typer.Option(help="Problems made of one scan, each with its own mask.", min=1)] = 2,
    crop: Annotated[int, typer.Option(help="Rows of a problem with a mask of lines, at 8 coils.", min=24)] = 64,
    accel: params.AccelRange = (2.0, 12.0),
    mask_kind: params.MaskKinds = None,
    simulated: params.Simulated = 0.5,
    optimiser: params.Optimiser = "adam",
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Highest learning rate: 2e-3, with --init 1e-4.", min=0, show_default=False),
    ] = None,
    hold: params.Hold = None,
    validate: params.Validate = None,
    strict: params.Strict = False,
    save_every: params.SaveEvery = 200,
    licence: params.Licence = "not stated",
    resume: params.Resume = False,
) -> None:
    """Train an unrolled network, FLAT along its flow, on measured and simulated scans.

    Every step draws a fully sampled slice, or else an image or simulated anatomy with coils, phase and noise, and
    masks, and estimates maps from what they leave; `skipped` counts steps not taken, for an unusual gradient.
    WEIGHTS.run beside the weights keeps the state of the run, loss.jsonl, loss.png and, with --validate,
    validation.png. Ctrl-C, SIGTERM and SIGUSR1 end the run after its step with exit code 75; --resume goes on exactly
    there.

    --init takes the network of its weights, too; with --cascades twice or three times as many as it has, each begins
    as the one at its place.
    """
    from mrikit.train.loop import Recipe
    from mrikit.unrolled.presets import choose
    from mrikit.unrolled.simulate import KINDS
    from mrikit.unrolled.training import unroll_train

    if steps is not None and epochs is not None:
        raise UsageError("--steps and --epochs contradict each other", hint="give one of them")
    settings = {"n_unrolls": cascades, "mode": mode, "schedule_power": schedule_power, "shared": shared, "maps": maps}
    with training(run, out, steps, reads=(config, init), resume=resume, licence=licence) as job:
        unroll_train(
            [Path(f) for f in train],
            job,
            recipe=Recipe(
                steps or params.STEPS,
                seed=run.seed,
                batch=batch,
                optimiser=optimiser,
                hold=tuple(hold or ()),
                learning_rate=learning_rate if learning_rate is not None else 1e-4 if init else 2e-3,
                **every(save_every),
            ),
            epochs=epochs,
            network=choose(arch, config, init, **settings),
            init=init,
            align=align,
            align_weight=align_weight,
            magnitude_weight=magnitude_weight,
            simulated=simulated,
            accels=accel,
            mask_kinds=mask_kind or KINDS,
            crop=crop,
            per_scan=per_scan,
            validate=[Path(f) for f in validate or []],
            strict=strict,
        )
