"""mrikit rss: against its definition, and in pipelines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from running import Mrikit, Shell


def root_sum_of_squares(kspace: np.ndarray) -> np.ndarray:
    shifted = np.fft.ifftshift(kspace.astype(complex), axes=(-2, -1))
    images = np.fft.fftshift(np.fft.ifft2(shifted, norm="ortho"), axes=(-2, -1))
    return np.sqrt((np.abs(images) ** 2).sum(axis=1))


def test_rss_is_the_root_of_the_sum_of_squares(mrikit: Mrikit, scan: Path, kspace: np.ndarray, tmp_path: Path) -> None:
    result = mrikit("rss", "scan.npy", "out.npy")

    assert (result.code, result.stdout, result.stderr) == (0, b"", "")
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), root_sum_of_squares(kspace), rtol=1e-5)


def test_rss_in_a_pipeline_is_rss(shell: Shell, scan: Path, kspace: np.ndarray, tmp_path: Path) -> None:
    result = shell("cat scan.npy | mrikit rss - - | mrikit convert - out.npy")

    assert (result.code, result.stderr) == (0, "")
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), root_sum_of_squares(kspace), rtol=1e-5)


def test_rss_refuses_an_image(mrikit: Mrikit, scan: Path) -> None:
    assert mrikit("rss", "scan.npy", "image.npy").code == 0
    result = mrikit("rss", "image.npy", "out.npy")

    assert (result.code, result.stderr) == (65, "mrikit rss: image.npy: holds image, expected kspace\n")


def test_a_truncated_stream_is_an_error_and_leaves_nothing(mrikit: Mrikit, scan: Path, tmp_path: Path) -> None:
    data = scan.read_bytes()
    for n in (len(data) // 2, len(data) - 4):
        result = mrikit("rss", "-", "out.npy", stdin=data[:n])

        assert result.code == 65
        assert "<stdin>: truncated" in result.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["scan.npy"]
