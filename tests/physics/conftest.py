"""What the physics tests share: random arrays, and every array namespace that is installed."""

import tracemalloc
from collections.abc import Callable

import array_api_compat
import array_api_strict
import numpy as np
import pytest
import torch


class Random:
    """Seeded arrays."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def complex(self, *shape: int) -> np.ndarray:
        parts = self.rng.standard_normal((2, *shape)).astype(np.float32)
        return (parts[0] + 1j * parts[1]).astype(np.complex64)

    def mask(self, *shape: int, share: float = 0.5) -> np.ndarray:
        mask = self.rng.random(shape) < share
        mask[..., mask.shape[-1] // 2] = True
        return mask


@pytest.fixture
def random() -> Random:
    return Random()


@pytest.fixture
def namespaces() -> list:
    """NumPy, torch, and array-api-strict, which refuses what only NumPy can do."""
    return [array_api_compat.array_namespace(np.zeros(1), use_compat=True), torch, array_api_strict]


@pytest.fixture
def allocated() -> Callable[[Callable[[], object]], int]:
    """`allocated(function)`: bytes that NumPy takes at most while `function` runs, its result included."""

    def peak(function: Callable[[], object]) -> int:
        tracemalloc.start()
        try:
            function()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return peak
