"""The distributions that target masks m* are drawn from, as logits for `gumbel.draw`.

energy    p_l ~ (mean |k_l|)^gamma
half      the same of lines, but that those below the zero frequency count for `OTHER` of their energy
softmax   p_l ~ exp(mean |k_l| / max mean |k|), the paper's; of values in [0, 1] it is nearly uniform
learned   p_l ~ exp(gamma w_l), weights w_l of all items that DPS has learned from the task

An image whose phase is smooth has nearly the same on both sides of the zero frequency, its complex conjugate, so for a
reconstructor that knows the phase the lines of one half, out to twice the frequency, say more (partial Fourier: Noll
1991, doi:10.1109/42.79473). Masks drawn alike on both sides hardly ever show that to a policy.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mrikit.errors import UsageError

TARGETS = ("energy", "half", "softmax", "learned")
OTHER = 0.05
FLOOR = 1e-6  # of the largest energy: a place that holds nothing can still be drawn where too few others do


def logits(kind: str, energy: Tensor, gamma: float = 1.0) -> Tensor:
    """Logits `(batch, n)` of a target but `learned`; energy: `(batch, n)`, mean |k_l| of a line or a pixel's value."""
    relative = energy / energy.amax(dim=1, keepdim=True).clamp_min(torch.finfo(energy.dtype).tiny)
    if kind == "half":
        n = energy.shape[1]
        relative = torch.where(torch.arange(n, device=energy.device) < n // 2, OTHER * relative, relative)
    if kind in ("energy", "half"):
        return gamma * relative.clamp_min(FLOOR).log()
    if kind == "softmax":
        return relative
    raise UsageError(f"there is no target distribution {kind!r} of energies: there are energy, half and softmax")
