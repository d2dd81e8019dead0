"""Drawing on a fine grid: smooth random fields, soft-edged shapes, vessels, and a scan's truncated k-space.

Coordinates are square: the longer edge of the field of view runs from -1 to 1, y downwards. Every random
number is drawn before it is known where the slice `z` lies, so that neighbouring slices, drawn with the same
generator state and another z, are cuts through the same object.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Window = tuple[slice, slice]
Rng = np.random.Generator


class Canvas:
    """A grid of (y, x) samples at `fine` times the matrix, float32, and slice position `z`."""

    def __init__(self, shape: Sequence[int], rng: Rng, z: float = 0.0, fine: int = 2) -> None:
        self.matrix = (int(shape[0]), int(shape[1]))
        self.fine = fine
        self.n_y, self.n_x = (fine * n for n in self.matrix)
        self.pixel = 2.0 / max(self.n_y, self.n_x)
        self.half_y, self.half_x = self.n_y * self.pixel / 2, self.n_x * self.pixel / 2
        self.y = ((np.arange(self.n_y, dtype=np.float32) - self.n_y // 2) * np.float32(self.pixel))[:, None]
        self.x = ((np.arange(self.n_x, dtype=np.float32) - self.n_x // 2) * np.float32(self.pixel))[None]
        self.rng = rng
        self.z = float(z)
        # Nonlinear geometry (radii, angles, nearest cells) is worked out on this grid and interpolated.
        self.step = 1 / 48
        self.cy = _nodes(self.half_y, self.step, spare=5)[:, None]
        self.cx = _nodes(self.half_x, self.step, spare=5)[None]
        self._up: dict[int, tuple[np.ndarray, ...]] = {}

    def upsample(self, coarse: np.ndarray, every: int = 1) -> np.ndarray:
        """Fine values of what is known on (every n-th node of) the coarse grid (cy, cx), by Catmull-Rom."""
        if every not in self._up:
            self._up[every] = (
                _weights(self.y[:, 0], self.cy[::every, 0], smooth=False),
                _weights(self.x[0], self.cx[0, ::every], smooth=False),
            )
        up_y, up_x = self._up[every]
        return (up_y @ coarse.astype(np.float32)) @ up_x.T

    def field(self, scale: float, *, coarse: bool = False) -> np.ndarray:
        """Gaussian random field of unit variance and about zero mean that changes over lengths of `scale`.

        Cubic B-splines on a lattice of that spacing, on the fine or the coarse grid. It changes over the
        same length along z.
        """
        scale = max(scale, 1.5 * self.pixel)
        y, x = (self.cy[:, 0], self.cx[0]) if coarse else (self.y[:, 0], self.x[0])
        reach = 6 * self.step if coarse else 0.0
        nodes_y, nodes_x = _nodes(self.half_y + reach, scale), _nodes(self.half_x + reach, scale)
        terms = self.rng.standard_normal((4, len(nodes_y), len(nodes_x)), dtype=np.float32)
        mixed = self.along_z(terms, scale)
        wy, wx = _weights(y, nodes_y), _weights(x, nodes_x)
        mixed = mixed / np.float32(0.479)  # 151 / 315: the mean sum of the splines' squares
        return (wy @ mixed) @ wx.T

    def warp(self, large: float, small: float, *, coarse: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Displacements along y and x: `large` over lengths of 0.5, `small` over lengths of 0.13."""
        y, x = (large * self.field(0.5, coarse=coarse) + small * self.field(0.13, coarse=coarse) for _ in range(2))
        return y, x

    def number(self, scale: float = 0.6) -> float:
        """A standard normal number that changes over lengths of `scale` along z."""
        return float(self.along_z(self.rng.standard_normal(4), scale))

    def along_z(self, terms: np.ndarray, scale: float) -> np.ndarray:
        """Four independent terms mixed into one, whose weights turn with z at unequal speeds."""
        turns = self.z / scale * np.array([0.6, 0.9, 1.2, 1.6]) + self.rng.uniform(0, 2 * math.pi, 4)
        weights = np.cos(turns)
        return np.tensordot((weights / np.linalg.norm(weights)).astype(terms.dtype), terms, 1)

    def window(self, y: float, x: float, reach: float) -> Window:
        """Slices of the fine grid that hold everything within `reach` of (y, x)."""
        row, column, half = y / self.pixel + self.n_y // 2, x / self.pixel + self.n_x // 2, reach / self.pixel
        return (
            slice(max(0, math.floor(row - half)), max(0, min(self.n_y, math.ceil(row + half) + 1))),
            slice(max(0, math.floor(column - half)), max(0, min(self.n_x, math.ceil(column + half) + 1))),
        )

    def blob(
        self,
        y: float,
        x: float,
        ry: float,
        rx: float,
        *,
        turn: float = 0.0,
        warp: tuple[np.ndarray, np.ndarray] | None = None,
        bend: float = 0.0,
        soft: float = 1.0,
        power: float = 2.0,
    ) -> tuple[Window, np.ndarray, np.ndarray]:
        """Window, coverage 0..1 and signed depth (inside positive) of a warped, turned, bent (super)ellipse.

        `warp` are two displacement fields of the whole canvas, `soft` the width of the edge in fine pixels.
        """
        window = self.window(y, x, 1.45 * max(ry, rx) + 3 * self.pixel)
        v, u = self.y[window[0]] - np.float32(y), self.x[:, window[1]] - np.float32(x)
        if warp is not None:
            v, u = v + warp[0][window], u + warp[1][window]
        if turn:
            c, s = math.cos(turn), math.sin(turn)
            v, u = c * v - s * u, s * v + c * u
        if bend:
            u = u - np.float32(bend / max(ry, 1e-6)) * v * v
        v, u = v * np.float32(1 / max(ry, 1e-6)), u * np.float32(1 / max(rx, 1e-6))
        if power == 2.0:
            radius = np.sqrt(v * v + u * u)
        else:
            radius = (np.abs(v) ** np.float32(power) + np.abs(u) ** np.float32(power)) ** np.float32(1 / power)
        depth = (1 - radius) * np.float32(min(ry, rx))
        return window, ramp(depth, soft * self.pixel), depth

    def polylines(self, count: int, length: int, width: float, *, wiggle: float = 0.15) -> np.ndarray:
        """Coverage of `count` winding lines (vessels, fibres) of `length` steps; `width` in fine pixels."""
        turns = np.cumsum(self.rng.normal(0, wiggle, (count, length)), axis=1)
        angles = self.rng.uniform(0, 2 * math.pi, (count, 1)) + turns
        steps = max(0.7 * width, 0.7)
        y, x = (start[:, None] for start in self.places(count))
        y, x = y + np.cumsum(steps * np.sin(angles), axis=1), x + np.cumsum(steps * np.cos(angles), axis=1)
        taper = np.linspace(1, 0.4, length)[None] * self.rng.uniform(0.5, 1.2, (count, 1))
        return self.dots(y.ravel(), x.ravel(), np.broadcast_to(taper * width, y.shape).ravel())

    def places(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of random points, which drift along z."""
        drift = self.rng.normal(0, 0.5, (2, count)) * self.z
        places = (self.rng.random((2, count)) + drift) % 1.0
        return places[0] * self.n_y, places[1] * self.n_x

    def dots(self, rows: np.ndarray, columns: np.ndarray, diameters: np.ndarray) -> np.ndarray:
        """Coverage of small soft discs; places and diameters in fine pixels."""
        out = np.zeros((self.n_y, self.n_x), np.float32)
        reach = math.ceil(float(np.max(diameters, initial=1.0)) / 2 + 0.5)
        offset = np.arange(-reach, reach + 1)
        y0, x0 = np.rint(rows).astype(int), np.rint(columns).astype(int)
        inside = (y0 >= reach) & (y0 < self.n_y - reach) & (x0 >= reach) & (x0 < self.n_x - reach)
        y0, x0 = y0[inside], x0[inside]
        dy = (y0 - rows[inside])[:, None, None] + offset[:, None]
        dx = (x0 - columns[inside])[:, None, None] + offset
        cover = np.clip(diameters[inside][:, None, None] / 2 + 0.5 - np.hypot(dy, dx), 0, 1).astype(np.float32)
        where = (y0[:, None, None] + offset[:, None]) * self.n_x + x0[:, None, None] + offset
        np.maximum.at(out.reshape(-1), where.ravel(), cover.ravel())
        return out


def ramp(depth: np.ndarray, width: float) -> np.ndarray:
    """0 outside, 1 inside, linear over `width` around depth 0."""
    return np.clip(depth * np.float32(1 / width) + np.float32(0.5), 0, 1)


def paint(image: np.ndarray, cover: np.ndarray, value: np.ndarray | float) -> None:
    """Blend `value` into `image` (a view is fine) where `cover` is 1."""
    image += cover * (value - image)


def acquire(image: np.ndarray, matrix: tuple[int, int], keep: tuple[float, float], filter_: float) -> np.ndarray:
    """What a scanner sees of a fine real image: its k-space cut to `matrix`.

    Of each axis the share `keep` is measured, the rest zero-filled. `filter_` 0..1 is the share of a
    raised-cosine roll-off (Tukey) on what is kept.
    Returns (y, x) float32 with the ringing that goes with it.
    """
    n_y, n_x = matrix
    spectrum = np.fft.rfft2(image)
    out = np.zeros((n_y, n_x // 2 + 1), np.complex64)
    # Of an even matrix the Nyquist line stays out: half of it is missing from a crop.
    half_y, half_x = (n_y - 1) // 2, (n_x - 1) // 2
    taper_y = _tukey(half_y, keep[0], filter_)
    taper_x = _tukey(half_x, keep[1], filter_)
    out[: half_y + 1, : half_x + 1] = spectrum[: half_y + 1, : half_x + 1] * taper_y[:, None] * taper_x
    if half_y:
        out[-half_y:, : half_x + 1] = spectrum[-half_y:, : half_x + 1] * taper_y[:0:-1, None] * taper_x
    # A fine grid starts at -n//2 pixels of its own, which for odd n is half a pixel beside the matrix.
    for axis, n, fine in ((0, n_y, image.shape[0]), (1, n_x, image.shape[1])):
        shift = (n // 2) / n - (fine // 2) / fine
        if shift:
            k = np.fft.fftfreq(n, 1 / n) if axis == 0 else np.arange(n // 2 + 1)
            turn = np.exp(-2j * math.pi * k * shift).astype(np.complex64)
            out *= turn[:, None] if axis == 0 else turn
    scale = n_y * n_x / (image.shape[0] * image.shape[1])
    return np.fft.irfft2(out, s=(n_y, n_x)).astype(np.float32) * np.float32(scale)


def _tukey(half: int, keep: float, filter_: float) -> np.ndarray:
    """Weights of frequencies 0..half: 1, a cosine roll-off over the share `filter_`, 0 above keep * half."""
    k = np.arange(half + 1) / max(keep * half, 0.5)
    if filter_ <= 0:
        return (k <= 1).astype(np.float32)
    fall = np.clip((k - (1 - filter_)) / filter_, 0, 1)
    return np.where(k <= 1.0 + 1e-9, 0.5 + 0.5 * np.cos(0.9 * math.pi * fall), 0).astype(np.float32)


def _nodes(half: float, spacing: float, spare: int = 2) -> np.ndarray:
    """Lattice over -half..half with `spare` nodes on either side."""
    n = math.ceil(2 * half / spacing) + 1 + 2 * spare
    return (np.arange(n, dtype=np.float32) - spare) * np.float32(spacing) - np.float32(half)


def _weights(at: np.ndarray, nodes: np.ndarray, *, smooth: bool = True) -> np.ndarray:
    """Cubic B-spline (or, not smooth, interpolating Catmull-Rom) weights of lattice nodes: (at, node)."""
    place = (at - nodes[0]) / (nodes[1] - nodes[0])
    base = np.floor(place).astype(int)
    t = place - base
    if smooth:
        w = [(1 - t) ** 3 / 6, t**3 / 2 - t**2 + 2 / 3, (1 + 3 * t + 3 * t**2 - 3 * t**3) / 6, t**3 / 6]
    else:
        w = [
            (2 * t**2 - t**3 - t) / 2,
            1 - 2.5 * t**2 + 1.5 * t**3,
            (t + 4 * t**2 - 3 * t**3) / 2,
            (t**3 - t**2) / 2,
        ]
    out = np.zeros((len(at), len(nodes)), np.float32)
    rows = np.arange(len(at))
    for offset, each in zip((-1, 0, 1, 2), w, strict=True):
        out[rows, base + offset] = each
    return out
