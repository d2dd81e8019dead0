"""Figures of a comparison show its numbers and its images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mrikit.evaluate.charts import against_acceleration, per_cascade
from mrikit.evaluate.illustrate import illustrate, shown_piece
from mrikit.evaluate.metrics import metrics
from mrikit.evaluate.panels import ERROR_WINDOW, detail, panel
from mrikit.evaluate.results import Condition, Results, Row
from mrikit.evaluate.summary import mean, table
from mrikit.rng import interval


def row(scan: str, number: int, accel: float, method: str, psnr: float | None, kind: str = "random", **more) -> Row:
    axis = "yx" if kind == "poisson" else "x"
    scores = {} if psnr is None else {"psnr_masked": psnr, "psnr": psnr, "ssim": psnr / 50}
    return Row(scan, number, kind, axis, accel, method, **scores, **more)


ROWS = [
    *(row(scan, 0, accel, "zf", 25.0 - accel + more) for scan, more in (("a", 0), ("b", 2)) for accel in (2, 4)),
    *(row(scan, 0, accel, "flat", 30.0 - accel + more) for scan, more in (("a", 0), ("b", 2)) for accel in (2, 4)),
    row("a", 0, 4.0, "flat", 40.0, "poisson"),
    row("a", 0, 8.0, "flat", None, note="8 lines, fewer than 16"),
]


def test_a_mean_is_over_scans_that_count_alike_and_its_interval_over_scans() -> None:
    rows = [row("a", i, 4, "flat", value) for i, value in enumerate((30.0, 32.0, 34.0))] + [
        row("b", 0, 4, "flat", 40.0)
    ]
    found = mean(rows, "psnr_masked")

    assert (found.value, found.n) == (36.0, 4)
    assert found.interval is None  # of two scans
    of_one_scan = mean(rows[:3], "psnr_masked")
    assert of_one_scan.interval == interval(np.array([30.0, 32.0, 34.0]), "evaluate/bootstrap")
    assert mean(rows[3:], "psnr_masked").interval is None


def test_the_table_has_a_line_a_condition() -> None:
    head, *lines = table(ROWS).splitlines()

    assert head.split()[-2:] == ["zf", "flat"]
    assert lines[0].split() == ["poisson-yx-R4,", "n", "=", "1", "n/a", "40.00", "0.800"]
    assert lines[1].split() == ["random-x-R2,", "n", "=", "2", "24.00", "0.480", "29.00", "0.580"]
    assert lines[-1].split() == ["random-x-R8,", "n", "=", "0", "n/a", "n/a"]


def test_means_of_fewer_slices_are_marked() -> None:
    lines = table([*ROWS, row("a", 0, 2.0, "l2", 30.0)]).splitlines()

    assert lines[2].split()[4:] == ["24.00", "0.480", "30.00", "0.600*", "29.00", "0.580"]
    assert lines[-1] == "* of fewer slices"


def test_means_of_as_many_other_slices_are_marked_too() -> None:
    rows = [row("a", i, 2.0, method, 30.0) for method, numbers in (("zf", (0, 1)), ("flat", (0, 2))) for i in numbers]
    _, line, note = table(rows).splitlines()
    assert line.split() == ["random-x-R2,", "n", "=", "3", "30.00", "0.600*", "30.00", "0.600*"]
    assert note == "* of fewer slices"


def test_a_column_a_mask_a_line_a_method_with_intervals() -> None:
    figure = against_acceleration(ROWS)
    top = figure.axes[:2]

    assert [axis.get_title() for axis in top] == ["poisson samples", "random lines along x"]
    assert [len(axis.containers) for axis in top] == [1, 2]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["zf", "flat"]
    zero_filled, flat = top[1].containers
    np.testing.assert_allclose(zero_filled.lines[0].get_ydata(), [24.0, 22.0])
    np.testing.assert_allclose(flat.lines[0].get_ydata(), [29.0, 27.0])
    np.testing.assert_allclose(flat.lines[2][0].get_segments()[0][:, 1], [29.0, 29.0])  # of two scans no interval
    third = against_acceleration([*ROWS, row("c", 0, 2, "flat", 33.0)]).axes[1].containers[1]
    ends = interval(np.array([28.0, 30.0, 33.0]), "evaluate/bootstrap")
    np.testing.assert_allclose(third.lines[2][0].get_segments()[0][:, 1], ends)
    assert [label.get_text() for label in figure.axes[-1].get_xticklabels()] == ["2", "4", "8"]
    assert [axis.get_ylabel() for axis in figure.axes[::2]] == ["PSNR in the object (dB)", "SSIM"]


def test_no_interval_of_ssim_is_drawn_beyond_one() -> None:
    figure = against_acceleration([row(str(i), 0, 4, "flat", value) for i, value in enumerate((30.0, 45.0, 49.0))])
    psnr, ssim = figure.axes
    (found,) = ssim.containers

    assert found.lines[2][0].get_segments()[0][1, 1] > 1 == ssim.get_ylim()[1]
    assert psnr.get_ylim()[1] > 49


def test_cascades_are_averaged_over_the_pieces_that_all_networks_have() -> None:
    steps = {"flat": [[20.0, 0.5], [30.0, 0.7]], "modl": [[10.0, 0.1], [20.0, 0.3], [24.0, 0.5]]}
    rows = [row("a", 0, 4, name, 30.0, cascades=each) for name, each in steps.items()]
    rows.append(row("b", 0, 4, "flat", 30.0, cascades=[[0.0, 0.0], [0.0, 0.0]]))
    psnr, ssim = per_cascade(rows).axes

    assert {line.get_label(): list(line.get_ydata()) for line in psnr.lines} == {
        "modl, n = 1": [10.0, 20.0, 24.0],
        "flat, n = 1": [20.0, 30.0],
    }
    assert list(ssim.lines[1].get_ydata()) == [0.5, 0.7]
    assert per_cascade(ROWS) is None


def test_a_panel_shows_whole_detail_and_error_in_common_windows() -> None:
    rng = np.random.default_rng(0)
    reference = (1 + rng.random((32, 24))) * np.exp(1j)
    images = {"zf": reference * 0.5, "flat": reference * 0.9}
    figure = panel(reference, images, "a scan")
    shown = [axis for axis in figure.axes if axis.images and axis.images[0].get_array().ndim == 2]
    whole, details, errors = shown[:3], shown[3:6], [a for a in shown[6:] if "dB" in a.get_title()]

    assert [axis.get_title() for axis in whole] == ["reference", "zf", "flat"]
    assert len({axis.images[0].get_clim() for axis in whole + details}) == 1
    assert [axis.images[0].get_array().shape for axis in details] == [(8, 8)] * 3
    assert {axis.images[0].get_clim() for axis in errors} == {(0, ERROR_WINDOW * abs(reference).max())}
    np.testing.assert_allclose(errors[1].images[0].get_array(), 0.1 * abs(reference))
    score = metrics(reference, images["flat"])
    assert errors[1].get_title() == f"{score.volume_masked.psnr:.1f} dB, {score.volume.ssim:.3f}"


def test_the_detail_is_where_there_is_most_to_see() -> None:
    image = np.ones((64, 64))
    image[:, :10] = 0
    image[40:44, 40:44] = 2
    rows, columns = detail(image)

    assert rows.start <= 40 and rows.stop >= 44 and columns.start <= 40 and columns.stop >= 44


def test_the_piece_that_is_shown_has_most_methods_at_a_telling_acceleration() -> None:
    rows = [row("a", i, a, m, 30.0) for i in range(3) for a in (4.0, 8.0, 12.0) for m in ("zf", "flat")]
    assert (shown_piece(rows).slice, shown_piece(rows).condition) == (1, Condition("random", "x", 8.0))
    assert shown_piece([*rows, row("a", 2, 12.0, "langevin", 30.0)]).condition.accel == 12


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Two scans of other sizes, one of them with a spread."""
    rng = np.random.default_rng(0)
    made = Results.begin(tmp_path / "out", {"format": 1}, resume=False, force=False)
    for scan, shape in (("a", (24, 20)), ("b", (16, 18))):
        image = rng.random(shape).astype(np.complex64)
        made.put_reference(scan, 0, image)
        for method in ("zf", "langevin"):
            std = image.real if (scan, method) == ("a", "langevin") else None
            made.put(row(scan, 0, 4.0, method, 30.0), image * 0.9, std)
    return made


@pytest.mark.slow
def test_every_folder_gets_its_figures_the_same_every_time(results: Results) -> None:
    names = {"acceleration", "images-a", "images-b", "uncertainty-a"}
    written = illustrate(results)

    assert {path.name for path in written} == {f"{name}{suffix}" for name in names for suffix in (".png", ".pdf")}
    before = {path: path.read_bytes() for path in written}
    illustrate(results)
    assert {path: path.read_bytes() for path in written} == before
