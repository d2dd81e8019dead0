"""Every script of examples/ runs as it stands, from an empty folder, and makes what it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scans import PLACED, ROOT, opened, read, save, simulated

from mrikit.evaluate.results import FORMAT, Results, Row

EXAMPLES = ROOT / "examples"
NAMES = (
    "01-main-job.sh",
    "02-one-pipe.sh",
    "03-masks-and-baselines.sh",
    "04-python.py",
    "05-a-folder-of-scans.sh",
    "06-your-own-network.sh",
    "07-several-at-a-time.sh",
    "08-slurm-array.sh",  # on a real Slurm: tests/oracle/test_slurm.py
    "09-whole-dataset.sh",
    "10-workflow.smk",
    "11-train-in-several-processes.sh",
    "12-train-on-slurm.sh",  # there, too
    "13-what-to-measure.sh",
    "reproduce/data.sh",
    "reproduce/1-flat-against-plain.sh",
    "reproduce/2-prior-under-shifts.sh",
    "reproduce/3-uncertainty.sh",
    "reproduce/4-policy-against-rivals.sh",
    "reproduce/5-flat-against-langevin.sh",
    "reproduce/calls.py",
    "reproduce/cascades.py",
    "reproduce/coverage.py",
    "reproduce/shifts.py",
)


@pytest.fixture
def run(tmp_path: Path, mrikit_bin: Path):
    """`run("02-one-pipe.sh", "scan.h5", "out.png")` runs an example in `tmp_path`; STEPS="1" is for its environment."""
    path = f"{mrikit_bin}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}

    programs = {".py": [sys.executable], ".sh": ["sh"], ".smk": [sys.executable, "-m", "snakemake", "--snakefile"]}

    def call(name: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        line = [*programs[Path(name).suffix], EXAMPLES / name, *words]
        return subprocess.run(
            line, cwd=tmp_path, env=env | more, capture_output=True, text=True, timeout=300, check=False
        )

    return call


def is_picture(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5000


def scores(text: str) -> dict[str, tuple[float, float]]:
    """PSNR and SSIM of every image in what `mrikit metrics` prints."""
    rows = re.findall(r"^(\S+\.nii) +(\S+) +(\S+)", text, re.MULTILINE)
    return {name: (float(psnr), float(ssim)) for name, psnr, ssim in rows}


def test_every_example_is_tested_here() -> None:
    found = (path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.*") if "__pycache__" not in path.parts)
    assert sorted(found) == sorted(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".sh")])
def test_every_script_is_posix_and_stops_at_the_first_error(name: str) -> None:
    path = EXAMPLES / name

    assert path.read_text().startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in path.read_text()
    assert os.access(path, os.X_OK)
    subprocess.run(["sh", "-n", path], check=True)


def test_one_pipe(run, tmp_path: Path) -> None:
    save(tmp_path / "scan.h5", simulated().kspace, "kspace")
    done = run("02-one-pipe.sh", "scan.h5", "slice.png")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert is_picture(tmp_path / "slice.png")
    assert {path.name for path in tmp_path.iterdir()} == {"scan.h5", "slice.png"}


@pytest.mark.slow
def test_the_main_job(run, tmp_path: Path) -> None:
    for _ in range(2):  # it can be run again
        done = run("01-main-job.sh", "there")

        assert done.returncode == 0, done.stderr
        found = scores(done.stdout)
        assert found.keys() == {"zero_filled.nii", "out.nii"}
        assert found["out.nii"][0] > found["zero_filled.nii"][0] + 2
        assert done.stdout.rstrip().endswith("there/demo.png")
        assert is_picture(tmp_path / "there" / "demo.png")
    assert opened(tmp_path / "there" / "out.nii").header.shape == (1, 320, 320)
    assert {path.name for path in tmp_path.iterdir()} == {"there"}


@pytest.mark.slow
def test_masks_and_baselines(run, tmp_path: Path) -> None:
    save(tmp_path / "scan.h5", simulated(96, 6, 1).kspace, "kspace", geometry=PLACED)
    done = run("03-masks-and-baselines.sh", "scan.h5", "compared")

    assert done.returncode == 0, done.stderr
    found = scores(done.stdout)
    assert found.keys() == {"l2.nii", "wavelet.nii", "flat.nii"}
    assert found["flat.nii"][0] > found["l2.nii"][0] + 0.5
    assert is_picture(tmp_path / "compared" / "comparison.png")
    assert opened(tmp_path / "compared" / "wavelet.nii").header.geometry == PLACED


@pytest.mark.slow
def test_python(run) -> None:
    done = run("04-python.py")

    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"PSNR \d+\.\d dB, SSIM 0\.\d{3}\n", done.stdout)


@pytest.mark.slow
def test_a_folder_of_scans(run, tmp_path: Path) -> None:
    """A broken scan does not stop the others, and what is finished is not done again."""
    (tmp_path / "scans").mkdir()
    for name, seed in (("a", 1), ("b", 2)):
        save(tmp_path / "scans" / f"{name}.h5", simulated(64, 3, 1, seed).kspace, "kspace")
    (tmp_path / "scans" / "broken.h5").write_text("no scan")
    done = run("05-a-folder-of-scans.sh", "scans", "images")

    assert done.returncode == 8  # mrikit's own code for this
    assert "scans/broken.h5: exit 65" in done.stderr
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == ["a.nii", "b.nii"]
    assert not np.array_equal(read(tmp_path / "images" / "a.nii"), read(tmp_path / "images" / "b.nii"))

    before = (tmp_path / "images" / "a.nii").stat().st_mtime_ns
    again = run("05-a-folder-of-scans.sh", "scans", "images")
    assert (again.returncode, again.stderr.count("\n")) == (8, 2)  # the broken one, again
    assert (tmp_path / "images" / "a.nii").stat().st_mtime_ns == before

    (tmp_path / "scans" / "broken.h5").unlink()
    assert run("05-a-folder-of-scans.sh", "scans", "images").returncode == 0


@pytest.mark.slow
def test_your_own_network(run, tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    save(tmp_path / "scans" / "a.h5", simulated(96, 2, 1).kspace, "kspace")
    save(tmp_path / "held_back.h5", simulated(96, 2, 1, seed=5).kspace, "kspace")
    done = run("06-your-own-network.sh", "scans", "held_back.h5", "out", "1")

    assert done.returncode == 0, done.stderr
    assert "psnr" in done.stderr
    assert scores(done.stdout.replace("out/", "")).keys() == {"flat-small.nii", "own.nii"}
    again = run("06-your-own-network.sh", "scans", "held_back.h5", "out", "1")
    assert again.returncode == 73  # done already: own.safetensors is there


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder of two scans, one of a name that a shell would split."""
    (tmp_path / "the scans").mkdir()
    for name, seed in (("a", 1), ("b c", 2)):
        save(tmp_path / "the scans" / f"{name}.h5", simulated(64, 3, 1, seed).kspace, "kspace")
    return tmp_path / "the scans"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["07-several-at-a-time.sh", "09-whole-dataset.sh"])
def test_several_at_a_time(run, scans: Path, tmp_path: Path, name: str) -> None:
    """As one after the other: a broken scan does not stop the others, and what is finished is not done again."""
    if name.startswith("07") and shutil.which("parallel") is None:
        pytest.skip("no GNU parallel")
    (scans / "broken.h5").write_text("no scan")
    done = run(name, "the scans", "the images")

    images = tmp_path / "the images"
    assert done.returncode == 8 and "broken.h5: damaged or not HDF5" in done.stderr
    assert sorted(path.name for path in images.glob("*.nii")) == ["a.nii", "b c.nii"]

    before = (images / "a.nii").stat().st_mtime_ns
    (scans / "broken.h5").unlink()
    save(scans / "broken.h5", simulated(64, 3, 1, 3).kspace, "kspace")
    assert run(name, "the scans", "the images").returncode == 0
    assert (images / "a.nii").stat().st_mtime_ns == before and (images / "broken.nii").exists()


@pytest.mark.slow
def test_a_workflow(run, scans: Path, tmp_path: Path) -> None:
    pytest.importorskip("snakemake")
    done = run("10-workflow.smk", "--cores", "1", "--config", "scans=the scans", "out=results")

    assert done.returncode == 0, done.stderr
    reports = [json.loads((tmp_path / "results" / f"{name}.json").read_text()) for name in ("a", "b c")]
    assert all(len(report["metrics"]) == 1 for report in reports)
    assert not list((tmp_path / "results").glob("*_maps.npy"))


@pytest.mark.slow
def test_training_in_several_processes(run, scans: Path, tmp_path: Path) -> None:
    done = run("11-train-in-several-processes.sh", "the scans", "out", "2", "2")

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "own.safetensors").exists()


@pytest.mark.slow
def test_what_to_measure(run, tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    save(tmp_path / "scans" / "a.h5", simulated(64, 2, 1).kspace, "kspace")
    save(tmp_path / "held_back.h5", simulated(64, 2, 1, seed=5).kspace, "kspace")
    for _ in range(2):  # where it was cut off it goes on
        (tmp_path / "out" / "own.safetensors").unlink(missing_ok=True)
        done = run("13-what-to-measure.sh", "scans", "held_back.h5", "out", "2", "48")

        assert done.returncode == 0, done.stderr
        assert "R = 4: 12 of 48, own.safetensors, 1 images, 5 seeds: SSIM" in done.stdout
        assert is_picture(tmp_path / "out" / "compared" / "places.png")
        assert read(tmp_path / "out" / "mask.npy").sum() == 16
        (tmp_path / "out" / "out.nii").unlink()


def test_reproducing_begins_with_the_real_scans(run, tmp_path: Path) -> None:
    """As links, made once; where there are no real scans `test_a_claim` has simulated ones."""
    (tmp_path / "data" / "kspace").mkdir(parents=True)
    scan = save(tmp_path / "data" / "kspace" / "brain_axial_8ch.h5", simulated(16, 1, 1).kspace, "kspace")
    for _ in range(2):
        assert run("reproduce/data.sh", "out", MRIKIT_DATA="data").returncode == 0
    assert (tmp_path / "out" / "scans" / scan.name).samefile(scan)
    assert (tmp_path / "out" / "train").readlink() == tmp_path / "data" / "images" / "permissive"
    assert not (tmp_path / "out" / "scans.part").exists()


def test_cascades_as_a_table(run, tmp_path: Path) -> None:
    row = {"accel": 4.0, "method": "flat", "cascades": [[20.0, 0.5], [22.0, 0.6], [21.0, 0.7]]}
    rows = [row, row | {"cascades": [[30.0, 0.5], [31.0, 0.6], [32.0, 0.7]]}, row | {"method": "zf", "cascades": None}]
    (tmp_path / "results.json").write_text(json.dumps({"rows": rows}))
    done = run("reproduce/cascades.py", ".")

    assert done.stdout.splitlines()[2:] == ["R = 4    n = 2   flat      25.00  26.50  26.50    75%"], done.stderr


def test_shifts_as_a_table_and_a_picture(run, tmp_path: Path) -> None:
    """Of every scan less itself; a scan that a condition leaves too few lines of has no part in it."""
    results = Results.begin(tmp_path / "results", {"format": FORMAT}, resume=False, force=False)
    for scan, method, kind, accel, psnr in (
        ("a", "wavelet", "equispaced", 4.0, 30.0), ("a", "wavelet", "equispaced", 12.0, 25.0),
        ("a", "langevin", "equispaced", 4.0, 31.0), ("a", "langevin", "equispaced", 12.0, 27.5),
        ("b", "langevin", "equispaced", 4.0, 10.0), ("b", "langevin", "equispaced", 12.0, None),
    ):  # fmt: skip
        results.put(Row(scan, 0, kind, "y", accel, method, psnr=psnr, psnr_masked=psnr))
    done = run("reproduce/shifts.py", "results", "shifts.png")

    assert done.stdout.splitlines()[-1].split() == ["equispaced-y-R12,", "n", "=", "1", "-5.00", "-3.50*"], done.stderr
    assert is_picture(tmp_path / "shifts.png")


def test_coverage_as_a_table(run, tmp_path: Path) -> None:
    within = {"coverage": {"1": 0.4, "2": 0.8}, "expected": {"1": 0.6, "2": 0.9}, "pearson": 0.512}
    (tmp_path / "brain").mkdir()
    (tmp_path / "brain" / "report.json").write_text(json.dumps({"achieved_accel": 4.0, "calibration": within}))
    done = run("reproduce/coverage.py", "brain/report.json")

    words = " ".join(done.stdout.splitlines()[1].split())
    assert words == "brain, R = 4 40% (60%) 80% (90%) 0.51", done.stderr


def test_calls_as_a_table_and_a_picture(run, tmp_path: Path) -> None:
    """FLAT is compared with the best that samplers make of as many calls."""

    def score(psnr: float) -> dict[str, dict[str, float]]:
        return {"volume_masked": {"psnr": psnr}}

    scores = {"flat.npy": [score(28.0), score(29.0), score(30.0)], "pula-16-1.npy": score(27.0)}
    scores |= {"pula-16-4.npy": score(31.0), "pula-4-1.npy": score(20.0), "dds-4-1.npy": score(25.0)}
    (tmp_path / "scores.json").write_text(json.dumps({"metrics": scores}))
    done = run("reproduce/calls.py", "scores.json", "calls.png")

    assert done.stdout.splitlines()[-1] == "FLAT ahead of the best     5.00    -1.00", done.stderr
    assert is_picture(tmp_path / "calls.png")


CLAIMS = {
    "1-flat-against-plain.sh": (
        {"STEPS": "1", "CROP": "24", "ACCEL": "4"}, "cascades.png", ("R = 4    n = 4   flat", "R = 4    n = 4   plain")
    ),
    "2-prior-under-shifts.sh": (
        {"METHODS": "zf", "STEPS": "1"}, "shifts.png", ("one-mask", "equispaced-y-R12, n = 0", "radial-yx-R4")
    ),
    "3-uncertainty.sh": (
        {"SAMPLES": "2", "LEVELS": "3"}, "brain_2/calibration.png", ("brain_2, R = 4", "brain_3, R = 4")
    ),
    "4-policy-against-rivals.sh": (
        {"POLICIES": "random,loupe,flow", "STEPS": "1", "LIMIT": "2"}, "scores.png", ("R = 4: 32 of 128", "loupe ")
    ),
    "5-flat-against-langevin.sh": (
        {"CALLS": "4 16"}, "calls.png", ("pula, mean of 4", "dds, one sample", "FLAT ahead of the best")
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim(run, tmp_path: Path, name: str) -> None:
    """Without real data, at the smallest size: a table and a picture, and again from where it was."""
    options, picture, words = CLAIMS[name]
    for _ in range(2):
        done = run(f"reproduce/{name}", "out", MRIKIT_DATA="none", MATRIX="64", **options)

        assert done.returncode == 0, done.stderr
        assert done.stdout == (tmp_path / "out" / "table.txt").read_text()
        assert all(word in done.stdout for word in words), done.stdout
        assert is_picture(tmp_path / "out" / picture)
