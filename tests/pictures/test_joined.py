"""Pictures in several class folders have all of their labels."""

from pathlib import Path

import pytest

from pellucid.errors import CatalogError
from pellucid.pictures import catalog as catalogs
from pellucid.pictures import table
from pellucid.pictures.joined import hint, joined
from pellucid.pictures.tabular import Columns


def put(root: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def labels_of(root: Path) -> dict[str, str]:
    catalog = joined(catalogs.scan(root))
    assert catalog.several
    return {picture.path: catalog.classes_of(picture).replace("\0", " ") for picture in catalog.pictures}


def test_the_same_bytes_in_two_folders_are_one_picture(tmp_path: Path) -> None:
    files = {"cat/1.png": b"one", "dog/1.png": b"one", "dog/2.png": b"two", "owl/9.png": b"one", "owl/3.png": b"owl"}
    assert labels_of(put(tmp_path, files)) == {"cat/1.png": "cat dog owl", "dog/2.png": "dog", "owl/3.png": "owl"}


def test_names_and_sizes_alone_say_nothing(tmp_path: Path) -> None:
    assert labels_of(put(tmp_path, {"cat/1.png": b"one", "dog/1.png": b"eno"})) == {
        "cat/1.png": "cat",
        "dog/1.png": "dog",
    }


def test_copies_in_one_folder_stay_two_pictures(tmp_path: Path) -> None:
    files = {"cat/1.png": b"one", "cat/2.png": b"one", "dog/1.png": b"dog"}
    assert labels_of(put(tmp_path, files)) == {"cat/1.png": "cat", "cat/2.png": "cat", "dog/1.png": "dog"}


def test_copies_on_two_sides_stay_apart(tmp_path: Path) -> None:
    files = {"train/cat/1.png": b"one", "train/dog/2.png": b"two", "test/cat/3.png": b"x", "test/dog/1.png": b"one"}
    assert labels_of(put(tmp_path, files))["train/cat/1.png"] == "cat"
    assert labels_of(tmp_path)["test/dog/1.png"] == "dog"


def test_a_class_with_the_separator_in_its_name_is_refused(tmp_path: Path) -> None:
    put(tmp_path, {"a|b/1.png": b"one", "dog/1.png": b"dog"})
    with pytest.raises(CatalogError, match=r"The class 'a\|b' of .* has a \| in its name, .* Rename the class\."):
        joined(catalogs.scan(tmp_path))


def test_names_that_look_like_several_labels_are_told(tmp_path: Path) -> None:
    put(tmp_path, {"a|b/1.png": b"one", "a/1.png": b"two", "b/1.png": b"three"})
    (report,) = hint(catalogs.scan(tmp_path))
    assert report.startswith("class 'a|b' is one class here; --labels several")
    assert hint(catalogs.scan(put(tmp_path / "other", {"x|y/1.png": b"one", "z/1.png": b"two"}))) == ()


def test_a_table_says_its_labels_itself(tmp_path: Path) -> None:
    put(tmp_path, {"1.png": b"one", "2.png": b"two", "3.png": b"one"})
    (tmp_path / "t.csv").write_text("path,label\n1.png,a|b\n2.png,\n3.png,b\n")
    catalog = table.read(tmp_path / "t.csv", Columns(several=True))
    assert joined(catalog) is catalog
    digests = ["one", "two", "one"]
    pictures = sorted(catalog.pictures, key=lambda picture: picture.path)
    reasons = catalogs.contradictions(pictures, digests, catalog.classes)
    assert reasons == {
        0: "the same file is also in class b: 3.png",
        2: "the same file also has the labels a, b: 1.png",
    }
