"""Fixtures of the io tests."""

import pytest
from volumes import PLACED, volume, write


@pytest.fixture
def kspace(tmp_path):
    """A k-space file and its array."""
    header, array = volume("kspace", geometry=PLACED)
    return write(tmp_path / "kspace.npy", header, array, [{"command": ["mrikit", "phantom"]}]), array
