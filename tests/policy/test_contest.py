"""The contest: what is compared on, who learns from what, and ADS on the samples of a prior in closed form."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scans import save, simulated

from mrikit.errors import CannotCreateError, UsageError
from mrikit.physics.fourier import fft2c, ifft2c
from mrikit.policy.budget import Budget, lines
from mrikit.policy.contest import Contest, measured_coils, policy_compare, require_kept
from mrikit.policy.gate import top_k
from mrikit.policy.mri import Slices
from mrikit.policy.rivals.ads import Ads
from mrikit.policy.scans import HeldBack, resampled
from mrikit.policy.subject import PictureSubject, ScanSubject, evenly, subject
from mrikit.policy.training import policy_train
from mrikit.score.prior import Prior, column
from mrikit.score.reconstruct import Plan
from mrikit.train.collect import read
from mrikit.train.loop import Recipe
from mrikit.train.presets import Preset
from mrikit.train.run import Job, Watcher

SHORT = Recipe(n_steps=2, warm_up=1, save_every=1)
TINY = Preset("modl", {"n_unrolls": 1, "n_cg": 2, "features": 4, "n_blocks": 3})


# what policies are compared on


@pytest.mark.parametrize("n", [24, 31, 40])
def test_scans_are_brought_to_a_matrix_as_a_scanner_would(n):
    """Fewer lines resolve less, more lines show more air; what is inside stays in its place."""
    image = np.zeros((1, 32, 33), np.complex64)
    image[:, 10:20, 12:24] = 1
    made = ifft2c(resampled(fft2c(image), n))
    assert made.shape == (1, n, n)
    centroid = [np.average(np.arange(n) - n // 2, weights=np.abs(made[0] ** 2).sum(axis=a)) for a in (1, 0)]
    shrunk = [min(1, n / 32), min(1, n / 33)]
    assert centroid == pytest.approx([(14.5 - 16) * shrunk[0], (17.5 - 16) * shrunk[1]], abs=0.3)
    energy = np.linalg.norm(made) / np.linalg.norm(image)
    assert energy == pytest.approx(1, abs=0.05)
    if n >= 33:
        assert np.allclose(np.linalg.norm(made), np.linalg.norm(image))


def test_measured_slices_are_taken_as_they_are_and_images_become_scans(tmp_path):
    scan = simulated(64, 4, 2)
    save(tmp_path / "scan.npy", scan.kspace, "kspace")
    np.save(tmp_path / "images.npy", np.abs(scan.image))
    budget = lines(64, 4)
    measured, images = (
        HeldBack([read(tmp_path / name, tmp_path / "mvue", lambda text: None)], budget, 64, n_coils=2)
        for name in ("scan.npy", "images.npy")
    )
    assert len(measured) == len(images) == 2
    one = measured[1]
    ratio = one.kspace[0].numpy() / ifft2c(scan.kspace[1], axes=(-2,))
    assert np.allclose(ratio, ratio.flat[0], rtol=1e-3)  # but for its scale
    assert images[0].kspace.shape == (1, 2, 64, 64)
    assert torch.equal(images[0].kspace, images[0].kspace) and not torch.equal(images[0].kspace, images[1].kspace)


def test_trials_are_spread_evenly_over_what_is_held_back(tmp_path):
    assert evenly(10, 4).tolist() == [0, 3, 6, 9] and evenly(3, 9).tolist() == [0, 1, 2]
    np.save(tmp_path / "stack.npy", (np.arange(20)[:, None, None] * np.ones((20, 8, 8)) / 20))
    shown = PictureSubject([tmp_path / "stack.npy"], (0.25, 0.25), batch=3)
    values = [float(v) for item in shown.trials(9, tmp_path, print) for v in item.images[:, 0, 0, 0] * 20]
    assert values == pytest.approx([18, 19])
    all_ = subject("image", [tmp_path / "stack.npy"], rates=(0.25, 0.25), matrix=8, batch=3, whole=True)
    sizes = [len(item) for item in all_.trials(100, tmp_path, print)]
    assert sizes == [3, 3, 3, 3, 3, 3, 2]
    assert {item.budget.kept for item in all_.trials(100, tmp_path, print)} == {16}


# ads


class Columns(Prior):
    """Columns of k-space, independent, N(0, tau^2) in either part."""

    def __init__(self, tau):
        super().__init__()
        self.tau = tau

    def denoise(self, x, sigma):
        shrink = self.tau**2 / (self.tau**2 + column(sigma, x) ** 2)
        return ifft2c(shrink * fft2c(x, axes=(-1,)), axes=(-1,))


def test_ads_takes_the_columns_in_which_the_posterior_is_widest():
    budget = Budget(12, 6, n_low=2)
    tau = 0.6 ** torch.randperm(12, generator=torch.Generator().manual_seed(1)).float()
    kspace = torch.zeros(1, 1, 32, 12, dtype=torch.complex64)
    item = Slices(budget, kspace, torch.ones_like(kspace), torch.tensor([0.01]), kspace[:, 0])
    chooser = Ads(Plan(Columns(tau), n_samples=4, steps=20))
    torch.manual_seed(0)
    assert torch.equal(chooser(item), top_k(tau[None], budget))


# from files to results


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """heads.npy, a policy trained on it, and others.npy for its rivals."""
    folder = tmp_path_factory.mktemp("heads")
    for name in ("heads.npy", "others.npy"):
        np.save(folder / name, np.abs(simulated(48, 1, 2).image))
    data = ScanSubject([folder / "heads.npy"], matrix=32, batch=2, simulated=0.0, network=TINY)
    policy_train(data, Job(folder / "own.safetensors"), recipe=SHORT, task_steps=2)
    return folder


def contest(**more):
    return Contest(**{"recipe": SHORT, "n_seeds": 2, "limit": 2, **more})


def test_every_policy_is_compared_with_the_budget_of_every_acceleration(heads, tmp_path):
    said = []
    names = ["centre", "half", "random", "variable-density", "energy", "loupe", "dps", "adps", "greedy", "flow"]
    how = contest(names=[*names, str(heads / "own.safetensors")], watcher=Watcher(say=said.append))
    data, own = [heads / "heads.npy"], str(heads / "own.safetensors")
    facts = policy_compare(data, tmp_path / "out", policy=own, accels=(4, 6), train=[heads / "others.npy"], contest=how)

    assert [(level["accel"], level["kept"], level["images"]) for level in facts["levels"]] == [(4, 8, 2), (6, 5, 2)]
    for level in facts["levels"]:
        found = level["policies"]
        assert list(found) == [*names, own]
        for one in found.values():
            assert sum(one["places"]) == pytest.approx(level["kept"], abs=1e-5)
            assert one["interval"] == [None, None]  # of two images
        assert found["flow"]["mean"] == found[own]["mean"] and found["flow"]["flow_ahead"] == [0, None, None]
        assert len(found["random"]["seeds"]) == 2 and len(found["greedy"]["seeds"]) == 1
        assert found["greedy"]["mean"] == max(one["mean"] for one in found.values())
        ahead = found["flow"]["mean"] - found["random"]["mean"]
        assert found["random"]["flow_ahead"][0] == pytest.approx(ahead, abs=1e-6)
    assert any("loupe learns" in text for text in said)


def test_rivals_are_trained_once_and_a_folder_is_not_taken_unasked(heads, tmp_path):
    how = contest(names=["dps", "flow"])
    data, own = [heads / "heads.npy"], str(heads / "own.safetensors")
    first = policy_compare(data, tmp_path / "out", policy=own, train=[heads / "others.npy"], contest=how)
    with pytest.raises(CannotCreateError, match="out: exists already"):
        policy_compare(data, tmp_path / "out", policy=own, train=[heads / "others.npy"], contest=how)
    state = next((tmp_path / "out").rglob("dps/state.safetensors"))
    before = state.stat().st_mtime_ns
    how = contest(names=["dps", "flow"], resume=True)
    again = policy_compare(data, tmp_path / "out", policy=own, train=[heads / "others.npy"], contest=how)
    assert again == first and state.stat().st_mtime_ns == before
    assert [level["accel"] for level in first["levels"]] == [4.0]  # the policy's own


def test_pixels_are_compared_on_the_last_pictures(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "images.npy", rng.random((40, 8, 8)))
    np.save(tmp_path / "labels.npy", np.arange(40) % 2)
    files = [tmp_path / "images.npy", tmp_path / "labels.npy"]
    data = subject("digits-classify", files, rates=(0.1, 0.3), batch=8)
    policy_train(data, Job(tmp_path / "own.safetensors"), recipe=SHORT, task_steps=2)
    names = ["random", "energy", "loupe", "dps", "adps", "flow"]
    own = str(tmp_path / "own.safetensors")
    policy_train(replace(data, whole=True), Job(tmp_path / "all.safetensors"), recipe=SHORT, task_steps=2)
    with pytest.raises(UsageError, match="it has learned from all pictures of its data"):
        policy_compare(files, tmp_path / "out", policy=str(tmp_path / "all.safetensors"), contest=contest(names=names))
    facts = policy_compare(files, tmp_path / "out", policy=own, contest=contest(names=names, limit=50))

    assert [(level["rate"], level["kept"], level["images"]) for level in facts["levels"]] == [(0.1, 6, 4), (0.3, 19, 4)]
    assert {level["metric"] for level in facts["levels"]} == {"accuracy"} and facts["levels"][0]["shape"] == [8, 8]
    for names, more, says in (
        (["centre"], {}, "centre chooses the lines"),
        (["random"], {"accels": (4,)}, "--accel has no meaning"),
    ):
        with pytest.raises(UsageError, match=says):
            policy_compare(files, tmp_path / "other", policy=own, contest=contest(names=names), **more)
    with pytest.raises(UsageError, match="no policy 'best'"):
        contest(names=["best"])


def test_a_policy_for_other_data_is_refused_and_what_knows_lines_is_left_out_for_pictures(heads, tmp_path):
    rng = np.random.default_rng(0)
    for name, shape in (("wide", (20, 8, 12)), ("tall", (20, 12, 8)), ("colour", (20, 8, 12, 3))):
        np.save(tmp_path / f"{name}.npy", rng.random(shape))
    wide = [tmp_path / "wide.npy"]
    pixels, lines = str(tmp_path / "pixels.safetensors"), str(heads / "own.safetensors")
    policy_train(
        replace(subject("image", wide, rates=(0.2, 0.2)), side=None, batch=8), Job(Path(pixels)), recipe=SHORT,
        task_steps=2,
    )  # fmt: skip
    (level,) = policy_compare(wide, tmp_path / "out", policy=pixels, contest=contest())["levels"]
    assert list(level["policies"]) == ["random", "energy", "loupe", "dps", "flow"]
    for file, names, policy, says in (
        ("tall", None, pixels, "for images of 1 x 8 x 12 .* these are 1 x 12 x 8"),
        ("colour", None, pixels, "for images of 1 x 8 x 12 .* these are 3 x 8 x 12"),
        ("wide", ["random", lines], pixels, "chooses the lines of scans, of which these data are none"),
        ("wide", ["random", pixels], lines, "chooses the pixels of images, of which these data are none"),
    ):
        with pytest.raises(UsageError, match=says):
            policy_compare([tmp_path / f"{file}.npy"], tmp_path / "other", policy=policy, contest=contest(names=names))


def test_the_default_policy_is_for_the_coils_of_the_scans(tmp_path):
    scan = simulated(48, 4, 1)
    save(tmp_path / "scan.npy", scan.kspace, "kspace")
    np.save(tmp_path / "image.npy", np.abs(scan.image))
    assert measured_coils([tmp_path / "image.npy"]) == 1
    assert measured_coils([tmp_path]) == 4
    facts = policy_compare([tmp_path / "scan.npy"], tmp_path / "out", accels=(4,), contest=contest(names=["centre"]))
    assert facts["levels"][0]["policy"] == "policy-128-array"


def test_results_of_another_kind_are_not_lost_either():
    before = [{"rate": 0.1, "policies": {"flow": {}}}]
    with pytest.raises(UsageError, match=r"have rate 0\.1, which would be lost"):
        require_kept(before, "accel", [4.0], ["flow"])
    require_kept(before, "rate", [0.1, 0.2], ["flow", "dps"])
