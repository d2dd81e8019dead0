"""Pictures to learn from: idx files, as MNIST has them, .npy stacks, and folders of PNG or JPEG files.

Values are uint8, 0 to 255, or floats from 0 to 1.
"""

from __future__ import annotations

import gzip
import struct
import warnings
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mrikit.axes import describe
from mrikit.errors import DataError, MissingInputError, UnsafeError
from mrikit.io import guard
from mrikit.io.paths import listed

PHOTOGRAPHS = (".png", ".jpg", ".jpeg")
ARRAYS = (".npy", ".idx", "-ubyte", ".idx.gz", "-ubyte.gz")
SIDE = 128  # of photographs, where nothing is said
UNSIGNED_BYTES = 8  # the only type of idx that is read


@dataclass(frozen=True)
class Gallery:
    """images: `(image, channel, y, x)`, uint8 or float32. labels: `(image,)` int64, the classes, where known."""

    images: np.ndarray
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images)

    def part(self, first: float, last: float) -> Gallery:
        """Those from the share `first` to the share `last`, in order. Raises DataError where there are none."""
        where = slice(round(first * len(self)), round(last * len(self)))
        if not len(self.images[where]):
            raise DataError(f"{len(self)} images are too few: none lies between {first:.0%} and {last:.0%} of them")
        return Gallery(self.images[where], None if self.labels is None else self.labels[where])

    def require_labels(self) -> np.ndarray:
        """The labels. Raises DataError where there are none."""
        if self.labels is None:
            raise DataError(
                "these images have no labels, without which there is nothing to tell apart",
                hint="name their file of labels, or a folder that holds both",
            )
        return self.labels


def gallery(paths: Iterable[Path], side: int | None = None) -> Gallery:
    """All pictures in the files and folders at `paths`, in the order of their names.

    A file of one axis holds labels: the first such file those of the first file of images, and so on. side: photographs
    are cropped to a square and scaled to `side` x `side`, 128 by default; smaller images of a file are put amid zeros.

    Raises MissingInputError for a folder that holds no pictures, DataError for files that are damaged, not of these
    formats, or do not go together, UnsafeError for hostile ones.
    """
    images: list[tuple[str, np.ndarray]] = []
    labels: list[tuple[str, np.ndarray]] = []
    photographs: list[Path] = []
    for file in (file for path in paths for file in listed(path, (*PHOTOGRAPHS, *ARRAYS))):
        if file.name.lower().endswith(PHOTOGRAPHS):
            photographs.append(file)
        else:
            array = read(file)
            (labels if array.ndim == 1 else images).append((str(file), array))
    stacks = [framed(as_images(name, array), side) for name, array in images]
    if photographs:
        stacks.append(develop(photographs, side or SIDE))
    if not stacks:
        raise MissingInputError(f"{', '.join(name for name, _ in labels)}: labels alone, expected images too")
    require_one_shape([*(name for name, _ in images), *map(str, photographs[:1])], stacks)
    if not labels:
        return Gallery(np.concatenate(stacks))
    if photographs or len(labels) != len(images):
        raise DataError(f"{labels[0][0]}: {len(labels)} files of labels for {len(stacks)} of images, expected as many")
    for (name, array), (other, classes) in zip(images, labels, strict=True):
        if len(array) != len(classes):
            raise DataError(f"{other}: {len(classes)} labels, but {name} has {len(array)} images")
    return Gallery(np.concatenate(stacks), np.concatenate([classes.astype(np.int64) for _, classes in labels]))


def require_one_shape(names: Sequence[str], stacks: Sequence[np.ndarray]) -> None:
    """Raise DataError where images differ in their shape or type."""
    first = stacks[0]
    for name, stack in zip(names, stacks, strict=True):
        if (stack.shape[1:], stack.dtype) != (first.shape[1:], first.dtype):
            raise DataError(
                f"{name}: images are {describe(stack.shape[1:])} {stack.dtype}, "
                f"but {names[0]} has {describe(first.shape[1:])} {first.dtype}"
            )


def read(file: Path) -> np.ndarray:
    """The array in an idx or .npy file: images, or labels where it has one axis."""
    name = str(file)
    if file.suffix.lower() == ".npy":
        try:
            array = np.lib.format.open_memmap(file, mode="r")  # unlike np.load takes no archive for an array
        except (ValueError, EOFError, OSError) as error:
            raise DataError(f"{name}: not a .npy file, or one cut short ({guard.first_line(error)})") from None
        if not array.size:
            raise DataError(f"{name}: has no images, and no labels")
        guard.require_slice_fits(name, array.nbytes, file.stat().st_size)
    else:
        array = read_idx(name, file)
    if array.ndim == 1 and not (array.dtype.kind in "iu" and array.size and array.min() >= 0):
        raise DataError(f"{name}: {describe(array.shape)} {array.dtype}, expected labels: whole numbers from 0 up")
    return np.asarray(array)


def read_idx(name: str, file: Path) -> np.ndarray:
    """The array in an idx file, gzipped or not. Format: http://yann.lecun.com/exdb/mnist, unsigned bytes alone."""
    compressed = file.suffix.lower() == ".gz"
    present = file.stat().st_size
    opener: Any = gzip.open if compressed else open
    try:
        with opener(file, "rb") as source:
            zeros, kind, n_axes = struct.unpack(">HBB", source.read(4))
            if zeros or kind != UNSIGNED_BYTES or not n_axes:
                raise DataError(f"{name}: not an idx file of unsigned bytes")
            shape = guard.require_shape(name, struct.unpack(f">{n_axes}I", source.read(4 * n_axes)))
            claimed = guard.nbytes(shape, 1)
            if compressed:
                guard.require_ratio(name, claimed, present)
                guard.require_slice_fits(name, claimed)
            else:
                guard.require_present(name, claimed, present - source.tell())
            data = source.read(claimed)
    except (struct.error, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{name}: not an idx file, or one cut short ({guard.first_line(error)})") from None
    guard.require_present(name, claimed, len(data))
    return np.frombuffer(data, np.uint8).reshape(shape)


def as_images(name: str, array: np.ndarray) -> np.ndarray:
    """`(image, channel, y, x)`, uint8 or float32 in [0, 1], of `(image, y, x)` or `(image, y, x, channel)`."""
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[-1] > 4):
        raise DataError(
            f"{name}: has lengths {describe(array.shape)}, expected (image, y, x) or (image, y, x, channel)"
        )
    if array.dtype != np.uint8:
        if array.dtype.kind not in "fiu" or not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise DataError(f"{name}: {array.dtype} images must be finite and from 0 to 1, or else uint8")
        array = array.astype(np.float32)
    return array[:, None] if array.ndim == 3 else array.transpose(0, 3, 1, 2)


def framed(images: np.ndarray, side: int | None) -> np.ndarray:
    """Images no larger than `side` x `side`, amid zeros that make them so."""
    n_y, n_x = images.shape[-2:]
    if side is None:
        return images
    if max(n_y, n_x) > side:
        raise DataError(f"images of {n_y} x {n_x} are larger than the {side} x {side} asked for")
    top, left = (side - n_y) // 2, (side - n_x) // 2
    return np.pad(images, ((0, 0), (0, 0), (top, side - n_y - top), (left, side - n_x - left)))


def develop(files: Sequence[Path], side: int) -> np.ndarray:
    """Photographs as `(image, 3, side, side)` uint8: RGB, the middle square, scaled."""
    guard.require_slice_fits(str(files[0].parent), guard.nbytes((len(files), 3, side, side), 1))
    return np.stack([photograph(file, side) for file in files])


def photograph(file: Path, side: int) -> np.ndarray:
    """One photograph, `(3, side, side)` uint8. Raises DataError where it is damaged, UnsafeError where it is huge."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=("PNG", "JPEG")) as picture:
                n_x, n_y = picture.size
                edge = min(n_x, n_y)
                left, top = (n_x - edge) // 2, (n_y - edge) // 2
                box = (left, top, left + edge, top + edge)
                square = picture.convert("RGB").crop(box).resize((side, side), Image.Resampling.BICUBIC)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UnsafeError(f"{file}: a picture of more than {Image.MAX_IMAGE_PIXELS} pixels is not unpacked") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{file}: not a PNG or JPEG file, or one cut short ({guard.first_line(error)})") from None
    return np.asarray(square).transpose(2, 0, 1)
