"""A batch from beginning to end: what is left to do, the jobs, and what became of every scan."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mrikit.cli.batch import engine
from mrikit.cli.batch.engine import How
from mrikit.cli.batch.plan import Item
from mrikit.cli.batch.records import FOLDER, Records
from mrikit.cli.console import Progress
from mrikit.cli.files import check_inputs, on_disk
from mrikit.cli.run import Run
from mrikit.errors import BatchError, CannotCreateError, MissingInputError, TemporaryError
from mrikit.io.atomic import write_whole
from mrikit.io.guard import first_line

#: Where the report of the last batch lies in the output folder: one JSON object a scan.
REPORT = "batch.jsonl"


def batch(run: Run, items: Sequence[Item], folder: Path, how: How, *, dry_run: bool, force: bool) -> None:
    """Run the items that are not finished, report on all. Raises BatchError where some are not finished then."""
    unreadable = _unreadable(items) if how.keep_going else {}
    check_inputs([item.scan for item in items if item.key not in unreadable])
    records = Records(folder / FOLDER)
    if dry_run:
        standing = ["to do" if force else _standing(item, records) for item in items]
        rows = [
            {"input": item.scan, "outcome": what, "command": _line(item)}
            for item, what in zip(items, standing, strict=True)
        ]
        run.result("\n".join(f"{row['outcome']:<12}{row['command']}" for row in rows), items=rows)
        return
    gpus = engine.require(how)
    with _own(folder):
        if force:
            for item in items:
                records.forget(item)
        left = [item for item in items if item.key not in unreadable and not records.settle(item)]
        foreign = None if force else next(filter(None, map(records.foreign, left)), None)
        if foreign:
            raise CannotCreateError(
                f"{foreign}: exists, and was not made by this command", hint="--force replaces it, or another --out"
            )
        this, error = secrets.token_hex(8), None
        if left:
            engine.prepare(left, records.folder, this, how, gpus)
            with run.progress(len(left), "batch") as bar:
                error = engine.work(records.folder, how, gpus, lambda ended: _show(bar, ended))
        keys = {item.key for item in left}
        rows = [
            _failed(item, unreadable[item.key])
            if item.key in unreadable
            else _row(item, records, this, was_left=item.key in keys)
            for item in items
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        write_whole(folder / REPORT, text.encode())
    run.result("" if run.settings.quiet else _table(rows), items=rows)
    bad = [row for row in rows if row["outcome"] not in ("done", "finished before")]
    if bad and all(row["outcome"] == "not run" for row in bad) and error:
        raise TemporaryError(f"the jobs could not be run: {error}", hint=f"all of it in {records.folder}/snakemake.log")
    if bad:
        why, _, _ = (bad[0]["error"] or bad[0]["outcome"]).partition(" (hint: ")  # there is one of its own
        raise BatchError(
            f"{len(bad)} of {len(rows)} scans are not done: {bad[0]['input']}: {why}",
            hint=f"{folder / REPORT} has them all; run it again to do what is left",
        )


def _unreadable(items: Sequence[Item]) -> dict[str, str]:
    """Why scans that are there cannot be opened, by key of their items; but not where it is so with all of them."""
    found = {}
    for item in items:
        try:
            check_inputs([item.scan])
        except MissingInputError as error:
            if on_disk(item.scan).exists():
                found[item.key] = str(error)
    return found if len(found) < len(items) else {}


@contextmanager
def _own(folder: Path) -> Iterator[None]:
    """Make the output folder and hold it: two batches in one would be in each other's way."""
    notes = folder / FOLDER
    try:
        for part in ("items", "logs"):
            (notes / part).mkdir(parents=True, exist_ok=True)
        lock = os.open(notes / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise CannotCreateError(f"--out {folder}: cannot be written: {first_line(error)}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TemporaryError(f"--out {folder}: another batch is at work there", hint="wait for its end") from None
        yield
    finally:
        os.close(lock)


def _show(bar: Progress, ended: int) -> None:
    """Bring a progress bar to where the batch is."""
    if ended > bar.done:
        bar.advance(ended - bar.done)
        bar.within(0, f"{ended} of {bar.total} scans")


def _standing(item: Item, records: Records) -> str:
    if records.is_finished(item):
        return "finished"
    return "in the way" if records.foreign(item) else "to do"


def _line(item: Item) -> str:
    return item.command if isinstance(item.command, str) else shlex.join(["mrikit", *item.command])


def _row(item: Item, records: Records, run: str, *, was_left: bool) -> dict[str, Any]:
    """What became of an item, for the report."""
    record = records.read(item) or {}
    outcome, error = record.get("outcome"), record.get("error")
    if not was_left:
        outcome = "finished before"
    elif outcome == "begun" and record.get("run") == run:
        outcome, error = "failed", "its job was killed"
    elif record.get("run") != run and not (outcome == "done" and records.is_finished(item)):
        outcome, error = "not run", None
    facts = {key: record.get(key) for key in ("seconds", "peak_mib")} if outcome != "not run" else {}
    return {"input": item.scan, "outcome": outcome, **facts, "error": error, "outputs": list(item.outputs)}


def _failed(item: Item, error: str) -> dict[str, Any]:
    """The row of an item that was not even begun."""
    facts = {"seconds": None, "peak_mib": None, "error": error, "outputs": list(item.outputs)}
    return {"input": item.scan, "outcome": "failed", **facts}


def _table(rows: Sequence[dict[str, Any]]) -> str:
    width = max(len(row["input"]) for row in rows)
    lines = [f"{'scan':<{width}}  {'outcome':<15}  {'seconds':>8}  {'MiB':>7}"]
    for row in rows:
        numbers = [row.get("seconds"), row.get("peak_mib")]
        seconds, mib = ("" if n is None else f"{n:.1f}" for n in numbers)
        lines.append(f"{row['input']:<{width}}  {row['outcome']:<15}  {seconds:>8}  {mib:>7}  {row['error'] or ''}")
    return "\n".join(line.rstrip() for line in lines)
