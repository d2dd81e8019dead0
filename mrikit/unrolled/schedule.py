"""The time grid of a flow from the start x_1 (t = 1) to the image x_0 (t = 0), and its Euler step."""

from __future__ import annotations

from mrikit.arrays import Array


def times(n_unrolls: int, power: float) -> list[float]:
    """t_k = (1 - k/N)^(1 + power) for k = 0..N: from 1 down to 0; the steps sum to one."""
    return [(1 - k / n_unrolls) ** (1 + power) for k in range(n_unrolls + 1)]


def step_weight(t: float, t_next: float) -> float:
    """w = (t - t_next) / t: the share of x0hat in the next state. On a uniform grid 1/N, 1/(N-1), ..., 1."""
    return (t - t_next) / t


def step(x: Array, x0hat: Array, t: float, t_next: float) -> Array:
    """x at t_next: one Euler step of the flow dx/dt = (x - x0hat) / t, exact for a straight path."""
    w = step_weight(t, t_next)
    return (1 - w) * x + w * x0hat
