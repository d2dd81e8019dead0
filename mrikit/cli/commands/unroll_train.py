"""mrikit unroll-train: train an unrolled network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrikit.cli import params
from mrikit.cli.runner import Run, command
from mrikit.errors import UsageError


@command(
    examples=[
        ("mrikit unroll-train images/*.npy flat.safetensors", "on scans simulated from magnitude images"),
        ("mrikit unroll-train --validate held_back.npy images/*.npy flat.safetensors", "with PSNR as it goes"),
        ("mrikit unroll-train --resume images/*.npy flat.safetensors", "go on where a run was cut off"),
        ("torchrun --nproc-per-node 2 -m mrikit unroll-train images/*.npy flat.safetensors", "in two processes"),
    ],
    uses=["device", "seed", "threads"],
)
def unroll_train(
    run: Run,
    train: Annotated[list[str], params.input_file("TRAIN...", "Images (image, y, x); magnitudes are taken.")],
    out: Annotated[str, params.output_file("WEIGHTS", "Weights, with a .json card beside them.", ".safetensors")],
    steps: params.Steps = None,
    epochs: params.Epochs = None,
    batch: params.Batch = 1,
    per_scan: Annotated[int, typer.Option(help="Problems made of one scan, each with its own mask.", min=1)] = 2,
    crop: Annotated[int, typer.Option(help="Rows of a problem with a mask of lines, at 8 coils.", min=24)] = 64,
    accel: params.AccelRange = (2.0, 10.0),
    mask_kind: params.MaskKinds = None,
    simulated: Annotated[float, typer.Option(help="Share of simulated anatomy.", min=0, max=1)] = 0.5,
    learning_rate: params.LearningRate = 1e-3,
    validate: params.Validate = None,
    save_every: params.SaveEvery = 200,
    resume: params.Resume = False,
) -> None:
    """Train an unrolled network along its flow (FLAT) on simulated scans.

    Every step draws images or simulated anatomy, coils, phase, noise and masks, and estimates maps from the acquired
    centre. WEIGHTS.run beside the weights keeps the state of the run, loss.jsonl, loss.png and, with --validate,
    validation.png. SIGTERM and SIGUSR1 end the run after its step with exit code 75; --resume goes on exactly there.
    """
    from mrikit.evaluate import figures
    from mrikit.train.loop import Recipe
    from mrikit.unrolled.simulate import KINDS
    from mrikit.unrolled.training import unroll_train

    if steps is not None and epochs is not None:
        raise UsageError("--steps and --epochs contradict each other", hint="give one of them")
    every = {"report_every": min(50, save_every), "save_every": save_every, "validate_every": save_every}
    with run.progress(steps) as bar:
        unroll_train(
            [Path(f) for f in train],
            Path(out),
            recipe=Recipe(steps or 4400, seed=run.seed, batch=batch, learning_rate=learning_rate, **every),
            epochs=epochs,
            simulated=simulated,
            accels=accel,
            mask_kinds=mask_kind or KINDS,
            band=crop,
            per_scan=per_scan,
            validate=[Path(f) for f in validate or []],
            device=run.device,
            resume=resume,
            force=run.settings.force,
            command=run.line,
            report=bar.report,
            draw=figures.training,
        )
    run.note(outputs=[{"file": out, "kind": "weights"}], steps=bar.total)
