"""mrikit convert: one format into another, raw data included."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer

from mrikit.cli import params, types
from mrikit.cli.runner import Run, command
from mrikit.errors import UsageError


@command(
    examples=[
        ("mrikit convert scan.h5 scan.cfl", "k-space for BART, with its dimensions in BART's order"),
        ("mrikit convert out.npy out.nii --part phase", "the phase, in radians, as NIfTI"),
        (
            "mrikit convert scan.h5:kspace - | mrikit rss - rss.nii",
            "HDF5 cannot be piped, so convert it first",
        ),
        (
            "mrikit convert bare.npy image.h5 --kind image",
            "say what a file holds that does not say it itself",
        ),
        ("mrikit convert --slices 10:20 scan.h5 some.h5", "ten slices, which lie where they lay"),
        ("mrikit convert --crop 320 image.nii cropped.nii", "the field of view of fastMRI's own images"),
        ("mrikit convert raw.mrd scan.h5", "raw data in ISMRMRD's format, sorted and whitened"),
        ("mrikit convert raw.mrd:contrast=1,repetition=0 echo.h5", "of several contrasts and repetitions, these"),
    ],
)
def convert(
    run: Run,
    in_: params.Volume,
    out: params.Output,
    kind: params.Kind = None,
    part: params.Part = "auto",
    slices: params.Slices = None,
    crop: Annotated[
        Any,
        typer.Option(
            metavar="N|Y,X",
            help="Keep the centre of images or maps alone: 320, as fastMRI's are.",
            click_type=types.Pair(int),
            show_default=False,
        ),
    ] = None,
    whiten: Annotated[
        bool | None,
        typer.Option(
            "--whiten/--no-whiten",
            help="Whiten the coils of raw data with their noise scan; by default where there is one.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Copy a volume into another format.

    Axes, geometry, units and history are carried over; values are not changed, except that NIfTI gets the
    magnitude of complex values unless --part says otherwise.

    Raw data in ISMRMRD's format (.mrd, .h5; Cartesian, two-dimensional) is sorted into k-space: partial Fourier and
    asymmetric echoes where they belong, readout oversampling removed, averages averaged, calibration lines kept, slices
    in the order of their positions, with the affine that the header means. A noise scan among them whitens the coils.
    """
    from mrikit.axes import parse_slices
    from mrikit.cli.checks import check_crop, check_part
    from mrikit.io import Picked

    volume = run.open(in_, kind)
    check_part(volume, part)
    if slices is not None:
        volume = Picked(volume, parse_slices(slices, volume.header.n_slices, volume.name))
    if crop is not None:
        check_crop(volume, crop)
    if whiten and volume.noise is None:
        raise UsageError(
            f"--whiten: {volume.name} has no noise scan", hint="`mrikit whiten` takes one, or does without"
        )
    if whiten is not False and volume.noise is not None:
        from mrikit.physics.coils import whiten as mix

        run.note(f"coils whitened with {volume.noise.shape[1]} noise samples", noise_samples=volume.noise.shape[1])
        white = partial(mix, noise=volume.noise)
        run.stream(white, [volume], out, "kspace", part=part, mask=volume.header.mask, check=False)
    else:
        run.copy(volume, out, part=part, crop=crop)
