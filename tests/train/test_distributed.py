"""Two processes that train one model: the same model as one process with twice the batch."""

import multiprocessing
import os
import signal
import time
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
from safetensors import safe_open
from test_loop import RECIPE, items, linear, logged, mkdir, squared_error, steps_of
from torch import nn

from mrikit.errors import TemporaryError
from mrikit.train.loop import fit

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # Python 3.12

SHORT = replace(RECIPE, n_steps=20, save_every=5, report_every=5)


def two_processes(tmp_path, target):
    """Run `target(rank)` in two processes joined by gloo; returns their exit codes."""

    def child(rank):
        torch.set_num_threads(1)  # threads do not survive a fork
        dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=rank, world_size=2)
        try:
            target(rank)
        except TemporaryError:
            os._exit(75)
        os._exit(0)

    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=child, args=(rank,)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
    assert not any(process.is_alive() for process in processes)
    return [process.exitcode for process in processes]


def network():
    """A layer whose gradient is missing, one whose weights are in another memory order, and a plain one."""
    torch.manual_seed(0)
    model = nn.ModuleDict({"first": nn.Conv2d(3, 4, (2, 2)), "last": nn.Linear(4, 1), "unused": nn.Linear(2, 2)})
    return model.to(memory_format=torch.channels_last)


def convolved_error(model, item):
    x = model["first"](item[0][:, :, None, None].expand(-1, -1, 2, 2))[:, :, 0, 0]
    error = (model["last"](x.tanh()) - item[1]).square().mean()
    return error, {"error": float(error.detach())}


def test_two_processes_are_one_with_twice_the_batch(tmp_path):
    """Weights agree to 1e-6: sums over processes round differently."""
    pair, one = mkdir(tmp_path, "pair"), mkdir(tmp_path, "one")

    def target(rank):
        model = network()
        if rank:
            nn.init.zeros_(model["last"].weight)  # the first process's weights are everyone's
        reports = []
        state = fit(model, items, convolved_error, replace(SHORT, batch=2), pair, report=reports.append)
        assert (len(reports) == 20) == (rank == 0)
        torch.save(state.model.state_dict(), tmp_path / f"{rank}.pt")

    assert two_processes(tmp_path, target) == [0, 0]
    state = fit(network(), items, convolved_error, replace(SHORT, batch=4), one)
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for name, value in state.model.state_dict().items():
        assert torch.equal(ranks[0][name], ranks[1][name])
        torch.testing.assert_close(ranks[0][name], value, rtol=1e-6, atol=1e-6)
    for line, expected in zip(logged(pair), logged(one), strict=True):
        assert line["error"] == pytest.approx(expected["error"], abs=2e-6)

    # Twice the batch in one process are the same terms: the run can go on there.
    resumed = fit(network(), items, convolved_error, replace(SHORT, batch=4), pair, resume=True)
    assert resumed.step == 20


def test_a_step_that_one_process_cannot_take_none_takes(tmp_path):
    """Item 7, the second process's of step 3, is NaN; both leave that step out and stay together."""

    def poisoned(numbers):
        for number, (x, y) in zip(numbers, items(numbers), strict=True):
            yield x, y * float("nan") if number == 7 else y

    def target(rank):
        state = fit(linear(), poisoned, squared_error, SHORT, tmp_path)
        torch.save(state.model.state_dict(), tmp_path / f"{rank}.pt")

    assert two_processes(tmp_path, target) == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pt")["0.weight"] for rank in range(2))
    assert torch.equal(first, second) and bool(torch.isfinite(first).all())
    assert logged(tmp_path)[0]["skipped"] == 1


def test_a_request_to_one_process_stops_both_after_one_step(tmp_path):
    def target(rank):
        def interrupted(numbers):
            for number, item in zip(numbers, items(numbers), strict=True):
                if number == 15:  # the second process's, in step 7
                    os.kill(os.getpid(), signal.SIGTERM)
                yield item

        fit(linear(), interrupted, squared_error, SHORT, tmp_path)

    assert two_processes(tmp_path, target) == [75, 75]
    assert steps_of(logged(tmp_path)) == [5]
    with safe_open(tmp_path / "state.safetensors", "pt") as state:
        assert state.metadata()["step"] == "8"


def test_a_process_that_dies_ends_the_others(tmp_path):
    def target(rank):
        def fatal(numbers):
            for number, item in zip(numbers, items(numbers), strict=True):
                if number == 15:
                    time.sleep(0.1)
                    os.kill(os.getpid(), signal.SIGKILL)
                yield item

        fit(linear(), fatal, squared_error, SHORT, tmp_path)

    assert two_processes(tmp_path, target) == [75, -signal.SIGKILL]
