"""MoDL's denoiser: the identity before it learns, of any size."""

import pytest
import torch

from mrikit.nets.resnet import ResNet


@pytest.mark.parametrize("shape", [(8, 8), (7, 5), (1, 1)])
def test_it_starts_as_the_identity_on_any_size(shape):
    x = torch.randn(2, 2, *shape)
    assert torch.equal(ResNet(2, features=4, n_blocks=3)(x), x)


def test_it_has_no_biases():
    net = ResNet(2, features=4, n_blocks=4)
    assert {p.ndim for p in net.parameters()} == {4}
    assert not net(torch.zeros(1, 2, 6, 6)).any()


def test_a_voxel_sees_as_far_as_its_convolutions_reach():
    torch.manual_seed(0)
    net = ResNet(2, features=4, n_blocks=2)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(1, 2, 15, 15, requires_grad=True)
    net(x)[0, :, 7, 7].sum().backward()
    rows = x.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
    assert (int(rows[0]), int(rows[-1])) == (3, 11)  # two convolutions a block
