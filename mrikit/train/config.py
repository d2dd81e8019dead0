"""What the configurations of all networks have in common, and networks made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from mrikit.errors import DataError

Network = TypeVar("Network")


@dataclass(frozen=True)
class Settings:
    """What rebuilds a network; it travels in the weights' card. Every setting has a default."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def require_number(self, name: str, low: float, high: float) -> None:
        """Raise DataError unless the setting is a number like its default, from `low` to `high`."""
        value, default = getattr(self, name), getattr(type(self), name)
        if isinstance(value, bool) or not (isinstance(value, type(default) | int) and low <= value <= high):
            raise DataError(f"{name} is {value!r}, expected a number from {low} to {high:g}")

    def require_choice(self, name: str, *choices: str | bool) -> None:
        """Raise DataError unless the setting is one of `choices`."""
        if getattr(self, name) not in choices:
            raise DataError(f"{name} is {getattr(self, name)!r}, expected {' or '.join(map(str, choices))}")


def settings(kinds: Mapping[str, tuple[type[Settings], Any]], architecture: str, config: dict[str, Any]) -> Settings:
    """The checked settings that `config` describes for one of the architectures `kinds`; the rest have their defaults.

    kinds: name -> settings and the network they build. Raises DataError where there is no such architecture or
    setting, or a value cannot be.
    """
    if architecture not in tuple(kinds):  # it may be anything that JSON can hold
        raise DataError(f"architecture is {architecture!r}, expected {', '.join(kinds)}")
    kind, _ = kinds[architecture]
    known = [field.name for field in fields(kind)]
    unknown = sorted(config.keys() - set(known))
    if unknown:
        raise DataError(f"{architecture} has no setting {', '.join(unknown)}; it has {', '.join(known)}")
    return kind(**config)


def build(
    kinds: Mapping[str, tuple[type[Settings], Callable[..., Network]]], architecture: str, config: dict[str, Any]
) -> Network:
    """A new network of random weights; the arguments, and the errors, are those of `settings`."""
    checked = settings(kinds, architecture, config)
    return kinds[architecture][1](checked)
