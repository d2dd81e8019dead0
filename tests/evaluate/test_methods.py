"""Methods are found by name, and each is what its own command makes."""

from __future__ import annotations

import numpy as np
import pytest
from scans import simulated

import mrikit as api
from mrikit import weights
from mrikit.errors import UsageError
from mrikit.evaluate.methods import FAMILIES, Options, parse


@pytest.fixture
def given():
    kspace = simulated(48, 4, 2).kspace[0]
    mask = api.mask((48, 48), 2)
    kept = api.undersample(kspace, mask)
    return kept, mask, api.espirit(kept)


def solved(name, given, **options):
    (method,) = parse([name])
    return method.how.solve(*given, Options(model=method.model, **options))


def test_names_and_weights(tmp_path) -> None:
    methods = parse(["flat", f"flat={tmp_path}/own.safetensors", "zf"])

    assert [(m.label, m.family) for m in methods] == [("flat", "flat"), ("own", "flat"), ("zf", "zf")]
    assert [m.model for m in methods] == ["flat-small", f"{tmp_path}/own.safetensors", None]


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["wavlet"], "did you mean wavelet"),
        (["flat", "flat"], "flat comes twice"),
        (["zf=own.safetensors"], "zf has no weights"),
        (["flat="], "no weights"),
        (["own=own.safetensors"], "flat=own.safetensors, say, is FLAT with these weights"),
    ],
)
def test_names_that_cannot_be_meant(names, text) -> None:
    with pytest.raises(UsageError) as error:
        parse(names)
    assert text in f"{error.value} {error.value.hint}"


def test_default_weights_ship(given) -> None:
    assert {family.model for family in FAMILIES.values() if family.model} <= set(weights.names())


def test_zero_filled_is_the_adjoint(given) -> None:
    kept, _, maps = given
    np.testing.assert_allclose(solved("zf", given).image, api.mvue(kept, maps), atol=1e-5 * np.abs(kept).max())


def test_l2_is_pics(given) -> None:
    kept, _, maps = given
    expected = api.pics(kept, maps, reg="l2", lamda=0.1)
    np.testing.assert_array_equal(solved("l2", given, lamda=0.1).image, expected)


@pytest.mark.slow
def test_an_unrolled_network_is_flat_recon_and_tells_its_states(given) -> None:
    kept, mask, maps = given
    output = solved("flat", given)

    np.testing.assert_allclose(
        output.image, api.flat_recon(kept, mask=mask, maps=maps), atol=1e-5 * np.abs(output.image).max()
    )
    np.testing.assert_array_equal(output.states[-1], output.image)


@pytest.mark.slow
def test_langevin_tells_how_sure_it_is(given) -> None:
    output = solved("langevin", given, samples=2, seed=5)
    mean, std = api.langevin(given[0], mask=given[1], maps=given[2], samples=2, seed=5)

    np.testing.assert_allclose(output.image, mean, atol=1e-5 * np.abs(mean).max())
    np.testing.assert_allclose(output.std, std, atol=1e-4 * std.max())


def test_convdecoder_is_its_command(given, monkeypatch) -> None:
    from functools import partial

    from mrikit.classical.convdecoder import fit

    monkeypatch.setattr("mrikit.classical.convdecoder.fit", partial(fit, features=4))
    kept, _, maps = given
    expected = fit(kept, maps, n_iters=2, seed=7, features=4).image
    np.testing.assert_array_equal(solved("convdecoder", given, iters=2, seed=7).image, expected)


def test_a_fitted_network_is_another_method_than_itself(tmp_path):
    plain, fitted = parse([f"flat={tmp_path}/own.safetensors", f"flat-adapt={tmp_path}/own.safetensors"])
    assert (plain.label, fitted.label) == ("own", "own-adapt")
    (default,) = parse(["flat-adapt"])
    assert default.label == "flat-adapt"
    assert default.terms(Options())["adapt"] == 30


def test_the_seed_says_which_samples_a_fitted_network_is_not_shown():
    kspace, mask = simulated((64, 96), coils=4).kspace[0], api.mask((64, 96), 4)
    maps = api.espirit(kspace)
    one, two = (
        FAMILIES["flat-adapt"].solve(api.undersample(kspace, mask), mask, maps, Options(seed=seed, adapt=1)).image
        for seed in (0, 1)
    )
    assert not np.array_equal(one, two)
