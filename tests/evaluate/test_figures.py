"""Pictures hold what was asked for."""

import numpy as np
import pytest

from mrikit.axes import parse_slices
from mrikit.errors import DataError, UsageError
from mrikit.evaluate.figures import (
    cascades,
    comparison,
    curves,
    displayable,
    labels,
    montage,
    save,
    style,
    training,
    usual_window,
)  # fmt: skip
from mrikit.evaluate.metrics import by_state, metrics


def test_slices_are_chosen():
    assert parse_slices(None, 3, "a.npy") == [0, 1, 2]
    assert parse_slices("0,-1", 5, "a.npy") == [0, 4]
    assert parse_slices("1:8:3", 10, "a.npy") == [1, 4, 7]
    for bad in ("x", "9", "1,,2", "5:5", "1:2:3:4"):
        with pytest.raises(UsageError, match="--slices"):
            parse_slices(bad, 5, "a.npy")


def test_everything_becomes_panels():
    assert displayable(np.ones((2, 3, 4, 5), np.complex64), "maps").shape == (6, 4, 5)
    assert displayable(np.ones((2, 4, 5), np.complex64), "image").dtype == np.float32
    assert displayable(np.array([True, False, True] * 20), "mask").shape == (1, 16, 60)
    assert displayable(np.ones((4, 5), bool), "mask").shape == (1, 4, 5)


def test_panels_are_named_by_what_they_show():
    assert labels(("slice",), (2,), [3, 5]) == ["slice 3", "slice 5"]
    assert labels(("slice", "coil"), (1, 3), []) == ["coil 0", "coil 1", "coil 2"]
    assert labels(("slice", "state"), (2, 2), [0, 4]) == [
        "slice 0, state 0", "slice 0, state 1", "slice 4, state 0", "slice 4, state 1",
    ]  # fmt: skip
    assert labels(("slice",), (1,), []) == labels((), (), []) == [""]


def test_a_montage_has_a_panel_a_slice_and_one_window():
    figure = montage(np.random.default_rng(0).random((5, 8, 9)), list("abcde"), "title", (0.0, 0.5))
    images = [axis.images[0] for axis in figure.axes if axis.images and axis.get_title() in tuple("abcde")]
    assert len(images) == 5
    assert {image.get_clim() for image in images} == {(0.0, 0.5)}
    with pytest.raises(UsageError, match="65 panels are too many"):
        montage(np.ones((65, 8, 9)), [""] * 65, "", None)


def test_a_comparison_shows_reference_images_and_error():
    rng = np.random.default_rng(0)
    reference = rng.random((2, 16, 16)).astype(np.float32)
    figure = comparison(reference, {"zf": reference * 0.5, "out": reference * 0.9}, [0, 1], None)
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles[0].startswith("reference")
    assert "dB, SSIM" in titles[2]
    assert titles[3] == "|error| of\nout"
    shown = [axis.images[0].get_array() for axis in figure.axes if axis.get_title().startswith("|error|")]
    assert np.allclose(shown[0], 0.1 * reference[0], atol=1e-6)
    with pytest.raises(DataError, match="out: is 2 x 16 x 15"):
        comparison(reference, {"out": reference[..., 1:]}, [0], None)


def test_a_comparison_tells_what_metrics_tells():
    """Of the peak of the volume, whichever slice is shown."""
    reference = np.random.default_rng(0).random((2, 16, 16)).astype(np.float32)
    reference[0] *= 0.5
    told = metrics(reference, reference * 0.9).slices[0]
    figure = comparison(reference, {"out": reference * 0.9}, [0], None)
    assert f"out\n{told.psnr:.1f} dB, SSIM {told.ssim:.3f}" in [axis.get_title() for axis in figure.axes]


def test_a_line_a_trajectory_and_a_level_an_image():
    rng = np.random.default_rng(0)
    reference = rng.random((2, 16, 16))
    states = np.stack([reference * scale for scale in (0.5, 0.7, 0.9)], axis=1)
    reports = {"flat": by_state(reference, states), "zf": metrics(reference, reference * 0.6)}
    figure = cascades(reports)
    psnr, ssim = figure.axes

    assert (psnr.get_ylabel(), ssim.get_ylabel()) == ("PSNR in the object (dB)", "SSIM")
    for axis, value in (
        (psnr, lambda report: report.volume_masked.psnr),
        (ssim, lambda report: report.volume.ssim),
    ):
        line, level = axis.lines
        assert list(line.get_ydata()) == [value(report) for report in reports["flat"]]
        assert set(level.get_ydata()) == {value(reports["zf"])}
        assert (line.get_label(), level.get_label()) == ("flat", "zf")
        assert list(axis.get_xticks()) == [0, 1, 2]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["flat", "zf"]


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        save(montage(np.eye(8)[None], [""], "t", None), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_curves_have_losses_and_where_validated_psnr(tmp_path):
    lines = [
        {"step": s, "loss": 1 / s, "ssim": 0.9, "gradient": 1.0, "seconds_per_step": 1.0, "skipped": 2}
        for s in range(1, 5)
    ]
    (losses,) = curves(lines).axes
    assert [line.get_label() for line in losses.lines] == ["loss", "1 - SSIM"]
    assert losses.get_yscale() == "log"
    assert losses.lines[1].get_ydata()[0] == pytest.approx(0.1)

    losses, psnr = curves([*lines, {"step": 4, "psnr": 33.0, "psnr_start": 30.0}]).axes
    assert [line.get_label() for line in psnr.lines] == ["result", "start"]
    assert "dB" in psnr.get_ylabel()


def test_training_draws_what_there_is_to_see(tmp_path):
    image = np.random.default_rng(0).random((1, 20, 16)).astype(np.float32)
    training(tmp_path, [{"step": 1, "psnr": 30.0}], {})
    assert [path.name for path in tmp_path.iterdir()] == ["loss.png"]
    training(tmp_path, [{"step": 1, "loss": 1.0}], {"reference": image, "start": image, "result": image})
    assert {path.name for path in tmp_path.iterdir()} == {"loss.png", "validation.png"}


def test_the_points_of_methods_can_be_told_apart_without_their_lines():
    points = [tuple(style(i)[key] for key in ("color", "marker", "fillstyle")) for i in range(21)]
    assert len(set(points)) == 21


def test_signed_values_are_shown_around_zero_and_angles_on_a_circle():
    panels = np.random.default_rng(0).standard_normal((2, 8, 9)).astype(np.float32)
    assert displayable(panels, "image").min() < 0 <= displayable(panels, "image", "mag").min()
    low, high = usual_window(panels)
    assert low == -high < 0
    assert usual_window(np.abs(panels))[0] == usual_window(np.abs(panels) - 0.01)[0] == 0  # ringing is no sign
    turned = np.exp(1j * panels).astype(np.complex64)
    assert np.allclose(displayable(turned, "maps", "phase"), np.angle(turned))
    (axis, *_) = montage(displayable(turned, "image", "phase"), ["a", "b"], "", None, phase=True).axes
    assert axis.images[0].get_clim() == (-np.pi, np.pi)
