"""mrikit doctor and mrikit cite."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT, Mrikit

from mrikit import arrays
from mrikit.cli import machine
from mrikit.cli.references import REFERENCES


def test_doctor_reports_versions_devices_and_how_to_install(mrikit: Mrikit) -> None:
    result = mrikit("doctor")

    assert result.code == 0
    for word in ("Python", "numpy", "torch", "GPUs", "Optional parts", "cupy"):
        assert word in result.text


def test_doctor_as_json(mrikit: Mrikit) -> None:
    facts = mrikit("doctor", "--json").json

    assert facts["packages"]["numpy"]
    assert {"name", "version", "for", "install"} == facts["optional"][0].keys()


def test_doctor_lives_where_everything_is_absent(mrikit: Mrikit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "version", lambda name: None)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delattr("os.sysconf")
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    result = mrikit("doctor")

    assert result.code == 0
    assert "memory unknown" in result.text
    assert "missing: pip install mrikit" in result.text


def test_doctor_without_a_gpu_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; from mrikit.cli import machine; machine.nvidia_gpus = lambda: []; machine.examine();"
        "print({'torch', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("driver", "package", "how"),
    [
        ("580.65.06", "cupy-cuda13x", "pip install 'mrikit[cuda13]'"),
        ("535.104", "cupy-cuda12x", "pip install 'mrikit[cuda12]'"),
        ("470.1", "cupy-cuda12x", "update the NVIDIA driver, 470 is older than 525"),
    ],
)
def test_the_cupy_package_follows_the_driver(driver: str, package: str, how: str) -> None:
    assert machine.cupy_package([{"name": "GPU", "memory": "1", "driver": driver}]) == (package, how)


def test_a_gpu_without_cupy_is_told_which_package_it_lacks(
    mrikit: Mrikit, monkeypatch: pytest.MonkeyPatch, scan: Path
) -> None:
    monkeypatch.setattr(arrays, "resolve_device", lambda name: "cuda:0")
    monkeypatch.setattr(arrays, "to_device", lambda array, device: array)
    monkeypatch.setattr(machine, "nvidia_gpus", lambda: [{"name": "GPU", "memory": "1", "driver": "535.104"}])
    line = "CuPy is not installed, so torch computes on the GPU; pip install 'mrikit[cuda12]'"
    for found in (False, True):
        monkeypatch.setattr(machine, "find_spec", lambda name, found=found: found or None)
        result = mrikit("rss", "--device", "cuda", scan, f"{found}.npy")

        assert result.code == 0
        assert (line in result.stderr) == (not found)


def test_extras_that_doctor_names_exist() -> None:
    text = (ROOT / "pyproject.toml").read_text()

    for _, extra, package in machine.DRIVERS:
        assert re.search(rf'^{extra} = \["{package}', text, re.MULTILINE)


def test_doctor_reads_what_nvidia_smi_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "nvidia-smi"
    fake.write_text("#!/bin/sh\necho 'NVIDIA H200, 143771 MiB, 580.65.06'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    assert machine.nvidia_gpus() == [{"name": "NVIDIA H200", "memory": "143771 MiB", "driver": "580.65.06"}]


def test_cite_prints_bibtex_of_everything(mrikit: Mrikit) -> None:
    text = mrikit("cite").text

    assert len(re.findall(r"^@\w+\{[\w-]+,$", text, re.MULTILINE)) == len(REFERENCES)
    assert text.count("{") == text.count("}")
    assert "10.1002/mrm.24751" in text
    assert "2512.03020" in text


@pytest.mark.parametrize(("name", "keys"), [("espirit", {"espirit"}), ("pics", {"cg-sense", "sparse-mri", "sigpy"})])
def test_cite_finds_by_method_and_by_command(mrikit: Mrikit, name: str, keys: set[str]) -> None:
    assert mrikit("cite", name, "--json").json["references"].keys() == keys


def test_cite_of_the_unknown_is_a_usage_error(mrikit: Mrikit) -> None:
    result = mrikit("cite", "nothing")

    assert result.code == 2
    assert result.stderr.startswith("mrikit cite: no reference for 'nothing'")


def test_every_key_is_its_entry(mrikit: Mrikit) -> None:
    for key, (_, bibtex) in REFERENCES.items():
        assert re.match(rf"@\w+\{{{key},\n", bibtex)


def test_cite_takes_a_command_of_two_words(mrikit: Mrikit) -> None:
    assert mrikit("cite", "policy", "propose", "--json").json["references"].keys() == {"policy"}
    assert mrikit("cite", "policy", "flat", "--json").json["references"].keys() > {"policy", "flat"}
