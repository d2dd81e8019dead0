"""The unrolled network: Euler steps of the flow from an under-sampled start to the image.

State x^0 = x_1, the regularised least-squares image. Cascade k, at time t_k with Delta_k = t_k - t_{k+1}:

    D       = x^k - U_theta(x^k, x_1, t_k)                               ~ E[x_0 | x_t]
    x0hat   = argmin_x ||A x - y||^2 / sigma^2 + ||x - D||^2 / r_k^2     (conjugate gradients)
    x^{k+1} = (t_{k+1} / t_k) x^k + (Delta_k / t_k) x0hat                (the exact velocity (x - x0hat) / t)

The step lengths are the schedule's, not learned. What is learned is U_theta, shared by all cascades, and how
far D can be trusted, r_k. The likelihood stands at D, the posterior mean, not at x_t.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mrikit.nets.unet import UNet
from mrikit.physics.sense import Sense
from mrikit.unrolled.schedule import step, times


@dataclass(frozen=True)
class Config:
    """What rebuilds the network; it travels in the weights' card."""

    n_unrolls: int = 6
    schedule_power: float = 0.0
    features: int = 32
    levels: int = 2
    n_cg: int = 6
    n_start: int = 12
    start_lamda: float = 0.002

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Problem:
    """One batch of scaled scans, as the network sees them.

    operator: A, with maps `(batch, coil, y, x)`. rhs: A^H y `(batch, y, x)`.
    sigma, accel: `(batch,)`, the noise std in units of the scaled image, and N / sampled.
    """

    operator: Sense
    rhs: Tensor
    sigma: Tensor
    accel: Tensor


class Unrolled(nn.Module):
    """Map a `Problem` to the states x^0 .. x^N, each `(batch, y, x)` complex; the last is the reconstruction."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.times = times(config.n_unrolls, config.schedule_power)
        self.prior = UNet(4, 2, features=config.features, levels=config.levels, n_condition=3)
        # lamda_k = (sigma^2 + model_error) / r_k^2. Maps from few lines are never exact, hence the second term.
        self.log_model_error = nn.Parameter(torch.tensor(-9.0))
        self.log_trust = nn.Parameter(torch.full((config.n_unrolls,), 3.0))

    def lamda(self, k: int, sigma: Tensor) -> Tensor:
        """Weight of D against the data at cascade k, `(batch, 1, 1)`."""
        return ((sigma**2 + self.log_model_error.exp()) * self.log_trust[k].exp())[:, None, None]

    def start(self, problem: Problem) -> Tensor:
        """x_1: a few conjugate-gradient steps towards the regularised least-squares image."""
        lamda = (self.config.start_lamda + problem.sigma**2)[:, None, None]
        with torch.no_grad():
            return problem.operator.solve(problem.rhs, lamda, n_iters=self.config.n_start)

    def denoise(self, x: Tensor, start: Tensor, t: float, problem: Problem) -> Tensor:
        """D = E[x_0 | x_t], the network's own estimate."""
        channels = torch.stack([x.real, x.imag, start.real, start.imag], dim=1)
        condition = torch.stack(
            [torch.full_like(problem.sigma, t), problem.sigma.log10() / 2 + 1, problem.accel.log() - 1.5], dim=1
        )
        aliasing = self.prior(channels, condition)
        return x - torch.complex(aliasing[:, 0], aliasing[:, 1])

    def forward(self, problem: Problem) -> list[Tensor]:
        start = self.start(problem)
        states = [start]
        for k, (t, t_next) in enumerate(zip(self.times, self.times[1:], strict=False)):
            x = states[-1]
            mean = self.denoise(x, start, t, problem)
            x0hat = solve(problem.operator, problem.rhs, mean, self.lamda(k, problem.sigma), self.config.n_cg)
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
