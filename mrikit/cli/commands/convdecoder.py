"""mrikit convdecoder: an untrained network, fitted to one scan."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mrikit.cli import params
from mrikit.cli.runner import Run, command


@command(
    examples=[
        ("mrikit convdecoder under.h5 maps.npy out.nii", "fit a network to every slice"),
        ("mrikit convdecoder --iters 300 under.h5 maps.npy out.nii", "sooner, with less detail and less noise"),
    ],
    uses=["device", "seed", "threads"],
)
def convdecoder(
    run: Run,
    in_: params.Kspace,
    maps: params.Maps,
    out: params.Output,
    iters: Annotated[int, typer.Option(help="Iterations of the fit.", min=1)] = 1000,
    part: params.Part = "auto",
) -> None:
    """Reconstruct without training: fit an untrained network to the measured k-space.

    A convolutional generator of 8 layers of 160 channels (ConvDecoder) has no weights that were ever trained; for every
    slice it begins with random ones, and Adam fits its complex image, through the maps, to the samples that are there,
    and to nothing else. It takes minutes a slice on a GPU and up to an hour on a CPU. --json tells the fit error
    ||A x - y|| / ||y|| of every slice.
    """
    from mrikit.classical.convdecoder import fit

    errors: list[float] = []

    def one_slice(kspace: Any, maps: Any) -> Any:
        found = fit(
            kspace, maps, len(errors), n_iters=iters, seed=run.seed, device=run.device, watch=run.within_slice
        )  # fmt: skip
        errors.append(found.error)
        return found.image

    run.stream(one_slice, [run.open_checked(in_, "kspace"), run.open(maps, "maps")], out, part=part)
    worst = f"fit error {max(errors):.4f}" + (" at worst" if len(errors) > 1 else "")
    run.note(f"{worst}, {iters} iterations, {run.device}, {run.seconds:.1f} s", fit_errors=errors)
