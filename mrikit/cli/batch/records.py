"""What a batch remembers of every item, beside the outputs: a JSON file each, replaced as a whole.

An item is finished where its record says that this very command ended well on the scan as it is now (size and
time of change), and its outputs are as it left them. Where a job was killed between its outputs, which appear
whole or not at all, and its record, the outputs are read to their ends instead, trailers and checksums included.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mrikit.cli.batch.plan import Item
from mrikit.errors import MrikitError
from mrikit.io import open_reader
from mrikit.io.atomic import remove_parts
from mrikit.io.facts import write_facts
from mrikit.io.paths import FORMATS, split_dataset

Record = Mapping[str, Any]
#: Name of the folder of notes in the output folder.
FOLDER = ".mrikit-batch"


class Records:
    """The records of all items in `folder`/items, with what the jobs printed in `folder`/logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def log(self, item: Item) -> Path:
        return self.folder / "logs" / f"{item.key}.log"

    def read(self, item: Item) -> Record | None:
        """The record of an item, None where there is none."""
        try:
            return json.loads(self._path(item).read_bytes())
        except (OSError, ValueError):
            return None

    def forget(self, item: Item) -> None:
        """Have the item done anew."""
        self._path(item).unlink(missing_ok=True)

    def begin(self, item: Item, run: str) -> None:
        """Note that the item is being worked on by the batch `run`, and drop what earlier ones left of it."""
        for output in item.outputs:
            remove_parts(Path(output))
            if os.path.lexists(output) and not Path(output).is_dir():
                Path(output).unlink()
        self._write(item, {"outcome": "begun", "run": run, **_identity(item)})

    def end(self, item: Item, run: str, **facts: Any) -> None:
        """Note how it ended; facts: outcome, exit code, seconds, peak_mib, error."""
        outputs = {output: stamp(output) for output in item.outputs}
        self._write(item, {"run": run, **_identity(item), "outputs": outputs, **facts})

    def _path(self, item: Item) -> Path:
        return self.folder / "items" / f"{item.key}.json"

    def _write(self, item: Item, record: Record) -> None:
        write_facts(self._path(item), record)

    def is_finished(self, item: Item) -> bool:
        """Whether nothing is left to do for the item."""
        record = self.read(item)
        if record is None or not _is_about(record, item):
            return False
        if record["outcome"] == "done":
            return all(stamp(output) == was for output, was in record["outputs"].items())
        return record["outcome"] == "begun" and all(map(is_whole, item.outputs))

    def settle(self, item: Item) -> bool:
        """`is_finished`, which is noted where a killed job left it so; for who holds the folder, or the item's log."""
        if not self.is_finished(item):
            return False
        if (self.read(item) or {}).get("outcome") == "begun":
            self.end(item, "", outcome="done", exit=0, seconds=None, peak_mib=None, error=None)
        return True

    def foreign(self, item: Item) -> str | None:
        """An output that exists and that no batch made with this command: it is not replaced unasked."""
        record = self.read(item)
        if record is not None and record.get("command") == _identity(item)["command"]:
            return None
        return next((output for output in item.outputs if os.path.lexists(output)), None)


def stamp(path: str) -> list[int] | None:
    """Size and time of change of a file, None where there is none."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def is_whole(path: str) -> bool:
    """Whether a volume is there and can be read to its end. Other files do not tell."""
    if not path.lower().endswith(tuple(FORMATS)):
        return False
    try:
        with open_reader(path) as reader:
            for _ in reader:
                pass
    except MrikitError:
        return False
    return True


def _identity(item: Item) -> dict[str, Any]:
    command = item.command if isinstance(item.command, str) else list(item.command)
    return {"scan": item.scan, "command": command, "input": stamp(split_dataset(item.scan)[0])}


def _is_about(record: Record, item: Item) -> bool:
    """Whether the record is about this command on the scan as it is now."""
    identity = _identity(item)
    return all(record.get(key) == identity[key] for key in ("command", "input"))
