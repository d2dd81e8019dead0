"""The network around its U-Net: exact where nothing is learned, equivariant where physics says so, differentiable."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from mrikit.errors import DataError
from mrikit.nets.unet import UNet
from mrikit.physics.fourier import fft2c
from mrikit.physics.masks import mask
from mrikit.physics.phantom import scan
from mrikit.physics.sampling import undersample
from mrikit.physics.scan import standardise
from mrikit.physics.sense import Sense
from mrikit.unrolled.model import LEAST_MISSED, START_WEIGHT, Config, Unrolled, consensus, local_ratio
from mrikit.unrolled.objective import loss, magnitude, ssim
from mrikit.unrolled.problem import collate
from mrikit.unrolled.reconstruct import load_model
from mrikit.unrolled.schedule import step
from mrikit.unrolled.start import blurred, local_phase, shrink_aligned

SMALL = Config(n_unrolls=3, features=4, levels=1, n_cg=4, n_least_squares=4, n_start=6)


@pytest.fixture(scope="module")
def brain():
    return scan((48, 40), coils=4, noise=0.01, seed=3)


def problem_of(brain, sampled):
    return standardise(undersample(brain.kspace[0], sampled), brain.maps[0], sampled)


@pytest.fixture
def network():
    torch.manual_seed(0)
    model = Unrolled(SMALL)
    for parameter in model.prior.tail.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    return model.eval()


def operators(dtype=torch.complex128):
    rng = np.random.default_rng(0)
    maps = torch.from_numpy(rng.standard_normal((2, 3, 6, 8)) + 1j * rng.standard_normal((2, 3, 6, 8))).to(dtype)
    return Sense(maps / 3, torch.from_numpy(rng.random((2, 1, 1, 8)) < 0.5))


def test_a_full_scan_comes_back(network, brain):
    full = problem_of(brain, np.ones(40, bool))
    with torch.inference_mode():
        image = network(collate([full]))[-1][0].numpy() * full.scale
    norm = (np.abs(brain.maps[0]) ** 2).sum(axis=0)
    truth = brain.image[0]
    inside = norm > 0.3
    assert np.linalg.norm((image - truth)[inside]) < 0.035 * np.linalg.norm(truth[inside])


def test_an_item_does_not_see_its_batch(network, brain):
    masks = [mask((48, 40), 3, seed=s) for s in (1, 2)]
    scans = [problem_of(brain, m) for m in masks]
    with torch.inference_mode():
        together = network(collate(scans))[-1]
        alone = torch.cat([network(collate([s]))[-1] for s in scans])
    assert torch.allclose(together, alone, atol=1e-5)


def test_scale_does_not_matter(network, brain):
    sampled = mask((48, 40), 3, seed=1)
    small = problem_of(brain, sampled)
    kspace = undersample(brain.kspace[0], sampled)
    large = standardise(kspace * np.float32(4096), brain.maps[0], sampled)
    assert large.scale == pytest.approx(4096 * small.scale)
    with torch.inference_mode():
        assert torch.equal(network(collate([small]))[-1], network(collate([large]))[-1])


def test_states_lie_on_the_path_when_the_prior_adds_nothing(brain):
    """Each state is the Euler step from the last towards the solve around the shrunk image."""
    torch.manual_seed(0)
    model = Unrolled(SMALL).eval()
    problem = collate([problem_of(brain, mask((48, 40), 3, seed=1))])
    with torch.inference_mode():
        states = model(problem)
        assert len(states) == SMALL.n_unrolls + 1
        least_squares, start = model.start(problem)
        assert torch.equal(states[0], start)
        for k, (x, following) in enumerate(pairwise(states)):
            phase, threshold = local_phase(x), model.threshold(k, problem)
            mean = shrink_aligned(x * phase.conj(), threshold, model.log_imaginary[k].exp(), shift=k) * phase
            assert torch.equal(model.denoise(k, x, least_squares, problem), mean)
            missing = problem.rhs - problem.operator.normal(mean)
            lamda = model.lamda(k, missing, problem)
            around = problem.operator.solve(problem.rhs + lamda * mean, lamda, mean, n_iters=SMALL.n_cg)
            x0hat = mean + problem.operator.solve(missing, lamda, n_iters=SMALL.n_cg)
            torch.testing.assert_close(x0hat, around, atol=1e-5, rtol=0)
            if k == SMALL.n_unrolls - 1:  # t = 0: the path ends in the last estimate
                assert torch.equal(following, consensus(x0hat, start, problem.operator))
            else:
                assert torch.equal(following, step(x, x0hat, model.times[k], model.times[k + 1]))
            assert not torch.allclose(following, x, atol=1e-4)


def test_without_a_regularised_start_there_is_nothing_to_agree_with(brain):
    torch.manual_seed(0)
    model = Unrolled(replace(SMALL, n_start=0)).eval()
    problem = collate([problem_of(brain, mask((48, 40), 3, seed=1))])
    with torch.inference_mode():
        *_, x, image = model(problem)
        last = SMALL.n_unrolls - 1
        mean = model.denoise(last, x, model.least_squares(problem), problem)
        assert torch.equal(image, model.cascade(last, x, mean, problem))


def one_coil(mask):
    return Sense(torch.ones(1, 1, 32, 32, dtype=torch.complex64), mask)


def test_consensus_leaves_what_was_measured():
    """Two images that differ little become their weighted mean, but not at the samples there are."""
    torch.manual_seed(0)
    sampled = torch.rand(1, 1, 32, 32) < 0.5
    operator = one_coil(sampled)
    x = torch.ones(1, 32, 32, dtype=torch.complex64)
    start = x + 1e-4 * torch.randn_like(x)
    moved, asked = (fft2c(image) for image in (consensus(x, start, operator) - x, START_WEIGHT * (start - x)))
    assert float(moved[sampled[0]].abs().max()) < 1e-6
    assert torch.allclose(moved[~sampled[0]], asked[~sampled[0]], atol=1e-6)


def test_consensus_is_not_sought_where_images_are_far_apart():
    """The nearer half of the start moves the image, the other, twice as bright, hardly."""
    operator = one_coil(torch.zeros(1, 1, 32, 32, dtype=torch.bool))
    x = torch.ones(1, 32, 32, dtype=torch.complex64)
    start = x.clone()
    start[..., :4] *= 1.001
    start[..., -4:] *= 2
    move = (consensus(x, start, operator) - x).real / (start - x).real
    assert torch.allclose(move[..., :4], torch.tensor(START_WEIGHT), rtol=0.01)
    assert float(move[..., -4:].max()) < 0.02


@pytest.mark.parametrize("what", ["sigma", "accel"])
def test_the_network_is_told_noise_and_acceleration(brain, what):
    network = load_model("flat-small")
    problem = collate([problem_of(brain, mask((48, 40), 3, seed=1))])
    other = replace(problem, **{what: 4 * getattr(problem, what)})
    with torch.inference_mode():
        x = problem.rhs
        threshold = network.threshold(0, problem)
        network.threshold = lambda *_: threshold  # which is told as well
        try:
            one, two = (network.denoise(0, x, x, each) for each in (problem, other))
        finally:
            del network.threshold
    assert float((one - two).abs().max()) > 1e-3


@pytest.mark.parametrize("kind", ["random", "poisson"])
@pytest.mark.parametrize("shape", [(48, 40), (47, 39)])
def test_the_energy_that_noise_leaves_is_known(kind, shape):
    torch.manual_seed(0)
    brain = scan(shape, coils=4, noise=0.01, seed=3)
    problem = collate([problem_of(brain, mask(shape, 3, kind=kind, seed=1))])
    kspace = problem.operator.forward(problem.rhs)
    noise = [problem.sigma * torch.randn_like(kspace) for _ in range(200)]
    energy = sum(problem.operator.adjoint(y).abs() ** 2 for y in noise) / len(noise)
    inside = problem.noise_energy() > 0.1 * problem.noise_energy().max()
    ratio = local_ratio(energy, problem.noise_energy())[inside]
    assert float(ratio.mean()) == pytest.approx(1, rel=0.02)
    assert float((ratio - 1).abs().max()) < 0.1


def test_the_more_a_mean_misses_the_less_it_weighs_there(network, brain):
    problem = collate([problem_of(brain, mask((48, 40), 3, seed=1))])
    missing = torch.zeros_like(problem.rhs)
    missing[:, 20:28, 16:24] = 100 * problem.noise_energy().max().sqrt()
    once, twice = (network.lamda(0, factor * missing, problem) for factor in (1, 2))
    assert once.shape == problem.rhs.shape
    torch.testing.assert_close(twice[0, 24, 20], once[0, 24, 20] / 2, rtol=1e-3, atol=0)
    torch.testing.assert_close(twice[0, 0, 0], once[0, 0, 0])  # nothing is missing around there
    assert once[0, 0, 0] > 100 * once[0, 24, 20]
    assert network.lamda(0, 0 * missing, problem).isfinite().all()


def test_trust_is_by_the_energy_beyond_that_of_noise(network, brain):
    problem = collate([problem_of(brain, mask((48, 40), 3, seed=1))])
    noise = problem.noise_energy()

    def lamda(energy):
        return network.lamda(0, torch.sqrt(energy * noise).to(torch.complex64), problem)[noise > 0.1 * noise.max()]

    torch.testing.assert_close(lamda(2), 2 * lamda(5))
    torch.testing.assert_close(lamda(0.5), lamda(1.2))
    torch.testing.assert_close(lamda(1 + LEAST_MISSED), 2 * lamda(1 + 4 * LEAST_MISSED))
    torch.testing.assert_close(lamda(1 + LEAST_MISSED), lamda(0))


@pytest.mark.parametrize("factor", [1e-12, 1.0, 1e12])
def test_a_local_ratio_is_of_any_size(factor):
    a, b = torch.rand(2, 1, 48, 40, generator=torch.Generator().manual_seed(0)).double().unbind(0)
    expected = factor * blurred(a.to(torch.complex128)).real / blurred(b.to(torch.complex128)).real
    torch.testing.assert_close(local_ratio(factor * a.float(), b.float()), expected.float(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("mode", ["paper", "free"])
def test_the_other_modes_take_gradient_steps(brain, mode):
    """x - eta A^H (A x - y) - w (x - D), with Delta_k for both in the mode paper, and learned in the mode free."""
    torch.manual_seed(0)
    model = Unrolled(replace(SMALL, mode=mode)).eval()
    problem = collate([problem_of(brain, mask((48, 40), 3, seed=1))])
    if mode == "free":
        model.data_weight.data.copy_(torch.tensor([0.3, 0.7, 1.1]))
        model.prior_weight.data.copy_(torch.tensor([0.2, 0.6, 0.9]))
    with torch.inference_mode():
        states = model(problem)
        least_squares, _ = model.start(problem)
        for k, (x, following) in enumerate(pairwise(states)):
            delta = model.times[k] - model.times[k + 1]
            eta, w = (delta, delta) if mode == "paper" else (model.data_weight[k], model.prior_weight[k])
            misfit = problem.operator.adjoint(problem.operator.forward(x) - problem.kspace)
            expected = x - eta * misfit - w * (x - model.denoise(k, x, least_squares, problem))
            if k == SMALL.n_unrolls - 1:
                expected = consensus(expected, states[0], problem.operator)
            assert torch.allclose(following, expected, atol=1e-5)


def test_cascades_of_their_own_differ(brain):
    """Unshared, every cascade has a U-Net, and the second does not see what the first has learned."""
    torch.manual_seed(0)
    model = Unrolled(replace(SMALL, shared=False)).eval()
    problem = collate([problem_of(brain, mask((48, 40), 3, seed=1))])
    with torch.inference_mode():
        before = model(problem)
        torch.nn.init.normal_(model.prior[1].tail.weight, std=0.02)
        after = model(problem)
    assert torch.equal(before[1], after[1])
    assert not torch.allclose(before[2], after[2], atol=1e-4)


@pytest.mark.parametrize(("name", "value"), [("mode", "posteriori"), ("shared", "yes")])
def test_settings_that_cannot_be_are_refused(name, value):
    with pytest.raises(DataError, match=f"{name} is '{value}'"):
        Config(**{name: value})


def test_rows_are_problems_of_their_own(brain):
    """With a mask of lines the data term of a band of rows is exactly that of the whole."""
    whole = problem_of(brain, mask((48, 40), 3, seed=1))
    band = slice(10, 30)
    a, b = collate([whole]), collate([whole.rows(band)])
    assert torch.allclose(a.rhs[:, band], b.rhs, atol=1e-6)
    lamda = torch.full((1, 1, 1), 0.1)
    x = a.operator.solve(a.rhs, lamda, n_iters=80)
    assert torch.allclose(x[:, band], b.operator.solve(b.rhs, lamda, n_iters=80), atol=1e-4)


@pytest.mark.parametrize(("mode", "shared"), [("posterior", True), ("paper", True), ("free", True), ("free", False)])
def test_every_parameter_learns(brain, mode, shared):
    torch.manual_seed(0)
    model = Unrolled(replace(SMALL, mode=mode, shared=shared))
    for tail in (m for n, m in model.named_modules() if n.endswith("tail")):
        torch.nn.init.normal_(tail.weight, std=0.02)
    for film in (m for n, m in model.named_modules() if n.endswith("film")):
        torch.nn.init.normal_(film.weight, std=0.02)
    problem = collate([problem_of(brain, mask((48, 40), 3, seed=1))])
    total, _ = loss(model(problem), torch.randn(1, 48, 40, dtype=torch.complex64), model.times)
    total.backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (6, 5)])
def test_unet_takes_any_size_and_starts_at_zero(shape):
    net = UNet(4, 2, features=4, levels=2, n_condition=3)
    out = net(torch.randn(2, 4, *shape), torch.randn(2, 3))
    assert out.shape == (2, 2, *shape)
    assert not out.any()


def test_loss_is_zero_on_the_ideal_path_and_one_without_progress():
    torch.manual_seed(0)
    target, start = torch.randn(2, 2, 16, 16, dtype=torch.complex64)
    grid = [1.0, 0.5, 0.0]
    perfect, _ = loss([start, torch.lerp(target, start, 0.5), target], target, grid)
    assert float(perfect) < 1e-3
    still, parts = loss([start, start, start], target, grid, ssim_weight=0)
    assert parts["end"] == pytest.approx(1, abs=0.02)  # less a floor of 2 % of the image
    assert parts["align"] == pytest.approx(0.5, abs=0.01)
    assert float(still) == pytest.approx(1.05, abs=0.02)


def test_a_loss_of_magnitudes_knows_no_phase():
    torch.manual_seed(0)
    target, noise = torch.randn(2, 2, 64, 64, dtype=torch.complex64)
    start = target + noise

    def end(x, weight):
        options = {"ssim_weight": 0, "align": "none", "magnitude_weight": weight}
        return float(loss([start, x], target, [1.0, 0.0], **options)[0])

    assert end(1j * target, 1) < 1e-3 < end(1j * target, 0)
    small = target + 0.01 * noise
    assert end(small, 1) == pytest.approx(end(small, 0), rel=0.05)  # an error of no phase counts alike
    assert end(1j * target, 0.25) == pytest.approx(0.75 * end(1j * target, 0), rel=1e-3)


def test_alignment_by_velocity_weighs_short_steps_more():
    torch.manual_seed(0)
    target, start = torch.randn(2, 2, 16, 16, dtype=torch.complex64)
    grid = [1.0, 0.4, 0.1, 0.0]

    def align(wrong, **options):
        states = [torch.lerp(target, start, t) for t in grid]
        states[wrong] = states[wrong] + 0.1
        return loss(states, target, grid, ssim_weight=0, **options)[1].get("align")

    assert align(1) == pytest.approx(align(2), rel=1e-3)  # state: every state counts alike
    assert align(2, align="velocity") / align(1, align="velocity") == pytest.approx(0.6 / 0.3, rel=1e-3)
    both = align(1, align="velocity") + align(2, align="velocity")
    assert both == pytest.approx(2 * align(1), rel=1e-3)  # the weights have a mean of 1
    assert align(1, align="none") is None


def test_ssim_is_scikit_images():
    from skimage.metrics import structural_similarity

    rng = np.random.default_rng(0)
    b = rng.random((20, 24))
    a = b + 0.1 * rng.standard_normal(b.shape)
    expected = structural_similarity(b, a, data_range=b.max())
    assert float(ssim(torch.from_numpy(a)[None], torch.from_numpy(b)[None])) == pytest.approx(expected, abs=1e-9)


def test_magnitude_has_a_gradient_at_zero():
    x = torch.zeros(3, dtype=torch.complex64, requires_grad=True)
    magnitude(x).sum().backward()
    assert torch.isfinite(torch.view_as_real(x.grad)).all()


def test_cascades_with_a_network_each_begin_with_one_that_was_shared(network, brain):
    each = Unrolled(replace(SMALL, shared=False)).eval()
    each.load_state_dict(each.handed_out(network.state_dict()))
    problem = collate([problem_of(brain, mask((48, 40), 3, seed=1))])
    with torch.inference_mode():
        assert torch.equal(each(problem)[-1], network(problem)[-1])
    again = Unrolled(each.config)
    again.load_state_dict(again.handed_out(each.state_dict()))
    assert len({id(unet) for unet in again.prior}) == SMALL.n_unrolls


@pytest.mark.parametrize("shared", [True, False])
def test_more_cascades_begin_with_those_at_their_place(shared):
    torch.manual_seed(0)
    two = Unrolled(replace(SMALL, n_unrolls=2, shared=shared))
    with torch.no_grad():
        for parameter in two.parameters():
            parameter.add_(torch.randn_like(parameter))
    six = Unrolled(replace(two.config, n_unrolls=6))
    six.load_state_dict(six.handed_out(two.state_dict()))
    for name in ("log_lamda", "log_threshold", "log_imaginary"):
        a, b = getattr(two, name).tolist()
        assert getattr(six, name).tolist() == [a, a, a, b, b, b]
    if not shared:
        assert all(torch.equal(six.prior[k].head.weight, two.prior[k // 3].head.weight) for k in range(6))
    else:
        assert torch.equal(six.prior.head.weight, two.prior.head.weight)
    with pytest.raises(RuntimeError):
        (five := Unrolled(replace(two.config, n_unrolls=5))).load_state_dict(five.handed_out(two.state_dict()))
    with pytest.raises(RuntimeError):  # but to begin with, a network has its own weights
        six.load_state_dict(two.state_dict())


def test_learned_steps_are_not_those_of_a_network_of_more_cascades():
    free = Unrolled(replace(SMALL, n_unrolls=2, mode="free"))
    with pytest.raises(RuntimeError):
        (four := Unrolled(replace(free.config, n_unrolls=4))).load_state_dict(four.handed_out(free.state_dict()))
