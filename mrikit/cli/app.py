"""The `mrikit` command: a table of commands, each imported only when it is run.

`mrikit --help` costs what an empty Typer program costs: nothing here, and nothing that it imports, loads
NumPy. The command `flat-recon` is the function `flat_recon` in `mrikit/cli/commands/flat_recon.py`, and `policy train`,
whose first word is that of a group, is `policy_train` in `policy_train.py`.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import typer
from typer.core import TyperGroup

from mrikit._version import __version__
from mrikit.cli import failures

if TYPE_CHECKING:
    from mrikit.cli.help import Command

PROG = "mrikit"
HELP_NAMES = ["-h", "--help"]
COLLECT_AFTER = 50_000  # objects more than were freed; 700 is Python's own
COMPLETE = "_MRIKIT_COMPLETE"  # environment variable in which shells ask for completions

#: section -> command -> its one-line help, with which the command's docstring begins.
COMMANDS: dict[str, dict[str, str]] = {
    "Look and convert": {
        "info": "Show what a file holds: axes, geometry, sampling, history.",
        "convert": "Copy a volume into another format.",
        "view": "Show a volume as a picture.",
    },
    "Calibrate and combine": {
        "espirit": "Estimate coil maps from the fully sampled centre of k-space.",
        "mvue": "Combine coil images with their maps: the minimum-variance unbiased estimate.",
        "rss": "Root-sum-of-squares image of fully sampled k-space.",
        "whiten": "Mix the coils so that their noise is uncorrelated and of unit variance.",
        "compress": "Compress the coils of k-space into fewer virtual ones.",
    },
    "Sample": {
        "phantom": "Simulate a fully sampled multi-coil scan.",
        "mask": "Draw a sampling mask with exactly the acceleration asked for.",
        "undersample": "Set the samples of k-space outside a mask to zero.",
        "policy propose": "Choose the lines to measure by what a scan's low frequencies show.",
        "policy train": "Learn which lines of a scan, or pixels of an image, to measure.",
    },
    "Reconstruct": {
        "flat-recon": "Reconstruct an under-sampled scan with an unrolled network (FLAT).",
        "langevin": "Sample the posterior of a scan with a score prior: OUT is the mean.",
        "pics": "Parallel imaging and compressed sensing: the classical baseline.",
        "convdecoder": "Reconstruct without training: fit an untrained network to the measured k-space.",
    },
    "Evaluate": {
        "policy compare": "Compare sampling policies under one frozen task model.",
        "metrics": "Compare images with a reference: PSNR, SSIM, NMSE, NRMSE.",
        "evaluate": "Compare methods on fully sampled scans: scores, images, figures.",
        "report": "Make one page of what evaluate found: table, curves and a viewer.",
    },
    "Whole datasets": {
        "batch": "Run one command over many scans: here, or on a cluster.",
    },
    "Models and machine": {
        "models": "List the default weights, or show the card of one.",
        "unroll-train": "Train an unrolled network, FLAT along its flow, on measured and simulated scans.",
        "score-train": "Train a score prior on complex images, without knowing how scans will be measured.",
        "doctor": "Check this machine: versions, devices, memory, optional parts.",
        "cite": "Print the BibTeX entries of the methods in use.",
        "completion": "Print the completion script for a shell.",
    },
}

#: first word of commands of two words -> what they are for
GROUPS = {"policy": "Sampling policies: learned from what the low frequencies show, and compared with their rivals."}

PIPELINE = """\
mrikit espirit scan.h5 maps.npy
mrikit mvue scan.h5 maps.npy reference.nii
mrikit flat-recon --accel 8 scan.h5 out.nii
mrikit metrics reference.nii out.nii"""

INTRODUCTION = """\
Tools for accelerated MRI that chain in pipelines. Volumes are .npy, .h5, .nii (images) or .cfl; \
the suffix says which, and - is a pipe. Inputs come first, the output last."""


def table() -> dict[str, str]:
    """Every command and its one-line help, in the order of the help page."""
    return {name: text for section in COMMANDS.values() for name, text in section.items()}


def named(args: Sequence[str]) -> str:
    """The command, or the group, that the first words of a command line name; empty where they name none."""
    names = (*table(), *GROUPS)
    return next((name for name in names if list(args[: len(words := name.split())]) == words), "")


def load(name: str) -> Command:
    """The Typer command `name` of the table; imports its module."""
    from mrikit.cli.help import Command

    attribute = name.replace("-", "_").replace(" ", "_")
    module = importlib.import_module(f"mrikit.cli.commands.{attribute}")
    single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    single.command(name, cls=Command)(getattr(module, attribute))
    command = typer.main.get_command(single)
    assert isinstance(command, Command)
    return command


class Toolbox(TyperGroup):
    """All commands, or those of the group `word`. What it knows without importing them is in `COMMANDS`."""

    def __init__(self, word: str = "", **settings: Any) -> None:
        super().__init__(name=word or PROG, help=GROUPS.get(word), rich_markup_mode=None, **settings)
        self.word = word

    def sections(self) -> dict[str, dict[str, str]]:
        """The part of `COMMANDS` that is here."""
        start = f"{self.word} " if self.word else ""
        parts = {
            title: {name: text for name, text in commands.items() if name.startswith(start)}
            for title, commands in COMMANDS.items()
        }
        return {title: commands for title, commands in parts.items() if commands}

    def words(self) -> dict[str, str]:
        """The word that comes next -> its one-line help, in the order of the help page."""
        if self.word:
            return {
                name.removeprefix(f"{self.word} "): text
                for part in self.sections().values()
                for name, text in part.items()
            }
        return {(word := name.split()[0]): GROUPS.get(word, text) for name, text in table().items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.words())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.words():
            return None
        name = f"{self.word} {cmd_name}".lstrip()
        return Toolbox(name) if name in GROUPS else load(name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.words():
            raise _no_such_command(args[0], list(self.words()), ctx)
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            print(self.get_help(ctx), file=sys.stderr)
            ctx.exit(failures.USAGE)
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        names = [CompletionItem(n, help=text) for n, text in self.words().items() if n.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if not self.word:
            formatter.write("".join(f"  {line}\n" for line in PIPELINE.splitlines()))
            formatter.write_paragraph()
        formatter.write_text(GROUPS.get(self.word, INTRODUCTION))
        formatter.write_paragraph()
        formatter.write_usage(f"{PROG} {self.word}".rstrip(), "COMMAND [OPTIONS] IN... OUT")
        width = max(map(len, table()))
        for section, commands in self.sections().items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(width), text) for name, text in commands.items()])
        with formatter.section("Options"):
            records = [record for p in self.get_params(ctx) if (record := p.get_help_record(ctx))]
            formatter.write_dl([(name.ljust(width), text) for name, text in records])
        formatter.write_paragraph()
        formatter.write_text("`mrikit COMMAND --help` explains a command with examples; `man mrikit` lists exit codes.")


def _no_such_command(name: str, known: list[str], ctx: click.Context) -> click.UsageError:
    import difflib

    kind = "option" if name.startswith("-") else "command"
    error = click.UsageError(f"no {kind} {name!r}", ctx)
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    near += [other for other in known if name and other.startswith(name) and other not in near]
    if (words := name.replace("-", " ", 1)) in table():  # policy-train, as its manual page is called
        near = [words]
    error.hint = (f"did you mean {' or '.join(near)}? " if near else "") + f"{ctx.command_path} --help"  # type: ignore[attr-defined]
    return error


def _show_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"{PROG} {__version__}")
        ctx.exit()


def toolbox() -> Toolbox:
    """The group, with its own two options."""
    version = click.Option(
        ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
        help="Print the version.",
    )  # fmt: skip
    settings = {"help_option_names": HELP_NAMES, "max_content_width": 100}
    return Toolbox(params=[version], context_settings=settings)


def completion_script(shell: str) -> str:
    """The script that makes `shell` (bash, zsh or fish) ask mrikit for completions."""
    from click.shell_completion import get_completion_class

    complete = get_completion_class(shell)
    assert complete is not None
    return complete(toolbox(), {}, PROG, COMPLETE).source()


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line, by default that of this process, and return its exit code. Never raises."""
    if args is None:
        _spare_collector()
    _open_closed_streams()
    args = list(sys.argv[1:] if args is None else args)
    prog = _prog(args)
    try:
        with failures.signals_raise():
            _run(args)
        sys.stdout.flush()
        return 0
    except BaseException as error:
        code, line = failures.explain(error, prog)
        if line is not None and "--debug" in args:
            import traceback

            traceback.print_exc()
        if code == failures.SIGPIPE:
            _silence_stdout()
        if line is not None:
            print(line, file=sys.stderr)
        return code


def _run(args: list[str]) -> None:
    group = toolbox()
    if instruction := os.environ.get(COMPLETE):
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(group, {}, PROG, COMPLETE, instruction))
    with group.make_context(PROG, args, obj=tuple(args)) as ctx:
        group.invoke(ctx)


def _prog(args: list[str]) -> str:
    """`mrikit rss` where the first words are a command, for the start of an error line."""
    return f"{PROG} {named(args)}".rstrip()


def _spare_collector() -> None:
    """Let the garbage collector look less often, and at nothing at the end: of what is imported nothing is garbage.

    To import torch and to end takes 0.8 s so, and 1.2 s otherwise.
    """
    gc.set_threshold(COLLECT_AFTER)
    atexit.register(gc.freeze)


def _open_closed_streams() -> None:
    """Put nothing where a standard stream is closed; else the next file opened would take its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - open as long as the process


def _silence_stdout() -> None:
    """Point stdout at nothing, so that Python's own flush at exit has nothing to complain of."""
    with suppress(OSError, ValueError):  # in tests stdout is not a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
