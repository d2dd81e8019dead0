"""What policies are trained for: the scans, or the pictures, that are to be measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mrikit.errors import UsageError
from mrikit.policy.budget import Budget, lines, pixels
from mrikit.policy.fit import Items
from mrikit.policy.images import ImageConfig, ImageTask, Pictures, PictureStream
from mrikit.policy.mri import MriConfig, MriTask, Slices
from mrikit.policy.objective import Objective
from mrikit.policy.rivals.fixed import any_density, random
from mrikit.policy.scans import HeldBack, SliceStream
from mrikit.policy.task import Policy
from mrikit.train.collect import Say, as_paths, collect_together, files_at, read
from mrikit.train.pictures import gallery
from mrikit.train.presets import Preset
from mrikit.train.run import Watcher
from mrikit.unrolled.presets import preset

DRAWS = 16  # of the flow's loss for lines, whose network takes next to no time beside the task's
LEARNED = (0.0, 0.8)  # of pictures, in order, those that are learned from; the next tenth is for whoever tunes
HELD_BACK = (0.9, 1.0)  # and those that policies are compared on


@dataclass(frozen=True)
class Lesson:
    """items: batches by number, each with its budget. task: a new one for them. masks: what that one learns from.

    skipped: names of the files that could not be learned from.
    """

    items: Items
    task: MriTask | ImageTask
    masks: Policy
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScanSubject:
    """Square scans of `matrix` lines, simulated of the images in `files`, k-space included, and of anatomy.

    accels: one is drawn for every batch. coils: one of these numbers is drawn for every batch. simulated: share of
    simulated anatomy. network, loss: of a new task model.
    """

    files: Sequence[Path]
    accels: Sequence[float] = (4.0,)
    matrix: int = 128
    batch: int = 4
    coils: Sequence[int] = (1,)
    simulated: float = 0.5
    network: Preset | None = None
    loss: str = "l1"
    strict: bool = False

    def __post_init__(self) -> None:
        _ = self.budgets  # raises UsageError where they cannot be

    @property
    def budgets(self) -> list[Budget]:
        """One for each acceleration."""
        return [lines(self.matrix, accel) for accel in self.accels]

    def lesson(self, seed: int, device: str, cache: Path, watcher: Watcher) -> Lesson:
        """What there is to learn. cache: folder for the MVUE images of k-space. Raises what `collect` does."""
        learned, _ = collect_together(
            self.files, (), self.simulated, cache=cache, as_measured=0.0, strict=self.strict,
            warn=watcher.warn, say=watcher.say,
        )  # fmt: skip
        coils = tuple(self.coils)
        stream = SliceStream(learned.images, self.budgets, self.matrix, batch=self.batch, coils=coils, seed=seed)
        network = {"architecture": self.network.architecture, "network": self.network.config} if self.network else {}
        task = MriTask(MriConfig(loss=self.loss, **network))
        return Lesson(lambda numbers: stream.items(numbers, device), task, any_density(self.matrix), learned.skipped)

    def trials(self, limit: int, cache: Path, say: Say) -> list[Slices]:
        """At most `limit` slices to compare policies on, evenly from all, at the first acceleration.

        Those of k-space are as they were measured; images are scans of the first number of coils, with noise.
        """
        sources = [read(file, cache, say) for path in self.files for file in files_at(path)]
        stream = HeldBack(sources, self.budgets[0], self.matrix, self.coils[0])
        return [stream[i] for i in evenly(len(stream), limit)]

    def terms(self) -> dict[str, Any]:
        """What a resumed run must agree in, and a card says."""
        return {
            "task": "mri",
            "train": [file.name for file in self.files],
            "accel": list(self.accels),
            "matrix": self.matrix,
            "batch": self.batch,
            "coils": list(self.coils),
            "simulated_anatomy": self.simulated,
        }


@dataclass(frozen=True)
class PictureSubject:
    """Pictures in `files`, of which a share of the pixels is measured.

    rates: the share is drawn between these two for every batch. side: as `train.pictures.gallery` has it. classify:
    tell their labels, instead of reconstructing them. whole: learn from all of them, not from `LEARNED` alone.
    """

    files: Sequence[Path]
    rates: tuple[float, float] = (0.05, 0.5)
    side: int | None = None
    batch: int = 64
    classify: bool = False
    whole: bool = False
    loss: str = "l1"

    def __post_init__(self) -> None:
        for rate in self.rates:
            pixels(1, rate)  # raises UsageError where it cannot be
        low, high = self.rates
        if low > high:
            raise UsageError(f"--rate {low:g},{high:g}: expected the lower end first")

    def lesson(self, seed: int, device: str, cache: Path, watcher: Watcher) -> Lesson:
        """What there is to learn. Raises what `gallery` does, DataError where there are no labels to tell."""
        shown = gallery(self.files, self.side)
        labels = shown.require_labels() if self.classify else None
        learned = shown if self.whole else shown.part(*LEARNED)
        n_channels, n_y, n_x = shown.images.shape[1:]
        stream = PictureStream(learned.images, learned.labels, rates=self.rates, batch=self.batch, seed=seed)
        n_classes = 0 if labels is None else int(labels.max()) + 1
        config = ImageConfig(n_y, n_x, n_channels, n_classes, loss=self.loss)
        return Lesson(lambda numbers: stream.items(numbers, device), ImageTask(config), random(n_y * n_x))

    def trials(self, limit: int, cache: Path, say: Say) -> list[Pictures]:
        """At most `limit` pictures to compare policies on, evenly from `HELD_BACK` or from all, in batches."""
        shown = gallery(self.files, self.side)
        shown = shown if self.whole else shown.part(*HELD_BACK)
        chosen = evenly(len(shown), limit)
        labels = shown.require_labels()[chosen] if self.classify else None
        return PictureStream(shown.images[chosen], labels, rates=self.rates, batch=self.batch).each()

    def terms(self) -> dict[str, Any]:
        """What a resumed run must agree in, and a card says."""
        return {
            "task": "classify" if self.classify else "reconstruct",
            "train": [file.name for file in self.files],
            "rate": list(self.rates),
            "batch": self.batch,
            "share_learned_from": [0.0, 1.0] if self.whole else list(LEARNED),
        }


Subject = ScanSubject | PictureSubject


def evenly(n: int, limit: int) -> np.ndarray:
    """At most `limit` of n numbers from 0, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, limit)).round().astype(int))


@dataclass(frozen=True)
class Kind:
    """What the paper chose for pictures of one kind. side: None leaves them as they are."""

    rates: tuple[float, float]
    side: int | None
    classify: bool = False
    target: str = "energy"
    gamma: float = 4.0
    gate: tuple[float, float] = (20.0, 2.0)


PICTURES = {
    "image": Kind((0.0488, 0.4883), 128),
    "digits-classify": Kind((0.01, 0.08), None, classify=True, target="learned", gamma=1.0, gate=(30.0, 1.0)),
    "digits-reconstruct": Kind((10 / 1024, 500 / 1024), 32, target="learned", gamma=1.0),
}


def subject(
    kind: str,
    files: Path | str | Sequence[Path | str],
    *,
    accels: Sequence[float] | None = None,
    rates: tuple[float, float] | None = None,
    matrix: int | None = None,
    coils: Sequence[int] | None = None,
    network: str | None = None,
    batch: int | None = None,
    simulated: float | None = None,
    whole: bool = False,
    loss: str = "l1",
    strict: bool = False,
) -> Subject:
    """Scans for the kind `mri`, or one of `PICTURES`, in which what is None is as in the paper.

    network: a preset's name or file.

    Raises UsageError for what is not of that kind, and what `preset` raises.
    """
    files = as_paths(files)
    scans = {"--accel": accels, "--coils": coils, "--config": network, "--strict": strict or None}
    scans |= {"--simulated": simulated}
    pictures = {"--rate": rates, "--whole": whole or None}
    for option, value in (pictures if kind == "mri" else scans).items():
        if value is not None:
            raise UsageError(f"{option} has no meaning for --task {kind}")
    if kind == "mri":
        chosen = preset(network) if network else None
        return ScanSubject(
            files,
            accels or (4.0,),
            matrix or 128,
            batch or 4,
            coils or (1,),
            0.5 if simulated is None else simulated,
            chosen,
            loss,
            strict,
        )
    usual = PICTURES[kind]
    return PictureSubject(files, rates or usual.rates, matrix or usual.side, batch or 64, usual.classify, whole, loss)


def objective(
    kind: str,
    *,
    target: str | None = None,
    gamma: float | None = None,
    gate: tuple[float, float] | None = None,
    losses: str | None = None,
    **more: Any,
) -> Objective:
    """The objective for a subject of that kind. What is None is as in the paper, but for lines, where the task's loss
    alone gives better masks, and for `DRAWS`.

    Raises UsageError for a target that is of lines alone.
    """
    usual = PICTURES.get(kind)
    if usual and target == "half":
        raise UsageError(f"--target half has no meaning for --task {kind}", hint="it is for the lines of a scan")
    if losses == "flow" and (gate or more.get("straight_through")):
        option = "--gate" if gate else "--straight-through"
        raise UsageError(f"{option} has no meaning with --learn-by flow, which shows the task model no masks")
    if target == "softmax" and gamma is not None:
        raise UsageError("--gamma has no meaning for --target softmax")
    steepness, power = gate or (usual.gate if usual else (20.0, 2.0))
    sharpness = gamma if gamma is not None else usual.gamma if usual else 4.0
    draws = 1 if usual else DRAWS
    chosen = target or (usual.target if usual else "energy")
    learn_by = losses or ("both" if usual else "task")
    return Objective(
        losses=learn_by, target=chosen, gamma=sharpness, steepness=steepness, power=power, draws=draws, **more
    )
