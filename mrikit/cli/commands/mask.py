"""mrikit mask: which samples to measure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mrikit.cli import params
from mrikit.cli.runner import Run, command

if TYPE_CHECKING:
    import numpy as np


@command(
    examples=[
        (
            "mrikit mask --like scan.h5 --accel 4 mask.npy",
            "a quarter of the lines at random, the centre among them",
        ),
        ("mrikit mask --shape 320,320 --accel 8 --kind poisson mask.npy", "variable-density Poisson disc"),
        (
            "mrikit mask --shape 230,180 --accel 8 --acs 12 --axis y mask.npy",
            "lines along y, 12 of them central",
        ),
    ],
    uses=["seed"],
)
def mask(
    run: Run,
    out: params.MaskOutput,
    accel: Annotated[float, typer.Option(help="Acceleration: matrix / samples, the centre included.", min=1)],
    like: Annotated[str | None, params.input_option("--like", "A scan to take the matrix from.")] = None,
    shape: params.Shape = None,
    kind: params.MaskKind = "random",
    acs: params.Acs = "auto",
    axis: params.LineAxis = "x",
) -> None:
    """Draw a sampling mask with exactly the acceleration asked for.

    random, equispaced and gaussian keep round(N / accel) lines, the fully sampled centre included; poisson and radial
    keep as many samples of the plane. Give the matrix with --like or --shape. Like a scan of zero-padded k-space, a
    mask has none of its padding: it keeps what `--accel` of other commands would.
    """
    from mrikit.physics.masks import PLANE_KINDS
    from mrikit.physics.retrospective import Sampling
    from mrikit.physics.sampling import acceleration

    run.require_one_of(("--like", like), ("--shape", shape))
    matrix, acquired = _extent(like, shape)
    drawn = Sampling(accel, kind, acs, axis, run.seed).draw(acquired, matrix)
    if acquired.ndim == 1:  # zero-padding; of an asymmetric echo, which lacks rows, lines stay lines
        drawn &= acquired
    achieved = acceleration(drawn)
    run.write(drawn, out, "mask")
    plane = kind in PLANE_KINDS
    counted = drawn if plane or drawn.ndim == 1 else drawn.any(axis=1)  # lines along y: one per row
    what = f"{counted.sum()} of {counted.size} {'samples' if plane else 'lines'}"
    run.note(
        f"{kind}: {what}, R = {achieved:.3g} (asked for {accel:g})",
        requested_accel=accel, achieved_accel=achieved, n_sampled=int(drawn.sum()),
    )  # fmt: skip


def _extent(like: str | None, matrix: Any) -> tuple[Any, np.ndarray]:
    """The matrix (y, x), that of `like` if given, and what a fully sampled scan fills of it; all, where there is none.

    Of a scan the first slice is read, which makes it no input of the mask's history.
    """
    import numpy as np

    from mrikit.io import open_reader
    from mrikit.physics.sampling import is_complete, sampling

    if like is not None:
        with open_reader(like) as volume:
            matrix = volume.header.shape[-2:]
            if volume.header.kind == "kspace" and is_complete(acquired := sampling(next(iter(volume)))):
                return matrix, acquired
    return matrix, np.ones(matrix[-1], dtype=bool)
