"""Files and folders to learn from: what is found, what is left out and said, what is computed once."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scans import save, simulated

from mrikit.errors import CannotWriteError, DataError, MissingInputError, MrikitError, UsageError
from mrikit.physics.coils import mvue
from mrikit.physics.espirit import espirit
from mrikit.physics.masks import mask
from mrikit.physics.sampling import undersample
from mrikit.train import scans
from mrikit.train.collect import Data, collect, files_at


def fastmri(path: Path, kspace: np.ndarray, **more: np.ndarray) -> Path:
    """A file as fastMRI distributes it."""
    with h5py.File(path, "w") as file:
        for name, array in {"kspace": kspace, **more}.items():
            file[name] = array
    return path


@pytest.fixture
def kspace() -> np.ndarray:
    return simulated(48, 4, 2).kspace.copy()


class Said:
    """`collect` into a cache of its own, and what it says."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.warnings: list[str] = []
        self.computed: list[str] = []

    def __call__(self, *paths: Path, share: float = 0.0, strict: bool = False) -> Data:
        self.warnings, self.computed = [], []
        return collect(
            paths, share, cache=self.cache, strict=strict, warn=self.warnings.append, say=self.computed.append
        )


@pytest.fixture
def gather(tmp_path: Path) -> Said:
    return Said(tmp_path / "cache")


# ---- what is found


def test_images_scans_and_folders_mix_and_count_by_the_root_of_their_slices(
    gather: Said, tmp_path: Path, kspace: np.ndarray
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    np.save(folder / "nine.npy", np.ones((9, 8, 8), np.float32))
    save(folder / "one.nii.gz", np.ones((1, 8, 8), np.float32), "image")
    fastmri(tmp_path / "scan.h5", np.concatenate([kspace] * 2), reconstruction_rss=np.ones((4, 32, 32), np.float32))
    data = gather(tmp_path / "scan.h5", folder, share=0.4)

    assert data.images.n_images == 14
    assert [len(v.array) for v in data.images.volumes] == [9, 1, 4]
    # Of 3 + 1 + 2 the scan has a third, half of it as measured.
    assert data.scans.share == pytest.approx(0.6 / 6)
    assert list(data.images.shares) == pytest.approx([3 / 5, 1 / 5, 1 / 5])
    assert (1 - data.scans.share) * data.images.simulated == pytest.approx(0.4)
    assert gather.warnings == []


def test_images_alone_have_no_scans_and_compute_nothing(gather: Said, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((2, 8, 8), np.complex64))
    data = gather(tmp_path / "a.npy", share=0.4)

    assert data.scans is None
    assert data.images.simulated == 0.4
    assert data.images.volumes[0].array.dtype == np.complex64
    assert not gather.cache.exists()


def test_a_folder_is_its_files_of_known_formats_by_name(tmp_path: Path) -> None:
    for name in ("b.npy", "a.NII.gz", "c.h5", "d.cfl", "d.hdr", ".hidden.npy", "notes.txt", "w.safetensors"):
        (tmp_path / name).touch()
    (tmp_path / "below").mkdir()

    assert [file.name for file in files_at(tmp_path)] == ["a.NII.gz", "b.npy", "c.h5", "d.cfl"]


def test_a_pair_of_files_or_a_file_named_twice_counts_once(gather: Said, tmp_path: Path) -> None:
    save(tmp_path / "d.cfl", np.ones((2, 8, 8), np.float32), "image")

    assert gather(tmp_path, tmp_path / "d.cfl", tmp_path / "d.hdr").images.n_images == 2


@pytest.mark.parametrize("name", ["scan.npy", "scan.cfl", "scan.h5"])
def test_any_format_of_kspace_gives_its_slices_one_by_one(
    gather: Said, tmp_path: Path, kspace: np.ndarray, name: str
) -> None:
    save(tmp_path / name, kspace, "kspace")
    (file,) = gather(tmp_path / name).scans.files

    assert np.array_equal(file.read(1), kspace[1])
    assert np.array_equal(file.read(0), kspace[0])


def test_the_image_of_a_scan_is_its_mvue(gather: Said, tmp_path: Path, kspace: np.ndarray) -> None:
    data = gather(fastmri(tmp_path / "scan.h5", kspace))

    assert np.array_equal(data.images.volumes[0].array, np.stack([mvue(k, espirit(k, refine=True)) for k in kspace]))


# ---- what is left out


def broken(path: Path) -> Path:
    fastmri(path, np.ones((2, 4, 40, 40), np.complex64))
    path.write_bytes(path.read_bytes()[:3000])
    return path


def test_a_broken_file_in_a_folder_is_named_skipped_and_counted(gather: Said, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    np.save(folder / "good.npy", np.ones((3, 8, 8), np.float32))
    broken(folder / "bad.h5")
    data = gather(folder)

    assert data.images.n_images == 3
    assert data.skipped == ("bad.h5",)
    first, last = gather.warnings
    assert first.startswith(f"{folder}/bad.h5: ") and first.endswith("; skipped")
    assert last == f"{folder}: 1 of 2 files skipped"
    with pytest.raises(DataError, match=r"bad\.h5"):
        gather(folder, strict=True)


def test_a_broken_file_that_is_named_is_an_error(gather: Said, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"bad\.h5"):
        gather(broken(tmp_path / "bad.h5"))


def test_a_folder_of_broken_files_is_an_error(gather: Said, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    broken(folder / "bad.h5")

    with pytest.raises(DataError, match="none of its 1 files can be learned from"):
        gather(folder)


def test_a_folder_without_files_is_an_error(gather: Said, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()

    with pytest.raises(MissingInputError, match=r"no file in this folder is one of \.npy, \.h5"):
        gather(tmp_path)


def test_a_full_disk_is_not_taken_for_a_broken_file(
    gather: Said, tmp_path: Path, kspace: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise CannotWriteError("no space left")

    folder = tmp_path / "folder"
    folder.mkdir()
    fastmri(folder / "scan.h5", kspace)
    monkeypatch.setattr(scans, "open_writer", full)

    with pytest.raises(CannotWriteError):
        gather(folder)


def zero(kspace: np.ndarray) -> np.ndarray:
    return 0 * kspace


def not_finite(kspace: np.ndarray) -> np.ndarray:
    return np.where(np.arange(48) == 7, np.nan, kspace).astype(np.complex64)


def lines(kspace: np.ndarray) -> np.ndarray:
    return undersample(kspace, mask((48, 48), 3))


def partial(kspace: np.ndarray) -> np.ndarray:
    return kspace * (np.arange(48) >= 16)


def echo(kspace: np.ndarray) -> np.ndarray:
    return kspace * (np.arange(48) < 36)[:, None]


def large(kspace: np.ndarray) -> np.ndarray:
    return kspace * np.float32(1e20)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (zero, "slice 0 is zero everywhere"),
        (not_finite, "slice 0 has NaN or infinity"),
        (lines, "slice 0 is under-sampled, with R = 3"),
        (partial, "slice 0 is partial Fourier"),
        (echo, "slice 0 is partial Fourier, or of an asymmetric echo"),
        (large, "slice 0 has a largest sample of"),
    ],
)
def test_a_slice_that_cannot_be_learned_from_is_named_and_left_out(
    gather: Said, tmp_path: Path, kspace: np.ndarray, spoil: Callable[[np.ndarray], np.ndarray], said: str
) -> None:
    good = kspace.copy()
    kspace[0] = spoil(kspace[0])
    path = fastmri(tmp_path / "scan.h5", kspace)
    for _ in range(2):  # computed, then from the cache
        data = gather(path)
        assert data.images.n_images == 1
        assert list(data.scans.files[0].images.shown) == [1]
        (warning,) = gather.warnings
        assert warning.startswith(f"{path}: some slices are left out: ") and said in warning
    with pytest.raises(DataError, match=said):
        gather(path, strict=True)

    good[0], good[1] = kspace[0], kspace[0]
    with pytest.raises(DataError, match=f"no slice can be learned from: {said}"):
        gather(fastmri(path, good))


def test_a_slice_without_maps_shows_nothing(kspace: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scans, "espirit", lambda kspace, refine: np.zeros_like(kspace))

    with pytest.raises(DataError, match="shows nothing"):
        scans.full_mvue(kspace[0])


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((3, 32, 32), "its reconstruction_rss has 3 slice x 32 y x 32 x, its k-space 2 slice x 48 y x 48 x"),
        ((2, 32, 64), "its reconstruction_rss has 2 slice x 32 y x 64 x"),
    ],
)
def test_images_of_another_scan_beside_the_kspace_are_refused(
    gather: Said, tmp_path: Path, kspace: np.ndarray, shape: tuple[int, ...], said: str
) -> None:
    path = fastmri(tmp_path / "scan.h5", kspace, reconstruction_rss=np.ones(shape, np.float32))

    with pytest.raises(DataError, match=said):
        gather(path)
    assert gather(Path(f"{path}:kspace")).images.n_images == 2


@pytest.mark.parametrize(
    ("name", "array", "kind", "error", "said"),
    [
        ("small.npy", np.ones((1, 2, 16, 40), np.complex64), "kspace", DataError, "matrix is 16 x 40, expected 32"),
        ("series.nii", np.ones((2, 3, 8, 8), np.float32), "samples", DataError, "expected image"),
        ("sets.npy", np.ones((2, 3, 8, 8), np.float32), "image", DataError, r"expected images \(image, y, x\)"),
        ("zero.npy", np.zeros((2, 8, 8), np.float32), "image", DataError, "finite and not all zero"),
        ("nan.npy", np.full((2, 8, 8), np.nan, np.float32), "image", DataError, "finite and not all zero"),
        ("maps.npy", np.ones((2, 3, 8, 8), np.complex64), "maps", DataError, "holds maps, expected kspace or image"),
    ],
)
def test_what_is_neither_images_nor_a_scan_is_refused_by_name(
    gather: Said, tmp_path: Path, name: str, array: np.ndarray, kind: str, error: type[MrikitError], said: str
) -> None:
    save(tmp_path / name, array, kind)

    with pytest.raises(error, match=rf"{name}.*{said}"):
        gather(tmp_path / name)


def test_a_file_of_no_known_format_is_refused(gather: Said, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()

    with pytest.raises(UsageError, match=r"notes\.txt"):
        gather(tmp_path / "notes.txt")


# ---- what is computed once


def entries(gather: Said) -> list[Path]:
    return sorted(gather.cache.iterdir())


def test_images_of_a_scan_are_computed_once(gather: Said, tmp_path: Path, kspace: np.ndarray) -> None:
    path = fastmri(tmp_path / "scan.h5", kspace)
    first = gather(path).images.volumes[0]
    assert gather.computed == [f"{path}: computing its MVUE images, once"]
    again = gather(path).images.volumes[0]

    assert gather.computed == []
    assert np.array_equal(first.array, again.array)
    assert (list(first.shown), first.scale) == (list(again.shown), again.scale)


def test_a_file_that_changed_is_computed_anew_and_its_old_images_go(
    gather: Said, tmp_path: Path, kspace: np.ndarray
) -> None:
    gather(fastmri(tmp_path / "other.h5", kspace), fastmri(tmp_path / "scan.h5", kspace))
    old = entries(gather)
    data = gather(tmp_path / "other.h5", fastmri(tmp_path / "scan.h5", 2 * kspace))

    assert gather.computed == [f"{tmp_path}/scan.h5: computing its MVUE images, once"]
    other, scan = data.images.volumes
    assert np.array_equal(scan.array, 2 * other.array)
    assert len(entries(gather)) == len(old) == 2


@pytest.mark.parametrize("damage", ["truncated", "another", "text"])
def test_a_broken_entry_is_computed_anew(gather: Said, tmp_path: Path, kspace: np.ndarray, damage: str) -> None:
    path = fastmri(tmp_path / "scan.h5", kspace)
    whole = np.array(gather(path).images.volumes[0].array)
    (entry,) = entries(gather)
    if damage == "truncated":
        entry.write_bytes(entry.read_bytes()[:-100])
    elif damage == "text":
        entry.write_text("not an array")
    else:
        np.save(entry, np.ones((2, 48, 48), np.complex64))

    assert np.array_equal(gather(path).images.volumes[0].array, whole)
    assert len(gather.computed) == 1


def test_a_volume_is_never_in_memory_whole(gather: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = simulated(64, 4, 1).kspace
    path = fastmri(tmp_path / "scan.h5", np.broadcast_to(one, (40, *one.shape)))
    monkeypatch.setattr(scans, "espirit", lambda kspace, refine: kspace)
    tracemalloc.start()
    try:
        data = gather(path)
        data.scans.files[0].read(39)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 0.25 * path.stat().st_size


def test_nothing_given_is_simulated_anatomy_alone(tmp_path: Path) -> None:
    data = collect([], 0.5, cache=tmp_path)
    assert (data.images.simulated, data.scans) == (1.0, None)
