"""Provenance: one record a command, carried along by every format."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mrikit._version import __version__
from mrikit.io.paths import split_dataset
from mrikit.io.volume import Reader

Record = Mapping[str, Any]


def record(
    command: Sequence[str], *, seed: int | None, inputs: Iterable[tuple[str, int]], device: str | None
) -> dict[str, Any]:
    """One step of a history, the same for the same step: no user, host, folder or date.

    command: the words of the command line; of a path the base name is kept.
    inputs: (name, crc32 of the content) of every input, as `Reader.name` and `Reader.crc32` have it.
    """
    hashes: dict[str, str] = {}
    for name, crc in inputs:
        base = base_name(name)
        # Two inputs of one name, from different folders, are two inputs.
        count = sum(key == base or key.startswith(f"{base} (") for key in hashes)
        hashes[f"{base} ({count + 1})" if count else base] = f"{crc:08x}"
    return {
        "command": [base_name(word) for word in command],
        "version": __version__,
        "seed": seed,
        "inputs": hashes,
        "device": device,
    }


def extend(readers: Iterable[Reader], step: Record) -> tuple[Record, ...]:
    """The histories of all inputs, oldest first, every record once, and then `step`."""
    records: list[Record] = []
    for reader in readers:
        records += [one for one in reader.history if one not in records]
    return (*records, step)


def base_name(word: str) -> str:
    """A word of a command line without folders: `--maps=/home/me/maps.h5:a/b` as `--maps=maps.h5:a/b`."""
    file, dataset = split_dataset(word)
    # Up to the last slash of each part, spaces included, since a folder's name may have some.
    file = re.sub(r"[^=,]*/(?=[^=,/])", "", file)
    return file if dataset is None else f"{file}:{dataset}"
