"""`import mrikit` is free, and its functions are those of the commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import mrikit
from mrikit.errors import DataError, UsageError

ROOT = Path(__file__).resolve().parents[1]


def test_importing_mrikit_loads_nothing() -> None:
    code = "import sys, mrikit; print(*(name for name in sys.modules if name.startswith(('mrikit', 'numpy'))))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert set(done.stdout.split()) == {"mrikit", "mrikit._version"}


@pytest.mark.parametrize("name", sorted(mrikit._API))
def test_every_name_of_the_table_can_be_had(name: str) -> None:
    value = getattr(mrikit, name)

    assert callable(value)
    assert value.__doc__
    assert name in dir(mrikit)
    assert getattr(mrikit, name) is value


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'esprit'"):
        mrikit.esprit


@pytest.mark.parametrize("name", ["rss", "whiten", "compress", "espirit", "flat_recon"])
def test_a_volume_is_its_slices(name: str) -> None:
    import numpy as np

    kspace = mrikit.phantom(48, coils=9, slices=2, seed=1)
    function = getattr(mrikit, name)
    assert np.allclose(function(kspace), np.stack([function(one) for one in kspace]), atol=1e-5)


def test_masks_and_maps_of_a_volume_go_slice_by_slice() -> None:
    import numpy as np

    kspace = mrikit.phantom(48, coils=4, slices=2, seed=1)
    maps = mrikit.espirit(kspace)
    masks = np.stack([mrikit.mask((48, 48), 2, kind="poisson", seed=s) for s in (1, 2)])
    together = mrikit.flat_recon(kspace, mask=masks, maps=maps)
    alone = [mrikit.flat_recon(k, mask=m, maps=s) for k, m, s in zip(kspace, masks, maps, strict=True)]
    assert np.allclose(together, np.stack(alone), atol=1e-5)

    echoes = mrikit.flat_recon(kspace[None], mask=masks[None], maps=maps[None])
    assert echoes.shape == (1, 2, 48, 48) and np.array_equal(echoes[0], together)
    mean, std = mrikit.langevin(kspace[None], mask=masks[None], maps=maps[None], samples=2, steps=2)
    assert mean.shape == std.shape == echoes.shape
    for wrong in ({"mask": masks[:1]}, {"mask": masks[None]}, {"maps": maps[:1]}):
        with pytest.raises(DataError, match=r"do not fit k-space of 2 x 4 x 48 x 48, slice by slice"):
            mrikit.flat_recon(kspace, **wrong)


def test_a_slice_of_one_coil_is_said_how_to_be_saved(tmp_path: Path) -> None:
    import numpy as np

    np.save(tmp_path / "flat.npy", np.ones((32, 32), np.complex64))
    with pytest.raises(DataError, match="found 2 axes") as caught:
        mrikit.open_reader(tmp_path / "flat.npy", "kspace")
    assert "array[None, None]" in str(caught.value.hint)


def test_tensors_are_taken_wherever_numpy_arrays_are() -> None:
    import numpy as np
    import torch

    kspace = mrikit.phantom(48, coils=4, slices=2, seed=1)
    maps, lines = mrikit.espirit(kspace), mrikit.mask((48, 48), 2)
    policy, one = mrikit.load_policy("policy-128-array"), kspace[0]
    calls = {
        "flat_recon": ((kspace,), {"mask": lines, "maps": maps}),
        "langevin": ((kspace, 2), {"maps": maps, "samples": 2, "steps": 2}),
        "pics": ((kspace, maps), {"n_iters": 3}),
        "convdecoder": ((kspace, maps), {"n_iters": 2}),
        "undersample": ((kspace, lines), {}),
        "rss": ((kspace,), {}),
        "mvue": ((kspace, maps), {}),
        "propose": ((policy, one, 4), {}),
    }

    def tensors(values: object) -> object:
        return torch.from_numpy(values) if isinstance(values, np.ndarray) else values

    for name, (given, options) in calls.items():
        function = getattr(mrikit, name)
        expected = np.asarray(function(*given, **options))
        found = function(*map(tensors, given), **{key: tensors(value) for key, value in options.items()})
        tiny = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-4, atol=tiny, err_msg=name)
    assert np.array_equal(mrikit.propose("policy-128-array", one, 4), mrikit.propose(policy, one, 4))
    image = mrikit.rss(kspace)
    assert mrikit.metrics(tensors(image), tensors(image + 1)) == mrikit.metrics(image, image + 1)


@pytest.mark.parametrize("name", ["espirit", "rss", "whiten", "compress", "mvue", "pics", "flat_recon", "langevin"])
def test_kspace_that_cannot_be_is_refused(name: str) -> None:
    """As the commands refuse it. Real numbers gave another image without a word, NaN an image of NaN."""
    import numpy as np

    kspace = mrikit.phantom(48, coils=4, slices=2, seed=1)
    maps, nan = mrikit.espirit(kspace), kspace.copy()
    nan[1, 2, 3, 4] = np.nan
    function, more = getattr(mrikit, name), (maps,) if name in ("mvue", "pics") else ()
    wrong = {
        "must be complex, found float32": kspace.real,
        "has NaN or infinity": nan,
        "48 x 48, expected": kspace[0, 0],
    }
    for found, array in wrong.items():
        with pytest.raises(DataError, match=f"^k-space:? {found}"):
            function(array, *more)
    if more:
        with pytest.raises(DataError, match="maps has NaN or infinity"):
            function(kspace, np.full_like(maps, np.nan))
        with pytest.raises(DataError, match="maps are 1 x 4 x 48 x 48, which does not fit k-space of 2 x 4 x 48 x 48"):
            function(kspace, maps[:1])
    if name in ("flat_recon", "langevin"):
        with pytest.raises(DataError, match="maps are zero everywhere"):
            function(kspace, maps=np.zeros_like(maps))


@pytest.mark.slow
def test_training_needs_a_job_and_a_recipe(tmp_path: Path) -> None:
    import numpy as np

    images = str(tmp_path / "images.npy")
    np.save(images, np.random.default_rng(0).random((2, 64, 64)).astype(np.float32))
    for train in (mrikit.unroll_train, mrikit.score_train):
        out = tmp_path / f"{train.__name__}.safetensors"
        train([images], mrikit.Job(str(out)), recipe=mrikit.Recipe(1), simulated=0.0)
        assert out.is_file() and out.with_suffix(".json").is_file()


def test_defaults_are_those_of_the_commands() -> None:
    import inspect

    from mrikit.cli.app import load, table

    renamed = {"reg": "reg", "lamda": "lamda", "iters": "n_iters"}
    compared = 0
    for name in table():
        function = getattr(mrikit, name.replace("-", "_"), None)
        if not callable(function) or name in ("unroll-train", "score-train"):
            continue
        own = {n: p.default for n, p in inspect.signature(function).parameters.items()}
        for option in load(name).params:
            key = renamed.get(option.name, option.name)
            if key in own and own[key] is not inspect.Parameter.empty and key not in ("device", "seed"):
                assert option.default in (own[key], str(own[key])) or tuple(option.default) == own[key], (name, key)
                compared += 1
    assert compared > 15


def test_what_is_no_array_or_of_two_kinds_is_said_in_a_line() -> None:
    import torch

    kspace = mrikit.phantom(48, coils=4)[0]
    for wrong in ("scan.h5", [kspace]):
        with pytest.raises(DataError, match=r"k-space must be an array, found (str|list)"):
            mrikit.espirit(wrong)
    with pytest.raises(DataError, match=r"arrays of one kind are expected, found torch.Tensor, numpy.ndarray"):
        mrikit.mvue(torch.from_numpy(kspace), kspace)
    with pytest.raises(UsageError, match="--calib '24': expected a number, two, or auto"):
        mrikit.espirit(kspace, calib="24")
    assert (mrikit.mask(48, 4) == mrikit.mask((48, 48), 4)).all()
