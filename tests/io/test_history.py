"""Provenance: enough to repeat a command, and nothing about who ran it where."""

from types import SimpleNamespace

from mrikit import __version__
from mrikit.io.history import extend, record


def test_a_record_says_what_was_done():
    step = record(["mrikit", "espirit", "in.h5", "out.npy"], seed=3, inputs=[("in.h5", 255)], device="cpu")
    assert step == {
        "command": ["mrikit", "espirit", "in.h5", "out.npy"],
        "version": __version__,
        "seed": 3,
        "inputs": {"in.h5": "000000ff"},
        "device": "cpu",
    }


def test_no_folder_stays():
    words = [
        "/home/jane doe/bin/mrikit",
        "../jane/in.h5:espirit/maps",
        "--mask=/home/jane/m.npy",
        "a/b.npy,/c/d.npy",
        "~jane/folder/",
        "-",
        "0.5",
    ]
    step = record(words, seed=None, inputs=[("/home/jane/in.h5", 1)], device=None)
    assert step["command"] == [
        "mrikit",
        "in.h5:espirit/maps",
        "--mask=m.npy",
        "b.npy,d.npy",
        "folder/",
        "-",
        "0.5",
    ]
    assert "jane" not in str(step)


def test_inputs_of_one_name_stay_apart():
    step = record([], seed=None, inputs=[("a/x.npy", 1), ("b/x.npy", 2)], device=None)
    assert step["inputs"] == {"x.npy": "00000001", "x.npy (2)": "00000002"}


def test_common_steps_stand_once():
    a, b, c = {"n": 1}, {"n": 2}, {"n": 3}
    readers = [SimpleNamespace(history=(a, b)), SimpleNamespace(history=(a, c))]
    assert extend(readers, {"n": 4}) == (a, b, c, {"n": 4})
