"""From files and folders to what is learned from: images, and scans as they were measured."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mrikit.axes import describe
from mrikit.errors import DataError, MissingInputError, UnsafeError
from mrikit.io import Reader, open_reader
from mrikit.io.paths import FORMATS, is_pipe, listed, locate
from mrikit.train import distributed
from mrikit.train.data import Images, Volume, brightest
from mrikit.train.scans import KspaceFile, Scans, kspace_file

AS_MEASURED = 0.5  # share of draws from a file of k-space that take it as it is; the others simulate scans of its image
SUFFIXES = tuple(suffix for suffix in FORMATS if suffix != ".hdr")  # which stands beside a .cfl

Say = Callable[[str], None]


@dataclass(frozen=True)
class Data:
    """images: to simulate scans of. scans: to under-sample as they are, if there are any.

    skipped: names of the files that could not be learned from. files: names and fingerprints of those that can.
    """

    images: Images
    scans: Scans | None
    skipped: tuple[str, ...] = ()
    files: tuple[tuple[str, int, int], ...] = ()


def collect(
    paths: Iterable[Path],
    simulated: float,
    *,
    cache: Path,
    as_measured: float = AS_MEASURED,
    strict: bool = False,
    warn: Say = lambda text: None,
    say: Say = lambda text: None,
) -> Data:
    """What the files and folders at `paths` hold: image volumes `(image, y, x)` and fully sampled k-space.

    A broken file in a folder is named by `warn` and left out, and so is a slice of k-space that is empty or
    under-sampled; with `strict` either is an error. A file that `paths` names itself must not be broken. Files count
    by `Volume.weight`; `simulated` is the share of simulated anatomy, `as_measured` that of draws from a file of
    k-space which take it as it is, not its image. `cache`: folder for the MVUE images of k-space.

    Raises MissingInputError for a folder without a file of a known format, DataError where none of them can be
    learned from, and for a file what reading it raises.
    """
    found: dict[object, Volume | KspaceFile] = {}
    skipped: list[str] = []
    for path in paths:
        files, broken = files_at(path), []
        for file in files:
            where = locate(file)
            key = where.files, where.dataset
            if key in found:  # named twice, as a .cfl and its .hdr are by *
                continue
            try:
                found[key] = read(file, cache, say)
                report_flaws(found[key], strict, warn)
            except (DataError, MissingInputError, UnsafeError) as error:
                if strict or not path.is_dir():
                    raise
                warn(f"{error}; skipped")
                broken.append(file.name)
        if len(broken) == len(files):
            raise DataError(f"{path}: none of its {len(files)} files can be learned from")
        if broken:
            warn(f"{path}: {len(broken)} of {len(files)} files skipped")
        skipped += broken
    images = [each for each in found.values() if isinstance(each, Volume)]
    scans = [each for each in found.values() if isinstance(each, KspaceFile)]
    files = tuple((file.name, *fingerprint(file)) for parts, _ in found for file in parts)
    return replace(shared(images, scans, simulated, as_measured), skipped=tuple(skipped), files=files)


def collect_together(
    paths: Iterable[Path], validate: Iterable[Path], simulated: float, **how: Any
) -> tuple[Data, Data | None]:
    """`collect` in every process that trains; the second is what to validate with, in the first process alone.

    The others wait until the first has filled the cache. how: as `collect` has it; where it does not say, k-space to
    validate with is taken as measured alone.
    """
    first = distributed.rank() == 0
    kept = collect(validate, 0.0, **{"as_measured": 1.0} | how) if first and validate else None
    learned = collect(paths, simulated, **how) if first else None
    distributed.wait()
    return learned or collect(paths, simulated, **how), kept


def shared(images: list[Volume], scans: list[KspaceFile], simulated: float, as_measured: float) -> Data:
    """`Data` in which every file has its share, in whichever ways it is learned from."""
    volumes = [*images, *(scan.images for scan in scans)]
    if not volumes:
        return Data(Images([], [], simulated=1.0), None)
    weights = [v.weight for v in images] + [(1 - as_measured) * s.images.weight for s in scans]
    if not any(weights):  # no image is ever drawn
        return Data(Images([], [], simulated=1.0), Scans(scans, 1 - simulated))
    measured = (1 - simulated) * as_measured * sum(s.images.weight for s in scans) / sum(v.weight for v in volumes)
    return Data(Images(volumes, weights, simulated / (1 - measured)), Scans(scans, measured) if scans else None)


def as_paths(files: Path | str | Iterable[Path | str]) -> list[Path]:
    """`files`, one or several, as paths."""
    return [Path(files)] if isinstance(files, (str, Path)) else [Path(file) for file in files]


def fingerprint(file: Path) -> tuple[int, int]:
    """How many bytes a file has, and a checksum of 64 KiB in its middle: other data under its name have others."""
    size = file.stat().st_size
    with file.open("rb") as content:
        content.seek(max(0, size // 2 - 2**15))
        return size, zlib.crc32(content.read(2**16))


def files_at(path: Path) -> list[Path]:
    """The file at `path`, or the volumes in the folder there, by name."""
    return listed(path, SUFFIXES)


def read(file: Path, cache: Path, say: Say) -> Volume | KspaceFile:
    """What is learned from one file: the k-space, where it holds both."""
    with opened(file) as reader:
        return read_images(file, reader) if reader.header.kind == "image" else kspace_file(file, reader, cache, say)


def opened(file: Path) -> Reader:
    """The k-space in one file, or else its images."""
    where = locate(file)
    # A pipe cannot be read again and again, and NIfTI has no place for coils.
    images_alone = where.format == "nifti" or not where.files or is_pipe(where.files[0])
    return open_reader(file, "image" if images_alone else ("kspace", "image"))


def read_images(file: Path, reader: Reader) -> Volume:
    """The images of a volume, in memory; complex ones stay complex."""
    if reader.header.axes != ("slice", "y", "x"):
        found = describe(reader.header.shape, reader.header.axes)
        raise DataError(f"{file}: has {found}, expected images (image, y, x)")
    array = reader.read()
    if not np.isfinite(array).all() or not any(brightness := [brightest(image) for image in array]):
        raise DataError(f"{file}: images must be finite and not all zero")
    return Volume.of(array, brightness)


def report_flaws(source: Volume | KspaceFile, strict: bool, warn: Say) -> None:
    """Say which slices of k-space are left out. Raises DataError where `strict` forbids it."""
    if isinstance(source, Volume) or not source.flaws:
        return
    flaws = [f"slice {i} {flaw}" for i, flaw in source.flaws.items()]
    if strict:
        raise DataError(f"{source.file}: {flaws[0]}", hint="without --strict it is left out")
    more = f"; and {len(flaws) - 3} more" if len(flaws) > 3 else ""
    warn(f"{source.file}: some slices are left out: {'; '.join(flaws[:3])}{more}")
