"""The metrics are those of scikit-image and fastMRI, to the last digits."""

import numpy as np
import pytest
from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio, structural_similarity

from mrikit.errors import DataError
from mrikit.evaluate.metrics import metrics, table


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    reference = rng.random((3, 20, 24)) * np.linspace(0.01, 1, 24)
    return reference, np.abs(reference + 0.05 * rng.standard_normal(reference.shape))


def test_psnr_and_nrmse_are_scikit_images(pair):
    scores = metrics(*pair).volume
    assert scores.psnr == pytest.approx(peak_signal_noise_ratio(*pair, data_range=pair[0].max()), abs=1e-9)
    assert scores.nrmse == pytest.approx(normalized_root_mse(*pair), abs=1e-9)


def test_ssim_is_scikit_images(pair):
    peak = pair[0].max()
    expected = [structural_similarity(a, b, data_range=peak, win_size=7) for a, b in zip(*pair, strict=True)]
    report = metrics(*pair)
    assert report.volume.ssim == pytest.approx(np.mean(expected), abs=1e-9)
    assert [s.ssim for s in report.slices] == pytest.approx(expected, abs=1e-9)


def test_nmse_is_fastmris(pair):
    a, b = pair
    assert metrics(a, b).volume.nmse == pytest.approx(np.linalg.norm(a - b) ** 2 / np.linalg.norm(a) ** 2)


def test_inside_the_mask(pair):
    a, b = pair
    inside = a > 0.3 * a.max()
    masked = metrics(a, b, mask_level=0.3).volume_masked
    mse = np.mean((a - b)[inside] ** 2)
    assert masked.psnr == pytest.approx(10 * np.log10(a.max() ** 2 / mse))
    full = [structural_similarity(x, y, data_range=a.max(), full=True)[1] for x, y in zip(a, b, strict=True)]
    cut = (slice(None), slice(3, -3), slice(3, -3))
    assert masked.ssim == pytest.approx(np.stack(full)[cut][inside[cut]].mean(), abs=1e-9)


def test_complex_images_are_compared_by_magnitude(pair):
    a, b = pair
    turned = metrics(a * 1j, b * np.exp(0.3j)).volume
    assert turned.psnr == pytest.approx(metrics(a, b).volume.psnr)


def test_one_slice_may_come_without_its_axis(pair):
    a, b = pair
    assert metrics(a[0], b[0]) == metrics(a[:1], b[:1])


def test_an_image_in_other_units_is_scaled_to_fit_where_asked(pair):
    a, b = pair
    report = metrics(a, 300 * b, scale=True)
    assert report.scale == pytest.approx((a * b).sum() / (b**2).sum() / 300)
    assert report.volume.nmse == pytest.approx(metrics(a, 300 * report.scale * b).volume.nmse)
    assert report.volume.nmse <= min(metrics(a, factor * b).volume.nmse for factor in (0.99, 1, 1.01))
    assert metrics(a, 0 * b, scale=True) == metrics(a, 0 * b)
    with pytest.raises(DataError, match="expected one shape"):
        metrics(a, b[..., 1:], scale=True)


def test_equal_images(pair):
    scores = metrics(pair[0], pair[0]).volume
    assert scores.psnr == float("inf")
    assert scores.ssim == pytest.approx(1)
    assert scores.nmse == 0


def test_what_cannot_be_compared_is_refused(pair):
    with pytest.raises(DataError, match="3 x 20 x 24, the image 3 x 20 x 23"):
        metrics(pair[0], pair[1][..., 1:])
    with pytest.raises(DataError, match="zero everywhere"):
        metrics(np.zeros((1, 9, 9)), np.ones((1, 9, 9)))
    with pytest.raises(DataError, match="7 x 7"):
        metrics(np.ones((1, 5, 9)), np.ones((1, 5, 9)))


def test_the_table_has_a_row_a_slice(pair):
    text = table({"out.nii": metrics(*pair)})
    assert len(text.splitlines()) == 1 + 1 + 3
    assert f"{metrics(*pair).volume.psnr:.2f}" in text.splitlines()[1]
