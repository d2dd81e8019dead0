"""Samplers of p(x | y), a function each: from a `Chain` and noise levels to images `(batch, y, x)`.

With D(x) = E[x_0 | x] and s(x) = (D(x) - x) / sigma^2 of the prior at the level sigma, sigma_y the noise of the scan, z
and n fresh noise. All but `csgm` end with a Tweedie step, x -> D(x), for what noise the last level leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mrikit.errors import UsageError
from mrikit.score.chain import Chain
from mrikit.score.levels import NCSNV2, geometric
from mrikit.score.prior import Prior

Levels = Sequence[float]


def pula(chain: Chain, levels: Levels, *, n_steps: int = 1, gamma: float = 0.3, n_cg: int = 20) -> Tensor:
    """Preconditioned unadjusted Langevin steps, with the exact likelihood at all levels.

        x <- x + gamma M (s(x) + A^H (y - A x) / sigma_y^2) + M (sqrt(a) A^H n_1 / sigma_y + sqrt(b) n_2 / sigma)
        M  = (A^H A / sigma_y^2 + I / sigma^2)^-1

    which is x + gamma (z - x), where z is what least squares make of data and D(x), both with noise added. BART's
    `sample`, arXiv 2512.05791, has a = b = 2 gamma. Here a = 2 gamma - gamma^2, for which the variance is exact where
    the data decide, whatever gamma. And b is less by 1 - (next sigma / sigma)^2, the variance that the next level takes
    away, so that the chain does not lag behind the levels; near sigma_y, where data begin to decide, that fades out.

    On a Gaussian prior of std 0.3 with sigma_y = 0.02 the std is 2.8 % too high where nothing was measured, 1.6 % too
    low where it was, and up to 6.5 % too low in directions that coils see weakly; with a = b = 2 gamma the first would
    be 14 %. Over images behind six coils, at R = 3 and 4, it is right to 5 %, where directions that coils hardly see
    (`posterior.SEEN`) are the prior's: with these, 12 % too high behind lines of R = 3, and 45 % with sigma_y = 0.002.
    With 100 levels and Poisson samples it is right to 2 % for sigma_y = 0.01, and 10 and 59 % too high for 0.005 and
    0.002. M is exact for lines; for other masks it is `n_cg` conjugate gradients, and with
    ten of them the std would be 11 % too high at R = 4 of Poisson samples.
    """
    posterior = chain.posterior
    x = chain.start(levels[0])
    known = torch.zeros_like(x)  # what data changed in the step before: conjugate gradients go on from there
    for sigma, following in chain.walk(levels, n_steps):
        fade = sigma**2 / (sigma**2 + posterior.sigma_at(sigma) ** 2)
        data_noise = (2 / gamma - 1) ** 0.5
        prior_noise = max(0.0, 2 * gamma - fade * (1 - (following / sigma) ** 2)) ** 0.5 / gamma
        mean = chain.denoise(x, sigma) + prior_noise * sigma * chain.normal()
        z = posterior.combine(mean, sigma, data_noise * chain.measured_noise(sigma), mean + known, n_iters=n_cg)
        known = z - mean
        x = x + gamma * (z - x)
    return chain.denoise(x, levels[-1])


def annealed(chain: Chain, levels: Levels, *, n_steps: int = 5, step: float = 0.1) -> Tensor:
    """Annealed Langevin dynamics with a likelihood that is annealed too: eq. 4 of arXiv 2108.01368.

    x <- x + eta (s(x) + A^H (y - A x) / (sigma^2 + sigma_y^2)) + sqrt(2 eta) z,    eta = step sigma^2
    """
    posterior = chain.posterior
    x = chain.start(levels[0])
    for sigma, _ in chain.walk(levels, n_steps):
        eta = step * sigma**2
        gradient = chain.score(x, sigma) + posterior.gradient(x) / (sigma**2 + posterior.sigma**2)
        x = x + eta * gradient + (2 * eta) ** 0.5 * chain.normal()
    return chain.denoise(x, levels[-1])


def csgm(chain: Chain, levels: Levels, *, n_steps: int = 3) -> Tensor:
    """The rule of the code released with arXiv 2108.01368, step for step. Its spread is no posterior's: uncalibrated.

        x <- x + eta (s(x) + 5 ||s(x)|| g / ||g||) + sqrt(2 eta) z,  g = A^H (y - A x),  eta = 5e-5 (sigma / 0.0066)^2

    A step of 1.148 sigma^2 makes the variance 2.35 times too large at every level, and neither sigma_y nor the level
    weights the data. It begins with uniform noise and leaves out the Tweedie step. Norms are those of a sample, as they
    were in a batch of one. Some of its configurations take 4 steps a level after the 1800th.
    """
    x = chain.uniform()
    for sigma, _ in chain.walk(levels, n_steps):
        eta = 5e-5 * (sigma / NCSNV2[1]) ** 2
        score, gradient = chain.score(x, sigma), chain.posterior.gradient(x)
        gradient = 5 * norm(score) * gradient / norm(gradient)
        x = x + eta * (score + gradient) + (2 * eta) ** 0.5 * chain.normal()
    return x


def pc(chain: Chain, levels: Levels, *, snr: float = 0.16) -> Tensor:
    """Predictor and corrector of the variance-exploding diffusion, a data step after each: score-MRI.

    The predictor is the reverse diffusion to the next level, the corrector a Langevin step there whose length `snr`
    sets; the data step is x + A^H (y - A x) / ||A^H A||, which knows no sigma_y. Chung and Ye 2022,
    doi:10.1016/j.media.2022.102479.
    """
    posterior = chain.posterior
    bound = posterior.operator.bound()
    x = chain.start(levels[0])
    for sigma, following in chain.walk(levels):
        gone = sigma**2 - following**2
        x = x + gone * chain.score(x, sigma) + gone**0.5 * chain.normal()
        x = x + posterior.gradient(x) / bound
        score, noise = chain.score(x, following), chain.normal()
        eta = 2 * (snr * norm(noise) / norm(score)) ** 2
        x = x + eta * score + (2 * eta).sqrt() * noise
        x = x + posterior.gradient(x) / bound
    return chain.denoise(x, levels[-1])


def heun(chain: Chain, levels: Levels, *, sigma_data: float = 0.35, n_cg: int = 10) -> Tensor:
    """The probability flow dx/dsigma = (x - E[x_0 | x, y]) / sigma, by Heun's method: arXiv 2206.00364, algorithm 1.

    E[x_0 | x, y] is what least squares make of the data and D(x), as if x_0 given x had the variance that it has for a
    Gaussian prior of std sigma_data: Song et al. 2023, Pseudoinverse-guided diffusion. For such a prior it is exact.
    """

    def posterior_mean(x: Tensor, sigma: float) -> Tensor:
        spread = sigma * sigma_data / (sigma**2 + sigma_data**2) ** 0.5
        return chain.posterior.combine(chain.denoise(x, sigma), spread, n_iters=n_cg)

    x = chain.guess(sigma_data) + levels[0] * chain.normal()
    for sigma, following in chain.walk(levels[:-1], end=levels[-1]):
        slope = (x - posterior_mean(x, sigma)) / sigma
        ahead = x + (following - sigma) * slope
        slope = (slope + (ahead - posterior_mean(ahead, following)) / following) / 2
        x = x + (following - sigma) * slope
    return posterior_mean(x, levels[-1])


def dds(chain: Chain, levels: Levels, *, weight: float = 5.0, n_cg: int = 5, sigma_data: float = 0.35) -> Tensor:
    """Decomposed diffusion sampling: deterministic DDIM steps whose D(x) is drawn to the data, arXiv 2303.05754.

        x <- z + (next sigma / sigma) (x - D(x)),    z = argmin_z weight ||A z - y||^2 + ||z - D(x)||^2

    by a few conjugate gradients. It estimates a point: samples differ by less than the posterior does.
    """
    operator, rhs = chain.posterior.operator, chain.posterior.rhs
    x = chain.guess(sigma_data) + levels[0] * chain.normal()
    for sigma, following in chain.walk(levels, end=0.0):
        denoised = chain.denoise(x, sigma)
        z = operator.solve(rhs + denoised / weight, 1 / weight, denoised, n_iters=n_cg)
        x = z + following / sigma * (x - denoised)
    return x


def norm(x: Tensor) -> Tensor:
    """Euclidean norm of every image, `(batch, 1, 1)`."""
    return torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True)


#: The level of its table, counted from 0, at which the released code begins.
RELEASED_FIRST = 1156
#: Levels that the other samplers walk through, as far as the prior knows them. Images are about 1 where bright.
SIGMA_MAX, SIGMA_MIN = 3.0, 0.005


@dataclass(frozen=True)
class Calibrated:
    """From how many levels and how much noise on the std is right to 10 %, the prior being a Gaussian (tests/score).

    sigma: std of either part of a sample, bright voxels being 1.
    """

    n_levels: int
    sigma: float = 0.0


@dataclass(frozen=True)
class Sampler:
    """run: makes images of a chain and levels. n_levels: where no number is asked for. calls: of the network, for n.

    lines, plane: for masks of lines, and of the plane; None where the std is not known to be right.
    """

    run: Callable[[Chain, Levels], Tensor]
    n_levels: int
    calls: Callable[[int], int]
    lines: Calibrated | None = None
    plane: Calibrated | None = None

    def levels(self, prior: Prior, n: int | None = None) -> list[float]:
        """The levels to walk through, `n` of them. Raises UsageError where the sampler's number is fixed."""
        if self.run is csgm:
            if n is not None:
                raise UsageError("the levels of csgm are the released ones", hint="leave out --steps")
            return geometric(*NCSNV2)[RELEASED_FIRST:]
        return geometric(min(SIGMA_MAX, prior.sigma_max), max(SIGMA_MIN, prior.sigma_min), n or self.n_levels)


SAMPLERS: dict[str, Sampler] = {
    "pula": Sampler(pula, 100, lambda n: n + 1, Calibrated(40), Calibrated(100, 0.01)),
    "csgm": Sampler(csgm, NCSNV2[2] - RELEASED_FIRST, lambda n: 3 * n),
    "annealed": Sampler(annealed, 100, lambda n: 5 * n + 1, Calibrated(100, 0.02)),
    "pc": Sampler(pc, 500, lambda n: 2 * n + 1),
    "heun": Sampler(heun, 50, lambda n: 2 * n - 1, Calibrated(25, 0.02)),
    "dds": Sampler(dds, 50, lambda n: n),
}
