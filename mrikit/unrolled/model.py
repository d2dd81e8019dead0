"""The unrolled network: Euler steps of the flow from an under-sampled start to the image.

State x^0 = x_1, the wavelet-regularised image (`start`). Cascade k, at time t_k with Delta_k = t_k - t_{k+1}:

    W       = shrinkage of the wavelet details of x^k by theta_k
    D       = W - |x^k - W| U_theta(W, x^k - W, l - W, t_k)              ~ E[x_0 | x_t]
    x0hat   = argmin_x ||A x - y||^2 + lamda_k ||x - D||^2               (conjugate gradients)
    x^{k+1} = (t_{k+1} / t_k) x^k + (Delta_k / t_k) x0hat                (the exact velocity (x - x0hat) / t)

The step lengths are the schedule's, not learned. What is learned is U_theta, shared by all cascades or not, the
thresholds theta_k, and how far D can be trusted, lamda_k. It stands for (noise std / error of D)^2. That error shows in
what was acquired, so lamda_k is a map: it falls where A^H (y - A D) has more energy than noise alone would leave. The
likelihood stands at D, the posterior mean, not at x_t. At the end x^N moves towards x^0 where both are close and
nothing was measured (`consensus`).

That is the mode `posterior`. Two others are there to be compared with, the same but for the cascade:

    x^{k+1} = x^k - eta_k A^H (A x^k - y) - w_k (x^k - D)

`paper` has eta_k = w_k = Delta_k (arXiv 2512.03020, with sigma := 1), and `free`, the plain unrolled network, learns
both.

D works in the frame of the image's own local phase, so that it is almost real. What shrinkage removes, x - W, and what
regularisation removed from the least-squares image l reach U_theta at unit scale (|.| is the root mean square over the
image): the errors to be found are a hundred times smaller than the image, too small for a network to see beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from mrikit.nets.channels import to_complex
from mrikit.nets.unet import UNet
from mrikit.physics.sense import Sense
from mrikit.train.config import Settings
from mrikit.unrolled.problem import Problem
from mrikit.unrolled.schedule import cascade_weights, step, step_weight, times
from mrikit.unrolled.start import blurred, local_phase, n_steps, shrink_aligned, wavelet_start

MODES = ("posterior", "paper", "free")
# Left to learn, it falls from 0.5 to 0 in the last cascade: on simulated scans noise and acceleration say it all. On T2
# images that costs 0.3 dB with Poisson discs, whereas 1 costs hearts 0.2 dB (with one lamda for all pixels).
MISS_POWER = 0.5
# The least that is held to be missed around a pixel, in units of noise. With 0.01, where next to nothing is, SSIM of a
# noisy scan of one coil is 0.013 lower; with 1, a head of eight coils loses 0.1 dB with Poisson discs.
LEAST_MISSED = 0.3
# The weight of the start in the mean where it is close to the network's image, and the distance that halves it. Not
# learned: it costs 0.05 dB on simulated scans, but on real ones it is worth 0.1 to 0.4 dB with Poisson discs.
START_WEIGHT, APART = 0.4, 0.003


@dataclass(frozen=True)
class Config(Settings):
    """FLAT's settings. n_least_squares, n_start: iterations before x_1; n_start, at most. shared: one U-Net for all."""

    n_unrolls: int = 4
    schedule_power: float = 1.0
    features: int = 32
    levels: int = 2
    n_cg: int = 6
    n_least_squares: int = 4
    n_start: int = 40
    mode: str = "posterior"
    shared: bool = True

    def __post_init__(self) -> None:
        for name, low, high in (
            ("n_unrolls", 1, 100), ("schedule_power", 0, 10), ("features", 1, 1024), ("levels", 0, 8),
            ("n_cg", 1, 1000), ("n_least_squares", 1, 1000), ("n_start", 0, 1000),
        ):  # fmt: skip
            self.require_number(name, low, high)
        self.require_choice("mode", *MODES)
        self.require_choice("shared", True, False)


class Unrolled(nn.Module):
    """Map a `Problem` to the states x^0 .. x^N, each `(batch, y, x)` complex; the last is the reconstruction."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        n = config.n_unrolls
        self.config = config
        self.times = times(n, config.schedule_power)
        unets = [
            UNet(6, 2, features=config.features, levels=config.levels, n_condition=3)
            for _ in range(1 if config.shared else n)
        ]
        self.prior = unets[0] if config.shared else nn.ModuleList(unets)
        if config.mode == "posterior":
            # A term for errors of the maps is learned, but real scans, whose maps are refined, are worse for it: by
            # 0.04 dB with lines and by 0.2 dB with Poisson discs.
            self.log_lamda = nn.Parameter(torch.zeros(n))
            self.lamda_slope = nn.Parameter(torch.zeros(2))
        if config.mode == "free":
            self.data_weight = nn.Parameter(torch.ones(n))
            self.prior_weight = nn.Parameter(torch.tensor([step_weight(t, u) for t, u in pairwise(self.times)]))
        # torch.linspace would import sympy, for half a second, on the meta device, where weights are loaded.
        self.log_threshold = nn.Parameter(torch.tensor([-4.5 - k / max(1, n - 1) for k in range(n)]))
        self.threshold_slope = nn.Parameter(torch.zeros(2))
        self.log_imaginary = nn.Parameter(torch.full((n,), 0.4))

    def lamda(self, k: int, missing: Tensor, problem: Problem) -> Tensor:
        """Weight of D against the data at cascade k, `(batch, y, x)`, for `missing`, A^H (y - A D)."""
        if problem.trusts:
            return problem.trusts[k]
        trust = (self.log_lamda[k] + problem.features() @ self.lamda_slope).exp()[:, None, None]
        missed = local_ratio(_energy(missing), problem.noise_energy()) - 1
        return trust / missed.clamp_min(LEAST_MISSED) ** MISS_POWER

    def threshold(self, k: int, problem: Problem) -> Tensor:
        """theta_k, `(batch, 1, 1)`: higher for noisier and for faster scans."""
        return (self.log_threshold[k] + problem.features() @ self.threshold_slope).exp()[:, None, None]

    @torch.no_grad()
    def least_squares(self, problem: Problem) -> Tensor:
        """The regularised least-squares image, in a few steps of conjugate gradients."""
        lamda = (0.01 + problem.sigma**2)[:, None, None]
        return problem.operator.solve(problem.rhs, lamda, n_iters=self.config.n_least_squares)

    @torch.no_grad()
    def start(self, problem: Problem) -> tuple[Tensor, Tensor]:
        """The least-squares image, and x_1, the wavelet-regularised one."""
        least_squares = self.least_squares(problem)
        n = n_steps(problem.operator.bound(), problem.sigma, self.config.n_start)
        x = wavelet_start(problem.operator, problem.rhs, least_squares, problem.sigma, n)
        return least_squares, x

    def denoise(self, k: int, x: Tensor, least_squares: Tensor, problem: Problem) -> Tensor:
        """D = E[x_0 | x_t], the network's own estimate at cascade k."""
        phase = local_phase(x)
        x, least_squares = x * phase.conj(), least_squares * phase.conj()
        shrunk = shrink_aligned(x, self.threshold(k, problem), self.log_imaginary[k].exp(), shift=k)
        level = rms(x - shrunk)
        details = [(x - shrunk) / level, (least_squares - shrunk) / rms(least_squares - shrunk)]
        channels = torch.stack([part for z in (shrunk, *details) for part in (z.real, z.imag)], dim=1)
        time = torch.full_like(problem.sigma, self.times[k])[:, None]
        unet = self.prior if self.config.shared else self.prior[k]
        condition = torch.cat([time, problem.features()], dim=1)
        return (shrunk - level * to_complex(unet(channels, condition))) * phase

    def glance(self, problem: Problem) -> Tensor:
        """D of the first cascade at the least-squares image: what is seen of a problem in little time."""
        least_squares = self.least_squares(problem)
        return self.denoise(0, least_squares, least_squares, problem)

    def cascade(self, k: int, x: Tensor, mean: Tensor, problem: Problem) -> Tensor:
        """x^{k+1} from x^k and D, by the rule of the mode."""
        t, t_next = self.times[k : k + 2]
        operator, rhs = problem.operator, problem.rhs
        if self.config.mode == "posterior":
            missing = problem.missing(mean)
            lamda = self.lamda(k, missing.detach(), problem)
            x0hat = mean + operator.solve(missing, lamda, n_iters=self.config.n_cg)
            return step(x, x0hat, t, t_next)
        if self.config.mode == "paper":
            eta, w = cascade_weights("paper", t, t_next)
        else:
            eta, w = self.data_weight[k], self.prior_weight[k]
        return x - eta * (operator.normal(x) - rhs) - w * (x - mean)

    @torch.no_grad()
    def trusts_for(self, problem: Problem) -> list[Tensor]:
        """lamda_k of every cascade, for `Problem.trusts`; none in other modes."""
        if self.config.mode != "posterior":
            return []
        least_squares = self.least_squares(problem)
        means = [self.denoise(k, x, least_squares, problem) for k, x in enumerate(self(problem)[:-1])]
        return [self.lamda(k, problem.missing(mean), problem) for k, mean in enumerate(means)]

    def handed_out(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights to begin with: every cascade has the one U-Net of a shared network, and its place in one of fewer.

        Of four cascades, cascade k // 2 stands for cascade k of eight, whose times hold theirs. Learned steps would be
        too long by then.
        """
        n, given = self.config.n_unrolls, len(tensors.get("log_threshold", ()))
        if not given or n % given or (n > given and self.config.mode == "free"):
            return tensors
        begun = dict(tensors)
        for name in begun.keys() & {"log_lamda", "log_threshold", "log_imaginary"}:
            begun[name] = begun[name].repeat_interleave(n // given)
        if self.config.shared:
            return begun
        one = not any(name.startswith("prior.0.") for name in begun)
        unets = {name: begun.pop(name) for name in tensors if name.startswith("prior.")}
        for k in range(n):
            own = "prior." if one else f"prior.{k * given // n}."
            for name, value in unets.items():
                if name.startswith(own):
                    begun[f"prior.{k}.{name.removeprefix(own)}"] = value
        return begun

    def forward(self, problem: Problem) -> list[Tensor]:
        least_squares, x = self.start(problem)
        states = [x]
        for k in range(self.config.n_unrolls):
            x = self.cascade(k, x, self.denoise(k, x, least_squares, problem), problem)
            states.append(x)
        if self.config.n_start:
            states[-1] = consensus(x, states[0], problem.operator)
        return states


def consensus(x: Tensor, start: Tensor, operator: Sense) -> Tensor:
    """`x` `(batch, y, x)`, a network's image, moved towards `start` where both are close and nothing was measured.

    Their errors are of different kinds: where they are of about one size, their mean has less. Where the images are far
    apart, by aliasing or in air, `x` is right. How far is the energy of what is between them over that of `x`, both
    blurred.
    """
    with torch.no_grad():
        weight = START_WEIGHT / (1 + local_ratio(_energy(x - start), _energy(x)) / APART)
    return x + operator.unseen(weight * (start - x))


def local_ratio(a: Tensor, b: Tensor) -> Tensor:
    """What `a` is over `b`, none negative, `(batch, y, x)`, both summed around each pixel."""
    largest_a, largest_b = (x.amax(dim=(-2, -1), keepdim=True).clamp_min(1e-30) for x in (a, b))
    local = blurred(torch.complex(a / largest_a, b / largest_b))  # alike in size, so that neither is rounded away
    return local.real.clamp_min(0) / local.imag.clamp_min(1e-9) * (largest_a / largest_b)


def _energy(x: Tensor) -> Tensor:
    return x.real**2 + x.imag**2


def rms(x: Tensor) -> Tensor:
    """Root mean square over the image, `(batch, 1, 1)`, with a gradient at zero."""
    return torch.sqrt(_energy(x).mean(dim=(-2, -1), keepdim=True) + 1e-10)
