"""`langevin` beside zero-filled, BART's L1-wavelet and the default network; its spread beside the error; its cost.

    python tests/bench/posterior.py OUT [--prior NAME|FILE]... [--samples 8] [--study cells cost] [--only TEXT]

cells    every scan under the masks of `CELLS`, the first two of which are usual for line masks, the rest shifts of
         direction, kind and acceleration; anatomy is shifted by the scans themselves, four heads, a heart and a liver
cost     one scan, random R = 4: PSNR, spread, network calls and seconds of every sampler, of pula with fewer and more
         levels, and of one sample against eight

PSNR is inside the 5 % mask, against the MVUE of all the data. BART's lambda is the best of six by that reference.
Images and scans are those of `quality.py` that trained nothing. OUT keeps every row, STUDY.json, so that a run that was
cut off goes on; STUDY.md is a table of them.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from quality import BART, Cache, Cell, Scan, Trial, scans, score, trial

from mrikit.errors import ResultError
from mrikit.physics.scan import prepare
from mrikit.score.calibration import calibrate
from mrikit.score.moments import Moments
from mrikit.score.reconstruct import DEFAULT_MODEL, Plan, load_prior, reconstruct
from mrikit.score.samplers import SAMPLERS

SCANS = ("brain_axial_8ch", "brain_t2", "heart", "simulated")
CELLS = (
    ("random", "x", 4), ("random", "x", 8), ("random", "x", 12), ("equispaced", "x", 4), ("random", "y", 4),
    ("poisson", "x", 8),
)  # fmt: skip
NETWORK = "flat-small"
LEVELS = (25, 50, 150)  # beside the default


class Rows:
    """Rows of a table on disk, by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The row kept under `name`, or the one that `measure` gives."""
        if name not in self.known:
            self.known[name] = measure()
            self.path.write_text(json.dumps(self.known, indent=2) + "\n")
        return self.known[name]


def posterior(task: Trial, plan: Plan) -> tuple[Moments, dict[str, Any]]:
    """Mean and spread of one slice, with what they are worth and what they cost."""
    piece = prepare(task.kspace, maps=task.maps)
    started = time.perf_counter()
    moments = reconstruct(piece, plan).moments
    row: dict[str, Any] = {"seconds": time.perf_counter() - started, "calls": plan.calls, "samples": plan.n_samples}
    row["psnr"], row["ssim"] = score(task.reference, moments.mean)
    row["std"] = float(np.sqrt(np.mean(moments.std**2)) / np.abs(task.reference).max())
    if plan.n_samples > 1:
        found = calibrate(task.reference, moments.mean, moments.std, plan.n_samples)
        row |= {"coverage": list(found.coverage.values()), "expected": list(found.expected.values())}
        row["pearson"] = found.pearson
    return moments, row


def cells(rows: Rows, found: list[Scan], priors: list[str], samples: int, bart: Cache, only: str) -> str:
    """The table of every method in every cell."""
    lines = [
        "| scan | masks | R | zero-filled | BART L1 | flat-small | " + " | ".join(Path(p).stem for p in priors)
        + " | within 1, 2, 3 std (expected) | correlation |",
        "|---" * (8 + len(priors)) + "|",
    ]  # fmt: skip
    for scan in found:
        for kind, axis, accel in CELLS:
            name = f"{scan.name} {kind} {axis} R={accel}"
            task = trial(scan, kind, accel, axis) if only in name else None
            if task is None:
                continue
            cell = Cell(scan.name, scan.split, kind if axis == "x" else f"{kind} along y", accel, {})

            def others(cell: Cell = cell, task: Trial = task) -> dict[str, Any]:
                cell.scores["zf"] = score(task.reference, task.made("zf").image)
                cell.scores[BART] = bart.get(cell, lambda: task.best(task.bart_l1()))
                cell.scores[NETWORK] = score(task.reference, task.made("flat", model=NETWORK).image)
                return asdict(cell)

            scores = rows.get(name, others)["scores"]
            sampled = []
            for prior in priors:
                plan = Plan(load_prior(prior), n_samples=samples)
                sampled.append(rows.get(f"{name} {prior}", lambda plan=plan, task=task: posterior(task, plan)[1]))
            entries = [f"{p:.2f} ({s:.3f})" for p, s in scores.values()]
            entries += [f"{row['psnr']:.2f} ({row['ssim']:.3f})" for row in sampled]
            first = sampled[0]
            within = ", ".join(f"{c:.0%} ({e:.0%})" for c, e in zip(first["coverage"], first["expected"], strict=True))
            lines.append(
                f"| {scan.name} | {cell.kind} | {accel} | {' | '.join(entries)} | {within} | {first['pearson']:.2f} |"
            )
            print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def cost(rows: Rows, scan: Scan, prior: str, samples: int) -> str:
    """The table of every sampler, of pula at other numbers of levels, and of one sample."""
    task = trial(scan, "random", 4)
    if task is None:
        raise SystemExit(f"{scan.name} is too small")
    base = Plan(load_prior(prior), n_samples=samples)
    plans = {name: replace(base, sampler=name) for name in SAMPLERS}
    plans |= {f"pula, {n} levels": replace(base, steps=n) for n in LEVELS} | {
        "pula, 1 sample": replace(base, n_samples=1)
    }
    lines = [
        "| sampler | samples | calls a sample | PSNR (SSIM) | std | within 1, 2, 3 std | seconds |",
        "|---" * 7 + "|",
    ]
    for name, plan in plans.items():
        try:
            row = rows.get(f"{scan.name} {name} {prior}", lambda plan=plan: posterior(task, plan)[1])
        except ResultError as error:
            lines.append(f"| {name} | {plan.n_samples} | {plan.calls} | {error} | | | |")
            print(lines[-1], flush=True)
            continue
        within = ", ".join(f"{c:.0%}" for c in row.get("coverage", ()))
        lines.append(
            f"| {name} | {row['samples']} | {row['calls']} | {row['psnr']:.2f} ({row['ssim']:.3f}) "
            f"| {row['std']:.2%} | {within} | {row['seconds']:.0f} |"
        )
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--prior", action="append", help=f"default: {DEFAULT_MODEL}; several stand side by side")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--study", choices=("cells", "cost"), nargs="+", default=["cells", "cost"])
    parser.add_argument("--only", default="", help="only cells whose name has this in it")
    parser.add_argument("--cache", type=Path, help="JSON file that keeps what BART reached between runs")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MRIKIT_DATA", "../shared/data")))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    found = [scan for scan in scans(args.data, "all") if scan.name.startswith(SCANS)]
    priors = args.prior or [DEFAULT_MODEL]
    if "cells" in args.study:
        rows = Rows(args.out / "cells.json")
        (args.out / "cells.md").write_text(cells(rows, found, priors, args.samples, Cache(args.cache), args.only))
    if "cost" in args.study:
        (args.out / "cost.md").write_text(cost(Rows(args.out / "cost.json"), found[0], priors[0], args.samples))


if __name__ == "__main__":
    main()
