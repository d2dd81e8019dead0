"""Random anatomy: slices through heads, trunks, limbs and abstract objects that no one has ever had.

They serve `mrikit phantom` and the training of the default networks, so they aim at the statistics of real
scans (edges of every softness, thin structures, texture, contrasts of every kind), not at a diagnosis.
Each slice is drawn twice as fine as the matrix, and its k-space is cut to the matrix, as a scan's is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from mrikit.errors import UsageError
from mrikit.physics.bodies import abstract, heart, limb, torso
from mrikit.physics.canvas import Canvas, Rng, acquire
from mrikit.physics.heads import brain

TISSUES = ("fat", "bone", "csf", "gm", "wm", "muscle", "blood", "marrow", "lesion", "organ", "air")

#: Signal of TISSUES relative to the brightest, for the usual weightings.
CONTRASTS = {
    "t1": (1.0, 0.05, 0.12, 0.45, 0.65, 0.40, 0.25, 0.75, 0.30, 0.50, 0.02),
    "t1gd": (0.9, 0.05, 0.15, 0.50, 0.65, 0.45, 1.30, 0.70, 1.10, 0.60, 0.02),
    "t2": (0.7, 0.05, 1.00, 0.55, 0.38, 0.18, 0.06, 0.45, 0.90, 0.40, 0.02),
    "flair": (0.7, 0.05, 0.08, 0.65, 0.48, 0.25, 0.08, 0.50, 1.00, 0.45, 0.02),
    "pd": (0.9, 0.06, 0.80, 0.85, 0.68, 0.60, 0.20, 0.70, 0.90, 0.70, 0.03),
    "t2star": (0.6, 0.03, 0.95, 0.60, 0.48, 0.45, 0.90, 0.30, 0.80, 0.40, 0.01),
    "bssfp": (0.9, 0.05, 1.00, 0.45, 0.40, 0.28, 0.95, 0.55, 0.70, 0.35, 0.04),
}


def anatomy(kind: str, shape: Sequence[int], rng: Rng, z: float = 0.0) -> np.ndarray:
    """Image (y, x) float32 of one slice: 99.8 % quantile 1, air 0; ringing leaves [0, 1] by a little.

    kind: "brain", "torso", "heart", "limb", "abstract", "shepp-logan", or "random", a mix of all but the
    last, turned and flipped. `z` is the slice's position in halves of the field of view: 0 is the middle,
    0.05 about one slice of 5 mm further. Slices of one object are drawn with equal generators and
    different z.
    Raises UsageError for another kind.
    """
    if kind == "shepp-logan":
        return _shepp_logan(shape, z)
    if kind == "random":
        kind = str(rng.choice(list(_MIX), p=list(_MIX.values())))
        z += float(rng.uniform(-0.65, 0.65))
        turned, flip_y, flip_x = rng.random(3) < (0.25, 0.25, 0.5)
        image = anatomy(kind, shape[::-1] if turned else shape, rng, z)
        image = image.T if turned else image
        return np.ascontiguousarray(image[:: -1 if flip_y else 1, :: -1 if flip_x else 1])
    if kind not in _BODIES:
        names = ", ".join((*_BODIES, "shepp-logan", "random"))
        raise UsageError(f"there is no anatomy {kind!r}: there are {names}")
    canvas = Canvas(shape, rng, z)
    # What the scan is, drawn first, so that it is the same for every slice.
    keep = tuple(float(v) for v in np.where(rng.random(2) < 0.65, 1.0, rng.uniform(0.7, 1.0, 2)))
    filter_ = float(rng.choice([0.0, rng.uniform(0.1, 1.0)], p=[0.6, 0.4]))
    shading = rng.normal(0, 0.16, 5) * (rng.random() < 0.7)
    texture, grain = rng.uniform(0.0, 0.07), rng.uniform(0.0, 0.07)
    image = _BODIES[kind](canvas, _contrast(rng))
    image *= 1 + texture * canvas.field(0.05) + grain * canvas.field(2.5 * canvas.pixel)
    y, x = canvas.y, canvas.x
    image *= np.exp(shading[0] * y + shading[1] * x + shading[2] * y * x + shading[3] * y * y + shading[4] * x * x)
    image = acquire(image, canvas.matrix, (keep[0], keep[1]), filter_)
    top = np.quantile(image[:: 1 + shape[0] // 160, :: 1 + shape[1] // 160], 0.998)
    return image / np.float32(max(float(top), 1e-6))


def _contrast(rng: Rng) -> dict[str, float]:
    """Signal by tissue: a usual weighting with some scatter, or anything at all, sometimes without fat."""
    names = list(CONTRASTS)
    values = np.array(CONTRASTS[names[rng.integers(len(names))]])
    anything = rng.uniform(0.03, 1.0, len(TISSUES))
    scatter = np.exp(rng.normal(0, 0.15, len(TISSUES)))
    values = np.where(rng.random() < 0.25, anything, values) * scatter
    signal = dict(zip(TISSUES, values.tolist(), strict=True))
    signal["bone"], signal["air"] = min(signal["bone"], 0.12), min(signal["air"], 0.02)
    if rng.random() < 0.25:
        signal["fat"] *= 0.2
        signal["marrow"] *= 0.3
    return signal


_BODIES: dict[str, Callable[[Canvas, dict[str, float]], np.ndarray]] = {
    "brain": brain,
    "torso": torso,
    "heart": heart,
    "limb": limb,
    "abstract": abstract,
}

#: Shares of "random".
_MIX = {"brain": 0.4, "torso": 0.15, "heart": 0.12, "limb": 0.18, "abstract": 0.15}


#: Shepp and Logan 1974 with the contrasts of Toft 1996: signal, half width, half height, x, y up, degrees.
_SHEPP_LOGAN = (
    (1.0, 0.69, 0.92, 0.0, 0.0, 0),
    (-0.8, 0.6624, 0.874, 0.0, -0.0184, 0),
    (-0.2, 0.11, 0.31, 0.22, 0.0, -18),
    (-0.2, 0.16, 0.41, -0.22, 0.0, 18),
    (0.1, 0.21, 0.25, 0.0, 0.35, 0),
    (0.1, 0.046, 0.046, 0.0, 0.1, 0),
    (0.1, 0.046, 0.046, 0.0, -0.1, 0),
    (0.1, 0.046, 0.023, -0.08, -0.605, 0),
    (0.1, 0.023, 0.023, 0.0, -0.606, 0),
    (0.1, 0.023, 0.046, 0.06, -0.605, 0),
)


def _shepp_logan(shape: Sequence[int], z: float) -> np.ndarray:
    """The head of ellipses, doi:10.1109/TNS.1974.6499235, made ellipsoids along z; skull 1, brain 0.2."""
    canvas = Canvas(shape, np.random.default_rng(0), z, fine=4)
    image = np.zeros((canvas.n_y, canvas.n_x), np.float32)
    size = min(canvas.half_y, canvas.half_x) * math.sqrt(max(1 - z * z, 0.0))
    for signal, rx, ry, x, y, degrees in _SHEPP_LOGAN:
        window, cover, _ = canvas.blob(-y * size, x * size, ry * size, rx * size, turn=math.radians(degrees))
        image[window] += np.float32(signal) * cover
    return acquire(image, canvas.matrix, (1.0, 1.0), 0.0)
