"""Memory: what a command takes at its peak on a volume of many slices, against one of two.

    python tests/bench/memory.py [--slices N] [--only espirit,mvue,...]

A slice is 15 coils x 640 x 368, 28 MB; 40 of them, 1.1 GB, are a fastMRI knee. All slices are alike. Peaks are the
ru_maxrss of the command and the processes that it waited for. The exit code is 1 where a peak is above 1.3 of that of
two slices.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FEW, COILS, MATRIX = 2, 15, (640, 368)
BOUND = 1.3

#: command -> its words and the commands whose outputs it reads. pics with few iterations, which need no less memory.
COMMANDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "espirit": ("espirit scan.h5 maps.npy", ()),
    "mvue": ("mvue scan.h5 maps.npy reference.nii", ("espirit",)),
    "rss": ("rss scan.h5 rss.npy", ()),
    "whiten": ("whiten scan.h5 white.npy", ()),
    "compress": ("compress --coils 8 scan.h5 virtual.npy", ()),
    "mask": ("mask --like scan.h5 --accel 4 mask.npy", ()),
    "undersample": ("undersample scan.h5 mask.npy under.h5", ("mask",)),
    "zf": ("mvue under.h5 maps.npy zf.npy", ("espirit", "undersample")),
    "l2": ("pics --reg l2 --iters 2 under.h5 maps.npy l2.npy", ("espirit", "undersample")),
    "wavelet": ("pics --iters 2 under.h5 maps.npy wavelet.npy", ("espirit", "undersample")),
    "flat-recon": ("flat-recon --maps maps.npy under.h5 flat.npy", ("espirit", "undersample")),
    "metrics": ("metrics reference.nii zf.npy", ("mvue", "zf")),
}


def write(path: Path, slices: Iterable[int]) -> None:
    """A simulated scan of each number of slices, in folders of that name, never held as a whole."""
    from mrikit.axes import KINDS
    from mrikit.io import Header, open_writer
    from mrikit.physics.phantom import phantom

    one = phantom(MATRIX, coils=COILS)[0]
    for n in slices:
        (path / str(n)).mkdir()
        header = Header("kspace", KINDS["kspace"][0], (n, *one.shape), one.dtype)
        with open_writer(path / str(n) / "scan.h5", header) as w:
            for _ in range(n):
                w.write(one)
            w.finish()


def peak(folder: Path, words: str) -> float:
    """MB that `mrikit words` takes at most, run in `folder`."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mrikit", *words.split(), "--quiet"]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_maxrss / 1000


def needed(names: Iterable[str]) -> set[str]:
    """`names` and all whose outputs they read."""
    return {other for name in names for other in (name, *needed(COMMANDS[name][1]))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=40)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(COMMANDS))
    args = parser.parse_args()
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own: ru_maxrss of a child begins with the size of whoever started it.
        writer = multiprocessing.Process(target=write, args=(Path(folder), (FEW, args.slices)))
        writer.start()
        writer.join()
        print(f"{'MB':12} {FEW:3} slices {args.slices:3} slices   ratio")
        for name in [name for name in COMMANDS if name in needed(args.only)]:
            few, many = (peak(Path(folder, str(n)), COMMANDS[name][0]) for n in (FEW, args.slices))
            if name in args.only:
                print(f"{name:12} {few:10.0f} {many:10.0f}  {many / few:6.2f}x  (at most {BOUND}x)", flush=True)
                missed += [name] if many > BOUND * few else []
    print(f"\nmissed: {', '.join(missed)}" if missed else "\nevery bound is met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
