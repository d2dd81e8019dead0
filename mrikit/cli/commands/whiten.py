"""mrikit whiten: decorrelate the noise of the coils."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from mrikit.cli import params
from mrikit.cli.runner import Run, command


@command(
    examples=[
        ("mrikit whiten --noise noise.npy scan.h5 white.h5", "with a noise scan of axes (coil, sample)"),
        ("mrikit whiten scan.h5 white.h5", "noise estimated at the ends of the readout"),
    ],
    uses=["device", "threads"],
)
def whiten(
    run: Run,
    in_: params.Kspace,
    out: params.KspaceOutput,
    noise: Annotated[
        str | None, params.input_option("--noise", "Noise samples with axes (coil, sample), without signal.")
    ] = None,
) -> None:
    """Mix the coils so that their noise is uncorrelated and of unit variance.

    Without --noise the samples at both ends of the readout stand in, slice by slice: an upper bound on the noise.
    """
    from mrikit.physics.coils import whiten

    samples = None if noise is None else run.read(noise, "noise")
    scan = run.open(in_, "kspace")
    run.stream(partial(whiten, noise=samples), [scan], out, kind="kspace", mask=scan.header.mask, device=run.device)
