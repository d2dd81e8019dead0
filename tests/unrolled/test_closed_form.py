"""The flow in closed form: a Gaussian prior, a partial DFT, and an end point that is known exactly.

The expected figures are those of an independent check (n = 16, 7 lines, sigma = 0.2, start 0.5 away from x_1), of
which the prior and the draw are not known. Those here were searched for, so that the figures come out to 4 % (the
exact regulariser), 7 % (the likelihood at the state) and 3 % (the mode paper).
"""

from itertools import pairwise

import numpy as np
import pytest
import torch

from mrikit.physics.sense import Sense
from mrikit.unrolled.objective import distance, loss
from mrikit.unrolled.schedule import cascade_weights, step, times

SIGMA, START = 0.2, 0.5
STEPS = (4, 8, 16, 32, 64, 128, 256, 512)
EXACT = (6.8e-2, 3.6e-2, 1.9e-2, 9.6e-3, 4.9e-3, 2.5e-3, 1.2e-3, 6.1e-4)
NAIVE = (0.15, 0.11, 0.096, 0.096, 0.096, 0.096, 0.096, 0.096)
PAPER = 0.19
MODES = ("posterior", "paper")


class Gaussian:
    """x_0 ~ CN(m, C), y = A x_0 + n with A rows of the unitary DFT, x_1 = A^H y, and a start z beside x_1."""

    def __init__(self, seed: int = 14478, n: int = 16, lines: int = 7) -> None:
        rng = np.random.default_rng(seed)

        def draw(*shape: int) -> np.ndarray:
            return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)

        self.eye = np.eye(n)
        dft = np.fft.fft(self.eye) / np.sqrt(n)
        basis, _ = np.linalg.qr(draw(n, n))
        self.c = (basis * np.geomspace(1, 0.05, n)) @ basis.conj().T
        mean = dft.conj().T @ (draw(n) / (1 + np.abs(np.fft.fftfreq(n, 1 / n))) ** 1.5)
        self.m = mean * 1.75 * np.sqrt(n) / np.linalg.norm(mean)
        self.a = dft[np.arange(lines) - lines // 2]
        self.ah = self.a.conj().T
        self.x0 = self.m + np.linalg.cholesky(self.c) @ draw(n)
        self.noise = SIGMA * draw(lines)
        self.y = self.a @ self.x0 + self.noise
        self.x1 = self.ah @ self.y
        self.z = self.x1 + START * draw(n)
        self.p = np.linalg.inv(np.linalg.inv(self.c) + self.ah @ self.a / SIGMA**2)
        self.mean = self.m + self.p @ self.ah @ (self.y - self.a @ self.m) / SIGMA**2

    def exact_end(self) -> np.ndarray:
        """Where the exact flow ends that starts at z."""
        values, vectors = np.linalg.eigh(self.p)
        return self.mean + (vectors * np.sqrt(values)) @ vectors.conj().T @ (self.z - self.x1) / START

    def regulariser(self, x: np.ndarray, t: float) -> tuple[np.ndarray, np.ndarray]:
        """D = E[x_0 | x_t], without the data, and its covariance."""
        if t == 1:
            return self.m, self.c
        u, kappa = (x - t * self.x1) / (1 - t), t * START / (1 - t)
        d = self.m + self.c @ np.linalg.solve(self.c + kappa**2 * self.eye, u - self.m)
        return d, np.linalg.inv(np.linalg.inv(self.c) + self.eye / kappa**2)

    def x0hat(self, x: np.ndarray, t: float, *, naive: bool) -> np.ndarray:
        """E[x_0 | x_t, y], with the likelihood at D; `naive`: at x_t, as if y ~ N(A x_t, sigma^2)."""
        d, r = self.regulariser(x, t)
        gain = r @ self.ah @ np.linalg.inv(self.a @ r @ self.ah + SIGMA**2 * np.eye(len(self.y)))
        return d - gain @ (self.a @ (x if naive else d) - self.y)

    def flow(self, n_unrolls: int, start: np.ndarray, power: float = 0, *, naive: bool = False) -> np.ndarray:
        x = start
        for t, t_next in pairwise(times(n_unrolls, power)):
            x = step(x, self.x0hat(x, t, naive=naive), t, t_next)
        return x

    def paper(self, n_unrolls: int, start: np.ndarray) -> np.ndarray:
        x = start
        for t, t_next in pairwise(times(n_unrolls, 0)):
            eta, w = cascade_weights("paper", t, t_next)
            x = x - eta * self.ah @ (self.a @ x - self.y) - w * (x - self.regulariser(x, t)[0])
        return x

    def error(self, x: np.ndarray) -> float:
        return relative(x, self.exact_end())


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@pytest.fixture(scope="module")
def problem() -> Gaussian:
    return Gaussian()


@pytest.mark.parametrize(("n_unrolls", "expected"), list(zip(STEPS, EXACT, strict=True)))
def test_the_likelihood_at_the_posterior_mean_ends_where_the_flow_does(problem, n_unrolls, expected):
    assert problem.error(problem.flow(n_unrolls, problem.z)) == pytest.approx(expected, rel=0.04)


@pytest.mark.parametrize(("n_unrolls", "expected"), list(zip(STEPS, NAIVE, strict=True)))
def test_the_likelihood_at_the_state_keeps_a_bias(problem, n_unrolls, expected):
    assert problem.error(problem.flow(n_unrolls, problem.z, naive=True)) == pytest.approx(expected, rel=0.07)


@pytest.mark.parametrize("n_unrolls", [64, 512])
def test_the_weights_of_the_paper_keep_a_larger_one(problem, n_unrolls):
    assert problem.error(problem.paper(n_unrolls, problem.z)) == pytest.approx(PAPER, rel=0.03)


@pytest.mark.parametrize("power", [0, 1, 2])
def test_twice_the_steps_halve_the_error(problem, power):
    coarse, fine = (problem.error(problem.flow(k, problem.z, power)) for k in (256, 512))
    assert fine / coarse == pytest.approx(0.501, abs=0.001)


@pytest.mark.parametrize("n_unrolls", [1, 2, 4, 12, 64])
@pytest.mark.parametrize("power", [0, 0.5, 1, 2])
def test_from_x1_every_grid_ends_at_the_posterior_mean(problem, n_unrolls, power):
    assert relative(problem.flow(n_unrolls, problem.x1, power), problem.mean) <= 2e-15


def test_an_isotropic_prior_needs_a_scalar_gain_only(problem):
    a, ah, y, d, r2 = problem.a, problem.ah, problem.y, problem.m, 0.3
    exact = d - r2 * ah @ np.linalg.solve(r2 * a @ ah + SIGMA**2 * np.eye(len(a)), a @ d - y)
    eta, w = cascade_weights("posterior", 1.0, 0.0, gain := r2 / (r2 + SIGMA**2))
    x, rho = problem.z, problem.z - d
    assert relative(x - eta * ah @ (a @ x - y) - w * (rho - gain * ah @ (a @ rho)), exact) <= 4e-16


# from the flow to a cascade


@pytest.mark.parametrize("power", [0, 1])
@pytest.mark.parametrize("gain", [0.4, 1])
def test_the_closed_form_of_a_cascade_is_an_euler_step_to_the_posterior_mean(problem, power, gain):
    a, ah, y, x, d = problem.a, problem.ah, problem.y, problem.z, problem.m
    for t, t_next in pairwise(times(6, power)):
        eta, w = cascade_weights("posterior", t, t_next, gain)
        rho = x - d
        cascade = x - eta * ah @ (a @ x - y) - w * (rho - gain * ah @ (a @ rho))
        assert relative(cascade, step(x, d - gain * ah @ (a @ d - y), t, t_next)) < 1e-14


@pytest.mark.parametrize("power", [0, 1])
def test_the_weights_of_the_modes(power):
    grid = times(6, power)
    for t, t_next in pairwise(grid):
        delta = t - t_next
        assert cascade_weights("posterior", t, t_next, 0.3) == pytest.approx((0.3 * delta / t, delta / t))
        assert cascade_weights("paper", t, t_next) == (delta, delta)
    assert cascade_weights("posterior", grid[-2], 0) == (1, 1)  # the last step takes the whole estimate


def test_with_the_weights_of_the_paper_data_consistency_stays_soft(problem):
    """Of the misfit prod(1 - Delta_k) is left, towards 1/e, where in the mode posterior nothing is."""
    left = [np.prod([1 - cascade_weights(mode, *t)[0] for t in pairwise(times(1000, 0))]) for mode in MODES]
    assert left == pytest.approx([0, np.exp(-1)], rel=1e-3)


# along the path


def test_on_the_ideal_path_the_data_see_the_noise_fade_in():
    """A x*_t - y = -(1 - t) n for x_1 = A^H y; A A^H = I on the samples, as it is for one coil."""
    rng = np.random.default_rng(0)
    x0, image, noise = rng.standard_normal((3, 9, 8)) + 1j * rng.standard_normal((3, 9, 8))
    mask = rng.random((9, 8)) < 0.4
    operator = Sense(np.ones((1, 9, 8), complex), mask)
    noise = mask * noise[None]
    y = operator.forward(x0) + noise
    x1 = operator.adjoint(y)

    assert np.allclose(operator.forward(x1), y, atol=1e-13)
    assert np.vdot(y, operator.forward(image)) == pytest.approx(np.vdot(x1, image))
    for t in times(4, 1):
        assert np.allclose(operator.forward((1 - t) * x0 + t * x1) - y, -(1 - t) * noise, atol=1e-13)


def test_alignment_of_states_is_alignment_of_velocities():
    """v_k - v*_k = (x*_{t_{k+1}} - x^{k+1}) / Delta_k, with v*_k taken from the network's own state x^k.

    Of two rollouts from one start the losses are as these velocity errors are, each weighted by its step.
    """
    torch.manual_seed(0)
    grid = times(4, 1)
    target, start = torch.randn(2, 1, 12, 12, dtype=torch.complex128)

    def velocity_error(states: list[torch.Tensor]) -> float:
        errors = []
        for x, following, t, t_next in list(zip(states, states[1:], grid, grid[1:], strict=False))[:-1]:
            delta, ideal = t - t_next, (1 - t_next) * target + t_next * start
            own, best = (x - following) / delta, (x - ideal) / delta
            errors.append(float(delta * distance(own - best)))
        return float(np.mean(errors))

    rollouts = [[start, *torch.randn(4, 1, 12, 12, dtype=torch.complex128) * scale] for scale in (0.5, 2)]
    a, b = (loss(states, target, grid)[1]["align"] for states in rollouts)
    assert a / b == pytest.approx(velocity_error(rollouts[0]) / velocity_error(rollouts[1]))
    assert a / b != pytest.approx(1, rel=0.1)


def test_alignment_trains_a_linear_network_to_the_straight_path_of_the_wiener_estimate():
    """Every state becomes (1 - t_k) W y + t_k x_1, which is E[x*_t | y]: end and alignment share their optimum.

    The columns of a root of the joint covariance of (x_0, y) stand for the population: their moments are its own.
    """
    n, lines, n_unrolls = 6, 3, 3
    problem = Gaussian(seed=1, n=n, lines=lines)
    cross = problem.c @ problem.ah
    joint = np.block([[problem.c, cross], [cross.conj().T, problem.a @ cross + SIGMA**2 * np.eye(lines)]])
    root = torch.from_numpy(np.linalg.cholesky(joint))
    x0, y = root[:n], root[n:]
    x1 = torch.from_numpy(problem.ah) @ y
    grid = times(n_unrolls, 0)
    layers = torch.zeros(n_unrolls, n, n + lines, dtype=torch.complex128, requires_grad=True)

    def rollout() -> list[torch.Tensor]:
        states = [x1]
        for layer, t, t_next in zip(layers, grid, grid[1:], strict=False):
            states.append(step(states[-1], layer @ torch.cat([states[-1], y]), t, t_next))
        return states

    optimiser = torch.optim.LBFGS([layers], max_iter=300, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        total = sum(
            (x - torch.lerp(x0, x1, t)).abs().square().sum() for x, t in zip(rollout()[1:], grid[1:], strict=True)
        )
        total.backward()
        return total

    optimiser.step(closure)
    wiener = torch.from_numpy(np.linalg.solve(joint[n:, n:].T, cross.T).T)
    with torch.no_grad():
        for x, t in zip(rollout(), grid, strict=True):
            assert torch.allclose(x, (1 - t) * wiener @ y + t * x1, atol=1e-5)
