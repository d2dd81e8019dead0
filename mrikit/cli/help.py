"""What a command knows about itself, and the help page that is made of it. The manual is made of the same."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

import click
from typer.core import TyperCommand

from mrikit.cli.options import PANEL


@dataclass(frozen=True)
class Spec:
    """What `@command` was told: `examples` of (command line, what it does), the options it `uses`."""

    examples: tuple[tuple[str, str], ...]
    uses: tuple[str, ...]


@dataclass(frozen=True)
class Paragraph:
    """A piece of a docstring; a `verbatim` one, a formula or a list, keeps its lines."""

    text: str
    verbatim: bool


def paragraphs(doc: str) -> list[Paragraph]:
    """The paragraphs of a docstring. Indented ones and lists are verbatim."""
    pieces = [piece for piece in re.split(r"\n\s*\n", inspect.cleandoc(doc)) if piece.strip()]
    return [
        Paragraph(piece.rstrip() if verbatim else " ".join(piece.split()), verbatim)
        for piece in pieces
        for verbatim in [piece.startswith((" ", "- "))]
    ]


class Command(TyperCommand):
    """A Typer command whose help page has its examples, and common options apart from its own."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        _restore_help(self)

    @property
    def spec(self) -> Spec:
        """What `@command` was told."""
        spec = getattr(self.callback, "spec", None)
        assert isinstance(spec, Spec)
        return spec

    def sections(self, ctx: click.Context) -> list[tuple[str, list[tuple[str, str]]]]:
        """(title, [(name, text), ...]): arguments, the command's own options, common options."""
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": [], PANEL: []}
        for param in self.get_params(ctx):
            if isinstance(param, click.Argument):
                title = "Arguments"
            else:
                common = "--help" in param.opts or getattr(param, "rich_help_panel", None) == PANEL
                title = PANEL if common else "Options"
            if record := _record(param, ctx):
                groups[title].append(record)
        return [(title, records) for title, records in groups.items() if records]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # Written out, since which parts click adds by itself changes between its versions.
        self.format_usage(ctx, formatter)
        for paragraph in paragraphs(self.help or ""):
            formatter.write_paragraph()
            with formatter.indentation():
                if paragraph.verbatim:
                    lines = paragraph.text.splitlines()
                    formatter.write("".join(f"{'':{formatter.current_indent}}{line}\n" for line in lines))
                else:
                    formatter.write_text(paragraph.text)
        for title, records in self.sections(ctx):
            with formatter.section(title):
                formatter.write_dl(records, col_max=24)
        with formatter.section("Examples"):
            for line, what in self.spec.examples:
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")
                with formatter.indentation():
                    formatter.write_text(what)


def _record(param: click.Parameter, ctx: click.Context) -> tuple[str, str] | None:
    """(name, text) of a parameter, without `[required]`: what has no brackets and no default is."""
    record = param.get_help_record(ctx)
    if record is None:
        return None
    name, text = record
    return name, text.replace("[required]", "").replace("; required]", "]").rstrip()


def _restore_help(command: TyperCommand) -> None:
    """Give arguments back their help: Typer up to 0.25 loses it to click from 8.5 on."""
    annotations = getattr(command.callback, "__annotations__", {})
    for param in command.params:
        if isinstance(param, click.Argument) and not getattr(param, "help", None):
            metadata = getattr(annotations.get(param.name), "__metadata__", ())
            param.help = next((m.help for m in metadata if hasattr(m, "help")), None)
