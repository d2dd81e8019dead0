"""Pictures are read from every format; what is broken, hostile or does not go together is one line."""

import gzip
import struct

import numpy as np
import pytest
from PIL import Image

from mrikit.errors import DataError, MissingInputError, UnsafeError
from mrikit.train.pictures import gallery

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (7, 5, 6), np.uint8), np.arange(7, dtype=np.uint8)


def idx(path, array, kind=8, shape=None):
    shape = array.shape if shape is None else shape
    content = struct.pack(f">HBB{len(shape)}I", 0, kind, len(shape), *shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def photograph(path, shape=(12, 20, 3)):
    Image.fromarray(RNG.integers(0, 256, shape, np.uint8)).save(path)
    return path


@pytest.mark.parametrize("suffix", ["-ubyte", "-ubyte.gz", ".idx"])
def test_idx_files_of_images_and_labels_are_one_gallery(tmp_path, suffix):
    idx(tmp_path / f"train-images-idx3{suffix}", IMAGES)
    idx(tmp_path / f"train-labels-idx1{suffix}", LABELS)
    shown = gallery([tmp_path])
    assert np.array_equal(shown.images, IMAGES[:, None]) and np.array_equal(shown.labels, LABELS)
    assert np.array_equal(gallery(sorted(tmp_path.iterdir())).images, shown.images)


def test_the_labels_of_several_files_follow_their_images(tmp_path):
    for name, start in (("b", 3), ("a", 0)):
        idx(tmp_path / f"{name}-images-ubyte", IMAGES[start : start + 3])
        idx(tmp_path / f"{name}-labels-ubyte", LABELS[start : start + 3])
    shown = gallery([tmp_path])
    assert np.array_equal(shown.images[:, 0], IMAGES[:6]) and np.array_equal(shown.labels, LABELS[:6])


def test_arrays_are_grey_or_in_colours_and_uint8_or_from_0_to_1(tmp_path):
    np.save(tmp_path / "grey.npy", (IMAGES / 255).astype(np.float16))
    shown = gallery([tmp_path / "grey.npy"])
    assert shown.images.shape == (7, 1, 5, 6) and shown.images.dtype == np.float32 and shown.labels is None
    colours = RNG.integers(0, 256, (4, 5, 6, 3), np.uint8)
    np.save(tmp_path / "rgb.npy", colours)
    assert np.array_equal(gallery([tmp_path / "rgb.npy"]).images, colours.transpose(0, 3, 1, 2))


def test_small_images_are_put_amid_zeros(tmp_path):
    framed = gallery([idx(tmp_path / "images.idx", IMAGES)], 8).images
    assert framed.shape == (7, 1, 8, 8)
    assert np.array_equal(framed[:, 0, 1:6, 1:7], IMAGES) and framed.sum() == IMAGES.sum()


def test_photographs_are_their_middle_square(tmp_path):
    (tmp_path / "photos").mkdir()
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200
    Image.fromarray(wide).save(tmp_path / "photos" / "a.png")
    photograph(tmp_path / "photos" / "b.jpg")
    Image.fromarray(wide[..., 0]).save(tmp_path / "photos" / "c.PNG")
    shown = gallery([tmp_path / "photos"], 16)
    assert shown.images.shape == (3, 3, 16, 16) and shown.images.dtype == np.uint8
    assert (shown.images[0] == 200).all() and (shown.images[2] == 200).all()
    assert gallery([tmp_path / "photos" / "a.png"]).images.shape == (1, 3, 128, 128)


def test_parts_are_in_order(tmp_path):
    idx(tmp_path / "a-images.idx", IMAGES)
    idx(tmp_path / "b-labels.idx", LABELS)
    shown = gallery([tmp_path])
    assert shown.part(0.0, 0.8).labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert shown.part(0.9, 1.0).labels.tolist() == [6]
    with pytest.raises(DataError, match="7 images are too few"):
        shown.part(0.99, 1.0)


def broken(folder):
    """name -> a file that cannot be a gallery, and what is said of it."""
    images = idx(folder / "whole.idx", IMAGES).read_bytes()
    files = {
        "short.idx": images[:-1],
        "header.idx": images[:7],
        "kind.idx": images[:2] + b"\x0d" + images[3:],
        "none.idx": struct.pack(">HBBI", 0, 8, 1, 0),
        "short-ubyte.gz": gzip.compress(images)[:-12],
        "no-ubyte.gz": images,
        "text.npy": b"text",
        "photo.png": b"\x89PNG\r\n\x1a\nno",
        "photo.jpg": b"GIF89a",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    np.save(folder / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(folder / "bright.npy", np.full((2, 4, 4), 3.0))
    np.save(folder / "nan.npy", np.full((2, 4, 4), np.nan))
    np.save(folder / "five.npy", np.zeros((2, 4, 4, 5)))
    np.save(folder / "labels.npy", np.array([0.5, 1]))
    np.save(folder / "negative.npy", np.array([-1, 1]))
    np.save(folder / "empty.npy", np.zeros((0, 4, 4)))
    np.savez(folder / "archive.npz", a=np.zeros((2, 4, 4)))
    (folder / "archive.npz").rename(folder / "archive.npy")
    return {
        "short.idx": "truncated", "header.idx": "cut short", "kind.idx": "not an idx file", "none.idx": "at least 1",
        "short-ubyte.gz": "cut short", "no-ubyte.gz": "cut short", "text.npy": "not a .npy file",
        "object.npy": "not a .npy file", "photo.png": "not a PNG or JPEG", "photo.jpg": "not a PNG or JPEG",
        "bright.npy": "from 0 to 1", "nan.npy": "finite", "five.npy": "expected (image, y, x)",
        "labels.npy": "expected labels", "negative.npy": "expected labels",
        "empty.npy": "has no images", "archive.npy": "not a .npy file",
    }  # fmt: skip


def test_what_is_broken_is_named(tmp_path):
    for name, says in broken(tmp_path).items():
        with pytest.raises(DataError, match=name) as caught:
            gallery([tmp_path / name])
        assert says in str(caught.value) and "\n" not in str(caught.value)


def test_what_does_not_go_together_is_named(tmp_path):
    images, labels = idx(tmp_path / "a.idx", IMAGES), idx(tmp_path / "b.idx", LABELS[:6])
    with pytest.raises(DataError, match=r"b\.idx: 6 labels, but .*a\.idx has 7 images"):
        gallery([images, labels])
    with pytest.raises(DataError, match="2 files of labels"):
        gallery([images, labels, labels])
    with pytest.raises(MissingInputError, match="labels alone"):
        gallery([labels])
    with pytest.raises(DataError, match=r"c\.idx: images are 1 x 4 x 6"):
        gallery([images, idx(tmp_path / "c.idx", IMAGES[:, :4])])
    with pytest.raises(DataError, match="larger than the 4 x 4"):
        gallery([images], 4)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingInputError, match="empty: no file in this folder"):
        gallery([tmp_path / "empty"])
    with pytest.raises(DataError, match="no labels"):
        gallery([images]).require_labels()


def test_hostile_sizes_are_refused(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="truncated"):
        gallery([idx(tmp_path / "huge.idx", IMAGES, shape=(2**31, 2**31, 4))])
    with pytest.raises(UnsafeError, match="claim to unpack"):
        gallery([idx(tmp_path / "huge-ubyte.gz", IMAGES, shape=(2**31, 2**31, 4))])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for shape in ((12, 10, 3), (30, 30, 3)):  # where Pillow warns, and where it refuses
        with pytest.raises(UnsafeError, match="more than 100 pixels"):
            gallery([photograph(tmp_path / "bomb.png", shape)])
