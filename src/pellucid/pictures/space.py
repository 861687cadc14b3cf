"""Messages for a cache that cannot be written: no permission, or no space."""

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
    """Add what to do if the cache cannot be written."""
    try:
        yield
    except StorageError as error:
        raise StorageError(f"{error} {ELSEWHERE}") from error.__cause__


def free_in(cache: Path) -> int:
    """Free bytes on the disk of the cache."""
    return shutil.disk_usage(cache).free


@contextmanager
def full_disk(cache: Path, needed: int) -> Iterator[None]:
    """Check that `needed` bytes are free; name the needed space if the disk still fills up."""
    try:
        with files.storage_errors(cache):
            if free_in(cache) < needed:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            yield
    except StorageError as error:
        if getattr(error.__cause__, "errno", None) not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = free_in(cache)
        raise StorageError(
            f"The disk is full: the decoded pictures need {needed / 1e6:,.0f} MB in {cache}, "
            f"{free / 1e6:,.0f} MB are free. Free some space, take a smaller image size, or name another --cache."
        ) from error.__cause__
