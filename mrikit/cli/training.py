"""What all training commands do around their training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrikit.cli.run import Run

if TYPE_CHECKING:
    from mrikit.train.run import Job


@contextmanager
def training(
    run: Run, out: str, steps: int | None, *, reads: tuple[str | None, ...], resume: bool, licence: str
) -> Iterator[Job]:
    """The job that writes the weights `out`, with the command's progress bar; afterwards the report names them.

    Raises UsageError where `out` is one of `reads`, names or files.
    """
    from mrikit.evaluate import figures
    from mrikit.train.run import Job, Watcher, require_apart

    require_apart(Path(out), *reads)
    with run.progress(steps) as bar:
        watcher = Watcher(bar.report, run.warn, run.say, figures.training)
        yield Job(Path(out), resume, run.settings.force, run.device, run.line, licence, watcher)
    run.note(outputs=[{"file": out, "kind": "weights"}], steps=bar.total)


def every(n: int) -> dict[str, Any]:
    """The recipe of a run that is saved, and validated, every `n` steps."""
    return {"report_every": min(50, n), "save_every": n, "validate_every": n}
