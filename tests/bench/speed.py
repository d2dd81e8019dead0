"""Speed, as ratios against a peer measured in turn in the same run.

    python tests/bench/speed.py [--runs N] [--only espirit|sigpy|startup|recon|batch|torchrun]

espirit   `mrikit espirit` against `bart ecalib -m1 -r24`, whole processes, files on disk
sigpy     `mrikit.espirit` against SigPy's EspiritCalib, inside one process
startup   `mrikit --help` and `mrikit mask` against a one-command Typer program that does nothing
recon     `mrikit flat-recon` against `bart pics -l1 -i100`, whole processes and inside a process
batch     `mrikit batch` with two jobs against one, and with --group against a shell loop; one thread a job
torchrun  `mrikit unroll-train` in two processes of one thread against one with twice the batch, 50 steps: seconds a
          step, a figure without a bound, and the largest relative difference of their losses

Medians of alternating runs. Nothing else should run on the machine meanwhile. The exit code is 1 where a bound is
missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import mrikit
from mrikit.io import Header, open_writer
from mrikit.physics.phantom import scan

MRIKIT = [sys.executable, "-m", "mrikit"]
EMPTY = (
    "import typer\napp = typer.Typer(add_completion=False, rich_markup_mode=None)\n"
    "@app.command()\ndef main() -> None:\n    'Nothing.'\napp()\n"
)


def run(command: list[str]) -> Callable[[], None]:
    """A function that runs `command` and fails if it does."""
    return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) and None


def alternate(ours: Callable[[], object], theirs: Callable[[], object], n: int) -> tuple[float, float, float]:
    """Median seconds of both, and the median of the pairwise ratios ours / theirs, after one warm-up each."""
    times: tuple[list[float], list[float]] = ([], [])
    for i in range(n + 1):
        for function, kept in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            function()
            if i:
                kept.append(time.perf_counter() - start)
    ratios = [a / b for a, b in zip(*times, strict=True)]
    return statistics.median(times[0]), statistics.median(times[1]), statistics.median(ratios)


#: what took longer than its bound allows
missed: list[str] = []


def show(what: str, figures: tuple[float, float, float], bound: float) -> None:
    """Print one comparison, and keep it in `missed` where its ratio is above `bound`."""
    ours, theirs, ratio = figures
    if not ratio <= bound:
        missed.append(f"{what}: {ratio:.2f}x, at most {bound:g}x")
    print(f"{what:62} {ours:8.3f} s {theirs:8.3f} s  {ratio:6.2f}x  (at most {bound:g}x)", flush=True)


def write(folder: Path, shape: tuple[int, ...], seed: int = 1) -> tuple[Path, Path, np.ndarray]:
    """A simulated scan as .h5 and as BART's .cfl, with its k-space."""
    slices, coils, n_y, n_x = shape
    kspace = mrikit.phantom((n_y, n_x), coils=coils, slices=slices, seed=seed)
    paths = folder / "scan.h5", folder / "scan.cfl"
    for path in paths:
        with open_writer(
            path, Header("kspace", ("slice", "coil", "y", "x"), kspace.shape, kspace.dtype), force=True
        ) as w:
            for one in kspace:
                w.write(one)
            w.finish()
    return *paths, kspace


def bench_espirit(folder: Path, n: int) -> None:
    for shape, bound in (((1, 8, 230, 180), 1.3), ((1, 15, 320, 320), 0.6), ((10, 15, 320, 320), 0.4)):
        h5, cfl, _ = write(folder, shape)
        ours = run([*MRIKIT, "espirit", "--force", "--calib", "24", str(h5), str(folder / "maps.npy")])
        theirs = run(["bart", "ecalib", "-m1", "-r24", str(cfl.with_suffix("")), str(folder / "maps")])
        if shape[0] > 1:  # ecalib takes one slice at a time
            single = folder / "one"
            subprocess.run(["bart", "slice", "13", "0", str(cfl.with_suffix("")), str(single)], check=True)
            one = run(["bart", "ecalib", "-m1", "-r24", str(single), str(folder / "maps")])
            theirs = lambda one=one, k=shape[0]: [one() for _ in range(k)]  # noqa: E731
        label = " x ".join(map(str, shape))
        show(f"mrikit espirit / bart ecalib, whole process, {label}", alternate(ours, theirs, n), bound)


def bench_sigpy(folder: Path, n: int) -> None:
    from sigpy.mri.app import EspiritCalib

    for shape in ((1, 8, 230, 180), (1, 15, 320, 320)):
        kspace = mrikit.phantom(shape[2:], coils=shape[1], seed=1)[0]
        theirs = lambda k=kspace: EspiritCalib(k, calib_width=24, thresh=0.03, show_pbar=False).run()  # noqa: E731
        figures = alternate(lambda k=kspace: mrikit.espirit(k, calib=24), theirs, max(1, n // 3))
        show(f"mrikit.espirit / SigPy EspiritCalib, in process, {shape[1:]}", figures, 0.2)


def bench_startup(folder: Path, n: int) -> None:
    empty = folder / "empty.py"
    empty.write_text(EMPTY)
    numpy = folder / "numpy_too.py"
    numpy.write_text("import numpy\n" + EMPTY)
    mask = [*MRIKIT, "mask", "--force", "--shape", "320,320", "--accel", "4", str(folder / "mask.npy")]
    show(
        "mrikit --help / empty Typer program",
        alternate(run([*MRIKIT, "--help"]), run([sys.executable, str(empty)]), 3 * n),
        1.5,
    )
    show(
        "mrikit mask / empty Typer program that imports NumPy",
        alternate(run(mask), run([sys.executable, str(numpy)]), 3 * n),
        1.5,
    )


def bench_recon(folder: Path, n: int) -> None:
    h5, _, kspace = write(folder, (1, 8, 320, 320))
    under, maps = folder / "under", folder / "m"
    for line in (
        ["mask", "--force", "--like", str(h5), "--accel", "4", str(folder / "mask.npy")],
        ["undersample", "--force", str(h5), str(folder / "mask.npy"), f"{under}.cfl"],
        ["espirit", "--force", f"{under}.cfl", f"{maps}.cfl"],
    ):
        subprocess.run([*MRIKIT, *line], check=True, stderr=subprocess.DEVNULL)
    theirs = run(["bart", "pics", "-l1", "-S", "-e", "-i100", "-r0.005", str(under), str(maps), str(folder / "l1")])
    ours = run([*MRIKIT, "flat-recon", "--force", "--maps", f"{maps}.cfl", f"{under}.cfl", str(folder / "out.npy")])
    show("mrikit flat-recon / bart pics -l1 -i100, whole process", alternate(ours, theirs, n), 1)
    sampled = mrikit.undersample(kspace[0], mrikit.mask((320, 320), 4))
    sensitivity = mrikit.espirit(sampled)
    inside = lambda: mrikit.flat_recon(sampled, maps=sensitivity)  # noqa: E731
    show("mrikit.flat_recon in process / bart pics -l1 -i100", alternate(inside, theirs, n), 0.2)


def bench_batch(folder: Path, n: int) -> None:
    """24 scans. What Snakemake takes to start, told apart, is taken off where two jobs are compared with one."""

    def batch(scans: list[str], *words: str) -> Callable[[], None]:
        common = ["--force", "--threads", "1", "--out", str(folder / "out")]
        return run([*MRIKIT, "batch", *common, *words[: words.index("--")], *scans, *words[words.index("--") :]])

    large, small = [], []
    for names, matrix in ((large, 320), (small, 64)):
        h5, _, _ = write(folder, (1, 8, matrix, matrix))
        for i in range(24):
            names.append(str(folder / f"{matrix}_{i}.h5"))
            shutil.copy(h5, names[-1])
    nothing = batch(small[:1], "--", "cp {in} {out}.h5")
    start = alternate(nothing, nothing, n)[0]
    print(f"{'mrikit batch over one scan with nothing to do: start-up':62} {start:8.3f} s")
    espirit = ("--", "espirit", "{in}", "{out}.npy")
    two, one, _ = alternate(batch(large, "--jobs", "2", *espirit), batch(large, *espirit), n)
    pair = two - start, one - start
    show("mrikit batch --jobs 2 / --jobs 1, espirit, start-up apart", (*pair, pair[0] / pair[1]), 1 / 1.7)
    recon = ("flat-recon", "--accel", "4", "{in}", "{out}.npy")
    loop = (
        f'for s in {folder}/64_*.h5; do {shlex.join(MRIKIT)} flat-recon --force --threads 1 --accel 4 "$s" o.npy; done'
    )
    grouped = batch(small, "--group", "24", "--", *recon)
    theirs = run(["sh", "-ec", f"cd {shlex.quote(str(folder))}; {loop}"])
    show("mrikit batch --group 24 / shell loop, flat-recon of 64 x 64", alternate(grouped, theirs, n), 1 / 3)


def bench_torchrun(folder: Path, n: int) -> None:
    """Both make the same steps. What draws the items is a process of its own for each, which the cores share too."""
    image = scan(96, coils=1).image
    with open_writer(folder / "images.npy", Header("image", ("slice", "y", "x"), image.shape, image.dtype)) as w:
        w.write(image[0])
        w.finish()
    config = {"n_unrolls": 4, "features": 32, "levels": 3, "n_cg": 4, "n_start": 10}
    (folder / "tiny.json").write_text(json.dumps({"architecture": "flat", "config": config}))
    words = ["unroll-train", "--force", "--quiet", "--threads", "1", "--config", str(folder / "tiny.json")]
    words += ["--per-scan", "4", "--crop", "48", "--steps", "50", "--save-every", "10", str(folder / "images.npy")]
    pair = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "mrikit"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def log(command: list[str], batch: int) -> list[dict[str, float]]:
        out = folder / f"{batch}.safetensors"
        command = [*command, *words, "--batch", str(batch), str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        return [json.loads(line) for line in (folder / f"{batch}.run" / "loss.jsonl").read_text().splitlines()]

    two, one = log(pair, 1), log(MRIKIT, 2)
    apart = max(abs(a["loss"] - b["loss"]) / b["loss"] for a, b in zip(two, one, strict=True))
    if not apart <= 1e-5:
        missed.append(f"losses of two processes: {apart:.1e} apart, at most 1e-5")
    seconds = [statistics.median(line["seconds_per_step"] for line in lines[1:]) for lines in (two, one)]
    label = "two processes / one with twice the batch, a step"
    print(f"{label:62} {seconds[0]:8.3f} s {seconds[1]:8.3f} s  {seconds[0] / seconds[1]:6.2f}x")
    print(f"{'their scaling efficiency':62} {seconds[1] / seconds[0] / 2:8.2f}")
    print(f"{'their losses, to the six decimals logged, apart':62} {apart:8.1e}  (at most 1e-5)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--only", choices=["espirit", "sigpy", "startup", "recon", "batch", "torchrun"])
    args = parser.parse_args()
    benches = {
        "startup": bench_startup,
        "espirit": bench_espirit,
        "sigpy": bench_sigpy,
        "recon": bench_recon,
        "batch": bench_batch,
        "torchrun": bench_torchrun,
    }
    print(f"{'':62} {'mrikit':>10} {'peer':>10}   ratio")
    for name, bench in benches.items():
        if args.only in (None, name):
            with tempfile.TemporaryDirectory() as folder, contextlib.suppress(KeyboardInterrupt):
                bench(Path(folder), args.runs)
    print("\n".join(["", "missed:", *missed] if missed else ["", "every bound is met"]))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
