"""Being asked to stop: what a batch system sends before it ends a job, and how processes that draw data ignore it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

REQUESTS = (signal.SIGTERM, signal.SIGUSR1)


@contextmanager
def requests() -> Iterator[list[int]]:
    """The numbers of the signals SIGTERM and SIGUSR1 that came so far; meanwhile they do nothing else.

    Outside the main thread, where Python cannot receive signals, it stays empty.
    """
    received: list[int] = []
    previous = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in REQUESTS:
                previous[number] = signal.signal(number, lambda n, _frame: received.append(n))
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def ignore_all() -> None:
    """Leave signals to the parent: a worker, which has them all sent to it too, ends when its parent says so."""
    for number in (*REQUESTS, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
