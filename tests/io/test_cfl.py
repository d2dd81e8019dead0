"""BART's files: its dimensions mapped to named axes, both ways, with BART itself as the judge."""

import shutil
import subprocess

import numpy as np
import pytest
from volumes import PLACED, volume, write

from mrikit.axes import KINDS
from mrikit.errors import DataError, MissingInputError
from mrikit.io import open_reader
from mrikit.physics.fourier import ifft2c

ALL = [(kind, axes) for kind, choices in KINDS.items() for axes in choices]


def foreign(base, *dims):
    """A file as BART writes it, and its array with dimension 0 first."""
    dims = (*dims, *[1] * (16 - len(dims)))
    array = np.arange(np.prod(dims)).astype("c8").reshape(dims, order="F")
    base.with_suffix(".hdr").write_text(
        f"# Dimensions\n{' '.join(map(str, dims))} \n# Command\nphantom a \n# Creator\nBART v0.8.00\n"
    )
    base.with_suffix(".cfl").write_bytes(array.tobytes(order="F"))
    return array


def dimensions(path):
    return [int(n) for n in path.with_suffix(".hdr").read_text().split("\n")[1].split()]


@pytest.mark.parametrize(("kind", "axes"), ALL)
def test_every_axis_has_its_dimension(tmp_path, kind, axes):
    header, array = volume(kind, axes)
    path = write(tmp_path / "a.cfl", header, array)
    numbers = {"y": 0, "x": 1, "coil": 3, "set": 4, "state": 8, "slice": 13, "sample": 0 if kind == "noise" else 15}
    expected = [1] * 16
    for axis, n in zip(axes, header.shape, strict=True):
        expected[numbers[axis]] = n
    assert dimensions(path) == expected
    with open_reader(path) as reader:
        assert (reader.header.kind, reader.header.axes, reader.header.dtype) == (kind, axes, header.dtype)
        assert np.array_equal(reader.read(), array)


@pytest.mark.parametrize("name", ["a", "a.cfl", "a.hdr"])
def test_a_name_can_be_given_three_ways(tmp_path, name, monkeypatch):
    header, array = volume("kspace", geometry=PLACED)
    monkeypatch.chdir(tmp_path)
    write("a.cfl", header, array, [{"seed": 3}])
    with open_reader(name, "kspace") as reader:
        assert np.array_equal(reader.read(), array)
        assert reader.header.geometry == PLACED and reader.history == ({"seed": 3},)


@pytest.mark.parametrize(
    ("dims", "kind", "shape"),
    [
        ((5, 7), "image", (1, 5, 7)),
        ((5, 7, 1, 4), "kspace", (1, 4, 5, 7)),
        ((5, 7, 1, 4, *[1] * 9, 3), "kspace", (3, 4, 5, 7)),
        ((5, 7, 3, 4), "maps", (3, 4, 5, 7)),
        ((5, 7, 1, 4, 2), "maps", (1, 2, 4, 5, 7)),
        ((5, 7, 3), "image", (3, 5, 7)),
        ((5, 7, *[1] * 13, 2), "samples", (1, 2, 5, 7)),
    ],
)
def test_what_bart_means(tmp_path, dims, kind, shape):
    foreign(tmp_path / "a", *dims)
    with open_reader(tmp_path / "a") as reader:
        assert (reader.header.kind, reader.header.shape) == (kind, shape) and reader.notes
    with open_reader(tmp_path / "a", kind) as reader:
        assert reader.header.shape == shape and not reader.notes


def test_slices_in_dimension_2(tmp_path):
    array = foreign(tmp_path / "a", 5, 7, 3, 4, 2)
    with open_reader(tmp_path / "a", "maps") as reader:
        assert np.array_equal(reader.read(), array.squeeze().transpose(2, 4, 3, 0, 1))


@pytest.mark.parametrize(
    ("dims", "axes"), [((1, 7), ("x",)), ((5, 7), ("y", "x")), ((1, 7, *[1] * 11, 3), ("slice", "x"))]
)
def test_masks_have_the_axes_they_use(tmp_path, dims, axes):
    array = foreign(tmp_path / "a", *dims)
    with open_reader(tmp_path / "a", "mask") as reader:
        assert reader.header.axes == axes and reader.header.dtype == bool
        mask = array.squeeze() != 0
        assert np.array_equal(reader.read(), mask.T if "slice" in axes else mask)


@pytest.mark.parametrize(
    ("dims", "kind", "says"),
    [
        ((5, 7, 1, 4, 1, 9), None, "BART dimension 5 has length 9"),
        ((5, 7, 3, *[1] * 10, 3), None, "BART dimension 2 has length 3"),
        ((5, 7, 1, 4, 2), "kspace", "2 set .* which cannot be kspace"),
        ((5, 7, 1, 4), "image", "4 coil .* which cannot be image"),
        ((1, 7, 3, 4), "kspace", "BART dimension 0 has length 1, .* dimensions 1 and 2"),
        ((1, 7, 3), "mask", "BART dimension 0 has length 1"),
        ((5, 7, 3, 4), "kspace", "its k-space is of a volume, with 3 encodes along dimension 2"),
    ],
)
def test_what_has_no_place_is_named(tmp_path, dims, kind, says):
    foreign(tmp_path / "a", *dims)
    with pytest.raises(DataError, match=says):
        open_reader(tmp_path / "a", kind)


def test_a_lone_cfl_is_missing_its_header(tmp_path):
    foreign(tmp_path / "a", 5, 7)
    (tmp_path / "a.hdr").unlink()
    with pytest.raises(MissingInputError, match=r"there is no .*a\.hdr"):
        open_reader(tmp_path / "a.cfl")


@pytest.mark.oracle
@pytest.mark.skipif(not shutil.which("bart"), reason="BART is not installed")
def test_bart_reads_what_is_written_and_is_read(tmp_path):
    def bart(*words):
        subprocess.run(["bart", *words], cwd=tmp_path, check=True, capture_output=True)

    header, array = volume("maps", ("slice", "set", "coil", "y", "x"))
    write(tmp_path / "a.cfl", header, array, [{"command": ["x" * 100_000]}])  # a comment longer than any buffer
    bart("scale", "2", "a", "b")
    with open_reader(tmp_path / "b", "maps") as reader:
        assert np.array_equal(reader.read(), 2 * array)
    bart("rss", "8", "a", "c")  # over coils
    with open_reader(tmp_path / "c", "image") as reader:
        assert reader.header.shape == (3, 2, 5, 7)
        assert np.allclose(reader.read(), np.sqrt((abs(array) ** 2).sum(2)), rtol=1e-5)
    bart("phantom", "-3", "-k", "-x", "8", "-s", "2", "d")
    bart("fft", "-u", "-i", "7", "d", "images")
    with pytest.raises(DataError, match="is of a volume, with 8 encodes") as caught:
        open_reader(tmp_path / "d.cfl", "kspace")
    for line in caught.value.hint.replace(str(tmp_path) + "/", "").split("; "):
        bart(*line.split()[1:])
    with open_reader(tmp_path / "SLICES", "kspace") as kspace, open_reader(tmp_path / "images", "maps") as images:
        np.testing.assert_allclose(ifft2c(kspace.read()), images.read(), atol=1e-3)  # of 80 at most
