"""Volumes in real pipes: as the shell connects them, broken ones included."""

import contextlib
import io
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from volumes import volume, write

from mrikit.errors import DataError, UnsafeError, UsageError
from mrikit.io import open_reader

ROOT = Path(__file__).parents[2]
COPY = """
import sys
from mrikit.io import open_reader, open_writer
with open_reader(sys.argv[1]) as reader, open_writer(sys.argv[2], reader.header) as writer:
    for part in reader:
        writer.write(part)
    writer.finish((*reader.history, {"step": sys.argv[3]}))
"""


def shell(line: str, folder: Path) -> subprocess.CompletedProcess:
    (folder / "relay.py").write_text(COPY)
    line = line.replace("copy ", f"{sys.executable} {folder}/relay.py ")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], cwd=folder, env=environment, capture_output=True, timeout=60
    )


@pytest.fixture
def stdin(monkeypatch):
    """A function that makes bytes come from a real pipe, at most `piece` of them at a time."""
    with contextlib.ExitStack() as stack:

        def feed(data: bytes, piece: int = 1 << 20) -> None:
            receive, send = os.pipe()

            def run():
                with os.fdopen(send, "wb", buffering=0) as file:
                    for start in range(0, len(data), piece):
                        file.write(data[start : start + piece])

            thread = threading.Thread(target=run)
            thread.start()
            stack.callback(thread.join)
            pipe = stack.enter_context(io.TextIOWrapper(os.fdopen(receive, "rb")))
            monkeypatch.setattr(sys, "stdin", pipe)

        yield feed


def test_a_pipeline_keeps_everything_and_its_history(kspace, tmp_path):
    path, array = kspace
    done = shell("copy kspace.npy - 1 | copy - - 2 | copy - out.h5 3", tmp_path)
    assert done.returncode == 0, done.stderr
    with open_reader(tmp_path / "out.h5", "kspace") as reader:
        assert np.array_equal(reader.read(), array)
        assert [step.get("step") for step in reader.history] == [None, "1", "2", "3"]
        with open_reader(path) as source:
            assert reader.header.geometry == source.header.geometry


def test_a_saved_stream_opens_with_numpy(kspace, tmp_path):
    assert shell("copy kspace.npy - 1 > saved.npy", tmp_path).returncode == 0
    assert np.array_equal(np.load(tmp_path / "saved.npy"), kspace[1])


def test_process_substitution_is_a_pipe(kspace, tmp_path):
    done = shell("copy <(copy kspace.npy - 1) out.npy 2", tmp_path)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "out.npy"), kspace[1])


def test_a_producer_that_dies_leaves_no_output(kspace, tmp_path):
    done = shell("copy kspace.npy - 1 | head -c 1000 | copy - out.npy 2", tmp_path)
    assert done.returncode == 1
    assert b"DataError: <stdin>: truncated: it ends within its slice" in done.stderr
    assert not (tmp_path / "out.npy").exists() and not list(tmp_path.glob(".*"))


def test_a_consumer_that_leaves_is_a_broken_pipe(tmp_path):
    write(tmp_path / "big.npy", *big())
    done = shell("copy big.npy - 1 | head -c 1000 > /dev/null", tmp_path)
    assert b"BrokenPipeError" in done.stderr and b"CannotWriteError" not in done.stderr


def big():
    from mrikit.io import Header

    header = Header("image", ("slice", "y", "x"), (8, 256, 256), np.dtype("c8"))
    return header, np.ones(header.shape, header.dtype)


def test_stdout_on_a_full_disk_is_not_a_broken_pipe(tmp_path):
    write(tmp_path / "big.npy", *big())
    done = shell("copy big.npy - 1 > /dev/full", tmp_path)
    assert b"CannotWriteError: <stdout>: cannot be written: No space left on device" in done.stderr


@pytest.mark.parametrize("piece", [7, 1000])
def test_short_reads(kspace, stdin, piece):
    stdin(kspace[0].read_bytes(), piece)
    with open_reader("-", "kspace") as reader:
        assert reader.name == "<stdin>" and reader.history == ()
        assert np.array_equal(reader.read(), kspace[1])
        assert reader.history == ({"command": ["mrikit", "phantom"]},)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_plain_npy_in_a_pipe(stdin, order):
    _, array = volume("kspace")
    data = io.BytesIO()
    np.save(data, np.asarray(array, order=order))
    stdin(data.getvalue())
    with open_reader("-", "kspace") as reader:
        assert np.array_equal(reader.read(), array) and len(reader.notes) == 1


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(100), DataError, "HDF5, which cannot be read from a pipe"),
        (b"\x1f\x8b" + bytes(100), DataError, "gzip"),
        (b"PK\x03\x04" + bytes(100), UnsafeError, "npz"),
        (b"\x80\x04\x95" + bytes(100), UnsafeError, "pickle"),
        (b"hello, world", DataError, "no .npy array"),
        (b"", DataError, "empty"),
    ],
)
def test_what_is_not_npy_is_named(stdin, data, error, says):
    stdin(data)
    with pytest.raises(error, match=says) as caught:
        open_reader("-")
    assert str(caught.value).startswith("<stdin>: ") and caught.value.hint


def test_a_terminal_is_neither_read_nor_written(kspace, monkeypatch, tmp_path):
    from mrikit.io import open_writer

    ends = os.openpty()
    try:
        with open(ends[1], "rb", closefd=False) as terminal:
            monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=terminal))
            with pytest.raises(UsageError, match="nothing is piped"):
                open_reader("-")
            monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=terminal, flush=lambda: None))
            with pytest.raises(UsageError, match="not written to a terminal"):
                open_writer("-", volume("kspace")[0])
            monkeypatch.undo()
    finally:
        for end in ends:
            os.close(end)


def test_memory_stays_at_one_slice(tmp_path):
    """40 slices of 0.5 MB: reading and writing them takes far less than the volume."""
    import tracemalloc

    from mrikit.io import Header, open_writer

    header = Header("image", ("slice", "y", "x"), (40, 256, 256), np.dtype("c8"))
    part = np.ones(header.slice_shape, header.dtype)
    for suffix in ("npy", "h5", "nii", "nii.gz", "cfl"):
        with open_writer(tmp_path / f"a.{suffix}", header) as writer:  # loads the libraries
            tracemalloc.start()
            for _ in range(40):
                writer.write(part)
            writer.finish()
        with open_reader(tmp_path / f"a.{suffix}") as reader:
            for _ in reader:
                pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * header.slice_nbytes, suffix
