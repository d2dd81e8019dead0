"""Whatever is wrong with what goes in: one line that names it, the right exit code, and nothing left behind.

The first part runs `mrikit` as a process of its own, as a user does; the second holds every command to the
same behaviour, in this process.
"""

from __future__ import annotations

import gzip
import os
import pickle
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import nibabel
import numpy as np
import pytest
from scans import ROOT, read, save, simulated

import mrikit as api

if TYPE_CHECKING:
    from running import Mrikit, Result, Shell

KSPACE = simulated().kspace  # 2 slices, 4 coils, 64 x 64


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    """A scan in every format, an image, maps and a mask that are all right."""
    for name in ("scan.npy", "scan.h5", "scan.cfl"):
        save(tmp_path / name, KSPACE, "kspace")
    save(tmp_path / "image.nii", np.abs(simulated().image), "image")
    save(tmp_path / "image.nii.gz", np.abs(simulated().image), "image")
    save(tmp_path / "maps.npy", simulated().maps, "maps")
    save(tmp_path / "mask.npy", api.mask((64, 64), 4), "mask")
    save(tmp_path / "under.npy", api.undersample(KSPACE, api.mask((64, 64), 4)), "kspace")


def listing(folder: Path) -> dict[Path, int]:
    """Every file, hidden ones too, and its size."""
    return {path: path.stat().st_size for path in sorted(folder.rglob("*"))}


# ---- a user's mistakes and damaged files, through the real command line


def truncated(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return make


def text_named_h5(folder: Path) -> None:
    (folder / "scan.h5").write_text("these are my notes on the scan, not the scan\n" * 50)


def external_link(folder: Path) -> None:
    (folder / "scan.h5").rename(folder / "other.h5")
    with h5py.File(folder / "scan.h5", "w") as file:
        file["kspace"] = h5py.ExternalLink("other.h5", "/kspace")


def external_storage(folder: Path) -> None:
    KSPACE.tofile(folder / "raw")
    with h5py.File(folder / "scan.h5", "w") as file:
        file.create_dataset("kspace", KSPACE.shape, "c8", external=[(str(folder / "raw"), 0, KSPACE.nbytes)])


def claims(folder: Path, shape: tuple[int, ...], data: bytes = b"") -> None:
    text = f"{{'descr': '<c8', 'fortran_order': False, 'shape': {shape}}}\n"
    header = b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text.encode()
    (folder / "claims.npy").write_bytes(header + data)


def claims_more_than_the_file_holds(folder: Path) -> None:
    claims(folder, (2, 4, 64, 64), KSPACE.tobytes()[:-8])


def claims_more_than_the_memory_holds(folder: Path) -> None:
    claims(folder, (1, 1, 10**7, 10**7))


def claims_without_data(folder: Path) -> None:
    (folder / "scan.h5").unlink()
    with h5py.File(folder / "scan.h5", "w") as file:
        file.create_dataset("kspace", (900, 32, 2048, 2048), "c8", chunks=(1, 1, 64, 64), compression="gzip")


def gzip_bomb(folder: Path) -> None:
    nii = nibabel.Nifti1Header()
    nii.set_data_dtype(np.float32)
    nii.set_data_shape((30000, 30000, 30000))
    nii["vox_offset"], nii["magic"] = 352, b"n+1"
    (folder / "image.nii.gz").write_bytes(gzip.compress(nii.binaryblock + bytes(4 + (4 << 20))))


def pickled_array(folder: Path) -> None:
    np.save(folder / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)


def archive(folder: Path) -> None:
    np.savez(folder / "scan.npz", kspace=KSPACE)


def pickled_weights(folder: Path) -> None:
    (folder / "weights.pt").write_bytes(pickle.dumps({"a": 1}))


def two_axes(folder: Path) -> None:
    np.save(folder / "plane.npy", KSPACE[0, 0])


def six_axes(folder: Path) -> None:
    np.save(folder / "six.npy", KSPACE[None, None])


def real_valued(folder: Path) -> None:
    np.save(folder / "real.npy", np.abs(KSPACE))
    with h5py.File(folder / "real.h5", "w") as file:
        file["kspace"] = np.abs(KSPACE)


def nan_in_kspace(folder: Path) -> None:
    spoiled = KSPACE.copy()
    spoiled[1, 2, 3, 4] = np.nan
    save(folder / "nan.npy", spoiled, "kspace")


def zero_kspace(folder: Path) -> None:
    save(folder / "zero.h5", np.zeros_like(KSPACE), "kspace")


def maps_of(*shape: int) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        save(folder / "others.npy", np.ones(shape, np.complex64), "maps")

    return make


def mask_of(*shape: int, value: bool = True) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        save(folder / "odd.npy", np.full(shape, value), "mask")

    return make


def output_exists(folder: Path) -> None:
    (folder / "out.npy").write_bytes(b"precious")


def links(folder: Path) -> None:
    (folder / "soft.npy").symlink_to("scan.npy")
    (folder / "hard.npy").hardlink_to(folder / "scan.npy")


def nothing(folder: Path) -> None:
    pass


#: what is wrong: (what makes it so, command line, exit code, what the one line must say)
MISTAKES: dict[str, tuple[Callable[[Path], None], str, int, tuple[str, ...]]] = {
    "truncated npy": (truncated("scan.npy"), "rss scan.npy out.npy", 65, ("scan.npy: truncated",)),
    "truncated h5": (truncated("scan.h5"), "rss scan.h5 out.npy", 65, ("scan.h5: damaged or not HDF5",)),
    "truncated nii": (truncated("image.nii"), "convert image.nii out.npy", 65, ("image.nii: truncated",)),
    "truncated nii.gz": (truncated("image.nii.gz"), "convert image.nii.gz out.npy", 65, ("image.nii.gz: damaged",)),
    "truncated cfl": (truncated("scan.cfl"), "rss scan.cfl out.npy", 65, ("scan.cfl: truncated",)),
    "truncated hdr": (truncated("scan.hdr"), "rss scan.cfl out.npy", 65, ("scan.cfl: its .hdr",)),
    "text named h5": (text_named_h5, "rss scan.h5 out.npy", 65, ("scan.h5: damaged or not HDF5",)),
    "external link": (external_link, "rss scan.h5 out.npy", 77, ("scan.h5: kspace is a link to somewhere else",)),
    "external storage": (external_storage, "rss scan.h5 out.npy", 77, ("scan.h5: kspace keeps its data in other",)),
    "claims more than the file": (
        claims_more_than_the_file_holds, "rss claims.npy out.npy", 65,
        ("claims.npy: truncated: its header needs 262.2 kB, the file has 262.2 kB",),
    ),
    "claims more than the memory": (
        claims_more_than_the_memory_holds, "rss - out.npy < claims.npy", 77,
        ("<stdin>: one slice needs 800.0 TB, this computer has",),
    ),
    "claims without data": (claims_without_data, "rss scan.h5 out.npy", 77, ("scan.h5: 0 bytes of stored data claim",)),
    "gzip bomb": (gzip_bomb, "convert image.nii.gz out.npy", 77, ("image.nii.gz:", "claim to unpack to 108.0 TB")),
    "pickled array": (pickled_array, "rss objects.npy out.npy", 77, ("objects.npy: holds pickled Python objects",)),
    "archive": (archive, "rss scan.npz out.npy", 77, ("scan.npz: archives and pickles are not opened",)),
    "pickled weights": (
        pickled_weights, "flat-recon --model weights.pt scan.h5 out.npy", 77, ("weights.pt: refused", "pickle"),
    ),
    "stream cut off midway": (
        nothing, "convert scan.npy - | head -c 200000 | mrikit rss - out.npy", 65,
        ("<stdin>: truncated: it ends within its slice 2 of 2",),
    ),
    "stream without its end": (
        nothing, "convert scan.npy - | head -c -4 | mrikit rss - out.npy", 65,
        ("<stdin>: truncated: it ends within its trailer",),
    ),
    "empty stream": (nothing, "rss - out.npy < /dev/null", 65, ("<stdin>: empty",)),
    "missing file": (nothing, "rss scam.h5 out.npy", 66, ("scam.h5: no such file (hint: did you mean scan.h5?)",)),
    "missing dataset": (
        nothing, "rss scan.h5:echo2 out.npy", 66,
        ("scan.h5:echo2: holds no dataset echo2; it has kspace (2 x 4 x 64 x 64 complex64)",),
    ),
    "two axes": (
        two_axes, "rss plane.npy out.npy", 65,
        ("plane.npy: kspace must have axes (slice, coil, y, x), found 2 axes of lengths 64 x 64",),
    ),
    "six axes": (six_axes, "rss six.npy out.npy", 65, ("six.npy: kspace must have axes", "found 6 axes")),
    "maps of another matrix": (
        maps_of(2, 4, 64, 32), "mvue scan.h5 others.npy out.npy", 65,
        ("scan.h5, others.npy: slice 0: maps: the matrix is 64 x 32 (y x x), but k-space has 64 x 64",),
    ),
    "maps of other coils": (
        maps_of(2, 3, 64, 64), "mvue scan.h5 others.npy out.npy", 65,
        ("scan.h5, others.npy: slice 0: maps have 3 coils, k-space has 4", "hint: estimate the maps from this"),
    ),
    "maps of other slices": (
        maps_of(3, 4, 64, 64), "mvue scan.h5 others.npy out.npy", 65,
        ("others.npy: slice axis has length 3, but scan.h5 has 2 slices",),
    ),
    "an image for maps": (nothing, "mvue scan.h5 image.nii out.npy", 65, ("image.nii: holds image, expected maps",)),
    "mask that keeps nothing": (
        mask_of(64, value=False), "undersample scan.h5 odd.npy out.npy", 65, ("odd.npy: the mask keeps nothing",),
    ),
    "mask of another width": (
        mask_of(60), "undersample scan.h5 odd.npy out.npy", 65,
        ("scan.h5, odd.npy: the mask has 60 samples along x, but k-space has 64",),
    ),
    "mask of another height": (
        mask_of(32, 64), "undersample scan.h5 odd.npy out.npy", 65,
        ("scan.h5, odd.npy: the mask has 32 samples along y, but k-space has 64",),
    ),
    "real k-space": (real_valued, "rss real.npy out.npy", 65, ("real.npy: kspace must be complex, found float32",)),
    "real k-space in h5": (real_valued, "rss real.h5 out.npy", 65, ("real.h5: kspace must be complex",)),
    "NaN": (nan_in_kspace, "rss nan.npy out.npy", 65, ("nan.npy: kspace has NaN", "slice 1, coil 2, y 3, x 4")),
    "all-zero k-space": (zero_kspace, "rss zero.h5 out.npy", 65, ("zero.h5: k-space is zero everywhere in slice 0",)),
    "output is input": (nothing, "rss --force scan.npy scan.npy", 2, ("scan.npy: is the same file as scan.npy",)),
    "output is the other file of a pair": (
        nothing, "flat-recon --accel 2 --maps-out o.hdr scan.npy o.cfl", 2, ("o.hdr: is the same file as o.cfl",)
    ),
    "output is input by a soft link": (links, "rss --force scan.npy soft.npy", 2, ("soft.npy: is the same file as",)),
    "output is input by a hard link": (links, "rss --force scan.npy hard.npy", 2, ("hard.npy: is the same file as",)),
    "output is the file of an input dataset": (
        nothing, "rss --force scan.h5:kspace scan.h5", 2, ("scan.h5: is the same file as scan.h5:kspace",),
    ),
    "output is the second input": (
        nothing, "mvue --force scan.h5 maps.npy ./maps.npy", 2, ("./maps.npy: is the same file as maps.npy",),
    ),
    "output is the header of an input": (nothing, "rss --force scan.cfl scan.hdr", 2, ("scan.hdr: is ",)),
    "output is the base name of an input": (nothing, "rss --force scan scan.cfl", 2, ("scan.cfl: is ",)),
    "contradicting accel": (
        nothing, "flat-recon --accel 8 under.npy out.npy", 65,
        ("under.npy: slice 0: k-space is already under-sampled, with R = 4; --accel 8 disagrees", "hint: leave"),
    ),
    "output exists": (output_exists, "rss scan.npy out.npy", 73, ("out.npy: exists already (hint: --force",)),
    "folder of the output is missing": (nothing, "rss scan.npy no/out.npy", 73, ("no/out.npy: there is no folder no",)),
    "output of an unknown format": (nothing, "rss scan.npy out.dcm", 2, ("out.dcm: no format known by this name",)),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(shell: Shell, tmp_path: Path, mistake: str) -> None:
    make, line, code, texts = MISTAKES[mistake]
    make(tmp_path)
    before = listing(tmp_path)
    result = shell(f"mrikit {line}")

    assert (result.code, result.stdout) == (code, b""), result.stderr
    assert result.stderr.count("\n") == 1 and result.stderr.endswith("\n"), result.stderr
    assert result.stderr.startswith("mrikit ")
    for text in texts:
        assert text in result.stderr
    assert listing(tmp_path) == before


# ---- what happens to a process from outside


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 100 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("this user cannot mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize(
    "line",
    [
        "convert scan.npy disk/out.npy",
        "convert scan.npy disk/out.h5",
        "convert scan.npy disk/out.cfl",
        "phantom --coils 4 --matrix 64 disk/out.h5",
        "espirit scan.npy disk/out.npy",
        "convert maps.npy - > disk/out.npy",
    ],
)
def test_a_full_disk_is_one_line_and_leaves_nothing(shell: Shell, disk: Path, line: str) -> None:
    result = shell(f"mrikit {line}")

    assert (result.code, result.stderr.count("\n")) == (74, 1), result.stderr
    assert "No space left on device" in result.stderr
    if ">" in line:  # what the shell has opened is the shell's
        assert "<stdout>" in result.stderr
    else:
        assert line.rsplit(" ", 1)[1] in result.stderr
        assert list(disk.iterdir()) == []


@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
def test_a_full_disk_with_nifti(shell: Shell, disk: Path, tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    save(tmp_path / "image.npy", rng.random((2, 128, 128), np.float32), "image")
    result = shell(f"mrikit convert image.npy disk/out.{suffix}")

    assert (result.code, result.stderr.count("\n")) == (74, 1), result.stderr
    assert f"disk/out.{suffix}: cannot be written: No space left on device" in result.stderr
    assert list(disk.iterdir()) == []


def test_a_full_disk_with_a_picture(shell: Shell, disk: Path) -> None:
    (disk / "filler").write_bytes(bytes(96_000))
    result = shell("mrikit view maps.npy disk/out.png")

    assert (result.code, result.stderr.count("\n")) == (74, 1), result.stderr
    assert "disk/out.png" in result.stderr and "No space left on device" in result.stderr
    assert [path.name for path in disk.iterdir()] == ["filler"]


@pytest.mark.parametrize(
    "line",
    [
        "convert scan.npy -",
        "rss scan.npy -",
        "espirit scan.npy -",
        "mvue scan.npy maps.npy -",
        "phantom --matrix 128 -",
    ],
)
def test_a_closed_pipe_is_silent(shell: Shell, tmp_path: Path, line: str) -> None:
    edge = (KSPACE.shape[-1] // 2,) * 2
    large = np.pad(np.tile(KSPACE, (3, 1, 1, 1)), ((0, 0), (0, 0), edge, edge))  # more than a pipe holds
    for name, kind in (("scan.npy", "kspace"), ("maps.npy", "maps")):
        (tmp_path / name).unlink()
        save(tmp_path / name, large, kind)
    before = listing(tmp_path)
    result = shell(f"mrikit {line} | head -c 100 > /dev/null; exit ${{PIPESTATUS[0]}}")

    assert (result.code, result.stdout, result.stderr) == (141, b"", "")
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("number", "suffix"),
    [(signal.SIGKILL, "npy"), (signal.SIGKILL, "h5"), (signal.SIGKILL, "cfl"), (signal.SIGTERM, "npy")],
)
def test_a_process_that_dies_in_the_middle_of_a_write_leaves_no_output(
    tmp_path: Path, number: signal.Signals, suffix: str
) -> None:
    """The stream stops after the first slice, so the process is surely in the middle when it is killed."""
    data = (tmp_path / "scan.npy").read_bytes()
    before = set(listing(tmp_path))
    words = [sys.executable, "-m", "mrikit", "convert", "-", f"out.{suffix}"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        words, cwd=tmp_path, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(data[: len(data) * 2 // 3])
        process.stdin.flush()
        deadline = time.monotonic() + 20
        while not list(tmp_path.glob(f".out.{suffix}.*.part")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
        code = process.wait(20)
        said = process.stderr.read()
        process.stdin.close()

    left = set(listing(tmp_path)) - before
    assert said == b""
    if number == signal.SIGKILL:
        assert code == -9
        assert left and all(path.name.startswith(".out.") and path.suffix == ".part" for path in left)
        assert not (tmp_path / f"out.{suffix}").exists()
    else:
        assert (code, left) == (143, set())


# ---- every command that reads k-space, maps or masks, held to the same


READERS_OF_KSPACE = {
    "rss": "rss BAD out.npy",
    "espirit": "espirit BAD out.npy",
    "mvue": "mvue BAD maps.npy out.npy",
    "whiten": "whiten BAD out.npy",
    "compress": "compress --coils 2 BAD out.npy",
    "undersample": "undersample BAD mask.npy out.npy",
    "pics": "pics --reg l2 BAD maps.npy out.npy",
    "flat-recon": "flat-recon --accel 4 BAD out.npy",
}
READERS_OF_MAPS = {
    "mvue": "mvue scan.npy BAD out.npy",
    "pics": "pics --reg l2 scan.npy BAD out.npy",
    "flat-recon": "flat-recon --accel 4 --maps BAD scan.npy out.npy --maps-out more.npy",
}
READERS_OF_MASKS = {
    "undersample": "undersample scan.npy BAD out.npy",
    "flat-recon": "flat-recon --mask BAD scan.npy out.npy --maps-out more.npy",
}


def spoil(array: np.ndarray, how: str) -> np.ndarray:
    array = array.copy()
    if how == "nan":
        array[1, ..., 3, 5] = np.nan
    elif how == "inf":
        array[1, ..., 3, 5] = np.inf
    elif how == "empty":
        array[1] = 0
    elif how in ("tiny", "huge"):
        array[1] *= np.float32(1e-22 if how == "tiny" else 1e22)
    return array


def refused(result: Result, code: int, name: str, *texts: str) -> None:
    assert (result.code, result.stdout) == (code, b""), result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    for text in (name, *texts):
        assert text in result.stderr


@pytest.mark.parametrize(
    "how", ["nan", "inf", "empty", "tiny", "huge", "real", "axes", "truncated", "damaged", "image", "folder"]
)
@pytest.mark.parametrize("command", READERS_OF_KSPACE)
def test_every_command_refuses_kspace_that_is_none(mrikit: Mrikit, tmp_path: Path, command: str, how: str) -> None:
    bad = tmp_path / "bad.npy"
    text = {
        "tiny": "expected 1e-15 to 1e+15", "huge": "expected 1e-15 to 1e+15",
        "nan": "NaN or infinity at slice 1", "inf": "NaN or infinity at slice 1", "empty": "zero everywhere in slice 1",
        "real": "must be complex", "axes": "must have axes", "truncated": "truncated", "damaged": "have changed since",
        "image": "holds image, expected kspace", "folder": "is a folder",
    }[how]  # fmt: skip
    if how == "image":
        save(bad, simulated().image, "image")
    elif how == "folder":
        bad.mkdir()
    elif how in ("real", "axes"):
        np.save(bad, np.abs(KSPACE) if how == "real" else KSPACE[0, 0])
    else:
        save(bad, spoil(KSPACE, how), "kspace")
    if how == "truncated":
        bad.write_bytes(bad.read_bytes()[:-40_000])
    elif how == "damaged":
        data = bytearray(bad.read_bytes())
        data[len(data) // 2] ^= 1
        bad.write_bytes(data)
    before = listing(tmp_path)
    result = mrikit(*READERS_OF_KSPACE[command].replace("BAD", "bad.npy").split())

    refused(result, 66 if how == "folder" else 65, "bad.npy", text)
    assert listing(tmp_path) == before


@pytest.mark.parametrize("how", ["nan", "real", "matrix", "coils", "slices", "kspace"])
@pytest.mark.parametrize("command", READERS_OF_MAPS)
def test_every_command_refuses_maps_that_do_not_fit(mrikit: Mrikit, tmp_path: Path, command: str, how: str) -> None:
    maps, bad = simulated().maps, tmp_path / "bad.npy"
    others = {"matrix": maps[..., :32], "coils": maps[:, :3], "slices": maps[:1], "nan": spoil(maps, "nan")}
    if how == "real":
        np.save(bad, np.abs(maps))
    else:
        save(bad, others.get(how, KSPACE), "kspace" if how == "kspace" else "maps")
    before = listing(tmp_path)
    result = mrikit(*READERS_OF_MAPS[command].replace("BAD", "bad.npy").split())

    refused(result, 65, "bad.npy")
    assert listing(tmp_path) == before


@pytest.mark.parametrize("how", ["nothing", "width", "height", "slices", "kspace"])
@pytest.mark.parametrize("command", READERS_OF_MASKS)
def test_every_command_refuses_masks_that_do_not_fit(mrikit: Mrikit, tmp_path: Path, command: str, how: str) -> None:
    masks = {
        "nothing": np.zeros(64, bool),
        "width": np.ones(63, bool),
        "height": np.ones((63, 64), bool),
        "slices": np.ones((3, 64, 64), bool),
    }
    bad = tmp_path / "bad.npy"
    save(bad, masks[how], "mask") if how in masks else save(bad, KSPACE, "kspace")
    before = listing(tmp_path)
    result = mrikit(*READERS_OF_MASKS[command].replace("BAD", "bad.npy").split())

    refused(result, 65, "bad.npy")
    assert listing(tmp_path) == before


def test_a_mask_that_leaves_no_centre_says_what_calibration_needs(mrikit: Mrikit, tmp_path: Path) -> None:
    mask = np.ones(64, bool)
    mask[32] = False
    save(tmp_path / "holed.npy", mask, "mask")
    result = mrikit("flat-recon", "--mask", "holed.npy", "scan.npy", "out.npy")

    refused(result, 65, "holed.npy", "scan.npy", "the calibration region is 0 x 0", "--maps")


def test_samples_of_all_slices_are_checked_before_anything_appears(mrikit: Mrikit, tmp_path: Path) -> None:
    """The first slice is all right and both outputs are under way when the second turns out bad."""
    save(tmp_path / "nan.npy", spoil(KSPACE, "nan"), "kspace")
    before = listing(tmp_path)
    result = mrikit("flat-recon", "--accel", "4", "nan.npy", "out.nii", "--maps-out", "maps_out.h5")

    refused(result, 65, "nan.npy", "slice 1")
    assert listing(tmp_path) == before


def test_outputs_that_exist_stay_whole_through_a_failure_with_force(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "nan.npy", spoil(KSPACE, "nan"), "kspace")
    (tmp_path / "out.npy").write_bytes(b"precious")
    assert mrikit("rss", "--force", "nan.npy", "out.npy").code == 65

    assert (tmp_path / "out.npy").read_bytes() == b"precious"


def test_good_files_are_good(mrikit: Mrikit, tmp_path: Path) -> None:
    """What the tests above spoil works before it is spoiled."""
    for i, (line, good) in enumerate(
        [(line, "scan.npy") for line in READERS_OF_KSPACE.values()]
        + [(line, "maps.npy") for line in READERS_OF_MAPS.values()]
        + [(line, "mask.npy") for line in READERS_OF_MASKS.values()]
    ):
        words = line.replace("BAD", good).replace("out.npy", f"out{i}.npy").replace("more.npy", f"more{i}.npy")
        result = mrikit(*words.split())
        assert result.code == 0, (line, result.stderr)
        assert read(tmp_path / f"out{i}.npy").shape[0] == 2
