"""What unrolled networks learn from and are validated on."""

import multiprocessing
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mrikit.errors import DataError, MissingInputError, UsageError
from mrikit.evaluate.metrics import metrics
from mrikit.physics.anatomy import anatomy
from mrikit.physics.espirit import espirit
from mrikit.physics.phantom import phase
from mrikit.physics.sampling import sampling
from mrikit.train.data import Images, tissue_phase
from mrikit.train.loader import load_ahead
from mrikit.train.loop import Recipe
from mrikit.train.run import Job, require_apart
from mrikit.unrolled import simulate
from mrikit.unrolled.model import Config, Unrolled
from mrikit.unrolled.simulate import ATTEMPTS, Simulation, Stream
from mrikit.unrolled.start import local_phase
from mrikit.unrolled.training import unroll_train
from mrikit.unrolled.validation import Validation

ANATOMY = Simulation(Images([], [], 1.0), per_scan=1, crop=24)
TINY = Config(n_unrolls=2, features=4, levels=1, n_cg=2, n_start=3)


@pytest.fixture(scope="module")
def problems():
    return list(Stream(ANATOMY, 0).items(range(2), n_workers=0))


def test_validation_reports_the_psnr_of_start_and_result(problems):
    torch.manual_seed(0)
    network = Unrolled(TINY)
    validation = Validation(problems)
    with torch.no_grad():
        figures = validation(network)
        states = [network(problem) for problem, _ in problems]
    for name, index in (("psnr_start", 0), ("psnr", -1)):
        expected = [
            metrics(target[0].numpy(), all_states[index][0].numpy()).volume.psnr
            for (_, target), all_states in zip(problems, states, strict=True)
        ]
        assert figures[name] == pytest.approx(np.mean(expected), abs=0.01)
    assert list(validation.images) == ["reference", "start", "result"]
    assert {image.shape for image in validation.images.values()} == {tuple(problems[0][1].shape)}


@pytest.mark.parametrize(
    ("kinds", "ndims"), [(("random",), {1}), (("poisson", "radial"), {2}), (("gaussian", "poisson"), {1, 2})]
)
def test_kinds_of_masks_can_be_chosen(kinds, ndims):
    simulation = replace(ANATOMY, kinds=kinds)
    rng = np.random.default_rng(0)
    lines = [bool(rng.random() < simulation.line_share) for _ in range(40)]
    assert {simulation.draw_kind(rng, lines=line) for line in lines} == set(kinds)
    stream = Stream(simulation, seed=0)
    assert {scan.mask.ndim for i in range(4 * len(ndims)) for scan in stream[i][0]} == ndims


def test_an_alignment_or_optimiser_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(UsageError, match="--align velocty: expected one of state, velocity, none"):
        unroll_train([], Job(tmp_path / "w.safetensors"), recipe=Recipe(1), align="velocty")
    with pytest.raises(UsageError, match="optimiser Muon: expected adam or muon"):
        Recipe(1, optimiser="Muon")


@pytest.mark.parametrize("accels", [(4.0, 2.0), (0.5, 2.0), (float("nan"), 2.0), (2.0, float("inf"))])
def test_accelerations_are_a_range_from_one_up(accels):
    with pytest.raises(UsageError, match="--accel"):
        replace(ANATOMY, accels=accels)


def test_an_acceleration_that_no_scan_allows_is_an_error_and_not_a_wait(monkeypatch):
    calls = []

    def unfit(simulation, rng):
        calls.append(rng)
        raise DataError("there is no centre")

    monkeypatch.setattr("mrikit.unrolled.simulate.problems", unfit)
    with pytest.raises(DataError, match="there is no centre"):
        Stream(ANATOMY, 0)[0]
    assert len(calls) == ATTEMPTS


class Numbers(torch.utils.data.Dataset):
    """i squared; 3 is an error, and 5 sends its own process the signals that a whole job is sent."""

    def __getitem__(self, i):
        if i == 3:
            raise DataError("three.h5: is broken", hint="leave it out")
        if i == 9:
            raise OSError("nine.h5: input/output error")
        if i == 5:
            for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
                os.kill(os.getpid(), number)
        return i * i


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_workers_leave_signals_to_their_parent_and_pass_errors_on_as_they_are():
    assert list(load_ahead(Numbers(), range(4, 8))) == [16, 25, 36, 49]
    with pytest.raises(DataError) as caught:
        list(load_ahead(Numbers(), range(2, 5)))
    assert (str(caught.value), caught.value.hint) == ("three.h5: is broken", "leave it out")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_no_worker_is_left_whatever_went_wrong():
    with pytest.raises(OSError, match=r"nine.h5: input/output error$"):
        list(load_ahead(Numbers(), range(8, 99)))
    deadline = time.monotonic() + 2
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not multiprocessing.active_children()


def alive(pid):
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_worker_dies_with_a_parent_that_was_killed():
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe()

    def parent():
        source = load_ahead(Numbers(), range(10, 10**6))
        next(source)
        sender.send(multiprocessing.active_children()[0].pid)
        time.sleep(60)

    process = context.Process(target=parent)
    process.start()
    worker = receiver.recv()
    assert alive(worker)
    process.kill()
    process.join()
    deadline = time.monotonic() + 2
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(worker)


def test_phase_follows_tissue_as_much_as_in_real_scans():
    """In real scans 1 to 10 % of the energy is out of phase with the surroundings; the smooth field has 0.1 %."""
    shares = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        image = anatomy("brain", (96, 96), rng)
        x = torch.from_numpy(image * np.exp(1j * (phase((96, 96), rng) + tissue_phase(image, rng)))).to(torch.complex64)
        turned = x[None] * local_phase(x[None]).conj()
        shares.append(float(turned.imag.square().sum() / turned.abs().square().sum()))
    assert 0.005 < np.median(shares) < 0.1
    assert min(shares) < 0.01 < 0.05 < max(shares)


def test_a_full_plane_has_its_target_the_right_way_round():
    """A mask that holds everything is taken for one of lines along y, and the scan is turned."""
    scans, targets = Stream(replace(ANATOMY, kinds=("poisson",), accels=(1.0, 1.0)), 0)[0]
    assert scans[0].transposed
    assert targets[0].shape == scans[0].kspace.shape[1:]


@pytest.mark.parametrize("kinds", [("random",), ("poisson",)])
def test_a_target_has_the_noise_of_its_scan(kinds):
    """Where everything is acquired, the target is what the acquired samples say, noise included."""
    for i in range(3):
        problem, target = next(Stream(replace(ANATOMY, kinds=kinds, accels=(1.0, 1.0)), i).items(range(1), n_workers=0))
        assert float((problem.rhs - target).abs().mean()) < 0.05 * float(problem.sigma)


@pytest.mark.parametrize("kind", ["random", "poisson"])
def test_maps_are_estimated_from_what_is_acquired_alone(monkeypatch, kind):
    shown = []
    monkeypatch.setattr(simulate, "espirit", lambda kspace, **how: shown.append(kspace) or espirit(kspace, **how))
    simulation = replace(ANATOMY, kinds=(kind,), accels=(4.0, 4.0), per_scan=2)
    scans, _ = Stream(simulation, 0)[0]
    acquired = sampling(shown[-1])
    np.testing.assert_array_equal(acquired, scans[0].mask & scans[1].mask)
    assert acquired.mean() < 0.25


def test_a_problem_of_lines_is_a_band_of_rows():
    for n in range(3):
        (scan,), (target,) = Stream(replace(ANATOMY, kinds=("random",)), n)[0]
        assert scan.kspace.shape[-2] == target.shape[0] == 24


def test_what_is_read_is_not_written_over(tmp_path):
    out = tmp_path / "own.safetensors"
    require_apart(out, "flat-small", str(tmp_path / "other.json"), None)
    for name in ("own.safetensors", "own.json"):
        with pytest.raises(UsageError, match="training reads it"):
            require_apart(out, str(tmp_path / name))


def test_what_cannot_be_held_is_refused_before_scans_are_read(tmp_path):
    with pytest.raises(UsageError, match="hold lambda: this network has no such parameter"):
        unroll_train([tmp_path / "missing.h5"], Job(tmp_path / "own.safetensors"), recipe=Recipe(1, hold=("lambda",)))


@pytest.mark.parametrize("kind", [str, Path])
def test_one_file_need_not_be_a_list(tmp_path, kind):
    with pytest.raises(MissingInputError, match=r"missing\.npy: no such file"):
        unroll_train(kind(tmp_path / "missing.npy"), Job(tmp_path / "own.safetensors"), recipe=Recipe(1))
