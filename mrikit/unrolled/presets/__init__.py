"""Published configurations of the unrolled networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mrikit.errors import UsageError
from mrikit.train.presets import Preset, Presets
from mrikit.unrolled.architectures import settings

PRESETS = Presets(Path(__file__).parent, settings)
#: what an architecture is where nothing else is said
DEFAULTS = {"flat": "flat-small", "modl": "modl", "varnet": "varnet"}

names, preset = PRESETS.names, PRESETS.preset


def choose(architecture: str | None, config: str | None, **changes: Any) -> Preset:
    """The preset or file `config`, or else that of `architecture`, with the settings `changes` that are not None.

    Raises UsageError where they contradict each other, and what `preset` raises.
    """
    found = preset(config or DEFAULTS[architecture or "flat"])
    if architecture not in (None, found.architecture):
        raise UsageError(f"--arch {architecture} disagrees with {config}, which is a {found.architecture} network")
    return PRESETS.changed(found, **changes)
