"""Losses of different units in one sum, by their uncertainties. Kendall 2018, arXiv 1705.07115."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mrikit.train import distributed


class Weighting(nn.Module):
    """sum_i L_i / (2 sigma_i^2) + log sigma_i, with learned log sigma_i.

    On the first batch sigma_i^2 = n L_i / 2 for n losses, so that each of them then weighs 1 / n. The sum may go below
    zero: it says nothing about when to stop.
    """

    started: Tensor

    def __init__(self, n_losses: int) -> None:
        super().__init__()
        self.log_sigma = nn.Parameter(torch.zeros(n_losses))
        self.register_buffer("started", torch.tensor(False))

    def forward(self, losses: Tensor) -> Tensor:
        """The sum, a number, of losses `(n_losses,)`, none below zero."""
        if not self.started:
            self._start(losses.detach())
        return (losses * (-2 * self.log_sigma).exp() / 2 + self.log_sigma).sum()

    @torch.no_grad()
    def _start(self, losses: Tensor) -> None:
        # Every process must start alike: they agree in all that they learn.
        means = distributed.mean({str(i): float(value) for i, value in enumerate(losses)})
        first = losses.new_tensor(list(means.values())).clamp_min(1e-12)
        self.log_sigma.copy_((len(losses) * first / 2).log() / 2)
        self.started.fill_(True)
