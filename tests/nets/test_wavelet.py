"""The wavelet transform is orthonormal, kills straight lines, and its shrinkage is what it says."""

import pytest
import pywt
import torch

from mrikit.nets.wavelet import merge, shrink, soft_threshold, split


def test_split_is_orthonormal_and_merge_its_inverse():
    torch.manual_seed(0)
    x = torch.randn(2, 1, 12, 10, dtype=torch.float64)
    bands = split(x)
    assert bands.shape == (2, 4, 6, 5)
    assert torch.allclose(merge(bands), x)
    assert (bands**2).sum() == pytest.approx(float((x**2).sum()))


def test_it_is_daubechies_two():
    torch.manual_seed(0)
    x = torch.randn(1, 1, 16, 12, dtype=torch.float64)
    smooth, (along_y, along_x, both) = pywt.dwt2(
        torch.roll(x, (-1, -1), (-2, -1)).numpy()[0, 0],
        "db2",
        mode="periodization",  # its grid is one over
    )
    for ours, theirs in zip(split(x)[0], (smooth, along_x, along_y, both), strict=True):
        assert sorted(ours.abs().flatten().tolist()) == pytest.approx(sorted(abs(theirs).flatten().tolist()))


def test_straight_lines_have_no_detail():
    ramp = torch.arange(32.0, dtype=torch.float64).expand(1, 1, 8, 32)
    smooth, *details = split(ramp)[0, :, :, :-1]
    assert smooth.abs().max() > 1
    assert max(d.abs().max() for d in details) < 1e-12


@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (7, 20)])
@pytest.mark.parametrize("shift", [0, 3])
def test_a_threshold_of_zero_changes_nothing(shape, shift):
    torch.manual_seed(0)
    x = torch.randn(2, *shape)
    assert torch.allclose(shrink(x, torch.zeros(2, 1, 1), shift=shift), x, atol=1e-5)


def test_a_threshold_above_everything_leaves_the_coarsest_scale():
    x = torch.randn(1, 32, 32)
    flat = shrink(x, torch.full((1, 1, 1), 1e6), levels=2)
    assert torch.allclose(flat.mean(), x.mean(), atol=1e-5)
    assert flat.abs().pow(2).sum() < 0.2 * x.abs().pow(2).sum()


def test_soft_threshold_is_the_proximal_map_of_the_magnitude():
    x = torch.tensor([5.0, -5, 0.1, 0])
    assert torch.equal(soft_threshold(x, torch.tensor(1.0)), torch.tensor([4.0, -4, 0, 0]))


def test_it_denoises():
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    clean = ((x**2 + y**2) < 0.5).float()[None]
    noisy = clean + 0.1 * torch.randn(1, 64, 64)
    error = (shrink(noisy, torch.full((1, 1, 1), 0.2)) - clean).pow(2).mean()
    assert error < 0.5 * (noisy - clean).pow(2).mean()
