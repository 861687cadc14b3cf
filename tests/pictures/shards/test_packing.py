"""Pack pictures into shards: the same bytes each time, also after kills, and other programs read them."""

import csv
import errno
import gc
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import webdataset
from PIL import Image
from pyarrow import parquet

import pellucid
from pellucid.app.cli import main
from pellucid.classifier.predict.expand import LeftOut, expand, walked
from pellucid.errors import ArtefactError, CatalogError, PellucidError, RecipeError, StorageError
from pellucid.pictures import table as sources
from pellucid.pictures.catalog import Catalog
from pellucid.pictures.reading import digest_of, read
from pellucid.pictures.shards import writing
from pellucid.pictures.shards.packing import bytes_of
from pellucid.pictures.shards.verb import packing
from pellucid.pictures.shards.writing import Item, keys
from pellucid.pictures.tabular import Columns
from pellucid.pictures.walk import PACKED

COUNT = 30  # of each class


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of pictures with odd names, and three files that are none."""
    root = tmp_path_factory.mktemp("pack") / "photos"
    for label, name in enumerate(("cat", "großer Hund")):
        (root / name).mkdir(parents=True)
        for number in range(COUNT):
            image = np.random.default_rng(100 * label + number).integers(0, 256, (20, 24, 3), np.uint8)
            Image.fromarray(image).save(root / name / f"a photo.v{number}.PNG", "PNG")
    (root / "cat" / "notes.txt").write_text("no picture")
    (root / "cat" / "empty.jpg").touch()
    shutil.copy(root / "cat" / "a photo.v1.PNG", root / "cat" / "without-an-ending")
    return root


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def digests(catalog: Catalog) -> dict[str, str]:
    """Of each picture, with its labels."""
    return {digest_of(catalog.root / each.path): catalog.classes_of(each) for each in catalog.pictures}


@pytest.mark.parametrize("form", ["webdataset", "parquet"])
def test_a_packed_folder_holds_the_same_files(photos: Path, tmp_path: Path, form: str) -> None:
    packed = pellucid.pack(photos, tmp_path / "out", format=form, shard_size="30kB")
    assert packed.pictures == 2 * COUNT + 1
    assert len(packed.shards) >= 3
    assert all(shard.size < 45_000 for shard in packed.shards)
    assert {bad.path: bad.reason for bad in packed.quarantine} == {
        "cat/notes.txt": "not a picture",
        "cat/empty.jpg": "empty file",
    }
    catalog, folder = sources.read(tmp_path / "out"), sources.read(photos)
    assert catalog.quarantine == ()
    lost = {digest_of(photos / bad.path) for bad in packed.quarantine}
    assert digests(catalog) == {digest: of for digest, of in digests(folder).items() if digest not in lost}
    first = [each.label for each in catalog.pictures if "000000" in each.path]
    assert 0.2 < np.mean(first) < 0.8, "a shard is a sample of all classes"
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    hashes = contents(tmp_path / "out")
    assert {shard["name"]: shard["sha256"] for shard in manifest["shards"]}.items() <= hashes.items()
    assert sum(shard["pictures"] for shard in manifest["shards"]) == packed.pictures == manifest["pictures"]
    assert manifest["classes"] == ["cat", "großer Hund"]
    with (tmp_path / "out" / "quarantine.csv").open(encoding="utf-8") as file:
        assert [row["reason"] for row in csv.DictReader(file)] == ["empty file", "not a picture"]
    again = pellucid.pack(photos, tmp_path / "again", format=form, shard_size="30kB")
    assert contents(tmp_path / "again") == hashes
    assert again.reused == 0
    other = pellucid.pack(photos, tmp_path / "other", format=form, shard_size="30kB", seed=1)
    assert {shard.sha256 for shard in other.shards} & {shard.sha256 for shard in again.shards} == set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves its files open
def test_webdataset_reads_what_was_packed(photos: Path, tmp_path: Path) -> None:
    packed = pellucid.pack(photos, tmp_path / "out", shard_size="30kB")
    urls = [str(tmp_path / "out" / shard.name) for shard in packed.shards]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False).decode("rgb8"))
    assert len({sample["__key__"] for sample in samples}) == packed.pictures
    names = json.loads((tmp_path / "out" / "classes.json").read_text())
    for sample in samples:
        assert names[sample["cls"]].split()[-1] in sample["__key__"].replace("-", " ").split("/")[0]
    assert samples[0]["png"].shape == (20, 24, 3)
    assert samples[0]["png"].dtype == np.uint8
    del samples
    gc.collect()


def test_a_parquet_file_is_one_of_hugging_faces_datasets(photos: Path, tmp_path: Path) -> None:
    packed = pellucid.pack(photos, tmp_path / "out", format="parquet", shard_size="30kB")
    made = parquet.read_table(tmp_path / "out" / packed.shards[0].name)
    features = json.loads(made.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert features["label"] == {"names": ["cat", "großer Hund"], "_type": "ClassLabel"}
    row = made.slice(0, 1).to_pylist()[0]
    assert row["image"]["bytes"].startswith(b"\x89PNG")
    assert row["image"]["path"].startswith(("cat/", "großer-Hund/"))
    assert row["label"] in (0, 1)


def test_a_picture_that_can_be_read_later_is_packed_then(photos: Path, tmp_path: Path) -> None:
    source = tmp_path / "photos"
    shutil.copytree(photos, source)
    picture = source / "cat" / "a photo.v3.PNG"
    whole = picture.read_bytes()
    picture.write_bytes(bytes(len(whole)))
    first = pellucid.pack(source, tmp_path / "out", shard_size="30kB")
    assert picture.name in {Path(bad.path).name for bad in first.quarantine}
    same = pellucid.pack(source, tmp_path / "out", shard_size="30kB")
    assert (same.reused, same.pictures) == (len(first.shards), first.pictures)
    picture.write_bytes(whole)
    second = pellucid.pack(source, tmp_path / "out", shard_size="30kB")
    assert second.pictures == first.pictures + 1
    assert second.reused == len(first.shards) - 1, "only its shard is packed again"
    assert picture.name not in {Path(bad.path).name for bad in second.quarantine}
    assert hashlib.sha256(whole).hexdigest() in digests(sources.read(tmp_path / "out"))


def test_packed_shards_as_names_to_predict(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    packed = pellucid.pack(photos, "sets/packed", shard_size="30kB")
    shards = [f"sets/packed/{shard.name}" for shard in packed.shards]
    members = list(expand(["sets/packed"]))
    assert len(members) == packed.pictures
    assert {str(member).split(".tar/")[0] + ".tar" for member in members} == set(shards)
    assert list(expand(["sets"])) == list(expand(["sets/*"])) == members
    os.remove(shards[1])
    assert list(expand(["sets/packed"])) == [*(each for each in members if shards[1] not in str(each)), shards[1]]
    (tmp_path / "sets/cat").mkdir()
    shutil.copy(photos / "cat/a photo.v1.PNG", "sets/cat/1.png")
    for name in ("sets", "sets/**/*"):
        assert [str(each).rstrip("/") for each in expand([name])] == ["sets/cat/1.png"]
    assert [each.reason for each in walked(["sets"]) if isinstance(each, LeftOut)] == [PACKED]
    os.rename("sets/packed/manifest.json", "sets/packed/packing.json")
    assert [each.reason for each in walked(["sets"]) if isinstance(each, LeftOut)] == [PACKED]
    for read_names in (lambda: list(expand(["sets/packed"])), lambda: sources.read(Path("sets/packed"))):
        with pytest.raises(CatalogError, match="sets/packed is not packed to its end"):
            read_names()


def test_nothing_is_written_to_an_address(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    writes = (lambda: pellucid.pack(photos, "s3://photos/packed"), lambda: pellucid.train(photos, out="s3://photos/m"))
    for write in writes:
        with pytest.raises(StorageError, match=r"out is s3://photos/\w+, and it must be on this machine"):
            write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["webdataset", "parquet"])
def test_sides_groups_and_several_labels_survive(photos: Path, tmp_path: Path, form: str) -> None:
    files = [f"cat/a photo.v{number}.PNG" for number in range(12)]
    rows = [(path, "a|b" if n % 2 else "b", ("train", "val", "")[n % 3], f"p{n // 2}") for n, path in enumerate(files)]
    listing = photos.parent / f"{form}.csv"
    with listing.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split", "group")])
        csv.writer(file).writerows((f"photos/{path}", *rest) for path, *rest in rows)
    several = Columns(several=True)
    before = sources.read(listing, several)
    packed = pellucid.pack(listing, tmp_path / "out", format=form, labels="several")
    ending = writing.ENDING[form]
    assert [shard.name for shard in packed.shards] == [f"{s}-000000{ending}" for s in ("unsplit", "train", "val")]
    after = sources.read(tmp_path / "out", several)

    def known(catalog: Catalog) -> dict[str, tuple[str, str | None]]:
        return {digest_of(catalog.root / p.path): (catalog.classes_of(p), p.side) for p in catalog.pictures}

    def grouped(catalog: Catalog) -> set[frozenset[str]]:
        members: dict[int, set[str]] = {}
        for each in catalog.pictures:
            members.setdefault(each.group, set()).add(digest_of(catalog.root / each.path))
        return {frozenset(some) for some in members.values()}

    assert known(after) == known(before)
    assert grouped(after) == grouped(before)
    assert len(grouped(after)) == 6


def test_shards_are_packed_again_in_another_form(photos: Path, tmp_path: Path) -> None:
    pellucid.pack(photos, tmp_path / "a", format="parquet", shard_size="30kB")
    pellucid.pack(tmp_path / "a", tmp_path / "b", shard_size="20kB")
    assert digests(sources.read(tmp_path / "a")) == digests(sources.read(tmp_path / "b"))


def test_keys_are_safe_and_unique() -> None:
    names = ["a/b.jpg", "a/b.png", "a-b.jpg", "/etc/../x.y.jpg", "..", "a/b-2.jpg", "ä/\n\\:*.jpg", "x" * 300 + ".jpg"]
    made = list(keys(names))
    assert made == ["a/b", "a/b-2", "a-b", "etc/x-y", "picture", "a/b-2-2", "ä", "x" * 100]
    assert list(keys(["a/b-2.jpg", "a/b.jpg", "a/b.png"])) == ["a/b-2", "a/b", "a/b-3"]


def test_one_shard_from_a_list(tmp_path: Path, encode: Callable[..., bytes]) -> None:
    """What a cluster's tasks call: a shard depends on its pictures alone."""
    content = encode(np.zeros((4, 4, 3), np.uint8), "PNG")
    items = [Item(f"k{n}", "png", content, (n % 2,)) for n in range(4)]
    one, two = (writing.write(tmp_path / name, "webdataset", items, ("x", "y")) for name in ("a.tar", "b.tar"))
    assert (one.sha256, one.pictures) == (two.sha256, 4)
    assert one.size == (tmp_path / "a.tar").stat().st_size
    assert sources.read(tmp_path / "a.tar").pictures.labels.tolist() == [0, 0, 1, 1]


# ---- interrupted

KILLED = """
import os, signal, sys, pellucid
from pellucid.pictures.shards import packing, verb, writing
import pyarrow.parquet
for line in sys.stdin:
    out, form, seconds = line.split()
    child = os.fork()
    if not child:
        signal.setitimer(signal.ITIMER_PROF, float(seconds))  # the kernel ends the process, as kill -9 does
        pellucid.pack(sys.argv[1], out, format=form, shard_size="12kB")
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
"""


@pytest.fixture(scope="module")
def killer(photos: Path) -> Iterator[Callable[[Path, str, float], int]]:
    """killer(out, format, seconds) -> the status of a process that packs, and dies after so many seconds of work."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, photos], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        orders, reports = process.stdin, process.stdout

        def killer(out: Path, form: str, seconds: float) -> int:
            orders.write(f"{out} {form} {seconds:.4f}\n")
            orders.flush()
            return int(reports.readline())

        yield killer
        orders.close()


@pytest.mark.parametrize("form", ["webdataset", "parquet"])
def test_killed_at_random_points_and_run_again_it_writes_the_same_bytes(
    photos: Path, tmp_path: Path, form: str, killer: Callable[[Path, str, float], int]
) -> None:
    pellucid.pack(photos, tmp_path / "whole", format=form, shard_size="12kB")
    out, chance, kills, partial = tmp_path / "out", random.Random(7), 0, 0
    for _ in range(14):
        status = killer(out, form, chance.uniform(0.002, 0.08))
        kills += status == signal.SIGPROF
        partial += 0 < len(list(out.glob("*-*.*"))) < 7 if out.is_dir() else 0
        if chance.random() < 0.3:
            shutil.rmtree(out, ignore_errors=True)
    assert kills >= 6
    assert partial >= 1, "no kill came in the middle"
    packed = pellucid.pack(photos, out, format=form, shard_size="12kB")
    assert contents(out) == contents(tmp_path / "whole")
    assert packed.pictures == 2 * COUNT + 1
    assert pellucid.pack(photos, out, format=form, shard_size="12kB").reused == len(packed.shards)
    first = out / packed.shards[0].name
    first.write_bytes(first.read_bytes()[:-1] + b"!")
    assert pellucid.pack(photos, out, format=form, shard_size="12kB").reused == len(packed.shards) - 1
    assert contents(out) == contents(tmp_path / "whole")


def test_a_full_disk_leaves_the_whole_shards(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, count = writing._add, 0

    def full(*about: object) -> None:
        nonlocal count
        count += 1
        if count > 90:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(*about)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(writing, "_add", full)
        with pytest.raises(StorageError, match=r"The disk is full: .*\.tar could not be written") as caught:
            pellucid.pack(photos, tmp_path / "out", shard_size="12kB")
    assert "\n" not in str(caught.value)
    names = set(os.listdir(tmp_path / "out"))
    assert {"packing.json", "train-000000.tar"} <= names
    assert not any(name.endswith(".part") for name in names)
    with pytest.raises(CatalogError, match=r"out is not packed to its end. Run the same `pellucid pack` again"):
        sources.read(tmp_path / "out")
    assert pellucid.pack(photos, tmp_path / "out", shard_size="12kB").reused >= 1
    assert "packing.json" not in os.listdir(tmp_path / "out")


def test_stopped_between_two_pictures_it_leaves_no_part(photos: Path, tmp_path: Path) -> None:
    steps = packing(photos, tmp_path / "out", "webdataset", "12kB", 0, Columns())
    for progress in steps:
        if progress.done > 20:
            break
    steps.close()
    assert not any(name.endswith(".part") for name in os.listdir(tmp_path / "out"))
    assert not list(tmp_path.glob(".out.lock"))


# ---- wrong


def test_a_folder_that_holds_something_else(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(ArtefactError, match=r"out holds other files: mine.txt. Choose a new folder"):
        pellucid.pack(photos, tmp_path / "out")
    pellucid.pack(photos, tmp_path / "done")
    with pytest.raises(ArtefactError, match=r"holds shards of other pictures, or packed with other settings"):
        pellucid.pack(photos, tmp_path / "done", seed=3)
    pellucid.pack(photos, tmp_path / "small", shard_size="30kB")  # more shards than with another size
    with pytest.raises(ArtefactError, match=r"small holds shards of other pictures, or packed with other settings"):
        pellucid.pack(photos, tmp_path / "small")
    with pytest.raises(ArtefactError, match="is the source itself"):
        pellucid.pack(photos, photos)
    with pytest.raises(ArtefactError, match=r"shards lies in the source, .*photos\. Name another folder"):
        pellucid.pack(photos, photos / "shards")
    with pytest.raises(StorageError, match="out is s3://bucket/out, and it must be on this machine"):
        pellucid.pack(photos, "s3://bucket/out")
    assert not {"shards", "s3:"} & set(os.listdir(photos)) | set(os.listdir(".")) & {"s3:"}
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file could not be written"):
        pellucid.pack(photos, tmp_path / "file")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "zip"}, "format is 'zip'; it must be webdataset or parquet."),
        ({"shard_size": "big"}, "shard_size is 'big'; it must be a number of bytes, such as 1GB or 250MB."),
        ({"shard_size": 0}, "shard_size is 0; it must be"),
        ({"labels": "many"}, "labels is 'many'; it must be one or several."),
    ],
)
def test_wrong_settings(photos: Path, tmp_path: Path, settings: dict[str, str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        pellucid.pack(photos, tmp_path / "out", **settings)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_nothing_to_pack(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CatalogError, match="has no class folders"):
        pellucid.pack(tmp_path / "empty", tmp_path / "out")
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "photos" / "cat" / "a.jpg").write_text("no picture")
    with pytest.raises(PellucidError, match=r"The only picture cannot be used: cat/a.jpg: not a picture"):
        pellucid.pack(tmp_path / "photos", tmp_path / "out2")


def test_sizes() -> None:
    sizes = {"1GB": 10**9, "250 MB": 250 * 10**6, "1.5kb": 1500, "7": 7, 12: 12, "2T": 2 * 10**12}
    assert {text: bytes_of(text) for text in sizes} == sizes  # type: ignore[arg-type]


def test_the_command(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert main(["pack", str(photos), out, "--shard-size", "30kB"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{2 * COUNT + 1} pictures in ")
    assert "Not packed: 2 files, each with its reason in quarantine.csv." in text
    assert main(["pack", str(photos), out, "--shard-size", "30kB", "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["pictures"] == 2 * COUNT + 1
    assert about["reused"] == len(about["shards"])
    assert read(tmp_path / "out" / about["shards"][0]["name"])
