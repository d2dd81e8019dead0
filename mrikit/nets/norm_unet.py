"""The U-Net of E2E-VarNet, on images of zero mean and unit variance.

Sriram et al. 2020, doi:10.1007/978-3-030-59713-9_7, with the layers of fastMRI's (Zbontar 2018, arXiv 1811.08839).
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional


def _activated(convolution: nn.Module, n_out: int) -> list[nn.Module]:
    return [convolution, nn.InstanceNorm2d(n_out), nn.LeakyReLU(0.2)]


def _block(n_in: int, n_out: int) -> nn.Module:
    """Two 3 x 3 convolutions, each before an instance norm and a leaky ReLU."""
    first = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
    second = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
    return nn.Sequential(*_activated(first, n_out), *_activated(second, n_out))


def _grow(n_in: int, n_out: int) -> nn.Module:
    """Twice the size, by a transposed convolution."""
    return nn.Sequential(*_activated(nn.ConvTranspose2d(n_in, n_out, 2, stride=2, bias=False), n_out))


class NormUNet(nn.Module):
    """Image `(batch, channel, y, x)` to an image of the same size and number of channels.

    The mean and the standard deviation of every channel are taken off before the U-Net and given back after it.
    Sizes that the U-Net cannot halve `levels` times are padded with zeros on both sides and cropped again.
    """

    def __init__(self, n_channels: int, *, features: int, levels: int) -> None:
        super().__init__()
        widths = [features * 2**i for i in range(levels + 1)]
        self.levels = levels
        self.down = nn.ModuleList([_block(a, b) for a, b in itertools.pairwise([n_channels, *widths[:-1]])])
        self.middle = _block(widths[-2], widths[-1])
        self.grow = nn.ModuleList([_grow(b, a) for a, b in itertools.pairwise(widths)])
        self.up = nn.ModuleList([_block(2 * a, a) for a in widths[:-1]])
        self.tail = nn.Conv2d(widths[0], n_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, dim=(-2, -1), keepdim=True)
        std = torch.sqrt(variance + 1e-10)  # an image of zeros stays one, with a gradient
        n_y, n_x = x.shape[-2:]
        pad_y, pad_x = self._padded(n_y) - n_y, self._padded(n_x) - n_x
        top, left = pad_y // 2, pad_x // 2
        h = functional.pad((x - mean) / std, (left, pad_x - left, top, pad_y - top))
        h = self._unet(h)[..., top : top + n_y, left : left + n_x]
        return h * std + mean

    def _padded(self, n: int) -> int:
        """Size that can be halved `levels` times, to no less than 2: one pixel has no variance to normalise."""
        multiple = 2**self.levels
        return max(2, -(-n // multiple)) * multiple

    def _unet(self, h: Tensor) -> Tensor:
        kept = []
        for block in self.down:
            kept.append(block(h))
            h = functional.avg_pool2d(kept[-1], 2)
        h = self.middle(h)
        for i in reversed(range(self.levels)):
            h = self.up[i](torch.cat([self.grow[i](h), kept[i]], dim=1))
        return self.tail(h)
