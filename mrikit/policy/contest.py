"""The contest: rivals are trained, and every policy is scored on data that none of them has learned from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from mrikit import weights
from mrikit.axes import describe
from mrikit.errors import CannotCreateError, UsageError
from mrikit.policy.architectures import load_policy
from mrikit.policy.compare import N_SEEDS, Result, compare
from mrikit.policy.fit import train_rival
from mrikit.policy.images import ImageTask, Pictures
from mrikit.policy.model import FlowPolicy
from mrikit.policy.propose import suited, trained_for
from mrikit.policy.rivals.adps import ActiveDps
from mrikit.policy.rivals.ads import Ads
from mrikit.policy.rivals.dps import Logits
from mrikit.policy.rivals.fixed import centre_only, half, population_energy, random, variable_density
from mrikit.policy.rivals.greedy import Greedy
from mrikit.policy.rivals.loupe import Loupe
from mrikit.policy.subject import Lesson, PictureSubject, ScanSubject, Subject
from mrikit.policy.task import Item, Policy
from mrikit.score.reconstruct import DEFAULT_MODEL, Plan, load_prior
from mrikit.train.collect import as_paths, files_at, opened
from mrikit.train.loop import Recipe
from mrikit.train.run import Watcher

NAMES = (
    "centre", "half", "random", "variable-density", "energy", "loupe", "dps", "adps", "greedy", "ads", "flow",
)  # fmt: skip
QUICK = ("centre", "half", "random", "variable-density", "energy", "loupe", "dps", "flow")
OF_LINES = ("centre", "half", "variable-density", "ads")  # which know what a low frequency is, or what k-space
STEADY = ("centre", "half", "energy", "loupe", "dps", "adps", "greedy")  # which draw nothing once they are trained
LEARNERS: dict[str, Callable[[int, Any], Any]] = {
    "loupe": lambda n, task: Loupe(n),
    "dps": lambda n, task: Logits(n),
    "adps": ActiveDps,
}
ACCELS = (4.0, 8.0)
N_ENERGY = 32  # batches whose mean energy is ranked by


@dataclass(frozen=True)
class Contest:
    """names: some of `NAMES`, or weights of further flow policies; by default those of `QUICK` that the data allow.

    limit: images to score on, at most. before: the levels of results that are to be made again, and none of them lost.

    recipe: how LOUPE, DPS and A-DPS are trained. prior: the score prior on whose samples ADS decides.
    """

    names: Sequence[str] | None = None
    recipe: Recipe = field(default_factory=lambda: Recipe(500))
    n_seeds: int = N_SEEDS
    limit: int = 64
    prior: str = DEFAULT_MODEL
    device: str = "cpu"
    resume: bool = False
    before: Sequence[dict[str, Any]] = ()
    watcher: Watcher = field(default_factory=Watcher)

    def __post_init__(self) -> None:
        for name in self.names or ():
            if name not in NAMES and not name.endswith(".safetensors"):
                raise UsageError(f"there is no policy {name!r}", hint=f"there are {', '.join(NAMES)}, and weights")

    def hold(self, model: str, subject: Subject, learned: Subject, folder: Path) -> dict[str, Any]:
        """What JSON holds of the results, on trials of `subject`, under the task of the flow policy `model`.

        Rivals learn from `learned`; `folder` keeps the states of their runs, `mvue` beside it the images of k-space.
        """
        flow = load_policy(model, self.device)
        terms = {**learned.terms(), "task_model": weights.card(model)["sha256"]}
        cache = folder.parent / "mvue"
        items = [item.to(self.device) for item in subject.trials(self.limit, cache, self.watcher.say)]
        budget = items[0].budget
        names = self.names or [n for n in QUICK if not (isinstance(items[0], Pictures) and n in OF_LINES)]
        for name in (model, *(n for n in names if n not in NAMES)):
            require_fit(name, load_policy(name), items[0])
        lesson = learned.lesson(self.recipe.seed, self.device, cache, self.watcher)
        policies = {name: self._policy(name, flow, budget.n, lesson, terms, folder / name) for name in names}
        found = compare(flow.task, policies, items, self.n_seeds, steady=STEADY, report=self._report)
        return {
            "policy": Path(model).name,
            "metric": metric(flow),
            "kept": budget.kept,
            "of": budget.n,
            "always": budget.n_low,
            "shape": [*items[0].images.shape[-2:]] if isinstance(items[0], Pictures) else [budget.n],
            "images": sum(map(len, items)),
            "policies": {name: told(result, found.get("flow")) for name, result in found.items()},
        }

    def _report(self, name: str, seed: int) -> None:
        self.watcher.say(f"scoring {name}" if name in STEADY else f"scoring {name}, seed {seed + 1} of {self.n_seeds}")

    def _policy(
        self, name: str, flow: FlowPolicy, n: int, lesson: Lesson, terms: dict[str, Any], folder: Path
    ) -> Policy:
        task = flow.task
        if name in LEARNERS:
            self.watcher.say(f"{name} learns, {self.recipe.n_steps} steps")
            torch.manual_seed(self.recipe.seed)
            return train_rival(
                LEARNERS[name](n, task).to(self.device), task, lesson.items, self.recipe, folder,
                resume=self.resume, terms=terms, report=self.watcher.report,
            )  # fmt: skip
        if name.endswith(".safetensors"):
            return load_policy(name, self.device)
        if name == "energy":
            return population_energy(task, lesson.items(range(N_ENERGY)))
        if name == "ads":
            return Ads(Plan(load_prior(self.prior, self.device), device=self.device))
        others: dict[str, Callable[[], Policy]] = {
            "centre": lambda: centre_only(n),
            "half": lambda: half(n),
            "random": lambda: random(n),
            "variable-density": lambda: variable_density(n),
            "greedy": lambda: Greedy(task),
            "flow": lambda: flow,
        }
        return others[name]()


def told(result: Result, flow: Result | None) -> dict[str, Any]:
    """A result as JSON has it, and how far the flow is ahead of it on the same images: mean and 95 % interval."""
    return result.to_json() | ({"flow_ahead": list(flow.gain(result))} if flow else {})


def require_fit(name: str, policy: FlowPolicy, item: Item) -> None:
    """Raise UsageError where `policy` cannot choose what to measure of `item`."""
    task = policy.task
    if isinstance(item, Pictures) != isinstance(task, ImageTask):
        what = "pixels of images" if isinstance(task, ImageTask) else "lines of scans"
        raise UsageError(f"{name}: this policy chooses the {what}, of which these data are none")
    if isinstance(item, Pictures) and isinstance(task, ImageTask):
        wanted, found = (task.config.n_channels, task.config.n_y, task.config.n_x), item.images.shape[1:]
        if wanted != found:
            raise UsageError(f"{name}: for images of {describe(wanted)} (channel, y, x), these are {describe(found)}")


def metric(flow: FlowPolicy) -> str:
    """What the task model of a policy scores; higher is better."""
    if not isinstance(flow.task, ImageTask):
        return "SSIM"
    return "accuracy" if flow.task.config.n_classes else "negative mean absolute error"


def subjects(
    flow: FlowPolicy, files: Sequence[Path], train: Sequence[Path], level: float, coils: int
) -> tuple[Subject, Subject]:
    """What the policies are compared on, and what rivals learn from, at one acceleration or rate.

    Without `train` the latter is simulated anatomy, or the first pictures of `files`; the last are compared on.
    """
    task = flow.task
    if isinstance(task, ImageTask):
        config = task.config
        both = PictureSubject(
            files,
            (level, level),
            config.n_y if config.n_y == config.n_x else None,
            classify=config.n_classes > 0,
            whole=bool(train),
            loss=config.loss,
        )
        return both, replace(both, files=train or files)
    scans = ScanSubject(files, (level,), flow.velocity.config.n, coils=(coils,), simulated=0.0)
    return scans, replace(scans, files=train, simulated=0.0 if train else 1.0)


def policy_compare(
    files: Path | str | Sequence[Path | str],
    folder: Path | str,
    *,
    policy: str | None = None,
    accels: Sequence[float] | None = None,
    rates: Sequence[float] | None = None,
    train: Path | str | Sequence[Path | str] = (),
    coils: int | None = None,
    contest: Contest | None = None,
) -> dict[str, Any]:
    """Every policy under one frozen task model, with one budget, on the same data, at every acceleration or rate.

    policy: the flow policy, whose task model all are scored by; by default, for every acceleration, the default policy
    that was trained nearest to it, for `coils`, by default those of the first k-space in `files`. train: what rivals
    learn from, see `subjects`. `folder` keeps the states of their runs. What is returned is as JSON has it.

    Raises CannotCreateError where the folder is there and no run is to be resumed, UsageError where a policy cannot be
    compared on such data.
    """
    how = contest or Contest()
    files, train, folder = as_paths(files), as_paths(train), Path(folder)
    if folder.exists() and not how.resume:
        raise CannotCreateError(f"{folder}: exists already", hint="--resume goes on with it, or give another folder")
    pictures = policy is not None and isinstance(load_policy(policy).task, ImageTask)
    require_meaning(pictures, accels, rates, how.names or ())
    if coils is None:
        coils = 1 if pictures else measured_coils(files)
    what, asked = ("rate", rates) if pictures else ("accel", accels)
    levels = dict.fromkeys(asked or (trained_for(policy, what) if policy else ACCELS))
    models = {level: policy or suited(level, coils) for level in levels}
    both = {level: subjects(load_policy(model), files, train, level, coils) for level, model in models.items()}
    require_unseen(models.values(), files, train)
    require_kept(how.before, what, levels, how.names or QUICK)
    if "ads" in (how.names or ()):
        load_prior(how.prior, how.device)  # what is wrong is found out before anything has learned
    found = []
    for level, (here, there) in both.items():
        how.watcher.say(f"{what} {level:g}, policy {Path(models[level]).name}")
        found.append({what: level, **how.hold(models[level], here, there, folder / f"{what}-{level:g}")})
    return {"seeds": how.n_seeds, "levels": found}


def require_kept(before: Iterable[dict[str, Any]], what: str, levels: Iterable[float], names: Sequence[str]) -> None:
    """Raise UsageError where a contest `before`, as `policy_compare` returns its levels, has more than this one."""
    before = list(before)
    places = [(name, level[name]) for level in before for name in ("accel", "rate") if name in level]
    lost = [f"{name} {at:g}" for name, at in places if name != what or at not in levels]
    lost += sorted({name for level in before for name in level["policies"]} - set(names))
    if lost:
        raise UsageError(
            f"the results that are there have {', '.join(lost)}, which would be lost",
            hint="ask for them too, or another --out",
        )


def require_unseen(models: Iterable[str], files: Sequence[Path], train: Sequence[Path]) -> None:
    """Raise UsageError where something would be compared on what it has learned from."""
    for path in train:
        if any(path.resolve() == other.resolve() for other in files):
            raise UsageError(f"{path}: rivals would learn from what is compared on", hint="--train takes other data")
    for model in models:
        if not train and weights.card(model)["training"].get("share_learned_from") == [0, 1]:
            raise UsageError(
                f"{model}: it has learned from all pictures of its data (--whole), the last tenth included",
                hint="compare on other data, and give --train",
            )


def measured_coils(files: Sequence[Path]) -> int:
    """Coils of the first k-space among the files and folders `files`; 1 where all are images."""
    for file in (each for path in files for each in files_at(path)):
        with opened(file) as reader:
            if reader.header.kind == "kspace":
                return reader.header.shape[1]
    return 1


def require_meaning(
    pictures: bool, accels: Sequence[float] | None, rates: Sequence[float] | None, names: Sequence[str]
) -> None:
    """Raise UsageError for what has no meaning for a policy of pictures, or of scans."""
    for option, value, of_pictures in (("--accel", accels, False), ("--rate", rates, True)):
        if value and pictures != of_pictures:
            raise UsageError(f"{option} has no meaning for a policy that chooses {'pixels' if pictures else 'lines'}")
    for name in names:
        if pictures and name in OF_LINES:
            raise UsageError(f"{name} chooses the lines of a scan, not the pixels of images", hint="see --policies")
