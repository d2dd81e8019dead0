"""What the frame does around a command: checks before, checks during, reports after."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import dummies
import numpy as np
import pytest
from running import Mrikit, Shell

from mrikit.cli import files, lockstep, sinks
from mrikit.errors import DataError
from mrikit.io import Geometry, Header, Reader, open_reader, open_writer
from mrikit.io.paths import split_dataset


@pytest.fixture(autouse=True)
def _dummy_commands() -> Iterator[None]:
    dummies.register()
    yield
    dummies.unregister()


def read(path: Path) -> np.ndarray:
    with open_reader(path) as reader:
        return reader.read()


def save(path: Path, array: np.ndarray, kind: str, axes: tuple[str, ...], **more: object) -> Path:
    with open_writer(path, Header(kind, axes, array.shape, array.dtype, **more)) as writer:  # type: ignore[arg-type]
        for one in array if axes[0] == "slice" else [array]:
            writer.write(one)
        writer.finish()
    return path


# before the work


def test_an_output_that_exists_needs_force(mrikit: Mrikit, scan: Path, tmp_path: Path) -> None:
    (tmp_path / "out.npy").write_bytes(b"precious")
    refused = mrikit("rss", "scan.npy", "out.npy")

    assert (refused.code, refused.stderr) == (
        73,
        "mrikit rss: out.npy: exists already (hint: --force overwrites it)\n",
    )
    assert (tmp_path / "out.npy").read_bytes() == b"precious"
    assert mrikit("rss", "scan.npy", "out.npy", "--force").code == 0
    assert read(tmp_path / "out.npy").shape == (3, 15, 12)


def test_one_dataset_of_a_file_is_not_written_at_the_cost_of_the_others(
    mrikit: Mrikit, scan: Path, tmp_path: Path
) -> None:
    assert mrikit("rss", "scan.npy", "out.h5:rss").code == 0
    refused = mrikit("rss", "scan.npy", "out.h5:again")
    assert refused.code == 73
    assert "out.h5:again: out.h5 exists already, and no dataset is added to it (hint: --force" in refused.stderr
    forced = mrikit("rss", "scan.npy", "out.h5:again", "--force")
    assert forced.code == 73
    assert "out.h5 holds rss too, which would be lost" in forced.stderr
    before = read(tmp_path / "out.h5:rss")
    assert mrikit("rss", "scan.npy", "out.h5:rss", "--force").code == 0
    np.testing.assert_array_equal(read(tmp_path / "out.h5:rss"), before)
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".npy") == ["out.h5"]


def test_an_output_that_exists_is_refused_before_the_pipe_is_read(mrikit: Mrikit, tmp_path: Path) -> None:
    assert mrikit("rss", "-", "out.npy", stdin=b"no stream").code == 65
    (tmp_path / "out.npy").touch()

    assert mrikit("rss", "-", "out.npy", stdin=b"no stream").code == 73


@pytest.mark.parametrize("out", ["scan.npy", "./scan.npy", "link.npy", "hard.npy"])
def test_an_output_that_is_an_input_is_refused_even_with_force(
    mrikit: Mrikit, scan: Path, tmp_path: Path, out: str
) -> None:
    (tmp_path / "link.npy").symlink_to("scan.npy")
    os.link(scan, tmp_path / "hard.npy")
    before = scan.read_bytes()
    result = mrikit("rss", "scan.npy", out, "--force")

    assert result.code == 2
    assert f"{out}: is the same file as scan.npy" in result.stderr
    assert scan.read_bytes() == before


def test_two_outputs_with_one_name_are_refused(mrikit: Mrikit, scan: Path) -> None:
    assert mrikit("spoil", "no", "scan.npy", "out.npy", "--maps-out", "out.npy").code == 2


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (("nowhere.npy", "out.npy"), 66, "nowhere.npy: no such file"),
        (("scam.npy", "out.npy"), 66, "did you mean scan.npy?"),
        ((".", "out.npy"), 66, ".: is a folder, expected a file"),
        (("scan.npy", "no/out.npy"), 73, "no/out.npy: there is no folder no (hint: mkdir -p no)"),
        (("scan.npy", "."), 73, ".: is a folder, expected a file name"),
        (("scan.npy", "out.xyz"), 2, "out.xyz: no format known by this name"),
        (("nowhere.npy", "scan.npy"), 66, "nowhere.npy: no such file"),
    ],
)
def test_what_cannot_end_well_does_not_begin(
    mrikit: Mrikit, scan: Path, args: tuple[str, ...], code: int, text: str
) -> None:
    result = mrikit("rss", *args)

    assert result.code == code
    assert text in result.stderr
    assert result.stderr.count("\n") == 1


def test_one_pipe_in_and_one_pipe_out(mrikit: Mrikit, scan: Path) -> None:
    assert "only one output can be -" in mrikit("spoil", "no", "scan.npy", "-", "--maps-out", "-").stderr


# during the work


def test_a_stream_writes_what_the_function_returns(
    mrikit: Mrikit, scan: Path, kspace: np.ndarray, tmp_path: Path
) -> None:
    result = mrikit("spoil", "no", "scan.npy", "out.npy", "--maps-out", "maps.npy")

    assert result.code == 0
    np.testing.assert_array_equal(read(tmp_path / "out.npy"), kspace[:, 0])
    np.testing.assert_array_equal(read(tmp_path / "maps.npy"), kspace)


@pytest.mark.parametrize(("how", "what"), [("nan", "has NaN or infinity"), ("zero", "is zero everywhere")])
def test_a_result_that_fails_its_check_names_the_slice_and_leaves_nothing(
    mrikit: Mrikit, scan: Path, tmp_path: Path, how: str, what: str
) -> None:
    result = mrikit("spoil", how, "scan.npy", "out.npy", "--maps-out", "maps.h5", "--quiet")

    assert result.code == 1
    assert result.stderr == f"mrikit spoil: out.npy: slice 1 of the result {what} (hint: nothing was written)\n"
    assert [path.name for path in tmp_path.iterdir()] == ["scan.npy"]


def with_nan(kspace: np.ndarray) -> np.ndarray:
    spoiled = kspace.copy()
    spoiled[1, 3, 2, 7] = np.nan
    return spoiled


def without_a_slice(kspace: np.ndarray) -> np.ndarray:
    spoiled = kspace.copy()
    spoiled[1] = 0
    return spoiled


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (np.abs, "kspace must be complex, found float32"),
        (with_nan, "kspace has NaN or infinity at slice 1, coil 3, y 2, x 7"),
        (without_a_slice, "k-space is zero everywhere in slice 1"),
    ],
)
def test_bad_kspace_is_named_with_its_place(
    mrikit: Mrikit, kspace: np.ndarray, tmp_path: Path, spoil: Callable[[np.ndarray], np.ndarray], text: str
) -> None:
    np.save(tmp_path / "bad.npy", spoil(kspace))
    result = mrikit("rss", "bad.npy", "out.npy", "--quiet")

    assert result.code == 65
    assert f"mrikit rss: bad.npy: {text}" in result.stderr
    assert not (tmp_path / "out.npy").exists()


def test_infinity_is_found_where_a_sum_of_finite_values_overflows(tmp_path: Path) -> None:
    from mrikit.cli.checks import all_finite

    large = np.full(10, 3e38, np.float32)
    assert all_finite(large)
    large[3] = np.inf
    assert not all_finite(large)


def steps(*readers: Reader) -> list[tuple[np.ndarray, ...]]:
    from mrikit.cli.lockstep import Lockstep

    return list(Lockstep(readers))  # type: ignore[arg-type]


def test_a_mask_without_slice_axis_is_repeated(scan: Path, tmp_path: Path) -> None:
    mask = np.arange(12) % 2 == 0
    path = save(tmp_path / "mask.npy", mask, "mask", ("x",))
    with open_reader(scan) as a, open_reader(path) as b:
        pairs = steps(a, b)

    assert len(pairs) == 3
    for _, repeated in pairs:
        np.testing.assert_array_equal(repeated, mask)


def test_numbers_of_slices_must_agree(scan: Path, tmp_path: Path, kspace: np.ndarray) -> None:
    path = save(tmp_path / "two.npy", kspace[:2], "maps", ("slice", "coil", "y", "x"))
    with (
        open_reader(scan) as a,
        open_reader(path) as b,
        pytest.raises(DataError, match=r"has length 2, but .* has 3"),
    ):
        steps(a, b)


def test_geometry_goes_from_the_first_input_to_the_output(mrikit: Mrikit, kspace: np.ndarray, tmp_path: Path) -> None:
    geometry = Geometry(voxel=(1.0, 2.0, 5.0))
    save(tmp_path / "scan.npy", kspace, "kspace", ("slice", "coil", "y", "x"), geometry=geometry)
    assert mrikit("rss", "scan.npy", "out.npy").code == 0

    with open_reader(tmp_path / "out.npy") as reader:
        assert reader.header.geometry == geometry


def test_part_chooses_and_nifti_gets_the_magnitude(
    mrikit: Mrikit, scan: Path, kspace: np.ndarray, tmp_path: Path
) -> None:
    expected = {
        "auto.nii": np.abs(kspace[:, 0]),
        "auto.npy": kspace[:, 0],
        "mag.npy": np.abs(kspace[:, 0]),
        "phase.nii": np.angle(kspace[:, 0]),
        "real.h5": kspace[:, 0].real,
        "imag.cfl": kspace[:, 0].imag,
        "complex.nii": kspace[:, 0],
    }
    for name, image in expected.items():
        assert mrikit("spoil", "no", "scan.npy", name, "--part", name.partition(".")[0]).code == 0
        np.testing.assert_allclose(read(tmp_path / name), image, rtol=1e-6, err_msg=name)


def test_maps_beside_an_image_keep_their_phase(mrikit: Mrikit, scan: Path, kspace: np.ndarray, tmp_path: Path) -> None:
    assert mrikit("spoil", "no", "scan.npy", "out.nii", "--maps-out", "maps.npy", "--part", "mag").code == 0

    np.testing.assert_array_equal(read(tmp_path / "maps.npy"), kspace)


# after the work


def test_history_has_the_command_without_folders_and_the_notes(mrikit: Mrikit, scan: Path, tmp_path: Path) -> None:
    assert mrikit("rss", str(scan), str(tmp_path / "out.npy")).code == 0
    assert mrikit("spoil", "no", "--seed", "7", str(scan), "out.h5").code == 0

    with open_reader(tmp_path / "out.h5") as reader:
        reader.read()
        (step,) = reader.history
    assert step["command"] == ["mrikit", "spoil", "no", "--seed", "7", "scan.npy", "out.h5"]
    assert step["seed"] == 7
    assert step["inputs"].keys() == {"scan.npy"}
    assert step["facts"] == {"kept": None, "rate": 0.5}
    assert str(tmp_path) not in json.dumps(step)


def test_history_grows_along_a_pipeline(shell: Shell, scan: Path, tmp_path: Path) -> None:
    assert shell("mrikit convert scan.npy - | mrikit rss - - | mrikit convert - out.nii").code == 0

    with open_reader(tmp_path / "out.nii") as reader:
        assert [step["command"][1] for step in reader.history] == ["convert", "rss", "convert"]


def test_notes_and_warnings_go_to_stderr(mrikit: Mrikit, scan: Path) -> None:
    result = mrikit("spoil", "no", "scan.npy", "out.npy")

    assert result.stdout == b""
    assert result.stderr.splitlines() == [
        "mrikit spoil: kept everything",
        "mrikit spoil: warning: this is a test",
    ]


def test_quiet_is_silent(mrikit: Mrikit, scan: Path) -> None:
    result = mrikit("spoil", "no", "scan.npy", "out.npy", "--quiet")

    assert (result.code, result.stdout, result.stderr) == (0, b"", "")


def test_verbose_tells_time_and_memory(mrikit: Mrikit, scan: Path) -> None:
    assert "peak memory" in mrikit("spoil", "no", "scan.npy", "out.npy", "--verbose").stderr


def test_json_is_one_object_on_stdout_and_nothing_else(mrikit: Mrikit, scan: Path) -> None:
    result = mrikit("spoil", "no", "scan.npy", "out.npy", "--json")

    assert result.stderr == ""
    assert result.text.count("\n") == 1
    report = result.json
    assert report.pop("seconds") >= 0
    assert report == {
        "command": "spoil",
        "version": report["version"],
        "kept": None,
        "rate": 0.5,
        "outputs": [{"file": "out.npy", "kind": "image", "shape": [3, 15, 12], "dtype": "complex64"}],
        "warnings": ["this is a test"],
    }


def test_json_goes_to_stderr_where_stdout_carries_data(mrikit: Mrikit, scan: Path) -> None:
    result = mrikit("spoil", "no", "scan.npy", "-", "--json")

    assert result.stdout.startswith(b"\x93NUMPY")
    assert json.loads(result.stderr)["outputs"][0]["file"] == "-"


def test_a_failure_with_json_leaves_stdout_empty(mrikit: Mrikit, scan: Path) -> None:
    result = mrikit("spoil", "nan", "scan.npy", "out.npy", "--json")

    assert (result.code, result.stdout) == (1, b"")


def test_warnings_of_libraries_show_only_with_verbose(shell: Shell, scan: Path) -> None:
    path = Path(dummies.__file__)
    run = f"PYTHONPATH={path.parents[2]} {sys.executable} {path} spoil warn scan.npy"

    assert "numpy is old" not in shell(f"{run} a.npy").stderr
    assert "numpy is old" in shell(f"{run} b.npy --verbose").stderr


def test_threads_are_limited_during_the_command_only(
    mrikit: Mrikit, scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("mrikit.cli.run.Run.stream", lambda *_, **__: seen.append(os.environ["OMP_NUM_THREADS"]))
    assert mrikit("spoil", "no", "scan.npy", "out.npy", "--threads", "3").code == 0

    assert seen == ["3"]
    assert "OMP_NUM_THREADS" not in os.environ


def test_common_options_are_those_the_command_has_use_for(mrikit: Mrikit) -> None:
    rss, cite = mrikit("rss", "--help").text, mrikit("cite", "--help").text

    assert "--device" in rss
    assert "--force" in rss
    assert "--seed" not in rss
    assert "--force" not in cite
    assert mrikit("cite", "--force").code == 2


def test_closed_streams_do_no_harm(shell: Shell, scan: Path, tmp_path: Path) -> None:
    assert shell("mrikit --help >&-").code == 0
    assert shell("mrikit rss scan.npy out.npy <&- >&- 2>&-").code == 0
    assert read(tmp_path / "out.npy").shape == (3, 15, 12)
    assert shell("mrikit rss scan.npy - >&-").code == 73
    assert shell("mrikit rss - other.npy <&-").code == 65


def test_a_full_disk_is_74(shell: Shell, scan: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    result = shell("mrikit rss scan.npy - > /dev/full")

    assert result.code == 74
    assert "No space left on device" in result.stderr


def test_data_is_not_written_to_a_terminal(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mrikit.cli.files import check_inputs, check_outputs
    from mrikit.errors import UsageError

    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(sys, "stdin", Terminal())
    with pytest.raises(UsageError, match="is the terminal"):
        check_outputs(["-"], ["scan.npy"], force=False)
    with pytest.raises(UsageError, match="is the terminal"):
        check_inputs(["-"])


# beside the work


@pytest.mark.parametrize(("source", "beside"), [("scan.npy", True), ("-", False)])
def test_files_are_read_and_written_beside_the_work_and_pipes_are_not(
    mrikit: Mrikit, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, beside: bool
) -> None:
    threads: dict[str, set[str]] = {"read": set(), "write": set()}

    def noting(what: str, function: Callable[..., object]) -> Callable[..., object]:
        def note(*args: object) -> object:
            threads[what].add(threading.current_thread().name)
            return function(*args)

        return note

    monkeypatch.setattr(lockstep, "check_input", noting("read", lockstep.check_input))
    monkeypatch.setattr(sinks, "check_result", noting("write", sinks.check_result))
    given = {} if beside else {"stdin": scan.read_bytes()}
    out = "rss.npy" if beside else "-"

    assert mrikit("rss", source, out, **given).code == 0
    assert all((names == {"MainThread"}) is not beside for names in threads.values())


@pytest.mark.parametrize("text", ["x.h5:a", "x.h5:a:b", "x.HDF5:a/b", "x.mrd:contrast=1", "x.h5", "x.npy:a", "x.h5:\n"])
def test_a_path_means_the_same_file_before_numpy_is_imported_and_after(text):
    assert str(files.on_disk(text)) == split_dataset(text)[0]
