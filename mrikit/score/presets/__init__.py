"""Published configurations of score priors."""

from __future__ import annotations

from pathlib import Path

from mrikit.score.architectures import settings
from mrikit.train.presets import Presets

PRESETS = Presets(Path(__file__).parent, settings)
names, preset = PRESETS.names, PRESETS.preset
