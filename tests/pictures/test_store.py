import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import pytest
from tests.patience import PATIENCE

from pellucid.errors import StorageError
from pellucid.pictures import index, twins
from pellucid.pictures import store as module
from pellucid.pictures.catalog import scan
from pellucid.pictures.decode import Form, decode
from pellucid.pictures.store import Decoding, Store, build, clear, default_cache, stores
from pellucid.steps import Steps

FORM = Form(4, 5)
Photo = Callable[..., bytes]


def finish(generator: Generator[Decoding, None, Store]) -> tuple[list[Decoding], Store]:
    steps = Steps(generator)
    return list(steps), steps.result


def made(root: Path, cache: Path, form: Form = FORM, limit: int = 10**6) -> Store:
    return finish(build(scan(root), form, cache, limit))[1]


def last_progress(root: Path, cache: Path) -> Decoding:
    return finish(build(scan(root), FORM, cache, 10**6))[0][-1]


def identity(folder: Path) -> list[tuple[str, int, int]]:
    return sorted((p.name, p.stat().st_ino, p.stat().st_size) for p in folder.iterdir())


def right(store: Store) -> bool:
    """Whether each row matches its file."""
    descriptions = store.descriptions[np.arange(len(store))]
    for row, picture in enumerate(store.catalog.pictures):
        image = decode((store.catalog.root / picture.path).read_bytes())
        same = np.array_equal(store.images[row], store.form.apply(image))
        same &= np.array_equal(descriptions[row], twins.describe(image))
        same &= tuple(store.sizes[row]) == image.shape[:2]
        if not same:
            return False
    return len(store) == len(store.catalog.pictures) == len(store.images) == len(store.digests)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


# --------------------------------------------------------------------------------------------- what is in it


@pytest.mark.parametrize("form", [FORM, Form(3, 3, 1, "crop"), Form(2, 7, 3, "stretch")])
def test_rows_are_the_pictures(animals: Path, cache: Path, form: Form) -> None:
    store = made(animals, cache, form)
    assert store.images.shape == (6, *form.shape)
    assert right(store)
    assert store.images.dtype == store.descriptions[np.array([0])].dtype == np.uint8
    assert store.catalog == scan(animals)
    assert store.form == form


def test_a_batch_is_a_copy(animals: Path, cache: Path) -> None:
    store = made(animals, cache)
    rows = np.array([5, 0, 0, 3])
    batch = store.batch(rows)
    assert np.array_equal(batch, store.images[rows])
    batch[:] = 0
    assert right(store)
    assert store.batch(np.array([], np.int64)).shape == (0, 4, 5, 3)
    for outside in (-1, 6):
        with pytest.raises(IndexError, match="0 to 5"):
            store.batch(np.array([outside]))


def test_what_cannot_be_decoded_is_in_quarantine(animals: Path, cache: Path, photo: Photo) -> None:
    (animals / "cat/note.txt").write_text("no picture " * 50)
    (animals / "cat/empty.jpg").touch()
    (animals / "dog/cut.png").write_bytes(photo(1)[:-60])
    (animals / "dog/big.png").write_bytes(photo(50, 40, 50))
    (animals / "list.csv").touch()
    store = made(animals, cache, FORM, 1999)
    reasons = {bad.path: bad.reason for bad in store.catalog.quarantine}
    assert list(reasons) == ["cat/empty.jpg", "cat/note.txt", "dog/big.png", "dog/cut.png", "list.csv"]
    assert reasons["cat/note.txt"] == "not a picture"
    assert reasons["dog/big.png"] == "50 x 40 = 0.002 megapixels, over the limit of 0.001999"
    assert len(store) == 6
    assert right(store)
    assert finish(build(scan(animals), FORM, cache, 1999))[1].catalog == store.catalog  # also when reused


def test_one_file_in_two_classes(animals: Path, cache: Path) -> None:
    (animals / "dog/copy.png").write_bytes((animals / "cat/1.png").read_bytes())
    (animals / "cat/again.png").write_bytes((animals / "cat/0.png").read_bytes())  # a twin, no contradiction
    for _ in range(2):
        store = made(animals, cache)
        assert {bad.path: bad.reason for bad in store.catalog.quarantine} == {
            "cat/1.png": "the same file is also in class dog: dog/copy.png",
            "dog/copy.png": "the same file is also in class cat: cat/1.png",
        }
        assert len(store) == 6
        assert right(store)
    assert last_progress(animals, cache) == Decoding(8, 8, 8)
    (animals / "dog/copy.png").unlink()  # the remaining one was thrown away then, and is good again
    assert last_progress(animals, cache) == Decoding(7, 7, 6)
    assert right(made(animals, cache))


def test_no_usable_picture_at_all(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "data/cat").mkdir(parents=True)
    (tmp_path / "data/cat/a").write_text("no")
    store = made(tmp_path / "data", cache)
    assert store.images.shape == (0, 4, 5, 3)
    assert len(store.catalog.quarantine) == 1
    (tmp_path / "data/cat/a").unlink()
    assert len(made(tmp_path / "data", cache)) == 0


def test_the_fingerprint_follows_content_names_and_classes(animals: Path, cache: Path, photo: Photo) -> None:
    first = made(animals, cache).fingerprint
    assert made(animals, cache, Form(9, 9)).fingerprint == first
    (animals / "cat/note.txt").touch()
    assert made(animals, cache).fingerprint == first
    (animals / "cat/0.png").rename(animals / "cat/7.png")
    renamed = made(animals, cache).fingerprint
    (animals / "cat/7.png").write_bytes(photo(99))
    changed = made(animals, cache).fingerprint
    (animals / "cat/7.png").rename(animals / "dog/7.png")
    assert len({first, renamed, changed, made(animals, cache).fingerprint}) == 4


def test_file_names_that_are_no_utf8(animals: Path, cache: Path, photo: Photo) -> None:
    try:
        Path(os.fsdecode(bytes(animals / "cat") + b"/\xff.png")).write_bytes(photo(5))
    except OSError:
        (animals / "cat/é\n.png").write_bytes(photo(5))  # file systems that refuse such names
    assert len(made(animals, cache)) == 7
    assert last_progress(animals, cache).reused == 7


# ---------------------------------------------------------------------------------------------------- reuse


def test_nothing_changed_nothing_written(animals: Path, cache: Path) -> None:
    folder = made(animals, cache).folder
    before = identity(folder)
    assert last_progress(animals, cache) == Decoding(6, 6, 6)
    assert identity(folder) == before


def test_only_what_changed_is_decoded(animals: Path, cache: Path, photo: Photo) -> None:
    (animals / "dog/bad.png").write_text("bad")
    made(animals, cache)
    (animals / "cat/1.png").write_bytes(photo(77))
    (animals / "cat/0.png").unlink()
    (animals / "cat/a_new.png").write_bytes(photo(78))
    assert last_progress(animals, cache) == Decoding(7, 7, 5)
    store = made(animals, cache)
    assert [picture.path for picture in store.catalog.pictures][:3] == ["cat/1.png", "cat/2.png", "cat/a_new.png"]
    assert right(store)


def test_a_change_that_keeps_size_and_mtime_is_seen(animals: Path, cache: Path, photo: Photo) -> None:
    path = animals / "cat/1.png"
    made(animals, cache)
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert last_progress(animals, cache).reused == 5


def test_forms_and_limits_have_stores_of_their_own(animals: Path, cache: Path) -> None:
    made(animals, cache)
    made(animals, cache, Form(4, 5, 3, "crop"))
    made(animals, cache, FORM, 40)
    assert len(stores(cache)) == 3
    assert last_progress(animals, cache).reused == 6


def test_a_moved_class_folder_changes_the_labels(animals: Path, cache: Path) -> None:
    made(animals, cache)
    (animals / "ape").mkdir()
    store = made(animals, cache)
    assert store.catalog.classes == ("ape", "cat", "dog")
    assert store.catalog.pictures[0].label == 1


@pytest.mark.parametrize(
    "name", ["images.raw", "descriptions.raw", "files.npy", "paths.raw", "ends.npy", "reasons.json", "store.json"]
)
@pytest.mark.parametrize("damage", ["cut", "longer", "rubbish", "gone", "empty"])
def test_a_damaged_store_is_rebuilt(animals: Path, cache: Path, name: str, damage: str) -> None:
    path = made(animals, cache).folder / name
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": data[:-1], "longer": data + b"x", "rubbish": b"{}" + data, "empty": b""}[damage])
    assert last_progress(animals, cache).reused == 0
    assert right(made(animals, cache))


def test_a_header_changed_by_hand_is_not_trusted(animals: Path, cache: Path) -> None:
    path = made(animals, cache).folder / "store.json"
    header = json.loads(path.read_text())
    header["hashes"], header["lengths"] = {}, {}
    path.write_text(json.dumps(header))
    assert last_progress(animals, cache).reused == 0


def test_another_decoder_means_another_store(animals: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(animals, cache)
    monkeypatch.setattr(index, "VERSION", -1)
    assert last_progress(animals, cache).reused == 0
    assert len(stores(cache)) == 1


def test_an_open_store_survives_its_replacement(animals: Path, cache: Path, photo: Photo) -> None:
    old = made(animals, cache)
    batch = old.batch(np.arange(6))
    (animals / "cat/0.png").write_bytes(photo(5))
    new = made(animals, cache)
    clear(cache)
    assert np.array_equal(old.batch(np.arange(6)), batch)
    assert np.array_equal(old.images, batch)
    assert not np.array_equal(new.batch(np.arange(6)), batch)


def test_a_file_that_goes_between_scan_and_decoding(animals: Path, cache: Path, photo: Photo) -> None:
    catalog = scan(animals)
    (animals / "cat/1.png").unlink()
    (animals / "cat/2.png").write_bytes(photo(66))
    store = finish(build(catalog, FORM, cache, 10**6))[1]
    assert [(bad.path, bad.reason) for bad in store.catalog.quarantine] == [("cat/1.png", "not found")]
    assert right(store)
    (animals / "cat/1.png").write_bytes(photo(67))
    assert last_progress(animals, cache) == Decoding(6, 6, 5)


# ----------------------------------------------------------------------------- full disks, stops, two at once


def test_a_full_disk_is_one_line_and_leaves_nothing(
    animals: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, photo: Photo
) -> None:
    folder = made(animals, cache).folder
    before, entries = identity(folder), sorted(os.listdir(cache))
    (animals / "cat/new.png").write_bytes(photo(44))
    write, calls = os.write, []

    def full(file: int, data: memoryview) -> int:
        calls.append(len(data))
        if len(calls) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[:17])  # a nearly full disk takes a part

    with monkeypatch.context() as patched:
        patched.setattr("pellucid.pictures.store.os.write", full)
        with pytest.raises(
            StorageError, match=r"The disk is full: the decoded pictures need \d+ MB in .*\.$"
        ) as caught:
            made(animals, cache)
    assert "\n" not in str(caught.value)
    assert identity(folder) == before
    assert sorted(os.listdir(cache)) == entries
    assert right(made(animals, cache))


def test_a_disk_too_small_is_said_before_the_work(animals: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(animals)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(StorageError, match="The disk is full"):
        next(build(scan(animals), FORM, cache, 10**6))
    assert os.listdir(cache) == []


def test_a_short_write_is_continued(animals: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr("pellucid.pictures.store.os.write", lambda file, data: write(file, data[:7]))
    assert right(made(animals, cache))


def test_a_cache_that_cannot_be_written(animals: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="could not be written"):
        made(animals, tmp_path / "file" / "cache")


def test_stopping_leaves_nothing_and_ends_the_threads(animals: Path, cache: Path) -> None:
    before = set(threading.enumerate())  # a server of other tests has such threads too
    generator = build(scan(animals), FORM, cache, 10**6)
    assert next(generator).total == 6
    assert len(os.listdir(cache)) == 2  # the .part and the lock
    generator.close()
    assert os.listdir(cache) == []
    assert not [each for each in set(threading.enumerate()) - before if each.name.startswith("decode")]


def test_ctrl_c_leaves_nothing(animals: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(threading.enumerate())

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        made(animals, cache)
    assert os.listdir(cache) == []
    assert not [each for each in set(threading.enumerate()) - before if each.name.startswith("decode")]


_SCRIPT = """
import sys
from pathlib import Path
from pellucid.pictures.catalog import scan
from pellucid.pictures.decode import Form
from pellucid.pictures.store import build
generator = build(scan(Path(sys.argv[1])), Form(4, 5), Path(sys.argv[2]), 10**6)
if sys.argv[3] == "half":
    print(next(generator), flush=True)
    sys.stdin.read()
for report in generator:
    print(report.reused, flush=True)
"""


def start(animals: Path, cache: Path, how: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _SCRIPT, str(animals), str(cache), how]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_what_a_killed_run_leaves_is_cleaned_but_not_a_living_ones(animals: Path, cache: Path) -> None:
    def parts() -> list[str]:
        return [name for name in os.listdir(cache) if name.endswith(".part")]

    with start(animals, cache, "half") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Decoding")
        assert len(parts()) == 1
        assert clear(cache) == 0  # it is being built
        assert len(parts()) == 1
        waiting = build(scan(animals), FORM, cache, 10**6)
        assert next(waiting) == Decoding(0, 6, 0)
        waiting.close()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(parts()) == 1
    assert right(made(animals, cache))
    assert parts() == []
    assert len(os.listdir(cache)) == 1


def test_clear_removes_what_a_killed_run_leaves(animals: Path, cache: Path) -> None:
    with start(animals, cache, "half") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
        process.wait()
    assert os.listdir(cache) != []
    assert clear(cache) >= 0
    assert os.listdir(cache) == []


def test_two_at_once_end_well_and_one_does_the_work(animals: Path, cache: Path) -> None:
    with start(animals, cache, "whole") as one, start(animals, cache, "whole") as two:
        outputs = [process.communicate(timeout=PATIENCE)[0] for process in (one, two)]
        assert (one.returncode, two.returncode) == (0, 0)
    assert sorted(int(output.split()[-1]) for output in outputs) == [0, 6]
    assert len(os.listdir(cache)) == 1
    assert right(made(animals, cache))


# ------------------------------------------------------------------------------------------------ the cache


def test_the_list_of_stores(animals: Path, cache: Path) -> None:
    assert stores(cache) == []
    first = made(animals, cache).folder
    os.utime(first / "store.json", (0, 0))
    second = made(animals, cache, Form(6, 6)).folder
    listed = stores(cache)
    assert [info.folder for info in listed] == [second, first]
    assert listed[1].root == animals.resolve()
    assert listed[1].form == FORM
    assert listed[1].pictures == 6
    assert listed[1].bytes == sum(path.stat().st_size for path in first.iterdir())
    before = time.time() - 60
    made(animals, cache)
    assert stores(cache)[0].used > before or stores(cache)[1].used > before
    (second / "store.json").write_text("{")
    assert [info.folder for info in stores(cache)] == [first]


def test_clear_frees_stores_and_touches_nothing_else(animals: Path, cache: Path) -> None:
    assert clear(cache) == 0
    made(animals, cache)
    damaged = made(animals, cache, Form(6, 6)).folder
    (damaged / "store.json").unlink()
    size = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    (cache / "holiday.store").mkdir()
    (cache / "holiday.store" / "photo.jpg").touch()
    (cache / "notes.txt").touch()
    assert clear(cache) == size
    assert sorted(os.listdir(cache)) == ["holiday.store", "notes.txt"]
    assert (cache / "holiday.store/photo.jpg").exists()


def test_the_default_cache_is_the_users() -> None:
    assert default_cache().is_absolute()
    assert "pellucid" in str(default_cache())
