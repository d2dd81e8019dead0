"""Policies that look at nothing: by the distance from the centre, at random, or by a population's mean energy."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from mrikit.policy.gate import top_k
from mrikit.policy.gumbel import draw
from mrikit.policy.task import Item, Policy, Task

CENTRE_POWER = 6.0
FLOOR = 1e-12  # of a density, for the one line at |d| = 1


def distance(n: int) -> Tensor:
    """|d| of every line, 0 at the centre and 1 at the edge."""
    return (torch.arange(n) - n // 2).abs() / (n / 2)


class Ranking:
    """The highest of fixed scores `(n,)`, or, if `drawn`, places drawn with these as logits."""

    def __init__(self, scores: Tensor, *, drawn: bool = False) -> None:
        self.scores, self.drawn = scores, drawn

    def __call__(self, item: Item) -> Tensor:
        scores = self.scores.to(item.device).expand(len(item), -1)
        return draw(scores, item.budget) if self.drawn else top_k(scores, item.budget)


def centre_only(n: int) -> Ranking:
    """The lines nearest to the centre."""
    return Ranking(-distance(n))


def half(n: int) -> Ranking:
    """The LF band, and the lines next to it on one side: partial Fourier."""
    side = torch.arange(n) < n // 2
    return Ranking(-distance(n) - 2 * side)


def random(n: int) -> Ranking:
    """The LF band, and any other places alike."""
    return Ranking(torch.zeros(n), drawn=True)


def variable_density(n: int, power: float = CENTRE_POWER) -> Ranking:
    """The LF band, and lines drawn with the density (1 - |d|)^power. Lustig 2007, doi:10.1002/mrm.21391."""
    return Ranking(power * (1 - distance(n)).clamp_min(FLOOR).log(), drawn=True)


def any_density(n: int) -> Policy:
    """Lines drawn with (1 - |d|)^power, a power from 0 to 6 for each of a batch: what a task model learns from.

    It has then seen masks like those of every policy, and favours none.
    """
    logits = (1 - distance(n)).clamp_min(FLOOR).log()

    def masks(item: Item) -> Tensor:
        power = CENTRE_POWER * torch.rand(len(item), 1, device=item.device)
        return draw(power * logits.to(item.device), item.budget)

    return masks


def population_energy(task: Task, items: Iterable[Item]) -> Ranking:
    """The places whose energy is the highest on average over `items`, which are not those it is scored on."""
    means = [task.energy(item).mean(dim=0) for item in items]
    return Ranking(torch.stack(means).mean(dim=0))
