"""E2E-VarNet's U-Net: fastMRI's size, any image, and blind to brightness and offset."""

import pytest
import torch

from mrikit.nets.channels import to_channels, to_complex
from mrikit.nets.norm_unet import NormUNet


def test_it_has_as_many_parameters_as_fastmris():
    """7,756,097: fastMRI's single-coil U-Net of 32 channels."""
    with torch.device("meta"):
        net = NormUNet(1, features=32, levels=4)
    assert sum(p.numel() for p in net.parameters()) == 7_756_097


@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (6, 5), (1, 9)])
@pytest.mark.parametrize("levels", [1, 3])
def test_it_takes_any_size(shape, levels):
    out = NormUNet(2, features=3, levels=levels)(torch.randn(2, 2, *shape))
    assert out.shape == (2, 2, *shape)
    assert torch.isfinite(out).all()


def test_brightness_and_offset_pass_through():
    torch.manual_seed(0)
    net = NormUNet(2, features=4, levels=2).double()
    x = torch.randn(2, 2, 12, 13, dtype=torch.float64)
    gain, offset = torch.tensor([3.0, 0.2]).view(1, 2, 1, 1), torch.tensor([1.0, -5.0]).view(1, 2, 1, 1)
    assert torch.allclose(net(gain * x + offset), gain * net(x) + offset, atol=1e-6)


def test_an_item_does_not_see_its_batch():
    torch.manual_seed(0)
    net = NormUNet(2, features=4, levels=2)
    x = torch.randn(3, 2, 10, 9) * torch.tensor([1.0, 10.0, 0.1]).view(3, 1, 1, 1)
    assert torch.allclose(net(x), torch.cat([net(one[None]) for one in x]), atol=1e-5)


def test_an_image_of_zeros_stays_one_with_a_gradient():
    net = NormUNet(2, features=4, levels=2)
    x = torch.zeros(1, 2, 8, 8, requires_grad=True)
    out = net(x)
    out.sum().backward()
    assert out.abs().max() < 1e-4
    assert torch.isfinite(x.grad).all()


def test_complex_images_become_channels_and_come_back():
    x = torch.randn(2, 5, 4, dtype=torch.complex64)
    assert torch.equal(to_channels(x), torch.stack([x.real, x.imag], dim=1))
    assert torch.equal(to_complex(to_channels(x)), x)
