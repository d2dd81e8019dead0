"""Images to learn from: magnitudes of files, varied, and simulated anatomy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from mrikit.errors import DataError
from mrikit.io import open_reader
from mrikit.physics.anatomy import anatomy


class Images:
    """Magnitude images from volumes of `(image, y, x)` in any format mrikit reads, and simulated ones beside them.

    Every file counts the square root of its number of images, so that a long series of neighbouring slices
    does not drown out a single scan. `simulated` is the share of images that no file holds.
    """

    def __init__(self, files: Sequence[Path], simulated: float) -> None:
        self.arrays = []
        for file in files:
            with open_reader(file, "image") as reader:
                self.arrays.append(np.abs(reader.read()))
            if not np.isfinite(self.arrays[-1]).all() or not self.arrays[-1].any():
                raise DataError(f"{file}: images must be finite and not all zero")
        sizes = np.sqrt([len(a) for a in self.arrays])
        self.shares = sizes / sizes.sum() if files else sizes
        self.simulated = simulated if files else 1.0

    @property
    def n_images(self) -> int:
        """How many the files hold."""
        return sum(map(len, self.arrays))

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """One magnitude image `(y, x)` float32 of any size, about 1 where it is bright."""
        if rng.random() < self.simulated:
            shape = (int(rng.integers(192, 321)), int(rng.integers(192, 321)))
            kind = "brain" if rng.random() < 0.5 else "random"
            image = np.abs(anatomy(kind, shape, rng))
        else:
            array = self.arrays[rng.choice(len(self.arrays), p=self.shares)]
            image = array[rng.integers(len(array))]
            if rng.random() < 0.6:
                image = recolour(image, rng)
        return image.astype(np.float32)


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
    """`image` in a field of view of `shape`: turned, flipped, scaled and shifted a little."""
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
    source = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    return functional.grid_sample(source, grid, mode="bilinear", align_corners=False)[0, 0].numpy()
