"""What one job of a batch does: its items, one after the other, in one process.

`python -m mrikit.cli.batch.job PLAN.json NUMBER`, started by Snakemake. Commands run in this process, so
that imports and models are loaded once for all items; lines for the shell in one bash each.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mrikit.cli.app import main as mrikit
from mrikit.cli.batch.plan import Item
from mrikit.cli.batch.records import Records
from mrikit.cli.failures import USAGE, Signalled, signals_raise
from mrikit.cli.options import limited_threads

#: Exit codes of what another attempt would not change: usage, data, missing, refused.
PERMANENT = {USAGE, 65, 66, 73, 77}
SIGTERMED = 128 + signal.SIGTERM
SIGNALLED = {128 + signal.SIGINT, SIGTERMED, 128 + signal.SIGHUP}
#: Folder beside the plan with an empty file for every item that has ended, which the batch counts.
ENDED = "ended"
#: Environment variable with the process that starts jobs here.
ENGINE = "MRIKIT_BATCH_ENGINE"


def main(path: str, number: str) -> int:
    """Do the items of job `number` of a plan; 1 where one failed."""
    plan = json.loads(Path(path).read_bytes())
    os.chdir(plan["cwd"])
    os.environ["PATH"] += os.pathsep + str(Path(sys.executable).parent)
    records = Records(Path(plan["records"]))
    try:
        with signals_raise(), limited_threads(plan["threads"]), pinned(plan["gpus"], plan["n_gpus"]):
            failed = 0
            for item in items_of(plan, int(number)):
                failed += not do(item, records, plan["run"])
                (Path(path).parent / ENDED / item.key).touch()
    except Signalled as signalled:
        return signalled.exit_code
    return int(failed > 0)


def items_of(plan: Any, number: int) -> Iterator[Item]:
    """The items of a job, as they were before the plan became JSON."""
    for said in plan["jobs"][number]:
        command = said["command"] if isinstance(said["command"], str) else tuple(said["command"])
        yield Item(said["scan"], said["name"], command, tuple(said["outputs"]))


def do(item: Item, records: Records, run: str) -> bool:
    """Run an item, unless it is finished or cannot be helped; True where its outputs are there."""
    with records.log(item).open("ab") as log:
        with suppress(OSError):  # a file system without locks
            # A job of a batch that was killed may still be at it: whoever has the log has the item.
            fcntl.flock(log, fcntl.LOCK_EX)
        if records.settle(item):
            return True
        before = records.read(item) or {}
        if before.get("run") == run and before.get("exit") in PERMANENT:
            return False
        log.truncate(0)
        records.begin(item, run)
        start = time.monotonic()
        with redirected(log.fileno()):
            code, peak = run_shell(item.command) if isinstance(item.command, str) else run_words(item.command)
        missing = [output for output in item.outputs if not Path(output).exists()]
        error = None
        if code:
            error = last_line(records.log(item)) or f"exit {code}"
        elif missing:
            code, error = 1, f"{missing[0]}: the command ended well and did not write it"
        facts = {"outcome": "failed" if code else "done", "exit": code, "error": error}
        records.end(item, run, seconds=round(time.monotonic() - start, 3), peak_mib=round(peak, 1), **facts)
    if code in SIGNALLED:
        sys.exit(code)
    return code == 0


def run_words(command: Sequence[str]) -> tuple[int, float]:
    """(exit code, peak memory in MiB) of an mrikit command line, run in this process."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    code = mrikit(command)
    with suppress(OSError, StopIteration):
        status = Path("/proc/self/status").read_text().splitlines()
        return code, int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 2**10
    return code, _mib(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def run_shell(line: str) -> tuple[int, float]:
    """(exit code, peak memory in MiB of its largest process) of a line for bash, any failed stage of which fails it."""
    with signals_raise():  # which takes the first signal; the kernel sends one for every thread of a killed parent
        try:
            child = subprocess.Popen(["bash", "-o", "pipefail", "-c", line])
            _, status, usage = os.wait4(child.pid, 0)
        except Signalled:
            _terminate_children()
            raise
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode, _mib(usage.ru_maxrss)


def _terminate_children() -> None:
    """Ask whatever this process has started to end: a signal to it reaches no stage of a pipeline by itself."""
    import psutil

    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.terminate()


def _mib(maxrss: int) -> float:
    return maxrss / (2**20 if sys.platform == "darwin" else 2**10)


@contextmanager
def redirected(log: int) -> Iterator[None]:
    """Standard output and error, of this process and its children, into `log`; nothing on standard input."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(fd) for fd in (0, 1, 2)]
    nothing = os.open(os.devnull, os.O_RDONLY)
    for fd, target in ((0, nothing), (1, log), (2, log)):
        os.dup2(target, fd)
    os.close(nothing)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for fd, old in enumerate(saved):
            os.dup2(old, fd)
            os.close(old)


def last_line(path: Path) -> str | None:
    """The last line of a log that says something."""
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else None


@contextmanager
def pinned(devices: Sequence[str], n: int) -> Iterator[None]:
    """`n` of the GPUs `devices` for this process alone, as CUDA_VISIBLE_DEVICES; waits until so many are free.

    A lock a GPU, the same for every batch of this user, is held until the process ends, however it ends.
    """
    if not n:
        yield
        return
    held: dict[str, int] = {}
    try:
        while len(held) < n:
            for device in devices:
                if len(held) < n and device not in held and (lock := _lock_gpu(device)) is not None:
                    held[device] = lock
            if len(held) < n:  # let go of them, or two jobs would wait for each other
                while held:
                    os.close(held.popitem()[1])
                time.sleep(0.5)
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(held)
        yield
    finally:
        for lock in held.values():
            os.close(lock)


def _lock_gpu(device: str) -> int | None:
    name = device.replace("/", "_")
    path = Path(tempfile.gettempdir()) / f"mrikit-{os.getuid()}-gpu-{name}.lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def die_with_parent(number: int) -> None:
    """Have the kernel send this process signal `number` when its parent is gone: no job outlives its batch (Linux)."""
    pr_set_pdeathsig = 1
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, number)


if __name__ == "__main__":
    die_with_parent(signal.SIGTERM)
    # It may be gone already. Jobs on other computers have parents of another sort, and do not know ours.
    if os.environ.get(ENGINE, parent := str(os.getppid())) != parent:
        sys.exit(SIGTERMED)
    sys.exit(main(*sys.argv[1:]))
