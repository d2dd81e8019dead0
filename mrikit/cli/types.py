"""What an argument or option may be: the texts that are understood, and the line for one that is not."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem


class _File(click.ParamType):
    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if not text or "\0" in text:
            self.fail("a file name cannot be empty", param, ctx)
        return text

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


class InputFile(_File):
    """A file that is read, or `-`; a volume where it is not said to be something else. `folder`: or a folder."""

    def __init__(self, *, volume: bool = True, folder: bool = False) -> None:
        self.volume = volume
        self.folder = folder


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


class OutputFolder(_File):
    """A folder that is written."""


class Device(click.ParamType):
    """`auto`, `cpu`, `cuda` or `cuda:1`."""

    name = "device"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", str(value)):
            self.fail(f"{value!r} is not a device", param, ctx)
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in ("auto", "cpu", "cuda") if name.startswith(incomplete)]


class Pair(click.ParamType):
    """`Y,X` as two numbers, `N` for both, and, where allowed, the word `auto`. `rising`: the second is no less."""

    def __init__(
        self, number: type[int | float], *, auto: bool = False, single: bool = True, rising: bool = False
    ) -> None:
        self.number, self.auto, self.single, self.rising = number, auto, single, rising
        self.name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str) or (self.auto and value == "auto"):
            return value
        try:
            numbers = tuple(self.number(part) for part in value.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) == 1 and self.single:
            numbers *= 2
        if len(numbers) != 2 or (self.number is int and min(numbers) < 1):
            forms = (["auto"] if self.auto else []) + (["one number"] if self.single else []) + ["two, as in 24,48"]
            self.fail(f"{value!r} is not {' or '.join(forms)}", param, ctx)
        if self.rising and not numbers[0] <= numbers[1]:
            self.fail(f"{value!r} falls, expected the lower number first", param, ctx)
        return numbers


class Numbers(click.ParamType):
    """`4,8` as numbers, none twice: one or more, from `low` up where it is given."""

    name = "numbers"

    def __init__(self, number: type[int | float], low: float | None = None) -> None:
        self.number, self.low = number, low

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return tuple(dict.fromkeys(self._one(text, param, ctx) for text in parts(self, value, param, ctx)))

    def _one(self, text: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | float:
        try:
            number = self.number(text)
        except ValueError:
            number = float("nan")
        if not math.isfinite(number) or (self.low is not None and number < self.low):
            kind = "whole number" if self.number is int else "number"
            least = "" if self.low is None else f" from {self.low:g} up"
            self.fail(f"{text!r} is not a {kind}{least}", param, ctx)
        return number


class Words(click.ParamType):
    """Words with commas between them, none twice, each of `words` where these are given."""

    name = "words"

    def __init__(self, words: tuple[str, ...] = ()) -> None:
        self.words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = list(dict.fromkeys(parts(self, value, param, ctx)))
        for word in found:
            if self.words and word not in self.words:
                self.fail(f"{word!r} is not one of {', '.join(self.words)}", param, ctx)
        return found


def parts(of: click.ParamType, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Sequence[Any]:
    """What stands between the commas of a text; a default, which is none, is as it was."""
    if not isinstance(value, str):
        return value
    texts = [text.strip() for text in value.split(",")]
    if "" in texts:
        of.fail(f"{value!r} has an empty place", param, ctx)
    return texts


class Lines(click.ParamType):
    """`auto` or a number of lines."""

    name = "lines"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, int) or value == "auto":
            return value
        if not str(value).isdigit():
            self.fail(f"{value!r} is not auto or a number of lines", param, ctx)
        return int(value)


class AutoNumber(click.ParamType):
    """`auto` or a number."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, float) or value == "auto":
            return value
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is not auto or a number", param, ctx)


class Resource(click.ParamType):
    """`NAME=VALUE`, a whole number where it is one."""

    name = "resource"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int | str]:
        match = re.fullmatch(r"([A-Za-z_]\w*)=(.+)", str(value))
        if match is None:
            self.fail(f"{value!r} is not NAME=VALUE, as in gpu=1", param, ctx)
        return match[1], int(match[2]) if match[2].isdecimal() else match[2]
