"""Published configurations of the unrolled networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mrikit import weights
from mrikit.errors import UsageError
from mrikit.train.presets import Preset, Presets
from mrikit.unrolled.architectures import settings

PRESETS = Presets(Path(__file__).parent, settings)
#: what an architecture is where nothing else is said
DEFAULTS = {"flat": "flat-small", "modl": "modl", "varnet": "varnet"}

names, preset = PRESETS.names, PRESETS.preset


def choose(
    architecture: str | None = None, config: str | None = None, init: str | None = None, **changes: Any
) -> Preset:
    """The preset or file `config`, or else the network of the weights `init`, or else the default of `architecture`.

    changes: settings that are not None take the place of its own. Raises UsageError where these contradict each other,
    and what `preset` and `weights.card` raise.
    """
    if init and not config:
        card = weights.card(init)
        found = Preset(card["architecture"], card["config"])
        config = init  # which is what an --arch may disagree with
    else:
        found = preset(config or DEFAULTS[architecture or "flat"])
    if architecture not in (None, found.architecture):
        raise UsageError(f"--arch {architecture} disagrees with {config}, which is a {found.architecture} network")
    return PRESETS.changed(found, **changes)
