"""mrikit metrics: image quality against a reference."""

from __future__ import annotations

from typing import Annotated

import typer

from mrikit.cli import params
from mrikit.cli.runner import Run, command


@command(
    examples=[
        ("mrikit metrics reference.nii out.nii", "PSNR, SSIM, NMSE and NRMSE"),
        ("mrikit metrics --json reference.nii a.nii b.nii", "two reconstructions, for a script"),
    ]
)
def metrics(
    run: Run,
    ref: Annotated[str, params.input_file("REF", "Reference image; - reads a pipe.")],
    outs: Annotated[list[str], params.input_file("OUT...", "Images to compare with it.")],
    mask_level: Annotated[
        float, typer.Option(help="The object is where REF is above this share of its maximum.", min=0, max=1)
    ] = 0.05,
) -> None:
    """Compare images with a reference: PSNR, SSIM, NMSE, NRMSE.

    Over all voxels and inside the object. Magnitudes are compared, nothing is rescaled, and the dynamic range is the
    maximum of the reference volume, as in fastMRI. SSIM has a 7 x 7 uniform window. NMSE is |a - b|^2 / |a|^2, and
    NRMSE its root.
    """
    from mrikit.evaluate.metrics import metrics, table

    reference = run.read(ref, "image")
    reports = {name: metrics(reference, run.read(name, "image"), mask_level=mask_level) for name in outs}
    run.result(table(reports), metrics={name: report.to_json() for name, report in reports.items()})
