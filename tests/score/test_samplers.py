"""What the samplers that users run make of priors in closed form, beside what they should."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from analytic import Gaussian, Mixture
from problems import chain, complex_normal, exact_std, many_coils, one_coil, run, unmeasured

from mrikit.errors import ResultError, UsageError
from mrikit.physics.fourier import fft2c
from mrikit.physics.masks import mask
from mrikit.physics.phantom import coil_maps
from mrikit.physics.scan import Scan
from mrikit.rng import generator
from mrikit.score.levels import geometric
from mrikit.score.posterior import SEEN
from mrikit.score.prior import Prior
from mrikit.score.reconstruct import Plan
from mrikit.score.samplers import SAMPLERS, annealed, csgm, dds, heun, pula

TAU, SIGMA, MEAN, N = 0.3, 0.02, 0.5 + 0.2j, 96
PRIOR = Gaussian(MEAN, TAU)
MASK = np.arange(N) % 2 == 0


@pytest.fixture(scope="module")
def posterior():
    """Half of the lines of an image that the prior draws: measured, each coefficient has std .02, the others .3."""
    image = MEAN + TAU * complex_normal(np.random.default_rng(1), N, N)
    return one_coil(image, MASK, SIGMA)


def parts(posterior, images):
    """For measured and unmeasured k-space: real numbers of samples, less their exact mean; data y, less the prior's."""
    prior_mean = fft2c(np.full((N, N), MEAN), (-1,))
    y = posterior.kspace[0, 0].numpy() - prior_mean
    exact = prior_mean + np.where(MASK, y * TAU**2 / (TAU**2 + SIGMA**2), 0)
    off = fft2c(images.numpy(), (-1,)) - exact
    return [np.stack([off[..., where].real, off[..., where].imag]).ravel() for where in (MASK, ~MASK)], y[:, MASK]


EXACT = (TAU * SIGMA / math.hypot(TAU, SIGMA), TAU)


def recursion(levels, gamma, tau, sigma):
    """Variance, and mean less the prior's for y = 1, of pula's chain on N(0, tau^2): measured and not."""
    results = []
    for measured in (True, False):
        ratio = (sigma / levels[0]) ** 2
        gain = 1 / (1 + ratio) if measured else 0.0
        mean, variance = gain, gain**2 * sigma**2 + (1 - gain) ** 2 * levels[0] ** 2
        for level, following in zip(levels, [*levels[1:], levels[-1]], strict=True):
            gain = 1 / (1 + (sigma / level) ** 2) if measured else 0.0
            shrink = tau**2 / (tau**2 + level**2)
            keep = 1 - gamma + gamma * (1 - gain) * shrink
            data = 2 * gamma - gamma**2
            prior = 2 * gamma - (1 - (following / level) ** 2) * level**2 / (level**2 + sigma**2)
            mean = keep * mean + gamma * gain
            variance = keep**2 * variance + gain**2 * data * sigma**2 + (1 - gain) ** 2 * prior * level**2
        results.append((variance * shrink**2, mean * shrink))
    return results


def test_pula_has_the_posterior_of_a_gaussian(posterior):
    """Its own exact law to 4 standard errors, and the posterior's std to 5 %: 1.6 % too low, 2.8 % too high."""
    images = run("pula", posterior, PRIOR)
    offs, y = parts(posterior, images)
    laws = recursion(SAMPLERS["pula"].levels(PRIOR), 0.3, TAU, SIGMA)
    gain = TAU**2 / (TAU**2 + SIGMA**2)
    for off, (variance, mean), exact, bias in zip(offs, laws, EXACT, (-0.016, 0.028), strict=True):
        error = math.sqrt(variance / off.size)
        expected_mean = (mean - gain) * np.mean([y.real, y.imag]) if exact < TAU else 0.0
        assert abs(off.mean() - expected_mean) < 4 * error
        assert off.std() == pytest.approx(math.sqrt(variance), rel=4 / math.sqrt(2 * off.size))
        assert math.sqrt(variance) / exact - 1 == pytest.approx(bias, abs=0.002)
        assert off.std() == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("tau", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("sigma", [0.002, 0.02, 0.05])
def test_the_bias_of_pula_stays_small_for_other_priors_and_noise(tau, sigma):
    """Within 5 %, but for the unmeasured part of priors that are not much wider than the noise."""
    (measured, _), (unmeasured_, _) = recursion(geometric(3.0, 0.005, 100), 0.3, tau, sigma)
    assert math.sqrt(measured) / (tau * sigma / math.hypot(tau, sigma)) == pytest.approx(1, abs=0.05)
    assert math.sqrt(unmeasured_) / tau == pytest.approx(1, abs=0.05 if tau > 5 * sigma else 0.12)


@pytest.mark.parametrize("kind", ["random", "poisson"])
def test_the_spread_of_pula_is_right_behind_coils(kind):
    """Six coils, which tell some directions apart much better than others: 5 % in the mean, as the docstring has it."""
    shape = (20, 24)
    maps, sampled = coil_maps(6, shape, generator(0, "coils")), mask(shape, 3, kind=kind, acs=8)
    posterior = many_coils(np.zeros(shape), maps, sampled, SIGMA)
    images = run("pula", posterior, Gaussian(0, TAU), range(32)).numpy()
    ratio = (
        images.std(axis=0, ddof=1) / 2**0.5 / exact_std(maps, sampled, TAU, SIGMA, SEEN if kind == "random" else 0.0)
    )
    assert ratio.mean() == pytest.approx(1, abs=0.05)


def test_errors_of_maps_are_not_amplified():
    """Poisson samples without noise: maps that are a tenth wrong would, by least squares, be .9 off in the image."""
    shape = (32, 32)
    maps, others = (coil_maps(8, shape, generator(seed, "coils")) for seed in (0, 1))
    image = TAU * complex_normal(np.random.default_rng(0), *shape)
    posterior = many_coils(image, maps, mask(shape, 4, kind="poisson"), 1e-4, believed=maps + 0.1 * others)
    images = run("pula", posterior, Gaussian(0, TAU), range(4)).numpy()
    assert np.sqrt(np.mean(np.abs(images.mean(axis=0) - image) ** 2) / 2) < 0.2


def test_with_the_published_noise_pula_is_barts():
    """a = b = 2 gamma, 10 to 0.01 in 100 steps of 0.5: the std of .328 that BART's rule leaves."""
    levels, variance = geometric(10.0, 0.01, 100), 100.0
    for level in levels:
        variance = (1 - 0.5 * level**2 / (TAU**2 + level**2)) ** 2 * variance + level**2
    assert math.sqrt(variance) == pytest.approx(0.328, abs=0.0005)


def test_the_released_rule_has_not(posterior):
    """csgm: with an exact score it diverges at once, and says where."""
    with pytest.raises(ResultError, match=r"diverged to NaN or infinity at level \d+ of 1155, step [123] of 3"):
        run("csgm", posterior, PRIOR)


def test_the_released_rule_does_what_the_released_code_does(posterior):
    levels = SAMPLERS["csgm"].levels(PRIOR)[-2:]
    with torch.inference_mode():
        found = csgm(chain(posterior, PRIOR), levels)
        walk = chain(posterior, PRIOR)
        x = walk.uniform()
        for sigma in levels:
            for _ in range(3):
                step = 5e-5 * (sigma / 0.0066) ** 2
                score = PRIOR.score(x, sigma)
                gradient = posterior.operator.adjoint(posterior.operator.forward(x) - posterior.kspace)
                gradient = gradient / torch.linalg.vector_norm(gradient) * torch.linalg.vector_norm(score) * 5
                x = x + step * (score - gradient) + math.sqrt(2 * step) * walk.normal()
    assert torch.allclose(found, x, atol=1e-5)
    assert walk.uniform().real.min() >= 0
    assert walk.uniform().real.max() < 1


@pytest.mark.parametrize(
    ("name", "measured", "free"),
    [("annealed", (1.0, 1.15), (1.0, 1.1)), ("heun", (0.95, 1.0), (0.98, 1.01)), ("dds", (0.0, 0.25), (0.93, 1.0))],
)
def test_what_the_other_samplers_make_of_a_gaussian(posterior, name, measured, free):
    """Std in units of the exact one. DDS estimates a point: where there are data its samples hardly differ."""
    options = {} if name == "annealed" else {"sigma_data": TAU}
    offs, _ = parts(posterior, run(name, posterior, PRIOR, **options))
    for off, exact, (low, high) in zip(offs, EXACT, (measured, free), strict=True):
        error = 4 / math.sqrt(2 * off.size)
        assert low - error < off.std() / exact < high + error
        assert abs(off.mean()) < 0.05 * exact


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_samplers_are_called_calibrated_from_as_many_levels_as_they_are_right_with(posterior, name):
    """Within 10 %, and what chance adds in one image; pc, as dds, is far too sure of what it measured."""
    sampler = SAMPLERS[name]
    if sampler.lines:
        assert sampler.lines.sigma <= SIGMA
        images = sampler.run(chain(posterior, PRIOR), sampler.levels(PRIOR, sampler.lines.n_levels))
        for off, exact in zip(parts(posterior, images)[0], EXACT, strict=True):
            assert off.std() / exact == pytest.approx(1, abs=0.1 + 2 / math.sqrt(2 * off.size))
    elif name != "csgm":
        measured, _ = parts(posterior, run(name, posterior, PRIOR))[0]
        assert measured.std() / EXACT[0] < 0.25


@pytest.mark.parametrize("name", [name for name, sampler in SAMPLERS.items() if sampler.plane])
def test_samplers_are_called_calibrated_for_masks_of_the_plane_from_as_much_noise_on(name):
    shape, known = (20, 24), SAMPLERS[name].plane
    maps, sampled = coil_maps(6, shape, generator(0, "coils")), mask(shape, 3, kind="poisson", acs=8)
    measured = many_coils(np.zeros(shape), maps, sampled, known.sigma)
    with torch.inference_mode():
        levels = SAMPLERS[name].levels(Gaussian(0, TAU), known.n_levels)
        images = SAMPLERS[name].run(chain(measured, Gaussian(0, TAU), range(16)), levels).numpy()
    ratio = images.std(axis=0, ddof=1) / 2**0.5 / exact_std(maps, sampled, TAU, known.sigma)
    assert ratio.mean() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("name", "steps", "sigma", "kind", "right"),
    [
        ("pula", None, 1e-3, "random", True), ("pula", 30, 0.02, "random", False),
        ("pula", None, 0.02, "poisson", True), ("pula", None, 0.005, "poisson", False),
        ("annealed", None, 0.03, "random", True), ("annealed", None, 0.005, "random", False),
        ("heun", None, 0.03, "random", True), ("heun", None, 0.03, "poisson", False),
        ("dds", None, 0.03, "random", False),
    ],
)  # fmt: skip
def test_what_is_called_calibrated_depends_on_the_scan(name, steps, sigma, kind, right):
    sampled = mask((20, 24), 3, kind=kind, acs=8)
    one = Scan(np.zeros((2, 20, 24), np.complex64), np.ones((2, 20, 24), np.complex64), sampled, 2.0, 0.5)
    plan = Plan(Gaussian(0, TAU), sampler=name, steps=steps, sigma_y=2 * sigma * 2**0.5)
    assert plan.calibrated(one) is right


@pytest.mark.parametrize(("ratio", "inflation"), [(1.148, 2.347), (0.5, 1.333), (0.1, 1.053)])
def test_the_law_of_unadjusted_langevin_steps(ratio, inflation):
    """Of steps eta at one level the stationary variance is v / (1 - eta / (2 v)), here before the Tweedie step."""
    sigma, nothing = 0.5, unmeasured(64, 64)
    v = TAU**2 + sigma**2
    with torch.inference_mode():
        x = annealed(chain(nothing, PRIOR), [sigma], n_steps=100, step=ratio * v / sigma**2)
    before = (x - MEAN) * v / TAU**2
    n = 2 * x.numel()
    assert float(torch.view_as_real(before).var()) / v == pytest.approx(inflation, rel=4 * math.sqrt(2 / n) + 2e-3)


FOUR = torch.tensor([[1, 1], [-1, -1], [-1, 1], [1, -1]], dtype=torch.complex64)


@pytest.fixture(scope="module")
def pairs():
    """Pairs of voxels of which the difference is measured and nearly zero: the modes (1, 1) and (-1, -1) are left."""
    return one_coil(np.zeros((4096, 2), np.complex64), np.array([True, False]), SIGMA)


def test_pula_finds_the_weights_of_a_mixture(pairs):
    """Data that keep two of four modes of weights 5:3:1:1 must give .625 / .375."""
    x = run("pula", pairs, Mixture(FOUR, torch.tensor([5.0, 3, 1, 1]), 0.1))[0]
    assert bool(((x.real[:, 0] > 0) == (x.real[:, 1] > 0)).all())
    assert float((x.real[:, 0] > 0).float().mean()) == pytest.approx(0.625, abs=4 * math.sqrt(0.625 * 0.375 / 4096))
    total = x.real.sum(1).abs() / 2**0.5
    assert float(total.mean()) == pytest.approx(2**0.5, abs=4 * 0.1 / 64)
    assert float(total.std()) == pytest.approx(0.1, rel=0.05 + 4 / math.sqrt(2 * 4096))


@pytest.mark.parametrize(("sampler", "gain"), [(heun, 4.0), (dds, 2.0)])
def test_the_order_of_the_probability_flow(sampler, gain):
    """With twice the steps Heun's error falls 4 times, that of DDIM, which is Euler's method, 2 times."""
    nothing, errors = unmeasured(16, 16), []
    first = 3.0 * chain(nothing, PRIOR).normal()
    exact = MEAN + (first - MEAN) * TAU / math.hypot(TAU, 3.0)
    for n in (41, 81, 161):
        with torch.inference_mode():
            x = sampler(chain(nothing, PRIOR), geometric(3.0, 1e-3, n), sigma_data=TAU, n_cg=1)
        errors.append(float((x - exact).abs().max()))
    for coarse, fine in pairwise(errors):
        assert coarse / fine == pytest.approx(gain, rel=0.1)


@pytest.mark.parametrize("name", ["pula", "annealed", "pc", "heun", "dds"])
def test_network_calls_are_those_that_were_promised(name):
    nothing, sampler = unmeasured(4, 4), SAMPLERS[name]
    walk = chain(nothing, PRIOR)
    with torch.inference_mode():
        sampler.run(walk, sampler.levels(PRIOR, 7))
    assert walk.n_calls == sampler.calls(7)


def test_the_default_needs_no_more_than_150_calls_and_the_released_rule_3465():
    for name, calls in (("pula", 101), ("csgm", 3465)):
        sampler = SAMPLERS[name]
        assert sampler.calls(len(sampler.levels(PRIOR))) == calls


def test_the_levels_of_csgm_are_fixed():
    with pytest.raises(UsageError, match="the released ones"):
        SAMPLERS["csgm"].levels(PRIOR, 100)


def test_levels_end_where_the_prior_does():
    class Known(Prior):
        sigma_max, sigma_min = 1.0, 0.01

    levels = SAMPLERS["pula"].levels(Known())
    assert (len(levels), levels[0], levels[-1]) == (100, 1.0, pytest.approx(0.01))


def test_a_chain_that_diverges_says_where():
    class Broken(Gaussian):
        def denoise(self, x, sigma):
            return super().denoise(x, sigma) * (math.nan if sigma < 1 else 1)

    with pytest.raises(ResultError, match="NaN or infinity at level 3 of 5, step 2 of 2"):
        pula(chain(unmeasured(4, 4), Broken(0, 1.0)), [3.0, 2.0, 0.9, 0.5, 0.1], n_steps=2)
