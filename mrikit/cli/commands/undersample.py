"""mrikit undersample: keep the samples of a mask."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mrikit.cli import params
from mrikit.cli.console import span
from mrikit.cli.runner import Run, command

if TYPE_CHECKING:
    import numpy as np


@command(
    examples=[
        ("mrikit mask --like scan.h5 --accel 4 - | mrikit undersample scan.h5 - under.h5", "4-fold, random lines"),
    ]
)
def undersample(run: Run, in_: params.Kspace, mask: params.Mask, out: params.KspaceOutput) -> None:
    """Set the samples of k-space outside a mask to zero.

    An .h5 keeps a mask of all slices beside the k-space, as fastMRI's files do. What is reported is how much of the
    matrix is left: samples of the mask that were not acquired, or are zero-padding, do not count.
    """
    from mrikit.physics.sampling import acceleration, require_of_matrix, sampling, undersample

    accels = []

    def keep(kspace: np.ndarray, mask: np.ndarray) -> np.ndarray:
        kept = undersample(kspace, mask)
        accels.append(acceleration(sampling(kept)))
        return kept

    scan, drawn = run.open(in_, "kspace"), run.open(mask, "mask")
    if drawn.header.sliced:
        run.stream(keep, [scan, drawn], out, kind="kspace")
    else:
        kept = run.read(drawn)
        require_of_matrix(kept, scan.header.shape[-2:])
        acquired = scan.header.mask
        stored = kept if acquired is None else kept & acquired
        run.stream(partial(keep, mask=kept), [scan], out, kind="kspace", mask=stored)
    run.note(f"R = {span(accels)}", achieved_accel=min(accels))
