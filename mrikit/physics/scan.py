"""One slice as iterative methods want it: scaled, its noise known, its rows decoupled where they can be."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from mrikit.arrays import Array, namespace, to_numpy
from mrikit.axes import describe
from mrikit.errors import DataError
from mrikit.physics.coils import require_fit, require_kspace
from mrikit.physics.espirit import espirit
from mrikit.physics.fourier import Axes, fft2c, ifft2c, mirrored
from mrikit.physics.noise import noise_level
from mrikit.physics.retrospective import Sampling
from mrikit.physics.sampling import acceleration, calibration_extent, centre, centre_block

SCALE_QUANTILE = 0.99
TAIL = 1e-4  # share of the maps' energy that virtual coils may leave out

SliceWatch = Callable[[float, str], None]  # gets the share of a slice that is done, and where it is


def unwatched(share: float, text: str) -> None:
    """A `SliceWatch` that looks away."""


@dataclass(frozen=True)
class Scan:
    """One slice at unit scale. Lines, where the mask is one of lines, run along x.

    kspace, maps: `(coil, y, x)` complex64; kspace is already an image along y where the mask is `(x,)`. mask: bool,
    `(x,)` wherever it is one of lines, else `(y, x)`.
    scale: what kspace was divided by. sigma: noise std of a sample after that. transposed: y and x swapped.
    """

    kspace: np.ndarray
    maps: np.ndarray
    mask: np.ndarray
    scale: float
    sigma: float
    transposed: bool = False

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes that are still k-space."""
        return (-1,) if self.mask.ndim == 1 else (-2, -1)

    @property
    def centre(self) -> np.ndarray:
        """The fully sampled centre of `mask`, as a mask of the same shape."""
        return centre_block(self.mask)

    def rows(self, rows: slice) -> Scan:
        """A band of rows of a scan with a mask of lines: an exact problem of its own, since rows decouple."""
        return Scan(self.kspace[:, rows], self.maps[:, rows], self.mask, self.scale, self.sigma, self.transposed)

    def mirrored(self, axes: Axes) -> Scan:
        """The scan of the image mirrored about its centre along `axes` (-2 is y, -1 is x)."""
        kspace, maps = (mirrored(array, axes) for array in (self.kspace, self.maps))
        mask = mirrored(self.mask, tuple(axis for axis in axes if axis in self.axes))
        return replace(self, kspace=kspace, maps=maps, mask=mask)

    @property
    def phase(self) -> np.ndarray:
        """`coarse_phase` `(y, x)` of the image, as its fully sampled centre shows it; 1 where there is none."""
        extent = calibration_extent(self.mask, n_y=len(self.maps[0]))
        kspace = self.kspace if self.mask.ndim == 2 else fft2c(self.kspace, (-2,))
        n = min(extent)
        return coarse_phase(np.sum(np.conj(self.maps) * ifft2c(kspace * centre_window(kspace.shape[-2:], n)), axis=0))

    def turned(self, phase: np.ndarray) -> Scan:
        """The scan of image / `phase`, `phase` `(y, x)` being of magnitude 1: the maps have it instead."""
        return replace(self, maps=self.maps * phase)

    def rescale(self, image: np.ndarray) -> np.ndarray:
        """`image` `(..., y, x)` of this scan in the scale and orientation of the k-space that was measured."""
        image = image * np.float32(self.scale)
        return np.ascontiguousarray(image.swapaxes(-1, -2) if self.transposed else image)


def centre_window(shape: tuple[int, int], n: int) -> np.ndarray:
    """A Hann window `(y, x)` on the `n` x `n` centre of k-space, less where it has not so many."""
    window = np.zeros(shape, np.float32)
    n_y, n_x = (min(n, length) for length in shape)
    window[centre(shape[0], n_y), centre(shape[1], n_x)] = np.outer(np.hanning(n_y + 2), np.hanning(n_x + 2))[
        1:-1, 1:-1
    ]
    return window


def coarse_phase(low: np.ndarray) -> np.ndarray:
    """exp(i phase) `(..., y, x)` complex64 of an image of low resolution. Divided by it, an image is almost real."""
    return np.exp(1j * np.angle(low)).astype(np.complex64)


def standardise(kspace: np.ndarray, maps: np.ndarray, mask: np.ndarray) -> Scan:
    """The `Scan` of under-sampled k-space `(coil, y, x)`, maps of the same shape, and mask `(x,)` or `(y, x)`."""
    transposed = mask.ndim == 2 and bool(np.all(mask == mask[:, :1]))
    if transposed:
        kspace, maps, mask = kspace.swapaxes(-1, -2), maps.swapaxes(-1, -2), mask[:, 0]
    elif mask.ndim == 2 and np.all(mask == mask[:1]):
        mask = mask[0]
    sigma = noise_level(kspace, maps)
    along_y = ifft2c(kspace, axes=(-2,))
    zero_filled = np.sum(np.conj(maps) * ifft2c(along_y, axes=(-1,)), axis=0)
    scale = float(np.quantile(np.abs(zero_filled), SCALE_QUANTILE)) or 1.0
    kspace = along_y if mask.ndim == 1 else kspace
    return Scan(kspace / np.float32(scale), maps, mask, scale, sigma / scale, transposed)


def unit_maps(maps: np.ndarray) -> np.ndarray:
    """`maps` `(coil, y, x)` with a root sum of squares of 1, or of 0 where they are zero; as they are if it is so."""
    norm = np.sqrt(np.sum(maps.real**2 + maps.imag**2, axis=0))
    norm[norm == 0] = 1
    return maps if np.allclose(norm, 1, rtol=0, atol=1e-3) else maps / norm


def virtual_coils(kspace: Array, maps: Array, axes: Axes) -> tuple[Array, Array]:
    """K-space and maps `(batch, coil, y, x)` of the fewest virtual coils that hold all but `TAIL` of the maps' energy.

    Rows that decouple, `axes` being `(-1,)`, have virtual coils of their own, and need half as many of them. The change
    of coils is unitary, so A^H A and A^H y stay what they are, but for that share, and noise stays white. Geometric
    coil compression, Zhang 2013, doi:10.1002/mrm.24267, found from the maps instead of the data.
    """
    xp = namespace(kspace, maps)
    n_batch, n_coils, n_y, n_x = maps.shape
    n_rows = 1 if -2 in axes else n_y

    def by_row(x: Array) -> Array:
        return xp.permute_dims(xp.reshape(x, (n_batch, n_coils, n_rows, -1)), (0, 2, 1, 3))

    grouped = by_row(maps)
    energy, basis = xp.linalg.eigh(grouped @ xp.conj(grouped).mT)
    energy = xp.sum(energy, axis=(0, 1))
    n_dropped = int(xp.sum(xp.astype(xp.cumulative_sum(energy) < TAIL * xp.sum(energy), xp.int32)))
    if not n_dropped:
        return kspace, maps
    kept = xp.conj(basis[..., n_dropped:]).mT
    kspace, maps = (
        xp.reshape(xp.permute_dims(kept @ by_row(x), (0, 2, 1, 3)), (n_batch, -1, n_y, n_x)) for x in (kspace, maps)
    )
    return kspace, maps


@dataclass(frozen=True)
class Slice:
    """One slice, under-sampled and standardised. maps: `(coil, y, x)`, those used. accel: N / sampled, achieved."""

    scan: Scan
    maps: np.ndarray
    accel: float

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x) of the images, as they were measured."""
        n_y, n_x = self.maps.shape[-2:]
        return n_y, n_x

    @property
    def n_voxels(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def fingerprint(self) -> int:
        """Of what was measured and the maps."""
        scan = self.scan
        rest = np.array([scan.scale, scan.sigma, scan.transposed])
        return reduce(lambda crc, array: zlib.crc32(array.tobytes(), crc), (scan.kspace, scan.maps, scan.mask, rest), 0)


def slices(
    kspace: Array, mask: Array | None, maps: Array | None
) -> Iterator[tuple[np.ndarray, np.ndarray | None, np.ndarray | None]]:
    """Each slice `(coil, y, x)` of k-space `(..., coil, y, x)`, with its mask and maps, as `prepare` takes them.

    mask: `(x,)` or `(y, x)`, of all slices, or `(..., y, x)`. Whatever they are arrays of, NumPy's come out. Raises
    DataError where mask or maps are of other slices.
    """
    kspace, mask, maps = (None if each is None else to_numpy(each) for each in (kspace, mask, maps))
    require_kspace(kspace)
    before = kspace.shape[:-3]
    n = math.prod(before)

    def each(name: str, array: np.ndarray) -> np.ndarray:
        if array.shape[: len(before)] != before:
            raise DataError(
                f"{name} of {describe(array.shape)} do not fit k-space of {describe(kspace.shape)}, slice by slice"
            )
        return array.reshape(n, *array.shape[len(before) :])

    masks = [mask] * n if mask is None or mask.ndim < 3 else each("masks", mask)
    yield from zip(each("k-space", kspace), masks, [None] * n if maps is None else each("maps", maps), strict=True)


def stacked(images: Sequence[np.ndarray], kspace: Array) -> np.ndarray:
    """The images `(y, x)` of the `slices` of k-space `(..., coil, y, x)` as one array `(..., y, x)`."""
    *before, _, n_y, n_x = np.shape(kspace)
    return np.reshape(images, (*before, n_y, n_x))


def prepare(
    kspace: np.ndarray,
    mask: np.ndarray | None = None,
    maps: np.ndarray | None = None,
    how: Sampling | None = None,
    *,
    method: str = "this method",
) -> Slice:
    """The `Slice` of k-space `(coil, y, x)`, under-sampled by `mask` or `how`; maps are estimated by default.

    Maps are brought to a root sum of squares of 1, so that the image is in the units of `mvue` whatever theirs are.
    method: who asks, for the error. Raises what `Sampling.keep` does, and DataError where k-space has NaN, nothing is
    left, there is no centre to calibrate on, or maps do not fit.
    """
    require_kspace(kspace)
    kspace = kspace.astype(np.complex64, copy=False)
    kept, acquired = (how or Sampling()).keep(kspace, mask)
    if not acquired.any():
        raise DataError("the mask keeps none of the samples that were acquired")
    if maps is None:
        maps = espirit(kept, refine=True)
    require_fit(kept, maps)
    if maps.ndim > kept.ndim:
        raise DataError(f"{method} takes one set of maps, these are {maps.shape[0]}", hint="use espirit --sets 1")
    if not maps.any():
        raise DataError("maps are zero everywhere")
    maps = unit_maps(np.require(maps, np.complex64, "CW"))  # as torch takes them
    return Slice(standardise(kept, maps, acquired), maps, acceleration(acquired))
