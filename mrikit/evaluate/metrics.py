"""Image quality against a reference: PSNR, SSIM, NMSE, NRMSE, plain and inside the object.

Magnitudes are compared. The dynamic range is the maximum of the reference volume, as in fastMRI, and
nothing is rescaled: a reconstruction on another scale is an error worth seeing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

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
    """Scores of one volume, in all and per slice, over every voxel and over those above the mask level."""

    volume: Scores
    volume_masked: Scores
    slices: tuple[Scores, ...]
    slices_masked: tuple[Scores, ...]

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def metrics(reference: np.ndarray, image: np.ndarray, *, mask_level: float = 0.05) -> Report:
    """Scores of `image` against `reference`, both `(slice, y, x)` or `(y, x)`, complex or magnitude.

    The mask holds the voxels where the reference is above `mask_level` times its maximum; masked SSIM is the
    mean of the full SSIM map inside it. Raises DataError on different shapes or an all-zero reference.
    """
    if reference.shape != image.shape:
        raise DataError(
            f"the reference is {describe(reference.shape)}, the image {describe(image.shape)}, expected one shape"
        )
    a, b = (np.abs(np.atleast_3d(v) if v.ndim < 3 else v).astype(np.float64) for v in (reference, image))
    if reference.ndim == 2:
        a, b = a.transpose(2, 0, 1), b.transpose(2, 0, 1)
    peak = float(a.max())
    if not peak > 0:
        raise DataError("the reference is zero everywhere")
    error, energy = (a - b) ** 2, a**2
    structure = np.stack([ssim_map(x, y, peak) for x, y in zip(a, b, strict=True)])
    inside = a > mask_level * peak
    everywhere = np.ones_like(inside)

    def score(where: np.ndarray, index: slice) -> Scores:
        chosen = where[index]
        if not chosen.any():
            return Scores(float("nan"), float("nan"), float("nan"), float("nan"))
        mse = float(error[index][chosen].mean())
        nmse = float(error[index][chosen].sum() / max(energy[index][chosen].sum(), np.finfo(float).tiny))
        # The SSIM map leaves out a border of half a window, where its window would leave the image.
        border = WINDOW // 2
        ssim = structure[index][chosen[:, border : -border or None, border : -border or None]]
        return Scores(
            float(10 * np.log10(peak**2 / mse)) if mse else float("inf"),
            float(ssim.mean()) if ssim.size else float("nan"),
            nmse,
            float(np.sqrt(nmse)),
        )

    def each(where: np.ndarray) -> tuple[Scores, ...]:
        return tuple(score(where, slice(i, i + 1)) for i in range(len(a)))

    whole = slice(None)
    return Report(score(everywhere, whole), score(inside, whole), each(everywhere), each(inside))


def by_state(reference: np.ndarray, states: np.ndarray, *, mask_level: float = 0.05) -> list[Report]:
    """Scores of every state of `(slice, state, y, x)` against `reference` `(slice, y, x)`, the start first."""
    return [metrics(reference, states[:, k], mask_level=mask_level) for k in range(states.shape[1])]


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
            return f"{s.psnr:9.2f}{s.ssim:9.4f}{s.nmse:9.5f}{s.nrmse:9.4f}"

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
