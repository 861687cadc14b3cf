"""Folders at addresses are read as those of this machine, from one listing."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from pellucid.errors import CatalogError
from pellucid.pictures import catalog, index, listing, table
from pellucid.pictures.catalog import Catalog
from pellucid.pictures.listing import LocalFolders
from pellucid.pictures.places import place
from pellucid.pictures.walk import walk

FILES = {
    "train/cat/1.jpg": "file",
    "train/cat/deep/2.jpg": "file",
    "train/cat/.hidden": "system",
    "train/dog/3.jpg": "file",
    "test/cat/4.jpg": "file",
    "test/dog/5.jpg": "file",
    "model/config.json": "",
    "model/model.safetensors": "",
}


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """The same files in a folder and at an address."""
    system = fsspec.filesystem("memory")
    for name in FILES:
        (tmp_path / "both" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "both" / name).write_bytes(name.encode())
        system.pipe(f"/both/{name}", name.encode())
    yield tmp_path / "both", "memory://both"
    system.rm("/both", recursive=True)


def _without_root(read: Catalog) -> Catalog:
    return dataclasses.replace(read, root=Path())


def test_a_walk_meets_the_same(both: tuple[Path, str]) -> None:
    folder, address = both
    here, there = list(walk(folder)), list(walk(address))
    assert there == here
    kinds = {entry.path: entry.kind for entry in there}
    assert kinds == {**{name: kind for name, kind in FILES.items() if kind}, "model/": "ours"}


def test_a_catalog_is_the_same(both: tuple[Path, str]) -> None:
    folder, address = both
    here, there = catalog.scan(folder), catalog.scan(place(address))
    assert _without_root(there) == _without_root(here)
    assert [picture.side for picture in there.pictures] == ["test", "train", "train", "test", "train"]
    assert str(there.root) == address


def test_stamps_come_from_the_listing_and_change_with_the_file(both: tuple[Path, str]) -> None:
    _, address = both
    _, before = index.there(catalog.scan(place(address)))
    assert (before[:, 0] > 0).all()
    fsspec.filesystem("memory").pipe("/both/train/dog/3.jpg", b"another")
    fsspec.filesystem("memory").rm("/both/test/cat/4.jpg")
    read = catalog.scan(place(address))
    _, after = index.there(read)
    known = set(map(tuple, before.tolist()))
    stamped = zip(read.pictures, map(tuple, after.tolist()), strict=True)
    changed = [picture.path for picture, stamp in stamped if stamp not in known]
    assert changed == ["train/dog/3.jpg"]


def test_a_file_and_a_folder_of_one_name_are_both_listed() -> None:
    address = place("memory://both")
    folders = listing.ListedFolders(address)  # type: ignore[arg-type]
    for number, path in enumerate(["cat", "cat/1.jpg", "dog/2.jpg"]):
        folders.add(path, (number, 7, 0))
    assert [(entry.path, entry.kind) for entry in walk(folders)] == [
        ("cat", "file"), ("cat/1.jpg", "file"), ("dog/2.jpg", "file"),
    ]  # fmt: skip
    assert folders.stamp("cat/1.jpg") == (1, 7, 0)
    assert folders.below("dog/").stamp("2.jpg") == (2, 7, 0)
    assert folders.stamp("dog/none.jpg") == (-1, -1, -1)


def test_a_folder_of_this_machine_is_read_by_the_system(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "again").symlink_to("cat")
    folders = listing.folders(tmp_path)
    assert isinstance(folders, LocalFolders)
    assert sorted(folders.children("")) == [("again", "folder"), ("cat", "folder")]
    assert folders.is_link("again")
    assert folders.identity("again/") == folders.identity("cat/")


def test_metadata_at_an_address_is_a_table(both: tuple[Path, str]) -> None:
    rows = "file_name,label\ntrain/cat/1.jpg,lynx\nnone.jpg,lynx\ntrain/dog/3.jpg,wolf\n"
    fsspec.filesystem("memory").pipe("/both/metadata.csv", rows.encode())
    read = table.read(place("memory://both"))
    assert read.classes == ("lynx", "wolf")
    assert read.place == "memory://both/metadata.csv"
    known, _ = index.there(read)
    assert [picture.path for picture in known.pictures] == ["train/cat/1.jpg", "train/dog/3.jpg"]
    reasons = {bad.path: bad.reason for bad in known.quarantine}
    assert reasons["none.jpg"] == "not found"
    assert reasons["train/cat/deep/2.jpg"] == "is not listed in metadata.csv"


def test_a_local_table_names_pictures_of_a_store(both: tuple[Path, str], tmp_path: Path) -> None:
    lines = [
        "path,label",
        "memory://both/train/cat/1.jpg,cat",
        f"{both[0]}/train/dog/3.jpg,dog",
        "memory://both/no,cat",
    ]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    known, stamps = index.there(table.read(tmp_path / "labels.csv"))
    assert [picture.path for picture in known.pictures] == ["memory://both/train/cat/1.jpg", "both/train/dog/3.jpg"]
    assert [bad.path for bad in known.quarantine] == ["memory://both/no"]
    assert (stamps[:, 0] > 0).all()


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("memory://nowhere", "memory://nowhere does not exist, or holds nothing. Name a folder"),
        ("s33://photos", "no store is known for s33://. Did you mean s3?"),
        ("gs://photos/x", "it needs the package gcsfs: pip install gcsfs"),
        ("memory://both/train/cat/1.jpg", "memory://both/train/cat/1.jpg has no column 'path'"),
    ],
)
def test_a_place_that_cannot_be_read(both: tuple[Path, str], where: str, message: str) -> None:
    with pytest.raises(CatalogError) as caught:
        table.read(place(where))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
