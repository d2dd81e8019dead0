"""mrikit view: a picture of a volume."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mrikit.cli import params
from mrikit.cli.runner import Run, command
from mrikit.errors import UsageError


@command(
    examples=[
        ("mrikit view out.nii out.png", "every slice, magnitude"),
        ("mrikit view --against reference.nii zero_filled.nii out.nii out.png", "side by side, with the error"),
        ("mrikit view --part phase maps.npy maps.png", "what a receiver coil does to the phase"),
        ("mrikit mvue scan.h5 maps.npy - | mrikit view - slice.png", "the end of a pipe"),
    ]
)
def view(
    run: Run,
    images: Annotated[list[str], params.input_file("IN...", "Volumes to show; - reads a pipe.")],
    png: Annotated[str, params.output_file("PNG", "Where the picture goes.", ".png")],
    slices: params.Slices = None,
    against: Annotated[str | None, params.input_option("--against", "Reference to compare with.")] = None,
    window: params.Window = None,
    part: Annotated[
        Literal["mag", "phase", "real", "imag"] | None,
        typer.Option(
            metavar="PART",
            help="mag, phase, real or imag; magnitudes of complex values by default, real ones as they are.",
            show_default=False,
        ),
    ] = None,
    scale: Annotated[
        bool, typer.Option("--scale", help="Multiply every IN by what fits it to the reference best, first.")
    ] = False,
    title: Annotated[str | None, typer.Option(help="Title; the file's name by default.", show_default=False)] = None,
) -> None:
    """Show a volume as a picture: slices in a grid, one grey scale, a colour bar.

    Images, maps, k-space (logarithmic) and masks can be shown, coils side by side. With --against the magnitude of
    every IN stands beside that of the reference with its PSNR and SSIM, and the error of the last one at the end.
    """
    import numpy as np

    from mrikit.axes import parse_slices
    from mrikit.cli.checks import check_one_shape, other_units
    from mrikit.evaluate import figures
    from mrikit.evaluate.metrics import fit_scales, metrics

    if against is None and len(images) > 1:
        raise UsageError("several volumes are shown beside a reference", hint="--against REFERENCE")
    if against is None and scale:
        raise UsageError("--scale fits images to a reference", hint="--against REFERENCE")
    if against is not None and part not in (None, "mag"):
        raise UsageError(f"--part {part}: --against compares magnitudes")
    readers = [run.open(name, "image" if against else None) for name in images]
    volumes = [run.read(reader) for reader in readers]
    first = readers[0].header
    chosen = parse_slices(slices, first.n_slices, readers[0].name)
    if against is not None:
        beside = run.open(against, "image")
        for reader in readers:
            check_one_shape(beside, reader)
        reference, *panels = [figures.displayable(v, "image", "mag") for v in (run.read(beside), *volumes)]
        if scale:
            _, factors = fit_scales(zip(reference, *panels, strict=True))
            panels = [panel * np.float32(factor) for panel, factor in zip(panels, factors, strict=True)]
        for name, panel in zip(images, panels, strict=True):
            if warning := other_units(name, against, metrics(reference[chosen], panel[chosen]).volume.nmse):
                run.warn(warning)
        names = [figures.caption(name) for name in images]
        names = names if len(set(names)) == len(names) else images  # a/out.nii beside b/out.nii
        figure = figures.comparison(reference, dict(zip(names, panels, strict=True)), chosen, window)
    else:
        figure = figures.volume(
            volumes[0], first, chosen, title=title or figures.caption(images[0]), window=window, part=part
        )
    figures.save(figure, Path(png))
    run.note(outputs=[{"file": png, "kind": "picture"}], shown=chosen)
