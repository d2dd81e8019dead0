"""Posterior problems whose answer is known, many of them side by side in one image."""

from __future__ import annotations

import numpy as np
import torch

from mrikit.physics.fourier import fft2c
from mrikit.physics.scan import Scan
from mrikit.score.chain import Chain, streams
from mrikit.score.posterior import Posterior
from mrikit.score.prior import Prior
from mrikit.score.samplers import SAMPLERS


def complex_normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Complex numbers whose parts have unit variance."""
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def one_coil(image: np.ndarray, mask: np.ndarray, sigma: float, seed: int = 0) -> Posterior:
    """`image` `(y, x)` measured along x by one coil that is 1 everywhere, at `mask` `(x,)`, with noise `sigma`."""
    noise = sigma * complex_normal(np.random.default_rng(seed), *image.shape)
    kspace = ((fft2c(image, (-1,)) + noise) * mask).astype(np.complex64)
    maps = np.ones((1, *image.shape), np.complex64)
    return Posterior.of(Scan(kspace[None], maps, mask, 1.0, sigma * 2**0.5), sigma)


def unmeasured(n_y: int, n_x: int) -> Posterior:
    """Nothing is measured of images `(n_y, n_x)`, so that their posterior is the prior."""
    return one_coil(np.zeros((n_y, n_x), np.complex64), np.zeros(n_x, bool), 1.0)


def chain(posterior: Posterior, prior: Prior, samples: range = range(1), seed: int = 0) -> Chain:
    return Chain(posterior, prior, streams(seed, 0, samples))


def run(name: str, posterior: Posterior, prior: Prior, samples: range = range(1), **options: object) -> torch.Tensor:
    """Samples by the sampler `name` at its default levels."""
    sampler = SAMPLERS[name]
    with torch.inference_mode():
        return sampler.run(chain(posterior, prior, samples), sampler.levels(prior), **options)
