"""mrikit espirit, mvue, whiten and compress: what their options do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import nibabel
import numpy as np
import pytest
from scans import PLACED, read, save, simulated

import mrikit as api

if TYPE_CHECKING:
    from running import Mrikit


@pytest.fixture(autouse=True)
def scan(tmp_path: Path) -> Path:
    """scan.h5: one slice, four coils."""
    return save(tmp_path / "scan.h5", simulated().kspace[:1], "kspace", geometry=PLACED)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


# espirit


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("--calib 20", {"calib": 20}),
        ("--calib 20,16", {"calib": (20, 16)}),
        ("--calib auto --kernel 5", {"kernel": 5}),
        ("--threshold 0.02 --crop 0", {"threshold": 0.02, "crop": 0.0}),
        ("--sets 2", {"sets": 2}),
    ],
)
def test_espirits_options_are_the_librarys(
    mrikit: Mrikit, tmp_path: Path, words: str, options: dict[str, object]
) -> None:
    assert mrikit("espirit", *words.split(), "scan.h5", "maps.npy").code == 0

    expected = api.espirit(simulated().kspace[0], **options)
    np.testing.assert_allclose(read(tmp_path / "maps.npy")[0], expected, atol=1e-6)


def test_a_calibration_region_too_small_is_refused_with_both_sizes(mrikit: Mrikit, tmp_path: Path) -> None:
    result = mrikit("espirit", "--calib", "7", "scan.h5", "maps.npy")

    assert (result.code, result.stderr.count("\n")) == (65, 1)
    assert "mrikit espirit: scan.h5: the calibration region is 7 x 7 (y x x)" in result.stderr
    assert "needs 8 x 8" in result.stderr
    assert not (tmp_path / "maps.npy").exists()


@pytest.mark.parametrize("calib", ["0", "-3", "24,", "1,2,3", "many", ""])
def test_a_calib_that_is_none_is_a_usage_error(mrikit: Mrikit, calib: str) -> None:
    result = mrikit("espirit", f"--calib={calib}", "scan.h5", "maps.npy")

    assert (result.code, result.stderr.count("\n")) == (2, 1)
    assert "is not auto or one number or two, as in 24,48" in result.stderr


def test_more_sets_than_coils_are_a_usage_error(mrikit: Mrikit) -> None:
    result = mrikit("espirit", "--sets", "5", "scan.h5", "maps.npy")

    assert (result.code, result.stderr) == (
        2, "mrikit espirit: --sets 5: there are 4 coils, so 1 to 4 sets of maps\n"
    )  # fmt: skip


# mvue


def test_mvue_with_the_true_maps_is_the_object_up_to_their_norm(mrikit: Mrikit, tmp_path: Path) -> None:
    truth = simulated()
    save(tmp_path / "maps.npy", truth.maps[:1], "maps")
    assert mrikit("mvue", "scan.h5", "maps.npy", "image.npy").code == 0

    expected = truth.image[:1] * np.sqrt((np.abs(truth.maps[:1]) ** 2).sum(axis=1))
    assert relative(read(tmp_path / "image.npy"), expected) < 0.05  # the noise of the scan


def test_every_set_of_maps_gives_an_image(mrikit: Mrikit, tmp_path: Path) -> None:
    assert mrikit("espirit", "--sets", "2", "scan.h5", "maps.npy").code == 0
    assert mrikit("mvue", "scan.h5", "maps.npy", "image.npy").code == 0
    assert mrikit("mvue", "scan.h5", "maps.npy", "image.nii").code == 0

    image = read(tmp_path / "image.npy")
    assert image.shape == (1, 2, 64, 64)
    nifti = np.asanyarray(nibabel.load(tmp_path / "image.nii").dataobj)  # x, y, slice, set
    np.testing.assert_array_equal(nifti[:, :, 0].transpose(2, 1, 0), np.abs(image[0]))


@pytest.mark.parametrize("part", ["mag", "phase", "real", "imag", "complex"])
@pytest.mark.parametrize("suffix", ["npy", "nii", "h5", "cfl"])
def test_part_chooses_in_every_format(mrikit: Mrikit, tmp_path: Path, part: str, suffix: str) -> None:
    truth = simulated()
    save(tmp_path / "maps.npy", truth.maps[:1], "maps")
    assert mrikit("mvue", "scan.h5", "maps.npy", f"image.{suffix}", "--part", part).code == 0

    image = api.mvue(truth.kspace[:1], truth.maps[:1])
    parts = {"mag": np.abs, "phase": np.angle, "real": np.real, "imag": np.imag, "complex": np.asarray}
    found = read(tmp_path / f"image.{suffix}")
    assert found.dtype == (np.complex64 if part == "complex" else np.float32)
    np.testing.assert_allclose(found, parts[part](image), rtol=1e-5, atol=1e-6)


def test_maps_that_are_zero_everywhere_give_a_result_that_fails_its_check(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "maps.npy", np.zeros((1, 4, 64, 64), np.complex64), "maps")
    result = mrikit("mvue", "scan.h5", "maps.npy", "image.nii")

    assert result.code == 1
    assert "image.nii: slice 0 of the result is zero everywhere" in result.stderr
    assert not (tmp_path / "image.nii").exists()


# whiten


def noise(n_coils: int, n: int, mixing: np.ndarray, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    white = rng.standard_normal((n_coils, n)) + 1j * rng.standard_normal((n_coils, n))
    return (mixing @ white / np.sqrt(2)).astype(np.complex64)


def test_whitened_noise_is_uncorrelated_and_of_unit_variance(mrikit: Mrikit, tmp_path: Path) -> None:
    mixing = np.random.default_rng(1).standard_normal((4, 4)) + 2 * np.eye(4)
    save(tmp_path / "noise.npy", noise(4, 20_000, mixing, seed=1), "noise")
    save(tmp_path / "only_noise.npy", noise(4, 64 * 64, mixing, seed=2).reshape(1, 4, 64, 64), "kspace")
    assert mrikit("whiten", "--noise", "noise.npy", "only_noise.npy", "white.npy").code == 0

    white = read(tmp_path / "white.npy")[0].reshape(4, -1)
    np.testing.assert_allclose(white @ white.conj().T / white.shape[1], np.eye(4), atol=0.08)


def test_a_noise_scan_of_other_coils_is_refused_with_both_numbers(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "noise.npy", noise(3, 100, np.eye(3)), "noise")
    result = mrikit("whiten", "--noise", "noise.npy", "scan.h5", "white.h5")

    assert result.code == 65
    assert result.stderr == "mrikit whiten: noise.npy, scan.h5: noise has 3 coils, k-space has 4\n"


def test_coils_that_are_copies_cannot_be_whitened_and_the_hint_says_what_can(mrikit: Mrikit, tmp_path: Path) -> None:
    kspace = simulated().kspace[:1].copy()
    kspace[:, 3] = kspace[:, 0]
    save(tmp_path / "copies.npy", kspace, "kspace")
    result = mrikit("whiten", "copies.npy", "white.npy")

    assert (result.code, result.stderr.count("\n")) == (65, 1)
    assert result.stderr.startswith("mrikit whiten: copies.npy: the noise covariance is singular")
    assert "hint: reduce them first with `mrikit compress" in result.stderr
    assert mrikit("compress", "--coils", "3", "copies.npy", "fewer.npy").code == 0
    assert mrikit("whiten", "fewer.npy", "white.npy").code == 0


@pytest.mark.parametrize("words", ["espirit --threshold nan", "espirit --crop nan", "pics --lambda inf scan.h5"])
def test_what_is_no_number_is_no_option(mrikit: Mrikit, tmp_path: Path, words: str) -> None:
    result = mrikit(*words.split(), "scan.h5", "out.npy")
    assert (result.code, "is not a finite number" in result.stderr) == (2, True)
    assert not (tmp_path / "out.npy").exists()


# compress


def test_eight_coils_are_kept_or_all_there_are(mrikit: Mrikit, tmp_path: Path) -> None:
    for coils in (4, 10):
        save(tmp_path / f"{coils}.npy", simulated((32, 32), coils=coils).kspace[:1], "kspace")
        assert mrikit("compress", f"{coils}.npy", f"fewer_{coils}.npy").code == 0
        assert read(tmp_path / f"fewer_{coils}.npy").shape == (1, min(8, coils), 32, 32)


def test_as_many_virtual_coils_hold_everything(mrikit: Mrikit, tmp_path: Path) -> None:
    assert mrikit("compress", "--coils", "4", "scan.h5", "all.h5").code == 0
    for name in ("scan", "all"):
        assert mrikit("rss", f"{name}.h5", f"{name}.npy").code == 0

    assert relative(read(tmp_path / "all.npy"), read(tmp_path / "scan.npy")) < 1e-5


def test_fewer_virtual_coils_hold_more_energy_than_as_many_real_ones(mrikit: Mrikit, tmp_path: Path) -> None:
    assert mrikit("compress", "--coils", "2", "scan.h5", "two.h5").code == 0

    energies = np.sort((np.abs(simulated().kspace[0]) ** 2).sum(axis=(1, 2)))
    assert (np.abs(read(tmp_path / "two.h5")) ** 2).sum() > energies[-2:].sum()


def test_more_virtual_coils_than_there_are_is_a_usage_error(mrikit: Mrikit, tmp_path: Path) -> None:
    result = mrikit("compress", "--coils", "5", "scan.h5", "more.h5")

    assert (result.code, result.stderr.count("\n")) == (2, 1)
    assert "--coils 5" in result.stderr and "has 4 coils" in result.stderr
    assert not (tmp_path / "more.h5").exists()
