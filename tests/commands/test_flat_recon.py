"""mrikit flat-recon: which samples it keeps, which maps it uses, which weights it takes, and what it says of them.

Nothing here depends on how good the default weights are.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scans import PLACED, history, opened, read, save, simulated

import mrikit as api
from mrikit import weights
from mrikit.errors import DataError, UsageError
from mrikit.physics.scan import standardise
from mrikit.physics.sense import Sense
from mrikit.unrolled.problem import collate
from mrikit.unrolled.reconstruct import load_model

if TYPE_CHECKING:
    from running import Mrikit, Result, Shell


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    """full.npy, mask.npy of R = 4, and under.npy, which is full.npy behind that mask; one slice."""
    kspace, mask = simulated().kspace[:1], api.mask((64, 64), 4)
    save(tmp_path / "full.npy", kspace, "kspace", geometry=PLACED)
    save(tmp_path / "mask.npy", mask, "mask")
    save(tmp_path / "under.npy", api.undersample(kspace, mask), "kspace", geometry=PLACED)


@pytest.fixture
def recon(mrikit: Mrikit, tmp_path: Path):
    """`recon("--accel 4 full.npy")` is the image; it must succeed, in the right shape, scale and place."""

    def call(line: str, *, out: str = "out.npy", shape: tuple[int, ...] = (1, 64, 64)) -> np.ndarray:
        result = mrikit("flat-recon", *line.split(), out, "--quiet", "--force")
        assert (result.code, result.stdout, result.stderr) == (0, b"", "")
        assert opened(tmp_path / out).header.shape == shape
        image = read(tmp_path / out)
        assert np.isfinite(image).all()
        return image

    return call


def refused(result: Result, code: int, *texts: str) -> None:
    """One line that says all of `texts`."""
    assert (result.code, result.stdout, result.stderr.count("\n")) == (code, b"", 1)
    for text in texts:
        assert text in result.stderr


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


# samples


def test_a_full_scan_is_undersampled_before_anything_else_sees_it(recon) -> None:
    """The image of `--accel 4` is that of a scan which never had the other samples."""
    image = recon("--accel 4 full.npy")

    assert image.dtype == np.complex64
    np.testing.assert_array_equal(image, recon("under.npy"))
    np.testing.assert_array_equal(image, recon("--mask mask.npy full.npy"))
    np.testing.assert_array_equal(image[0], api.flat_recon(simulated().kspace[0], 4))


def test_the_acquired_samples_are_kept_as_they_are(recon, tmp_path: Path) -> None:
    """Noise in the samples that were not acquired changes nothing; in the acquired ones it does."""
    rng = np.random.default_rng(0)
    mask, full = read(tmp_path / "mask.npy"), simulated().kspace[:1]
    disturbed = full + 10 * rng.standard_normal(full.shape).astype(np.float32)
    save(tmp_path / "outside.npy", np.where(mask, full, disturbed), "kspace")
    save(tmp_path / "inside.npy", np.where(mask, disturbed, full), "kspace")

    image = recon("--mask mask.npy full.npy")
    np.testing.assert_array_equal(recon("--mask mask.npy outside.npy"), image)
    assert relative(recon("--mask mask.npy inside.npy"), image) > 0.1


@pytest.mark.parametrize("accel", ["4", "4.2", "3.9"])  # 15 to 17 lines of 64: within one of the 16 there are
def test_an_accel_that_agrees_with_an_undersampled_scan_changes_nothing(recon, accel: str) -> None:
    np.testing.assert_array_equal(recon(f"--accel {accel} under.npy"), recon("under.npy"))


@pytest.mark.parametrize("accel", ["2", "8", "1"])
def test_an_accel_that_contradicts_an_undersampled_scan_is_refused(mrikit: Mrikit, tmp_path: Path, accel: str) -> None:
    refused(
        mrikit("flat-recon", "--accel", accel, "under.npy", "out.npy"), 65,
        "mrikit flat-recon: under.npy: k-space is already under-sampled, with R = 4",
        f"--accel {accel} disagrees", "hint: leave --accel out",
    )  # fmt: skip
    assert not (tmp_path / "out.npy").exists()


def test_a_mask_that_agrees_with_accel_is_fine_and_one_that_disagrees_is_a_usage_error(
    mrikit: Mrikit, recon, tmp_path: Path
) -> None:
    np.testing.assert_array_equal(recon("--accel 4 --mask mask.npy full.npy"), recon("--mask mask.npy full.npy"))
    result = mrikit("flat-recon", "--accel", "8", "--mask", "mask.npy", "full.npy", "not.npy")

    refused(result, 2, "--accel 8 disagrees with the mask, which has R = 4", "with --mask, --accel is not needed")
    assert not (tmp_path / "not.npy").exists()


@pytest.mark.parametrize("words", ["--mask-kind poisson", "--acs 12", "--axis y", "--mask mask.npy --axis y"])
def test_saying_how_accel_undersamples_without_it_is_a_usage_error(mrikit: Mrikit, tmp_path: Path, words: str) -> None:
    result = mrikit("flat-recon", *words.split(), "full.npy", "out.npy")

    assert result.code == 2
    assert "which is not given" in result.stderr
    assert not (tmp_path / "out.npy").exists()


def test_adapting_where_there_is_nothing_to_adapt_to_is_said(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "centre.npy", np.abs(np.arange(64) - 32) < 8, "mask")
    for scan in (["full.npy"], ["--mask", "centre.npy", "full.npy"]):
        result = mrikit("flat-recon", "--force", "--adapt", "2", *scan, "out.npy")
        told = "warning: --adapt: there is nothing to adapt to in 1 of 1 slices" in result.stderr
        assert (result.code, told) == (0, True)
    assert "warning" not in mrikit("flat-recon", "--adapt", "1", "--accel", "4", "full.npy", "four.npy").stderr


def test_a_full_scan_without_accel_is_reconstructed_as_it_is(mrikit: Mrikit) -> None:
    result = mrikit("flat-recon", "full.npy", "out.npy")

    assert re.fullmatch(r"mrikit flat-recon: R = 1, model flat-small, cpu, \d+\.\d s\n", result.stderr)


@pytest.mark.parametrize("kind", ["equispaced", "gaussian", "poisson", "radial"])
def test_every_kind_of_mask(mrikit: Mrikit, tmp_path: Path, kind: str) -> None:
    words = ["--accel", "4", "--mask-kind", kind, "--acs", "12", "--seed", "5"]
    result = mrikit("flat-recon", *words, "full.npy", "out.npy", "--maps-out", "maps.npy", "--json")

    assert result.code == 0
    assert result.json["achieved_accel"] == pytest.approx(4, rel=0.01)
    mask = api.mask((64, 64), 4, kind=kind, acs=12, seed=5)
    kept = api.undersample(simulated().kspace[0], mask)
    assert (mask.ndim == 2) == (kind in ("poisson", "radial"))
    np.testing.assert_allclose(read(tmp_path / "maps.npy")[0], api.espirit(kept, refine=True), atol=1e-6)


def test_lines_along_y(mrikit: Mrikit, recon, tmp_path: Path) -> None:
    mask = api.mask((64, 64), 4, axis="y")
    save(tmp_path / "rows.npy", mask, "mask")
    image = recon("--accel 4 --axis y full.npy")

    np.testing.assert_array_equal(image, recon("--mask rows.npy full.npy"))
    report = mrikit("flat-recon", "--accel", "4", "--axis", "y", "full.npy", "again.npy", "--json").json
    assert report["achieved_accel"] == 4


def test_lines_along_y_are_lines_along_x_of_the_transposed_scan(recon, tmp_path: Path) -> None:
    """At R = 8 every acquired row is central, and the ends of the readout, which is x, tell the noise."""
    scan = simulated(64, 4, 2)
    turned = np.ascontiguousarray(scan.kspace[:1].swapaxes(-1, -2))
    save(tmp_path / "turned.npy", turned, "kspace")
    save(tmp_path / "maps.npy", scan.maps[:1], "maps")
    save(tmp_path / "turned_maps.npy", np.ascontiguousarray(scan.maps[:1].swapaxes(-1, -2)), "maps")
    along_x = recon("--accel 8 --maps maps.npy full.npy")
    along_y = recon("--accel 8 --axis y --maps turned_maps.npy turned.npy")

    assert relative(along_y.swapaxes(-1, -2), along_x) < 1e-3


def test_slices_may_be_sampled_in_different_ways(mrikit: Mrikit, recon, tmp_path: Path) -> None:
    kspace = simulated().kspace
    masks = [api.mask((64, 64), 4, seed=1), api.mask((64, 64), 3, kind="poisson", seed=2)]
    both = [api.undersample(k, mask) for k, mask in zip(kspace, masks, strict=True)]
    save(tmp_path / "mixed.npy", np.stack(both), "kspace")
    image = recon("mixed.npy", shape=(2, 64, 64))

    for i, kept in enumerate(both):
        np.testing.assert_array_equal(image[i], api.flat_recon(kept))


# maps


def test_maps_of_ones_own_are_used(recon, tmp_path: Path) -> None:
    maps = simulated().maps[:1]
    save(tmp_path / "maps.npy", maps, "maps")
    image = recon("--accel 4 --maps maps.npy full.npy")

    np.testing.assert_array_equal(image[0], api.flat_recon(simulated().kspace[0], 4, maps=maps[0]))
    assert relative(image, recon("--accel 4 full.npy")) > 1e-3


def test_maps_come_from_what_was_acquired_and_can_be_kept(recon, tmp_path: Path) -> None:
    image = recon("--accel 4 --maps-out maps.h5 full.npy")

    maps = opened(tmp_path / "maps.h5")
    assert (maps.header.kind, maps.header.geometry) == ("maps", PLACED)
    np.testing.assert_array_equal(
        read(tmp_path / "maps.h5")[0], api.espirit(read(tmp_path / "under.npy")[0], refine=True)
    )
    assert relative(recon("--accel 4 --maps maps.h5 full.npy"), image) < 1e-4
    assert [step["command"][1] for step in history(tmp_path / "maps.h5")] == ["flat-recon"]


def test_maps_out_in_nifti_is_refused_and_neither_file_appears(mrikit: Mrikit, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    result = mrikit("flat-recon", "--accel", "4", "--maps-out", "maps.nii", "full.npy", "out.npy")

    refused(result, 2, "maps.nii: maps with axes slice, coil, y, x has no place in NIfTI")
    assert sorted(tmp_path.iterdir()) == before


def test_two_sets_of_maps_are_refused(mrikit: Mrikit) -> None:
    assert mrikit("espirit", "--sets", "2", "full.npy", "sets.npy").code == 0
    refused(
        mrikit("flat-recon", "--maps", "sets.npy", "full.npy", "out.npy"), 65,
        "full.npy, sets.npy: flat-recon takes one set of maps, these are 2",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((1, 4, 32, 64), "maps: the matrix is 32 x 64 (y x x), but k-space has 64 x 64"),
        ((1, 3, 64, 64), "maps have 3 coils, k-space has 4"),
        ((2, 4, 64, 64), "slice axis has length 2, but full.npy has 1 slices"),
    ],
)
def test_maps_of_another_scan_are_refused_with_both_sizes(
    mrikit: Mrikit, tmp_path: Path, shape: tuple[int, ...], text: str
) -> None:
    save(tmp_path / "others.npy", np.ones(shape, np.complex64), "maps")
    result = mrikit("flat-recon", "--accel", "4", "--maps", "others.npy", "full.npy", "out.npy")

    refused(result, 65, "others.npy", "full.npy", text)


# shapes


@pytest.mark.parametrize("coils", [1, 32])
def test_one_coil_and_many(mrikit: Mrikit, tmp_path: Path, coils: int) -> None:
    save(tmp_path / "scan.npy", simulated(64, coils, 1).kspace, "kspace")
    result = mrikit("flat-recon", "--accel", "3", "scan.npy", "out.npy", "--maps-out", "maps.npy")

    assert result.code == 0
    assert read(tmp_path / "out.npy").shape == (1, 64, 64)
    assert read(tmp_path / "maps.npy").shape == (1, coils, 64, 64)


@pytest.mark.parametrize("matrix", [(45, 64), (64, 45), (51, 57), (96, 40)])
@pytest.mark.parametrize("axis", ["x", "y"])
def test_odd_and_oblong_matrices(mrikit: Mrikit, tmp_path: Path, matrix: tuple[int, int], axis: str) -> None:
    save(tmp_path / "scan.npy", simulated(matrix, 3, 1).kspace, "kspace")
    words = ["--accel", "2.5", "--axis", axis]
    assert mrikit("flat-recon", *words, "scan.npy", "out.npy", "--quiet").code == 0

    expected = api.flat_recon(simulated(matrix, 3, 1).kspace[0], 2.5, axis=axis)
    np.testing.assert_array_equal(read(tmp_path / "out.npy")[0], expected)


def test_a_scan_a_thousand_times_larger_gives_an_image_a_thousand_times_larger(recon, tmp_path: Path) -> None:
    save(tmp_path / "large.npy", simulated().kspace[:1] * np.float32(1024), "kspace")

    assert relative(recon("--accel 4 large.npy") / 1024, recon("--accel 4 full.npy")) < 1e-4


# what is said


def test_json_has_the_facts(mrikit: Mrikit, tmp_path: Path) -> None:
    result = mrikit("flat-recon", "--accel", "3.9", "full.npy", "out.nii", "--json")

    assert (result.code, result.stderr) == (0, "")
    report = result.json
    assert report.pop("seconds") > 0
    (scale,) = report.pop("scale")
    assert scale > 0
    times, residuals = report.pop("times"), report.pop("residuals")
    assert report.pop("residuals_per_slice") == [residuals]
    assert report == {
        "command": "flat-recon",
        "version": api.__version__,
        "requested_accel": 3.9,
        "achieved_accel": 4.0,
        "model": "flat-small",
        "outputs": [{"file": "out.nii", "kind": "image", "shape": [1, 64, 64], "dtype": "float32"}],
        "device": "cpu",
    }
    (step,) = history(tmp_path / "out.nii")
    facts = {"requested_accel": 3.9, "achieved_accel": 4.0, "model": "flat-small", "scale": [scale]}
    facts |= {"times": times, "residuals": residuals, "residuals_per_slice": [residuals]}
    assert step["facts"] == facts


def test_people_are_told_what_was_asked_for_and_what_was_achieved(mrikit: Mrikit) -> None:
    result = mrikit("flat-recon", "--accel", "3.9", "full.npy", "out.nii")

    told = r"mrikit flat-recon: R = 4 \(asked for 3.9\), model flat-small, cpu, \d+\.\d s\n"
    assert re.fullmatch(told, result.stderr)


def test_an_undersampled_scan_has_an_achieved_acceleration_only(mrikit: Mrikit) -> None:
    report = mrikit("flat-recon", "under.npy", "out.npy", "--json").json

    assert (report["requested_accel"], report["achieved_accel"]) == (None, 4)


# the trajectory


@pytest.mark.parametrize("name", ["states.npy", "states.h5", "states.cfl", "states.nii"])
def test_the_trajectory_starts_where_the_network_does_and_ends_in_the_image(
    mrikit: Mrikit, tmp_path: Path, name: str
) -> None:
    save(tmp_path / "both.npy", simulated().kspace, "kspace", geometry=PLACED)
    words = ["--accel", "4", "--trajectory", name, "--part", "complex", "both.npy", "out.npy"]
    assert mrikit("flat-recon", *words).code == 0

    reader = opened(tmp_path / name)
    n_states = load_model("flat-small").config.n_unrolls + 1
    assert (reader.header.kind, reader.header.axes) == ("states", ("slice", "state", "y", "x"))
    assert (reader.header.shape, reader.header.geometry) == ((2, n_states, 64, 64), PLACED)
    states, image = read(tmp_path / name), read(tmp_path / "out.npy")
    np.testing.assert_array_equal(states[:, -1], image)
    kept = api.undersample(simulated().kspace[0], read(tmp_path / "mask.npy"))
    scan = standardise(kept, api.espirit(kept, refine=True), read(tmp_path / "mask.npy"))
    _, start = load_model("flat-small").start(collate([scan]))
    assert relative(states[0, 0], start[0].numpy() * scan.scale) < 1e-3
    assert [step["command"][1] for step in history(tmp_path / name)] == ["flat-recon"]


def test_the_states_of_lines_along_y_lie_as_the_image_does(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "oblong.npy", simulated((51, 57), 3, 1).kspace, "kspace")
    words = ["--accel", "2.5", "--axis", "y", "--trajectory", "states.npy", "oblong.npy", "out.npy"]
    assert mrikit("flat-recon", *words).code == 0

    np.testing.assert_array_equal(read(tmp_path / "states.npy")[:, -1], read(tmp_path / "out.npy"))


@pytest.mark.parametrize("words", ["--mask mask.npy", "--accel 4 --mask-kind poisson", "--accel 4 --axis y"])
def test_json_has_every_states_residual_and_time(mrikit: Mrikit, tmp_path: Path, words: str) -> None:
    """||A x - y|| / ||y|| of the states as they are written, with the maps as they are written."""
    save(tmp_path / "both.npy", simulated().kspace, "kspace")
    outputs = ["--trajectory", "states.npy", "--maps-out", "maps.npy", "both.npy", "out.npy"]
    report = mrikit("flat-recon", *words.split(), *outputs, "--json").json

    states, maps = read(tmp_path / "states.npy"), read(tmp_path / "maps.npy")
    assert report["times"] == load_model("flat-small").times
    for i, found in enumerate(report["residuals_per_slice"]):
        kind = {"kind": "poisson"} if "poisson" in words else {"axis": "y"} if "--axis" in words else {}
        mask = api.mask((64, 64), 4, **kind)
        y = simulated().kspace[i] * mask
        expected = [np.linalg.norm(Sense(maps[i], mask).forward(x) - y) / np.linalg.norm(y) for x in states[i]]
        assert found == pytest.approx(expected, rel=1e-3)
    assert report["residuals"] == pytest.approx(np.mean(report["residuals_per_slice"], axis=0))


def test_the_trajectory_goes_on_through_a_pipe(shell: Shell, tmp_path: Path) -> None:
    save(tmp_path / "truth.npy", simulated().image[:1], "image")
    result = shell(
        "mrikit flat-recon --accel 4 --quiet --trajectory - full.npy out.npy | mrikit metrics --json truth.npy -"
    )

    assert (result.code, result.stderr) == (0, "")
    assert len(result.json["metrics"]["-"]) == load_model("flat-small").config.n_unrolls + 1


def test_nothing_is_measured_that_nobody_asked_for(mrikit: Mrikit, tmp_path: Path) -> None:
    assert mrikit("flat-recon", "--accel", "4", "full.npy", "out.npy").code == 0
    (step,) = history(tmp_path / "out.npy")
    assert "residuals" not in step["facts"]


# weights


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of the default weights, to be damaged."""
    (tmp_path / "models").mkdir()
    for suffix in (".safetensors", ".json"):
        shutil.copy(weights.find("flat-small").with_suffix(suffix), tmp_path / "models" / f"own{suffix}")
    return tmp_path / "models" / "own.safetensors"


def test_a_weights_file_is_as_good_as_a_name_and_the_history_keeps_no_folder(
    mrikit: Mrikit, recon, model: Path, tmp_path: Path
) -> None:
    np.testing.assert_array_equal(recon(f"--accel 4 --model {model} full.npy"), recon("--accel 4 full.npy"))
    assert mrikit("flat-recon", "--accel", "4", "--model", model, "full.npy", "own.npy").code == 0
    (step,) = history(tmp_path / "own.npy")
    assert step["facts"]["model"] == "own.safetensors"
    assert str(tmp_path) not in json.dumps(step)


def test_an_unknown_model_is_missing_and_the_known_are_listed(mrikit: Mrikit, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    result = mrikit("flat-recon", "--model", "flat-tiny", "full.npy", "out.npy")

    refused(result, 66, "mrikit flat-recon: flat-tiny: there is no such file", "flat-small")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["own.pt", "own.pth", "own.ckpt", "own.pkl", "own.pickle", "own.bin"])
def test_a_pickle_is_refused_unopened(mrikit: Mrikit, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    refused(mrikit("flat-recon", "--model", name, "full.npy", "out.npy"), 77, name, "pickle")
    assert not (tmp_path / "owned").exists()


def test_a_pickle_by_another_name_is_no_weights(mrikit: Mrikit, model: Path, tmp_path: Path) -> None:
    model.write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    refused(mrikit("flat-recon", "--model", model, "full.npy", "out.npy"), 65, "own.safetensors")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("keep", [0, 7, 100, 5000, -1])
def test_truncated_weights_are_bad_data(mrikit: Mrikit, model: Path, keep: int) -> None:
    model.write_bytes(model.read_bytes()[:keep])
    refused(
        mrikit("flat-recon", "--model", model, "full.npy", "out.npy"), 65,
        "own.safetensors: not a safetensors file, or one cut short",
    )  # fmt: skip


def test_weights_that_are_not_those_of_their_card_are_unsafe(mrikit: Mrikit, model: Path) -> None:
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    refused(mrikit("flat-recon", "--model", model, "full.npy", "out.npy"), 77, "own.safetensors", "card")


@pytest.mark.parametrize("kept", [("architecture", "config", "sha256"), ()])  # a newer card may have other fields
def test_weights_of_a_newer_format_are_refused_with_the_remedy(
    mrikit: Mrikit, model: Path, kept: tuple[str, ...]
) -> None:
    card = model.with_suffix(".json")
    content = json.loads(card.read_text())
    card.write_text(json.dumps({name: content[name] for name in kept} | {"format": 99}))
    result = mrikit("flat-recon", "--model", model, "full.npy", "out.npy")

    refused(result, 65, "own.json: weights of format 99", "install a newer mrikit")


@pytest.mark.parametrize(
    "change",
    [
        {"format": "new"},
        {"format": None},
        {"architecture": "unet"},
        {"architecture": None},
        {"config": []},
        {"config": None},
        {"sha256": 3},
    ],
)
def test_a_card_that_is_none_is_bad_data(mrikit: Mrikit, model: Path, change: dict[str, object]) -> None:
    card = model.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | change))
    result = mrikit("flat-recon", "--model", model, "full.npy", "out.npy")

    assert result.code in (65, 77), result.stderr
    assert result.stderr.count("\n") == 1 and "own." in result.stderr


@pytest.mark.parametrize(
    "change",
    [
        {"layers": 3},
        {"features": 7},
        {"features": "many"},
        {"levels": 0},
        {"n_unrolls": 2.5},
        {"n_unrolls": 0},
        {"levels": -1},
        {"n_cg": "many"},
        {"n_cg": -1},
        {"n_start": None},
        {"n_least_squares": 0},
        {"mode": "x"},
        {"shared": 3},
        {"schedule_power": 1e9},
    ],
)
def test_a_configuration_that_cannot_be_is_bad_data(mrikit: Mrikit, model: Path, change: dict[str, object]) -> None:
    card = model.with_suffix(".json")
    content = json.loads(card.read_text())
    card.write_text(json.dumps(content | {"config": content["config"] | change}))
    result = mrikit("flat-recon", "--model", model, "full.npy", "out.npy")

    assert result.code in (65, 77), result.stderr
    assert result.stderr.count("\n") == 1 and "own." in result.stderr


@pytest.mark.parametrize("keep", [0, 1, 300])
def test_a_card_cut_short_is_bad_data(mrikit: Mrikit, model: Path, keep: int) -> None:
    card = model.with_suffix(".json")
    card.write_text(card.read_text()[:keep])
    refused(mrikit("flat-recon", "--model", model, "full.npy", "out.npy"), 65, "own.json: this card is not JSON")


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_a_folder_is_no_weights(mrikit: Mrikit, model: Path, suffix: str) -> None:
    model.with_suffix(suffix).unlink()
    model.with_suffix(suffix).mkdir()
    result = mrikit("flat-recon", "--model", model, "full.npy", "out.npy")

    refused(result, 66, f"own{suffix}: Is a directory")


def test_a_header_that_claims_more_than_there_is_is_bad_data(mrikit: Mrikit, model: Path) -> None:
    model.write_bytes((2**62).to_bytes(8, "little") + model.read_bytes()[8:])
    refused(
        mrikit("flat-recon", "--model", model, "full.npy", "out.npy"), 65,
        "own.safetensors: not a safetensors file, or one cut short",
    )  # fmt: skip


def test_weights_without_their_card_are_missing_something(mrikit: Mrikit, model: Path) -> None:
    model.with_suffix(".json").unlink()
    refused(mrikit("flat-recon", "--model", model, "full.npy", "out.npy"), 66, "its card own.json is missing")


def test_samples_on_padded_edges_do_not_count(mrikit: Mrikit, tmp_path: Path) -> None:
    """fastMRI's scans can have empty columns at both ends; the acceleration is that of the whole matrix."""
    kspace = simulated(64, 4, 1).kspace.copy()
    kspace[..., :8] = kspace[..., -8:] = 0
    save(tmp_path / "padded.npy", kspace, "kspace")
    report = mrikit("flat-recon", "--json", "--accel", "4", "padded.npy", "out.npy").json
    assert report["achieved_accel"] == 4


def test_a_mask_with_nan_is_bad_data(mrikit: Mrikit, tmp_path: Path) -> None:
    np.save(tmp_path / "nan.npy", np.where(read(tmp_path / "mask.npy"), 1, np.nan))
    result = mrikit("flat-recon", "--mask", "nan.npy", "full.npy", "out.npy")
    assert (result.code, (tmp_path / "out.npy").exists()) == (65, False)
    assert "nan.npy: the mask has NaN or infinity" in result.stderr


def test_maps_may_be_of_any_scale(recon, mrikit: Mrikit, tmp_path: Path) -> None:
    assert mrikit("espirit", "full.npy", "maps.npy").code == 0
    maps = read(tmp_path / "maps.npy")
    save(tmp_path / "louder.npy", 10 * maps, "maps")
    images = [recon(f"--accel 4 --maps {name} full.npy") for name in ("maps.npy", "louder.npy")]
    assert relative(images[1], images[0]) < 1e-4


@pytest.mark.parametrize("model", ["score-small", "policy-128", "unheard-of"])
def test_models_that_would_do_are_named_for_one_that_does_not(mrikit: Mrikit, model: str) -> None:
    result = mrikit("flat-recon", "--accel", "4", "--model", model, "full.npy", "out.npy")
    assert result.code == (66 if model == "unheard-of" else 65)
    assert "are flat-medium, flat-small, modl, varnet-small)" in result.stderr


# the function


def test_the_function_takes_numbers_of_double_precision_and_masks_of_any_type() -> None:
    kspace, mask = simulated().kspace[:1], api.mask((64, 64), 4)
    numbers = mask.astype(np.uint8)
    numbers[28:36] += 1
    expected = api.flat_recon(kspace, mask=mask)
    maps = api.espirit(api.undersample(kspace, mask), refine=True).astype(np.complex128)
    assert np.array_equal(api.flat_recon(kspace, mask=numbers), expected)
    assert np.array_equal(api.flat_recon(kspace.astype(np.complex128), mask=mask.astype(np.float32)), expected)
    assert relative(api.flat_recon(kspace, mask=mask, maps=maps), expected) < 1e-4


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"accel": 0.5}, "an acceleration is a number from 1 up"),
        ({"accel": 4, "adapt": -5}, "adapt is a number of steps from 0 up"),
        ({"accel": 4, "device": "gpu"}, "expected auto, cpu, cuda"),
    ],
)
def test_the_function_refuses_what_the_command_does(options: dict[str, object], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        api.flat_recon(simulated().kspace[:1], **options)


def test_the_function_finds_nan() -> None:
    kspace = simulated().kspace[:1].copy()
    kspace[0, 0, 3, 5] = np.nan
    with pytest.raises(DataError, match="k-space has NaN or infinity"):
        api.flat_recon(kspace, accel=4)
