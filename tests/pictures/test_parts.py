"""Folders that hold the same folders: refused, unless their names or classes.txt show which are the classes."""

from pathlib import Path

import pytest

from pellucid.errors import CatalogError
from pellucid.pictures.catalog import Catalog, check, scan
from pellucid.pictures.parts import alike, declared


def make(root: Path, tops: str, inner: str, *more: str) -> Path:
    """A file in each of the `inner` folders of each of the `tops`, and `more` files, below root/photos."""
    for path in (
        *(f"{top}/{name}/{number}" for top in tops.split() for name in inner.split() for number in "12"),
        *more,
    ):
        place = root / "photos" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(path)
    return root / "photos"


def refused(root: Path) -> str:
    with pytest.raises(CatalogError) as caught:
        check(scan(root))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def checked(root: Path) -> Catalog:
    catalog = scan(root)
    check(catalog)
    return catalog


@pytest.mark.parametrize(
    ("tops", "inner"),
    [
        ("fold1 fold2", "cat dog"),
        ("part1 part2", "cat dog"),
        ("batch_1 batch_2 batch_3", "cat dog"),
        ("Trainingsdaten Testdaten", "cat dog"),
        ("Trainingsdaten Testdaten", "0 1 2 3 4 5 6 7 8 9"),
        ("entrenamiento prueba", "gato perro"),
        ("2019 2020", "cat dog"),
        ("2019 2020", "left right"),
        ("fold1 fold2", "left right"),
        ("part-a part-b", "2019 2020"),
        ("amazon dslr webcam", "bike mug pen"),
        ("benign malignant", "40X 100X"),
        ("fold1/images fold2/images", "cat dog"),
        ("fold1/fold1 fold2/fold2", "cat dog"),
        ("all/fold1 all/fold2", "cat dog"),
    ],
)
def test_both_readings_are_named(tmp_path: Path, tops: str, inner: str) -> None:
    message = refused(make(tmp_path, tops, inner))
    assert "either may be the classes" in message
    assert str(tmp_path / "photos/classes.txt") in message
    for name in [*tops.split()[:2], *inner.split()[:2]]:
        assert name.removeprefix("all/").split("/")[0] in message


@pytest.mark.parametrize("more", [["misc/1.jpg", "misc/2.jpg"], ["labels/x.txt"], ["fold1/owl/1"]])
def test_nearly_all_is_enough(tmp_path: Path, more: list[str]) -> None:
    message = refused(make(tmp_path, "fold1 fold2", "cat dog", *more))
    assert "has fold1, fold2, and both hold cat, dog" in message
    assert ("owl" in message) == ("owl" in more[0])


@pytest.mark.parametrize(
    ("tops", "inner"),
    [("cat dog", "left right"), ("0 1 2", "left right"), ("cat dog", "2019 2020"), ("cat dog", "2019-05 2020_11")],
)
def test_years_and_views_divide_classes(tmp_path: Path, tops: str, inner: str) -> None:
    assert checked(make(tmp_path, tops, inner)).classes == tuple(sorted(tops.split()))


@pytest.mark.parametrize(
    "inside",
    [
        {"cat": {""}, "dog": {""}},
        {"cat": {"images"}, "dog": {"images"}},
        {"cat": {"p1", "p2"}, "dog": {"p3", "p4"}},
        {"cat": {"", "sunny", "rainy"}, "dog": {"", "sunny", "rainy"}},
        {
            "potato": {"healthy", "early", "late"},
            "tomato": {"healthy", "early", "late", "mosaic", "mites", "spot", "mould"},
            "pepper": {"healthy", "spot"},
        },
        {"cat": {"x", "y"}, "dog": {"x", "y"}, "owl": {""}, "fox": {""}},
        {"cat": {"x", "y"}},
        {"cat": set(), "dog": set()},
        {},
    ],
)
def test_other_folders_are_classes(inside: dict[str, set[str]]) -> None:
    assert alike(inside) is None


@pytest.mark.parametrize(
    "text", [b"cat\ndog\n", b"\xef\xbb\xbfdog\r\ncat", "cat\ndog\n".encode("utf-16"), b"cat\rdog/\r"]
)
@pytest.mark.parametrize("tops", ["fold1 fold2", "all/fold1 all/fold2", "fold1/images fold2/images"])
def test_classes_in_parts(tmp_path: Path, tops: str, text: bytes) -> None:
    root = make(tmp_path, tops, "cat dog", "misc/3.jpg") if "all" not in tops else make(tmp_path, tops, "cat dog")
    (root / "classes.txt").write_bytes(text)
    catalog = checked(root)
    assert catalog.classes == ("cat", "dog")
    assert [picture.path for picture in catalog.pictures if picture.label == 0] == [
        f"{top}/cat/{number}" for top in tops.split() for number in "12"
    ]
    assert {picture.side for picture in catalog.pictures} == {None}
    assert [bad.path for bad in catalog.quarantine] == ([] if "all" in tops else ["misc/3.jpg"])


def test_classes_that_hold_the_same(tmp_path: Path) -> None:
    root = make(tmp_path, "benign malignant", "40X 100X")
    (root / "classes.txt").write_text("malignant\nbenign\n")
    catalog = checked(root)
    assert catalog.classes == ("benign", "malignant")
    assert len(catalog.pictures) == 8
    assert catalog.quarantine == ()


def test_classes_may_be_called_train_and_test(tmp_path: Path) -> None:
    root = make(tmp_path, "train test", "steam electric")
    assert checked(root).classes == ("electric", "steam")
    (root / "classes.txt").write_text("train\ntest\n")
    assert checked(root).classes == ("test", "train")


def test_a_list_that_fits_neither_is_told(tmp_path: Path) -> None:
    root = make(tmp_path, "fold1 fold2", "cat dog")
    (root / "classes.txt").write_text("cat\n")
    assert "match neither" in refused(root)


def test_another_file_of_that_name_changes_nothing(tmp_path: Path) -> None:
    root = make(tmp_path, "cat dog", "images")
    (root / "classes.txt").write_text("1 cat\n2 dog\n")
    catalog = checked(root)
    assert catalog.classes == ("cat", "dog")
    assert [bad.path for bad in catalog.quarantine] == ["classes.txt"]
    (root / "classes.txt").write_bytes(b"\xff\xfe\x00")
    assert declared(root) == frozenset()


def test_parts_are_read_as_the_models_classes(tmp_path: Path) -> None:
    root = make(tmp_path, "monday tuesday", "cat dog")
    assert scan(root, known=("cat", "dog", "owl")).classes == ("cat", "dog")
    assert scan(root, known=("cat", "owl")).classes == ("monday", "tuesday")
