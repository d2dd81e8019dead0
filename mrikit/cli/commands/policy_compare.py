"""mrikit policy compare: the flow and its rivals on equal terms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mrikit.cli import params, types
from mrikit.cli.runner import Run, command


@command(
    examples=[
        ("mrikit policy compare --out compared held_back/", "the default policies at R = 4 and 8"),
        ("mrikit policy compare --policy own.safetensors --train scans/ --out compared held_back/", "one of your own"),
        (
            "mrikit policy compare --policies random,flow,task_alone.safetensors --out compared held_back.npy",
            "against another flow policy",
        ),
        (
            "mrikit policy compare --policy digits.safetensors --rate 0.01,0.04,0.08 --policies random,dps,flow "
            "--out compared digits/",
            "the pixels of digits",
        ),
    ],
    uses=["device", "seed", "threads"],
)
def policy_compare(
    run: Run,
    data: Annotated[
        list[str],
        params.input_file("DATA...", "Data of the policy's kind, or folders of these.", volume=False, folder=True),
    ],
    out: Annotated[str, typer.Option(metavar="DIR", help="Folder for report.json, scores.png and places.png.")],
    policy: params.Policy = None,
    accel: Annotated[
        Any,
        typer.Option(
            metavar="R,...",
            help="Accelerations; 4,8, or the policy's own.",
            click_type=types.Numbers(float),
            show_default=False,
        ),
    ] = None,
    rate: Annotated[
        Any,
        typer.Option(
            metavar="P,...",
            help="Pictures: shares of the pixels; the policy's lowest and highest by default.",
            click_type=types.Numbers(float),
            show_default=False,
        ),
    ] = None,
    policies: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="centre, half, random, variable-density, energy, loupe, dps and flow, of pictures those that know "
            "pixels. Also adps, greedy, ads, which take long, and weights of other flows.",
            show_default=False,
        ),
    ] = None,
    train: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DATA",
            help="What rivals learn from; may be given again. Simulated anatomy, or the first 80 % of pictures.",
            click_type=types.InputFile(volume=False, folder=True),
            show_default=False,
        ),
    ] = None,
    coils: Annotated[
        int | None,
        typer.Option(
            help="Receiver coils of scans that are simulated, and of the default policy; those of DATA, or 1.",
            min=1,
            max=128,
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Seeds of policies that draw.", min=2)] = 5,
    limit: Annotated[int, typer.Option(help="Images to score on, at most, evenly from DATA.", min=1)] = 64,
    steps: Annotated[int, typer.Option(help="Training steps of LOUPE, DPS and A-DPS.", min=1)] = 500,
    learning_rate: params.LearningRate = 1e-3,
    prior: Annotated[str, typer.Option(metavar="NAME|FILE", help="Score prior of ADS.")] = "score-small",
    resume: Annotated[bool, typer.Option("--resume", help="Go on in DIR with rivals half trained.")] = False,
) -> None:
    """Compare sampling policies under one frozen task model.

    All measure the same images with the same budget, but that of pictures flow looks at as many random pixels
    first, which are not counted. They are scored by the task model of --policy: SSIM of magnitudes, the share of
    digits that are told, or the mean absolute error, negative. k-space is taken as it was measured, images as scans
    with 1 % noise, both at the policy's matrix. centre takes the lowest frequencies, half those and then one side;
    LOUPE, DPS and A-DPS are trained here; greedy knows the truth; ads follows samples of a score prior. Of pictures
    without --train the last tenth is compared on.

    Mean and 95 % interval are over images, std from seed to seed: 0 for those that draw nothing. Where flow is among
    them, the table says how far it is ahead on the same images.
    """
    from mrikit.evaluate import report
    from mrikit.policy.contest import Contest, policy_compare
    from mrikit.train.loop import Recipe
    from mrikit.train.run import Watcher

    with run.progress(None) as bar:
        contest = Contest(
            policies.split(",") if policies else None,
            Recipe(steps, seed=run.seed, learning_rate=learning_rate, warm_up=20),
            seeds,
            limit,
            prior,
            run.device,
            resume,
            report.levels(Path(out)),
            Watcher(bar.report, run.warn, run.say),
        )
        facts = policy_compare(
            [Path(f) for f in data],
            Path(out),
            policy=policy,
            accels=accel,
            rates=rate,
            train=[Path(f) for f in train or []],
            coils=coils,
            contest=contest,
        )
    report.policies(Path(out), {"command": run.line, **facts})
    run.result(report.policy_table(facts), **facts)
