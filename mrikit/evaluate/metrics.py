"""Image quality against a reference: PSNR, SSIM, NMSE, NRMSE, plain and inside the object.

Magnitudes are compared. The dynamic range is the maximum of the reference volume, as in fastMRI, and nothing is
rescaled unless asked for: a reconstruction on another scale is an error worth seeing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from mrikit.arrays import Array, to_numpy
from mrikit.axes import describe
from mrikit.errors import DataError

NAMES = ("psnr", "ssim", "nmse", "nrmse")
WINDOW = 7


@dataclass(frozen=True)
class Scores:
    """psnr in dB (infinite for equal images), ssim up to 1, nmse and its root nrmse from 0."""

    psnr: float
    ssim: float
    nmse: float
    nrmse: float

    def to_json(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True)
class Report:
    """Scores of one volume, in all and per slice, over every voxel and over those above the mask level.

    scale: what the volume was multiplied by before.
    """

    volume: Scores
    volume_masked: Scores
    slices: tuple[Scores, ...]
    slices_masked: tuple[Scores, ...]
    scale: float = 1.0

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def metrics(reference: Array, image: Array, *, mask_level: float = 0.05, scale: bool = False) -> Report:
    """Scores of `image` against `reference`, both `(slice, y, x)` or `(y, x)`, complex or magnitude.

    The mask holds the voxels where the reference is above `mask_level` times its maximum; masked SSIM is the
    mean of the full SSIM map inside it. scale: multiply the image by what fits its magnitude to the reference best, in
    least squares, first. Raises DataError on different shapes or an all-zero reference.
    """
    reference, image = to_numpy(reference), to_numpy(image)
    _require_one_shape(reference, image)
    if reference.ndim == 2:
        reference, image = reference[None], image[None]
    pairs = list(zip(reference, image, strict=True))
    peak, fitting = fit_scales(pairs if scale else ((one,) for one in reference))
    comparison = Comparison(peak, mask_level, *map(float, fitting))
    for pair in pairs:
        comparison.add(*pair)
    return comparison.report()


def by_state(reference: np.ndarray, states: np.ndarray, *, mask_level: float = 0.05) -> list[Report]:
    """Scores of every state of `(slice, state, y, x)` against `reference` `(slice, y, x)`, the start first."""
    return [metrics(reference, states[:, k], mask_level=mask_level) for k in range(states.shape[1])]


def fit_scales(slices: Iterable[tuple[np.ndarray, ...]]) -> tuple[float, list[np.ndarray]]:
    """The largest magnitude of a reference, and what every volume is multiplied by to fit it best, in least squares.

    Each item is a slice of the reference, then one of every volume, `(y, x)` or `(state, y, x)`: a volume of states has
    a factor for each. A volume that is zero has 1. Raises DataError on different shapes.
    """
    peak, totals = 0.0, None
    for reference, *images in slices:
        for image in images:
            _require_one_shape(reference, image[(0,) * (image.ndim - reference.ndim)])
        a = np.abs(reference).astype(np.float64)
        peak = max(peak, float(a.max()))
        magnitudes = [np.abs(image).astype(np.float64) for image in images]
        found = [np.stack([(a * b).sum((-2, -1)), (b**2).sum((-2, -1))]) for b in magnitudes]
        totals = found if totals is None else [t + f for t, f in zip(totals, found, strict=True)]
    return peak, [np.divide(fit, energy, out=np.ones_like(fit), where=energy > 0) for fit, energy in totals or []]


def compare(
    slices: Iterable[tuple[np.ndarray, ...]],
    peak: float,
    scales: Sequence[np.ndarray] = (),
    *,
    mask_level: float = 0.05,
) -> list[Report | list[Report]]:
    """Reports of volumes that are read side by side: each item is a slice of the reference, then one of every volume.

    peak, scales: of `fit_scales`; without scales nothing is rescaled. Volumes of states, `(state, y, x)` a slice, have
    a list of reports, as `by_state`.
    """
    volumes: list[list[Comparison]] = []
    for reference, *images in slices:
        stacks = [image if image.ndim > reference.ndim else image[None] for image in images]
        if not volumes:
            factors = [np.atleast_1d(s) for s in scales] or [np.ones(len(stack)) for stack in stacks]
            volumes = [[Comparison(peak, mask_level, float(f)) for f in each] for each in factors]
        for comparisons, stack in zip(volumes, stacks, strict=True):
            for comparison, one in zip(comparisons, stack, strict=True):
                comparison.add(reference, one)
    reports = [[comparison.report() for comparison in comparisons] for comparisons in volumes]
    return [many if image.ndim > reference.ndim else many[0] for many, image in zip(reports, images, strict=True)]


def largest(slices: Iterable[np.ndarray]) -> float:
    """The largest magnitude of a volume."""
    return max(float(np.abs(one).max()) for one in slices)


class Comparison:
    """Scores of a volume, times `scale`, against a reference whose largest magnitude is `peak`, slice by slice.

    Raises DataError where `peak` is zero.
    """

    def __init__(self, peak: float, mask_level: float = 0.05, scale: float = 1.0) -> None:
        if not peak > 0:
            raise DataError("the reference is zero everywhere")
        self._peak, self._level, self._scale = peak, mask_level * peak, scale
        self._plain: list[np.ndarray] = []
        self._masked: list[np.ndarray] = []

    def add(self, reference: np.ndarray, image: np.ndarray) -> None:
        """Compare the next slice, `(y, x)`. Raises DataError on different shapes."""
        _require_one_shape(reference, image)
        a, b = (np.abs(one).astype(np.float64) for one in (reference, image))
        b *= self._scale
        terms = (a - b) ** 2, a**2, ssim_map(a, b, self._peak)
        inside = a > self._level
        self._plain.append(_sums(*terms, np.ones_like(inside)))
        self._masked.append(_sums(*terms, inside))

    def report(self) -> Report:
        """Scores of all slices so far."""
        volumes = (self._scores(np.sum(sums, axis=0)) for sums in (self._plain, self._masked))
        by_slice = (tuple(map(self._scores, sums)) for sums in (self._plain, self._masked))
        return Report(*volumes, *by_slice, self._scale)

    def _scores(self, sums: np.ndarray) -> Scores:
        n, error, energy, n_windows, structure = map(float, sums)
        if not n:
            return Scores(float("nan"), float("nan"), float("nan"), float("nan"))
        nmse = error / max(energy, np.finfo(float).tiny)
        return Scores(
            10 * math.log10(self._peak**2 * n / error) if error else float("inf"),
            structure / n_windows if n_windows else float("nan"),
            nmse,
            math.sqrt(nmse),
        )


def _sums(error: np.ndarray, energy: np.ndarray, structure: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Number of voxels, sum of their error and energy; number of windows and sum of their SSIM."""
    # The SSIM map leaves out a border of half a window, where its window would leave the image.
    border = WINDOW // 2
    windows = where[border:-border, border:-border]
    return np.array([where.sum(), error[where].sum(), energy[where].sum(), windows.sum(), structure[windows].sum()])


def _require_one_shape(reference: np.ndarray, image: np.ndarray) -> None:
    if reference.shape != image.shape:
        raise DataError(
            f"the reference is {describe(reference.shape)}, the image {describe(image.shape)}, expected one shape"
        )


def to_json(report: Report | list[Report]) -> object:
    """A report, or those of every state, in JSON's types."""
    return [r.to_json() for r in report] if isinstance(report, list) else report.to_json()


def ssim_map(reference: np.ndarray, image: np.ndarray, peak: float) -> np.ndarray:
    """SSIM at every place of a 7 x 7 uniform window inside the image: `(y - 6, x - 6)`.

    Wang 2004, doi:10.1109/TIP.2003.819861, with k1 = 0.01, k2 = 0.03 and the sample covariance, as
    `skimage.metrics.structural_similarity` has it by default and fastMRI uses it.
    """
    if min(reference.shape) < WINDOW:
        raise DataError(f"SSIM needs at least {WINDOW} x {WINDOW} voxels, found {describe(reference.shape)}")
    unbiased = WINDOW**2 / (WINDOW**2 - 1)
    mu_a, mu_b = window_mean(reference), window_mean(image)
    var_a = unbiased * (window_mean(reference**2) - mu_a**2)
    var_b = unbiased * (window_mean(image**2) - mu_b**2)
    cov = unbiased * (window_mean(reference * image) - mu_a * mu_b)
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    return (2 * mu_a * mu_b + c1) * (2 * cov + c2) / ((mu_a**2 + mu_b**2 + c1) * (var_a + var_b + c2))


def window_mean(image: np.ndarray) -> np.ndarray:
    """Mean over every 7 x 7 window that lies inside `image` `(y, x)`."""
    for axis in (0, 1):
        views = np.lib.stride_tricks.sliding_window_view(image, WINDOW, axis=axis)
        image = views.mean(axis=-1)
    return image


def table(reports: dict[str, Report | list[Report]]) -> str:
    """Reports by name as lines of text: the volume, then every slice where there are several.

    Of the states of a reconstruction, a list, the volume of each.
    """
    columns = ("PSNR dB", "SSIM", "NMSE", "NRMSE")
    width = max(12, *(len(name) for name in reports))
    lines = [
        f"{'':{width}}  "
        + "".join(f"{c:>9}" for c in columns)
        + "   in the object:"
        + "".join(f"{c:>9}" for c in columns)
    ]

    def row(label: str, plain: Scores, masked: Scores) -> str:
        def cells(s: Scores) -> str:
            return f" {s.psnr:8.2f} {s.ssim:8.4f} {s.nmse:8.5f} {s.nrmse:8.4f}"

        return f"{label:{width}}  {cells(plain)}{'':17}{cells(masked)}"

    for name, report in reports.items():
        if isinstance(report, list):
            lines += [name, *(row(f"  state {k}", r.volume, r.volume_masked) for k, r in enumerate(report))]
            continue
        lines.append(row(name, report.volume, report.volume_masked))
        if len(report.slices) > 1:
            pairs = zip(report.slices, report.slices_masked, strict=True)
            lines += [row(f"  slice {i}", plain, masked) for i, (plain, masked) in enumerate(pairs)]
    return "\n".join(lines)
