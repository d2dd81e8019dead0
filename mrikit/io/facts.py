"""Facts as JSON has them, and files of these."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mrikit.io.atomic import write_whole


def plain(value: Any) -> Any:
    """`value` in JSON's types: arrays as lists, NumPy scalars as numbers, NaN and infinity as null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and value - value != 0:
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def write_facts(path: Path, facts: Any, *, indent: int | None = None) -> None:
    """Put `facts` at `path` as JSON, whole. Raises CannotCreateError, CannotWriteError."""
    write_whole(path, (json.dumps(plain(facts), indent=indent, allow_nan=False) + "\n").encode())
