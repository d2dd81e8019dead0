"""A comparison: every method gets the same samples and the same maps of every scan, and is scored alike."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import numpy as np

from mrikit.errors import MrikitError, ResultError, TemporaryError, UsageError
from mrikit.evaluate.cost import measure
from mrikit.evaluate.methods import Method, Options, Output
from mrikit.evaluate.metrics import by_state, metrics
from mrikit.evaluate.results import FORMAT, Condition, Piece, Results, Row
from mrikit.evaluate.scans import Say, ScanFile
from mrikit.io import open_reader
from mrikit.physics.coils import mvue
from mrikit.physics.espirit import espirit
from mrikit.physics.masks import PLANE_KINDS, budget
from mrikit.physics.retrospective import Sampling
from mrikit.physics.sampling import acceleration
from mrikit.rng import generator

WRITE_EVERY = 30.0  # seconds from one results.csv to the next; the cells themselves are on disk at once
FEWEST_LINES = 16  # with fewer, too few are left beside those that maps need


def conditions(kinds: Sequence[str], axes: Sequence[str], accels: Sequence[float]) -> list[Condition]:
    """Every combination; masks of the plane have no axis, and so come once."""
    lines = [Condition(*each) for each in product((k for k in kinds if k not in PLANE_KINDS), axes, accels)]
    return lines + [Condition(kind, "yx", accel) for kind in kinds if kind in PLANE_KINDS for accel in accels]


@dataclass(frozen=True)
class Task:
    """What is still to be made of one piece."""

    piece: Piece
    methods: tuple[Method, ...]


@dataclass(frozen=True)
class Failure:
    """A cell without a result, and why."""

    piece: Piece
    method: str
    why: str

    @property
    def name(self) -> str:
        return f"{self.piece}/{self.method}"

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


@dataclass(frozen=True)
class Given:
    """What every method is given of one piece, and the reference `(y, x)`, which none of them is."""

    kspace: np.ndarray
    mask: np.ndarray
    maps: np.ndarray
    reference: np.ndarray


@dataclass(frozen=True)
class Study:
    """Scans, conditions and methods to compare.

    apart: scans to tune on. lamdas: by the method's label, then by condition, which `tune` finds there.
    Raises UsageError where a scan to tune on is one to compare on.
    """

    scans: tuple[ScanFile, ...]
    conditions: tuple[Condition, ...]
    methods: tuple[Method, ...]
    options: Options = field(default_factory=Options)
    apart: tuple[ScanFile, ...] = ()
    lamdas: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        compared = {what for scan in self.scans for what in (Path(scan.file).resolve(), scan.crc)}
        for scan in self.apart:
            if compared & {Path(scan.file).resolve(), scan.crc}:
                raise UsageError(f"{scan.file}: is compared on, and so must not tune", hint="--tune takes other scans")

    @property
    def terms(self) -> dict[str, Any]:
        """What results depend on, to be kept with them."""
        return {
            "format": FORMAT,
            "seed": self.options.seed,
            "apart": {scan.name: scan.terms for scan in self.apart},
            "scans": {scan.name: scan.terms for scan in self.scans},
            "methods": {method.label: self._terms(method) for method in self.methods},
        }

    def _terms(self, method: Method) -> dict[str, Any]:
        tuned_on = {"tuned_on": [scan.name for scan in self.apart]} if method.how.lamdas else {}
        return method.terms(self.options) | tuned_on

    def tasks(self, results: Results) -> list[Task]:
        """What `results` lack. Cells with too few lines are noted there as such, and are no tasks."""
        found = []
        for scan, condition in product(self.scans, self.conditions):
            n_lines = self._lines(scan, condition)
            for number in scan.slices:
                piece = Piece(scan.name, number, condition)
                missing = tuple(method for method in self.methods if results.missing(piece, method.label))
                if missing and n_lines is not None and n_lines < FEWEST_LINES:
                    note = f"{n_lines} lines, fewer than {FEWEST_LINES}"
                    for method in missing:
                        results.put(_row(piece, method, note=note))
                elif missing:
                    found.append(Task(piece, missing))
        return found

    def carry_out(self, task: Task, results: Results) -> Iterator[Row | Failure]:
        """Make a piece's cells, one by one, and put them into `results`. A failed one does not stop the others."""
        try:
            given = self._give(task.piece, results)
        except Exception as error:  # whatever it is, the other pieces go on, and it is named
            yield from (Failure(task.piece, method.label, _why(error)) for method in task.methods)
            return
        for method in task.methods:
            try:
                row, output = self._solve(method, task.piece, given)
            except Exception as error:
                yield Failure(task.piece, method.label, _why(error))
            else:
                results.put(row, output.image.astype(np.complex64), output.std)
                yield row

    def _lines(self, scan: ScanFile, condition: Condition) -> int | None:
        """How many lines a condition leaves; None where it chooses samples."""
        return None if condition.axis == "yx" else budget(scan.matrix["yx".index(condition.axis)], condition.accel)

    def _give(self, piece: Piece, results: Results) -> Given:
        """Under-sample a slice, the same way for every method, and estimate maps from what is left of its centre."""
        scan = next(scan for scan in self.scans if scan.name == piece.scan)
        with open_reader(scan.file, "kspace") as reader:
            kspace = reader.read_slice(piece.slice)
        reference = results.reference(piece.scan, piece.slice)
        if reference is None:
            reference = mvue(kspace, espirit(kspace, refine=True))
            results.put_reference(piece.scan, piece.slice, reference)
        condition = piece.condition
        how = Sampling(
            condition.accel,
            condition.kind,
            axis="x" if condition.axis == "yx" else condition.axis,
            seed=self._seed("mask", f"{piece.scan}/{condition}"),  # one mask a scan, as in one acquisition
        )
        kept, mask = how.keep(kspace)
        results.put_mask(piece, mask)
        return Given(kept, mask, espirit(kept, refine=True), reference)

    def _solve(self, method: Method, piece: Piece, given: Given) -> tuple[Row, Output]:
        lamda = method.lamda or self.lamdas.get(method.label, {}).get(str(piece.condition))
        seed = self._seed("method", str(piece))
        options = replace(self.options, seed=seed, model=method.model, lamda=lamda)
        method.how.warm_up(options)
        solve = partial(method.how.solve, given.kspace, given.mask, given.maps, options)
        output, seconds, memory = measure(solve, options.device)
        if not np.isfinite(output.image).all() or not output.image.any():
            raise ResultError("the image is zero everywhere, or has NaN or infinity")
        report = metrics(given.reference, output.image)
        cascades = None
        if output.states is not None:
            states = by_state(given.reference[None], output.states[None])
            cascades = [[state.volume_masked.psnr, state.volume.ssim] for state in states]
        row = _row(
            piece,
            method,
            achieved_accel=acceleration(given.mask),
            psnr=report.volume.psnr,
            ssim=report.volume.ssim,
            psnr_masked=report.volume_masked.psnr,
            ssim_masked=report.volume_masked.ssim,
            nmse=report.volume.nmse,
            seconds=round(seconds, 3),
            memory_mib=memory and round(memory, 1),
            lamda=lamda,
            cascades=cascades,
        )
        return row, output

    def _seed(self, what: str, where: str) -> int:
        """A seed that depends on the study's and on these words alone."""
        return int(generator(self.options.seed, f"evaluate/{what}/{where}").integers(2**31))


def compare(study: Study, folder: Path, *, resume: bool, force: bool, **how: Any) -> tuple[Results, list[Failure]]:
    """Carry out a study in `folder`, and say what failed; tuning first, where there is a scan apart.

    resume: what is there already stays. force: it goes. how: as `run` has it.
    """
    results = Results.begin(folder, study.terms, resume=resume, force=force)
    if study.apart:
        study = tune(study, folder / "tune", **how)
    return results, run(study, results, **how)


def run(
    study: Study,
    results: Results,
    *,
    jobs: int = 1,
    report: Callable[[Mapping[str, Any]], None] = lambda facts: None,
    warn: Say = lambda text: None,
) -> list[Failure]:
    """Make what `results` lack, in `jobs` processes, and return what failed.

    Every cell is on disk before the next one of its piece begins. report: gets figures of every cell that is done.
    warn: gets a line on every cell that failed.
    """
    tasks = study.tasks(results)
    failures: list[Failure] = []
    start, total = time.monotonic(), sum(len(task.methods) for task in tasks)
    written = start
    try:
        outcomes = _in_turn(study, tasks, results) if jobs == 1 else _in_processes(study, tasks, results, jobs)
        for done, outcome in enumerate(outcomes, start=1):
            if isinstance(outcome, Failure):
                failures.append(outcome)
                warn(str(outcome))
            else:
                results.update([outcome])
            now = time.monotonic()
            report({"step": done, "steps": total, "seconds_per_step": (now - start) / done, "cell": outcome.name})
            if now - written > WRITE_EVERY:
                results.write()
                written = now
    finally:
        results.write()
    return failures


def tune(study: Study, folder: Path, **how: Any) -> Study:
    """`study` with the lambda of every classical method that is best on the scans kept apart, under each condition.

    Best is the highest mean PSNR in the object over their slices. Where they have too few lines, it is what is best at
    the nearest acceleration. Every trial is kept in `folder`. how: as `run` has it. Raises ResultError where a trial
    fails, or there is no acceleration at which a mask leaves enough lines.
    """
    trials = {
        (method.label, lamda): replace(method, label=f"{method.label}@{lamda:g}", lamda=lamda)
        for method in study.methods
        for lamda in method.how.lamdas
    }
    trial = replace(study, scans=study.apart, apart=(), methods=tuple(trials.values()))
    results = Results.begin(folder, trial.terms, resume=True, force=False)
    if failures := run(trial, results, **how):
        raise ResultError(f"--tune: {len(failures)} trials failed, the first is {failures[0]}")
    scores: dict[tuple[str, Condition], dict[float, list[float]]] = {}
    for row in results.sorted():
        if row.psnr_masked is not None:
            label, _, _ = row.method.rpartition("@")
            of = scores.setdefault((label, row.piece.condition), {})
            of.setdefault(row.lamda, []).append(row.psnr_masked)
    best = {of: max(tried, key=lambda lamda: float(np.mean(tried[lamda]))) for of, tried in scores.items()}
    lamdas = {
        method.label: {str(c): _at_nearest(best, method.label, c) for c in study.conditions}
        for method in study.methods
        if method.how.lamdas
    }
    return replace(study, lamdas=lamdas)


def _at_nearest(best: Mapping[tuple[str, Condition], float], label: str, condition: Condition) -> float:
    """The best lambda of a method under `condition`, or under the same mask at the nearest acceleration."""
    known = {c.accel: lamda for (of, c), lamda in best.items() if of == label and c.mask == condition.mask}
    if not known:
        raise ResultError(
            f"--tune: {condition.mask} leave too few lines to tune {label}", hint="--tune takes a larger scan too"
        )
    return known[min(known, key=lambda accel: abs(math.log(accel / condition.accel)))]


def _in_turn(study: Study, tasks: Sequence[Task], results: Results) -> Iterator[Row | Failure]:
    for task in tasks:
        yield from study.carry_out(task, results)


def _in_processes(study: Study, tasks: Sequence[Task], results: Results, jobs: int) -> Iterator[Row | Failure]:
    # Not forked: torch's threads do not survive it.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin_process) as pool:
        try:
            for done in as_completed([pool.submit(_carry_out, study, task, results.folder) for task in tasks]):
                yield from done.result()
        except BrokenProcessPool as error:
            raise TemporaryError(
                "a process ended before its cell was done; was there memory for all?", hint="fewer --jobs, and --resume"
            ) from error
        except BaseException:  # asked to stop: what they are at is lost anyway
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                process.terminate()
            raise


def _begin_process() -> None:
    """Leave Ctrl-C to the first process, and warnings of libraries unsaid, as there."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")


def _carry_out(study: Study, task: Task, folder: Path) -> list[Row | Failure]:
    return list(study.carry_out(task, Results(folder, {})))


def _row(piece: Piece, method: Method, **more: Any) -> Row:
    condition = piece.condition
    return Row(piece.scan, piece.slice, condition.kind, condition.axis, condition.accel, method.label, **more)


def _why(error: Exception) -> str:
    """One line about an error."""
    text = str(error) if isinstance(error, MrikitError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())
