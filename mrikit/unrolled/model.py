"""The unrolled network: Euler steps of the flow from an under-sampled start to the image.

State x^0 = x_1, the regularised least-squares image. Cascade k, at time t_k with Delta_k = t_k - t_{k+1}:

    W       = shrinkage of the wavelet details of x^k by theta_k
    D       = W - |x^k - W| U_theta(x^k, W, t_k)                         ~ E[x_0 | x_t]
    x0hat   = argmin_x ||A x - y||^2 / s^2 + ||x - D||^2 / r_k^2         (conjugate gradients)
    x^{k+1} = (t_{k+1} / t_k) x^k + (Delta_k / t_k) x0hat                (the exact velocity (x - x0hat) / t)

The step lengths are the schedule's, not learned; its power is 1: larger early steps gained 0.2 dB before training.
What is learned is U_theta, shared by all cascades, the thresholds theta_k, how far D can be trusted, r_k, and what maps
add to the noise: s^2 = sigma^2 + model_error. The likelihood stands at D, the posterior mean, not at x_t.

Shrinkage makes the network a classical reconstruction before it has learned anything, on any scan, and what it removes
tells U_theta the level of the error: |x - W| is the root mean square over the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mrikit.nets.unet import UNet
from mrikit.nets.wavelet import shrink
from mrikit.physics.sense import Sense
from mrikit.unrolled.config import Settings
from mrikit.unrolled.schedule import step, times


@dataclass(frozen=True)
class Config(Settings):
    """FLAT's settings."""

    n_unrolls: int = 6
    schedule_power: float = 1.0
    features: int = 32
    levels: int = 2
    n_cg: int = 6
    n_start: int = 12
    start_lamda: float = 0.002

    def __post_init__(self) -> None:
        for name, low, high in (
            ("n_unrolls", 1, 100), ("schedule_power", 0, 10), ("features", 1, 1024), ("levels", 0, 8),
            ("n_cg", 1, 1000), ("n_start", 1, 1000), ("start_lamda", 0, 1e6),
        ):  # fmt: skip
            self.require_number(name, low, high)


@dataclass(frozen=True)
class Problem:
    """One batch of scaled scans, as the network sees them.

    operator: A, with maps `(batch, coil, y, x)`. rhs: A^H y `(batch, y, x)`.
    sigma, accel: `(batch,)`, the noise std in units of the scaled image, and N / sampled.
    kspace, maps: y and S, `(batch, coil, y, x)`; kspace is an image along the axes that A does not transform.
    mask, centre: bool `(batch, 1, 1 or y, x)`, the samples taken, and those of the fully sampled centre.
    """

    operator: Sense
    rhs: Tensor
    sigma: Tensor
    accel: Tensor
    kspace: Tensor
    maps: Tensor
    mask: Tensor
    centre: Tensor

    def features(self) -> Tensor:
        """Noise and acceleration as numbers around zero, `(batch, 2)`."""
        return torch.stack([self.sigma.log10() / 2 + 1, self.accel.log() - 1.5], dim=1)


class Unrolled(nn.Module):
    """Map a `Problem` to the states x^0 .. x^N, each `(batch, y, x)` complex; the last is the reconstruction."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        n = config.n_unrolls
        self.config = config
        self.times = times(n, config.schedule_power)
        self.prior = UNet(4, 2, features=config.features, levels=config.levels, n_condition=3)
        # lamda_k = (sigma^2 + model_error) / r_k^2. Maps from few lines are never exact, hence the second term.
        self.log_model_error = nn.Parameter(torch.tensor(-9.0))
        self.log_trust = nn.Parameter(torch.full((n,), 5.0))
        self.log_threshold = nn.Parameter(torch.linspace(-2.5, -4.0, n))
        self.threshold_slope = nn.Parameter(torch.zeros(2))

    def lamda(self, k: int, problem: Problem) -> Tensor:
        """Weight of D against the data at cascade k, `(batch, 1, 1)`."""
        return ((problem.sigma**2 + self.log_model_error.exp()) * self.log_trust[k].exp())[:, None, None]

    def threshold(self, k: int, problem: Problem) -> Tensor:
        """theta_k, `(batch, 1, 1)`: higher for noisier and for faster scans."""
        return (self.log_threshold[k] + problem.features() @ self.threshold_slope).exp()[:, None, None]

    def start(self, problem: Problem) -> Tensor:
        """x_1: a few conjugate-gradient steps towards the regularised least-squares image."""
        lamda = (self.config.start_lamda + problem.sigma**2)[:, None, None]
        with torch.no_grad():
            return problem.operator.solve(problem.rhs, lamda, n_iters=self.config.n_start)

    def denoise(self, k: int, x: Tensor, problem: Problem) -> Tensor:
        """D = E[x_0 | x_t], the network's own estimate at cascade k."""
        shrunk = shrink(x, self.threshold(k, problem), shift=k)
        level = torch.sqrt((x - shrunk).abs().square().mean(dim=(-2, -1)) + 1e-10)[:, None, None, None]
        time = torch.full_like(problem.sigma, self.times[k])[:, None]
        channels = torch.stack([x.real, x.imag, shrunk.real, shrunk.imag], dim=1)
        rest = level * self.prior(channels, torch.cat([time, problem.features()], dim=1))
        return shrunk - torch.complex(rest[:, 0], rest[:, 1])

    def forward(self, problem: Problem) -> list[Tensor]:
        states = [self.start(problem)]
        for k, (t, t_next) in enumerate(zip(self.times, self.times[1:], strict=False)):
            x = states[-1]
            mean = self.denoise(k, x, problem)
            x0hat = solve(problem.operator, problem.rhs, mean, self.lamda(k, problem), self.config.n_cg)
            states.append(step(x, x0hat, t, t_next))
        return states


def solve(operator: Sense, rhs: Tensor, prior: Tensor, lamda: Tensor, n_iters: int) -> Tensor:
    """argmin_x ||A x - y||^2 + lamda ||x - prior||^2, differentiable in `prior` and `lamda`."""
    return _Solve.apply(operator, rhs + lamda * prior, lamda, prior, n_iters)


class _Solve(torch.autograd.Function):
    """(A^H A + lamda)^-1 rhs with an implicit backward pass: one more solve, nothing stored (MoDL)."""

    @staticmethod
    def forward(ctx: Any, operator: Sense, rhs: Tensor, lamda: Tensor, x0: Tensor, n_iters: int) -> Tensor:
        x = operator.solve(rhs, lamda, x0, n_iters=n_iters)
        ctx.operator, ctx.n_iters = operator, n_iters
        ctx.save_for_backward(x, lamda)
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, Tensor, None, None]:
        x, lamda = ctx.saved_tensors
        z = ctx.operator.solve(gradient, lamda, n_iters=ctx.n_iters)
        return None, z, -(z.conj() * x).real.sum(dim=(-2, -1), keepdim=True), None, None
