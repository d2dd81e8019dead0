"""mrikit models and mrikit unroll-train."""

from __future__ import annotations

import json
import os
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
from safetensors.torch import load_file
from scans import history, read, save, simulated

from mrikit import weights

if TYPE_CHECKING:
    from running import Mrikit


# models


def test_models_lists_what_ships_with_a_line_each(mrikit: Mrikit) -> None:
    result = mrikit("models")

    assert (result.code, result.stderr) == (0, "")
    assert [line.split()[0] for line in result.text.splitlines()] == weights.names()
    assert "flat-small" in weights.names()


def test_models_as_json_are_the_cards(mrikit: Mrikit) -> None:
    assert mrikit("models", "--json").json["models"] == {name: weights.card(name) for name in weights.names()}
    assert mrikit("models", "flat-small", "--json").json["model"] == weights.card("flat-small")


def test_a_models_card_is_shown(mrikit: Mrikit) -> None:
    text = mrikit("models", "flat-small").text

    assert "architecture:" in text and "flat" in text
    assert weights.card("flat-small")["sha256"] in text


def test_an_unknown_model_is_missing_and_the_known_are_listed(mrikit: Mrikit) -> None:
    result = mrikit("models", "flat-tiny")

    assert (result.code, result.stdout, result.stderr.count("\n")) == (66, b"", 1)
    assert "flat-tiny" in result.stderr and "the default models are flat-medium, flat-small" in result.stderr


# unroll-train


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """images.npy: magnitudes, as training takes them."""
    path = tmp_path / "images.npy"
    np.save(path, np.abs(simulated(96, 1, 2).image))
    return path


@pytest.mark.slow
def test_two_steps_of_training_give_weights_that_reconstruct(mrikit: Mrikit, images: Path, tmp_path: Path) -> None:
    result = mrikit("unroll-train", "--steps", "2", "--seed", "3", "images.npy", "own.safetensors")

    assert result.code == 0, result.stderr
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"images.npy", "own.safetensors", "own.json", "own.run"}
    card = json.loads((tmp_path / "own.json").read_text())
    assert card["architecture"] == "flat"
    assert (card["training"]["steps"], card["training"]["seed"]) == (2, 3)
    assert card["training"]["train"] == ["images.npy"]
    assert "2 of 2: loss" in result.stderr

    save(tmp_path / "scan.npy", simulated().kspace[:1], "kspace")
    words = ["--accel", "4", "--model", "own.safetensors"]
    assert mrikit("flat-recon", *words, "scan.npy", "out.npy", "--quiet").code == 0
    assert read(tmp_path / "out.npy").shape == (1, 64, 64)
    assert history(tmp_path / "out.npy")[-1]["facts"]["model"] == "own.safetensors"


TINY = {
    "flat": {"n_unrolls": 2, "features": 4, "levels": 1, "n_cg": 2, "n_start": 3},
    "modl": {"n_unrolls": 2, "features": 4, "n_blocks": 2, "n_cg": 2},
    "varnet": {"features": 4, "levels": 1, "maps_features": 4, "maps_levels": 1},
}
CHANGED = {"flat": {"mode": "free", "shared": False}, "modl": {"n_unrolls": 1}, "varnet": {"maps": "espirit"}}


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("flat", ["--mode", "free", "--unshared", "--align", "velocity"]),
        ("modl", ["--arch", "modl", "--cascades", "1"]),
        ("varnet", ["--maps", "espirit", "--align", "none"]),
    ],
)
def test_every_network_is_trained_from_its_configuration(
    mrikit: Mrikit, images: Path, tmp_path: Path, architecture: str, options: list[str]
) -> None:
    config = json.dumps({"architecture": architecture, "config": TINY[architecture]})
    (tmp_path / "tiny.json").write_text(config)
    words = ["unroll-train", "--config", "tiny.json", *options, "--steps", "1", "--per-scan", "1", "--crop", "24"]
    words += ["--magnitude-weight", "0.5"] if architecture == "flat" else []
    result = mrikit(*words, "--mask-kind", "random", "images.npy", "own.safetensors")

    assert result.code == 0, result.stderr
    card = json.loads((tmp_path / "own.json").read_text())
    assert card["architecture"] == architecture
    assert {**card["config"], **TINY[architecture], **CHANGED[architecture]} == card["config"]
    assert card["training"]["align"] == {"flat": "velocity", "modl": "none", "varnet": "none"}[architecture]
    assert ("align" in card["metrics"]) == (architecture == "flat")
    assert ("magnitude" in card["metrics"]) == (card["training"]["magnitude_weight"] == 0.5) == (architecture == "flat")
    kept, trained = load_file(tmp_path / "own.run" / "state.safetensors"), load_file(tmp_path / "own.safetensors")
    assert all(torch.equal(value, kept[f"average.{name}"]) for name, value in trained.items())
    assert not all(torch.equal(value, kept[f"model.{name}"]) for name, value in trained.items())

    save(tmp_path / "scan.npy", simulated().kspace[:1], "kspace")
    words = ["--accel", "4", "--model", "own.safetensors", "--quiet"]
    assert mrikit("flat-recon", *words, "scan.npy", "out.npy").code == 0
    assert read(tmp_path / "out.npy").shape == (1, 64, 64)


def test_what_training_is_to_hold_stays_as_it_begins(mrikit: Mrikit, images: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.json").write_text(json.dumps({"architecture": "flat", "config": TINY["flat"]}))
    words = ["unroll-train", "--config", "tiny.json", "--steps", "2", "--crop", "24", "images.npy"]
    words += ["--mask-kind", "random"]
    assert mrikit(*words, "begun.safetensors").code == 0
    held = ["--init", "begun.safetensors", "--hold", "log_lamda", "--hold", "prior*.head.*"]
    assert mrikit(*words, "own.safetensors", *held).code == 0
    begun, own = load_file(tmp_path / "begun.safetensors"), load_file(tmp_path / "own.safetensors")
    stayed = {name for name in own if torch.equal(own[name], begun[name])}
    assert stayed == {name for name in own if name == "log_lamda" or ".head." in name}
    assert json.loads((tmp_path / "own.json").read_text())["training"]["hold"] == ["log_lamda", "prior*.head.*"]
    assert "hold" not in json.loads((tmp_path / "begun.json").read_text())["training"]

    result = mrikit(*words, "other.safetensors", "--hold", "lambda")
    assert result.code == 2
    assert "hold lambda: this network has no such parameter (hint: it has lamda_slope, log_" in result.stderr
    assert not (tmp_path / "other.safetensors").exists()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--arch", "modl", "--mode", "paper"], "modl has no setting mode"),
        (["--arch", "modl", "--align-weight", "1"], "--align-weight 1: these states are not aligned"),
        (["--init", "own.safetensors"], "own.safetensors: training reads it"),
        (["--steps", "1", "--epochs", "1"], "--steps and --epochs contradict each other"),
    ],
)
def test_options_that_do_not_go_together_are_a_wrong_use(
    mrikit: Mrikit, images: Path, words: list[str], found: str
) -> None:
    result = mrikit("unroll-train", *words, "images.npy", "own.safetensors")

    assert (result.code, result.stderr.count("\n")) == (2, 1)
    assert found in result.stderr


def test_resuming_what_never_began_is_said(mrikit: Mrikit, images: Path) -> None:
    words = ["--steps", "1", "--per-scan", "1", "--crop", "24", "--resume"]
    result = mrikit("unroll-train", *words, "images.npy", "own.safetensors")

    assert result.code == 0
    assert "own.run: nothing to go on with, so this run begins" in result.stderr


@pytest.mark.slow
def test_a_seed_is_a_training_run_and_resuming_it_is_exact(mrikit: Mrikit, images: Path, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    base = ["unroll-train", "--simulated", "0.5", "--per-scan", "1", "--crop", "24", "images.npy", "--quiet"]
    assert mrikit(*base, "--steps", "2", "own.safetensors").code == 0
    assert mrikit(*base, "--steps", "2", "again/own.safetensors").code == 0

    first = (tmp_path / "own.safetensors").read_bytes()
    assert (tmp_path / "again" / "own.safetensors").read_bytes() == first
    ended = mrikit(*base, "--steps", "2", "--resume", "own.safetensors")
    assert (ended.code, "its run has ended; --force without --resume begins anew" in ended.stderr) == (73, True)
    other = mrikit(*base, "--steps", "3", "--resume", "--force", "own.safetensors")
    assert (other.code, other.stderr.count("\n")) == (2, 1)
    assert "own.run/state.safetensors: that run had steps 2" in other.stderr
    for others in (np.load(images)[:1], np.load(images)[::-1]):
        np.save(tmp_path / "again" / "images.npy", others)
        other = [word.replace("images.npy", "again/images.npy") for word in base]
        other_data = mrikit(*other, "--steps", "2", "--resume", "--force", "own.safetensors")
        assert (other_data.code, "that run had files" in other_data.stderr) == (2, True)
    assert mrikit(*base, "--steps", "2", "--resume", "--force", "own.safetensors").code == 0
    assert (tmp_path / "own.safetensors").read_bytes() == first
    assert mrikit(*base, "--steps", "3", "--force", "own.safetensors").code == 0
    assert (tmp_path / "own.safetensors").read_bytes() != first


@pytest.mark.slow
def test_the_card_keeps_no_folder_of_whoever_trained_it(mrikit: Mrikit, images: Path, tmp_path: Path) -> None:
    words = ["unroll-train", "--steps", "1", "--per-scan", "1", "--json", str(images)]
    result = mrikit(*words, str(tmp_path / "own.safetensors"))
    assert (result.code, result.stderr) == (0, "")
    assert result.json["outputs"] == [{"file": str(tmp_path / "own.safetensors"), "kind": "weights"}]

    text = (tmp_path / "own.json").read_text()
    assert str(tmp_path) not in text
    assert "mrikit unroll-train --steps 1 --per-scan 1 --json images.npy own.safetensors" in text


SMALL = ["unroll-train", "--per-scan", "1", "--crop", "24", "--mask-kind", "random", "--threads", "1"]


@pytest.mark.slow
def test_validation_and_pictures_are_made_where_they_are_asked_for(
    mrikit: Mrikit, images: Path, tmp_path: Path
) -> None:
    """An epoch is as many scans as there are images, 2 here: one step of two scans, from weights that are good."""
    more = ["--init", "flat-small", "--epochs", "1", "--batch", "2", "--accel", "3,5", "--mask-kind", "equispaced"]
    result = mrikit(*SMALL, *more, "--validate", "images.npy", "images.npy", "own.safetensors")

    assert result.code == 0, result.stderr
    assert {path.name for path in (tmp_path / "own.run").iterdir()} == {
        "state.safetensors", "loss.jsonl", "loss.png", "validation.png",
    }  # fmt: skip
    begun, line = [json.loads(text) for text in (tmp_path / "own.run" / "loss.jsonl").read_text().splitlines()]
    assert (begun["step"], line["step"]) == (0, 1) and begun["psnr"] == pytest.approx(line["psnr"], abs=0.1)
    assert f"0 of 1: psnr {begun['psnr']:.4g}" in result.stderr
    assert line["psnr"] > line["psnr_start"] > 15
    assert "1 of 1: loss" in result.stderr and f"psnr {line['psnr']:.4g}" in result.stderr
    card = json.loads((tmp_path / "own.json").read_text())
    assert card["metrics"] == {k: v for k, v in line.items() if k not in ("step", "seconds_per_step")}
    assert card["summary"].endswith("for accelerations 3 to 5")
    assert (card["training"]["steps"], card["training"]["scans_per_step"]) == (1, 2)
    assert card["training"]["mask_kinds"] == ["random", "equispaced"]
    assert card["training"]["validation"] == ["images.npy"]


@pytest.mark.slow
def test_a_run_that_is_killed_and_then_stopped_ends_with_the_same_bytes(images: Path, tmp_path: Path) -> None:
    """SIGKILL after the first saved step, SIGTERM to all its processes later, then to the end.

    All of them are processes of their own: in this one NumPy has begun with other threads than --threads says.
    """
    (tmp_path / "whole").mkdir()
    state = tmp_path / "own.run" / "state.safetensors"

    def begin(*words: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "mrikit", *SMALL, "--steps", "8", "--save-every", "1", "images.npy", *words]
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.Popen(line, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True)

    def start(*more: str) -> subprocess.Popen[str]:
        process = begin("own.safetensors", "--quiet", *more)
        seen = state.stat().st_mtime_ns if state.exists() else 0
        while not state.exists() or state.stat().st_mtime_ns == seen:
            assert process.poll() is None
            time.sleep(0.01)
        return process

    process = start()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    process = start("--resume")
    os.killpg(process.pid, signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr.count("\n")) == (75, 1)
    assert "own.run: stopped as asked after step" in stderr and "--resume" in stderr
    assert not (tmp_path / "own.safetensors").exists()

    for words in (["own.safetensors", "--resume"], ["whole/own.safetensors"]):
        process = begin(*words)
        process.communicate(timeout=120)
        assert process.returncode == 0
    assert (tmp_path / "own.safetensors").read_bytes() == (tmp_path / "whole" / "own.safetensors").read_bytes()
    lines = (tmp_path / "own.run" / "loss.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 9))


@pytest.mark.slow
def test_two_processes_train_what_one_trains_with_twice_the_batch(images: Path, tmp_path: Path) -> None:
    """Weights agree to 3e-6, where a step is 1e-5: sums over processes round differently. Threads would too."""
    words = [*SMALL, "--steps", "3"]
    line = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "mrikit"]
    line += [*words, "--batch", "1", "images.npy", "pair.safetensors", "--json"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["command"] == "unroll-train"  # one report, not two
    line = [sys.executable, "-m", "mrikit", *words, "--batch", "2", "images.npy", "one.safetensors"]
    subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, timeout=300, check=True)

    pair, one = (load_file(tmp_path / f"{name}.safetensors") for name in ("pair", "one"))
    for name, value in one.items():
        assert (pair[name] - value).abs().max() < 3e-6, name
    cards = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("pair", "one")]
    assert cards[0]["training"]["scans_per_step"] == cards[1]["training"]["scans_per_step"] == 2
    assert cards[0]["metrics"]["loss"] == pytest.approx(cards[1]["metrics"]["loss"], abs=1e-5)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("gone.npy own.safetensors", 66, "gone.npy: no such file"),
        ("images.npy own.pt", 2, "own.pt: must end in .safetensors"),
        ("images.npy nowhere/own.safetensors", 73, "there is no folder nowhere"),
        ("--steps 0 images.npy own.safetensors", 2, "'--steps'"),
        ("--steps 2 --epochs 1 images.npy own.safetensors", 2, "--steps and --epochs contradict each other"),
        ("--accel 8,4 images.npy own.safetensors", 2, "'8,4' falls, expected the lower number first"),
        ("--accel 0.2 images.npy own.safetensors", 2, "--accel 0.2,0.2: expected a range from 1 up"),
        ("--learning-rate nan images.npy own.safetensors", 2, "nan is not a finite number"),
        ("--mask-kind spiral images.npy own.safetensors", 2, "'--mask-kind'"),
        ("--validate gone.npy images.npy own.safetensors", 66, "gone.npy: no such file"),
    ],
)
def test_training_that_cannot_end_well_does_not_begin(
    mrikit: Mrikit, images: Path, tmp_path: Path, words: str, code: int, text: str
) -> None:
    result = mrikit("unroll-train", *words.split())

    assert (result.code, result.stderr.count("\n")) == (code, 1)
    assert text in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["images.npy"]


def test_weights_that_exist_stay_without_force(mrikit: Mrikit, images: Path, tmp_path: Path) -> None:
    (tmp_path / "own.safetensors").write_bytes(b"precious")

    assert mrikit("unroll-train", "--steps", "1", "images.npy", "own.safetensors").code == 73
    assert (tmp_path / "own.safetensors").read_bytes() == b"precious"


@pytest.mark.parametrize("what", ["shape", "truncated", "pickled", "text", "empty"])
def test_images_that_are_none_are_refused_by_name(mrikit: Mrikit, images: Path, tmp_path: Path, what: str) -> None:
    if what == "truncated":
        images.write_bytes(images.read_bytes()[:1000])
    elif what == "pickled":
        np.save(images, np.array([{"a": 1}]), allow_pickle=True)
    elif what == "text":
        images.write_text("not an array")
    elif what == "shape":
        np.save(images, np.ones((1, 1, 1, 4, 4, 4), np.float32))
    else:
        np.save(images, np.ones((0, 64, 64), np.float32))
    result = mrikit("unroll-train", "--steps", "1", "images.npy", "own.safetensors")

    assert (result.code, result.stderr.count("\n")) == (77 if what == "pickled" else 65, 1)
    assert "images.npy" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["images.npy"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of a scan, of images, and of a file that is broken."""
    path = tmp_path / "train"
    path.mkdir()
    np.save(path / "images.npy", np.abs(simulated(96, 1, 2).image))
    save(path / "scan.h5", simulated(96, 4, 2).kspace, "kspace")
    (path / "bad.nii").write_bytes(b"cut off")
    return path


@pytest.mark.slow
def test_a_folder_of_scans_and_images_is_trained_on(mrikit: Mrikit, folder: Path, tmp_path: Path) -> None:
    words = ["unroll-train", "--steps", "2", "--per-scan", "1", "--simulated", "0", "train", "own.safetensors"]
    result = mrikit(*words)

    assert result.code == 0, result.stderr
    assert result.stderr.count("warning: train/bad.nii: ") == 1
    assert result.stderr.count("warning: train: 1 of 3 files skipped") == 1
    training = json.loads((tmp_path / "own.json").read_text())["training"]
    assert (training["train"], training["skipped"]) == (["train"], ["bad.nii"])

    assert "computing its MVUE images" in result.stderr
    assert "computing" not in mrikit(*words, "--force").stderr


def test_strict_training_takes_no_broken_file(mrikit: Mrikit, folder: Path, tmp_path: Path) -> None:
    result = mrikit("unroll-train", "--steps", "1", "--strict", "train", "own.safetensors")

    assert (result.code, result.stderr.count("\n")) == (65, 1)
    assert "train/bad.nii: " in result.stderr
    assert not (tmp_path / "own.safetensors").exists()
