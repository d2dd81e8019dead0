"""ConvDecoder knows the samples and the maps, and nothing else; its fit is what it says."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scans import simulated

import mrikit as api
from mrikit.classical.convdecoder import Fit, fit
from mrikit.errors import DataError, UsageError
from mrikit.physics.scan import unit_maps
from mrikit.physics.sense import Sense

MASK = api.mask((32, 32), 2)
KSPACE = api.undersample(simulated(32, 4, 2).kspace, MASK)
MAPS = np.stack([unit_maps(maps) for maps in simulated(32, 4, 2).maps])  # of which images are in their own units
small = partial(fit, features=8, n_iters=40)


@pytest.fixture(scope="module")
def fitted() -> Fit:
    return small(KSPACE[0], MAPS[0])


def test_the_error_is_that_of_the_image(fitted: Fit) -> None:
    predicted = Sense(MAPS[0], MASK).forward(fitted.image)

    assert fitted.error == pytest.approx(
        np.linalg.norm(predicted - KSPACE[0]) / np.linalg.norm(KSPACE[0]), rel=1e-2
    )  # virtual coils leave out 1e-4 of the maps' energy


def test_more_iterations_fit_better(fitted: Fit) -> None:
    longer = small(KSPACE[0], MAPS[0], n_iters=150)

    assert longer.error < 0.7 * fitted.error < 0.5
    truth = simulated(32, 4, 2).image[0]
    assert np.linalg.norm(longer.image - truth) < 0.5 * np.linalg.norm(truth)


def test_the_same_seed_gives_the_same_image_and_another_does_not(fitted: Fit) -> None:
    assert np.array_equal(small(KSPACE[0], MAPS[0]).image, fitted.image)
    assert not np.allclose(small(KSPACE[0], MAPS[0], seed=1).image, fitted.image)
    assert not np.allclose(small(KSPACE[0], MAPS[0], 1).image, fitted.image)


def test_random_numbers_of_others_are_left_alone() -> None:
    import torch

    state = torch.random.get_rng_state()
    small(KSPACE[0], MAPS[0], n_iters=1)

    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_scale_is_that_of_the_samples(fitted: Fit) -> None:
    """A scan 1024 times as large gives the same image, so much larger: no scale comes from elsewhere."""
    larger = small(KSPACE[0] * np.float32(1024), MAPS[0])

    np.testing.assert_array_equal(larger.image, fitted.image * np.float32(1024))


def test_a_slice_does_not_depend_on_how_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mrikit.classical.convdecoder.fit", partial(fit, features=4))
    both = api.convdecoder(KSPACE, MAPS, n_iters=2)

    assert np.array_equal(api.convdecoder(KSPACE[0], MAPS[0], n_iters=2), both[0])
    assert np.array_equal(fit(KSPACE[1], MAPS[1], 1, features=4, n_iters=2).image, both[1])


def test_lines_along_y_are_fitted_too(fitted: Fit) -> None:
    turned = small(KSPACE[0].swapaxes(-1, -2), MAPS[0].swapaxes(-1, -2))

    np.testing.assert_allclose(turned.image.T, fitted.image, atol=1e-4 * np.abs(fitted.image).max())


def test_where_there_are_no_maps_there_is_no_image() -> None:
    maps = MAPS[0].copy()
    maps[:, :, :10] = 0

    assert not small(KSPACE[0], maps, n_iters=2).image[:, :10].any()


def test_progress_is_told() -> None:
    told: list[tuple[float, str]] = []
    found = small(KSPACE[0], MAPS[0], n_iters=3, watch=lambda share, text: told.append((share, text)))

    assert [share for share, _ in told] == pytest.approx([1 / 3, 2 / 3, 1])
    assert told[-1][1] == f"iteration 3 of 3, fit error {found.error:.4f}"


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(UsageError, match="--iters 0"):
        small(KSPACE[0], MAPS[0], n_iters=0)
    with pytest.raises(DataError, match="3 coils"):
        small(KSPACE[0], MAPS[0][:3])
    with pytest.raises(DataError, match="convdecoder takes one set of maps, these are 2"):
        small(KSPACE[0], np.stack([MAPS[0]] * 2))
