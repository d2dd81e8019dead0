"""From a scan's low-frequency lines to the mask of what to measure."""

from __future__ import annotations

import numpy as np
import torch

from mrikit.errors import DataError, UsageError
from mrikit.policy.budget import Budget, lines
from mrikit.policy.gate import top_k
from mrikit.policy.model import FlowPolicy
from mrikit.policy.mri import MriTask, slices
from mrikit.policy.velocity import resize
from mrikit.rng import generator


def line_scores(
    policy: FlowPolicy, kspace: np.ndarray, budget: Budget, *, samples: int = 1, seed: int = 0, index: int = 0
) -> torch.Tensor:
    """Scores `(x,)` of the lines of one slice of k-space `(coil, y, x)`, of which the LF band alone is looked at.

    samples: so many flows, each from noise of its own, are averaged. index: of the slice, which has its own noise.
    """
    if not isinstance(policy.task, MriTask):
        raise UsageError("this policy chooses the pixels of images, not the lines of a scan")
    n = policy.velocity.config.n
    noise = generator(seed, "policy/propose", index).standard_normal((samples, n), dtype=np.float32)
    device = next(policy.parameters()).device
    with torch.no_grad():
        condition = policy.task.condition(slices([kspace], budget).to(str(device)))
        scores = policy.scores(condition.expand(samples, -1), budget.rate, torch.from_numpy(noise).to(device))
    return resize(scores, budget.n).mean(dim=0)


def propose(
    policy: FlowPolicy,
    kspace: np.ndarray,
    accel: float,
    *,
    n_low: int | None = None,
    samples: int = 1,
    seed: int = 0,
    per_slice: bool = False,
) -> np.ndarray:
    """The mask of exactly round(N / accel) lines of k-space `(slice, coil, y, x)` or `(coil, y, x)`: bool `(x,)`.

    per_slice: one mask a slice, `(slice, x)`; else the scores of all slices are averaged. n_low: lines of the LF band,
    by default those of `budget.lines`. The same seed gives the same mask.

    Raises UsageError for an acceleration that cannot be, DataError for a scan that is narrower than the LF band and
    one line, or does not hold that band.
    """
    if samples < 1:
        raise UsageError(f"--samples {samples}: expected 1 or more")
    if kspace.ndim not in (3, 4):
        raise DataError(f"k-space has axes (slice, coil, y, x), found {kspace.ndim} axes")
    budget = lines(kspace.shape[-1], accel, n_low)
    volume = kspace[None] if kspace.ndim == 3 else kspace
    scores = [line_scores(policy, one, budget, samples=samples, seed=seed, index=i) for i, one in enumerate(volume)]
    together = torch.stack(scores) if per_slice else torch.stack(scores).mean(dim=0, keepdim=True)
    masks = top_k(together, budget).bool().cpu().numpy()
    return masks if per_slice else masks[0]
