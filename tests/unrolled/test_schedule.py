"""The flow in closed form: a Gaussian prior, a partial DFT, and the end point that is known exactly.

Expected figures: an independent check in NumPy (n = 16, 7 lines, sigma = 0.2, start 0.5 away from x_1).
"""

import itertools

import numpy as np
import pytest

from mrikit.unrolled.schedule import step, step_weight, times

SIGMA, START = 0.2, 0.5


class Gaussian:
    """x_0 ~ CN(m, C), y = A x_0 + n with A rows of the unitary DFT; x_1 = A^H y."""

    def __init__(self, seed: int = 0, n: int = 16, lines: int = 7) -> None:
        rng = np.random.default_rng(seed)

        def draw(*shape: int) -> np.ndarray:
            return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)

        root = draw(n, n) / np.sqrt(n)
        self.eye = np.eye(n)
        self.m, self.c = draw(n), root @ root.conj().T + 0.05 * self.eye
        self.a = (np.fft.fft(self.eye) / np.sqrt(n))[rng.permutation(n)[:lines]]
        x0 = self.m + np.linalg.cholesky(self.c) @ draw(n)
        self.y = self.a @ x0 + SIGMA * draw(lines)
        self.x1 = self.a.conj().T @ self.y
        self.p = np.linalg.inv(np.linalg.inv(self.c) + self.a.conj().T @ self.a / SIGMA**2)
        self.mean = self.m + self.p @ self.a.conj().T @ (self.y - self.a @ self.m) / SIGMA**2
        self.z = self.x1 + START * draw(n)

    def exact_end(self) -> np.ndarray:
        values, vectors = np.linalg.eigh(self.p)
        return self.mean + (vectors * np.sqrt(values)) @ vectors.conj().T @ (self.z - self.x1) / START

    def x0hat(self, x: np.ndarray, t: float, *, naive: bool = False) -> np.ndarray:
        """E[x_0 | x_t, y]: the analytic regulariser, then the data at D; `naive`: at x_t, as if y ~ N(A x_t, s^2)."""
        ah = self.a.conj().T
        if t == 1:
            d, r = self.m, self.c
        else:
            u, kappa = (x - t * self.x1) / (1 - t), t * START / (1 - t)
            d = self.m + self.c @ np.linalg.solve(self.c + kappa**2 * self.eye, u - self.m)
            r = np.linalg.inv(np.linalg.inv(self.c) + self.eye / kappa**2)
        gain = r @ ah @ np.linalg.inv(self.a @ r @ ah + SIGMA**2 * np.eye(len(self.a)))
        return d - gain @ (self.a @ (x if naive else d) - self.y)

    def integrate(self, n_unrolls: int, *, start: np.ndarray, power: float = 0, naive: bool = False) -> np.ndarray:
        x, grid = start, times(n_unrolls, power)
        for t, t_next in itertools.pairwise(grid):
            x = step(x, self.x0hat(x, t, naive=naive), t, t_next)
        return x


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@pytest.fixture(scope="module")
def problem() -> Gaussian:
    return Gaussian()


@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_error_falls_as_one_over_the_number_of_steps(problem, power):
    errors = [
        relative(problem.integrate(k, start=problem.z, power=power), problem.exact_end()) for k in (128, 256, 512)
    ]
    assert errors[2] / errors[1] == pytest.approx(0.5, abs=0.01)
    assert errors[2] < 5e-3


@pytest.mark.parametrize("n_unrolls", [1, 2, 4, 12, 64])
@pytest.mark.parametrize("power", [0, 1, 2])
def test_from_x1_every_grid_ends_at_the_posterior_mean(problem, n_unrolls, power):
    assert relative(problem.integrate(n_unrolls, start=problem.x1, power=power), problem.mean) < 2e-14


def test_the_likelihood_at_the_state_keeps_a_bias(problem):
    coarse, fine = (relative(problem.integrate(k, start=problem.z, naive=True), problem.exact_end()) for k in (64, 512))
    assert fine > 0.02  # more steps do not remove it
    assert fine == pytest.approx(coarse, rel=0.1)


def test_the_scalar_gain_is_exact_for_an_isotropic_prior(problem):
    a, y, r2 = problem.a, problem.y, 0.3
    d = problem.m
    gain = r2 / (r2 + SIGMA**2)
    exact = d - r2 * a.conj().T @ np.linalg.solve(r2 * a @ a.conj().T + SIGMA**2 * np.eye(len(a)), a @ d - y)
    assert np.allclose(d - gain * a.conj().T @ (a @ d - y), exact, atol=4e-16 * 10)


@pytest.mark.parametrize("n_unrolls", [1, 5, 12])
@pytest.mark.parametrize("power", [0.0, 0.5, 2.0])
def test_the_grid(n_unrolls, power):
    grid = times(n_unrolls, power)
    assert grid[0] == 1
    assert grid[-1] == 0
    assert np.all(np.diff(grid) < 0)
    weights = [step_weight(t, u) for t, u in itertools.pairwise(grid)]
    assert weights[-1] == 1  # the last step takes the whole x0hat
    if power == 0:
        assert np.allclose(weights, [1 / (n_unrolls - k) for k in range(n_unrolls)])
