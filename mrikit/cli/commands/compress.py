"""mrikit compress: fewer, virtual coils."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from mrikit.cli import params
from mrikit.cli.runner import Run, command


@command(
    examples=[("mrikit compress --coils 8 scan.h5 small.h5", "the eight virtual coils that hold most energy")],
    uses=["device", "threads"],
)
def compress(
    run: Run,
    in_: params.Kspace,
    out: params.KspaceOutput,
    coils: Annotated[
        int | None,
        typer.Option(help="Virtual coils to keep; 8, or all where there are fewer.", min=1, show_default=False),
    ] = None,
) -> None:
    """Compress the coils of k-space into fewer virtual ones.

    By the singular vectors of the central 24 x 24 samples, slice by slice (Huang 2008), as `bart cc -S`.
    """
    from mrikit.physics.coils import compress

    reduce = partial(compress, coils=coils)
    scan = run.open(in_, "kspace")
    run.stream(reduce, [scan], out, kind="kspace", mask=scan.header.mask, device=run.device)
