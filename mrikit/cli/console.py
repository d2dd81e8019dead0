"""What people read: lines on stderr, one report on stdout, a progress bar on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mrikit.cli.failures import line


class Console:
    """Lines and reports of one command.

    stdout carries data only. So notes go to stderr, and the JSON report goes to stderr too where stdout
    carries a volume; notes are then left out, for stderr to be one JSON object.
    """

    def __init__(self, prog: str, *, quiet: bool, verbose: bool, json: bool, data_on_stdout: bool) -> None:
        self.prog = prog
        self.quiet = quiet
        self.verbose = verbose
        self.json = json
        self.data_on_stdout = data_on_stdout
        self.warnings: list[str] = []

    def say(self, text: str) -> None:
        """A line about what was done, unless --quiet or --json."""
        if not self.quiet and not self.json:
            self._stderr(f"{self.prog}: {text}")

    def detail(self, text: str) -> None:
        """A line for --verbose."""
        if self.verbose:
            self.say(text)

    def warn(self, text: str) -> None:
        """A warning, unless --quiet; with --json it is part of the report."""
        self.warnings.append(text)
        if not self.quiet and not self.json:
            self._stderr(line(self.prog, f"warning: {text}", None))

    def text(self, text: str) -> None:
        """The result, where the result is text."""
        (sys.stderr if self.data_on_stdout else sys.stdout).write(text.rstrip("\n") + "\n")

    def report(self, facts: dict[str, Any]) -> None:
        """`facts` as one JSON object; NaN and infinity, which JSON lacks, become null."""
        import json

        from mrikit.io.facts import plain

        self.text(json.dumps(plain(facts), allow_nan=False))

    def progress(self, total: int | None, what: str) -> Progress:
        """A bar that counts to `total`; invisible where nobody watches or another stage draws its own."""
        wanted = not (self.quiet or self.json or self.data_on_stdout)
        watched = wanted and sys.stderr.isatty()
        return Progress(total, what, visible=watched, log=self.say if wanted and not watched else None)

    def _stderr(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class Progress:
    """A progress bar with the time left. It appears after half a second; rich is imported only then.

    log: prints the lines that `report` makes, now and then, where there is no terminal to draw on.
    """

    PATIENCE = 0.5
    LOG_EVERY = 30.0

    def __init__(
        self, total: int | None, what: str, *, visible: bool, log: Callable[[str], None] | None = None
    ) -> None:
        self.total = total
        self.what = what
        self.done = 0
        self._visible = visible
        self._start = time.monotonic()
        self._log = log
        self._logged = 0.0
        self._bar: Any = None
        self._task: Any = None

    def advance(self, n: int = 1, **facts: object) -> None:
        """Count `n` more; `facts` (loss=0.1) are shown behind the bar until there are new ones."""
        self.done += n
        self._draw(self.done, _listed(facts))

    def within(self, share: float, text: str) -> None:
        """Show that this share of the next one is done, and `text`; as a line now and then where nobody watches."""
        at, now = self.done + share, time.monotonic()
        self._draw(at, text)
        if self._log is not None and self.total and now - max(self._start, self._logged) >= self.LOG_EVERY:
            self._logged = now
            left = (now - self._start) / at * (self.total - at)
            self._log(f"{text}, left {_duration(left)}")

    def _draw(self, at: float, text: str) -> None:
        if not self._visible or (self._bar is None and time.monotonic() - self._start < self.PATIENCE):
            return
        if self._bar is None:
            self._open()
        self._bar.update(self._task, completed=at, **({"note": text} if text else {}))

    def report(self, facts: Mapping[str, float]) -> None:
        """Stand at `facts["step"]` of `facts["steps"]` and show the rest, if any: for loops that count by themselves.

        A `seconds_per_step` among them is shown as the time left.
        """
        rest: dict[str, object] = {k: v for k, v in facts.items() if k not in ("step", "steps", "seconds_per_step")}
        step, self.total = int(facts["step"]), int(facts["steps"])
        per_step = facts.get("seconds_per_step")
        self.advance(step - self.done, **rest)
        now = time.monotonic()
        if self._log is not None and rest and (now - self._logged >= self.LOG_EVERY or step == self.total):
            self._logged = now
            if per_step is not None and step < self.total:
                rest["left"] = _duration((self.total - step) * per_step)
            self._log(f"{step} of {self.total}: {_listed(rest)}")

    def _open(self) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
        columns.append(TextColumn("{task.fields[note]}"))
        # A training step can take longer than the 30 s from which rich would tell the speed.
        self._bar = Bar(*columns, console=RichConsole(stderr=True), transient=True, speed_estimate_period=600)
        self._bar.start()
        self._task = self._bar.add_task(self.what, total=self.total, completed=self.done, note="")

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._bar is not None:
            self._bar.stop()
        self._visible = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def span(values: Sequence[float]) -> str:
    """The least and the most of `values` in three digits, `4 to 8`, or one of them where they are the same."""
    return " to ".join(dict.fromkeys(f"{end(values):.3g}" for end in (min, max)))


def _duration(seconds: float) -> str:
    """`40 s`, `12 min` or `3 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def _listed(facts: Mapping[str, object]) -> str:
    return ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in facts.items())
