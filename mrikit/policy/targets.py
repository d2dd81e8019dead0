"""The distributions that target masks m* are drawn from, as logits for `gumbel.draw`.

energy    p_l ~ (mean |k_l|)^gamma
softmax   p_l ~ exp(mean |k_l| / max mean |k|), the paper's; of values in [0, 1] it is nearly uniform
learned   p_l ~ exp(gamma w_l), weights w_l of all items that DPS has learned from the task
"""

from __future__ import annotations

import torch
from torch import Tensor

from mrikit.errors import UsageError

TARGETS = ("energy", "softmax", "learned")
FLOOR = 1e-6  # of the largest energy: a place that holds nothing can still be drawn where too few others do


def logits(kind: str, energy: Tensor, gamma: float = 1.0) -> Tensor:
    """Logits `(batch, n)` of the target `energy` or `softmax`; energy: `(batch, n)`, mean |k_l| or a pixel's value."""
    relative = energy / energy.amax(dim=1, keepdim=True).clamp_min(torch.finfo(energy.dtype).tiny)
    if kind == "energy":
        return gamma * relative.clamp_min(FLOOR).log()
    if kind == "softmax":
        return relative
    raise UsageError(f"there is no target distribution {kind!r} of energies: there are energy and softmax")
