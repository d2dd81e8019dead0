"""mrikit report: what evaluate found, as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from mrikit.cli import params
from mrikit.cli.runner import Run, command


@command(
    examples=[
        ("mrikit report results report.html", "a page for any browser, without network"),
        ("mrikit report --slices 8 results report.html", "with the images of one slice of each scan"),
    ]
)
def report(
    run: Run,
    folder: Annotated[str, params.input_file("DIR", "What evaluate wrote.", volume=False, folder=True)],
    page: Annotated[str, params.output_file("PAGE", "Where the page goes.", ".html")],
    slices: params.Slices = None,
) -> None:
    """Make one page of what evaluate found: table, curves and a viewer.

    The page holds everything and opens anywhere: scores to sort, curves, and images, two at a time on the sides of a
    divider, with error, uncertainty, window, magnifier and keys. --slices chooses the slices whose images it has.
    """
    from mrikit.axes import parse_slices
    from mrikit.evaluate.page import build
    from mrikit.evaluate.results import Results

    results = Results.open(Path(folder))
    last = max((row.slice for row in results.sorted()), default=0)
    chosen = None if slices is None else parse_slices(slices, last + 1, folder)
    with run.progress(None) as bar:
        n_images = build(results, Path(page), title=Path(folder).resolve().name, slices=chosen, report=bar.report)
    size = Path(page).stat().st_size
    run.note(f"{n_images} reconstructions, {size / 2**20:.1f} MiB", outputs=[{"file": page, "kind": "page"}])
