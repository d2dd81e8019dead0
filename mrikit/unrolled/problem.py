"""One batch of scans, as a network sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mrikit.physics.fourier import from_fft_order
from mrikit.physics.sampling import acceleration
from mrikit.physics.scan import Scan, virtual_coils
from mrikit.physics.sense import Sense

CACHED = 2**17  # complex numbers of one array: 1 MiB


@dataclass(frozen=True)
class Problem:
    """One batch of scaled scans, as the network sees them.

    operator: A, of virtual coils. rhs: A^H y `(batch, y, x)`.
    sigma, accel: `(batch,)`, the noise std in units of the scaled image, and N / sampled.
    kspace, maps: y and S, `(batch, coil, y, x)`, of the coils that measured; kspace is an image along the axes that A
        does not transform.
    mask, centre: bool `(batch, 1, 1 or y, x)`, the samples taken, and those of the fully sampled centre.
    trusts: the lamda of every cascade of FLAT, `(batch, y, x)`, where it is not to follow D.
    """

    operator: Sense
    rhs: Tensor
    sigma: Tensor
    accel: Tensor
    kspace: Tensor
    maps: Tensor
    mask: Tensor
    centre: Tensor
    trusts: Sequence[Tensor] = ()

    def features(self) -> Tensor:
        """Noise and acceleration as numbers around zero, `(batch, 2)`; noise no lower than it is ever simulated."""
        return torch.stack([self.sigma.clamp_min(1e-3).log10() / 2 + 1, self.accel.log() - 1.5], dim=1)

    def missing(self, image: Tensor) -> Tensor:
        """A^H (y - A image), what `image` `(batch, y, x)` misses of the samples."""
        return self.rhs - self.operator.normal(image)

    def noise_energy(self) -> Tensor:
        """|A^H n|^2 `(batch, y, x)` on average, n being noise."""
        per_coil = (self.sigma**2 / self.accel)[:, None, None]
        return per_coil * from_fft_order(self.operator.energy, self.operator.axes)


def collate(scans: list[Scan], device: str = "cpu") -> Problem:
    """One `Problem` of scans that agree in matrix, number of coils and kind of mask."""

    def batch(arrays: list[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.stack(arrays)).to(device)

    def batch_masks(arrays: list[np.ndarray]) -> torch.Tensor:
        masks = batch(arrays)
        return masks[:, None, None, :] if masks.ndim == 2 else masks[:, None]

    kspace, maps = batch([s.kspace for s in scans]), batch([s.maps for s in scans])
    mask = batch_masks([s.mask for s in scans])
    virtual_kspace, virtual_maps = virtual_coils(kspace, maps, scans[0].axes)
    # On a CPU, coils whose arrays stay in the cache together: 3 % of the time of a slice of 8 x 320 x 320.
    chunk = max(1, CACHED // virtual_maps[:, 0].numel()) if virtual_maps.device.type == "cpu" else None
    operator = Sense(virtual_maps, mask, axes=scans[0].axes, chunk=chunk)
    return Problem(
        operator,
        operator.adjoint(virtual_kspace),
        torch.tensor([s.sigma for s in scans], dtype=torch.float32, device=device).clamp_min(1e-5),
        torch.tensor([acceleration(s.mask) for s in scans], dtype=torch.float32, device=device),
        kspace,
        maps,
        mask,
        batch_masks([s.centre for s in scans]),
    )
