"""Wavelet shrinkage: the classical prior, differentiable in its thresholds."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from mrikit.nets.channels import to_channels, to_complex

# Daubechies 2 (four taps), as BART uses: Daubechies 1988, doi:10.1002/cpa.3160410705.
_ROOT = math.sqrt(3)
_H = tuple(a / (4 * math.sqrt(2)) for a in (1 + _ROOT, 3 + _ROOT, 3 - _ROOT, 1 - _ROOT))


def split(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Smooth and detail halves of `x` along `dim`, of even length, periodic and orthonormal."""
    even, odd = x.movedim(dim, -1).unflatten(-1, (-1, 2)).unbind(-1)
    h0, h1, h2, h3 = _H
    smooth = h0 * even + h1 * odd + torch.roll(h2 * even + h3 * odd, -1, -1)
    detail = h3 * even - h2 * odd + torch.roll(h1 * even - h0 * odd, -1, -1)
    return smooth.movedim(-1, dim), detail.movedim(-1, dim)


def merge(smooth: Tensor, detail: Tensor, dim: int) -> Tensor:
    """The inverse, and the adjoint, of `split`."""
    a, d = smooth.movedim(dim, -1), detail.movedim(dim, -1)
    h0, h1, h2, h3 = _H
    even = h0 * a + h3 * d + torch.roll(h2 * a + h1 * d, 1, -1)
    odd = h1 * a - h2 * d + torch.roll(h3 * a - h0 * d, 1, -1)
    return torch.stack([even, odd], dim=-1).flatten(-2).movedim(-1, dim)


def soft_threshold(x: Tensor, threshold: Tensor) -> Tensor:
    """Complex `x` with its magnitude reduced by `threshold`, at most to zero."""
    magnitude = torch.sqrt(x.real**2 + x.imag**2 + 1e-12)
    return x * functional.relu(1 - threshold / magnitude)


def shrink(x: Tensor, threshold: Tensor, *, levels: int = 4, shift: int = 0) -> Tensor:
    """`x` `(batch, y, x)` complex with its wavelet details soft-thresholded by `threshold` `(batch, 1, 1)`.

    A shift of the grid that differs from call to call (cycle spinning) averages out its artefacts. Sizes that
    cannot be halved `levels` times are padded by repetition of the edge.
    """
    n_y, n_x = x.shape[-2:]
    pad_y, pad_x = -n_y % 2**levels, -n_x % 2**levels
    padded = to_complex(functional.pad(to_channels(x), (0, pad_x, 0, pad_y), mode="replicate"))
    smooth = torch.roll(padded, (shift, shift), (-2, -1))
    details = []
    for _ in range(levels):
        low, high = split(smooth, -2)
        smooth, right = split(low, -1)
        details.append([soft_threshold(d, threshold) for d in (right, *split(high, -1))])
    for right, down, corner in reversed(details):
        smooth = merge(merge(smooth, right, -1), merge(down, corner, -1), -2)
    return torch.roll(smooth, (-shift, -shift), (-2, -1))[..., :n_y, :n_x]
