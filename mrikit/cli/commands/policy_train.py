"""mrikit policy train: learn what to measure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mrikit.cli import params, types
from mrikit.cli.runner import Run, command
from mrikit.cli.training import every, training
from mrikit.errors import UsageError


@command(
    examples=[
        ("mrikit policy train images/*.npy policy.safetensors", "a quarter of 128 lines, and a MoDL to reconstruct"),
        ("mrikit policy train --matrix 208 --accel 8 scans/ policy.safetensors", "an eighth of 208, on fastMRI scans"),
        ("mrikit policy train --coils 4,8 --task-model flat-small scans/ policy.safetensors", "for a network there is"),
        ("mrikit policy train --task digits-classify digits/ policy.safetensors", "the pixels that tell digits apart"),
        ("mrikit policy train --task image --rate 0.05,0.5 photos/ policy.safetensors", "for photographs"),
        ("mrikit policy train --resume images/*.npy policy.safetensors", "go on where a run was cut off"),
    ],
    uses=["device", "seed", "threads"],
)
def policy_train(
    run: Run,
    data: Annotated[
        list[str],
        params.input_file(
            "DATA...",
            "Images (image, y, x), full k-space, idx files, photographs, or folders of these.",
            volume=False,
            folder=True,
        ),
    ],
    out: Annotated[str, params.output_file("POLICY", "Weights, with a .json card beside them.", ".safetensors")],
    task: Annotated[
        Literal["mri", "image", "digits-classify", "digits-reconstruct"],
        typer.Option(metavar="KIND", help="mri, image, digits-classify or digits-reconstruct."),
    ] = "mri",
    accel: params.Accels = None,
    rate: Annotated[
        Any,
        typer.Option(
            metavar="P|LOW,HIGH",
            help="Pictures: share of the pixels, drawn between these two; the paper's by default.",
            click_type=types.Pair(float),
            show_default=False,
        ),
    ] = None,
    matrix: params.PolicyMatrix = None,
    coils: params.PolicyCoils = None,
    config: params.Config = None,
    task_model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE", help="Reuse the task of this policy, or this unrolled network.", show_default=False
        ),
    ] = None,
    target: Annotated[
        Literal["energy", "half", "softmax", "learned"] | None,
        typer.Option(
            metavar="NAME",
            help="What target masks are drawn by: energy; that of one half of the lines; softmax of it; or learned, by "
            "the task. energy for lines, learned for digits.",
            show_default=False,
        ),
    ] = None,
    gamma: Annotated[
        float | None,
        typer.Option(help="Target energies, or odds, to this power: 4, for digits 1.", min=0, show_default=False),
    ] = None,
    loss: Annotated[Literal["l1", "mse"], typer.Option(metavar="NAME", help="Of reconstructions: l1 or mse.")] = "l1",
    gate: Annotated[
        Any,
        typer.Option(
            metavar="S,P",
            help="The gate's steepness is S t^P; 20,2, or 30,1 to classify.",
            click_type=types.Pair(float, single=False),
            show_default=False,
        ),
    ] = None,
    straight_through: Annotated[
        bool, typer.Option("--straight-through", help="Show the task model exact masks, with the gate's gradient.")
    ] = False,
    learn_by: Annotated[
        Literal["both", "flow", "task"] | None,
        typer.Option(
            metavar="NAME", help="One loss alone, flow or task, or both; of lines task by default.", show_default=False
        ),
    ] = None,
    steps: Annotated[int, typer.Option(help="Training steps of the flow.", min=1)] = 1000,
    task_steps: Annotated[
        int | None, typer.Option(help="Training steps of the task model before it; 1000.", min=1, show_default=False)
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(help="Slices or pictures a step, 4 or 64, in each process.", min=1, show_default=False),
    ] = None,
    simulated: Annotated[
        float | None,
        typer.Option(help="Share of simulated anatomy in scans; 0.5.", min=0, max=1, show_default=False),
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Learn from all pictures, not the first 80 %.")] = False,
    learning_rate: params.LearningRate = 2e-3,
    strict: params.Strict = False,
    save_every: params.SaveEvery = 200,
    licence: params.Licence = "not stated",
    resume: params.Resume = False,
) -> None:
    """Learn which lines of a scan, or pixels of an image, to measure.

    First a task model is trained on random masks and frozen: a MoDL that reconstructs, or for pictures a U-Net and a
    classifier. Then a flow learns to lead from noise to masks, by what the task model sees of the low frequencies, or
    of a first random sample; it minimises the task's loss through a soft mask and, of pictures, its own to target
    masks as well. Budgets are exact: round(N / accel) lines, the low-frequency band, 8 % up to R = 6, else 4 %,
    but no less than 8 lines or half of the budget, included.

    Of pictures the first 80 % are learned from, and `policy compare` takes the last tenth. POLICY.run beside the
    weights keeps the state of the run, loss.jsonl and loss.png, its folder task those of the task model. Ctrl-C,
    SIGTERM and SIGUSR1 end the run after its step with exit code 75; --resume goes on exactly there.
    """
    if config and task_model:
        raise UsageError("--config has no meaning with --task-model, which has its own", hint="give one of them")

    if task_steps and task_model:
        raise UsageError("--task-steps has no meaning with --task-model, which is trained", hint="give one of them")

    from mrikit.policy.subject import objective, subject
    from mrikit.policy.training import policy_train
    from mrikit.train.loop import Recipe

    about = subject(
        task, [Path(f) for f in data], accels=accel, rates=rate, matrix=matrix, coils=coils, network=config,
        batch=batch, simulated=simulated, whole=whole, loss=loss, strict=strict,
    )  # fmt: skip
    with training(run, out, steps, reads=(config, task_model), resume=resume, licence=licence) as job:
        policy_train(
            about,
            job,
            recipe=Recipe(steps, seed=run.seed, learning_rate=learning_rate, warm_up=50, **every(save_every)),
            task_steps=task_steps or 1000,
            task_model=task_model,
            objective=objective(
                task, target=target, gate=gate, gamma=gamma, losses=learn_by, straight_through=straight_through
            ),
        )
