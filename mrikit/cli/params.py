"""Arguments and options that commands share, so that one thing has one name and one help text.

A command writes `in_: params.Kspace`, or, for words of its own,
`maps: Annotated[str, params.input_file("maps", "MAPS", "Coil maps, or -.")]`. The runner knows inputs and
outputs by their types and checks them before the command starts.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import click
import typer

from mrikit.cli.types import InputFile, Lines, Numbers, OutputFile, OutputFolder, Pair, Resource, Words


def input_file(metavar: str, help: str, *, volume: bool = True, folder: bool = False) -> Any:
    """Argument naming a file to read: a volume, or with `volume=False` anything; with `folder` a folder, too."""
    file = InputFile(volume=volume, folder=folder)
    return typer.Argument(metavar=metavar, help=help, click_type=file, show_default=False)


def input_option(name: str, help: str, metavar: str = "FILE", *, volume: bool = True) -> Any:
    """Option naming a file to read: a volume, or with `volume=False` anything."""
    file = InputFile(volume=volume)
    return typer.Option(name, metavar=metavar, help=help, click_type=file, show_default=False)


def output_file(metavar: str, help: str, *suffixes: str) -> Any:
    """Argument naming a file to write: a volume, or with `suffixes` a file of another sort."""
    return typer.Argument(metavar=metavar, help=help, click_type=OutputFile(suffixes), show_default=False)


def output_option(name: str, help: str, *suffixes: str, metavar: str = "FILE") -> Any:
    """Option naming a file to write: a volume, or with `suffixes` a file of another sort."""
    return typer.Option(name, metavar=metavar, help=help, click_type=OutputFile(suffixes), show_default=False)


def output_folder(name: str, help: str) -> Any:
    """Option naming a folder to write."""
    return typer.Option(name, metavar="DIR", help=help, click_type=OutputFolder(), show_default=False)


Kspace = Annotated[str, input_file("IN", "k-space with axes (slice, coil, y, x); - reads a pipe.")]
Maps = Annotated[str, input_file("MAPS", "Coil maps with axes (slice, coil, y, x), or with sets; - reads a pipe.")]
Mask = Annotated[str, input_file("MASK", "Sampling mask with axes (x) or (y, x); - reads a pipe.")]
Volume = Annotated[str, input_file("IN", "Any file mrikit reads: .npy .h5 .nii .nii.gz .cfl; - reads a pipe.")]
Output = Annotated[
    str,
    output_file("OUT", "Where the result goes, the suffix says how: .npy .h5 .nii .nii.gz .cfl; - pipes it on."),
]
KspaceOutput = Annotated[str, output_file("OUT", "Where the k-space goes: .npy .h5 .cfl; - pipes it on.")]
MaskOutput = Annotated[str, output_file("OUT", "Where the mask goes: .npy .h5 .cfl; - pipes it on.")]
MapsOutput = Annotated[str, output_file("MAPS", "Where the coil maps go: .npy .h5 .cfl; - pipes them on.")]
AccelOption = Annotated[
    float | None,
    typer.Option("--accel", help="Under-sample a full scan to this acceleration first.", min=1, show_default=False),
]
MaskOption = Annotated[str | None, input_option("--mask", "Keep only the samples of this mask.")]
MapsOption = Annotated[str | None, input_option("--maps", "Coil maps to use instead of estimating them.")]
MapsOutOption = Annotated[str | None, output_option("--maps-out", "Also write the coil maps here.")]

PartName = Literal["auto", "mag", "phase", "real", "imag", "complex"]
Part = Annotated[
    PartName,
    typer.Option(
        "--part",
        metavar="PART",
        help="What to write of complex values: mag, phase (radians), real, imag or complex. "
        "auto is mag for NIfTI and complex for the others.",
    ),
]
KindName = Literal["kspace", "maps", "image", "samples", "states", "mask", "noise"]
Kind = Annotated[
    KindName | None,
    typer.Option(
        "--kind",
        metavar="KIND",
        help="What IN holds, where the file does not say: kspace, maps, image, samples, states, mask or noise.",
        show_default=False,
    ),
]


Calib = Annotated[
    Any,
    typer.Option(
        "--calib",
        metavar="N|Y,X|auto",
        help="Calibration region, as far as it is fully sampled; auto finds it.",
        click_type=Pair(int, auto=True),
    ),
]
Shape = Annotated[
    Any,
    typer.Option("--shape", metavar="Y,X", help="Matrix.", click_type=Pair(int), show_default=False),
]
Matrix = Annotated[Any, typer.Option("--matrix", metavar="N|Y,X", help="Matrix.", click_type=Pair(int))]
Window = Annotated[
    Any,
    typer.Option(
        "--window",
        metavar="LOW,HIGH",
        help="Values shown as black and white; by default 0, or the opposite if signed, and the 99.9 % quantile.",
        click_type=Pair(float, single=False, rising=True),
        show_default=False,
    ),
]
Acs = Annotated[
    Any,
    typer.Option(
        "--acs",
        metavar="N|auto",
        help="Lines of the fully sampled centre; auto is max(12, 8 % up to R = 6, else 4 %).",
        click_type=Lines(),
    ),
]
MaskKindName = Literal["random", "equispaced", "gaussian", "poisson", "radial"]
_KINDS = "random, equispaced, gaussian (lines), poisson or radial (plane)."
MaskKind = Annotated[MaskKindName, typer.Option("--kind", metavar="KIND", help=_KINDS)]
MaskKindOption = Annotated[
    MaskKindName, typer.Option("--mask-kind", metavar="KIND", help=f"Mask that --accel draws: {_KINDS}")
]
SeveralKinds = Annotated[
    Any,
    typer.Option("--mask-kind", metavar="KIND,...", help=f"Masks: {_KINDS}", click_type=Words(get_args(MaskKindName))),
]
SeveralAxes = Annotated[
    Any,
    typer.Option("--axis", metavar="x|y|x,y", help="Axes along which lines are chosen.", click_type=Words(("x", "y"))),
]
SeveralAccels = Annotated[
    Any, typer.Option("--accel", metavar="R,...", help="Accelerations.", click_type=Numbers(float, low=1))
]
MaskKinds = Annotated[
    list[str] | None,
    typer.Option(
        "--mask-kind",
        metavar="KIND",
        click_type=click.Choice(get_args(MaskKindName)),
        help=f"Draw masks of this kind only; may be given again. {_KINDS} All but radial by default.",
        show_default=False,
    ),
]
AccelRange = Annotated[
    Any,
    typer.Option(
        "--accel",
        metavar="LOW,HIGH",
        help="Accelerations are drawn between these two; one number is just that.",
        click_type=Pair(float, rising=True),
    ),
]
Slices = Annotated[
    str | None, typer.Option("--slices", help="Which slices, in their order: 3, 0,4,8 or 2:10:2.", show_default=False)
]
LineAxis = Annotated[
    Literal["x", "y"],
    typer.Option("--axis", metavar="x|y", help="Axis along which lines are chosen; poisson and radial choose none."),
]
Model = Annotated[
    str,
    typer.Option("--model", metavar="NAME|FILE", help="A default model (`mrikit models`) or a .safetensors file."),
]

# what training commands share

STEPS = 6000
Steps = Annotated[int | None, typer.Option(help=f"Training steps; {STEPS} by default.", min=1, show_default=False)]
Epochs = Annotated[
    float | None,
    typer.Option(help="Instead of --steps: so many times the images of TRAIN.", min=0.01, max=1e6, show_default=False),
]
Batch = Annotated[int, typer.Option(help="Scans a step, in each process.", min=1)]
LearningRate = Annotated[float, typer.Option(help="Highest learning rate.", min=0)]
Validate = Annotated[
    list[str] | None, input_option("--validate", "Images or full k-space to validate with; may be given again.")
]
Simulated = Annotated[float, typer.Option(help="Share of simulated anatomy.", min=0, max=1)]
Strict = Annotated[bool, typer.Option("--strict", help="Fail where a file in a folder, or a slice, would be left out.")]
SaveEvery = Annotated[int, typer.Option(help="Steps from one saved state and validation to the next.", min=1)]
Licence = Annotated[str, typer.Option(metavar="NAME", help="Licence of the weights, for their card.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from WEIGHTS' .run folder, exactly.")]

# what makes an unrolled network

Architecture = Annotated[
    Literal["flat", "modl", "varnet"] | None,
    typer.Option("--arch", metavar="NAME", help="flat (the default), modl or varnet.", show_default=False),
]
Config = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="A preset, flat-small, flat, modl, modl-small, varnet or varnet-small, or a .json file of the same form.",
        show_default=False,
    ),
]
Mode = Annotated[
    Literal["posterior", "paper", "free"] | None,
    typer.Option(metavar="NAME", help="FLAT: posterior, paper, or free, with learned steps.", show_default=False),
]
Cascades = Annotated[int | None, typer.Option(help="Cascades, or unrolls.", min=1, show_default=False)]
SchedulePower = Annotated[
    float | None, typer.Option(help="FLAT: t_k = (1 - k/N)^(1 + this).", min=0, show_default=False)
]
Shared = Annotated[
    bool | None,
    typer.Option("--shared/--unshared", help="FLAT: one U-Net for all cascades, or one each.", show_default=False),
]
NetworkMaps = Annotated[
    Literal["espirit", "sensenet"] | None,
    typer.Option("--maps", metavar="NAME", help="VarNet: espirit, or sensenet, its own.", show_default=False),
]
Init = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE", help="Begin with these weights, and their network.", show_default=False),
]
AlignWeight = Annotated[
    float | None, typer.Option(help="Weight of the alignment; 0.1 by default.", min=0, show_default=False)
]
MagnitudeWeight = Annotated[
    float, typer.Option(help="Share of the magnitude's error in the loss, beside the complex image's.", min=0, max=1)
]
Optimiser = Annotated[
    Literal["adam", "muon"],
    typer.Option(metavar="NAME", help="adam, or muon for kernels: a seventh more time a step, and more learned in it."),
]
Hold = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Parameters to leave as they begin, * being anything; may be given again."),
]
Align = Annotated[
    Literal["state", "velocity", "none"] | None,
    typer.Option(metavar="NAME", help="Align states with the ideal path: state (FLAT), velocity, none (the others)."),
]

# what a batch asks for


Resources = Annotated[
    list[Any] | None,
    typer.Option(
        "--resources",
        metavar="NAME=VALUE",
        click_type=Resource(),
        help="What a job needs: gpu=1, runtime=60 (minutes), mem_mb=8000 (on a cluster 4000 by default); may be "
        "given again.",
        show_default=False,
    ),
]

# what policies are trained for and compared on

Policy = Annotated[
    str | None,
    typer.Option(
        "--policy",
        metavar="NAME|FILE",
        help="A default policy (`mrikit models`) or a .safetensors file.",
        show_default=False,
    ),
]
Accels = Annotated[
    Any,
    typer.Option(
        "--accel",
        metavar="R,...",
        help="Scans: accelerations, 4 by default; of several one is drawn for every batch.",
        click_type=Numbers(float),
        show_default=False,
    ),
]
PolicyMatrix = Annotated[
    int | None,
    typer.Option(
        "--matrix",
        metavar="N",
        help="Lines of a scan, or side of an image; 128 by default.",
        min=8,
        max=4096,
        show_default=False,
    ),
]
PolicyCoils = Annotated[
    Any,
    typer.Option(
        "--coils",
        metavar="N,...",
        help="Scans: receiver coils, 1 by default; of several one is drawn for every batch.",
        click_type=Numbers(int, low=1),
        show_default=False,
    ),
]
