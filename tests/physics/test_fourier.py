"""The transform is the centred orthonormal DFT, written out as a matrix, in every namespace."""

import numpy as np
import pytest

from mrikit.arrays import to_numpy
from mrikit.physics.fourier import fft2c, from_fft_order, ifft2c, mirrored, to_fft_order


def dft_matrix(n: int) -> np.ndarray:
    place = np.arange(n) - n // 2
    return np.exp(-2j * np.pi * np.outer(place, place) / n) / np.sqrt(n)


@pytest.mark.parametrize(("n_y", "n_x"), [(8, 8), (7, 6), (6, 7), (5, 9), (1, 4)])
def test_it_is_the_centred_dft(random, n_y, n_x):
    image = random.complex(3, n_y, n_x).astype(np.complex128)
    expected = dft_matrix(n_y) @ image @ dft_matrix(n_x).T
    assert np.allclose(fft2c(image), expected, atol=1e-12)
    assert np.allclose(ifft2c(expected), image, atol=1e-12)


def test_one_axis_alone(random):
    image = random.complex(5, 7).astype(np.complex128)
    assert np.allclose(fft2c(image, axes=(-1,)), image @ dft_matrix(7).T, atol=1e-12)


def test_every_namespace_agrees(namespaces, random):
    image = random.complex(2, 9, 6)
    expected = fft2c(image)
    for xp in namespaces:
        assert np.allclose(to_numpy(fft2c(xp.asarray(image))), expected, atol=1e-6), xp


def test_single_precision_stays_single(random):
    assert fft2c(random.complex(4, 4)).dtype == np.complex64


def test_fft_order_is_undone(random):
    image = random.complex(5, 6)
    assert to_fft_order(image, (-2, -1))[0, 0] == image[2, 3]
    assert np.array_equal(from_fft_order(to_fft_order(image, (-2, -1)), (-2, -1)), image)


@pytest.mark.parametrize("axes", [(), (-1,), (-2, -1)])
def test_the_kspace_of_a_mirrored_image_is_the_mirrored_kspace(namespaces, random, axes):
    image = random.complex(2, 6, 9)
    expected = mirrored(fft2c(image), axes)
    assert np.array_equal(mirrored(expected, axes), fft2c(image))
    for xp in namespaces:
        assert np.allclose(to_numpy(fft2c(mirrored(xp.asarray(image), axes))), expected, atol=1e-6), xp
