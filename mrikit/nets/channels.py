"""Complex images as the two real channels that convolutions take."""

from __future__ import annotations

import torch
from torch import Tensor


def to_channels(image: Tensor) -> Tensor:
    """Complex `(batch, y, x)` as its real and imaginary parts, `(batch, 2, y, x)`."""
    return torch.view_as_real(image).permute(0, 3, 1, 2)


def to_complex(channels: Tensor) -> Tensor:
    """The inverse of `to_channels`."""
    return torch.complex(channels[:, 0], channels[:, 1])
