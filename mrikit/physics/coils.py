"""Combining, whitening and compressing receiver coils."""

from __future__ import annotations

import math

from mrikit.arrays import Array, namespace, to_numpy
from mrikit.axes import LARGEST, SMALLEST, describe, require_match
from mrikit.errors import DataError, UsageError
from mrikit.physics.fourier import ifft2c
from mrikit.physics.sampling import centre, is_one_sided

BLOCK_BYTES = 8 * 2**20


def groups(n_coils: int, chunk: int) -> list[slice]:
    """The coils in groups of `chunk`."""
    return [slice(first, min(first + chunk, n_coils)) for first in range(0, n_coils, chunk)]


def coils_per_block(kspace: Array) -> int:
    """How many coils of `(..., coil, y, x)` make a block of 8 MB, at least one."""
    return max(1, BLOCK_BYTES * kspace.shape[-3] // max(1, 8 * math.prod(kspace.shape)))


def add_coils(total: Array | float, values: Array) -> Array:
    """`total` plus every coil of `values` `(..., coil, y, x)`, one by one: any groups round alike."""
    for coil in range(values.shape[-3]):
        total = total + values[..., coil, :, :]
    return total


def rss(kspace: Array, *, chunk: int | None = None) -> Array:
    """Root-sum-of-squares image `(..., y, x)`, real, of k-space `(..., coil, y, x)`. Roemer 1990.

    chunk: coils worked on at a time, 8 MB of them by default. The result is the same.
    """
    require_kspace(kspace)
    xp = namespace(kspace)
    energy: Array | float = 0.0
    for group in groups(kspace.shape[-3], chunk or coils_per_block(kspace)):
        coil_images = ifft2c(kspace[..., group, :, :])
        energy = add_coils(energy, xp.real(coil_images) ** 2 + xp.imag(coil_images) ** 2)
    return xp.sqrt(energy)


def mvue(kspace: Array, maps: Array, *, chunk: int | None = None) -> Array:
    """Minimum-variance unbiased estimate of the image of fully sampled k-space: `(..., y, x)`, complex.

        sum_c conj(maps_c) F^-1(kspace)_c / sqrt(sum_c |maps_c|^2),     zero where all maps are zero.

    kspace: `(..., coil, y, x)`; maps: the same, or several sets `(..., set, coil, y, x)`, which give one image
    each: `(..., set, y, x)`. chunk: coils worked on at a time, 8 MB of them by default. The result is the same.
    Source: Jalal et al. 2021, arXiv 2108.01368, section 4.
    """
    require_fit(kspace, maps)
    xp = namespace(kspace, maps)
    combined: Array | float = 0.0
    energy: Array | float = 0.0
    for group in groups(kspace.shape[-3], chunk or coils_per_block(kspace)):
        some = maps[..., group, :, :]
        coil_images = ifft2c(kspace[..., group, :, :])
        if maps.ndim > kspace.ndim:
            coil_images = coil_images[..., None, :, :, :]
        combined = add_coils(combined, xp.conj(some) * coil_images)
        energy = add_coils(energy, xp.real(some) ** 2 + xp.imag(some) ** 2)
    norm = xp.sqrt(energy)
    return combined / xp.where(norm > 0, norm, xp.ones_like(norm))


def require_kspace(kspace: Array, name: str = "k-space") -> None:
    """Raise DataError unless `kspace`, or maps of that `name`, is `(..., coil, y, x)`, complex, and of sane numbers."""
    if not hasattr(kspace, "ndim"):
        raise DataError(
            f"{name} must be an array, found {type(kspace).__name__}", hint="mrikit.io.open_reader reads files"
        )
    if kspace.ndim < 3:
        raise DataError(
            f"{name}: {describe(kspace.shape)}, expected (..., coil, y, x)", hint="of one coil, array[..., None, :, :]"
        )
    xp = namespace(kspace)
    if not xp.isdtype(kspace.dtype, "complex floating"):
        raise DataError(f"{name} must be complex, found {kspace.dtype}")
    if not math.prod(kspace.shape):
        return
    sizes = [float(xp.max(xp.abs(kspace[..., coil, :, :]))) for coil in range(kspace.shape[-3])]
    if not all(map(math.isfinite, sizes)):
        raise DataError(f"{name} has NaN or infinity")
    largest = max(sizes)
    if largest and not SMALLEST <= largest <= LARGEST:
        raise DataError(
            f"the largest sample of {name} is {largest:.3g}, expected {SMALLEST:g} to {LARGEST:g}",
            hint="squares of such numbers are none in complex64; scale the data",
        )


def require_fit(kspace: Array, maps: Array) -> None:
    """Raise DataError unless `maps` `(..., coil, y, x)` belong to `kspace` `(..., coil, y, x)`, and both are sound."""
    require_kspace(kspace)
    require_kspace(maps, "maps")
    if maps.ndim not in (kspace.ndim, kspace.ndim + 1) or maps.shape[: kspace.ndim - 3] != kspace.shape[:-3]:
        raise DataError(f"maps are {describe(maps.shape)}, which does not fit k-space of {describe(kspace.shape)}")
    require_match("maps", maps.shape, "k-space", kspace.shape, "the matrix")
    if maps.shape[-3] != kspace.shape[-3]:
        raise DataError(
            f"maps have {maps.shape[-3]} coils, k-space has {kspace.shape[-3]}",
            hint="estimate the maps from this very scan with `mrikit espirit`",
        )


def noise_covariance(noise: Array) -> Array:
    """Covariance `(coil, coil)` of noise samples `(coil, sample)`."""
    xp = namespace(noise)
    if noise.shape[1] <= noise.shape[0]:
        raise DataError(
            f"{noise.shape[1]} noise samples are too few for the covariance of {noise.shape[0]} coils",
            hint="give a longer noise scan with --noise",
        )
    return noise @ xp.conj(noise).T / noise.shape[1]


def edge_rows(kspace: Array, fraction: float = 0.05) -> Array:
    """Numbers of the acquired rows of `(coil, y, x)` at both ends of the readout y, where signal is weakest.

    Of an asymmetric echo, whose one end is full of signal, those at the other.
    """
    xp = namespace(kspace)
    n_edge = max(1, round(fraction * kspace.shape[-2]))
    taken = xp.any(xp.any(kspace != 0, axis=-1), axis=-2)
    rows = xp.nonzero(taken)[0]
    if rows.shape[0] < 4 * n_edge:
        n_edge = max(1, rows.shape[0] // 4)
    first, last = rows[:n_edge], rows[-n_edge:]
    if not is_one_sided(to_numpy(taken)):
        return xp.concat([first, last])
    middle = kspace.shape[-2] // 2
    return first if rows.shape[0] and middle - int(rows[0]) > int(rows[-1]) - middle else last


def edge_samples(kspace: Array, fraction: float = 0.05) -> Array:
    """Acquired samples `(coil, sample)` of `(coil, y, x)` in its `edge_rows`.

    They stand in for a noise scan: an upper bound on the noise, close to it where the scan resolves its object.
    """
    xp = namespace(kspace)
    samples = xp.reshape(xp.take(kspace, edge_rows(kspace, fraction), axis=-2), (kspace.shape[-3], -1))
    return samples[:, xp.nonzero(xp.any(samples != 0, axis=0))[0]]


def whiten(kspace: Array, noise: Array | None = None) -> Array:
    """k-space `(..., coil, y, x)` whose noise is uncorrelated and of unit variance in every coil.

    noise: samples `(coil, sample)` without signal; by default the ends of the readout stand in for them.
    With the covariance L L^H the coils are mixed by L^-1. Pruessmann 2001, doi:10.1002/mrm.1241.
    """
    require_kspace(kspace)
    xp = namespace(kspace)
    if kspace.ndim > 3:
        return xp.stack([whiten(kspace[i, ...], noise) for i in range(kspace.shape[0])])
    noise = edge_samples(kspace) if noise is None else xp.asarray(noise, dtype=kspace.dtype, device=kspace.device)
    if noise.shape[0] != kspace.shape[-3]:
        raise DataError(f"noise has {noise.shape[0]} coils, k-space has {kspace.shape[-3]}")
    covariance = noise_covariance(noise)
    values = xp.linalg.eigvalsh(covariance)
    if not float(values[0]) > 1e-7 * float(values[-1]):
        raise DataError(
            "the noise covariance is singular: some coils are copies or mixtures of others, or hold nothing",
            hint="reduce them first with `mrikit compress --coils N`",
        )
    return mix_coils(xp.linalg.inv(xp.linalg.cholesky(covariance)), kspace)


def compress(kspace: Array, coils: int | None = None, *, calib: int = 24) -> Array:
    """k-space of the `coils` virtual coils that keep most of the central `calib` x `calib` energy.

    `(..., coil, y, x)` to `(..., coils, y, x)`, slice by slice, by the singular vectors of the calibration data, as
    `bart cc -S`. coils: 8 by default, or all where there are fewer. Huang 2008, doi:10.1016/j.mri.2007.04.010.
    """
    require_kspace(kspace)
    xp = namespace(kspace)
    if kspace.ndim > 3:
        return xp.stack([compress(kspace[i, ...], coils, calib=calib) for i in range(kspace.shape[0])])
    n_coils, n_y, n_x = kspace.shape
    coils = min(8, n_coils) if coils is None else coils
    if not 1 <= coils <= n_coils:
        raise UsageError(f"--coils {coils}: k-space {describe(kspace.shape)} has {n_coils} coils")
    region = kspace[..., centre(n_y, min(calib, n_y)), centre(n_x, min(calib, n_x))]
    samples = xp.reshape(region, (n_coils, -1))
    vectors = xp.linalg.eigh(samples @ xp.conj(samples).T)[1]
    return mix_coils(xp.conj(xp.flip(vectors, axis=1)[:, :coils]).T, kspace)


def mix_coils(matrix: Array, kspace: Array) -> Array:
    """`matrix` `(new coil, coil)` applied along the coil axis of `kspace` `(..., coil, y, x)`."""
    xp = namespace(matrix, kspace)
    *outer, n_coils, n_y, n_x = kspace.shape
    mixed = matrix @ xp.reshape(kspace, (*outer, n_coils, n_y * n_x))
    return xp.reshape(mixed, (*outer, matrix.shape[0], n_y, n_x))
