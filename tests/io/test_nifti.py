"""NIfTI: orientation and voxel sizes as other programs see them; nothing invented, nothing lost."""

import nibabel
import numpy as np
import pytest
from volumes import AFFINE, PLACED, volume, write

from mrikit.errors import DataError, UsageError
from mrikit.io import Geometry, open_reader


@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
@pytest.mark.parametrize("dtype", ["f4", "c8"])
def test_nibabel_sees_x_y_slice_and_the_affine(tmp_path, suffix, dtype):
    header, array = volume("image", dtype=dtype, geometry=PLACED)
    image = nibabel.load(write(tmp_path / f"a.{suffix}", header, array))
    assert np.array_equal(np.asanyarray(image.dataobj), array.transpose(2, 1, 0))
    for affine, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
        assert code == 1 and np.allclose(affine, AFFINE, atol=1e-6)
    assert np.allclose(image.header.get_zooms(), PLACED.voxel)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_samples_are_the_fourth_dimension(tmp_path):
    header, array = volume("samples")
    for suffix in ("nii", "nii.gz"):
        path = write(tmp_path / f"a.{suffix}", header, array)
        assert np.array_equal(np.asanyarray(nibabel.load(path).dataobj), array.transpose(3, 2, 0, 1))
        with open_reader(path, "samples") as reader:
            assert np.array_equal(reader.read(), array)


def test_a_mask_is_bytes(tmp_path):
    header, array = volume("mask", ("slice", "y", "x"))
    image = nibabel.load(write(tmp_path / "mask.nii.gz", header, array))
    assert image.get_data_dtype() == np.uint8


@pytest.mark.parametrize(
    ("geometry", "codes", "zooms", "unit"),
    [
        (Geometry(), (0, 0), (1, 1, 1), "unknown"),
        (Geometry((1.0, 1.0, 1.0)), (0, 0), (1, 1, 1), "mm"),
        (Geometry((0.5, 0.75, 3.0)), (0, 0), (0.5, 0.75, 3), "mm"),
    ],
)
def test_what_is_not_known_is_not_invented(tmp_path, geometry, codes, zooms, unit):
    header, array = volume("image", geometry=geometry)
    path = write(tmp_path / "a.nii", header, array)
    nii = nibabel.load(path).header
    assert (nii["sform_code"], nii["qform_code"]) == codes
    assert nii.get_zooms() == zooms and nii.get_xyzt_units()[0] == unit
    with open_reader(path) as reader:
        assert reader.header.geometry == geometry


def test_a_coded_affine_without_an_inverse_says_nothing(tmp_path):
    path = write(tmp_path / "a.nii", *volume("image", geometry=PLACED))
    image = nibabel.load(path)
    image.header["srow_x"] = image.header["srow_y"] = image.header["srow_z"] = 0
    nibabel.Nifti1Image(np.asanyarray(image.dataobj), None, image.header).to_filename(tmp_path / "b.nii")
    with open_reader(tmp_path / "b.nii") as reader:
        assert reader.header.geometry == Geometry(PLACED.voxel)


def test_a_shear_is_left_to_the_sform(tmp_path):
    sheared = (*AFFINE[:2], (0.5, 0.0, 3.0, 5.0), AFFINE[3])
    path = write(tmp_path / "a.nii", *volume("image", geometry=Geometry(None, sheared)))
    nii = nibabel.load(path).header
    assert (nii["sform_code"], nii["qform_code"]) == (1, 0)
    with open_reader(path) as reader:
        assert np.allclose(reader.header.geometry.affine, sheared)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
def test_files_of_others(tmp_path, kind, suffix):
    array = np.arange(60, dtype=">i2").reshape(3, 4, 5)
    image = kind(array, np.diag([2.0, 2.0, 3.0, 1.0]))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, tmp_path / f"a.{suffix}")
    with open_reader(tmp_path / f"a.{suffix}", ("kspace", "image")) as reader:
        assert reader.header.axes == ("slice", "y", "x") and reader.header.dtype == np.float32
        assert reader.header.geometry.voxel == (2, 2, 3)
        assert np.array_equal(reader.read(), array.transpose(2, 1, 0))


def test_big_endian_and_scaled(tmp_path):
    nii = nibabel.Nifti1Header(endianness=">")
    nii.set_data_shape((3, 4, 5))
    nii.set_data_dtype(np.int16)
    nii["scl_slope"], nii["scl_inter"], nii["vox_offset"], nii["magic"] = 2, 10, 352, b"n+1"
    array = np.arange(60, dtype=">i2").reshape(5, 4, 3)
    (tmp_path / "a.nii").write_bytes(nii.binaryblock + bytes(4) + array.tobytes())
    with open_reader(tmp_path / "a.nii", "image") as reader:
        assert np.array_equal(reader.read(), 2 * array + 10)


def test_metres_become_millimetres(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((3, 4, 5), "f4"), np.diag([0.002, 0.002, 0.003, 1.0]))
    image.header.set_xyzt_units("meter")
    nibabel.save(image, tmp_path / "a.nii")
    with open_reader(tmp_path / "a.nii") as reader:
        assert np.allclose(reader.header.geometry.voxel, (2, 2, 3))
        assert np.allclose(np.diag(reader.header.geometry.affine), (2, 2, 3, 1))


def test_two_dimensions_are_one_slice(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.ones((3, 4), "f4"), None), tmp_path / "a.nii")
    with open_reader(tmp_path / "a.nii", "image") as reader:
        assert reader.header.shape == (1, 4, 3)


def test_the_longest_history_is_kept(tmp_path):
    history = [{"command": ["x" * 1000], "seed": n} for n in range(100)]
    path = write(tmp_path / "a.nii.gz", *volume("image", units="a.u."), history)
    with open_reader(path, "image") as reader:
        assert list(reader.history) == history and reader.header.units == "a.u."
    assert nibabel.load(path).shape == (7, 5, 3)


@pytest.mark.parametrize("kind", ["kspace", "maps", "noise", "mask"])
def test_what_has_no_place_in_nifti(tmp_path, kind):
    with pytest.raises(UsageError, match=f"{kind} with axes .* has no place in NIfTI") as caught:
        write(tmp_path / "a.nii", *volume(kind))
    assert ".npy" in caught.value.hint and list(tmp_path.iterdir()) == []


def test_colour_is_refused(tmp_path):
    rgb = np.zeros((3, 4, 5), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(rgb, np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(DataError, match="expected numbers"):
        open_reader(tmp_path / "a.nii")
