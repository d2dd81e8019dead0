"""What `mrikit info` tells about a volume: gathered in one pass, then laid out for people."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

import numpy as np

from mrikit import axes
from mrikit.io import Reader
from mrikit.io.formats import describe
from mrikit.physics.sampling import acceleration, acquired_plane, calibration_extent, lines_of, sampling


def inspect(reader: Reader, slices: Iterable[np.ndarray]) -> dict[str, Any]:
    """Everything known about a volume, as JSON has it. Consumes `slices`, the reader's own."""
    header = reader.header
    masks: list[np.ndarray] = []
    calibration: tuple[int, int] | None = None
    largest, n_bad = 0.0, 0
    empty: list[int] = []
    for i, array in enumerate(slices):
        if not array.any():
            empty.append(i)
        finite = np.isfinite(array)
        n_bad += int(finite.size - np.count_nonzero(finite))
        largest = max(largest, float(np.abs(array).max(initial=0.0, where=finite)))
        if header.kind == "kspace":
            masks.append(sampling(array))
            if calibration is None:  # the extent that espirit finds
                calibration = calibration_extent(acquired_plane(array))
        elif header.kind == "mask":
            masks.append(array)
    return describe(reader) | {
        "nbytes": header.nbytes,
        "largest": largest,
        "not_finite": n_bad,
        "empty_slices": empty,
        "sampling": _sampling(masks, calibration) if masks else None,
        "crc32": f"{reader.crc32:08x}",
    }


def _sampling(masks: list[np.ndarray], calibration: tuple[int, int] | None) -> dict[str, Any]:
    """What was sampled: pattern, counts, acceleration and calibration region of the first slice.

    calibration: (y, x) of k-space; None for a mask, which then tells itself.
    """
    mask = masks[0]
    if calibration is None:
        calibration = calibration_extent(mask, 1 if mask.ndim == 1 else None)
    counted, along = lines_of(mask), None
    if counted.ndim == 1:
        along = "x" if np.array_equal(counted, mask if mask.ndim == 1 else mask.any(axis=0)) else "y"
    return {
        "pattern": "full" if mask.all() else "lines" if along else "points",
        "along": along,
        "sampled": int(np.count_nonzero(counted)),
        "of": int(counted.size),
        "accel": acceleration(mask) if mask.any() else None,
        "calibration_yx": calibration,
        "same_in_all_slices": all(np.array_equal(mask, other) for other in masks[1:]),
    }


def render(facts: dict[str, Any]) -> str:
    """The facts as aligned plain text."""
    rows: list[tuple[str, str]] = [
        ("format", facts["dialect"] or "unknown"),
        ("kind", facts["kind"]),
        ("shape", axes.describe(facts["shape"], facts["axes"])),
        ("dtype", f"{facts['dtype']}, {_size(facts['nbytes'])}"),
        ("largest", f"{facts['largest']:.6g} {facts['units'] or ''}".rstrip()),
    ]
    if facts["not_finite"]:
        rows.append(("damage", f"{facts['not_finite']} values are NaN or infinity"))
    if facts["empty_slices"]:
        rows.append(("empty", f"slices {', '.join(map(str, facts['empty_slices']))} are zero everywhere"))
    voxel = facts["geometry"]["voxel_mm"]
    rows.append(("voxel", " x ".join(f"{mm:g}" for mm in voxel) + " mm (x, y, slice)" if voxel else "unknown"))
    rows += _affine_rows(facts["geometry"]["affine"])
    if facts["sampling"]:
        rows += _sampling_rows(facts["sampling"])
    if facts["mask"] is not None:
        rows.append(("mask", f"{axes.describe(facts['mask'])}, stored beside the k-space"))
    rows += _listed("datasets", [f"{name}: {what}" for name, what in facts["datasets"].items()])
    rows += _listed("history", [_step(step) for step in facts["history"]] or ["none"])
    return "\n".join([facts["file"], *(f"  {name:<12}{text}" for name, text in rows)])


def _affine_rows(affine: Any) -> list[tuple[str, str]]:
    if affine is None:
        return [("orientation", "unknown")]
    return _listed("affine", ["".join(f"{value:10.3f}" for value in row).strip() for row in affine[:3]])


def _sampling_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    unit = {"lines": f"lines along {facts['along']}", "points": "points", "full": "positions"}[facts["pattern"]]
    accel = "nothing" if facts["accel"] is None else f"acceleration {facts['accel']:.2f}"
    y, x = facts["calibration_yx"]
    rows = [
        ("sampling", f"{facts['sampled']} of {facts['of']} {unit}, {accel}"),
        ("calibration", f"{y} y x {x} x, fully sampled at the centre" if y and x else "none at the centre"),
    ]
    return rows if facts["same_in_all_slices"] else [*rows, ("", "of the first slice; others differ")]


def _listed(name: str, lines: list[str]) -> list[tuple[str, str]]:
    return [(name if i == 0 else "", line) for i, line in enumerate(lines)]


def _step(step: Any) -> str:
    words = step.get("command", "")
    return words if isinstance(words, str) else shlex.join(str(word) for word in words)


def _size(nbytes: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if nbytes < 1024:
            return f"{nbytes:.4g} {unit}"
        nbytes /= 1024
    return f"{nbytes:.4g} TiB"
