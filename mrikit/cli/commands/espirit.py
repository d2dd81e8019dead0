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
        ("mrikit espirit --refine scan.h5 maps.npy", "few central lines, or an object that is cut off"),
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
    refine: Annotated[
        bool, typer.Option("--refine", help="Calibrate once more, on k-space that a first reconstruction filled in.")
    ] = False,
    sets: Annotated[int, typer.Option(help="Sets of maps.", min=1, max=8)] = 1,
) -> None:
    """Estimate coil maps from the fully sampled centre of k-space.

    ESPIRiT (Uecker 2014), with BART's algorithm and, but for --keep, its defaults. In the object the maps of a voxel
    have a sum of squares of 1; outside they are 0. Their phase is that of the calibration data's first principal
    component.

    With --refine, which all that calibrate themselves do, such as flat-recon, a least-squares image fills in what was
    not acquired, and maps may differ at opposite edges of the field of view. That helps where the centre has few lines
    and where the object reaches an edge, as a neck does.
    """
    from mrikit.physics.espirit import espirit

    estimate = partial(
        espirit, calib=calib, kernel=kernel, threshold=threshold, crop=crop, keep=keep, refine=refine, sets=sets
    )
    run.stream(estimate, [run.open(in_, "kspace")], maps, kind="maps", device=run.device)
