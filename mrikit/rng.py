"""One seed, many independent named streams.

Every random number in mrikit comes from `generator(seed, name, *items)`. The stream depends on those
alone, never on the order in which streams are asked for, on the batch size or on the device, so slice 7
of a volume gets the same numbers whether it is computed alone or as one of forty.
"""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, name: str, *items: int) -> np.random.Generator:
    """NumPy generator of the stream `name`, for one item (a slice, a training step, ...) where items are given."""
    return np.random.default_rng([seed & 0xFFFFFFFFFFFFFFFF, zlib.crc32(name.encode()), *items])
