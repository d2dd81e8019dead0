"""Wavelet shrinkage: the classical prior, differentiable in its thresholds."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

# Daubechies 2 (four taps), as BART uses: Daubechies 1988, doi:10.1002/cpa.3160410705.
_ROOT = math.sqrt(3)
_SMOOTH = torch.tensor([1 + _ROOT, 3 + _ROOT, 3 - _ROOT, 1 - _ROOT], dtype=torch.float64) / (4 * math.sqrt(2))
_DETAIL = _SMOOTH.flip(0) * torch.tensor([1, -1, 1, -1])


#: Products of the filters along y and x, `(band, 1, 4, 4)`: smooth along both, and details along x, y and both.
_ANALYSIS = torch.stack([torch.outer(y, x) for y in (_SMOOTH, _DETAIL) for x in (_SMOOTH, _DETAIL)])[:, None]
#: A 2 x 2 block of the image is made of the bands at its own place and at those before it: `(pixel, band, 2, 2)`.
_SYNTHESIS = functional.pixel_unshuffle(_ANALYSIS, 2).flip(-2, -1).transpose(0, 1).contiguous()


def split(x: Tensor) -> Tensor:
    """Bands `(batch, 4, y / 2, x / 2)` of real `x` `(batch, 1, y, x)`, even sizes, periodic and orthonormal.

    The first is smooth, the others are details along x, along y and along both.
    """
    x = torch.cat([x, x[..., :2]], dim=-1)
    x = torch.cat([x, x[..., :2, :]], dim=-2)
    return functional.conv2d(x, _ANALYSIS.to(x), stride=2)


def merge(bands: Tensor) -> Tensor:
    """The inverse, and the adjoint, of `split`."""
    bands = torch.cat([bands[..., -1:], bands], dim=-1)
    bands = torch.cat([bands[..., -1:, :], bands], dim=-2)
    blocks = functional.conv2d(bands, _SYNTHESIS.to(bands)).unflatten(1, (2, 2))
    return blocks.permute(0, 3, 1, 4, 2).flatten(3).flatten(1, 2)[:, None]  # pixel_shuffle, in half its time


def soft_threshold(x: Tensor, threshold: Tensor) -> Tensor:
    """Real `x` brought nearer to zero by `threshold`, at most to zero."""
    return x - torch.maximum(torch.minimum(x, threshold), -threshold)


def shrink(x: Tensor, threshold: Tensor, *, levels: int = 4, shift: int = 0) -> Tensor:
    """Real `x` `(batch, y, x)` with its wavelet details soft-thresholded by `threshold` `(batch, 1, 1)`.

    A shift of the grid that differs from call to call (cycle spinning) averages out its artefacts. Sizes that
    cannot be halved `levels` times are padded by repetition of the edge.
    """
    n_y, n_x = x.shape[-2:]
    padded = pad_edges(x, -n_y % 2**levels, -n_x % 2**levels)
    smooth = torch.roll(padded, (shift, shift), (-2, -1))[:, None]
    details = []
    for _ in range(levels):
        smooth, detail = split(smooth).tensor_split([1], dim=1)
        details.append(soft_threshold(detail, threshold[:, None]))
    for detail in reversed(details):
        smooth = merge(torch.cat([smooth, detail], dim=1))
    return torch.roll(smooth[:, 0], (-shift, -shift), (-2, -1))[..., :n_y, :n_x]


def pad_edges(x: Tensor, n_y: int, n_x: int) -> Tensor:
    """`x` `(batch, y, x)` with its last row repeated `n_y` times and then its last column `n_x` times."""
    x = torch.cat([x, x[:, -1:].expand(-1, n_y, -1)], dim=1) if n_y else x
    return torch.cat([x, x[:, :, -1:].expand(-1, -1, n_x)], dim=2) if n_x else x
