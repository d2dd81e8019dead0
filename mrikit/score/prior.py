"""Score priors: networks that know E[x | x + sigma n] at every noise level, and so the score of noisy images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mrikit.errors import DataError
from mrikit.nets.channels import to_channels, to_complex
from mrikit.nets.refinenet import RefineNet
from mrikit.nets.unet import UNet
from mrikit.score.levels import NCSNV2
from mrikit.train.config import Settings


class Prior(nn.Module):
    """What samplers know of images `(batch, y, x)`, complex and about 1 where they are bright.

    sigma_max, sigma_min: noise levels between which it can be asked; a level is the std on the real and on the
    imaginary part, each. A subclass says `denoise`; a test can have a prior in closed form.
    """

    sigma_max = math.inf
    sigma_min = 0.0

    def denoise(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """E[x_0 | x_0 + sigma n = x], sigma being one number or `(batch,)`."""
        raise NotImplementedError

    def score(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """Gradient of the log density of noisy images, (denoise(x) - x) / sigma^2: Tweedie's formula."""
        return (self.denoise(x, sigma) - x) / column(sigma, x) ** 2


def column(sigma: Tensor | float, x: Tensor) -> Tensor:
    """`sigma` as real `(batch, 1, 1)` beside `x` `(batch, y, x)`."""
    return torch.as_tensor(sigma, dtype=x.real.dtype, device=x.device).expand(len(x))[:, None, None]


@dataclass(frozen=True)
class Config(Settings):
    """Noise levels to learn: `n_levels`, geometric, from sigma_max to sigma_min."""

    sigma_max: float = NCSNV2[0]
    sigma_min: float = NCSNV2[1]
    n_levels: int = NCSNV2[2]
    features: int = 128

    def __post_init__(self) -> None:
        for name, low, high in (
            ("sigma_max", 1e-6, 1e6), ("sigma_min", 1e-6, 1e6), ("n_levels", 2, 10**6), ("features", 1, 1024),
        ):  # fmt: skip
            self.require_number(name, low, high)
        if self.sigma_min >= self.sigma_max:
            raise DataError(f"sigma_min is {self.sigma_min:g}, expected less than sigma_max, {self.sigma_max:g}")


class _Learned(Prior):
    """A prior with a configuration."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.sigma_max, self.sigma_min = config.sigma_max, config.sigma_min


@dataclass(frozen=True)
class Ncsnv2Config(Config):
    """rescaled: the network sees 2 x - 1, as the published one does, which was made for images in [0, 1]."""

    rescaled: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_choice("rescaled", True, False)


class Ncsnv2(_Learned):
    """NCSNv2, deepest variant: score = network(2 x - 1) / sigma; the network is not told sigma.

    Song and Ermon 2020, arXiv 2006.09011, as Jalal et al. 2021 use it, arXiv 2108.01368.
    """

    def __init__(self, config: Ncsnv2Config) -> None:
        super().__init__(config)
        self.rescaled = config.rescaled
        self.network = RefineNet(2, config.features)

    def denoise(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        channels = to_channels(x)
        return x + column(sigma, x) * to_complex(self.network(2 * channels - 1 if self.rescaled else channels))


@dataclass(frozen=True)
class EdmConfig(Config):
    """levels: of the U-Net. sigma_data: std of the real and of the imaginary part of images."""

    sigma_max: float = 5.0
    sigma_min: float = 0.004
    n_levels: int = 1000
    features: int = 32
    levels: int = 3
    sigma_data: float = 0.35

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_number("levels", 0, 8)
        self.require_number("sigma_data", 1e-3, 1e3)


class Edm(_Learned):
    """D(x) = c_skip x + c_out F(c_in x, ln(sigma) / 4): inputs and targets of the U-Net F have unit variance.

    Karras et al. 2022, arXiv 2206.00364, table 1.
    """

    def __init__(self, config: EdmConfig) -> None:
        super().__init__(config)
        self.sigma_data = config.sigma_data
        self.network = UNet(2, 2, features=config.features, levels=config.levels, n_condition=1)

    def denoise(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        level = column(sigma, x)
        total = (level**2 + self.sigma_data**2).sqrt()
        parts = self.network(to_channels(x / total), level[:, :, 0].log() / 4)
        return (self.sigma_data / total) ** 2 * x + level * self.sigma_data / total * to_complex(parts)
