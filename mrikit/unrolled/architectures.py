"""The unrolled networks by name: each maps a `Problem` to its states, and has `times` and `config`."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from mrikit.errors import DataError
from mrikit.unrolled import model, modl, varnet
from mrikit.unrolled.config import Settings

Network = model.Unrolled | modl.Modl | varnet.VarNet

#: name -> its settings and the network they build
ARCHITECTURES: dict[str, tuple[type[Settings], type[Network]]] = {
    "flat": (model.Config, model.Unrolled),
    "modl": (modl.Config, modl.Modl),
    "varnet": (varnet.Config, varnet.VarNet),
}


def settings(architecture: str, config: dict[str, Any]) -> Settings:
    """The checked settings that `config` describes; what it leaves out has its default.

    Raises DataError where there is no such architecture or setting, or a value cannot be.
    """
    if architecture not in tuple(ARCHITECTURES):  # it may be anything that JSON can hold
        raise DataError(f"architecture is {architecture!r}, expected {', '.join(ARCHITECTURES)}")
    kind = ARCHITECTURES[architecture][0]
    known = [field.name for field in fields(kind)]
    unknown = sorted(config.keys() - set(known))
    if unknown:
        raise DataError(f"{architecture} has no setting {', '.join(unknown)}; it has {', '.join(known)}")
    return kind(**config)


def build(architecture: str, config: dict[str, Any]) -> Network:
    """A new network of random weights; the arguments, and the errors, are those of `settings`."""
    checked = settings(architecture, config)
    return ARCHITECTURES[architecture][1](checked)
