"""Charts of a comparison's scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mrikit.evaluate.figures import blank, quality_of_states, style
from mrikit.evaluate.results import Row
from mrikit.evaluate.summary import by_condition, mean, methods

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCORES = {"psnr_masked": "PSNR in the object (dB)", "ssim": "SSIM"}


def against_acceleration(rows: Sequence[Row]) -> Figure:
    """Means of PSNR and SSIM with their 95 % intervals, a column a kind of mask, a line a method."""
    names = methods(rows)
    found = by_condition(rows)
    masks = list(dict.fromkeys(condition.mask for condition in found))
    accels = sorted({condition.accel for condition in found})
    figure = blank(3.2 * len(masks) + 1.6, 5.6)
    axes = figure.subplots(len(SCORES), len(masks), squeeze=False, sharex=True, sharey="row")
    for column, mask in zip(axes.T, masks, strict=True):
        column[0].set_title(mask, fontsize=10)
        column[-1].set_xlabel("acceleration")
        for panel, score in zip(column, SCORES, strict=True):
            for i, name in enumerate(names):
                at = {c.accel: of[name] for c, of in found.items() if c.mask == mask and name in of}
                _line(panel, i, len(names), at, score, name)
            panel.set_xscale("log", base=2)
            if len(accels) == 1:  # one place, and not as wide as the panel
                panel.set_xlim(accels[0] / 2, accels[0] * 2)
            panel.set_xticks(accels, [f"{accel:g}" for accel in accels])
            panel.minorticks_off()
            panel.grid(alpha=0.3)
    for panel, (score, label) in zip(axes[:, 0], SCORES.items(), strict=True):
        panel.set_ylabel(label)
        if score == "ssim":  # intervals of few scans know nothing of the bound
            panel.set_ylim(top=min(1.0, panel.get_ylim()[1]))
    figure.align_ylabels(axes[:, 0])
    handles = {label: h for panel in axes.flat for h, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    shown = [name for name in names if name in handles]
    figure.legend([handles[name] for name in shown], shown, loc="outside right center", fontsize=9)
    return figure


def _line(panel: Axes, i: int, n: int, at: dict[float, list[Row]], score: str, name: str) -> None:
    """One method's means. The lines stand a little apart, for their intervals to be told from each other."""
    if not at:
        return
    means = [mean(rows, score) for _, rows in sorted(at.items())]
    low, high = zip(*(m.interval or (m.value, m.value) for m in means), strict=True)
    values = np.array([m.value for m in means])
    apart = 2 ** (0.02 * (i - (n - 1) / 2))
    # Of a skewed sample the mean can lie outside its interval by rounding alone.
    reach = np.clip([values - low, high - values], 0, None)
    panel.errorbar([a * apart for a in sorted(at)], values, reach, **style(i), linewidth=1.3, capsize=2, label=name)


def per_cascade(rows: Sequence[Row]) -> Figure | None:
    """Mean PSNR and SSIM after every cascade of every unrolled network, over the pieces that all of them have.

    None where there is no such network.
    """
    unrolled = {name: [row for row in rows if row.method == name and row.cascades] for name in methods(rows)}
    unrolled = {name: each for name, each in unrolled.items() if each}
    if not unrolled:
        return None
    common = set.intersection(*({row.piece for row in each} for each in unrolled.values()))
    lines = {
        f"{name}, n = {len(common)}": np.mean([row.cascades for row in each if row.piece in common], axis=0)
        for name, each in unrolled.items()
        if common
    }
    return quality_of_states(lines) if lines else None
