"""Task models: soft masks as weights of samples, hard ones as in any other reconstruction, and images."""

import numpy as np
import pytest
import torch

from mrikit.errors import DataError
from mrikit.physics.fourier import fft2c, ifft2c
from mrikit.physics.sampling import undersample
from mrikit.physics.scan import SCALE_QUANTILE, standardise
from mrikit.policy.budget import Budget, lines, pixels
from mrikit.policy.gate import top_k
from mrikit.policy.images import ImageConfig, ImageTask, PictureStream
from mrikit.policy.mri import MriConfig, MriTask, operator, problem, slices
from mrikit.policy.rivals.adps import ActiveDps
from mrikit.policy.rivals.fixed import any_density
from mrikit.policy.scans import SliceStream
from mrikit.train.data import Images
from mrikit.unrolled.problem import collate
from mrikit.unrolled.reconstruct import load_model

TINY = MriConfig("modl", {"n_unrolls": 2, "n_cg": 3, "features": 4, "n_blocks": 3})
FLAT = MriConfig("flat", {"n_unrolls": 2, "n_cg": 2, "features": 4, "levels": 1, "n_start": 2, "n_least_squares": 2})
VARNET = MriConfig("varnet", {"n_unrolls": 2, "features": 4, "levels": 1, "maps": "espirit"})
BUDGET = lines(32, 4, n_low=4)
ANATOMY = Images([], [], 1.0)


def stream(coils):
    return SliceStream(ANATOMY, [BUDGET], 24, batch=2, coils=[coils])


@pytest.fixture(scope="module", params=[1, 4])
def item(request):
    with torch.random.fork_rng():
        return stream(request.param)[0]


@pytest.fixture(scope="module", params=[TINY, FLAT, VARNET], ids=lambda config: config.architecture)
def task(request):
    torch.manual_seed(0)
    made = MriTask(request.param)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return made.freeze()


def test_a_batch_of_slices_depends_on_its_number_alone(item):
    again = stream(item.kspace.shape[1])[0]
    assert all(torch.equal(a, b) for a, b in zip(item.tensors().values(), again.tensors().values(), strict=True))
    assert item.kspace.shape[0] == len(item) == 2 and item.kspace.shape[2:] == (24, 32)
    low = ifft2c(item.kspace.numpy() * item.budget.low.numpy(), axes=(-1,))  # by which slices are scaled
    image = np.sum(np.conj(item.maps.numpy()) * low, axis=-3)
    assert np.quantile(np.abs(image), SCALE_QUANTILE, axis=(-2, -1)) == pytest.approx(1, abs=1e-3)


def test_a_soft_mask_weighs_the_samples_once(item):
    torch.manual_seed(0)
    m = torch.rand(2, 32)
    x = torch.randn_like(item.target)
    full = operator(item, torch.ones(2, 32))
    weighed = m[:, None, None] * full.forward(x)
    assert torch.allclose(operator(item, m).normal(x), full.adjoint(weighed), atol=1e-5)
    assert torch.allclose(problem(item, m).rhs, full.adjoint(m[:, None, None] * item.kspace), atol=1e-5)


def test_a_line_that_is_not_taken_has_a_gradient(item):
    mask = any_density(32)(item).requires_grad_()
    task = MriTask(MriConfig(network={"n_unrolls": 1, "n_cg": 2, "features": 4, "n_blocks": 3}))
    (slope,) = torch.autograd.grad(sum(task.losses(item, mask).values()), mask)
    assert (slope[mask == 0] != 0).all()


def test_a_hard_mask_is_the_problem_of_any_other_scan(item):
    mask = any_density(32)(item)[:1]
    kept = mask[0].bool().numpy()
    one = item.take(torch.tensor([0]))
    kspace = undersample(fft2c(one.kspace[0].numpy(), axes=(-2,)), kept)
    scan = standardise(kspace, one.maps[0].numpy(), kept)
    found, expected = problem(one, mask), collate([scan])
    assert torch.allclose(found.rhs / scan.scale, expected.rhs, atol=2e-2 * float(expected.rhs.abs().max()))
    assert found.accel.tolist() == expected.accel.tolist() == [4.0]
    assert torch.equal(found.mask.bool(), expected.mask)


def test_gradients_reach_the_mask_through_the_reconstruction(item, task):
    mask = torch.full((2, 32), 0.5, requires_grad=True)
    losses = task.losses(item, mask)
    assert len(losses) == task.n_losses and all(float(value.detach()) > 0 for value in losses.values())
    sum(losses.values()).backward()
    assert mask.grad.isfinite().all() and mask.grad.abs().sum(dim=0).all()
    assert not any(p.requires_grad for p in task.parameters())


def test_the_policy_sees_the_centre_alone(item, task):
    outside = (~BUDGET.low).float()
    blind = type(item)(item.budget, item.kspace * (1 - outside), *list(item.tensors().values())[1:])
    assert task.condition(item).shape == (2, 8 if task.config.architecture == "modl" else 12)
    assert torch.allclose(task.condition(item), task.condition(blind), atol=1e-5)
    low = BUDGET.low.float().expand(2, -1)
    assert torch.allclose(task.view(item, low), task.view(blind, low), atol=1e-5)


def test_a_flat_glances_at_the_centre_and_reconstructs_nothing(item, monkeypatch):
    task = MriTask(FLAT).freeze()
    for name in ("start", "cascade"):
        monkeypatch.setattr(task.network, name, None)
    assert task.condition(item).isfinite().all()


def test_all_lines_score_higher_than_the_centre(item):
    exact = MriTask(TINY).freeze()  # whose denoiser is still the identity
    few, all_ = (exact.scores(item, m.expand(2, -1)) for m in (BUDGET.low.float(), torch.ones(32)))
    assert (all_ > few + 0.05).all() and (all_ > 0.9).all()


def test_a_task_can_be_made_of_any_weights_of_an_unrolled_network():
    task = MriTask.of("flat-small", loss="mse")
    assert (task.config.architecture, task.config.loss) == ("flat", "mse")
    assert torch.equal(task.state_dict()["network.log_lamda"], load_model("flat-small").state_dict()["log_lamda"])
    with pytest.raises(DataError, match="no setting cascades"):
        MriConfig("modl", {"cascades": 3})


def test_active_dps_runs_on_scans(item):
    masks = ActiveDps(32, MriTask(TINY))(item)
    assert masks.sum(dim=1).tolist() == [8, 8] and masks[:, BUDGET.low].all()


def test_the_centre_must_be_measured_and_the_width_agree():
    kspace = np.ones((1, 8, 32), np.complex64)
    kspace[..., 15] = 0
    with pytest.raises(DataError, match="1 of the 4 low-frequency lines hold nothing"):
        slices([kspace], BUDGET)
    with pytest.raises(DataError, match="for 32 lines, but k-space has 31"):
        slices([kspace[..., 1:]], BUDGET)


# images


@pytest.fixture(scope="module")
def digits():
    """Two classes of 12 x 10 images that differ in their left or right half."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=200)
    images = rng.random((200, 1, 12, 10)).astype(np.float32) * 0.2
    images[labels == 0, :, :, :5] += 0.7
    images[labels == 1, :, :, 5:] += 0.7
    return PictureStream(images, labels, rates=(0.05, 0.3), batch=16)


def test_a_batch_of_pictures_depends_on_its_number_alone_and_has_a_first_look_of_its_budget(digits):
    a, b, c = digits.item(0), digits.item(0), digits.item(1)
    assert torch.equal(a.images, b.images) and torch.equal(a.first, b.first) and not torch.equal(a.images, c.images)
    assert (a.first.sum(dim=1) == a.budget.kept).all()
    assert 0.05 * 120 - 1 <= a.budget.kept <= 0.3 * 120 + 1 and a.budget != c.budget


@pytest.mark.parametrize("n_classes", [0, 2])
def test_an_image_task_has_losses_scores_and_features_at_every_scale(digits, n_classes):
    torch.manual_seed(0)
    task, one = ImageTask(ImageConfig(12, 10, n_classes=n_classes, features=8)), digits.item(0)
    mask = one.first.clone().requires_grad_()
    losses = task.losses(one, mask)
    assert list(losses) == (["cross_entropy"] if n_classes else ["l1"])
    assert "l1" in task.own_losses(one, mask)
    torch.nn.init.normal_(task.unet.tail.weight)
    sum(task.losses(one, mask).values()).backward()
    assert mask.grad.any()
    assert [f.shape[1] for f in task.condition(one)] == [8, 16, 32, 64]
    scores = task.scores(one, one.first)
    assert scores.shape == (16,) and (set(scores.tolist()) <= {0, 1} if n_classes else (scores <= 0).all())
    assert task.view(one, one.first).shape == (16, 1, 12, 10)


def test_the_policy_of_an_image_sees_its_first_look_alone(digits):
    task, one = ImageTask(ImageConfig(12, 10, features=8)).freeze(), digits.item(0)
    hidden = one.images * one.first.unflatten(1, (1, 12, 10))
    blind = type(one)(one.budget, hidden, one.labels, one.first)
    assert all(torch.equal(a, b) for a, b in zip(task.condition(one), task.condition(blind), strict=True))
    assert torch.equal(top_k(task.energy(one), pixels(120, 0.1)).sum(dim=1), torch.full((16,), 12.0))
    assert isinstance(one.budget, Budget)
