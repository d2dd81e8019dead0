"""mrikit undersample: keep the samples of a mask."""

from __future__ import annotations

from functools import partial

from mrikit.cli import params
from mrikit.cli.runner import Run, command


@command(
    examples=[
        ("mrikit mask --like scan.h5 --accel 4 - | mrikit undersample scan.h5 - under.h5", "4-fold, random lines"),
    ]
)
def undersample(run: Run, in_: params.Kspace, mask: params.Mask, out: params.Output) -> None:
    """Set the samples of k-space outside a mask to zero.

    An .h5 keeps the mask beside the k-space, as fastMRI's files do.
    """
    from mrikit.physics.sampling import acceleration, undersample

    scan, drawn = run.open(in_, "kspace"), run.open(mask, "mask")
    if drawn.header.sliced:
        run.stream(undersample, [scan, drawn], out, kind="kspace")
    else:
        kept = run.read(drawn)
        run.stream(partial(undersample, mask=kept), [scan], out, kind="kspace", mask=kept)
        run.note(f"R = {acceleration(kept):.3g}", achieved_accel=acceleration(kept))
