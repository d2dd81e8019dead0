"""Coverage and correlation of the reports of `mrikit langevin --reference`, a line each.

Usage: python examples/reproduce/coverage.py NAME/report.json...
"""

import json
import sys
from pathlib import Path

print(f"{'voxels within k std (expected)':32}{'1':>16}{'2':>16}{'3':>16}   correlation of std and error")
for path in map(Path, sys.argv[1:]):
    report = json.loads(path.read_text())
    found = report["calibration"]
    cells = [f"{found['coverage'][k]:.0%} ({found['expected'][k]:.0%})" for k in found["coverage"]]
    label = f"{path.parent}, R = {report['achieved_accel']:.3g}"
    print(f"{label:32}" + "".join(f"{cell:>16}" for cell in cells) + f"   {found['pearson']:.2f}")
