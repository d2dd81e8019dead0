"""Progress bars."""

from __future__ import annotations

import io
import sys

import pytest

from mrikit.cli.console import Console, Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def console(**more: bool) -> Console:
    flags = {"quiet": False, "verbose": False, "json": False, "data_on_stdout": False} | more
    return Console("mrikit test", **flags)


def test_a_bar_is_drawn_on_a_terminal_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(Progress, "PATIENCE", 0.0)
    with console().progress(3, "slices") as bar:
        bar.advance(loss=0.25)
        bar.advance()

    assert "slices" in sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "loss 0.25" in sys.stderr.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("flag", ["quiet", "json", "data_on_stdout"])
def test_no_bar_where_it_would_disturb(monkeypatch: pytest.MonkeyPatch, flag: str) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(Progress, "PATIENCE", 0.0)
    with console(**{flag: True}).progress(3, "slices") as bar:
        bar.advance()

    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


def test_short_work_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with console().progress(3, "slices") as bar:
        bar.advance(3)

    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


def test_a_report_is_a_line_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with console().progress(None, "training") as bar:
        bar.report({"step": 49, "steps": 100})
        bar.report({"step": 50, "steps": 100, "loss": 0.125, "seconds_per_step": 90.0})
        bar.report({"step": 60, "steps": 100, "loss": 0.1, "seconds_per_step": 90.0})
        bar.report({"step": 100, "steps": 100, "loss": 0.0625, "seconds_per_step": 90.0})

    assert capsys.readouterr().err.splitlines() == [
        "mrikit test: 50 of 100: loss 0.125, left 1 h 15 min",
        "mrikit test: 100 of 100: loss 0.0625",
    ]


def test_a_bar_shows_the_last_figures_between_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(Progress, "PATIENCE", 0.0)
    with console().progress(None, "training") as bar:
        bar.report({"step": 1, "steps": 4, "psnr": 30.5})
        bar.report({"step": 2, "steps": 4})

    text = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "2/4" in text and "psnr 30.5" in text
