"""Priors in closed form. What a sampler makes of them can be calculated, which is what they are for."""

from __future__ import annotations

import torch
from torch import Tensor

from mrikit.score.prior import Prior, column


class Gaussian(Prior):
    """Independent voxels, N(mean, tau^2) in the real and in the imaginary part."""

    def __init__(self, mean: complex, tau: float) -> None:
        super().__init__()
        self.mean, self.tau = mean, tau

    def denoise(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        noise = column(sigma, x) ** 2
        return (self.tau**2 * x + noise * self.mean) / (self.tau**2 + noise)


class Mixture(Prior):
    """Blocks of neighbouring voxels along x, each of which is N(means[k], tau^2) with the probability weights[k].

    means: `(component, voxel)` complex; images have a whole number of blocks in every row.
    """

    def __init__(self, means: Tensor, weights: Tensor, tau: float) -> None:
        super().__init__()
        self.means, self.weights, self.tau = means, weights, tau

    def denoise(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        noise = column(sigma, x)[..., None] ** 2
        total = self.tau**2 + noise
        blocks = x.unflatten(-1, (-1, self.means.shape[1]))
        off = blocks[..., None, :] - self.means  # (batch, y, block, component, voxel)
        share = torch.softmax(self.weights.log() - off.abs().square().sum(dim=-1) / (2 * total), dim=-1)
        centre = (share[..., None] * self.means).sum(dim=-2)
        return ((self.tau**2 * blocks + noise * centre) / total).flatten(-2)
