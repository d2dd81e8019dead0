"""mrikit info and mrikit convert."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from running import Mrikit, Shell
from scans import PLACED, read, save

from mrikit.io import Header, open_reader, open_writer
from mrikit.physics.masks import mask
from mrikit.physics.sampling import centre, undersample


def test_info_tells_shape_sampling_and_history(mrikit: Mrikit, kspace: np.ndarray, tmp_path: Path) -> None:
    kspace[..., [0, 2, 9]] = 0  # of 12 columns; 3 to 8 are left around the centre, 6
    np.save(tmp_path / "bare.npy", kspace)
    assert mrikit("convert", "bare.npy", "scan.h5", "--kind", "kspace").code == 0
    text = mrikit("info", "scan.h5").text

    assert text.startswith("scan.h5\n")
    for line in (
        "kind        kspace",
        "shape       3 slice x 4 coil x 15 y x 12 x",
        "voxel       unknown",
        "sampling    9 of 12 lines along x, acceleration 1.33",
        "calibration 15 y x 6 x, fully sampled at the centre",
        "history     mrikit convert bare.npy scan.h5 --kind kspace",
    ):
        assert f"\n  {line}\n" in text + "\n"


def test_info_finds_the_calibration_region_that_espirit_uses(mrikit: Mrikit, tmp_path: Path) -> None:
    """Lines whose readout is zero-padded at both ends: the padding calibrates nothing."""
    kspace = np.ones((1, 2, 24, 16), np.complex64)
    kspace[:, :, :4] = kspace[:, :, 20:] = 0
    kspace[..., [1, 13]] = 0
    np.save(tmp_path / "padded.npy", kspace)
    facts = mrikit("info", "padded.npy", "--json").json["sampling"]

    assert (facts["pattern"], facts["calibration_yx"]) == ("lines", [16, 10])


def test_info_as_json(mrikit: Mrikit, scan: Path) -> None:
    facts = mrikit("info", "scan.npy", "--json").json

    assert facts["kind"] == "kspace"
    assert facts["axes"] == ["slice", "coil", "y", "x"]
    assert facts["shape"] == [3, 4, 15, 12]
    assert facts["sampling"]["accel"] == 1.0
    assert facts["sampling"]["pattern"] == "full"
    assert facts["not_finite"] == 0


def test_info_names_empty_slices(mrikit: Mrikit, kspace: np.ndarray, tmp_path: Path) -> None:
    kspace[1:] = 0
    np.save(tmp_path / "empty.npy", kspace)
    assert "\n  empty       slices 1, 2 are zero everywhere\n" in mrikit("info", "empty.npy").text


@pytest.mark.parametrize("pipe", [False, True])
@pytest.mark.parametrize(("slices", "chosen"), [("1:8:3", [1, 4, 7]), ("2", [2]), ("6,0,3", [0, 3, 6])])
def test_convert_keeps_slices_where_they_were(
    mrikit: Mrikit, tmp_path: Path, slices: str, chosen: list[int], pipe: bool
) -> None:
    array = np.arange(9 * 6 * 5, dtype=np.float32).reshape(9, 6, 5)
    whole = save(tmp_path / "image.nii", array, "image", geometry=PLACED)
    if pipe:
        assert mrikit("convert", "image.nii", "stream.npy").code == 0
        done = mrikit("convert", "--slices", slices, "-", "some.nii", stdin=(tmp_path / "stream.npy").read_bytes())
    else:
        done = mrikit("convert", "--slices", slices, "image.nii", "some.nii")
    assert done.code == 0, done.stderr
    np.testing.assert_array_equal(read(tmp_path / "some.nii"), array[chosen])
    before, after = nibabel.load(whole).affine, nibabel.load(tmp_path / "some.nii").affine
    for k, i in enumerate(chosen):
        np.testing.assert_allclose(after @ [2, 3, k, 1], before @ [2, 3, i, 1], rtol=1e-6)


def test_slices_here_and_there_lie_nobody_knows_where(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "image.h5", np.ones((9, 6, 5), np.float32), "image", geometry=PLACED)
    assert mrikit("convert", "--slices", "0,1,5", "image.h5", "some.h5").code == 0
    facts = mrikit("info", "some.h5", "--json").json
    assert facts["shape"] == [3, 6, 5] and facts["geometry"]["affine"] is None
    save(tmp_path / "mask.npy", np.ones(8, bool), "mask")
    for words, says in ((["9", "image.h5"], "image.h5 has 9, numbered 0 to 8"), (["0", "mask.npy"], "has no slices")):
        result = mrikit("convert", "--slices", *words, "no.npy")
        assert (result.code, result.stderr.count("\n")) == (2, 1) and says in result.stderr


def test_masks_beside_kspace_are_picked_with_its_slices(mrikit: Mrikit, kspace: np.ndarray, tmp_path: Path) -> None:
    masks = np.random.default_rng(0).random((3, 1, 12)) < 0.7
    save(tmp_path / "scan.h5", np.where(masks[:, None], kspace, 0), "kspace", mask=masks)
    assert mrikit("convert", "--slices", "0,2", "scan.h5", "some.h5").code == 0
    with open_reader(tmp_path / "some.h5") as reader:
        np.testing.assert_array_equal(reader.header.mask, masks[[0, 2]])


def test_info_finds_damage_and_says_so(mrikit: Mrikit, kspace: np.ndarray, tmp_path: Path) -> None:
    kspace[1, 2, 3, 4:6] = np.nan
    np.save(tmp_path / "bad.npy", kspace)
    result = mrikit("info", "bad.npy")

    assert result.code == 0
    assert "damage      2 values are NaN or infinity" in result.text
    assert "warning: bad.npy: does not name its axes; read as kspace" in result.stderr


def test_info_of_a_mask_counts_its_samples(mrikit: Mrikit, tmp_path: Path) -> None:
    mask = np.zeros((8, 8), bool)
    mask[2:6, 2:6] = True
    with open_writer(tmp_path / "mask.npy", Header("mask", ("y", "x"), mask.shape, mask.dtype)) as writer:
        writer.write(mask)
        writer.finish()
    text = mrikit("info", "mask.npy").text

    assert "16 of 64 points, acceleration 4.00" in text
    assert "4 y x 4 x, fully sampled at the centre" in text


@pytest.mark.parametrize("axis", ["x", "y"])
def test_info_of_an_asymmetric_echo_counts_lines(mrikit: Mrikit, tmp_path: Path, axis: str) -> None:
    kspace = np.ones((1, 2, 96, 96), np.complex64)
    kspace[..., :24, :] = 0
    kspace = undersample(kspace, mask(96, 4))
    save(tmp_path / "echo.npy", kspace if axis == "x" else kspace.swapaxes(-1, -2).copy(), "kspace")
    facts = mrikit("info", "--json", "echo.npy").json["sampling"]
    assert (facts["pattern"], facts["along"], facts["accel"]) == ("lines", axis, 4.0)
    assert f"24 of 96 lines along {axis}, acceleration 4.00" in mrikit("info", "echo.npy").text


@pytest.mark.parametrize("name", ["copy.npy", "copy.h5", "copy.cfl"])
def test_convert_changes_no_value(mrikit: Mrikit, scan: Path, kspace: np.ndarray, tmp_path: Path, name: str) -> None:
    assert mrikit("convert", "scan.npy", name).code == 0

    with open_reader(tmp_path / name) as reader:
        assert (reader.header.kind, reader.header.axes) == ("kspace", ("slice", "coil", "y", "x"))
        np.testing.assert_array_equal(reader.read(), kspace)


def test_convert_lets_a_pipe_reach_where_hdf5_cannot(
    shell: Shell, scan: Path, kspace: np.ndarray, tmp_path: Path
) -> None:
    assert shell("mrikit convert scan.npy scan.h5 && mrikit convert scan.h5:kspace - | cat > copy.npy").code == 0

    np.testing.assert_array_equal(np.load(tmp_path / "copy.npy"), kspace)


@pytest.mark.parametrize("crop", ["32", "33,20"])
def test_convert_keeps_the_centre_where_it_was(mrikit: Mrikit, tmp_path: Path, crop: str) -> None:
    array = np.random.default_rng(0).standard_normal((2, 64, 48)).astype(np.float32)
    save(tmp_path / "image.nii", array, "image", geometry=PLACED)
    assert mrikit("convert", "--crop", crop, "image.nii", "cropped.nii").code == 0

    n_y, n_x = (int(n) for n in (crop.split(",") * 2)[:2])
    rows, columns = centre(64, n_y), centre(48, n_x)
    whole, cropped = nibabel.load(tmp_path / "image.nii"), nibabel.load(tmp_path / "cropped.nii")
    np.testing.assert_array_equal(read(tmp_path / "cropped.nii"), array[:, rows, columns])
    there = whole.affine @ [columns.start, rows.start, 1, 1]
    np.testing.assert_allclose(cropped.affine @ [0, 0, 1, 1], there, rtol=1e-6)


def test_what_cannot_be_cropped_or_be_a_part(mrikit: Mrikit, scan: Path, tmp_path: Path) -> None:
    save(tmp_path / "image.npy", np.ones((1, 16, 16), np.float32), "image")
    for words, says in (
        (["--crop", "8", scan], "is kspace, and images and maps alone can be cropped"),
        (["--crop", "8,17", "image.npy"], "--crop 8,17: image.npy has 16 x 16 (y x x) alone"),
        (["--part", "mag", scan], "is kspace, which must stay as it is"),
    ):
        result = mrikit("convert", *words, "out.npy")
        assert (result.code, result.stderr.count("\n"), says in result.stderr) == (2, 1, True), result.stderr
        assert not (tmp_path / "out.npy").exists()


def test_convert_copies_even_what_no_reconstruction_would_take(mrikit: Mrikit, tmp_path: Path) -> None:
    np.save(tmp_path / "zero.npy", np.zeros((2, 4, 4), np.float32))

    assert mrikit("convert", "zero.npy", "zero.nii", "--kind", "image").code == 0
