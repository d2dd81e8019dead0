"""A residual network of pre-activation blocks: He 2016, doi:10.1007/978-3-319-46493-0_38."""

from __future__ import annotations

import itertools

from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Two 3 x 3 convolutions, each behind a ReLU, beside a shortcut; nothing has a bias."""

    def __init__(self, n_in: int, n_out: int, features: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_in, features, 3, padding=1, bias=False)
        self.second = nn.Conv2d(features, n_out, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(n_in, n_out, 1, bias=False) if n_in != n_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.second(functional.relu(self.first(functional.relu(x))))


class ResNet(nn.Module):
    """Image `(batch, channel, y, x)` to an image of the same size: x + blocks(x), which starts as x itself."""

    def __init__(self, n_channels: int, *, features: int, n_blocks: int) -> None:
        super().__init__()
        widths = [n_channels, *[features] * (n_blocks - 1), n_channels]
        self.blocks = nn.Sequential(*[Block(a, b, features) for a, b in itertools.pairwise(widths)])
        for parameter in (*self.blocks[-1].second.parameters(), *self.blocks[-1].shortcut.parameters()):
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.blocks(x)
