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


def many_coils(
    image: np.ndarray, maps: np.ndarray, mask: np.ndarray, sigma: float, believed: np.ndarray | None = None
) -> Posterior:
    """`image` `(y, x)` measured behind `maps` `(coil, y, x)` at `mask`, `(x,)` or `(y, x)`, with noise `sigma`.

    believed: the maps that the posterior is of, by default the true ones.
    """
    axes = (-1,) if mask.ndim == 1 else (-2, -1)
    noise = sigma * complex_normal(np.random.default_rng(0), *maps.shape)
    kspace = ((fft2c(maps * image, axes) + noise) * mask).astype(np.complex64)
    return Posterior.of(Scan(kspace, maps if believed is None else believed, mask, 1.0, sigma * 2**0.5), sigma)


def exact_std(maps: np.ndarray, mask: np.ndarray, tau: float, sigma: float, seen: float = 0.0) -> np.ndarray:
    """The posterior's std `(y, x)` of either part, where the prior is N(0, tau^2): from dense matrices.

    seen: directions of less than this share of the largest energy are the prior's.
    """
    n = maps[0].size
    voxels = np.eye(n, dtype=np.complex64).reshape(n, 1, *maps.shape[1:])
    axes = (-1,) if mask.ndim == 1 else (-2, -1)
    a = (fft2c(maps * voxels, axes) * mask).reshape(n, -1)
    energy, directions = np.linalg.eigh(a.conj() @ a.T)
    variance = 1 / (np.where(energy > seen * energy[-1], energy, 0) / sigma**2 + 1 / tau**2)
    return np.sqrt((np.abs(directions) ** 2) @ variance).reshape(maps.shape[1:])


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
