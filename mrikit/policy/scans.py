"""Batches of simulated scans to choose lines for: images, coils and noise, fully sampled."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np
from torch.utils.data import Dataset

from mrikit.physics.fourier import fft2c
from mrikit.physics.phantom import coil_maps
from mrikit.policy.budget import Budget
from mrikit.policy.mri import Slices, slices
from mrikit.rng import generator
from mrikit.train.data import Images
from mrikit.train.loader import load_ahead

NOISE = 0.01  # std, in units of each coil's std of k-space


class SliceStream(Dataset):
    """Batches of slices by number: item i depends on the seed and i alone.

    budgets: one is drawn for every batch. n_y: rows. coils: one of these numbers is drawn for every batch.
    """

    def __init__(
        self,
        images: Images,
        budgets: Sequence[Budget],
        n_y: int,
        *,
        batch: int = 4,
        coils: Sequence[int] = (1,),
        seed: int = 0,
        name: str = "train",
    ) -> None:
        self.images, self.budgets, self.n_y, self.batch, self.coils = images, budgets, n_y, batch, coils
        self.seed, self.name = seed, name

    def __getitem__(self, number: int) -> Slices:
        rng = generator(self.seed, f"policy/slices/{self.name}", number)
        budget = self.budgets[int(rng.integers(len(self.budgets)))]
        n_coils = int(rng.choice(self.coils))
        clean = [self._scan(n_coils, (self.n_y, budget.n), rng) for _ in range(self.batch)]
        return slices([kspace + _noise(kspace, rng) for kspace in clean], budget, clean)

    def _scan(self, n_coils: int, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """Noise-free k-space `(coil, y, x)`."""
        image = self.images.draw_complex(shape, rng)[None]
        return fft2c((image if n_coils == 1 else coil_maps(n_coils, shape, rng) * image).astype(np.complex64))

    def items(self, numbers: range, device: str = "cpu", n_workers: int = 1) -> Generator[Slices, None, None]:
        """The items of these numbers, drawn ahead by worker processes."""
        for item in load_ahead(self, numbers, n_workers):
            yield item.to(device)


def _noise(kspace: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """White complex noise, `NOISE` times the std of each coil."""
    parts = rng.standard_normal((2, *kspace.shape), dtype=np.float32)
    level = NOISE * kspace.std(axis=(-2, -1), keepdims=True) / np.sqrt(2)
    return (level * (parts[0] + 1j * parts[1])).astype(np.complex64)
