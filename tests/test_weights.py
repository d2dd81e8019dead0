"""Weights files: whole, of this version, what their card says, and never a pickle."""

import json

import pytest
import torch

from mrikit import weights
from mrikit.errors import DataError, MissingInputError, UnsafeError


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.safetensors"
    weights.save(path, {"a": torch.arange(6.0).reshape(2, 3)}, {"architecture": "flat", "config": {}})
    return path


def test_what_is_saved_comes_back(file):
    tensors, card = weights.load(str(file))
    assert torch.equal(tensors["a"], torch.arange(6.0).reshape(2, 3))
    assert card["architecture"] == "flat"
    assert sorted(p.name for p in file.parent.iterdir()) == ["model.json", "model.safetensors"]


def test_half_precision_is_for_files_alone(tmp_path):
    path = tmp_path / "half.safetensors"
    weights.save(path, {"a": torch.arange(6.0).half(), "n": torch.arange(3)}, {"architecture": "flat", "config": {}})
    tensors, _ = weights.load(str(path))
    assert [tensors[name].dtype for name in ("a", "n")] == [torch.float32, torch.int64]
    assert torch.equal(tensors["a"], torch.arange(6.0))


def test_a_network_is_given_weights(file):
    class Network(torch.nn.Module):
        def __init__(self, n):
            super().__init__()
            self.a = torch.nn.Parameter(torch.zeros(2, n))

    network = Network(3)
    assert weights.fill(network, str(file)) == weights.card(str(file))["sha256"]
    assert torch.equal(network.a, torch.arange(6.0).reshape(2, 3))
    with pytest.raises(DataError, match=r"model\.safetensors: these weights are of another network"):
        weights.fill(Network(4), str(file))


def test_cut_short(file):
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"model\.safetensors: not a safetensors file, or one cut short"):
        weights.load(str(file))


def test_tampered_with(file):
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(UnsafeError, match="not the weights that its card describes"):
        weights.load(str(file))


def test_of_a_newer_version(file):
    card = file.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | {"format": 99}))
    with pytest.raises(DataError, match="format 99"):
        weights.load(str(file))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}'])
def test_a_broken_card(file, text):
    file.with_suffix(".json").write_text(text)
    with pytest.raises(DataError, match=r"model\.json"):
        weights.load(str(file))


def test_no_card(file):
    file.with_suffix(".json").unlink()
    with pytest.raises(MissingInputError, match=r"its card model\.json is missing"):
        weights.load(str(file))


def test_a_pickle_is_not_opened(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    with pytest.raises(UnsafeError, match="pickle"):
        weights.load(str(path))


def test_an_unknown_name_lists_the_known(tmp_path):
    with pytest.raises(MissingInputError) as error:
        weights.load("flat-tiny")
    assert "flat-small" in error.value.hint


@pytest.mark.parametrize("name", weights.names())
def test_the_default_weights_are_whole_and_say_what_made_them(name):
    from mrikit.policy.architectures import load_policy
    from mrikit.score.reconstruct import load_prior
    from mrikit.unrolled.reconstruct import load_model

    card = weights.card(name)
    assert {"summary", "training", "licence", "use"} <= card.keys()
    assert {"command", "seed", "train"} <= card["training"].keys()
    assert weights.find(name).stat().st_size < (12e6 if name == "flat-medium" else 8e6)
    loads = {"edm": load_prior, "ncsnv2": load_prior, "policy": load_policy}
    loads.get(card["architecture"], load_model)(name)
