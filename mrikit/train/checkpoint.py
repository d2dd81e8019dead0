"""A training run on disk: its state, one safetensors file that is replaced whole, and its losses, line by line."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, safe_open, save

from mrikit.errors import DataError, TemporaryError, UsageError
from mrikit.io.atomic import write_whole

if TYPE_CHECKING:
    from mrikit.train.loop import State


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Have `folder`, which is there, for this process. Raises TemporaryError where another trains in it."""
    lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise TemporaryError(
                    f"{folder}: another run is at it", hint="give these weights another name"
                ) from error
        yield
    finally:
        os.close(lock)


def save_state(path: Path, state: State, terms: Mapping[str, Any]) -> None:
    """Write all that `state` has, but its lines, to `path`; an older state stays until this one is whole."""
    tensors = {f"model.{k}": v for k, v in state.model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in state.average.items()}
    for optimiser in state.optimisers:
        for i, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"{_name(optimiser)}.{i}.{name}": moment for name, moment in moments.items()}
    about = {"step": state.step, "usual_norm": state.usual_norm, "tally": state.tally.kept(), "terms": dict(terms)}
    content = save(
        {k: v.detach().cpu().contiguous() for k, v in tensors.items()}, {k: json.dumps(v) for k, v in about.items()}
    )
    write_whole(path, content)


def load_state(path: Path, state: State, terms: Mapping[str, Any]) -> None:
    """Fill `state` from `path`.

    Raises UsageError where that run was on other `terms`, DataError where it trained another model or the file is
    no training state.
    """
    try:
        tensors = load_file(path)
        with safe_open(path, "pt") as file:
            about = {k: json.loads(v) for k, v in file.metadata().items()}
        state.step, state.usual_norm, saved = about["step"], about["usual_norm"], about["terms"]
    except (SafetensorError, AttributeError, KeyError, ValueError) as error:
        raise DataError(
            f"{path}: not a training state of this mrikit's", hint="--force without --resume begins anew"
        ) from error
    asked = json.loads(json.dumps(dict(terms)))  # tuples come back as lists
    changed = [name for name in {**saved, **asked} if saved.get(name) != asked.get(name)]
    if changed:
        was = ", ".join(f"{name} {saved.get(name)}" for name in changed)
        raise UsageError(
            f"{path}: that run had {was}",
            hint="resume with the same; another output, or --force without --resume, begins anew",
        )
    try:
        state.model.load_state_dict(_below(tensors, "model."))
    except RuntimeError as error:
        raise DataError(f"{path}: this training state belongs to another model") from error
    if "tally" in about:  # which states of before do not have
        state.tally.go_on(**about["tally"])
    for name, value in _below(tensors, "average.").items():
        state.average[name].copy_(value)
    for optimiser in state.optimisers:
        moments = [_below(tensors, f"{_name(optimiser)}.{i}.") for i in range(len(list(state.model.parameters())))]
        described = optimiser.state_dict()
        described["state"] = {i: m for i, m in enumerate(moments) if m}
        optimiser.load_state_dict(described)


class Log:
    """`folder`/loss.jsonl, a JSON object a line; `lines` holds them all."""

    def __init__(self, folder: Path, step: int) -> None:
        """Go on after `step`: later lines are dropped, for those steps will be taken again. 0 begins anew."""
        self.path = folder / "loss.jsonl"
        self.lines = [line for line in _read_lines(self.path) if line["step"] <= step] if step else []
        write_whole(self.path, "".join(json.dumps(line) + "\n" for line in self.lines).encode())

    def add(self, line: dict[str, float]) -> None:
        self.lines.append(line)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def _read_lines(path: Path) -> list[dict[str, float]]:
    lines: list[dict[str, float]] = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:  # the last one, cut short when the process was killed
            break
    return lines


def _name(optimiser: torch.optim.Optimizer) -> str:
    return type(optimiser).__name__.lower()


def _below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
