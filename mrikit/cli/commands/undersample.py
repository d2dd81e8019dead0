"""mrikit undersample: keep the samples of a mask."""

from __future__ import annotations

from mrikit.cli import params
from mrikit.cli.runner import Run, command


@command(
    examples=[
        (
            "mrikit mask --like scan.h5 --accel 4 - | mrikit undersample scan.h5 - under.h5",
            "4-fold, random lines",
        ),
    ]
)
def undersample(run: Run, in_: params.Kspace, mask: params.Mask, out: params.Output) -> None:
    """Set the samples of k-space outside a mask to zero."""
    from mrikit.physics.sampling import undersample

    sampled = run.open(mask, "mask")
    run.stream(undersample, [run.open(in_, "kspace"), sampled], out, kind="kspace")
