"""What a policy measures for: a frozen task model, and batches of what is to be measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mrikit.policy.budget import Budget

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class Item:
    """A batch that is fully measured, and the budget of its masks. Every tensor's first axis is the batch."""

    budget: Budget

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by name."""
        return {f.name: value for f in fields(self) if isinstance(value := getattr(self, f.name), Tensor)}

    def __len__(self) -> int:
        return len(next(iter(self.tensors().values())))

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return next(iter(self.tensors().values())).device

    def take(self, index: Tensor) -> Self:
        """The members `index` of the batch, which may come more than once."""
        return self._each(lambda value: value[index])

    def to(self, device: str) -> Self:
        """The same on `device`."""
        return self._each(lambda value: value.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        changed: dict[str, Any] = {name: change(value) for name, value in self.tensors().items()}
        return replace(self, **changed)


class Task(nn.Module, ABC):
    """A task model T, and how it sees an item. Masks are `(batch, n)`, 1 taken and 0 not, or soft in between."""

    n_losses: int

    @abstractmethod
    def energy(self, item: Any) -> Tensor:
        """What the energy target draws by, `(batch, n)`: mean |k_l| of a line, or the value of a pixel."""

    @abstractmethod
    def condition(self, item: Any) -> Any:
        """What the policy sees before it chooses: made of the LF band, or of a first random sample, alone."""

    @abstractmethod
    def view(self, item: Any, mask: Tensor) -> Tensor:
        """What the samples of `mask` alone show, `(batch, 1, y, x)` real."""

    @abstractmethod
    def losses(self, item: Any, mask: Tensor) -> dict[str, Tensor]:
        """Losses of T on the samples of `mask`, by name: means over the batch, none below zero."""

    @abstractmethod
    def scores(self, item: Any, mask: Tensor) -> Tensor:
        """How well T does on each of the batch, `(batch,)`; higher is better."""

    def own_losses(self, item: Any, mask: Tensor) -> dict[str, Tensor]:
        """What T itself learns by, before it is frozen."""
        return self.losses(item, mask)

    def freeze(self) -> Task:
        """This task, which learns no more."""
        return self.requires_grad_(False).eval()


Policy = Callable[[Any], Tensor]  # masks `(batch, n)` of an item, exactly of its budget, drawn by torch's own generator


def total(losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """The sum of losses, and each as a number: what the training loop asks for."""
    return torch.stack(list(losses.values())).sum(), {name: float(value.detach()) for name, value in losses.items()}


def repeated(condition: Any, times: int) -> Any:
    """What a task sees of a batch, so many times over."""
    if isinstance(condition, list):
        return [repeated(each, times) for each in condition]
    return condition.repeat(times, *[1] * (condition.ndim - 1))
