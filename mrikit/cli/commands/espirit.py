"""mrikit espirit: coil maps from the fully sampled centre."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from mrikit.cli import params
from mrikit.cli.runner import Run, command


@command(
    examples=[
        ("mrikit espirit scan.h5 maps.npy", "coil maps from the fully sampled centre"),
        ("mrikit espirit --margin 0.25 scan.h5 maps.npy", "an object that reaches the edges of the field of view"),
        ("mrikit espirit --sets 2 --crop 0.5 scan.h5 maps.npy", "two sets, for a field of view that aliases"),
        (
            "mrikit espirit scan.h5 - | mrikit mvue scan.h5 - reference.nii",
            "maps straight into the next tool",
        ),
    ],
    uses=["device", "threads"],
)
def espirit(
    run: Run,
    in_: params.Kspace,
    maps: params.MapsOutput,
    calib: params.Calib = "auto",
    kernel: Annotated[int, typer.Option(help="Side of the k-space kernel.", min=2, max=16)] = 6,
    threshold: Annotated[
        float, typer.Option(help="Singular values kept: s_j^2 above this times s_0^2.", min=0, max=1)
    ] = 0.001,
    crop: Annotated[float, typer.Option(help="Voxels with an eigenvalue up to this get no maps.", min=0, max=1)] = 0.8,
    keep: Annotated[
        float, typer.Option(help="But those brighter than this share of the brightest do; 1: none.", min=0, max=1)
    ] = 0.05,
    margin: Annotated[
        float,
        typer.Option(
            help="Enlarge the field of view along fully sampled axes by this share, for objects at its edges.",
            min=0,
            max=1,
        ),
    ] = 0.0,
    sets: Annotated[int, typer.Option(help="Sets of maps.", min=1, max=8)] = 1,
) -> None:
    """Estimate coil maps from the fully sampled centre of k-space.

    ESPIRiT (Uecker 2014), with BART's algorithm and, but for --keep, its defaults. In the object the maps of a voxel
    have a sum of squares of 1; outside they are 0. Their phase is that of the calibration data's first principal
    component.

    BART's maps are the same at opposite edges of the field of view. Where the object reaches an edge, as a neck or a
    leg does, --margin gives better ones: 0.25 is what flat-recon and all that calibrate themselves take.
    """
    from mrikit.physics.espirit import espirit

    estimate = partial(
        espirit, calib=calib, kernel=kernel, threshold=threshold, crop=crop, keep=keep, margin=margin, sets=sets
    )
    run.stream(estimate, [run.open(in_, "kspace")], maps, kind="maps", device=run.device)
