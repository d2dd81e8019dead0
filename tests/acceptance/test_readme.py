"""What the README shows runs, in the order it is shown, on a simulated scan named as there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from running import ROOT

from mrikit.cli.app import table

if TYPE_CHECKING:
    from pathlib import Path

    from running import Mrikit, Shell

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


TINY = {"architecture": "flat", "config": {"n_unrolls": 1, "features": 4, "levels": 1, "n_start": 3}}


@pytest.mark.slow
def test_the_shell_lines_run(mrikit: Mrikit, shell: Shell, tmp_path: Path) -> None:
    """All of them, training for one step and with a network of its own size."""
    (tmp_path / "multicoil_train").mkdir()
    (tmp_path / "tiny.json").write_text(json.dumps(TINY))
    for seed, name in enumerate(("scan.h5", "multicoil_train/a.h5", "held_back.h5")):
        made = mrikit("phantom", "--matrix", "96", "--coils", "4", "--seed", str(seed), name)
        assert made.code == 0, made.stderr
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("mrikit")]
    assert len(lines) >= 7
    for line in lines:
        line = line.replace("unroll-train", "unroll-train --steps 1 --config tiny.json")
        done = shell(line.replace(" out.nii", " --force out.nii") if "flat-recon" in line else line)
        assert done.code == 0, f"{line}\n{done.stderr}"


@pytest.mark.slow
def test_the_python_block_runs() -> None:
    (code,) = blocks("python")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 10


def test_every_command_has_its_row_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z -]+)` \|", README, re.M)
    assert sorted(rows) == sorted(table())


def test_the_four_lines_are_those_of_the_help() -> None:
    from mrikit.cli.app import PIPELINE

    shown = [line.split("#")[0].rstrip() for line in README.splitlines()]
    assert [line for line in shown if line in PIPELINE.splitlines()] == PIPELINE.splitlines()


def test_what_it_names_exists() -> None:
    for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)|`((?:docs|examples|man|tests)/[^`]*)`", README):
        name = path[0] or path[1]
        assert (ROOT / name).exists(), name
