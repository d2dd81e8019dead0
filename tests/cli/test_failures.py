"""Every failure: its exit code and its one line."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import dummies
import pytest
from running import Mrikit, Shell

from mrikit.cli import failures

DUMMIES = Path(dummies.__file__)


@pytest.fixture(autouse=True)
def _dummy_commands() -> Iterator[None]:
    dummies.register()
    yield
    dummies.unregister()


@pytest.mark.parametrize(
    ("how", "code", "line"),
    [
        ("result", 1, "mrikit fail: out.npy: all zero"),
        ("usage", 2, "mrikit fail: --a and --b contradict each other"),
        ("batch", 8, "mrikit fail: 2 of 5 failed"),
        ("data", 65, "mrikit fail: scan.h5: axis x is 3, expected 4 (hint: look at it)"),
        ("missing", 66, "mrikit fail: scan.h5: gone"),
        ("create", 73, "mrikit fail: out.npy: exists"),
        ("write", 74, "mrikit fail: out.npy: disk full"),
        ("temporary", 75, "mrikit fail: busy"),
        ("unsafe", 77, "mrikit fail: a pickle"),
        ("memory", 75, "mrikit fail: out of memory (hint: a smaller --chunk or --device cpu)"),
        ("cuda", 75, "mrikit fail: out of memory (hint: a smaller --chunk or --device cpu)"),
        ("full", 74, "mrikit fail: out.npy: No space left on device (hint: is the disk full? `df -h`)"),
        ("absent", 66, "mrikit fail: weights: No such file or directory"),
        (
            "module",
            75,
            "mrikit fail: needs the Python package nowhere, which is not installed (hint: mrikit doctor)",
        ),
        (
            "bug",
            70,
            "mrikit fail: this is a bug in mrikit: ZeroDivisionError: division by zero "
            "(hint: run again with --debug for the traceback and report it)",
        ),
    ],
)
def test_a_failure_is_one_line_and_its_exit_code(mrikit: Mrikit, how: str, code: int, line: str) -> None:
    result = mrikit("fail", how)

    assert (result.code, result.stdout, result.stderr) == (code, b"", line + "\n")


@pytest.mark.parametrize(("how", "code"), [("interrupt", 130), ("pipe", 141)])
def test_signals_and_closed_pipes_are_silent(mrikit: Mrikit, how: str, code: int) -> None:
    result = mrikit("fail", how)

    assert (result.code, result.stderr) == (code, "")


@pytest.mark.parametrize("how", ["bug", "data"])
def test_debug_adds_the_traceback_and_keeps_the_line_last(mrikit: Mrikit, how: str) -> None:
    result = mrikit("fail", how, "--debug")

    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("mrikit fail: ")
    assert "Traceback" not in mrikit("fail", how).stderr


def test_quiet_does_not_hide_errors(mrikit: Mrikit) -> None:
    assert mrikit("fail", "data", "--quiet").stderr.startswith("mrikit fail: scan.h5")


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (("rss",), "mrikit rss: missing argument 'IN' (hint: mrikit rss --help)"),
        (("rss", "scan.npy", "out.npy", "more"), "mrikit rss: got unexpected extra argument"),
        (("rss", "scan.npy", "out.npy", "--colour"), "mrikit rss: no such option"),
        (
            ("fail", "bug", "--chunk", "0"),
            "mrikit fail: invalid value for '--chunk': 0 is not in the range x>=1",
        ),
        (
            ("fail", "bug", "--device", "tpu"),
            "mrikit fail: invalid value for '--device': 'tpu' is not a device",
        ),
        (("rss", "", "out.npy"), "mrikit rss: invalid value for 'IN': a file name cannot be empty"),
    ],
)
def test_usage_errors_have_the_same_form(mrikit: Mrikit, args: tuple[str, ...], line: str) -> None:
    result = mrikit(*args)

    assert result.code == 2
    assert result.stderr.startswith(line)
    assert result.stderr.endswith(f"(hint: mrikit {args[0]} --help)\n")
    assert result.stderr.count("\n") == 1


def test_every_exit_code_of_an_error_class_is_documented() -> None:
    from mrikit import errors

    documented = {code for codes, _ in failures.EXIT_CODES for code in codes.split(", ")}
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.MrikitError)]

    assert {str(c.exit_code) for c in classes} <= documented


def start_slow(tmp_path: Path) -> subprocess.Popen[str]:
    """`mrikit slow`, in the middle of its stream: one slice is written."""
    words = [sys.executable, str(DUMMIES), "slow", "scan.npy", "out.npy"]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # which what a shell puts in the background ignores
    process = subprocess.Popen(
        words, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment(), preexec_fn=heard
    )
    assert process.stderr is not None
    while process.stderr.readline().strip() != "slice 1":
        assert process.poll() is None
    return process


def environment() -> dict[str, str]:
    import os

    from running import ROOT

    return os.environ | {"PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_in_the_middle_of_a_stream_leaves_nothing_behind(
    tmp_path: Path, scan: Path, number: int, code: int
) -> None:
    process = start_slow(tmp_path)
    for _ in range(1000):  # the first slice is written while the second is computed
        if parts := list(tmp_path.glob(".out.npy.*.part")):
            break
        time.sleep(0.01)
    assert len(parts) == 1
    time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)

    assert process.returncode == code
    assert err == ""
    assert [path.name for path in tmp_path.iterdir()] == [scan.name]


def test_a_reader_that_goes_away_is_silent_and_141(shell: Shell, scan: Path) -> None:
    result = shell("mrikit convert scan.npy - | head -c 100 >/dev/null; echo ${PIPESTATUS[0]}")

    assert result.text.strip() in ("0", "141")  # 0 where the whole stream fits into the pipe
    assert result.stderr == ""


def test_a_reader_of_a_large_stream_that_goes_away_is_silent_and_141(shell: Shell, tmp_path: Path) -> None:
    import numpy as np

    np.save(tmp_path / "large.npy", np.ones((8, 2, 128, 128), np.complex64))
    result = shell("mrikit convert large.npy - --quiet | head -c 100 >/dev/null; echo ${PIPESTATUS[0]}")

    assert result.text.strip() == "141"
    assert result.stderr == ""


def test_a_failed_stage_fails_the_pipeline_and_leaves_no_output(shell: Shell, scan: Path, tmp_path: Path) -> None:
    result = shell("mrikit rss nowhere.npy - | mrikit convert - out.npy")

    assert result.code != 0
    assert "nowhere.npy: no such file" in result.stderr
    assert not list(tmp_path.glob("*out*"))
