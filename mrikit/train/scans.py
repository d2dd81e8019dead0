"""Fully sampled scans to learn from, read slice by slice, and their MVUE images, computed once and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrikit.axes import LARGEST, SMALLEST, describe
from mrikit.errors import DataError, MrikitError
from mrikit.io import Header, Reader, open_reader, open_writer
from mrikit.io.paths import locate
from mrikit.physics.coils import mvue
from mrikit.physics.espirit import espirit
from mrikit.physics.sampling import acceleration, is_complete, is_partial, sampling
from mrikit.train.data import Volume, brightest

VERSION = 3  # of the images kept; a higher number makes them all anew
MIN_MATRIX = 32  # samples along an axis; of fewer, high accelerations leave no centre to calibrate on


@dataclass(frozen=True)
class KspaceFile:
    """A file of k-space and those of its slices to learn from. It is opened for every slice, in any process.

    images: the MVUE of its slices with maps from the full centre, mapped from the file that keeps them.
    flaws: why the other slices are not learned from, by number.
    """

    file: Path
    images: Volume
    flaws: dict[int, str]

    def read(self, index: int) -> np.ndarray:
        """k-space `(coil, y, x)` of slice `index`."""
        with open_reader(self.file, "kspace") as reader:
            return reader.read_slice(index)


class Scans:
    """Measured scans, each file drawn by its weight. `share`: of all problems, those made of measured k-space."""

    def __init__(self, files: Sequence[KspaceFile], share: float) -> None:
        self.files = files
        weights = np.array([file.images.weight for file in files])
        self.shares = weights / weights.sum()
        self.share = share

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """k-space `(coil, y, x)` of one slice."""
        file = self.files[rng.choice(len(self.files), p=self.shares)]
        return file.read(int(rng.choice(file.images.shown)))


def kspace_file(file: Path, reader: Reader, cache: Path, say: Callable[[str], None]) -> KspaceFile:
    """What can be learned from the k-space that `reader` has opened; its MVUE images are kept in the folder `cache`.

    An entry of the cache belongs to a file's place, size and time of change. Raises DataError where the file is
    damaged or no slice of it can be learned from.
    """
    header = reader.header
    if min(header.shape[-2:]) < MIN_MATRIX:
        raise DataError(
            f"{file}: the matrix is {describe(header.shape[-2:])}, expected {MIN_MATRIX} or more along y and x"
        )
    require_own_images(file, reader)
    entry = cache / entry_name(file)
    try:
        images, brightness, flaws = load_images(entry, header)
    except MrikitError:  # not there yet, or broken
        say(f"{file}: computing its MVUE images, once")
        save_images(entry, reader)
        images, brightness, flaws = load_images(entry, header)
    if not any(brightness):
        raise DataError(
            f"{file}: no slice can be learned from: slice 0 {flaws[0]}", hint="training takes fully sampled k-space"
        )
    return KspaceFile(file, Volume.of(images, brightness), flaws)


def require_own_images(file: Path, reader: Reader) -> None:
    """Raise DataError where fastMRI's images beside the k-space are of another scan."""
    if "reconstruction_rss" not in reader.datasets or locate(file).dataset:
        return
    with open_reader(f"{file}:reconstruction_rss", "image") as images:
        found, (n_slices, _, *matrix) = images.header.shape, reader.header.shape
    if found[0] != n_slices or any(n > limit for n, limit in zip(found[-2:], matrix, strict=True)):
        raise DataError(
            f"{file}: its reconstruction_rss has {describe(found, images.header.axes)}, "
            f"its k-space {describe((n_slices, *matrix), ('slice', 'y', 'x'))}",
            hint=f"{file}:kspace takes the k-space alone",
        )


def entry_name(file: Path) -> str:
    """Name of the cache's entry: where the file is, then, behind a dash, in which state."""
    where = locate(file)
    state = [(part.stat().st_size, part.stat().st_mtime_ns) for part in where.files]
    place = [str(part.resolve()) for part in where.files]
    said = (place, where.dataset), (state, VERSION)
    return "-".join(hashlib.sha256(repr(each).encode()).hexdigest()[:16] for each in said) + ".npy"


def save_images(entry: Path, reader: Reader) -> None:
    """Compute the MVUE of every slice of `reader` into `entry`; those with a flaw are zero. Older entries go."""
    n_slices, _, *matrix = reader.header.shape
    header = Header("image", ("slice", "y", "x"), (n_slices, *matrix), reader.header.dtype)
    brightness, flaws = [], {}
    entry.parent.mkdir(parents=True, exist_ok=True)
    with open_writer(entry, header, force=True) as writer:
        for i, kspace in enumerate(reader):
            try:
                image = full_mvue(kspace)
            except DataError as error:
                image, flaws[i] = np.zeros(matrix, np.complex64), str(error)
            brightness.append(brightest(image))
            writer.write(image)
        writer.finish([{"brightness": brightness, "flaws": flaws}])
    place = entry.name.partition("-")[0]
    for other in entry.parent.glob(f"{place}-*.npy"):
        if other != entry:
            other.unlink(missing_ok=True)


def load_images(entry: Path, kspace: Header) -> tuple[np.ndarray, list[float], dict[int, str]]:
    """Images of an entry, mapped, their brightness, and flaws by slice. Raises MrikitError where it is broken."""
    with open_reader(entry, "image") as reader:
        header = reader.header
    kept = header.history[0] if header.history else {}
    if header.shape != (kspace.shape[0], *kspace.shape[-2:]) or not {"brightness", "flaws"} <= kept.keys():
        raise DataError(f"{entry}: not the images of this k-space")
    return (
        np.asarray(np.load(entry, mmap_mode="r")),
        kept["brightness"],
        {int(i): flaw for i, flaw in kept["flaws"].items()},
    )


def full_mvue(kspace: np.ndarray) -> np.ndarray:
    """MVUE `(y, x)` of a fully sampled slice `(coil, y, x)`. Raises DataError, whose text follows `slice 3`."""
    if not np.isfinite(kspace).all():
        raise DataError("has NaN or infinity")
    largest = float(np.abs(kspace).max())
    if largest == 0:
        raise DataError("is zero everywhere")
    if not SMALLEST <= largest <= LARGEST:
        raise DataError(f"has a largest sample of {largest:.3g}, expected {SMALLEST:g} to {LARGEST:g}")
    acquired = sampling(kspace)
    if not is_complete(acquired):
        raise DataError(f"is under-sampled, with R = {acceleration(acquired):.3g}")
    if is_partial(kspace):
        raise DataError("is partial Fourier, or of an asymmetric echo: a part of what it should teach was not measured")
    image = mvue(kspace, espirit(kspace, refine=True))
    if not brightest(image) > 0:
        raise DataError("shows nothing")
    return image
