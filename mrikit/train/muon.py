"""Muon, an optimiser for kernels: each step is their momentum, made orthogonal.

Jordan 2024, https://kellerjordan.github.io/posts/muon. A step is as long as one of Adam would be, so that the same
learning rates fit: Liu 2025, arXiv 2502.16982. torch.optim.Muon takes matrices alone, and computes in bfloat16.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
LENGTH = 0.2  # root mean square of a step of learning rate 1, as Adam's are
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # a quintic that takes singular values to about 1 in five rounds


class Muon(torch.optim.Optimizer):
    """For kernels `(out, in, y, x)`, as matrices `(out, in y x)`: a step is as long in every direction of theirs."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        super().__init__(parameters, {"lr": 1e-3})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is None:
                    continue
                state = self.state[kernel]
                if not state:
                    state["momentum"] = torch.zeros_like(kernel)
                momentum = state["momentum"].lerp_(kernel.grad, 1 - MOMENTUM)
                ahead = kernel.grad.lerp(momentum, MOMENTUM).flatten(1)  # Nesterov's
                length = LENGTH * max(ahead.shape) ** 0.5
                kernel.add_(orthogonal(ahead).view_as(kernel), alpha=-length * group["lr"])


def orthogonal(matrix: Tensor) -> Tensor:
    """U V^T of `matrix` = U S V^T, roughly: singular values of 0.7 to 1.2, unless they were next to nothing."""
    wide = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    wide = wide / (torch.linalg.matrix_norm(wide) + 1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(5):
        square = wide @ wide.T
        wide = a * wide + (b * square + c * square @ square) @ wide
    return wide if len(matrix) <= matrix.shape[1] else wide.T
