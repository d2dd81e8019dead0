"""A small conditioned U-Net on pixel-unshuffled images."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Two 3 x 3 convolutions, each behind a SiLU, beside a residual path; the condition scales and shifts (FiLM)."""

    def __init__(self, n_in: int, n_out: int, n_condition: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_in, n_out, 3, padding=1)
        self.second = nn.Conv2d(n_out, n_out, 3, padding=1)
        self.skip = nn.Conv2d(n_in, n_out, 1) if n_in != n_out else nn.Identity()
        self.film = nn.Linear(n_condition, 2 * n_out)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.film(condition)[:, :, None, None].chunk(2, dim=1)
        h = self.first(functional.silu(x)) * (1 + scale) + shift
        return self.skip(x) + self.second(functional.silu(h))


class UNet(nn.Module):
    """Image `(batch, channel, y, x)` to an image of the same size; `condition` is `(batch, n_condition)`.

    The image is folded by 2 (pixel unshuffle), so the widest layers run on a quarter of the pixels. Sizes
    that the U-Net cannot halve are padded by reflection and cropped again. The last layer starts at zero.
    """

    def __init__(self, n_in: int, n_out: int, *, features: int, levels: int, n_condition: int) -> None:
        super().__init__()
        self.levels = levels
        widths = [features * 2**i for i in range(levels + 1)]
        self.embed = nn.Sequential(nn.Linear(n_condition, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU())
        self.head = nn.Conv2d(4 * n_in, widths[0], 3, padding=1)
        self.down = nn.ModuleList([Block(w, w, 64) for w in widths[:-1]])
        self.shrink = nn.ModuleList([nn.Conv2d(a, b, 2, stride=2) for a, b in itertools.pairwise(widths)])
        self.middle = Block(widths[-1], widths[-1], 64)
        self.grow = nn.ModuleList([nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in itertools.pairwise(widths)])
        self.up = nn.ModuleList([Block(2 * w, w, 64) for w in widths[:-1]])
        self.tail = nn.Conv2d(widths[0], 4 * n_out, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        n_y, n_x = x.shape[-2:]
        multiple = 2 ** (self.levels + 1)
        pad_y, pad_x = -n_y % multiple, -n_x % multiple
        if pad_y or pad_x:
            x = functional.pad(
                x, (0, pad_x, 0, pad_y), mode="reflect" if max(pad_y, pad_x) < min(n_y, n_x) else "replicate"
            )
        condition = self.embed(condition)
        h = self.head(functional.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last))
        kept = []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            h = block(h, condition)
            kept.append(h)
            h = shrink(h)
        h = self.middle(h, condition)
        for i in reversed(range(self.levels)):
            h = self.up[i](torch.cat([self.grow[i](h), kept[i]], dim=1), condition)
        return functional.pixel_shuffle(self.tail(h), 2)[..., :n_y, :n_x]
