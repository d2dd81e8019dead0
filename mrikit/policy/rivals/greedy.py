"""The greedy oracle: place by place the one that helps most, by what no policy can know, the truth."""

from __future__ import annotations

import torch
from torch import Tensor

from mrikit.policy.task import Item, Task


class Greedy:
    """Tries every free place at every step, `chunk` masks at a time: about K N runs of the task for each item."""

    def __init__(self, task: Task, chunk: int = 32) -> None:
        self.task, self.chunk = task, chunk

    @torch.no_grad()
    def __call__(self, item: Item) -> Tensor:
        return torch.cat([self._mask(item.take(torch.tensor([i]))) for i in range(len(item))])

    def _mask(self, one: Item) -> Tensor:
        mask = one.budget.low.float().to(one.device)[None]
        for _ in range(one.budget.chosen):
            places = (mask[0] == 0).nonzero()[:, 0]
            tried = mask.repeat(len(places), 1)
            tried[torch.arange(len(places)), places] = 1
            scores = [
                self.task.scores(one.take(torch.zeros(len(part), dtype=torch.long)), part)
                for part in tried.split(self.chunk)
            ]
            mask = tried[torch.cat(scores).argmax()][None]
        return mask
