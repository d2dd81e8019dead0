"""Published configurations, one file each: the architecture and its settings. A user's own has the same form."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mrikit.errors import DataError, MissingInputError, UsageError
from mrikit.unrolled.architectures import settings

FOLDER = Path(__file__).parent
#: what an architecture is where nothing else is said
DEFAULTS = {"flat": "flat-small", "modl": "modl", "varnet": "varnet"}


@dataclass(frozen=True)
class Preset:
    """What `architectures.build` takes, and a line that says what it is."""

    architecture: str
    config: dict[str, Any]
    summary: str = ""


def names() -> list[str]:
    """Presets that ship with mrikit."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def preset(name: str) -> Preset:
    """The preset of that name, or the one in the file of that path.

    Raises MissingInputError where there is neither, DataError for a file that no network can be built from.
    """
    path = FOLDER / f"{name}.json" if name in names() else Path(name)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingInputError(
            f"{name}: there is no such file and no such preset", hint=f"the presets are {', '.join(names())}"
        ) from error
    except (ValueError, RecursionError):
        raise DataError(f"{path}: this configuration is not JSON") from None
    if (
        not isinstance(content, dict)
        or not {"architecture", "config"} <= content.keys() <= {"architecture", "config", "summary"}
        or not isinstance(content["config"], dict)
    ):
        raise DataError(
            f"{path}: a configuration is an object of architecture, config and, if you like, summary",
            hint=f"{FOLDER / 'modl.json'} is an example",
        )
    found = Preset(**content)
    try:
        settings(found.architecture, found.config)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return found


def choose(architecture: str | None, config: str | None, **changes: Any) -> Preset:
    """The preset or file `config`, or else that of `architecture`, with the settings `changes` that are not None.

    Raises UsageError where they contradict each other, and what `preset` raises.
    """
    found = preset(config or DEFAULTS[architecture or "flat"])
    if architecture not in (None, found.architecture):
        raise UsageError(f"--arch {architecture} disagrees with {config}, which is a {found.architecture} network")
    wanted = {**found.config, **{name: value for name, value in changes.items() if value is not None}}
    try:
        settings(found.architecture, wanted)
    except DataError as error:
        raise UsageError(str(error)) from error
    return replace(found, config=wanted)
