"""Problems of measured scans: under-sampled as they are, scaled, and with the target that their maps allow."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scans import real_scan, simulated

from mrikit.errors import DataError
from mrikit.physics.coils import mvue
from mrikit.physics.fourier import ifft2c
from mrikit.physics.phantom import scan as simulate_scan
from mrikit.physics.sampling import centre, sampling
from mrikit.rng import generator
from mrikit.train import data
from mrikit.train.collect import collect, collect_together
from mrikit.train.data import Images
from mrikit.train.scans import Scans
from mrikit.unrolled import simulate
from mrikit.unrolled.simulate import SMALL, Simulation, Stream, measured_scan


def learned_from(kspace: np.ndarray, folder: Path, **more: object) -> Simulation:
    """What to draw where `kspace`, as a file of fastMRI's, is all there is, and always as it was measured."""
    with h5py.File(folder / "scan.h5", "w") as file:
        file["kspace"] = kspace
    data = collect([folder / "scan.h5"], 0.0, cache=folder / "cache")
    return Simulation(data.images, scans=Scans(data.scans.files, share=1.0), **more)


def test_a_scan_without_noise_gives_samples_and_targets_of_its_own(tmp_path: Path) -> None:
    """At 64 x 64 a problem is a whole slice, whichever mask it has."""
    truth = simulate_scan(64, coils=4, noise=0, seed=5)
    simulation = learned_from(truth.kspace, tmp_path, accels=(2.0, 4.0))
    (image,) = simulation.images.volumes[0].array
    kinds = set()
    for step in range(8):
        scans, targets = Stream(simulation, seed=1)[step]
        for scan, target in zip(scans, targets, strict=True):
            kspace = truth.kspace[0] if scan.axes == (-2, -1) else ifft2c(truth.kspace[0], axes=(-2,))
            assert np.allclose(scan.kspace * scan.scale, np.where(scan.mask, kspace, 0), atol=1e-5)
            assert np.allclose(target * scan.scale, mvue(truth.kspace[0], scan.maps), atol=1e-5)
            seen = np.any(scan.maps != 0, axis=0) & (image != 0)
            error = np.abs(target * scan.scale)[seen] - np.abs(image)[seen]
            assert np.linalg.norm(error) < 0.02 * np.linalg.norm(image)
        kinds.add(len(scans[0].axes))
    assert kinds == {1, 2}


def test_padding_is_not_sampled(tmp_path: Path) -> None:
    kspace = simulated(64, 4, 1).kspace.copy()
    kspace[..., :6] = 0
    simulation = learned_from(kspace, tmp_path, accels=(2.0, 3.0))

    for step in range(4):
        for scan in Stream(simulation, seed=1)[step][0]:
            assert not scan.mask[..., :6].any()
            assert scan.mask.any()


def test_the_acceleration_is_met_where_there_is_padding(tmp_path: Path) -> None:
    kspace = simulated(64, 4, 1).kspace.copy()
    kspace[..., :6] = kspace[..., 58:] = 0
    simulation = learned_from(kspace, tmp_path, accels=(4.0, 4.0), kinds=("random", "equispaced"))
    masks = [scan.mask for step in range(4) for scan in Stream(simulation, seed=1)[step][0]]
    assert [int(mask.sum()) for mask in masks] == [16] * len(masks)


def test_what_is_validated_with_is_taken_as_measured(tmp_path: Path) -> None:
    learned_from(simulated(64, 4, 1).kspace, tmp_path)
    files = [tmp_path / "scan.h5"]
    learned, kept = collect_together(files, files, 0.5, cache=tmp_path / "cache")
    assert (learned.scans.share, kept.scans.share) == (0.25, 1.0)


def test_a_mask_of_the_plane_is_for_a_scan_of_less_resolution(tmp_path: Path) -> None:
    kspace = simulated((200, 40), 2, 1).kspace
    scans = learned_from(kspace, tmp_path).scans
    assert np.array_equal(measured_scan(scans, generator(0, "test"), small=False), kspace[0])

    small = measured_scan(scans, generator(0, "test"), small=True)
    n_y = small.shape[1]
    assert 2 * SMALL[0] <= n_y < 2 * SMALL[1]
    assert np.array_equal(small, kspace[0][:, centre(200, n_y)])


def test_measured_and_simulated_scans_are_drawn_by_their_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = learned_from(simulated(64, 4, 1).kspace, tmp_path)
    drawn: list[str] = []

    def note(name: str):
        def draw(*_: object, **__: object) -> None:
            drawn.append(name)
            raise DataError("enough")

        return draw

    monkeypatch.setattr(simulate, "measured_scan", note("measured"))
    monkeypatch.setattr(simulate, "simulated_scan", note("simulated"))
    mixed = Simulation(simulation.images, scans=Scans(simulation.scans.files, share=0.3))
    for i in range(300):
        with pytest.raises(DataError):
            simulate.problems(mixed, generator(0, "test", i))

    assert drawn.count("measured") == pytest.approx(90, abs=20)
    with pytest.raises(DataError, match="none of 100 scans drawn is fit to learn from: enough"):
        Stream(mixed, seed=0)[0]


def test_a_complex_image_is_scanned_with_its_own_phase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = learned_from(simulated(64, 4, 1).kspace, tmp_path).images

    def none(*_: object) -> None:
        raise AssertionError("a phase was simulated")

    n_complex = sum(np.iscomplexobj(images.draw(generator(0, "test", i))) for i in range(20))
    assert 4 < n_complex < 16
    own = np.ones((64, 64), np.complex64) * 1j
    monkeypatch.setattr(images, "draw", lambda rng: own)
    monkeypatch.setattr(data, "phase", none)
    kspace = simulate.simulated_scan(images, generator(0, "test"), small=True)

    assert np.isfinite(kspace).all() and kspace.any()


def test_coils_share_the_noise_that_an_image_has_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def noise(shape: tuple[int, int], coils: int, level: float, rng: np.random.Generator) -> np.ndarray:
        return np.full((coils, *shape), coils == 1, np.complex64)  # of the image alone, not of the receivers

    def maps(coils: int, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        return np.arange(1, coils + 1).reshape(-1, 1, 1) * np.ones(shape)

    monkeypatch.setattr(simulate, "noise", noise)
    monkeypatch.setattr(simulate, "coil_maps", maps)
    monkeypatch.setattr(simulate, "COILS", (3,))
    dark = Images([], [], 1.0)
    monkeypatch.setattr(dark, "draw_complex", lambda shape, rng: np.zeros(shape, np.complex64))
    scans = [simulate.simulated_scan(dark, generator(0, "test", i), small=True) for i in range(40)]

    noisy = [kspace for kspace in scans if kspace.any()]
    assert 10 < len(noisy) < 30
    for kspace in noisy:
        assert np.allclose(kspace, kspace[:1] * np.arange(1, 4).reshape(-1, 1, 1), atol=1e-5 * np.abs(kspace).max())


def test_a_batch_drawn_by_a_worker_is_the_one_drawn_here(tmp_path: Path) -> None:
    """The file is opened in every process anew: item s depends on the seed and s alone."""
    simulation = learned_from(simulated(64, 4, 2).kspace, tmp_path, accels=(2.0, 3.0))
    stream = Stream(simulation, seed=2)
    here, there = (next(stream.items(range(3, 4), n_workers=n)) for n in (0, 1))

    assert torch.equal(here[1], there[1])
    assert torch.allclose(here[0].rhs, there[0].rhs, atol=1e-5)  # its FFT depends on where memory begins


@pytest.mark.parametrize("name", ["brain_axial_8ch.h5", "brain_lowres_16ch.h5", "head_sagittal_1ch.h5"])
def test_real_scans_give_problems(name: str, tmp_path: Path) -> None:
    data = collect([real_scan(name)], 0.0, cache=tmp_path)
    scans, targets = Stream(Simulation(data.images, scans=Scans(data.scans.files, share=1.0)), seed=0)[0]

    for scan, target in zip(scans, targets, strict=True):
        assert target.shape == scan.kspace.shape[1:]
        assert np.isfinite(target).all()
        assert 0.3 < np.quantile(np.abs(target), 0.99) < 5
        assert sampling(scan.kspace).mean() < 0.7
