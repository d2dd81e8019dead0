"""mrikit evaluate: what it says, and how it ends."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scans import read, save, simulated

from mrikit import weights
from mrikit.errors import DataError
from mrikit.evaluate.methods import FAMILIES, Family
from mrikit.physics.retrospective import Sampling

if TYPE_CHECKING:
    from running import Mrikit

WORDS = ["evaluate", "--methods", "zf,l2", "--accel", "2", "--out", "results"]


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """full.npy of one slice, and half.npy, which is under-sampled; figures, which take seconds, are not drawn."""
    monkeypatch.setattr("mrikit.evaluate.illustrate.illustrate", lambda results: [])
    save(tmp_path / "full.npy", simulated(48, 4, 1).kspace, "kspace")
    save(tmp_path / "half.npy", Sampling(2).keep(simulated(48, 4, 1).kspace[0])[0][None], "kspace")


def test_a_table_on_stdout_and_everything_in_the_folder(mrikit: Mrikit, tmp_path: Path) -> None:
    result = mrikit(*WORDS, "--mask-kind", "random,poisson", "--axis", "x,y", "full.npy")

    assert result.code == 0
    head, *lines = result.text.splitlines()
    assert head.split()[-2:] == ["zf", "l2"]
    assert [line.split()[0] for line in lines] == ["poisson-yx-R2,", "random-x-R2,", "random-y-R2,"]
    assert {"results.csv", "results.json", "study.json", "cells"} <= {p.name for p in (tmp_path / "results").iterdir()}
    assert len((tmp_path / "results" / "results.csv").read_text().splitlines()) == 1 + 6


def test_a_second_run_needs_a_word_and_makes_nothing_twice(mrikit: Mrikit, tmp_path: Path) -> None:
    assert mrikit(*WORDS, "full.npy").code == 0
    before = (tmp_path / "results" / "results.csv").read_bytes()

    result = mrikit(*WORDS, "full.npy")
    assert (result.code, result.stderr.count("\n")) == (73, 1)
    assert "--resume goes on with it, --force begins anew" in result.stderr
    assert mrikit(*WORDS, "--resume", "full.npy").code == 0
    assert (tmp_path / "results" / "results.csv").read_bytes() == before  # times too: nothing was made again


def test_force_removes_results_and_nothing_else(mrikit: Mrikit, tmp_path: Path) -> None:
    assert mrikit(*WORDS, "full.npy").code == 0
    kept = shutil.copy(tmp_path / "full.npy", tmp_path / "results" / "kept.npy")
    result = mrikit(*WORDS, "--force", "results/kept.npy")

    assert (result.code, Path(kept).exists()) == (0, True), result.stderr
    assert [path.name for path in (tmp_path / "results" / "cells").iterdir()] == ["kept"]


def test_a_scan_with_other_contents_is_another_scan(mrikit: Mrikit, tmp_path: Path) -> None:
    assert mrikit(*WORDS, "full.npy").code == 0
    kspace = read(tmp_path / "full.npy")
    (tmp_path / "full.npy").unlink()
    save(tmp_path / "full.npy", 2 * kspace, "kspace")
    result = mrikit(*WORDS, "--resume", "full.npy")
    assert (result.code, "was made with another full" in result.stderr) == (2, True)


def test_slices_are_added(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "two.npy", simulated(48, 4, 2).kspace, "kspace")
    assert mrikit(*WORDS, "--slices", "0", "two.npy").code == 0
    assert mrikit(*WORDS, "--slices", "0,1", "--resume", "two.npy").code == 0
    assert [path.name for path in sorted((tmp_path / "results" / "cells" / "two").iterdir())] == ["000", "001"]


def test_scans_in_datasets_are_taken_and_pipes_are_not(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "scan.h5", read(tmp_path / "full.npy"), "kspace")
    assert mrikit(*WORDS, "scan.h5:kspace").code == 0
    result = mrikit(*WORDS, "--force", "-", stdin=(tmp_path / "full.npy").read_bytes())
    assert (result.code, "cannot be -" in result.stderr) == (2, True)


def test_damaged_weights_are_found_out_before_anything_is_made(mrikit: Mrikit, tmp_path: Path) -> None:
    source = weights.find("flat-small")
    content = bytearray(source.read_bytes())
    content[-1] ^= 1
    (tmp_path / "bad.safetensors").write_bytes(content)
    (tmp_path / "bad.json").write_bytes(source.with_suffix(".json").read_bytes())

    result = mrikit("evaluate", "--methods", "zf,flat=bad.safetensors", "--out", "results", "full.npy")

    assert (result.code, result.stderr.count("\n")) == (77, 1)
    assert "not the weights that its card describes" in result.stderr
    assert not (tmp_path / "results" / "cells").exists()


def test_a_failed_cell_is_named_and_the_rest_is_done(
    mrikit: Mrikit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arrays: object) -> None:
        raise DataError("no such luck")

    monkeypatch.setitem(FAMILIES, "l2", Family(fails))
    result = mrikit(*WORDS, "full.npy")

    assert result.code == 8
    assert "full/000/random-x-R2/l2: no such luck" in result.stderr
    assert "results: of the cells that were missing 1 failed, the first is full/000/random-x-R2/l2" in result.stderr
    assert len((tmp_path / "results" / "results.csv").read_text().splitlines()) == 1 + 1


def test_scans_that_are_not_fully_sampled(mrikit: Mrikit) -> None:
    result = mrikit(*WORDS, "full.npy", "half.npy", "--json")
    assert result.code == 0
    assert "half.npy: slice 0 is not fully sampled, R = 2" in result.json["warnings"][0]

    result = mrikit(*WORDS, "--strict", "--force", "full.npy", "half.npy")
    assert (result.code, result.stderr.count("\n")) == (65, 1)


@pytest.mark.slow
def test_the_folder_has_figures(mrikit: Mrikit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert mrikit(*WORDS, "full.npy").code == 0

    names = {path.name for path in (tmp_path / "results" / "figures").iterdir()}
    assert {"acceleration.png", "acceleration.pdf", "images-full.png"} <= names


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--methods zf,wavlet", "did you mean wavelet"),
        ("--accel 2,none", "'none' is not a number from 1 up"),
        ("--accel 0.5", "'0.5' is not a number from 1 up"),
        ("--mask-kind spiral", "'spiral' is not one of random"),
        ("--axis z", "not one of x, y"),
        ("--methods zf,,l2", "has an empty place"),
        ("--tune full.npy", "must not tune"),
        ("--tune copy.npy", "must not tune"),
        ("--slices 3", "full.npy has 1, numbered"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(mrikit: Mrikit, tmp_path: Path, words: str, text: str) -> None:
    shutil.copy(tmp_path / "full.npy", tmp_path / "copy.npy")
    result = mrikit(*WORDS, *words.split(), "full.npy")

    assert (result.code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert text in result.stderr
    assert not (tmp_path / "results").exists()


def test_slices_are_those_of_the_scans_and_lambda_is_of_all_that_is_tuned_on(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "tune.npy", simulated(64, 4, 1, seed=5).kspace, "kspace")
    words = ["evaluate", "--methods", "l2", "--accel", "3", "--tune", "tune.npy", "--out", "results", "--quiet"]
    save(tmp_path / "two.npy", simulated(64, 4, 2).kspace, "kspace")
    assert mrikit(*words, "--slices", "1", "two.npy").code == 0  # tune.npy has no slice 1
    assert mrikit(*words, "--slices", "0", "--resume", "two.npy").code == 0
    rows = list(csv.DictReader((tmp_path / "results" / "results.csv").read_text().splitlines()))
    assert sorted(row["slice"] for row in rows) == ["0", "1"] and len({row["lamda"] for row in rows}) == 1
