"""mrikit phantom, mask and undersample."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scans import PLACED, history, opened, read, save, simulated

import mrikit as api
from mrikit.io import open_reader
from mrikit.physics.fourier import ifft2c
from mrikit.physics.retrospective import Sampling

if TYPE_CHECKING:
    from running import Mrikit, Shell


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """scan.h5: two slices of 64 x 64, four coils."""
    return save(tmp_path / "scan.h5", simulated().kspace, "kspace", geometry=PLACED)


# phantom


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("--matrix 40 --coils 3", {"matrix": 40, "coils": 3}),
        ("--matrix 33,40 --coils 1 --slices 2", {"matrix": (33, 40), "coils": 1, "slices": 2}),
        (
            "--matrix 32 --anatomy random --seed 5 --noise 0",
            {"matrix": 32, "anatomy": "random", "seed": 5, "noise": 0},
        ),
        ("--matrix 32 --anatomy shepp-logan --coils 32", {"matrix": 32, "anatomy": "shepp-logan", "coils": 32}),
    ],
)
def test_the_phantom_is_the_librarys(mrikit: Mrikit, tmp_path: Path, words: str, options: dict[str, object]) -> None:
    result = mrikit("phantom", *words.split(), "scan.h5")

    assert (result.code, result.stdout, result.stderr) == (0, b"", "")
    np.testing.assert_array_equal(read(tmp_path / "scan.h5"), api.phantom(**options))


def test_a_phantoms_geometry_is_its_field_of_view(mrikit: Mrikit, tmp_path: Path) -> None:
    assert mrikit("phantom", "--matrix", "40,50", "--coils", "2", "scan.npy").code == 0

    assert opened(tmp_path / "scan.npy").header.geometry.voxel == (4.4, 4.4, 5.0)  # 220 mm / 50
    (step,) = history(tmp_path / "scan.npy")
    assert step["command"] == ["mrikit", "phantom", "--matrix", "40,50", "--coils", "2", "scan.npy"]
    assert (step["seed"], step["inputs"]) == (0, {})


def test_a_seed_is_a_phantom(mrikit: Mrikit, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert mrikit("phantom", "--matrix", "32", "--seed", seed, f"{name}.npy").code == 0

    a, b, c = (read(tmp_path / f"{name}.npy") for name in "abc")
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--matrix 4", "at least 8 samples along y and x, not 4 x 4"),
        ("--matrix 0", "'0' is not one number or two, as in 24,48"),
        ("--coils 0", "invalid value for '--coils'"),
        ("--slices 0", "invalid value for '--slices'"),
        ("--noise -1", "invalid value for '--noise'"),
        ("--noise nan", "noise"),
        ("--anatomy liver", "invalid value for '--anatomy'"),
    ],
)
def test_a_phantom_that_cannot_be_is_a_usage_error(mrikit: Mrikit, tmp_path: Path, words: str, text: str) -> None:
    result = mrikit("phantom", *words.split(), "scan.npy")

    assert (result.code, result.stderr.count("\n")) == (2, 1)
    assert text.lower() in result.stderr.lower()
    assert list(tmp_path.iterdir()) == []


# mask


@pytest.mark.parametrize("kind", ["random", "equispaced", "gaussian", "poisson", "radial"])
@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_mask_has_the_acceleration_asked_for_and_says_so(
    mrikit: Mrikit, tmp_path: Path, kind: str, axis: str
) -> None:
    words = ["--shape", "45,64", "--accel", "4", "--kind", kind, "--axis", axis, "--seed", "3"]
    result = mrikit("mask", *words, "mask.npy", "--json")

    mask = read(tmp_path / "mask.npy")
    np.testing.assert_array_equal(mask, api.mask((45, 64), 4, kind=kind, axis=axis, seed=3))
    plane = kind in ("poisson", "radial")
    assert mask.shape == ((64,) if axis == "x" and not plane else (45, 64))
    report = result.json
    assert (report["requested_accel"], report["n_sampled"]) == (4, mask.sum())
    assert report["achieved_accel"] == pytest.approx(mask.size / mask.sum())
    n = mask.size if plane else 64 if axis == "x" else 45
    assert abs(n / report["achieved_accel"] - n / 4) <= 1


def test_a_masks_history_tells_how_it_was_drawn(mrikit: Mrikit, scan: Path, tmp_path: Path) -> None:
    assert mrikit("mask", "--like", "scan.h5", "--accel", "5", "--seed", "7", "mask.npy", "--quiet").code == 0
    (step,) = history(tmp_path / "mask.npy")

    assert step["command"] == [
        "mrikit",
        "mask",
        "--like",
        "scan.h5",
        "--accel",
        "5",
        "--seed",
        "7",
        "mask.npy",
        "--quiet",
    ]
    assert (step["seed"], step["inputs"]) == (7, {})  # the scan lent its matrix alone
    assert step["facts"] == {"requested_accel": 5, "achieved_accel": 64 / 13, "n_sampled": 13}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("", "random: 22 of 180 lines, R = 8.18"),
        ("--axis y", "random: 29 of 230 lines, R = 7.93"),
        ("--kind poisson --axis y", "poisson: 5175 of 41400 samples, R = 8"),
    ],
)
def test_people_are_told_the_acceleration_too(mrikit: Mrikit, words: str, text: str) -> None:
    result = mrikit("mask", "--shape", "230,180", "--accel", "8", *words.split(), "mask.npy")

    assert result.stderr == f"mrikit mask: {text} (asked for 8)\n"


def test_a_scan_lends_a_mask_its_matrix(mrikit: Mrikit, scan: Path, tmp_path: Path) -> None:
    assert mrikit("mask", "--like", "scan.h5", "--accel", "4", "like.npy", "--quiet").code == 0
    assert mrikit("mask", "--shape", "64", "--accel", "4", "shape.npy", "--quiet").code == 0

    np.testing.assert_array_equal(read(tmp_path / "like.npy"), read(tmp_path / "shape.npy"))


@pytest.mark.parametrize("kind", ["random", "equispaced", "poisson"])
def test_like_a_zero_padded_scan_a_mask_keeps_what_a_reconstruction_would(
    mrikit: Mrikit, tmp_path: Path, kind: str
) -> None:
    """Lines of the padding are none: of 64 columns, 50 of which were acquired, R = 4 leaves 16 that were."""
    kspace = simulated().kspace.copy()
    kspace[..., :7] = kspace[..., 57:] = 0
    save(tmp_path / "padded.h5", kspace, "kspace")
    told = mrikit("mask", "--like", "padded.h5", "--accel", "4", "--kind", kind, "--seed", "3", "mask.npy").stderr
    drawn = read(tmp_path / "mask.npy")

    of = "1024 of 4096 samples" if kind == "poisson" else "16 of 64 lines"
    assert told == f"mrikit mask: {kind}: {of}, R = 4 (asked for 4)\n"
    _, seen = Sampling(4, kind, seed=3).keep(kspace[0])
    np.testing.assert_array_equal(drawn, seen)


@pytest.mark.parametrize("given", [(), ("--like", "scan.h5", "--shape", "64")])
def test_the_matrix_comes_from_one_place(mrikit: Mrikit, scan: Path, given: tuple[str, ...]) -> None:
    result = mrikit("mask", *given, "--accel", "4", "mask.npy")

    assert (result.code, result.stderr.count("\n")) == (2, 1)
    assert "give either --like or --shape" in result.stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--accel 0.5", "'--accel'"),
        ("--accel 1000", "R = 1000 on 64 columns leaves nothing (hint: R can be 64 at most)"),
        ("--accel nan", "--accel': nan is not a finite number"),
        ("--accel inf", "inf is not a finite number"),
        ("--accel 4 --acs 20", "--acs 20 needs 20 lines, but R = 4 on 64 columns leaves 16"),
        ("--accel 4 --acs some", "'some' is not auto or a number of lines"),
        ("--accel 4 --kind spiral", "'--kind'"),
        ("--accel 4 --axis z", "'--axis'"),
    ],
)
def test_a_mask_that_cannot_be_is_a_usage_error(mrikit: Mrikit, tmp_path: Path, words: str, text: str) -> None:
    result = mrikit("mask", "--shape", "64", *words.split(), "mask.npy")

    assert (result.code, result.stderr.count("\n")) == (2, 1)
    assert text in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["mask.npy", "mask.h5", "mask.cfl", "mask.nii", "mask.nii.gz"])
def test_masks_live_in_every_format(mrikit: Mrikit, scan: Path, tmp_path: Path, name: str) -> None:
    words = ["mask", "--like", "scan.h5", "--accel", "4", "--kind", "poisson", "--quiet"]
    assert mrikit(*words, name).code == 0
    assert mrikit("undersample", "scan.h5", name, "under.h5", "--quiet").code == 0

    expected = api.mask((64, 64), 4, kind="poisson")
    np.testing.assert_array_equal(read(tmp_path / name).reshape(64, 64), expected)
    np.testing.assert_array_equal(read(tmp_path / "under.h5"), simulated().kspace * expected)


def test_a_mask_of_lines_has_no_place_in_nifti(mrikit: Mrikit, tmp_path: Path) -> None:
    result = mrikit("mask", "--shape", "64", "--accel", "4", "mask.nii")

    assert (result.code, result.stderr.count("\n")) == (2, 1)
    assert "mask.nii: mask with axes x has no place in NIfTI" in result.stderr
    assert list(tmp_path.iterdir()) == []


# undersample


@pytest.mark.parametrize("kind", ["random", "poisson"])
def test_what_the_mask_leaves_out_is_zero_and_the_rest_as_it_was(
    mrikit: Mrikit, scan: Path, tmp_path: Path, kind: str
) -> None:
    assert mrikit("mask", "--like", "scan.h5", "--accel", "4", "--kind", kind, "mask.npy").code == 0
    assert mrikit("undersample", "scan.h5", "mask.npy", "under.h5").code == 0

    under, mask = read(tmp_path / "under.h5"), read(tmp_path / "mask.npy")
    np.testing.assert_array_equal(under, np.where(mask, simulated().kspace, 0))
    sampling = mrikit("info", "under.h5", "--json").json["sampling"]
    assert (sampling["sampled"], sampling["of"]) == (mask.sum(), mask.size)


@pytest.mark.parametrize("kind", ["lines", "points"])
def test_every_slice_can_have_a_mask_of_its_own(mrikit: Mrikit, scan: Path, tmp_path: Path, kind: str) -> None:
    masks = np.stack([api.mask((64, 64), 3, kind=k, seed=1) for k in ("random", "gaussian")])
    if kind == "points":
        masks = np.stack([api.mask((64, 64), 3, kind=k, seed=1) for k in ("poisson", "radial")])
        save(tmp_path / "masks.npy", masks, "mask")
    else:
        from mrikit.io import Header, open_writer

        header = Header("mask", ("slice", "x"), masks.shape, masks.dtype)
        with open_writer(tmp_path / "masks.npy", header) as writer:
            for mask in masks:
                writer.write(mask)
            writer.finish()
    assert mrikit("undersample", "scan.h5", "masks.npy", "under.npy").code == 0

    expected = [np.where(m, k, 0) for m, k in zip(masks, simulated().kspace, strict=True)]
    np.testing.assert_array_equal(read(tmp_path / "under.npy"), expected)


def test_what_was_not_acquired_is_not_said_to_be_left(mrikit: Mrikit, tmp_path: Path) -> None:
    """Of every second line, which the scan has and its file says, a mask of every third keeps every sixth."""
    lines = np.arange(64)
    kspace = np.where(lines % 2 == 0, simulated().kspace, np.complex64(0))
    save(tmp_path / "half.h5", kspace, "kspace", mask=lines % 2 == 0)
    save(tmp_path / "third.npy", lines % 3 == 0, "mask")

    save(tmp_path / "narrow.npy", api.mask((64, 60), 3), "mask")
    result = mrikit("undersample", "half.h5", "narrow.npy", "not.h5")
    assert (result.code, "the mask has 60 samples along x, but k-space has 64" in result.stderr) == (65, True)
    result = mrikit("undersample", "half.h5", "third.npy", "sixth.h5")

    assert (result.code, result.stderr) == (0, "mrikit undersample: R = 5.82\n")  # 64 / 11
    stored = opened(tmp_path / "sixth.h5").header.mask
    np.testing.assert_array_equal(stored.ravel(), lines % 6 == 0)


def test_samples_that_their_own_mask_denies_are_told_of(mrikit: Mrikit, tmp_path: Path) -> None:
    """A file of full k-space may hold a mask that was never applied, and nobody is to take it for applied."""
    lines = np.arange(64) % 4 == 0
    save(tmp_path / "odd.h5", simulated().kspace, "kspace", mask=lines)
    said = "odd.h5: 75% of the samples lie outside the mask stored beside them"
    assert mrikit("rss", "odd.h5", "all.npy", "--json").json["warnings"][0].startswith(said)
    np.testing.assert_array_equal(read(tmp_path / "all.npy"), api.rss(simulated().kspace))

    # What the warning advises, and a mask that the user gives, need none.
    result = mrikit("undersample", "odd.h5", "odd.h5:mask", "under.h5")
    assert (result.code, result.stderr) == (0, "mrikit undersample: R = 4\n")
    assert "warnings" not in mrikit("rss", "under.h5", "some.npy", "--json").json
    np.testing.assert_array_equal(read(tmp_path / "under.h5"), np.where(lines, simulated().kspace, 0))


@pytest.mark.parametrize("how", ["image", "unshifted"])
def test_kspace_whose_centre_is_elsewhere_is_told_of(mrikit: Mrikit, tmp_path: Path, how: str) -> None:
    """Coil images given for k-space, and k-space as np.fft leaves it, reconstruct to something, and to nothing true."""
    kspace = simulated().kspace
    odd = ifft2c(kspace) if how == "image" else np.fft.ifftshift(kspace, axes=(-2, -1))
    save(tmp_path / "odd.npy", odd, "kspace")
    (said,) = mrikit("rss", "odd.npy", "out.npy", "--json").json["warnings"]
    assert said.startswith("odd.npy: the brightest sample is at y ") and "near the centre, 32, 32" in said
    save(tmp_path / "right.npy", kspace, "kspace")
    assert "warnings" not in mrikit("rss", "right.npy", "again.npy", "--json").json


def test_masks_of_their_own_leave_accelerations_of_their_own(mrikit: Mrikit, scan: Path, tmp_path: Path) -> None:
    save(tmp_path / "masks.npy", np.stack([np.tile(np.arange(64) % n == 0, (64, 1)) for n in (2, 4)]), "mask")
    result = mrikit("undersample", "scan.h5", "masks.npy", "under.h5", "--json")
    assert result.json["achieved_accel"] == 2
    assert mrikit("undersample", "scan.h5", "masks.npy", "again.h5").stderr == "mrikit undersample: R = 2 to 4\n"


def test_a_gaussian_mask_whose_centre_is_all_there_is_keeps_all(mrikit: Mrikit, tmp_path: Path) -> None:
    assert mrikit("mask", "--shape", "8,12", "--accel", "1", "--kind", "gaussian", "mask.npy").code == 0
    assert read(tmp_path / "mask.npy").all()


def test_a_mask_goes_straight_from_mask_into_undersample(shell: Shell, scan: Path, tmp_path: Path) -> None:
    line = "mrikit mask --like scan.h5 --accel 4 --quiet - | mrikit undersample scan.h5 - under.h5"
    result = shell(line)

    assert (result.code, result.stderr) == (0, "mrikit undersample: R = 4\n")
    np.testing.assert_array_equal(read(tmp_path / "under.h5"), simulated().kspace * api.mask((64, 64), 4))
    with open_reader(tmp_path / "under.h5:mask") as reader:
        np.testing.assert_array_equal(reader.read(), api.mask((64, 64), 4))
    commands = [step["command"][1] for step in history(tmp_path / "under.h5")]
    assert commands == ["mask", "undersample"]
