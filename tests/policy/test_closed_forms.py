"""Tests a and b: tasks whose best masks are known, and whether LOUPE, DPS and the flow find them."""

import pytest
import torch
from wiener import NOISE, one_class, two_classes

from mrikit.policy.compare import compare
from mrikit.policy.fit import train_flow, train_rival
from mrikit.policy.objective import Objective
from mrikit.policy.rivals.dps import Logits
from mrikit.policy.rivals.fixed import Ranking, population_energy
from mrikit.policy.rivals.greedy import Greedy
from mrikit.policy.rivals.loupe import Loupe
from mrikit.policy.velocity import LineConfig, LineVelocity
from mrikit.train.loop import Recipe

FAST = Recipe(n_steps=150, learning_rate=3e-3, warm_up=5, average=0.9)  # of logits ten times as much
FLOW = Recipe(n_steps=400, learning_rate=3e-3, warm_up=10, average=0.97)
HELD_BACK = 10**6


def flow_policy(task, folder, objective, recipe=FLOW):
    torch.manual_seed(0)
    velocity = LineVelocity(LineConfig(n=16, n_features=1, width=64, depth=3))
    return train_flow(velocity, task, task.items, objective, recipe, folder)[0]


def drawn(policy, task, times=4):
    """Masks of a flow policy `(times batch, n)`, from noise that differs each time."""
    torch.manual_seed(1)
    return torch.cat([policy(task.item(HELD_BACK)) for _ in range(times)])


def mean_error(task, masks):
    """The expected squared error of masks `(draw, n)`, in closed form, classes in turn."""
    return task.expected(masks.unflatten(0, (-1, len(task.variances))).mean(dim=0))


def test_the_gain_of_a_line_is_its_closed_form():
    task = two_classes()
    masks = task.best()[torch.arange(64) % 2]
    found = torch.stack([task.errors(task.item(i), masks).mean() for i in range(60)]).mean()
    assert float(found) == pytest.approx(task.expected(task.best()), rel=0.01)
    p = task.variances[0, 0]
    assert float(task.gain[0, 0]) == pytest.approx(float(p - p * NOISE / (p + NOISE)))


# a: one spectrum


@pytest.mark.parametrize("make", [Loupe, Logits])
def test_loupe_and_dps_find_the_best_mask(tmp_path, make):
    task = one_class()
    rival = train_rival(make(16), task, task.items, FAST, tmp_path)
    assert torch.equal(rival(task.item(HELD_BACK))[:1], task.best())


def test_the_flow_finds_the_best_mask(tmp_path):
    task = one_class()
    policy = flow_policy(task, tmp_path, Objective(losses="task"))
    assert float(policy.velocity.usual.sum()) == pytest.approx(task.budget.kept)  # of masks by energy
    masks = drawn(policy, task)
    assert (masks == task.best()).all(dim=1).float().mean() > 0.9
    assert mean_error(task, masks) < 1.02 * task.expected(task.best())


# b: two spectra, told apart by what is seen


def test_adapting_pays_by_a_gap_that_no_fixed_mask_closes(tmp_path):
    task = two_classes()
    assert task.expected(task.best_fixed()) > 1.5 * task.expected(task.best())
    for make in (Loupe, Logits):
        rival = train_rival(make(16), task, task.items, FAST, tmp_path / make.__name__)
        assert torch.equal(rival(task.item(HELD_BACK))[:2], task.best_fixed())


def test_the_task_alone_brings_the_flow_to_the_adaptive_optimum(tmp_path):
    task = two_classes()
    masks = drawn(flow_policy(task, tmp_path, Objective(losses="task")), task)
    assert mean_error(task, masks) < 1.03 * task.expected(task.best())


def test_flow_and_task_together_beat_the_best_fixed_mask(tmp_path):
    task = two_classes()
    masks = drawn(flow_policy(task, tmp_path, Objective()), task)
    best, fixed = task.expected(task.best()), task.expected(task.best_fixed())
    assert (fixed - mean_error(task, masks)) / (fixed - best) > 0.05


@pytest.mark.slow
def test_the_longer_they_learn_the_further_ahead_they_are(tmp_path):
    task = two_classes()
    recipe = Recipe(n_steps=3000, learning_rate=3e-3, warm_up=10, average=0.97)
    masks = drawn(flow_policy(task, tmp_path, Objective(), recipe), task)
    best, fixed = task.expected(task.best()), task.expected(task.best_fixed())
    assert (fixed - mean_error(task, masks)) / (fixed - best) > 0.1


def test_the_comparison_orders_policies_as_their_closed_forms():
    task = two_classes()
    items = [task.item(HELD_BACK + i) for i in range(2)]
    uniform = Ranking(torch.zeros(16), drawn=True)
    policies = {
        "random": uniform,
        "energy": population_energy(task, [task.item(i) for i in range(8)]),
        "best": lambda item: task.best()[torch.arange(len(item)) % 2],
        "greedy": Greedy(task),
    }
    found = compare(task, policies, items, n_seeds=3)
    means = [result.mean for result in found.values()]
    assert means == sorted(means)
    assert found["best"].mean == pytest.approx(-task.expected(task.best()), rel=0.1)
    assert found["best"].std == 0 < found["random"].std
    low, high = found["random"].interval
    assert low < found["random"].mean < high
    gain, low, high = found["best"].gain(found["random"])
    assert 0 < low < gain < high
    assert found["best"].places.sum() == pytest.approx(task.budget.kept)
    assert found["random"].to_json()["places"][8] == 1  # the LF band
    again = compare(task, {"random": uniform}, items, n_seeds=3)["random"]
    assert (again.scores == found["random"].scores).all()
