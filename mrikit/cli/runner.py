"""The frame of a command: `@command` gives it common options and a `Run`, and renders its help.

    @command(examples=[("mrikit rss scan.h5 rss.nii", "root-sum-of-squares image")])
    def rss(run: Run, in_: params.Kspace, out: params.Output) -> None:
        \"""Root-sum-of-squares image of fully sampled k-space.\"""
        from mrikit.physics.coils import rss

        run.stream(rss, [run.open(in_, "kspace")], out)

Errors, exit codes and signals are `app.main`'s and `failures`'; nothing of a command catches anything.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from mrikit.cli import options
from mrikit.cli.files import check_formats, check_inputs, check_outputs
from mrikit.cli.help import Spec
from mrikit.cli.run import Run
from mrikit.cli.types import InputFile, OutputFile, OutputFolder

__all__ = ["Run", "command"]


def command(
    *, examples: Iterable[tuple[str, str]], uses: Sequence[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function whose first argument is a `Run` into a command.

    examples: command lines and what each does, for --help and the man page.
    uses: which of device, seed, threads and chunk the command has a use for. --json, --quiet, --verbose
    and --debug it has anyway, and --force where it writes a file.
    """
    spec = Spec(tuple(examples), tuple(uses))

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        common = options.parameters(spec.uses, writes=any(_is_output(p.annotation) for p in own))
        names = [parameter.name for parameter in common]

        def wrapper(**values: Any) -> None:
            settings = options.Settings(**{name: values.pop(name) for name in names})
            _run(function, values, settings, spec)

        wrapper.__name__ = function.__name__
        wrapper.__doc__ = function.__doc__
        wrapper.__module__ = function.__module__
        # Typer reads a default only from parameters that have one, in any order.
        keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        wrapper.__signature__ = inspect.Signature(keyword + common)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in keyword + common}
        wrapper.spec = spec  # type: ignore[attr-defined]
        return wrapper

    return decorate


def _is_output(annotation: Any) -> bool:
    types = [getattr(m, "click_type", None) for m in getattr(annotation, "__metadata__", ())]
    return any(isinstance(one, (OutputFile, OutputFolder)) for one in types)


def _run(function: Callable[..., None], values: dict[str, Any], settings: options.Settings, spec: Spec) -> None:
    ctx = click.get_current_context()
    _require_finite(ctx)
    inputs, outputs = _paths(ctx, InputFile), _paths(ctx, OutputFile)
    check_inputs(inputs, folders=_paths(ctx, InputFile, "folder"))
    check_outputs(outputs, inputs, force=settings.force, resume=bool(values.get("resume")))
    name = ctx.command.name or function.__name__
    with Run(name, ctx.obj or sys.argv[1:], settings, inputs, outputs, uses=spec.uses) as run:
        if out_volumes := _paths(ctx, OutputFile, "volume"):
            check_formats(_paths(ctx, InputFile, "volume") + out_volumes)
        function(run, **values)


def _require_finite(ctx: click.Context) -> None:
    """Raise click.BadParameter for NaN or infinity, which no range of an option keeps out."""
    for param in ctx.command.params:
        value = ctx.params.get(param.name or "")
        for number in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise click.BadParameter(f"{number} is not a finite number", ctx=ctx, param=param)


def _paths(ctx: click.Context, kind: type[InputFile | OutputFile], only: str | None = None) -> list[str]:
    """Every file name given for a parameter of that type; with `only`, of which this attribute is true."""
    found: list[str] = []
    for param in ctx.command.params:
        value = ctx.params.get(param.name or "")
        if isinstance(param.type, kind) and value is not None and (only is None or getattr(param.type, only)):
            found += [value] if isinstance(value, str) else value
    return found
