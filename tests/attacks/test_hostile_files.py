"""Files made to harm: each is refused by its class of error, by name, and leaves nothing behind."""

from __future__ import annotations

import gzip
import pickle
import struct
import zipfile

import h5py
import nibabel
import numpy as np
import pytest

from mrikit.errors import DataError, MrikitError, TemporaryError, UnsafeError
from mrikit.io import Geometry, Header, guard, open_reader, open_writer

HEADER = Header("kspace", ("slice", "coil", "y", "x"), (3, 2, 8, 6), np.dtype("c8"), Geometry((1.0, 2.0, 3.0)))
ARRAY = np.random.default_rng(1).standard_normal((3, 2, 8, 12)).astype("f4").view("c8")


def refused(path, error: type[MrikitError], says: str | None = None, kind=None) -> None:
    """Reading `path` ends in `error`, one line that names the file, with nothing new beside it."""
    folder = path.parent
    before = sorted(folder.rglob("*"))
    with (
        pytest.raises(error, match=says) as caught,
        open_reader(path, kind) as reader,
        open_writer(folder / "out.npy", reader.header) as writer,
    ):
        for part in reader:
            writer.write(part)
        writer.finish()
    assert path.name in str(caught.value) and "\n" not in str(caught.value)
    assert sorted(folder.rglob("*")) == before


def npy(path, descr="<c8", shape=(3, 2, 8, 6), order=False, data=b"", comment="", padding=0):
    """A .npy whose header says what it likes."""
    text = f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}}} {comment}{' ' * padding}\n"
    path.write_bytes(b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text.encode() + data)
    return path


@pytest.fixture
def scan(tmp_path):
    """A whole file of every format, to be damaged."""

    def make(suffix, header=HEADER, array=ARRAY):
        if suffix.startswith("nii"):
            header, array = Header("image", ("slice", "y", "x"), (3, 8, 6), np.dtype("c8")), ARRAY[:, 0]
        with open_writer(tmp_path / f"scan.{suffix}", header) as writer:
            for part in array:
                writer.write(np.ascontiguousarray(part))
            writer.finish([{"command": ["mrikit"]}])
        return tmp_path / f"scan.{suffix}"

    return make


# ---- .npy


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("code from a file has run",))


def test_pickled_npy(tmp_path):
    np.save(tmp_path / "a.npy", np.array([Bomb()]), allow_pickle=True)
    refused(tmp_path / "a.npy", UnsafeError, "pickled Python objects")


def test_bare_pickle(tmp_path):
    (tmp_path / "a.npy").write_bytes(pickle.dumps(Bomb()))
    refused(tmp_path / "a.npy", UnsafeError, "pickle")


@pytest.mark.parametrize(("name", "says"), [("a.npy", "zip archive"), ("a.npz", "archives and pickles")])
def test_npz(tmp_path, name, says):
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("a.npy", b"")
    refused(tmp_path / name, UnsafeError, says)


def test_npy_of_a_terabyte_without_data(tmp_path):
    refused(npy(tmp_path / "a.npy", shape=(40, 32, 10_000, 10_000)), DataError, r"truncated: .* 1\.0 TB", "kspace")


def test_npy_slice_larger_than_memory_in_a_pipe(tmp_path, monkeypatch):
    path = npy(tmp_path / "a.npy", shape=(1, 1, 10**7, 10**7))
    with path.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        with pytest.raises(UnsafeError, match=r"<stdin>: one slice needs 800\.0 TB"):
            open_reader("-")


def test_npy_slice_larger_than_memory_with_its_data(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "physical_memory", lambda: 100)
    refused(npy(tmp_path / "a.npy", data=bytes(3 * 2 * 8 * 6 * 8)), TemporaryError, "one slice needs 768 bytes")


def test_npy_with_a_header_of_100_megabytes(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x02\x00" + struct.pack("<I", 100_000_000))
    refused(tmp_path / "a.npy", UnsafeError, r"a header of 100\.0 MB")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 9000,
        "-" * 9000 + "1",
        "__import__('os').system('false')",
        "{'descr': '<f4'}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 3}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 5000 + ",)}",
        "{[]: 1}",
        "\0",
        "7",
    ],
)
def test_npy_with_a_header_that_is_none(tmp_path, text):
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode())
    refused(tmp_path / "a.npy", DataError)


@pytest.mark.parametrize(
    "shape", ["(-3, 4, 5)", "(0, 4, 5)", "(True, 4, 5)", "(1.5, 4, 5)", "('a', 4)", "(1,) * 40", "(1," * 9]
)
def test_npy_with_impossible_lengths(tmp_path, shape):
    refused(npy(tmp_path / "a.npy", shape=shape, data=bytes(1000)), DataError)


@pytest.mark.parametrize("descr", ["<U9999999", "V8", "<f3", "<M8[s]", "S4", "", "f4,f4", [("a", "<f4")], None, 3])
def test_npy_of_what_is_no_number(tmp_path, descr):
    refused(npy(tmp_path / "a.npy", descr=descr, data=bytes(1000)), DataError)


@pytest.mark.parametrize(
    "comment",
    [
        "{",
        "[" * 5000,
        "3",
        "{}",
        '{"kind": "virus", "axes": []}',
        '{"kind": "kspace", "axes": ["slice", "x"]}',
        '{"kind": "kspace", "axes": 3}',
        '{"kind": ["kspace"], "axes": []}',
        '{"kind": "kspace", "axes": ["slice", "coil", "y", "x"], "voxel_mm": [1, NaN, 1]}',
        '{"kind": "kspace", "axes": ["slice", "coil", "y", "x"], "voxel_mm": [0, 1, 1]}',
        '{"kind": "kspace", "axes": ["slice", "coil", "y", "x"], "affine": [[1, 0, 0, 0]]}',
        '{"kind": "kspace", "axes": ["slice", "coil", "y", "x"], "units": 3}',
        '{"kind": "image", "axes": ["slice", "y", "x"]}',
    ],
)
def test_npy_that_says_nonsense_about_itself(tmp_path, comment):
    refused(npy(tmp_path / "a.npy", comment="# mrikit " + comment, data=bytes(10_000)), DataError)


def test_npy_with_a_history_of_an_exabyte(scan):
    path = scan("npy")
    data = path.read_bytes()
    at = data.rindex(b"MRIKTAIL") + 8
    path.write_bytes(data[:at] + struct.pack("<Q", 10**18) + data[at + 8 :])
    refused(path, UnsafeError, r"a history of 1000\.0 PB|a history of 1\.0e\+00 EB")


def test_npy_with_a_history_that_is_none(scan):
    path = scan("npy")
    data = path.read_bytes()
    for said in (b'{"history": 3}', b'{"history": [3]}', b"[]", b"{", b"[" * 100_000):
        start = data[: data.rindex(b"MRIKTAIL") + 8]
        path.write_bytes(start + struct.pack("<Q", len(said)) + said + data[-4:])
        refused(path, DataError)


# ---- HDF5


def test_external_link(tmp_path, scan):
    scan("h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kspace"] = h5py.ExternalLink("scan.h5", "/kspace")
    refused(tmp_path / "a.h5", UnsafeError, "is a link")


def test_external_link_in_a_group(tmp_path, scan):
    scan("h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/deep"] = h5py.ExternalLink("scan.h5", "/")
    with pytest.raises(UnsafeError, match=r"a\.h5:group/deep/kspace: .* is a link"):
        open_reader(f"{tmp_path}/a.h5:group/deep/kspace")


@pytest.mark.parametrize("beside", ["mask", "ismrmrd_header"])
def test_external_link_beside_kspace(tmp_path, beside):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kspace"] = ARRAY
        file[beside] = h5py.ExternalLink("/etc/passwd", "/secret")
    refused(tmp_path / "a.h5", UnsafeError, f"{beside} is a link")


def test_soft_link_to_elsewhere(tmp_path, scan):
    scan("h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["away"] = h5py.ExternalLink("scan.h5", "/")
        file["kspace"] = h5py.SoftLink("/away/kspace")
    refused(tmp_path / "a.h5", UnsafeError, "is a link", "kspace")


def test_external_storage(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(1000))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("kspace", (1, 1, 5, 5), "c8", external=[(str(tmp_path / "secret"), 0, 200)])
    refused(tmp_path / "a.h5", UnsafeError, "other files")


def test_virtual_dataset(tmp_path, scan):
    scan("h5")
    layout = h5py.VirtualLayout((3, 2, 8, 6), "c8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "scan.h5"), "kspace", (3, 2, 8, 6))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("kspace", layout)
    refused(tmp_path / "a.h5", UnsafeError, "other files")


def test_unknown_filter(tmp_path):
    """A filter that no one here has: the dataset is made with shuffle, whose number is then changed."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("kspace", data=ARRAY, chunks=ARRAY.shape, shuffle=True)
    data = (tmp_path / "a.h5").read_bytes()
    at = data.index(struct.pack("<H", 2) + struct.pack("<H", 8) + struct.pack("<H", 1))
    (tmp_path / "a.h5").write_bytes(data[:at] + struct.pack("<H", 32015) + data[at + 2 :])
    refused(tmp_path / "a.h5", UnsafeError, "filter 32015")


def test_huge_chunked_dataset_without_data(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("kspace", (1000, 32, 2048, 2048), "c8", chunks=(1, 1, 64, 64), compression="gzip")
    refused(tmp_path / "a.h5", UnsafeError, r"0 bytes of stored data claim to unpack to 1\.1 TB")


def test_huge_mask_beside_kspace(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kspace"] = ARRAY
        file.create_dataset("mask", (1, 10**6, 10**6), "u1", chunks=(1, 64, 64))
    refused(tmp_path / "a.h5", UnsafeError, r"a\.h5:mask|a\.h5")


def test_text_named_h5(tmp_path):
    (tmp_path / "a.h5").write_text("this is not HDF5, " * 100)
    refused(tmp_path / "a.h5", DataError, "damaged or not HDF5")


def test_h5_without_datasets(tmp_path):
    h5py.File(tmp_path / "a.h5", "w").close()
    refused(tmp_path / "a.h5", MrikitError, "no datasets")


def test_h5_of_text(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kspace"] = ["a", "b"]
    refused(tmp_path / "a.h5", DataError)


def test_h5_attributes_that_are_none(tmp_path):
    for kind, axes in ((b"{", b"{"), (b'"kspace"', b'["x"]'), (b"[" * 50_000, b"3"), (b"3", b"4")):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["kspace"] = ARRAY
            file["kspace"].attrs["kind"], file["kspace"].attrs["axes"] = np.bytes_(kind), np.bytes_(axes)
        refused(tmp_path / "a.h5", DataError)


@pytest.mark.parametrize(
    "xml",
    [
        '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><r>&b;</r>',
        '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>',
        '<!DOCTYPE r SYSTEM "http://127.0.0.1/x.dtd"><r/>',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_with_entities(tmp_path, xml, encoding):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kspace"] = ARRAY
        file["ismrmrd_header"] = np.bytes_(xml.encode(encoding))
    refused(tmp_path / "a.h5", UnsafeError, "entities")


def test_xml_nested_without_end(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kspace"] = ARRAY
        file["ismrmrd_header"] = "<a>" * 100_000 + "</a>" * 100_000
    with open_reader(tmp_path / "a.h5") as reader:
        assert reader.header.geometry == Geometry()


def test_broken_xml(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kspace"] = ARRAY
        file["ismrmrd_header"] = "<open>"
    refused(tmp_path / "a.h5", DataError, "not readable XML")


def test_xml_of_2_megabytes(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kspace"] = ARRAY
        file["ismrmrd_header"] = "<a>" + " " * 2_000_000 + "</a>"
    refused(tmp_path / "a.h5", UnsafeError, r"ismrmrd_header of 2\.0 MB")


# ---- NIfTI


def nifti(path, dims=(6, 8, 3), offset=352.0, data=b"", **fields):
    nii = nibabel.Nifti1Header()
    nii.set_data_dtype(np.float32)
    nii.set_data_shape(dims)
    nii["vox_offset"], nii["magic"] = offset, b"n+1"
    for key, value in fields.items():
        nii[key] = value
    content = nii.binaryblock + bytes(4) + data
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def test_gzip_bomb(tmp_path):
    path = nifti(tmp_path / "a.nii.gz", (32000, 32000, 30000), data=bytes(50 << 20))
    refused(path, UnsafeError, r"claim to unpack to 122\.9 TB")


def test_gzip_bomb_before_the_data(tmp_path):
    refused(nifti(tmp_path / "a.nii.gz", offset=1e9, data=bytes(20 << 20)), UnsafeError, r"a header of 1\.0 GB")


def test_nifti_of_a_terabyte(tmp_path):
    refused(nifti(tmp_path / "a.nii", (32000, 32000, 300)), DataError, r"truncated: its header needs 1\.2 TB")


@pytest.mark.parametrize("offset", [float("nan"), float("inf"), -352.0, 351.0, 352.5])
def test_nifti_with_data_nowhere(tmp_path, offset):
    refused(nifti(tmp_path / "a.nii", offset=offset, data=bytes(1000)), MrikitError)


@pytest.mark.parametrize(
    "dim", [[0] * 8, [3, -6, 8, 3, 1, 1, 1, 1], [9] * 8, [-3, 6, 8, 3, 1, 1, 1, 1], [5, 2, 2, 2, 2, 2, 1, 1]]
)
def test_nifti_with_impossible_lengths(tmp_path, dim):
    refused(nifti(tmp_path / "a.nii", data=bytes(1000), dim=dim), DataError)


def test_nifti_with_impossible_placement_has_none(tmp_path):
    wild = {"qform_code": 1, "quatern_b": 7.0, "quatern_c": 9.0, "pixdim": [1, np.nan, 2, 3, 1, 1, 1, 1]}
    with open_reader(nifti(tmp_path / "a.nii", data=bytes(1000), **wild)) as reader:
        assert reader.header.geometry == Geometry()


def test_nifti_with_an_extension_that_runs_over(tmp_path):
    path = nifti(tmp_path / "a.nii", offset=384, data=bytes(2000))
    data = bytearray(path.read_bytes())
    for size in (-1, 0, 8, 2**31 - 1):
        data[348:360] = b"\1\0\0\0" + struct.pack("<ii", size, 6)
        path.write_bytes(data)
        with open_reader(path) as reader:
            assert reader.history == ()


def test_text_named_nii(tmp_path):
    for name in ("a.nii", "a.nii.gz"):
        (tmp_path / name).write_text("this is not NIfTI, " * 100)
        refused(tmp_path / name, DataError)


# ---- BART


def cfl(folder, dims: str, data=b"", more=""):
    (folder / "a.hdr").write_text(f"# Dimensions\n{dims}\n{more}")
    (folder / "a.cfl").write_bytes(data)
    return folder / "a.cfl"


@pytest.mark.parametrize(
    ("dims", "says"),
    [
        ("-5 7 1 1", "every length must be at least 1"),
        ("-5 -7 1 1", "every length must be at least 1"),
        ("0 7 1 1", "every length must be at least 1"),
        ("4294967296 4294967296 1 4", "truncated"),
        ("9" * 5000, "expected numbers"),
        ("5 x", "expected numbers"),
        ("", "does not give the dimensions"),
        ("1 " * 17, "17 dimensions"),
    ],
)
def test_cfl_with_impossible_lengths(tmp_path, dims, says):
    refused(cfl(tmp_path, dims, bytes(280)), DataError, says)


def test_cfl_larger_than_its_header(tmp_path):
    refused(cfl(tmp_path, "5 7", bytes(288)), DataError, "its header means 280 bytes, the .cfl has 288 bytes")


def test_cfl_with_a_header_of_17_megabytes(tmp_path):
    refused(cfl(tmp_path, "5 7", bytes(280), "#" * (17 << 20)), UnsafeError, "a header of")


@pytest.mark.parametrize("said", ["{", "3", '{"kind": "kspace", "axes": ["x"]}', "[" * 100_000])
def test_cfl_that_says_nonsense_about_itself(tmp_path, said):
    refused(cfl(tmp_path, "5 7", bytes(280), f"# mrikit\n{said}\n"), DataError)


# ---- every format


@pytest.mark.parametrize("suffix", ["npy", "h5", "nii", "nii.gz", "cfl", "hdr"])
def test_truncated_anywhere(scan, suffix):
    path = scan(suffix)
    data = path.read_bytes()
    for part in (0.0, 0.01, 0.3, 0.6, 0.9, 0.999):
        keep = int(len(data) * part)
        if suffix == "hdr" and b"}" in data[:keep]:
            continue
        path.write_bytes(data[:keep])
        refused(path, DataError)


@pytest.mark.parametrize("suffix", ["npy", "nii", "nii.gz", "cfl", "hdr"])
def test_random_damage_is_read_or_refused_never_a_crash(scan, suffix):
    path = scan(suffix)
    data = path.read_bytes()
    rng = np.random.default_rng(7)
    for _ in range(200):
        damaged = bytearray(data)
        for at in rng.integers(0, min(len(data), 700), rng.integers(1, 6)):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            with open_reader(path) as reader:
                for _ in reader:
                    pass
        except MrikitError as error:
            assert path.name in str(error)
