"""`.nii` and `.nii.gz`, NIfTI-1 written and NIfTI-1 and -2 read: images, samples, states and masks.

In the file the order is (x, y, slice, sample or state), x fastest, so our (slice, y, x) lies there as it is. The
affine from voxel indices to RAS mm stands in sform and qform with code 1 where it is known. Where only voxel
sizes are known they stand in pixdim, with unit mm and codes 0; where nothing is known, pixdim is 1 without a
unit.

Kind, axes, units and history travel in a comment extension (code 6) that begins with `mrikit `. It lies
before the data but is known after them, so slices go to a hidden part file first and are copied behind it at
the end. k-space and maps are refused: NIfTI has no place for a coil axis that other programs would
understand.
"""

from __future__ import annotations

import gzip
import io
import json
import shutil
import struct
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mrikit.axes import IMAGES, describe
from mrikit.errors import DataError, UsageError
from mrikit.io import guard, meta
from mrikit.io.atomic import PartFile, writing
from mrikit.io.rawio import Blocks, flat, read_exact, read_into, truncated, write_all
from mrikit.io.volume import Geometry, Header, Reader, Writer

COMMENT = 6
MARK = b"mrikit "
_MM = {1: 1000.0, 2: 1.0, 3: 0.001}


class NiftiReader(Reader):
    """A NIfTI file, read slice by slice; compressed 4-D data go through a temporary file."""

    def __init__(self, file: io.FileIO, name: str, asked: tuple[str, ...], *, compressed: bool) -> None:
        self.name = name
        present = file.seek(0, io.SEEK_END)
        file.seek(0)
        self._compressed = compressed
        self._raw: Any = io.BufferedReader(file) if compressed else file
        self._file: Any = gzip.GzipFile(fileobj=self._raw) if compressed else file
        nii, extension = _read_header(self._file, name)
        x, y, n_slices, extra = _lengths(name, nii)
        try:
            self._dtype = nii.get_data_dtype()
        except Exception as error:
            raise DataError(f"{name}: holds a NIfTI datatype that is not read ({guard.first_line(error)})") from None
        self._blocks = Blocks(int(nii["vox_offset"]), extra, n_slices, x * y * self._dtype.itemsize)
        self._stored = (extra, y, x)
        if compressed:
            guard.require_ratio(name, self._blocks.end, present)
        else:
            guard.require_present(name, self._blocks.end, present)
        guard.require_slice_fits(name, extra * self._blocks.piece, present)
        own = meta.parse(name, extension) if extension else None
        shape: tuple[int, ...] = (n_slices, extra, y, x) if extra > 1 else (n_slices, y, x)
        if own:
            lengths = {"slice": n_slices, "y": y, "x": x}
            shape = tuple(lengths.get(axis, extra) for axis in own.axes)
            if np.prod(shape) != n_slices * extra * y * x:  # another program has changed the data
                raise DataError(
                    f"{name}: names axes {', '.join(own.axes)}, but has {describe((n_slices, extra, y, x))}"
                )
        self._scale = _scale(nii)
        self.header, self.notes = meta.settle(
            name,
            shape,
            self._dtype,
            asked,
            meta=own,
            geometry=_read_geometry(nii),
            history=meta.parse_history(name, extension.get("history", [])),
            dialect="NIfTI",
        )

    def _slices(self) -> Iterator[np.ndarray]:
        if self._compressed and self._blocks.outer > 1:
            self._unpack()
        for i in range(self.header.n_slices):
            array = np.empty(self._stored, self._dtype)
            self._blocks.read(self._file, i, flat(array), self.name)
            if self._scale:
                array = array * self._scale[0] + self._scale[1]
            yield meta.convert(array, self.header)

    def _unpack(self) -> None:
        """Move to a temporary file: slices have pieces all over it, and gzip cannot go back."""
        unpacked = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        left = self._blocks.end
        self._file.seek(0)
        while left:
            piece = bytearray(min(left, 1 << 20))
            if read_into(self._file, piece, self.name) < len(piece):
                raise truncated(self.name, "data")
            with writing("a temporary file"):
                write_all(unpacked, piece)
            left -= len(piece)
        self._check_end()
        self._file, self._compressed = unpacked, False

    def _check_end(self) -> None:
        if self._compressed:  # gzip compares its checksum at the end of the file, which is behind the data
            read_into(self._file, bytearray(1), self.name)

    def close(self) -> None:
        self._file.close()
        self._raw.close()


def _read_header(file: Any, name: str) -> tuple[Any, dict[str, Any]]:
    """The header and what mrikit's extension says ({} where there is none)."""
    import nibabel as nib

    start = read_exact(file, 4, name, "NIfTI header")
    lengths = {struct.unpack(order + "i", start)[0] for order in "<>"}
    kinds = {348: (nib.Nifti1Header, b"n+1"), 540: (nib.Nifti2Header, b"n+2")}
    length = next((n for n in kinds if n in lengths), 0)
    if not length:
        raise DataError(f"{name}: is not NIfTI")
    kind, magic = kinds[length]
    nii = kind(start + read_exact(file, length - 4, name, "NIfTI header"), check=False)
    # 0 is what some write who mean "directly behind".
    nii["vox_offset"] = offset = float(nii["vox_offset"]) or length + 4
    if bytes(nii["magic"].item())[:3] != magic:
        raise DataError(f"{name}: is not a single-file NIfTI", hint="pairs of .hdr and .img are not read")
    if not offset >= length + 4 or offset % 1 != 0:
        raise DataError(f"{name}: its data claim to begin at byte {offset:g}, expected {length + 4} or more")
    guard.require_text(name, "a header", int(offset))
    return nii, _extension(name, read_exact(file, int(offset) - length, name, "NIfTI extensions"), nii.endianness)


def _extension(name: str, block: bytes, order: str) -> dict[str, Any]:
    position = 4
    while block[0] and position + 8 <= len(block):
        size, code = struct.unpack_from(order + "ii", block, position)
        content = block[position + 8 : position + size]
        if code == COMMENT and content.startswith(MARK):
            said = guard.parse_json(name, "its mrikit extension", content[len(MARK) :].rstrip(b"\0"))
            return said if isinstance(said, dict) else {}
        if size < 16:
            break
        position += size
    return {}


def _lengths(name: str, nii: Any) -> tuple[int, int, int, int]:
    """Lengths along x, y, slice, and sample or state."""
    n = int(nii["dim"][0])
    lengths = [int(length) for length in nii["dim"][1 : 1 + n]] if 1 <= n <= 7 else []
    while len(lengths) > 4 and lengths[-1] == 1:
        lengths.pop()
    if not 1 <= len(lengths) <= 4:
        raise DataError(f"{name}: has {n} dimensions, expected 2 to 4 (x, y, slice, sample)")
    x, y, n_slices, extra = guard.require_shape(name, lengths + [1] * (4 - len(lengths)))
    return x, y, n_slices, extra


def _scale(nii: Any) -> tuple[float, float] | None:
    """Slope and intercept, None where they change nothing."""
    slope, offset = float(nii["scl_slope"]), float(nii["scl_inter"])
    if not np.isfinite(slope) or slope == 0:
        return None
    offset = offset if np.isfinite(offset) else 0.0
    return None if (slope, offset) == (1.0, 0.0) else (slope, offset)


def _read_geometry(nii: Any) -> Geometry:
    unit = int(nii["xyzt_units"]) & 7
    scale = _MM.get(unit, 1.0)
    edges = tuple(float(edge) * scale for edge in nii["pixdim"][1:4])
    stated = unit == 2 or any(edge != 1 for edge in edges)
    voxel: Any = edges if stated and all(np.isfinite(edge) and edge > 0 for edge in edges) else None
    try:
        affine = nii.get_sform(coded=True)[0]
        if affine is None:
            affine = nii.get_qform(coded=True)[0]
    except Exception:  # quaternions that are none: nibabel raises several kinds of error
        affine = None
    if affine is None or not np.isfinite(affine).all() or np.linalg.matrix_rank(affine) < 4:
        return Geometry(voxel)
    affine = np.asarray(affine, float) * np.array([[scale]] * 3 + [[1.0]])
    return Geometry(voxel, tuple(tuple(row) for row in affine.tolist()))


class NiftiWriter(Writer):
    """A NIfTI being written; `part` takes the slices, in `finish` the file is put together from it."""

    def __init__(self, part: PartFile, header: Header, *, compressed: bool) -> None:
        self.name, self.header, self._part, self._compressed = part.name, header, part, compressed
        if header.kind not in (*IMAGES, "mask") or header.axes[-2:] != ("y", "x"):
            raise UsageError(
                f"{self.name}: {header.kind} with axes {', '.join(header.axes)} has no place in NIfTI",
                hint="write it as .npy, .h5 or .cfl",
            )
        if max(header.shape) > 32767:
            raise UsageError(f"{self.name}: NIfTI holds at most 32767 along an axis, found {max(header.shape)}")
        self._dtype = np.dtype(np.uint8) if header.dtype == meta.BOOL else header.dtype
        ny, nx = header.shape[-2:]
        extra = header.slice_shape[0] if len(header.slice_shape) == 3 else 1
        self._lengths = (nx, ny, header.n_slices, extra)
        self._blocks = Blocks(0, extra, header.n_slices, ny * nx * self._dtype.itemsize)

    def write(self, array: np.ndarray) -> None:
        i = self._written
        self._require_slice(array)
        with writing(self.name):
            self._blocks.write(self._part.file, i, flat(np.ascontiguousarray(array)))

    def finish(self, history: Sequence[Mapping[str, Any]] = ()) -> None:
        self._require_complete()
        whole = PartFile(self.name, self._part.path, force=self._part.force)
        try:
            with writing(self.name):
                self._assemble(whole.file, history)
            whole.commit()
        finally:
            whole.abort()
            self._part.abort()

    def _assemble(self, file: Any, history: Sequence[Mapping[str, Any]]) -> None:
        buffered: Any = io.BufferedWriter(file)
        # No name and no time: the same volume is the same file.
        sink = gzip.GzipFile("", "wb", 1, buffered, mtime=0) if self._compressed else buffered
        said = MARK + json.dumps(meta.fields(self.header) | {"history": list(history)}).encode()
        size = -(-(8 + len(said)) // 16) * 16
        sink.write(_header_bytes(self.header.geometry, self._lengths, self._dtype, 352 + size))
        sink.write(b"\1\0\0\0" + struct.pack("<ii", size, COMMENT) + said.ljust(size - 8, b"\0"))
        self._part.file.seek(0)
        shutil.copyfileobj(self._part.file, sink, 1 << 20)
        if self._compressed:
            sink.close()
        buffered.flush()
        buffered.detach()

    def abort(self) -> None:
        self._part.abort()


def _header_bytes(geometry: Geometry, lengths: tuple[int, int, int, int], dtype: np.dtype, offset: int) -> bytes:
    import nibabel as nib

    nii = nib.Nifti1Header(endianness="<")
    nii.set_data_dtype(dtype)
    nii.set_data_shape(lengths if lengths[3] > 1 else lengths[:3])
    if geometry.affine is not None:
        affine = np.array(geometry.affine)
        nii.set_sform(affine, 1)
        nii.set_qform(affine, 1)
        if not np.allclose(nii.get_qform(), affine, rtol=1e-4, atol=1e-3):  # a shear, which a quaternion has not
            nii["qform_code"] = 0
    elif geometry.voxel is not None:
        nii["pixdim"][1:4] = geometry.voxel
    if geometry != Geometry():
        nii.set_xyzt_units("mm")
    nii["scl_slope"], nii["scl_inter"], nii["vox_offset"], nii["magic"] = 1, 0, offset, b"n+1"
    return nii.binaryblock
