"""Being asked to stop: what a batch system sends before it ends a job, and how processes that draw data ignore it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

REQUESTS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


@contextmanager
def requests() -> Iterator[list[int]]:
    """The numbers of the `REQUESTS` that came so far; meanwhile they do nothing else, but for a second SIGINT.

    Outside the main thread, where Python cannot receive signals, it stays empty.
    """
    received: list[int] = []
    previous: dict[int, Any] = {}

    def restore(number: int) -> None:
        signal.signal(number, signal.SIG_DFL if previous[number] is None else previous[number])

    def note(number: int, _frame: object) -> None:
        received.append(number)
        if number == signal.SIGINT:  # who presses Ctrl-C again does not want to wait for the step to end
            restore(number)

    try:
        if threading.current_thread() is threading.main_thread():
            for number in REQUESTS:
                if signal.getsignal(number) is not signal.SIG_IGN:  # nohup and & stay what they are
                    previous[number] = signal.signal(number, note)
        yield received
    finally:
        for number in previous:
            restore(number)


def ignore_all() -> None:
    """Leave signals to the parent: a worker, which has them all sent to it too, ends when its parent says so."""
    for number in (*REQUESTS, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
