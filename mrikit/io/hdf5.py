"""`.h5` in fastMRI's layout: `kspace`, `mask`, `reconstruction_rss`, `ismrmrd_header`; others named by kind.

mrikit adds to a dataset, as attributes and each as JSON: kind, axes, affine, voxel_mm, units, history.
k-space without them is fastMRI's: (slice, coil, y, x), or (slice, y, x) from a single coil. No attribute but
these is read or copied, so none that names a patient travels on.

Only data inside the file itself are read, through HDF5's own filters: links to other places, external and
virtual storage and plugins are refused.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mrikit.axes import describe
from mrikit.errors import CannotCreateError, DataError, MissingInputError, UnsafeError, UsageError
from mrikit.io import guard, ismrmrd, meta
from mrikit.io.atomic import PartFile, writing
from mrikit.io.volume import Geometry, Header, Reader, Writer

#: Names of datasets -> the kind they hold; where any will do, the first that is there is read.
NAMES = {
    "kspace": "kspace",
    "image": "image",
    "reconstruction_rss": "image",
    "reconstruction_esc": "image",
    "reconstruction": "image",
    "maps": "maps",
    "samples": "samples",
    "states": "states",
    "mask": "mask",
    "noise": "noise",
}
#: deflate, shuffle, fletcher32, szip, nbit, scale-offset, lzf: all inside HDF5 and h5py.
FILTERS = {1, 2, 3, 4, 5, 6, 32000}


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what HDF5 raises for damaged files into DataError."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeDecodeError) as error:
        raise DataError(f"{name}: damaged or not HDF5 ({guard.first_line(error)})") from error


def open_file(path: Path, name: str) -> Any:
    """The h5py.File at `path`, for reading. Raises DataError."""
    import h5py

    with reading(name):
        # Without locking: a read-only or network file system need not have locks.
        return h5py.File(path, "r", locking=False)


def raw_groups(name: str, file: Any) -> list[str]:
    """The groups of an HDF5 file that hold ISMRMRD raw data: readouts in the order they were acquired."""
    import h5py

    with reading(name):
        here = [key for key in file if isinstance(file.get(key, getlink=True), h5py.HardLink)]
        return [key for key in here if isinstance(file[key], h5py.Group) and {"data", "xml"} <= set(file[key])]


class Hdf5Reader(Reader):
    """One dataset of an open HDF5 file: `dataset`, or the first that holds a kind asked for."""

    def __init__(self, file: Any, name: str, dataset: str | None, asked: tuple[str, ...]) -> None:
        self.name, self._file = name, file
        try:
            with reading(name):
                self.datasets = _datasets(self._file)
            chosen = dataset or _choose(name, self.datasets, asked)
            self._data = open_dataset(name, self._file, chosen)
            self.header, self.notes = self._read_header(chosen.rsplit("/", 1)[-1], asked)
        except BaseException:
            self._file.close()
            raise

    def _read_header(self, dataset: str, asked: tuple[str, ...]) -> tuple[Header, tuple[str, ...]]:
        name, data = self.name, self._data
        shape, kind = tuple(data.shape or ()), NAMES.get(dataset)
        own = _attributes(name, data)
        if own:
            history = meta.parse_history(name, own.get("history", []))
            more: dict[str, Any] = {
                "meta": meta.parse(name, own),
                "history": history,
                "dialect": "mrikit HDF5",
            }
        else:
            more = {"kind": kind, "dialect": "fastMRI HDF5" if kind else "HDF5"}
            if kind == "kspace" and len(shape) == 3:  # fastMRI, a single coil
                shape = (shape[0], 1, *shape[1:])
            if kind != "mask":
                more["geometry"] = Geometry(self._voxel())
        header, notes = meta.settle(name, shape, data.dtype, asked, **more)
        _require_held(name, data, header.n_slices)
        if header.kind == "kspace" and "mask" in self.datasets:
            header = replace(header, mask=self._read_mask(header.shape))
        return header, notes

    def _voxel(self) -> tuple[float, float, float] | None:
        if "ismrmrd_header" not in self.datasets:
            return None
        data = open_dataset(self.name, self._file, "ismrmrd_header")
        if data.shape != () or data.dtype.kind not in "OS":
            return None
        guard.require_text(self.name, "an ismrmrd_header", data.dtype.itemsize, ismrmrd.MAX_XML)
        with reading(self.name):
            return ismrmrd.voxel(self.name, bytes(data[()]))

    def _read_mask(self, shape: tuple[int, ...]) -> np.ndarray:
        """The mask beside k-space, as bool that broadcasts against (slice, y, x)."""
        name, data = f"{self.name}:mask", open_dataset(self.name, self._file, "mask")
        meta.settle(name, data.shape or (), data.dtype, (), kind="mask")  # refuses what cannot be one
        _require_held(name, data, 1)
        with reading(name):
            mask = np.asarray(data[()]) != 0
        n_slices, _, ny, nx = shape
        if mask.shape == (n_slices, nx) and n_slices != ny:
            mask = mask[:, None, :]
        full, axes = (n_slices, ny, nx)[-mask.ndim :], ("slice", "y", "x")[-mask.ndim :]
        if any(n not in (1, expected) for n, expected in zip(mask.shape, full, strict=True)):
            raise DataError(f"{name}: has {describe(mask.shape, axes)}, its k-space {describe(full, axes)}")
        return mask

    def _slices(self) -> Iterator[np.ndarray]:
        for i in range(self.header.n_slices):
            yield self.read_slice(i)

    def read_slice(self, index: int) -> np.ndarray:
        with reading(self.name):
            # A single slice need not have an axis.
            array = self._data[index] if self.header.n_slices > 1 else self._data[()]
        return meta.convert(array, self.header)

    def close(self) -> None:
        self._file.close()


def _datasets(file: Any) -> dict[str, str]:
    """Every dataset at the top of the file, with its shape and dtype; links are named and not followed."""
    import h5py

    found = {}
    for key in file:
        if not isinstance(file.get(key, getlink=True), h5py.HardLink):
            found[key] = "link"
        elif isinstance(file[key], h5py.Dataset):
            data = file[key]
            is_text = h5py.check_string_dtype(data.dtype) is not None and data.shape == ()
            found[key] = "text" if is_text else f"{describe(data.shape or ())} {data.dtype}"
    return found


def _choose(name: str, datasets: Mapping[str, str], asked: tuple[str, ...]) -> str:
    """The dataset to read where the user named none. Raises MissingInputError, listing what there is."""
    known = [dataset for dataset in NAMES if dataset in datasets]
    for kind in asked or (None,):
        for dataset in known:
            if kind in (None, NAMES[dataset]):
                return dataset
    if len(datasets) == 1:
        return next(iter(datasets))
    raise _missing(name, " or ".join(asked) or "volume", datasets)


def _missing(name: str, wanted: str, datasets: Mapping[str, str]) -> MissingInputError:
    there = ", ".join(f"{dataset} ({what})" for dataset, what in datasets.items()) or "no datasets"
    return MissingInputError(f"{name}: holds no {wanted}; it has {there}", hint="FILE.h5:DATASET picks one")


def open_dataset(name: str, file: Any, path: str) -> Any:
    """The dataset at `path`, which must lie in this file. Raises MissingInputError, UnsafeError."""
    import h5py

    node = file
    for part in path.strip("/").split("/"):
        with reading(name):
            link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
            if link is not None and not isinstance(link, h5py.HardLink):
                raise UnsafeError(f"{name}: {path} is a link to somewhere else, which is not followed")
            node = None if link is None else node[part]
        if node is None:
            break
    if not isinstance(node, h5py.Dataset):
        raise _missing(name, f"dataset {path}", _datasets(file))
    plan = node.id.get_create_plist()
    if plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count():
        raise UnsafeError(f"{name}: {path} keeps its data in other files, which are not opened")
    for i in range(plan.get_nfilters()):
        number = plan.get_filter(i)[0]
        if number not in FILTERS:
            raise UnsafeError(
                f"{name}: {path} needs HDF5 filter {number}, a plugin, which is not loaded",
                hint="`h5repack -f GZIP=4` writes it without",
            )
    return node


def _attributes(name: str, data: Any) -> dict[str, Any]:
    """What mrikit wrote beside a dataset; empty where it was not mrikit."""
    with reading(name):
        keys = {*meta.FIELDS, "history"} & set(data.attrs)
        types = [data.attrs.get_id(key).dtype for key in keys]
        # Ours have a fixed length. Those without lie in a heap, where damage sends HDF5 into an endless loop.
        if not {"kind", "axes"} <= keys or any(dtype.kind != "S" for dtype in types):
            return {}
        guard.require_text(name, "an attribute", max(dtype.itemsize for dtype in types))
        return {key: guard.parse_json(name, f"its attribute {key}", data.attrs[key]) for key in keys}


def _require_held(name: str, data: Any, n_slices: int) -> None:
    """Raise where a dataset claims far more than is stored for it, or a slice more than memory."""
    stored = data.id.get_storage_size()
    claimed = guard.nbytes(data.shape, data.dtype.itemsize)
    guard.require_ratio(name, claimed, stored)
    guard.require_slice_fits(name, claimed // n_slices, stored)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Signals wait until the end: what their handlers raise must not pass through HDF5, which calls `_Disk`."""
    if threading.current_thread() is not threading.main_thread():  # where no handler runs
        yield
        return
    waiting: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda number, frame: waiting.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for seen in waiting:
            signal.raise_signal(seen)


class _Disk:
    """The file that HDF5 writes to. It never fails: HDF5 cannot close a file that does, and crashes at exit."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, content: Any) -> int:
        left = memoryview(content).cast("B")
        with self._held():
            while left:
                left = left[self._file.write(left) :]
        return len(content)

    def truncate(self, size: int) -> int:
        with self._held():
            self._file.truncate(size)
        return size

    @contextmanager
    def _held(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._error = self._error or error

    def require_well(self) -> None:
        """Raise the first OSError of writing, if there was one."""
        if self._error:
            raise self._error


def require_alone(name: str, file: Path, dataset: str) -> None:
    """Raise CannotCreateError where `file` is there and has more than `dataset`, and what is written beside it."""
    import h5py

    others: list[str] = []
    with suppress(OSError), h5py.File(file, "r") as held:  # what is no .h5 holds nothing
        others = sorted(set(held) - {dataset.strip("/").split("/")[0], "mask", "ismrmrd_header"})
    if others:
        raise CannotCreateError(
            f"{name}: {file} holds {', '.join(others)} too, which would be lost: an output is a file of its own",
            hint="name another file",
        )


class Hdf5Writer(Writer):
    """An .h5 being written: one dataset, and beside k-space its mask and voxel sizes where they are known."""

    def __init__(self, part: PartFile, header: Header, dataset: str | None) -> None:
        import h5py

        self.name, self.header, self._part = part.name, header, part
        dataset = dataset or header.kind
        if {"", ".", ".."} & set(dataset.removeprefix("/").split("/")):
            raise UsageError(f"{self.name}: {dataset} is no name of a dataset")
        self._disk = _Disk(part.file)
        self._file: Any = None
        try:
            with writing(self.name), _uninterrupted():
                # HDF5 1.8 is the oldest format that holds attributes above 64 kB, as a long history is.
                self._file = h5py.File(self._disk, "w", libver="v108")
                self._data = self._create(dataset)
                self._disk.require_well()
        except BaseException:
            self._close()  # now: closed later, it would write to a file that is gone
            raise

    def _create(self, dataset: str) -> Any:
        """The dataset of the slices, with what stands beside it."""
        header = self.header
        stored = np.dtype(np.uint8) if header.dtype == meta.BOOL else header.dtype
        data = self._file.create_dataset(dataset, header.shape, stored)
        _write_attributes(data, meta.fields(header))
        if dataset == "kspace" and header.mask is not None:
            mask = header.mask
            axes = ("slice", "y", "x")[-mask.ndim :]
            beside = self._file.create_dataset("mask", data=mask.astype(np.uint8))
            _write_attributes(beside, meta.fields(Header("mask", axes, mask.shape, meta.BOOL)))
        if dataset == "kspace" and header.geometry.voxel:
            self._file["ismrmrd_header"] = ismrmrd.xml(header)
        return data

    def _close(self) -> None:
        if self._file:
            with _uninterrupted():
                self._file.close()

    def write(self, array: np.ndarray) -> None:
        i = self._written
        self._require_slice(array)
        with writing(self.name), _uninterrupted():
            self._data[i if self.header.sliced else ...] = array
            self._disk.require_well()

    def finish(self, history: Sequence[Mapping[str, Any]] = ()) -> None:
        self._require_complete()
        with writing(self.name), _uninterrupted():
            _write_attributes(self._data, {"history": list(history)})
            self._file.close()
            self._disk.require_well()
        self._part.commit()

    def abort(self) -> None:
        try:
            self._close()
        finally:
            self._part.abort()


def _write_attributes(data: Any, fields: Mapping[str, Any]) -> None:
    for key, value in fields.items():
        data.attrs[key] = np.bytes_(json.dumps(value).encode())
