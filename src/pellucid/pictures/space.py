"""What is said where the cache cannot be written: no right to, or no room."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pellucid import files
from pellucid.errors import StorageError

ELSEWHERE = "Choose another place with --cache, or cache=... in Python."


@contextmanager
def another_place() -> Iterator[None]:
    """Say what to do where the cache cannot be written."""
    try:
        yield
    except StorageError as error:
        raise StorageError(f"{error} {ELSEWHERE}") from error.__cause__


@contextmanager
def full_disk(cache: Path, needed: int) -> Iterator[None]:
    """Check that `needed` bytes are free; say how many it takes where the disk runs full all the same."""
    try:
        with files.storage_errors(cache):
            if shutil.disk_usage(cache).free < needed:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            yield
    except StorageError as error:
        if getattr(error.__cause__, "errno", None) not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = shutil.disk_usage(cache).free
        raise StorageError(
            f"The disk is full: the decoded pictures need {needed / 1e6:,.0f} MB in {cache}, "
            f"{free / 1e6:,.0f} MB are free. Free some space, take a smaller image size, or name another --cache."
        ) from error.__cause__
