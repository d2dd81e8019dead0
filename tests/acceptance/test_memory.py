"""A volume of many slices needs the memory of one slice: the peak of a process that streams it.

Peaks are VmHWM, since ru_maxrss of a child begins with the size of whoever forked it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scans import ROOT

from mrikit.axes import KINDS
from mrikit.io import Header, open_writer

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="/proc tells the peak")

DRIVER = """
import sys
from mrikit.cli.app import main

code = main(sys.argv[1:])
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
sys.exit(code)
"""
RATIO = 1.3


def peak(folder: Path, *words: str) -> float:
    """MB that `mrikit words...` takes at most."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, *words], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) / 1000


def volume(path: Path, kind: str, n_slices: int, slice_shape: tuple[int, ...]) -> Path:
    """A volume of `n_slices` that are alike, never held in memory as a whole."""
    axes = next(axes for axes in KINDS[kind] if len(axes) == 1 + len(slice_shape))
    rng = np.random.default_rng(0)
    one = rng.standard_normal((*slice_shape, 2), np.float32).view(np.complex64)[..., 0]
    with open_writer(path, Header(kind, axes, (n_slices, *slice_shape), one.dtype)) as writer:
        for _ in range(n_slices):
            writer.write(one)
        writer.finish()
    return path


def brain(path: Path, n_slices: int, coils: int, matrix: int) -> Path:
    """k-space of `n_slices` brains that are alike."""
    from mrikit.physics.phantom import scan

    one = scan(matrix, coils=coils, noise=0.005).kspace[0]
    shape = (n_slices, *one.shape)
    with open_writer(path, Header("kspace", KINDS["kspace"][0], shape, one.dtype)) as writer:
        for _ in range(n_slices):
            writer.write(one)
        writer.finish()
    return path


def require_flat(few: float, many: float, megabytes: float) -> None:
    """The peaks of 2 and of 40 slices agree, where all 40 would not fit in between."""
    assert few + megabytes > 1.2 * RATIO * few, "this volume is too small to tell"
    assert many <= RATIO * few, f"{many:.0f} MB for 40 slices, {few:.0f} MB for 2"


def test_converting_does_not_hold_the_volume(tmp_path: Path) -> None:
    peaks = []
    for n in (2, 40):
        volume(tmp_path / f"{n}.npy", "kspace", n, (4, 256, 256))  # 2 MB a slice
        peaks.append(peak(tmp_path, "convert", f"{n}.npy", f"{n}_out.npy"))

    require_flat(*peaks, megabytes=80)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["npy", "h5", "cfl"])
@pytest.mark.parametrize("source", ["npy", "h5", "cfl"])
def test_converting_kspace_between_formats(tmp_path: Path, source: str, target: str) -> None:
    peaks = []
    for n in (2, 40):
        volume(tmp_path / f"{n}.{source}", "kspace", n, (8, 256, 256))  # 4 MB a slice
        peaks.append(peak(tmp_path, "convert", f"{n}.{source}", f"{n}_out.{target}"))

    require_flat(*peaks, megabytes=160)


IMAGE_FORMATS = ("npy", "h5", "nii", "cfl")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "target"),
    [*((a, b) for a in IMAGE_FORMATS for b in IMAGE_FORMATS), ("nii.gz", "npy"), ("npy", "nii.gz")],
)
def test_converting_images_between_formats(tmp_path: Path, source: str, target: str) -> None:
    peaks = []
    for n in (2, 40):
        volume(tmp_path / f"{n}.{source}", "image", n, (768, 768))  # 4.7 MB a slice
        words = ["convert", f"{n}.{source}", f"{n}_out.{target}", "--part", "complex"]
        peaks.append(peak(tmp_path, *words))

    require_flat(*peaks, megabytes=188)


@pytest.mark.slow
def test_espirit_and_mvue(tmp_path: Path) -> None:
    for_maps, for_images = [], []
    for n in (2, 40):
        brain(tmp_path / f"{n}.h5", n, 8, 256)  # 4 MB a slice
        for_maps.append(peak(tmp_path, "espirit", f"{n}.h5", f"{n}_maps.npy"))
        for_images.append(peak(tmp_path, "mvue", f"{n}.h5", f"{n}_maps.npy", f"{n}.nii"))

    require_flat(*for_maps, megabytes=160)
    require_flat(*for_images, megabytes=160)


@pytest.mark.slow
def test_metrics(tmp_path: Path) -> None:
    peaks = []
    for n in (2, 40):
        volume(tmp_path / f"{n}.npy", "image", n, (512, 512))  # twice 2 MB a slice
        peaks.append(peak(tmp_path, "metrics", f"{n}.npy", f"{n}.npy"))

    require_flat(*peaks, megabytes=168)


@pytest.mark.slow
def test_flat_recon(tmp_path: Path) -> None:
    peaks = []
    for n in (2, 40):
        brain(tmp_path / f"{n}.npy", n, 32, 128)  # with maps 8.4 MB a slice: torch alone takes 400 MB
        volume(tmp_path / f"{n}_maps.npy", "maps", n, (32, 128, 128))
        words = ["--accel", "4", "--maps", f"{n}_maps.npy", f"{n}.npy", f"{n}.nii"]
        peaks.append(peak(tmp_path, "flat-recon", *words))

    require_flat(*peaks, megabytes=336)


@pytest.mark.slow
def test_the_middle_of_a_pipe(tmp_path: Path) -> None:
    """Between two pipes, nothing knows the whole either."""
    peaks = []
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    for n in (2, 40):
        path = volume(tmp_path / f"{n}.npy", "kspace", n, (8, 256, 256))
        script = DRIVER.replace("print(", "print(file=sys.stderr, *[").replace("split()[1])", "split()[1]])")
        with path.open("rb") as stdin, (tmp_path / f"{n}_rss.npy").open("wb") as stdout:
            done = subprocess.run(
                [sys.executable, "-c", script, "rss", "--quiet", "-", "-"],
                cwd=tmp_path, env=env, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
        peaks.append(int(done.stderr) / 1000)

    require_flat(*peaks, megabytes=160)
