"""MoDL: a denoiser and conjugate gradients in turn. Aggarwal 2018, doi:10.1109/TMI.2018.2865356.

    x^0 = A^H y,    x^{k+1} = argmin_x ||A x - y||^2 + lamda ||x - D(x^k)||^2

What is learned is the denoiser D, shared by all unrolls, and lamda. The defaults are the baseline of Jalal et al. 2021,
arXiv 2108.01368. Parameters of its four residual blocks, 2 -> 64 -> 64 -> 64 -> 2 channels, without biases and norms:

    first and last: 9 (2 + 64) 64 + 2 x 64 each, the second term being the 1 x 1 shortcut     2 x  38,144
    the two between: 9 (64 + 64) 64 each                                                      2 x  73,728
    lamda                                                                                               1
                                                                                                  223,745

The gradient goes through the conjugate-gradient iterations. One more solve in their place, as MoDL has it, is right
only where they converge: before training, with 8 coils, R = 4 and lamda = 0.01, it gave gradients a fifth as long for
lines, and a twentieth for Poisson discs, at a cosine of 0.3 to 0.7 to the true ones; it also took longer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mrikit.nets.channels import to_channels, to_complex
from mrikit.nets.resnet import ResNet
from mrikit.train.config import Settings
from mrikit.unrolled.problem import Problem
from mrikit.unrolled.schedule import times


@dataclass(frozen=True)
class Config(Settings):
    """The published network by default. features, n_blocks: of the denoiser."""

    n_unrolls: int = 6
    n_cg: int = 6
    features: int = 64
    n_blocks: int = 4

    def __post_init__(self) -> None:
        for name, low, high in (
            ("n_unrolls", 1, 100), ("n_cg", 1, 1000), ("features", 1, 1024), ("n_blocks", 2, 100),
        ):  # fmt: skip
            self.require_number(name, low, high)


class Modl(nn.Module):
    """Map a `Problem` to the states x^0 .. x^N, each `(batch, y, x)` complex; the last is the reconstruction."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.times = times(config.n_unrolls, 0)
        self.denoiser = ResNet(2, features=config.features, n_blocks=config.n_blocks)
        self.log_lamda = nn.Parameter(torch.tensor(math.log(0.01)))

    def denoise(self, x: Tensor) -> Tensor:
        """D(x)."""
        return to_complex(self.denoiser(to_channels(x)))

    def glance(self, problem: Problem) -> Tensor:
        """What it sees of a problem in little time: D(A^H y)."""
        return self.denoise(problem.rhs)

    def forward(self, problem: Problem) -> list[Tensor]:
        lamda = self.log_lamda.exp()
        states = [problem.rhs]
        for _ in range(self.config.n_unrolls):
            mean = self.denoise(states[-1])
            states.append(problem.operator.solve(problem.rhs + lamda * mean, lamda, mean, n_iters=self.config.n_cg))
        return states
