"""The simulated scan is what it says: the truth it returns, the noise asked for, slices of one object."""

import numpy as np
import pytest

from mrikit.errors import UsageError
from mrikit.physics import phantom
from mrikit.physics.anatomy import anatomy
from mrikit.physics.canvas import Canvas, acquire
from mrikit.physics.fourier import fft2c

KINDS = ("brain", "torso", "heart", "limb", "abstract", "shepp-logan", "random")


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(64, 64), (57, 83), (96, 40)])
def test_anatomy_has_the_shape_and_scale_asked_for(kind, shape):
    for seed in range(3):
        image = anatomy(kind, shape, rng(seed))
        assert image.shape == shape
        assert image.dtype == np.float32
        assert np.isfinite(image).all()
        assert np.quantile(image, 0.99) > 0.15
        assert np.quantile(image, 0.95) < 1.05
        assert image.min() > -0.6


@pytest.mark.parametrize("kind", ["brain", "torso", "heart", "limb", "abstract", "random"])
def test_anatomy_is_decided_by_the_generator(kind):
    a, b, c = (anatomy(kind, (64, 64), rng(seed)) for seed in (3, 3, 4))
    assert (a == b).all()
    assert np.abs(a - c).mean() > 0.02


def test_an_unknown_anatomy_is_named():
    with pytest.raises(UsageError, match="no anatomy 'foot': there are brain, torso, heart, limb, abstract"):
        anatomy("foot", (64, 64), rng())


@pytest.mark.parametrize("kind", ["brain", "torso", "heart", "limb", "abstract", "shepp-logan"])
def test_slices_of_one_object_change_smoothly(kind):
    step = 0.01 if kind != "shepp-logan" else 0.1
    here, near, far = (anatomy(kind, (96, 96), rng(5), z) for z in (0.0, step, 40 * step))
    closeness = np.linalg.norm(here - near) / np.linalg.norm(here)
    assert 0 < closeness < 0.3
    assert closeness < 0.5 * np.linalg.norm(here - far) / np.linalg.norm(here)


def test_a_brain_passes_into_its_skull_base_without_a_jump():
    above, below = (anatomy("brain", (96, 96), rng(1), z) for z in (-0.299, -0.301))
    assert np.linalg.norm(above - below) < 0.1 * np.linalg.norm(above)


def test_anatomy_is_centred_alike_for_even_and_odd_matrices():
    images = [anatomy("shepp-logan", (n, n), rng()) for n in (64, 65)]
    # Mirrored about N//2, the outer ellipse falls on itself.
    for image in images:
        n = len(image)
        half = image[:, n // 2 - 30 : n // 2 + 31] > 0.5
        mismatch = np.count_nonzero(half[:, 31:] != half[:, 29::-1])
        assert mismatch <= 8
        assert half.sum() > 200


@pytest.mark.parametrize("n", [15, 16])
def test_acquiring_a_fine_wave_gives_the_wave_on_the_matrix(n):
    fine = 2 * n

    def wave(size):
        at = (np.arange(size) - size // 2) / size
        return np.cos(2 * np.pi * 3 * at + 0.4)[:, None] + np.sin(2 * np.pi * 2 * at)

    np.testing.assert_allclose(acquire(wave(fine), (n, n), (1.0, 1.0), 0.0), wave(n), atol=1e-5)
    above = np.cos(2 * np.pi * (n // 2 + 3) * np.arange(fine) / fine)[:, None] * np.ones(fine)
    assert np.abs(acquire(above, (n, n), (1.0, 1.0), 0.0)).max() < 1e-5


def test_a_field_has_unit_variance_and_its_length():
    canvas = Canvas((128, 128), rng(2))
    for scale in (0.05, 0.1):
        field = np.concatenate([canvas.field(scale) for _ in range(4)])
        assert field.std() == pytest.approx(1, abs=0.15)
        lag = round(scale / canvas.pixel)
        assert 0.2 < np.mean(field[:, lag:] * field[:, :-lag]) / field.var() < 0.8
        assert abs(np.mean(field[:, 6 * lag :] * field[:, : -6 * lag])) < 0.25


def test_a_field_changes_along_z_as_it_does_in_the_plane():
    def likeness(z):
        here, there = (Canvas((64, 64), rng(4), at).field(0.08).ravel() for at in (0.0, z))
        return np.corrcoef(here, there)[0, 1]

    assert likeness(0.0) == pytest.approx(1)
    assert 0.95 < likeness(0.008) < 0.9999
    assert likeness(0.2) < 0.7


def test_the_dots_and_lines_of_a_canvas_lie_inside_it():
    canvas = Canvas((40, 50), rng(2))
    dots = canvas.dots(np.array([10.0, 60.0, -5.0]), np.array([20.0, 70.5, 3.0]), np.array([4.0, 6.0, 8.0]))
    assert dots[10, 20] == 1
    assert dots[60, 70] == 1
    assert dots.sum() == pytest.approx(np.pi * (4 + 9), rel=0.15)


@pytest.mark.parametrize("kind", ["brain", "random"])
@pytest.mark.parametrize(("matrix", "shape"), [(48, (48, 48)), ((37, 50), (37, 50))])
def test_without_noise_kspace_is_the_transform_of_maps_times_image(kind, matrix, shape):
    scan = phantom.scan(matrix, coils=3, slices=2, noise=0, anatomy=kind, seed=1)
    assert scan.kspace.shape == (2, 3, *shape)
    assert scan.image.shape == (2, *shape)
    assert scan.maps.shape == scan.kspace.shape
    assert {scan.kspace.dtype, scan.image.dtype, scan.maps.dtype} == {np.dtype(np.complex64)}
    expected = fft2c(scan.maps.astype(complex) * scan.image[:, None])
    assert np.linalg.norm(scan.kspace - expected) < 1e-6 * np.linalg.norm(expected)
    assert not scan.covariance.any()


def test_phantom_is_the_kspace_of_scan_and_the_seed_decides():
    a, b, c = (phantom.phantom(32, coils=2, slices=2, seed=seed) for seed in (1, 1, 2))
    assert (a == b).all()
    assert (a == phantom.scan((32, 32), coils=2, slices=2, seed=1).kspace).all()
    assert (a != c).any()


def test_voxels_are_square_and_the_longer_edge_is_220_mm():
    assert phantom.scan((64, 32), coils=1).voxel == (5.0, 220 / 64, 220 / 64)


def test_noise_has_the_level_asked_for_and_is_new_in_every_slice():
    quiet = phantom.scan(96, coils=6, slices=2, noise=0, seed=3)
    noisy = phantom.scan(96, coils=6, slices=2, noise=0.03, seed=3)
    assert (quiet.image == noisy.image).all()
    difference = noisy.kspace - quiet.kspace
    level = np.sqrt(np.mean(np.abs(difference) ** 2))
    assert level == pytest.approx(0.03 * np.quantile(np.abs(quiet.image), 0.99), rel=0.02)
    first, second = difference.reshape(2, -1)
    assert abs(np.vdot(first, second)) < 0.02 * np.linalg.norm(first) * np.linalg.norm(second)
    samples = difference.transpose(1, 0, 2, 3).reshape(6, -1)
    found = samples @ samples.conj().T / samples.shape[1]
    np.testing.assert_allclose(found, noisy.covariance, atol=0.05 * level**2)


def test_noise_is_correlated_between_coils_and_proper():
    covariance = phantom.noise_covariance(8, rng(0))
    assert np.trace(covariance).real == pytest.approx(8)
    assert np.linalg.eigvalsh(covariance).min() > 0.05
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() > 0.05
    noise = phantom.noise((128, 128), 8, 2.0, rng(0)).reshape(8, -1)
    assert noise.dtype == np.complex64
    assert np.sqrt(np.mean(np.abs(noise) ** 2)) == pytest.approx(2.0, rel=0.02)
    assert np.abs(noise @ noise.T).max() / noise.shape[1] < 0.15  # real and imaginary part: equal and independent


@pytest.mark.parametrize("n_coils", [1, 2, 5, 8, 16, 32])
@pytest.mark.parametrize("shape", [(64, 64), (51, 80)])
def test_coil_maps_are_normalised_smooth_and_distinct(n_coils, shape):
    for seed in range(3):
        maps = phantom.coil_maps(n_coils, shape, rng(seed))
        assert maps.shape == (n_coils, *shape)
        assert maps.dtype == np.complex64
        rss = np.sqrt(np.sum(np.abs(maps) ** 2, axis=0))
        n_y, n_x = shape
        middle = rss[n_y // 3 : -(n_y // 3), n_x // 3 : -(n_x // 3)]
        assert np.sqrt(np.mean(middle**2)) == pytest.approx(1, rel=1e-3)
        assert middle.min() > 0.2
        bends = np.abs(np.diff(maps, 2, axis=-1)).max() / np.abs(maps).max()
        assert bends < 0.25
        if n_coils > 1:
            assert rss.max() > 1.2
            units = maps.reshape(n_coils, -1) / np.linalg.norm(maps.reshape(n_coils, -1), axis=1, keepdims=True)
            overlap = np.abs(units @ units.conj().T) - np.eye(n_coils)
            assert overlap.max() < 0.995
        else:
            assert rss.max() / rss.min() < 2.5


def test_a_loop_has_the_field_on_its_axis_that_the_textbook_gives():
    distance = np.array([0.0, 0.3, 1.0, 2.0])
    points = np.stack([0 * distance, distance, 0 * distance], axis=1)
    field = phantom._loops(points, np.zeros((1, 3)), np.array([[0.0, 1.0, 0.0]]), np.array([0.8]))[0]
    # B = 2 pi R^2 / (R^2 + d^2)^1.5 for mu_0 I / 4 pi = 1, with the softening added to R^2 below the line.
    expected = 2 * np.pi * 0.8**2 / (0.8**2 + distance**2 + 0.15**2) ** 1.5
    np.testing.assert_allclose(np.abs(field[:, 1]), expected, rtol=1e-5)
    np.testing.assert_allclose(field[:, 0], 0, atol=1e-5)


def test_phase_is_smooth_and_sometimes_nearly_absent():
    spreads = []
    for seed in range(30):
        angle = phantom.phase((64, 64), rng(seed))
        assert angle.shape == (64, 64)
        assert angle.dtype == np.float32
        spreads.append(angle.std())
    assert min(spreads) < 0.1
    assert max(spreads) > 0.8


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"matrix": 4}, "at least 8 samples along y and x, not 4 x 4"),
        ({"coils": 0}, "at least 1 coil and 1 slice, not 0 and 1"),
        ({"slices": 0}, "not 8 and 0"),
        ({"noise": -0.1}, "a number from 0 up, not -0.1"),
        ({"noise": float("nan")}, "not nan"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(arguments, text):
    with pytest.raises(UsageError, match=text):
        phantom.scan(**{"matrix": 32, **arguments})
