"""Images to learn from: which are drawn, how bright, with which phase."""

from __future__ import annotations

import numpy as np
import pytest

from mrikit.physics.phantom import phase
from mrikit.rng import generator
from mrikit.train import data
from mrikit.train.data import Images, Volume, brightest, turns_slowly, warp


def volume(array: np.ndarray) -> Volume:
    return Volume.of(array, [brightest(image) for image in array])


def drawn(array: np.ndarray, n: int = 40) -> list[np.ndarray]:
    """The first draws from files alone."""
    images = Images([volume(array)], [1.0], simulated=0.0)
    return [images.draw(generator(0, "test", i)) for i in range(n)]


@pytest.fixture
def discs() -> np.ndarray:
    """Two images (y, x) of different brightness and a third that shows noise alone."""
    y, x = np.mgrid[-1:1:40j, -1:1:32j]
    disc = ((y**2 + x**2) < 0.5).astype(np.float32)
    noise = np.random.default_rng(0).random((40, 32)).astype(np.float32)
    return np.stack([disc, 0.4 * disc, 0.02 * noise])


@pytest.mark.parametrize("units", [1.0, 3000.0, 1e-6])
def test_images_are_about_one_where_they_are_bright_whatever_their_units(discs: np.ndarray, units: float) -> None:
    scaled = volume(discs * np.float32(units))
    assert 2**-0.5 <= brightest(scaled.array[0]) / scaled.scale <= 2**0.5

    brightness = [brightest(image) for image in drawn(scaled.array)]
    assert max(brightness) == pytest.approx(1, abs=0.42)


def test_images_that_are_normalised_are_not_changed(discs: np.ndarray) -> None:
    assert volume(discs).scale == 1


def test_images_that_show_nothing_are_not_drawn(discs: np.ndarray) -> None:
    assert list(volume(discs).shown) == [0, 1]
    assert volume(discs).weight == np.sqrt(2)


def test_a_complex_image_keeps_its_phase_in_half_of_the_draws(discs: np.ndarray) -> None:
    angle = phase((40, 32), generator(1, "phase"))
    turned = [image for image in drawn(discs[:1] * np.exp(1j * angle)) if np.iscomplexobj(image)]

    assert 10 <= len(turned) <= 30
    for image in turned:
        assert image.dtype == np.complex64
        assert np.allclose((image * np.exp(-1j * angle)).imag, 0, atol=1e-6)


def test_magnitudes_are_drawn_from_real_images_alone(discs: np.ndarray) -> None:
    assert {image.dtype for image in drawn(discs)} == {np.dtype(np.float32)}


def test_a_phase_that_jumps_from_voxel_to_voxel_is_not_used(discs: np.ndarray) -> None:
    """A scan whose centre of k-space was mistaken: interpolating it would cancel everything."""
    chequered = discs[:1] * (-1) ** np.add.outer(np.arange(40), np.arange(32))
    assert turns_slowly(discs[0])
    assert not turns_slowly(chequered[0])

    assert not any(np.iscomplexobj(image) for image in drawn(chequered.astype(np.complex64)))


def test_files_are_drawn_by_their_weights() -> None:
    volumes = [volume(np.full((1, 4, 4), 1.0, np.float32)), volume(np.full((1, 5, 5), 1.0, np.float32))]
    images = Images(volumes, [3.0, 1.0], simulated=0.0)
    sizes = [images.draw(generator(0, "test", i)).shape[0] for i in range(400)]

    assert sizes.count(4) == pytest.approx(300, abs=30)


def test_warping_a_complex_image_is_warping_its_parts(discs: np.ndarray) -> None:
    whole = warp(discs[0] + 1j * discs[2], (48, 50), generator(0, "warp"))
    real, imag = (warp(part, (48, 50), generator(0, "warp")) for part in (discs[0], discs[2]))

    assert np.array_equal(whole, real + 1j * imag)


def test_some_phases_turn_several_times(monkeypatch: pytest.MonkeyPatch) -> None:
    images = Images([volume(np.ones((1, 64, 64), np.float32))], [1.0], simulated=0.0)

    def turns(wound_up: float) -> float:
        """Mean phase from a voxel to the next, in radians, over some draws."""
        monkeypatch.setattr(data, "WOUND_UP", wound_up)
        drawn = [images.draw_complex((48, 48), generator(i, "phase")) for i in range(8)]
        return float(np.mean([np.abs(np.angle(x[1:, 16:32] * np.conj(x[:-1, 16:32]))).mean() for x in drawn]))

    assert turns(1.0) > 1.3 * turns(0.0)
