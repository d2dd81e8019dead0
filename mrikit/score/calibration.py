"""Whether a spread means what it says: the truth against mean and std of samples."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mrikit.axes import describe
from mrikit.errors import DataError

WITHIN = (1, 2, 3)  # stds
EDGES = np.linspace(-5, 5, 51)  # of the histogram of z


@dataclass(frozen=True)
class Calibration:
    """What became of the truth, over the voxels counted.

    coverage: share of voxels whose |truth - mean| is within 1, 2 and 3 std. expected: the same for exact samples of a
    complex Gaussian. z_std: of the real and imaginary parts of (truth - mean) / std, and what it is expected to be.
    histogram: shares of these parts between `EDGES`. pearson: correlation of std with |truth - mean|.
    """

    n_samples: int
    n_voxels: int
    coverage: dict[int, float]
    expected: dict[int, float]
    z_std: float
    expected_z_std: float
    histogram: list[float]
    pearson: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"edges": EDGES.tolist()}


def calibrate(truth: np.ndarray, mean: np.ndarray, std: np.ndarray, n_samples: int) -> Calibration:
    """Compare complex `truth` with `mean` and `std` of `n_samples` samples, all of one shape.

    Voxels of no spread, outside the maps, do not count. std is taken as `Moments` makes it; that it is smaller than the
    posterior's, and that the mean of few samples errs, is allowed for: with K samples an exact sampler has
    <|truth - mean|^2> / <std^2> = (K + 1) / (K - 1), by which the std is corrected, and then
    P(|truth - mean| < k std) = 1 - (1 + k^2 / (K - 1))^(1 - K), which goes to 1 - exp(-k^2).

    Raises DataError where shapes differ, the truth is not complex or there are fewer than two samples.
    """
    if truth.shape != mean.shape:
        raise DataError(f"the reference is {describe(truth.shape)}, the samples' mean {describe(mean.shape)}")
    if not np.iscomplexobj(truth):
        raise DataError(
            "the reference must be complex, for phase is half of the spread", hint="write the mvue as .npy, .h5 or .cfl"
        )
    if n_samples < 2:
        raise DataError(f"{n_samples} sample has no spread to compare with", hint="--samples 8")
    counted = std > 1e-6 * std.max()
    if not counted.any():
        raise DataError("the samples have no spread")
    spread = std[counted].astype(np.float64) * np.sqrt((n_samples + 1) / (n_samples - 1))
    error = (truth - mean)[counted]
    off = np.abs(error) / spread
    # A part has half of the variance.
    z = np.concatenate([error.real / spread, error.imag / spread]) * np.sqrt(2)
    histogram = np.histogram(z, EDGES)[0] / z.size
    free = n_samples - 1
    return Calibration(
        n_samples,
        int(counted.sum()),
        {k: float(np.mean(off < k)) for k in WITHIN},
        {k: float(1 - (1 + k**2 / free) ** -free) for k in WITHIN},
        float(z.std()),
        float(np.sqrt(free / (free - 1))) if free > 1 else float("inf"),
        histogram.tolist(),
        float(np.corrcoef(spread, np.abs(error))[0, 1]),
    )
