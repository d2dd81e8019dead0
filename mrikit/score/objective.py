"""Denoising score matching: what training minimises."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mrikit.score.prior import Prior, column


def dsm(prior: Prior, image: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    """sigma^2 / 2 ||s(x + sigma n) + n / sigma||^2 per image, `(batch,)`: Vincent 2011, doi:10.1162/NECO_a_00142.

    image, noise: x and n, complex `(batch, y, x)`, n of unit variance in either part. sigma: `(batch,)`. The same as
    ||D(x + sigma n) - x||^2 / (2 sigma^2).
    """
    level = column(sigma, image)
    error = prior.denoise(image + level * noise, sigma) - image
    return (error.real**2 + error.imag**2).sum(dim=(-2, -1)) / (2 * sigma**2)


def edm_weight(sigma: Tensor, sigma_data: float) -> Tensor:
    """What makes of `dsm` the loss of arXiv 2206.00364: (sigma^2 + sigma_data^2) / (sigma sigma_data)^2 ||D - x||^2.

    It is one per real number and level for an untrained network, whose every output then matters alike.
    """
    return 2 * (1 + (sigma / sigma_data) ** 2)


def draw_levels(levels: Sequence[float], n: int, device: torch.device) -> Tensor:
    """`n` of the `levels`, each as likely as the others, from torch's own generator."""
    chosen = torch.randint(len(levels), (n,))
    return torch.tensor(levels)[chosen].to(device)


def loss(
    prior: Prior, image: Tensor, levels: Sequence[float], sigma_data: float | None
) -> tuple[Tensor, dict[str, float]]:
    """Mean loss per real number of images `(batch, y, x)`, each at a level drawn from `levels`; its parts are none.

    sigma_data: of `edm_weight`; None leaves the weights of NCSNv2, one at every level.
    """
    sigma = draw_levels(levels, len(image), image.device)
    noise = torch.complex(torch.randn_like(image.real), torch.randn_like(image.real))
    each = dsm(prior, image, sigma, noise)
    if sigma_data is not None:
        each = each * edm_weight(sigma, sigma_data)
    return each.mean() / (2 * image[0].numel()), {}
