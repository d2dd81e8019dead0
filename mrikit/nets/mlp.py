"""A perceptron of several layers, and the embedding of numbers that it is given."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Mlp(nn.Module):
    """`(batch, n_in)` to `(batch, n_out)`: `depth` times Linear, LayerNorm, SiLU, then Linear, which starts at zero."""

    def __init__(self, n_in: int, n_out: int, *, width: int, depth: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(depth):
            layers += [nn.Linear(width if i else n_in, width), nn.LayerNorm(width), nn.SiLU()]
        last = nn.Linear(width if depth else n_in, n_out)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(*layers, last)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def sinusoids(x: Tensor, n: int = 64) -> Tensor:
    """Numbers `(batch,)` from 0 to 1 as `(batch, n)` sines and cosines, n even: from one turn in 6 to 160 turns."""
    frequencies = torch.exp(torch.linspace(0, math.log(1000), n // 2, device=x.device))
    angles = x[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)
