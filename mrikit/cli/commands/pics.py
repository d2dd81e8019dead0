"""mrikit pics: the classical baselines."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import typer

from mrikit.cli import params
from mrikit.cli.runner import Run, command


@command(
    examples=[
        ("mrikit pics under.h5 maps.npy out.nii", "L1-wavelet"),
        ("mrikit pics --reg l2 --lambda 0.01 under.h5 maps.npy out.nii", "regularised least squares"),
    ],
    uses=["threads", "chunk"],
)
def pics(
    run: Run,
    in_: params.Kspace,
    maps: params.Maps,
    out: params.Output,
    reg: Annotated[Literal["wavelet", "tv", "l2"], typer.Option(metavar="R", help="wavelet, tv or l2.")] = "wavelet",
    lamda: Annotated[
        float | None,
        typer.Option("--lambda", help="Weight: 0.002, for tv 0.005, for l2 0.01.", min=0, show_default=False),
    ] = None,
    iters: Annotated[
        int | None, typer.Option(help="Iterations: 100, for tv 40, for l2 30.", min=1, show_default=False)
    ] = None,
    part: params.Part = "auto",
) -> None:
    """Parallel imaging and compressed sensing: the classical baseline.

    Through SigPy: min_x 1/2 ||A x - y||^2 + lambda R(x), with R the l1 norm of wavelet coefficients (Lustig 2007) or
    total variation (Block 2007); or, for l2, |x|^2 by conjugate gradients (Pruessmann 2001). lambda counts in units of
    the 0.99 quantile of the zero-filled image, so one value serves every scan. Wavelets are shifted at random from step
    to step, as BART's are. --chunk counts coils.
    """
    from mrikit.classical.pics import pics

    solve = partial(pics, reg=reg, lamda=lamda, n_iters=iters, chunk=run.chunk)
    run.stream(solve, [run.open(in_, "kspace"), run.open(maps, "maps")], out, part=part)
