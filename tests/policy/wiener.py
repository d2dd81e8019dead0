"""A task whose best masks are known: independent lines of variance p_l, noise s^2, Wiener reconstruction.

Line l lowers the squared error by p_l^2 / (p_l + s^2), so the best mask of K lines holds the K largest p_l.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mrikit.policy.budget import Budget
from mrikit.policy.gate import top_k
from mrikit.policy.task import Item, Task

NOISE = 0.1  # s^2
N_ROWS = 8  # of a readout, each an independent draw


@dataclass(frozen=True)
class Signals(Item):
    """truth, measured: `(batch, row, n)`. variance: p_l `(batch, n)`. seen: `(batch, 1)`, the class as +-1."""

    truth: Tensor
    measured: Tensor
    variance: Tensor
    seen: Tensor


class Wiener(Task):
    """T(m y) = m y p / (p + s^2), for `variances` `(class, n)`, which take turns within a batch."""

    n_losses = 1

    def __init__(self, variances: Tensor, budget: Budget, batch: int = 64) -> None:
        super().__init__()
        self.variances, self.budget, self.batch = variances, budget, batch
        self.gain = variances**2 / (variances + NOISE)

    def item(self, number: int) -> Signals:
        source = torch.Generator().manual_seed(number)
        kind = torch.arange(self.batch) % len(self.variances)
        p = self.variances[kind]
        truth = p[:, None].sqrt() * torch.randn(self.batch, N_ROWS, p.shape[1], generator=source)
        measured = truth + NOISE**0.5 * torch.randn(truth.shape, generator=source)
        return Signals(self.budget, truth, measured, p, 2.0 * kind[:, None] - 1)

    def items(self, numbers):
        for number in numbers:
            yield self.item(number)

    def energy(self, item):
        return item.measured.abs().mean(dim=1)

    def condition(self, item):
        return item.seen

    def view(self, item, mask):
        return (mask[:, None] * item.measured)[:, None]

    def errors(self, item, mask):
        filtered = mask[:, None] * item.measured * (item.variance / (item.variance + NOISE))[:, None]
        return (filtered - item.truth).square().sum(dim=2).mean(dim=1)

    def losses(self, item, mask):
        return {"error": self.errors(item, mask).mean()}

    def scores(self, item, mask):
        return -self.errors(item, mask)

    def expected(self, mask: Tensor) -> float:
        """The mean squared error of masks `(class, n)`, one a class, in closed form."""
        return float((self.variances - mask * self.gain).sum(dim=1).mean())

    def best(self) -> Tensor:
        """The best mask of every class, `(class, n)`."""
        return top_k(self.variances, self.budget)

    def best_fixed(self) -> Tensor:
        """The best mask for all classes alike, `(class, n)`: the highest mean gain, since gains add up."""
        return top_k(self.gain.mean(dim=0, keepdim=True), self.budget).expand_as(self.variances)


def one_class(n: int = 16) -> Wiener:
    """Test a: variances that fall geometrically, in no order of frequency."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(3))
    return Wiener(4 * 0.7 ** order.float()[None], Budget(n, 6, n_low=1))


def two_classes(n: int = 16) -> Wiener:
    """Test b: the same variances in two orders; the class, which the LF band would show, is seen."""
    base = 4 * 0.7 ** torch.arange(n).float()
    left, right = (base[torch.randperm(n, generator=torch.Generator().manual_seed(seed))] for seed in (3, 5))
    return Wiener(torch.stack([left, right]), Budget(n, 6, n_low=1))
