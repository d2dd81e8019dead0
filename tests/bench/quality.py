"""Image quality: zero-filled, l2, BART's L1-wavelet and networks, as a table of scans, kinds of mask and accelerations.

    python tests/bench/quality.py [--model NAME|FILE]... [--adapt] [--split design|held-out|all] [--bart] [--json FILE]

Every scan is under-sampled, its maps come from what is left by `espirit --refine`, for every method, and PSNR (dB,
inside the 5 % mask) and SSIM are taken against the MVUE of the full scan with maps from its full centre. BART's lambda
is the best of six, chosen with the reference in hand, which flatters it. `start` is where a network's cascades begin,
and `adapt` what `flat-recon --adapt` makes. Cells with fewer than 16 lines are n/a.

The scans are of two splits. `design`: three real scans, which have guided choices of the design; the default.
`held-out`: complex images of people and organs, one a subject, behind 8 simulated coils and noise of 0.5 % of a bright
voxel; they are for the end, and nothing is to be tuned on them. They have decided now and then: against 100 steps of
a network's start, how steps follow noise, for stricter starts where phases are not smooth, and, one head, for the rate
at which --adapt learns discs; they have shown that a network's image gains from its start, and where maps were wrong,
at the edges of the field of view. Other slices of their series are there to tune on. Without
real data, a simulated brain stands in for both.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import mrikit
from mrikit.evaluate.methods import FAMILIES, Options, Output
from mrikit.evaluate.metrics import metrics
from mrikit.evaluate.study import FEWEST_LINES
from mrikit.physics.coils import mvue
from mrikit.physics.espirit import espirit
from mrikit.physics.fourier import fft2c
from mrikit.physics.phantom import coil_maps, noise, phantom
from mrikit.rng import generator

DESIGN = ("brain_axial_8ch", "brain_lowres_16ch", "head_sagittal_1ch")
#: An axial, a coronal, a sagittal and an axial head of four subjects, and two series of one slice each.
HELD_OUT = (
    ("brain_t2_complex", 0), ("brain_t2_complex", 8), ("brain_t2_complex", 16), ("brain_t2_complex", 19),
    ("heart_short_axis_complex", 1), ("heart_liver_complex", 2),
)  # fmt: skip
COILS, NOISE = 8, 0.005
KINDS, ACCELS = ("random", "equispaced", "poisson"), (4, 8)
LAMBDAS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
BART = "bart l1"


@dataclass(frozen=True)
class Scan:
    """A fully sampled slice, k-space `(coil, y, x)`."""

    name: str
    split: str
    kspace: np.ndarray


@dataclass(frozen=True)
class Cell:
    """One row of the table. scores: method -> PSNR and SSIM, as `score` gives them; empty with too few lines."""

    scan: str
    split: str
    kind: str
    accel: int
    scores: dict[str, tuple[float, float]]

    def __str__(self) -> str:
        return f"{self.scan} {self.kind} R={self.accel}"


def scans(data: Path, split: str) -> list[Scan]:
    """The scans of a split, or of both for `all`."""
    if not data.is_dir():
        print(f"there is no {data}: a simulated brain stands in", file=sys.stderr)
        return [Scan("simulated", split, phantom((256, 208), coils=8, noise=0.005, seed=7)[0])]
    found = []
    if split != "held-out":
        for name in DESIGN:
            with h5py.File(data / "kspace" / f"{name}.h5") as file:
                found.append(Scan(name, "design", file["kspace"][0]))
    if split != "design":
        for name, index in HELD_OUT:
            image = np.load(data / "images" / "research" / f"{name}.npy")[index]
            label = f"{name.removesuffix('_complex')}[{index}]"
            found.append(Scan(label, "held-out", behind_coils(image, label)))
    return found


def behind_coils(image: np.ndarray, name: str) -> np.ndarray:
    """k-space `(coil, y, x)` of `image` `(y, x)`, about 1 where it is bright, as an array of coils would measure it."""
    rng = generator(0, name)
    kspace = fft2c((coil_maps(COILS, image.shape, rng) * image).astype(np.complex64))
    return kspace + noise(image.shape, COILS, NOISE, rng)


def write_cfl(name: Path, array: np.ndarray) -> None:
    """`array`, axes reversed into BART's order."""
    name.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, array.shape[::-1])) + "\n")
    array.astype(np.complex64).tofile(name.with_suffix(".cfl"))


def bart_l1(kspace: np.ndarray, maps: np.ndarray, lamda: float) -> np.ndarray:
    """`bart pics -l1 -S -e -i100` of one slice; its output is in the scan's scale."""
    with tempfile.TemporaryDirectory() as folder:
        k, m, out = (Path(folder) / n for n in ("k", "m", "out"))
        write_cfl(k, kspace[:, None])
        write_cfl(m, maps[:, None])
        command = ["bart", "pics", "-l1", "-S", "-e", "-i100", f"-r{lamda}", str(k), str(m), str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return np.fromfile(out.with_suffix(".cfl"), np.complex64).reshape(maps.shape[-2:])


class Cache:
    """What BART reached, by cell, kept in a JSON file between runs if there is one."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.known = json.loads(path.read_text()) if path and path.exists() else {}

    def get(self, cell: Cell, measure: Callable[[], tuple[float, float]]) -> tuple[float, float]:
        """The scores kept of a cell, or those that `measure` gives."""
        # Other samples, maps or reference show in the simplest image there is; rounding does not.
        evidence = cell.scores["zf"][0]
        kept = self.known.get(str(cell), [])
        if len(kept) != 3 or abs(kept[2] - evidence) > 1e-3:
            kept = self.known[str(cell)] = [*measure(), evidence]
            if self.path:
                self.path.write_text(json.dumps(self.known))
        return kept[0], kept[1]


def score(reference: np.ndarray, image: np.ndarray) -> tuple[float, float]:
    """PSNR inside the 5 % mask, in dB, and SSIM."""
    report = metrics(reference, image)
    return report.volume_masked.psnr, report.volume.ssim


@dataclass(frozen=True)
class Trial:
    """A scan under-sampled as one cell has it. maps: from what is left of its centre."""

    reference: np.ndarray
    kspace: np.ndarray
    maps: np.ndarray
    mask: np.ndarray

    def best(self, images: Iterable[np.ndarray]) -> tuple[float, float]:
        """The scores of the image closest to the reference: what a peer could reach, had it known the answer."""
        return max(score(self.reference, image) for image in images)

    def made(self, family: str, **options: Any) -> Output:
        """What a method of `mrikit evaluate` makes of it."""
        return FAMILIES[family].solve(self.kspace, self.mask, self.maps, Options(**options))

    def bart_l1(self) -> Iterable[np.ndarray]:
        """BART's L1-wavelet, an image for each of `LAMBDAS`."""
        return (bart_l1(self.kspace, self.maps, x) for x in LAMBDAS)


def trial(scan: Scan, kind: str, accel: int, axis: str = "x") -> Trial | None:
    """`scan` under-sampled; None with too few lines."""
    mask = mrikit.mask(scan.kspace.shape[-2:], accel, kind=kind, axis=axis, seed=1)
    if kind != "poisson" and (mask if mask.ndim == 1 else mask[:, 0]).sum() < FEWEST_LINES:
        return None
    reference = mvue(scan.kspace, espirit(scan.kspace, calib=24, refine=True))
    kspace = mrikit.undersample(scan.kspace, mask)
    return Trial(reference, kspace, espirit(kspace, refine=True), mask)


def evaluate(scan: Scan, kind: str, accel: int, models: list[str], bart: Cache | None, adapt: bool) -> Cell:
    """Under-sample a scan and reconstruct it with every method."""
    cell = Cell(scan.name, scan.split, kind, accel, {})
    task = trial(scan, kind, accel)
    if task is None:
        return cell
    cell.scores["zf"] = score(task.reference, task.made("zf").image)
    cell.scores["l2"] = task.best(task.made("l2", lamda=x).image for x in (0.001, 0.01, 0.1))
    if bart:
        cell.scores[BART] = bart.get(cell, lambda: task.best(task.bart_l1()))
    for model in models:
        states = task.made("flat", model=model).states
        cell.scores[f"{model} start"], cell.scores[model] = (score(task.reference, states[k]) for k in (0, -1))
        if adapt:
            cell.scores[f"{model} adapt"] = score(task.reference, task.made("flat-adapt", model=model).image)
    return cell


def summary(cells: list[Cell]) -> list[dict[str, object]]:
    """For every split, group of masks and method: mean PSNR and SSIM, and where there is BART, the PSNR beyond it."""
    rows = []
    for split, plane in product(sorted({cell.split for cell in cells}), (False, True)):
        chosen = [c.scores for c in cells if c.scores and c.split == split and (c.kind == "poisson") == plane]
        for method in chosen[0] if chosen else ():
            psnr, ssim = np.mean([scores[method] for scores in chosen], axis=0)
            row = {"split": split, "masks": "poisson" if plane else "lines", "method": method, "cells": len(chosen)}
            row |= {"psnr": float(psnr), "ssim": float(ssim)}
            if BART in chosen[0] and method != BART:
                ahead = [scores[method][0] - scores[BART][0] for scores in chosen]
                row |= {
                    "ahead": sum(a > 0 for a in ahead),
                    "mean_gain": float(np.mean(ahead)),
                    "worst_gain": min(ahead),
                }
            rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="default: flat-small; several stand side by side")
    parser.add_argument("--adapt", action="store_true", help="also each fitted to the scan first (half an hour)")
    parser.add_argument("--split", choices=("design", "held-out", "all"), default="design")
    parser.add_argument("--bart", action="store_true", help="also BART's L1-wavelet (minutes)")
    parser.add_argument("--cache", type=Path, help="JSON file that keeps what BART reached between runs")
    parser.add_argument("--json", type=Path, help="write cells and summary here")
    parser.add_argument("--only", default="", help="only cells whose name has this in it")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MRIKIT_DATA", "../shared/data")))
    args = parser.parse_args()
    models = args.model or ["flat-small"]
    bart = Cache(args.cache) if args.bart else None
    steps = [(model, what) for model in models for what in (" start", "", *([" adapt"] if args.adapt else []))]
    names = ["zf", "l2", *([BART] if bart else []), *(model + what for model, what in steps)]
    heads = [*names[: -len(steps)], *(Path(model).stem + what for model, what in steps)]
    print(f"{'':40}" + "".join(f"{head[-16:]:>18}" for head in heads))
    cells = []
    for scan, accel, kind in product(scans(args.data, args.split), ACCELS, KINDS):
        if args.only not in f"{scan.name} {kind} R={accel}":
            continue
        cell = evaluate(scan, kind, accel, models, bart, args.adapt)
        shown = [f"{psnr:11.2f} {ssim:.3f} " for psnr, ssim in (cell.scores[n] for n in names)] if cell.scores else []
        print(f"{cell!s:40}" + "".join(shown or [f"{'n/a':>18}"] * len(names)), flush=True)
        cells.append(cell)
    rows = summary(cells)
    for row in rows:
        line = "{split:9} {masks:8} {method:20} PSNR {psnr:6.2f} dB, SSIM {ssim:.3f}".format(**row)
        if "ahead" in row:
            line += ", ahead of BART in {ahead} of {cells}, by {mean_gain:+.2f} dB, {worst_gain:+.2f} at worst".format(
                **row
            )
        print(line)
    if args.json:
        args.json.write_text(json.dumps({"cells": [asdict(cell) for cell in cells], "summary": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
