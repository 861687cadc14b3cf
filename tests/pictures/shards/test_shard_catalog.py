"""Shards as a source: what other programs wrote is read, and what is wrong is said in one line."""

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
import webdataset

from pellucid.classifier.predict.expand import expand
from pellucid.errors import CatalogError, PictureError
from pellucid.pictures import table as sources
from pellucid.pictures.catalog import Catalog, check
from pellucid.pictures.decode import Form
from pellucid.pictures.reading import digest_of, exists, read, stamp_of
from pellucid.pictures.shards import opened, parquet
from pellucid.pictures.shards.naming import braces
from pellucid.pictures.store import build
from pellucid.pictures.tabular import Columns
from pellucid.steps import result_of

FORM = Form(4, 5, 3, "stretch")
Tar = Callable[..., Path]
Photo = Callable[..., bytes]


def labels(catalog: Catalog) -> dict[str, str]:
    return {picture.path: catalog.classes_of(picture) for picture in catalog.pictures}


def bad(catalog: Catalog) -> dict[str, str]:
    return {each.path: each.reason for each in catalog.quarantine}


# ---- tars


def test_what_webdatasets_own_writer_wrote(tmp_path: Path, photo: Photo) -> None:
    (tmp_path / "set").mkdir()
    with webdataset.ShardWriter(str(tmp_path / "set" / "train-%06d.tar"), maxcount=4, verbose=0) as writer:
        for number in range(10):
            writer.write({"__key__": f"a/{number:04d}", "png": photo(number), "cls": number % 2})
    (tmp_path / "set" / "classes.txt").write_text("cat\ndog\n")
    catalog = sources.read(tmp_path / "set")
    check(catalog)
    assert catalog.classes == ("cat", "dog")
    assert labels(catalog)["train-000001.tar/a/0005.png"] == "dog"
    assert [read(catalog.root / path) for path in sorted(catalog.pictures.paths)] == [photo(n) for n in range(10)]
    assert list(expand([tmp_path / "set"])) == [
        str(tmp_path / "set" / f"train-{number // 4:06d}.tar/a/{number:04d}.png") for number in range(10)
    ]


def test_labels_in_every_form(tar: Tar, photo: Photo) -> None:
    path = tar(
        "x.tar",
        {
            "a": {"png": photo(0), "cls": b"cat"},
            "b": {"JPG": photo(1), "json": {"label": "dog", "group": "g", "split": "test"}},
            "c": {"png": photo(2), "json": {"cls": "dog"}, "txt": b"a caption"},
            "d": {"png": photo(3), "json": {"class": 7}},
            "e": {"png": photo(4), "seg.png": photo(5), "class": b" cat\n"},
        },
    )
    catalog = sources.read(path)
    assert catalog.root == path.parent
    assert labels(catalog) == {
        "x.tar/a.png": "cat",
        "x.tar/b.JPG": "dog",
        "x.tar/c.png": "dog",
        "x.tar/d.png": "7",
        "x.tar/e.png": "cat",
    }
    assert {picture.path: picture.side for picture in catalog.pictures if picture.side} == {"x.tar/b.JPG": "test"}


def test_several_labels_are_a_list(tar: Tar, photo: Photo) -> None:
    path = tar(
        "x.tar",
        {str(n): {"png": photo(n), "json": {"labels": names}} for n, names in enumerate([["a", "b"], ["b"], []])},
    )
    catalog = sources.read(path, Columns(several=True))
    assert labels(catalog) == {"x.tar/0.png": "a\0b", "x.tar/1.png": "b", "x.tar/2.png": ""}
    with pytest.raises(CatalogError, match=r"gives x.tar/0.png two labels, a and b. Keep one of them, or train"):
        sources.read(path)


def test_sides_from_names_and_from_folders(tar: Tar, photo: Photo) -> None:
    for side in ("train", "validation"):
        one = tar(f"named/{side}-000000.tar", {f"{side}{n}": {"png": photo(n), "cls": n} for n in range(2)})
        tar(f"folders/{side}/000.tar", {f"{n}": {"png": photo(n), "cls": n} for n in range(2)})
    for place, name in ((one.parent, "validation-000000.tar"), (one.parents[1] / "folders", "validation/000.tar")):
        sides = {picture.path.rpartition("/")[0]: picture.side for picture in sources.read(place).pictures}
        assert sides[name] == "val"
        assert set(sides.values()) == {"train", "val"}
    assert {picture.side for picture in sources.read(one).pictures} == {None}


def test_patterns(tar: Tar, photo: Photo) -> None:
    for number in range(3):
        one = tar(f"s/train-{number:03d}.tar", {f"{number}": {"png": photo(number), "cls": number}})
    folder = one.parent
    assert list(braces("a{01..03}{x,y}.tar")) == [f"a0{n}{x}.tar" for n in (1, 2, 3) for x in "xy"]
    assert [*braces("{9..11}"), *braces("{2..1}")] == ["9", "10", "11", "2", "1"]
    assert len(sources.read(folder / "train-{000..001}.tar").pictures) == 2
    assert len(sources.read(folder / "train-*.tar").pictures) == 3
    assert len(list(expand([folder / "train-{001..002}.tar"]))) == 2
    with pytest.raises(CatalogError, match=r"names 4 shards, of which 1 do not exist: .*train-003.tar"):
        sources.read(folder / "train-{000..003}.tar")
    with pytest.raises(CatalogError, match="names no shard: no such file exists"):
        sources.read(folder / "x-*.tar")
    with pytest.raises(CatalogError, match="stands for 100,000,000 files, over the limit of 1,000,000"):
        sources.read(folder / "x-{00000000..99999999}.tar")


def test_a_folder_of_pictures_with_a_tar_beside_stays_a_folder(animals: Path, tar: Tar, photo: Photo) -> None:
    shutil.move(tar("backup.tar", {"a": {"png": photo(0)}}), animals / "backup.tar")
    catalog = sources.read(animals)
    assert (catalog.table, catalog.classes, len(catalog.pictures)) == (None, ("cat", "dog"), 6)
    assert bad(catalog) == {"backup.tar": "is outside a class folder"}


def test_a_shard_that_is_cut_gives_a_row_with_its_reason(tar: Tar, photo: Photo) -> None:
    path = tar("x.tar", {str(n): {"png": photo(n), "cls": n % 2} for n in range(6)})
    with tarfile.open(path) as whole:
        middle = whole.getmember("4.png").offset_data
    os.truncate(path, middle + 10)
    catalog = sources.read(path)
    reason = "its shard is cut in the middle of this picture; 4 pictures before it are whole. Copy the shard again"
    assert (len(catalog.pictures), bad(catalog)) == (4, {"x.tar/4.png": reason})
    with pytest.raises(PictureError, match="its shard is cut in the middle of this picture"):
        read(path / "4.png")
    os.truncate(path, middle - 100)
    assert "x.tar" in bad(sources.read(path))
    assert [name.rpartition("/")[2] for name in expand([path])] == [*(f"{n}.png" for n in range(4)), "4", "(rest)"]
    with pytest.raises(PictureError, match="its shard is cut in the middle of a picture's header"):
        read(path / "(rest)")


def test_members_that_cannot_be_used(tar: Tar, photo: Photo, tmp_path: Path) -> None:
    path = tar(
        "x.tar",
        {
            "a": {"png": photo(0), "jpg": photo(1), "cls": 0},
            "b": {"cls": 1},
            "c": {"png": photo(2), "cls": b"\xff\xfe\xfa\x80"},
            "d": {"png": photo(3), "json": b"{no"},
            "e": {"png": b"no picture", "cls": 0},
            "f": {"png": photo(4)},
            "../../g": {"png": photo(5), "cls": 1},
        },
    )
    (tmp_path / "classes.json").write_text('["cat", "dog"]')
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("h.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    catalog = sources.read(path)
    assert labels(catalog) == {"x.tar/e.png": "cat", "x.tar/../../g.png": "dog"}
    assert bad(catalog) == {
        "x.tar/a.jpg": "its key has several pictures: cls, jpg, png",
        "x.tar/b": "its key has no picture: cls",
        "x.tar/c.png": "its c.cls is not UTF-8 text",
        "x.tar/d.png": "its d.json is not JSON: Expecting property name enclosed in double quotes: "
        "line 1 column 2 (char 1)",
        "x.tar/f.png": "its shard has no label for it",
        "x.tar/h.png": "a link or a sparse file in the shard, which holds no bytes",
    }
    assert read(f"{path}/../../g.png") == photo(5), "a name only: nothing outside the shard is read"  # type: ignore[arg-type]


def test_one_key_in_two_shards_and_no_labels(tar: Tar, photo: Photo) -> None:
    one = tar("s/a.tar", {f"{n}": {"png": photo(n), "cls": n} for n in range(3)})
    tar("s/b.tar", {f"{n}": {"png": photo(9 + n), "cls": n} for n in (1, 2, 3)})
    with pytest.raises(CatalogError, match=r"a.tar and b.tar in .* both hold the key '[12]' and 1 more keys: one of"):
        sources.read(one.parent)
    bare = tar("bare.tar", {"cat/0": {"png": photo(0)}, "dog/0": {"png": photo(1)}})
    with pytest.raises(CatalogError, match=r"bare.tar has no labels: no key in this tar has a .cls"):
        sources.read(bare)
    assert len(list(expand([bare]))) == 2, "to be classified, pictures need no labels"


def test_compressed_tars_are_refused(tar: Tar, photo: Photo, tmp_path: Path) -> None:
    path = tar("x.tar.gz", {"0": {"png": photo(0), "cls": 0}})
    for place in (path, path.parent):
        with pytest.raises(CatalogError, match=r"Unpack (it|them) to"):
            sources.read(place)


def test_lists_of_classes_that_are_wrong(tar: Tar, photo: Photo, tmp_path: Path) -> None:
    path = tar("x.tar", {f"{n}": {"png": photo(n), "cls": n} for n in range(3)})
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    assert bad(sources.read(path)) == {"x.tar/2.png": "its label is 2, and the classes are 0 to 1"}
    (tmp_path / "classes.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(CatalogError, match=r"classes.txt is not UTF-8 text"):
        sources.read(path)
    (tmp_path / "classes.json").write_text('{"cat": 0}')
    with pytest.raises(CatalogError, match=r"classes.json is no list of classes"):
        sources.read(path)


def test_stamps_change_with_the_shard(tar: Tar, photo: Photo) -> None:
    path = tar("x.tar", {f"{n}": {"png": photo(n), "cls": n} for n in range(2)})
    first, second = (stamp_of(path / f"{n}.png") for n in range(2))
    assert first != second
    assert first == stamp_of(path / "0.png")
    assert first[0] == len(photo(0))
    assert digest_of(path / "1.png") == hashlib.sha256(photo(1)).hexdigest()
    assert not exists(path / "2.png")
    assert exists(path / "1.png")
    tar("x.tar", {"0": {"png": photo(7), "cls": 0}})
    assert stamp_of(path / "0.png") != first
    assert read(path / "0.png") == photo(7)


# ---- Parquet


def test_hugging_faces_form(tmp_path: Path, table: Tar, photo: Photo) -> None:
    pictures = [photo(n) for n in range(8)]
    for side, some in (("train", slice(0, 5)), ("test", slice(5, 8))):
        numbers = list(range(8))[some]
        table(
            tmp_path / "repo" / "data" / f"{side}-00000-of-00001.parquet",
            pictures[some],
            ["cat", "dog"],
            label=[n % 2 if n != 4 else -1 for n in numbers],
            group=[f"g{n // 2}" for n in numbers],
        )
    (tmp_path / "repo" / "README.md").write_text("a card")
    catalog = sources.read(tmp_path / "repo")
    check(catalog)
    name = "data/train-00000-of-00001.parquet"
    assert {path.partition("/")[2]: of for path, of in labels(catalog).items() if "train" in path} == {
        f"{name.partition('/')[2]}/{n}.png": ("cat", "dog")[n % 2] for n in range(4)
    }
    assert bad(catalog) == {f"{name}/4.png": "its shard has no label for it"}
    assert {picture.side for picture in catalog.pictures} == {"train", "test"}
    assert catalog.pictures.groups.max() == 3
    assert [read(catalog.root / f"{name}/{n}.png") for n in range(5)] == pictures[:5]
    assert read(catalog.root / f"{name}/3") == pictures[3], "the row alone is enough"
    assert not exists(catalog.root / f"{name}/5.png")


def test_labels_as_text_and_lists_and_no_bytes(tmp_path: Path, table: Tar, photo: Photo) -> None:
    text = table(tmp_path / "t.parquet", [photo(0), None, photo(2)], label=["b", "a", "b"])
    assert labels(sources.read(text)) == {"t.parquet/0.png": "b", "t.parquet/1": "a", "t.parquet/2.png": "b"}
    with pytest.raises(PictureError, match="its row holds no bytes"):
        read(text / "1")
    lists = table(tmp_path / "l.parquet", [photo(0), photo(1)], ["x", "y"], label=[[0, 1], []])
    assert labels(sources.read(lists, Columns(several=True))) == {"l.parquet/0.png": "x\0y", "l.parquet/1.png": ""}


def test_parquet_files_that_are_wrong(tmp_path: Path, table: Tar, photo: Photo) -> None:
    bare = table(tmp_path / "bare.parquet", [photo(0), photo(1)], kind=["a", "b"])
    with pytest.raises(CatalogError, match=r"has no column 'label' with labels. Its columns are image, kind. Name one"):
        sources.read(bare)
    assert labels(sources.read(bare, Columns(label="kind")))["bare.parquet/0.png"] == "a"
    with pytest.raises(CatalogError, match=r"has no column 'no'. Its columns are image, kind"):
        sources.read(bare, Columns(label="no"))
    for name in ("s/a.parquet", "s/b.parquet"):
        table(tmp_path / name, [photo(0), photo(1)], label=["x", "y"])
    os.truncate(tmp_path / "s" / "b.parquet", 300)
    catalog = sources.read(tmp_path / "s")
    assert len(catalog.pictures) == 2
    assert bad(catalog)["s/b.parquet".partition("/")[2]].startswith("its shard is not a whole Parquet file (")
    listing = tmp_path / "list.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"path": ["a.png"], "label": ["x"]}), listing)
    assert sources.read(listing).pictures[0].path == "a.png", "a table that lists files stays one"


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_a_store_reads_a_shard_from_front_to_back(
    kind: str, tmp_path: Path, tar: Tar, table: Tar, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its rows are in the catalog's order all the same. Each row group is decompressed once."""
    count = 24
    pictures = [photo(n) if n != 7 else b"\x89PNG" for n in range(count)]
    if kind == "tar":
        tar("s/x.tar", {f"{n:03d}": {"png": pictures[n], "cls": n % 4} for n in range(count)})
    else:
        table(tmp_path / "s" / "x.parquet", pictures, rows=5, label=[str(n % 4) for n in range(count)])
    loads: list[Any] = []
    contents = parquet.contents
    monkeypatch.setattr(parquet, "contents", lambda *about: loads.append(about[2]) or contents(*about))
    monkeypatch.setattr(opened, "_groups", opened._Latest(1))  # two at a time
    store = result_of(build(sources.read(tmp_path / "s"), FORM, tmp_path / "cache", 10**6))
    # once to look for pictures with 16 bits, once to decode them
    assert loads == ([] if kind == "tar" else [0, 1, 2, 3, 4, 0, 1, 2, 3, 4])
    assert len(store) == count - 1
    assert [each.reason for each in store.catalog.quarantine] == ["damaged PNG: its header cannot be read"]
    assert store.catalog.pictures.labels.tolist() == sorted(store.catalog.pictures.labels.tolist())
    for row, picture in enumerate(store.catalog.pictures):
        number = int(Path(picture.path).stem)
        assert store.digests[row] == hashlib.sha256(photo(number)).hexdigest()
    again = result_of(build(sources.read(tmp_path / "s"), FORM, tmp_path / "cache", 10**6))
    assert np.array_equal(again.images, store.images)
    assert again.fingerprint == store.fingerprint


def test_a_manifest_tells_which_shards_are_missing(tar: Tar, photo: Photo) -> None:
    path = tar("s/a.tar", {f"{n}": {"png": photo(n), "cls": n} for n in range(2)})
    shards = [{"name": "a.tar", "bytes": 5}, {"name": "b.tar", "bytes": 5}]
    (path.parent / "manifest.json").write_text(json.dumps({"shards": shards}))
    assert bad(sources.read(path.parent)) == {
        "a.tar": f"has {path.stat().st_size:,} bytes, and 5 in manifest.json: copy it again",
        "b.tar": "is listed in manifest.json and is not there: copy it here",
    }
