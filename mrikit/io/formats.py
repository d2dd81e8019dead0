"""One door for every format: a suffix, or `-` for a pipe, chooses the reader and the writer."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from mrikit.errors import UsageError
from mrikit.io import hdf5, meta, paths
from mrikit.io.atomic import Output, PartFile
from mrikit.io.cfl import CflReader, CflWriter
from mrikit.io.hdf5 import Hdf5Reader, Hdf5Writer
from mrikit.io.mrd import MrdReader
from mrikit.io.nifti import NiftiReader, NiftiWriter
from mrikit.io.npy import NpyReader, NpyWriter
from mrikit.io.volume import Header, Reader, Writer


def open_reader(path: str | os.PathLike[str], kind: str | tuple[str, ...] | None = None) -> Reader:
    """A reader of the volume at `path`: a file, `file.h5:dataset`, `raw.mrd:contrast=1`, BART's base name, - for stdin.

    kind: what the caller takes, one of `axes.KINDS` or several, the preferred one first; None takes anything.
    A file that says it holds another kind is refused; a file that does not say is read as `kind`, and
    `Reader.notes` tells what was assumed.

    Raises MissingInputError (66) where there is nothing to open, DataError (65) where it holds something else
    or is damaged, UnsafeError (77) where it is hostile, UsageError (2) for an unknown suffix.
    """
    asked = (kind,) if isinstance(kind, str) else kind or ()
    where = paths.locate(path)
    if not where.files:
        return NpyReader(paths.open_stdin(), "<stdin>", asked, None)
    file = paths.open_file(where.name, where.files[0])
    try:
        if where.format == "npy":
            size = None if paths.is_pipe(where.files[0]) else os.fstat(file.fileno()).st_size
            return NpyReader(file, where.name, asked, size)
        if where.format in ("hdf5", "mrd"):
            file.close()  # HDF5 opens files itself, by name
            opened = hdf5.open_file(where.files[0], where.name)
            kind_of_reader = MrdReader if hdf5.raw_groups(where.name, opened) else Hdf5Reader
            return kind_of_reader(opened, where.name, where.dataset, asked)
        if where.format == "nifti":
            return NiftiReader(file, where.name, asked, compressed=where.compressed)
        return CflReader(file, where.files[1], where.name, asked)
    except BaseException:
        file.close()
        raise


def open_writer(
    path: str | os.PathLike[str],
    header: Header,
    *,
    force: bool = False,
    inputs: Iterable[str | os.PathLike[str]] = (),
) -> Writer:
    """A writer to `path`, which appears whole when `finish` is called, or to stdout for `-`.

    force: an output that exists is replaced. inputs: the files that are read; none of them is ever written
    to.

    Raises CannotCreateError (73) where the output exists or its folder does not take it, UsageError (2) where
    it is an input, has an unknown suffix, is a terminal, or is of a format that does not hold such a volume.
    """
    meta.require_writable(header)
    where = paths.locate(path)
    if not where.files:
        return NpyWriter(Output("<stdout>"), header)
    if where.format == "mrd":
        raise UsageError(f"{where.name}: ISMRMRD is read and not written", hint="write .h5, .npy or .cfl")
    paths.require_output(where, force=force, inputs=inputs)
    if where.format == "hdf5" and where.dataset:
        hdf5.require_alone(where.name, where.files[0], where.dataset)
    parts: list[PartFile] = []
    try:
        for file in where.files:
            parts.append(PartFile(where.name, file, force=force))
        if where.format == "npy":
            return NpyWriter(parts[0], header)
        if where.format == "hdf5":
            return Hdf5Writer(parts[0], header, where.dataset)
        if where.format == "nifti":
            return NiftiWriter(parts[0], header, compressed=where.compressed)
        return CflWriter(parts[0], parts[1], header)
    except BaseException:
        for part in parts:
            part.abort()
        raise


def describe(reader: Reader) -> dict[str, Any]:
    """What an open reader says, ready for JSON; a stream's history is complete after its last slice."""
    header = reader.header
    return {
        "file": reader.name,
        "dialect": header.dialect,
        "kind": header.kind,
        "axes": list(header.axes),
        "shape": list(header.shape),
        "dtype": header.dtype.name,
        "geometry": {"voxel_mm": header.geometry.voxel, "affine": header.geometry.affine},
        "units": header.units,
        "mask": None if header.mask is None else list(header.mask.shape),
        "datasets": dict(reader.datasets),
        "history": list(reader.history),
        "notes": list(reader.notes),
    }
