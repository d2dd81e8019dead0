"""What a batch is to do: one item a scan, made of a template with {in} and {out}.

A template is the words of an mrikit command, `flat-recon --accel 8 {in} {out}.nii`, or one string for the shell,
`mrikit espirit {in} - | mrikit mvue {in} - {out}.nii`. Words never meet a shell; in a string, mrikit quotes the
names. {out} is the scan's name without its suffix, in the output folder, {parent} the name of the scan's own folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from mrikit.cli import app
from mrikit.errors import MrikitError, UsageError
from mrikit.io.paths import locate, split_dataset, stem

_PLACE = re.compile(r"\{(in|out|parent)\}")


@dataclass(frozen=True)
class Item:
    """One scan: the `command` to run, words or a line for the shell, and the files that it will have written."""

    scan: str
    name: str
    command: tuple[str, ...] | str
    outputs: tuple[str, ...]

    @property
    def key(self) -> str:
        """A file name for notes about the item, whatever is in its own name, apart from those of other outputs."""
        names = [self.name, *(Path(output).name for output in self.outputs)]
        return hashlib.sha256(b"\0".join(map(os.fsencode, names))).hexdigest()[:20]


def split(argv: Sequence[str], words: Sequence[str]) -> tuple[list[str], list[str]]:
    """(scans, template) of all `words` that are no options, by the first `--` of the command line `argv`."""
    n_words = len(argv) - 1 - list(argv).index("--") if "--" in argv else 0
    if not n_words:
        raise UsageError("no command to run", hint="put it behind --, as in: -- flat-recon --accel 8 {in} {out}.nii")
    scans, template = list(words[: len(words) - n_words]), list(words[len(words) - n_words :])
    if not scans:
        raise UsageError("no scans", hint="name them in front of --")
    return scans, template


def make_items(scans: Sequence[str], template: Sequence[str], folder: Path) -> list[Item]:
    """One item a scan, with outputs in `folder`, an absolute path.

    Raises UsageError where the template cannot be meant, where two outputs have one name, or where one is a scan.
    """
    line = _shell_line(template)
    if line is None:
        template = _command_words(template)
    pieces = _outputs_of(_shell_words(line) if line else template)
    items = [_make_item(scan, line or template, pieces, folder) for scan in scans]
    sources = {os.path.realpath(split_dataset(scan)[0]): scan for scan in scans}
    taken: dict[str, str] = {}
    for item in items:
        for output in item.outputs:
            if output in taken:
                raise UsageError(
                    f"{taken[output]} and {item.scan} would both write {output}",
                    hint="{out}_{parent} has the name of the scan's folder in it, too",
                )
            taken[output] = item.scan
            if source := sources.get(os.path.realpath(output)):
                raise UsageError(f"{item.scan} would write {output}, which is the scan {source}", hint="another --out")
    return items


def _make_item(scan: str, template: Sequence[str] | str, pieces: Sequence[str], folder: Path) -> Item:
    file, dataset = split_dataset(scan)
    path, name = Path(file).absolute(), stem(scan)
    # Absolute, so that a name that begins with a dash is no option.
    source = str(path) + (f":{dataset}" if dataset else "")
    values = {"in": source, "out": str(folder / name), "parent": path.parent.name}

    def fill(text: str) -> str:
        return _PLACE.sub(lambda place: values[place[1]], text)

    command: tuple[str, ...] | str
    if isinstance(template, str):
        command = _PLACE.sub(lambda place: shlex.quote(values[place[1]]), template)
    else:
        command = tuple(map(fill, template))
    return Item(scan, name, command, tuple(file for piece in pieces for file in _files(fill(piece))))


def _files(output: str) -> tuple[str, ...]:
    """The files that an output is written to: a .cfl has two."""
    try:
        return tuple(map(str, locate(output).files))
    except MrikitError:  # no volume
        return (output,)


def _shell_line(template: Sequence[str]) -> str | None:
    """The template as a line for the shell; None where it is the words of a command."""
    if len(template) == 1 and len(template[0].split()) > 1:
        return template[0]
    return None


def _command_words(template: Sequence[str]) -> list[str]:
    """The words behind `mrikit`, after a look at whether the command takes them. Raises UsageError where not."""
    words = list(template[1:] if template[0] == app.PROG else template)
    name = app.named(words)
    if name not in app.table():
        raise UsageError(f"the template {shlex.join(template)} is no mrikit command", hint="mrikit --help")
    try:
        app.load(name).make_context(name, words[len(name.split()) :]).close()
    except click.UsageError as error:
        raise UsageError(f"the template's {name}: {error.format_message()}", hint=f"{app.PROG} {name} --help") from None
    return words


def _shell_words(line: str) -> list[str]:
    """The words of a shell line, with their quotes and without operators."""
    lexer = shlex.shlex(line, posix=False, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError as error:
        raise UsageError(f"the template is no shell line: {error}") from None
    for word in words:
        if _PLACE.search(word) and ("'" in word or '"' in word):
            raise UsageError(f"{word} of the template has quotes", hint="leave them off: names are quoted for you")
    return words


def _outputs_of(words: Sequence[str]) -> list[str]:
    """The outputs that a template names, from {out} on: `--maps-out={out}_maps.npy` writes `{out}_maps.npy`."""
    for place, what in (("{in}", "scan"), ("{out}", "output")):
        if not any(place in word for word in words):
            raise UsageError(f"the template has no {place}, the place of the {what}", hint="-- rss {in} {out}.npy")
    return list(dict.fromkeys(word[word.index("{out}") :] for word in words if "{out}" in word))
