"""The training loop: it learns, resumes exactly, and survives a step that cannot be taken."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mrikit.errors import DataError, UsageError
from mrikit.train.loop import Recipe, fit, learning_rate


def items(numbers):
    for number in numbers:
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(number))
        yield x, x @ torch.tensor([[1.0], [-2.0], [0.5]])


def squared_error(model, item):
    error = (model(item[0]) - item[1]).square().mean()
    return error, {"error": float(error.detach())}


def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 1))


RECIPE = Recipe(n_steps=60, learning_rate=0.1, warm_up=5, save_every=10, report_every=20)


def test_it_learns_and_writes_what_it_did(tmp_path):
    reports = []
    state = fit(linear(), items, squared_error, RECIPE, tmp_path, report=reports.append)
    assert state.step == 60
    assert [(line["step"], line["steps"]) for line in reports] == [(step, 60) for step in range(1, 61)]
    assert reports[-1]["error"] < 0.01 * reports[19]["error"]
    assert steps_of(logged(tmp_path)) == [20, 40, 60]
    assert state.lines == logged(tmp_path)


def logged(folder):
    return [json.loads(line) for line in (folder / "loss.jsonl").read_text().splitlines()]


def steps_of(lines):
    return [line["step"] for line in lines]


class Stopped(Exception):
    pass


def until(n, source=items):
    """`source`, which stops the run before item `n`, counted from 0, is taken."""

    def limited(numbers):
        for number, item in zip(numbers, source(numbers), strict=True):
            if number == n:
                raise Stopped
            yield item

    return limited


def test_stopping_and_resuming_is_exact(tmp_path):
    whole = fit(linear(), items, squared_error, RECIPE, mkdir(tmp_path, "a"))
    folder = mkdir(tmp_path, "b")
    with pytest.raises(Stopped):
        fit(linear(), until(37), squared_error, RECIPE, folder)
    resumed = fit(linear(), items, squared_error, RECIPE, folder, resume=True)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name])
        assert torch.equal(whole.average[name], resumed.average[name])


def mkdir(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name


def test_a_gradient_that_is_not_finite_changes_nothing(tmp_path):
    """Weights, average and Adam's moments after step 3, which learns from NaN, are those before it."""

    def poisoned(numbers):
        for number, (x, y) in zip(numbers, items(numbers), strict=True):
            yield x, y * float("nan") if number == 3 else y

    recipe = Recipe(n_steps=60, learning_rate=0.1, warm_up=5, save_every=1)
    states = []
    for n in (3, 4, 5):
        folder = mkdir(tmp_path, str(n))
        with pytest.raises(Stopped):
            fit(linear(), until(n, poisoned), squared_error, recipe, folder)
        states.append(load_file(folder / "state.safetensors"))
    before, after, later = states
    assert any(name.startswith("adam.") for name in before)
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(value, after[name]), name
    assert not torch.equal(after["model.0.weight"], later["model.0.weight"])
    assert all(torch.isfinite(value).all() for value in later.values())


def test_the_state_of_another_model_is_refused(tmp_path):
    fit(linear(), items, squared_error, RECIPE, tmp_path)
    with pytest.raises(DataError, match="another model"):
        fit(nn.Sequential(nn.Linear(4, 1)), items, squared_error, RECIPE, tmp_path, resume=True)


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
        "def slow(numbers):\n"
        "    for item in t.items(numbers):\n"
        "        time.sleep(0.02); yield item\n"
        "fit(t.linear(), slow, t.squared_error, t.RECIPE, pathlib.Path(sys.argv[1]))\n"
    )
    folder = mkdir(tmp_path, "killed")
    process = subprocess.Popen([sys.executable, "-c", code, str(folder), str(Path(__file__).parent)])
    while not (folder / "state.safetensors").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = fit(linear(), items, squared_error, RECIPE, folder, resume=True)
    whole = fit(linear(), items, squared_error, RECIPE, mkdir(tmp_path, "whole"))
    assert torch.equal(resumed.model[0].weight, whole.model[0].weight)


def test_resuming_with_another_recipe_is_refused(tmp_path):
    fit(linear(), items, squared_error, RECIPE, tmp_path)
    with pytest.raises(UsageError, match="that run had n_steps 60"):
        fit(linear(), items, squared_error, replace(RECIPE, n_steps=80), tmp_path, resume=True)


def test_resuming_a_finished_run_does_nothing(tmp_path):
    done = fit(linear(), items, squared_error, RECIPE, tmp_path)
    again = fit(linear(), items, squared_error, RECIPE, tmp_path, resume=True)
    assert again.step == 60
    assert torch.equal(again.average["0.weight"], done.average["0.weight"])


def test_beginning_anew_forgets_the_old_run(tmp_path):
    fit(linear(), items, squared_error, RECIPE, tmp_path)
    short = replace(RECIPE, n_steps=5, save_every=100)
    assert fit(linear(), items, squared_error, short, tmp_path).step == 5
    (line,) = logged(tmp_path)
    assert line["step"] == 5
    assert line["loss"] > 1e-3  # the mean over five steps, not over twenty
