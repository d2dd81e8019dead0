"""PSNR against calls of the network: FLAT's states beside what samplers make of as many, or fewer, calls.

Usage: python examples/reproduce/calls.py SCORES.json PICTURE.png, of `mrikit metrics --json` on flat.npy, a trajectory,
and SAMPLER-CALLS-SAMPLES.npy
"""

import json
import sys
from pathlib import Path

from mrikit.evaluate.figures import blank, save, style

LOWEST = 12  # dB below FLAT's start; what is worse is in the table alone

scores = json.loads(Path(sys.argv[1]).read_text())["metrics"]
flat = [state["volume_masked"]["psnr"] for state in scores.pop("flat.npy")]
lines: dict[str, dict[int, float]] = {}  # PSNR by calls
for name, report in scores.items():
    sampler, calls, samples = Path(name).stem.split("-")
    label = f"{sampler}, mean of {samples}" if samples != "1" else f"{sampler}, one sample"
    lines.setdefault(label, {})[int(calls)] = report["volume_masked"]["psnr"]
budgets = sorted({calls for line in lines.values() for calls in line})

print(f"PSNR in the object (dB); FLAT is done after {len(flat) - 1} calls, and starts at {flat[0]:.2f} without any")
print(f"{'network calls':22}" + "".join(f"{calls:>9}" for calls in budgets))
print(f"{'FLAT':22}" + "".join(f"{flat[min(calls, len(flat) - 1)]:>9.2f}" for calls in budgets))
for label, line in lines.items():
    print(f"{label:22}" + "".join(f"{line[calls]:>9.2f}" if calls in line else f"{'n/a':>9}" for calls in budgets))
best = {calls: max(line[calls] for line in lines.values() if calls in line) for calls in budgets}
print(f"{'FLAT ahead of the best':22}" + "".join(f"{flat[min(c, len(flat) - 1)] - best[c]:>9.2f}" for c in budgets))

figure = blank(7, 4)
axis = figure.subplots()
axis.plot(range(1, len(flat)), flat[1:], **style(0), label="FLAT, after every cascade")
axis.plot([len(flat) - 1, budgets[-1]], [flat[-1]] * 2, color=style(0)["color"], linestyle=":")
axis.axhline(flat[0], color="grey", linestyle="--", label="FLAT's start, without a call")
for i, (label, line) in enumerate(lines.items(), start=1):
    axis.plot(*zip(*sorted(line.items()), strict=True), **style(i), label=label)
axis.set_xscale("log", base=2)
axis.set_xticks([1, 2, *budgets], map(str, [1, 2, *budgets]))
axis.minorticks_off()
axis.set_ylim(bottom=flat[0] - LOWEST)
axis.set_xlabel("calls of the network")
axis.set_ylabel("PSNR in the object (dB)")
axis.grid(alpha=0.3)
figure.legend(loc="outside right center", fontsize=8)
save(figure, Path(sys.argv[2]))
