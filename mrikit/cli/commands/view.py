"""mrikit view: a picture of a volume."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrikit.cli import params
from mrikit.cli.runner import Run, command
from mrikit.errors import UsageError


@command(
    examples=[
        ("mrikit view out.nii out.png", "every slice, magnitude"),
        ("mrikit view --against reference.nii zero_filled.nii out.nii out.png", "side by side, with the error"),
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
    title: Annotated[str | None, typer.Option(help="Title; the file's name by default.", show_default=False)] = None,
) -> None:
    """Show a volume as a picture: slices in a grid, one grey scale, a colour bar.

    Images, maps, k-space (logarithmic) and masks can be shown. With --against every IN stands beside the reference
    with its PSNR and SSIM, and the error of the last one at the end.
    """
    from mrikit.axes import parse_slices
    from mrikit.evaluate import figures

    if against is None and len(images) > 1:
        raise UsageError("several volumes are shown beside a reference", hint="--against REFERENCE")
    readers = [run.open(name) for name in images]
    volumes = [run.read(reader) for reader in readers]
    first = readers[0].header
    chosen = parse_slices(slices, first.n_slices, readers[0].name)
    if against is not None:
        panels = [figures.displayable(v, reader.header.kind) for v, reader in zip(volumes, readers, strict=True)]
        reference = figures.displayable(run.read(against, "image"), "image")
        names = [figures.caption(name) for name in images]
        names = names if len(set(names)) == len(names) else images  # a/out.nii beside b/out.nii
        figure = figures.comparison(reference, dict(zip(names, panels, strict=True)), chosen, window)
    else:
        volume = volumes[0][chosen] if first.sliced else volumes[0]
        names = figures.labels(first.axes[:-2], volume.shape[:-2], chosen if first.n_slices > 1 else ())
        figure = figures.montage(
            figures.displayable(volume, first.kind), names, title or figures.caption(images[0]), window
        )
    figures.save(figure, Path(png))
    run.note(outputs=[{"file": png, "kind": "picture"}], shown=chosen)
