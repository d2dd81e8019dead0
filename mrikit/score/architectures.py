"""The score networks by name: each is a `Prior` with a `config`."""

from __future__ import annotations

from typing import Any

from mrikit.score.prior import Config, Edm, EdmConfig, Ncsnv2, Ncsnv2Config
from mrikit.train import config

Network = Ncsnv2 | Edm

#: name -> its settings and the network they build
ARCHITECTURES: dict[str, tuple[type[Config], type[Network]]] = {
    "ncsnv2": (Ncsnv2Config, Ncsnv2),
    "edm": (EdmConfig, Edm),
}


def settings(architecture: str, values: dict[str, Any]) -> config.Settings:
    """The checked settings of an architecture; errors are those of `train.config.settings`."""
    return config.settings(ARCHITECTURES, architecture, values)


def build(architecture: str, values: dict[str, Any]) -> Network:
    """A new network of random weights; the arguments, and the errors, are those of `settings`."""
    return config.build(ARCHITECTURES, architecture, values)
