"""What holds for every command that turns k-space into something: rss, espirit, mvue, whiten, compress, ..."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scans import PLACED, history, opened, read, save, simulated

import mrikit as api
from mrikit.io import open_reader

if TYPE_CHECKING:
    from running import Mrikit


@dataclass(frozen=True)
class Tool:
    """A command on scan.npy, maps.npy and mask.npy, and the library function it is a door to."""

    words: tuple[str, ...]
    kind: str
    library: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # of one slice: k-space, maps, mask
    device: bool = True

    def line(self, out: str, scan: str = "scan.npy") -> list[str]:
        return [scan if word == "SCAN" else word for word in self.words] + [out]


TOOLS = {
    "rss": Tool(("rss", "SCAN"), "image", lambda k, maps, mask: api.rss(k)),
    "espirit": Tool(("espirit", "--crop", "0.7", "SCAN"), "maps", lambda k, maps, mask: api.espirit(k, crop=0.7)),
    "mvue": Tool(("mvue", "SCAN", "maps.npy"), "image", lambda k, maps, mask: api.mvue(k, maps)),
    "whiten": Tool(("whiten", "SCAN"), "kspace", lambda k, maps, mask: api.whiten(k)),
    "compress": Tool(("compress", "--coils", "2", "SCAN"), "kspace", lambda k, maps, mask: api.compress(k, 2)),
    "undersample": Tool(
        ("undersample", "SCAN", "mask.npy"),
        "kspace",
        lambda k, maps, mask: api.undersample(k, mask),
        device=False,
    ),
    "pics": Tool(
        ("pics", "--reg", "l2", "--lambda", "0.02", "--iters", "5", "SCAN", "maps.npy"),
        "image",
        lambda k, maps, mask: api.pics(k, maps, reg="l2", lamda=0.02, n_iters=5),
        device=False,
    ),
    "flat-recon": Tool(
        ("flat-recon", "--accel", "3", "--acs", "14", "--seed", "2", "--mask-kind", "equispaced", "SCAN"),
        "image",
        lambda k, maps, mask: api.flat_recon(k, 3, acs=14, seed=2, mask_kind="equispaced"),
    ),
}
every_tool = pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    """scan.npy of two slices, placed in space, with the true maps and a mask."""
    scan = simulated()
    save(tmp_path / "scan.npy", scan.kspace, "kspace", geometry=PLACED)
    save(tmp_path / "maps.npy", scan.maps, "maps")
    save(tmp_path / "mask.npy", np.arange(64) % 3 != 0, "mask")


@every_tool
def test_the_output_is_what_the_library_returns_slice_by_slice(mrikit: Mrikit, tmp_path: Path, tool: Tool) -> None:
    result = mrikit(*tool.line("out.npy"), "--quiet")

    assert (result.code, result.stdout, result.stderr) == (0, b"", "")
    scan, mask = simulated(), read(tmp_path / "mask.npy")
    expected = np.stack([tool.library(k, maps, mask) for k, maps in zip(scan.kspace, scan.maps, strict=True)])
    out = opened(tmp_path / "out.npy").header
    assert (out.kind, out.shape) == (tool.kind, expected.shape)
    assert np.abs(read(tmp_path / "out.npy") - expected).max() <= 1e-6 * np.abs(expected).max()


@every_tool
def test_a_slice_does_not_depend_on_its_neighbours(mrikit: Mrikit, tmp_path: Path, tool: Tool) -> None:
    assert mrikit(*tool.line("both.npy"), "--quiet").code == 0
    save(tmp_path / "second.npy", simulated().kspace[1:], "kspace")
    (tmp_path / "maps.npy").unlink()
    save(tmp_path / "maps.npy", simulated().maps[1:], "maps")
    assert mrikit(*tool.line("one.npy", "second.npy"), "--quiet").code == 0

    np.testing.assert_array_equal(read(tmp_path / "one.npy")[0], read(tmp_path / "both.npy")[1])


@every_tool
def test_geometry_is_passed_on(mrikit: Mrikit, tmp_path: Path, tool: Tool) -> None:
    names = ["out.npy", "out.h5", "out.cfl"] + ["out.nii.gz"] * (tool.kind == "image")
    for name in names:
        assert mrikit(*tool.line(name)).code == 0
        with open_reader(tmp_path / name) as reader:
            assert reader.header.geometry == PLACED


@every_tool
def test_the_suffix_chooses_the_format_and_not_the_values(mrikit: Mrikit, tmp_path: Path, tool: Tool) -> None:
    for name in ("out.npy", "out.h5", "out.cfl"):
        assert mrikit(*tool.line(name)).code == 0
    expected = read(tmp_path / "out.npy")
    dialects = {"out.npy": "mrikit .npy", "out.h5": "mrikit HDF5", "out.cfl": "BART .cfl"}
    for name, dialect in dialects.items():
        with open_reader(tmp_path / name) as reader:
            assert (reader.header.dialect, reader.header.kind) == (dialect, tool.kind)
        np.testing.assert_array_equal(read(tmp_path / name), expected)

    result = mrikit(*tool.line("out.nii"))
    if tool.kind == "image":
        np.testing.assert_array_equal(read(tmp_path / "out.nii"), np.abs(expected))
    else:
        assert (result.code, result.stderr.count("\n")) == (2, 1)
        assert f"out.nii: {tool.kind} with axes slice, coil, y, x has no place in NIfTI" in result.stderr
        assert not (tmp_path / "out.nii").exists()


@every_tool
def test_a_pipe_is_as_good_as_a_file(mrikit: Mrikit, tmp_path: Path, tool: Tool) -> None:
    assert mrikit(*tool.line("out.npy")).code == 0
    piped = mrikit(*tool.line("-", "-"), "--quiet", stdin=(tmp_path / "scan.npy").read_bytes())

    assert (piped.code, piped.stderr) == (0, "")
    (tmp_path / "piped.npy").write_bytes(piped.stdout)
    with open_reader(tmp_path / "piped.npy") as reader:
        assert reader.header.geometry == PLACED
    np.testing.assert_array_equal(read(tmp_path / "piped.npy"), read(tmp_path / "out.npy"))


@every_tool
def test_the_history_grows_by_the_command(mrikit: Mrikit, tmp_path: Path, tool: Tool) -> None:
    assert mrikit("convert", "scan.npy", "copy.h5").code == 0
    assert mrikit(*tool.line(str(tmp_path / "out.h5"), str(tmp_path / "copy.h5"))).code == 0
    first, last = history(tmp_path / "out.h5")

    assert first["command"] == ["mrikit", "convert", "scan.npy", "copy.h5"]
    assert last["command"] == ["mrikit", *tool.line("out.h5", "copy.h5")]
    used = {name for name in ("copy.h5", "maps.npy", "mask.npy") if name in tool.line("", "copy.h5")}
    assert last["inputs"].keys() == used
    assert last["device"] == ("cpu" if tool.device else None)
    assert str(tmp_path) not in str(last)


@every_tool
@pytest.mark.parametrize("scale", [2.0**-40, 2.0**40])
def test_the_scale_of_the_scan_does_not_matter(mrikit: Mrikit, tmp_path: Path, tool: Tool, scale: float) -> None:
    """Powers of two, so that nothing but an underflow or an overflow could make a difference."""
    save(tmp_path / "scaled.npy", simulated().kspace * np.float32(scale), "kspace")
    assert mrikit(*tool.line("out.npy"), "--quiet").code == 0
    assert mrikit(*tool.line("other.npy", "scaled.npy"), "--quiet").code == 0

    out, other = read(tmp_path / "out.npy"), read(tmp_path / "other.npy")
    expected = out if tool.words[0] in ("espirit", "whiten") else out * np.float32(scale)
    assert np.linalg.norm(other - expected) < 1e-4 * np.linalg.norm(expected)


@every_tool
def test_json_is_one_object_with_what_was_written(mrikit: Mrikit, tool: Tool) -> None:
    result = mrikit(*tool.line("out.npy"), "--json")

    assert (result.code, result.stderr, result.text.count("\n")) == (0, "", 1)
    report: dict[str, Any] = result.json
    assert (report["command"], report["version"]) == (tool.words[0], api.__version__)
    assert report["seconds"] >= 0
    (output,) = report["outputs"]
    assert (output["file"], output["kind"], output["shape"][0]) == ("out.npy", tool.kind, 2)
    assert report.get("device") == ("cpu" if tool.device else None)


@every_tool
def test_a_gpu_that_is_not_there_is_an_error_and_never_a_silent_cpu_run(
    mrikit: Mrikit, tmp_path: Path, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not tool.device:
        assert mrikit(*tool.line("out.npy"), "--device", "cuda").code == 2
        return
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = mrikit(*tool.line("out.npy"), "--device", "cuda")

    assert (result.code, result.stderr.count("\n")) == (75, 1)
    assert "--device cuda: no CUDA device can be used here" in result.stderr
    assert not (tmp_path / "out.npy").exists()
