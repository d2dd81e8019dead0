"""What a score prior learns from: patches of complex images at the scale they have in use."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mrikit.physics.fourier import fft2c, ifft2c
from mrikit.physics.scan import SCALE_QUANTILE, centre_window, coarse_phase
from mrikit.rng import generator
from mrikit.train.data import Images, band, finer, resolved
from mrikit.train.loader import load_ahead

MATRIX = (48, 81)  # half of it; more would show images of 176 voxels, as some are, blurred
COARSE = (8, 33)  # k-space samples along either axis by which the phase is known
#: An image is made this much brighter than 1 where it is bright. In use the scale is that of the zero-filled image, 1.1
#: to 1.3 times less than the full image's at R = 4 and 8.
BRIGHTER = (0.9, 1.5)


@dataclass(frozen=True)
class Patches:
    """What is drawn: `per_image` patches of `crop` x `crop` voxels of one of `images`."""

    images: Images
    crop: int = 96
    per_image: int = 4

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Patches `(patch, crop, crop)` complex64 of one image, where it shows something.

        It is divided by the phase that the centre of k-space shows, as `reconstruct.sample` does.
        """
        low, high = max(MATRIX[0], -(-self.crop // 2)), max(MATRIX[1], -(-self.crop // 2) + 1)
        n_y, n_x = (2 * int(rng.integers(low, high)) for _ in range(2))
        kspace = resolved(fft2c(self.images.draw_complex(finer((n_y, n_x)), rng)), (n_y, n_x))
        window = centre_window((n_y, n_x), int(rng.integers(*COARSE)))
        image = ifft2c(kspace) / coarse_phase(ifft2c(kspace * window))
        bright = float(np.quantile(np.abs(image), SCALE_QUANTILE))
        image = (image * (np.exp(rng.uniform(*np.log(BRIGHTER))) / max(bright, 1e-12))).astype(np.complex64)
        energy = np.abs(image) ** 2 + 1e-12
        return np.stack([self._cut(image, energy, rng) for _ in range(self.per_image)])

    def _cut(self, image: np.ndarray, energy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        rows = band(energy.sum(axis=1), self.crop, rng)
        return image[rows, band(energy[rows].sum(axis=0), self.crop, rng)]


class Stream(Dataset):
    """Patches by number: item i depends on the seed and i alone."""

    def __init__(self, patches: Patches, seed: int, name: str = "train") -> None:
        self.patches, self.seed, self.name = patches, seed, name

    def __getitem__(self, number: int) -> Tensor:
        return torch.from_numpy(self.patches.draw(generator(self.seed, f"score/{self.name}", number)))

    def items(self, numbers: range, device: str = "cpu", n_workers: int = 1) -> Generator[Tensor, None, None]:
        """The items of these numbers, `(patch, y, x)` complex64, drawn ahead by worker processes."""
        for patches in load_ahead(self, numbers, n_workers):
            yield patches.to(device)
