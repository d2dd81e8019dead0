"""Random heads: see anatomy.py."""

from __future__ import annotations

import math

import numpy as np

from mrikit.physics.canvas import Canvas, paint, ramp


def brain(canvas: Canvas, signal: dict[str, float]) -> np.ndarray:
    """Axial head: scalp, skull, folded cortex, fissure, ventricles, deep nuclei, vessels, lesions; low slices
    have cerebellum, eyes and skull base."""
    rng, z, pixel = canvas.rng, canvas.z, canvas.pixel
    high = math.sqrt(max(0.06, 1 - (max(z, -0.35) / 0.95) ** 2))  # the head closes towards the top
    ry = canvas.half_y * rng.uniform(0.78, 0.95) * high
    rx = min(canvas.half_x * rng.uniform(0.78, 0.96), ry / high * rng.uniform(0.72, 0.9)) * high
    ry = min(ry, rx * 1.45)
    cy, cx, turn = *rng.normal(0, 0.02, 2), rng.normal(0, 0.05)
    wy, wx = canvas.warp(0.02, 0.006, coarse=True)
    v, u = canvas.cy - cy + wy, canvas.cx - cx + wx
    v, u = (math.cos(turn) * v - math.sin(turn) * u) / ry, (math.sin(turn) * v + math.cos(turn) * u) / rx
    power = rng.uniform(2.0, 2.5)
    radius = (np.abs(v) ** power + np.abs(u) ** power) ** (1 / power)
    skin_c = (1 - radius) * math.sqrt(ry * rx)
    scalp, skull, gap = rng.uniform(0.03, 0.07), rng.uniform(0.03, 0.07), rng.uniform(0.005, 0.03)
    thick = 1 + 0.25 * canvas.field(0.4, coarse=True)
    skin = canvas.upsample(skin_c)
    skull_top = canvas.upsample(skin_c - scalp * thick)
    dura = canvas.upsample(skin_c - (scalp + skull) * thick)
    depth = canvas.upsample(skin_c - (scalp + skull) * thick - gap)

    image = np.zeros_like(skin)
    stripped = rng.random() < 0.15
    paint(image, ramp(skin, 2 * pixel), signal["muscle"] * 0.8)
    inner = ramp(skin - 0.012, 2 * pixel) * (1 - ramp(skull_top, 2 * pixel))
    paint(image, inner, signal["fat"] * (1 + 0.2 * canvas.field(0.06)))
    paint(image, ramp(skull_top, 2 * pixel), signal["bone"])
    diploe = ramp(np.minimum(skull_top - 0.3 * skull, dura * -1 - 0.25 * skull), 2 * pixel)
    paint(image, diploe, signal["marrow"] * rng.uniform(0.2, 0.8))
    if stripped:
        image[:] = 0
    paint(image, ramp(dura, 2 * pixel), signal["csf"] if not stripped else 0.0)

    paint(image, ramp(depth, 1.5 * pixel), _cortex(canvas, signal, depth, v, u, rx))
    _deep_brain(canvas, signal, image, cy, cx, ry, rx)
    if z < -0.3:
        canvas.rng = rng.spawn(1)[0]  # numbers of its own: slices without a skull base do not draw them
        _skull_base(canvas, signal, image, cy, cx, ry, rx, skin)
        canvas.rng = rng
    inside = ramp(dura, 2 * pixel)
    vessels = canvas.polylines(int(rng.integers(0, 12)), 50, rng.uniform(1.5, 4))
    paint(image, vessels * inside, signal["blood"])
    n_dots = int(rng.integers(10, 60))
    paint(image, canvas.dots(*canvas.places(n_dots), rng.uniform(1.5, 6, n_dots)) * inside, signal["blood"])
    spots = canvas.field(0.05) - rng.uniform(2.2, 4.5)
    paint(image, ramp(spots, 0.4) * ramp(depth - 0.1, 0.05), signal["lesion"])
    return image


def _cortex(
    canvas: Canvas,
    signal: dict[str, float],
    depth: np.ndarray,
    v: np.ndarray,
    u: np.ndarray,
    rx: float,
) -> np.ndarray:
    """Grey matter along the surface and along sulci, the zero lines of a noise that runs inwards from it."""
    rng, pixel = canvas.rng, canvas.pixel
    # Noise in polar coordinates makes folds that run radially, noise in the plane makes a labyrinth.
    scale = rng.uniform(0.034, 0.05)  # a zero line every 2.7 of it: a sulcus every 10 to 15 mm
    # Their number does not follow the head's size, which changes from slice to slice.
    n_angle, n_radius = max(8, round(3.2 * math.sqrt(canvas.half_y * canvas.half_x) / scale)), 6
    polar = canvas.along_z(rng.standard_normal((4, n_angle, n_radius + 3)), 0.15)
    at = (np.arctan2(u, v) / (2 * math.pi) + 0.5) * n_angle
    ring = np.clip(np.hypot(u, v), 0, 1.2) * n_radius
    radial = canvas.upsample(_bilinear_wrapped(polar, at + 0.7 * canvas.field(0.2, coarse=True), ring))
    folds = radial * rng.uniform(0.6, 1.2) + canvas.field(scale) * rng.uniform(0.6, 1.2)
    folds *= np.float32(1 / max(float(folds[::8, ::8].std()), 1e-3))
    reach = rng.uniform(0.12, 0.32)
    # One over the noise's usual gradient leads from its value to the distance from its zero line; further
    # away, where the noise levels off, the square makes up for it.
    slope = 0.6 * scale
    folds = np.abs(folds)
    sulcus = np.float32(slope) * folds * (1 + folds) + 0.7 * np.maximum(
        depth - reach * (1 + 0.4 * canvas.field(0.25)), 0
    )
    middle = canvas.upsample(np.abs(u + 0.02 * canvas.field(0.3, coarse=True)) * rx)
    open_until = np.clip(0.45 - 0.7 * max(canvas.z, -0.2), 0, 0.6)
    fissure = middle + np.maximum(np.float32(open_until) - canvas.upsample(np.abs(v)), 0)
    distance = np.minimum(np.minimum(depth, sulcus), fissure)
    edge = rng.uniform(1.5, 4) * pixel
    fluid, ribbon = rng.uniform(0.002, 0.014), rng.uniform(0.022, 0.036)
    image = np.full_like(depth, signal["csf"])
    paint(image, ramp(distance - fluid, edge), signal["gm"])
    white = signal["wm"] * (1 + rng.uniform(0, 0.05) * canvas.field(0.15))
    paint(image, ramp(distance - fluid - ribbon, edge), white)
    falx = ramp(0.008 - fissure, 2 * pixel) * (rng.random() < 0.4)
    paint(image, falx, signal["blood"])
    return image


def _bilinear_wrapped(table: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Values of a (periodic, clamped) table between its entries, with smoothed steps."""
    i, j = np.floor(rows).astype(int), np.floor(columns).astype(int)
    s, t = rows - i, columns - j
    s, t = s * s * (3 - 2 * s), t * t * (3 - 2 * t)
    i, i1 = i % table.shape[0], (i + 1) % table.shape[0]
    j, j1 = np.clip(j, 0, table.shape[1] - 1), np.clip(j + 1, 0, table.shape[1] - 1)
    this, following = ((1 - t) * table[k, j] + t * table[k, j1] for k in (i, i1))
    return (1 - s) * this + s * following


def _deep_brain(
    canvas: Canvas, signal: dict[str, float], image: np.ndarray, cy: float, cx: float, ry: float, rx: float
) -> None:
    rng, z = canvas.rng, canvas.z
    warp = canvas.warp(0.012, 0.006)
    open_ = max(0.0, 1 - ((z - 0.05) / 0.42) ** 2) * rng.uniform(0.6, 1.4)
    deep = max(0.0, 1 - ((z + 0.05) / 0.4) ** 2)
    grey = 0.7 * signal["gm"] + 0.3 * signal["wm"]
    nuclei = [  # y, x, half height, half width, turn
        (0.12, 0.13, 0.15, 0.09, 0.4),
        (-0.22, 0.17, 0.14, 0.05, -0.25),
        (-0.05, 0.33, 0.2, 0.06, -0.25),
        (-0.02, 0.25, 0.1, 0.05, -0.2),
    ]
    tints = grey * np.exp(rng.normal(0, 0.08, len(nuclei)))
    sizes = rng.uniform(0.8, 1.2, (len(nuclei), 2))
    lean, horn = rng.uniform(0.1, 0.35), rng.uniform(0.8, 1.2)
    soft, bow = rng.uniform(1.5, 6), rng.uniform(0.12, 0.3)
    whole = float(np.clip(0.5 + (z - 0.08) / 0.12, 0, 1))
    for side in (-1, 1):
        for (y, x, h, w, turn), tint, (sh, sw) in zip(nuclei, tints, sizes, strict=True):
            if deep > 0.05:
                window, cover, _ = canvas.blob(
                    cy + y * ry, cx + side * x * rx, h * sh * deep * ry, w * sw * deep * rx,
                    turn=side * turn, warp=warp, soft=soft,
                )  # fmt: skip
                paint(image[window], cover, tint)
        # One long band bent outwards in the middle of the ventricles, two horns above and below.
        for y, h, turn, bend in ((0.02, 0.42, 0.0, bow), (-0.24, 0.2, lean, 0.05), (0.32, 0.2, -lean, 0.05)):
            size = open_ * (whole if bend == bow else 1 - whole)
            if size > 0.05:
                window, cover, _ = canvas.blob(
                    cy + y * ry, cx + side * 0.11 * rx, h * horn * size**0.5 * ry, 0.055 * size**0.7 * rx,
                    turn=side * turn, warp=warp, bend=side * bend * rx, soft=2,
                )  # fmt: skip
                paint(image[window], cover, signal["csf"])
    if deep > 0.05:
        window, cover, _ = canvas.blob(cy + 0.1 * ry, cx, 0.16 * ry, 0.018 * rx * (1 + open_), warp=warp)
        paint(image[window], cover, signal["csf"])


def _skull_base(
    canvas: Canvas, signal: dict[str, float], image: np.ndarray, cy: float, cx: float, ry: float, rx: float,
    skin: np.ndarray,
) -> None:  # fmt: skip
    """Cerebellum behind, eyes and a clutter of bone, air, fat and muscle in front, growing downwards."""
    rng, pixel = canvas.rng, canvas.pixel
    low = min(1.0, (-0.3 - canvas.z) / 0.2)
    warp = canvas.warp(0.02, 0.01)
    window, cover, depth = canvas.blob(cy + 0.5 * ry, cx, 0.42 * ry * low**0.5, 0.62 * rx * low**0.5, warp=warp, soft=3)
    period = rng.uniform(0.022, 0.04)
    leaf = np.cos(2 * math.pi / period * (depth + 0.02 * canvas.field(0.1)[window]))
    tone = signal["gm"] + (signal["wm"] - signal["gm"]) * ramp(depth - 0.12 - 0.03 * leaf, 0.03)
    tone = tone + (signal["csf"] - signal["gm"]) * 0.5 * np.maximum(leaf, 0) ** 2 * ramp(0.16 - depth, 0.08)
    paint(image[window], cover, tone)
    window, cover, _ = canvas.blob(cy + 0.12 * ry, cx, 0.15 * ry * low, 0.2 * rx * low, warp=warp, soft=3)
    paint(image[window], cover, signal["wm"])

    clutter = canvas.field(0.09) + 0.7 * canvas.field(0.035)
    border = -(canvas.y - cy) + 0.5 * ry * (canvas.x - cx) ** 2 / rx**2 + 0.06 * canvas.field(0.12)
    front = ramp(border - ry * (1.5 - 1.15 * low), 0.03) * ramp(skin - 0.03, 2 * pixel)
    values = [signal[t] for t in ("bone", "muscle", "fat", "air", "marrow")]
    tone = np.full_like(clutter, values[0])
    for level, value in zip((-1.0, -0.4, 0.3, 1.0), values[1:], strict=True):
        paint(tone, ramp(clutter - level, 0.15), value)
    paint(image, front, tone)
    eye = 0.17 * rx * low
    for side in (-1, 1):
        window, cover, _ = canvas.blob(cy - 0.68 * ry, cx + side * 0.42 * rx, 1.5 * eye, 1.5 * eye, soft=4)
        paint(image[window], cover, signal["fat"])
        window, cover, depth = canvas.blob(cy - 0.72 * ry, cx + side * 0.42 * rx, eye, eye, soft=2)
        paint(image[window], cover, signal["csf"])
        paint(image[window], ramp(min(0.012, 0.1 * eye) - np.abs(depth), 2 * pixel), signal["muscle"])
