"""Images to learn from: those of files, varied, and simulated anatomy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from mrikit.physics.anatomy import anatomy
from mrikit.physics.phantom import phase
from mrikit.physics.sampling import centre

DARK = 0.05  # images less bright than this share of their volume's brightest show air alone
OWN_PHASE = 0.5  # share of draws from complex images that keep their phase
LARGEST_JUMPS = 10**0.4  # std of the phase from tissue to tissue, in radians
WOUND_UP = 0.4  # share of simulated phases that are made up to six times as strong: in bodies they turn several times


@dataclass(frozen=True)
class Volume:
    """Images `(image, y, x)`, real or complex, in memory or mapped from a file.

    shown: the images that show something. scale: a power of two, so that dividing by it is exact, which brings
    bright voxels to about 1.
    """

    array: np.ndarray
    shown: np.ndarray
    scale: float

    @classmethod
    def of(cls, array: np.ndarray, brightness: Sequence[float]) -> Volume:
        """`array`, of whose images the brightness `brightest` is known; not all of them are dark."""
        most = max(brightness)
        return cls(array, np.flatnonzero(np.asarray(brightness) > DARK * most), 2.0 ** round(math.log2(most)))

    @property
    def weight(self) -> float:
        """How much it counts beside others: a long series of neighbouring slices does not drown out a single one."""
        return math.sqrt(len(self.shown))


def brightest(image: np.ndarray) -> float:
    """The 99.9 % quantile of |image|."""
    return float(np.quantile(np.abs(image), 0.999))


class Images:
    """Images of volumes, each drawn by its weight, and simulated ones beside them.

    `simulated` is the share of images that no file holds.
    """

    def __init__(self, volumes: Sequence[Volume], weights: Sequence[float], simulated: float) -> None:
        self.volumes = volumes
        self.shares = np.asarray(weights) / sum(weights)
        self.simulated = simulated

    @property
    def n_images(self) -> int:
        """How many of the files can be drawn, slices of k-space included: those that show something."""
        return sum(len(volume.shown) for volume in self.volumes)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """One image `(y, x)` of any size, about 1 where it is bright.

        A magnitude, float32, or, one time in two where the file is complex, with its own phase, complex64.
        """
        if rng.random() < self.simulated:
            shape = (int(rng.integers(192, 321)), int(rng.integers(192, 321)))
            kind = "brain" if rng.random() < 0.5 else "random"
            return np.abs(anatomy(kind, shape, rng)).astype(np.float32)
        volume = self.volumes[rng.choice(len(self.volumes), p=self.shares)]
        image = volume.array[volume.shown[rng.integers(len(volume.shown))]] / np.float32(volume.scale)
        magnitude, turn = np.abs(image), None
        if np.iscomplexobj(image) and rng.random() < OWN_PHASE and turns_slowly(image):
            turn = np.exp(1j * np.angle(image))
        if rng.random() < 0.6:
            magnitude = recolour(magnitude, rng)
        return magnitude.astype(np.float32) if turn is None else (magnitude * turn).astype(np.complex64)

    def draw_complex(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """One image in a field of view of `shape`, with its own phase or a simulated one; about 1 where bright."""
        image = warp(self.draw(rng), shape, rng)
        if np.iscomplexobj(image):
            return image
        field = phase(shape, rng)
        if rng.random() < WOUND_UP:
            field = field * np.exp(rng.uniform(0, np.log(6)))
        return image * np.exp(1j * (field + tissue_phase(image, rng, LARGEST_JUMPS)))


def turns_slowly(image: np.ndarray) -> bool:
    """Whether the phase of `image` `(y, x)` hardly changes from voxel to voxel, so that it can be interpolated.

    Where the centre of k-space was mistaken, for one, neighbours have opposite signs.
    """
    for lines in (image, image.T):
        products = lines[1:] * np.conj(lines[:-1])
        if not np.sum(products.real) > 0.8 * np.sum(np.abs(products)):
            return False
    return True


def recolour(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`image` with another contrast: a random curve through its grey values, zero staying zero.

    One in two curves is monotone; the others exchange dark and bright tissue, as T1 and T2 weighting do.
    """
    knots = np.linspace(0, 1.5, 6)
    values = np.concatenate([[0.0], rng.uniform(0.1, 1.0, 5)])
    if rng.random() < 0.5:
        values = np.sort(values)
    return np.interp(image, knots, values).astype(np.float32)


def warp(image: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """`image`, real or complex, in a field of view of `shape`: turned, flipped, scaled and shifted a little."""
    zoom = rng.uniform(0.65, 1.1) * max(image.shape[0] / shape[0], image.shape[1] / shape[1])
    if rng.random() < 0.5:
        image = image.T
    angle = rng.normal(0, 0.2)
    flips = rng.choice([-1.0, 1.0], 2)
    cos, sin = np.cos(angle), np.sin(angle)
    # Rows: where output x and y, in units of half the field of view, come from in the input's units.
    scale = zoom * np.array([shape[1] / image.shape[1], shape[0] / image.shape[0]])
    aspect = shape[0] / shape[1]
    theta = np.array(
        [
            [flips[0] * scale[0] * cos, -scale[0] * sin * aspect, rng.normal(0, 0.04)],
            [scale[1] * sin / aspect, flips[1] * scale[1] * cos, rng.normal(0, 0.04)],
        ],
        dtype=np.float32,
    )
    grid = functional.affine_grid(torch.from_numpy(theta)[None], [1, 1, *shape], align_corners=False)
    parts = np.stack([image.real, image.imag]) if np.iscomplexobj(image) else image[None]
    source = torch.from_numpy(np.ascontiguousarray(parts))[None]
    warped = functional.grid_sample(source, grid, mode="bilinear", align_corners=False)[0].numpy()
    return warped[0] + 1j * warped[1] if np.iscomplexobj(image) else warped[0]


def tissue_phase(image: np.ndarray, rng: np.random.Generator, largest: float = 1.0) -> np.ndarray:
    """Phase `(y, x)` in radians that follows the detail of a magnitude image `(y, x)`, bright voxels being about 1.

    Tissues differ in susceptibility, chemical shift and flow, so phase is never as smooth as the field: a random
    curve through the grey values, of `largest` radians (std) at most, and a fine texture. In real scans 1 to 10 % of
    the energy is out of phase with the surroundings; with `phantom.phase` alone it is 0.1 %, which teaches a network to
    trust phase too much.
    """
    from scipy.ndimage import gaussian_filter

    knots = np.linspace(0, 1.2, 7)
    curve = np.interp(image, knots, rng.normal(0, 10 ** rng.uniform(-1.3, np.log10(largest)), len(knots)))
    texture = gaussian_filter(rng.standard_normal(image.shape, dtype=np.float32), 10 ** rng.uniform(-0.1, 0.9))
    return curve + 10 ** rng.uniform(-2.0, -0.6) * texture / texture.std()


def finer(shape: tuple[int, int]) -> tuple[int, int]:
    """The matrix at which what a scan of `shape` (y, x) looks at is drawn: a quarter more than it resolves."""
    return shape[0] * 5 // 4, shape[1] * 5 // 4


def resolved(kspace: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """What a scan of `shape` measures of k-space (..., y, x) of a finer object: cut off, so that edges ring."""
    return kspace[..., centre(kspace.shape[-2], shape[0]), centre(kspace.shape[-1], shape[1])]


def band(energy: np.ndarray, height: int, rng: np.random.Generator) -> slice:
    """`height` rows around one drawn by its energy, so that few bands show nothing but air."""
    middle = rng.choice(len(energy), p=energy / energy.sum())
    top = int(np.clip(middle - height // 2, 0, len(energy) - height))
    return slice(top, top + height)
