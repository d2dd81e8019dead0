"""Draws without replacement: their frequencies, their gradient, and the targets made of energies."""

from itertools import permutations

import pytest
import torch

from mrikit.errors import UsageError
from mrikit.policy.budget import Budget, lines
from mrikit.policy.fit import target_logits
from mrikit.policy.gumbel import draw, relaxed_draw
from mrikit.policy.objective import Objective
from mrikit.policy.targets import logits

N_DRAWS = 20_000


def inclusion(p, k):
    """Probability that each place is among k drawn one by one, each by what is left of p."""
    found = torch.zeros(len(p), dtype=torch.double)
    for order in permutations(range(len(p)), k):
        left, chance = 1.0, 1.0
        for place in order:
            chance, left = chance * float(p[place]) / left, left - float(p[place])
        found[list(order)] += chance
    return found


@pytest.mark.parametrize("gamma", [0.5, 1, 2])
def test_the_energy_target_draws_in_proportion_without_replacement(gamma):
    torch.manual_seed(0)
    energy = torch.tensor([4.0, 1.0, 9.0, 2.0, 0.5, 3.0])
    masks = draw(logits("energy", energy.expand(N_DRAWS, 6), gamma), Budget(6, 3))
    p = energy.double() ** gamma
    assert torch.allclose(masks.double().mean(dim=0), inclusion(p / p.sum(), 3), atol=0.015)


def test_the_half_target_counts_one_side_for_little():
    energy = torch.tensor([[4.0, 2.0, 8.0, 2.0, 4.0]])
    p = logits("half", energy, 2.0).exp()
    assert torch.allclose(p / p[0, 2], torch.tensor([[0.025**2, 0.0125**2, 1.0, 0.25**2, 0.5**2]]))


def test_the_low_frequencies_take_no_part_in_the_draw():
    torch.manual_seed(0)
    budget = Budget(7, 4, n_low=1)
    energy = torch.tensor([1.0, 2.0, 3.0, 1000.0, 3.0, 2.0, 1.0])
    masks = draw(logits("energy", energy.expand(N_DRAWS, 7)), budget)
    p = energy[~budget.low].double()
    assert masks[:, 3].all()
    assert torch.allclose(masks.double().mean(dim=0)[~budget.low], inclusion(p / p.sum(), 3), atol=0.015)


def test_the_softmax_of_the_paper_is_nearly_uniform_and_the_energy_target_is_not():
    torch.manual_seed(0)
    budget = lines(64, 4, n_low=4)
    distance = (torch.arange(64) - 32).abs().clamp_min(1)
    energy = (1.0 / distance).expand(N_DRAWS, 64)
    free = ~budget.low
    spread = {kind: draw(logits(kind, energy), budget).mean(dim=0)[free] for kind in ("softmax", "energy")}
    assert spread["softmax"].max() / spread["softmax"].min() < 1.6
    assert spread["energy"].max() / spread["energy"].min() > 6


def test_places_that_hold_nothing_fill_what_is_left():
    energy = torch.zeros(3, 8)
    energy[0, :2] = 1
    masks = draw(logits("energy", energy), Budget(8, 5))
    assert masks.sum(dim=1).tolist() == [5, 5, 5] and masks[0, :2].all()


def test_a_draw_has_the_gradient_of_successive_softmaxes():
    budget = Budget(5, 3, n_low=1)
    values, weights = torch.randn(4, 5), torch.randn(4, 5)
    given = values.clone().requires_grad_()
    torch.manual_seed(1)
    mask = relaxed_draw(given, budget, temperature=2.0)
    torch.manual_seed(1)
    assert torch.equal(mask.round(), draw(values, budget))
    (found,) = torch.autograd.grad((mask * weights).sum(), given)

    torch.manual_seed(1)
    plain = values.clone().requires_grad_()
    scores = plain - torch.empty_like(plain).exponential_().log()
    total = 0.0
    for row, weight, rank in zip(scores, weights, scores.detach(), strict=True):
        left = [i for i in range(5) if not budget.low[i]]
        for _ in range(2):
            total = total + (torch.softmax(row[left] / 2.0, dim=0) * weight[left]).sum()
            left.remove(max(left, key=lambda i: float(rank[i])))
    (expected,) = torch.autograd.grad(total, plain)
    assert torch.allclose(found, expected, atol=1e-6)


def test_a_target_is_one_of_those_there_are():
    with pytest.raises(UsageError, match="'flat'"):
        logits("flat", torch.ones(1, 4))


@pytest.mark.parametrize("gamma", [0, 1, 3])
def test_what_was_learned_is_drawn_by_to_the_power_of_gamma(gamma):
    learned = torch.tensor([0.0, 1.0, -2.0, 3.0])
    objective = Objective(target="learned", gamma=gamma)
    found = target_logits(range(2), None, objective, learned)  # neither items nor the task say anything about it
    assert torch.equal(found, gamma * learned.expand(2, -1))
