"""mrikit batch as a user meets it: real jobs, killed, failing and done again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scans import ROOT, read, save, simulated, small_scans

pytest.importorskip("snakemake")
pytestmark = pytest.mark.slow

RSS = ("rss", "{in}", "{out}.npy")
#: For the shell, half a second a scan.
SLOWLY = ("sleep 0.5; cp {in} {out}.npy",)


@pytest.fixture
def start(tmp_path: Path, mrikit_bin: Path):
    """`start("--jobs", 2, "scans/a.h5", "--", *RSS)` begins a batch into `tmp_path`/out, in a process group."""

    def call(*words: object) -> subprocess.Popen[str]:
        env = os.environ | {"PATH": f"{mrikit_bin}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        line = [sys.executable, "-m", "mrikit", "batch", "--threads", "1", "--out", "out", *map(str, words)]
        return subprocess.Popen(
            line, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    return call


@pytest.fixture
def batch(start):
    """`batch(...)` runs one to its end: (exit code, stdout, stderr)."""

    def call(*words: object) -> tuple[int, str, str]:
        process = start(*words)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    return call


@pytest.fixture
def scans(tmp_path: Path) -> list[str]:
    return small_scans(tmp_path)


def report(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "out" / "batch.jsonl").read_text().splitlines()]


def outputs(folder: Path) -> dict[str, int]:
    """Name and time of change of what is done."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "out").glob("*.npy")}


def wait_for(folder: Path, n: int) -> None:
    end = time.monotonic() + 120
    while len(outputs(folder)) < n:
        assert time.monotonic() < end, "no outputs"
        time.sleep(0.05)


def is_alive(group: int) -> bool:
    """Whether a process of the group still runs."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("whole", [True, False], ids=["the whole group", "the first process"])
def test_killed_in_the_middle_only_the_rest_is_done_again(start, batch, scans, tmp_path: Path, whole: bool) -> None:
    process = start("--jobs", 2, *scans, "--", *RSS)
    wait_for(tmp_path, 6)
    os.killpg(process.pid, signal.SIGKILL) if whole else process.kill()
    process.communicate()
    before = outputs(tmp_path)
    assert 6 <= len(before) < 24

    code, _, err = batch("--jobs", 2, *scans, "--", *RSS)
    assert (code, err) == (0, "")
    after = outputs(tmp_path)
    assert len(after) == 24 and {name: after[name] for name in before} == before
    assert sum(row["outcome"] == "finished before" for row in report(tmp_path)) >= len(before)
    for i, name in enumerate(sorted(after)):
        serial = np.asarray(_rss(simulated(16, 2, 1, seed=i).kspace))
        np.testing.assert_array_equal(read(tmp_path / "out" / name), serial)
    assert not list((tmp_path / "out").glob(".*.part"))


def _rss(kspace: np.ndarray) -> np.ndarray:
    import mrikit

    return mrikit.rss(kspace)


def test_ended_by_a_signal_it_leaves_nothing_running(start, scans, tmp_path: Path) -> None:
    process = start("--jobs", 2, *scans, "--", "sleep 600; mrikit rss {in} {out}.npy")
    end = time.monotonic() + 60
    while not list((tmp_path / "out" / ".mrikit-batch" / "items").glob("*.json")):
        assert time.monotonic() < end
        time.sleep(0.05)
    process.terminate()
    process.communicate(timeout=60)

    assert process.returncode == 143
    end = time.monotonic() + 20
    while is_alive(process.pid):
        assert time.monotonic() < end, "something is still running"
        time.sleep(0.05)


def test_failures_are_listed_and_the_others_done(batch, scans, tmp_path: Path) -> None:
    (tmp_path / "scans" / "s01.npy").write_text("no scan")
    code, out, err = batch("--group", 4, "--retries", 1, *scans[:6], "--", *RSS)

    assert code == 8
    assert err.startswith("mrikit batch: 1 of 6 scans are not done: scans/s01.npy: mrikit rss: ")
    assert err.count("\n") == 1
    assert len(outputs(tmp_path)) == 5
    rows = {row["input"]: row for row in report(tmp_path)}
    assert list(rows) == scans[:6]
    assert {row["outcome"] for row in rows.values()} == {"done", "failed"}
    assert rows["scans/s01.npy"]["error"].endswith("holds no .npy array (hint: pipes carry .npy; see `mrikit convert`)")
    assert all(row["seconds"] > 0 and row["peak_mib"] > 10 for row in rows.values())
    assert out.splitlines()[0].split() == ["scan", "outcome", "seconds", "MiB"]

    (tmp_path / "scans" / "s01.npy").unlink()
    save(tmp_path / "scans" / "s01.npy", simulated(16, 2, 1).kspace, "kspace")
    before = outputs(tmp_path)
    assert batch(*scans[:6], "--", *RSS)[0] == 0
    assert {name: outputs(tmp_path)[name] for name in before} == before


def test_with_fail_fast_the_rest_is_not_begun(batch, scans, tmp_path: Path) -> None:
    (tmp_path / "scans" / "s00.npy").write_text("no scan")
    code, _, _ = batch("--fail-fast", *scans[:12], "--", *RSS)

    outcomes = [row["outcome"] for row in report(tmp_path)]
    assert code == 8 and outcomes.count("failed") == 1 and "not run" in outcomes


def test_another_command_needs_force(batch, scans, tmp_path: Path) -> None:
    assert batch(*scans[:2], "--", *RSS)[0] == 0
    before = outputs(tmp_path)
    line = ("espirit", "--calib", "8", *RSS[1:])
    assert batch(*scans[:2], "--", *line)[0] == 73
    assert outputs(tmp_path) == before
    assert batch("--force", *scans[:2], "--", *line)[0] == 0
    assert read(tmp_path / "out" / "s00.npy").ndim == 4


def test_gpus_are_never_shared(batch, scans, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs, four jobs: each sees one of them, and nobody sees it at the same time."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,7")
    line = "test -e {in}; (echo $CUDA_VISIBLE_DEVICES; date +%s.%N; sleep 0.3; date +%s.%N) > {out}.txt"
    code, _, err = batch("--jobs", 4, "--resources", "gpu=1", *scans[:8], "--", line)

    assert code == 0, err
    spans: dict[str, list[tuple[float, float]]] = {}
    for path in (tmp_path / "out").glob("*.txt"):
        device, begin, end = path.read_text().split()
        spans.setdefault(device, []).append((float(begin), float(end)))
    assert spans.keys() == {"0", "7"}
    for one in map(sorted, spans.values()):
        assert all(first[1] <= second[0] for first, second in pairwise(one))


def test_a_second_batch_waits_for_another_day(start, batch, scans, tmp_path: Path) -> None:
    first = start(*scans[:8], "--", *SLOWLY)
    wait_for(tmp_path, 1)
    code, _, err = batch(*scans[:8], "--", *SLOWLY)

    assert code == 75 and "another batch is at work there" in err
    assert first.communicate()[1] == "" and first.returncode == 0
