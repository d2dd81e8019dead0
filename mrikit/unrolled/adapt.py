"""A network fitted to one scan, without a reference: it learns to foretell samples of the scan that it is not shown.

Every step holds a share of the scan's own samples back, reconstructs from the rest, and compares. Yaman 2022,
"Zero-shot self-supervised learning for MRI reconstruction", arXiv 2102.07737.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mrikit.physics.fourier import Axes, mirrored
from mrikit.physics.scan import Scan, SliceWatch, unwatched
from mrikit.physics.sense import Sense
from mrikit.unrolled.architectures import Network
from mrikit.unrolled.model import Unrolled
from mrikit.unrolled.problem import collate

# Of the first step, by the axes of the mask; it falls to nothing. With discs more puts noise into the air.
LEARNING_RATES = {1: 3e-4, 2: 1.2e-4}
HELD_BACK = 0.2  # share of the samples outside the fully sampled centre
CLIP = 1.0  # largest norm of a gradient
VIEWS: tuple[Axes, ...] = ((), (-1,), (-2,), (-2, -1))  # axes to mirror a scan along


def adaptable(scan: Scan) -> bool:
    """Whether there are samples to hold back."""
    return len(_free(scan)) > 1


def _free(scan: Scan) -> np.ndarray:
    """Indices `(sample, axis)` into the mask of what was acquired outside its fully sampled centre."""
    return np.argwhere(scan.mask & ~scan.centre)


def adapted(
    network: Network, scan: Scan, n_steps: int, *, rng: np.random.Generator, watch: SliceWatch = unwatched
) -> tuple[Network, list[Tensor]]:
    """A copy of `network` that `n_steps` steps have fitted to `scan`, an `adaptable` one, every step to one of `VIEWS`.

    Also the `Problem.trusts` it has been fitted with, which it is to be used with.

    Only kernels of convolutions change. Biases would, too, where samples are mostly noise, and so put something where
    the image is empty. A FLAT trusts D as it did before: that D misses less of samples it was fitted to does not make
    it better where there are none.
    watch: gets the share of the steps that is done, and where it is, after every step.
    """
    with torch.inference_mode(False), torch.enable_grad():
        network = copy.deepcopy(network).requires_grad_(False)
        free = _free(scan)
        device = str(next(network.parameters()).device)
        trusts = network.trusts_for(collate([scan], device)) if isinstance(network, Unrolled) else []
        kernels = [parameter.requires_grad_() for parameter in network.parameters() if parameter.ndim == 4]
        rate = LEARNING_RATES[scan.mask.ndim]
        optimiser = torch.optim.Adam(kernels, rate)
        for step in range(n_steps):
            optimiser.param_groups[0]["lr"] = rate * (1 - step / n_steps)
            chosen = rng.choice(free, max(1, round(HELD_BACK * len(free))), replace=False)
            held_back = np.zeros_like(scan.mask)
            held_back[tuple(chosen.T)] = True
            axes = VIEWS[rng.integers(len(VIEWS))]
            loss = foretelling_loss(network, scan, held_back, axes, trusts, device)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(kernels, CLIP)
            optimiser.step()
            watch((step + 1) / (n_steps + 1), f"adapting, step {step + 1} of {n_steps}")
    return network.requires_grad_(False), trusts


def look(network: Network, scan: Scan, axes: Axes, trusts: Sequence[Tensor], device: str) -> list[Tensor]:
    """The states of `network` on `scan` mirrored along `axes`, mirrored back. trusts: `Problem.trusts` of `scan`."""
    problem = collate([scan.mirrored(axes)], device)
    problem = replace(problem, trusts=[mirrored(trust, axes) for trust in trusts])
    return [mirrored(state, axes) for state in network(problem)]


def foretelling_loss(
    network: Network, scan: Scan, held_back: np.ndarray, axes: Axes, trusts: Sequence[Tensor], device: str
) -> Tensor:
    """||e||_2 / ||y||_2 + ||e||_1 / ||y||_1 over the samples `held_back`, e the error of what the others foretell.

    The others are looked at mirrored along `axes`, the network's trusts being `trusts`.
    """
    kept = scan.mask & ~held_back
    image = look(network, replace(scan, kspace=scan.kspace * kept, mask=kept), axes, trusts, device)[-1]
    maps, mask, truth = (torch.from_numpy(each).to(device) for each in (scan.maps, held_back, scan.kspace * held_back))
    error = Sense(maps, mask, axes=scan.axes).forward(image) - truth
    two, one = (torch.linalg.vector_norm(error, p) / torch.linalg.vector_norm(truth, p) for p in (2, 1))
    return two + one
