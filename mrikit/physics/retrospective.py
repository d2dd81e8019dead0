"""Retrospective under-sampling: what a method may see of a scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mrikit.errors import DataError, UsageError
from mrikit.physics.masks import LINE_KINDS, budget, require_accel
from mrikit.physics.masks import mask as draw_mask
from mrikit.physics.sampling import (
    acceleration,
    as_mask,
    centre_block,
    is_complete,
    same_acceleration,
    sampling,
    undersample,
)
from mrikit.rng import generator


@dataclass(frozen=True)
class Sampling:
    """How a fully sampled scan is under-sampled before a reconstruction sees it; `accel` None leaves it alone.

    Raises UsageError where `accel` is none, or where the rest says how, and `accel` does not say that.
    """

    accel: float | None = None
    kind: str = "random"
    acs: int | str = "auto"
    axis: str = "x"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.accel is not None:
            require_accel(self.accel)
        for option, name in (("--mask-kind", "kind"), ("--acs", "acs"), ("--axis", "axis")):
            value = getattr(self, name)
            if self.accel is None and value != getattr(Sampling, name):
                raise UsageError(
                    f"{option} {value} says how --accel under-samples, which is not given", hint="give --accel too"
                )

    def keep(self, kspace: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The samples of one slice `(coil, y, x)` that may be seen, the others zero, and the mask of them.

        Raises UsageError where `mask` and `accel` disagree, DataError where `accel` is asked of a scan that
        was acquired with another one.
        """
        accel, acquired = self.accel, sampling(kspace)
        if not acquired.any():
            raise DataError("k-space is zero everywhere, expected samples")
        if mask is not None:
            mask = as_mask(mask)
            if accel is not None and not same_acceleration(mask, accel):
                raise UsageError(
                    f"--accel {accel:g} disagrees with the mask, which has R = {acceleration(mask):.3g}",
                    hint="with --mask, --accel is not needed",
                )
        elif accel is None:
            return kspace, acquired
        elif is_complete(acquired):
            mask = self.draw(acquired, kspace.shape[-2:])
        elif same_acceleration(acquired, accel):
            return kspace, acquired
        else:
            raise DataError(
                f"k-space is already under-sampled, with R = {acceleration(acquired):.3g}; --accel {accel:g} disagrees",
                hint="leave --accel out to reconstruct what was acquired",
            )
        return undersample(kspace, mask), mask & acquired

    def draw(self, acquired: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """A mask that leaves 1 / `accel`, which is not None, of a matrix of that `shape` (y, x), exactly.

        Samples that fall on zero-padded edges, or on what partial Fourier left out, do not count: more are drawn.
        """
        accel = asked = self.accel or 1.0
        for _ in range(10):
            drawn = draw_mask(shape, max(1.0, asked), kind=self.kind, acs=self.acs, axis=self.axis, seed=self.seed)
            if same_acceleration(drawn & acquired, accel):
                break
            asked *= accel / acceleration(drawn & acquired)
        there = np.broadcast_to(acquired, shape)
        if self.kind not in LINE_KINDS:
            return self._meet(drawn, there, budget(there.size, accel))
        across = int(self.axis == "y")
        lines = self._meet(
            drawn if drawn.ndim == 1 else drawn[:, 0], there.any(axis=across), budget(shape[1 - across], accel)
        )
        return lines if drawn.ndim == 1 else np.repeat(lines[:, None], shape[1], axis=1)

    def _meet(self, drawn: np.ndarray, there: np.ndarray, wanted: int) -> np.ndarray:
        """`drawn`, changed at random outside its centre so that `wanted` of it are `there`, as far as that goes."""
        missing = wanted - int((drawn & there).sum())
        pool = np.flatnonzero(there & (~drawn if missing > 0 else drawn & ~centre_block(drawn & there)))
        changed = generator(self.seed, "meet").choice(pool, min(abs(missing), len(pool)), replace=False)
        met = drawn.copy()
        met.flat[changed] = missing > 0
        return met
