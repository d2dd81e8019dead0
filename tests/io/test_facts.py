"""Facts as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mrikit.errors import CannotCreateError
from mrikit.io.facts import plain, write_facts


def test_plain_has_only_what_json_has() -> None:
    odd = {"a": np.float32(0.5), "b": np.arange(2), "c": (np.inf, np.nan), 3: None, "d": {1}, "e": True}

    assert plain(odd) == {"a": 0.5, "b": [0, 1], "c": [None, None], "3": None, "d": "{1}", "e": True}


def test_facts_are_written_whole(tmp_path: Path) -> None:
    write_facts(tmp_path / "a.json", {"psnr": np.float32(0.5), "left": np.inf})
    assert json.loads((tmp_path / "a.json").read_text()) == {"psnr": 0.5, "left": None}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    with pytest.raises(CannotCreateError):
        write_facts(tmp_path / "missing" / "a.json", {})
