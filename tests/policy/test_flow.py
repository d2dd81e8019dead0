"""The flow: exact where the velocity is exact (test d), and the target's own frequencies without a task (test c)."""

import math

import pytest
import torch
from wiener import one_class

from mrikit.errors import DataError, UsageError
from mrikit.policy.budget import Budget
from mrikit.policy.flow import euler, integrate, marginal, matching_loss, path, rk4
from mrikit.policy.gate import top_k
from mrikit.policy.gumbel import draw
from mrikit.policy.model import FlowPolicy
from mrikit.policy.velocity import LineConfig, LineVelocity, PixelConfig, PixelVelocity, gaussian, resize
from mrikit.policy.weighting import Weighting


@pytest.mark.parametrize("solver", ["euler", "rk4"])
@pytest.mark.parametrize("n_steps", [1, 2, 7, 20])
def test_the_exact_velocity_leads_to_the_target_in_any_number_of_steps(solver, n_steps):
    x0, target = torch.randn(3, 16).double(), (torch.rand(3, 16) < 0.3).double()
    end = integrate(lambda x, t: target - x0, x0, solver, n_steps)
    assert torch.allclose(end, target, atol=1e-12)


def test_the_path_and_the_marginal_point_of_the_exact_velocity_are_one():
    x0, target, t = torch.randn(3, 16), torch.rand(3, 16), torch.rand(3)
    assert torch.allclose(path(x0, target, t), marginal(x0, target - x0, t), atol=1e-6)
    assert matching_loss(target - x0, x0, target) == 0


@pytest.mark.parametrize(("solver", "order"), [(euler, 1), (rk4, 4)])
def test_solvers_have_their_order(solver, order):
    errors = []
    for n_steps in (10, 20):
        end = solver(lambda x, t: x * t[:, None] * 2, torch.ones(1, 1, dtype=torch.double), n_steps)
        errors.append(abs(float(end) - math.e))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)


def test_nineteen_steps_of_rk4_are_the_76_evaluations_of_the_paper():
    calls = []
    rk4(lambda x, t: calls.append(t) or x, torch.zeros(1, 2), 19)
    assert len(calls) == 76


def test_there_are_two_solvers_and_a_step_at_least():
    for solver, n_steps in (("heun", 20), ("euler", 0)):
        with pytest.raises(UsageError, match="euler or rk4"):
            integrate(lambda x, t: x, torch.zeros(1, 1), solver, n_steps)


def test_losses_weigh_the_same_on_the_first_batch_and_learn_their_uncertainty():
    weighting, losses = Weighting(2), torch.tensor([0.5, 80.0])
    total = weighting(losses)
    assert torch.allclose(losses * (-2 * weighting.log_sigma).exp() / 2, torch.tensor([0.5, 0.5]))
    assert float(total.detach()) == pytest.approx(1 + 0.5 * math.log(0.5 * 80), rel=1e-5)
    kept = weighting.log_sigma.detach().clone()
    weighting(losses / 7)
    assert torch.equal(weighting.log_sigma, kept)  # the first batch alone starts it
    with torch.no_grad():
        weighting.log_sigma.copy_(losses.log() / 2)  # the minimum
    (slope,) = torch.autograd.grad(weighting(losses), weighting.log_sigma)
    assert torch.allclose(slope, torch.zeros(2), atol=1e-6)


@pytest.mark.parametrize("n", [16, 17])
def test_resized_scores_keep_their_frequency(n):
    scores = -(torch.arange(n) - n // 2).abs().float()[None] / n
    for other in (9, 16, 31, 32, 40):
        resized = resize(scores, other)
        assert resized.shape == (1, other)
        assert int(resized.argmax()) == other // 2
        inner = slice(2, -2)
        expected = -(torch.arange(other) - other // 2).abs().float() / other
        assert torch.allclose(resized[0, inner], expected[inner], atol=1 / n)
    assert resize(scores, n) is scores


def test_gaussian_noise_of_the_masks_mean_and_variance_is_where_networks_start():
    torch.manual_seed(0)
    rate = torch.linspace(0.1, 0.5, 16)
    end = euler(lambda x, t: gaussian(x, t, rate), torch.randn(20_000, 16), 400)
    assert torch.allclose(end.mean(dim=0), rate, atol=0.015)
    assert torch.allclose(end.var(dim=0), rate * (1 - rate), rtol=0.05)
    target, x0, t = (torch.rand(20_000, 16) < rate).float(), torch.randn(20_000, 16), torch.rand(20_000)
    u = gaussian(path(x0, target, t), t, rate)
    loss = matching_loss(u, x0, target)
    assert loss < 0.75 < 1.2 < matching_loss(torch.zeros_like(u), x0, target)
    for factor in (0.95, 1.05):  # it is the best of those that are linear
        assert matching_loss(factor * u, x0, target) > loss


def test_velocities_start_there_and_see_what_they_are_given():
    torch.manual_seed(0)
    t = torch.tensor([0.2, 0.7])
    lines = LineVelocity(LineConfig(n=12, n_features=3, width=16, depth=2))
    pixels = PixelVelocity(PixelConfig(n_y=9, n_x=6, features=8))
    sizes = [(16, 8), (8, 4), (4, 2), (2, 1)]
    conditions = {lines: torch.randn(2, 3), pixels: [torch.randn(2, 8 * 2**i, *s) for i, s in enumerate(sizes)]}
    for net, condition in conditions.items():
        x = torch.randn(2, net.config.n)
        assert torch.equal(net(x, t, condition, 0.25), gaussian(x, t, torch.full((net.config.n,), 0.25)))
        net.usual.copy_(torch.linspace(0.05, 0.45, net.config.n))
        assert torch.allclose(net(x, t, condition, 0.25), gaussian(x, t, net.usual))
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        out = net(x, t, condition, 0.25)
        other = [3 * c for c in condition] if isinstance(condition, list) else 3 * condition
        assert out.shape == x.shape
        for changed in (net(x + 1, t, condition, 0.25), net(x, t.flip(0), condition, 0.25), net(x, t, condition, 0.5)):
            assert not torch.allclose(out, changed)
        assert not torch.allclose(out, net(x, t, other, 0.25))


def test_the_average_of_many_flows_takes_the_places_that_masks_take_most_often():
    task = one_class()
    velocity = LineVelocity(LineConfig(n=16, n_features=1, width=8, depth=1))
    velocity.usual.copy_(0.2 + 0.3 * task.variances[0] / task.variances.max())
    torch.manual_seed(0)
    alone, averaged = (FlowPolicy(velocity, task, samples=samples)(task.item(0)) for samples in (1, 2000))
    assert averaged.shape == alone.shape == (64, 16)
    assert (averaged == task.best()).all(dim=1).float().mean() > 0.9 > (alone == task.best()).all(dim=1).float().mean()


def test_settings_of_velocities_are_checked():
    with pytest.raises(DataError, match="width is 0"):
        LineConfig(width=0)
    with pytest.raises(DataError, match="features is 4"):
        PixelConfig(features=4)


# test c: without a task


BUDGET, LOGITS = Budget(10, 5, n_low=2), torch.linspace(1.5, -1.5, 10)


@pytest.fixture(scope="module")
def drawn():
    torch.manual_seed(0)
    return draw(LOGITS.expand(100_000, 10), BUDGET)


def largest_error(end, drawn):
    return float((top_k(end, BUDGET).mean(dim=0) - drawn.mean(dim=0)).abs().max())


@pytest.mark.parametrize(("solver", "n_steps"), [("euler", 20), ("rk4", 19)])
def test_the_exact_flow_has_the_inclusion_frequencies_of_the_target(drawn, solver, n_steps):
    """E[m* - x_0 | x_t] in closed form, over the 56 masks that there are: what is left is the solver's error."""
    masks, counts = drawn.unique(dim=0, return_counts=True)
    assert len(masks) == 56

    def field(x, t):
        t = t[:, None]
        distance = (x[:, None] - t[..., None] * masks).square().sum(dim=2)
        share = torch.softmax(counts.log() - distance / (2 * (1 - t).clamp_min(1e-3) ** 2), dim=1)
        return (share @ masks - x) / (1 - t).clamp_min(1e-3)

    assert largest_error(integrate(field, torch.randn(3000, 10), solver, n_steps), drawn) < 0.035


def test_a_flow_learned_without_a_task_has_the_inclusion_frequencies_of_the_target(drawn):
    torch.manual_seed(0)
    net = LineVelocity(LineConfig(n=10, n_features=0, width=64, depth=3))
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 1200)
    for step in range(1200):
        target = drawn[torch.arange(256 * step, 256 * (step + 1)) % len(drawn)]
        x0, t = torch.randn(256, 10), torch.rand(256)
        loss = matching_loss(net(path(x0, target, t), t, target[:, :0], BUDGET.rate), x0, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        end = euler(lambda x, t: net(x, t, x[:, :0], BUDGET.rate), torch.randn(8192, 10))
    assert largest_error(end, drawn) < 0.07
    assert float((drawn.mean(dim=0)[~BUDGET.low] - 3 / 8).abs().max()) > 0.4  # of a uniform draw
