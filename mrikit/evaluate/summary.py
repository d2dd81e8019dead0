"""What many rows say together: means and their intervals, by condition and method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mrikit.evaluate.methods import FAMILIES
from mrikit.evaluate.results import Condition, Row
from mrikit.rng import interval


@dataclass(frozen=True)
class Mean:
    """The mean of `n` scores, all slices of all scans, and its 95 % interval, None of one scan or two.

    Slices of a scan resemble each other, so scans are what varies; slices where there is one scan.
    """

    value: float
    interval: tuple[float, float] | None
    n: int


def mean(rows: Sequence[Row], score: str) -> Mean:
    """The mean of a score, an attribute of `Row`, over rows of which each has it."""
    by_scan: dict[str, list[float]] = {}
    for row in rows:
        by_scan.setdefault(row.scan, []).append(getattr(row, score))
    scans = [np.array(values) for values in by_scan.values()]
    # Every scan counts alike, however many slices it has.
    units = np.array([values.mean() for values in scans]) if len(scans) > 1 else scans[0]
    return Mean(float(units.mean()), interval(units, "evaluate/bootstrap"), len(rows))


def methods(rows: Sequence[Row]) -> list[str]:
    """The methods there are, in the order of `FAMILIES`, then by name."""
    known = list(FAMILIES)
    return sorted({row.method for row in rows}, key=lambda m: (known.index(m) if m in known else len(known), m))


def by_condition(rows: Sequence[Row]) -> dict[Condition, dict[str, list[Row]]]:
    """Rows that have scores, by condition and method; a condition without any has none."""
    found: dict[Condition, dict[str, list[Row]]] = {}
    for condition in sorted({row.piece.condition for row in rows}):
        scored = [row for row in rows if row.piece.condition == condition and row.psnr is not None]
        of = {method: [row for row in scored if row.method == method] for method in methods(rows)}
        found[condition] = {method: each for method, each in of.items() if each}
    return found


def table(rows: Sequence[Row]) -> str:
    """PSNR in the object in dB and SSIM, means over slices and scans, a line a condition.

    A star marks what is of fewer slices than other methods of its line, and so not to be compared with them.
    """
    names = methods(rows)
    lines = [f"{'PSNR in the object (dB), SSIM':32}" + "".join(f"{name[-14:]:>16}" for name in names)]
    fewer = False
    for condition, of in by_condition(rows).items():
        pieces = {method: {row.piece for row in each} for method, each in of.items()}
        every = set().union(*pieces.values())
        cells = []
        for name in names:
            if name not in of:
                cells.append("n/a ")
                continue
            star = "*" if pieces[name] != every else " "
            fewer |= star == "*"
            cells.append(f"{mean(of[name], 'psnr_masked').value:.2f} {mean(of[name], 'ssim').value:.3f}{star}")
        lines.append(f"{f'{condition}, n = {len(every)}':32}" + "".join(f"{cell:>16}" for cell in cells))
    return "\n".join(lines + ["* of fewer slices"] * fewer)
