"""Outputs appear whole or not at all, and never in place of something else."""

import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from volumes import volume, write

from mrikit.errors import CannotCreateError, CannotWriteError, MissingInputError, UnsafeError, UsageError
from mrikit.io import Header, open_reader, open_writer

ROOT = Path(__file__).parents[2]
SUFFIXES = ["npy", "h5", "nii", "nii.gz", "cfl"]
LARGE = Header("image", ("slice", "y", "x"), (40, 256, 256), np.dtype("c8"))  # 20 MB


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_is_there_until_finish_and_nothing_is_left_without(tmp_path, suffix):
    header, array = volume("image")
    with open_writer(tmp_path / f"out.{suffix}", header) as writer:
        writer.write(array[0])
        assert all(path.name.startswith(".") and path.suffix == ".part" for path in tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_kill_9_leaves_no_output(tmp_path, suffix):
    script = """
import sys, time
import numpy as np
from mrikit.io import Header, open_writer
header = Header("image", ("slice", "y", "x"), (3, 64, 64), np.dtype("c8"))
writer = open_writer(sys.argv[1], header)
writer.write(np.ones((64, 64), "c8"))
print("writing", flush=True)
time.sleep(60)
"""
    output = tmp_path / f"out.{suffix}"
    with subprocess.Popen([sys.executable, "-c", script, output], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"writing\n"
        os.kill(process.pid, signal.SIGKILL)
    assert not output.exists() and all(path.suffix == ".part" for path in tmp_path.iterdir())
    header, array = volume("image")
    write(output, header, array)  # what was left behind is in nobody's way


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("this user cannot mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk(small_disk, suffix):
    part = np.random.default_rng(1).standard_normal((256, 512)).astype("f4").view("c8")
    with (
        pytest.raises(CannotWriteError, match=f"out.{suffix}: cannot be written: No space left"),
        open_writer(small_disk / f"out.{suffix}", LARGE) as writer,
    ):
        for _ in range(40):
            writer.write(part)
        writer.finish()
    assert list(small_disk.iterdir()) == []


def test_a_disk_that_fills_in_the_last_step(small_disk):
    """NIfTI is put together in finish: the slices fit once, not twice."""
    header = Header("image", ("slice", "y", "x"), (1, 256, 300), np.dtype("c8"))
    with open_writer(small_disk / "out.nii", header) as writer:
        writer.write(np.ones(header.slice_shape, "c8"))
        with pytest.raises(CannotWriteError):
            writer.finish()
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize("suffix", ["h5", "npy", "nii"])
def test_a_disk_that_is_full_already(small_disk, suffix):
    """HDF5 holds small volumes back until the file is closed."""
    header = Header("image", ("slice", "y", "x"), (1, 64, 64), np.dtype("c8"))
    with suppress(OSError), (small_disk / "junk").open("wb", buffering=0) as junk:
        while True:
            junk.write(bytes(4096))
    with pytest.raises(CannotWriteError), open_writer(small_disk / f"out.{suffix}", header) as writer:
        writer.write(np.ones(header.slice_shape, "c8"))
        writer.finish()
    assert [path.name for path in small_disk.iterdir()] == ["junk"]


INTERRUPTED = """
import os, signal, sys
from mrikit.cli.app import main
from mrikit.io import atomic

class Interrupting(atomic.io.FileIO):
    written = 0

    def write(self, content):
        Interrupting.written += 1
        if Interrupting.written == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGINT)
        return super().write(content)

atomic.io = type("io", (), {"FileIO": Interrupting})
sys.exit(main(["phantom", "--matrix", "32", "--coils", "2", sys.argv[2]]))
"""


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_a_signal_in_the_midst_of_hdf5_waits_for_its_end(tmp_path, n):
    line = [sys.executable, "-c", INTERRUPTED, str(n), str(tmp_path / "out.h5")]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dataset", ["/", ".", "a/", "a//b", "../a"])
def test_what_is_no_name_of_a_dataset(tmp_path, dataset):
    header = Header("image", ("slice", "y", "x"), (1, 8, 8), np.dtype("c8"))
    with pytest.raises(UsageError, match="is no name of a dataset"), open_writer(f"{tmp_path}/a.h5:{dataset}", header):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_size_limit(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with (
            pytest.raises(CannotWriteError, match="File too large"),
            open_writer(tmp_path / "a.npy", LARGE) as writer,
        ):
            for _ in range(40):
                writer.write(np.ones(LARGE.slice_shape, "c8"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_exists_stays_without_force(tmp_path, suffix):
    header, array = volume("image")
    output = write(tmp_path / f"out.{suffix}", header, array)
    before = output.read_bytes()
    with pytest.raises(CannotCreateError, match=f"out.{suffix}: exists") as caught:
        open_writer(output, header)
    assert "--force" in caught.value.hint and output.read_bytes() == before
    write(output, header, 2 * array, force=True)
    with open_reader(output, "image") as reader:
        assert np.array_equal(reader.read(), 2 * array)


def test_what_came_into_being_meanwhile_stays(tmp_path):
    header, array = volume("image")
    with open_writer(tmp_path / "out.npy", header) as writer:
        for part in array:
            writer.write(part)
        (tmp_path / "out.npy").write_text("someone else's")
        with pytest.raises(CannotCreateError, match="exists now"):
            writer.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["out.npy"]
    assert (tmp_path / "out.npy").read_text() == "someone else's"


def test_an_input_is_never_an_output(tmp_path, monkeypatch):
    header, array = volume("kspace")
    write(tmp_path / "in.h5", header, array)
    write(tmp_path / "in.cfl", header, array)
    (tmp_path / "soft.h5").symlink_to("in.h5")
    (tmp_path / "hard.h5").hardlink_to(tmp_path / "in.h5")
    monkeypatch.chdir(tmp_path)
    for source, output in [
        ("in.h5", "in.h5"),
        ("in.h5:kspace", "./in.h5"),
        ("in.h5", "soft.h5"),
        ("in.h5", "hard.h5"),
        ("in", "in.hdr"),
    ]:
        with pytest.raises(UsageError, match="is an input too"):
            open_writer(output, header, force=True, inputs=["-", "other.npy", source])


def test_a_link_is_written_through(tmp_path):
    header, array = volume("image")
    (tmp_path / "there").mkdir()
    (tmp_path / "here.npy").symlink_to("there/real.npy")
    write(tmp_path / "here.npy", header, array, force=True)
    assert (tmp_path / "here.npy").is_symlink() and (tmp_path / "there" / "real.npy").is_file()


def test_a_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(CannotCreateError, match="not a regular file"):
        open_writer(tmp_path / "pipe.npy", volume("image")[0], force=True)


def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        output = write(tmp_path / "a.npy", *volume("image"))
    finally:
        os.umask(before)
    assert output.stat().st_mode & 0o777 == 0o640


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(CannotCreateError, match=r"there is no folder .*nowhere"):
        open_writer(tmp_path / "nowhere" / "a.npy", volume("image")[0])


def test_a_folder_that_takes_no_files_is_named():
    with pytest.raises(CannotCreateError, match=r"out\.npy: cannot be created in /proc/\d+: [A-Z][a-z ]+$"):
        open_writer(f"/proc/{os.getpid()}/out.npy", volume("image")[0])


def test_a_long_name_fits(tmp_path):
    write(tmp_path / ("n" * 251 + ".npy"), *volume("image"))


@pytest.mark.parametrize("name", ["out.txt", "out", "out.nii.bz2"])
def test_an_unknown_suffix_is_a_usage_error(tmp_path, name):
    for call in (
        lambda: open_reader(tmp_path / name),
        lambda: open_writer(tmp_path / name, volume("image")[0]),
    ):
        with pytest.raises(UsageError, match=f"{name}: no format known") as caught:
            call()
        assert ".npy, .h5" in caught.value.hint


def test_archives_and_pickles_are_unsafe(tmp_path):
    for name in ("a.npz", "a.pkl", "a.pt"):
        with pytest.raises(UnsafeError, match=name):
            open_reader(tmp_path / name)


@pytest.mark.parametrize("name", ["gone.npy", "gone.h5", "gone.h5:kspace", "gone.nii.gz", "gone.cfl"])
def test_a_missing_input(tmp_path, name):
    with pytest.raises(MissingInputError, match="gone"):
        open_reader(tmp_path / name)


def test_a_folder_is_no_input(tmp_path):
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(MissingInputError, match="is a folder"):
        open_reader(tmp_path / "folder.npy")


def test_a_header_that_no_format_holds_is_a_bug(tmp_path):
    for wrong in (
        Header("image", ("y", "x"), (2, 2), np.dtype("c8")),
        Header("image", ("slice", "y", "x"), (2, 2, 2), np.dtype("c16")),
        Header("mask", ("x",), (2,), np.dtype("f4")),
    ):
        with pytest.raises(ValueError, match="cannot"):
            open_writer(tmp_path / "a.npy", wrong)
