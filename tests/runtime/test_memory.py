"""Freed memory stays with the process."""

import subprocess
import sys

import pytest


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_freed_memory_is_kept() -> None:
    """Page faults of filling 48 MB sixteen times after the heap has grown; by default, each filling faults anew."""
    code = (
        "import resource, torch\n"
        "from pellucid.runtime.memory import keep_memory\n"
        "keep_memory()\n"
        "for _ in range(24): torch.ones(12_000_000)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(16): torch.ones(12_000_000)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize())\n"
    )
    faulted = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(faulted) < 16 * 48_000_000 / 4
