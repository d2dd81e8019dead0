"""How long a sampling policy takes to propose a mask, in a running process.

    python tests/bench/policy.py [--policy NAME|FILE] [--matrix N ...] [--coils N ...] [--threads N]

For every matrix and number of coils: the mean and the 0.99 quantile of 100 masks, and the mean of the processor's time,
which is what a busy machine does not change. What prepares the scan (maps, scale, noise) is part of it. Without
--policy a default policy, or where none ships one of random weights and the paper's size, which takes as long. The exit
code is 1 where a mean is above 130 ms.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import product

import numpy as np
import torch

import mrikit
from mrikit import weights
from mrikit.policy.architectures import build_velocity, load_policy, velocity_for
from mrikit.policy.budget import lines
from mrikit.policy.model import FlowPolicy
from mrikit.policy.mri import MriConfig, MriTask, slices
from mrikit.policy.propose import NAME, nearest, propose

BOUND = 0.130
N = 100
ACCEL = {128: 4.0, 208: 8.0}


def policy_for(model: str | None, n: int, coils: int) -> tuple[str, FlowPolicy]:
    """The policy to measure, with its name."""
    if model or any(name.startswith(NAME) for name in weights.names()):
        name = model or nearest(n, coils)
        return name, load_policy(name)
    torch.manual_seed(0)
    task = MriTask(MriConfig())
    item = slices(mrikit.phantom(n, coils=1), lines(n, ACCEL.get(n, 4.0)))
    return "random weights", FlowPolicy(build_velocity(velocity_for(task, item)), task).eval()


def measure(policy: FlowPolicy, n: int, coils: int) -> np.ndarray:
    """Seconds `(2, N)` for each of `N` masks: of the clock, and of the processor."""
    scans = [mrikit.phantom(n, coils=coils, seed=seed)[0] for seed in range(5)]
    seconds = []
    for i in range(N + 3):  # the first few make threads and caches
        start = np.array([time.perf_counter(), time.process_time()])
        mask = propose(policy, scans[i % len(scans)], ACCEL.get(n, 4.0), seed=i)
        seconds.append([time.perf_counter(), time.process_time()] - start)
        assert mask.sum() == lines(n, ACCEL.get(n, 4.0)).kept
    return np.array(seconds[3:]).T


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy")
    parser.add_argument("--matrix", type=int, nargs="+", default=[128, 208])
    parser.add_argument("--coils", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    missed = False
    for n, coils in product(args.matrix, args.coils):
        name, policy = policy_for(args.policy, n, coils)
        clock, processor = 1e3 * measure(policy, n, coils)
        missed |= bool(clock.mean() > 1e3 * BOUND)
        print(
            f"{name}, {n} x {n}, {coils} coils: mean {clock.mean():.0f} ms, 0.99 quantile "
            f"{np.quantile(clock, 0.99):.0f} ms; processor {processor.mean():.0f} ms",
            flush=True,
        )
    print(f"at most {1e3 * BOUND:.0f} ms in the mean: {'missed' if missed else 'met'}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
