"""Snakemake, which starts the jobs of a batch: here, or through one of its executors, on a cluster.

It sees numbers of jobs and nothing of files: which items are left to do is decided before (records), so every batch
gives it a folder of its own, made anew, and no lock or half-finished mark of a batch that was killed is in the way.
"""

from __future__ import annotations

import json
import os
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from mrikit.cli.batch import job
from mrikit.cli.batch.plan import Item
from mrikit.cli.machine import nvidia_gpus, threads_per_job
from mrikit.errors import TemporaryError, UsageError

LOCAL = "local"
#: Seconds between two looks at how far the jobs are, and in which a cluster's jobs are called back.
LOOK, CALL_BACK = 0.3, 30

#: Where nothing else was said: jobs on a cluster at a time, and what each asks for, in MB.
CLUSTER_JOBS, CLUSTER_MEMORY = 100, 4000

SNAKEFILE = """\
import json

with open("plan.json") as file:
    plan = json.load(file)

rule all:
    input:
        expand("done/{number}", number=range(len(plan["jobs"])))

rule job:
    output:
        touch("done/{number}")
    threads: plan["threads"]
    resources:
        **plan["resources"]
    shell:
        plan["call"] + " {wildcards.number}"
"""


@dataclass(frozen=True)
class How:
    """How jobs are run, as asked for: `group` items a job, `jobs` at a time, `threads` and `resources` for each."""

    executor: str
    jobs: int | None
    group: int
    retries: int
    keep_going: bool
    threads: int | None
    resources: Mapping[str, int | str]

    @property
    def is_local(self) -> bool:
        return self.executor == LOCAL

    @property
    def n_jobs(self) -> int:
        return self.jobs or (1 if self.is_local else CLUSTER_JOBS)

    @property
    def n_threads(self) -> int:
        """Threads of a job: on this computer an even share of the cores."""
        return self.threads or (threads_per_job(self.n_jobs) if self.is_local else 1)

    @property
    def needs(self) -> dict[str, int | str]:
        """What Snakemake is told that a job needs. Its own default on clusters is 1 GB, less than torch and a scan."""
        return dict(self.resources) if self.is_local else {"mem_mb": CLUSTER_MEMORY, **self.resources}

    @property
    def n_gpus(self) -> int:
        """GPUs that a job on this computer takes for itself; a cluster has its own way to share them."""
        return int(self.resources.get("gpu", 0)) if self.is_local else 0


def require(how: How) -> list[str]:
    """The GPUs that jobs on this computer share. Raises TemporaryError, UsageError where jobs cannot be run like this.

    Raises ModuleNotFoundError without Snakemake.
    """
    import snakemake  # noqa: F401 - a few milliseconds

    if how.is_local:
        asked = how.resources.get("gpu", 0)
        if not isinstance(asked, int):
            raise UsageError(f"--resources gpu={asked}: expected a number of GPUs a job", hint="gpu=1, say")
        gpus = local_gpus() if how.n_gpus else []
        if how.n_gpus > len(gpus):
            raise TemporaryError(f"--resources gpu={how.n_gpus}: {len(gpus)} GPUs are here", hint="`mrikit doctor`")
        return gpus
    plugin = f"snakemake-executor-plugin-{how.executor}"
    if find_spec(plugin.replace("-", "_")) is None:
        raise UsageError(f"--executor {how.executor}: Snakemake has no such plugin here", hint=f"pip install {plugin}")
    if how.executor == "slurm":
        _require_slurm()
    return []


def _require_slurm() -> None:
    if shutil.which("sbatch") is None:
        raise TemporaryError(
            "--executor slurm: there is no sbatch here", hint="start it on a computer that submits to Slurm"
        )
    if reason := _silent("sinfo", "--noheader"):
        raise TemporaryError(f"--executor slurm: Slurm is not there: {reason}", hint="`sinfo` shows when it is")


def _silent(*words: str) -> str | None:
    """Why a command of Slurm's has no answer; None where it has one."""
    try:
        asked = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (asked.stderr.splitlines() or ["no answer"])[-1] if asked.returncode else None


def local_gpus() -> list[str]:
    """Numbers, or whatever CUDA_VISIBLE_DEVICES has, of the GPUs that jobs here may use."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [device for device in visible.split(",") if device not in ("", "-1")]
    return [str(i) for i in range(len(nvidia_gpus()))]


def prepare(items: Sequence[Item], folder: Path, run: str, how: How, gpus: Sequence[str]) -> None:
    """Write what Snakemake and its jobs need into `folder`/run, made anew."""
    here = folder / "run"
    shutil.rmtree(here, ignore_errors=True)
    (here / job.ENDED).mkdir(parents=True)
    plan = here / "plan.json"
    call = shlex.join(["exec", sys.executable, "-m", job.__name__, str(plan)])
    said = {
        "run": run,
        "cwd": str(Path.cwd()),
        "records": str(folder),
        "threads": how.n_threads,
        "resources": how.needs,
        "gpus": list(gpus),
        "n_gpus": how.n_gpus,
        "call": call.replace("{", "{{").replace("}", "}}"),
        "jobs": [[asdict(item) for item in items[i : i + how.group]] for i in range(0, len(items), how.group)],
    }
    plan.write_text(json.dumps(said))
    (here / "Snakefile").write_text(SNAKEFILE)


def work(folder: Path, how: How, gpus: Sequence[str], look: Callable[[int], None]) -> str | None:
    """Run Snakemake in `folder`/run to its end; `look` is told now and then how many items have ended.

    Returns None where every job ended well, else the last line of Snakemake's that speaks of an error.
    """
    here = folder / "run"
    words = ["--snakefile", "Snakefile", "--directory", str(here), "--nolock", "--executor", how.executor]
    words += ["--retries", str(how.retries), "--rerun-triggers", "mtime", "--scheduler", "greedy"]
    words += ["--runtime-source-cache-path", str(here / "cache")]
    words += ["--keep-going"] if how.keep_going else []
    if how.is_local:
        words += ["--cores", str(how.n_jobs * how.n_threads)]
        words += ["--resources", f"gpu={len(gpus)}"] if gpus else []
    else:
        words += ["--jobs", str(how.n_jobs)]
    if how.executor == "slurm" and _silent("sacct", "--noheader", "--allocations"):
        words += ["--slurm-status-command", "squeue"]  # no accounting here; the plugin would wait for ever
    log = folder / "snakemake.log"
    with log.open("wb") as file:
        line = [sys.executable, "-m", "mrikit.cli.batch.engine", *words]
        process = subprocess.Popen(
            line, cwd=here, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=_environment(here)
        )
        try:
            while process.poll() is None:
                time.sleep(LOOK)
                look(len(list((here / job.ENDED).iterdir())))
        except BaseException:
            _stop(process, how)
            raise
    if process.returncode == 0:
        return None
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or [f"exit {process.returncode}"])[-1]


def _environment(here: Path) -> dict[str, str]:
    """What Snakemake is started with: as it is, but for a folder of caches where there is none, since it insists."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111 - never an error
    with suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
    return {**os.environ} if os.access(cache, os.W_OK) else {**os.environ, "XDG_CACHE_HOME": str(here / "cache")}


def _stop(process: subprocess.Popen, how: How) -> None:
    """End Snakemake and its jobs: those here end with it, those of a cluster it calls back on SIGINT."""
    if not how.is_local:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(CALL_BACK)
    process.kill()
    process.wait()


if __name__ == "__main__":
    job.die_with_parent(signal.SIGKILL)
    if LOCAL in sys.argv:
        os.environ[job.ENGINE] = str(os.getpid())
    signal.signal(signal.SIGINT, signal.default_int_handler)  # behind `&` a shell has it ignored
    sys.argv[0] = "snakemake"
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
