"""Published configurations, one file each: the architecture and its settings. A user's own has the same form."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mrikit.errors import DataError, MissingInputError, UsageError


@dataclass(frozen=True)
class Preset:
    """An architecture and its settings, from which a network is built, and a line that says what it is."""

    architecture: str
    config: dict[str, Any]
    summary: str = ""


@dataclass(frozen=True)
class Presets:
    """The presets in `folder`. check: raises DataError where an architecture cannot have these settings."""

    folder: Path
    check: Callable[[str, dict[str, Any]], object]

    def names(self) -> list[str]:
        """Presets that ship with mrikit."""
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def preset(self, name: str) -> Preset:
        """The preset of that name, or the one in the file of that path.

        Raises MissingInputError where there is neither, DataError for a file that no network can be built from.
        """
        path = self.folder / f"{name}.json" if name in self.names() else Path(name)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise MissingInputError(
                f"{name}: there is no such file and no such preset", hint=f"the presets are {', '.join(self.names())}"
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
                hint=f"{self.folder / self.names()[0]}.json is an example",
            )
        found = Preset(**content)
        try:
            self.check(found.architecture, found.config)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        return found

    def changed(self, found: Preset, **changes: Any) -> Preset:
        """`found` with the settings `changes` that are not None. Raises UsageError where they cannot be."""
        wanted = {**found.config, **{name: value for name, value in changes.items() if value is not None}}
        try:
            self.check(found.architecture, wanted)
        except DataError as error:
            raise UsageError(str(error)) from error
        return replace(found, config=wanted)
