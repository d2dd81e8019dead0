"""The unrolled networks by name: each maps a `Problem` to its states, and has `times` and `config`."""

from __future__ import annotations

from typing import Any

from mrikit.train import config
from mrikit.unrolled import model, modl, varnet

Network = model.Unrolled | modl.Modl | varnet.VarNet

#: name -> its settings and the network they build
ARCHITECTURES: dict[str, tuple[type[config.Settings], type[Network]]] = {
    "flat": (model.Config, model.Unrolled),
    "modl": (modl.Config, modl.Modl),
    "varnet": (varnet.Config, varnet.VarNet),
}


def settings(architecture: str, values: dict[str, Any]) -> config.Settings:
    """The checked settings of an architecture; errors are those of `train.config.settings`."""
    return config.settings(ARCHITECTURES, architecture, values)


def build(architecture: str, values: dict[str, Any]) -> Network:
    """A new network of random weights; the arguments, and the errors, are those of `settings`."""
    return config.build(ARCHITECTURES, architecture, values)
