"""From any exception to an exit code and one line; and from signals to exceptions.

Nothing here knows a command. `explain` is the only place that decides what an exception means.
"""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from mrikit.errors import MrikitError, TemporaryError

USAGE, BUG, SIGPIPE = 2, 70, 141

#: Exit codes as the manual lists them.
EXIT_CODES: tuple[tuple[str, str], ...] = (
    ("0", "Done."),
    ("1", "The command ran, but its result fails its own check: NaN, all zero, a threshold missed."),
    ("2", "Usage: the arguments are wrong or contradict each other."),
    ("8", "Some items of many failed; the others are done."),
    ("65", "An input does not hold what it must."),
    ("66", "An input is missing or cannot be opened."),
    ("70", "A bug in mrikit."),
    ("73", "An output cannot be created; one that exists needs --force."),
    ("74", "Writing an output failed."),
    ("75", "Temporary: out of memory, the device is busy or absent, or training was asked to stop and can go on."),
    ("77", "Refused for safety."),
    ("130, 141, 143", "Interrupted, the reader of the pipe went away, terminated."),
)

#: Python package -> the extra of mrikit that brings it.
EXTRAS = {"ismrmrd": "mrd", "snakemake": "batch"}

_WRITE_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


class Signalled(BaseException):
    """A signal that asks the process to end, made an exception so that everything unwinds and cleans up."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number


@contextmanager
def signals_raise() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into `Signalled`; a second one does not disturb the cleaning up."""
    seen = False

    def handler(number: int, _frame: Any) -> None:
        nonlocal seen
        if not seen:
            seen = True
            raise Signalled(number)

    previous = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
                previous[number] = signal.signal(number, handler)
    except ValueError:  # not the main thread: signals are someone else's
        pass
    try:
        yield
    finally:
        for number, old in previous.items():
            signal.signal(number, old)


def explain(error: BaseException, prog: str) -> tuple[int, str | None]:
    """Return the exit code for `error` and the line to print, None where silence is right."""
    if isinstance(error, Signalled):
        return error.exit_code, None
    if isinstance(error, KeyboardInterrupt):
        return 130, None
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code, None
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None), None
    if isinstance(error, click.UsageError):
        return USAGE, line(prog, _usage(error), getattr(error, "hint", None) or f"{prog} --help")
    if isinstance(error, MrikitError):
        return error.exit_code, line(prog, str(error), error.hint)
    if isinstance(error, OSError):
        return _explain_os(error, prog)
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("mrikit"):
        name = error.name.partition(".")[0]
        how = f"pip install 'mrikit[{EXTRAS[name]}]'" if name in EXTRAS else "mrikit doctor"
        return 75, line(prog, f"needs the Python package {name}, which is not installed", how)
    return BUG, line(
        prog,
        f"this is a bug in mrikit: {type(error).__name__}: {error}",
        "run again with --debug for the traceback and report it",
    )


def line(prog: str, message: str, hint: str | None) -> str:
    """`mrikit rss: scan.h5: what is wrong (hint: what to do)`, always one line."""
    text = f"{prog}: {message}" + (f" (hint: {hint})" if hint else "")
    return " ".join(text.split())


def _usage(error: click.UsageError) -> str:
    message = error.format_message().rstrip(".").replace(" (env var: 'None')", "")  # click 8.2
    return message[:1].lower() + message[1:] if not message[:2].isupper() else message


def _explain_os(error: OSError, prog: str) -> tuple[int, str | None]:
    if isinstance(error, BrokenPipeError) or error.errno == errno.EPIPE:
        return SIGPIPE, None
    where = f"{error.filename}: " if error.filename else ""
    message = where + (error.strerror or str(error))
    if is_write_error(error) or not error.filename:
        return 74, line(prog, message, "is the disk full? `df -h`" if error.errno == errno.ENOSPC else None)
    return 66, line(prog, message, None)


def is_write_error(error: OSError) -> bool:
    """True if `error` can only come from writing: a full disk, a quota, a read-only file system."""
    return error.errno in _WRITE_ERRNOS


def out_of_memory(error: BaseException) -> bool:
    """True if `error` means that host or device memory ran out, whichever library says so."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("can't allocate memory" in text or "out of memory" in text)


def memory_error(options: tuple[str, ...], device: str | None) -> TemporaryError:
    """TemporaryError that names the options of this command that need less memory."""
    ways = ["a smaller --chunk"] if "chunk" in options else []
    if "device" in options and device != "cpu":
        ways.append("--device cpu")
    where = "memory of the GPU" if device and device.startswith("cuda") else "memory"
    return TemporaryError(f"out of {where}", hint=" or ".join(ways) or "close other programs or use a larger machine")
