"""A collection of pictures on disk: names, recordings, a restart, and what is taken out of the set."""

import csv
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.collecting import names, packing
from pellucid.collecting.advice import advice
from pellucid.collecting.collection import PAUSE, Class, Collection, Picture
from pellucid.errors import CatalogError, PictureError, StorageError
from pellucid.pictures.table import read


def picture(shade: int = 0, kind: str = "PNG", size: tuple[int, int] = (9, 7)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (shade, 90, 20)).save(buffer, kind)
    return buffer.getvalue()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def collection(tmp_path: Path, clock: Clock) -> Collection:
    there = Collection(tmp_path / "set", clock)
    for name in ("cat", "dog"):
        there.add_class(name)
    return there


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# ---- names


NAMES = ["Katze 2", "日本", "naïve", "a b", "👩\u200d🔬", "test cards", "C++", "resting", "-", "x" * 60]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_may_be_a_class(name: str, collection: Collection) -> None:
    assert collection.add_class(name) == name
    assert (collection.pictures / name).is_dir()
    assert name in [each.name for each in collection.classes()]


HOSTILE = [
    *("", "   ", ".", "..", "../dog", "a/b", "a\\b", "/etc/passwd", "C:\\x", "..\\..\\x", ".hidden", "end."),
    *("a\0b", "a\nb", "a\u202eb", "\u200b", "\ufeff", "\ud800", "\u0301\u0302", "x" * 61, "é" * 101),
    *("con", "NUL", "aux.txt", "COM1", "lpt9.jpg", "Thumbs.db", "__MACOSX", "train", "Test", "val", "holdout"),
    *("a|b", "what?", "a*", 'say "x"', "<b>", "a:b"),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_must_not_be_a_folder(name: str, collection: Collection, tmp_path: Path) -> None:
    before = sorted(os.walk(tmp_path))
    if name.strip():  # an empty name asks for the next "Class 1"
        with pytest.raises(CatalogError, match=r"cannot be the name of a class: .* Choose another name\."):
            collection.add_class(name)
    with pytest.raises(CatalogError):
        collection.rename("cat", name)
    with pytest.raises(CatalogError):
        collection.add(name, picture(), "file")
    with pytest.raises(CatalogError):
        collection.remove_class(name)
    with pytest.raises(CatalogError):
        collection.put_back(name)
    assert sorted(os.walk(tmp_path)) == before


@pytest.mark.parametrize("name", ["Cat", " cat ", "c at", "ca_t", "ｃａｔ", "cat\u2028"])
def test_a_name_like_that_of_another_class_is_refused(name: str, collection: Collection) -> None:
    with pytest.raises(CatalogError):
        collection.add_class(name)


def test_composed_and_decomposed_letters_are_one_name(collection: Collection) -> None:
    assert collection.add_class("cafe\u0301") == "caf\u00e9"
    with pytest.raises(CatalogError, match="There is a class “caf\u00e9” already"):
        collection.add_class("caf\u00e9")


def test_names_that_would_read_as_sides_of_a_split_are_refused() -> None:
    assert names.checked("train cards") == "train cards"
    with pytest.raises(CatalogError, match="sides of a split"):
        names.checked("test cards", ["train cards"])


def test_a_name_may_change_in_case_only(collection: Collection) -> None:
    collection.add("cat", picture(), "file")
    assert collection.rename("cat", "Cat") == "Cat"
    assert [each.name for each in collection.classes()] == ["Cat", "dog"]
    assert collection.rename("Cat", "Cat") == "Cat"
    with pytest.raises(CatalogError, match="There is a class “dog” already"):
        collection.rename("Cat", "DOG")


@pytest.mark.parametrize("name", ["../dog/x.png", "..", "", "no.png", "/etc/passwd", ".", "a\0b"])
def test_a_picture_is_only_one_that_is_listed(name: str, collection: Collection) -> None:
    for ask in (collection.path, collection.remove, collection.put_back):
        with pytest.raises(CatalogError):
            ask("cat", name)


# ---- pictures


def test_pictures_are_kept_as_they_came(collection: Collection) -> None:
    jpeg = picture(5, "JPEG")
    assert collection.add("cat", jpeg, "file") == Picture("file-0001.jpg")
    assert collection.add("cat", picture(), "drawing") == Picture("drawing-0001.png")
    assert collection.add("cat", picture(6, "GIF"), "file") == Picture("file-0002.gif")
    assert collection.path("cat", "file-0001.jpg").read_bytes() == jpeg
    assert files_below(collection.folder) == [
        f"pictures/cat/{name}" for name in ("drawing-0001.png", "file-0001.jpg", "file-0002.gif")
    ]


@pytest.mark.parametrize("content", [b"", b"words", picture()[:40]])
def test_what_is_no_picture_is_not_kept(content: bytes, collection: Collection) -> None:
    with pytest.raises(PictureError):
        collection.add("cat", content, "file")
    assert files_below(collection.folder) == []


def test_a_recording_ends_with_a_pause_or_with_another_class(collection: Collection, clock: Clock) -> None:
    def taken(name: str, seconds: float) -> int:
        clock.now += seconds
        return collection.add(name, picture(int(clock.now) % 200), "camera").recording

    assert [taken("cat", 0), taken("cat", 0.1), taken("cat", PAUSE - 1)] == [1, 1, 1], "pressed again too soon"
    assert taken("cat", PAUSE) == 2
    assert [taken("dog", 1), taken("cat", 1), taken("cat", 1)] == [1, 3, 3]
    collection.add("dog", picture(), "drawing")
    cat, dog = collection.classes()
    assert (cat.recordings, cat.parts, len(cat.pictures)) == (3, 3, 6)
    assert (dog.recordings, dog.parts) == (1, 2), "a drawing is a part of its own"
    collection.rename("cat", "lion")
    assert taken("lion", 1) == 3, "it goes on under the new name"


def test_a_restart_goes_on_where_it_was(collection: Collection, clock: Clock) -> None:
    for kind in ("camera", "camera", "drawing"):
        collection.add("cat", picture(), kind)
    before = collection.classes()
    (collection.pictures / "cat" / ".camera-001-0003.jpg.12345678.part").write_bytes(b"half")  # killed while it wrote
    again = Collection(collection.folder, clock)
    assert again.classes() == before
    assert again.add("cat", picture(), "camera") == Picture("camera-002-0001.png", 2), "a restart ends a recording"
    assert again.add("cat", picture(), "drawing").name == "drawing-0002.png"


def test_what_is_removed_is_moved_and_can_be_put_back(collection: Collection) -> None:
    content = picture(77)
    stored = collection.add("cat", content, "camera").name
    gone = collection.remove("cat", stored)
    assert files_below(collection.folder) == [f"removed/cat/{stored}"]
    assert collection.add("cat", picture(), "camera").name != stored, "its name is not used again"
    collection.put_back("cat", gone)
    assert collection.path("cat", stored).read_bytes() == content
    assert collection.the("cat").recordings == 1
    assert collection.remove_class("cat") == "cat"
    assert [each.name for each in collection.classes()] == ["dog"]
    collection.add_class("cat")
    assert collection.remove_class("cat") == "cat-2", "what was removed before is still there"
    collection.put_back("cat")
    assert len(collection.the("cat").pictures) == 2
    with pytest.raises(CatalogError, match="holds no class “cat”"):
        collection.put_back("cat")


def test_a_picture_comes_back_to_a_class_that_was_renamed_since(collection: Collection) -> None:
    gone = collection.remove("cat", collection.add("cat", picture(77), "file").name)
    collection.rename("cat", "lion")
    with pytest.raises(CatalogError, match="There is no class “cat”"):
        collection.put_back("cat", gone)
    collection.put_back("cat", gone, to="lion")
    assert [each.name for each in collection.the("lion").pictures] == [gone]


@pytest.mark.parametrize("name", ["cat", "v1.5", "x" * 60])
def test_a_class_comes_back_under_its_own_name(name: str, collection: Collection) -> None:
    if name != "cat":
        collection.add_class(name)
    collection.remove(name, collection.add(name, picture(1), "file").name)
    stored = collection.add(name, picture(2), "file").name
    gone = collection.remove_class(name)
    assert gone == f"{name}-2", "a picture of it was removed before"
    collection.put_back(gone, called=name)
    assert [each.name for each in collection.the(name).pictures] == [stored]


def test_a_class_comes_back_beside_another_one_of_its_name(collection: Collection) -> None:
    gone = collection.remove_class("cat")
    collection.add_class("cat")
    again = collection.remove_class("cat")
    collection.put_back(gone)
    collection.put_back(again, called="cat")
    assert [each.name for each in collection.classes()] == ["cat", "cat-2", "dog"]


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    with pytest.raises(CatalogError, match="holds other files"):
        Collection(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(CatalogError, match="is a file"):
        Collection(tmp_path / "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cat", "file"]


@pytest.mark.parametrize(
    "table",
    [
        "file,what\npictures/cat/1.png,7\n",
        "path,label,group\npictures/cat/1.png,tabby,\n",
        "path,label,group\nscans/1.png,cat,\n",
        "path,label,group\npictures/cat/1.png,cat,Anna\n",
        "",
    ],
)
def test_a_table_of_somebody_else_is_not_replaced(table: str, tmp_path: Path) -> None:
    (tmp_path / "pictures" / "cat").mkdir(parents=True)
    (tmp_path / "pictures.csv").write_text(table)
    with pytest.raises(CatalogError, match="has not written"):
        Collection(tmp_path)
    assert (tmp_path / "pictures.csv").read_text() == table


def test_the_own_table_is_known_again(collection: Collection) -> None:
    collection.add_class("say, 'so'")
    (collection.pictures / "cafe\u0301").mkdir()
    for name in ("cat", "say, 'so'", "caf\u00e9"):
        collection.add(name, picture(), "camera")
        collection.add(name, picture(), "file")
    collection.write_table()
    assert Collection(collection.folder).classes() == collection.classes()


def test_a_link_that_leads_nowhere_is_no_picture(collection: Collection) -> None:
    stored = collection.add("cat", picture(), "file")
    for name, target in (("circle.png", "circle.png"), ("gone.png", "nowhere.png")):
        (collection.pictures / "cat" / name).symlink_to(target)
    (collection.pictures / "circle").symlink_to("circle")
    assert [each.name for each in collection.classes()] == ["cat", "dog"]
    assert collection.the("cat").pictures == (stored,)


def test_a_folder_that_cannot_be_listed_is_not_said_to_be_unwritable(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(StorageError, match="cannot be read: Permission denied"):
        collection.classes()


# ---- what follows from them


def test_the_table_keeps_a_recording_together(collection: Collection, clock: Clock) -> None:
    collection.rename("cat", 'tab, "by"'.replace('"', "'"))
    for kind in ("camera", "camera", "file"):
        collection.add("tab, 'by'", picture(), kind)
    collection.add("dog", picture(9), "camera")
    table = collection.write_table()
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["group"] for row in rows] == ["dog/1", "tab, 'by'/1", "tab, 'by'/1", ""]
    catalog = read(table)
    assert catalog.classes == ("dog", "tab, 'by'")
    assert [each.label for each in catalog.pictures] == [0, 1, 1, 1]
    assert len(np.unique(catalog.pictures.groups[catalog.pictures.groups >= 0])) == 2


def shown(name: str, recording: int, count: int) -> Class:
    return Class(name, tuple(Picture(f"{number}", recording) for number in range(count)))


def test_the_advice_says_what_is_missing_and_what_makes_the_figure_weak() -> None:
    assert advice([]).missing == ("Two classes or more are needed; there is none.",)
    assert advice([shown("cat", 0, 3), shown("dog", 0, 1)]).missing == ("“dog” needs at least 2 pictures.",)
    assert advice([shown("cat", 0, 20), shown("dog", 0, 30)]).warnings == ()
    few, unequal, one = advice([shown("cat", 0, 9), shown("dog", 1, 20)]).warnings
    assert few.startswith("“cat” has fewer than 10 pictures")
    assert unequal.startswith("The classes differ in size: “dog” has 20 pictures, “cat” 9.")
    assert one.startswith("All pictures of “dog” come from one recording.")


def test_a_folder_is_packed_without_hidden_files(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = collection.add("cat", picture(), "file").name
    (collection.pictures / "cat" / ".part").touch()
    with zipfile.ZipFile(io.BytesIO(b"".join(packing.packed(collection.pictures, "set")))) as archive:
        assert archive.namelist() == [f"set/cat/{stored}"]
        assert archive.read(f"set/cat/{stored}") == picture()
        assert archive.testzip() is None
    # never more of it in memory than a piece
    monkeypatch.setattr(packing, "PIECE", 10)
    pieces = list(packing.packed(collection.pictures, "set"))
    assert len(pieces) > len(picture()) // 10
    assert max(map(len, pieces)) < 400, "a piece and an entry's header, or the list of entries"
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        assert archive.read(f"set/cat/{stored}") == picture()
    assert zipfile.ZipFile(io.BytesIO(b"".join(packing.packed(collection.pictures / "dog", "x")))).namelist() == []


def test_a_thumbnail_is_the_middle_of_the_picture(collection: Collection) -> None:
    image = Image.new("RGB", (400, 200), "red")
    image.paste("blue", (100, 0, 300, 200))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    stored = collection.add("cat", buffer.getvalue(), "file").name
    small = np.asarray(Image.open(io.BytesIO(packing.thumbnail(collection.path("cat", stored)))), int)
    assert small.shape == (packing.SIDE, packing.SIDE, 3)
    assert abs(small - [0, 0, 255]).max() < 12
