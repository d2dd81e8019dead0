"""The likelihood of one slice: y = A x + n, exact at every noise level of the prior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mrikit.physics.rows import Rows
from mrikit.physics.scan import Scan, virtual_coils
from mrikit.physics.sense import Sense

#: Noise below this share of a bright voxel is not believed: maps are never as exact.
SMALLEST_SIGMA = 1e-4
#: Directions that coils see with less than this share of the largest energy are left to the prior: there, data and maps
#: that are a few per cent wrong, at the edge of a field of view say, are amplified to far more than noise.
SEEN = 0.01
#: Voxels times columns up to which rows are taken apart, which keeps 8 bytes each.
LARGEST = 2**27


@dataclass(frozen=True)
class Posterior:
    """One slice for a batch of images x `(batch, y, x)`.

    operator: A, of virtual coils, with a batch axis of length 1. kspace: y, `(1, coil, y, x)`. mask: bool, the samples
    taken, as it broadcasts against kspace. rhs: A^H y `(1, y, x)`. sigma: std of n in either part, in units of x.
    support: bool `(y, x)`, where maps are; elsewhere x is 0, for no coil sees it and the prior alone would fill it in.
    rows: where they decouple, and least squares are exact.
    """

    operator: Sense
    kspace: Tensor
    mask: Tensor
    rhs: Tensor
    sigma: float
    support: Tensor
    rows: Rows | None = None

    @classmethod
    def of(cls, scan: Scan, sigma: float, device: str = "cpu") -> Posterior:
        """The posterior of `scan`; rows decouple where its mask is one of lines."""
        kspace, maps = (torch.from_numpy(np.ascontiguousarray(a))[None].to(device) for a in (scan.kspace, scan.maps))
        mask = torch.from_numpy(scan.mask).to(device)
        support = maps[0].abs().amax(dim=0) > 0
        kspace, maps = virtual_coils(kspace, maps, scan.axes)
        operator = Sense(maps, mask, axes=scan.axes)
        apart = mask.ndim == 1 and maps.shape[-2] * maps.shape[-1] ** 2 <= LARGEST
        rows = Rows(maps[0], mask, SEEN) if apart else None
        return cls(operator, kspace, mask, operator.adjoint(kspace), max(sigma, SMALLEST_SIGMA), support, rows)

    def combine(
        self, mean: Tensor, spread: float, noise: Tensor | float = 0.0, start: Tensor | None = None, *, n_iters: int
    ) -> Tensor:
        """argmin_z ||A z - y||^2 / sigma^2 + ||z - mean||^2 / spread^2, noise being A^H of what is added to y.

        Exact for lines; else by conjugate gradients from `start`. By default that is `mean`: from there, what A does
        not measure is exact at once.
        """
        lamda = (self.sigma_at(spread) / spread) ** 2
        rhs = self.rhs + noise
        if self.rows is not None:
            return self.support * self.rows.solve(rhs, lamda, mean)
        start = mean if start is None else start
        return self.support * self.operator.solve(rhs + lamda * mean, lamda, start, n_iters=n_iters)

    def sigma_at(self, spread: float) -> float:
        """The std that data are given beside a mean of std `spread`: with conjugate gradients, a tenth of it at least.

        What coils hardly see is so left to the mean, and errors of maps are not amplified, as `SEEN` has it for lines.
        """
        return self.sigma if self.rows is not None else max(self.sigma, SEEN**0.5 * spread)

    def gradient(self, x: Tensor) -> Tensor:
        """A^H (y - A x): uphill in the likelihood, not yet divided by a variance."""
        return self.rhs - self.operator.normal(x)
