"""mrikit info: what a file holds."""

from __future__ import annotations

from mrikit.cli import params
from mrikit.cli.runner import Run, command


@command(
    examples=[
        ("mrikit info scan.h5", "axes, geometry, sampling, datasets and history"),
        ("mrikit info maps.npy --kind maps", "say what a file holds that does not say it itself"),
        ("mrikit info scan.h5 --json | jq .sampling.accel", "one number for a script"),
    ],
)
def info(run: Run, in_: params.Volume, kind: params.Kind = None) -> None:
    """Show what a file holds: axes, geometry, sampling, history.

    Of k-space it also tells which samples were acquired, the acceleration that makes, N / sampled, and the
    size of the fully sampled block at the centre that calibration can use. The file is read once, from
    beginning to end, so a damaged one is found out.
    """
    from mrikit.cli.inspection import inspect, render

    reader = run.open(in_, kind)
    facts = inspect(reader, (arrays[0] for arrays in run.slices([reader], check=False)))
    run.result(render(facts), **facts)
