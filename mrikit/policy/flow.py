"""Flow matching from noise to masks. Lipman 2023, arXiv 2210.02747; for sampling masks arXiv 2606.00078.

    x_t = (1 - t) x_0 + t m*,    x_0 ~ N(0, I),    velocity m* - x_0,    xhat_t = x_0 + t u(x_t, t)

Times are `(batch,)`, states, noise and masks `(batch, n)`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mrikit.errors import UsageError

Field = Callable[[Tensor, Tensor], Tensor]  # the velocity of states at times
STEPS = 20


def path(x0: Tensor, target: Tensor, t: Tensor) -> Tensor:
    """x_t, on the straight line from noise to a target mask."""
    return torch.lerp(x0, target, t[:, None])


def matching_loss(velocity: Tensor, x0: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of velocities against m* - x_0."""
    return (velocity - (target - x0)).square().mean()


def marginal(x0: Tensor, velocity: Tensor, t: Tensor) -> Tensor:
    """xhat_t, where the network's own velocity leads to from x_0 in the time t."""
    return x0 + t[:, None] * velocity


def euler(field: Field, x: Tensor, n_steps: int = STEPS) -> Tensor:
    """The state at t = 1 of dx/dt = field(x, t) from x at t = 0, in equal steps, one evaluation each."""
    for k in range(n_steps):
        x = x + field(x, torch.full((len(x),), k / n_steps, device=x.device)) / n_steps
    return x


def rk4(field: Field, x: Tensor, n_steps: int = STEPS) -> Tensor:
    """As `euler`, by the classical Runge-Kutta method: four evaluations a step."""
    h = 1 / n_steps
    for k in range(n_steps):
        t, middle, end = (torch.full((len(x),), time, device=x.device) for time in (k * h, (k + 0.5) * h, (k + 1) * h))
        a = field(x, t)
        b = field(x + h / 2 * a, middle)
        c = field(x + h / 2 * b, middle)
        d = field(x + h * c, end)
        x = x + h / 6 * (a + 2 * b + 2 * c + d)
    return x


SOLVERS = {"euler": euler, "rk4": rk4}


def integrate(field: Field, x: Tensor, solver: str = "euler", n_steps: int = STEPS) -> Tensor:
    """The state at t = 1, by one of `SOLVERS`. Raises UsageError for another, or for no step."""
    if solver not in SOLVERS or n_steps < 1:
        raise UsageError(f"--solver {solver}, --steps {n_steps}: expected {' or '.join(SOLVERS)}, and a step or more")
    return SOLVERS[solver](field, x, n_steps)
