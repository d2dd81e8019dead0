"""Priors: their sizes, their noise levels, and denoising score matching in closed form."""

import math

import pytest
import torch
from analytic import Gaussian, Mixture

from mrikit.errors import DataError
from mrikit.score.architectures import build
from mrikit.score.levels import NCSNV2, geometric
from mrikit.score.objective import draw_levels, dsm, edm_weight, loss
from mrikit.score.presets import names, preset


def noise(*shape):
    return torch.complex(torch.randn(*shape), torch.randn(*shape))


def test_the_noise_table_is_the_published_one():
    levels = geometric(*NCSNV2)
    assert len(levels) == 2311
    assert (levels[0], levels[-1]) == (232.0, pytest.approx(0.0066))
    assert levels[0] / levels[1] == pytest.approx(1.004542, abs=5e-7)
    assert levels[1156] == pytest.approx(1.2318, abs=5e-5)


@pytest.mark.parametrize("table", [(1.0, 1.0, 3), (0.1, 1.0, 3), (1.0, 0.0, 3), (1.0, 0.1, 1), (math.inf, 1.0, 3)])
def test_levels_that_do_not_go_down_are_refused(table):
    with pytest.raises(DataError, match="noise levels from"):
        geometric(*table)


@pytest.mark.parametrize(("name", "count"), [("ncsnv2", 94_130_306), ("ncsnv2-small", 5_890_082), ("small", 1_503_744)])
def test_a_preset_has_its_number_of_parameters_and_says_so(name, count):
    chosen = preset(name)
    with torch.device("meta"):
        prior = build(chosen.architecture, chosen.config)
    assert sum(p.numel() for p in prior.parameters()) == count
    assert f"{count:,} parameters" in chosen.summary


def test_every_preset_is_counted():
    assert names() == ["ncsnv2", "ncsnv2-small", "small"]


@pytest.mark.parametrize(
    "config",
    [
        {"sigma_max": 0.001}, {"sigma_min": -1.0}, {"n_levels": 1}, {"features": 0}, {"sigma_data": 0.0}, {"depth": 3},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(config):
    with pytest.raises(DataError):
        build("edm", config)


def test_an_untrained_edm_network_shrinks_to_what_variances_alone_say():
    """Its last layer starts at zero: D(x) = c_skip x, the best linear estimate of images of variance sigma_data^2."""
    prior, x = build("edm", {"features": 4, "levels": 1}), noise(2, 16, 12)
    sigma = torch.tensor([0.35, 1.4])
    expected = torch.tensor([0.5, 1 / 17])[:, None, None] * x
    assert torch.allclose(prior.denoise(x, sigma), expected, atol=1e-6)


def test_ncsnv2_is_the_network_of_2x_minus_1_over_sigma():
    torch.manual_seed(0)
    prior, x = build("ncsnv2", {"features": 4}), noise(2, 16, 16)
    channels = 2 * torch.view_as_real(x).permute(0, 3, 1, 2) - 1
    with torch.no_grad():
        out = prior.network(channels)
        expected = torch.complex(out[:, 0], out[:, 1]) / 0.5
        assert torch.allclose(prior.score(x, 0.5), expected, atol=1e-4)
        assert not torch.allclose(build("ncsnv2", {"features": 4, "rescaled": False}).score(x, 0.5), expected, atol=0.1)


def test_a_level_can_be_another_one_for_every_image():
    torch.manual_seed(0)
    prior, x = build("ncsnv2", {"features": 4}).eval(), noise(2, 16, 16)
    with torch.no_grad():
        together = prior.denoise(x, torch.tensor([0.3, 2.0]))
        alone = torch.cat([prior.denoise(x[:1], 0.3), prior.denoise(x[1:], 2.0)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_score_of_a_mixture_is_the_gradient_of_its_log_density():
    means = torch.tensor([[1, 1], [-1, -1], [-1, 1], [1, -1]], dtype=torch.complex64)
    weights, tau, sigma = torch.tensor([5.0, 3, 1, 1]), 0.3, 0.7
    x = noise(1, 5, 6).requires_grad_()
    off = x.unflatten(-1, (-1, 2))[..., None, :] - means
    exponent = -off.abs().square().sum(-1) / (2 * (tau**2 + sigma**2))
    (weights.log() + exponent).logsumexp(-1).sum().backward()
    score = Mixture(means, weights, tau).score(x.detach(), sigma)
    assert torch.allclose(score, x.grad, atol=1e-5)


@pytest.mark.parametrize("sigma", [0.05, 0.3, 2.0])
def test_the_loss_at_the_true_score_is_the_closed_form(sigma):
    """N tau^2 / (2 (tau^2 + sigma^2)) of N(0, tau^2 I_n); with EDM's weight and sigma_data = tau it is n."""
    torch.manual_seed(0)
    tau, shape = 0.3, (4, 128, 128)
    n = 2 * 128 * 128
    found = dsm(Gaussian(0, tau), tau * noise(*shape), torch.full((4,), sigma), noise(*shape))
    expected = n * tau**2 / (2 * (tau**2 + sigma**2))
    assert found.shape == (4,)
    assert found.tolist() == pytest.approx([expected] * 4, rel=4 * math.sqrt(2 / n))
    assert (found * edm_weight(torch.tensor(sigma), tau)).tolist() == pytest.approx([n] * 4, rel=4 * math.sqrt(2 / n))


def test_the_loss_is_least_at_the_true_score():
    torch.manual_seed(0)
    image, levels = 0.3 * noise(8, 64, 64), [0.2]
    best = loss(Gaussian(0, 0.3), image, levels, 0.3)[0]
    assert float(best) == pytest.approx(1, rel=0.03)
    assert all(
        loss(Gaussian(mean, tau), image, levels, 0.3)[0] > best for mean, tau in ((0, 0.2), (0, 0.4), (0.1, 0.3))
    )


def test_every_level_is_drawn_as_often():
    torch.manual_seed(0)
    drawn = draw_levels([3.0, 2.0, 1.0], 30_000, torch.device("cpu"))
    assert [float((drawn == level).float().mean()) for level in (1, 2, 3)] == pytest.approx([1 / 3] * 3, abs=0.011)
