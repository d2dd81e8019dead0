"""A U-Net whose features at every scale can enter another of its kind."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (32, 64, 128, 256)


def _block(n_in: int, n_out: int) -> nn.Module:
    """Two 3 x 3 convolutions, each before a group norm and a SiLU."""
    layers: list[nn.Module] = []
    for n in (n_in, n_out):
        layers += [nn.Conv2d(n, n_out, 3, padding=1), nn.GroupNorm(8, n_out), nn.SiLU()]
    return nn.Sequential(*layers)


class FeatureUNet(nn.Module):
    """Image `(batch, n_in, y, x)` to `(batch, n_out, y, x)`, of any size.

    guided: it takes the features of another of the same `widths`, each scale's through a 1 x 1 convolution.
    n_embedding: length of a vector that is added at the bottleneck. The last layer starts at zero.
    """

    def __init__(
        self, n_in: int, n_out: int, *, widths: tuple[int, ...] = WIDTHS, guided: bool = False, n_embedding: int = 0
    ) -> None:
        super().__init__()
        self.down = nn.ModuleList([_block(a, b) for a, b in itertools.pairwise((n_in, *widths))])
        self.grow = nn.ModuleList([nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in itertools.pairwise(widths)])
        self.up = nn.ModuleList([_block(2 * w, w) for w in widths[:-1]])
        self.guide = nn.ModuleList([nn.Conv2d(w, w, 1) for w in widths]) if guided else None
        self.embed = nn.Sequential(nn.Linear(n_embedding, widths[-1]), nn.SiLU()) if n_embedding else None
        self.tail = nn.Conv2d(widths[0], n_out, 1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)

    def encode(self, x: Tensor, features: list[Tensor] | None = None) -> list[Tensor]:
        """Features of every scale, `(batch, width, y / 2^i, x / 2^i)`, the image padded until it can be halved."""
        multiple = 2 ** (len(self.down) - 1)
        h = functional.pad(x, (0, -x.shape[-1] % multiple, 0, -x.shape[-2] % multiple), mode="replicate")
        kept: list[Tensor] = []
        for i, block in enumerate(self.down):
            h = block(functional.avg_pool2d(h, 2) if i else h)
            if self.guide is not None and features is not None:
                h = h + self.guide[i](features[i])
            kept.append(h)
        return kept

    def forward(self, x: Tensor, features: list[Tensor] | None = None, embedding: Tensor | None = None) -> Tensor:
        kept = self.encode(x, features)
        h = kept.pop()
        if self.embed is not None and embedding is not None:
            h = h + self.embed(embedding)[:, :, None, None]
        for i in reversed(range(len(self.up))):
            h = self.up[i](torch.cat([self.grow[i](h), kept[i]], dim=1))
        return self.tail(h)[..., : x.shape[-2], : x.shape[-1]]
