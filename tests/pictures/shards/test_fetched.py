"""Shards at an address are fetched whole, once, and make room for each other."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from upath import UPath

import pellucid
from pellucid import files
from pellucid.errors import CatalogError, PictureError, StorageError
from pellucid.pictures import space, store
from pellucid.pictures import table as sources
from pellucid.pictures.decode import Form
from pellucid.pictures.reading import exists, read, stamp_of
from pellucid.pictures.shards import fetched
from pellucid.steps import result_of

FORM = Form(12, 12, 3, "stretch")


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The shards that are fetched, into a cache of this test alone."""
    monkeypatch.setattr(files, "user_cache", lambda: tmp_path / "user")
    monkeypatch.setattr(fetched, "_known", {})
    names: list[str] = []
    fetch = fetched._fetched

    def noted(shard: UPath) -> Path:
        before = set(os.listdir(tmp_path / "user" / "stores" / "shards")) if (tmp_path / "user").exists() else set()
        copy = fetch(shard)
        if copy.name not in before:
            names.append(shard.name)
        return copy

    monkeypatch.setattr(fetched, "_fetched", noted)
    return names


@pytest.fixture(params=["webdataset", "parquet"])
def bucket(request: pytest.FixtureRequest, photos: Path, tmp_path: Path) -> Iterator[UPath]:
    """The pictures of `photos` in shards, at an address."""
    pellucid.pack(photos, tmp_path / "packed", format=request.param, shard_size="12kB")
    address = UPath("memory://bucket/set")
    for path in (tmp_path / "packed").iterdir():
        (address / path.name).write_bytes(path.read_bytes())
    yield address
    address.fs.rm("/bucket", recursive=True)


def test_the_cache_lists_and_clears_them(bucket: UPath, tmp_path: Path, fetches: list[str]) -> None:
    sources.read(bucket)
    stored = pellucid.cached()
    assert len(stored) == len(fetches) > 1
    assert {each.path.name.partition("-")[2] for each in stored} == set(fetches)  # type: ignore[union-attr]
    assert pellucid.clear_cache() >= sum(each.bytes for each in stored) > 0
    assert pellucid.cached() == []
    assert not (tmp_path / "user" / "stores" / "shards").exists()


def test_a_shard_that_another_process_removes_is_fetched_again(
    bucket: UPath, fetches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = sources.read(bucket).pictures[0].path
    content, once, known = read(bucket / picture), len(fetches), fetched.local

    def gone(shard: UPath) -> Path:
        monkeypatch.setattr(fetched, "local", known)
        copy = known(shard)
        copy.unlink()
        return copy

    monkeypatch.setattr(fetched, "local", gone)
    assert read(bucket / picture) == content
    assert len(fetches) == once + 1


def test_a_folder_at_an_address_is_a_set_of_shards(bucket: UPath, tmp_path: Path, fetches: list[str]) -> None:
    here, there = sources.read(tmp_path / "packed"), sources.read(bucket)
    assert there.pictures == here.pictures
    assert there.classes == here.classes
    shards = {path.partition("/")[0] for path in here.pictures.paths}
    assert sorted(fetches) == sorted(shards)
    path = here.pictures[0].path
    assert read(there.root / path) == read(here.root / path)
    assert stamp_of(there.root / path)[2] == stamp_of(here.root / path)[2]
    assert exists(there.root / path)
    assert not exists(there.root / path.partition("/")[0] / "99999.png")
    one, two = (result_of(store.build(each, FORM, tmp_path / "cache")) for each in (here, there))
    assert np.array_equal(one.images, two.images)
    assert two.fingerprint == one.fingerprint
    assert sorted(fetches) == sorted(shards), "once each"
    name = sorted(shards)[0]
    assert len(sources.read(bucket / name).pictures) == sum(name in each for each in here.pictures.paths)
    ending = name.rpartition(".")[2]
    pattern = UPath(f"memory://bucket/set/train-{{000000..000001}}.{ending}")
    assert {each.partition("/")[0] for each in sources.read(pattern).pictures.paths} == set(sorted(shards)[:2])
    with pytest.raises(CatalogError, match="names 10 shards, of which"):
        sources.read(UPath(f"memory://bucket/set/train-{{000000..000009}}.{ending}"))


def test_shards_make_room_for_each_other_and_a_streamed_epoch_fetches_each_once(
    bucket: UPath, tmp_path: Path, fetches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = sources.read(bucket)
    shards = sorted(set(fetches))
    monkeypatch.setattr(store, "free_in", lambda _: store._bytes(FORM, 32) - 1)
    streamed = result_of(store.build(catalog, FORM, tmp_path / "cache"))
    assert streamed.streams
    assert len(np.unique(streamed.blocks.block)) == len(shards)
    stamps = [stamp_of(catalog.root / path) for path in catalog.pictures.paths]
    largest = max(copy.stat().st_size for copy in (tmp_path / "user" / "stores" / "shards").iterdir())
    room = 6 * largest
    monkeypatch.setattr(space, "free_in", lambda folder: room - sum(p.stat().st_size for p in folder.iterdir()))
    fetched._known.clear()
    for copy in (tmp_path / "user" / "stores" / "shards").iterdir():
        copy.unlink()
    fetches.clear()
    rows = np.argsort(streamed.blocks.place)
    for part in np.array_split(rows, 8):
        assert len(streamed.batch(part)) == len(part)
    assert sorted(fetches) == shards
    assert len(shards) > 2
    assert (
        sum(copy.stat().st_size for copy in (tmp_path / "user" / "stores" / "shards").iterdir()) <= room / 2 + largest
    )
    assert [stamp_of(catalog.root / path) for path in catalog.pictures.paths] == stamps, "fetched again, it is the same"
    monkeypatch.setattr(space, "free_in", lambda _: 100)
    for copy in (tmp_path / "user" / "stores" / "shards").iterdir():
        copy.unlink()
    with pytest.raises(StorageError, match="The disk is full: the shard needs 0 MB in"):
        fetched.local(bucket / shards[0])


def test_a_connection_that_is_lost_is_a_row_with_its_reason(
    bucket: UPath, fetches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    get = type(bucket.fs).get_file
    broken = sorted(each.name for each in bucket.iterdir() if each.name.startswith("train"))[1]

    def lost(self: object, path: str, place: str, **more: object) -> None:
        if broken in path:
            raise ConnectionResetError(104, "Connection reset by peer")
        get(self, path, place, **more)

    def short(self: object, path: str, place: str, **more: object) -> None:
        get(self, path, place, **more)
        if broken in path:
            os.truncate(place, 100)

    monkeypatch.setattr("pellucid.pictures.remote.PAUSE", 0.001)
    for fault in (lost, short):
        monkeypatch.setattr(type(bucket.fs), "get_file", fault)
        catalog = sources.read(bucket)
        (bad,) = catalog.quarantine
        assert bad.path == broken
        assert bad.reason.startswith("its shard cannot be read: ")
        assert bad.reason.endswith("(3 tries)")
        with pytest.raises(PictureError, match=r"cannot be read: .* \(3 tries\)"):
            read(bucket / broken / "0.png")
        assert stamp_of(bucket / broken / "0.png") == (-1, -1, -1)
    monkeypatch.setattr(type(bucket.fs), "get_file", get)
    assert sources.read(bucket).quarantine == ()
