"""Conjugate gradients for Hermitian positive definite systems."""

from __future__ import annotations

from collections.abc import Callable

from mrikit.arrays import Array, namespace


def inner(a: Array, b: Array, ndim: int) -> Array:
    """Real part of <a, b> over the last `ndim` axes, kept as axes of length 1."""
    xp = namespace(a, b)
    axes = tuple(range(-ndim, 0))
    if xp.isdtype(a.dtype, "complex floating"):
        return xp.real(xp.sum(xp.conj(a) * b, axis=axes, keepdims=True))
    return xp.sum(a * b, axis=axes, keepdims=True)


def cg(
    normal: Callable[[Array], Array], b: Array, x0: Array | None = None, *, n_iters: int = 30, ndim: int = 2
) -> Array:
    """Solution x of normal(x) = b after `n_iters` iterations from `x0` (zero by default).

    Every item along the axes before the last `ndim` is a system of its own with its own step lengths, so
    the answer for one does not depend on the others. A converged item stays as it is.
    Source: Hestenes and Stiefel 1952, doi:10.6028/jres.049.044.
    """
    xp = namespace(b)
    x = xp.zeros_like(b) if x0 is None else x0
    residual = b if x0 is None else b - normal(x)
    direction = residual
    energy = inner(residual, residual, ndim)
    done = xp.finfo(b.dtype).eps ** 2 * inner(b, b, ndim)
    for k in range(n_iters):
        image = normal(direction)
        curvature = inner(direction, image, ndim)
        active = (energy > done) & (curvature > 0)
        zero = xp.zeros_like(energy)
        step = xp.where(active, energy / xp.where(active, curvature, zero + 1), zero)
        x = x + step * direction
        if k == n_iters - 1:
            break
        residual = residual - step * image
        new_energy = inner(residual, residual, ndim)
        ratio = xp.where(active, new_energy / xp.where(active, energy, zero + 1), zero)
        direction = residual + ratio * direction
        energy = new_energy
    return x
