"""Tables in the forms of people and programs, and the result for each row. Pictures are only named, not opened."""

import csv
import json
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from pellucid.errors import CatalogError
from pellucid.pictures.catalog import Catalog, Picture, check
from pellucid.pictures.table import read
from pellucid.pictures.tabular import Columns

TEXT = st.characters(codec="utf-8", exclude_characters="\0/\\")
ROWS = [("b.png", "dog", ""), ("a.png", "cat", "train"), ("c, d.png", "cat", "test")]
EXPECTED = [Picture("a.png", 0, "train"), Picture("c, d.png", 0, "test"), Picture("b.png", 1, None)]


def csv_of(
    rows: list[tuple[str, ...]], delimiter: str = ",", header: tuple[str, ...] = ("path", "label", "split")
) -> str:
    def quoted(cell: str) -> str:
        return f'"{cell}"' if any(letter in cell for letter in ",;\t|\n") else cell

    return "".join(delimiter.join(map(quoted, row)) + "\r\n" for row in [header, *rows])


def write(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / name


def jsonl(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def parquet_of(file: Path, columns: dict[str, list[Any]]) -> Path:
    parquet.write_table(pyarrow.table(columns), file)
    return file


def complaint(call: Callable[[], Any]) -> str:
    with pytest.raises(CatalogError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def reasons(catalog: Catalog) -> dict[str, str]:
    return {bad.path: bad.reason for bad in catalog.quarantine}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_csv_as_programs_write_it(tmp_path: Path, delimiter: str, encoding: str) -> None:
    catalog = read(write(tmp_path, csv_of(ROWS, delimiter).encode(encoding)))
    assert catalog.classes == ("cat", "dog")
    assert catalog.pictures == EXPECTED
    assert (catalog.root, catalog.table, catalog.quarantine) == (tmp_path, str(tmp_path / "table.csv"), ())


def test_excels_hint_a_quoted_newline_and_spaces_behind_commas(tmp_path: Path) -> None:
    catalog = read(write(tmp_path, 'sep=;\nPath; Label ;note\n"a\nb.png"; cat ;"x; y"\n\nc.png;dog;\n'))
    assert catalog.pictures == [Picture("a\nb.png", 0, None), Picture("c.png", 1, None)]
    assert catalog.classes == ("cat", "dog")


def test_the_header_decides_the_delimiter_not_the_cells(tmp_path: Path) -> None:
    catalog = read(write(tmp_path, 'path;label\na;b.png,x;y\nc,d.png;"e;f"\n'))
    assert reasons(catalog) == {"table.csv, line 2": "3 cells, where the header has 2"}
    assert catalog.classes == ("e;f",)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.text(TEXT, min_size=1).filter(str.strip), st.text(TEXT, min_size=1).filter(str.strip)),
        min_size=1,
        max_size=8,
        unique_by=lambda row: row[0],
    ),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_any_text_passes_through_a_csv(
    tmp_path: Path, rows: list[tuple[str, str]], delimiter: str, end: str, encoding: str
) -> None:
    table = tmp_path / "table.csv"
    with table.open("w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
        writer.writerows([("path", "label"), *rows])
    catalog = read(table)
    results = {picture.path: catalog.classes[picture.label] for picture in catalog.pictures}
    assert results == {path: unicodedata.normalize("NFC", label.strip()) for path, label in rows}
    assert catalog.quarantine == ()


def test_an_old_encoding(tmp_path: Path) -> None:
    write(tmp_path, b"", "café.png")
    (tmp_path / "table.csv").write_bytes("path,label\ncafé.png,crème\n".encode("cp1252"))
    catalog = read(tmp_path / "table.csv")
    assert catalog.classes == ("crème",)
    assert catalog.pictures == [Picture("café.png", 0, None)]


def test_a_file_that_is_called_otherwise_than_the_table_says(tmp_path: Path) -> None:
    write(tmp_path, b"", "in/e\u0301.png")
    catalog = read(write(tmp_path, "path,label\nin\\\u00e9.png,a\nnot\\there.png,a\n"))
    assert list(catalog.pictures.paths) == ["in/e\u0301.png", "not\\there.png"]


def test_jsonl_and_parquet_say_the_same(tmp_path: Path) -> None:
    rows = [{"path": path, "label": label, "split": split or None, "more": [1]} for path, label, split in ROWS]
    assert read(write(tmp_path, jsonl(*rows), "t.jsonl")).pictures == EXPECTED
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    assert read(parquet_of(tmp_path / "t.parquet", columns)).pictures == EXPECTED


def test_what_a_file_holds_counts_not_its_name(tmp_path: Path) -> None:
    content = jsonl({"path": "a.png", "label": 3})
    assert read(write(tmp_path, content, "t.txt")).classes == ("3",)
    assert read(write(tmp_path, b"\xef\xbb\xbf" + content.encode(), "u.csv")).classes == ("3",)


def test_labels_are_text_or_whole_numbers_in_natural_order(tmp_path: Path) -> None:
    values = [10, 9, "9", 2.0, True, "e\u0301", " cat ", 1.5, None, float("nan"), "", {"a": 1}, ["x"]]
    table = write(tmp_path, jsonl(*({"path": f"{n}.png", "label": value} for n, value in enumerate(values))), "t")
    catalog = read(table)
    assert catalog.classes == ("2", "9", "10", "cat", "true", "x", "é")
    assert {picture.path: catalog.classes[picture.label] for picture in catalog.pictures}["2.png"] == "9"
    missing = "the table has no label for it"
    assert reasons(catalog) == {
        "7.png": "its label is neither text nor a whole number: 1.5",
        "8.png": missing,
        "9.png": missing,
        "10.png": missing,
        "11.png": "its label is neither text nor a whole number: {'a': 1}",
    }


def test_whole_numbers_in_parquet_with_gaps(tmp_path: Path) -> None:
    columns = {"path": ["a", "b", "c", "d"], "label": [1.0, None, 0.0, 10.0]}
    catalog = read(parquet_of(tmp_path / "t.parquet", columns))
    assert catalog.classes == ("0", "1", "10")
    assert reasons(catalog) == {"b": "the table has no label for it"}


def test_paths_that_are_none(tmp_path: Path) -> None:
    values = ["", None, 5, "a\0b", "\ud800.png", "ok.png"]
    table = write(tmp_path, jsonl(*({"path": value, "label": "a"} for value in values)), "t.jsonl")
    catalog = read(table)
    assert list(catalog.pictures.paths) == ["ok.png"]
    assert [bad.reason[:16] for bad in catalog.quarantine] == [
        "the table has no",
        "the table has no",
        "its path is not ",
        "its path holds a",
        "its path holds a",
    ]
    assert reasons(catalog)["t.jsonl, line 3"] == "its path is not text: 5"


def test_absolute_paths_and_detours_are_the_same_picture(tmp_path: Path) -> None:
    rows = [("./in//a.png", "cat", ""), (str(tmp_path / "in" / "a.png"), "cat", ""), ("/elsewhere/b.png", "cat", "")]
    catalog = read(write(tmp_path, csv_of(rows)))
    assert list(catalog.pictures.paths) == ["/elsewhere/b.png", "in/a.png"]
    assert catalog.repeated == 1


@pytest.mark.parametrize(
    ("value", "side"),
    [("Train", "train"), ("TRAINING", "train"), ("valid", "val"), ("dev", "val"), (" validation ", "val"), ("", None)],
)
def test_sides_in_any_case(tmp_path: Path, value: str, side: str | None) -> None:
    assert read(write(tmp_path, csv_of([("a.png", "cat", value)]))).pictures[0].side == side


@pytest.mark.parametrize(("beside", "side"), [("val", "test"), ("test", "val")])
def test_eval_is_the_side_that_is_not_there(tmp_path: Path, beside: str, side: str) -> None:
    catalog = read(write(tmp_path, csv_of([("a", "x", "eval"), ("b", "x", beside)])))
    assert catalog.pictures[0].side == side


def test_what_is_no_side_is_named(tmp_path: Path) -> None:
    table = write(tmp_path, csv_of([("a.png", "cat", "train"), ("b.png", "cat", "fold 3")]))
    assert complaint(lambda: read(table)) == (
        f"{table}, line 3: split is 'fold 3'; it must be train, val or test, or empty where it may be any."
    )


@pytest.mark.parametrize("value", [1.5, ["train"], {"a": 1}, "\ud800", 0])
def test_what_is_no_text_is_no_side(tmp_path: Path, value: Any) -> None:
    table = write(tmp_path, jsonl({"path": "a", "label": "x", "split": value}), "t.jsonl")
    assert "line 1: split is " in complaint(lambda: read(table))


def test_what_is_no_text_names_no_class_and_no_group(tmp_path: Path) -> None:
    rows = [
        {"path": "a", "label": "\ud800"},
        {"path": "b", "label": "x", "group": "\ud800"},
        {"path": "c", "label": ["x", "x"]},
    ]
    catalog = read(write(tmp_path, jsonl(*rows), "t.jsonl"))
    assert reasons(catalog) == {
        "a": "its label is neither text nor a whole number: '\\ud800'",
        "b": "its group is not text: '\\ud800'",
    }
    assert list(catalog.pictures.paths) == ["c"]


def test_groups_of_any_kind_become_numbers(tmp_path: Path) -> None:
    groups = ["p1", "", "p1", " p2 ", None, 7, 7.0]
    table = write(
        tmp_path, jsonl(*({"path": str(n), "label": "a", "group": group} for n, group in enumerate(groups))), "t"
    )
    numbers = [picture.group for picture in read(table).pictures]
    assert numbers[0] == numbers[2] != numbers[3]
    assert numbers[5] == numbers[6]
    assert [n for n, number in enumerate(numbers) if number < 0] == [1, 4]
    assert len(set(numbers)) == 4


def test_one_picture_with_two_labels_two_sides_or_two_groups(tmp_path: Path) -> None:
    two = write(tmp_path, csv_of([("a", "cat", ""), ("b", "cat", ""), ("a", "dog", "")]))
    assert complaint(lambda: read(two)) == (
        f"{two} gives a two labels, cat and dog. Keep one of them, or train with --labels several."
    )
    listed = write(tmp_path, jsonl({"path": "a", "label": ["x", "y"]}), "list.jsonl")
    assert "list.jsonl gives a two labels, x and y." in complaint(lambda: read(listed))
    sides = write(tmp_path, csv_of([("a", "cat", "train"), ("a", "cat", "test")]))
    assert "puts a on two sides, test and train. Keep one of them." in complaint(lambda: read(sides))
    groups = write(tmp_path, csv_of([("a", "cat", "x"), ("a", "cat", "y")], header=("path", "label", "group")))
    assert "puts a in two groups, y and x. Keep one of them." in complaint(lambda: read(groups))


def test_a_picture_that_is_listed_again_counts_once_with_what_any_row_says(tmp_path: Path) -> None:
    catalog = read(
        write(tmp_path, csv_of([("a", "cat", ""), ("b", "dog", ""), ("a", "cat", "test"), ("a", "cat", "")]))
    )
    assert catalog.pictures == [Picture("a", 0, "test"), Picture("b", 1, None)]
    assert catalog.repeated == 2


def test_several_labels(tmp_path: Path) -> None:
    several = Columns(several=True)
    table = write(tmp_path, csv_of([("a", "dog | cat|", ""), ("b", "", ""), ("c", "owl", ""), ("a", "owl", "")]))
    catalog = read(table, several)
    assert catalog.several
    assert catalog.classes == ("cat", "dog", "owl")
    assert catalog.pictures == [
        Picture("b", -1, None),
        Picture("a", 0, None, (1, 2)),
        Picture("c", 2, None),
    ]
    assert catalog.pictures.counts(3).tolist() == [1, 1, 2]
    listed = jsonl({"path": "a", "label": ["x", 2]}, {"path": "b", "label": []}, {"path": "c"})
    catalog = read(write(tmp_path, listed, "t.jsonl"), several)
    assert catalog.pictures == [Picture("b", -1, None), Picture("a", 0, None, (1,))]
    assert reasons(catalog) == {"c": "the table has no label for it"}


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    table = write(tmp_path, "image,species\na.png,cat\n")
    there = "Its columns are 'image', 'species'."
    assert f"{table} has no column 'path' or 'file_name'. {there}" in complaint(lambda: read(table))
    columns = Columns(path="image")
    assert f"{table} has no column 'label'. {there} Name one of them with --label-column." in complaint(
        lambda: read(table, columns)
    )
    assert "no column 'patient'" in complaint(lambda: read(table, Columns("image", "species", group="patient")))
    assert read(table, Columns("image", "species")).classes == ("cat",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a folder, and as a table it is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is neither a folder nor a table"),
        (b'[{"path": "a", "label": "b"}]', "is one JSON array"),
        (b'{"path": "a", "label": "b"}\n{"path": "c"', "line 2"),
        (b'{"path": "a", "label": "b"}\n[1]\n', "line 2 is not an object"),
        (b'path,label\na,b\n"c,d\n', "cannot be read as CSV: line 3"),
        (b"PAR1 and nothing else", "is not a readable Parquet file"),
        ("path,label\n".encode("utf-16") + b"a", "is not utf-16-le text throughout"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(tmp_path: Path, content: bytes, message: str) -> None:
    table = write(tmp_path, content)
    assert message in complaint(lambda: read(table))


def test_parquet_without_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'pellucid[tables]'" in complaint(lambda: read(write(tmp_path, b"PAR1....PAR1", "t.parquet")))


def test_too_few_pictures_are_said_of_the_table(tmp_path: Path) -> None:
    one = write(tmp_path, csv_of([("a", "cat", ""), ("b", "cat", "")]))
    assert complaint(lambda: check(read(one))).startswith(f"{one} has only one class, cat (2 usable pictures)")
    few = write(tmp_path, csv_of([("a", "cat", ""), ("b", "dog", ""), ("c", "dog", "")]))
    message = complaint(lambda: check(read(few)))
    assert f"in {few}, cat has 1" in message
    assert message.endswith("Add pictures, or remove the class from the table.")
    none = write(tmp_path, csv_of([("a", "", ""), ("b", "", "")]))
    assert complaint(lambda: check(read(none))) == (
        f"{none} lists no labelled picture. The most common reason in quarantine, 2 files: the table has no label for "
        "it."
    )


def test_an_image_folder_of_hugging_face(tmp_path: Path) -> None:
    for name in ("train/a.png", "train/b.png", "test/c.png", "test/new.png", "train/Thumbs.db"):
        write(tmp_path, name, name)
    rows = [{"file_name": name, "label": 1} for name in ("train/a.png", "train/b.png", "test/c.png", "test/gone.png")]
    write(tmp_path, jsonl(*rows), "metadata.jsonl")
    catalog = read(tmp_path)
    assert [(picture.path, picture.side) for picture in catalog.pictures] == [
        ("test/c.png", "test"),
        ("test/gone.png", "test"),
        ("train/a.png", "train"),
        ("train/b.png", "train"),
    ]
    assert reasons(catalog) == {"test/new.png": "is not listed in metadata.jsonl"}
    assert catalog.ignored == 1
    assert catalog.root == tmp_path


def test_metadata_in_each_side(tmp_path: Path) -> None:
    for side in ("train", "validation"):
        write(tmp_path, "", f"{side}/1.png")
        write(tmp_path, "file_name,label\n1.png,x\n", f"{side}/metadata.csv")
    write(tmp_path, "", "test/2.png")  # as a competition's, without labels
    catalog = read(tmp_path)
    assert catalog.pictures == [Picture("train/1.png", 0, "train"), Picture("validation/1.png", 0, "val")]
    assert reasons(catalog) == {"test/2.png": "is not listed in train/metadata.csv or validation/metadata.csv"}


def test_metadata_of_one_side_alone(tmp_path: Path) -> None:
    write(tmp_path, "", "train/1.png")
    write(tmp_path, "file_name,label\n1.png,x\n", "train/metadata.csv")
    write(tmp_path, "", "test/2.png")
    (tmp_path / ".git").mkdir()
    catalog = read(tmp_path)
    assert catalog.pictures == [Picture("train/1.png", 0, "train")]
    assert reasons(catalog) == {"test/2.png": "is not listed in train/metadata.csv"}


def test_metadata_without_labels_beside_class_folders_is_no_table(tmp_path: Path) -> None:
    write(tmp_path, "file_name,text\ncat/1.png,a cat\n", "metadata.csv")
    for name in ("cat/1.png", "dog/2.png"):
        write(tmp_path, name, name)
    assert read(tmp_path).classes == ("cat", "dog")
    (tmp_path / "dog" / "2.png").rename(tmp_path / "cat" / "2.png")
    (tmp_path / "dog").rmdir()
    assert "metadata.csv has no column 'label'" in complaint(lambda: read(tmp_path))


def test_a_folder_of_class_folders_stays_what_it_was(tmp_path: Path) -> None:
    for name in ("cat/1.png", "dog/2.png", "table.csv"):
        write(tmp_path, name, name)
    catalog = read(tmp_path)
    assert (catalog.table, catalog.classes, reasons(catalog)) == (
        None,
        ("cat", "dog"),
        {"table.csv": "is outside a class folder"},
    )
    assert "does not exist" in complaint(lambda: read(tmp_path / "gone.csv"))
