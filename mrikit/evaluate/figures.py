"""Pictures of volumes: montages, and reconstructions beside their reference with error maps."""

from __future__ import annotations

import io
import itertools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mrikit.axes import describe
from mrikit.errors import DataError, UsageError
from mrikit.evaluate.metrics import Comparison, Report, largest
from mrikit.io.atomic import write_whole
from mrikit.io.paths import stem

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from mrikit.io import Header

# Where there is no home to keep its fonts in, matplotlib says so in two lines, which nobody here can do anything about.
logging.getLogger("matplotlib").addHandler(logging.NullHandler())

PANEL = 2.6  # inches
MAX_PANELS = 64
MOST_COLUMNS = 12
#: Okabe and Ito's colours, which the colour-blind tell apart, on white; markers tell them apart in grey too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = "osD^vPX"


LOGARITHMIC = "log10(1 + |k| / median)"  # how k-space is shown
PARTS = {"mag": np.abs, "phase": np.angle, "real": np.real, "imag": np.imag}


def displayable(volume: np.ndarray, kind: str, part: str | None = None) -> np.ndarray:
    """Panels `(panel, y, x)` of a volume with its slice axis: coils, sets and samples become panels.

    part: of `PARTS`; by default the magnitude of complex values, and real ones as they are. The magnitude of k-space is
    `LOGARITHMIC`, a mask 0 and 1, `(x,)` spread over rows.
    """
    if kind == "mask":
        mask = volume.astype(np.float32)
        return (
            np.broadcast_to(mask, (1, max(16, mask.size // 4), mask.size))
            if mask.ndim == 1
            else np.atleast_3d(mask).reshape(-1, *mask.shape[-2:])
        )
    part = part or ("mag" if np.iscomplexobj(volume) else "real")
    image = PARTS[part](volume).astype(np.float32)
    if kind == "kspace" and part == "mag":
        sampled = image[image > 0]
        image = np.log10(1 + image / np.median(sampled)) if sampled.size else image
    return image.reshape(-1, *image.shape[-2:])


def caption(name: str) -> str:
    """The name of a file without folder and format, for a title."""
    return "stdin" if name == "-" else stem(name)


def labels(axes: Sequence[str], shape: Sequence[int], slices: Sequence[int]) -> list[str]:
    """What every panel of a volume shows, as `slice 3, coil 1`: its `axes`, but for y and x, are of `shape`.

    slices: the numbers of those shown, none where there is but one.
    """
    shown = [slices if axis == "slice" else range(n) if n > 1 else () for axis, n in zip(axes, shape, strict=True)]
    places = ([f"{axis} {i}" for i in numbers] or [""] for axis, numbers in zip(axes, shown, strict=True))
    return [", ".join(filter(None, place)) for place in itertools.product(*places)]


def volume(
    array: np.ndarray,
    header: Header,
    slices: Sequence[int],
    *,
    title: str,
    window: tuple[float, float] | None = None,
    part: str | None = None,
) -> Figure:
    """Slices of a volume, as `displayable` shows them: up to 12 coils, sets or samples of a slice in a row."""
    chosen = array[list(slices)] if header.sliced else array
    names = labels(header.axes[:-2], chosen.shape[:-2], slices if header.n_slices > 1 else ())
    logarithmic = header.kind == "kspace" and part in (None, "mag")
    return montage(
        displayable(chosen, header.kind, part),
        names,
        title,
        window,
        columns=chosen.shape[-3] if chosen.ndim > 3 and chosen.shape[-3] <= MOST_COLUMNS else None,
        phase=part == "phase",
        unit="radians" if part == "phase" else LOGARITHMIC if logarithmic else "",
    )


def montage(
    panels: np.ndarray,
    names: list[str],
    title: str,
    window: tuple[float, float] | None,
    *,
    columns: int | None = None,
    phase: bool = False,
    unit: str = "",
) -> Figure:
    """Panels `(panel, y, x)` in a grid, each with its name, with one colour bar, of a `unit`.

    columns: of the grid, which is square by default. phase: they are angles, on a scale that ends as it begins.
    """
    if len(panels) > MAX_PANELS:
        raise UsageError(
            f"{len(panels)} panels are too many for one picture, the limit is {MAX_PANELS}",
            hint="choose some with --slices",
        )
    columns = columns or int(np.ceil(np.sqrt(len(panels))))
    rows = -(-len(panels) // columns)
    figure, axes = grid(rows, columns, panels.shape[-1] / panels.shape[-2])
    low, high = window or ((-np.pi, np.pi) if phase else usual_window(panels))
    shown = None
    for axis, panel, name in zip(axes.flat, panels, names, strict=False):
        shown = show(axis, panel, low, high, name, "twilight" if phase else "gray")
    for axis in axes.flat[len(panels) :]:
        axis.axis("off")
    figure.colorbar(shown, ax=list(axes.flat), fraction=0.03, pad=0.02, label=unit)
    figure.suptitle(title, fontsize=10)
    return figure


def usual_window(panels: np.ndarray) -> tuple[float, float]:
    """From 0 to nearly the largest value; as far below zero where there is more than a little ringing."""
    high = float(np.quantile(np.abs(panels), 0.999))
    return (-high if panels.min() < -0.2 * high else 0.0), high


def comparison(
    reference: np.ndarray,
    images: dict[str, np.ndarray],
    numbers: list[int],
    window: tuple[float, float] | None,
) -> Figure:
    """A row a slice: reference, every image with its PSNR and SSIM, and the error of the last one.

    All are magnitudes `(slice, y, x)`, in one window; the error is on a scale of its own. PSNR and SSIM are of the
    largest magnitude of the volume, as `metrics` has them.
    """
    for name, image in images.items():
        if image.shape != reference.shape:
            raise DataError(
                f"{name}: is {describe(image.shape)} (slice x y x x), the reference {describe(reference.shape)}"
            )
    figure, axes = grid(len(numbers), len(images) + 2, reference.shape[-1] / reference.shape[-2])
    low, high = window or (0.0, float(np.quantile(reference, 0.999)))
    last, errors = list(images.values())[-1], {}
    errors = {i: np.abs(last[i] - reference[i]) for i in numbers}
    worst = max(float(np.quantile(e, 0.999)) for e in errors.values()) or 1.0
    scores = {name: Comparison(largest(reference)) for name in images}  # as `metrics` has them
    shown = shown_error = None
    for row, i in zip(axes, numbers, strict=True):
        shown = show(row[0], reference[i], low, high, f"reference, slice {i}" if len(reference) > 1 else "reference")
        for axis, (name, image) in zip(row[1:], images.items(), strict=False):
            scores[name].add(reference[i], image[i])
            score = scores[name].report().slices[-1]
            show(axis, image[i], low, high, f"{name}\n{score.psnr:.1f} dB, SSIM {score.ssim:.3f}")
        shown_error = show(row[-1], errors[i], 0, worst, f"|error| of\n{list(images)[-1]}", "inferno")
    figure.colorbar(shown, ax=list(axes[:, :-1].flat), fraction=0.03, pad=0.01)
    figure.colorbar(shown_error, ax=list(axes[:, -1]), fraction=0.1, pad=0.03)
    return figure


def cascades(reports: dict[str, Report | list[Report]]) -> Figure:
    """PSNR in the object and SSIM after every cascade, a line a trajectory; an image is a level to compare with."""
    if not any(isinstance(report, list) for report in reports.values()):
        raise UsageError(
            "--plot shows how quality changes from state to state, and these are images",
            hint="mrikit flat-recon --trajectory FILE writes states",
        )
    states = {name: report if isinstance(report, list) else [report] for name, report in reports.items()}
    return quality_of_states(
        {name: np.array([[r.volume_masked.psnr, r.volume.ssim] for r in each]) for name, each in states.items()}
    )


def quality_of_states(lines: dict[str, np.ndarray]) -> Figure:
    """A line each of `(state, 2)`, PSNR in dB and SSIM of every state; what has one state is a level."""
    figure = blank(9, 3.6)
    longest = max(map(len, lines.values()))
    for k, (axis, label) in enumerate(zip(figure.subplots(1, 2), ("PSNR in the object (dB)", "SSIM"), strict=True)):
        for i, (name, values) in enumerate(lines.items()):
            if len(values) > 1:
                axis.plot(values[:, k], **style(i), label=name)
            else:
                axis.axhline(values[0, k], color=COLOURS[i % len(COLOURS)], linestyle="--", label=name)
        axis.set_xlabel("cascades done (0: the start)")
        axis.set_ylabel(label)
        axis.set_xticks(range(0, longest, -(-longest // 13)))
        axis.grid(alpha=0.3)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    return figure


def style(i: int) -> dict[str, Any]:
    """Colour, marker and stroke of line `i`; no two of the first 21 are alike, even where a line is one point."""
    n = len(COLOURS)
    return {
        "color": COLOURS[i % n],
        "marker": MARKERS[i % n],
        "markersize": 5,
        "fillstyle": ("full", "none", "left")[i // n % 3],
        "linestyle": ("-", "--", ":")[i // n % 3],
    }


#: what a training log holds besides losses
_NO_LOSS = ("step", "seconds_per_step", "skipped", "gradient", "psnr", "psnr_start")


def training(folder: Path, lines: list[dict[str, float]], images: dict[str, np.ndarray]) -> None:
    """Write `folder`/loss.png of a training log, and validation.png of images `(slice, y, x)`, the reference first."""
    save(curves(lines), folder / "loss.png")
    if images:
        reference, *others = images
        picture = comparison(images[reference], {name: images[name] for name in others}, [0], None)
        save(picture, folder / "validation.png")


def curves(lines: list[dict[str, float]]) -> Figure:
    """Losses over training steps, on a logarithmic scale, and PSNR below them where `lines` have it.

    `ssim` is drawn as 1 - SSIM, which is what training makes smaller.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    names = list(dict.fromkeys(name for line in lines for name in line if name not in _NO_LOSS))
    validated = any("psnr" in line for line in lines)
    figure = blank(8, 6.5 if validated else 4)
    rows = figure.subplots(1 + validated, 1, sharex=True, squeeze=False)[:, 0]
    for name, colour in zip(names, itertools.cycle(COLOURS), strict=False):
        steps, values = _series(lines, name)
        label, values = ("1 - SSIM", 1 - values) if name == "ssim" else (name, values)
        rows[0].plot(steps, values, color=colour, label=label, marker="." if len(steps) < 20 else None)
    rows[0].set_yscale("log")
    rows[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    rows[0].yaxis.set_major_formatter("{x:g}")
    rows[0].yaxis.set_minor_formatter(NullFormatter())
    rows[0].set_ylabel("loss")
    if validated:
        for name, label, style in (("psnr", "result", "-"), ("psnr_start", "start", "--")):
            steps, values = _series(lines, name)
            rows[1].plot(steps, values, style, color=COLOURS[0], label=label, marker="." if len(steps) < 20 else None)
        rows[1].set_ylabel("validation PSNR (dB)")
    rows[-1].set_xlabel("step")
    rows[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    for axis in rows:
        axis.grid(alpha=0.3)
        if axis.lines:
            axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _series(lines: list[dict[str, float]], name: str) -> tuple[np.ndarray, np.ndarray]:
    points = np.array([(line["step"], line[name]) for line in lines if name in line]).reshape(-1, 2)
    return points[:, 0], points[:, 1]


def save(figure: Figure, path: Path) -> None:
    """Write `figure` as .png, .pdf or .svg, as the suffix says, whole or not at all."""
    write_whole(path, rendered(figure, path.suffix[1:].lower()))


def rendered(figure: Figure, kind: str) -> bytes:
    """`figure` as png, pdf or svg, the same bytes for the same figure."""
    import matplotlib
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a name may have $ in it
    content = io.BytesIO()
    undated = {"png": {"Software": "mrikit"}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}[kind]
    with matplotlib.rc_context({"svg.hashsalt": "mrikit", "pdf.fonttype": 42}):
        figure.savefig(content, format=kind, dpi=150, metadata=undated)
    return content.getvalue()


def grid(rows: int, columns: int, aspect: float) -> tuple[Figure, np.ndarray]:
    figure = blank(PANEL * min(aspect, 2) * columns + 1, PANEL * rows + 0.5)
    return figure, figure.subplots(rows, columns, squeeze=False)


def blank(width: float, height: float) -> Figure:
    """An empty figure, in inches, that needs no screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def show(axis: Axes, panel: np.ndarray, low: float, high: float, title: str, colours: str = "gray") -> AxesImage:
    axis.set_title(title, fontsize=8)
    axis.set_xticks([])
    axis.set_yticks([])
    return axis.imshow(panel, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
