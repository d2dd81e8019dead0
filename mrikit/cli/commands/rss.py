"""mrikit rss: coil images into one magnitude."""

from __future__ import annotations

from functools import partial

from mrikit.cli import params
from mrikit.cli.runner import Run, command


@command(
    examples=[
        ("mrikit rss scan.h5 rss.nii", "root-sum-of-squares image, with the scan's geometry"),
        ("mrikit rss scan.h5 - | mrikit view - rss.png", "look at it without a file in between"),
    ],
    uses=["device", "chunk"],
)
def rss(run: Run, in_: params.Kspace, out: params.Output) -> None:
    """Root-sum-of-squares image of fully sampled k-space.

    The image of every coil, squared, summed over coils and rooted: sqrt(sum_c |F^-1 k_c|^2). The result is
    real, in the units of the k-space. --chunk counts coils.
    """
    from mrikit.physics.coils import rss

    run.stream(partial(rss, chunk=run.chunk), [run.open(in_, "kspace")], out, device=run.device)
