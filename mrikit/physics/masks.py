"""Sampling masks with exactly the acceleration that was asked for.

Lines are phase encodes: a line mask along x has shape (x,) and keeps whole columns, readout y included.
2-D masks have shape (y, x). True is sampled. Every budget counts the fully sampled centre (ACS).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence

import numpy as np

from mrikit.errors import UsageError
from mrikit.physics.sampling import centre
from mrikit.rng import generator

LINE_KINDS = ("random", "equispaced", "gaussian")
PLANE_KINDS = ("poisson", "radial")
KINDS = LINE_KINDS + PLANE_KINDS

#: pi (sqrt(5) - 1) / 2, about 111.25 degrees: Winkelmann et al. 2007, doi:10.1109/TMI.2006.885337
GOLDEN_ANGLE = math.pi * (math.sqrt(5) - 1) / 2


def mask(
    shape: int | Sequence[int],
    accel: float,
    *,
    kind: str = "random",
    acs: int | str = "auto",
    axis: str = "x",
    seed: int = 0,
) -> np.ndarray:
    """Boolean sampling mask of a matrix `shape` = (y, x), or one number for both, that keeps 1 / `accel` of it.

    `random`, `equispaced` and `gaussian` choose round(N / accel) lines, exactly, along `axis`. The mask
    is (x,) for lines along x and a full (y, x) for lines along y, because a bare (y,) would be read as x.
    `poisson` (variable-density Poisson disc) and `radial` (pixels nearest to golden-angle spokes) return
    (y, x) with round(y x / accel) samples, exactly, and have no use for `axis`. `acs`, within these, is the number of
    centre lines, for 2-D kinds the edge of the centre block; "auto" is `acs_lines`, for 2-D kinds cut
    to the budget as a block. The same seed gives the same mask.

    Raises UsageError where the arguments cannot be met.
    """
    n_y, n_x = _checked_shape(shape)
    if kind not in KINDS:
        near = difflib.get_close_matches(str(kind), KINDS, n=1, cutoff=0.4)
        raise UsageError(
            f"there is no mask kind {kind!r}: the kinds are {', '.join(KINDS)}",
            hint=f"did you mean {near[0]}?" if near else None,
        )
    if axis not in ("x", "y"):
        raise UsageError(f"a mask's lines run along axis x or y, not {axis!r}")
    rng = generator(seed, f"mask/{kind}")
    if kind in PLANE_KINDS:
        return _plane_mask((n_y, n_x), accel, kind, acs, rng)

    n = n_x if axis == "x" else n_y
    n_lines = budget(n, accel, "columns" if axis == "x" else "rows")
    n_acs = acs_lines(n, accel) if acs == "auto" else _checked_acs(acs)
    if n_acs > n_lines:
        raise UsageError(
            f"--acs {n_acs} needs {n_acs} lines, but R = {accel:g} on {n} "
            f"{'columns' if axis == 'x' else 'rows'} leaves {n_lines}",
            hint="use --acs auto, fewer ACS lines or a lower acceleration",
        )
    lines = np.zeros(n, dtype=bool)
    lines[centre(n, n_acs)] = True
    outside = np.flatnonzero(~lines)
    lines[_LINES[kind](outside, n_lines - n_acs, n, rng)] = True
    return lines if axis == "x" else np.repeat(lines[:, None], n_x, axis=1)


def require_accel(accel: float) -> None:
    """Raise UsageError unless `accel` is an acceleration."""
    if not (isinstance(accel, (int, float, np.integer, np.floating)) and 1 <= accel < math.inf):
        raise UsageError(f"an acceleration is a number from 1 up, not {accel!r}")


def budget(n: int, accel: float, what: str = "samples") -> int:
    """Number of lines (or samples) that acceleration `accel` leaves of `n`: Python's round(n / accel)."""
    require_accel(accel)
    kept = round(n / float(accel))
    if kept < 1:
        raise UsageError(f"R = {accel:g} on {n} {what} leaves nothing", hint=f"R can be {n} at most")
    return kept


def acs_share(accel: float) -> float:
    """Share of all lines that are central ones: 8 % up to R = 6, else 4 %, as fastMRI has it."""
    return 0.08 if accel <= 6 else 0.04


def acs_lines(n: int, accel: float) -> int:
    """Lines of `--acs auto`: max(12, 8 % of n up to R = 6, else 4 %), never more than the budget."""
    return min(_wanted_acs(n, accel), budget(n, accel, "lines"))


def _wanted_acs(n: int, accel: float) -> int:
    return max(12, round(acs_share(accel) * n))


# --- lines ------------------------------------------------------------------------------------------------


def _random(outside: np.ndarray, count: int, n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(outside, count, replace=False)


def _equispaced(outside: np.ndarray, count: int, n: int, rng: np.random.Generator) -> np.ndarray:
    # Evenly over the columns that the ACS leaves, rather than every R-th column of all: the latter keeps
    # more than the budget, since some of its lines fall into the ACS and some do not.
    offset = rng.random()
    return outside[np.floor((np.arange(count) + offset) * (len(outside) / max(count, 1))).astype(int)]


def _gaussian(outside: np.ndarray, count: int, n: int, rng: np.random.Generator) -> np.ndarray:
    density = np.exp(-0.5 * ((outside - n // 2) / (n / 6)) ** 2)
    if not count:  # the ACS may have left nothing to choose from
        return outside[:0]
    return rng.choice(outside, count, replace=False, p=density / density.sum())


_LINES: dict[str, Callable[[np.ndarray, int, int, np.random.Generator], np.ndarray]] = {
    "random": _random,
    "equispaced": _equispaced,
    "gaussian": _gaussian,
}


# --- planes -----------------------------------------------------------------------------------------------


def _plane_mask(
    shape: tuple[int, int], accel: float, kind: str, acs: int | str, rng: np.random.Generator
) -> np.ndarray:
    n_samples = budget(shape[0] * shape[1], accel)
    if acs == "auto":
        lines = _wanted_acs(max(shape), accel)
        while min(lines, shape[0]) * min(lines, shape[1]) > n_samples:
            lines -= 1
        block = min(lines, shape[0]), min(lines, shape[1])
    else:
        edge = _checked_acs(acs)
        if edge > min(shape) or edge * edge > n_samples:
            raise UsageError(
                f"--acs {edge} needs a block of {edge} x {edge} samples, but R = {accel:g} on "
                f"{shape[0]} x {shape[1]} (y x x) leaves {n_samples}",
                hint="use --acs auto, a smaller block or a lower acceleration",
            )
        block = edge, edge
    sampled = np.zeros(shape, dtype=bool)
    sampled[centre(shape[0], block[0]), centre(shape[1], block[1])] = True
    return (_poisson if kind == "poisson" else _radial)(sampled, n_samples, rng)


def _poisson(acs: np.ndarray, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Poisson disc of exactly `n_samples`, ACS included.

    The slope of the radius is searched until the count is about 1 % above the budget, and what is too
    many leaves at random, which cannot bring two samples closer.
    """
    order = rng.permutation(np.flatnonzero(~acs))
    n_darts = n_samples - int(acs.sum())
    if n_darts == 0:
        return acs
    darts = order  # a slope of 0 fills the matrix
    low, high, many, few = 0.0, math.inf, len(order), 0
    slope = 0.3 * (order.size / n_darts) ** 0.85
    while many > 1.01 * n_darts + 8 and high - low > 1e-6 and slope < 4 * max(acs.shape):
        found = poisson_disc(acs.shape, slope, order)
        if len(found) >= n_darts:
            low, many, darts = slope, len(found), found
        else:
            high, few = slope, len(found)
        if high == math.inf:
            slope *= 1.2
        elif low == 0:
            slope /= 1.2
        else:  # where the straight line through both counts meets the budget, kept off the ends
            share = (many - 1.005 * n_darts - 4) / (many - few)
            slope = low + min(max(share, 0.1), 0.9) * (high - low)
    sparse = poisson_radius(acs.shape, low).ravel()[darts] > 1  # no holes in the filled core
    excess = len(darts) - n_darts
    leave = rng.choice(darts[sparse] if sparse.sum() >= excess else darts, excess, replace=False)
    sampled = acs.copy()
    sampled.flat[darts] = True
    sampled.flat[leave] = False
    return sampled


def poisson_radius(shape: Sequence[int], slope: float) -> np.ndarray:
    """Minimum distance, in samples, at every (y, x): 0.8 in the centre, 0.8 + slope where an edge is reached.

    Below 1 everything is sampled. Starting there rather than at 1 lets the filled core grow smoothly, so
    that accelerations between 1 and 2.7, where a radius just above 1 jumps to, can be met.
    """
    y, x = (np.arange(n) - n // 2 for n in shape)
    return 0.8 + slope * np.hypot(y[:, None] / max(shape[0] / 2, 1), x / max(shape[1] / 2, 1))


def poisson_disc(shape: Sequence[int], slope: float, order: np.ndarray) -> np.ndarray:
    """Flat indices of `order` that are kept when each in turn bans a disc of `poisson_radius` around itself.

    No two kept samples are closer than the smaller of their radii, and no further one would fit.
    Dart throwing: Cook 1986, doi:10.1145/7529.8927.
    """
    n_y, n_x = shape
    squares = np.ceil(poisson_radius(shape, slope) ** 2).astype(int)  # d < r for integer d^2: d^2 < ceil(r^2)
    margin = math.isqrt(int(squares.max())) + 1
    width = n_x + 2 * margin
    # A bytearray, not an array: banning a row of a disc is one slice assignment of about 0.1 us, so a
    # whole 320 x 320 pattern takes tens of milliseconds.
    free = bytearray(b"\x01") * (width * (n_y + 2 * margin))
    discs: dict[int, list[tuple[int, int, bytes]]] = {}
    y, x = np.divmod(order, n_x)
    places = ((y + margin) * width + x + margin).tolist()
    kept = []
    for i, (place, square) in enumerate(zip(places, squares.ravel()[order].tolist(), strict=True)):
        if free[place]:
            kept.append(i)
            if square not in discs:
                discs[square] = _disc(square, width)
            for start, stop, zeros in discs[square]:
                free[place + start : place + stop] = zeros
    return order[kept]


def _disc(square: int, width: int) -> list[tuple[int, int, bytes]]:
    """Row by row, (start, stop, zeros) of the places with d^2 < square around 0 in a raster of that width."""
    spans = []
    for dy in range(-math.isqrt(square - 1), math.isqrt(square - 1) + 1):
        half = math.isqrt(square - 1 - dy * dy)
        spans.append((dy * width - half, dy * width + half + 1, bytes(2 * half + 1)))
    return spans


def _radial(acs: np.ndarray, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Golden-angle spokes through the centre, the last one cut at its ends to meet the budget exactly."""
    n_y, n_x = acs.shape
    reach = math.hypot(n_y, n_x) / 2 + 1
    along = np.arange(0, reach, 0.5)
    along = np.stack([along, -along], axis=1).ravel()  # from the centre outwards on both sides
    sampled = acs.copy()
    flat = sampled.ravel()
    angle = rng.uniform(0, math.pi)
    missing = n_samples - int(acs.sum())
    for spoke in range(50 * (n_y + n_x)):
        if missing <= 0:
            return sampled
        turn = angle + spoke * GOLDEN_ANGLE
        y = np.rint(n_y // 2 + along * math.sin(turn)).astype(int)
        x = np.rint(n_x // 2 + along * math.cos(turn)).astype(int)
        inside = (y >= 0) & (y < n_y) & (x >= 0) & (x < n_x)
        pixels = y[inside] * n_x + x[inside]
        pixels = pixels[~flat[pixels]]
        pixels = pixels[np.sort(np.unique(pixels, return_index=True)[1])][:missing]
        flat[pixels] = True
        missing -= len(pixels)
    rest = np.flatnonzero(~flat)  # spokes alone never reach the last corner pixels of a nearly full matrix
    flat[rng.choice(rest, missing, replace=False)] = True
    return sampled


# --- checks -----------------------------------------------------------------------------------------------


def _checked_shape(shape: int | Sequence[int]) -> tuple[int, int]:
    shape = (shape, shape) if isinstance(shape, (int, np.integer)) else shape
    if len(shape) != 2 or not all(isinstance(n, (int, np.integer)) and n > 0 for n in shape):
        raise UsageError(f"a mask's matrix is two positive numbers, y and x, not {tuple(shape)}")
    return int(shape[0]), int(shape[1])


def _checked_acs(acs: int | str) -> int:
    if isinstance(acs, bool) or not isinstance(acs, (int, np.integer)) or acs < 0:
        raise UsageError(f"--acs is a number of lines or auto, not {acs!r}")
    return int(acs)
