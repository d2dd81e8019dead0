"""The error tree: every class carries the exit code its command ends with, and a hint.

The codes are those of sysexits.h where it has one; CONTRIBUTING.md lists them all.
"""

from __future__ import annotations


class MrikitError(Exception):
    """Something that one clear line can explain. `str(error)` is that line; `hint` is what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class ResultError(MrikitError):
    """The command ran, but its result fails its own check: NaN, all zero, a threshold missed."""

    exit_code = 1


class UsageError(MrikitError):
    """The arguments contradict each other or cannot be meant."""

    exit_code = 2


class BatchError(MrikitError):
    """Some items of many failed; the others are done."""

    exit_code = 8


class DataError(MrikitError):
    """An input file or array does not hold what it must."""

    exit_code = 65


class MissingInputError(MrikitError):
    """An input file, dataset or model does not exist or cannot be opened."""

    exit_code = 66


class CannotCreateError(MrikitError):
    """An output exists already or its folder does not take it."""

    exit_code = 73


class CannotWriteError(MrikitError):
    """Writing an output failed midway: the disk is full, for instance."""

    exit_code = 74


class TemporaryError(MrikitError):
    """Out of memory, device busy, asked to stop: the same command may work later or with another option."""

    exit_code = 75


class UnsafeError(MrikitError):
    """Refused for safety: a file that asks for code to run, other files to open, or memory it has no data for."""

    exit_code = 77
