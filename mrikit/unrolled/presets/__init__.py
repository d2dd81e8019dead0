"""Published configurations, one file each: the architecture and its settings. A user's own has the same form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrikit.errors import DataError, MissingInputError
from mrikit.unrolled.architectures import settings

FOLDER = Path(__file__).parent


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
