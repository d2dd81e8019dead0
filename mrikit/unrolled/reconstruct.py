"""From measured k-space to an image with an unrolled network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
import torch

from mrikit import weights
from mrikit.arrays import Array, resolve_device
from mrikit.errors import UsageError
from mrikit.physics.retrospective import Sampling
from mrikit.physics.scan import SliceWatch, prepare, slices, stacked, unwatched
from mrikit.physics.sense import Sense
from mrikit.rng import generator
from mrikit.unrolled.adapt import VIEWS, adaptable, adapted, look
from mrikit.unrolled.architectures import ARCHITECTURES, Network, build
from mrikit.unrolled.problem import Problem, collate

DEFAULT_MODEL = "flat-small"


@dataclass(frozen=True)
class Trajectory:
    """What every cascade made of one slice, at the network's `times`.

    states: `(state, y, x)` complex64, the start x^0 to the image x^N, in the scan's own scale.
    """

    states: np.ndarray
    _measure: Callable[[], list[float]] = field(repr=False)

    @cached_property
    def residuals(self) -> list[float]:
        """||A x^k - y|| / ||y|| of each, over the acquired samples; measured when first asked for."""
        return self._measure()


@dataclass(frozen=True)
class Result:
    """image: `(y, x)` complex64, in the scan's own scale. maps: `(coil, y, x)`, those used.

    accel: N / sampled, achieved. scale: what k-space was divided by for the network, already undone. adapted: whether
    the network was fitted to the slice. trajectory: where it was asked for.
    """

    image: np.ndarray
    maps: np.ndarray
    accel: float
    scale: float
    adapted: bool = False
    trajectory: Trajectory | None = None


def load_model(model: str = DEFAULT_MODEL, device: str = "cpu") -> Network:
    """The network of a default model's name or of a weights file, ready on `device`; kept for the next call."""
    return weights.kept(model, build, ARCHITECTURES, device)


def reconstruct(
    kspace: np.ndarray,
    mask: np.ndarray | None = None,
    maps: np.ndarray | None = None,
    *,
    how: Sampling | None = None,
    model: str = DEFAULT_MODEL,
    device: str = "cpu",
    adapt: int = 0,
    trajectory: bool = False,
    watch: SliceWatch = unwatched,
) -> Result:
    """Reconstruct one slice of k-space `(coil, y, x)`; the arguments are those of `flat_recon`.

    trajectory: also keep every state. watch: gets the share of the slice that is done, and where it is, while the
    network adapts.
    """
    piece = prepare(kspace, mask, maps, how, method="flat-recon")
    scan = piece.scan
    network = load_model(model, device)
    views, trusts = VIEWS[:1], []
    adapting = adapt > 0 and adaptable(scan)
    if adapting:
        views, rng = VIEWS, generator(how.seed if how else 0, "adapt")
        network, trusts = adapted(network, scan, adapt, rng=rng, watch=watch)
    path = None
    with torch.inference_mode():
        paths = [look(network, scan, axes, trusts, device) for axes in views]
        states = [torch.stack(seen).mean(dim=0) for seen in zip(*paths, strict=True)]
        if trajectory:
            problem = collate([scan], device)
            path = Trajectory(scan.rescale(torch.cat(states).cpu().numpy()), partial(residuals, states, problem))
    return Result(scan.rescale(states[-1][0].cpu().numpy()), piece.maps, piece.accel, scan.scale, adapting, path)


@torch.inference_mode()
def residuals(states: list[torch.Tensor], problem: Problem) -> list[float]:
    """||A x - y|| / ||y|| of every state."""
    y, norm = problem.kspace, torch.linalg.vector_norm
    measure = Sense(problem.maps, problem.mask, axes=problem.operator.axes).forward
    return [float(norm(measure(x) - y) / norm(y)) for x in states]


def flat_recon(
    kspace: Array,
    accel: float | None = None,
    *,
    mask: Array | None = None,
    maps: Array | None = None,
    model: str = DEFAULT_MODEL,
    mask_kind: str = "random",
    acs: int | str = "auto",
    axis: str = "x",
    seed: int = 0,
    device: str = "cpu",
    adapt: int = 0,
) -> np.ndarray:
    """Image `(..., y, x)` complex64 of k-space `(..., coil, y, x)`, by the network `model`, in the units of `mvue`.

    accel: acceleration at which a fully sampled scan is under-sampled first, with a mask of `mask_kind`, `acs`,
    `axis` and `seed` as `mrikit.mask` draws it; on an under-sampled scan it must agree with what was acquired.
    mask: keep only the samples where it is not zero: `(x,)`, `(y, x)` or `(..., y, x)`. maps: `(..., coil, y, x)`
    complex, of any scale; by default `espirit` with `refine`. device: `cpu` or `cuda:<i>`. adapt: steps in which the
    network is fitted to each slice first, without a reference, as `unrolled.adapt` has it.

    Raises UsageError where `accel`, `adapt` or `device` cannot be, or `mask` and `accel` disagree, DataError where the
    scan has NaN, contradicts `accel`, has no centre to calibrate on, or does not fit mask or maps. Source: arXiv
    2512.03020.
    """
    chosen = Sampling(accel, mask_kind, acs, axis, seed)
    if adapt < 0:
        raise UsageError(f"adapt is a number of steps from 0 up, not {adapt}")
    device = resolve_device(device)
    images = [
        reconstruct(*arrays, how=chosen, model=model, device=device, adapt=adapt).image
        for arrays in slices(kspace, mask, maps)
    ]
    return stacked(images, kspace)
