"""Start a Ray of this machine, or join a cluster, without Ray's own talk; say in one sentence what is wrong with it."""

from __future__ import annotations

import io
import logging
import os
import re
import secrets
import shutil
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from pellucid.errors import ClusterError
from pellucid.runtime.quiet import first_line
from pellucid.runtime.threads import cores

LOCAL, AUTO, CLIENT = "local", "auto", "ray://"
ADDRESS = re.compile(r"ray://\S+|(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}")  # ray://HOST:PORT or HOST:PORT
EXTRA = "Ray needs an extra: pip install 'pellucid[ray]'."
STORE = 512 << 20  # bytes of shared memory for the blocks under way; a job of any size needs less than a tenth
TRIES = 3  # to start a Ray
WAIT = 5.0  # seconds for a first answer from an address
LONGEST = 40  # characters of a temporary folder: a socket's path below it may have 107
_FOLDER = re.compile(r"pellucid-ray-(\d+)-\w+")
_TOKEN = "RAY_AUTH_TOKEN"
# Ray's child processes read these when they start
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}


def is_address(word: str) -> bool:
    """Whether a word names a cluster: local, auto, HOST:PORT or ray://HOST:PORT."""
    return word in (LOCAL, AUTO) or ADDRESS.fullmatch(word) is not None


@contextmanager
def joined(address: str) -> Iterator[None]:
    """A connection to the cluster at `address`; LOCAL starts one for this process, which ends with it.

    A connection that this process has already is used, and stays. Raises ClusterError.
    """
    ray = _imported()
    if ray.is_initialized():
        with _quiet():
            yield
        return
    folder = _temporary() if address == LOCAL else None
    try:
        with _quiet():
            _connect(ray, address, folder)
            try:
                yield
            finally:
                ray.shutdown()
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def here() -> dict[str, Any]:
    """Options of an actor on the machine of this process, or of its connection: other machines may be taken away."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    return {"num_cpus": 0, "scheduling_strategy": here}


def require() -> None:
    """Raise ClusterError if Ray, or what it needs for data, cannot be imported."""
    _imported()


def _imported() -> Any:
    os.environ.update({name: os.environ.get(name, value) for name, value in _SETTINGS.items()})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pandas  # noqa: F401
            import pyarrow  # noqa: F401
            import ray
            import ray.data
    except ImportError as error:
        raise ClusterError(f"{EXTRA} (The package {error.name} is missing.)") from error
    return ray


def _connect(ray: Any, address: str, folder: Path | None) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    place = _running() if address == AUTO else address
    try:
        if folder is not None:
            _start(ray, num_cpus=cores(), object_store_memory=STORE, _temp_dir=str(folder), **quiet)
            return
        _knock(place)
        with _silent_libraries():
            ray.init(place, **quiet)
    except ClusterError:
        raise
    except Exception as error:  # Ray's errors have no common base
        if folder is not None:
            raise ClusterError(f"Ray did not start: {_reason(error)}.") from error
        token = "If it wants a token, set RAY_AUTH_MODE=token; its versions of Ray and Python must be the same as here."
        raise ClusterError(f"The cluster at {place} cannot be joined: {_reason(error)}. {token}") from error


def _start(ray: Any, **settings: Any) -> None:
    """Start a Ray of this machine. Ray waits 30 seconds for its processes, which a busy machine may not reach."""
    for attempt in range(1, TRIES + 1):
        try:
            with _silent_libraries(), _own_token():
                ray.init("local", include_dashboard=False, **settings)
            return
        except Exception as error:  # Ray raises a plain one
            if attempt == TRIES or "timed out" not in str(error):
                raise
            ray.shutdown()


def _running() -> str:
    """The address of a cluster that runs on this machine, or of RAY_ADDRESS. Raises ClusterError."""
    from ray._private import services  # nothing public tells it without a connection, which takes minutes to fail

    try:
        return str(services.get_ray_address_from_environment(AUTO, None))
    except ConnectionError as error:
        start = "`ray start --head` starts one; --ray without an address needs none."
        raise ClusterError(f"There is no Ray cluster on this machine. {start}") from error


def _knock(address: str) -> None:
    """Raise ClusterError if nobody listens: Ray itself would try for a minute."""
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    start = "Check the address, and whether `ray start --head` runs there."
    if not host or not port.isdigit():
        raise ClusterError(f"{address} is not the address of a cluster; it must be ray://HOST:PORT or HOST:PORT.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=WAIT).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(f"There is no Ray cluster at {address}: {_reason(error)}. {start}") from error


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return first_line(error) if isinstance(error, Exception) else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Discard what Ray prints: on standard output, by its loggers, and as warnings. All errors arrive as exceptions."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.data", "ray.serve")]
    before = [(each, each.level) for each in loggers]
    with warnings.catch_warnings(), redirect_stdout(_Nowhere()):
        warnings.simplefilter("ignore")
        try:
            for each in loggers:
                each.setLevel(logging.CRITICAL + 1)
            yield
        finally:
            for each, level in before:
                each.setLevel(level)


@lru_cache
def _secret() -> str:
    """One for the life of this process: Ray remembers the first that it reads."""
    return secrets.token_hex(32)


@contextmanager
def _own_token() -> Iterator[None]:
    """The processes of a Ray of this process trust each other alone. Without this Ray writes a token into the home."""
    if _TOKEN in os.environ:
        yield
        return
    os.environ[_TOKEN] = _secret()
    try:
        yield
    finally:
        del os.environ[_TOKEN]


@contextmanager
def _silent_libraries() -> Iterator[None]:
    """Discard what libraries write to the file of standard error. Python's own streams are not affected elsewhere."""
    standard_error, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)
        os.close(nowhere)


class _Nowhere(io.TextIOBase):
    """Ray writes the messages of a cluster to standard output, where the user's own results go."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)


def _temporary() -> Path:
    """A new folder for a Ray of this process. The folders of processes that were killed are removed."""
    parent = Path(tempfile.gettempdir())
    if len(str(parent)) > LONGEST - len("pellucid-ray-1234567-abcdefgh") and Path("/tmp").is_dir():
        parent = Path("/tmp")
    for folder in parent.glob("pellucid-ray-*"):
        owner = _FOLDER.fullmatch(folder.name)
        if owner is not None and not _is_alive(int(owner[1])):
            shutil.rmtree(folder, ignore_errors=True)
    try:
        return Path(tempfile.mkdtemp(prefix=f"pellucid-ray-{os.getpid()}-", dir=parent))
    except OSError as error:
        raise ClusterError(f"Ray needs a folder for its files below {parent}: {_reason(error)}.") from error


def _is_alive(process: int) -> bool:
    with suppress(PermissionError):  # somebody else's, but alive
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True
