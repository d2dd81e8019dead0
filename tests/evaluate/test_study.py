"""A comparison is fair, loses nothing when it is cut off, and gives the same numbers again."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scans import read, save, simulated

import mrikit as api
from mrikit.errors import CannotCreateError, DataError, ResultError, UsageError
from mrikit.evaluate import study as module
from mrikit.evaluate.methods import FAMILIES, Family, Options, Output, parse
from mrikit.evaluate.results import Condition, Piece, Results
from mrikit.evaluate.scans import open_scans
from mrikit.evaluate.study import Study, compare, conditions
from mrikit.physics.retrospective import Sampling

RANDOM = Condition("random", "x", 2.0)


@pytest.fixture
def scans(tmp_path: Path) -> list[str]:
    """a.npy of two slices and b.npy of one, both 48 x 48."""
    save(tmp_path / "a.npy", simulated(48, 4, 2).kspace, "kspace")
    save(tmp_path / "b.npy", simulated(48, 4, 1, seed=1).kspace, "kspace")
    return [str(tmp_path / name) for name in ("a.npy", "b.npy")]


def study(files: list[str], methods: str = "zf,l2", **more) -> Study:
    opened = tuple(open_scans(files, warn=pytest.fail))
    return replace(Study(opened, (RANDOM,), tuple(parse(methods.split(",")))), **more)


def made(files: list[str], folder: Path, methods: str = "zf,l2", **more) -> Results:
    results, failures = compare(study(files, methods, **more), folder, resume=True, force=False)
    assert not failures
    return results


def given_to(monkeypatch: pytest.MonkeyPatch, name: str, family: str = "zf") -> list:
    """What a method is called with from now on, call by call."""
    calls: list = []

    def solve(kspace, mask, maps, options):
        calls.append((kspace, mask, maps, options))
        return Output(FAMILIES[family].solve(kspace, mask, maps, options).image)

    monkeypatch.setitem(FAMILIES, name, Family(solve))
    return calls


def test_every_method_gets_the_same_samples_and_maps_and_not_the_reference(scans, tmp_path, monkeypatch) -> None:
    first, second = given_to(monkeypatch, "one"), given_to(monkeypatch, "two")
    results = made(scans, tmp_path / "out", "one,two")

    assert len(first) == len(second) == 3
    for (kspace, mask, maps, _), (other_kspace, other_mask, other_maps, _) in zip(first, second, strict=True):
        assert kspace is other_kspace and mask is other_mask and maps is other_maps
    (kspace, mask, maps, _), (_, same_mask, _, _), (_, other_mask, _, _) = first
    full = simulated(48, 4, 2).kspace[0]
    np.testing.assert_array_equal(kspace, np.where(mask, full, 0))
    np.testing.assert_array_equal(maps, api.espirit(kspace, refine=True))
    assert np.array_equal(mask, same_mask)  # slices of one scan have one mask
    assert not np.array_equal(mask, other_mask)
    kept = results.folder / "cells" / "a" / "000" / str(RANDOM) / "mask.npy"
    np.testing.assert_array_equal(read(kept), mask)
    np.testing.assert_allclose(results.reference("a", 0), api.mvue(full, api.espirit(full, refine=True)), rtol=1e-6)


def test_a_row_has_the_scores_of_its_image(scans, tmp_path) -> None:
    results = made(scans, tmp_path / "out")
    row = results.rows[Piece("a", 1, RANDOM), "l2"]
    report = api.metrics(results.reference("a", 1), results.image(row.piece, "l2"))

    assert len(results.rows) == 6
    assert (row.psnr, row.ssim, row.nmse) == pytest.approx(
        (report.volume.psnr, report.volume.ssim, report.volume.nmse), abs=1e-9
    )
    assert (row.psnr_masked, row.ssim_masked) == pytest.approx(
        (report.volume_masked.psnr, report.volume_masked.ssim), abs=1e-9
    )
    assert row.achieved_accel == 2
    assert row.seconds > 0


def rows_without_cost(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in ("seconds", "memory_mib")} for row in csv.DictReader(file)]


def test_the_same_numbers_again_whatever_the_order(scans, tmp_path) -> None:
    kinds = tuple(conditions(["random", "poisson"], ["x", "y"], [2.0]))
    made(scans, tmp_path / "one", conditions=kinds)
    made(scans[::-1], tmp_path / "two", "l2,zf", conditions=kinds[::-1])

    assert rows_without_cost(tmp_path / "one") == rows_without_cost(tmp_path / "two")
    assert len(rows_without_cost(tmp_path / "one")) == 3 * 3 * 2
    for path in (tmp_path / "one" / "cells").rglob("*.npy"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


def test_csv_and_json_hold_the_same(scans, tmp_path) -> None:
    made(scans, tmp_path / "out")
    with (tmp_path / "out" / "results.csv").open() as file:
        table = list(csv.DictReader(file))
    content = json.loads((tmp_path / "out" / "results.json").read_text())

    assert [float(row["psnr"]) for row in table] == [row["psnr"] for row in content["rows"]]
    assert content["seed"] == 0
    assert content["scans"]["a"]["matrix"] == [48, 48]


def test_a_run_that_is_cut_off_loses_one_cell_and_a_rerun_makes_the_rest(scans, tmp_path, monkeypatch) -> None:
    calls = given_to(monkeypatch, "one")
    whole = FAMILIES["one"].solve

    def cut_off(*arrays):
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(*arrays)

    monkeypatch.setitem(FAMILIES, "one", Family(cut_off))
    with pytest.raises(KeyboardInterrupt):
        made(scans, tmp_path / "out", "one")
    assert len(Results.open(tmp_path / "out").rows) == 2
    assert len(rows_without_cost(tmp_path / "out")) == 2

    monkeypatch.setitem(FAMILIES, "one", Family(whole))
    calls.clear()
    assert len(made(scans, tmp_path / "out", "one").rows) == 3
    assert len(calls) == 1
    made(scans, tmp_path / "out", "one")
    assert len(calls) == 1


def test_an_image_that_was_lost_is_made_again(scans, tmp_path) -> None:
    results = made(scans, tmp_path / "out")
    lost = tmp_path / "out" / "cells" / "a" / "000" / str(RANDOM) / "l2.npy"
    lost.unlink()

    assert made(scans, tmp_path / "out").rows.keys() == results.rows.keys()
    assert lost.is_file()


def test_methods_and_conditions_can_be_added_later(scans, tmp_path) -> None:
    made(scans[:1], tmp_path / "out", "zf")
    results = made(scans, tmp_path / "out", "l2", conditions=(Condition("poisson", "yx", 3.0),))

    assert {row.method for row in results.sorted()} == {"zf", "l2"}
    assert len(results.rows) == 2 + 3
    assert results.terms["methods"].keys() == {"zf", "l2"}


def test_what_fails_is_named_and_does_not_stop_the_rest(scans, tmp_path, monkeypatch) -> None:
    def fails(kspace, mask, maps, options):
        raise DataError("no such luck")

    def zero(kspace, mask, maps, options):
        return Output(np.zeros(mask.shape[-1:] * 2, np.complex64))

    monkeypatch.setitem(FAMILIES, "fails", Family(fails))
    monkeypatch.setitem(FAMILIES, "zero", Family(zero))
    said: list[str] = []
    results, failures = compare(
        study(scans, "fails,zero,zf"), tmp_path / "out", resume=False, force=False, warn=said.append
    )

    assert [row.method for row in results.sorted()] == ["zf"] * 3
    assert [str(f) for f in failures] == said
    assert said[0] == f"a/000/{RANDOM}/fails: no such luck"
    assert "zero everywhere" in said[1]
    assert len(said) == 6


def test_a_scan_that_cannot_be_calibrated_fails_alone(scans, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(
        module.Sampling, "keep", lambda how, kspace: (np.zeros_like(kspace), np.zeros(48, bool)), raising=True
    )
    _, failures = compare(study(scans), tmp_path / "out", resume=False, force=False)

    assert len(failures) == 6
    assert {failure.method for failure in failures} == {"zf", "l2"}


def test_too_few_lines_are_not_applicable(scans, tmp_path) -> None:
    results = made(scans, tmp_path / "out", conditions=(RANDOM, Condition("random", "y", 4.0)))
    notes = {row.accel: row.note for row in results.sorted()}

    assert notes == {2.0: None, 4.0: "12 lines, fewer than 16"}
    assert all(row.psnr is None for row in results.sorted() if row.note)


def test_masks_of_the_plane_have_no_axis() -> None:
    found = conditions(["random", "poisson"], ["x", "y"], [4.0, 8.0])

    assert [str(each) for each in found] == [
        "random-x-R4", "random-x-R8", "random-y-R4", "random-y-R8", "poisson-yx-R4", "poisson-yx-R8"
    ]  # fmt: skip


def test_a_scan_with_nan_is_refused_by_name(tmp_path) -> None:
    kspace = simulated(48, 4, 2).kspace.copy()
    kspace[1, 0, 2, 2] = np.nan
    file = str(save(tmp_path / "nan.npy", kspace, "kspace"))
    with pytest.raises(DataError, match=r"nan.npy: k-space has NaN or infinity in slice 1"):
        open_scans([file], warn=print)


def test_scans_that_are_not_fully_sampled_are_named_and_skipped_or_refused(scans, tmp_path) -> None:
    kspace = simulated(48, 4, 2).kspace.copy()
    kspace[1] = Sampling(3).keep(kspace[1])[0]
    half = str(save(tmp_path / "half.npy", kspace, "kspace"))
    said: list[str] = []

    (found,) = open_scans([half], warn=said.append)
    assert found.slices == (0,)
    assert said[0].startswith(f"{half}: slice 1 is not fully sampled, R = 3")
    with pytest.raises(DataError, match="slice 1 is not fully sampled"):
        open_scans([half], strict=True, warn=said.append)
    with pytest.raises(DataError, match="none of these scans"):
        open_scans([half], "1", warn=said.append)


@pytest.mark.parametrize("axis", [-1, -2])
def test_what_partial_fourier_left_out_is_in_no_reference(tmp_path, axis) -> None:
    kspace = simulated(48, 4, 2).kspace.copy()
    kspace[0].swapaxes(axis, -1)[..., :8] = 0
    partial = str(save(tmp_path / "partial.npy", kspace, "kspace"))
    said: list[str] = []

    (found,) = open_scans([partial], warn=said.append)
    assert found.slices == (1,)
    assert said[0].startswith(f"{partial}: slice 0 is of partial Fourier, or of an asymmetric echo; left out")
    with pytest.raises(DataError, match="slice 0 is of partial Fourier"):
        open_scans([partial], strict=True, warn=said.append)
    kspace[0].swapaxes(axis, -1)[..., -8:] = 0  # zero-padding
    (found,) = open_scans([str(save(tmp_path / "padded.npy", kspace, "kspace"))], warn=pytest.fail)
    assert found.slices == (0, 1)


def test_scans_of_one_name_have_their_folders_in_it(scans, tmp_path) -> None:
    """As where every subject has a folder. What follows a first dot is part of a name."""
    kspace = simulated(48, 4, 2).kspace
    for folder in ("p1", "p2", "x/p1"):
        (tmp_path / folder).mkdir(parents=True)
        save(tmp_path / folder / "scan.1.npy", kspace, "kspace")
    files = [str(tmp_path / folder / "scan.1.npy") for folder in ("p1", "p2", "x/p1")]
    found = open_scans([*files[:2], scans[0]], warn=pytest.fail)
    assert [scan.name for scan in found] == ["p1-scan.1", "p2-scan.1", "a"]
    with pytest.raises(UsageError, match=r"two scans are called p1-scan\.1"):
        open_scans(files, warn=pytest.fail)


def test_lambda_is_searched_on_a_scan_apart_and_is_the_best_there(scans, tmp_path) -> None:
    apart = tuple(open_scans(scans[1:], warn=pytest.fail))
    results = made(scans[:1], tmp_path / "out", apart=apart)
    trials = {row.lamda: row.psnr_masked for row in Results.open(tmp_path / "out" / "tune").sorted()}

    assert trials.keys() == set(FAMILIES["l2"].lamdas)
    best = max(trials, key=trials.get)
    assert {row.lamda for row in results.sorted() if row.method == "l2"} == {best}
    assert {row.lamda for row in results.sorted() if row.method == "zf"} == {None}
    row = results.rows[Piece("a", 0, RANDOM), "l2"]
    full = simulated(48, 4, 2).kspace[0]
    kept = Sampling(2, seed=study(scans)._seed("mask", f"a/{RANDOM}")).keep(full)[0]
    expected = api.pics(kept, api.espirit(kept, refine=True), reg="l2", lamda=best)
    np.testing.assert_array_equal(results.image(row.piece, "l2"), expected)


def test_a_lambda_that_cannot_be_searched_is_that_of_the_nearest_acceleration(scans, tmp_path) -> None:
    save(tmp_path / "large.npy", simulated(64, 4, 1).kspace, "kspace")
    kinds = tuple(conditions(["random"], ["x"], [2.0, 4.0]))
    apart = tuple(open_scans(scans[1:], warn=pytest.fail))  # 12 lines at R = 4, where the larger scan has 16
    results = made([str(tmp_path / "large.npy")], tmp_path / "out", "l2", conditions=kinds, apart=apart)

    assert len({row.lamda for row in results.sorted()}) == 1
    with pytest.raises(ResultError, match="leave too few lines to tune l2"):
        made([str(tmp_path / "large.npy")], tmp_path / "other", "l2", conditions=kinds[1:], apart=apart)


def test_what_was_tuned_goes_on_with_the_same_tuning_and_what_needs_none_without(scans, tmp_path) -> None:
    made(scans[:1], tmp_path / "out", "l2", apart=tuple(open_scans(scans[1:], warn=pytest.fail)))

    assert {row.method for row in made(scans[:1], tmp_path / "out", "zf").sorted()} == {"l2", "zf"}
    with pytest.raises(UsageError, match="another l2"):
        made(scans[:1], tmp_path / "out", "l2")


def test_tuning_on_what_is_compared_is_refused(scans) -> None:
    with pytest.raises(UsageError, match="must not tune"):
        study(scans, apart=tuple(open_scans(scans[:1], warn=pytest.fail)))


def test_results_that_are_there_are_not_lost(scans, tmp_path) -> None:
    made(scans[:1], tmp_path / "out", "zf")
    with pytest.raises(CannotCreateError, match="exists already"):
        compare(study(scans), tmp_path / "out", resume=False, force=False)
    with pytest.raises(UsageError, match=r"another seed: 0, not 1"):
        made(scans, tmp_path / "out", "zf", options=Options(seed=1))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("not results")
    with pytest.raises(CannotCreateError):
        compare(study(scans), tmp_path / "notes", resume=True, force=True)
    assert (tmp_path / "notes" / "mine.txt").exists()

    with pytest.raises(CannotCreateError, match="is a file"):
        compare(study(scans), tmp_path / "a.npy", resume=True, force=True)

    compare(study(scans[1:], "zf"), tmp_path / "out", resume=False, force=True)
    assert [row.scan for row in Results.open(tmp_path / "out").sorted()] == ["b"]


def test_a_broken_folder_is_named(scans, tmp_path) -> None:
    with pytest.raises(DataError, match=r"has no study\.json"):
        Results.open(tmp_path)
    made(scans[:1], tmp_path / "out", "zf")
    cell = tmp_path / "out" / "cells" / "a" / "000" / str(RANDOM) / "zf.json"
    for text in ("{", "[]", '{"scan": "a"}'):
        cell.write_text(text)
        with pytest.raises(DataError, match=r"zf\.json"):
            Results.open(tmp_path / "out")
    (tmp_path / "out" / "study.json").write_text('{"format": 99}')
    with pytest.raises(DataError, match="format 99"):
        Results.open(tmp_path / "out")


def test_images_are_volumes_that_every_tool_reads(scans, tmp_path) -> None:
    made(scans[:1], tmp_path / "out", "zf")

    assert read(tmp_path / "out" / "cells" / "a" / "000" / str(RANDOM) / "zf.npy").shape == (1, 48, 48)


@pytest.mark.slow
def test_two_processes_make_the_same(scans, tmp_path) -> None:
    made(scans, tmp_path / "one")
    _, failures = compare(study(scans), tmp_path / "two", resume=False, force=False, jobs=2)

    assert not failures
    assert rows_without_cost(tmp_path / "one") == rows_without_cost(tmp_path / "two")
