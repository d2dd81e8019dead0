"""`Run`: what a command is given to read, report and write with.

A command calls one library function and says where slices come from and go to; reading in lock step,
checks, progress, history, timing and cleaning up are done here.
"""

from __future__ import annotations

import itertools
import os
import shlex
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from operator import itemgetter
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mrikit._version import __version__
from mrikit.cli import failures
from mrikit.cli.console import Console, Progress
from mrikit.cli.files import PIPE
from mrikit.cli.options import Settings, limited_threads
from mrikit.errors import BatchError, CannotWriteError, DataError, MrikitError, UsageError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import numpy as np

    from mrikit.cli.sinks import Sink
    from mrikit.io import Header, Reader, Writer

    Source = str | Reader | None


class Run:
    """One command being run. `settings` has the common options, which are attributes here too.

    seed, chunk, force: as given. device: resolved to `cpu` or `cuda:i` when first asked for.
    """

    def __init__(
        self,
        command: str,
        argv: Sequence[str],
        settings: Settings,
        inputs: Sequence[str],
        outputs: Sequence[str],
        uses: Sequence[str] = (),
    ) -> None:
        self.command = command
        self.argv = tuple(argv)
        self.settings = settings
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.seed = settings.seed
        self.chunk = settings.chunk
        # Of the processes that torchrun starts, the first speaks for all.
        silent = "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("RANK") != "0"
        self.console = Console(
            f"mrikit {command}",
            quiet=settings.quiet or silent,
            verbose=settings.verbose and not silent,
            json=settings.json and not silent,
            data_on_stdout=PIPE in outputs,
        )
        self.uses = tuple(uses)
        self.facts: dict[str, Any] = {}
        self._device: str | None = None
        self._readers: list[Reader] = []
        self._sinks: list[Sink] = []
        self._slice: int | None = None
        self._bar: Progress | None = None
        self._afterwards: list[Callable[[], None]] = []
        self._beside: Executor | None = None
        self._stack = ExitStack()
        self._start = time.monotonic()

    # what a command asks

    @property
    def device(self) -> str:
        """`cpu` or `cuda:i`. Raises TemporaryError if --device names one that cannot be had."""
        if self._device is None:
            from mrikit.arrays import resolve_device

            self._device = resolve_device(self.settings.device)
            self.detail(f"device {self._device}")
        return self._device

    @property
    def line(self) -> str:
        """The command line as a history has it, without folders."""
        from mrikit.io.history import base_name

        return shlex.join(["mrikit", *map(base_name, self.argv)])

    @property
    def seconds(self) -> float:
        """Time since the command began."""
        return time.monotonic() - self._start

    def share_cpu(self, jobs: int) -> None:
        """Let each of `jobs` processes that are begun later have its share of the CPU; --threads are what each has."""
        from mrikit.cli.machine import threads_per_job

        if jobs > 1 and self.settings.threads is None:
            self._stack.enter_context(limited_threads(threads_per_job(jobs)))

    # what a command says

    def say(self, text: str) -> None:
        """A line on stderr about what was done; silent with --quiet and --json."""
        self.console.say(text)

    def detail(self, text: str) -> None:
        """A line on stderr with --verbose only."""
        self.console.detail(text)

    def warn(self, text: str) -> None:
        """A warning on stderr; also in the JSON report."""
        self.console.warn(text)

    def note(self, text: str | None = None, **facts: Any) -> None:
        """Facts for the JSON report and the history of the outputs; `text` is the line for people."""
        self.facts.update(facts)
        if text is not None:
            self.say(text)

    def result(self, text: str, **facts: Any) -> None:
        """The result of a command whose result is text: `text`, if any, on stdout, or with --json the facts alone."""
        self.facts.update(facts)
        if text and not self.settings.json:
            self.console.text(text)

    def progress(self, total: int | None, what: str = "") -> Progress:
        """Progress bar of a loop that is the command's own: `with run.progress(n) as bar: bar.advance()`."""
        return self._stack.enter_context(self.console.progress(total, what or self.command))

    def within_slice(self, share: float, text: str) -> None:
        """Progress within the slice that `stream` is at: the share that is done, and where it stands."""
        if self._bar is not None:
            self._bar.within(share, text)

    def afterwards(self, function: Callable[[], None]) -> None:
        """Call `function` once all outputs are in their place, and not where the command fails."""
        self._afterwards.append(function)

    # reading

    def open(self, source: str | Reader, kind: str | tuple[str, ...] | None = None) -> Reader:
        """Open an input, to be closed when the command ends. Raises DataError if it is not of that `kind`."""
        if not isinstance(source, str):
            return source
        from mrikit.cli.checks import check_header
        from mrikit.io import open_reader

        reader = self._stack.enter_context(open_reader(source, kind))
        self._readers.append(reader)
        for note in reader.notes:
            self.warn(note)
        check_header(reader)
        return reader

    def open_checked(self, source: str, kind: str | tuple[str, ...] | None = None) -> Reader:
        """`open`, with every slice of a file checked: for what takes so long that no flaw should wait for its turn."""
        from mrikit.cli.checks import check_input
        from mrikit.io import open_reader

        reader = self.open(source, kind)
        if not reader.piped:
            with open_reader(source, kind) as first:
                for i, one in enumerate(first):
                    check_input(first, i, one)
        return reader

    def open_if(self, source: str | None, kind: str | tuple[str, ...] | None = None) -> Reader | None:
        """`open` for an option: None where it is not given."""
        return None if source is None else self.open(source, kind)

    def open_twice(self, source: str, kind: str | tuple[str, ...] | None = None) -> tuple[Reader, Reader]:
        """Readers for two passes over an input, which for a pipe is kept in memory."""
        from mrikit.io import Kept, open_reader

        reader = self.open(source, kind)
        if reader.piped:
            kept = Kept(reader)
            return kept, kept
        return reader, self._stack.enter_context(open_reader(source, kind))

    def require_one_of(self, *options: tuple[str, Any]) -> None:
        """Raise UsageError unless exactly one of these (name, value) options was given."""
        given = [name for name, value in options if value is not None]
        names = " or ".join(name for name, _ in options)
        if len(given) != 1:
            raise UsageError(f"give either {names}, found {'both' if given else 'neither'}")

    def read(self, source: str | Reader, kind: str | tuple[str, ...] | None = None) -> np.ndarray:
        """The whole of a small input (a mask, a noise scan), checked."""
        from mrikit.cli.checks import check_input

        reader = self.open(source, kind)
        array = reader.read()
        for i, one in enumerate(array if reader.header.sliced else [array]):
            check_input(reader, i, one)
        return array

    def slices(self, sources: Sequence[Source], *, check: bool = True, ahead: bool = True) -> Iterator[tuple[Any, ...]]:
        """Yield the same slice of every source, in lock step, with progress.

        A source without slice axis, or a mask with one slice, is repeated; None gives None. ahead: the next slice of
        files is read in the meantime. Raises DataError where numbers of slices differ or, with `check`, where a slice
        is not fit for use.
        """
        from mrikit.cli import overlap
        from mrikit.cli.lockstep import Lockstep

        readers = [None if source is None else self.open(source) for source in sources]
        steps = Lockstep(readers, check=check)
        slices = iter(steps)
        # A thread that waits for a pipe could not be stopped, and the stages of a pipe are processes anyway.
        if ahead and len(steps) > 1 and not any(reader.piped for reader in readers if reader is not None):
            slices = overlap.ahead(slices, self._thread())
        with self.console.progress(len(steps), self.command) as bar:
            self._bar = bar
            for i, arrays in enumerate(slices):
                if check and i == 0:
                    self._warn_of_oddities(readers, arrays)
                yield arrays
                del arrays  # before the next is waited for
                bar.advance()
        self._bar = None

    def _warn_of_oddities(self, readers: Sequence[Reader | None], arrays: Sequence[Any]) -> None:
        """Warn of what is no error and yet seldom meant, as the first slice shows it."""
        from mrikit.cli.checks import beyond_own_mask, off_centre

        looks = [off_centre]
        if not any(reader.header.kind == "mask" for reader in self._readers):  # which says what is to be taken
            looks.append(beyond_own_mask)
        for reader, array in zip(readers, arrays, strict=True):
            if reader is not None:
                for text in filter(None, (look(reader, array) for look in looks)):
                    self.warn(text)

    # writing

    def stream(
        self,
        function: Callable[..., Any],
        sources: Sequence[Source],
        out: str | Sequence[str | None] | None,
        kind: str | Sequence[str] = "image",
        *,
        device: str = "cpu",
        check: bool = True,
        **header: Any,
    ) -> None:
        """Write `function(slice of each source...)` to `out`, slice by slice. A source of None gives None.

        Several outputs take a tuple from `function` and as many kinds; an `out` of None is not written.
        device: where the slices are moved before the call; results come back by themselves.
        header: part, one for all images or one an output, units, mask; the geometry is that of the first source.
        Raises ResultError, with nothing written, where a result is NaN or zero everywhere.
        """
        readers = [None if source is None else self.open(source) for source in sources]
        from mrikit.cli.lockstep import Lockstep

        n_slices = Lockstep(readers).n_slices
        if device != "cpu":
            self._say_without_cupy()

        def compute(i: int, arrays: tuple[Any, ...]) -> Any:
            self._slice = i if n_slices and n_slices > 1 else None
            if device != "cpu":
                from mrikit.arrays import to_device

                arrays = tuple(None if array is None else to_device(array, device) for array in arrays)
            return function(*arrays)

        # k-space made of k-space is as large, and soon computed: reading ahead would cost memory and gain no time.
        slices = self.slices(readers, check=check, ahead=kind != "kspace")
        # A map lets go of the last slices while it waits for the next, which a loop's name would hold.
        results = map(compute, itertools.count(), slices)
        first = next(reader for reader in readers if reader is not None)
        header = {"geometry": first.header.geometry} | header
        self._write(results, n_slices, out, kind, check=check, **header)
        self._slice = None

    def _say_without_cupy(self) -> None:
        from mrikit.cli.machine import missing_cupy

        if how := missing_cupy():
            self.say(f"CuPy is not installed, so torch computes on the GPU; {how}")

    def copy(self, source: str | Reader, out: str, *, part: str = "auto", crop: tuple[int, int] | None = None) -> None:
        """Write a volume as it is, unchecked and not moved to any device, in the format of `out`.

        crop: (y, x) of the centre that is kept of images or maps.
        """
        reader = self.open(source)
        header = reader.header
        slices: Iterator[Any] = map(itemgetter(0), self.slices([reader], check=False, ahead=False))
        geometry = header.geometry
        if crop is not None:
            from mrikit.physics.sampling import centre

            rows, columns = map(centre, header.shape[-2:], crop)
            slices = (each[..., rows, columns] for each in slices)
            geometry = geometry.from_voxel(rows.start, columns.start)
        n_slices = header.n_slices if header.sliced else None
        more = {"geometry": geometry, "units": header.units, "mask": header.mask}
        self._write(slices, n_slices, out, header.kind, part=part, check=False, **more)

    def write(self, array: Any, out: str, kind: str, *, sliced: bool | None = None, **header: Any) -> None:
        """Write a whole volume with the axes of `axes.KINDS[kind]`, the slice axis first if it has one.

        sliced: whether it has, where two axes of a mask may be (y, x) or (slice, x).
        """
        from mrikit.axes import axes_for

        if sliced is None:
            sliced = axes_for(kind, array.shape, out)[0] == "slice"
        self._write(array if sliced else [array], len(array) if sliced else None, out, kind, **header)

    def _write(
        self,
        results: Iterable[Any],
        n_slices: int | None,
        out: str | Sequence[str | None] | None,
        kind: str | Sequence[str],
        *,
        part: str | Sequence[str] = "auto",
        **header: Any,
    ) -> None:
        from mrikit.axes import IMAGES
        from mrikit.cli import overlap
        from mrikit.cli.sinks import Sink

        single = isinstance(out, str)
        outs: Sequence[str | None] = [out] if out is None or isinstance(out, str) else out
        kinds = [kind] * len(outs) if isinstance(kind, str) else kind
        parts = [part] * len(outs) if isinstance(part, str) else part
        sinks = [
            None
            if name is None
            # --part is for the image, not for the maps beside it.
            else Sink(
                name,
                its_kind,
                n_slices,
                self._open_writer,
                part=its_part if single or its_kind in IMAGES else "auto",
                **header,
            )
            for name, its_kind, its_part in zip(outs, kinds, parts, strict=True)
        ]

        def put(result: Any) -> None:
            for sink, array in zip(sinks, [result] if single else result, strict=True):
                if sink is not None:
                    sink.put(array)

        if n_slices is not None and n_slices > 1 and PIPE not in outs:
            overlap.behind(put, results, self._thread())
        else:
            for result in results:
                put(result)
        self._sinks += [sink for sink in sinks if sink is not None]

    def _thread(self) -> Executor:
        """The thread that reads and writes files beside the computing: one for both, so that slices do not pile up."""
        from concurrent.futures import ThreadPoolExecutor

        if self._beside is None:
            self._beside = ThreadPoolExecutor(1)
        return self._beside

    def _open_writer(self, name: str, header: Header) -> Writer:
        from mrikit.io import open_writer

        writer = open_writer(name, header, force=self.settings.force, inputs=self.inputs)
        return self._stack.enter_context(writer)

    def history(self) -> tuple[Mapping[str, Any], ...]:
        """History of an output made now: that of every input that was read, then this command."""
        from mrikit.io.facts import plain
        from mrikit.io.history import extend, record

        readers = [reader for reader in self._readers if reader.crc32]  # of others only the header was used
        step = record(
            ["mrikit", *self.argv],
            seed=self.seed if "seed" in self.uses else None,
            inputs=[(reader.name, reader.crc32) for reader in readers],
            device=self._device,
        )
        if self.facts:
            step["facts"] = plain(self.facts)
        return extend(readers, step)

    # the frame

    def __enter__(self) -> Run:
        self._stack.enter_context(limited_threads(self.settings.threads))
        self._stack.enter_context(warnings.catch_warnings())
        self._filter_warnings()
        return self

    def _filter_warnings(self) -> None:
        if not sys.warnoptions:  # python -W means what it says
            warnings.simplefilter("default" if self.settings.verbose else "ignore")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
            if error is None or isinstance(error, BatchError):  # which items failed is in the report
                self._report()
        finally:
            if self._beside is not None:
                self._beside.shutdown()  # before the files that it reads and writes are closed
            self._stack.close()
        if error is not None and (better := self._better(error)) is not None:
            raise better from error

    def _better(self, error: BaseException) -> MrikitError | None:
        """What the frame can say better: which option needs less memory, which files an error is about."""
        if failures.out_of_memory(error):
            return failures.memory_error(self.uses, self._device)
        if isinstance(error, DataError) and not self._is_named(error):
            return DataError(f"{self._place()}: {error}", hint=error.hint)
        if isinstance(error, OSError) and failures.is_write_error(error) and not error.filename:
            return CannotWriteError(f"{', '.join(self.outputs) or 'output'}: {error.strerror}")
        return None

    def _is_named(self, error: DataError) -> bool:
        """Whether `error` says which file it is about. Library functions take arrays, and so cannot."""
        names = {*self.inputs, *self.outputs, *(reader.name for reader in self._readers), "<stdin>"}
        return not self._readers or str(error).startswith(tuple(f"{name}:" for name in names))

    def _place(self) -> str:
        """`scan.h5, maps.npy: slice 3`: the inputs that are open, and the slice being computed."""
        names = list(dict.fromkeys(reader.name for reader in self._readers))
        if len(names) > 3:  # of many images compared with one, it is the last that does not fit
            names = [names[0], names[-1]]
        return ", ".join(names) + ("" if self._slice is None else f": slice {self._slice}")

    def _finish(self) -> None:
        """Put every output in its place. Only now, so that there is all or nothing, with every note in it."""
        history = self.history() if self._sinks else ()
        for sink in self._sinks:
            sink.finish(history)
        for function in self._afterwards:
            function()

    def _report(self) -> None:
        seconds = round(self.seconds, 3)
        if self.console.json:
            report: dict[str, Any] = {"command": self.command, "version": __version__, **self.facts}
            if self._sinks:
                report["outputs"] = [sink.facts() for sink in self._sinks]
            if self._device is not None:
                report["device"] = self._device
            if self.console.warnings:
                report["warnings"] = self.console.warnings
            self.console.report(report | {"seconds": seconds})
        self.detail(f"done in {seconds:.1f} s, peak memory {_peak_mib():.0f} MiB")


def _peak_mib() -> float:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
