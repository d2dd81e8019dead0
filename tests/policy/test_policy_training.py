"""A policy from training to a mask: the run, the card, the proposal."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scans import simulated

from mrikit import weights
from mrikit.errors import CannotCreateError, DataError, ResultError, UsageError
from mrikit.policy.architectures import build, load_policy
from mrikit.policy.budget import lines, pixels
from mrikit.policy.compare import compare
from mrikit.policy.fit import train_flow, train_task
from mrikit.policy.images import ImageConfig, ImageTask, PictureStream
from mrikit.policy.objective import Objective
from mrikit.policy.propose import defaults, nearest, propose, suited
from mrikit.policy.rivals.fixed import random
from mrikit.policy.scans import SliceStream
from mrikit.policy.subject import ScanSubject
from mrikit.policy.subject import objective as subject_objective
from mrikit.policy.training import policy_train
from mrikit.policy.velocity import LineConfig, PixelConfig, PixelVelocity
from mrikit.train.data import Images
from mrikit.train.loop import Recipe
from mrikit.train.presets import Preset
from mrikit.train.run import Job

BUDGET = lines(32, 4, n_low=4)
SCANS = SliceStream(Images([], [], 1.0), [BUDGET], 16, batch=2)
SHORT = Recipe(n_steps=3, warm_up=1, save_every=1)
TINY = Preset("modl", {"n_unrolls": 1, "n_cg": 2, "features": 4, "n_blocks": 3})


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """Scans of 32 lines, simulated of two images of heads."""
    path = tmp_path_factory.mktemp("images") / "heads.npy"
    np.save(path, np.abs(simulated(48, 1, 2).image))
    return ScanSubject([path], matrix=32, batch=2, simulated=0.0, network=TINY)


@pytest.fixture(scope="module")
def trained(heads, tmp_path_factory):
    out = tmp_path_factory.mktemp("policy") / "lines.safetensors"
    policy = policy_train(heads, Job(out, command="mrikit policy train"), recipe=SHORT, task_steps=2)
    # After three steps the network hardly sees what it is given.
    for parameter in policy.velocity.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return out, policy


@pytest.fixture
def scan():
    """k-space of 3 slices, one coil, 16 x 32."""
    return np.stack([SCANS[i].kspace[0].numpy() for i in range(3)])


def test_a_trained_policy_and_its_task_come_back_from_one_file(trained):
    out, _ = trained
    card = weights.card(str(out))
    assert card["architecture"] == "policy" and card["training"]["accel"] == [4.0]
    assert card["training"]["objective"]["target"] == "energy"
    assert {"flow", "l1", "dissimilarity"} <= card["metrics"].keys()
    policy = load_policy(str(out))
    assert policy.velocity.config == LineConfig(n=32, n_features=8)
    assert policy.task.network.config.to_json() == TINY.config
    assert not policy.train().task.training and not any(p.requires_grad for p in policy.task.parameters())
    assert (policy(SCANS[0]).sum(dim=1) == 8).all()


def test_a_run_is_not_written_over_and_resumes_on_its_own_terms_alone(heads, trained):
    out, _ = trained
    before = out.read_bytes()
    with pytest.raises(CannotCreateError, match="exists already"):
        policy_train(heads, Job(out), recipe=SHORT, task_steps=2)
    for other, steps in ((replace(heads, accels=(3.0,)), 2), (heads, 1)):
        with pytest.raises(UsageError, match="that run had"):
            policy_train(other, Job(out, resume=True), recipe=SHORT, task_steps=steps)
    policy_train(heads, Job(out, resume=True, command="mrikit policy train"), recipe=SHORT, task_steps=2)
    assert out.read_bytes() == before


def test_a_run_that_was_cut_off_in_its_task_model_is_not_begun_anew_unasked(heads, tmp_path):
    out = tmp_path / "own.safetensors"
    (tmp_path / "own.run" / "task").mkdir(parents=True)
    (tmp_path / "own.run" / "task" / "state.safetensors").touch()
    with pytest.raises(CannotCreateError, match="exists already"):
        policy_train(heads, Job(out), recipe=SHORT)


def test_a_task_model_is_taken_from_a_policy_or_from_an_unrolled_network(heads, trained, tmp_path):
    out, policy = trained
    other = replace(heads, accels=(3.0,), loss="mse")
    made = policy_train(other, Job(tmp_path / "a.safetensors"), recipe=SHORT, task_model=str(out))
    for name, tensor in policy.task.state_dict().items():
        assert torch.equal(tensor, made.task.state_dict()[name])
    assert made.task.config.loss == "mse" and not (tmp_path / "a.run" / "task").exists()
    assert weights.card(str(tmp_path / "a.safetensors"))["training"]["task_model"] == weights.card(str(out))["sha256"]

    network = policy.task.network
    card = {"architecture": "modl", "config": network.config.to_json()}
    weights.save(tmp_path / "modl.safetensors", network.state_dict(), card)
    made = policy_train(
        heads, Job(tmp_path / "b.safetensors"), recipe=SHORT, task_model=str(tmp_path / "modl.safetensors")
    )
    assert torch.equal(made.task.network.log_lamda, network.log_lamda)


def test_the_objective_decides_what_is_learned_by(heads, trained, tmp_path):
    out, _ = trained
    assert subject_objective("mri").draws > 1 == subject_objective("image").draws
    assert [subject_objective(kind).losses for kind in ("mri", "image")] == ["task", "both"]
    assert subject_objective("mri", losses="both").losses == "both"
    assert [subject_objective(kind).gamma for kind in ("mri", "image", "digits-classify")] == [4, 4, 1]
    assert subject_objective("digits-classify", gamma=2).gamma == 2
    for losses, expected in (("flow", {"flow"}), ("task", {"l1", "dissimilarity"})):
        path = tmp_path / f"{losses}.safetensors"
        policy_train(heads, Job(path), recipe=SHORT, task_model=str(out), objective=Objective(losses=losses, draws=3))
        assert weights.card(str(path))["metrics"].keys() == {"loss", "gradient", *expected}


@pytest.mark.parametrize(
    "config", [{}, {"velocity": {"kind": "lines", "config": {}}, "task": {"kind": "ct", "config": {}}}]
)
def test_a_card_that_describes_no_policy_is_refused(config):
    with pytest.raises(DataError):
        build("policy", config)
    with pytest.raises(DataError, match="expected policy"):
        build("flat", config)


def test_a_proposal_has_exactly_the_budget_and_reads_the_centre_alone(trained, scan):
    _, policy = trained
    mask = propose(policy, scan, 4, n_low=4, seed=3)
    assert mask.dtype == bool and mask.shape == (32,) and mask.sum() == 8 and mask[BUDGET.low.numpy()].all()
    only_low = np.where(BUDGET.low.numpy(), scan, 0)
    assert np.array_equal(mask, propose(policy, only_low, 4, n_low=4, seed=3))
    each = propose(policy, scan, 4, n_low=4, seed=3, per_slice=True)
    assert each.shape == (3, 32) and (each.sum(axis=1) == 8).all()
    assert np.array_equal(each[1], propose(policy, scan, 4, n_low=4, seed=3, per_slice=True)[1])
    assert len({propose(policy, scan[0], 4, n_low=4, seed=seed).tobytes() for seed in range(8)}) > 1


@pytest.mark.parametrize(("width", "accel"), [(24, 3), (33, 4), (64, 8)])
def test_proposals_resize_to_other_numbers_of_lines(trained, width, accel):
    _, policy = trained
    budget = lines(width, accel, 4)
    kspace = SliceStream(Images([], [], 1.0), [budget], 16, batch=1)[0].kspace[0].numpy()
    mask = propose(policy, kspace, accel, n_low=4)
    assert mask.shape == (width,) and mask.sum() == round(width / accel)


def test_a_thousand_masks_of_a_policy_have_its_budget(trained):
    _, policy = trained
    item = SCANS[0].take(torch.zeros(500, dtype=torch.long))
    torch.manual_seed(0)
    masks = torch.cat([policy(item), policy(item)])
    torch.manual_seed(0)
    again = policy(item)
    assert (masks.sum(dim=1) == 8).all() and masks[:, BUDGET.low].all()
    assert torch.equal(masks[:500], again) and len(masks.unique(dim=0)) > 50


def test_what_cannot_be_proposed_is_said(trained, scan):
    _, policy = trained
    for accel in (0, 0.5, float("nan")):
        with pytest.raises(UsageError, match="acceleration"):
            propose(policy, scan, accel)
    with pytest.raises(DataError, match="leaves none to choose"):
        propose(policy, scan[..., 14:18], 1, n_low=4)
    with pytest.raises(DataError, match="2 of the 4 low-frequency lines hold nothing"):
        propose(policy, np.where(np.arange(32) < 16, scan, 0), 4, n_low=4)
    with pytest.raises(UsageError, match="--samples 0"):
        load_policy("policy-128", samples=0)
    with pytest.raises(DataError, match="found 1 axes"):
        propose(policy, scan[0, 0], 4)


# images


@pytest.fixture(scope="module")
def digits():
    """Two classes of 8 x 8 images, told apart by which half is bright."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=256)
    images = rng.random((256, 1, 8, 8)).astype(np.float32) * 0.3
    images[labels == 0, :, :, :4] += 0.7
    images[labels == 1, :, :, 4:] += 0.7
    return PictureStream(images, labels, rates=(0.1, 0.3), batch=32)


@pytest.fixture(scope="module")
def classifier(digits, tmp_path_factory):
    torch.manual_seed(0)
    task = ImageTask(ImageConfig(8, 8, n_classes=2, features=8))
    recipe = Recipe(n_steps=40, learning_rate=1e-2, warm_up=2, average=0.5)
    return train_task(task, digits.items, random(64), recipe, tmp_path_factory.mktemp("task"))


def test_a_task_learns_on_random_masks_and_is_frozen(digits, classifier):
    found = compare(classifier, {"random": random(64)}, [digits.item(1000 + i) for i in range(2)], n_seeds=2)
    assert found["random"].mean > 0.9
    assert not classifier.training and not any(p.requires_grad for p in classifier.parameters())


@pytest.mark.parametrize("objective", [Objective(target="learned", steepness=30, power=1), Objective(losses="flow")])
def test_pixels_are_chosen_by_the_same_flow(digits, classifier, objective, tmp_path):
    velocity = PixelVelocity(PixelConfig(8, 8, features=8))
    policy, state = train_flow(velocity, classifier, digits.items, objective, SHORT, tmp_path)
    assert state.step == 3
    item = digits.item(0)
    masks = policy(item)
    assert (masks.sum(dim=1) == item.budget.kept).all()
    assert (tmp_path / "target" / "state.safetensors").exists() == (objective.target == "learned")
    with pytest.raises(UsageError, match="pixels of images"):
        propose(policy, np.ones((1, 8, 64), np.complex64), 4)


def test_a_learned_target_resumes_exactly_and_on_its_own_terms(digits, classifier, tmp_path):
    def train(name, **how):
        torch.manual_seed(0)
        velocity = PixelVelocity(PixelConfig(8, 8, features=8))
        objective = Objective(target="learned", steepness=30, power=1)
        return train_flow(velocity, classifier, digits.items, objective, SHORT, tmp_path / name, **how)[0].state_dict()

    whole = train("whole", terms={"rates": [4]})
    cut = train("cut", terms={"rates": [4]})
    flow = tmp_path / "cut" / "state.safetensors"
    flow.unlink()  # as if it had ended between the target and the flow
    resumed = train("cut", terms={"rates": [4]}, resume=True)
    assert whole.keys() == cut.keys() == resumed.keys()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    flow.unlink()
    with pytest.raises(UsageError, match="target"):
        train("cut", terms={"rates": [8]}, resume=True)


def test_a_mask_over_budget_is_no_result(digits, classifier):
    item = digits.item(0)
    with pytest.raises(ResultError, match="greedy-ish: a mask takes 64 places"):
        compare(classifier, {"greedy-ish": lambda one: torch.ones(len(one), 64)}, [item])
    assert pixels(64, 1.0).kept == 64


def test_scans_of_one_coil_and_of_several_have_default_policies_of_their_own(monkeypatch):
    assert [nearest(n) for n in (96, 150, 180, 400)] == ["policy-128", "policy-128", "policy-208", "policy-208"]
    assert nearest(208, n_coils=8) == suited(8, n_coils=2) == "policy-128-array"
    assert (suited(4), suited(8)) == ("policy-128", "policy-208")
    monkeypatch.setattr(weights, "names", lambda: ["modl", "policy-128", "policy-208"])
    assert defaults(n_coils=8) == defaults() == ["policy-128", "policy-208"]
