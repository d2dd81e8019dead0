"""Choosing the lines of an MRI scan, in one coil or several, for an unrolled network of this package.

Soft masks m are weights of the samples: min_x || sqrt(m) (F S x - k) ||^2 has the normal operator S^H F^H m F S and the
right-hand side S^H F^H m k, which is `Sense` with the mask m on the full k-space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mrikit import weights
from mrikit.errors import DataError
from mrikit.physics.coils import mvue
from mrikit.physics.espirit import espirit
from mrikit.physics.fourier import fft2c, ifft2c
from mrikit.physics.sampling import undersample
from mrikit.physics.scan import standardise
from mrikit.physics.sense import Sense
from mrikit.policy.budget import Budget
from mrikit.policy.task import Item, Task
from mrikit.train.config import Settings
from mrikit.unrolled.architectures import Network, build, settings
from mrikit.unrolled.modl import Modl
from mrikit.unrolled.objective import magnitude, ssim
from mrikit.unrolled.problem import Problem
from mrikit.unrolled.varnet import VarNet


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
class MriConfig(Settings):
    """architecture, network: of the unrolled network and its settings, by default the paper's MoDL.

    loss: of magnitudes, beside 1 - SSIM.
    """

    architecture: str = "modl"
    network: dict[str, Any] = field(default_factory=lambda: {"n_unrolls": 10, "n_cg": 8, "features": 32})
    loss: str = "l1"

    def __post_init__(self) -> None:
        self.require_choice("loss", "l1", "mse")
        if not isinstance(self.network, dict):
            raise DataError(f"network is {self.network!r}, expected the settings of an unrolled network")
        settings(self.architecture, self.network)


class MriTask(Task):
    """A reconstruction by an unrolled network, scored by the SSIM of magnitudes."""

    n_losses = 2

    def __init__(self, config: MriConfig) -> None:
        super().__init__()
        self.config = config
        self.network = build(config.architecture, config.network)

    @classmethod
    def of(cls, model: str, loss: str = "l1") -> MriTask:
        """The task of the unrolled network that a default model's name or a weights file holds."""
        card = weights.card(model)
        task = cls(MriConfig(card["architecture"], card["config"], loss))
        task.network.load_state_dict(weights.network(model, build).state_dict())
        return task

    def shallow(self) -> MriTask | None:
        """A new one of one unroll with the same parameters, for the first part of training; None but for MoDL."""
        if self.config.architecture != "modl":
            return None
        return MriTask(replace(self.config, network={**self.config.network, "n_unrolls": 1}))

    def energy(self, item: Slices) -> Tensor:
        return fft2c(item.kspace, axes=(-2,)).abs().mean(dim=(1, 2))

    def condition(self, item: Slices) -> Tensor:
        """Global averages of what the network's hidden layers make of the LF band, `(batch, n_features)`."""
        low = item.budget.low.to(item.kspace.device, torch.float32).expand(len(item), -1)
        layers, means = hidden_layers(self.network), []

        def average(layer: nn.Module, given: Any, out: Tensor) -> None:
            means.append(out.mean(dim=(-2, -1)))

        hooks = [layer.register_forward_hook(average) for layer in layers]
        try:
            self.network.glance(problem(item, low))
        finally:
            for hook in hooks:
                hook.remove()
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


def hidden_layers(network: Network) -> list[nn.Module]:
    """The layers of an unrolled network's denoiser, or of its first cascade's, that say what it sees."""
    if isinstance(network, Modl):
        return list(network.denoiser.blocks)[:-1]
    prior: Any = network.cascades[0].prior if isinstance(network, VarNet) else network.prior
    unet: Any = prior[0] if isinstance(prior, nn.ModuleList) else prior
    return [*unet.down, unet.middle]


def operator(item: Slices, mask: Tensor) -> Sense:
    """A with soft masks `(batch, x)`, for the full k-space; A^H A has them once, so that lines at 0 have a gradient."""
    return Sense(item.maps, mask[:, None, None], axes=(-1,))


def problem(item: Slices, mask: Tensor) -> Problem:
    """What an unrolled network sees of the lines of soft masks `(batch, x)`."""
    sense, soft = operator(item, mask), mask[:, None, None]
    low = item.budget.low.to(mask.device).expand(len(item), 1, 1, -1)
    return Problem(
        sense,
        sense.adjoint(item.kspace),
        item.sigma.clamp_min(1e-5),
        item.budget.n / mask.detach().sum(dim=1),
        soft * item.kspace,
        item.maps,
        soft,
        low,
    )
