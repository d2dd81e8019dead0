"""The time grid of a flow from the start x_1 (t = 1) to the image x_0 (t = 0), and its Euler step."""

from __future__ import annotations

from typing import Literal

from mrikit.arrays import Array


def times(n_unrolls: int, power: float) -> list[float]:
    """t_k = (1 - k/N)^(1 + power) for k = 0..N: from 1 down to 0; the steps sum to one."""
    return [(1 - k / n_unrolls) ** (1 + power) for k in range(n_unrolls + 1)]


def step_weight(t: float, t_next: float) -> float:
    """w = (t - t_next) / t: the share of x0hat in the next state. On a uniform grid 1/N, 1/(N-1), ..., 1."""
    return (t - t_next) / t


def cascade_weights(
    mode: Literal["posterior", "paper"], t: float, t_next: float, gain: float = 1.0
) -> tuple[float, float]:
    """Data weight eta and prior weight w of the cascade from t to t_next; in the third mode, free, both are learned.

        posterior   x' = x - eta A^H (A x - y) - w (I - g A^H A) rho     w = (t - t_next) / t,  eta = g w
        paper       x' = x - eta A^H (A x - y) - w rho                   w = eta = t - t_next,  with sigma := 1

    rho = x - D is what the prior takes away. gain: g = r^2 / (r^2 + sigma^2), where D has variance r^2 and the noise
    sigma^2. The first is `step` towards D - g A^H (A D - y), which is E[x_0 | x_t, y] where A A^H = I: the closed form
    of what the network does by conjugate gradients.
    """
    if mode == "paper":
        return t - t_next, t - t_next
    w = step_weight(t, t_next)
    return gain * w, w


def step(x: Array, x0hat: Array, t: float, t_next: float) -> Array:
    """x at t_next: one Euler step of the flow dx/dt = (x - x0hat) / t, exact for a straight path."""
    w = step_weight(t, t_next)
    return (1 - w) * x + w * x0hat
