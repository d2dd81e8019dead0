"""One page of a comparison that needs no network: scores, curves, and a viewer of its images (page.html, page.js)."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from mrikit.evaluate.charts import against_acceleration, per_cascade
from mrikit.evaluate.figures import rendered
from mrikit.evaluate.illustrate import shown_piece
from mrikit.evaluate.panels import ERROR_WINDOW
from mrikit.evaluate.results import Results, Row
from mrikit.evaluate.summary import by_condition, mean, methods
from mrikit.io.atomic import write_pieces

FOLDER = Path(__file__).parent
#: what the table has of a mean over rows
MEANS = ("psnr_masked", "ssim_masked", "psnr", "ssim", "nmse", "seconds", "memory_mib")
_PLACES = re.compile(r"\{(title|subtitle|charts|data|images|script)\}")


def build(
    results: Results,
    path: Path,
    *,
    title: str,
    slices: Collection[int] | None = None,
    report: Callable[[dict[str, Any]], None] = lambda facts: None,
) -> int:
    """Write the page of `results` to `path`, whole or not at all, and return how many reconstructions it shows.

    One image is in memory at a time. slices: those whose images are shown, all by default. report: gets figures of
    every image. Raises DataError where an image is missing or broken.
    """
    rows = results.sorted()
    shown = [row for row in rows if row.psnr is not None and (slices is None or row.slice in slices)]
    found = {
        "title": escape(title),
        "subtitle": escape(_subtitle(results, rows)),
        "charts": _charts([row for row in rows if row.psnr is not None]),
        "data": _embedded(_data(results, rows, shown)),
        "script": (FOLDER / "page.js").read_text(encoding="utf-8"),
    }

    def pieces() -> Iterator[bytes]:
        # Text and names of places in turn; what is put in is never looked through for places itself.
        for i, part in enumerate(_PLACES.split((FOLDER / "page.html").read_text(encoding="utf-8"))):
            if i % 2 and part == "images":
                yield from _images(results, shown, report)
            else:
                yield (found[part] if i % 2 else part).encode()

    write_pieces(path, pieces())
    return len(shown)


def _subtitle(results: Results, rows: list[Row]) -> str:
    scans, kinds = {row.scan for row in rows}, {row.piece.condition for row in rows}
    tuned = ", ".join(results.terms.get("apart") or {})
    return (
        f"{len(methods(rows))} methods on {len(scans)} scans under {len(kinds)} conditions, seed "
        f"{results.terms.get('seed')}. The reference is the MVUE of all the data. Lambdas of the classical methods: "
        + (f"searched on {tuned}." if tuned else "their defaults.")
    )


def _charts(rows: list[Row]) -> str:
    if not rows:
        return ""
    drawn = {"Quality against acceleration": against_acceleration(rows), "Quality per cascade": per_cascade(rows)}
    sections = []
    for heading, figure in drawn.items():
        if figure is not None:
            svg = rendered(figure, "svg").decode()
            sections.append(f'<section><h2>{heading}</h2><div class="chart">{svg[svg.index("<svg") :]}</div></section>')
    note = "<p>Means over scans, of three or more with 95 % intervals; over slices where there is one scan.</p>"
    return "\n".join([*sections, note])


def _data(results: Results, rows: list[Row], shown: list[Row]) -> dict[str, Any]:
    """What page.js reads."""
    import matplotlib

    means = [
        {
            **_condition(of_method[0]),
            **{score: _mean(of_method, score) for score in MEANS},
            "n": len(of_method),
        }
        for of in by_condition(rows).values()
        for of_method in of.values()
    ]
    first = _first(results, shown) if shown else {}
    return {
        "methods": methods(rows),
        "rows": [{**asdict(row), **_condition(row), "cascades": None} for row in rows],
        "means": means,
        "first": first,
        "error_top": ERROR_WINDOW,
        "inferno": np.round(matplotlib.colormaps["inferno"](np.arange(256))[:, :3] * 255).astype(int).tolist(),
    }


def _condition(row: Row) -> dict[str, Any]:
    condition = row.piece.condition
    return {"condition": str(condition), "mask": condition.mask, "accel": condition.accel, "method": row.method}


def _mean(rows: list[Row], score: str) -> float | None:
    known = [row for row in rows if getattr(row, score) is not None]
    return mean(known, score).value if known else None


def _first(results: Results, shown: list[Row]) -> dict[str, Any]:
    """What the viewer opens with: the piece of the printed figures, its best method, and the window for it."""
    piece = shown_piece([row for row in shown if row.scan == shown[0].scan])
    best = max((row for row in shown if row.piece == piece), key=lambda row: row.psnr_masked)
    reference = np.abs(results.reference(piece.scan, piece.slice))
    return {
        "scan": piece.scan,
        "slice": piece.slice,
        "mask": piece.condition.mask,
        "accel": piece.condition.accel,
        "right": best.method,
        "window": {"low": 0, "high": float(np.quantile(reference, 0.999) / reference.max())},
    }


def _embedded(content: object) -> str:
    """JSON for a <script> element, which a `<` could end."""
    return json.dumps(content, allow_nan=False).replace("<", "\\u003c")


def _images(results: Results, shown: list[Row], report: Callable[[dict[str, Any]], None]) -> Iterator[bytes]:
    """An element for every image, error and std, and once a slice for the reference."""
    slice_at: tuple[str, int] | None = None
    for done, row in enumerate(shown, start=1):
        place = f"{row.scan}/{row.slice}"
        if slice_at != (row.scan, row.slice):
            slice_at = row.scan, row.slice
            reference = np.abs(results.reference(*slice_at))
            peak = float(reference.max())
            yield _element(f"{place}//reference/image", reference / peak)
        name = f"{place}/{row.piece.condition}/{row.method}"
        image = np.abs(results.image(row.piece, row.method))
        yield _element(f"{name}/image", image / peak)
        yield _element(f"{name}/error", np.abs(image - reference) / (ERROR_WINDOW * peak))
        if results.has_std(row.piece, row.method):
            std = results.image(row.piece, row.method, std=True)
            yield _element(f"{name}/std", std / (ERROR_WINDOW * peak))
        report({"step": done, "steps": len(shown)})


def _element(name: str, values: np.ndarray) -> bytes:
    """`values` `(y, x)`, 0 to 1, as a grey PNG of 255 sqrt(values): as fine where it is dark as where it is bright."""
    from PIL import Image

    png = io.BytesIO()
    codes = np.round(255 * np.sqrt(np.clip(values, 0, 1))).astype(np.uint8)
    Image.fromarray(codes).save(png, "PNG", compress_level=6)
    text = base64.b64encode(png.getvalue()).decode()
    return f'<script type="text/plain" data-image="{escape(name)}">{text}</script>\n'.encode()
