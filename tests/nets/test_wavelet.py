"""The wavelet transform is orthonormal, kills straight lines, and its shrinkage is what it says."""

import pytest
import pywt
import torch

from mrikit.nets.wavelet import merge, shrink, soft_threshold, split


@pytest.mark.parametrize("dim", [-1, -2])
def test_split_is_orthonormal_and_merge_its_inverse(dim):
    torch.manual_seed(0)
    x = torch.randn(2, 12, 10, dtype=torch.complex128)
    smooth, detail = split(x, dim)
    assert torch.allclose(merge(smooth, detail, dim), x)
    assert (smooth.abs() ** 2).sum() + (detail.abs() ** 2).sum() == pytest.approx(float((x.abs() ** 2).sum()))


def test_it_is_daubechies_two():
    torch.manual_seed(0)
    x = torch.randn(1, 1, 16, dtype=torch.float64)
    smooth, detail = split(x, -1)
    expected = pywt.dwt(torch.roll(x, -1, -1).numpy(), "db2", mode="periodization")  # its grid is one over
    for ours, theirs in zip((smooth, detail), expected, strict=True):
        assert sorted(ours.abs().flatten().tolist()) == pytest.approx(sorted(abs(theirs).flatten().tolist()))


def test_straight_lines_have_no_detail():
    ramp = torch.arange(32.0, dtype=torch.float64)[None, None]
    assert split(ramp, -1)[1][..., :-1].abs().max() < 1e-12


@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (7, 20)])
@pytest.mark.parametrize("shift", [0, 3])
def test_a_threshold_of_zero_changes_nothing(shape, shift):
    torch.manual_seed(0)
    x = torch.randn(2, *shape, dtype=torch.complex64)
    assert torch.allclose(shrink(x, torch.zeros(2, 1, 1), shift=shift), x, atol=1e-5)


def test_a_threshold_above_everything_leaves_the_coarsest_scale():
    x = torch.randn(1, 32, 32, dtype=torch.complex64)
    flat = shrink(x, torch.full((1, 1, 1), 1e6), levels=2)
    assert torch.allclose(flat.mean(), x.mean(), atol=1e-5)
    assert flat.abs().pow(2).sum() < 0.2 * x.abs().pow(2).sum()


def test_soft_threshold_is_the_proximal_map_of_the_magnitude():
    x = torch.tensor([3 + 4j, 0.1j, 0])
    assert torch.allclose(soft_threshold(x, torch.tensor(1.0)), torch.tensor([(3 + 4j) * 0.8, 0, 0]), atol=1e-6)


def test_it_denoises():
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    clean = ((x**2 + y**2) < 0.5).to(torch.complex64)[None]
    noisy = clean + 0.1 * torch.randn(1, 64, 64, dtype=torch.complex64)
    error = (shrink(noisy, torch.full((1, 1, 1), 0.2)) - clean).abs().pow(2).mean()
    assert error < 0.5 * (noisy - clean).abs().pow(2).mean()
