"""A lock between processes that ends with the process that holds it."""

import os
import sys
from contextlib import suppress
from pathlib import Path

from pellucid import files

if sys.platform != "win32":
    import fcntl


class Lock:
    """A file beside `folder`, locked while `held`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder.with_name(f".{folder.name}.lock")
        self.file = -1

    @property
    def held(self) -> bool:
        return self.file >= 0

    def acquire(self) -> bool:
        """False while another process has it; True, but not `held`, where the system or disk has no locks."""
        if sys.platform == "win32":
            return True
        with files.storage_errors(self.path):
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file), os.stat(self.path)):
                self.file = file
                return True
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError:
            os.close(file)
            return True
        os.close(file)  # taken, or just removed by the process that had it
        return False

    def close(self) -> None:
        if self.held:
            with suppress(OSError):
                self.path.unlink()
            os.close(self.file)
            self.file = -1
