"""mrikit unroll-train: train an unrolled network."""

from __future__ import annotations

from typing import Annotated

import typer

from mrikit.cli import params
from mrikit.cli.runner import Run, command


@command(
    examples=[
        ("mrikit unroll-train images/*.npy flat.safetensors", "on scans simulated from magnitude images"),
        ("mrikit unroll-train multicoil_train/ images.nii flat.safetensors", "on fastMRI scans and on images"),
        ("mrikit unroll-train --resume images/*.npy flat.safetensors", "go on where a run was cut off"),
    ],
    uses=["seed", "threads"],
)
def unroll_train(
    run: Run,
    train: Annotated[
        list[str],
        params.input_file("TRAIN...", "Images (image, y, x), full k-space, or folders of these.", folder=True),
    ],
    out: Annotated[str, params.output_file("WEIGHTS", "Weights, with a .json card beside them.", ".safetensors")],
    steps: Annotated[int, typer.Option(help="Training steps.", min=1)] = 4400,
    crops: Annotated[int, typer.Option(help="Problems a step, from one simulated scan.", min=1)] = 2,
    simulated: Annotated[float, typer.Option(help="Share of simulated anatomy.", min=0, max=1)] = 0.5,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.", min=0)] = 1e-3,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail where a file in a folder, or a slice, would be left out.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from WEIGHTS' .run folder, exactly.")] = False,
) -> None:
    """Train an unrolled network along its flow (FLAT) on measured and simulated scans.

    Every step draws a fully sampled slice, or else an image or simulated anatomy with coils, phase and noise, and a
    mask, and estimates maps from the acquired centre. WEIGHTS.run beside the weights keeps the state of the run and
    loss.jsonl.
    """
    from pathlib import Path

    from mrikit.train.loop import Recipe
    from mrikit.unrolled.training import unroll_train

    with run.progress(steps) as bar:
        unroll_train(
            [Path(f) for f in train],
            Path(out),
            recipe=Recipe(steps, seed=run.seed, learning_rate=learning_rate),
            simulated=simulated,
            crops=crops,
            strict=strict,
            resume=resume,
            force=run.settings.force,
            command=run.line,
            report=bar.report,
            warn=run.warn,
            say=run.say,
        )
    run.note(outputs=[{"file": out, "kind": "weights"}], steps=steps)
