"""`.npy`, in files and pipes: NumPy's own format, with additions in places where NumPy does not look.

A volume written here is

    header   .npy version 2.0, C order, little-endian, padded to 64 bytes, below 10,000 bytes:
             {'descr': '<c8', 'fortran_order': False, 'shape': (40, 8, 230, 180)} # mrikit {"kind": ...}
    payload  the slices, one after another
    trailer  8 bytes   b"MRIKTAIL"
             8 bytes   length of the JSON, uint64 little-endian
             n bytes   JSON in ASCII: {"history": [...]}
             4 bytes   crc32 of the payload, uint32 little-endian

`np.load`, memory maps included, reads the header's dict as if the comment were not there and never reaches
the trailer. The comment lets the next command in a pipe know what comes before the first slice; the trailer
holds what is known only at the end, and its absence tells a stream that broke off from one that is done.

A plain .npy is read too: any real or complex dtype, either byte order, either memory order, converted slice
by slice (complex to complex64, masks to bool, everything else to float32). In Fortran order a file is memory
mapped and a pipe is read whole.
"""

from __future__ import annotations

import ast
import json
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mrikit.axes import COMPLEX, REAL
from mrikit.errors import DataError, UnsafeError
from mrikit.io import guard, meta
from mrikit.io.atomic import Output, writing
from mrikit.io.rawio import flat, read_exact, read_into, truncated, write_all
from mrikit.io.volume import Header, Reader, Writer

MAGIC = b"\x93NUMPY"
TAIL = b"MRIKTAIL"
MARK = "# mrikit "
#: np.load refuses longer headers.
MAX_HEADER = 10_000
_DTYPE = re.compile(r"[<>|=]?(\?|[biufc]\d{1,2})")
#: How files begin that are not .npy -> what they are, and the class of error.
_FOREIGN: dict[bytes, tuple[str, type[DataError] | type[UnsafeError]]] = {
    b"\x89HDF": ("HDF5, which cannot be read from a pipe or as .npy", DataError),
    b"\x1f\x8b": ("gzip", DataError),
    b"PK\x03\x04": ("a zip archive (.npz), which is not opened", UnsafeError),
    b"\x80": ("a Python pickle, which can run code", UnsafeError),
}


class NpyReader(Reader):
    """A .npy file, or a stream where `size`, its length in bytes, is None."""

    def __init__(self, file: Any, name: str, asked: tuple[str, ...], size: int | None) -> None:
        self.name = name
        self._file = file
        self._crc: int | None = None
        fields, said, self._start = _read_header(file, name)
        self._dtype, self._fortran = _dtype(name, fields["descr"]), bool(fields["fortran_order"])
        self._shape = guard.require_shape(name, fields["shape"])
        nbytes = guard.nbytes(self._shape, self._dtype.itemsize)
        if size is not None:
            guard.require_present(name, self._start + nbytes, size)
        own = meta.parse(name, guard.parse_json(name, "its header", said)) if said else None
        if own and (self._fortran or self._dtype not in (COMPLEX, REAL, meta.BOOL)):
            raise DataError(f"{name}: says it is mrikit's, but holds {self._dtype.str} in the wrong order")
        self._own = own is not None
        dialect = "mrikit .npy" if own else "plain .npy"
        self.header, self.notes = meta.settle(name, self._shape, self._dtype, asked, meta=own, dialect=dialect)
        self.piped = size is None
        whole = self._fortran and self.piped
        guard.require_slice_fits(name, nbytes if whole else nbytes // self.header.n_slices, size)
        if own and not self.piped:
            file.seek(self._start + nbytes)
            self._read_trailer()
            file.seek(self._start)

    def _slices(self) -> Iterator[np.ndarray]:
        n = self.header.n_slices
        if self._fortran:
            whole = self._load_fortran()
            parts = whole if self._shape == self.header.shape and self.header.sliced else [whole]
            yield from (meta.convert(part, self.header) for part in parts)
            return
        for i in range(n):
            array = np.empty(self.header.slice_shape, self._dtype)
            if read_into(self._file, flat(array), self.name) < array.nbytes:
                raise truncated(self.name, f"slice {i + 1} of {n}")
            yield meta.convert(array, self.header)

    def _load_fortran(self) -> np.ndarray:
        if not self.piped:
            return np.memmap(self._file, self._dtype, "r", self._start, self._shape, "F")
        # Its last axis, the fastest for us, is the slowest there: no slice is complete before the end.
        array = np.empty(self._shape[::-1], self._dtype)
        if read_into(self._file, flat(array), self.name) < array.nbytes:
            raise truncated(self.name, "data")
        return array.T

    def _check_end(self) -> None:
        if not self._own:
            return
        if self.piped:
            self._read_trailer()
        if self.crc32 != self._crc:
            raise DataError(
                f"{self.name}: its data have changed since they were written "
                f"(crc32 {self.crc32:08x}, expected {self._crc:08x})",
                hint="copy or make the file again",
            )

    def _read_trailer(self) -> None:
        start = read_exact(self._file, 16, self.name, "trailer")
        if start[:8] != TAIL:
            raise DataError(f"{self.name}: mrikit's trailer is missing behind the data", hint="make the file again")
        (length,) = struct.unpack("<Q", start[8:])
        guard.require_text(self.name, "a history", length)
        rest = read_exact(self._file, length + 4, self.name, "trailer")
        said = guard.parse_json(self.name, "its trailer", rest[:length])
        history = said.get("history") if isinstance(said, dict) else None
        self.header = replace(self.header, history=meta.parse_history(self.name, history))
        (self._crc,) = struct.unpack("<I", rest[length:])

    def close(self) -> None:
        if not self.piped:
            self._file.close()


def _read_header(file: Any, name: str) -> tuple[dict[str, Any], str, int]:
    """The header's dict, the text of mrikit's comment ("" if there is none) and where the payload starts."""
    start = bytearray(10)
    n = read_into(file, start, name)
    if n == 0:
        raise DataError(f"{name}: empty", hint="did the command that should write it fail?")
    if start[:6] != MAGIC or n < 10:
        raise _foreign(name, bytes(start))
    if start[6] not in (1, 2, 3):
        raise DataError(f"{name}: .npy version {start[6]}, expected 1, 2 or 3")
    if start[6] == 1:
        length = int.from_bytes(start[8:10], "little")
        offset = 10 + length
    else:
        length = int.from_bytes(start[8:10] + read_exact(file, 2, name, "header"), "little")
        offset = 12 + length
    guard.require_text(name, "a header", length, MAX_HEADER)
    text, _, said = read_exact(file, length, name, "header").decode("latin1").partition(MARK)
    try:
        fields = ast.literal_eval(text.strip())
        if set(fields) != {"descr", "fortran_order", "shape"} or not isinstance(fields["shape"], tuple):
            raise ValueError("not the three fields of a .npy")
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise DataError(f"{name}: its .npy header cannot be read ({guard.first_line(error)})") from None
    return fields, said.strip(), offset


def _foreign(name: str, start: bytes) -> DataError | UnsafeError:
    for magic, (what, error) in _FOREIGN.items():
        if start.startswith(magic):
            return error(f"{name}: holds {what}", hint="`mrikit convert FILE -` turns a file into a stream")
    return DataError(f"{name}: holds no .npy array", hint="pipes carry .npy; see `mrikit convert`")


def _dtype(name: str, descr: Any) -> np.dtype:
    if isinstance(descr, str) and "O" in descr:
        raise UnsafeError(f"{name}: holds pickled Python objects, which can run code", hint="save numbers, not objects")
    if not isinstance(descr, str) or not _DTYPE.fullmatch(descr):
        raise DataError(f"{name}: holds {str(descr)[:60]}, expected an array of numbers")
    try:
        return np.dtype(descr)
    except TypeError:
        raise DataError(f"{name}: holds {descr}, which is no number of this computer") from None


class NpyWriter(Writer):
    """A .npy being written: to a file that appears in `finish`, or to stdout."""

    def __init__(self, output: Output, header: Header) -> None:
        self.name, self.header, self._output = output.name, header, output
        self._crc = 0
        with writing(self.name):
            write_all(output.file, _header_bytes(header))

    def write(self, array: np.ndarray) -> None:
        self._require_slice(array)
        data = flat(np.ascontiguousarray(array))
        self._crc = zlib.crc32(data, self._crc)
        with writing(self.name):
            write_all(self._output.file, data)

    def finish(self, history: Sequence[Mapping[str, Any]] = ()) -> None:
        self._require_complete()
        said = json.dumps({"history": list(history)}).encode()
        trailer = TAIL + struct.pack("<Q", len(said)) + said + struct.pack("<I", self._crc)
        with writing(self.name):
            write_all(self._output.file, trailer)
        self._output.commit()

    def abort(self) -> None:
        self._output.abort()


def _header_bytes(header: Header) -> bytes:
    fields = {"descr": header.dtype.newbyteorder("<").str, "fortran_order": False, "shape": header.shape}
    text = f"{fields!r} {MARK}{json.dumps(meta.fields(header))}"
    padding = -(12 + len(text) + 1) % 64
    data = (text + " " * padding + "\n").encode("ascii")
    return MAGIC + b"\x02\x00" + struct.pack("<I", len(data)) + data
