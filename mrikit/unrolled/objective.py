"""What training minimises: the end point, and the alignment of every state with the ideal path."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

ALIGNMENTS = ("state", "velocity", "none")


def ssim(a: Tensor, b: Tensor, size: int = 7) -> Tensor:
    """Mean SSIM per item of real images `(batch, y, x)`: uniform window, range max(b). Wang 2004.

    doi:10.1109/TIP.2003.819861, with the sample covariance, as scikit-image and fastMRI have it.
    """
    peak = b.amax(dim=(-2, -1), keepdim=True)[:, None]
    a, b = a[:, None], b[:, None]
    n = size * size

    def mean(x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, size, stride=1)

    mu_a, mu_b = mean(a), mean(b)
    var_a, var_b = (mean(a * a) - mu_a**2) * n / (n - 1), (mean(b * b) - mu_b**2) * n / (n - 1)
    cov = (mean(a * b) - mu_a * mu_b) * n / (n - 1)
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    index = (2 * mu_a * mu_b + c1) * (2 * cov + c2) / ((mu_a**2 + mu_b**2 + c1) * (var_a + var_b + c2))
    return index.mean(dim=(-3, -2, -1))


def distance(a: Tensor, b: Tensor | None = None) -> Tensor:
    """||a - b||, or ||a||, per item of `(batch, y, x)`."""
    difference = a if b is None else a - b
    energy = difference.real**2 + difference.imag**2 if difference.is_complex() else difference**2
    return torch.sqrt(energy.sum(dim=(-2, -1)) + 1e-10)


def magnitude(x: Tensor) -> Tensor:
    """|x| with a gradient at zero."""
    return torch.sqrt(x.real**2 + x.imag**2 + 1e-10)


def loss(
    states: list[Tensor],
    target: Tensor,
    times: list[float],
    *,
    ssim_weight: float = 0.1,
    align: str = "state",
    align_weight: float = 0.1,
    magnitude_weight: float = 0.0,
) -> tuple[Tensor, dict[str, float]]:
    """Total loss of the states x^0 .. x^N `(batch, y, x)` against `target`, and its parts as numbers.

        mean_batch( e(x^N) + align_weight mean_{0<k<N} omega_k ||x^k - x*_{t_k}|| ) / ||x^0 - x_0||
        + ssim_weight (1 - SSIM(|x^N|, |x_0|)),          x*_t = (1 - t) x_0 + t x^0
        e(x) = (1 - magnitude_weight) ||x - x_0|| + magnitude_weight sqrt(2) || |x| - |x_0| ||

    Aligning the states is aligning the velocities: with the ideal velocity taken from the network's own
    state, v_k - v*_k = (x*_{t_{k+1}} - x^{k+1}) / Delta_k. So `align` only chooses weights: omega_k = 1 for `state`,
    1 / Delta_{k-1}, scaled to a mean of 1, for `velocity`; `none` leaves the term out.

    Half the energy of a small error that knows nothing of the phase is in the magnitude: hence the sqrt(2).
    Every item is measured against the error it starts with, so that hard scans do not drown out easy ones. The norm
    is the Euclidean one: it fitted a single problem twice as fast as l1, whose gradient was always clipped.
    """
    start, final = states[0], states[-1]
    # The floor keeps a scan that starts out almost exact from having an unbounded weight.
    unit = distance(start, target) + 0.005 * distance(target)
    end = distance(final, target) / unit
    total = end.mean()
    parts = {"end": float(total.detach())}
    if magnitude_weight:
        error = distance(magnitude(final), magnitude(target)) / unit
        total = torch.lerp(total, math.sqrt(2) * error.mean(), magnitude_weight)
        parts["magnitude"] = float(error.detach().mean())
    if align != "none" and align_weight and len(states) > 2:
        path = torch.stack(
            [distance(x, torch.lerp(target, start, t)) / unit for x, t in zip(states[1:-1], times[1:-1], strict=True)]
        )
        if align == "velocity":
            omega = torch.tensor([1 / (t - u) for t, u in pairwise(times[:-1])], device=path.device)
            path = path * (omega / omega.mean())[:, None]
        total = total + align_weight * path.mean()
        parts["align"] = float(path.mean().detach())
    if ssim_weight:
        structure = 1 - ssim(magnitude(final), magnitude(target)).mean()
        total = total + ssim_weight * structure
        parts["ssim"] = 1 - float(structure.detach())
    return total, parts
