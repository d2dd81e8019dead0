"""From measured k-space to samples of the posterior, their mean and their spread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from mrikit import weights
from mrikit.arrays import Array
from mrikit.errors import UsageError
from mrikit.physics.retrospective import Sampling
from mrikit.physics.scan import Scan, Slice, SliceWatch, prepare, slices, stacked, unwatched
from mrikit.score.architectures import ARCHITECTURES, build
from mrikit.score.chain import Chain, streams
from mrikit.score.checkpoint import Checkpoint
from mrikit.score.moments import Moments
from mrikit.score.posterior import Posterior
from mrikit.score.prior import Prior
from mrikit.score.samplers import SAMPLERS, Sampler

DEFAULT_MODEL = "score-small"
N_SAMPLES = 8
VOXELS = 2**20  # of all samples of a batch, where nothing is said: about 1 GB with the networks that ship

Watch = Callable[[], None]


def load_prior(model: str = DEFAULT_MODEL, device: str = "cpu") -> Prior:
    """The score prior of a default model's name or of a weights file, on `device`; kept for the next call."""
    return weights.kept(model, build, ARCHITECTURES, device)


@dataclass(frozen=True)
class Plan:
    """How to sample. steps: noise levels, where they are not the sampler's own number.

    chunk, every: most samples of a batch, for memory and between two saves.
    sigma_y: std of a sample's noise, sqrt(mean |n|^2), in the units of the k-space; auto measures it.
    """

    prior: Prior = field(repr=False)
    sampler: str = "pula"
    n_samples: int = N_SAMPLES
    steps: int | None = None
    sigma_y: float | str = "auto"
    seed: int = 0
    chunk: int | None = None
    every: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.n_samples < 1:
            raise UsageError(f"--samples {self.n_samples}: expected at least 1")
        if self.sigma_y != "auto" and not 0 < float(self.sigma_y) < np.inf:
            raise UsageError(f"--sigma-y {self.sigma_y}: expected a number above 0, or auto")
        _ = self.levels

    @property
    def how(self) -> Sampler:
        return SAMPLERS[self.sampler]

    @property
    def levels(self) -> list[float]:
        return self.how.levels(self.prior, self.steps)

    def calibrated(self, scan: Scan) -> bool:
        """Whether samples of `scan` are known to spread as the posterior does, if the prior is right."""
        known = self.how.lines if scan.mask.ndim == 1 else self.how.plane
        return known is not None and len(self.levels) >= known.n_levels and self.sigma(scan) >= known.sigma

    @property
    def calls(self) -> int:
        """How often the network is asked for one batch of samples."""
        return self.how.calls(len(self.levels))

    def noise(self, scan: Scan) -> float:
        """Std of a sample's noise, sqrt(mean |n|^2), in the units of the k-space that was measured."""
        return scan.sigma * scan.scale if self.sigma_y == "auto" else float(self.sigma_y)

    def sigma(self, scan: Scan) -> float:
        """Std of either part of that noise, in the units of `scan`."""
        return self.noise(scan) / scan.scale / 2**0.5

    def batches(self, voxels: int, done: int = 0) -> list[range]:
        """Which samples go together after the first `done`, for images of so many voxels; none depends on it."""
        size = min(self.chunk or max(1, VOXELS // voxels), self.every or self.n_samples)
        return [range(i, min(i + size, self.n_samples)) for i in range(done, self.n_samples, size)]


def sample(
    piece: Slice, plan: Plan, number: int = 0, *, done: int = 0, watch: Watch = lambda: None
) -> Iterator[np.ndarray]:
    """Batches of samples `(sample, y, x)` complex64 in the units and orientation of the scan, after the first `done`.

    Sample k of slice `number` depends on the seed and these numbers, not on batches. watch: called after every call of
    the network. Raises ResultError, naming the level, where a chain diverges.
    """
    phase = piece.scan.phase  # in which a prior need not guess it
    posterior = Posterior.of(piece.scan.turned(phase), plan.sigma(piece.scan), plan.device)
    for batch in plan.batches(piece.n_voxels, done):
        chain = Chain(posterior, plan.prior, streams(plan.seed, number, batch), watch)
        with torch.inference_mode():
            images = posterior.support * plan.how.run(chain, plan.levels)
            chain.require_finite(images)
        yield piece.scan.rescale(images.cpu().numpy() * phase)


@dataclass
class Result:
    """What is known of a slice. samples: `(sample, y, x)` complex64 in batches, where they are kept."""

    moments: Moments
    samples: list[np.ndarray] = field(default_factory=list)

    def stacked(self) -> np.ndarray | None:
        """All samples, `(sample, y, x)`; None where they were not kept."""
        return np.concatenate(self.samples) if self.samples else None


def reconstruct(
    piece: Slice,
    plan: Plan,
    number: int = 0,
    *,
    checkpoint: Checkpoint | None = None,
    keep: bool = False,
    watch: SliceWatch = unwatched,
) -> Result:
    """Mean, spread and, with `keep`, samples of slice `number`; `checkpoint` saves them after every batch.

    watch: gets the share of the slice that is done, and where it is, after every call of the network.
    """
    found = checkpoint and checkpoint.restore(number, piece.fingerprint)
    result = Result(*found) if found else Result(Moments.none(piece.shape))
    done = result.moments.n
    batches = plan.batches(piece.n_voxels, done)
    calls, total = 0, plan.calls * len(batches)

    def called() -> None:
        nonlocal calls
        calls += 1
        share = (done + (plan.n_samples - done) * calls / total) / plan.n_samples
        watch(share, f"samples {result.moments.n} of {plan.n_samples}, network calls {calls} of {total}")

    for batch in sample(piece, plan, number, done=done, watch=called):
        result.moments.add(batch)
        if keep:
            result.samples.append(batch)
        if checkpoint:
            checkpoint.store(number, piece.fingerprint, result.moments, result.samples)
    return result


def langevin(
    kspace: Array,
    accel: float | None = None,
    *,
    mask: Array | None = None,
    maps: Array | None = None,
    model: str = DEFAULT_MODEL,
    sampler: str = "pula",
    samples: int = N_SAMPLES,
    steps: int | None = None,
    sigma_y: float | str = "auto",
    mask_kind: str = "random",
    acs: int | str = "auto",
    axis: str = "x",
    seed: int = 0,
    device: str = "cpu",
) -> tuple[np.ndarray, np.ndarray]:
    """Mean `(..., y, x)` complex64 and std `(..., y, x)` float32 of posterior samples, in the units of `mvue`.

    kspace: `(..., coil, y, x)`. accel, mask, maps, mask_kind, acs, axis: as `flat_recon` has them. The mean of K
    samples is 10 log10(1 + 1/K) dB worse than the posterior's. Source: arXiv 2108.01368, arXiv 2512.05791.
    """
    how = Sampling(accel, mask_kind, acs, axis, seed)
    plan = Plan(load_prior(model, device), sampler, samples, steps, sigma_y, seed, device=device)
    pieces = (prepare(*arrays, how, method="langevin") for arrays in slices(kspace, mask, maps))
    moments = [reconstruct(piece, plan, number).moments for number, piece in enumerate(pieces)]
    mean, std = stacked([each.mean for each in moments], kspace), stacked([each.std for each in moments], kspace)
    return mean.astype(np.complex64), std.astype(np.float32)
