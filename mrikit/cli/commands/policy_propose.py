"""mrikit policy propose: from low frequencies to a mask."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mrikit.cli import params
from mrikit.cli.runner import Run, command


@command(
    examples=[
        ("mrikit policy propose --accel 8 scan.h5 mask.npy", "an eighth of the lines, for the whole volume"),
        ("mrikit policy propose --accel 4 scan.h5 - | mrikit undersample scan.h5 - under.h5", "choose and keep them"),
        ("mrikit policy propose --policy own.safetensors --per-slice scan.h5 masks.npy", "a mask for each slice"),
    ],
    uses=["device", "seed", "threads"],
)
def policy_propose(
    run: Run,
    in_: params.Kspace,
    out: Annotated[str, params.output_file("MASK", "Where the mask goes, .npy .h5 .cfl; - pipes it on.")],
    policy: params.Policy = None,
    accel: Annotated[
        float | None,
        typer.Option(help="Lines / measured lines; the policy's own by default.", min=1, show_default=False),
    ] = None,
    samples: Annotated[int, typer.Option(metavar="K", help="Flows that are averaged.", min=1)] = 16,
    solver: Annotated[Literal["euler", "rk4"], typer.Option(metavar="NAME", help="euler or rk4.")] = "euler",
    steps: Annotated[int, typer.Option(help="Steps of the solver.", min=1)] = 20,
    per_slice: Annotated[bool, typer.Option("--per-slice", help="One mask a slice, with axes (slice, x).")] = False,
) -> None:
    """Choose the lines to measure by what a scan's low frequencies show.

    The mask keeps exactly round(N / accel) of N lines, the low-frequency band among them: the 8 % in the centre up to
    R = 6, else 4 %, but no less than 8 lines or half of the budget. Nothing else of IN is looked at. Its noise is drawn
    by --seed; the same seed gives the same mask.
    Without --policy the default policy of the nearest number of lines is taken, of those for one coil or for several,
    and resized. The default ones are for flat-recon: of one coil they take one half of k-space, which pays where a
    reconstruction expects a smooth phase: by pics with wavelets a head was 0.6 dB worse than from the centre alone.
    """
    from mrikit.policy.architectures import load_policy
    from mrikit.policy.propose import nearest, propose, trained_for

    scan = run.open(in_, "kspace")
    *_, n_coils, _, n_x = scan.header.shape
    model = policy or nearest(n_x, n_coils)
    asked = accel or trained_for(model)[0]
    network = load_policy(model, run.device, solver, steps, samples)
    volume = (arrays[0] for arrays in run.slices([scan]))
    masks = propose(network, volume, asked, seed=run.seed, per_slice=per_slice)
    run.write(masks, out, "mask", sliced=per_slice)
    kept, n = int(masks.sum(axis=-1).max()), masks.shape[-1]
    run.note(
        f"{kept} of {n} lines, R = {n / kept:.3g} (asked for {asked:g}), policy {Path(model).name}",
        requested_accel=asked, achieved_accel=n / kept, policy=Path(model).name,
    )  # fmt: skip
