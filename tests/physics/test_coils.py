"""Combining, whitening and compressing, against their definitions."""

import numpy as np
import pytest

from mrikit.errors import DataError, UsageError
from mrikit.physics.coils import compress, edge_samples, mix_coils, mvue, noise_covariance, rss, whiten
from mrikit.physics.fourier import fft2c, ifft2c
from mrikit.physics.phantom import noise, scan


def test_rss_is_the_root_sum_of_squares(random):
    images = random.complex(2, 3, 6, 7)
    assert np.allclose(rss(fft2c(images)), np.sqrt((np.abs(images) ** 2).sum(axis=1)), atol=1e-5)


def test_mvue_of_exact_maps_is_the_image(random):
    maps, image = random.complex(4, 6, 7), random.complex(6, 7)
    norm = np.sqrt((np.abs(maps) ** 2).sum(axis=0))
    assert np.allclose(mvue(fft2c(maps / norm * image), maps / norm), image, atol=1e-5)
    # Maps of another norm change its scale by that norm, as the definition has it.
    assert np.allclose(mvue(fft2c(maps * image), maps), norm * image, atol=1e-4)


def test_mvue_is_zero_where_maps_are(random):
    maps = random.complex(4, 6, 7)
    maps[:, :3] = 0
    image = mvue(random.complex(4, 6, 7), maps)
    assert not image[:3].any()
    assert image[3:].all()


def test_mvue_of_two_sets_is_one_image_each(random):
    maps, kspace = random.complex(2, 4, 6, 7), random.complex(4, 6, 7)
    both = mvue(kspace, maps)
    assert np.allclose(both, np.stack([mvue(kspace, maps[0]), mvue(kspace, maps[1])]), atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 4, 5, 99])
def test_coils_in_groups_give_the_same_bits(random, chunk):
    kspace, maps, sets = random.complex(3, 5, 6, 7), random.complex(3, 5, 6, 7), random.complex(3, 2, 5, 6, 7)
    assert np.array_equal(rss(kspace, chunk=chunk), rss(kspace))
    for one in (maps, sets):
        assert np.array_equal(mvue(kspace, one, chunk=chunk), mvue(kspace, one))


def test_coils_in_groups_take_less_memory(random, allocated):
    kspace, maps = random.complex(16, 64, 64), random.complex(16, 64, 64)
    for function in (rss, lambda k, chunk: mvue(k, maps, chunk=chunk)):
        few, all_ = (allocated(lambda f=function, n=n: f(kspace, chunk=n)) for n in (1, 16))
        assert few < 0.3 * all_


def test_more_coils_take_no_more_memory_beyond_themselves(random, allocated):
    """By default too: groups are of 8 MB."""
    few, many = (random.complex(n, 256, 256) for n in (40, 80))
    assert allocated(lambda: rss(many)) < 1.1 * allocated(lambda: rss(few))


def test_maps_of_another_scan_are_refused(random):
    with pytest.raises(DataError, match="maps have 3 coils, k-space has 4"):
        mvue(random.complex(4, 6, 7), random.complex(3, 6, 7))
    with pytest.raises(DataError, match="6 x 8"):
        mvue(random.complex(4, 6, 7), random.complex(4, 6, 8))


def test_whitening_makes_noise_white():
    rng = np.random.default_rng(0)
    correlated = noise((64, 64), 6, 3.0, rng)
    white = whiten(correlated, correlated.reshape(6, -1)).reshape(6, -1)
    covariance = noise_covariance(white)
    assert np.abs(covariance - np.eye(6)).max() < 1e-4
    assert np.abs(noise_covariance(correlated.reshape(6, -1)) - np.eye(6)).max() > 1


def test_whitening_without_a_noise_scan_uses_the_ends_of_the_readout():
    rng = np.random.default_rng(0)
    kspace = noise((200, 64), 4, 2.0, rng)
    kspace[:, 90:110] *= 1000
    covariance = noise_covariance(whiten(kspace)[:, :40].reshape(4, -1))
    assert np.abs(covariance - np.eye(4)).max() < 0.25
    assert np.abs(edge_samples(kspace)).max() < 100


@pytest.mark.parametrize("lacking", [slice(0, 38), slice(90, None)])
def test_whitening_an_asymmetric_echo_does_not_take_its_centre_for_noise(lacking):
    truth = scan((128, 128), coils=8, noise=0.01, seed=1)
    echo = truth.kspace[0].copy()
    echo[:, lacking] = 0
    whitening = np.linalg.inv(np.linalg.cholesky(noise_covariance(edge_samples(echo))))
    found = whitening @ truth.covariance @ whitening.conj().T
    assert np.linalg.cond(found) < 2
    assert np.diag(found).real.min() > 0.5 and np.diag(found).real.max() < 1.5


def test_whitening_copies_of_a_coil_is_refused(random):
    kspace = random.complex(4, 16, 16)
    kspace[1] = kspace[0]
    with pytest.raises(DataError, match="singular"):
        whiten(kspace)
    with pytest.raises(DataError, match="3 noise samples are too few"):
        whiten(kspace, random.complex(4, 3))


def test_compression_keeps_what_lies_in_a_subspace(random):
    mixing = random.complex(8, 3)
    kspace = mix_coils(mixing, random.complex(3, 20, 22))
    small = compress(kspace, 3)
    assert small.shape == (3, 20, 22)
    assert np.allclose((np.abs(ifft2c(small)) ** 2).sum(axis=0), (np.abs(ifft2c(kspace)) ** 2).sum(axis=0), rtol=1e-3)
    energy = (np.abs(small) ** 2).sum(axis=(1, 2))
    assert (np.diff(energy) < 0).all()


def test_more_coils_than_there_are_is_refused(random):
    with pytest.raises(UsageError, match="--coils 9"):
        compress(random.complex(8, 20, 22), 9)


@pytest.mark.parametrize("factor", [1e18, 1e-20])
def test_numbers_whose_squares_are_none_are_refused(random, factor):
    kspace = (random.complex(4, 16, 16) * factor).astype(np.complex64)
    for function in (rss, lambda k: mvue(k, random.complex(4, 16, 16)), whiten, compress):
        with pytest.raises(DataError, match="the largest sample of k-space is"):
            function(kspace)
    assert not rss(0 * kspace).any()


def test_a_noise_scan_may_be_of_another_precision(random):
    kspace, samples = random.complex(4, 16, 16), random.complex(4, 300)
    white = whiten(kspace, samples.astype(np.complex128))
    assert white.dtype == np.complex64 and np.allclose(white, whiten(kspace, samples), rtol=1e-4)
