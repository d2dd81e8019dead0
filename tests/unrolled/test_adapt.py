"""Fitting a network to one scan: what it learns, what it leaves alone."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scans import simulated

import mrikit as api
import mrikit.unrolled.adapt as adapt_module
import mrikit.unrolled.reconstruct as reconstruct_module
from mrikit.physics.scan import Scan, prepare
from mrikit.rng import generator
from mrikit.unrolled.adapt import VIEWS, adaptable, adapted, foretelling_loss, look
from mrikit.unrolled.architectures import Network, build
from mrikit.unrolled.problem import Problem, collate
from mrikit.unrolled.reconstruct import load_model, reconstruct

KINDS = ("random", "poisson")
SMALL = {
    "flat": {"n_unrolls": 2, "features": 4, "levels": 1, "n_cg": 4, "n_least_squares": 4, "n_start": 4},
    "modl": {"n_unrolls": 2, "n_cg": 4, "features": 4},
    "varnet": {"n_unrolls": 2, "features": 4, "levels": 1, "maps": "espirit"},
}


def scan(kind: str = "random", shape: tuple[int, int] = (64, 96)) -> Scan:
    kspace = simulated(shape, coils=4).kspace[0]
    return prepare(api.undersample(kspace, api.mask(shape, 4, kind=kind)), method="a test").scan


def split(one: Scan) -> np.ndarray:
    """A fifth of the free samples of a scan."""
    free = np.argwhere(one.mask & ~one.centre)
    held_back = np.zeros_like(one.mask)
    held_back[tuple(generator(9, "split").choice(free, len(free) // 5, replace=False).T)] = True
    return held_back


@pytest.mark.parametrize("kind", KINDS)
def test_it_foretells_other_samples_better(kind: str) -> None:
    one, network = scan(kind, (96, 128)), load_model("flat-small")
    kept = one.mask & ~split(one)
    known = replace(one, kspace=one.kspace * kept, mask=kept)
    fitted, trusts = adapted(network, known, 12, rng=generator(0, "test"))
    before, after = (foretelling_loss(each, one, split(one), (), trusts, "cpu").item() for each in (network, fitted))
    assert after < before


@pytest.mark.parametrize("architecture", SMALL)
def test_kernels_alone_change_and_only_those_of_a_copy(architecture: str) -> None:
    one = scan()
    torch.manual_seed(0)
    network: Network = build(architecture, SMALL[architecture]).eval()
    for parameter in network.parameters():  # the last layers of new networks are zero
        torch.nn.init.normal_(parameter, std=0.05)
    kept = copy.deepcopy(network.state_dict())
    fitted, _ = adapted(network, one, 2, rng=generator(0, "test"))
    assert all(torch.equal(value, kept[name]) for name, value in network.state_dict().items())
    changed = {name for name, value in fitted.state_dict().items() if not torch.equal(value, kept[name])}
    assert changed
    assert {fitted.state_dict()[name].ndim for name in changed} == {4}
    assert not any(parameter.requires_grad for parameter in fitted.parameters())


def test_samples_held_back_are_not_shown() -> None:
    one = scan()
    held_back = split(one)
    shown = []

    def blind(problem: Problem) -> list[torch.Tensor]:
        shown.append(problem)
        return [torch.zeros(1, *one.maps.shape[-2:], dtype=torch.complex64)]

    loss = foretelling_loss(blind, one, held_back, (), [], "cpu")
    (problem,) = shown
    assert torch.equal(problem.mask[0, 0, 0], torch.from_numpy(one.mask & ~held_back))
    assert torch.equal(problem.kspace != 0, problem.mask & torch.from_numpy(one.kspace != 0))
    assert loss.item() == pytest.approx(2)  # an image of zeros is wrong by all there is, in both norms


def test_the_image_is_another_and_the_same_each_time() -> None:
    kspace, mask = simulated((64, 96), coils=4).kspace[0], api.mask((64, 96), 4)
    plain, one, two = (api.flat_recon(kspace, mask=mask, adapt=n) for n in (0, 2, 2))
    assert np.array_equal(one, two)
    assert not np.allclose(one, plain, rtol=1e-3)
    assert np.array_equal(plain, api.flat_recon(kspace, mask=mask))


def test_progress_is_told_after_every_step() -> None:
    told: list[tuple[float, str]] = []
    kspace = simulated((64, 96), coils=4).kspace[0]
    reconstruct(kspace, api.mask((64, 96), 4), adapt=3, watch=lambda *news: told.append(news))
    assert [share for share, _ in told] == [1 / 4, 2 / 4, 3 / 4]
    assert told[1][1] == "adapting, step 2 of 3"


@pytest.mark.parametrize(("kind", "rate"), [("random", 3e-4), ("poisson", 1.2e-4)])
def test_the_rate_falls_to_nothing(monkeypatch: pytest.MonkeyPatch, kind: str, rate: float) -> None:
    rates = []

    class Watched(torch.optim.Adam):
        def step(self) -> None:
            rates.append(self.param_groups[0]["lr"])
            super().step()

    monkeypatch.setattr(torch.optim, "Adam", Watched)
    network = build("modl", SMALL["modl"]).eval()
    adapted(network, scan(kind), 3, rng=generator(0, "test"))
    assert rates == pytest.approx([rate, rate * 2 / 3, rate / 3])


def test_a_scan_with_nothing_to_hold_back_is_reconstructed_as_ever() -> None:
    kspace = simulated((64, 96), coils=4).kspace[0]
    found = reconstruct(kspace, adapt=2).image
    assert np.array_equal(found, reconstruct(kspace).image)


def test_it_learns_where_nothing_else_does() -> None:
    kspace, mask = simulated((64, 96), coils=4).kspace[0], api.mask((64, 96), 4)
    expected = api.flat_recon(kspace, mask=mask, adapt=1)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert np.array_equal(api.flat_recon(kspace, mask=mask, adapt=1), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(64, 96), (63, 95)])
def test_views_are_of_one_image(kind: str, shape: tuple[int, int]) -> None:
    """What is linear and knows no sides sees the same from every side."""

    def least_squares(problem: Problem) -> list[torch.Tensor]:
        return [problem.operator.solve(problem.rhs, 0.01, n_iters=n) for n in (3, 10)]

    one = scan(kind, shape)
    start, end = least_squares(collate([one]))
    for axes in VIEWS:
        states = look(least_squares, one, axes, [], "cpu")
        torch.testing.assert_close(states, [start, end], atol=1e-4, rtol=0)


def test_what_depends_on_the_side_cancels_in_the_mean_over_views(monkeypatch: pytest.MonkeyPatch) -> None:
    kspace, mask = simulated((64, 96), coils=4).kspace[0], api.mask((64, 96), 4)
    along_y, along_x = (torch.arange(n) - n // 2 for n in kspace.shape[-2:])

    def sided(_: Problem) -> list[torch.Tensor]:
        return [(along_y[:, None] + 1j * along_x + 3)[None]]

    monkeypatch.setattr(reconstruct_module, "adapted", lambda *_, **__: (sided, []))
    result = reconstruct(kspace, mask, adapt=1)
    image = result.image / result.scale
    assert np.allclose(image[1:, 1:], 3, atol=1e-5)  # an even length's first sample has no partner


def test_a_centre_beside_the_middle_is_held_back_from_every_side() -> None:
    """Mirrored along y, the free row of this mask would be of the fully sampled centre."""
    mask = np.zeros((64, 96), bool)
    mask[21:45, 36:60] = True
    kspace = simulated((64, 96), coils=4).kspace[0]
    one = prepare(api.undersample(kspace, mask), mask, method="a test").scan
    assert adaptable(one)
    assert not adaptable(one.mirrored((-2,)))
    assert np.isfinite(api.flat_recon(kspace, mask=mask, adapt=8)).all()


def test_views_are_for_those_who_adapt(monkeypatch: pytest.MonkeyPatch) -> None:
    kspace, mask = simulated((64, 96), coils=4).kspace[0], api.mask((64, 96), 4)
    seen, learned = [], []
    for module, looks in ((reconstruct_module, seen), (adapt_module, learned)):
        monkeypatch.setattr(module, "look", lambda *args, looks=looks: looks.append(args[2:4]) or look(*args))
    reconstruct(kspace, mask)
    reconstruct(kspace, mask, adapt=8)
    reconstruct(kspace, adapt=1)  # nothing to hold back
    assert [axes for axes, _ in seen] == [(), *VIEWS, ()]
    assert len({axes for axes, _ in learned}) > 1
    # Trusts are kept once there is a fit, and then they are the same ones throughout.
    assert [len(trusts) for _, trusts in seen] == [0, 4, 4, 4, 4, 0]
    assert all(trusts is seen[1][1] for _, trusts in (*seen[1:5], *learned))
    assert adaptable(scan())


def test_an_adapted_flat_trusts_its_mean_as_before() -> None:
    one, network = scan(), load_model("flat-small")
    fitted, trusts = adapted(network, one, 1, rng=generator(0, "test"))
    problem = collate([one])
    with torch.inference_mode():
        least_squares, x = network.start(problem)
        mean = network.denoise(0, x, least_squares, problem)
        before = network.lamda(0, problem.rhs - problem.operator.normal(mean), problem)
        for factor in (1, 2):
            kept = fitted.lamda(0, factor * problem.rhs, replace(problem, trusts=trusts))
            torch.testing.assert_close(kept, before)
    assert len(trusts) == network.config.n_unrolls


def test_trusts_are_mirrored_with_the_scan() -> None:
    """What comes back from every side stands where it stood."""
    one = scan()
    place = torch.zeros(1, *one.maps.shape[-2:])
    place[0, 10, 30] = 1
    for axes in VIEWS:
        (state,) = look(lambda problem: list(problem.trusts), one, axes, [place], "cpu")
        assert torch.equal(state, place)


def test_maps_of_any_memory_layout_will_do() -> None:
    truth = simulated(64, coils=4)
    kspace, maps = api.undersample(truth.kspace[0], api.mask((64, 64), 4)), truth.maps[0]
    backwards = maps[..., ::-1].copy()[..., ::-1]
    backwards.flags.writeable = False
    expected = api.flat_recon(kspace, maps=maps, adapt=1)
    np.testing.assert_allclose(api.flat_recon(kspace, maps=backwards, adapt=1), expected, atol=1e-6)
