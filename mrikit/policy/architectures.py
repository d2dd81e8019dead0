"""Velocity networks and tasks by name, and the policy that a card describes."""

from __future__ import annotations

from typing import Any

from mrikit import weights
from mrikit.errors import DataError, UsageError
from mrikit.policy.flow import STEPS
from mrikit.policy.images import ImageConfig, ImageTask
from mrikit.policy.model import FlowPolicy
from mrikit.policy.mri import MriConfig, MriTask
from mrikit.policy.task import Item, Task
from mrikit.policy.velocity import LineConfig, LineVelocity, PixelConfig, PixelVelocity, Velocity
from mrikit.train import config
from mrikit.unrolled.architectures import ARCHITECTURES

LINE_SAMPLES = 16  # take next to no time
#: name -> its settings and what they build
VELOCITIES: dict[str, tuple[Any, Any]] = {
    "lines": (LineConfig, LineVelocity),
    "pixels": (PixelConfig, PixelVelocity),
}
TASKS: dict[str, tuple[Any, Any]] = {"mri": (MriConfig, MriTask), "image": (ImageConfig, ImageTask)}


def build_velocity(settings: LineConfig | PixelConfig) -> Velocity:
    """A new velocity network of these settings."""
    return LineVelocity(settings) if isinstance(settings, LineConfig) else PixelVelocity(settings)


def _build(kinds: dict[str, tuple[Any, Any]], described: Any) -> Any:
    """What `{"kind": ..., "config": ...}` describes. Raises DataError where it cannot be."""
    if not isinstance(described, dict) or not isinstance(described.get("config"), dict):
        raise DataError(f"this describes no network: {described!r}")
    return config.build(kinds, described.get("kind", ""), described["config"])


def build(architecture: str, values: dict[str, Any]) -> FlowPolicy:
    """A new policy of random weights, of a card's architecture and config. Raises DataError where they cannot be."""
    if architecture != "policy":
        raise DataError(f"architecture is {architecture!r}, expected policy")
    return FlowPolicy(_build(VELOCITIES, values.get("velocity")), _build(TASKS, values.get("task")))


def config_of(policy: FlowPolicy) -> dict[str, Any]:
    """What `build` makes such a policy of."""
    return {
        "velocity": _described(VELOCITIES, policy.velocity),
        "task": _described(TASKS, policy.task),
    }


def _described(kinds: dict[str, tuple[Any, Any]], network: Any) -> dict[str, Any]:
    for name, (_, kind) in kinds.items():
        if isinstance(network, kind):
            return {"kind": name, "config": network.config.to_json()}
    raise DataError(f"no card can describe a {type(network).__name__}")


def velocity_for(task: Task, item: Item) -> LineConfig | PixelConfig:
    """Settings of a velocity network that takes what `task` sees of such items."""
    if isinstance(task, ImageTask):
        return PixelConfig(task.config.n_y, task.config.n_x, task.config.features)
    return LineConfig(item.budget.n, task.condition(item).shape[1])


def load_task(model: str, device: str = "cpu") -> Any:
    """The task of a policy, or that of an unrolled network; by a default model's name or a weights file."""
    architecture = weights.card(model)["architecture"]
    if architecture == "policy":
        return load_policy(model, device).task
    if architecture not in tuple(ARCHITECTURES):
        raise DataError(f"{model}: architecture is {architecture!r}, expected policy, {', '.join(ARCHITECTURES)}")
    return MriTask.of(model).to(device)


def load_policy(
    model: str, device: str = "cpu", solver: str = "euler", n_steps: int = STEPS, samples: int | None = None
) -> FlowPolicy:
    """The policy of a default model's name or of a weights file, ready on `device`.

    solver, n_steps: of its flow. samples: as `FlowPolicy` has them, by default `LINE_SAMPLES` of lines and one of
    pixels. Raises UsageError for none.
    """
    if samples is not None and samples < 1:
        raise UsageError(f"--samples {samples}: expected 1 or more")
    policy = weights.network(model, build, device)
    policy.solver, policy.n_steps = solver, n_steps
    policy.samples = samples or (LINE_SAMPLES if isinstance(policy.velocity, LineVelocity) else 1)
    return policy
