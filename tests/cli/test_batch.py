"""mrikit batch, all but Snakemake: templates, what is finished, what a job does, errors before anything runs."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from running import Mrikit
from scans import read, save, simulated

from mrikit.cli.batch import job
from mrikit.cli.batch.plan import Item, make_items, split
from mrikit.cli.batch.records import FOLDER, Records
from mrikit.errors import UsageError

RSS = ["rss", "{in}", "{out}.npy"]
ODD = ["a b", "it's", 'say "x"', "new\nline", "-dash", "$HOME", "{out}", "ünï"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / job.ENDED).mkdir()
    for part in ("items", "logs"):
        (tmp_path / "notes" / part).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def records(folder: Path) -> Records:
    return Records(folder / "notes")


def scan(path: Path, seed: int = 0) -> Path:
    return save(path, simulated(16, 2, 1, seed).kspace, "kspace")


def work(folder: Path, items: list[Item], *, run: str = "a") -> int:
    """Run one job with all `items` in a process of its own; its exit code."""
    plan = {"run": run, "cwd": str(folder), "records": str(folder / "notes"), "threads": 1, "gpus": [], "n_gpus": 0}
    text = json.dumps(plan | {"jobs": [[asdict(item) for item in items]]})
    (folder / "plan.json").write_text(text)
    words = [sys.executable, "-m", "mrikit.cli.batch.job", str(folder / "plan.json"), "0"]
    return subprocess.run(words, check=False).returncode


# ---- templates


def test_words_become_a_command_for_every_scan(tmp_path: Path) -> None:
    template = ["mrikit", "espirit", "--calib", "8", "{in}", "{out}_maps.npy"]
    (one,) = make_items(["/data/scan.nii.gz"], template, tmp_path)

    assert one.command == ("espirit", "--calib", "8", "/data/scan.nii.gz", f"{tmp_path}/scan_maps.npy")
    assert one.outputs == (f"{tmp_path}/scan_maps.npy",)


def test_options_of_a_word_are_outputs_from_the_place_on(tmp_path: Path) -> None:
    template = ["flat-recon", "--maps-out={out}_maps.npy", "{in}", "{out}.nii"]
    (one,) = make_items(["s.h5:kspace"], template, tmp_path)

    assert one.outputs == (f"{tmp_path}/s_maps.npy", f"{tmp_path}/s.nii")
    assert one.command[2] == f"{Path.cwd()}/s.h5:kspace"


def test_commands_of_two_words_are_commands(tmp_path: Path) -> None:
    (one,) = make_items(["s.npy"], ["policy", "propose", "--accel", "4", "{in}", "{out}.npy"], tmp_path)
    assert one.command[:2] == ("policy", "propose")
    with pytest.raises(UsageError, match="the template policy nonsense"):
        make_items(["s.npy"], ["policy", "nonsense", "{in}", "{out}.npy"], tmp_path)


def test_an_output_of_two_files_is_both(folder: Path, records: Records) -> None:
    items = make_items([str(scan(folder / "s.npy"))], ["rss", "{in}", "{out}.cfl"], folder)
    assert [Path(output).name for output in items[0].outputs] == ["s.cfl", "s.hdr"]
    assert work(folder, items) == 0
    os.utime(folder / "s.npy")
    assert not records.is_finished(items[0])
    assert work(folder, items) == 0 and records.is_finished(items[0])


def test_two_commands_in_one_folder_have_their_own_records(folder: Path, records: Records) -> None:
    file = str(scan(folder / "s.npy"))
    (rss,) = make_items([file], ["rss", "{in}", "{out}_rss.npy"], folder)
    (compressed,) = make_items([file], ["compress", "--coils", "1", "{in}", "{out}_one.npy"], folder)
    assert work(folder, [rss]) == work(folder, [compressed]) == 0
    assert records.is_finished(rss) and records.is_finished(compressed)
    assert records.foreign(rss) is None


def test_an_output_inside_a_file_is_the_file(tmp_path: Path) -> None:
    (one,) = make_items(["s.npy"], ["espirit", "{in}", "{out}.h5:maps"], tmp_path)

    assert one.command[2] == f"{tmp_path}/s.h5:maps"
    assert one.outputs == (f"{tmp_path}/s.h5",)


def test_a_line_for_the_shell_quotes_names_itself(tmp_path: Path) -> None:
    (one,) = make_items(["it's.h5"], ["mrikit rss {in} - >{out}.npy; true"], tmp_path)

    source, output = shlex.quote(f"{Path.cwd()}/it's.h5"), shlex.quote(f"{tmp_path}/it's")
    assert one.command == f"mrikit rss {source} - >{output}.npy; true"
    assert one.outputs == (f"{tmp_path}/it's.npy",)


def test_what_stands_behind_the_dashes_is_the_template() -> None:
    argv = ["batch", "--out", "o", "a", "b", "--", "rss", "{in}", "--", "{out}"]

    assert split(argv, ["a", "b", "rss", "{in}", "--", "{out}"]) == (["a", "b"], ["rss", "{in}", "--", "{out}"])


@pytest.mark.parametrize(
    ("template", "says"),
    [
        (["rss", "scan.h5", "{out}.npy"], r"no \{in\}"),
        (["rss", "{in}", "out.npy"], r"no \{out\}"),
        (["mrikit rss {in} out.npy"], r"no \{out\}"),
        (["rsss", "{in}", "{out}"], "no mrikit command"),
        (["mrikit rss '{in}' {out}.npy"], "has quotes"),
        (["sh -c 'mrikit rss {in} {out}.npy'"], "has quotes"),
        (["mrikit rss {in} {out}.npy 'open"], "no shell line"),
    ],
)
def test_templates_that_cannot_be_meant(tmp_path: Path, template: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make_items(["scan.h5"], template, tmp_path)


def test_names_that_collide_are_found(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a/s\.h5 and b/s\.npy would both write .*/s\.npy"):
        make_items(["a/s.h5", "b/s.npy"], RSS, tmp_path)
    one, two = make_items(["a/s.h5", "b/s.npy"], ["rss", "{in}", "{out}_{parent}.npy"], tmp_path)
    assert (one.outputs, two.outputs) == ((f"{tmp_path}/s_a.npy",), (f"{tmp_path}/s_b.npy",))
    (line,) = make_items(["a b/s.h5"], ["mrikit rss {in} {out}_{parent}.npy"], tmp_path)
    assert line.outputs == (f"{tmp_path}/s_a b.npy",) and f"{tmp_path}/s_'a b'.npy" in line.command.replace("''", "")
    with pytest.raises(UsageError, match=r"s\.h5 and s_maps\.h5 would both write"):
        make_items(["s.h5", "s_maps.h5"], ["flat-recon", "--maps-out={out}_maps.npy", "{in}", "{out}.npy"], tmp_path)
    with pytest.raises(UsageError, match="which is the scan"):
        make_items([str(tmp_path / "s.npy")], RSS, tmp_path)


# ---- what a job does


@pytest.mark.parametrize("shell", [False, True])
def test_odd_names_come_through(
    folder: Path, records: Records, mrikit_bin: Path, monkeypatch: pytest.MonkeyPatch, shell: bool
) -> None:
    monkeypatch.setenv("PATH", str(mrikit_bin), prepend=os.pathsep)
    scans = [str(scan(folder / f"{name}.npy", seed)) for seed, name in enumerate(ODD[: 3 if shell else None])]
    (folder / "out").mkdir()
    template = ["mrikit rss {in} - | cat > {out}.npy"] if shell else RSS
    items = make_items(scans, template, folder / "out")

    assert work(folder, items) == 0
    for name in ODD[: len(scans)]:
        assert read(folder / "out" / f"{name}.npy").shape == (1, 16, 16)
    record = records.read(items[0])
    assert record["outcome"] == "done" and record["error"] is None
    assert 0 < record["seconds"] < 60 and 5 < record["peak_mib"] < 2000
    assert all(map(records.is_finished, items))


def test_one_that_fails_leaves_the_others_and_its_line(folder: Path, records: Records) -> None:
    (folder / "bad.npy").write_text("no scan")
    scans = [str(folder / "bad.npy"), str(scan(folder / "good.npy")), str(folder / "gone.npy")]
    (folder / "out").mkdir()
    bad, good, gone = items = make_items(scans, RSS, folder / "out")

    assert work(folder, items) == 1
    assert records.is_finished(good) and not records.is_finished(bad)
    assert (records.read(bad)["exit"], records.read(gone)["exit"]) == (65, 66)
    assert records.read(bad)["error"].startswith(f"mrikit rss: {folder}/bad.npy: holds no .npy array")
    assert records.read(gone)["error"].startswith(f"mrikit rss: {folder}/gone.npy: no such file")


def test_a_retry_does_what_a_retry_can_help(folder: Path, records: Records) -> None:
    """Bad data stays bad; what another cause ended is done again, in the same batch."""
    (folder / "bad.npy").write_text("no scan")
    (folder / "out").mkdir()
    once = f"test -e {folder}/tried || ! touch {folder}/tried && cp {{in}} {{out}}.copy"
    bad, once = (
        make_items([str(path)], template, folder / "out")[0]
        for path, template in ((folder / "bad.npy", RSS), (scan(folder / "s.npy"), [once]))
    )
    assert work(folder, [bad, once]) == 1
    log = records.log(bad)
    log.write_text("not written again")

    assert work(folder, [bad, once]) == 1
    assert log.read_text() == "not written again"
    assert records.read(once)["outcome"] == "done"


def test_a_finished_item_is_left_alone(folder: Path, records: Records) -> None:
    (folder / "out").mkdir()
    (item,) = items = make_items([str(scan(folder / "s.npy"))], RSS, folder / "out")
    work(folder, items)
    before = Path(item.outputs[0]).stat().st_mtime_ns

    assert work(folder, items, run="b") == 0
    assert Path(item.outputs[0]).stat().st_mtime_ns == before


def test_a_command_that_writes_nothing_has_failed(folder: Path, records: Records) -> None:
    (item,) = items = make_items([str(scan(folder / "s.npy"))], ["true {in} {out}.npy"], folder / "out")

    assert work(folder, items) == 1
    assert records.read(item)["error"].endswith("s.npy: the command ended well and did not write it")


# ---- what is finished


@pytest.fixture
def finished(folder: Path, records: Records) -> Item:
    """An item that is done."""
    (folder / "out").mkdir()
    (item,) = make_items([str(scan(folder / "s.npy"))], RSS, folder / "out")
    records.begin(item, "a")
    save(Path(item.outputs[0]), np.ones((1, 16, 16), np.float32), "image")
    records.end(item, "a", outcome="done", exit=0)
    assert records.is_finished(item)
    return item


def test_a_scan_that_changed_is_to_do(finished: Item, records: Records) -> None:
    scan(Path(finished.scan).with_suffix(".new.npy"), seed=1).replace(finished.scan)

    assert not records.is_finished(finished) and records.foreign(finished) is None


def test_an_output_that_changed_or_went_is_to_do(finished: Item, records: Records) -> None:
    output = Path(finished.outputs[0])
    whole = output.read_bytes()
    output.write_bytes(whole[:-1])
    assert not records.is_finished(finished)
    output.unlink()
    assert not records.is_finished(finished) and records.foreign(finished) is None


def test_what_another_command_made_is_not_replaced(finished: Item, records: Records) -> None:
    other = Item(finished.scan, finished.name, ("rss", "--quiet"), finished.outputs)

    assert not records.is_finished(other) and records.foreign(other) == finished.outputs[0]
    records.forget(finished)
    assert records.foreign(finished) == finished.outputs[0]


def test_outputs_of_a_killed_job_count_where_they_are_whole(finished: Item, records: Records) -> None:
    """Killed behind the output and before the record: a stream tells by its trailer whether it is whole."""
    output = Path(finished.outputs[0])
    whole = output.read_bytes()
    records.begin(finished, "b")
    assert not output.exists() and not records.is_finished(finished)
    output.write_bytes(whole[:-8])
    assert not records.is_finished(finished)
    output.write_bytes(whole)
    assert records.is_finished(finished) and records.read(finished)["outcome"] == "begun"
    assert records.settle(finished) and records.read(finished)["outcome"] == "done"


def test_parts_of_a_killed_writer_go(finished: Item, records: Records) -> None:
    output = Path(finished.outputs[0])
    part, others = output.with_name(f".{output.name}.0123abcd.part"), output.with_name(".t.npy.0123abcd.part")
    part.touch()
    others.touch()
    records.begin(finished, "b")

    assert not part.exists() and others.exists()


# ---- GPUs


def test_no_two_jobs_share_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(job.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with job.pinned(["0", "1"], 1):
        first = os.environ["CUDA_VISIBLE_DEVICES"]
        with job.pinned(["0", "1"], 1):
            assert {first, os.environ["CUDA_VISIBLE_DEVICES"]} == {"0", "1"}
            assert job._lock_gpu("0") is None and job._lock_gpu("1") is None
    with job.pinned(["0", "1"], 2):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"


# ---- before anything runs


def test_dry_run_shows_and_makes_nothing(mrikit: Mrikit, tmp_path: Path) -> None:
    scan(tmp_path / "a b.npy")
    done = mrikit("batch", "--dry-run", "--out", "o", "a b.npy", "--", *RSS)

    assert (done.code, done.stderr) == (0, "")
    assert done.text == f"to do       mrikit rss '{tmp_path}/a b.npy' '{tmp_path}/o/a b.npy'\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a b.npy"]


def test_dry_run_tells_what_force_would_do_and_notes_nothing(mrikit: Mrikit, tmp_path: Path) -> None:
    """Of a job that was killed behind its output, too: a dry run sees that it is whole, a real one notes it."""
    scan(tmp_path / "s.npy")
    (item,) = make_items([str(tmp_path / "s.npy")], RSS, tmp_path / "o")
    (tmp_path / "o" / FOLDER / "items").mkdir(parents=True)
    records = Records(tmp_path / "o" / FOLDER)
    records.begin(item, "a")
    save(Path(item.outputs[0]), np.ones((1, 16, 16), np.float32), "image")
    before = records.read(item)

    assert mrikit("batch", "--dry-run", "--out", "o", "s.npy", "--", *RSS).text.startswith("finished ")
    assert records.read(item) == before and before["outcome"] == "begun"
    assert mrikit("batch", "--dry-run", "--force", "--out", "o", "s.npy", "--", *RSS).text.startswith("to do ")


def test_the_report_of_failures_is_json_too(mrikit: Mrikit, tmp_path: Path) -> None:
    pytest.importorskip("snakemake")
    scan(tmp_path / "good.npy")
    np.save(tmp_path / "bad.npy", np.zeros((1, 2, 16, 16), np.complex64))
    done = mrikit("batch", "--json", "--out", "o", "good.npy", "bad.npy", "--", *RSS)

    assert done.code == 8
    assert [row["outcome"] for row in done.json["items"]] == ["done", "failed"]
    assert "k-space is zero everywhere" in done.stderr and done.stderr.count("(hint: ") == 1
    quiet = mrikit("batch", "--quiet", "--out", "o", "good.npy", "--", *RSS)
    assert (quiet.code, quiet.stdout, quiet.stderr) == (0, b"", "")


def test_a_scan_that_cannot_be_opened_fails_alone(mrikit: Mrikit, tmp_path: Path) -> None:
    pytest.importorskip("snakemake")
    scan(tmp_path / "good.npy")
    (tmp_path / "locked.npy").mkdir()  # root can read any file
    done = mrikit("batch", "--json", "--out", "o", "locked.npy", "good.npy", "--", *RSS)
    assert done.code == 8
    assert [row["outcome"] for row in done.json["items"]] == ["failed", "done"]
    assert "locked.npy: is a folder, expected a file" in done.stderr
    assert mrikit("batch", "--fail-fast", "--out", "o", "locked.npy", "good.npy", "--", *RSS).code == 66


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("--out o s.npy rss {in} {out}.npy", 2, "no command to run"),
        ("--out o s.npy --", 2, "no command to run"),
        ("--out o s.npy -- rss {in}", 2, "the template's rss: Missing argument 'OUT'"),
        ("--out o -- rss {in} {out}.npy", 2, "no scans"),
        ("--out o s.npy -- rss s.npy {out}.npy", 2, "the template has no {in}"),
        ("--out o s.npy -- rss --nonsense {in} {out}.npy", 2, "--nonsense"),
        ("--out o s.npy t.npy -- rss {in} {out}.npy", 66, "t.npy: no such file"),
        ("--out o --executor nonsense s.npy -- rss {in} {out}.npy", 2, "no such plugin"),
        ("--out o --resources gpu s.npy -- rss {in} {out}.npy", 2, "'gpu' is not NAME=VALUE"),
        ("--out o --resources gpu=all s.npy -- rss {in} {out}.npy", 2, "gpu=all: expected a number of GPUs"),
        ("--out o --resources gpu=-1 s.npy -- rss {in} {out}.npy", 2, "gpu=-1: expected a number of GPUs"),
        ("--out s.npy/o s.npy -- rss {in} {out}.npy", 73, "s.npy/o: cannot be written"),
    ],
)
def test_mistakes_are_one_line(mrikit: Mrikit, tmp_path: Path, line: str, code: int, says: str) -> None:
    if any(word in line for word in ("executor", "gpu=")) or code == 73:
        pytest.importorskip("snakemake")
    scan(tmp_path / "s.npy")
    done = mrikit("batch", *line.split())

    assert done.code == code and says in done.stderr and done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["s.npy"]


def test_outputs_of_other_commands_are_not_replaced(mrikit: Mrikit, tmp_path: Path) -> None:
    pytest.importorskip("snakemake")
    scan(tmp_path / "s.npy")
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "s.npy").write_text("mine")
    done = mrikit("batch", "--out", "o", "s.npy", "--", *RSS)

    assert done.code == 73 and "was not made by this command (hint: --force replaces it" in done.stderr
    assert (tmp_path / "o" / "s.npy").read_text() == "mine"


def test_a_folder_on_a_read_only_file_system(mrikit: Mrikit, tmp_path: Path) -> None:
    pytest.importorskip("snakemake")
    scan(tmp_path / "s.npy")
    place = tmp_path / "mount"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", place], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        done = mrikit("batch", "--out", "mount/o", "s.npy", "--", *RSS)
    finally:
        subprocess.run(["umount", place], check=True)
    assert done.code == 73
    assert done.stderr == f"mrikit batch: --out {place}/o: cannot be written: Read-only file system\n"


def test_without_a_home_to_write_to(mrikit: Mrikit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("snakemake")
    scan(tmp_path / "s.npy")
    monkeypatch.setenv("HOME", "/proc/none")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    done = mrikit("batch", "--out", "o", "s.npy", "--", *RSS)
    assert (done.code, (tmp_path / "o" / "s.npy").exists()) == (0, True)


def test_a_slurm_that_is_not_there(mrikit: Mrikit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("snakemake")
    found = importlib.util.find_spec
    monkeypatch.setattr("mrikit.cli.batch.engine.find_spec", lambda name: found("json"))
    scan(tmp_path / "s.npy")
    line = ["batch", "--executor", "slurm", "--out", "o", "s.npy", "--", *RSS]
    monkeypatch.setenv("PATH", str(tmp_path))
    done = mrikit(*line)
    assert (done.code, done.stderr.count("\n")) == (75, 1) and "there is no sbatch here" in done.stderr

    for name, text in (("sbatch", ""), ("sinfo", "echo 'sinfo: error: Unable to contact controller' >&2; exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    done = mrikit(*line)
    assert (done.code, done.stderr.count("\n")) == (75, 1)
    assert "Slurm is not there: sinfo: error: Unable to contact controller" in done.stderr


def test_without_snakemake_one_line_says_how_to_get_it(
    mrikit: Mrikit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "snakemake", None)
    scan(tmp_path / "s.npy")
    done = mrikit("batch", "--out", "o", "s.npy", "--", *RSS)

    assert done.code == 75 and "(hint: pip install 'mrikit[batch]')" in done.stderr
