"""The report of a comparison of policies: what the table, the pictures and the JSON hold."""

import json

import numpy as np
import pytest

from mrikit.evaluate.report import places, policies, policy_table, scores, titled


def level(shape, names=("random", "flow"), **what):
    n = int(np.prod(shape))
    found = {
        name: {
            "mean": 0.5 + i / 8, "std": 0.01, "interval": [0.4 + i / 8, 0.6 + i / 8],
            "places": np.linspace(0, 1, n).tolist(), "flow_ahead": [0.125 - i / 8, 0.05 - i / 8, 0.2 - i / 8],
        }
        for i, name in enumerate(names)
    }  # fmt: skip
    return {
        **what,
        "policy": "own",
        "metric": "SSIM",
        "kept": 8,
        "of": n,
        "images": 3,
        "shape": shape,
        "policies": found,
    }


LINES, PIXELS = level([32], accel=4.0), level([4, 8], rate=0.25)


def test_an_acceleration_and_a_rate_have_their_titles():
    assert titled(LINES) == "R = 4: 8 of 32"
    assert titled(PIXELS) == "25 %: 8 of 32"


def test_the_table_has_a_part_a_level_and_a_row_a_policy():
    lines = policy_table({"seeds": 5, "levels": [LINES, PIXELS]}).splitlines()
    assert lines[0] == "R = 4: 8 of 32, own, 3 images, 5 seeds: SSIM"
    assert lines[2].split() == ["random", "0.5000", "0.0100", "0.4000", "0.6000", "0.1250", "0.0500", "0.2000"]
    assert (lines[4], lines[5]) == ("", "25 %: 8 of 32, own, 3 images, 5 seeds: SSIM")
    of_two = json.loads(json.dumps(LINES))
    of_two["policies"]["random"] |= {"interval": [None, None], "flow_ahead": [0.125, None, None]}
    lines = policy_table({"seeds": 5, "levels": [of_two]}).splitlines()
    assert lines[2].split() == ["random", "0.5000", "0.0100", "-", "-", "0.1250", "-", "-"]
    scores([of_two])
    alone = level([32], names=("random",), accel=4.0)
    assert "flow" not in policy_table({"seeds": 5, "levels": [alone]})


def test_bars_have_their_intervals_and_the_flow_a_colour_of_its_own():
    (axis,) = scores([LINES]).axes
    bars = axis.patches
    assert [bar.get_height() for bar in bars] == [0.5, 0.625]
    assert bars[0].get_facecolor() != bars[1].get_facecolor()
    low, high = axis.get_ylim()
    assert low < 0.4 and high > 0.725


@pytest.mark.parametrize("one", [LINES, PIXELS])
def test_places_are_bars_for_lines_and_pictures_for_pixels(one):
    axes = places([one, one]).axes
    assert len(axes) == 4
    for axis in axes:
        shown = axis.images[0].get_array() if one is PIXELS else [bar.get_height() for bar in axis.patches]
        assert np.allclose(np.ravel(shown), np.linspace(0, 1, 32))


def test_the_folder_holds_pictures_and_json(tmp_path):
    policies(tmp_path / "out", {"seeds": 5, "levels": [LINES]})
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"scores.png", "places.png", "report.json"}
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == {"seeds": 5, "levels": [LINES]}
