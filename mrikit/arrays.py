"""Array namespaces, devices and memory: NumPy on a CPU, CuPy on a GPU, torch inside networks.

Library functions ask `namespace(array)` for the functions to compute with and so run on whatever they are
given. Nothing here imports torch or CuPy unless a device other than the CPU is asked for.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np

from mrikit.errors import DataError, TemporaryError, UsageError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
KEPT_BYTES = 256 * 2**20
MMAP_BYTES = 32 * 2**20  # the most that glibc takes; arrays above this go back to the system at once

Array = Any  # a NumPy, CuPy or torch array: the array API has no common type to name


def namespace(*arrays: Array) -> Any:
    """The array API namespace that all `arrays` belong to."""
    if all(isinstance(array, np.ndarray) for array in arrays):
        return np  # from 2.0 on NumPy is one itself, and 70 ms faster to import than a wrapped one
    import array_api_compat

    try:
        return array_api_compat.array_namespace(*arrays)
    except TypeError as error:
        found = ", ".join(dict.fromkeys(f"{type(array).__module__}.{type(array).__name__}" for array in arrays))
        raise DataError(f"arrays of one kind are expected, found {found}") from error


def resolve_device(name: str) -> str:
    """`cpu` or `cuda:<i>` for `auto`, `cpu`, `cuda` or `cuda:<i>`.

    `auto` is the first GPU that works, else the CPU. An explicit GPU that cannot be had is an error. Whoever asks is
    about to compute, so from here on the process does `reuse_freed_memory`.
    """
    reuse_freed_memory()
    if name == "cpu":
        return "cpu"
    kind, _, index = name.partition(":")
    if kind not in ("auto", "cuda") or (index and not index.isdigit()) or (kind == "auto" and index):
        raise UsageError(f"--device {name}: expected auto, cpu, cuda or cuda:<number>")
    if kind == "auto" and not os.path.exists("/dev/nvidiactl"):  # noqa: PTH110 - torch takes 2 s to say so
        return "cpu"
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(index or 0) < count:
        return f"cuda:{index or 0}"
    if kind == "auto":
        return "cpu"
    raise TemporaryError(
        f"--device {name}: {f'only {count} CUDA device(s)' if count else 'no CUDA device'} can be used here",
        hint="`mrikit doctor` says why; --device cpu always works",
    )


@cache
def reuse_freed_memory() -> None:
    """Let this process keep memory that it frees for what it needs next, up to `KEPT_BYTES`.

    Networks make and drop thousands of arrays of some MiB. By default glibc hands many of them back to the system,
    which clears every page of the next: a tenth of the time of `flat-recon`. Other C libraries are left as they are.
    """
    if sys.platform == "linux":
        with suppress(AttributeError):
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)
            mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def to_device(array: np.ndarray, device: str) -> Array:
    """`array` where classical tools compute: NumPy on the CPU; on a GPU CuPy or, without it, torch."""
    if device == "cpu":
        return array
    try:
        import cupy
    except ImportError:
        import torch

        return torch.as_tensor(array, device=device)
    with cupy.cuda.Device(int(device.partition(":")[2] or 0)):
        return cupy.asarray(array)


def to_numpy(array: Array) -> np.ndarray:
    """`array` as a NumPy array on the CPU, without a copy where it is one already."""
    if isinstance(array, np.ndarray):
        return array
    import array_api_compat

    if array_api_compat.is_torch_array(array):
        return array.detach().cpu().resolve_conj().resolve_neg().numpy()
    if is_cupy(array):
        return array.get()
    return np.asarray(array)


def is_cupy(array: Array) -> bool:
    """Whether `array` is CuPy's, told without importing it."""
    if isinstance(array, np.ndarray):
        return False
    import array_api_compat

    return bool(array_api_compat.is_cupy_array(array))


@cache
def cuda_kernel(source: str, name: str, options: tuple[str, ...] = ()) -> Callable[..., None]:
    """The kernel `name` of CUDA C, called with grid, block and arguments; CuPy compiles it when it is first called."""
    import cupy

    kernel: Callable[..., None] = cupy.RawKernel(source, name, options)
    return kernel
