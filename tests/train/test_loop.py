"""The training loop: it learns, resumes exactly, stops when asked, and survives a step that cannot be taken."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from mrikit.errors import DataError, ResultError, TemporaryError, UsageError
from mrikit.train.checkpoint import alone
from mrikit.train.loader import load_ahead
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


def test_kernels_learn_by_muon_and_resume_exactly(tmp_path):
    def images(numbers):
        for number in numbers:
            yield torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(number))

    def blur(model, x):
        error = (model(x) - nn.functional.avg_pool2d(x, 3, stride=1, padding=1)).square().mean()
        return error, {"error": float(error.detach())}

    def network():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1))

    recipe = replace(RECIPE, optimiser="muon", learning_rate=0.05)
    whole = fit(network(), images, blur, recipe, mkdir(tmp_path, "a"))
    folder = mkdir(tmp_path, "b")
    with pytest.raises(Stopped):
        fit(network(), until(37, images), blur, recipe, folder)
    saved = load_file(folder / "state.safetensors")
    resumed = fit(network(), images, blur, recipe, folder, resume=True)

    assert {name.split(".")[2] for name in saved if name.startswith("muon.")} == {"momentum"}
    assert [tuple(p.shape) for p in whole.optimisers[1].param_groups[0]["params"]] == [(4, 1, 3, 3), (1, 4, 3, 3)]
    assert whole.lines[-1]["error"] < 0.2 * whole.lines[0]["error"]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name])
    with pytest.raises(UsageError, match="optimiser muon"):
        fit(network(), images, blur, replace(recipe, optimiser="adam"), folder, resume=True)


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


@pytest.mark.parametrize(
    "wrong", [{"n_steps": 0}, {"batch": 0}, {"save_every": 0}, {"learning_rate": float("nan")}, {"learning_rate": -1.0}]
)
def test_a_recipe_that_trains_nothing_is_refused(wrong):
    with pytest.raises(UsageError, match=f"{next(iter(wrong))} .*: expected"):
        replace(RECIPE, **wrong)


def test_two_runs_in_one_folder_are_refused(tmp_path):
    with alone(tmp_path), pytest.raises(TemporaryError, match="another run is at it"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


@pytest.mark.parametrize(("n_steps", "rate"), [(1, float("inf")), (9, float("inf")), (300, 1e30)])
def test_a_run_that_diverges_is_an_error(tmp_path, n_steps, rate):
    recipe = replace(RECIPE, n_steps=n_steps, learning_rate=rate, warm_up=0)
    with pytest.raises(ResultError, match="has diverged") as caught:
        fit(linear(), items, squared_error, recipe, tmp_path)
    assert "--learning-rate" in caught.value.hint


def test_a_run_of_steps_that_cannot_be_taken_is_an_error(tmp_path):
    def spoilt(numbers):
        for number, (x, y) in zip(numbers, items(numbers), strict=True):
            yield x, y * (float("nan") if number >= 20 else 1)

    with pytest.raises(ResultError, match="none of the last 30 steps up to 50"):
        fit(linear(), spoilt, squared_error, RECIPE, tmp_path)


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
    short = replace(recipe, n_steps=50)
    assert max(learning_rate(short, s) for s in range(50)) > 0.9


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
    with pytest.raises(UsageError, match="that run had steps 60"):
        fit(linear(), items, squared_error, replace(RECIPE, n_steps=80), tmp_path, resume=True)


def test_resuming_a_finished_run_does_nothing(tmp_path):
    done = fit(linear(), items, squared_error, RECIPE, tmp_path)
    reports = []
    again = fit(linear(), items, squared_error, RECIPE, tmp_path, resume=True, report=reports.append)
    assert again.step == 60
    assert reports == [{"step": 60, "steps": 60}]
    assert torch.equal(again.average["0.weight"], done.average["0.weight"])


def test_beginning_anew_forgets_the_old_run(tmp_path):
    fit(linear(), items, squared_error, RECIPE, tmp_path)
    short = replace(RECIPE, n_steps=5, save_every=100)
    assert fit(linear(), items, squared_error, short, tmp_path).step == 5
    (line,) = logged(tmp_path)
    assert line["step"] == 5
    assert line["loss"] > 1e-3  # the mean over five steps, not over twenty


# what a step learns from


def test_a_batch_is_the_mean_over_its_items(tmp_path):
    """Three items of a batch, each by itself, are one item that holds the three."""

    def joined(numbers):
        for n in numbers:
            yield tuple(torch.cat(parts) for parts in zip(*items(range(3 * n, 3 * n + 3)), strict=True))

    apart = fit(linear(), items, squared_error, replace(RECIPE, batch=3), mkdir(tmp_path, "apart"))
    together = fit(linear(), joined, squared_error, RECIPE, mkdir(tmp_path, "together"))
    torch.testing.assert_close(apart.model[0].weight, together.model[0].weight, rtol=1e-5, atol=1e-6)
    assert logged(tmp_path / "apart")[0]["error"] == pytest.approx(logged(tmp_path / "together")[0]["error"], rel=1e-4)


def noisy_error(model, item):
    error = (model(item[0] + 0.1 * torch.randn_like(item[0])) - item[1]).square().mean()
    return error, {}


def test_what_a_loss_draws_depends_on_the_item_alone(tmp_path):
    whole = fit(linear(), items, noisy_error, RECIPE, mkdir(tmp_path, "a"))
    folder = mkdir(tmp_path, "b")
    with pytest.raises(Stopped):
        fit(linear(), until(37), noisy_error, RECIPE, folder)
    torch.manual_seed(99)
    resumed = fit(linear(), items, noisy_error, RECIPE, folder, resume=True)
    assert torch.equal(whole.model[0].weight, resumed.model[0].weight)


def test_an_outlier_is_skipped_and_a_lasting_change_is_followed(tmp_path):
    """Item 30 is 1000 times too large, and so are all from item 40 on."""

    def wild(numbers):
        for number, (x, y) in zip(numbers, items(numbers), strict=True):
            yield x, y * (1000 if number == 30 or number >= 40 else 1)

    recipe = replace(RECIPE, n_steps=200, save_every=1, report_every=10, learning_rate=0.01)
    folder = mkdir(tmp_path, "run")
    weights = {}
    for n in (30, 31, 32):
        with pytest.raises(Stopped):
            fit(linear(), until(n, wild), squared_error, recipe, folder, resume=True)
        weights[n] = load_file(folder / "state.safetensors")["model.0.weight"]
    assert torch.equal(weights[30], weights[31])
    assert not torch.equal(weights[31], weights[32])
    rarely = replace(recipe, save_every=100)
    resumed = fit(linear(), wild, squared_error, rarely, folder, resume=True)
    whole = fit(linear(), wild, squared_error, rarely, mkdir(tmp_path, "whole"))
    assert torch.equal(resumed.model[0].weight, whole.model[0].weight)
    assert [line.get("skipped", 0) for line in whole.lines][:5] == [0, 0, 0, 1, 10]
    assert "skipped" not in whole.lines[-1]


class Numbered(torch.utils.data.Dataset):
    def __getitem__(self, number):
        return next(items([number]))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # Python 3.12
def test_no_worker_outlives_the_run_whoever_holds_its_frame(tmp_path):
    frames = []
    state = fit(
        linear(),
        lambda numbers: load_ahead(Numbered(), numbers),
        squared_error,
        RECIPE,
        tmp_path,
        draw=lambda lines: frames.append(sys._getframe()),
    )
    assert state.step == 60 and frames
    assert multiprocessing.active_children() == []


# validation


def test_validation_sees_the_average_and_leaves_no_trace(tmp_path):
    seen = []

    def validate(model):
        assert not model.training
        assert not torch.is_grad_enabled()
        seen.append(model[0].weight.clone())
        torch.rand(5)
        return {"psnr": float(len(seen))}

    recipe = replace(RECIPE, validate_every=25)
    plain = fit(linear(), items, noisy_error, recipe, mkdir(tmp_path, "plain"))
    state = fit(linear(), items, noisy_error, recipe, mkdir(tmp_path, "validated"), validate=validate)
    assert torch.equal(plain.model[0].weight, state.model[0].weight)
    assert state.model.training
    assert torch.equal(seen[0], linear()[0].weight) and torch.equal(seen[-1], state.average["0.weight"])
    assert {line["step"]: line["psnr"] for line in logged(tmp_path / "validated") if "psnr" in line} == {
        0: 1.0, 25: 2.0, 50: 3.0, 60: 4.0,
    }  # fmt: skip


def test_counters_of_batch_normalisation_are_kept(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    state = fit(model, items, squared_error, RECIPE, tmp_path)
    assert state.average["1.num_batches_tracked"] == 60


# the log


def test_a_resumed_log_has_no_step_twice(tmp_path):
    recipe = replace(RECIPE, save_every=25, report_every=10)
    with pytest.raises(Stopped):
        fit(linear(), until(47), squared_error, recipe, tmp_path)
    with (tmp_path / "loss.jsonl").open("a") as file:
        file.write('{"step": 5')  # cut short
    assert len((tmp_path / "loss.jsonl").read_text().splitlines()) == 5
    drawn = []
    fit(linear(), items, squared_error, recipe, tmp_path, resume=True, draw=lambda lines: drawn.append(len(lines)))
    assert steps_of(logged(tmp_path)) == [10, 20, 30, 40, 50, 60]
    assert drawn == [5, 6]  # after steps 50 and 60


# stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_request_to_stop_saves_the_step_and_resumes_exactly(tmp_path, number):
    def interrupted(numbers):
        for i, item in zip(numbers, items(numbers), strict=True):
            if i == 36:
                os.kill(os.getpid(), number)
            yield item

    before = signal.getsignal(number)
    folder = mkdir(tmp_path, "run")
    with pytest.raises(TemporaryError, match="after step 37 of 60") as caught:
        fit(linear(), interrupted, squared_error, RECIPE, folder)
    assert "--resume" in caught.value.hint
    assert signal.getsignal(number) == before
    assert steps_of(logged(folder)) == [20]
    resumed = fit(linear(), until(60, items), squared_error, RECIPE, folder, resume=True)
    whole = fit(linear(), items, squared_error, RECIPE, mkdir(tmp_path, "whole"))
    timeless = [[{**line, "seconds_per_step": 0} for line in state.lines] for state in (resumed, whole)]
    assert timeless[0] == timeless[1]
    assert torch.equal(whole.model[0].weight, resumed.model[0].weight)
    assert torch.equal(whole.average["0.weight"], resumed.average["0.weight"])


def test_a_second_interrupt_does_not_wait_for_the_step(tmp_path):
    def interrupted_twice(numbers):
        for i, item in zip(numbers, items(numbers), strict=True):
            if i == 36:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)
            yield item

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(linear(), interrupted_twice, squared_error, RECIPE, tmp_path)
    assert signal.getsignal(signal.SIGINT) == before


def test_a_request_in_the_last_step_changes_nothing(tmp_path):
    def interrupted(numbers):
        yield from items(numbers[:-1])
        os.kill(os.getpid(), signal.SIGTERM)
        yield from items(numbers[-1:])

    assert fit(linear(), interrupted, squared_error, RECIPE, tmp_path).step == 60


# what a resumed run must agree in


def test_other_terms_are_refused_and_other_intervals_are_not(tmp_path):
    with pytest.raises(Stopped):
        fit(linear(), until(30), squared_error, RECIPE, tmp_path, terms={"accel": (2.0, 8.0)})
    with pytest.raises(UsageError, match=r"that run had accel \[2.0, 8.0\]"):
        fit(linear(), items, squared_error, RECIPE, tmp_path, resume=True, terms={"accel": (2.0, 4.0)})
    often = replace(RECIPE, save_every=1, report_every=1, validate_every=1)
    state = fit(linear(), items, squared_error, often, tmp_path, resume=True, terms={"accel": (2.0, 8.0)})
    assert steps_of(state.lines)[:2] == [20, 31]


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\x10\0\0\0\0\0\0\0{}              "])
def test_a_file_that_is_no_state_is_refused(tmp_path, content):
    (tmp_path / "state.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=r"state.safetensors: not a training state"):
        fit(linear(), items, squared_error, RECIPE, tmp_path, resume=True)


def test_held_parameters_stay_and_the_others_learn(tmp_path):
    begun = linear().state_dict()
    state = fit(linear(), items, squared_error, replace(RECIPE, hold=("*.bias",)), tmp_path)
    assert torch.equal(state.average["0.bias"], begun["0.bias"])
    assert not torch.equal(state.average["0.weight"], begun["0.weight"])


def test_a_run_that_holds_resumes_exactly(tmp_path):
    held = replace(RECIPE, hold=("*.bias",))
    whole = fit(linear(), items, squared_error, held, tmp_path)
    with pytest.raises(Stopped):
        fit(linear(), until(35), squared_error, held, tmp_path)
    parts = fit(linear(), items, squared_error, held, tmp_path, resume=True)
    assert all(torch.equal(whole.average[name], value) for name, value in parts.average.items())
    with pytest.raises(UsageError, match="that run had hold"):
        fit(linear(), items, squared_error, RECIPE, tmp_path, resume=True)


@pytest.mark.parametrize(
    ("patterns", "said"),
    [(("bias",), "hold bias: this network has no such parameter"), (("*",), "nothing is left to learn")],
)
def test_what_cannot_be_held_is_refused(tmp_path, patterns, said):
    with pytest.raises(UsageError, match=said):
        fit(linear(), items, squared_error, replace(RECIPE, hold=patterns), tmp_path)


def test_a_state_of_before_tallies_were_kept_is_gone_on_with(tmp_path):
    with pytest.raises(Stopped):
        fit(linear(), until(35), squared_error, RECIPE, tmp_path)
    path = tmp_path / "state.safetensors"
    with safe_open(path, "pt") as state:
        about = {name: value for name, value in state.metadata().items() if name != "tally"}
    save_file(load_file(path), path, about)
    assert fit(linear(), items, squared_error, RECIPE, tmp_path, resume=True).step == 60
