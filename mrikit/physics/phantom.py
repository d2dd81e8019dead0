"""A simulated scan: random anatomy, phase, an array of coils, correlated noise.

The object is drawn by anatomy.py, and everything a scanner adds to it is here. Lengths without a unit are in
halves of the field of view, as in canvas.py: about 110 mm for a head.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mrikit.errors import UsageError
from mrikit.physics.anatomy import anatomy as _anatomy
from mrikit.physics.canvas import Canvas, Rng
from mrikit.physics.fourier import fft2c
from mrikit.rng import generator

#: What the simulated header says: field of view along the longer edge and distance of slices, in mm.
FIELD_OF_VIEW = 220.0
SLICE_SPACING = 5.0

__all__ = ["Simulated", "coil_maps", "noise", "noise_covariance", "phantom", "phase", "scan"]


@dataclass(frozen=True)
class Simulated:
    """A simulated scan and its truth: kspace = fft2c(maps * image) + noise."""

    kspace: np.ndarray  #: (slice, coil, y, x) complex64
    image: np.ndarray  #: (slice, y, x) complex64
    maps: np.ndarray  #: (slice, coil, y, x) complex64
    covariance: np.ndarray  #: (coil, coil) complex64 of the noise in k-space
    voxel: tuple[float, float, float]  #: slice distance, y and x in mm


def phantom(
    matrix: int | Sequence[int] = (256, 256),
    *,
    coils: int = 8,
    slices: int = 1,
    noise: float = 0.01,
    anatomy: str = "brain",
    seed: int = 0,
) -> np.ndarray:
    """k-space (slice, coil, y, x) complex64 of a simulated scan; `scan` returns its truth as well."""
    return scan(matrix, coils=coils, slices=slices, noise=noise, anatomy=anatomy, seed=seed).kspace


def scan(
    matrix: int | Sequence[int] = (256, 256),
    *,
    coils: int = 8,
    slices: int = 1,
    noise: float = 0.01,
    anatomy: str = "brain",
    seed: int = 0,
) -> Simulated:
    """Simulate a scan of `slices` neighbouring slices of one object.

    matrix: (y, x), or one number for both.
    anatomy: a kind of `anatomy.anatomy`.
    noise: standard deviation of the complex noise, root mean square over coils, in shares of the 99 %
        quantile of |image| over all slices.
    Raises UsageError where an argument cannot be meant.
    """
    n_y, n_x = (matrix, matrix) if isinstance(matrix, (int, np.integer)) else tuple(matrix)
    if min(n_y, n_x) < 8:
        raise UsageError(f"a phantom's matrix has at least 8 samples along y and x, not {n_y} x {n_x}")
    if coils < 1 or slices < 1:
        raise UsageError(f"a phantom has at least 1 coil and 1 slice, not {coils} and {slices}")
    if not 0 <= noise < math.inf:
        raise UsageError(f"a phantom's noise is a number from 0 up, not {noise}")
    middle = (slices - 1) / 2
    images, maps = [], []
    for index in range(slices):
        z = (index - middle) * SLICE_SPACING / (FIELD_OF_VIEW / 2)
        magnitude = _anatomy(anatomy, (n_y, n_x), generator(seed, "phantom/anatomy"), z)
        angle = phase((n_y, n_x), generator(seed, "phantom/phase"), z)
        images.append((magnitude * np.exp(1j * angle)).astype(np.complex64))
        maps.append(coil_maps(coils, (n_y, n_x), generator(seed, "phantom/coils"), z))
    image, sensitivity = np.stack(images), np.stack(maps)
    kspace = fft2c(sensitivity * image[:, None]).astype(np.complex64)
    level = noise * float(np.quantile(np.abs(image), 0.99))
    covariance = noise_covariance(coils, generator(seed, "phantom/covariance"))
    for index in range(slices if level > 0 else 0):
        rng = generator(seed, "phantom/noise", index)
        kspace[index] += _noise((n_y, n_x), coils, level, rng, covariance)
    pixel = FIELD_OF_VIEW / max(n_y, n_x)
    return Simulated(
        kspace,
        image,
        sensitivity,
        (level**2 * covariance).astype(np.complex64),
        (SLICE_SPACING, pixel, pixel),
    )


def phase(shape: Sequence[int], rng: Rng, z: float = 0.0) -> np.ndarray:
    """Phase (y, x) float32 of an object, in radians.

    A polynomial of second order and a smooth random field, often a few places where the field is disturbed
    and the phase turns fast (air next to tissue), and for one object in five almost nothing, as after a spin
    echo.
    """
    canvas = Canvas(shape, rng, z, fine=1)
    y, x = canvas.y, canvas.x
    strength = rng.choice([0.05, 0.4, 1.0, 1.6], p=[0.2, 0.3, 0.35, 0.15])
    a = rng.normal(0, 1.0, 5)
    angle = a[0] * y + a[1] * x + 0.5 * (a[2] * y * y + a[3] * x * y + a[4] * x * x)
    angle = angle + 0.5 * canvas.field(rng.uniform(0.4, 0.9)) + rng.uniform(0, 0.3) * canvas.field(0.2)
    for _ in range(int(rng.choice([0, 0, 1, 2, 4]))):
        place, size, turn = rng.uniform(-0.7, 0.7, 3), rng.uniform(0.04, 0.2), rng.normal(0, 3)
        far = (y - place[0]) ** 2 + (x - place[1]) ** 2 + (z - place[2] * 0.3) ** 2
        angle = angle + turn * size**2 / (far + size**2)
    return (strength * angle + rng.uniform(-math.pi, math.pi)).astype(np.float32)


def coil_maps(n_coils: int, shape: Sequence[int], rng: Rng, z: float = 0.0) -> np.ndarray:
    """Sensitivities (coil, y, x) complex64 of circular loops around the field of view.

    The loops overlap on one to four rings of an elliptic cylinder, whose axis stands on the slice or lies in
    it; sometimes they leave a side open. What a loop receives is the field across the axis, B_a - i B_b, of a
    unit current in it by Biot and Savart's law (reciprocity: Hoult and Richards 1976,
    doi:10.1016/0022-2364(76)90233-X). Gains and phases are random, and loops couple a little. Root sum of
    squares is 1 on average over the middle and higher near the coils. A single coil is a smooth, nearly
    uniform volume coil.
    """
    canvas = Canvas(shape, rng, z, fine=1)
    if n_coils == 1:
        swell, turn = canvas.field(1.2, coarse=True), canvas.field(1.0, coarse=True)
        smooth = np.exp(0.1 * swell + 0.3j * turn)
        return _normalised(canvas, smooth[None])
    across = rng.random() < 0.65  # an axial slice; otherwise the cylinder's axis runs along y or x
    rings = int(np.clip(round(n_coils / rng.uniform(5, 11)), 1 if across else min(2, n_coils), 4))
    ring = np.arange(n_coils) * rings // n_coils
    per_ring = np.bincount(ring, minlength=rings)[ring]
    arc = 2 * math.pi if rng.random() < 0.85 else rng.uniform(1.0, 1.5) * math.pi
    angle = np.concatenate([np.arange(n) / n for n in np.bincount(ring, minlength=rings)]) * arc
    angle = angle + rng.uniform(0, 2 * math.pi) + ring * math.pi / per_ring + rng.normal(0, 0.08, n_coils)
    semi_a, semi_b = rng.uniform(1.05, 1.5) * np.array([canvas.half_y, canvas.half_x]) * rng.uniform(0.97, 1.1, 2)
    spacing = rng.uniform(0.45, 0.9) if across else rng.uniform(1.2, 1.8) / rings
    along = (ring - (rings - 1) / 2) * spacing + rng.normal(0, 0.05, n_coils) + rng.normal(0, 0.15)
    centre = np.stack([semi_a * np.sin(angle), semi_b * np.cos(angle), along], axis=1)
    normal = np.stack([semi_b * np.sin(angle), semi_a * np.cos(angle), np.zeros(n_coils)], axis=1)
    normal += rng.normal(0, 0.1, normal.shape)
    radius = np.clip(rng.uniform(0.5, 0.75) * arc * math.sqrt(semi_a * semi_b) / per_ring, 0.3, 0.9)
    radius = radius * rng.uniform(0.9, 1.1, n_coils)

    y, x = np.broadcast_arrays(canvas.cy[::2], canvas.cx[:, ::2])  # sensitivities are smooth: half the coarse grid
    level = np.full_like(y, z)
    turned = rng.random() < 0.5
    points = (y, x, level) if across else (level, x, y) if turned else (y, level, x)
    field = _loops(np.stack(points, axis=-1).reshape(-1, 3), centre, normal, radius)
    maps = (field[..., 0] - 1j * field[..., 1]).reshape(n_coils, *y.shape)
    gain = np.exp(rng.normal(0, 0.15, n_coils) + 1j * rng.uniform(0, 2 * math.pi, n_coils))
    coupling = np.eye(n_coils) + 0.04 * (rng.normal(size=(n_coils, n_coils)) + 1j * rng.normal(size=(n_coils, n_coils)))
    maps = np.tensordot(coupling * gain, maps, 1)
    return _normalised(canvas, maps, every=2)


def _loops(points: np.ndarray, centre: np.ndarray, normal: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Field (loop, point, 3) of unit currents in circles: the sum of dl x r / |r|^3 over 20 pieces of each.

    Distances are softened by 0.15, as for a conductor of that width, so that no wire in the corner of a
    field of view is a singularity.
    """
    normal = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    first = np.cross(normal, [0.0, 0.0, 1.0])
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(normal, first)
    turn = (np.arange(20) + 0.5) * (2 * math.pi / 20)
    cos, sin = np.cos(turn)[:, None, None], np.sin(turn)[:, None, None]
    wires = centre + radius[:, None] * (cos * first + sin * second)  # (piece, loop, 3)
    pieces = radius[:, None] * (cos * second - sin * first) * (2 * math.pi / 20)
    field = np.zeros((len(centre), len(points), 3), np.float32)
    points = points.astype(np.float32)
    for wire, piece in zip(wires.astype(np.float32), pieces.astype(np.float32), strict=True):
        r = points - wire[:, None]
        weight = (np.einsum("lpk,lpk->lp", r, r) + np.float32(0.0225)) ** np.float32(-1.5)
        p = piece[:, None]
        field[..., 0] += (p[..., 1] * r[..., 2] - p[..., 2] * r[..., 1]) * weight
        field[..., 1] += (p[..., 2] * r[..., 0] - p[..., 0] * r[..., 2]) * weight
    return field


def _normalised(canvas: Canvas, coarse: np.ndarray, every: int = 1) -> np.ndarray:
    """Fine maps of the coarse ones, known at every `every`-th coarse node, with RSS 1 around the middle."""
    real, imag = (np.stack([canvas.upsample(each, every) for each in part]) for part in (coarse.real, coarse.imag))
    maps = real + 1j * imag
    n_y, n_x = maps.shape[-2:]
    middle = maps[:, n_y // 3 : -(n_y // 3), n_x // 3 : -(n_x // 3)]
    power = np.mean(np.sum(np.abs(middle) ** 2, axis=0))
    return (maps * np.float32(1 / math.sqrt(float(power)))).astype(np.complex64)


def noise_covariance(n_coils: int, rng: Rng) -> np.ndarray:
    """Random Hermitian positive covariance (coil, coil) complex128 of mean variance 1, not diagonal."""
    mixing = rng.normal(size=(n_coils, n_coils)) + 1j * rng.normal(size=(n_coils, n_coils))
    share = rng.uniform(0.1, 0.5)
    covariance = (1 - share) * np.eye(n_coils) + share / (2 * n_coils) * (mixing @ mixing.conj().T)
    gain = np.exp(rng.normal(0, 0.15, n_coils))
    covariance = gain[:, None] * covariance * gain
    return covariance * (n_coils / np.trace(covariance).real)


def noise(shape: Sequence[int], coils: int, level: float, rng: Rng, covariance: np.ndarray | None = None) -> np.ndarray:
    """Complex Gaussian noise (coil, y, x) complex64, correlated between coils.

    `level` is sqrt(mean |n|^2), in image and in k-space alike since the FFT is unitary. `covariance`
    (coil, coil) has a mean diagonal of 1; without one it is drawn from `rng`.
    """
    if covariance is None:
        covariance = noise_covariance(coils, rng)
    white = rng.standard_normal((coils, 2, *shape), dtype=np.float32)
    root = np.linalg.cholesky(covariance) * (level / math.sqrt(2))
    return np.tensordot(root.astype(np.complex64), white[:, 0] + 1j * white[:, 1], 1)


_noise = noise  # `scan` has an argument of that name
