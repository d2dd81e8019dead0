"""What changes of the mask cost every method in a folder of `mrikit evaluate`: PSNR less that at the usual mask.

Every scan is compared with itself. Usage: python examples/reproduce/shifts.py RESULTS PICTURE.png
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from mrikit.evaluate.figures import blank, save, style
from mrikit.evaluate.results import Condition, Results
from mrikit.evaluate.summary import methods

USUAL = Condition("equispaced", "y", 4.0)

rows = [row for row in Results.open(Path(sys.argv[1])).sorted() if row.psnr_masked is not None]
names = methods(rows)
usual = {row.name: row.psnr_masked for row in rows if row.piece.condition == USUAL}
changes: dict[Condition, dict[str, list[float]]] = {}  # of every slice, by method
for row in rows:
    if row.piece.condition != USUAL:
        before = usual[replace(row, mask_kind=USUAL.kind, axis=USUAL.axis, accel=USUAL.accel).name]
        changes.setdefault(row.piece.condition, {}).setdefault(row.method, []).append(row.psnr_masked - before)

print(f"\nPSNR in the object (dB), less that under {USUAL.mask}, R = {USUAL.accel:g}; * loses least")
print(f"{'':32}" + "".join(f"{name:>13}" for name in names))
for shift, of in changes.items():
    means = {name: np.mean(each) for name, each in of.items()}
    best = max(means, key=means.__getitem__)
    cells = [f"{means[name]:.2f}{'*' if name == best else ' '}" if name in means else "n/a " for name in names]
    print(f"{f'{shift}, n = {len(of[best])}':32}" + "".join(f"{cell:>13}" for cell in cells))

figure = blank(1.5 * len(changes) + 2.5, 4)
axis = figure.subplots()
for i, name in enumerate(names):
    places = np.arange(len(changes)) + 0.6 * ((i + 0.5) / len(names) - 0.5)
    means = [np.mean(of.get(name, np.nan)) for of in changes.values()]
    axis.plot(places, means, **{**style(i), "linestyle": ""}, label=name)
axis.axhline(0, color="black", linewidth=0.8)
axis.set_xticks(range(len(changes)), [f"{shift.mask}\nR = {shift.accel:g}" for shift in changes], fontsize=8)
axis.set_ylabel("change of PSNR (dB)")
axis.grid(axis="y", alpha=0.3)
figure.legend(loc="outside right center", fontsize=9)
save(figure, Path(sys.argv[2]))
