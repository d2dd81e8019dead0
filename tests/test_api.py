"""`import mrikit` is free, and its functions are those of the commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import mrikit

ROOT = Path(__file__).resolve().parents[1]


def test_importing_mrikit_loads_nothing() -> None:
    code = "import sys, mrikit; print(*(name for name in sys.modules if name.startswith(('mrikit', 'numpy'))))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert set(done.stdout.split()) == {"mrikit", "mrikit._version"}


@pytest.mark.parametrize("name", sorted(mrikit._API))
def test_every_name_of_the_table_can_be_had(name: str) -> None:
    value = getattr(mrikit, name)

    assert callable(value)
    assert value.__doc__
    assert name in dir(mrikit)
    assert getattr(mrikit, name) is value


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'esprit'"):
        mrikit.esprit
