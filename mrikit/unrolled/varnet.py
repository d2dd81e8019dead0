"""E2E-VarNet: gradient steps on k-space. Sriram et al. 2020, doi:10.1007/978-3-030-59713-9_7.

    k^0 = y,    k^{j+1} = k^j - eta_j M (k^j - y) - E U_j(E^H k^j),    E = F S

M is the mask, and S the coil maps: those of the problem, or estimated by a U-Net, the sensitivity network, from
the images of the fully sampled centre. Every cascade has an eta_j and a U-Net U_j of its own.

The sensitivity network sees one coil at a time, so the phase of its maps is arbitrary. Where the original takes the
root sum of squares of the coils at the end, the states here are combined by the problem's maps, as the target is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mrikit.errors import DataError
from mrikit.nets.channels import to_channels, to_complex
from mrikit.nets.norm_unet import NormUNet
from mrikit.physics.fourier import ifft2c
from mrikit.physics.sense import Sense
from mrikit.train.config import Settings
from mrikit.unrolled.problem import Problem
from mrikit.unrolled.schedule import times


@dataclass(frozen=True)
class Config(Settings):
    """The published network by default. features, levels: of the U-Nets, maps_*: of the sensitivity network's.

    maps: `sensenet`, the network's own, or `espirit`, the problem's.
    """

    n_unrolls: int = 12
    features: int = 18
    levels: int = 4
    maps: str = "sensenet"
    maps_features: int = 8
    maps_levels: int = 4

    def __post_init__(self) -> None:
        for name, low, high in (
            ("n_unrolls", 1, 100), ("features", 1, 1024), ("levels", 1, 8),
            ("maps_features", 1, 1024), ("maps_levels", 1, 8),
        ):  # fmt: skip
            self.require_number(name, low, high)
        self.require_choice("maps", "sensenet", "espirit")


class SensitivityNetwork(nn.Module):
    """Coil maps `(batch, coil, y, x)` of unit norm at every voxel, from a problem's fully sampled centre."""

    def __init__(self, features: int, levels: int) -> None:
        super().__init__()
        self.refine = NormUNet(2, features=features, levels=levels)

    def forward(self, problem: Problem) -> Tensor:
        if not problem.centre.flatten(1).any(dim=1).all():
            raise DataError(
                "the mask has no fully sampled centre for the model's sensitivity network",
                hint="a model that uses the maps it is given, such as flat-small, needs none",
            )
        images = ifft2c(problem.kspace * problem.centre, axes=problem.operator.axes)
        refined = to_complex(self.refine(to_channels(images.flatten(0, 1)))).unflatten(0, images.shape[:2])
        power = refined.real**2 + refined.imag**2
        return refined / torch.sqrt(power.sum(dim=1, keepdim=True) + 1e-12)


class Cascade(nn.Module):
    """One step on k-space `(batch, coil, y, x)`; `coils` is E."""

    def __init__(self, features: int, levels: int) -> None:
        super().__init__()
        self.prior = NormUNet(2, features=features, levels=levels)
        self.data_weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, kspace: Tensor, problem: Problem, coils: Sense) -> Tensor:
        misfit = problem.mask * kspace - problem.kspace
        rest = to_complex(self.prior(to_channels(coils.adjoint(kspace))))
        return kspace - self.data_weight * misfit - coils.forward(rest)


class VarNet(nn.Module):
    """Map a `Problem` to the states x^0 .. x^N, each `(batch, y, x)` complex; the last is the reconstruction."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.times = times(config.n_unrolls, 0)
        own_maps = config.maps == "sensenet"
        self.sensitivities = SensitivityNetwork(config.maps_features, config.maps_levels) if own_maps else None
        self.cascades = nn.ModuleList([Cascade(config.features, config.levels) for _ in range(config.n_unrolls)])

    def glance(self, problem: Problem) -> Tensor:
        """What it sees of a problem: all that it does."""
        return self(problem)[-1]

    def forward(self, problem: Problem) -> list[Tensor]:
        given = unmasked(problem.maps, problem)
        coils = unmasked(self.sensitivities(problem), problem) if self.sensitivities else given
        kspace = problem.kspace
        states = [given.adjoint(kspace)]
        for cascade in self.cascades:
            kspace = cascade(kspace, problem, coils)
            states.append(given.adjoint(kspace))
        return states


def unmasked(maps: Tensor, problem: Problem) -> Sense:
    """E = F S, in the k-space of the problem, with every sample taken."""
    return Sense(maps, torch.ones(1, dtype=torch.bool, device=maps.device), axes=problem.operator.axes)
