"""mrikit policy train, propose and compare."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import ANY

import numpy as np
import pytest
from running import ROOT
from scans import opened, read, save, simulated

if TYPE_CHECKING:
    from running import Mrikit, Shell

TINY = {"architecture": "modl", "config": {"n_unrolls": 1, "n_cg": 2, "features": 4, "n_blocks": 3}}
SHORT = ["--steps", "2", "--task-steps", "2", "--batch", "2", "--quiet"]
SCANS = ["--matrix", "48", "--simulated", "0", "--config", "tiny.json", *SHORT]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """heads.npy, others.npy and tiny.json to learn from, and scan.npy, two slices of 64 lines, to measure."""
    return write(tmp_path)


def write(folder: Path) -> Path:
    heads = np.abs(simulated(48, 1, 2).image)
    np.save(folder / "heads.npy", heads / heads.max())
    np.save(folder / "others.npy", heads[:, ::-1] / heads.max())
    (folder / "tiny.json").write_text(json.dumps(TINY))
    save(folder / "scan.npy", simulated(64, 2, 2).kspace, "kspace")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with own.safetensors, a policy of two steps, its card and its run, and the `files`."""
    folder = write(tmp_path_factory.mktemp("trained"))
    words = [sys.executable, "-m", "mrikit", "policy", "train", *SCANS, "heads.npy", "own.safetensors"]
    subprocess.run(words, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    return folder


@pytest.fixture
def policy(trained: Path, tmp_path: Path) -> Path:
    """own.safetensors of `trained`, copied with all that is beside it."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path / "own.safetensors"


# train


def test_training_leaves_a_policy_with_its_card_and_the_state_of_both_runs(policy: Path) -> None:
    run = policy.parent / "own.run"
    assert {path.name for path in run.iterdir()} == {"state.safetensors", "loss.jsonl", "loss.png", "task"}
    stages = {"state.safetensors", "loss.jsonl", "loss.png"}
    assert {path.name for path in (run / "task").iterdir()} == {*stages, "one-unroll"}
    assert {path.name for path in (run / "task" / "one-unroll").iterdir()} == stages
    card = json.loads(policy.with_suffix(".json").read_text())
    assert (card["architecture"], card["training"]["steps"], card["training"]["task_steps"]) == ("policy", 2, 2)
    assert card["training"]["command"].startswith("mrikit policy train --matrix 48")
    assert card["config"]["task"]["config"]["network"] == TINY["config"]


def test_the_same_seed_is_the_same_policy_and_task_models_are_reused(policy: Path, mrikit: Mrikit) -> None:
    reused = ["--task-model", "own.safetensors", "--accel", "3,4", "--coils", "1,2", "--gate", "10,1", "--gamma", "2"]
    words = ["--matrix", "48", "--simulated", "0", "--steps", "2", "--batch", "2", *reused, "--straight-through"]
    assert mrikit("policy", "train", *SCANS, "heads.npy", "again.safetensors").code == 0
    assert mrikit("policy", "train", *words, "heads.npy", "other.safetensors").code == 0

    assert policy.with_name("again.safetensors").read_bytes() == policy.read_bytes()
    training = json.loads(policy.with_name("other.json").read_text())["training"]
    assert (training["accel"], training["coils"]) == ([3.0, 4.0], [1, 2])
    assert training["objective"] == {
        "losses": "task", "target": "energy", "gamma": 2.0, "steepness": 10.0, "power": 1.0, "straight_through": True,
        "draws": 16,
    }  # fmt: skip


def idx(path: Path, array: np.ndarray) -> Path:
    """Write an idx file, gzipped where it is named so."""
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """digits/: 40 images of 8 x 8 of two classes, gzipped as MNIST is."""
    rng, folder = np.random.default_rng(0), tmp_path / "digits"
    folder.mkdir()
    labels = np.arange(40) % 2
    images = rng.integers(0, 60, (40, 8, 8)) + 180 * (labels[:, None, None] == (np.arange(8) > 3))
    idx(folder / "train-images-idx3-ubyte.gz", images)
    idx(folder / "train-labels-idx1-ubyte", labels)
    return folder


@pytest.mark.parametrize("kind", ["digits-classify", "digits-reconstruct"])
def test_pixels_are_learned_from_digits(digits: Path, mrikit: Mrikit, kind: str) -> None:
    result = mrikit(
        "policy", "train", "--task", kind, "--matrix", "8", "--rate", "0.1,0.3", *SHORT, digits, "p.safetensors"
    )

    assert (result.code, result.stderr) == (0, "")
    card = json.loads((digits.parent / "p.json").read_text())
    assert card["config"]["task"]["config"]["n_classes"] == (2 if kind == "digits-classify" else 0)
    assert card["config"]["velocity"]["kind"] == "pixels"
    assert card["training"]["objective"]["target"] == "learned"
    assert (
        mrikit("policy", "propose", "--policy", "p.safetensors", digits / "train-labels-idx1-ubyte", "m.npy").code != 0
    )


def test_pixels_are_learned_from_photographs(tmp_path: Path, mrikit: Mrikit) -> None:
    from PIL import Image

    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.JPG", "c.jpeg"):
        Image.fromarray(rng.integers(0, 255, (20, 30, 3), np.uint8)).save(tmp_path / "photos" / name)
    result = mrikit(
        "policy", "train", "--task", "image", "--matrix", "16", "--whole", *SHORT, "photos", "p.safetensors"
    )

    assert (result.code, result.stderr) == (0, "")
    task = json.loads((tmp_path / "p.json").read_text())["config"]["task"]["config"]
    assert (task["n_y"], task["n_x"], task["n_channels"]) == (16, 16, 3)


@pytest.mark.parametrize(
    ("words", "code", "found"),
    [
        (["--rate", "0.1", "heads.npy"], 2, "--rate has no meaning for --task mri"),
        (["--task", "image", "--accel", "4", "heads.npy"], 2, "--accel has no meaning for --task image"),
        (["--task", "image", "--rate", "0", "heads.npy"], 2, "a sampling rate is above 0 and 1 at most, not 0.0"),
        (["--task", "image", "--rate", "0.5,1.5", "heads.npy"], 2, "a sampling rate is above 0 and 1 at most, not 1.5"),
        (["--task", "image", "--rate", "0.5,0.1", "heads.npy"], 2, "--rate 0.5,0.1: expected the lower end first"),
        (["--target", "softmax", "--gamma", "2", "heads.npy"], 2, "--gamma has no meaning for --target softmax"),
        (["--config", "modl", "--task-model", "flat-small", "heads.npy"], 2, "--config has no meaning with --task-mod"),
        (["--task", "image", "--target", "half", "heads.npy"], 2, "--target half has no meaning for --task image"),
        (["--task", "digits-classify", "heads.npy"], 65, "these images have no labels"),
        (["--task", "image", "empty"], 66, "empty: no file in this folder"),
        (["empty"], 66, "empty: no file in this folder"),
        (["--accel", "0.5", "heads.npy"], 2, "acceleration"),
        (["--accel", "100", "heads.npy"], 2, "leave nothing to choose"),
        (["--accel", "four", "heads.npy"], 2, "'four' is not a number"),
        (["--coils", "0", "heads.npy"], 2, "'0' is not a whole number from 1 up"),
        (["--task-model", "score-small", "heads.npy"], 65, "score-small: architecture is 'edm', expected policy"),
        (["--task", "image", "--simulated", "0.9", "heads.npy"], 2, "--simulated has no meaning for --task image"),
        (["--learn-by", "flow", "--gate", "5,5", "heads.npy"], 2, "--gate has no meaning with --learn-by flow"),
        (["--learn-by", "flow", "--straight-through", "heads.npy"], 2, "--straight-through has no meaning with"),
        (["--task-model", "own.safetensors", "--task-steps", "9", "heads.npy"], 2, "--task-steps has no meaning"),
        (["--task-model", "own.safetensors", "heads.npy"], 2, "own.safetensors: training reads it"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_is_one_line(
    files: Path, mrikit: Mrikit, words: list[str], code: int, found: str
) -> None:
    (files / "empty").mkdir()
    result = mrikit("policy", "train", *words, "own.safetensors")

    assert (result.code, result.stderr.count("\n")) == (code, 1), result.stderr
    assert result.stderr.startswith("mrikit policy train: ") and found in result.stderr
    assert not (files / "own.safetensors").exists()


@pytest.mark.slow
def test_a_run_that_is_stopped_in_any_part_goes_on_to_the_same_bytes(files: Path) -> None:
    base = [sys.executable, "-m", "mrikit", "policy", "train", *SCANS[: -len(SHORT)], "--batch", "2", "--threads", "1"]
    steps = ["--steps", "30", "--task-steps", "30", "--save-every", "5"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}

    def begin(*words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*base, *steps, *words], cwd=files, env=env, stderr=subprocess.PIPE)

    def train(*words: str) -> int:
        with begin(*words) as run:
            run.communicate(timeout=120)
        return run.returncode

    assert train("heads.npy", "whole.safetensors") == 0
    for state in ("task/one-unroll/state.safetensors", "task/state.safetensors", "state.safetensors"):
        run = begin("--resume", "heads.npy", "own.safetensors")
        deadline = time.monotonic() + 60
        while not (files / "own.run" / state).exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        run.send_signal(signal.SIGTERM)
        _, said = run.communicate(timeout=60)
        assert run.returncode == 75 and b"stopped as asked after step" in said, said
    assert train("heads.npy", "own.safetensors") == 73
    assert train("--resume", "heads.npy", "own.safetensors") == 0
    assert (files / "own.safetensors").read_bytes() == (files / "whole.safetensors").read_bytes()


# propose


def test_a_mask_is_proposed_and_every_tool_takes_it(policy: Path, mrikit: Mrikit) -> None:
    result = mrikit(
        "policy", "propose", "--policy", "own.safetensors", "--accel", "3", "--seed", "1", "scan.npy", "m.npy"
    )

    assert (result.code, result.stdout) == (0, b"")
    assert "21 of 64 lines, R = 3.05 (asked for 3), policy own.safetensors" in result.stderr
    mask = read("m.npy")
    assert (mask.dtype, mask.shape, mask.sum()) == (np.bool_, (64,), 21)
    assert mask[28:36].all()
    assert opened("m.npy").header.axes == ("x",)
    assert mrikit("undersample", "scan.npy", "m.npy", "under.npy").code == 0
    np.testing.assert_array_equal((read("under.npy") != 0).any(axis=(0, 1, 2)), mask)
    assert mrikit("flat-recon", "--mask", "m.npy", "scan.npy", "flat.npy").code == 0
    assert mrikit("langevin", "--mask", "m.npy", "--samples", "2", "--steps", "2", "scan.npy", "mean.npy").code == 0
    assert read("flat.npy").shape == read("mean.npy").shape == (2, 64, 64)


def test_every_slice_can_have_a_mask_of_its_own(policy: Path, mrikit: Mrikit) -> None:
    words = ["policy", "propose", "--policy", "own.safetensors", "--per-slice", "--samples", "2", "--solver", "rk4"]
    assert mrikit(*words, "--steps", "3", "scan.npy", "m.npy", "--quiet").code == 0
    assert mrikit(*words, "--steps", "3", "scan.npy", "m.cfl", "--quiet").code == 0
    masks = read("m.npy")

    assert (masks.shape, opened("m.npy").header.axes) == ((2, 64), ("slice", "x"))
    assert (masks.sum(axis=1) == 16).all()  # the acceleration it was trained for
    np.testing.assert_array_equal(read("m.cfl"), masks)
    assert mrikit("undersample", "scan.npy", "m.npy", "under.npy").code == 0
    np.testing.assert_array_equal((read("under.npy") != 0).any(axis=(1, 2)), masks)
    assert mrikit("flat-recon", "--mask", "m.npy", "scan.npy", "flat.npy", "--quiet").code == 0
    assert mrikit("langevin", "--mask", "m.npy", "--samples", "2", "--steps", "2", "scan.npy", "mean.npy").code == 0


def test_a_proposal_is_piped_on(policy: Path, shell: Shell) -> None:
    done = shell(
        "mrikit policy propose --quiet --policy own.safetensors scan.npy - | mrikit undersample scan.npy - under.npy"
    )
    assert (done.code, done.stdout) == (0, b"")
    assert (read(policy.parent / "under.npy") != 0).any(axis=(0, 1, 2)).sum() == 16


def test_the_same_seed_is_the_same_mask_and_another_is_another(policy: Path, mrikit: Mrikit) -> None:
    for seed, name in ((1, "a"), (1, "b"), *((seed, f"c{seed}") for seed in range(2, 12))):
        words = ["--policy", "own.safetensors", "--seed", seed, "scan.npy", f"{name}.npy", "--quiet"]
        assert mrikit("policy", "propose", *words).code == 0
    masks = {name: read(f"{name}.npy").tobytes() for name in ("a", "b", *(f"c{seed}" for seed in range(2, 12)))}
    assert masks["a"] == masks["b"] and len(set(masks.values())) > 1


@pytest.mark.parametrize(
    ("words", "code", "found"),
    [
        (["--policy", "flat-small", "scan.npy"], 65, "architecture is 'flat', expected policy"),
        (["--policy", "nowhere", "scan.npy"], 66, "nowhere: there is no such file and no such default model"),
        (
            ["--policy", "own.safetensors", "--accel", "1", "narrow.npy"],
            65,
            "narrow.npy: a scan of 1 lines leaves none to choose",
        ),
        (["--policy", "own.safetensors", "--accel", "64", "scan.npy"], 2, "leave nothing to choose"),
        (["--policy", "own.safetensors", "--accel", "0.5", "scan.npy"], 2, "--accel"),
        (["--policy", "own.safetensors", "--steps", "0", "scan.npy"], 2, "--steps"),
        (["--policy", "own.safetensors", "half.npy"], 65, "low-frequency lines hold nothing"),
    ],
)
def test_what_cannot_be_proposed_is_one_line(
    policy: Path, mrikit: Mrikit, words: list[str], code: int, found: str
) -> None:
    kspace, files = read("scan.npy"), policy.parent
    save(files / "narrow.npy", kspace[..., :1], "kspace")
    save(files / "half.npy", np.where(np.arange(64) < 32, kspace, 0).astype(np.complex64), "kspace")
    result = mrikit("policy", "propose", *words, "m.npy")

    assert (result.code, result.stderr.count("\n")) == (code, 1), result.stderr
    assert found in result.stderr and not (files / "m.npy").exists()


# compare


def test_a_comparison_is_a_table_two_pictures_and_json(policy: Path, mrikit: Mrikit) -> None:
    words = ["--policy", "own.safetensors", "--train", "others.npy", "--steps", "2", "--seeds", "2", "--limit", "2"]
    asked = ["--accel", "3,4", "--policies", "centre,dps,flow", "--out", "out", "heads.npy"]
    result = mrikit("policy", "compare", *words, *asked)

    assert result.code == 0, result.stderr
    assert "dps learns, 2 steps" in result.stderr
    found = re.findall(r"^(\w+) +(\d\.\d{4}) +(\d\.\d{4}) ", result.text, re.MULTILINE)
    assert [name for name, _, _ in found] == ["centre", "dps", "flow"] * 2
    assert "R = 3: 16 of 48, own.safetensors, 2 images, 2 seeds: SSIM" in result.text
    out = policy.parent / "out"
    assert {path.name for path in out.iterdir()} == {
        "accel-3", "accel-4", "report.json", "scores.png", "places.png",
    }  # fmt: skip
    report = json.loads((out / "report.json").read_text())
    assert report["command"].startswith("mrikit policy compare")
    means = [one["mean"] for level in report["levels"] for one in level["policies"].values()]
    assert [f"{mean:.4f}" for mean in means] == [mean for _, mean, _ in found]

    again = mrikit("policy", "compare", *words, *asked)
    assert (again.code, again.stderr.count("\n")) == (73, 1)
    resumed = mrikit("policy", "compare", *words, *asked, "--resume", "--json")
    assert (resumed.code, resumed.stderr) == (0, "")
    assert resumed.json["levels"] == report["levels"]
    for fewer in (["--accel", "3"], ["--accel", "3,4", "--policies", "centre,flow"]):
        lost = mrikit("policy", "compare", *words, *fewer, "--resume", "--out", "out", "heads.npy")
        assert (lost.code, "which would be lost" in lost.stderr) == (2, True), lost.stderr
    assert json.loads((out / "report.json").read_text()) == report | {"command": ANY}


@pytest.mark.parametrize(
    ("words", "code", "found"),
    [
        (["--policies", "random,best", "heads.npy"], 2, "there is no policy 'best'"),
        (["--rate", "0.1", "heads.npy"], 2, "--rate has no meaning for a policy that chooses lines"),
        (["--accel", "4,48", "heads.npy"], 2, "leave nothing to choose"),
        (["--train", "heads.npy", "heads.npy"], 2, "heads.npy: rivals would learn from what is compared on"),
        (["--policies", "dps,ads", "--prior", "nosuch", "heads.npy"], 66, "nosuch: there is no such file"),
        (["empty"], 66, "empty: no file in this folder"),
        (["scan.npy:no"], 66, "no such file"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    policy: Path, mrikit: Mrikit, words: list[str], code: int, found: str
) -> None:
    files = policy.parent
    (files / "empty").mkdir()
    result = mrikit("policy", "compare", "--quiet", "--policy", "own.safetensors", "--out", "out", *words)

    assert (result.code, result.stderr.count("\n")) == (code, 1), result.stderr
    assert found in result.stderr
    assert not (files / "out" / "report.json").exists()
