"""Budgets that are exact, and the gate's limits."""

import pytest
import torch

from mrikit.errors import DataError, UsageError
from mrikit.policy.budget import Budget, lines, pixels
from mrikit.policy.gate import gate, straight_through, threshold, top_k

BUDGETS = [lines(208, 8), lines(128, 4), lines(13, 4, n_low=2), pixels(784, 0.01), pixels(9, 1.0), Budget(9, 9, 4)]


def scores(budget, n_batch=200, seed=0):
    return torch.randn(n_batch, budget.n, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("budget", BUDGETS)
def test_a_thousand_masks_keep_exactly_the_budget_and_the_centre(budget):
    x = scores(budget, 1000).round(decimals=1)  # with many ties
    masks = top_k(x, budget)
    assert torch.equal(masks.sum(dim=1), torch.full((1000,), float(budget.kept)))
    assert set(masks.unique().tolist()) <= {0.0, 1.0}
    assert masks[:, budget.low].all()
    assert torch.equal(masks, top_k(x.clone(), budget))


def test_the_budgets_of_the_paper():
    r8, r4 = lines(208, 8), lines(128, 4)
    assert (r8.kept, r8.n_low, r8.chosen) == (26, 8, 18)
    assert (r4.kept, r4.n_low, r4.chosen) == (32, 10, 22)
    assert lines(180, 8).kept == 22
    assert [lines(*case).n_low for case in ((180, 8), (64, 3), (32, 4), (9, 2))] == [8, 8, 4, 2]
    assert lines(9, 2, n_low=1).low.nonzero().item() == 4
    assert pixels(784, 0.0001).kept == 1


@pytest.mark.parametrize("budget", BUDGETS)
def test_the_gate_does_not_see_a_shift(budget):
    x, t = scores(budget).double(), torch.rand(200)
    assert torch.allclose(gate(x + 3.7, t, budget, 20, 2), gate(x, t, budget, 20, 2), atol=1e-12)


def test_the_gate_grows_with_its_score_at_fixed_q():
    budget = lines(32, 4, n_low=4)
    x = scores(budget).double()
    free = ~budget.low
    soft = gate(x, torch.full((200,), 0.8), budget, 20, 2)[:, free]
    for row, ranked in zip(soft, x[:, free].argsort(dim=1), strict=True):
        assert (row[ranked].diff() >= 0).all()
    above = x > threshold(x, budget)
    assert torch.equal(above[:, free].sum(dim=1), torch.full((200,), budget.chosen))


@pytest.mark.parametrize("budget", BUDGETS)
def test_the_gate_is_one_half_at_first_and_exact_as_it_steepens(budget):
    x = scores(budget)
    start = gate(x, torch.zeros(200), budget, 20, 2)
    assert (start[:, ~budget.low] == 0.5).all() and (start[:, budget.low] == 1).all()
    hard = top_k(x, budget)
    errors = [float((gate(x.double(), torch.ones(200), budget, s, 1) - hard).abs().mean()) for s in (1, 30, 1e3, 1e9)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-6


def test_straight_through_is_hard_with_the_gradient_of_the_gate():
    budget = lines(16, 4, n_low=1)
    x = scores(budget, 5).requires_grad_()
    weights = scores(budget, 5, seed=1)
    soft = gate(x, torch.ones(5), budget, 20, 2)
    mask = straight_through(top_k(x, budget), soft)
    assert torch.allclose(mask, top_k(x, budget))
    (through,) = torch.autograd.grad((mask * weights).sum(), x, retain_graph=True)
    (expected,) = torch.autograd.grad((soft * weights).sum(), x)
    assert torch.equal(through, expected) and expected.any()


@pytest.mark.parametrize("rate", [0, -0.1, 1.01, float("nan"), float("inf")])
def test_a_rate_is_above_zero_and_one_at_most(rate):
    with pytest.raises(UsageError, match="sampling rate"):
        pixels(784, rate)


@pytest.mark.parametrize("accel", [0, 0.5, float("nan"), float("inf")])
def test_an_acceleration_is_one_at_least(accel):
    with pytest.raises(UsageError, match="acceleration"):
        lines(208, accel)


def test_a_scan_needs_one_line_beside_the_centre():
    with pytest.raises(DataError, match="8 lines leaves none to choose beside 8"):
        lines(8, 1, n_low=8)
    assert lines(9, 1, n_low=8).chosen == 1
    with pytest.raises(UsageError, match="leave nothing to choose"):
        lines(64, 8, n_low=8)
