"""What `arrays` does to the process."""

import platform
import subprocess
import sys

import pytest


@pytest.mark.skipif(not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_large_arrays_take_memory_that_others_freed():
    """Once an array of 64 MB was there, another of that size faults no page in. In a process of its own."""
    code = """
import resource
import numpy as np
from mrikit.arrays import reuse_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**23)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(min(faults() for _ in range(3)))
reuse_freed_memory()
print(min(faults() for _ in range(3)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after < 10 < before
