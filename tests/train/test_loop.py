"""The training loop: it learns, resumes exactly, and survives a step that cannot be taken."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from mrikit.errors import DataError
from mrikit.train.loop import Recipe, fit, learning_rate


def batches(start):
    step = start
    while True:
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(8, 3, generator=generator)
        yield x, x @ torch.tensor([[1.0], [-2.0], [0.5]])
        step += 1


def squared_error(model, batch):
    error = (model(batch[0]) - batch[1]).square().mean()
    return error, {"error": float(error.detach())}


def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 1))


RECIPE = Recipe(n_steps=60, learning_rate=0.1, warm_up=5, save_every=10, report_every=20)


def test_it_learns_and_writes_what_it_did(tmp_path):
    reports = []
    state = fit(linear(), batches, squared_error, RECIPE, tmp_path, report=reports.append)
    assert state.step == 60
    assert reports[-1]["error"] < 0.01 * reports[0]["error"]
    lines = [json.loads(line) for line in (tmp_path / "loss.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 40, 60]


def test_stopping_and_resuming_is_exact(tmp_path):
    whole = fit(linear(), batches, squared_error, RECIPE, mkdir(tmp_path, "a"))

    class Stopped(Exception):
        pass

    def until(n):
        def limited(start):
            for i, batch in enumerate(batches(start)):
                if start + i == n:
                    raise Stopped
                yield batch

        return limited

    folder = mkdir(tmp_path, "b")
    with pytest.raises(Stopped):
        fit(linear(), until(37), squared_error, RECIPE, folder)
    resumed = fit(linear(), batches, squared_error, RECIPE, folder, resume=True)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name])
        assert torch.equal(whole.average[name], resumed.average[name])


def mkdir(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name


def test_a_gradient_that_is_not_finite_changes_nothing(tmp_path):
    def poisoned(start):
        for i, (x, y) in enumerate(batches(start)):
            yield x, y * float("nan") if i == 3 else y

    state = fit(linear(), poisoned, squared_error, RECIPE, tmp_path)
    assert all(torch.isfinite(v).all() for v in state.model.state_dict().values())
    assert all(torch.isfinite(v).all() for v in state.average.values())


def test_the_state_of_another_model_is_refused(tmp_path):
    fit(linear(), batches, squared_error, Recipe(n_steps=1), tmp_path)
    with pytest.raises(DataError, match="another model"):
        fit(nn.Sequential(nn.Linear(4, 1)), batches, squared_error, RECIPE, tmp_path, resume=True)


def test_the_learning_rate_warms_up_and_cools_down():
    recipe = Recipe(n_steps=1000, learning_rate=1.0, warm_up=100)
    rates = [learning_rate(recipe, s) for s in range(1000)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == pytest.approx(rates[99], abs=0.03)
    assert rates[-1] == pytest.approx(0.01, abs=1e-3)


@pytest.mark.slow
def test_kill_minus_nine_loses_nothing_that_was_saved(tmp_path):
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "import pathlib, time, test_loop as t\n"
        "from mrikit.train.loop import fit\n"
        "def slow(start):\n"
        "    for b in t.batches(start):\n"
        "        time.sleep(0.02); yield b\n"
        "fit(t.linear(), slow, t.squared_error, t.RECIPE, pathlib.Path(sys.argv[1]))\n"
    )
    folder = mkdir(tmp_path, "killed")
    process = subprocess.Popen([sys.executable, "-c", code, str(folder), str(Path(__file__).parent)])
    while not (folder / "state.safetensors").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = fit(linear(), batches, squared_error, RECIPE, folder, resume=True)
    whole = fit(linear(), batches, squared_error, RECIPE, mkdir(tmp_path, "whole"))
    assert torch.equal(resumed.model[0].weight, whole.model[0].weight)
