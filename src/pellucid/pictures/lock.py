"""A lock between processes that ends with the process that holds it."""

import os
import sys
from contextlib import suppress
from pathlib import Path

from pellucid import files

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

FAR = 1 << 30  # on Windows, the locked byte: nobody else may read it, and the file is shorter


def beside(folder: Path) -> Path:
    """The lock's path for a folder that is replaced as a whole."""
    return folder.with_name(f".{folder.name}.lock")


class Lock:
    """The file `path`, locked while `held`: created for the lock, and removed with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = -1

    @property
    def held(self) -> bool:
        return self.file >= 0

    def acquire(self) -> bool:
        """False while another process holds it; True, but not `held`, if the system or disk has no locks."""
        with files.storage_errors(self.path):
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(file)
            if os.path.samestat(os.fstat(file), os.stat(self.path)):
                self.file = file
                return True
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError:
            os.close(file)
            return True
        os.close(file)  # taken, or just removed by its former holder
        return False

    def close(self) -> None:
        if not self.held:
            return
        file, self.file = self.file, -1
        if sys.platform == "win32":  # Windows cannot remove an open file
            os.close(file)
        with suppress(OSError):
            self.path.unlink()
        if sys.platform != "win32":
            os.close(file)


def _lock(file: int) -> None:
    """Raises BlockingIOError if another process holds it, OSError if there are no locks."""
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    try:
        os.lseek(file, FAR, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    except PermissionError as error:
        raise BlockingIOError(*error.args) from error
