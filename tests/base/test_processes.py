import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from sora_video.base.processes import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        np.empty(64 << 20, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

by_default = faults()
keep_freed_memory()
faults()
print(by_default, faults())
"""
"""Counts how often the system gives the process a page of memory."""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have another C library")
def test_memory_that_is_kept_is_not_taken_from_the_system_again():
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    by_default, kept = map(int, done.stdout.split())
    assert kept < by_default / 8
