"""Scans to learn from, drawn anew for every training step: anatomy, coils, phase and noise, or a measured scan.

Both are fully sampled at first; how they are under-sampled, calibrated and cut up is one code.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mrikit.errors import DataError, UsageError
from mrikit.physics.coils import mvue
from mrikit.physics.espirit import espirit
from mrikit.physics.fourier import fft2c
from mrikit.physics.masks import KINDS as MASK_KINDS
from mrikit.physics.masks import LINE_KINDS
from mrikit.physics.phantom import coil_maps, noise
from mrikit.physics.retrospective import Sampling
from mrikit.physics.sampling import sampling, undersample
from mrikit.physics.scan import Scan, standardise
from mrikit.rng import generator
from mrikit.train.data import Images, band, finer, resolved
from mrikit.train.loader import load_ahead
from mrikit.train.scans import Scans
from mrikit.unrolled.problem import Problem, collate

COILS = (1, 1, 2, 4, 6, 8, 8, 8, 8, 10, 12, 16, 20, 32)
KINDS = (*LINE_KINDS, "poisson")
LINES = 0.75  # share of masks of lines, where masks of the plane are drawn as well
SMALL = (48, 81)  # half the matrix of a scan with a mask of the plane, of which no band of rows can be taken
ATTEMPTS = 100  # for one item
OWN_NOISE = 0.5  # share of simulated images with a noise, or a texture as fine, that all coils share


@dataclass(frozen=True)
class Simulation:
    """What is drawn. images: what simulated scans are of. per_scan: problems made of one scan.

    crop: rows of a problem with a mask of lines, at 8 coils, fewer for more. accels: drawn between these two.
    kinds: of masks, drawn among these. scans: measured ones, which take their share of the problems.
    """

    images: Images
    per_scan: int = 2
    crop: int = 64
    accels: tuple[float, float] = (2.0, 12.0)
    kinds: tuple[str, ...] = KINDS
    scans: Scans | None = None

    def __post_init__(self) -> None:
        low, high = self.accels
        if not 1 <= low <= high < np.inf:
            raise UsageError(f"--accel {low:g},{high:g}: expected a range from 1 up, the lower end first")
        if not self.kinds or not set(self.kinds) <= set(MASK_KINDS):
            raise UsageError(f"mask kinds {', '.join(self.kinds)}: expected some of {', '.join(MASK_KINDS)}")

    @property
    def line_share(self) -> float:
        """Share of scans with masks of lines."""
        lines = [kind in LINE_KINDS for kind in self.kinds]
        return LINES if any(lines) and not all(lines) else float(all(lines))

    def draw_kind(self, rng: np.random.Generator, *, lines: bool) -> str:
        """A kind of mask, of lines or of the plane."""
        return str(rng.choice([kind for kind in self.kinds if (kind in LINE_KINDS) == lines]))


def simulated_scan(images: Images, rng: np.random.Generator, *, small: bool) -> np.ndarray:
    """k-space `(coil, y, x)` of a fully sampled slice, simulated."""
    n_coils = int(rng.choice(COILS))
    low, high = SMALL if small else (48, 145)
    n_y, n_x = (2 * int(rng.integers(low, high)) for _ in range(2))
    fine = finer((n_y, n_x))
    image = images.draw_complex(fine, rng)
    if rng.random() < OWN_NOISE:
        image = image + noise(fine, 1, 10 ** rng.uniform(-2.7, -1.3), rng)[0]
    kspace = fft2c((coil_maps(n_coils, fine, rng) * image).astype(np.complex64))
    kspace = np.ascontiguousarray(resolved(kspace, (n_y, n_x)))
    # In units of a bright voxel: a sample of the orthonormal k-space has the noise of a voxel.
    level = 10 ** rng.uniform(-3.3, -1.1)
    return kspace + noise((n_y, n_x), n_coils, level, rng)


def measured_scan(scans: Scans, rng: np.random.Generator, *, small: bool) -> np.ndarray:
    """k-space `(coil, y, x)` of a fully sampled slice as it was measured; `small`: of its centre, so less resolved."""
    kspace = scans.draw(rng)
    if not small:
        return kspace
    n_y, n_x = (min(n, 2 * int(rng.integers(*SMALL))) for n in kspace.shape[-2:])
    return np.ascontiguousarray(resolved(kspace, (n_y, n_x)))


def problems(simulation: Simulation, rng: np.random.Generator) -> tuple[list[Scan], list[np.ndarray]]:
    """Scans and targets `(y, x)`, scaled, that share one anatomy, its maps and its kind of mask.

    Maps are estimated from what is acquired, as in use. The target is the MVUE that these maps make of the whole
    scan, so that the network is not asked for what they cannot express: on three real scans the MVUE with maps from
    the full centre had another phase, by up to 0.13 rad, 13 % of the image. It has the scan's noise, as whatever a
    reconstruction of a real scan is measured against has: what was acquired is kept, what was not cannot be foretold.
    """
    lines = rng.random() < simulation.line_share
    if simulation.scans and rng.random() < simulation.scans.share:
        kspace = measured_scan(simulation.scans, rng, small=not lines)
    else:
        kspace = simulated_scan(simulation.images, rng, small=not lines)
    n_coils, n_y, n_x = kspace.shape
    accel = float(np.exp(rng.uniform(*np.log(simulation.accels))))
    kind = simulation.draw_kind(rng, lines=lines)
    # One scan in three has more or fewer central lines than `auto` gives.
    acs: int | str = int(rng.integers(10, 33)) if rng.random() < 1 / 3 else "auto"
    if acs != "auto" and acs > 0.8 * (n_x if lines else n_y * n_x / acs) / accel:
        acs = "auto"
    acquired = sampling(kspace)  # but for zero-padding, all
    masks = [
        Sampling(accel, kind, acs, seed=int(rng.integers(2**31))).draw(acquired, (n_y, n_x)) & acquired
        for _ in range(simulation.per_scan)
    ]
    maps = espirit(undersample(kspace, np.logical_and.reduce(masks)), refine=True)
    target = mvue(kspace, maps)
    scans, targets = [], []
    for sampled in masks:
        scan = standardise(undersample(kspace, sampled), maps, sampled)
        image = target / np.float32(scan.scale)
        if scan.transposed:  # a mask of the plane that holds everything is one of lines too
            image = image.T
        if lines:
            height = min(n_y, max(24, simulation.crop * 8 // max(8, n_coils) // 8 * 8))
            rows = band(np.sum(np.abs(image) ** 2, axis=1), height, rng)
            scan, image = scan.rows(rows), image[rows]
        scans.append(scan)
        targets.append(image)
    return scans, targets


class Stream(Dataset):
    """Problems by number: item i depends on the seed and i alone."""

    def __init__(self, simulation: Simulation, seed: int, name: str = "train") -> None:
        self.simulation, self.seed, self.name = simulation, seed, name

    def __getitem__(self, number: int) -> tuple[list[Scan], list[np.ndarray]]:
        for attempt in range(ATTEMPTS):
            try:
                return problems(self.simulation, generator(self.seed, self.name, number, attempt))
            except DataError as error:  # an image whose calibration region happens to be empty
                reason = error
        raise DataError(f"none of {ATTEMPTS} scans drawn is fit to learn from: {reason}")

    def items(
        self, numbers: range, device: str = "cpu", n_workers: int = 1
    ) -> Generator[tuple[Problem, Tensor], None, None]:
        """The items of these numbers as batches of one matrix each, drawn ahead by worker processes."""
        for scans, targets in load_ahead(self, numbers, n_workers):
            yield collate(scans, device), torch.from_numpy(np.stack(targets)).to(device)
