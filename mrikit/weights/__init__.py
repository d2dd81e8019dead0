"""Default models and weights files: NAME.safetensors with its card NAME.json beside it.

The card says what the network is, what made it, and the SHA-256 of the weights, so that a file that was cut short
or changed is found out before it is used. Nothing here is ever a pickle.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

from mrikit.errors import DataError, MissingInputError, UnsafeError

Build = Callable[[str, dict[str, Any]], Any]

FOLDER = Path(__file__).parent
FORMAT = 1
MAX_BYTES = 2 * 2**30


def names() -> list[str]:
    """Default models that ship with mrikit."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def find(model: str, architectures: Collection[str] = ()) -> Path:
    """The .safetensors file of a default model's name or of a path to weights.

    architectures: those that will do, where not all do. Raises DataError for a default model of
    another and for what is no .safetensors, MissingInputError where there is no such file, UnsafeError for a pickle.
    """
    offered = [name for name in names() if not architectures or card(name)["architecture"] in architectures]
    if model in names():
        if model not in offered:
            raise DataError(
                f"{model}: architecture is {card(model)['architecture']!r}, expected {', '.join(architectures)}",
                hint=f"the default models are {', '.join(offered)}",
            )
        return FOLDER / f"{model}.safetensors"
    path = Path(model)
    if path.suffix in (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin"):
        raise UnsafeError(
            f"{model}: refused, since loading a pickle runs the code in it",
            hint="convert it to .safetensors with the tool that wrote it",
        )
    if not path.exists():
        raise MissingInputError(
            f"{model}: there is no such file and no such default model",
            hint=f"the default models are {', '.join(offered)}",
        )
    if path.suffix != ".safetensors":
        raise DataError(f"{model}: weights are a .safetensors file, with its .json card beside it")
    return path


def card(model: str) -> dict[str, Any]:
    """The model card of a default model's name or of a path to weights."""
    path = find(model).with_suffix(".json")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingInputError(
            f"{model}: its card {path.name} is missing", hint="keep NAME.safetensors and NAME.json together"
        ) from None
    except (ValueError, RecursionError):
        raise DataError(f"{path}: this card is not JSON") from None
    number = content.get("format") if isinstance(content, dict) else None
    # First of all, since a newer card may have other fields.
    if isinstance(number, int) and number > FORMAT:
        raise DataError(
            f"{path}: weights of format {number}, this mrikit knows up to {FORMAT}", hint="install a newer mrikit"
        )
    known = isinstance(number, int) and {"architecture", "config", "sha256"} <= content.keys()
    if not known or not isinstance(content["config"], dict):
        raise DataError(f"{path}: this is not a card of mrikit's weights")
    return content


def summary(name: str, card: dict[str, Any]) -> str:
    """One line about a model: what it is for, its size, what it was trained on."""
    path = find(name)
    return f"{name:16} {card['architecture']:8} {path.stat().st_size / 1e6:5.1f} MB  {card.get('summary', '')}"


def as_text(card: dict[str, Any], indent: str = "") -> str:
    """A card as aligned lines of text."""
    lines = []
    for key, value in card.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}:", as_text(value, indent + "  ")]
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            lines.append(f"{indent}{key + ':':22} {text}")
    return "\n".join(lines)


def load(model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tensors by name, and the card, of a default model's name or of a path to weights.

    Weights that are kept in half precision, for half the size, are of single precision here. Raises UnsafeError for
    pickles and for weights that are not those the card describes.
    """
    import safetensors.torch

    described = card(model)
    path = find(model)
    if path.stat().st_size > MAX_BYTES:
        raise UnsafeError(f"{path}: {path.stat().st_size} bytes of weights, the limit is {MAX_BYTES}")
    content = path.read_bytes()
    try:
        tensors = safetensors.torch.load(content)
    except Exception as error:  # the library has one exception for all; what it says is too low for a user
        raise DataError(f"{path}: not a safetensors file, or one cut short") from error
    if hashlib.sha256(content).hexdigest() != described["sha256"]:
        raise UnsafeError(
            f"{path}: these are not the weights that its card describes",
            hint="copy the .safetensors and the .json again, from one place",
        )
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}, described


def network(model: str, build: Build, device: str = "cpu") -> Any:
    """The network of a default model's name or of a path to weights, ready on `device`.

    build: makes one of an architecture's name and its settings. Raises DataError where it cannot be made of the card,
    or the weights are not its own, and what `load` raises.
    """
    import torch

    tensors, described = load(model)
    try:
        # On the meta device a network takes no memory, whatever sizes the card claims.
        with torch.device("meta"):
            made = build(described["architecture"], described["config"])
        made.load_state_dict(tensors, assign=True)
    except DataError as error:
        raise DataError(f"{model}: its card does not fit here: {error}") from error
    except RuntimeError as error:
        raise DataError(f"{model}: the weights do not fit the network that the card describes") from error
    return made.to(device, memory_format=torch.channels_last).eval()


def kept(model: str, build: Build, architectures: Collection[str], device: str = "cpu") -> Any:
    """`network`, kept for the next call until the file changes. architectures: as `find` has them."""
    return _kept(model, build, find(model, architectures).stat().st_mtime_ns, device)


@lru_cache(maxsize=4)
def _kept(model: str, build: Build, _changed: int, device: str) -> Any:
    return network(model, build, device)


def fill(network: Any, model: str) -> str:
    """Give `network` the weights of a default model's name or of a path; returns their SHA-256.

    A network with a method `handed_out` has them from there, and so can begin with those of another size. Raises
    DataError where they are another network's, and what `load` raises.
    """
    tensors, described = load(model)
    handed_out = getattr(network, "handed_out", lambda given: given)
    try:
        network.load_state_dict(handed_out(tensors))
    except RuntimeError as error:
        raise DataError(
            f"{model}: these weights are of another network than the one to be trained",
            hint=f"`mrikit models {model}` shows its settings",
        ) from error
    return str(described["sha256"])


def save(path: Path, tensors: dict[str, Any], card: dict[str, Any]) -> None:
    """Write weights to `path` (.safetensors) and their card, with the hash, beside them."""
    import safetensors.torch

    from mrikit.io.atomic import write_whole

    content = safetensors.torch.save({k: v.detach().cpu().contiguous() for k, v in tensors.items()})
    full = {"format": FORMAT, **card, "sha256": hashlib.sha256(content).hexdigest()}
    text = json.dumps(full, indent=2, ensure_ascii=False) + "\n"
    for target, data in ((path, content), (path.with_suffix(".json"), text.encode())):
        write_whole(target, data)
