"""Muon: steps of kernels that are as long in every direction, and as long as Adam's."""

import pytest
import torch
from torch import nn

from mrikit.train.muon import LENGTH, Muon, orthogonal


@pytest.mark.parametrize("shape", [(32, 288), (64, 64), (288, 32), (4, 1)])
def test_singular_values_become_about_one_and_directions_stay(shape):
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    made = orthogonal(left @ torch.diag(torch.logspace(0, -1.5, min(shape))) @ right)

    values = torch.diagonal(left.T @ made @ right.T)
    assert values.min() > 0.6 and values.max() < 1.25
    assert torch.allclose(made, left @ torch.diag(values) @ right, atol=1e-4)


def test_nothing_stays_nothing():
    assert not orthogonal(torch.zeros(3, 5)).any()


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_a_step_is_as_long_as_one_of_adam_whatever_the_gradient(size):
    torch.manual_seed(0)
    kernel = nn.Parameter(torch.randn(32, 16, 3, 3).contiguous(memory_format=torch.channels_last))
    before = kernel.detach().clone()
    kernel.grad = size * torch.randn(kernel.shape)
    optimiser = Muon([{"params": [kernel], "lr": 1e-2}])
    optimiser.step()

    moved = kernel.detach() - before
    assert float(moved.square().mean().sqrt()) == pytest.approx(LENGTH * 1e-2, rel=0.2)
    assert float((moved * kernel.grad).sum()) < 0


def test_what_has_no_gradient_stays():
    kernel = nn.Parameter(torch.ones(2, 2, 3, 3))
    Muon([kernel]).step()
    assert torch.equal(kernel, torch.ones(2, 2, 3, 3))
