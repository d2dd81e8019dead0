"""mrikit metrics against scikit-image and definitions; mrikit view writes pictures of everything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scans import read, save, simulated
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import mrikit as api

if TYPE_CHECKING:
    from running import Mrikit, Shell


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    """reference.nii and a.nii, magnitudes of two slices; b.npy, complex; states.npy, b and a; scan, maps, mask.npy."""
    rng = np.random.default_rng(0)
    truth = simulated()
    image = truth.image
    noise = (rng.standard_normal(image.shape) + 1j * rng.standard_normal(image.shape)).astype(np.complex64)
    save(tmp_path / "reference.nii", np.abs(image), "image")
    save(tmp_path / "a.nii", np.abs(image + 0.05 * noise), "image")
    save(tmp_path / "b.npy", image + 0.1 * noise, "image")
    save(tmp_path / "scan.npy", truth.kspace, "kspace")
    save(tmp_path / "maps.npy", truth.maps, "maps")
    save(tmp_path / "mask.npy", api.mask((64, 64), 4), "mask")
    save(tmp_path / "states.npy", np.stack([image + 0.1 * noise, image + 0.05 * noise], axis=1), "states")


# metrics


def test_metrics_are_scikit_images_and_nmse_its_definition(mrikit: Mrikit, tmp_path: Path) -> None:
    result = mrikit("metrics", "--json", "reference.nii", "a.nii", "b.npy")

    assert (result.code, result.stderr) == (0, "")
    reference = np.abs(read(tmp_path / "reference.nii")).astype(float)
    for name in ("a.nii", "b.npy"):
        image = np.abs(read(tmp_path / name)).astype(float)
        scores = result.json["metrics"][name]
        peak = reference.max()
        psnr = peak_signal_noise_ratio(reference, image, data_range=peak)
        ssim = [structural_similarity(r, i, data_range=peak, win_size=7) for r, i in zip(reference, image, strict=True)]
        nmse = np.linalg.norm(image - reference) ** 2 / np.linalg.norm(reference) ** 2
        assert scores["volume"]["psnr"] == pytest.approx(psnr, abs=1e-6)
        assert scores["volume"]["ssim"] == pytest.approx(np.mean(ssim), abs=1e-6)
        assert scores["volume"]["nmse"] == pytest.approx(nmse, abs=1e-9)
        assert scores["volume"]["nrmse"] == pytest.approx(np.sqrt(nmse), abs=1e-6)
        assert [s["ssim"] for s in scores["slices"]] == pytest.approx(ssim, abs=1e-6)


def test_the_object_is_where_the_reference_is_bright(mrikit: Mrikit, tmp_path: Path) -> None:
    report = mrikit("metrics", "--json", "--mask-level", "0.3", "reference.nii", "a.nii").json

    reference, image = read(tmp_path / "reference.nii"), read(tmp_path / "a.nii")
    inside = reference > 0.3 * reference.max()
    mse = np.mean((reference - image)[inside].astype(float) ** 2)
    psnr = 10 * np.log10(float(reference.max()) ** 2 / mse)
    assert report["metrics"]["a.nii"]["volume_masked"]["psnr"] == pytest.approx(psnr, abs=1e-5)


def test_people_get_a_table_with_a_row_a_slice(mrikit: Mrikit) -> None:
    result = mrikit("metrics", "reference.nii", "a.nii", "b.npy")

    lines = result.text.splitlines()
    assert (result.code, result.stderr) == (0, "")
    assert [line.split("  ")[0].strip() or line.strip()[:7] for line in lines] == [
        "PSNR dB", "a.nii", "slice 0", "slice 1", "b.npy", "slice 0", "slice 1",
    ]  # fmt: skip
    assert mrikit("metrics", "--quiet", "reference.nii", "a.nii").text  # the result is no chatter


def test_an_image_is_infinitely_like_itself(mrikit: Mrikit) -> None:
    scores = mrikit("metrics", "--json", "reference.nii", "reference.nii").json["metrics"]["reference.nii"]

    assert scores["volume"] == {"psnr": None, "ssim": pytest.approx(1), "nmse": 0, "nrmse": 0}  # inf is no JSON


def test_the_reference_can_come_from_a_pipe(mrikit: Mrikit, tmp_path: Path) -> None:
    from_file = mrikit("metrics", "--json", "b.npy", "a.nii").json["metrics"]
    piped = mrikit("metrics", "--json", "-", "a.nii", stdin=(tmp_path / "b.npy").read_bytes())

    assert piped.json["metrics"] == from_file


def test_images_of_another_shape_are_refused_with_both(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "small.npy", np.ones((2, 32, 64), np.float32), "image")
    result = mrikit("metrics", "reference.nii", "a.nii", "small.npy")

    assert (result.code, result.stdout, result.stderr.count("\n")) == (65, b"", 1)
    for text in ("reference.nii", "small.npy", "2 x 64 x 64", "2 x 32 x 64"):
        assert text in result.stderr


def test_the_one_image_of_another_shape_is_named(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "small.npy", np.ones((2, 32, 64), np.float32), "image")
    save(tmp_path / "short.npy", np.ones((1, 64, 64), np.float32), "image")
    for name in ("small.npy", "short.npy"):
        result = mrikit("metrics", "reference.nii", name, "a.nii", "b.npy")

        assert result.code == 65
        assert f"{name}: the image is" in result.stderr and "a.nii" not in result.stderr


def test_an_empty_reference_is_refused(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "empty.npy", np.zeros((2, 64, 64), np.float32), "image")
    result = mrikit("metrics", "empty.npy", "a.nii")

    assert (result.code, result.stderr.count("\n")) == (65, 1)
    assert "empty.npy" in result.stderr and "the reference is zero everywhere" in result.stderr


@pytest.mark.parametrize("name", ["scan.npy", "maps.npy", "mask.npy"])
def test_only_images_are_compared(mrikit: Mrikit, name: str) -> None:
    result = mrikit("metrics", "reference.nii", name)

    assert (result.code, result.stderr.count("\n")) == (65, 1)
    assert f"{name}: holds {({'scan': 'kspace'}).get(name[:4], name[:4])}, expected image or states" in result.stderr


def test_a_trajectory_is_compared_state_by_state(mrikit: Mrikit) -> None:
    report = mrikit("metrics", "--json", "reference.nii", "a.nii", "b.npy", "states.npy").json["metrics"]

    assert report["states.npy"] == [report["b.npy"], report["a.nii"]]
    lines = mrikit("metrics", "reference.nii", "states.npy").text.splitlines()
    assert [line.split("  ")[0] or line.split("  ")[1] for line in lines[1:]] == ["states.npy", "state 0", "state 1"]
    assert f"{report['a.nii']['volume']['psnr']:.2f}" in lines[-1]


def test_images_and_states_in_other_units_are_scaled_to_fit(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "loud.npy", 1e6 * read(tmp_path / "a.nii"), "image")
    states = read(tmp_path / "states.npy")
    save(tmp_path / "states_loud.npy", np.stack([states[:, 0], 1e6 * states[:, 1]], axis=1), "states")
    words = ["metrics", "--json", "--scale"]
    ours = mrikit(*words, "reference.nii", "a.nii", "b.npy").json["metrics"]
    result = mrikit(*words, "reference.nii", "loud.npy", "states_loud.npy")
    assert result.stderr == ""
    theirs = result.json["metrics"]

    def close(a: dict[str, Any], b: dict[str, Any]) -> bool:
        return all(a["volume"][name] == pytest.approx(b["volume"][name], rel=1e-5) for name in a["volume"])

    assert close(theirs["loud.npy"], ours["a.nii"])
    assert 1e6 * theirs["loud.npy"]["scale"] == pytest.approx(ours["a.nii"]["scale"], rel=1e-5)
    assert close(theirs["states_loud.npy"][0], ours["b.npy"]) and close(theirs["states_loud.npy"][1], ours["a.nii"])
    piped = mrikit(*words, "reference.nii", "-", stdin=(tmp_path / "loud.npy").read_bytes())
    assert piped.json["metrics"]["-"] == theirs["loud.npy"]


def test_the_quality_of_every_cascade_becomes_a_plot(mrikit: Mrikit, tmp_path: Path) -> None:
    result = mrikit("metrics", "--json", "--plot", "cascades.png", "reference.nii", "states.npy", "a.nii")

    assert (result.code, result.stderr) == (0, "")
    assert result.json["outputs"] == [{"file": "cascades.png", "kind": "picture"}]
    picture(tmp_path / "cascades.png")
    assert not list(tmp_path.glob(".*"))


def test_a_plot_of_images_is_a_usage_error_that_says_where_states_come_from(mrikit: Mrikit, tmp_path: Path) -> None:
    result = mrikit("metrics", "--plot", "cascades.png", "reference.nii", "a.nii")

    assert (result.code, result.stdout, result.stderr.count("\n")) == (2, b"", 1)
    assert "from state to state" in result.stderr and "flat-recon --trajectory" in result.stderr
    assert not (tmp_path / "cascades.png").exists()


# view


def picture(path: Path) -> np.ndarray:
    """The pixels of a PNG, decoded."""
    from PIL import Image

    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    with Image.open(path) as image:
        image.verify()
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L"))
    assert pixels.std() > 5  # something is drawn
    return pixels


@pytest.mark.parametrize(
    "words",
    [
        "reference.nii",
        "b.npy",
        "maps.npy",
        "scan.npy",
        "mask.npy",
        "--slices 1 b.npy",
        "--slices 0:8:3 maps.npy",
        "states.npy",
        "--window 0,0.5 --title brain reference.nii",
        "--against reference.nii a.nii",
        "--against reference.nii a.nii b.npy",
        "--against reference.nii --slices -1 a.nii",
    ],
)
def test_everything_becomes_a_picture(mrikit: Mrikit, tmp_path: Path, words: str) -> None:
    result = mrikit("view", *words.split(), "out.png")

    assert (result.code, result.stdout, result.stderr) == (0, b"", "")
    picture(tmp_path / "out.png")
    assert not list(tmp_path.glob(".*"))


def test_a_mask_of_the_plane_and_one_a_slice_become_pictures(mrikit: Mrikit, tmp_path: Path) -> None:
    plane = api.mask((64, 64), 4, kind="poisson")
    save(tmp_path / "plane.npy", plane, "mask")
    save(tmp_path / "slices.npy", np.stack([plane, ~plane]), "mask")
    for name in ("plane", "slices"):
        assert mrikit("view", f"{name}.npy", f"{name}.png").code == 0
        picture(tmp_path / f"{name}.png")


def test_json_says_what_is_shown(mrikit: Mrikit) -> None:
    report = mrikit("view", "--slices", "1", "--json", "b.npy", "out.png").json

    assert report["outputs"] == [{"file": "out.png", "kind": "picture"}]
    assert report["shown"] == [1]


def test_the_end_of_a_pipe(shell: Shell, tmp_path: Path) -> None:
    result = shell("mrikit mvue scan.npy maps.npy - | mrikit view - slice.png")

    assert (result.code, result.stdout, result.stderr) == (0, b"", "")
    picture(tmp_path / "slice.png")


def test_several_volumes_need_a_reference_rather_than_the_first_being_shown(mrikit: Mrikit, tmp_path: Path) -> None:
    result = mrikit("view", "reference.nii", "a.nii", "out.png")

    assert (result.code, result.stderr.count("\n")) == (2, 1)
    assert "--against" in result.stderr
    assert not (tmp_path / "out.png").exists()


def test_two_files_of_one_name_are_two_columns(mrikit: Mrikit, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    save(tmp_path / "other" / "a.nii", read(tmp_path / "reference.nii"), "image")
    assert mrikit("view", "--against", "reference.nii", "a.nii", "two.png").code == 0
    assert mrikit("view", "--against", "reference.nii", "a.nii", "other/a.nii", "three.png").code == 0

    assert picture(tmp_path / "three.png").shape[1] > 1.2 * picture(tmp_path / "two.png").shape[1]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("--slices 2 b.npy", 2, "--slices 2: b.npy has 2, numbered 0 to 1"),
        ("--slices x b.npy", 2, "--slices x: expected 3, 0,4,8 or 2:10:2"),
        ("--slices 2 maps.npy", 2, "--slices 2: maps.npy has 2, numbered 0 to 1"),
        ("--window 1 b.npy", 2, "'1' is not two"),
        ("--window 5,1 b.npy", 2, "'5,1' falls, expected the lower number first"),
        ("--against reference.nii maps.npy", 65, "maps.npy"),
        ("--against maps.npy reference.nii", 65, "maps.npy: holds maps, expected image"),
    ],
)
def test_what_cannot_be_shown_is_refused(mrikit: Mrikit, tmp_path: Path, words: str, code: int, text: str) -> None:
    result = mrikit("view", *words.split(), "out.png")

    assert (result.code, result.stderr.count("\n")) == (code, 1)
    assert text in result.stderr
    assert not list(tmp_path.glob("*.png")) and not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("name", ["out.jpg", "out", "out.npy"])
def test_a_picture_is_a_png(mrikit: Mrikit, tmp_path: Path, name: str) -> None:
    result = mrikit("view", "b.npy", name)

    assert (result.code, result.stderr.count("\n")) == (2, 1)
    assert f"{name}: must end in .png" in result.stderr


def test_a_picture_that_exists_stays_without_force(mrikit: Mrikit, tmp_path: Path) -> None:
    (tmp_path / "out.png").write_bytes(b"precious")
    assert mrikit("view", "b.npy", "out.png").code == 73
    assert (tmp_path / "out.png").read_bytes() == b"precious"

    assert mrikit("view", "--force", "b.npy", "out.png").code == 0
    picture(tmp_path / "out.png")


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_an_image_of_one_value_is_a_picture_too(mrikit: Mrikit, tmp_path: Path, value: float) -> None:
    save(tmp_path / "flat.npy", np.full((1, 16, 16), value, np.float32), "image")
    result = mrikit("view", "flat.npy", "out.png")

    assert (result.code, result.stderr) == (0, "")
    picture(tmp_path / "out.png")


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e12])
def test_other_units_are_told_of_and_columns_stay_apart(mrikit: Mrikit, tmp_path: Path, scale: float) -> None:
    image = np.random.default_rng(0).random((1, 16, 16)).astype(np.float32)
    save(tmp_path / "ours.npy", image, "image")
    save(tmp_path / "theirs.npy", np.float32(scale) * (image + 0.01), "image")
    result = mrikit("metrics", "ours.npy", "theirs.npy")
    assert ("theirs.npy: NMSE is" in result.stderr) == (scale != 1)
    assert len(result.text.splitlines()[-1].split()) == 9


@pytest.mark.parametrize("words", ["--part phase maps.npy", "--part real b.npy", "--part imag scan.npy"])
def test_every_part_of_complex_values_can_be_seen(mrikit: Mrikit, tmp_path: Path, words: str) -> None:
    assert mrikit("view", *words.split(), "out.png").code == 0
    picture(tmp_path / "out.png")


def test_a_name_with_dollars_is_no_formula(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "a$b_$c^{.npy", read(tmp_path / "b.npy"), "image")
    words = ["--against", "reference.nii", "a$b_$c^{.npy", "out.png"]
    assert mrikit("view", *words).code == 0
    assert mrikit("view", "--title", "$5 and $6^{", "b.npy", "title.png").code == 0


def test_images_in_other_units_are_shown_as_if_in_those_of_the_reference(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "loud.npy", 1e6 * read(tmp_path / "a.nii"), "image")
    plain = mrikit("view", "--against", "reference.nii", "loud.npy", "plain.png")
    assert (plain.code, "loud.npy: NMSE is" in plain.stderr) == (0, True)
    scaled = mrikit("view", "--against", "reference.nii", "--scale", "loud.npy", "scaled.png")
    assert (scaled.code, scaled.stderr) == (0, "")
    assert (tmp_path / "plain.png").read_bytes() != (tmp_path / "scaled.png").read_bytes()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("--scale b.npy", "--scale fits images to a reference"),
        ("--part phase --against reference.nii b.npy", "--part phase: --against compares magnitudes"),
    ],
)
def test_what_view_cannot_combine_is_a_usage_error(mrikit: Mrikit, words: str, found: str) -> None:
    result = mrikit("view", *words.split(), "out.png")
    assert (result.code, found in result.stderr) == (2, True)


def test_slices_that_are_missing_are_not_found_by_cropping(mrikit: Mrikit, tmp_path: Path) -> None:
    save(tmp_path / "one.npy", read(tmp_path / "b.npy")[:1], "image")
    for words in (["metrics", "reference.nii", "one.npy"], ["view", "--against", "reference.nii", "one.npy", "o.png"]):
        result = mrikit(*words)
        assert (result.code, "convert --slices" in result.stderr, "--crop" in result.stderr) == (65, True, False)


def test_a_home_that_cannot_be_written_to_is_not_worth_a_word(shell: Shell, tmp_path: Path) -> None:
    homeless = "env -u MPLCONFIGDIR HOME=/proc/none XDG_CACHE_HOME=/proc/none XDG_CONFIG_HOME=/proc/none"
    done = shell(f"{homeless} mrikit view b.npy out.png")
    assert (done.code, done.stderr) == (0, "")
    picture(tmp_path / "out.png")
