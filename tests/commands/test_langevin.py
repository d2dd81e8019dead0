"""mrikit score-train and mrikit langevin: what they write and say, how they go on; not how good a prior is."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from running import ROOT
from scans import PLACED, history, opened, read, save, simulated

import mrikit as api
from mrikit import weights
from mrikit.physics.scan import prepare
from mrikit.score.architectures import build

if TYPE_CHECKING:
    from running import Mrikit, Result, Shell

MATRIX = 48


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    """full.npy, of two slices, and prior.safetensors, a small network of random weights."""
    save(tmp_path / "full.npy", simulated(MATRIX, 4, 2).kspace, "kspace", geometry=PLACED)
    torch.manual_seed(0)
    network = build("edm", {"features": 4, "levels": 1})
    torch.nn.init.normal_(network.network.tail.weight, std=0.02)
    card = {"architecture": "edm", "config": network.config.to_json()}
    weights.save(tmp_path / "prior.safetensors", network.state_dict(), card)


WORDS = ["langevin", "--model", "prior.safetensors", "--steps", "4", "--samples", "3"]
FULL = [*WORDS, "--accel", "3"]


def refused(result: Result, code: int, *texts: str) -> None:
    """One line that says all of `texts`."""
    assert (result.code, result.stdout, result.stderr.count("\n")) == (code, b"", 1), result.stderr
    for text in texts:
        assert text in result.stderr


# langevin


def test_mean_std_and_samples_are_those_of_the_same_samples(mrikit: Mrikit, tmp_path: Path) -> None:
    words = ["--std", "std.npy", "--save-samples", "samples.npy", "--maps-out", "maps.npy"]
    result = mrikit(*FULL, *words, "full.npy", "mean.npy", "--quiet")

    assert (result.code, result.stdout, result.stderr) == (0, b"", "")
    mean, std, samples = (read(tmp_path / f"{name}.npy") for name in ("mean", "std", "samples"))
    assert opened(tmp_path / "samples.npy").header.axes == ("slice", "sample", "y", "x")
    assert (samples.shape, mean.shape, std.shape) == ((2, 3, MATRIX, MATRIX), (2, MATRIX, MATRIX), (2, MATRIX, MATRIX))
    assert (mean.dtype, std.dtype) == (np.complex64, np.float32)
    assert all(opened(tmp_path / f"{name}.npy").header.geometry == PLACED for name in ("mean", "std", "samples"))
    np.testing.assert_allclose(mean, samples.mean(axis=1), atol=1e-5 * np.abs(mean).max())
    np.testing.assert_allclose(std, samples.std(axis=1), atol=1e-5 * np.abs(mean).max())
    expected, _ = api.langevin(simulated(MATRIX, 4, 2).kspace, 3, model="prior.safetensors", steps=4, samples=3)
    np.testing.assert_allclose(mean, expected, atol=1e-3 * np.abs(mean).max())
    assert not (tmp_path / "mean.npy.run").exists()


def test_nifti_takes_mean_and_std_and_a_part_is_not_for_the_std(mrikit: Mrikit, tmp_path: Path) -> None:
    assert mrikit(*FULL, "--std", "std.nii", "full.npy", "mean.nii").code == 0
    assert mrikit(*FULL, "--std", "std.npy", "--part", "phase", "full.npy", "phase.npy").code == 0
    assert mrikit(*FULL, "full.npy", "mean.npy").code == 0

    np.testing.assert_array_equal(read(tmp_path / "std.nii"), read(tmp_path / "std.npy"))
    np.testing.assert_array_equal(read(tmp_path / "mean.nii"), np.abs(read(tmp_path / "mean.npy")))
    np.testing.assert_array_equal(read(tmp_path / "phase.npy"), np.angle(read(tmp_path / "mean.npy")))


@pytest.mark.parametrize("name", ["pula", "annealed", "pc", "heun", "dds"])
def test_every_sampler_and_a_pipe(shell: Shell, mrikit: Mrikit, tmp_path: Path, name: str) -> None:
    if name != "pula":
        assert mrikit(*FULL, "--sampler", name, "full.npy", "mean.npy").code == 0
        return
    save(tmp_path / "mask.npy", api.mask((MATRIX, MATRIX), 3), "mask")
    result = shell(f"mrikit undersample full.npy mask.npy - | mrikit {' '.join(WORDS)} - - | mrikit info --json -")
    assert (result.code, result.json["shape"]) == (0, [2, MATRIX, MATRIX]), result.stderr
    assert not list(tmp_path.glob("*.run"))


def test_people_are_told_the_network_calls(mrikit: Mrikit) -> None:
    result = mrikit(*FULL, "full.npy", "mean.npy")

    told = (
        r"mrikit langevin: R = 3, pula, uncalibrated, 3 samples of 5 network calls \(15 a slice\), "
        r"model prior.safetensors, cpu, \d+\.\d s\n"
    )
    assert re.fullmatch(told, result.stderr)


def test_json_has_the_facts_and_so_has_the_history(mrikit: Mrikit, tmp_path: Path) -> None:
    report = mrikit(*FULL, "--sigma-y", "0.01", "full.npy", "mean.npy", "--json").json

    facts = {
        "requested_accel": 3.0, "achieved_accel": 3.0, "model": "prior.safetensors", "sampler": "pula",
        "calibrated": False, "samples": 3, "levels": 4, "network_calls_per_sample": 5, "sigma_y": [0.01, 0.01],
    }  # fmt: skip
    assert {name: report[name] for name in facts} == facts
    assert history(tmp_path / "mean.npy")[-1]["facts"] == facts


def test_csgm_is_labelled(mrikit: Mrikit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mrikit.score.samplers.RELEASED_FIRST", 2300)
    words = ["langevin", "--model", "prior.safetensors", "--sampler", "csgm", "--samples", "1", "--accel", "3"]
    result = mrikit(*words, "full.npy", "mean.npy")

    assert result.code == 0, result.stderr
    assert "csgm, uncalibrated, 1 samples of 33 network calls" in result.stderr


def test_seed_chunk_and_number_of_slices(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "first.npy", simulated(MATRIX, 4, 2).kspace[:1], "kspace")
    for name, words in {
        "a": ["full.npy"], "b": ["--chunk", "1", "full.npy"], "c": ["--seed", "1", "full.npy"], "d": ["first.npy"],
    }.items():  # fmt: skip
        assert mrikit(*FULL, *words, f"{name}.npy").code == 0
    a, b, c, d = (read(tmp_path / f"{name}.npy") for name in "abcd")

    assert np.abs(b - a).max() < 1e-3 * np.abs(a).max()
    assert np.abs(c - a).max() > 0.1 * np.abs(a).max()
    np.testing.assert_array_equal(d[0], a[0])


# the report


@pytest.fixture
def reference(mrikit: Mrikit, tmp_path: Path) -> Path:
    """truth.npy, complex, and maps.npy."""
    save(tmp_path / "truth.npy", simulated(MATRIX, 4, 2).image, "image")
    save(tmp_path / "maps.npy", simulated(MATRIX, 4, 2).maps, "maps")
    return tmp_path / "truth.npy"


def test_a_report_has_pictures_and_the_same_facts(mrikit: Mrikit, reference: Path, tmp_path: Path) -> None:
    words = [*FULL, "--maps", "maps.npy", "--reference", "truth.npy", "--report", "report"]
    result = mrikit(*words, "full.npy", "mean.npy")

    assert result.code == 0, result.stderr
    assert "the truth is within 1, 2, 3 std in " in result.stderr
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "posterior.png", "calibration.png", "report.json",
    }  # fmt: skip
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["calibration"]["n_samples"] == 3
    assert set(report["calibration"]["coverage"]) == {"1", "2", "3"}
    assert -1 <= report["calibration"]["pearson"] <= 1
    refused(mrikit(*words, "full.npy", "other.npy"), 73, "report: exists already", "--force")


def test_a_report_that_cannot_be_written_is_found_out_before_anything_is_sampled(
    mrikit: Mrikit, tmp_path: Path
) -> None:
    result = mrikit(*FULL, "--report", "full.npy/report", "full.npy", "mean.npy")
    refused(result, 73, "full.npy/report: cannot be made", "full.npy is no folder that can be written to")
    assert not list(tmp_path.glob("mean*"))


def test_a_report_without_a_reference_has_no_calibration(mrikit: Mrikit, tmp_path: Path) -> None:
    assert mrikit(*FULL, "--report", "report", "full.npy", "mean.npy").code == 0
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"posterior.png", "report.json"}


def test_a_reference_that_cannot_be_one_is_refused_before_sampling(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "magnitude.npy", np.abs(simulated(MATRIX, 4, 2).image), "image")
    save(tmp_path / "other.npy", simulated(64, 4, 2).image, "image")
    for name, text in (("magnitude.npy", "must be complex"), ("other.npy", "the matrix is 64 x 64")):
        refused(mrikit(*FULL, "--reference", name, "full.npy", "mean.npy"), 65, name, text)
    assert not (tmp_path / "mean.npy").exists()


# going on


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(mrikit: Mrikit, tmp_path: Path) -> None:
    words = [*FULL[:3], "--steps", "40", "--samples", "4", "--accel", "3", "--every", "1", "--threads", "1"]
    line = [sys.executable, "-m", "mrikit", *words, "--save-samples", "samples.npy", "full.npy", "mean.npy"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(line, cwd=tmp_path, env=env, stderr=subprocess.DEVNULL)
    state = tmp_path / "mean.npy.run" / "slice-0001.safetensors"
    while not state.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert state.exists()
    assert not (tmp_path / "mean.npy").exists()

    refused(mrikit(*line[3:]), 73, "mean.npy.run: exists already", "--resume goes on", "--force")
    other = mrikit(*line[3:-2], "--seed", "7", "--resume", "full.npy", "mean.npy")
    refused(other, 2, "mean.npy.run/slice-0000.safetensors: that run had seed 0")
    assert subprocess.run([*line, "--resume"], cwd=tmp_path, env=env, check=False, capture_output=True).returncode == 0
    whole = [*line[:-4], "--save-samples", "whole-samples.npy", "full.npy", "whole.npy"]
    assert subprocess.run(whole, cwd=tmp_path, env=env, check=False, capture_output=True).returncode == 0
    for name in ("mean.npy", "samples.npy"):
        np.testing.assert_array_equal(
            read(tmp_path / name), read(tmp_path / name.replace("mean", "whole").replace("samples", "whole-samples"))
        )
    assert not (tmp_path / "mean.npy.run").exists()


def test_a_state_that_is_none_is_bad_data(mrikit: Mrikit, tmp_path: Path) -> None:
    (tmp_path / "mean.npy.run").mkdir()
    (tmp_path / "mean.npy.run" / "slice-0000.safetensors").write_bytes(b"not a state")
    refused(mrikit(*FULL, "--resume", "full.npy", "mean.npy"), 65, "slice-0000.safetensors: not a state")
    (tmp_path / "mean.npy.run" / "notes.txt").write_text("mine")
    assert mrikit(*FULL, "--force", "full.npy", "mean.npy").code == 0
    assert [path.name for path in (tmp_path / "mean.npy.run").iterdir()] == ["notes.txt"]


def test_a_scan_that_changed_its_scale_alone_is_another_scan(tmp_path: Path) -> None:
    kspace = simulated(MATRIX, 4, 2).kspace[0]
    assert prepare(kspace).fingerprint != prepare(2 * kspace).fingerprint


def test_that_there_is_no_run_to_go_on_with_is_said(mrikit: Mrikit) -> None:
    result = mrikit(*FULL, "--resume", "full.npy", "mean.npy")
    assert (result.code, "mean.npy.run: nothing to go on with, so this run begins" in result.stderr) == (0, True)


# what cannot be


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("--model flat-small --accel 3 full.npy out.npy", 65, "architecture is 'flat', expected ncsnv2, edm"),
        ("--model gone.safetensors full.npy out.npy", 66, "there is no such file"),
        ("--model own.pt full.npy out.npy", 77, "pickle"),
        ("--model prior.safetensors --sigma-y -1 full.npy out.npy", 2, "--sigma-y -1.0: expected a number above 0"),
        ("--model prior.safetensors --sigma-y much full.npy out.npy", 2, "'much' is not auto or a number"),
        ("--model prior.safetensors --samples 0 full.npy out.npy", 2, "'--samples'"),
        ("--model prior.safetensors --sampler gibbs full.npy out.npy", 2, "'--sampler'"),
        ("--model prior.safetensors --sampler csgm --steps 9 full.npy out.npy", 2, "levels of csgm are the released"),
        ("--model prior.safetensors --accel 3 --maps few.npy full.npy out.npy", 65, "maps have 3 coils"),
        ("--model prior.safetensors hollow.npy out.npy", 65, "hollow.npy: "),
        ("--model prior.safetensors --accel 9 under.npy out.npy", 65, "already under-sampled"),
    ],
)
def test_what_cannot_end_well_is_one_line(mrikit: Mrikit, tmp_path: Path, words: str, code: int, text: str) -> None:
    kspace = simulated(MATRIX, 4, 2).kspace
    save(tmp_path / "few.npy", simulated(MATRIX, 4, 2).maps[:, :3].copy(), "maps")
    save(tmp_path / "hollow.npy", kspace * (np.abs(np.arange(MATRIX) - MATRIX // 2) > 4), "kspace")
    save(tmp_path / "under.npy", kspace * api.mask((MATRIX, MATRIX), 3), "kspace")
    before = sorted(tmp_path.iterdir())

    refused(mrikit("langevin", *words.split()), code, text)
    assert sorted(tmp_path.iterdir()) == before


def test_a_chain_that_diverges_is_exit_1_with_its_place_and_no_image(mrikit: Mrikit, tmp_path: Path) -> None:
    network = build("edm", {"features": 4, "levels": 1})
    torch.nn.init.constant_(network.network.tail.bias, float("nan"))
    card = {"architecture": "edm", "config": network.config.to_json()}
    weights.save(tmp_path / "prior.safetensors", network.state_dict(), card)

    refused(mrikit(*FULL, "full.npy", "mean.npy"), 1, "diverged to NaN or infinity at level 2 of 4, step 1 of 1")
    assert not (tmp_path / "mean.npy").exists()


def test_one_sample_has_no_standard_deviation(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "truth.npy", simulated(MATRIX, 4, 2).image, "image")
    for option, file in (("--std", "std.npy"), ("--reference", "truth.npy")):
        refused(mrikit(*FULL, "--samples", "1", option, file, "full.npy", "mean.npy"), 2, option, "--samples 2")
    assert not (tmp_path / "mean.npy.run").exists()


# score-train


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """images.npy: magnitudes, as training takes them."""
    np.save(tmp_path / "images.npy", np.abs(simulated(96, 1, 2).image))
    tiny = {"architecture": "edm", "config": {"features": 4, "levels": 1, "n_levels": 50}}
    (tmp_path / "tiny.json").write_text(json.dumps(tiny))
    return tmp_path / "images.npy"


TRAIN = ["score-train", "--preset", "tiny.json", "--crop", "32", "--simulated", "0", "--threads", "1"]


def test_what_is_trained_samples(mrikit: Mrikit, images: Path, tmp_path: Path) -> None:
    words = ["--steps", "3", "--sigma-max", "4", "--validate", "images.npy", "--licence", "MIT"]
    result = mrikit(*TRAIN, *words, "images.npy", "own.safetensors")

    assert result.code == 0, result.stderr
    assert "3 of 3: loss" in result.stderr
    card = json.loads((tmp_path / "own.json").read_text())
    assert (card["architecture"], card["config"]["sigma_max"], card["licence"]) == ("edm", 4.0, "MIT")
    assert (card["training"]["train"], card["training"]["crop"]) == (["images.npy"], 32)
    assert {"loss", "validation", "psnr", "psnr_start"} <= card["metrics"].keys()
    assert {path.name for path in (tmp_path / "own.run").iterdir()} == {
        "state.safetensors", "loss.jsonl", "loss.png", "validation.png",
    }  # fmt: skip
    assert mrikit(*FULL, "--model", "own.safetensors", "full.npy", "mean.npy").code == 0


def test_kspace_is_learned_from_by_its_images(mrikit: Mrikit, images: Path, tmp_path: Path) -> None:
    result = mrikit(*TRAIN, "--steps", "1", "full.npy", "own.safetensors")
    assert result.code == 0, result.stderr
    assert "computing its MVUE images" in result.stderr


def test_training_begins_with_other_weights(mrikit: Mrikit, images: Path, tmp_path: Path) -> None:
    words = [*TRAIN, "--steps", "1", "images.npy"]
    assert mrikit(*words, "first.safetensors").code == 0
    assert mrikit(*words, "--init", "first.safetensors", "second.safetensors").code == 0
    first, second = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("first", "second"))
    assert second["training"]["init"] == first["sha256"] != second["sha256"]
    refused(mrikit(*words, "--init", "flat-small", "third.safetensors"), 65, "flat-small: these weights are of another")


def test_resuming_training_is_exact(mrikit: Mrikit, images: Path, tmp_path: Path) -> None:
    words = [*TRAIN, "--quiet", "--save-every", "1", "--steps", "3", "images.npy"]
    assert mrikit(*words, "own.safetensors").code == 0
    whole = (tmp_path / "own.safetensors").read_bytes()
    assert mrikit(*words, "own.safetensors", "--force", "--resume").code == 0
    assert (tmp_path / "own.safetensors").read_bytes() == whole
    other = mrikit(*words, "own.safetensors", "--force", "--resume", "--crop", "48")
    refused(other, 2, "that run had crop 32")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("--preset large images.npy own.safetensors", 66, "the presets are ncsnv2, ncsnv2-small, small"),
        ("--sigma-max 0.001 images.npy own.safetensors", 2, "sigma_min is 0.004, expected less than sigma_max"),
        ("--sigma-min -1 images.npy own.safetensors", 2, "sigma_min is -1.0, expected a number from"),
        ("--levels 1 images.npy own.safetensors", 2, "n_levels is 1"),
        ("--crop 33 images.npy own.safetensors", 2, "--crop 33: expected an even number"),
        ("gone.npy own.safetensors", 66, "gone.npy: no such file"),
        ("images.npy own.pt", 2, "must end in .safetensors"),
    ],
)
def test_training_that_cannot_end_well_does_not_begin(
    mrikit: Mrikit, images: Path, tmp_path: Path, words: str, code: int, text: str
) -> None:
    before = sorted(tmp_path.iterdir())
    refused(mrikit("score-train", *words.split()), code, text)
    assert sorted(tmp_path.iterdir()) == before


def test_an_empty_slice_is_found_before_the_first_is_sampled(mrikit: Mrikit, tmp_path: Path) -> None:
    kspace = read(tmp_path / "full.npy").copy()
    kspace[1] = 0
    save(tmp_path / "flawed.npy", kspace, "kspace")
    result = mrikit(*FULL, "flawed.npy", "mean.npy")
    assert (result.code, "k-space is zero everywhere in slice 1" in result.stderr) == (65, True)
    assert not (tmp_path / "mean.run").exists()
