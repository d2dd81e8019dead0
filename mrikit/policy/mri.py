"""Choosing the lines of an MRI scan, in one coil or several, for an unrolled network of this package.

Soft masks m enter both A and A^H: min_x || m (F S x - k) ||^2 has the normal operator S^H F^H m^2 F S and the
right-hand side S^H F^H m^2 k, which is `Sense` with the mask m^2 on the full k-space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mrikit.errors import DataError
from mrikit.nets.channels import to_channels
from mrikit.physics.coils import mvue
from mrikit.physics.espirit import espirit
from mrikit.physics.fourier import fft2c, ifft2c
from mrikit.physics.sampling import undersample
from mrikit.physics.scan import standardise
from mrikit.physics.sense import Sense
from mrikit.policy.budget import Budget
from mrikit.policy.task import Item, Task
from mrikit.unrolled import modl
from mrikit.unrolled.objective import magnitude, ssim
from mrikit.unrolled.problem import Problem


@dataclass(frozen=True)
class Slices(Item):
    """Slices in the scale of what their LF band shows, which is known before a line is chosen.

    kspace, maps: `(batch, coil, y, x)`; kspace is an image along y. sigma: `(batch,)`, the noise std of a sample.
    target: `(batch, y, x)` complex, the MVUE of the full scan.
    """

    kspace: Tensor
    maps: Tensor
    sigma: Tensor
    target: Tensor


def slices(kspaces: Sequence[np.ndarray], budget: Budget, clean: Sequence[np.ndarray] | None = None) -> Slices:
    """Slices of k-space `(coil, y, x)` that holds the LF band at least, with the maps that the band gives.

    clean: the same without noise, for the target, where it is known. Raises DataError where a k-space has another
    number of lines than the budget, or does not hold the LF band.
    """
    made = []
    for kspace, true in zip(kspaces, clean or kspaces, strict=True):
        if kspace.shape[-1] != budget.n:
            raise DataError(f"the budget is for {budget.n} lines, but k-space has {kspace.shape[-1]} along x")
        maps, scale, sigma = look(kspace, budget)
        full, target = ifft2c(kspace, axes=(-2,)), mvue(true, maps)
        scaled = [(array / np.float32(scale)).astype(np.complex64) for array in (full, target)]
        made.append((scaled[0], maps, np.float32(sigma), scaled[1]))
    return Slices(budget, *(torch.from_numpy(np.stack(each)) for each in zip(*made, strict=True)))


def look(kspace: np.ndarray, budget: Budget) -> tuple[np.ndarray, float, float]:
    """Maps `(coil, y, x)`, the scale and the noise in that scale, from the LF band of k-space `(coil, y, x)` alone."""
    low = budget.low.numpy()
    seen = undersample(kspace, low)
    missing = int((~(seen[..., low] != 0).any(axis=(0, 1))).sum())
    if missing:
        raise DataError(
            f"{missing} of the {budget.n_low} low-frequency lines hold nothing",
            hint="a policy chooses by them, so they are measured first",
        )
    # A coil that is alone needs no map: the image has its phase. Bands narrower than 8 lines take a smaller kernel.
    maps = np.ones_like(kspace) if len(kspace) == 1 else espirit(seen, kernel=min(6, max(2, budget.n_low - 2)))
    scan = standardise(seen, maps, low)
    return maps, scan.scale, scan.sigma


@dataclass(frozen=True)
class MriConfig(modl.Config):
    """MoDL of the paper's size by default. loss: of magnitudes, beside 1 - SSIM."""

    n_unrolls: int = 10
    n_cg: int = 8
    features: int = 32
    loss: str = "l1"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_choice("loss", "l1", "mse")

    @property
    def n_features(self) -> int:
        """Numbers of a condition: the channels of the denoiser's hidden layers."""
        return self.features * (self.n_blocks - 1)


class MriTask(Task):
    """A reconstruction by MoDL, scored by the SSIM of magnitudes."""

    n_losses = 2

    def __init__(self, config: MriConfig) -> None:
        super().__init__()
        self.config = config
        self.network = modl.Modl(config)

    def energy(self, item: Slices) -> Tensor:
        return fft2c(item.kspace, axes=(-2,)).abs().mean(dim=(1, 2))

    def condition(self, item: Slices) -> Tensor:
        """Global averages of the hidden layers of the denoiser, of the image of the LF band: `(batch, n_features)`."""
        low = item.budget.low.to(item.kspace.device, torch.float32).expand(len(item), -1)
        h, means = to_channels(operator(item, low).adjoint(item.kspace)), []
        for block in list(self.network.denoiser.blocks)[:-1]:
            h = block(h)
            means.append(h.mean(dim=(-2, -1)))
        return torch.cat(means, dim=1)

    def view(self, item: Slices, mask: Tensor) -> Tensor:
        return magnitude(operator(item, mask).adjoint(item.kspace))[:, None]

    def reconstruct(self, item: Slices, mask: Tensor) -> Tensor:
        """The image `(batch, y, x)` complex that the network makes of the lines of `mask`."""
        return self.network(problem(item, mask))[-1]

    def losses(self, item: Slices, mask: Tensor) -> dict[str, Tensor]:
        found, wanted = magnitude(self.reconstruct(item, mask)), magnitude(item.target)
        error = found - wanted
        distance = error.abs().mean() if self.config.loss == "l1" else error.square().mean()
        return {self.config.loss: distance, "dissimilarity": 1 - ssim(found, wanted).mean()}

    def scores(self, item: Slices, mask: Tensor) -> Tensor:
        return ssim(magnitude(self.reconstruct(item, mask)), magnitude(item.target))


def operator(item: Slices, mask: Tensor) -> Sense:
    """A with soft masks `(batch, x)`, for the full k-space; its adjoint has them twice."""
    return Sense(item.maps, mask[:, None, None].square(), axes=(-1,))


def problem(item: Slices, mask: Tensor) -> Problem:
    """What an unrolled network sees of the lines of soft masks `(batch, x)`."""
    sense, weights = operator(item, mask), mask[:, None, None]
    low = item.budget.low.to(mask.device).expand(len(item), 1, 1, -1)
    return Problem(
        sense,
        sense.adjoint(item.kspace),
        item.sigma.clamp_min(1e-5),
        item.budget.n / mask.detach().sum(dim=1),
        weights * item.kspace,
        item.maps,
        weights,
        low,
    )
