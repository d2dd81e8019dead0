"""The CUDA kernels do what their twins do: on a GPU, and the very same sources compiled for a CPU."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrikit import arrays
from mrikit.physics import kernels
from mrikit.physics.espirit import espirit, power_iteration
from mrikit.physics.sense import Sense

#: What CUDA C has and C++ has not, and `place`, which makes the next call that of one thread.
CUDA = """
#include <cmath>
#define __global__
#define __device__ static inline
struct float2 { float x, y; };
static struct { int x; } blockIdx, blockDim, threadIdx;
extern "C" void place(int block, int size, int thread) { blockIdx.x = block; blockDim.x = size; threadIdx.x = thread; }
"""

#: `fused(function, *arrays)`: its result with the kernels, and the names of those that were launched.
Fused = Callable[..., tuple[np.ndarray, set[str]]]


def compiled(folder: Path, source: str, name: str, options: tuple[str, ...] = ()) -> Callable[..., None]:
    """What `arrays.cuda_kernel` returns, for NumPy's arrays."""
    library = folder / f"{name}{''.join(options)}.so"
    command = ["g++", "-xc++", "-", "-shared", "-fPIC", "-Wall", "-Werror", *options, "-o", str(library)]
    subprocess.run(command, input=CUDA + source, text=True, check=True)
    loaded = ctypes.CDLL(str(library))

    def run(grid: tuple[int], block: tuple[int], arguments: tuple[Any, ...]) -> None:
        assert all(a.flags.c_contiguous for a in arguments if isinstance(a, np.ndarray))
        words = [
            ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else ctypes.c_longlong(a) for a in arguments
        ]
        for index in range(grid[0]):
            for thread in range(block[0]):
                loaded.place(index, block[0], thread)
                getattr(loaded, name)(*words)

    return run


@pytest.fixture(params=[pytest.param("c++", marks=pytest.mark.oracle), pytest.param("cupy", marks=pytest.mark.gpu)])
def fused(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fused:
    if request.param == "cupy":
        move, build = pytest.importorskip("cupy").asarray, arrays.cuda_kernel
    elif shutil.which("g++"):
        move, build = np.asarray, cache(lambda *source: compiled(tmp_path, *source))
    else:
        pytest.skip("there is no g++")

    def call(function: Callable[..., Any], *inputs: np.ndarray) -> tuple[np.ndarray, set[str]]:
        names = set()

        def counted(source: str, name: str, *options: Any) -> Callable[..., None]:
            names.add(name)
            return build(source, name, *options)

        with monkeypatch.context() as patch:
            patch.setattr(kernels, "cuda_kernel", counted)
            if request.param == "c++":
                patch.setattr(kernels, "is_cupy", lambda array: True)
            return arrays.to_numpy(function(*map(move, inputs))), names

    return call


CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "lines": ((4, 6, 8), (8,), (6, 8), {}),
    "odd sizes, a plane": ((3, 7, 9), (7, 9), (7, 9), {}),
    "two sets": ((2, 4, 6, 8), (8,), (2, 6, 8), {"sets": True}),
    "a batch of two sets": ((3, 2, 4, 6, 8), (8,), (3, 2, 6, 8), {"sets": True}),
    "a batch, with masks": ((5, 4, 6, 8), (5, 1, 1, 8), (5, 6, 8), {}),
    "masks that share maps and image": ((4, 6, 8), (5, 1, 1, 8), (6, 8), {}),
    "images that share maps": ((4, 6, 8), (8,), (5, 6, 8), {}),
    "rows decoupled": ((3, 7, 9), (9,), (7, 9), {"axes": (-1,)}),
    "coils in groups": ((5, 6, 8), (8,), (6, 8), {"chunk": 2}),
}


@pytest.mark.parametrize("name", CASES)
def test_normal_operator(fused: Fused, random: Any, name: str) -> None:
    maps, mask, image, options = CASES[name]

    def normal(maps: arrays.Array, mask: arrays.Array, image: arrays.Array) -> arrays.Array:
        return Sense(maps, mask, **options).normal(image)

    inputs = random.complex(*maps), random.mask(*mask), random.complex(*image)
    found, launched = fused(normal, *inputs)
    expected = normal(*inputs)
    assert launched == {"project", "combine"}
    assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()


def test_maps_of_a_batch_and_one_image_are_left_to_the_twin(fused: Fused, random: Any) -> None:
    inputs = random.complex(5, 4, 6, 8), random.mask(8), random.complex(6, 8)
    found, launched = fused(lambda maps, mask, image: Sense(maps, mask).forward(image), *inputs)
    assert "project" not in launched
    assert found.shape == (5, 4, 6, 8)


@pytest.mark.parametrize("n_coils", [1, 6])
def test_power_iteration(fused: Fused, random: Any, n_coils: int) -> None:
    rows = random.complex(5, 7, n_coils, n_coils)
    gram = rows @ np.conj(rows).mT
    for start in (random.complex(n_coils, 1), random.complex(5, 7, n_coils, 1)):
        for part in (0, 1):
            found, launched = fused(lambda g, v, part=part: power_iteration(g, v, 3)[part], gram, start)
            expected = power_iteration(gram, start, 3)[part]
            assert launched == {"power_iteration"}
            assert found.shape == expected.shape
            assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_power_iteration_of_nothing_is_nothing(fused: Fused) -> None:
    vectors, _ = fused(lambda g, v: power_iteration(g, v, 2)[0], np.zeros((3, 2, 2), "c8"), np.ones((2, 1), "c8"))
    assert not vectors.any()


def test_espirit(fused: Fused) -> None:
    from mrikit.physics.phantom import scan

    kspace = scan((24, 20), coils=3, noise=0.001).kspace[0]
    found, launched = fused(espirit, kspace)
    assert launched == {"power_iteration"}
    assert np.abs(found - espirit(kspace)).max() < 1e-4


def test_other_precisions_and_arrays_are_left_to_the_twin(monkeypatch: pytest.MonkeyPatch, random: Any) -> None:
    image = random.complex(6, 8)
    assert not kernels.take(image)
    monkeypatch.setattr(kernels, "is_cupy", lambda array: True)
    assert kernels.take(image)
    assert not kernels.take(image, image.astype(np.complex128))


@pytest.mark.oracle
@pytest.mark.parametrize("source", [kernels.SENSE, kernels.POWER_ITERATION], ids=["sense", "power iteration"])
def test_the_cuda_compiler_takes_the_sources(tmp_path: Path, source: str) -> None:
    if not shutil.which("nvcc"):
        pytest.skip("there is no nvcc")
    (tmp_path / "kernels.cu").write_text(source)
    subprocess.run(["nvcc", "-ptx", "-DCOILS=15", "kernels.cu"], cwd=tmp_path, check=True)
