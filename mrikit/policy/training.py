"""Training a sampling policy, from files to weights with a card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from mrikit import weights
from mrikit.errors import UsageError
from mrikit.policy.architectures import build_velocity, config_of, load_task, velocity_for
from mrikit.policy.fit import train_flow, train_task
from mrikit.policy.images import ImageTask
from mrikit.policy.model import FlowPolicy
from mrikit.policy.mri import MriTask
from mrikit.policy.objective import Objective
from mrikit.policy.subject import Subject
from mrikit.policy.task import Task
from mrikit.train import distributed
from mrikit.train.loop import Recipe
from mrikit.train.run import Job, n_parameters


def policy_train(
    subject: Subject,
    job: Job,
    *,
    recipe: Recipe,
    task_steps: int = 1000,
    task_model: str | None = None,
    objective: Objective | None = None,
) -> FlowPolicy:
    """Train a task model for `subject`, freeze it, train a flow policy for it; write both, and a card.

    The run of the task model is kept in the folder `task` of the job's. recipe: of the flow, and, with `task_steps`
    steps, of the task model, of which a MoDL takes as many with one unroll before. task_model: weights to take instead
    of training one, by name or file: a policy's own task, or an unrolled network. Started by torchrun, the processes
    train together.

    Raises CannotCreateError where there is a run or a card already, UsageError where the task model is for another
    subject, TemporaryError when asked to stop. Source: arXiv 2606.00078.
    """
    aims, folder, say = objective or Objective(), job.folder, job.watcher.say
    job.require_free()

    with distributed.joined(job.device) as device:
        torch.manual_seed(recipe.seed)
        lesson = subject.lesson(recipe.seed, device, folder / "mvue", job.watcher)
        terms = {
            **subject.terms(),
            "skipped": list(lesson.skipped),
            "task_model": weights.card(task_model)["sha256"] if task_model else None,
        }

        def learn(task: Task, place: Path) -> None:
            train_task(
                task, lesson.items, lesson.masks, replace(recipe, n_steps=task_steps), place,
                terms=terms, **job.told(place),
            )  # fmt: skip

        if task_model:
            task = fitting_task(task_model, lesson.task, device)
        else:
            task = lesson.task.to(device, memory_format=torch.channels_last)
            terms |= {"task_steps": task_steps, "task_config": task.config.to_json()}
            shallow = task.shallow() if isinstance(task, MriTask) else None
            if shallow:
                say(f"the task model with one unroll, {task_steps} steps")
                learn(shallow.to(device, memory_format=torch.channels_last), folder / "task" / "one-unroll")
                task.load_state_dict(shallow.state_dict())
            say(f"the task model, {task_steps} steps")
            learn(task, folder / "task")
        if aims.target == "learned":
            say(f"what the target masks are drawn by, {recipe.n_steps} steps, and then")
        say(f"the flow, {recipe.n_steps} steps")
        torch.manual_seed(recipe.seed)  # a run that is resumed behind the task model has drawn nothing for it
        velocity = velocity_for(task, next(lesson.items(range(1))))
        terms |= {"objective": aims.to_json(), "velocity": velocity.to_json()}
        policy, state = train_flow(
            build_velocity(velocity).to(device), task, lesson.items, aims, recipe, folder,
            terms=terms, **job.told(folder),
        )  # fmt: skip
        job.finish(
            policy, state, job.how(recipe, "batches", terms, ()),
            architecture="policy", config=config_of(policy),
            summary=f"a flow to masks of {velocity.n} places, {n_parameters(policy.velocity):,} parameters, "
            "and its task",
        )  # fmt: skip
    return policy


def fitting_task(model: str, wanted: MriTask | ImageTask, device: str) -> MriTask | ImageTask:
    """The task model `model`, with the loss of `wanted`. Raises UsageError where it is for another subject."""
    task = load_task(model, device)
    task.config = replace(task.config, loss=wanted.config.loss)
    if isinstance(task, ImageTask) and isinstance(wanted, ImageTask):
        fits = replace(task.config, features=wanted.config.features) == wanted.config
    else:
        fits = type(task) is type(wanted)
    if not fits:
        raise UsageError(f"{model}: its task is {task.config}, these data need {wanted.config}")
    return task
