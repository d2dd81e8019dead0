"""Reports as pictures and JSON: of a posterior, with the truth its error and calibration, and of sampling policies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mrikit.errors import DataError
from mrikit.evaluate.figures import COLOURS, blank, grid, save, show
from mrikit.io.facts import write_facts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_ROWS = 16


def posterior(folder: Path, mean: np.ndarray, std: np.ndarray, truth: np.ndarray | None, facts: dict[str, Any]) -> None:
    """Write posterior.png and report.json, and with `facts["calibration"]` calibration.png, into `folder`.

    mean, std, truth: `(slice, y, x)`. facts: what report.json holds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save(maps(mean, std, truth), folder / "posterior.png")
    if "calibration" in facts:
        save(calibration(facts["calibration"]), folder / "calibration.png")
    write_facts(folder / "report.json", facts, indent=2)


def maps(mean: np.ndarray, std: np.ndarray, truth: np.ndarray | None, names: Sequence[str] | None = None) -> Figure:
    """A row a slice, of at most `MAX_ROWS`: |mean| and std, and with the truth |truth - mean| in the window of std.

    names: of the rows, by default the numbers of the slices.
    """
    numbers = np.unique(np.linspace(0, len(mean) - 1, min(len(mean), MAX_ROWS)).astype(int))
    figure, axes = grid(len(numbers), 2 if truth is None else 3, mean.shape[-1] / mean.shape[-2])
    bright = float(np.quantile(np.abs(mean), 0.999))
    inside = np.abs(mean) > 0.05 * np.abs(mean).max()  # the air, where nothing is known, is not what is to be seen
    wide = float(np.quantile(std[inside], 0.999)) or 1.0
    shown = spread = None
    for row, i in zip(axes, numbers, strict=True):
        of = f", {names[i]}" if names else f", slice {i}" if len(mean) > 1 else ""
        shown = show(row[0], np.abs(mean[i]), 0, bright, f"mean{of}")
        spread = show(row[1], std[i], 0, wide, f"std{of}", "inferno")
        if truth is not None:
            show(row[2], np.abs(truth[i] - mean[i]), 0, wide, f"|truth - mean|{of}", "inferno")
    figure.colorbar(shown, ax=list(axes[:, 0]), fraction=0.1, pad=0.03)
    figure.colorbar(spread, ax=list(axes[:, -1]), fraction=0.1, pad=0.03)
    return figure


def calibration(found: dict[str, Any]) -> Figure:
    """Histogram of z beside the normal density, and coverage beside what exact samples would have."""
    figure = blank(9, 3.6)
    left, right = figure.subplots(1, 2)
    edges = np.asarray(found["edges"])
    middle, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    left.bar(middle, np.asarray(found["histogram"]) / width, width, color=COLOURS[0], alpha=0.6, label="samples")
    left.plot(middle, np.exp(-(middle**2) / 2) / np.sqrt(2 * np.pi), color=COLOURS[1], label="normal")
    left.set_xlabel("z of real and imaginary parts, (truth - mean) / std")
    left.set_ylabel("density")
    left.legend(fontsize=8)
    places = np.arange(len(found["coverage"]))
    for shift, name, colour in ((-0.2, "coverage", COLOURS[0]), (0.2, "expected", COLOURS[1])):
        right.bar(places + shift, list(found[name].values()), 0.4, color=colour, label=name)
    right.set_xticks(places, [f"{k} std" for k in found["coverage"]])
    right.set_ylabel("share of voxels")
    right.set_title(f"correlation of std and error {found['pearson']:.2f}", fontsize=9)
    right.legend(fontsize=8, loc="upper left")  # above the lowest bars
    return figure


def levels(folder: Path) -> list[dict[str, Any]]:
    """What `policies` has written into `folder`, level by level; nothing where it has not."""
    path = folder / "report.json"
    try:
        return json.loads(path.read_text())["levels"] if path.exists() else []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: broken, this is no report of a comparison", hint="another --out") from error


def policies(folder: Path, facts: dict[str, Any]) -> None:
    """Write scores.png, places.png and report.json of a comparison of sampling policies into `folder`.

    facts: what `policy.contest.policy_compare` returns, and whatever else report.json is to hold.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save(scores(facts["levels"]), folder / "scores.png")
    save(places(facts["levels"]), folder / "places.png")
    write_facts(folder / "report.json", facts, indent=2)


def titled(level: dict[str, Any]) -> str:
    """`R = 4: 32 of 128` or `8 %: 63 of 784`."""
    name = f"R = {level['accel']:g}" if "accel" in level else f"{100 * level['rate']:.3g} %"
    return f"{name}: {level['kept']} of {level['of']}"


def policy_table(facts: dict[str, Any]) -> str:
    """A comparison of sampling policies as lines of text, a part for every acceleration or rate."""
    parts = []
    for level in facts["levels"]:
        found = level["policies"]
        width = max(map(len, found))
        ahead = "flow" in found
        lines = [
            f"{titled(level)}, {level['policy']}, {level['images']} images, {facts['seeds']} seeds: {level['metric']}",
            f"{'':{width}}     mean      std     95 % interval" + "   flow ahead by, 95 % interval" * ahead,
        ]
        for name, one in found.items():
            numbers = [one["mean"], one["std"], *one["interval"], *(one["flow_ahead"] if ahead else [])]
            lines.append(
                f"{name:{width}}" + "".join("        -" if number is None else f"{number:9.4f}" for number in numbers)
            )
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def scores(levels: Sequence[dict[str, Any]]) -> Figure:
    """Bars of the policies' mean scores with their 95 % intervals, a panel an acceleration or rate."""
    figure = blank(1 + 4 * len(levels), 4)
    for axis, level in zip(figure.subplots(1, len(levels), squeeze=False)[0], levels, strict=True):
        found = level["policies"]
        means = np.array([one["mean"] for one in found.values()])
        ends = [[one["mean"] if end is None else end for end in one["interval"]] for one in found.values()]
        low, high = np.array(ends).T
        colours = [COLOURS[1] if name == "flow" else COLOURS[0] for name in found]
        axis.bar(range(len(found)), means, yerr=[means - low, high - means], color=colours, capsize=3)
        margin = 0.2 * (high.max() - low.min()) + 1e-6
        axis.set_ylim(low.min() - margin, high.max() + margin)
        axis.set_xticks(range(len(found)), found, rotation=45, ha="right", fontsize=8)
        axis.set_ylabel(level["metric"])
        axis.set_title(titled(level), fontsize=9)
    return figure


def places(levels: Sequence[dict[str, Any]]) -> Figure:
    """How often every policy took each line, or each pixel: a row a policy, a column an acceleration or rate."""
    names = list(dict.fromkeys(name for level in levels for name in level["policies"]))
    figure = blank(1 + 3.5 * len(levels), 0.4 + 1.1 * len(names))
    rows = figure.subplots(len(names), len(levels), squeeze=False)
    for column, level in zip(rows.T, levels, strict=True):
        for axis, name in zip(column, names, strict=True):
            share = np.asarray(level["policies"][name]["places"]).reshape(level["shape"])
            if share.ndim == 2:
                show(axis, share, 0, 1, "", "viridis")
            else:
                axis.bar(range(len(share)), share, width=1, color=COLOURS[0])
                axis.set_ylim(0, 1)
            axis.set_ylabel(name, fontsize=7)
        column[0].set_title(titled(level), fontsize=9)
        if len(level["shape"]) == 1:
            column[-1].set_xlabel("line")
    return figure
