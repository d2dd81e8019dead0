"""mrikit metrics: image quality against a reference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mrikit.cli import params
from mrikit.cli.runner import Run, command


@command(
    examples=[
        ("mrikit metrics reference.nii out.nii", "PSNR, SSIM, NMSE and NRMSE"),
        ("mrikit metrics --json reference.nii a.nii b.nii", "two reconstructions, for a script"),
        ("mrikit metrics --scale reference.nii bart.cfl", "an image in other units"),
        ("mrikit metrics --plot cascades.png reference.nii states.npy", "PSNR and SSIM after every cascade"),
    ]
)
def metrics(
    run: Run,
    ref: Annotated[str, params.input_file("REF", "Reference image; - reads a pipe.")],
    outs: Annotated[list[str], params.input_file("OUT...", "Images, or trajectories, to compare with it.")],
    mask_level: Annotated[
        float, typer.Option(help="The object is where REF is above this share of its maximum.", min=0, max=1)
    ] = 0.05,
    scale: Annotated[
        bool, typer.Option("--scale", help="Multiply every image, or state, by what fits it to REF best, first.")
    ] = False,
    plot: Annotated[
        str | None, params.output_option("--plot", "Draw PSNR and SSIM of every state.", ".png", metavar="PNG")
    ] = None,
) -> None:
    """Compare images with a reference: PSNR, SSIM, NMSE, NRMSE.

    Over all voxels and inside the object. Magnitudes are compared, nothing is rescaled but by --scale, and the dynamic
    range is the maximum of the reference volume, as in fastMRI. SSIM has a 7 x 7 uniform window. NMSE is
    |a - b|^2 / |a|^2, and NRMSE its root. A trajectory of flat-recon is compared state by state; --plot draws it, with
    images as levels.
    """
    from mrikit.cli.checks import check_one_shape, other_units
    from mrikit.evaluate.metrics import compare, fit_scales, table, to_json

    # All that scores are relative to is known only at the end of the reference.
    reference, again = run.open_twice(ref, "image")
    kinds = ("image", "states")
    first = [run.open_twice(name, kinds) for name in outs] if scale else []
    images = [image for _, image in first] or [run.open(name, kinds) for name in outs]
    for image in images:
        check_one_shape(reference, image)
    peak, scales = fit_scales(run.slices([reference, *(image for image, _ in first)]))
    scores = compare(run.slices([again, *images]), peak, scales, mask_level=mask_level)
    reports = dict(zip(outs, scores, strict=True))
    for name, report in reports.items():
        nmse = (report[-1] if isinstance(report, list) else report).volume.nmse
        if warning := other_units(name, ref, nmse):
            run.warn(warning)
    if plot:
        from mrikit.evaluate import figures

        figures.save(figures.cascades(reports), Path(plot))
        run.note(outputs=[{"file": plot, "kind": "picture"}])
    run.result(table(reports), metrics={name: to_json(report) for name, report in reports.items()})
