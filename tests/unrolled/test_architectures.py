"""The networks beside FLAT: their published sizes, the one interface, the physics inside them, and what is refused."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from mrikit import weights
from mrikit.errors import DataError, MissingInputError, UsageError
from mrikit.physics.coils import mvue
from mrikit.physics.fourier import fft2c, ifft2c
from mrikit.physics.masks import mask
from mrikit.physics.phantom import scan
from mrikit.physics.sampling import undersample
from mrikit.physics.scan import standardise
from mrikit.physics.sense import Sense
from mrikit.unrolled.architectures import ARCHITECTURES, build, settings
from mrikit.unrolled.objective import loss
from mrikit.unrolled.presets import choose, names, preset
from mrikit.unrolled.problem import collate
from mrikit.unrolled.reconstruct import flat_recon, load_model
from mrikit.unrolled.varnet import Cascade, SensitivityNetwork, unmasked

SMALL = {
    "flat": ("flat", {"n_unrolls": 2, "features": 4, "levels": 1, "n_cg": 4, "n_least_squares": 4, "n_start": 4}),
    "modl": ("modl", {"n_unrolls": 2, "features": 4, "n_blocks": 3, "n_cg": 4}),
    "varnet": ("varnet", {"n_unrolls": 2, "features": 4, "levels": 1, "maps_features": 4, "maps_levels": 1}),
    "varnet-espirit": ("varnet", {"n_unrolls": 2, "features": 4, "levels": 1, "maps": "espirit"}),
}
LINES, PLANE = "random", "poisson"


def scan_of(shape=(24, 20), *, coils=3, kind=LINES, seed=0):
    """A simulated `Scan` at R = 2, and its target."""
    full = scan(shape, coils=coils, noise=0.01, seed=seed)
    sampled = mask(shape, 2, kind=kind, acs=4, seed=seed)
    one = standardise(undersample(full.kspace[0], sampled), full.maps[0], sampled)
    return one, mvue(full.kspace[0], full.maps[0]) / np.float32(one.scale)


def in_double(problem):
    """`problem` in double precision."""
    maps, kspace = problem.maps.to(torch.complex128), problem.kspace.to(torch.complex128)
    operator = Sense(maps, problem.mask, axes=problem.operator.axes)
    return replace(problem, operator=operator, rhs=operator.adjoint(kspace), kspace=kspace, maps=maps)


def random(network):
    """`network` with every parameter away from where it starts, so that none of it hides behind a zero."""
    torch.manual_seed(1)
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return network.eval()


@pytest.fixture(params=SMALL)
def network(request):
    return random(build(*SMALL[request.param]))


# sizes and presets


def n_parameters(architecture, config):
    with torch.device("meta"):
        return sum(p.numel() for p in build(architecture, config).parameters())


@pytest.mark.parametrize(("name", "count"), [("modl", 223_745), ("varnet", 29_936_966)])
def test_the_published_networks_have_the_published_number_of_parameters(name, count):
    published = preset(name)
    assert n_parameters(published.architecture, published.config) == count
    assert settings(published.architecture, published.config) == settings(name, {})


@pytest.mark.parametrize("name", names())
def test_a_preset_says_its_size_and_leaves_no_setting_out(name):
    one = preset(name)
    assert f"{n_parameters(one.architecture, one.config):,} parameters" in one.summary
    assert one.config == settings(one.architecture, one.config).to_json()


def test_the_presets_that_ship():
    assert names() == ["flat", "flat-small", "modl", "modl-small", "varnet", "varnet-small"]
    assert {preset(name).architecture for name in names()} == set(ARCHITECTURES)


def test_a_file_of_ones_own_is_a_preset(tmp_path):
    file = tmp_path / "own.json"
    file.write_text('{"architecture": "modl", "config": {"n_unrolls": 3}}')
    own = preset(str(file))
    assert build(own.architecture, own.config).config.n_unrolls == 3


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "is not JSON"),
        ("[]", "an object of architecture, config"),
        ('{"architecture": "modl"}', "an object of architecture, config"),
        ('{"architecture": "modl", "config": 3}', "an object of architecture, config"),
        ('{"architecture": "modl", "config": {}, "steps": 3}', "an object of architecture, config"),
        ('{"architecture": "unet", "config": {}}', "architecture is 'unet', expected flat, modl, varnet"),
        ('{"architecture": ["modl"], "config": {}}', r"architecture is \['modl'\], expected flat, modl, varnet"),
        ('{"architecture": "modl", "config": {"layers": 3}}', "modl has no setting layers; it has n_unrolls, n_cg"),
    ],
)
def test_a_file_that_is_no_preset_is_named(tmp_path, text, found):
    file = tmp_path / "own.json"
    file.write_text(text)
    with pytest.raises(DataError, match=f"{re.escape(str(file))}: .*{found}"):
        preset(str(file))


def test_options_change_a_preset(tmp_path):
    assert choose(None, None) == preset("flat-small")
    assert choose("modl", None, n_unrolls=None) == preset("modl")
    changed = choose("flat", "flat", n_unrolls=3, mode="free", shared=None)
    assert changed.config == {**preset("flat").config, "n_unrolls": 3, "mode": "free"}


def test_weights_to_begin_with_bring_their_network():
    """With as many cascades as they have, or more: what is given beside them is changed in it."""
    card = weights.card("modl")
    assert choose(init="modl").config == card["config"] and choose("modl", init="modl").architecture == "modl"
    more = choose(init="flat-small", n_unrolls=8)
    assert more.config == {**weights.card("flat-small")["config"], "n_unrolls": 8}
    assert choose(None, "flat", "flat-small") == preset("flat")
    with pytest.raises(UsageError, match="--arch varnet disagrees with modl, which is a modl network"):
        choose("varnet", init="modl")


@pytest.mark.parametrize(
    ("architecture", "config", "changes", "found"),
    [
        ("modl", "varnet-small", {}, "--arch modl disagrees with varnet-small, which is a varnet network"),
        ("modl", None, {"mode": "free"}, "modl has no setting mode"),
        (None, None, {"n_unrolls": 1000}, "n_unrolls is 1000, expected a number from 1 to 100"),
    ],
)
def test_options_that_contradict_are_a_wrong_use(architecture, config, changes, found):
    with pytest.raises(UsageError, match=found):
        choose(architecture, config, **changes)


def test_an_unknown_preset_lists_the_known():
    with pytest.raises(MissingInputError, match="modl-tiny: there is no such file and no such preset") as error:
        preset("modl-tiny")
    assert "flat-small, modl, modl-small, varnet" in error.value.hint


@pytest.mark.parametrize(
    ("architecture", "change", "found"),
    [
        ("modl", {"n_unrolls": 0}, "n_unrolls is 0, expected a number from 1 to 100"),
        ("modl", {"n_cg": 2.5}, "n_cg is 2.5"),
        ("modl", {"n_unrolls": True}, "n_unrolls is True"),
        ("modl", {"n_blocks": 1}, "n_blocks is 1, expected a number from 2"),
        ("modl", {"features": None}, "features is None"),
        ("varnet", {"levels": 0}, "levels is 0"),
        ("varnet", {"maps_levels": "four"}, "maps_levels is 'four'"),
        ("varnet", {"maps": "bart"}, "maps is 'bart', expected sensenet or espirit"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(architecture, change, found):
    with pytest.raises(DataError, match=found):
        build(architecture, change)


# one interface


@pytest.mark.parametrize("shape", [(24, 20), (15, 13)])
@pytest.mark.parametrize("coils", [1, 3])
@pytest.mark.parametrize("kind", [LINES, PLANE])
def test_a_problem_becomes_states_that_end_in_the_image(network, shape, coils, kind):
    one, _ = scan_of(shape, coils=coils, kind=kind)
    with torch.inference_mode():
        states = network(collate([one]))
    assert len(states) == len(network.times) == network.config.n_unrolls + 1
    assert (network.times[0], network.times[-1]) == (1.0, 0.0)
    for state in states:
        assert (state.shape, state.dtype) == ((1, *shape), torch.complex64)
        assert torch.isfinite(state).all()


@pytest.mark.parametrize("name", SMALL)
def test_a_network_is_rebuilt_from_its_config(name):
    network = build(*SMALL[name])
    again = build(SMALL[name][0], network.config.to_json())
    assert again.config == network.config
    again.load_state_dict(network.state_dict())


def test_an_item_does_not_see_its_batch(network):
    scans = [scan_of(seed=seed)[0] for seed in (0, 1)]
    with torch.inference_mode():
        together = network(collate(scans))[-1]
        alone = torch.cat([network(collate([one]))[-1] for one in scans])
    assert torch.allclose(together, alone, atol=1e-4)


def test_the_scale_of_a_scan_does_not_matter(network):
    full = scan((24, 20), coils=3, noise=0.01, seed=0)
    sampled = mask((24, 20), 2, acs=4, seed=0)
    kspace = undersample(full.kspace[0], sampled)
    small, large = (standardise(kspace * np.float32(c), full.maps[0], sampled) for c in (1, 4096))
    with torch.inference_mode():
        assert torch.equal(network(collate([small]))[-1], network(collate([large]))[-1])


def test_every_parameter_learns(network):
    one, target = scan_of()
    loss(network(collate([one])), torch.from_numpy(target)[None], network.times, align_weight=0)[0].backward()
    silent = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    # The k-space that E2E-VarNet starts from is y, so there is no misfit to weight in its first cascade.
    assert silent <= {"cascades.0.data_weight"}


@pytest.mark.parametrize("name", ["modl", "varnet", "varnet-espirit"])
@pytest.mark.parametrize("kind", [LINES, PLANE])
def test_a_few_steps_reduce_the_loss(name, kind):
    torch.manual_seed(0)
    network = build(*SMALL[name])
    one, target = scan_of(kind=kind)
    problem, target = collate([one]), torch.from_numpy(target)[None]
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        total, _ = loss(network(problem), target, network.times, align_weight=0)
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        losses.append(float(total.detach()))
    assert losses[-1] < 0.97 * losses[0]


# MoDL


@pytest.mark.parametrize("kind", [LINES, PLANE])
def test_modl_solves_for_the_image_between_data_and_denoiser(kind):
    network = random(build("modl", SMALL["modl"][1] | {"n_cg": 200})).double()
    problem = in_double(collate([scan_of(kind=kind)[0]]))
    with torch.inference_mode():
        states = network(problem)
        assert torch.equal(states[0], problem.operator.adjoint(problem.kspace))
        lamda = network.log_lamda.exp()
        for x, following in pairwise(states):
            left = problem.operator.normal(following) + lamda * following
            assert torch.allclose(left, problem.rhs + lamda * network.denoise(x), atol=1e-6)
            assert not torch.allclose(following, x, atol=1e-2)


@pytest.mark.parametrize("kind", [LINES, PLANE])
def test_modl_has_the_gradient_of_the_iterations_it_makes(kind):
    """Far from convergence too, where an implicit gradient is not that of the states."""
    torch.manual_seed(0)
    network = random(build("modl", SMALL["modl"][1] | {"n_cg": 3})).double()
    problem = in_double(collate([scan_of(kind=kind)[0]]))
    parameters = list(network.parameters())
    direction = [torch.randn_like(p) for p in parameters]

    def total(distance):
        """Energy of the last state after `distance` in `direction`, from where the parameters were last."""
        for parameter, d in zip(parameters, direction, strict=True):
            parameter.data += distance * d
        return network(problem)[-1].abs().square().sum()

    total(0).backward()
    slope = sum((p.grad * d).sum().item() for p, d in zip(parameters, direction, strict=True))
    ahead, behind = total(1e-7).item(), total(-2e-7).item()  # so near that no ReLU turns between the two
    assert slope == pytest.approx((ahead - behind) / 2e-7, rel=1e-4)


def test_modl_has_a_gradient_where_the_iterations_end_early():
    """One coil with every sample: the first iteration is exact, and the others have nothing to do."""
    full = scan((24, 20), coils=1, noise=0.01, seed=0)
    problem = collate([standardise(full.kspace[0], np.ones_like(full.maps[0]), np.ones(20, bool))])
    network = random(build(*SMALL["modl"]))
    network(problem)[-1].abs().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


def test_modl_starts_with_the_published_weight_of_its_denoiser():
    assert build("modl", {}).log_lamda.exp().item() == pytest.approx(0.01)


# E2E-VarNet


class Given(nn.Module):
    """Stands in for a U-Net: a factor times the image."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


@pytest.mark.parametrize("kind", [LINES, PLANE])
def test_a_cascade_takes_back_the_samples_and_what_the_network_finds(kind):
    """k - eta M (k - y) - F S U(S^H F^-1 k), along the axes that are k-space."""
    one, _ = scan_of(kind=kind)
    problem = collate([one])
    axes = (-1,) if kind == LINES else (-2, -1)
    kspace = torch.randn_like(problem.kspace)
    cascade = Cascade(4, 1)
    cascade.prior = Given(0.3)
    cascade.data_weight.data.fill_(0.5)
    image = (problem.maps.conj() * ifft2c(kspace, axes=axes)).sum(dim=1)
    expected = kspace - 0.3 * fft2c(problem.maps * image[:, None], axes=axes)
    sampled = problem.mask.expand_as(kspace)
    expected[sampled] -= 0.5 * (kspace - problem.kspace)[sampled]
    with torch.inference_mode():
        assert torch.allclose(cascade(kspace, problem, unmasked(problem.maps, problem)), expected, atol=1e-5)


def test_with_full_weight_and_no_prior_the_samples_are_kept():
    one, _ = scan_of()
    problem = collate([one])
    network = build(*SMALL["varnet"])
    for cascade in network.cascades:
        cascade.prior = Given(0.0)
    with torch.inference_mode():
        assert all(torch.allclose(state, problem.rhs, atol=1e-5) for state in network(problem))


def test_rows_of_a_cascade_are_problems_of_their_own():
    """The physics of a band of rows is exactly that of the whole; only the U-Net sees the edge."""
    one, _ = scan_of()
    rows = slice(5, 17)
    images = []
    for problem in (collate([one]), collate([one.rows(rows)])):
        network = build(*SMALL["varnet-espirit"])
        for cascade in network.cascades:
            cascade.prior = Given(0.3)
        with torch.inference_mode():
            images.append(network(problem)[-1])
    assert torch.allclose(images[0][:, rows], images[1], atol=1e-5)


@pytest.mark.parametrize("kind", [LINES, PLANE])
def test_the_sensitivity_network_sees_the_centre_alone(kind):
    one, _ = scan_of(kind=kind)
    problem = collate([one])
    network = random(SensitivityNetwork(4, 1))
    with torch.inference_mode():
        maps = network(problem)
        assert torch.allclose(maps.abs().square().sum(dim=1), torch.ones(1, 24, 20), atol=1e-4)
        problem.kspace[~problem.centre.expand_as(problem.kspace)] = 7
        problem.maps.zero_()
        assert torch.equal(network(problem), maps)
        problem.kspace[:, 0] *= torch.linspace(0, 1, 20)
        assert not torch.allclose(network(problem), maps, atol=1e-2)


def test_own_maps_or_those_of_the_problem():
    one, _ = scan_of()
    problem = collate([one])
    assert build("varnet", {"maps": "espirit", "n_unrolls": 1}).sensitivities is None
    network = random(build(*SMALL["varnet"]))
    other = random(build(*SMALL["varnet-espirit"]))
    other.cascades.load_state_dict(network.cascades.state_dict())
    with torch.inference_mode():
        assert torch.equal(network(problem)[0], other(problem)[0])  # A^H y with the problem's maps, in both
        assert not torch.allclose(network(problem)[-1], other(problem)[-1], atol=1e-3)


def test_a_mask_without_a_centre_is_refused_where_one_is_needed():
    one, _ = scan_of()
    hole = one.mask.copy()
    hole[10] = False
    full = scan((24, 20), coils=3, noise=0.01, seed=0)
    problem = collate([standardise(undersample(full.kspace[0], hole), full.maps[0], hole)])
    with torch.inference_mode():
        build(*SMALL["varnet-espirit"])(problem)
        with pytest.raises(DataError, match="no fully sampled centre"):
            build(*SMALL["varnet"])(problem)


# in use


@pytest.fixture(params=["modl", "varnet", "varnet-espirit"])
def file(request, tmp_path):
    """Weights of a small random network, with their card."""
    architecture, config = SMALL[request.param]
    path = tmp_path / "own.safetensors"
    weights.save(
        path, random(build(architecture, config)).state_dict(), {"architecture": architecture, "config": config}
    )
    return path


@pytest.mark.parametrize("axis", ["x", "y"])
def test_weights_of_any_architecture_reconstruct(file, axis):
    full = scan((40, 36), coils=4, noise=0.01, seed=0)
    image = flat_recon(full.kspace[0], 2, model=str(file), axis=axis, acs=12)
    assert (image.shape, image.dtype) == ((40, 36), np.complex64)
    assert np.isfinite(image).all()
    assert image.any()


def test_tensors_that_are_missing_do_not_fit(file):
    tensors, card = weights.load(str(file))
    tensors.pop(next(iter(tensors)))
    weights.save(file, tensors, {"architecture": card["architecture"], "config": card["config"]})
    with pytest.raises(DataError, match=r"own\.safetensors: the weights do not fit the network"):
        load_model(str(file))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"architecture": "unet"}, "architecture is 'unet', expected flat, modl, varnet"),
        ({"config": {"layers": 3}}, "has no setting layers"),
        ({"config": {"features": 7}}, "do not fit the network"),
        ({"architecture": "flat"}, "has no setting|do not fit the network"),
    ],
)
def test_a_card_of_another_network_is_refused(file, change, found):
    tensors, card = weights.load(str(file))
    weights.save(file, tensors, {"architecture": card["architecture"], "config": card["config"]} | change)
    with pytest.raises(DataError, match=rf"own\.safetensors: .*({found})"):
        load_model(str(file))


# the fully sampled centre


def test_the_centre_of_a_scan():
    lines, _ = scan_of()
    assert lines.centre.shape == lines.mask.shape == (20,)
    assert lines.centre[8:12].all()
    assert (lines.mask | ~lines.centre).all()
    plane, _ = scan_of(kind=PLANE)
    assert plane.centre.shape == plane.mask.shape == (24, 20)
    assert plane.centre[10:14, 8:12].all()
    assert (plane.mask | ~plane.centre).all()
    assert collate([lines]).centre.shape == (1, 1, 1, 20)
    assert collate([plane]).centre.shape == (1, 1, 24, 20)
