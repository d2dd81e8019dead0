"""ESPIRiT coil maps: Uecker et al. 2014, doi:10.1002/mrm.24751, with BART's defaults but for `keep`.

The calibration matrix A holds every kernel-sized patch of the calibration region as a row. Its row space,
spanned by the right singular vectors v_j with s_j^2 > threshold * s_0^2, is what k-space patches of this
scan look like. At every voxel r the coil sensitivities are an eigenvector, of eigenvalue 1, of

    G(r)_cd = 1/|kernel| sum_j V_jc(r) conj(V_jd(r)),      V_jc = Fourier transform of the kernel v_jc.

G is a trigonometric polynomial of degree kernel - 1, so its samples on a (2 kernel - 1)^2 grid hold all of
it, and two small matrix products evaluate it anywhere. The dominant eigenvector varies slowly: it is found by
power iteration on a coarse grid, interpolated, and polished by two more iterations at every voxel.

This knows the fully sampled centre alone, and that only as a periodic image. Both cost accuracy: few central lines say
little, and where the object reaches an edge of the field of view, maps that are the same at the opposite edge are wrong
for a tenth of the field. To refine them, a least-squares image fills in what was not acquired, the image is set into a
larger field of view, and a centre as large as one likes is calibrated on. Its central `LOW` samples a side say all that
maps need to know.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from mrikit.arrays import Array, namespace, to_numpy
from mrikit.axes import describe
from mrikit.errors import DataError, UsageError
from mrikit.physics import kernels
from mrikit.physics.coils import require_kspace
from mrikit.physics.sampling import acquired_plane, calibration_extent, centre
from mrikit.physics.sense import Sense

COARSE_ITERS = 30
FINE_ITERS = 2
BLOCK_BYTES = 8 * 2**20
MARGIN = 0.25  # by which the field of view is enlarged to refine maps
LOW, CALIB = 96, 24  # samples a side that are filled in, and that are calibrated on
LAMDA, N_ITERS = 0.01, 8  # of the least-squares image that fills them in

Block = tuple[slice, Array, Array]  #: rows, their eigenvectors and eigenvalues


def espirit(
    kspace: Array,
    *,
    calib: int | tuple[int, int] | str = "auto",
    kernel: int = 6,
    threshold: float = 0.001,
    crop: float = 0.8,
    keep: float = 0.05,
    refine: bool = False,
    sets: int = 1,
) -> Array:
    """Coil maps `(..., coil, y, x)` of k-space `(..., coil, y, x)`, or `(..., set, coil, y, x)` for sets > 1.

    calib: side of the calibration region, one number or (y, x); `auto` finds the fully sampled centre.
    kernel: side of the k-space kernel. threshold: singular values kept, as in BART: s_j^2 / s_0^2.
    crop: voxels whose eigenvalue is not above it get zero maps. keep: but not those that the calibration data
    shows brighter than this share of the brightest; 1 leaves it to the eigenvalue alone, as in BART. From few
    lines, eigenvalues are low in parts of the object too, which would be lost. refine: calibrate once more, with
    the samples that were not acquired filled in, and with maps that differ at opposite edges; `auto` is then 24.
    sets: how many eigenvectors.

    In the support sum_c |maps_c|^2 = 1, and the phase is that of the calibration data's first principal
    component. Raises DataError where the calibration region is too small for the kernel or is empty.
    """
    require_kspace(kspace)
    xp = namespace(kspace)
    if kspace.ndim > 3:
        options: dict[str, Any] = {
            "calib": calib, "kernel": kernel, "threshold": threshold, "crop": crop, "keep": keep,
            "refine": refine, "sets": sets,
        }  # fmt: skip
        return xp.stack([espirit(kspace[i, ...], **options) for i in range(kspace.shape[0])])
    n_coils, n_y, n_x = kspace.shape
    if not 1 <= sets <= n_coils:
        raise UsageError(f"--sets {sets}: there are {n_coils} coils, so 1 to {n_coils} sets of maps")
    look = partial(maps_from, kernel=kernel, threshold=threshold, crop=crop, keep=keep)
    field: tuple[float, float] = (n_y, n_x)
    if refine:
        side_y, side_x = min(n_y, LOW), min(n_x, LOW)
        kspace = filled(kspace[:, centre(n_y, side_y), centre(n_x, side_x)], calib, kernel, look)
        wide_y, wide_x = enlarged(kspace)
        region = calibration_region(kspace, CALIB if calib == "auto" else calib, kernel, (wide_y, wide_x))
        field = (n_y * wide_y / side_y, n_x * wide_x / side_x)
    else:
        region = calibration_region(kspace, calib, kernel)
    return look(region, (n_y, n_x), field, sets=sets)


def filled(kspace: Array, calib: int | tuple[int, int] | str, kernel: int, look: Callable[..., Array]) -> Array:
    """`kspace` `(coil, y, x)` with the samples that were not acquired as a least-squares image has them.

    look: `maps_from` with its options.
    """
    acquired = acquired_plane(to_numpy(kspace))
    if acquired.all():
        return kspace
    xp, shape, wide = namespace(kspace), kspace.shape[-2:], enlarged(kspace)
    region = calibration_region(kspace, calib, kernel, wide)
    maps = look(region, shape, wide)
    taken = xp.asarray(acquired, device=kspace.device)
    operator = Sense(maps, taken)
    image = operator.solve(operator.adjoint(kspace), LAMDA, n_iters=N_ITERS)
    return xp.where(taken, kspace, Sense(maps, xp.ones_like(taken)).forward(image))


def maps_from(
    region: Array,
    shape: tuple[int, int],
    field: tuple[float, float],
    *,
    kernel: int,
    threshold: float,
    crop: float,
    keep: float,
    sets: int = 1,
) -> Array:
    """What `espirit` returns, of `shape` (y, x), from the calibration region of a `field` of view of so many voxels."""
    xp = namespace(region)
    samples = gram_on_grid(region, kernel, threshold)
    reference = principal_component(region)
    bright = None
    if keep < 1:
        image = calibration_image(region, shape, field)
        bright = image > keep * xp.max(image)
    maps = xp.empty((sets, region.shape[0], *shape), dtype=region.dtype, device=region.device)
    blocks = _exact(samples, shape, field, sets) if sets > 1 else _coarse_to_fine(samples, reference, shape, field)
    for rows, vectors, values in blocks:
        support = values[..., 0, :] > crop
        if bright is not None:
            support = xp.concat([support[..., :1] | bright[rows, :, None], support[..., 1:]], axis=-1)
        maps[:, :, rows, :] = _normalise(vectors, support, reference)
    return maps if sets > 1 else maps[0, ...]


def enlarged(kspace: Array) -> tuple[int, int]:
    """(y, x) voxels of a field of view that is larger by `MARGIN` along the axes that are fully sampled."""
    extent = calibration_extent(acquired_plane(to_numpy(kspace)))
    n_y, n_x = (
        math.ceil(n * (1 + MARGIN)) if full == n else n for n, full in zip(kspace.shape[-2:], extent, strict=True)
    )
    return n_y, n_x


def calibration_region(
    kspace: Array, calib: int | tuple[int, int] | str, kernel: int, field: tuple[int, int] | None = None
) -> Array:
    """The centre of `kspace` `(coil, y, x)` to calibrate on, resampled for a larger `field` of view.

    No more than was acquired, whatever is asked.
    `auto` takes up to 24 x 24 of the fully sampled centre. Where that is narrower than 24 along one axis,
    as behind a mask of lines, it takes more along the other for as many samples in all.
    """
    n_y, n_x = kspace.shape[-2:]
    extent = calibration_extent(acquired_plane(to_numpy(kspace)))
    if calib == "auto":
        size = [min(CALIB, n) for n in extent]
        for axis in (0, 1):
            size[axis] = min(extent[axis], max(size[axis], math.ceil(CALIB**2 / max(1, size[1 - axis]))))
    else:
        asked = (calib, calib) if isinstance(calib, int) else calib
        if isinstance(asked, str):
            raise UsageError(f"--calib {asked!r}: expected a number, two, or auto")
        size = [min(int(n), full) for n, full in zip(asked, extent, strict=True)]
    if min(size) < kernel + 2:
        raise DataError(
            f"the calibration region is {describe(size)} (y x x), too small for a kernel of {kernel} x {kernel}, "
            f"which needs {kernel + 2} x {kernel + 2}",
            hint="acquire more central lines, take a smaller --kernel (espirit) or give --maps (flat-recon)",
        )
    xp = namespace(kspace)
    wide_y, wide_x = field or (n_y, n_x)
    region = kspace[:, centre(n_y, size[0]), :] if wide_y == n_y else resample(n_y, wide_y, size[0], kspace) @ kspace
    if wide_x == n_x:
        region = region[..., centre(n_x, size[1])]
    else:
        region = region @ resample(n_x, wide_x, size[1], kspace).T
    if not bool(xp.any(region != 0)):
        raise DataError("the calibration region holds only zeros", hint="is the centre of k-space at N//2?")
    return region


def resample(n: int, wide: int, length: int, like: Array) -> Array:
    """Matrix `(length, n)`: the central samples of the k-space of an image that is set into `wide` voxels of zeros."""
    xp = namespace(like)
    voxels = positions(n, like)
    index = xp.astype(xp.arange(n, device=like.device) - n // 2, voxels.dtype)
    own = xp.astype(xp.arange(length, device=like.device) - length // 2, voxels.dtype)
    angles = 2 * math.pi * n * (own[:, None] / wide) * voxels
    back = 2 * math.pi * voxels[:, None] * index
    return (xp.cos(angles) - 1j * xp.sin(angles)) @ (xp.cos(back) + 1j * xp.sin(back)) / n


def principal_component(region: Array) -> Array:
    """Unit vector `(coil,)`: the coil combination that holds most of the calibration data's energy."""
    xp = namespace(region)
    samples = xp.reshape(region, (region.shape[0], -1))
    covariance = samples @ xp.conj(samples).T
    return xp.linalg.eigh(covariance)[1][:, -1]


def gram_on_grid(region: Array, kernel: int, threshold: float) -> Array:
    """G on its own (2 kernel - 1)^2 frequency grid: `(y, x, coil, coil)`, eigenvalues in [0, 1]."""
    xp = namespace(region)
    n_coils, n_y, n_x = region.shape
    patches = xp.stack(
        [region[:, i : i + n_y - kernel + 1, j : j + n_x - kernel + 1] for i in range(kernel) for j in range(kernel)],
        axis=1,
    )
    rows = xp.reshape(patches, (n_coils * kernel**2, -1))
    rows = rows / xp.max(xp.abs(rows))
    # Patches are columns here. Of the two Gram matrices the smaller one is decomposed.
    if rows.shape[0] <= rows.shape[1]:
        kept = _dominant(rows @ xp.conj(rows).T, threshold)[1]
    else:
        values, kept = _dominant(xp.conj(rows).T @ rows, threshold)
        kept = rows @ kept / xp.sqrt(values)
    size = 2 * kernel - 1
    padded = xp.permute_dims(xp.reshape(kept, (n_coils, kernel, kernel, -1)), (1, 2, 0, 3))
    pad = xp.zeros((kernel, size - kernel, *padded.shape[2:]), dtype=padded.dtype, device=padded.device)
    padded = xp.concat([padded, pad], axis=1)
    pad = xp.zeros((size - kernel, size, *padded.shape[2:]), dtype=padded.dtype, device=padded.device)
    padded = xp.concat([padded, pad], axis=0)
    spectrum = xp.fft.ifftn(padded, axes=(0, 1)) * size**2
    return spectrum @ xp.conj(xp.matrix_transpose(spectrum)) / kernel**2


def _dominant(gram: Array, threshold: float) -> tuple[Array, Array]:
    """Eigenvalues above `threshold` times the largest, and their eigenvectors."""
    xp = namespace(gram)
    values, vectors = xp.linalg.eigh(gram)
    first = int(xp.sum(xp.astype(values <= threshold * values[-1], xp.int64)))
    return values[first:], vectors[:, first:]


class Polynomial:
    """G anywhere: the trigonometric polynomial through `samples`, along a fixed set of columns.

    Positions are fractions of the field of view: (n - N//2) / N for voxel n.
    """

    def __init__(self, samples: Array, columns: Array) -> None:
        xp = namespace(samples)
        size, n_coils = samples.shape[0], samples.shape[-1]
        self.shape = (columns.shape[0], n_coils, n_coils)
        degrees = xp.arange(size, device=columns.device)
        self.degrees = xp.astype(xp.where(degrees > size // 2, degrees - size, degrees), columns.dtype)
        coefficients = xp.fft.fftn(samples, axes=(0, 1)) / size**2
        along_x = self._waves(columns) @ xp.reshape(coefficients, (size, size, -1))
        self.along_x = xp.reshape(along_x, (size, -1))

    def _waves(self, positions: Array) -> Array:
        angles = 2 * math.pi * positions[:, None] * self.degrees[None, :]
        xp = namespace(angles)
        return xp.cos(angles) + 1j * xp.sin(angles)

    def rows(self, positions: Array) -> Array:
        """G at every column of the rows at `positions`: `(row, x, coil, coil)`."""
        xp = namespace(positions)
        return xp.reshape(self._waves(positions) @ self.along_x, (-1, *self.shape))

    def blocks(self, n_rows: int) -> list[slice]:
        """The rows in as many at a time as take `BLOCK_BYTES`."""
        step = max(1, BLOCK_BYTES // (math.prod(self.shape) * 8))
        return [slice(first, min(first + step, n_rows)) for first in range(0, n_rows, step)]


def positions(n: int, like: Array, step: int = 1, field: float = 0) -> Array:
    """Every `step`-th voxel's place, the last voxel included, as a fraction of `field` voxels, by default of all n."""
    xp = namespace(like)
    index = xp.arange(0, n + step - 1, step, device=like.device)
    return xp.astype(index - n // 2, xp.real(like).dtype) / (field or n)


def power_iteration(gram: Array, vectors: Array, n_iters: int) -> tuple[Array, Array]:
    """Dominant eigenvectors `(..., coil, 1)` of `gram`, and their eigenvalues `(..., 1, 1)`."""
    if kernels.take(gram, vectors):
        return kernels.power_iteration(gram, vectors, n_iters)
    xp = namespace(gram)
    norm = xp.ones_like(vectors[..., :1, :])
    for _ in range(n_iters):
        vectors = gram @ vectors
        norm = _norm(vectors)
        vectors = vectors / norm
    return vectors, xp.real(norm)


def _norm(vectors: Array) -> Array:
    xp = namespace(vectors)
    energy = xp.sum(xp.real(vectors) ** 2 + xp.imag(vectors) ** 2, axis=-2, keepdims=True)
    return xp.sqrt(energy) + xp.finfo(energy.dtype).smallest_normal


def _coarse_to_fine(
    samples: Array, reference: Array, shape: tuple[int, int], field: tuple[float, float]
) -> Iterator[Block]:
    """Vectors `(row, x, coil, 1)` and values `(row, x, 1, 1)`, some rows at a time, by power iteration."""
    xp = namespace(samples)
    (n_y, n_x), (wide_y, wide_x) = shape, field
    step_y, step_x = (max(1, min(4, n // 40)) for n in shape)
    coarse = Polynomial(samples, positions(n_x, samples, step_x, wide_x))
    places = positions(n_y, samples, step_y, wide_y)
    vectors = xp.concat(
        [
            power_iteration(coarse.rows(places[rows]), reference[:, None], COARSE_ITERS)[0]
            for rows in coarse.blocks(places.shape[0])
        ]
    )
    along_x = interpolate(align_phase(vectors, reference), n_x, step_x, axis=1)
    fine, places = Polynomial(samples, positions(n_x, samples, 1, wide_x)), positions(n_y, samples, 1, wide_y)
    for rows in fine.blocks(n_y):
        guess = interpolate(along_x, n_y, step_y, axis=0, start=rows.start, stop=rows.stop)
        yield rows, *power_iteration(fine.rows(places[rows]), guess, FINE_ITERS)


def _exact(samples: Array, shape: tuple[int, int], field: tuple[float, float], sets: int) -> Iterator[Block]:
    """Vectors `(1, x, coil, set)` and values `(1, x, 1, set)` row by row, largest first, by eigendecomposition."""
    xp = namespace(samples)
    places, columns = (positions(n, samples, 1, wide) for n, wide in zip(shape, field, strict=True))
    polynomial = Polynomial(samples, columns)
    for row in range(places.shape[0]):
        rows = slice(row, row + 1)
        w, v = xp.linalg.eigh(polynomial.rows(places[rows]))
        yield rows, xp.flip(v[..., -sets:], axis=-1), xp.flip(w[..., None, -sets:], axis=-1)


def interpolate(coarse: Array, n: int, step: int, *, axis: int, start: int = 0, stop: int | None = None) -> Array:
    """Linear interpolation along `axis` (0 or 1) from every `step`-th voxel to voxels start..stop of n."""
    xp = namespace(coarse)
    index = xp.arange(start, n if stop is None else stop, device=coarse.device)
    low = index // step
    high = xp.where(low + 1 < coarse.shape[axis], low + 1, low)
    shape = [1] * coarse.ndim
    shape[axis] = -1
    weight = xp.reshape(xp.astype(index - low * step, xp.real(coarse).dtype) / step, tuple(shape))
    below = xp.take(coarse, low, axis=axis)
    return below + weight * (xp.take(coarse, high, axis=axis) - below)


def align_phase(vectors: Array, reference: Array) -> Array:
    """`vectors` `(..., coil, set)` turned so that <reference, vector> is real and positive."""
    xp = namespace(vectors)
    projection = xp.conj(reference)[None, :] @ vectors
    magnitude = xp.abs(projection)
    tiny = xp.finfo(magnitude.dtype).smallest_normal
    return vectors * (xp.conj(projection) + tiny) / (magnitude + tiny)


def calibration_image(region: Array, shape: tuple[int, int], field: tuple[float, float]) -> Array:
    """Root sum of squares `(y, x)` of what the calibration region `(coil, y, x)` alone resolves, free of ringing."""
    xp = namespace(region)
    waves, steps = [], []
    for n, wide, length in zip(shape, field, region.shape[-2:], strict=True):
        step = max(1, min(4, n // (4 * length)))
        place = positions(n, region, step, wide)
        index = xp.astype(xp.arange(length, device=region.device) - length // 2, place.dtype)
        window = 1 + xp.cos(2 * math.pi * index / (length + 1))  # Hann
        angles = 2 * math.pi * place[:, None] * index[None, :]
        waves.append(window * (xp.cos(angles) + 1j * xp.sin(angles)))
        steps.append(step)
    coil_images = waves[0] @ region @ waves[1].T
    coarse = xp.sqrt(xp.sum(xp.abs(coil_images) ** 2, axis=0))
    return interpolate(interpolate(coarse, shape[0], steps[0], axis=0), shape[1], steps[1], axis=1)


def _normalise(vectors: Array, support: Array, reference: Array) -> Array:
    """Maps `(set, coil, y, x)`: phases aligned, zero outside `support` `(y, x, set)`."""
    xp = namespace(vectors)
    maps = align_phase(vectors, reference) * xp.astype(support, xp.real(vectors).dtype)[..., None, :]
    return xp.permute_dims(maps, (3, 2, 0, 1))
