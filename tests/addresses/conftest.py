"""Stores on this machine: a bucket in a process of its own, a server of the web, and one in this process's memory."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from tests.addresses import s3, web
from tests.addresses.s3 import Bucket
from tests.addresses.web import Web
from tests.app.conftest import pellucid  # noqa: F401  (the command line)

from pellucid.pictures import remote


@pytest.fixture(scope="module")
def server() -> Iterator[Bucket]:
    """An S3 server that the user's settings name."""
    with s3.serving() as bucket, pytest.MonkeyPatch.context() as patch:
        for name, value in s3.as_the_users(bucket.address).items():
            patch.setenv(name, value)
        yield bucket
        fsspec.filesystem("s3").clear_instance_cache()
        remote._STORES.clear()


@pytest.fixture(scope="module")
def stored(server: Bucket, photos: Path) -> str:
    """The address of a copy of `photos` in a bucket."""
    system = fsspec.filesystem("s3")
    system.mkdir("pictures")
    system.pipe({f"pictures/photos/{path.relative_to(photos)}": path.read_bytes() for path in photos.rglob("*.png")})
    return "s3://pictures/photos"


@pytest.fixture
def served(photos: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A server of the web with `photos`, and a table of them, /photos/labels.csv."""
    monkeypatch.setattr(remote, "PAUSE", 0.001)
    monkeypatch.setattr(remote, "_STORES", {})
    with web.serving() as server:
        server.add(photos, "/photos")
        rows = (f"{path.relative_to(photos)},{path.parent.name}\n" for path in sorted(photos.rglob("*.png")))
        server.files["/photos/labels.csv"] = "".join(["path,label\n", *rows]).encode()
        yield server


@pytest.fixture
def memory(photos: Path) -> Iterator[str]:
    """The address of a copy of `photos` in this process's memory."""
    system = fsspec.filesystem("memory")
    system.pipe({f"/shelf/photos/{path.relative_to(photos)}": path.read_bytes() for path in photos.rglob("*.png")})
    yield "memory://shelf/photos"
    system.rm("/shelf", recursive=True)
