"""From k-space to samples: batches and order, scale, resuming, and what becomes of wrong arguments."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from analytic import Gaussian
from scans import simulated

import mrikit as api
from mrikit import weights
from mrikit.errors import DataError, ResultError, UsageError
from mrikit.physics.retrospective import Sampling
from mrikit.physics.scan import prepare
from mrikit.score.architectures import build
from mrikit.score.moments import Moments
from mrikit.score.prior import Prior
from mrikit.score.reconstruct import Plan, load_prior, sample

SAMPLERS = ["pula", "annealed", "pc", "heun", "dds"]


@pytest.fixture(scope="module")
def prior():
    """A network of random weights: what it says of images is wrong, but it is the same for everyone."""
    torch.manual_seed(0)
    network = build("edm", {"features": 4, "levels": 1})
    torch.nn.init.normal_(network.network.tail.weight, std=0.02)
    return network.eval()


@pytest.fixture(scope="module")
def pieces():
    """Two slices at R = 3, the second of lines along y."""
    kspace = simulated(48, 4, 2).kspace
    return [prepare(k, how=Sampling(3, axis=axis)) for k, axis in zip(kspace, "xy", strict=True)]


def samples(piece, plan, number=0, **more):
    return np.concatenate(list(sample(piece, plan, number, **more)))


def close(a, b):
    return np.abs(a - b).max() < 1e-3 * np.abs(b).max()


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sample_depends_on_its_number_alone(prior, pieces, name):
    """Batches of 1, 2 and 3, fewer samples, another slice before it."""
    plan = Plan(prior, name, n_samples=3, steps=4, seed=5)
    together = samples(pieces[0], replace(plan, chunk=3))
    for chunk in (1, 2):
        assert close(samples(pieces[0], replace(plan, chunk=chunk)), together)
    assert close(samples(pieces[0], replace(plan, n_samples=2)), together[:2])
    samples(pieces[1], plan, 1)
    assert np.array_equal(samples(pieces[0], replace(plan, chunk=3)), together)
    assert not close(together[1], together[0])
    assert not close(samples(pieces[0], plan, 1), together)
    assert not close(samples(pieces[0], replace(plan, seed=6)), together)


def test_the_phase_of_a_scan_is_nothing_to_the_prior(prior):
    """It sees images divided by their coarse phase: turn a scan, and its sample turns, and nothing else."""
    kspace = simulated(48, 4, 1).kspace[0]
    plan = Plan(prior, "dds", n_samples=1, steps=3)  # which adds no noise to the data, that would not turn with them
    image, turned = (samples(prepare(k, how=Sampling(3)), plan) for k in (kspace, kspace * np.complex64(1j)))
    assert close(turned / 1j, image)


@pytest.mark.parametrize("kind", ["random", "poisson"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_nothing_is_made_up_where_no_coil_sees(prior, name, kind):
    """There images are 0 by definition, as the MVUE is; the prior alone would fill them in."""
    kspace = simulated(48, 4, 1).kspace[0]
    maps = api.espirit(kspace)
    maps[:, :12, :20] = 0
    piece = prepare(kspace, maps=maps, how=Sampling(3, kind))
    images = samples(piece, Plan(prior, name, n_samples=2, steps=4))
    assert not images[:, :12, :20].any()
    assert images[:, 20:28, 20:28].all()


@pytest.mark.parametrize("name", ["pula", "heun"])
def test_what_is_left_to_do_is_as_it_would_have_been(prior, pieces, name):
    """Bit by bit, after any number of finished batches."""
    plan = Plan(prior, name, n_samples=6, steps=3, chunk=2)
    whole = list(sample(pieces[0], plan))
    for done in (0, 2, 4, 6):
        rest = list(sample(pieces[0], plan, done=done))
        assert len(rest) == 3 - done // 2
        assert all(np.array_equal(a, b) for a, b in zip(rest, whole[done // 2 :], strict=True))


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("factor", [2.0**-30, 2.0**30])
def test_a_larger_scan_has_larger_samples(prior, name, factor):
    """With sigma_y measured and, in the scan's units, given."""
    kspace = simulated(48, 4, 2).kspace[0]
    plan = Plan(prior, name, n_samples=1, steps=3)
    images = []
    for scale, sigma in ((1, "auto"), (factor, "auto"), (1, 0.01), (factor, 0.01 * factor)):
        piece = prepare(kspace * np.float32(scale), how=Sampling(3))
        images.append(samples(piece, replace(plan, sigma_y=sigma)) / scale)
    assert close(images[1], images[0])
    assert close(images[3], images[2])
    assert not close(images[2], images[0]) or name in ("pc", "dds")  # which know no sigma_y


def test_the_mean_and_std_are_those_of_all_samples():
    rng = np.random.default_rng(0)
    drawn = (rng.standard_normal((9, 5, 4)) + 1j * rng.standard_normal((9, 5, 4)) + 3).astype(np.complex64)
    for sizes in ((9,), (4, 4, 1), (1,) * 9):
        moments = Moments.none((5, 4))
        for batch in np.split(drawn, np.cumsum(sizes)[:-1]):
            moments.add(batch)
        assert moments.n == 9
        assert np.allclose(moments.mean, drawn.mean(axis=0))
        assert np.allclose(moments.std, drawn.std(axis=0))


def test_samples_spread_where_nothing_was_measured_and_agree_where_it_was(pieces):
    """A Gaussian prior: in k-space the std is that of the prior outside the mask and far smaller inside it."""
    piece = prepare(simulated(48, 1, 1).kspace[0], maps=np.ones((1, 48, 48), np.complex64), how=Sampling(3))
    drawn = samples(piece, Plan(Gaussian(0, 0.3), n_samples=8, chunk=4)) / piece.scan.scale
    spread = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(drawn, axes=-1), norm="ortho"), axes=-1).std(axis=0)
    measured = piece.scan.mask
    unmeasured = np.sqrt(np.mean(spread[:, ~measured] ** 2) * 8 / 7)
    assert unmeasured == pytest.approx(0.3 * 2**0.5, rel=0.06)
    assert spread[:, measured].mean() < 0.15 * unmeasured


def test_every_call_of_the_network_is_seen(prior, pieces):
    plan, seen = Plan(prior, n_samples=3, chunk=2, steps=4), []
    samples(pieces[0], plan, watch=lambda: seen.append(None))
    assert len(seen) == 2 * plan.calls == 10


def test_a_batch_is_as_large_as_memory_allows(prior):
    plan = Plan(prior, n_samples=8)
    assert plan.batches(256 * 256) == [range(8)]
    assert plan.batches(512 * 512) == [range(4), range(4, 8)]
    assert [len(b) for b in plan.batches(10**9)] == [1] * 8
    assert replace(plan, chunk=3).batches(64) == [range(3), range(3, 6), range(6, 8)]
    assert replace(plan, every=4).batches(64) == [range(4), range(4, 8)]
    assert replace(plan, chunk=2, every=3).batches(64) == [range(2), range(2, 4), range(4, 6), range(6, 8)]


def test_a_chain_that_diverges_is_no_image(pieces):
    class Broken(Prior):
        def denoise(self, x, sigma):
            return x * float("nan")

    with pytest.raises(ResultError, match="at level 2 of 100, step 1 of 1"):
        samples(pieces[0], Plan(Broken()))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"n_samples": 0}, "--samples 0"),
        ({"sigma_y": -1.0}, "--sigma-y -1"),
        ({"sigma_y": float("nan")}, "--sigma-y nan"),
        ({"sampler": "csgm", "steps": 5}, "levels of csgm"),
    ],
)
def test_a_plan_that_cannot_be_is_a_wrong_use(prior, options, text):
    with pytest.raises(UsageError, match=text):
        Plan(prior, **options)


def test_maps_that_do_not_fit_are_refused():
    kspace = simulated(48, 4, 2).kspace[0]
    with pytest.raises(DataError, match="maps have 3 coils, k-space has 4"):
        prepare(kspace, maps=np.ones((3, 48, 48), np.complex64), how=Sampling(3))
    with pytest.raises(DataError, match="one set of maps, these are 2"):
        prepare(kspace, maps=np.ones((2, 4, 48, 48), np.complex64), how=Sampling(3))


def test_weights_of_another_sort_are_no_prior():
    with pytest.raises(DataError, match="architecture is 'flat', expected ncsnv2, edm"):
        load_prior("flat-small")


def test_the_function_is_the_command_for_arrays(prior, tmp_path):
    path = tmp_path / "prior.safetensors"
    weights.save(path, prior.state_dict(), {"architecture": "edm", "config": prior.config.to_json()})
    kspace = simulated(48, 4, 2).kspace
    how = {"model": str(path), "samples": 2, "steps": 3, "seed": 4}
    mean, std = api.langevin(kspace, 3, **how)
    assert (mean.shape, mean.dtype, std.shape, std.dtype) == ((2, 48, 48), np.complex64, (2, 48, 48), np.float32)
    alone = samples(prepare(kspace[1], how=Sampling(3, seed=4)), Plan(prior, n_samples=2, steps=3, seed=4), 1)
    assert close(mean[1], alone.mean(axis=0))
    assert np.allclose(std[1], alone.std(axis=0), rtol=1e-2, atol=1e-3 * std.max())
