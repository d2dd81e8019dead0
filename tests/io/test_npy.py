"""The .npy format: what NumPy sees of it, what mrikit adds, and plain files."""

import sys

import numpy as np
import pytest
from volumes import PLACED, comment, volume, without_trailer, write

from mrikit.errors import DataError
from mrikit.io import open_reader


def test_numpy_opens_what_mrikit_saves(kspace):
    path, array = kspace
    assert np.array_equal(np.load(path), array)
    assert np.array_equal(np.load(path, mmap_mode="r"), array)


def test_the_header_says_what_comes(kspace):
    path, _ = kspace
    said = comment(path)
    assert said["kind"] == "kspace" and said["axes"] == ["slice", "coil", "y", "x"]
    assert said["voxel_mm"] == [1.5, 2.0, 3.0] and said["affine"][3] == [0, 0, 0, 1]
    assert path.read_bytes()[:8] == b"\x93NUMPY\x02\x00"


def test_a_file_knows_its_history_before_the_first_slice(kspace):
    with open_reader(kspace[0]) as reader:
        assert reader.history == ({"command": ["mrikit", "phantom"]},)


@pytest.mark.parametrize("dtype", [">c8", "<c16", ">c16"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_plain_complex_becomes_complex64(tmp_path, dtype, order):
    _, array = volume("kspace")
    np.save(tmp_path / "plain.npy", np.asarray(array.astype(dtype), order=order))
    with open_reader(tmp_path / "plain.npy", "kspace") as reader:
        whole = reader.read()
    assert whole.dtype == np.complex64 and np.array_equal(whole, array)


@pytest.mark.parametrize("dtype", ["<i2", ">i4", "<f2", "<f8", ">f8", "u1"])
def test_plain_real_becomes_float32(tmp_path, dtype):
    array = np.arange(24).reshape(2, 3, 4)
    np.save(tmp_path / "plain.npy", array.astype(dtype))
    with open_reader(tmp_path / "plain.npy", "image") as reader:
        whole = reader.read()
    assert whole.dtype == np.float32 and np.array_equal(whole, array)


@pytest.mark.parametrize("dtype", ["?", "u1", "<f4", "<c8"])
def test_a_plain_mask_becomes_bool(tmp_path, dtype):
    mask = np.arange(9) % 3 == 0
    np.save(tmp_path / "mask.npy", mask.astype(dtype))
    with open_reader(tmp_path / "mask.npy", "mask") as reader:
        assert reader.header.axes == ("x",) and reader.header.dtype == bool
        assert np.array_equal(reader.read(), mask)


@pytest.mark.parametrize(
    ("shape", "dtype", "kind", "axes"),
    [
        ((3, 4, 5, 6), "c8", "kspace", ("slice", "coil", "y", "x")),
        ((2, 3, 4, 5, 6), "c8", "maps", ("slice", "set", "coil", "y", "x")),
        ((4, 5, 6), "f4", "image", ("slice", "y", "x")),
        ((5, 6), "c8", "image", ("slice", "y", "x")),
        ((3, 4, 5, 6), "f4", "samples", ("slice", "sample", "y", "x")),
        ((5, 6), "?", "mask", ("y", "x")),
    ],
)
def test_a_plain_file_is_guessed_and_the_guess_is_told(tmp_path, shape, dtype, kind, axes):
    np.save(tmp_path / "plain.npy", np.ones(shape, dtype))
    with open_reader(tmp_path / "plain.npy") as reader:
        assert (reader.header.kind, reader.header.axes) == (kind, axes)
        assert len(reader.notes) == 1 and "plain.npy" in reader.notes[0] and kind in reader.notes[0]


def test_a_missing_slice_axis_is_added(tmp_path):
    np.save(tmp_path / "plain.npy", np.ones((4, 5, 6), "c8"))
    with open_reader(tmp_path / "plain.npy", "kspace") as reader:
        assert reader.header.shape == (1, 4, 5, 6) and reader.read().shape == (1, 4, 5, 6)


def test_the_preferred_kind_comes_first(tmp_path):
    np.save(tmp_path / "plain.npy", np.ones((3, 2, 5, 6), "f4"))
    for kinds in (("image", "samples"), ("samples", "image")):
        with open_reader(tmp_path / "plain.npy", kinds) as reader:
            assert reader.header.kind == "samples"


def test_another_kind_is_refused_by_both_names(kspace):
    with pytest.raises(DataError, match=r"kspace\.npy: holds kspace, expected maps or image"):
        open_reader(kspace[0], ("maps", "image"))


def test_real_kspace_is_refused(tmp_path):
    np.save(tmp_path / "real.npy", np.ones((3, 4, 5, 6), "f4"))
    with pytest.raises(DataError, match="kspace must be complex"):
        open_reader(tmp_path / "real.npy", "kspace")


def test_a_changed_byte_is_noticed(kspace):
    path, _ = kspace
    data = bytearray(path.read_bytes())
    data[data.rindex(b"MRIKTAIL") - 1] ^= 1
    path.write_bytes(data)
    with open_reader(path) as reader, pytest.raises(DataError, match="changed since they were written"):
        reader.read()


def test_a_missing_trailer_is_noticed_by_whoever_stops_at_the_last_slice(kspace, monkeypatch):
    path, array = kspace
    cut = path.with_name("cut.npy")
    cut.write_bytes(without_trailer(path))
    with pytest.raises(DataError, match="truncated"):
        open_reader(cut)
    with cut.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        reader = open_reader("-")
        with pytest.raises(DataError, match="<stdin>: truncated: it ends within its trailer"):
            for _ in zip(array, reader, strict=False):  # zip never asks for the end of the second
                pass


def test_the_crc_is_the_content(kspace):
    import zlib

    path, array = kspace
    with open_reader(path) as reader:
        for _ in reader:
            pass
        assert reader.crc32 == zlib.crc32(array.tobytes())


def test_a_reader_is_for_one_pass(kspace):
    with open_reader(kspace[0]) as reader:
        reader.read()
        with pytest.raises(RuntimeError, match="one pass"):
            reader.read()


def test_a_writer_wants_what_its_header_promised(tmp_path):
    from mrikit.io import open_writer

    header, array = volume("image", geometry=PLACED)
    with open_writer(tmp_path / "a.npy", header) as writer:
        with pytest.raises(DataError, match="the header promised"):
            writer.write(array[0].real.copy())
        writer.write(array[0])
        with pytest.raises(DataError, match="1 of 3 slices were written"):
            writer.finish()
    assert list(tmp_path.iterdir()) == []


def test_the_same_volume_is_the_same_file(tmp_path):
    for suffix in ("npy", "h5", "nii.gz", "nii"):
        header, array = volume("image", geometry=PLACED)
        paths = [write(tmp_path / f"{n}.{suffix}", header, array, [{"seed": 1}]) for n in "ab"]
        assert paths[0].read_bytes() == paths[1].read_bytes()
