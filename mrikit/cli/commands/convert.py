"""mrikit convert: one format into another."""

from __future__ import annotations

from mrikit.cli import params
from mrikit.cli.runner import Run, command


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
    ],
)
def convert(
    run: Run,
    in_: params.Volume,
    out: params.Output,
    kind: params.Kind = None,
    part: params.Part = "auto",
) -> None:
    """Copy a volume into another format.

    Axes, geometry, units and history are carried over; values are not changed, except that NIfTI gets the
    magnitude of complex values unless --part says otherwise.
    """
    run.copy(run.open(in_, kind), out, part=part)
