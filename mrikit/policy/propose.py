"""From a scan's low-frequency lines to the mask of what to measure."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from mrikit import weights
from mrikit.arrays import Array, to_numpy
from mrikit.errors import DataError, MissingInputError, UsageError
from mrikit.policy.architectures import load_policy
from mrikit.policy.budget import Budget, lines
from mrikit.policy.gate import top_k
from mrikit.policy.model import FlowPolicy
from mrikit.policy.mri import MriTask, slices
from mrikit.policy.velocity import resize
from mrikit.rng import generator

NAME = "policy-"  # of default policies


def line_scores(
    policy: FlowPolicy, kspace: np.ndarray, budget: Budget, *, seed: int = 0, index: int = 0
) -> torch.Tensor:
    """Scores `(x,)` of the lines of one slice of k-space `(coil, y, x)`, of which the LF band alone is looked at.

    index: of the slice, which has its own noise.
    """
    if not isinstance(policy.task, MriTask):
        raise UsageError("this policy chooses the pixels of images, not the lines of a scan")
    n = policy.velocity.config.n
    noise = generator(seed, "policy/propose", index).standard_normal((policy.samples, 1, n), dtype=np.float32)
    device = next(policy.parameters()).device
    with torch.no_grad():
        condition = policy.task.condition(slices([kspace], budget).to(str(device)))
        scores = policy.scores(condition, budget.rate, torch.from_numpy(noise).to(device))
    return resize(scores, budget.n)[0]


def propose(
    policy: FlowPolicy | str,
    kspace: Array | Iterable[Array],
    accel: float,
    *,
    n_low: int | None = None,
    seed: int = 0,
    per_slice: bool = False,
) -> np.ndarray:
    """The mask of exactly round(N / accel) lines for k-space `(coil, y, x)`, or one for several slices: bool `(x,)`.

    policy: as `load_policy` gives it, or its name or file.
    per_slice: one mask a slice, `(slice, x)`; else the scores of all slices are averaged. n_low: lines of the LF band,
    by default those of `budget.lines`. The same seed gives the same mask.

    Raises UsageError for an acceleration that cannot be, DataError for a scan that is narrower than the LF band and
    one line, or does not hold that band.
    """
    if isinstance(policy, str):
        policy = load_policy(policy)
    single = getattr(kspace, "ndim", None) == 3
    scores = []
    for i, one in enumerate(map(to_numpy, [kspace] if single else kspace)):
        if one.ndim != 3:
            raise DataError(f"a slice of k-space has axes (coil, y, x), found {one.ndim} axes")
        budget = lines(one.shape[-1], accel, n_low)
        scores.append(line_scores(policy, one, budget, seed=seed, index=i))
    together = torch.stack(scores) if per_slice else torch.stack(scores).mean(dim=0, keepdim=True)
    masks = top_k(together, budget).bool().cpu().numpy()
    return masks if per_slice else masks[0]


def defaults(n_coils: int = 1) -> list[str]:
    """The default policies for scans of one coil, or of several, which can do without lines that one coil needs.

    They are all there are where none is for such scans. Raises MissingInputError where none ships.
    """
    found = [name for name in weights.names() if name.startswith(NAME)]
    if not found:
        raise MissingInputError("no default policy ships with this mrikit", hint="train one: mrikit policy train")
    return [name for name in found if (max(trained_for(name, "coils")) > 1) == (n_coils > 1)] or found


def nearest(n: int, n_coils: int = 1) -> str:
    """The default policy for such coils whose masks have the number of lines that is nearest to `n`."""
    return min(defaults(n_coils), key=lambda name: abs(weights.card(name)["config"]["velocity"]["config"]["n"] - n))


def suited(accel: float, n_coils: int = 1) -> str:
    """The default policy for such coils that was trained for the acceleration nearest to `accel`."""
    return min(defaults(n_coils), key=lambda name: min(abs(trained - accel) for trained in trained_for(name)))


def trained_for(model: str, what: str = "accel") -> tuple[float, ...]:
    """The accelerations, or the two ends of the `rate`, that the policy `model` was trained for.

    Raises DataError where its card names none.
    """
    training = weights.card(model).get("training")
    found = training.get(what) if isinstance(training, dict) else None
    if not (isinstance(found, list) and found and all(isinstance(value, int | float) for value in found)):
        raise DataError(f"{model}: its card does not say for which {what} it was trained", hint=f"give --{what}")
    return tuple(float(value) for value in found)
