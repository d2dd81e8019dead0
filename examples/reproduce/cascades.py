"""PSNR in the object after every cascade of the unrolled networks in a folder of `mrikit evaluate`.

Usage: python examples/reproduce/cascades.py RESULTS
"""

import json
import sys
from pathlib import Path

import numpy as np

rows = json.loads((Path(sys.argv[1]) / "results.json").read_text())["rows"]
rows = [row for row in rows if row["cascades"]]
print("\nPSNR in the object (dB), from the start on, and the share of cascades that raise it")
for accel in sorted({row["accel"] for row in rows}):
    for method in sorted({row["method"] for row in rows}):
        of = [row["cascades"] for row in rows if row["accel"] == accel and row["method"] == method]
        psnr = np.array(of)[..., 0]  # (slice, state)
        states = " ".join(f"{value:6.2f}" for value in psnr.mean(axis=0))
        print(f"R = {accel:<4g} n = {len(psnr):<3} {method:8} {states}   {(np.diff(psnr) > 0).mean():4.0%}")
