"""What changes of the mask cost every method in a folder of `mrikit evaluate`: PSNR less that at the usual mask.

Every scan is compared with itself. Usage: python examples/reproduce/shifts.py RESULTS PICTURE.png
"""

import sys
from pathlib import Path

import numpy as np

from mrikit.evaluate.figures import blank, save, style
from mrikit.evaluate.results import Condition, Results
from mrikit.evaluate.summary import methods

USUAL = Condition("equispaced", "x", 4.0)

rows = [row for row in Results.open(Path(sys.argv[1])).sorted() if row.psnr_masked is not None]
names = methods(rows)
found = {(row.method, row.piece.condition, row.scan, row.slice): row.psnr_masked for row in rows}
shifts = [condition for condition in sorted({key[1] for key in found}) if condition != USUAL]
changes = {  # (method, shift): of every slice
    (name, shift): [
        found[key] - found[name, USUAL, *key[2:]] for key in found if key[:2] == (name, shift)
    ]
    for name in names
    for shift in shifts
}  # fmt: skip

print(f"\nPSNR in the object (dB), less that under {USUAL.mask}, R = {USUAL.accel:g}; * loses least")
print(f"{'':32}" + "".join(f"{name:>13}" for name in names))
for shift in shifts:
    means = {name: float(np.mean(changes[name, shift])) for name in names if changes[name, shift]}
    best = max(means, key=means.__getitem__)
    cells = [f"{means[name]:.2f}{'*' if name == best else ' '}" if name in means else "n/a " for name in names]
    print(f"{f'{shift}, n = {len(changes[best, shift])}':32}" + "".join(f"{cell:>13}" for cell in cells))

figure = blank(1.5 * len(shifts) + 2.5, 4)
axis = figure.subplots()
for i, name in enumerate(names):
    places = np.arange(len(shifts)) + 0.6 * ((i + 0.5) / len(names) - 0.5)
    means = [np.mean(changes[name, shift] or np.nan) for shift in shifts]
    axis.plot(places, means, **{**style(i), "linestyle": ""}, label=name)
axis.axhline(0, color="black", linewidth=0.8)
axis.set_xticks(range(len(shifts)), [f"{shift.mask}\nR = {shift.accel:g}" for shift in shifts], fontsize=8)
axis.set_ylabel("change of PSNR (dB)")
axis.grid(axis="y", alpha=0.3)
figure.legend(loc="outside right center", fontsize=9)
save(figure, Path(sys.argv[2]))
