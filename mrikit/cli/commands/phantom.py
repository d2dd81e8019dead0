"""mrikit phantom: a simulated scan."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mrikit.cli import params
from mrikit.cli.runner import Run, command


@command(
    examples=[
        ("mrikit phantom scan.h5", "a brain, 8 coils, 256 x 256"),
        (
            "mrikit phantom --anatomy random --coils 15 --slices 10 --seed 3 scan.h5",
            "ten slices of other anatomy",
        ),
    ],
    uses=["seed"],
)
def phantom(
    run: Run,
    out: params.KspaceOutput,
    coils: Annotated[int, typer.Option(help="Receiver coils.", min=1, max=128)] = 8,
    matrix: params.Matrix = (256, 256),
    slices: Annotated[int, typer.Option(help="Slices, 5 mm apart.", min=1)] = 1,
    noise: Annotated[
        float, typer.Option(help="Noise std, as a share of the 99th percentile of the image.", min=0)
    ] = 0.01,
    anatomy: Annotated[
        Literal["brain", "torso", "heart", "limb", "abstract", "shepp-logan", "random"],
        typer.Option(metavar="KIND", help="brain, torso, heart, limb, abstract, shepp-logan or random."),
    ] = "brain",
) -> None:
    """Simulate a fully sampled multi-coil scan.

    Anatomy, phase, coil maps and correlated noise are drawn by the seed. Coils are loops around the object by Biot and
    Savart's law. The field of view is 220 mm.
    """
    from mrikit.io import Geometry
    from mrikit.physics.phantom import scan

    made = scan(matrix, coils=coils, slices=slices, noise=noise, anatomy=anatomy, seed=run.seed)
    spacing, pixel_y, pixel_x = made.voxel
    run.write(made.kspace, out, "kspace", geometry=Geometry(voxel=(pixel_x, pixel_y, spacing)))
