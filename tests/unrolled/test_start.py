"""Where the flow starts: the frame of local phase, and the wavelet-regularised image."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from mrikit.evaluate.metrics import metrics
from mrikit.nets.wavelet import shrink
from mrikit.physics.masks import mask
from mrikit.physics.phantom import scan
from mrikit.physics.sampling import undersample
from mrikit.physics.scan import standardise
from mrikit.rng import generator
from mrikit.unrolled.problem import collate
from mrikit.unrolled.start import HARDEST, hardness, local_phase, n_steps, shrink_aligned, unit, wavelet_start


def smooth(shape, turns):
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in shape), indexing="ij")
    return torch.polar(torch.ones(shape), turns * (x + 0.5 * y**2))[None]


def problem_of(kind="random", coils=4, seed=0):
    brain = scan((96, 80), coils=coils, noise=0.005, anatomy="brain", seed=seed)
    sampled = mask((96, 80), 3, kind=kind, seed=1)
    one = standardise(undersample(brain.kspace[0], sampled), brain.maps[0], sampled)
    return collate([one]), brain.image[0] / one.scale


def test_the_phase_of_a_smooth_image_is_taken_out():
    phase = smooth((48, 40), 1.0)
    magnitude = torch.rand(1, 48, 40, generator=torch.Generator().manual_seed(0)) + 0.5
    left = magnitude * phase * local_phase(magnitude * phase).conj()
    inside = left[:, 12:-12, 12:-12]  # at the edges the blur sees the outside, which is zero
    assert inside.imag.abs().max() < 0.1 * inside.real.min()


@pytest.mark.parametrize("shape", [(7, 9), (40, 33), (64, 48)])
def test_local_phase_is_that_of_the_image_blurred_between_zeros(shape):
    real, imaginary = generator(0, "image").standard_normal((2, 3, *shape))
    blurred = [
        gaussian_filter(part, sigma=(0, 5, 5), radius=(0, 15, 15), mode="constant") for part in (real, imaginary)
    ]
    expected = np.exp(1j * np.angle(blurred[0] + 1j * blurred[1]))
    phase = local_phase(torch.from_numpy(real + 1j * imaginary).to(torch.complex64))
    assert np.allclose(phase.numpy(), expected, atol=1e-3)


def test_local_phase_has_unit_magnitude_and_no_gradient():
    x = smooth((20, 24), 1.0).requires_grad_()
    phase = local_phase(x)
    assert torch.allclose(phase.abs(), torch.ones(1, 20, 24), atol=1e-4)
    assert not phase.requires_grad
    assert torch.equal(unit(torch.zeros(1, 2, 2, dtype=torch.complex64)), torch.zeros(1, 2, 2, dtype=torch.complex64))


def test_real_and_imaginary_parts_are_shrunk_by_their_own_thresholds():
    torch.manual_seed(0)
    x = torch.randn(2, 20, 24, dtype=torch.complex64)
    threshold = torch.tensor([0.1, 0.3])[:, None, None]
    out = shrink_aligned(x, threshold, 2.0, shift=3)
    assert torch.allclose(out.real, shrink(x.real, threshold, shift=3))
    assert torch.allclose(out.imag, shrink(x.imag, 2 * threshold, shift=3))
    assert torch.allclose(shrink_aligned(x, threshold * 0, 2.0, shift=1), x, atol=1e-5)


@pytest.mark.parametrize("kind", ["random", "poisson"])
def test_it_is_nearer_to_the_truth_than_least_squares(kind):
    problem, truth = problem_of(kind)
    lamda = torch.full((1, 1, 1), 0.01)
    least_squares = problem.operator.solve(problem.rhs, lamda, n_iters=8)
    image = wavelet_start(problem.operator, problem.rhs, least_squares, problem.sigma, 30)

    def psnr(x):
        return metrics(truth, x[0].numpy()).volume_masked.psnr

    assert psnr(image) > psnr(least_squares) + 1


def test_it_converges_to_a_fixed_point_of_its_iteration():
    """What further iterations change falls as they go on, and stays what the moving grid does."""
    problem, _ = problem_of()
    start = problem.rhs
    images = [wavelet_start(problem.operator, problem.rhs, start, problem.sigma, n) for n in (10, 80, 120)]
    change = [float((a - b).norm() / b.norm()) for a, b in pairwise(images)]
    assert change[1] < 0.5 * change[0]
    assert change[1] < 0.03


@pytest.mark.parametrize(("kind", "left"), [("random", 0.09), ("poisson", 0.025)])
def test_few_steps_lead_far(kind, left, monkeypatch):
    """Of the way to what 300 steps reach, FISTA leaves 0.107 and 0.030 after 24 steps."""
    monkeypatch.setattr("mrikit.unrolled.start.OUT_OF_PHASE", 1e6)  # as it was when FISTA was measured
    problem, _ = problem_of(kind, coils=6)
    start = problem.operator.solve(problem.rhs, torch.full((1, 1, 1), 0.01), n_iters=8)
    near, far = (wavelet_start(problem.operator, problem.rhs, start, problem.sigma, n) for n in (24, 300))
    assert float((near - far).norm() / far.norm()) < left


def test_the_imaginary_part_is_shrunk_harder_the_less_is_in_it():
    torch.manual_seed(0)
    real, imaginary = torch.randn(2, 4, 16, 16)
    overall, ratio = hardness(torch.complex(real, imaginary * torch.tensor([0, 0.15, 0.2, 1])[:, None, None]))
    assert overall.shape == ratio.shape == (4, 1, 1)
    assert ratio[0] == HARDEST and overall[0] == 1
    assert HARDEST > ratio[1] > ratio[2] > 1 < overall[1] < overall[2]
    assert ratio[3] == 1 and overall[3] == HARDEST**2


def test_a_start_takes_more_steps_the_less_noise_there_is():
    sigma = torch.tensor([1e-4, 1e-2, 4e-2, 1.0])
    steps = n_steps(torch.ones(4, 1, 1), sigma, 40)
    assert steps.shape == (4, 1, 1)
    assert steps.flatten().tolist() == [40, 24, 12, 9]
    assert n_steps(torch.ones(4, 1, 1), sigma, 0).max() == 0


def test_every_image_of_a_batch_takes_its_own_steps():
    brain = scan((64, 48), coils=4, noise=0.005, seed=0)
    scans = []
    for seed in (1, 2):
        sampled = mask((64, 48), 3, seed=seed)
        scans.append(standardise(undersample(brain.kspace[0], sampled), brain.maps[0], sampled))
    sigma, n = torch.tensor([1e-3, 2e-2]), torch.tensor([12, 5])[:, None, None]
    both = collate(scans)
    together = wavelet_start(both.operator, both.rhs, both.rhs, sigma, n)
    for i, each in enumerate(scans):
        one = collate([each])
        alone = wavelet_start(one.operator, one.rhs, one.rhs, sigma[i : i + 1], int(n[i]))
        assert torch.allclose(together[i], alone[0], atol=1e-5)


def test_strong_maps_do_not_blow_it_up():
    """The step follows the norm of A^H A, so maps ten times as strong give the same image, a tenth as bright."""
    brain = scan((48, 40), coils=3, seed=0)
    sampled = mask((48, 40), 2, seed=0)
    kspace = undersample(brain.kspace[0], sampled)
    images = []
    for gain in (1, 10):
        one = standardise(kspace, brain.maps[0] * np.float32(gain), sampled)
        problem = collate([one])
        images.append(wavelet_start(problem.operator, problem.rhs, problem.rhs / gain**2, problem.sigma, 30))
        images[-1] = images[-1][0].numpy() * one.scale * gain
    assert np.linalg.norm(images[0] - images[1]) < 1e-3 * np.linalg.norm(images[0])
