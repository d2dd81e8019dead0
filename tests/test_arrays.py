"""Memory that was freed is used again."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from mrikit.arrays import resolve_device

def use():
    return [np.ones(2**20, np.float32) for _ in range(8)]

{prepare}
for _ in range(5):
    use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(prepare):
    """Pages that the system hands out anew while arrays of 4 MiB come and go."""
    ran = subprocess.run(
        [sys.executable, "-c", FAULTS.format(prepare=prepare)], capture_output=True, text=True, check=True
    )
    return int(ran.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this is glibc's habit")
def test_a_process_that_asked_for_a_device_reuses_what_it_frees():
    assert page_faults("") > 10_000
    assert page_faults('resolve_device("cpu")') < 1_000
