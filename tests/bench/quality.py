"""Image quality on real scans: zero-filled, l2, BART's L1-wavelet and the default network, as a table.

    python tests/bench/quality.py [--model NAME|FILE] [--bart] [--data DIR]

Every scan is under-sampled, its maps come from the acquired ACS by `mrikit.espirit` for every method, and PSNR (dB,
inside the 5 % mask) and SSIM are taken against the MVUE of the full scan with maps from its full centre. BART's lambda
is the best of six, chosen with the reference in hand, which flatters it. Cells with fewer than 16 lines are n/a.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np

import mrikit
from mrikit.classical.pics import pics
from mrikit.evaluate.metrics import metrics
from mrikit.physics.coils import mvue
from mrikit.physics.espirit import espirit
from mrikit.physics.sense import Sense
from mrikit.unrolled.reconstruct import flat_recon

SCANS = ("brain_axial_8ch", "brain_lowres_16ch", "head_sagittal_1ch")
LAMBDAS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)


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


def cells(data: Path) -> list[tuple[str, str, float, np.ndarray]]:
    """Every (scan, mask kind, R, full k-space) of the table."""
    found = []
    for scan in SCANS:
        with h5py.File(data / "kspace" / f"{scan}.h5") as file:
            kspace = file["kspace"][0]
        found += [(scan, k, r, kspace) for r in (4, 8) for k in ("random", "equispaced", "poisson")]
    return found


def best_of(reference: np.ndarray, images: Iterable[np.ndarray]) -> np.ndarray:
    """The image that comes closest to the reference: what a peer could reach, had it known the answer."""
    return max(images, key=lambda image: metrics(reference, image).volume_masked.psnr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="default: flat-small")
    parser.add_argument("--bart", action="store_true", help="also BART's L1-wavelet (minutes)")
    parser.add_argument("--cache", type=Path, help="JSON file that keeps what BART reached between runs")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MRIKIT_DATA", "../shared/data")))
    args = parser.parse_args()
    models = args.model or ["flat-small"]
    cache = json.loads(args.cache.read_text()) if args.cache and args.cache.exists() else {}
    names = ["zf", "l2", *(["bart l1"] if args.bart else []), *models]
    print(f"{'':36}" + "".join(f"{n[-16:]:>18}" for n in names))
    sums: dict[str, list[float]] = {}
    for scan, kind, accel, full in cells(args.data):
        label = f"{scan} {kind} R={accel}"
        mask = mrikit.mask(full.shape[-2:], accel, kind=kind, seed=1)
        if mask.ndim == 1 and mask.sum() < 16:
            print(f"{label:36}" + f"{'n/a':>18}" * len(names))
            continue
        reference = mvue(full, espirit(full, calib=24))
        kspace = mrikit.undersample(full, mask)
        maps = espirit(kspace)
        images = {
            "zf": Sense(maps, mask).adjoint(kspace),
            "l2": best_of(reference, (pics(kspace, maps, reg="l2", lamda=x) for x in (0.001, 0.01, 0.1))),
            **{m: flat_recon(kspace, maps=maps, model=m) for m in models},
        }
        scores = {n: metrics(reference, i) for n, i in images.items()}
        rows = {n: (s.volume_masked.psnr, s.volume.ssim) for n, s in scores.items()}
        if args.bart:
            if label not in cache:
                score = metrics(reference, best_of(reference, (bart_l1(kspace, maps, x) for x in LAMBDAS)))
                cache[label] = (score.volume_masked.psnr, score.volume.ssim)
                if args.cache:
                    args.cache.write_text(json.dumps(cache))
            rows["bart l1"] = tuple(cache[label])
        print(f"{label:36}" + "".join(f"{rows[n][0]:10.2f} {rows[n][1]:.3f}  " for n in names), flush=True)
        for n in names:
            sums.setdefault(("poisson " if kind == "poisson" else "lines ") + n, []).append(rows[n][0])
    for group in ("lines ", "poisson "):
        print(f"{'mean PSNR, ' + group:36}" + "".join(f"{np.mean(sums[group + n]):10.2f}        " for n in names))


if __name__ == "__main__":
    main()
