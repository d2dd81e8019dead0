"""Arguments and options that commands share, so that one thing has one name and one help text.

A command writes `in_: params.Kspace`, or, for words of its own,
`maps: Annotated[str, params.input_file("maps", "MAPS", "Coil maps, or -.")]`. The runner knows inputs and
outputs by their types and checks them before the command starts.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import click
import typer
from click.shell_completion import CompletionItem


class _File(click.ParamType):
    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if not text or "\0" in text:
            self.fail("a file name cannot be empty", param, ctx)
        return text

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


class InputFile(_File):
    """A file that is read, or `-`; a volume where it is not said to be something else."""

    def __init__(self, *, volume: bool = True) -> None:
        self.volume = volume


class OutputFile(_File):
    """A file that is written, or `-`: a volume, or with `suffixes` a file of another sort."""

    def __init__(self, suffixes: tuple[str, ...] = ()) -> None:
        self.suffixes = suffixes
        self.volume = not suffixes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = super().convert(value, param, ctx)
        if self.suffixes and not text.lower().endswith(self.suffixes):
            self.fail(f"{text}: must end in {' or '.join(self.suffixes)}", param, ctx)
        return text


class Device(click.ParamType):
    """`auto`, `cpu`, `cuda` or `cuda:1`."""

    name = "device"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", str(value)):
            self.fail(f"{value!r} is not a device", param, ctx)
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(name) for name in ("auto", "cpu", "cuda") if name.startswith(incomplete)]


def input_file(metavar: str, help: str, *, volume: bool = True) -> Any:
    """Argument naming a file to read: a volume, or with `volume=False` anything (weights, a table)."""
    return typer.Argument(metavar=metavar, help=help, click_type=InputFile(volume=volume), show_default=False)


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


Kspace = Annotated[str, input_file("IN", "k-space with axes (slice, coil, y, x); - reads a pipe.")]
Maps = Annotated[
    str, input_file("MAPS", "Coil maps with axes (slice, coil, y, x), or with sets; - reads a pipe.")
]
Mask = Annotated[str, input_file("MASK", "Sampling mask with axes (x) or (y, x); - reads a pipe.")]
Image = Annotated[str, input_file("IN", "Image with axes (slice, y, x); - reads a pipe.")]
Volume = Annotated[
    str, input_file("IN", "Any file mrikit reads: .npy .h5 .nii .nii.gz .cfl; - reads a pipe.")
]
Output = Annotated[
    str,
    output_file(
        "OUT", "Where the result goes, the suffix says how: .npy .h5 .nii .nii.gz .cfl; - pipes it on."
    ),
]
MapsOutput = Annotated[
    str, output_file("MAPS", "Where the coil maps go: .npy .h5 .nii .cfl; - pipes them on.")
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
KindName = Literal["kspace", "maps", "image", "samples", "mask", "noise"]
Kind = Annotated[
    KindName | None,
    typer.Option(
        "--kind",
        metavar="KIND",
        help="What IN holds, where the file does not say: kspace, maps, image, samples, mask or noise.",
        show_default=False,
    ),
]
