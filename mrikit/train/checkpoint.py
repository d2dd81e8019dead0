"""A training run on disk: its state, one safetensors file that is replaced whole, and its losses, line by line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, safe_open, save_file

from mrikit.errors import DataError, UsageError

if TYPE_CHECKING:
    from mrikit.train.loop import State


def save_state(path: Path, state: State, recipe: dict[str, Any]) -> None:
    """Write weights, average, Adam's moments and the step to `path`; an older state stays until this one is whole."""
    tensors = {f"model.{k}": v for k, v in state.model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in state.average.items()}
    for i, (_, moments) in enumerate(sorted(_moments(state).items())):
        for name in ("exp_avg", "exp_avg_sq", "step"):
            tensors[f"adam.{i}.{name}"] = moments[name]
    temporary = path.with_name(f".{path.name}.part")
    save_file(
        {k: v.detach().cpu().contiguous() for k, v in tensors.items()},
        temporary,
        {"step": str(state.step), "recipe": json.dumps(recipe)},
    )
    temporary.replace(path)


def load_state(path: Path, state: State, recipe: dict[str, Any]) -> None:
    """Fill `state` from `path`. Raises DataError where it belongs to another model, UsageError to another recipe."""
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        state.step = int(file.metadata()["step"])
        saved = json.loads(file.metadata()["recipe"])
    changed = [name for name, value in recipe.items() if saved.get(name) != value]
    if changed:
        was = ", ".join(f"{name} {saved.get(name)}" for name in changed)
        raise UsageError(f"{path}: that run had {was}", hint="resume with the same, or begin anew with --force")
    try:
        state.model.load_state_dict(_below(tensors, "model."))
        state.average = _below(tensors, "average.")
        moments = [_below(tensors, f"adam.{i}.") for i in range(len(list(state.model.parameters())))]
    except RuntimeError as error:
        raise DataError(f"{path}: this training state belongs to another model") from error
    described = state.optimiser.state_dict()
    described["state"] = {i: m for i, m in enumerate(moments) if m}
    state.optimiser.load_state_dict(described)


def start_log(folder: Path) -> None:
    """Begin `folder`/loss.jsonl anew."""
    (folder / "loss.jsonl").write_text("")


def log(folder: Path, line: dict[str, float]) -> None:
    """Append a line to `folder`/loss.jsonl."""
    with (folder / "loss.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def _moments(state: State) -> dict[int, dict[str, torch.Tensor]]:
    return state.optimiser.state_dict()["state"]


def _below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
