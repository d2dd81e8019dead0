"""Random trunks, hearts, limbs and abstract objects: see anatomy.py."""

from __future__ import annotations

import math

import numpy as np

from mrikit.physics.canvas import Canvas, paint, ramp

Signal = dict[str, float]


def _outline(canvas: Canvas, ry: float, rx: float, *, rough: float = 0.03) -> tuple[np.ndarray, np.ndarray]:
    """Depth below the skin, fine and coarse, of a warped superellipse about the middle."""
    rng = canvas.rng
    cy, cx = rng.normal(0, 0.03, 2)
    wy, wx = canvas.warp(rough, 0.15 * rough, coarse=True)
    power = rng.uniform(2.0, 3.2)
    v, u = np.abs(canvas.cy - cy + wy) / ry, np.abs(canvas.cx - cx + wx) / rx
    coarse = (1 - (v**power + u**power) ** (1 / power)) * min(ry, rx)
    return canvas.upsample(coarse), coarse


def _layers(
    canvas: Canvas, signal: Signal, image: np.ndarray, skin: np.ndarray, thick: float, wall: float
) -> np.ndarray:
    """Paint skin, fat with fine septa and a muscle wall; returns the depth below the wall."""
    rng, pixel = canvas.rng, canvas.pixel
    paint(image, ramp(skin, 2 * pixel), signal["muscle"])
    fat_depth = thick * (1 + 0.45 * canvas.field(0.35))
    septa = 1 - rng.uniform(0, 0.3) * ramp(0.003 - 0.04 * np.abs(canvas.field(0.08)), 3 * pixel)
    fat = ramp(skin - 0.01, 2 * pixel) * ramp(fat_depth - skin + 0.01, 3 * pixel)
    paint(image, ramp(skin - 0.01, 2 * pixel), signal["muscle"])
    paint(image, fat, signal["fat"] * septa)
    return skin - fat_depth - 0.01 - wall * (1 + 0.3 * canvas.field(0.3))


def _spine(canvas: Canvas, signal: Signal, image: np.ndarray, y: float, x: float, size: float) -> None:
    """Vertebra with its canal, cord and arch, back muscles on both sides; y, x is the vertebral body."""
    rng = canvas.rng
    warp = canvas.warp(0.012, 0.008)
    for side in (-1, 1):
        window, cover, _ = canvas.blob(y + 1.9 * size, x + side * 1.7 * size, 1.3 * size, 1.5 * size, warp=warp, soft=3)
        striae = canvas.field(0.03)[window]
        paint(image[window], cover, signal["muscle"])
        paint(image[window], cover * ramp(striae - 1.3, 0.5), signal["fat"] * 0.8)
    pieces = [  # y, x, ry, rx, tissue
        (1.0, 0.0, 1.0, 1.5, "bone"), (2.2, 0.0, 1.1, 0.28, "bone"), (2.2, 0.0, 0.95, 0.16, "marrow"),
        (0.0, 0.0, 1.06, 1.3, "bone"), (0.0, 0.0, 0.93, 1.16, "marrow"),
        (1.35, 0.0, 0.52, 0.68, "fat"), (1.35, 0.0, 0.45, 0.6, "csf"), (1.35, 0.0, 0.27, 0.36, "wm"),
    ]  # fmt: skip
    for dy, dx, ry, rx, tissue in pieces:
        window, cover, _ = canvas.blob(
            y + dy * size, x + dx * size, ry * size, rx * size, warp=warp, soft=rng.uniform(1.5, 4)
        )
        grain = 1 + 0.08 * canvas.field(0.02)[window] if tissue == "marrow" else 1.0
        paint(image[window], cover, signal[tissue] * grain)


def torso(canvas: Canvas, signal: Signal) -> np.ndarray:
    """Abdomen across: fat, wall with ribs, liver, spleen, kidneys, stomach, bowel, vessels, spine."""
    rng, pixel = canvas.rng, canvas.pixel
    ry, rx = canvas.half_y * rng.uniform(0.55, 1.02), canvas.half_x * rng.uniform(0.75, 1.05)
    image = np.zeros((canvas.n_y, canvas.n_x), np.float32)
    skin, _ = _outline(canvas, ry, rx)
    depth = _layers(canvas, signal, image, skin, rng.uniform(0.03, 0.14), rng.uniform(0.02, 0.06))
    inside = ramp(depth, 3 * pixel)
    # Bowel and the fat around it: walls where a warped noise crosses levels, contents in between.
    loops = canvas.field(rng.uniform(0.06, 0.1)) + 0.25 * canvas.field(0.03)
    tone = signal["fat"] * (1 + 0.1 * canvas.field(0.08))
    paint(tone, ramp(loops - 0.1, 0.15), signal["muscle"])
    paint(tone, ramp(loops - 0.45, 0.2), signal["organ"] * (1 + 0.35 * canvas.field(0.06)))
    paint(tone, ramp(loops - 1.4, 0.3), signal["csf"])
    paint(tone, ramp(-loops - 1.3, 0.3), signal["air"])
    paint(image, inside, tone)

    warp = canvas.warp(0.05, 0.012)
    vessels = canvas.polylines(int(rng.integers(10, 50)), 36, rng.uniform(2, 6))
    organs = [  # y, x, ry, rx, signal relative to organ, vessels
        (-0.15, -0.45, 0.6, 0.48, 1.0, 1.0),
        (0.05, 0.62, 0.32, 0.2, rng.uniform(0.6, 1.6), 0.2),
        (-0.3, 0.35, 0.28, 0.3, rng.uniform(0.2, 2.0), 0.0),
        (0.0, 0.1, 0.1, 0.35, rng.uniform(0.7, 1.4), 0.3),
    ]  # fmt: skip
    for y, x, h, w, tint, perfused in organs:
        if rng.random() < 0.15:
            continue
        y, x = y + rng.normal(0, 0.08), x + rng.normal(0, 0.08)
        window, cover, depth_in = canvas.blob(
            y * ry, x * rx, h * ry * rng.uniform(0.7, 1.2), w * rx * rng.uniform(0.7, 1.2),
            turn=rng.normal(0, 0.4), warp=warp, soft=rng.uniform(1.5, 5),
        )  # fmt: skip
        cover = cover * inside[window]
        paint(image[window], cover * ramp(0.01 - depth_in, pixel), signal["fat"])
        paint(image[window], cover * ramp(depth_in - 0.008, 2 * pixel), signal["organ"] * tint)
        paint(image[window], cover * vessels[window] * perfused, signal["blood"])
    for side in (-1, 1):
        size = rng.uniform(0.13, 0.2)
        window, cover, depth_in = canvas.blob(
            0.25 * ry + 0.1 * rng.normal(), side * rng.uniform(0.4, 0.55) * rx, 1.3 * size, size,
            turn=side * rng.uniform(0, 0.6), warp=warp, soft=2,
        )  # fmt: skip
        cover = cover * inside[window]
        paint(image[window], cover, signal["gm"])
        pyramids = 0.04 + 0.02 * canvas.field(0.04)[window]
        paint(image[window], cover * ramp(depth_in - pyramids, 0.012), signal["wm"])
        paint(image[window], cover * ramp(depth_in - 0.6 * size, 0.02), signal["csf"])
    size = rng.uniform(0.09, 0.14)
    y = ry * rng.uniform(0.3, 0.5)
    _spine(canvas, signal, image, y, rng.normal(0, 0.02), size)
    for x in (-0.7, 0.6):
        window, cover, _ = canvas.blob(y - 1.7 * size, x * size, 0.45 * size, 0.5 * size, soft=3)
        paint(image[window], cover, signal["blood"])
    _ribs(canvas, signal, image, depth, ry, rx)
    return image * ramp(skin, 2 * pixel)


def _ribs(canvas: Canvas, signal: Signal, image: np.ndarray, depth: np.ndarray, ry: float, rx: float) -> None:
    """A row of oblique ribs along the wall."""
    rng, pixel = canvas.rng, canvas.pixel
    beat = np.cos(rng.integers(9, 22) * np.arctan2(canvas.y / ry, canvas.x / rx) + canvas.field(0.4))
    wall = ramp(depth + 0.035, 2 * pixel) * ramp(-depth - 0.008, 2 * pixel)
    paint(image, wall * ramp(beat - 0.5, 0.15), signal["bone"])
    paint(image, wall * ramp(beat - 0.75, 0.15), signal["marrow"])


def heart(canvas: Canvas, signal: Signal) -> np.ndarray:
    """Chest with lungs and the heart in its short axis: ventricles, papillary muscles, liver, chest wall."""
    rng, pixel = canvas.rng, canvas.pixel
    ry, rx = canvas.half_y * rng.uniform(0.7, 1.1), canvas.half_x * rng.uniform(0.6, 1.05)
    image = np.zeros((canvas.n_y, canvas.n_x), np.float32)
    skin, _ = _outline(canvas, ry, rx, rough=0.05)
    depth = _layers(canvas, signal, image, skin, rng.uniform(0.02, 0.1), rng.uniform(0.04, 0.1))
    wall_fat = canvas.field(0.06) + rng.uniform(-2, 0.5)
    paint(image, ramp(wall_fat, 0.3) * ramp(skin - 0.02, pixel) * ramp(-depth - 0.01, pixel), signal["fat"])
    inside = ramp(depth, 3 * pixel)
    haze = signal["air"] + rng.uniform(0, 0.12)
    lung = haze * (1 + 0.4 * canvas.field(0.2) + 0.3 * canvas.field(0.04))
    for width in (1.6, rng.uniform(2, 5)):
        paint(
            lung,
            canvas.polylines(int(rng.integers(20, 90)), 24, width),
            signal["blood"] * rng.uniform(0.2, 0.9),
        )
    paint(image, inside, lung)
    # Everything below the diaphragm.
    slope = rng.uniform(-0.6, 0.6)
    dome = canvas.y - ry * rng.uniform(0.2, 0.5) - slope * canvas.x + 0.5 * canvas.x**2 + 0.05 * canvas.field(0.3)
    belly = canvas.field(0.08) + 0.3 * canvas.field(0.03)
    tone = signal["organ"] * (1 + 0.1 * canvas.field(0.1))
    paint(tone, ramp(belly - 0.8, 0.2), signal["fat"])
    paint(tone, ramp(-belly - 1.3, 0.2), signal["air"])
    paint(tone, canvas.polylines(20, 30, 3.5), signal["blood"])
    paint(image, inside * ramp(dome, 2 * pixel), tone)

    warp = canvas.warp(0.02, 0.008)
    y, x, size = rng.normal(-0.05, 0.1), rng.normal(0, 0.1), rng.uniform(0.16, 0.28)
    size *= math.sqrt(max(0.2, 1 - 0.8 * canvas.z**2))
    wall, turn = rng.uniform(0.25, 0.45), rng.uniform(-0.8, 0.8)
    c, s = math.cos(turn), math.sin(turn)
    window, cover, _ = canvas.blob(y - 0.4 * s * size, x - 0.6 * c * size, 1.5 * size, 1.75 * size, warp=warp, soft=6)
    lobes = ramp(canvas.field(0.1)[window] + rng.uniform(-0.5, 1.5), 0.3)
    paint(image[window], cover * lobes, signal["fat"] * (1 + 0.15 * canvas.field(0.05)[window]))
    right_y, right_x = y - 0.75 * s * size, x - 0.95 * c * size
    window, cover, _ = canvas.blob(right_y, right_x, 1.2 * size, 1.05 * size, turn=turn, warp=warp, soft=3)
    paint(image[window], cover, signal["muscle"])
    window, cover, depth_in = canvas.blob(right_y, right_x, 1.12 * size, 0.97 * size, turn=turn, warp=warp, soft=3)
    trabecula = canvas.field(0.03)[window]
    paint(image[window], cover, signal["blood"])
    paint(image[window], cover * ramp(trabecula - 1.5, 0.5) * ramp(0.05 - depth_in, 0.02), signal["muscle"])
    window, cover, _ = canvas.blob(y, x, 1.02 * size, 0.98 * size, warp=warp, soft=3)
    paint(image[window], cover, signal["muscle"] * (1 + 0.1 * canvas.field(0.06)[window]))
    inner = (1 - wall) * size
    window, cover, depth_in = canvas.blob(y, x, inner, inner, warp=warp, soft=4)
    paint(image[window], cover, signal["blood"] * (1 + 0.08 * canvas.field(0.08)[window]))
    for angle in rng.uniform(0, 2 * math.pi, 3):
        spot = rng.uniform(0.08, 0.2) * size
        window, cover, _ = canvas.blob(
            y + 0.65 * inner * math.sin(angle),
            x + 0.65 * inner * math.cos(angle),
            spot,
            spot,
            warp=warp,
            soft=3,
        )
        paint(image[window], cover, signal["muscle"])
    for _ in range(int(rng.integers(1, 5))):
        spot = rng.uniform(0.03, 0.09)
        window, cover, _ = canvas.blob(
            rng.uniform(-0.6, 0.3) * ry, rng.uniform(-0.6, 0.6) * rx, spot, spot * rng.uniform(0.6, 1.2),
            warp=warp, soft=3,
        )  # fmt: skip
        paint(image[window], cover, signal["blood"])
    if rng.random() < 0.6:
        _spine(canvas, signal, image, 0.55 * ry, rng.normal(0, 0.3) * rx, rng.uniform(0.07, 0.11))
    _ribs(canvas, signal, image, depth, ry, rx)
    return image * ramp(skin, 2 * pixel)


def limb(canvas: Canvas, signal: Signal) -> np.ndarray:
    """Neck, thigh or calf across, or a joint along: muscles with septa and fibres, bones, vessels."""
    rng, pixel = canvas.rng, canvas.pixel
    joint = rng.random() < 0.45
    ry = canvas.half_y * (rng.uniform(1.3, 2.5) if joint else rng.uniform(0.55, 0.98))
    rx = canvas.half_x * rng.uniform(0.5, 0.95)
    image = np.zeros((canvas.n_y, canvas.n_x), np.float32)
    skin, _ = _outline(canvas, ry, rx, rough=0.04)
    depth = _layers(canvas, signal, image, skin, rng.uniform(0.015, 0.12), 0.0)
    # Muscles are the cells nearest to random seeds, after a warp; the septum lies where two are as near.
    wy, wx = canvas.warp(0.08, 0.02, coarse=True)
    n_cells = int(rng.integers(5, 22))
    seeds = rng.uniform(-1, 1, (n_cells, 2)) * (canvas.half_y, rx) + 0.05 * canvas.number()
    stretch = rng.uniform(1.0, 3.0) if joint else 1.0
    near = np.hypot(
        (canvas.cy + wy)[None] / stretch - seeds[:, 0, None, None] / stretch,
        (canvas.cx + wx)[None] - seeds[:, 1, None, None],
    )
    first, second = np.partition(near, 1, axis=0)[:2]
    septum = canvas.upsample(second - first)
    angle = rng.uniform(0, math.pi)
    across = math.cos(angle) * canvas.y + math.sin(angle) * canvas.x + 0.05 * canvas.field(0.3)
    fibres = np.sin(across * np.float32(2 * math.pi / rng.uniform(0.02, 0.05)) + 2 * canvas.field(0.06))
    tone = signal["muscle"] * (1 + 0.05 * canvas.field(0.15) + rng.uniform(0, 0.15) * fibres)
    streaks = canvas.field(0.025) + fibres
    paint(tone, ramp(streaks - rng.uniform(1.8, 3.0), 0.5), 0.7 * signal["fat"])
    paint(
        tone,
        ramp(rng.uniform(0.004, 0.03) * (1 + 0.5 * canvas.field(0.1)) - septum, 3 * pixel),
        signal["fat"],
    )
    paint(image, ramp(depth, 2 * pixel), tone)
    inside = ramp(depth, 2 * pixel)
    dots = int(rng.integers(3, 25))
    paint(image, canvas.dots(*canvas.places(dots), rng.uniform(3, 14, dots)) * inside, signal["blood"])
    if joint:
        _joint(canvas, signal, image, rx)
    elif rng.random() < 0.4:
        _spine(canvas, signal, image, rng.normal(0, 0.1), rng.normal(0, 0.03), rng.uniform(0.08, 0.14))
    else:
        warp = canvas.warp(0.02, 0.006)
        for _ in range(int(rng.integers(1, 4))):
            size = rng.uniform(0.06, 0.22)
            _bone(
                canvas,
                signal,
                image,
                warp,
                *(rng.normal(0, 0.25, 2) * (ry, rx)),
                size,
                size * rng.uniform(0.7, 1.2),
            )
    paint(image, canvas.polylines(int(rng.integers(0, 14)), 40, rng.uniform(1.5, 4)) * inside, signal["blood"])
    return image * ramp(skin, 2 * pixel)


def _bone(
    canvas: Canvas, signal: Signal, image: np.ndarray, warp: tuple[np.ndarray, np.ndarray],
    y: float, x: float, ry: float, rx: float, *, rim: float = 0.0, turn: float = 0.0, power: float = 2.0,
) -> None:  # fmt: skip
    """Cortical shell around marrow with its trabeculae, with a rim of cartilage where asked."""
    rng, pixel = canvas.rng, canvas.pixel
    window, _, depth = canvas.blob(y, x, ry, rx, turn=turn, warp=warp, power=power)
    if rim:
        paint(image[window], ramp(depth + rim, 2 * pixel), signal["gm"])
    paint(image[window], ramp(depth, 2 * pixel), signal["bone"])
    grain = 1 + rng.uniform(0.02, 0.12) * canvas.field(0.018)[window]
    shell = rng.uniform(0.01, 0.035)
    paint(image[window], ramp(depth - shell, 3 * pixel), signal["marrow"] * grain)


def _joint(canvas: Canvas, signal: Signal, image: np.ndarray, rx: float) -> None:
    """Two long bones that meet, cartilage, menisci, fluid, ligaments and a patella."""
    rng = canvas.rng
    warp = canvas.warp(0.03, 0.008)
    x, y, width = rng.normal(0, 0.05), rng.normal(0, 0.1), rx * rng.uniform(0.4, 0.65)
    window, cover, _ = canvas.blob(y, x, 0.22, 1.3 * width, warp=warp, soft=4)
    paint(image[window], cover, signal["fat"] * (1 + 0.2 * canvas.field(0.04)[window]))
    rim = rng.uniform(0.015, 0.035)
    _bone(canvas, signal, image, warp, y - 0.85, x, 0.75, 0.65 * width, power=3)
    _bone(canvas, signal, image, warp, y - 0.3, x, 0.28, width, rim=rim)
    _bone(canvas, signal, image, warp, y + 0.85, x, 0.8, 0.7 * width, power=3)
    _bone(canvas, signal, image, warp, y + 0.24, x, 0.2, width, rim=rim, power=3.5)
    for side in (-1, 1):
        window, cover, _ = canvas.blob(y + 0.01, x + side * 0.75 * width, 0.035, 0.3 * width, warp=warp, soft=2)
        paint(image[window], cover, signal["bone"])
        window, cover, _ = canvas.blob(y, x + side * 1.15 * width, 0.4, 0.025, warp=warp, turn=side * 0.2, soft=3)
        paint(image[window], cover, signal["bone"])
    window, cover, _ = canvas.blob(y - 0.02, x, 0.02, 0.5 * width, warp=warp, soft=3)
    paint(image[window], cover, signal["csf"])
    side = rng.choice([-1, 1])
    _bone(canvas, signal, image, warp, y - 0.35, x + side * 1.25 * width, 0.2, 0.09, rim=0.02)


def abstract(canvas: Canvas, signal: Signal) -> np.ndarray:
    """Shapes of all sizes laid over each other ("dead leaves"), with textures, gratings, rims and lines."""
    rng, pixel = canvas.rng, canvas.pixel
    image = np.zeros((canvas.n_y, canvas.n_x), np.float32)
    skin, _ = _outline(canvas, canvas.half_y * rng.uniform(0.6, 1.2), canvas.half_x * rng.uniform(0.6, 1.2), rough=0.06)
    textures = [canvas.field(scale) for scale in (0.3, 0.08, 0.03, 3 * pixel)]
    warp = canvas.warp(0.05, 0.015)
    values = np.append(rng.uniform(0, 1, 5), list(signal.values()))
    image += np.float32(rng.choice(values))
    count = int(rng.integers(30, 110))
    sizes = np.sort(0.02 * (1 + 25 * rng.random(count) ** 4))[::-1]  # large leaves first, small ones on top
    for size in sizes:
        # Every leaf draws as many numbers, whatever it becomes.
        y, x, value, aspect, turn, soft, power, amount, period, kind = rng.random(10)
        window, cover, depth = canvas.blob(
            (2 * y - 1) * canvas.half_y, (2 * x - 1) * canvas.half_x, size, size * (0.15 + aspect),
            turn=math.pi * turn, warp=warp if kind < 0.7 else None,
            soft=1 + 12 * soft**4, power=2.0 if power < 0.6 else 1 + 6 * (power - 0.6),
        )  # fmt: skip
        tone = values[int(value * len(values))] * (1 + 0.5 * amount**2 * textures[int(4 * period)][window])
        if kind > 0.85:
            wave = 2 * math.pi / (pixel * (3 + 20 * period**2))
            grating = np.sin(
                wave * (math.cos(6 * turn) * canvas.y[window[0]] + math.sin(6 * turn) * canvas.x[:, window[1]])
            )
            tone = tone * (0.5 + 0.5 * (grating if kind > 0.92 else np.sign(grating)))
        elif kind > 0.75:  # a rim alone
            cover = cover * ramp(0.25 * size * aspect + 2 * pixel - depth, 2 * pixel)
        paint(image[window], cover, tone)
    lines = canvas.polylines(int(rng.integers(5, 40)), 40, rng.uniform(1.5, 4), wiggle=rng.uniform(0, 0.5))
    paint(image, lines, float(rng.choice(values)))
    image *= ramp(skin, 2 * pixel * (1 + 10 * rng.random() ** 3)) if rng.random() < 0.8 else 1.0
    return np.abs(image)
