"""Commands that misbehave on request. `python dummies.py slow IN OUT` runs one as a process of its own."""

from __future__ import annotations

import itertools
import sys
import time
import types
import warnings
from typing import Annotated, Any

import numpy as np
import typer

from mrikit import errors
from mrikit.cli import app, params
from mrikit.cli.runner import Run, command


class OutOfMemoryError(RuntimeError):
    """Named like torch's and CuPy's."""


FAILURES: dict[str, BaseException] = {
    "result": errors.ResultError("out.npy: all zero"),
    "usage": errors.UsageError("--a and --b contradict each other"),
    "batch": errors.BatchError("2 of 5 failed"),
    "data": errors.DataError("scan.h5: axis x is 3, expected 4", hint="look at it"),
    "missing": errors.MissingInputError("scan.h5: gone"),
    "create": errors.CannotCreateError("out.npy: exists"),
    "write": errors.CannotWriteError("out.npy: disk full"),
    "temporary": errors.TemporaryError("busy"),
    "unsafe": errors.UnsafeError("a pickle"),
    "bug": ZeroDivisionError("division by zero"),
    "memory": MemoryError(),
    "cuda": OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    "module": ModuleNotFoundError("No module named 'nowhere'", name="nowhere"),
    "pipe": BrokenPipeError(32, "Broken pipe"),
    "full": OSError(28, "No space left on device", "out.npy"),
    "absent": FileNotFoundError(2, "No such file or directory", "weights"),
    "interrupt": KeyboardInterrupt(),
}


@command(examples=[("mrikit fail bug", "a bug")], uses=["chunk", "device"])
def fail(run: Run, how: Annotated[str, typer.Argument(metavar="HOW", help="The failure.")]) -> None:
    """Fail."""
    raise FAILURES[how]


@command(examples=[("mrikit slow a b", "wait")])
def slow(run: Run, in_: params.Kspace, out: params.Output) -> None:
    """Work for a minute, slice by slice."""

    numbers = itertools.count()

    def work(array: np.ndarray) -> np.ndarray:
        index = next(numbers)
        print(f"slice {index}", file=sys.stderr, flush=True)
        if index:
            time.sleep(60)
        return array

    run.stream(work, [in_], out, kind="kspace")


@command(examples=[("mrikit spoil nan a b", "NaN")], uses=["seed", "threads", "device"])
def spoil(
    run: Run,
    how: Annotated[str, typer.Argument(metavar="HOW", help="What to do.")],
    in_: params.Kspace,
    out: params.Output,
    maps_out: params.MapsOutOption = None,
    part: params.Part = "auto",
) -> None:
    """Compute something doubtful."""
    if how == "warn":
        warnings.warn("numpy is old", DeprecationWarning, stacklevel=1)

    numbers = itertools.count()

    def work(array: np.ndarray) -> Any:
        image = array[0].astype(np.complex128)
        if next(numbers) == 1:
            image = image * {"nan": np.nan, "zero": 0}.get(how, 1)
        return image, array

    run.note("kept everything", kept=float("nan"), rate=np.float32(0.5))
    run.warn("this is a test")
    run.stream(work, [run.open(in_, "kspace")], [out, maps_out], ["image", "maps"], part=part)


def register() -> None:
    """Put the dummies into the table of commands."""
    names = {"fail": fail, "slow": slow, "spoil": spoil}
    for name, function in names.items():
        module = types.ModuleType(f"mrikit.cli.commands.{name}")
        setattr(module, name, function)
        sys.modules[module.__name__] = module
    app.COMMANDS["Dummies"] = {name: (f.__doc__ or "").splitlines()[0] for name, f in names.items()}


def unregister() -> None:
    """Take them out again."""
    for name in app.COMMANDS.pop("Dummies", {}):
        del sys.modules[f"mrikit.cli.commands.{name}"]


if __name__ == "__main__":
    register()
    sys.exit(app.main())
