"""The RefineNet of NCSNv2, deepest variant: Song and Ermon 2020, arXiv 2006.09011; Lin et al. 2017, arXiv 1611.06612.

Six stages of residual blocks, the last two dilated instead of pooled, and a refinement block for each on the way back.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class InstanceNormPlus(nn.Module):
    """Instance normalisation that keeps, standardised across the channels, the means it takes away."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(1 + 0.02 * torch.randn(n_channels))
        self.gamma = nn.Parameter(1 + 0.02 * torch.randn(n_channels))
        self.beta = nn.Parameter(torch.zeros(n_channels))

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean(dim=(-2, -1))
        spread = (means.var(dim=-1, keepdim=True) + 1e-5).sqrt()
        means = (means - means.mean(dim=-1, keepdim=True)) / spread
        h = functional.instance_norm(x) + (means * self.alpha)[:, :, None, None]
        return self.gamma[:, None, None] * h + self.beta[:, None, None]


class ResidualBlock(nn.Module):
    """Norm, ELU and a 3 x 3 convolution, twice, beside a shortcut.

    pool: halve the image. dilation: distance between the taps. project: a convolution as the shortcut, not identity.
    """

    def __init__(self, n_in: int, n_out: int, *, pool: bool = False, dilation: int = 1, project: bool = False) -> None:
        super().__init__()
        self.pool = pool
        self.first = nn.Sequential(InstanceNormPlus(n_in), nn.ELU(), conv(n_in, n_in, dilation=dilation))
        self.second = nn.Sequential(InstanceNormPlus(n_in), nn.ELU(), conv(n_in, n_out, dilation=dilation))
        self.shortcut: nn.Module = nn.Identity()
        if project:
            self.shortcut = nn.Conv2d(n_in, n_out, 1) if dilation == 1 else conv(n_in, n_out, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        total = self.second(self.first(x)) + self.shortcut(x)
        return functional.avg_pool2d(total, 2, ceil_mode=True) if self.pool else total


def stage(n_in: int, n_out: int, *, pool: bool = False, dilation: int = 1) -> nn.Sequential:
    """Two residual blocks, the first of which changes channels, pools or begins to dilate, if one of them does."""
    project = n_in != n_out or pool or dilation > 1
    return nn.Sequential(
        ResidualBlock(n_in, n_out, pool=pool, dilation=dilation, project=project),
        ResidualBlock(n_out, n_out, dilation=dilation),
    )


class ResidualConvs(nn.Module):
    """`n_units` residual units of ELU and a 3 x 3 convolution, twice."""

    def __init__(self, n_channels: int, n_units: int) -> None:
        super().__init__()
        self.units = nn.ModuleList(
            [
                nn.Sequential(*(m for _ in range(2) for m in (nn.ELU(), conv(n_channels, n_channels, bias=False))))
                for _ in range(n_units)
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        for unit in self.units:
            x = x + unit(x)
        return x


class RefineBlock(nn.Module):
    """Inputs of several resolutions, fused at that of the first, pooled in a chain of residuals and refined."""

    def __init__(self, n_in: Sequence[int], n_out: int, *, n_units: int = 1) -> None:
        super().__init__()
        self.adapt = nn.ModuleList([ResidualConvs(n, 2) for n in n_in])
        self.fuse = nn.ModuleList([conv(n, n_out) for n in n_in] if len(n_in) > 1 else [])
        self.chain = nn.ModuleList([conv(n_out, n_out, bias=False) for _ in range(2)])
        self.refine = ResidualConvs(n_out, n_units)

    def forward(self, *inputs: Tensor) -> Tensor:
        adapted = [adapt(x) for adapt, x in zip(self.adapt, inputs, strict=True)]
        if self.fuse:
            size = inputs[0].shape[-2:]
            x = torch.stack(
                [
                    functional.interpolate(fuse(h), size=size, mode="bilinear", align_corners=True)
                    for fuse, h in zip(self.fuse, adapted, strict=True)
                ]
            ).sum(dim=0)
        else:
            (x,) = adapted
        path = x = functional.elu(x)
        for chained in self.chain:
            path = chained(functional.max_pool2d(path, 5, stride=1, padding=2))
            x = x + path
        return self.refine(x)


class RefineNet(nn.Module):
    """Image `(batch, n_channels, y, x)` of any size to one of the same shape; 94,130,306 parameters at 128 features."""

    def __init__(self, n_channels: int = 2, features: int = 128) -> None:
        super().__init__()
        f, f2, f4 = features, 2 * features, 4 * features
        self.head = conv(n_channels, f)
        self.stages = nn.ModuleList(
            [
                stage(f, f),
                stage(f, f2, pool=True),
                stage(f2, f2, pool=True),
                stage(f2, f2, pool=True),
                stage(f2, f4, dilation=2),
                stage(f4, f4, dilation=4),
            ]
        )
        self.deepest = RefineBlock([f4], f4)
        self.refinements = nn.ModuleList(  # from the fifth stage back to the first
            [
                RefineBlock([f4, f4], f2),
                RefineBlock([f2, f2], f2),
                RefineBlock([f2, f2], f2),
                RefineBlock([f2, f2], f),
                RefineBlock([f, f], f, n_units=3),
            ]
        )
        self.tail = nn.Sequential(InstanceNormPlus(f), nn.ELU(), conv(f, n_channels))

    def forward(self, x: Tensor) -> Tensor:
        h, kept = self.head(x), []
        for stage in self.stages:
            h = stage(h)
            kept.append(h)
        h = self.deepest(h)
        for refine, skipped in zip(self.refinements, reversed(kept[:-1]), strict=True):
            h = refine(skipped, h)
        return self.tail(h)


def conv(n_in: int, n_out: int, *, dilation: int = 1, bias: bool = True) -> nn.Conv2d:
    """A 3 x 3 convolution that keeps the size."""
    return nn.Conv2d(n_in, n_out, 3, padding=dilation, dilation=dilation, bias=bias)
