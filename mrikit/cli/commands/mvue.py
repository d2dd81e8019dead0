"""mrikit mvue: coil images into one complex image."""

from __future__ import annotations

from functools import partial

from mrikit.cli import params
from mrikit.cli.runner import Run, command


@command(
    examples=[
        ("mrikit mvue scan.h5 maps.npy reference.nii", "reference image of a fully sampled scan"),
        ("mrikit mvue undersampled.h5 maps.npy zero_filled.nii", "zero-filled image of an under-sampled one"),
    ],
    uses=["device", "threads", "chunk"],
)
def mvue(run: Run, in_: params.Kspace, maps: params.Maps, out: params.Output, part: params.Part = "auto") -> None:
    """Combine coil images with their maps: the minimum-variance unbiased estimate.

    sum_c conj(maps_c) F^-1(k)_c / sqrt(sum_c |maps_c|^2), complex, in the units of the k-space (Jalal 2021).
    Samples that were not acquired count as zero. --chunk counts coils.
    """
    from mrikit.physics.coils import mvue

    combine = partial(mvue, chunk=run.chunk)
    run.stream(combine, [run.open(in_, "kspace"), run.open(maps, "maps")], out, part=part, device=run.device)
