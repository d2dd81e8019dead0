"""What is written is what is read: every format, every kind, odd shapes, any geometry and history."""

from __future__ import annotations

import io
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mrikit.axes import KINDS
from mrikit.io import Geometry, Header, open_reader, open_writer

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
HISTORIES = st.lists(st.dictionaries(st.text(max_size=8), JSON, max_size=3), max_size=3)
EDGES = st.floats(2**-6, 64, width=32)


@st.composite
def geometries(draw):
    """Unknown, voxel sizes alone, or a rotated and shifted affine with its voxel sizes."""
    known = draw(st.sampled_from(["nothing", "voxel", "affine"]))
    if known == "nothing":
        return Geometry()
    voxel = tuple(draw(EDGES) for _ in range(3))
    if known == "voxel":
        return Geometry(voxel)
    a, b = (draw(st.floats(-math.pi, math.pi)) for _ in range(2))
    turn = np.array([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ tilt * voxel
    affine[:3, 3] = [draw(st.floats(-500, 500, width=32)) for _ in range(3)]
    return Geometry(voxel, tuple(map(tuple, affine.tolist())))


@st.composite
def volumes(draw):
    kind = draw(st.sampled_from(sorted(KINDS)))
    axes = draw(st.sampled_from(KINDS[kind]))
    shape = tuple(draw(st.integers(1, 6)) for _ in axes)
    dtype = (
        "?" if kind == "mask" else "c8" if kind in ("kspace", "maps", "noise") else draw(st.sampled_from(["c8", "f4"]))
    )
    mask = None
    if kind == "kspace" and draw(st.booleans()):
        mask = np.arange(shape[-1]) % 2 == 0
    units = draw(st.none() | st.text(max_size=20))
    header = Header(kind, axes, shape, np.dtype(dtype), draw(geometries()), units, mask=mask)
    # Any bits at all, NaN and infinity among them.
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if kind == "mask":
        return header, rng.random(shape) > 0.5
    return header, np.frombuffer(rng.bytes(header.nbytes), dtype).reshape(shape)


def write(path, header, array, history):
    with open_writer(path, header, force=True) as writer:
        for part in array if header.sliced else [array]:
            writer.write(part)
        writer.finish(history)


def check(reader, header, array, history, *, close):
    assert np.array_equal(reader.read().view(np.uint8), array.view(np.uint8))
    got = reader.header
    assert (got.kind, got.axes, got.shape, got.dtype) == (
        header.kind,
        header.axes,
        header.shape,
        header.dtype,
    )
    assert got.units == header.units and list(reader.history) == history and reader.notes == ()
    for name in ("voxel", "affine"):
        found, wanted = getattr(got.geometry, name), getattr(header.geometry, name)
        if close and wanted is not None:  # NIfTI keeps float32
            assert np.allclose(found, wanted, rtol=1e-4, atol=1e-4)
        else:
            assert found == wanted


@pytest.mark.parametrize("suffix", ["npy", "h5", "nii", "nii.gz", "cfl"])
@given(volume=volumes(), history=HISTORIES)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_files(tmp_path, suffix, volume, history):
    header, array = volume
    nifti = suffix.startswith("nii")
    if nifti and (header.kind not in ("image", "samples", "states", "mask") or header.axes[-2:] != ("y", "x")):
        return
    write(tmp_path / f"a.{suffix}", header, array, history)
    for kind in (None, header.kind):
        with open_reader(tmp_path / f"a.{suffix}", kind) as reader:
            check(reader, header, array, history, close=nifti)
            if suffix == "h5":
                assert np.array_equal(reader.header.mask, header.mask)


@given(volume=volumes(), history=HISTORIES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_streams(monkeypatch, volume, history):
    header, array = volume
    stream = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", SimpleNamespace(buffer=stream, flush=lambda: None))
        write("-", header, array, history)
        patch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stream.getvalue())))
        with open_reader("-", header.kind) as reader:
            check(reader, header, array, history, close=False)
    stream.seek(0)
    assert np.load(stream).tobytes() == array.tobytes()
