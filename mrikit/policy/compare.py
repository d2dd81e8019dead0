"""Every policy under one frozen task, with one budget, on the same items."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mrikit.errors import ResultError
from mrikit.policy.task import Item, Policy, Task
from mrikit.rng import generator, interval

N_SEEDS = 5


@dataclass(frozen=True)
class Result:
    """scores: `(seed, image)`, higher is better. places: `(n,)`, the share of masks that took each place."""

    scores: np.ndarray
    places: np.ndarray

    @property
    def mean(self) -> float:
        """Over seeds and images."""
        return float(self.scores.mean())

    @property
    def std(self) -> float:
        """Of the mean over the images, from seed to seed."""
        return float(self.scores.mean(axis=1).std(ddof=1)) if len(self.scores) > 1 else 0.0

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the mean, were other images drawn; None of one image or two."""
        return interval(self.scores.mean(axis=0), "policy/bootstrap")

    def gain(self, other: Result) -> tuple[float, float | None, float | None]:
        """How much higher the mean is than that of `other` on the same images, and the 95 % `interval` of that."""
        difference = self.scores.mean(axis=0) - other.scores.mean(axis=0)
        return float(difference.mean()), *(interval(difference, "policy/bootstrap") or (None, None))

    def to_json(self) -> dict[str, Any]:
        return {
            "mean": self.mean,
            "std": self.std,
            "interval": list(self.interval or (None, None)),
            "seeds": self.scores.mean(axis=1).tolist(),
            "places": self.places.tolist(),
        }


@torch.no_grad()
def compare(
    task: Task,
    policies: Mapping[str, Policy],
    items: Sequence[Item],
    n_seeds: int = N_SEEDS,
    *,
    steady: Container[str] = (),
    report: Callable[[str, int], None] = lambda name, seed: None,
) -> dict[str, Result]:
    """The result of every policy by name, in the order given; items have masks of one size.

    Noise depends on the seed and the item's number alone, and so is the same for every policy. steady: names of those
    that draw nothing, for which one seed says all. report: is told before every seed. Raises ResultError where a mask
    is not of exactly its budget.
    """
    frozen = task.freeze()
    found = {}
    for name, policy in policies.items():
        scores, taken = [], []
        for seed in range(1 if name in steady else n_seeds):
            report(name, seed)
            masks = [_masks(name, policy, item, seed, i) for i, item in enumerate(items)]
            scores.append(torch.cat([frozen.scores(item, mask) for item, mask in zip(items, masks, strict=True)]))
            taken.append(torch.cat(masks).mean(dim=0))
        found[name] = Result(torch.stack(scores).cpu().numpy(), torch.stack(taken).mean(dim=0).cpu().numpy())
    return found


def _masks(name: str, policy: Policy, item: Item, seed: int, number: int) -> torch.Tensor:
    with torch.random.fork_rng():
        torch.manual_seed(int(generator(seed, "policy/compare", number).integers(2**62)))
        masks = policy(item)
    counts = masks.sum(dim=1)
    if not (((masks == 0) | (masks == 1)).all() and (counts == item.budget.kept).all()):
        raise ResultError(f"{name}: a mask takes {float(counts.max()):g} places, the budget is {item.budget.kept}")
    return masks
