import os
import socket
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pytest

from pellucid.errors import CatalogError
from pellucid.pictures.catalog import (
    Catalog,
    Picture,
    Quarantined,
    check,
    contradictions,
    scan,
)


def make(root: Path, paths: Iterable[str]) -> Path:
    """Files (or, ending in "/", folders) below root/data."""
    for path in paths:
        place = root / "data" / path
        if path.endswith("/"):
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(path)
    return root / "data"


def complaint(root: Path) -> str:
    with pytest.raises(CatalogError) as caught:
        check(scan(root))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def reasons(catalog: Catalog) -> dict[str, str]:
    return {bad.path: bad.reason for bad in catalog.quarantine}


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    catalog = scan(make(tmp_path, ["dog/b.jpg", "dog/a.txt", "cat/deep/er/c.jpg", "cat/d.jpg"]))
    assert catalog.classes == ("cat", "dog")
    assert catalog.pictures == (
        Picture("cat/d.jpg", 0, None),
        Picture("cat/deep/er/c.jpg", 0, None),
        Picture("dog/a.txt", 1, None),  # its content will tell
        Picture("dog/b.jpg", 1, None),
    )
    assert catalog.quarantine == ()
    check(catalog)


@pytest.mark.parametrize(("validation", "test"), [("val", "test"), ("valid", "test"), ("Validation", "Test")])
def test_sides(tmp_path: Path, validation: str, test: str) -> None:
    catalog = scan(make(tmp_path, ["train/cat/1", "train/dog/1", f"{validation}/cat/x/2", f"{test}/owl/3", "train/a"]))
    assert catalog.classes == ("cat", "dog", "owl")
    assert {(p.path, p.label, p.side) for p in catalog.pictures} == {
        ("train/cat/1", 0, "train"),
        ("train/dog/1", 1, "train"),
        (f"{validation}/cat/x/2", 0, "val"),
        (f"{test}/owl/3", 2, "test"),
    }
    assert reasons(catalog) == {"train/a": "is outside a class folder"}


@pytest.mark.parametrize("folders", [["train/"], ["test/", "val/"], ["train/", "cat/"]])
def test_what_is_not_sides_is_classes(tmp_path: Path, folders: list[str]) -> None:
    catalog = scan(make(tmp_path, folders))
    assert catalog.classes == tuple(sorted(folder[:-1] for folder in folders))


@pytest.mark.parametrize("sides", [("Training", "Test"), ("training_set", "test_set"), ("fruits-train", "fruits-eval")])
@pytest.mark.parametrize("above", ["", "photos/", "data/archive/"])
@pytest.mark.parametrize("between", ["", "{side}/", "images/", "fruits/"])
def test_sides_under_other_names_and_at_other_depths(
    tmp_path: Path, sides: tuple[str, str], above: str, between: str
) -> None:
    parts = [f"{above}{side}/{between.format(side=side)}{name}/1" for side in sides for name in ("apple", "pear")]
    catalog = scan(make(tmp_path, parts))
    assert catalog.classes == ("apple", "pear")
    assert {(picture.path, picture.side) for picture in catalog.pictures} == {
        (parts[0], "train"),
        (parts[1], "train"),
        (parts[2], "test"),
        (parts[3], "test"),
    }


def test_a_link_to_itself_does_not_hide_the_sides(tmp_path: Path) -> None:
    root = make(tmp_path, ["train/train/cat/1", "train/train/dog/1", "test/cat/1", "test/dog/1"])
    (root / "train/self").symlink_to("self")
    catalog = scan(root)
    assert catalog.classes == ("cat", "dog")
    assert reasons(catalog) == {"train/self": "a broken link"}


def test_sides_in_each_class(tmp_path: Path) -> None:
    catalog = scan(make(tmp_path, ["cat/train/1", "cat/test/2", "dog/Training/3", "dog/valid/4", "dog/note.txt"]))
    assert catalog.classes == ("cat", "dog")
    assert {(p.path, p.label, p.side) for p in catalog.pictures} == {
        ("cat/train/1", 0, "train"),
        ("cat/test/2", 0, "test"),
        ("dog/Training/3", 1, "train"),
        ("dog/valid/4", 1, "val"),
    }
    assert reasons(catalog) == {"dog/note.txt": "is outside a class folder"}


def test_a_folder_that_stands_alone_is_passed_through(tmp_path: Path) -> None:
    catalog = scan(make(tmp_path, ["photos/photos/cat/1", "photos/photos/dog/2", "README.txt"]))
    assert [(p.path, p.label, p.side) for p in catalog.pictures] == [
        ("photos/photos/cat/1", 0, None),
        ("photos/photos/dog/2", 1, None),
    ]
    assert reasons(catalog) == {"README.txt": "is outside a class folder"}
    assert catalog.class_of("photos/photos/dog/2") == "dog"


def test_a_class_of_the_model_is_no_wrapper_and_no_side(tmp_path: Path) -> None:
    root = make(tmp_path, ["one/cat/2019/1", "one/cat/2020/2", "two/train/1", "two/test/2"])
    assert scan(root / "one", known=("cat", "dog")).classes == ("cat",)
    assert scan(root / "two", known=("train", "test")).classes == ("test", "train")


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["seg_train/a/1", "seg_test/a/1", "seg_pred/a/1"], "has seg_test, seg_train, which look like the sides"),
        (["dev/a/1", "eval/a/1"], "has dev, eval, which look like the sides"),
        (["Training/a/1", "Training/b/1", "Query/a/1", "Query/b/1"], "has Training, Query, which look like the sides"),
        (
            ["photos/Training/a/1", "photos/Test/a/1", "more/1"],
            "photos holds Test, Training, which look like the sides",
        ),
        (
            [f"{fold}/{side}/{name}/1" for fold in ("one", "two") for side in ("train", "test") for name in "ab"],
            "one holds test, train, which look like the sides",
        ),
        (["only/train/a/1", "only/train/b/1"], "data/only/train itself"),
    ],
)
def test_what_looks_like_sides_is_refused_with_what_to_do(tmp_path: Path, paths: list[str], message: str) -> None:
    assert message in complaint(make(tmp_path, paths))


def test_model_folders_are_no_classes_and_are_named(tmp_path: Path) -> None:
    model = ["config.json", "model.safetensors", "thumbnails/01.jpg"]
    root = make(
        tmp_path,
        ["a/1", "a/2", "b/1", "b/2", "out/x"]
        + [f"{place}/{name}" for place in ("m", "a/deep/m", "models/one", "models/two") for name in model],
    )
    catalog = scan(root, leave_out=root / "out")
    assert catalog.classes == ("a", "b")
    assert [picture.path for picture in catalog.pictures] == ["a/1", "a/2", "b/1", "b/2"]
    assert catalog.quarantine == ()
    assert {bad.path: bad.reason for bad in catalog.left_out} == {
        "m/": "a model folder",
        "a/deep/m/": "a model folder",
        "models/": "holds only folders that Pellucid wrote",
        "out/": "the model folder of this training",
    }
    check(catalog)


def test_a_model_folder_beside_sides(tmp_path: Path) -> None:
    root = make(tmp_path, ["train/a/1", "test/a/1", "model/config.json", "model/model.safetensors"])
    assert {picture.side for picture in scan(root).pictures} == {"train", "test"}


def test_names_that_are_equal_composed_are_one_class(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    assert composed != decomposed
    catalog = scan(make(tmp_path, [f"train/{composed}/1", f"test/{decomposed}/2", "train/bar/3"]))
    assert catalog.classes == ("bar", composed)
    assert [(p.path, p.label) for p in catalog.pictures][1:] == [
        (f"test/{decomposed}/2", 1),
        (f"train/{composed}/1", 1),
    ]
    assert catalog.class_of(f"test/{decomposed}/2") == composed


def test_names_that_hardly_differ_are_told(tmp_path: Path) -> None:
    catalog = scan(make(tmp_path, ["Cat/1", "cat/1", "dog/1", "dog /1", "New York/1", "New_York/1", "owl/1"]))
    assert catalog.alike == (("Cat", "cat"), ("dog", "dog "), ("New York", "New_York"))


def test_a_class_folder_that_links_to_what_holds_it(tmp_path: Path) -> None:
    root = make(tmp_path, ["cat/1", "dog/1"])
    (root / "owl").symlink_to(root)
    catalog = scan(root)
    assert catalog.classes == ("cat", "dog")
    assert reasons(catalog) == {"owl/": "a link to a folder that contains it"}


def test_classes_are_in_natural_order(tmp_path: Path) -> None:
    names = ["10", "9", "b2", "B10", "a", "_", "2x", "²"]
    assert scan(make(tmp_path, [name + "/" for name in names])).classes == (
        "2x", "9", "10", "_", "a", "b2", "B10", "²",
    )  # fmt: skip


def test_the_systems_files_are_counted_only(tmp_path: Path) -> None:
    root = make(
        tmp_path,
        ["cat/1", "dog/1", ".git/a", ".git/b", "cat/.DS_Store", "cat/Thumbs.db", "dog/desktop.ini", "__MACOSX/cat/1"],
    )
    catalog = scan(root)
    assert catalog.classes == ("cat", "dog")
    assert len(catalog.pictures) == 2
    assert catalog.quarantine == ()
    assert catalog.ignored == 5  # a hidden folder counts as one


def test_what_no_picture_can_be(tmp_path: Path) -> None:
    root = make(tmp_path, ["cat/1", "dog/1", "pairs.csv"])
    (root / "cat/broken").symlink_to(root / "nothing")
    (root / "cat/self").symlink_to(root / "cat/self")
    os.mkfifo(root / "dog/pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        place = os.getcwd()
        os.chdir(root / "dog")  # a socket's path may have 107 characters only
        try:
            listener.bind("plug")
        finally:
            os.chdir(place)
        catalog = scan(root)
    assert reasons(catalog) == {
        "cat/broken": "a broken link",
        "cat/self": "a broken link",
        "dog/pipe": "not a regular file (a pipe, a socket or a device)",
        "dog/plug": "not a regular file (a pipe, a socket or a device)",
        "pairs.csv": "is outside a class folder",
    }
    assert len(catalog.pictures) == 2


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "e").touch()
    root = make(tmp_path, ["cat/1", "dog/deep/2"])
    (root / "cat/a_loop").symlink_to(root)
    (root / "dog/deep/up").symlink_to(root / "dog")
    (root / "cat/more").symlink_to(elsewhere)
    (root / "owl").symlink_to(elsewhere)
    (root / "dog/file").symlink_to(elsewhere / "e")
    catalog = scan(root)
    assert catalog.classes == ("cat", "dog", "owl")
    paths = [picture.path for picture in catalog.pictures]
    assert {"cat/1", "cat/more/e", "dog/deep/2", "dog/file", "owl/e"} <= set(paths)
    assert reasons(catalog)["dog/deep/up/"] == "a link to a folder that was read already"


def test_a_folder_that_may_not_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path, ["cat/1", "cat/2", "dog/1", "dog/secret/2"])
    secret = root / "dog/secret"
    secret.chmod(0)
    if os.geteuid() == 0:  # root may: let the system's answer be the one others get
        scandir = os.scandir

        def refuse(path: os.PathLike[str]) -> object:
            if Path(path) == secret:
                raise PermissionError(13, "Permission denied")
            return scandir(path)

        monkeypatch.setattr("pellucid.pictures.catalog.os.scandir", refuse)
    try:
        catalog = scan(root)
        assert reasons(catalog) == {"dog/secret/": "a folder without read permission"}
        assert "dog has 1 (1 in quarantine)" in complaint(root)
    finally:
        secret.chmod(0o700)


def test_complaints(tmp_path: Path) -> None:
    root = make(tmp_path, ["few/dog/1", "few/cat/1", "few/cat/2", "few/owl/"])
    assert "does not exist" in complaint(tmp_path / "nothing")
    assert "is not a folder" in complaint(root / "few/dog/1")
    assert "found nothing" in complaint(root / "few/owl")
    assert "found 2 files, but no class folder" in complaint(root / "few/cat")
    assert "DIR/train/CLASS/picture" in complaint(root / "few/cat")
    make(tmp_path / "one", ["few/dog/1", "few/cat.jpg", "few/cat/2"])
    one = complaint(tmp_path / "one/data")
    assert "only one class, few (3 usable pictures)" in one
    assert "Sides" not in one
    few = complaint(root / "few")
    assert "dog has 1 (0 in quarantine), owl has 0 (0 in quarantine)" in few
    assert "cat" not in few.removeprefix(f"Every class needs at least 2 usable pictures: in {root}")


def test_a_side_alone_or_beside_a_class(tmp_path: Path) -> None:
    root = make(tmp_path, ["train/cat/1", "train/dog/1"])
    assert "Sides of a split need" in complaint(root)
    make(tmp_path, ["test/cat/1", "labels/1"])
    assert "test, train, which look like the sides of a split, beside labels" in complaint(root)


def test_quarantined_pictures_are_counted_for_their_class(tmp_path: Path) -> None:
    pictures = (Picture("train/cat/1", 0, "train"), Picture("train/cat/2", 0, "train"))
    bad = (Quarantined("test/dog/1", "x"), Quarantined("train/dog/2", "x"), Quarantined("train/3", "x"))
    with pytest.raises(CatalogError, match=r"dog has 0 \(2 in quarantine\)"):
        check(Catalog(tmp_path, ("cat", "dog"), pictures, bad, 0))


def test_contradictions() -> None:
    pictures = [
        Picture(path, label, None) for path, label in [("a/1", 0), ("a/2", 0), ("a/3", 0), ("b/1", 1), ("b/2", 1)]
    ]
    assert contradictions(pictures, ["x", "x", "y", "z", "z"], ("a", "b")) == {}  # copies within a class
    assert contradictions(pictures, ["x", "x", "y", "z", "x"], ("a", "b")) == {
        0: "the same file is also in class b: b/2",
        1: "the same file is also in class b: b/2",
        4: "the same file is also in class a: a/1",
    }


def test_a_picture_takes_little_memory() -> None:
    assert not hasattr(Picture("a/b", 0, None), "__dict__")
