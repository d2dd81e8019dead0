"""mrikit batch on a real Slurm: one node on the loopback, started here (Debian's slurm-wlm and munge, as root)."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scans import ROOT, read, save, simulated, small_scans

import mrikit

pytestmark = pytest.mark.oracle

CONFIG = Path("/etc/slurm/slurm.conf")
NODE = socket.gethostname().split(".")[0]
TEXT = """\
ClusterName=test
SlurmctldHost={node}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName={node} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def answers(*words: str) -> bool:
    return subprocess.run(words, capture_output=True, timeout=60, check=False).returncode == 0


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Slurm of one node. Its jobs look for the configuration where Slurm does, so there must be none."""
    for program in ("munged", "slurmctld", "slurmd", "sbatch"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program}: apt-get install slurm-wlm munge")
    if os.getuid() or CONFIG.exists():
        pytest.skip(f"starting a Slurm takes root, and no {CONFIG}")
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("munge", "state", "spool"):
        (folder / name).mkdir(mode=0o700)
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        ports = one.getsockname()[1], two.getsockname()[1]
    munge = [f"--{name}={folder}/munge/{name}" for name in ("socket", "pid-file", "log-file", "seed-file")]
    CONFIG.parent.mkdir(exist_ok=True)
    CONFIG.write_text(TEXT.format(node=NODE, folder=folder, ports=ports, cpus=os.cpu_count()))
    lines = (["munged", "-F", "--force", f"--key-file={key}", *munge], ["slurmctld", "-D"], ["slurmd", "-D"])
    daemons = []
    try:
        for line in lines:
            with (folder / f"{line[0]}.log").open("wb") as log:
                daemons.append(subprocess.Popen(line, stdout=log, stderr=log))
            time.sleep(1)
        end = time.monotonic() + 120
        while not answers("srun", "--immediate=5", "true"):
            assert time.monotonic() < end, (folder / "slurmctld.log").read_text()
            time.sleep(1)
        yield
        # The processes of a job that is still ending would wait for these daemons for ever.
        answers("scancel", "--partition=main")
        end = time.monotonic() + 60
        while subprocess.check_output(["squeue", "--noheader"]) and time.monotonic() < end:
            time.sleep(0.5)
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(60)
        CONFIG.unlink()


@pytest.fixture
def scans(tmp_path: Path) -> list[str]:
    return small_scans(tmp_path)


@pytest.fixture
def environment(tmp_path: Path, mrikit_bin: Path) -> dict[str, str]:
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile" / "config.yaml").write_text("slurm-init-seconds-before-status-checks: 2\n")
    path = f"{mrikit_bin}:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "SNAKEMAKE_PROFILE": str(tmp_path / "profile")}


def jobs_of(folder: Path) -> list[int]:
    """Processes on the node that do items of the batch in `folder`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if b"mrikit.cli.batch.job" in words and any(word.startswith(os.fsencode(folder)) for word in words):
            found.append(int(entry.parent.name))
    return found


def test_killed_jobs_and_a_drained_node_lose_and_repeat_nothing(
    slurm: None, scans: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("pip install 'mrikit[slurm]'")
    line = [sys.executable, "-m", "mrikit", "batch", "--quiet", "--executor", "slurm", "--retries", "4", "--group", "2"]
    line += ["--resources", "mem_mb=200", "--out", "out", *scans, "--", "rss", "{in}", "{out}.npy"]
    with (tmp_path / "errors").open("w") as errors:
        batch = subprocess.Popen(line, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=errors)
    rng, killed, first_seen, drained = random.Random(7), 0, {}, False
    try:
        while batch.poll() is None:
            for path in (tmp_path / "out").glob("*.npy"):
                first_seen.setdefault(path.name, path.stat().st_mtime_ns)
            running = jobs_of(tmp_path / "out")
            if killed < 3 and running and rng.random() < 0.3:
                os.kill(rng.choice(running), 9)
                killed += 1
                time.sleep(1)
            if not drained and len(first_seen) >= 8:
                assert answers("scontrol", "update", f"nodename={NODE}", "state=drain", "reason=test")
                time.sleep(10)
                assert answers("scontrol", "update", f"nodename={NODE}", "state=resume")
                drained = True
            time.sleep(0.05)
    finally:
        batch.terminate()
    assert (batch.wait(60), (tmp_path / "errors").read_text()) == (0, "")

    assert killed == 3 and drained
    for i in range(24):
        path = tmp_path / "out" / f"s{i:02d}.npy"
        np.testing.assert_array_equal(read(path), mrikit.rss(simulated(16, 2, 1, seed=i).kspace))
        assert first_seen.get(path.name, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
    assert not list((tmp_path / "out").glob(".*.part"))


@pytest.fixture
def submit(slurm: None, tmp_path: Path, environment: dict[str, str]):
    """`submit("08-slurm-array.sh", "--array=1-4", words=(...))` runs an example to its end; what it printed."""

    def call(name: str, *options: str, words: tuple[str, ...]) -> str:
        line = [
            "sbatch",
            "--wait",
            "--output=job.log",
            "--open-mode=append",
            *options,
            ROOT / "examples" / name,
            *words,
        ]
        done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, timeout=900, check=False)
        printed = (tmp_path / "job.log").read_text() if (tmp_path / "job.log").exists() else ""
        assert done.returncode == 0, done.stderr.decode() + printed
        return printed

    return call


def test_the_array_example(submit, tmp_path: Path) -> None:
    for i in range(2):
        save(tmp_path / f"s {i}.h5", simulated(64, 2, 1, seed=i).kspace, "kspace")
    (tmp_path / "list.txt").write_text("s 0.h5\ns 1.h5\n")
    submit("08-slurm-array.sh", "--array=1-2", words=("list.txt", "images"))
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "images").iterdir()}
    assert before.keys() == {"s 0.nii", "s 1.nii"}

    (tmp_path / "images" / "s 1.nii").unlink()
    submit("08-slurm-array.sh", "--array=1-2", words=("list.txt", "images"))
    assert (tmp_path / "images" / "s 0.nii").stat().st_mtime_ns == before["s 0.nii"]
    assert (tmp_path / "images" / "s 1.nii").exists()


def test_the_training_example_goes_back_into_the_queue_and_on(slurm: None, tmp_path: Path, environment) -> None:
    (tmp_path / "scans").mkdir()
    save(tmp_path / "scans" / "a.h5", simulated(64, 2, 1).kspace, "kspace")
    example = ROOT / "examples" / "12-train-on-slurm.sh"
    line = ["sbatch", "--parsable", "--output=job.log", example, "scans", "out", "2", "4"]
    job = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    losses, weights = tmp_path / "out" / "own.run" / "loss.jsonl", tmp_path / "out" / "own.safetensors"

    def wait_for(what: Path) -> None:
        end = time.monotonic() + 1200  # Slurm has a job wait for two minutes before it starts again
        while not what.exists():
            assert time.monotonic() < end, (tmp_path / "job.log").read_text()
            time.sleep(0.5)

    wait_for(losses)
    assert answers("scancel", "--signal=TERM", job)  # what `--signal=TERM@300` sends
    wait_for(weights)
    steps = [json.loads(line)["step"] for line in losses.read_text().splitlines()]
    assert "and saved" in (tmp_path / "job.log").read_text()
    assert steps == sorted(set(steps)) and steps[-1] == 4
