"""The folder of a comparison: a file of scores and one of the image for every cell, and all scores as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from mrikit.errors import CannotCreateError, DataError, MrikitError, UsageError
from mrikit.io import Header, open_reader, open_writer
from mrikit.io.atomic import write_whole
from mrikit.io.facts import write_facts

FORMAT = 1
TERMS = "study.json"
#: what a folder of results holds
FILES, FOLDERS = (TERMS, "results.csv", "results.json"), ("cells", "figures", "tune")


@dataclass(frozen=True, order=True)
class Condition:
    """How a scan is under-sampled. axis: of the lines, x or y; yx where samples of the plane are chosen."""

    kind: str
    axis: str
    accel: float

    def __str__(self) -> str:
        return f"{self.kind}-{self.axis}-R{self.accel:g}"

    @property
    def mask(self) -> str:
        """The kind of mask, in words."""
        return f"{self.kind} samples" if self.axis == "yx" else f"{self.kind} lines along {self.axis}"


@dataclass(frozen=True, order=True)
class Piece:
    """One slice of one scan under one condition: what every method is given alike."""

    scan: str
    slice: int
    condition: Condition

    def __str__(self) -> str:
        return f"{self.scan}/{self.slice:03d}/{self.condition}"


@dataclass(frozen=True)
class Row:
    """What one method made of one piece, with scores as `metrics` has them; None where there is nothing to say.

    accel, achieved_accel: asked for, and N / sampled. psnr: dB. masked: inside the object. seconds: of the method
    alone, maps excluded. memory_mib: the most that it took meanwhile, as `measure` has it. lamda: the one searched for,
    if any. note: why there is no image. cascades: masked PSNR and SSIM of every state of an unrolled network.
    """

    scan: str
    slice: int
    mask_kind: str
    axis: str
    accel: float
    method: str
    achieved_accel: float | None = None
    psnr: float | None = None
    ssim: float | None = None
    psnr_masked: float | None = None
    ssim_masked: float | None = None
    nmse: float | None = None
    seconds: float | None = None
    memory_mib: float | None = None
    lamda: float | None = None
    note: str | None = None
    cascades: list[list[float]] | None = None

    @property
    def piece(self) -> Piece:
        return Piece(self.scan, self.slice, Condition(self.mask_kind, self.axis, self.accel))

    @property
    def name(self) -> str:
        return f"{self.piece}/{self.method}"


#: What results.csv has; the rest is in results.json alone.
COLUMNS = tuple(f.name for f in fields(Row) if f.name != "cascades")


@dataclass
class Results:
    """The results in `folder`: rows by piece and method. terms: what they depend on, beyond the piece itself."""

    folder: Path
    terms: dict[str, Any]
    rows: dict[tuple[Piece, str], Row] = field(default_factory=dict)

    @classmethod
    def begin(cls, folder: Path, terms: Mapping[str, Any], *, resume: bool, force: bool) -> Results:
        """New results, or with `resume` those that are there, of which `terms` must be a continuation.

        Raises CannotCreateError where there is something already, UsageError where it was made on other terms, and
        DataError where it cannot be read.
        """
        if folder.exists() and not folder.is_dir():
            raise CannotCreateError(f"{folder}: is a file, expected a folder")
        if folder.exists() and any(folder.iterdir()):
            if resume and (folder / TERMS).exists():
                found = cls.open(folder)
                found.terms = _continued(folder, found.terms, json.loads(json.dumps(terms)))
                found._write_json(TERMS, found.terms)
                return found
            if not force or not (folder / TERMS).exists():  # never remove what is not ours
                hint = "--resume goes on with it, --force begins anew" if (folder / TERMS).exists() else None
                raise CannotCreateError(f"{folder}: exists already", hint=hint or "name a new folder")
            _remove(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotCreateError(f"{folder}: cannot be created: {error.strerror}") from error
        new = cls(folder, json.loads(json.dumps(terms)))
        new._write_json(TERMS, new.terms)
        return new

    @classmethod
    def open(cls, folder: Path) -> Results:
        """The results in `folder`. Raises DataError, naming the file, where they are none or broken."""
        hint = "DIR is what `mrikit evaluate --out DIR` made"
        if not (folder / TERMS).is_file():
            raise DataError(f"{folder}: has no {TERMS}, so it is no folder of results", hint=hint)
        terms = _read_json(folder / TERMS)
        if terms.get("format") != FORMAT:
            raise DataError(f"{folder / TERMS}: has format {terms.get('format')}, expected {FORMAT}", hint=hint)
        found = cls(folder, terms)
        for path in sorted((folder / "cells").glob("*/*/*/*.json")):
            try:
                found._keep(Row(**_read_json(path)))
            except TypeError as error:
                raise DataError(f"{path}: not the scores of a cell", hint="remove it, and --resume") from error
        return found

    def missing(self, piece: Piece, method: str) -> bool:
        """Whether the scores or the image of a cell are not there."""
        row = self.rows.get((piece, method))
        return row is None or (row.note is None and not self._path(piece, method, ".npy").is_file())

    def put(self, row: Row, image: np.ndarray | None = None, std: np.ndarray | None = None) -> None:
        """Keep a row and its image and std `(y, x)`; the scores last, so that a cell is there as a whole or not."""
        for array, suffix in ((image, ".npy"), (std, ".std.npy")):
            if array is not None:
                self._write_image(self._path(row.piece, row.method, suffix), array)
        self._write_json(self._path(row.piece, row.method, ".json").relative_to(self.folder), asdict(row))
        self._keep(row)

    def image(self, piece: Piece, method: str, *, std: bool = False) -> np.ndarray:
        """Image `(y, x)` complex of a cell, or its std, real. Raises MrikitError where it is not there or broken."""
        return _read_image(self._path(piece, method, ".std.npy" if std else ".npy"))

    def reference(self, scan: str, number: int) -> np.ndarray | None:
        """The reference `(y, x)` of a slice, complex; None where it is not there yet."""
        path = self._reference(scan, number)
        return _read_image(path) if path.is_file() else None

    def put_reference(self, scan: str, number: int, image: np.ndarray) -> None:
        """Keep the reference of a slice."""
        self._write_image(self._reference(scan, number), image)

    def put_mask(self, piece: Piece, mask: np.ndarray) -> None:
        """Keep the mask of a piece, bool `(x,)` or `(y, x)`, for methods that are not ours to be compared on it."""
        path = self._path(piece, "mask", ".npy")
        _write_volume(path, Header("mask", ("y", "x")[-mask.ndim :], mask.shape, mask.dtype), mask)

    def has_std(self, piece: Piece, method: str) -> bool:
        """Whether the method told how sure it is."""
        return self._path(piece, method, ".std.npy").is_file()

    def sorted(self) -> list[Row]:
        """All rows, in an order that does not depend on when they were made."""
        return [self.rows[key] for key in sorted(self.rows)]

    def write(self) -> None:
        """Write results.csv and results.json, whole or not at all."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows([getattr(row, name) for name in COLUMNS] for row in self.sorted())
        write_whole(self.folder / "results.csv", text.getvalue().encode())
        self._write_json("results.json", {**self.terms, "rows": [asdict(row) for row in self.sorted()]})

    def update(self, rows: Iterable[Row]) -> None:
        """Take in rows that another process has put into the folder."""
        for row in rows:
            self._keep(row)

    def _keep(self, row: Row) -> None:
        self.rows[row.piece, row.method] = row

    def _path(self, piece: Piece, method: str, suffix: str) -> Path:
        return self.folder / "cells" / str(piece) / f"{method}{suffix}"

    def _reference(self, scan: str, number: int) -> Path:
        return self.folder / "cells" / scan / f"{number:03d}" / "reference.npy"

    def _write_json(self, name: str | Path, content: object) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_facts(path, content, indent=1)

    def _write_image(self, path: Path, image: np.ndarray) -> None:
        _write_volume(path, Header("image", ("slice", "y", "x"), (1, *image.shape), image.dtype), image)


def _write_volume(path: Path, header: Header, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_writer(path, header, force=True) as writer:
        writer.write(np.ascontiguousarray(array))
        writer.finish()


def _remove(folder: Path) -> None:
    """Remove the results in `folder`, and nothing else that is there."""
    for name in FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in FILES:
        (folder / name).unlink(missing_ok=True)


def _continued(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The terms of both. Raises UsageError where they contradict each other."""
    merged = dict(before)
    for name, value in now.items():
        was = before.get(name)
        if isinstance(value, dict) and isinstance(was, dict):
            changed = [key for key in value if key in was and was[key] != value[key]]
            merged[name] = {**was, **value}
        else:
            changed = [] if was == value else [name]
        if changed:
            raise UsageError(
                f"{folder}: was made with another {', '.join(changed)}: {_difference(was, value, changed)}",
                hint="go on with the same scans and options; --force begins anew",
            )
    return merged


def _difference(was: Any, now: Any, changed: Sequence[str]) -> str:
    """What was, and what is now, of the first thing that changed."""
    if isinstance(was, dict) and isinstance(now, dict):
        was, now = was[changed[0]], now[changed[0]]
    if isinstance(was, dict) and isinstance(now, dict):
        key = next(key for key in {**was, **now} if was.get(key) != now.get(key))
        return f"{key} {was.get(key)}, not {now.get(key)}"
    return f"{was}, not {now}"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: broken, this is not JSON", hint="remove it, and --resume") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: broken, expected an object", hint="remove it, and --resume")
    return content


def _read_image(path: Path) -> np.ndarray:
    try:
        with open_reader(path, "image") as reader:
            return reader.read()[0]
    except MrikitError as error:
        described = path.with_name(path.name.split(".")[0] + ".json")
        hint = f"remove {described.name if described.exists() else 'it'} there, and --resume"
        raise DataError(f"{path}: broken or missing: {error}", hint=hint) from error
