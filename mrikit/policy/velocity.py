"""The velocity networks u(x_t, t, c): of lines and of pixels.

Beside the time both are told the rate K / N that the budget allows, so that one policy serves several. What they learn
is how masks differ from Gaussian noise of their mean and variance, whose velocity is known: a plain network spends its
first thousands of steps on that. The mean is `usual` `(n,)`, how often target masks take each place, set to the rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mrikit.nets.feature_unet import FeatureUNet
from mrikit.nets.mlp import Mlp, sinusoids
from mrikit.policy.budget import rescale
from mrikit.train.config import Settings

N_TIME, N_RATE = 64, 64


@dataclass(frozen=True)
class LineConfig(Settings):
    """n: lines of a mask. n_features: numbers that say what is to be measured. width, depth: of the perceptron."""

    n: int = 208
    n_features: int = 96
    width: int = 512
    depth: int = 4

    def __post_init__(self) -> None:
        for name, low, high in (("n", 2, 4096), ("n_features", 0, 4096), ("width", 1, 8192), ("depth", 1, 32)):
            self.require_number(name, low, high)


class LineVelocity(nn.Module):
    """A perceptron of the state, features `(batch, n_features)`, the time and the rate."""

    def __init__(self, config: LineConfig) -> None:
        super().__init__()
        self.config = config
        n_in = config.n + config.n_features + N_TIME + N_RATE
        self.mlp = Mlp(n_in, config.n, width=config.width, depth=config.depth)
        self.usual: Tensor
        self.register_buffer("usual", torch.full((config.n,), 0.5))

    def forward(self, x: Tensor, t: Tensor, condition: Tensor, rate: float) -> Tensor:
        told = sinusoids(torch.full_like(t, rate), N_RATE)
        own = self.mlp(torch.cat([x, condition, sinusoids(t, N_TIME), told], dim=1))
        return gaussian(x, t, rescale(self.usual, rate)) + own


@dataclass(frozen=True)
class PixelConfig(Settings):
    """n_y, n_x: pixels of a mask. features: channels of the first scale; each of the other three has twice as many."""

    n_y: int = 32
    n_x: int = 32
    features: int = 32

    def __post_init__(self) -> None:
        for name, low, high in (("n_y", 1, 4096), ("n_x", 1, 4096), ("features", 8, 256)):
            self.require_number(name, low, high)

    @property
    def n(self) -> int:
        """Pixels of a mask."""
        return self.n_y * self.n_x


class PixelVelocity(nn.Module):
    """A U-Net of the state as an image, which another's frozen features, one tensor a scale, enter."""

    def __init__(self, config: PixelConfig) -> None:
        super().__init__()
        self.config = config
        widths = tuple(config.features * 2**i for i in range(4))
        self.unet = FeatureUNet(1, 1, widths=widths, guided=True, n_embedding=N_TIME + N_RATE)
        self.usual: Tensor
        self.register_buffer("usual", torch.full((config.n,), 0.5))

    def forward(self, x: Tensor, t: Tensor, condition: list[Tensor], rate: float) -> Tensor:
        told = torch.cat([sinusoids(t, N_TIME), sinusoids(torch.full_like(t, rate), N_RATE)], dim=1)
        image = x.unflatten(1, (1, self.config.n_y, self.config.n_x))
        return gaussian(x, t, rescale(self.usual, rate)) + self.unet(image, condition, told).flatten(1)


Velocity = LineVelocity | PixelVelocity


def gaussian(x: Tensor, t: Tensor, p: Tensor) -> Tensor:
    """E[m - x_0 | x_t = x], were the places of a mask m independent and N(p, p (1 - p)), with `p` `(n,)`.

    p + (t v - (1 - t)) / ((1 - t)^2 + t^2 v) (x - t p), with v = p (1 - p).
    """
    v, t = (p * (1 - p)).clamp_min(1e-3), t[:, None]
    return p + (t * v - (1 - t)) / ((1 - t) ** 2 + t**2 * v) * (x - t * p)


def resize(scores: Tensor, n: int) -> Tensor:
    """Scores `(batch, lines)` for masks of `n` lines: the same at the same share of the highest frequency.

    The zero frequency, line n // 2, stays where it is, for odd numbers too.
    """
    given = scores.shape[1]
    if given == n:
        return scores
    frequency = (torch.arange(n, device=scores.device, dtype=scores.dtype) - n // 2) / n
    # grid_sample's -1 and 1 are the first and the last line.
    where = 2 * (frequency * given + given // 2) / (given - 1) - 1
    grid = torch.stack([where, torch.zeros_like(where)], dim=1).expand(len(scores), 1, n, 2)
    sampled = functional.grid_sample(scores[:, None, None], grid, padding_mode="border", align_corners=True)
    return sampled[:, 0, 0]
