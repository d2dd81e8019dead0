"""NCSNv2's RefineNet: its size, and what its parts do."""

import pytest
import torch

from mrikit.nets.refinenet import InstanceNormPlus, RefineNet, ResidualBlock


@pytest.mark.parametrize(("features", "count"), [(128, 94_130_306), (64, 23_541_826), (32, 5_890_082)])
def test_it_has_the_published_number_of_parameters(features, count):
    with torch.device("meta"):
        network = RefineNet(2, features)
    assert sum(p.numel() for p in network.parameters()) == count


@pytest.mark.parametrize("shape", [(64, 64), (33, 47), (9, 7), (8, 130)])
def test_any_size_keeps_its_size(shape):
    torch.manual_seed(0)
    x = torch.randn(2, 2, *shape)
    assert RefineNet(2, 4)(x).shape == x.shape


def test_an_image_does_not_depend_on_the_others_in_its_batch():
    torch.manual_seed(0)
    network, x = RefineNet(2, 4).eval(), torch.randn(3, 2, 32, 24)
    with torch.inference_mode():
        assert torch.allclose(network(x)[1:2], network(x[1:2]), atol=1e-5)


def test_the_norm_keeps_the_means_standardised_across_channels():
    torch.manual_seed(0)
    norm, x = InstanceNormPlus(6), torch.randn(2, 6, 16, 16) + torch.arange(6.0)[:, None, None]
    means = x.mean(dim=(2, 3))
    expected = (means - means.mean(dim=1, keepdim=True)) / means.std(dim=1, keepdim=True)
    assert torch.allclose(norm(x).mean(dim=(2, 3)), norm.gamma * norm.alpha * expected, atol=1e-4)


def test_pooling_comes_after_the_convolutions():
    """A 1 x 1 shortcut commutes with the mean over 2 x 2, so the block is its unpooled self, pooled."""
    torch.manual_seed(0)
    block, x = ResidualBlock(3, 5, pool=True, project=True), torch.randn(1, 3, 12, 10)
    pooled = block(x)
    block.pool = False
    assert pooled.shape == (1, 5, 6, 5)
    assert torch.allclose(pooled, torch.nn.functional.avg_pool2d(block(x), 2), atol=1e-6)


def test_every_parameter_learns():
    torch.manual_seed(0)
    network = RefineNet(2, 4)
    network(torch.randn(2, 2, 32, 32)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
