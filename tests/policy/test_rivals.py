"""The rivals: what each of them is, piece by piece. What they learn is in test_closed_forms."""

import math

import pytest
import torch
from wiener import one_class, two_classes

from mrikit.errors import UsageError
from mrikit.policy.budget import Budget, lines
from mrikit.policy.gate import top_k
from mrikit.policy.rivals.adps import ActiveDps
from mrikit.policy.rivals.ads import ads, column_scores
from mrikit.policy.rivals.dps import ANNEALED, Logits
from mrikit.policy.rivals.fixed import any_density, centre_only, half, population_energy, random, variable_density
from mrikit.policy.rivals.greedy import Greedy
from mrikit.policy.rivals.loupe import Loupe, rescale
from mrikit.policy.task import Item


def item(budget, n_batch):
    made = two_classes().item(0).take(torch.zeros(n_batch, dtype=torch.long))
    return type(made)(budget, *made.tensors().values())


def test_the_centre_alone_is_one_block():
    budget = lines(128, 4)
    masks = centre_only(128)(item(budget, 2))
    assert masks[0].nonzero()[:, 0].tolist() == list(range(48, 80))


@pytest.mark.parametrize("n", [127, 128])
def test_half_takes_the_low_frequencies_and_one_side(n):
    budget = lines(n, 4)
    (mask,) = half(n)(item(budget, 1))
    first = int(budget.low.nonzero()[0])
    assert mask.nonzero()[:, 0].tolist() == list(range(first, first + budget.kept))


@pytest.mark.parametrize("make", [random, variable_density, any_density])
def test_drawn_masks_meet_the_budget_and_repeat_with_the_seed(make):
    budget, policy = lines(128, 4), make(128)
    one = item(budget, 50)
    torch.manual_seed(4)
    masks = policy(one)
    torch.manual_seed(4)
    assert torch.equal(masks, policy(one))
    assert (masks.sum(dim=1) == 32).all() and masks[:, budget.low].all()
    assert len(masks.unique(dim=0)) == 50


def test_variable_density_thins_out_and_random_does_not():
    torch.manual_seed(0)
    one = item(lines(128, 4), 400)
    for make, ratio in ((random, (0.8, 1.2)), (variable_density, (20, 2000))):
        share = make(128)(one).mean(dim=0)
        inner, outer = share[[*range(40, 59), *range(69, 88)]].mean(), share[[*range(25), *range(103, 128)]].mean()
        assert ratio[0] < float(inner / outer) < ratio[1]


def test_the_energy_of_a_population_ranks_its_lines():
    task = one_class()
    policy = population_energy(task, [task.item(i) for i in range(4)])
    assert torch.equal(policy(task.item(9))[:1], task.best())


@pytest.mark.parametrize("rho", [0.05, 0.3, 0.9])
def test_rescaled_probabilities_have_the_mean_of_the_budget(rho):
    p = rescale(torch.rand(200), rho)
    assert float(p.mean()) == pytest.approx(rho, rel=1e-5)
    assert p.min() >= 0 and p.max() <= 1
    assert torch.equal(rescale(torch.ones(4), 1.0), torch.ones(4))


def test_loupe_learns_on_soft_masks_of_the_budget_on_average_and_is_used_on_exact_ones():
    torch.manual_seed(0)
    loupe, one = Loupe(64), item(lines(64, 4, n_low=4), 500)
    loupe.weight.data.normal_(std=0.3)
    soft = loupe.relaxed(one)
    assert float(soft.detach().sum(dim=1).mean()) == pytest.approx(16, rel=0.1)
    assert soft[:, one.budget.low].all() and soft.max() <= 1
    soft.sum().backward()
    assert loupe.weight.grad[~one.budget.low].all() and not loupe.weight.grad[one.budget.low].any()
    assert torch.equal(loupe(one)[:1], top_k(loupe.weight[None], one.budget))


def test_the_temperature_of_learned_logits_falls_to_its_end():
    one, chosen = item(lines(16, 4, n_low=1), 2), Logits(16, ANNEALED, n_items=10)
    for _ in range(15):
        mask = chosen.relaxed(one)
        assert torch.allclose(mask.sum(dim=1), torch.tensor(4.0))
    assert int(chosen.seen) == 15
    assert Logits(16).temperatures == (2.0, 2.0)


def test_active_dps_takes_one_new_line_a_step_and_passes_gradients():
    torch.manual_seed(0)
    task = two_classes()
    active, one = ActiveDps(16, task), task.item(0)
    mask = active.relaxed(one)
    assert torch.allclose(mask.sum(dim=1), torch.tensor(6.0), atol=1e-5)
    assert set(mask.detach().round(decimals=4).unique().tolist()) == {0.0, 1.0}
    task.losses(one, mask)["error"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in active.parameters())
    assert active.features[0].weight.grad.any()
    used = active(one)
    assert (used.sum(dim=1) == 6).all() and torch.equal(used, active(one))


def test_the_greedy_oracle_finds_the_best_mask_where_gains_add_up():
    task = two_classes()
    one = task.item(0).take(torch.arange(3))
    alone = task.errors(one, torch.zeros(3, 16))
    gains = torch.stack([alone - task.errors(one, line.expand(3, 16)) for line in torch.eye(16)], dim=1)
    masks = Greedy(task, chunk=4)(one)
    assert torch.equal(masks, top_k(gains, one.budget))


def test_the_ads_score_of_two_samples_in_closed_form():
    samples = torch.zeros(2, 1, 3, 2, dtype=torch.complex64)
    samples[1, 0, :, 1] = torch.tensor([1.0, 1j, 1.0])  # d^2 = 3 in the second column, 0 in the first
    for form, sign in (("published", 1), ("entropy", -1)):
        expected = [2 * sign * math.log(2), 2 * sign * math.log(1 + math.exp(sign * 3 / (2 * 0.5**2)))]
        assert column_scores(samples, 0.5, form).tolist() == pytest.approx(expected, rel=1e-4)
    assert column_scores(samples, 1e-6).isfinite().all()
    with pytest.raises(UsageError, match="published and entropy"):
        column_scores(samples, 0.5, "mean")


@pytest.mark.parametrize("form", ["published", "entropy"])
def test_ads_measures_where_samples_disagree_most(form):
    """Independent lines: measuring one leaves the others' variances as they are, so the largest are taken in turn."""
    task, source = one_class(), torch.Generator().manual_seed(0)
    std = task.variances[0].sqrt()

    def posterior(taken):
        noise = torch.randn(24, 32, 16, generator=source)
        return torch.where(taken, 0.1, 1.0) * std * noise

    assert torch.equal(ads(posterior, task.budget, sigma=1.0, form=form)[None], task.best())


def test_an_item_can_be_repeated_and_moved():
    one = two_classes().item(0)
    again = one.take(torch.tensor([1, 1, 0])).to("cpu")
    assert isinstance(again, Item) and len(again) == 3 and again.budget == Budget(16, 6, 1)
    assert torch.equal(again.truth[0], one.truth[1]) and torch.equal(again.truth[2], one.truth[0])
