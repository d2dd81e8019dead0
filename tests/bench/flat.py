"""FLAT against the plain unrolled network and the paper's steps: same backbone, same other losses, same budget.

    python tests/bench/flat.py OUT [--steps 700] [--seeds 3] [--study arms align length network robust] [--data DIR]

arms     posterior steps, aligned with the path (flat); learned steps, not aligned (plain); the paper's steps (paper)
align    flat, whose alignment weight is 0.1, with weights 0 and 1; plain with and without: what it does alone
length   flat, whose schedule has the power 1, with powers 0, 3 and 10: with 10 every cascade goes to its estimate,
         but for 4 % at most, as unrolled networks with conjugate gradients do that know no flow
network  flat and plain with twelve cascades, the paper's number, and with a U-Net for every one of four
robust   flat and plain trained on vertical equispaced masks alone, tested on horizontal, random and Poisson ones too

The flow begins at the least-squares image. Networks are trained on the permissive images and simulated anatomy, and
tested on held-back subjects at R = 4, 8 and 12. OUT keeps the weights, so that a run that was cut off goes on where it
was; STUDY.json, STUDY.png and STUDY.md, a table, are written at the end. PSNR is inside the 5 % mask; `rising` is the
share of cascades that raise it.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
from quality import Scan, scans

import mrikit
from mrikit.errors import TemporaryError
from mrikit.evaluate.figures import COLOURS, MARKERS, save
from mrikit.evaluate.metrics import Report, metrics
from mrikit.physics.coils import mvue
from mrikit.physics.espirit import espirit
from mrikit.train.loop import Recipe
from mrikit.train.run import Job
from mrikit.unrolled.presets import choose
from mrikit.unrolled.reconstruct import reconstruct
from mrikit.unrolled.training import unroll_train

SUBJECTS = ("brain_t2[0]", "brain_t2[8]", "brain_t2[16]", "brain_t2[19]")
ACCELS = (4, 8, 12)


@dataclass(frozen=True)
class Arm:
    """A way to train. settings: changes of the preset flat-small. options: of `unroll_train`."""

    name: str
    settings: dict[str, object] = field(default_factory=dict)
    options: dict[str, object] = field(default_factory=dict)


#: Without the wavelet steps the cascades have more to do, and what an arm is worth shows after fewer steps; so it does
#: with one U-Net for all.
FROM_LEAST_SQUARES = {"n_start": 0, "n_least_squares": 8, "shared": True}
FLAT = Arm("flat")
PLAIN = Arm("plain", {"mode": "free"}, {"align": "none"})
PAPER = Arm("paper", {"mode": "paper"})
VERTICAL = {"mask_kinds": ("equispaced",), "accels": (4.0, 8.0)}
STUDIES = {
    "arms": (FLAT, PLAIN, PAPER),
    "align": (
        FLAT,
        *(Arm(f"flat {w:g}", {}, {"align_weight": w}) for w in (0.0, 1.0)),
        PLAIN,
        Arm("plain aligned", PLAIN.settings),
    ),
    "length": (FLAT, *(Arm(f"flat power {p:g}", {"schedule_power": p}) for p in (0.0, 3.0, 10.0))),
    "network": tuple(
        Arm(f"{a.name} {name}", a.settings | changed, a.options)
        for name, changed in {"twelve": {"n_unrolls": 12}, "unshared": {"shared": False}}.items()
        for a in (FLAT, PLAIN)
    ),
    "robust": tuple(Arm(f"{a.name} vertical", a.settings, a.options | VERTICAL) for a in (FLAT, PLAIN)),
}
#: what each study is tested on: kind of mask and axis of its lines
MASKS = {
    "arms": (("random", "x"),),
    "align": (("random", "x"),),
    "length": (("random", "x"),),
    "network": (("random", "x"),),
    "robust": (("equispaced", "x"), ("equispaced", "y"), ("random", "x"), ("poisson", "x")),
}


def train(arm: Arm, seed: int, steps: int, out: Path, images: list[Path]) -> Path:
    """Weights of one arm and seed, trained unless they are there already."""
    weights = out / f"{arm.name.replace(' ', '-')}-{steps}-{seed}.safetensors"
    if not weights.with_suffix(".json").exists():  # the card is written last
        network = choose("flat", None, **FROM_LEAST_SQUARES | arm.settings)
        recipe = Recipe(steps, seed=seed, learning_rate=1e-3, warm_up=100, average=0.99)
        unroll_train(images, Job(weights, resume=True), recipe=recipe, network=network, crop=32, **arm.options)
    return weights


def trajectories(weights: Path, held_back: list[Scan], kind: str, axis: str, accel: int) -> Iterator[list[Report]]:
    """Scores of every state of every scan."""
    for scan in held_back:
        reference = mvue(scan.kspace, espirit(scan.kspace, calib=24))
        mask = mrikit.mask(scan.kspace.shape[-2:], accel, kind=kind, axis=axis, seed=1)
        states = reconstruct(scan.kspace, mask, model=str(weights), trajectory=True).trajectory.states
        yield [metrics(reference, state) for state in states]


def evaluate(study: str, out: Path, steps: int, n_seeds: int, images: list[Path], held_back: list[Scan]) -> list[dict]:
    """A row for every arm, kind of mask and acceleration: means over scans, and their spread over seeds."""
    rows = []
    for arm in STUDIES[study]:
        trained = [train(arm, seed, steps, out, images) for seed in range(n_seeds)]
        for kind, axis in MASKS[study]:
            for accel in ACCELS:
                paths = [list(trajectories(w, held_back, kind, axis, accel)) for w in trained]
                psnr = np.array([[[r.volume_masked.psnr for r in path] for path in one] for one in paths])
                ssim = np.array([[path[-1].volume.ssim for path in one] for one in paths])
                ends = psnr[..., -1].mean(axis=1)
                rows.append(
                    {
                        "arm": arm.name,
                        "mask": kind if kind == "poisson" else f"{kind}, lines along {axis}",
                        "accel": accel,
                        "psnr": float(ends.mean()),
                        "psnr_std_over_seeds": float(ends.std(ddof=1)) if n_seeds > 1 else None,
                        "ssim": float(ssim.mean()),
                        "rising": float((np.diff(psnr, axis=-1) > 0).mean()),
                        "psnr_per_cascade": psnr.mean(axis=(0, 1)).tolist(),
                    }
                )
                print(line(rows[-1]), flush=True)
    return rows


def line(row: dict) -> str:
    spread = row["psnr_std_over_seeds"]
    psnr = f"{row['psnr']:.2f}" + ("" if spread is None else f" ± {spread:.2f}")
    path = " ".join(f"{p:.2f}" for p in row["psnr_per_cascade"])
    return "| {arm} | {mask} | {accel} | {psnr} | {ssim:.3f} | {rising:.0%} | {path} |".format(
        **row | {"psnr": psnr, "path": path}
    )


def table(rows: list[dict]) -> str:
    head = ["| arm | masks | R | PSNR, dB | SSIM | rising | PSNR per cascade, from the start |", "|---" * 7 + "|"]
    return "\n".join([*head, *map(line, rows)]) + "\n"


def draw(rows: list[dict], path: Path) -> None:
    """PSNR per cascade: a row of panels for every kind of mask, a panel an acceleration, a line an arm."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    masks = list(dict.fromkeys(row["mask"] for row in rows))
    figure = Figure(figsize=(3.4 * len(ACCELS), 3.2 * len(masks)), layout="constrained")
    panels = figure.subplots(len(masks), len(ACCELS), squeeze=False)
    for (i, mask), (j, accel) in product(enumerate(masks), enumerate(ACCELS)):
        axis, shown = panels[i, j], [r for r in rows if r["accel"] == accel and r["mask"] == mask]
        for row, colour, marker in zip(shown, COLOURS, MARKERS, strict=False):
            axis.plot(row["psnr_per_cascade"], color=colour, marker=marker, markersize=4, label=row["arm"])
        axis.set_title(f"{mask}, R = {accel}", fontsize=9)
        axis.grid(alpha=0.3)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.supxlabel("cascades done (0: the start)", fontsize=9)
    figure.supylabel("PSNR in the object (dB)", fontsize=9)
    panels[0, 0].legend(fontsize=8)
    save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--study", choices=STUDIES, nargs="+", default=list(STUDIES))
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MRIKIT_DATA", "../shared/data")))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    images = sorted((args.data / "images" / "permissive").glob("*.npy"))
    held_back = [scan for scan in scans(args.data, "held-out") if scan.name in (*SUBJECTS, "simulated")]
    for study in args.study:
        try:
            rows = evaluate(study, args.out, args.steps, args.seeds, images, held_back)
        except TemporaryError as stopped:
            raise SystemExit(str(stopped)) from stopped
        result = {"study": study, "steps": args.steps, "seeds": args.seeds, "rows": rows}
        (args.out / f"{study}.json").write_text(json.dumps(result, indent=2) + "\n")
        (args.out / f"{study}.md").write_text(table(rows))
        draw(rows, args.out / f"{study}.png")


if __name__ == "__main__":
    main()
