"""mrikit pics: the l2 baseline at once, those that need SigPy marked slow for its import."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scans import read, save, simulated

import mrikit as api
from mrikit.errors import UsageError
from mrikit.physics.fourier import ifft2c

if TYPE_CHECKING:
    from running import Mrikit

MASK = api.mask((64, 64), 3, kind="poisson")


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    """under.npy of R = 3 and the true maps, two slices."""
    save(tmp_path / "under.npy", api.undersample(simulated().kspace, MASK), "kspace")
    save(tmp_path / "maps.npy", simulated().maps, "maps")


def error(image: np.ndarray) -> float:
    """Relative to the object, slice by slice the larger."""
    truth = simulated().image
    return max(np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(image, truth, strict=True))


def zero_filled() -> np.ndarray:
    coil_images = api.mvue(api.undersample(simulated().kspace, MASK), simulated().maps)
    return coil_images / np.sqrt((np.abs(simulated().maps) ** 2).sum(axis=1))


def test_without_regularisation_and_without_undersampling_it_is_the_mvue(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "full.npy", simulated().kspace, "kspace")
    assert mrikit("pics", "--reg", "l2", "--lambda", "0", "full.npy", "maps.npy", "out.npy").code == 0

    norm = np.sqrt((np.abs(simulated().maps) ** 2).sum(axis=1))
    expected = api.mvue(simulated().kspace, simulated().maps) / norm
    np.testing.assert_allclose(read(tmp_path / "out.npy"), expected, atol=1e-4 * np.abs(expected).max())


def test_l2_is_better_than_zero_filling(mrikit: Mrikit, tmp_path: Path) -> None:
    assert mrikit("pics", "--reg", "l2", "under.npy", "maps.npy", "out.npy").code == 0

    assert error(read(tmp_path / "out.npy")) < 0.5 * error(zero_filled())


def test_more_regularisation_gives_a_smaller_image(mrikit: Mrikit, tmp_path: Path) -> None:
    norms = []
    for lamda in ("0.01", "0.1", "1"):
        words = ["pics", "--reg", "l2", "--lambda", lamda, "--force", "under.npy", "maps.npy", "out.npy"]
        assert mrikit(*words).code == 0
        norms.append(np.linalg.norm(read(tmp_path / "out.npy")))

    assert norms[0] > norms[1] > norms[2]


def test_two_sets_of_maps_are_for_l2_alone(mrikit: Mrikit, tmp_path: Path) -> None:
    maps = np.stack([simulated().maps, simulated().maps[:, ::-1]], axis=1)
    save(tmp_path / "sets.npy", maps, "maps")
    assert mrikit("pics", "--reg", "l2", "under.npy", "sets.npy", "out.npy").code == 0
    assert read(tmp_path / "out.npy").shape == (2, 2, 64, 64)

    result = mrikit("pics", "--reg", "tv", "under.npy", "sets.npy", "tv.npy")
    assert (result.code, result.stderr.count("\n")) == (2, 1)
    assert "--reg tv takes one set of maps, these are 2 (hint: use --reg l2)" in result.stderr


@pytest.mark.parametrize("words", ["--reg l1", "--lambda -1", "--lambda much", "--iters 0"])
def test_options_that_cannot_be_are_usage_errors(mrikit: Mrikit, words: str) -> None:
    result = mrikit("pics", *words.split(), "under.npy", "maps.npy", "out.npy")

    assert (result.code, result.stderr.count("\n")) == (2, 1)
    assert words.split()[0] in result.stderr


@pytest.mark.parametrize("wrong", [{"lamda": -1.0}, {"lamda": float("nan")}, {"reg": "l1"}])
def test_what_cannot_be_is_refused_in_python_too(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"--(lambda|reg) .*: expected"):
        api.pics(simulated().kspace, simulated().maps, **wrong)


def test_lambda_must_be_a_number(mrikit: Mrikit, tmp_path: Path) -> None:
    result = mrikit("pics", "--reg", "l2", "--lambda", "nan", "under.npy", "maps.npy", "out.npy")

    assert result.code in (1, 2)
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.slow  # SigPy takes seconds to import
@pytest.mark.parametrize("reg", ["wavelet", "tv"])
def test_the_sparse_baselines_beat_zero_filling_and_scale_with_the_scan(
    mrikit: Mrikit, tmp_path: Path, reg: str
) -> None:
    """One lambda serves every scan: a scan a thousand times larger gives the same image, so much larger."""
    words = ["pics", "--reg", reg, "--iters", "60"]
    assert mrikit(*words, "under.npy", "maps.npy", "out.npy").code == 0
    image = read(tmp_path / "out.npy")
    assert error(image) < 0.6 * error(zero_filled())

    save(tmp_path / "large.npy", read(tmp_path / "under.npy") * np.float32(1024), "kspace")
    assert mrikit(*words, "large.npy", "maps.npy", "large_out.npy").code == 0
    larger = read(tmp_path / "large_out.npy") / 1024
    assert np.linalg.norm(larger - image) < 1e-3 * np.linalg.norm(image)


@pytest.mark.slow
def test_shifted_wavelets_leave_less_than_those_of_one_grid() -> None:
    from sigpy.mri.app import L1WaveletRecon

    truth = simulated(96, 6, 1)
    kspace, maps = api.undersample(truth.kspace, api.mask((96, 96), 4, seed=1))[0], truth.maps[0]
    scale = np.quantile(np.abs((maps.conj() * ifft2c(kspace)).sum(axis=0)), 0.99)
    grid = L1WaveletRecon(kspace / scale, maps, 0.002, wave_name="db2", show_pbar=False).run() * scale
    assert np.linalg.norm(api.pics(kspace, maps) - truth.image[0]) < 0.95 * np.linalg.norm(grid - truth.image[0])


@pytest.mark.slow
@pytest.mark.parametrize("reg", ["wavelet", "tv", "l2"])
def test_there_is_nothing_where_no_coil_is_sensitive_or_nothing_was_measured(reg: str) -> None:
    maps = simulated().maps.copy()
    maps[..., :20] = 0
    kspace = api.undersample(simulated().kspace, MASK)
    kspace[1] = 0
    image = api.pics(kspace, maps, reg=reg, n_iters=5)
    assert image[0].any() and not image[0][:, :20].any() and not image[1].any()


@pytest.mark.slow
def test_total_variation_has_converged() -> None:
    """Its objective is within 2 % of that of 2,000 primal-dual steps, of which 100 are still 10 % above."""
    from sigpy.mri.app import TotalVariationRecon

    kspace = api.undersample(simulated(96, 6, 1).kspace, api.mask((96, 96), 4, seed=1))[0]
    maps, lamda = simulated(96, 6, 1).maps[0], 0.005
    sampled = np.broadcast_to(kspace.any(axis=0), (1, 96, 96)).astype(np.float32)
    image = api.pics(kspace, maps, reg="tv", lamda=lamda)
    scale = np.quantile(np.abs((maps.conj() * ifft2c(kspace)).sum(axis=0)), 0.99)

    def objective(n_iters: int) -> float:
        app = TotalVariationRecon(kspace / scale, maps, lamda, weights=sampled, max_iter=n_iters, show_pbar=False)
        app.run() if n_iters else np.copyto(app.x, image / scale)
        return float(app.objective())

    assert objective(0) < 1.02 * objective(2000)


@pytest.mark.parametrize("reg", ["wavelet", "tv"])
def test_the_sparse_baselines_give_the_same_image_every_time(mrikit: Mrikit, tmp_path: Path, reg: str) -> None:
    for name in ("a.npy", "b.npy"):
        assert mrikit("pics", "--reg", reg, "--iters", "20", "under.npy", "maps.npy", name).code == 0

    np.testing.assert_array_equal(read(tmp_path / "a.npy"), read(tmp_path / "b.npy"))


@pytest.mark.parametrize("reg", ["l2", *(pytest.param(reg, marks=pytest.mark.slow) for reg in ("wavelet", "tv"))])
def test_coils_in_groups_give_the_same_image(mrikit: Mrikit, tmp_path: Path, reg: str) -> None:
    """To 1e-4: sums over coils round differently, and iterations go on from there."""
    for chunk in ("1", "3", "4"):
        words = ["pics", "--reg", reg, "--iters", "10", "--chunk", chunk]
        assert mrikit(*words, "under.npy", "maps.npy", f"{chunk}.npy").code == 0
    whole = read(tmp_path / "4.npy")
    for chunk in ("1", "3"):
        assert np.abs(read(tmp_path / f"{chunk}.npy") - whole).max() < 1e-4 * np.abs(whole).max()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # SigPy's imports
def test_a_slice_leaves_nothing_behind() -> None:
    """SigPy's operators refer to each other, and hold k-space and maps until they are collected."""
    kspace, maps = api.undersample(simulated().kspace[0], MASK), simulated().maps[0]
    api.pics(kspace, maps, n_iters=2)
    gc.disable()
    try:
        api.pics(kspace, maps, n_iters=2)
        assert gc.collect() == 0
    finally:
        gc.enable()
