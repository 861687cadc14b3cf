"""The plain parts of tables as columns: the same catalog as row by row."""

import random
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from pellucid.errors import CatalogError
from pellucid.pictures import plain, tabular
from pellucid.pictures.table import read
from pellucid.pictures.tabular import Columns, Row, open_table

ODD = {
    "path": [
        *("", "  ", " x.png", "./a/1.png", "a//2.png", "/a/b.png", "é.png", "a\\b.png", "s3://b/k.png", "x.png "),
        *('"q, r"', '"two\nlines.png"', 'ab"c.png', "\udcff.png"),
    ],
    "label": ["", "  ", " cat", '"dog"', "é", "e\u0301", "\udce9", "cat|dog", "5", 'a"b', '"x""y"'],
    "split": ["fold 3", "Train", '"val"', "eval"],
    "group": ["", " g", '"g h"', "é"],
}
USUAL = {"label": ["cat", "dog", "10", "9"], "split": ["train", "test", ""], "group": ["", "p1", "p2"]}


def made(chance: random.Random, odd: float) -> bytes:
    """A CSV of some rows, in which a share of the cells and lines is odd."""
    roles = ["path", "label", *(role for role in ("split", "group") if chance.random() < 0.5)]
    chance.shuffle(roles)
    delimiter, newline = chance.choice(",;\t"), chance.choice(["\n", "\r\n"])

    def cell(role: str) -> str:
        if chance.random() < odd / (4 if role == "split" else 1):
            return chance.choice(ODD[role])
        return f"{chance.choice('abc')}/{chance.randrange(5000)}.png" if role == "path" else chance.choice(USUAL[role])

    lines = [delimiter.join(roles)]
    for _ in range(chance.choice([0, 1, 40])):
        row = [cell(role) for role in roles]
        if chance.random() < odd / 3:
            row = row[:-1] if chance.random() < 0.5 else [*row, "more"]
        lines += [delimiter.join(row), *([""] if chance.random() < odd / 4 else [])]
    text = "".join(line + (newline if chance.random() > odd / 10 else "\r") for line in lines)
    text = text.rstrip("\r\n") if chance.random() < 0.3 else text
    return (b"\xef\xbb\xbf" if chance.random() < 0.1 else b"") + text.encode("utf-8", "surrogateescape")


def outcome(file: Path, several: bool) -> Any:
    try:
        catalog = read(file, Columns(several=several))
    except CatalogError as error:
        return str(error)
    return catalog.classes, list(catalog.pictures), catalog.quarantine, catalog.repeated


@pytest.mark.parametrize("odd", [0, 0.02, 0.3])
def test_a_csv_in_parts_is_the_csv_row_by_row(tmp_path: Path, odd: float, monkeypatch: pytest.MonkeyPatch) -> None:
    chance, file = random.Random(odd), tmp_path / "table.csv"
    monkeypatch.setattr(plain, "BLOCK", 90)
    read_ones = 0
    for _ in range(150):
        file.write_bytes(made(chance, odd))
        several = chance.random() < 0.5
        with monkeypatch.context() as patched:
            patched.setattr(plain, "is_plain", lambda *_: False)
            expected = outcome(file, several)
        assert outcome(file, several) == expected, file.read_bytes()
        read_ones += not isinstance(expected, str)
    assert read_ones > 50


def test_what_is_plain_and_what_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "table.csv"
    lines = [f"cat/{n}.png,cat" for n in range(30)]
    lines[20] = '"cat/a,\nb.png",cat'
    file.write_text("\n".join(["path,label", *lines]))
    monkeypatch.setattr(plain, "BLOCK", 60)
    table = open_table(file, Columns())
    parts = list(table.parts(table.find(Columns())))
    columns = [part for part in parts if not isinstance(part, Row)]
    assert sum(map(len, columns)) > 15
    rows = list(table.rows(table.find(Columns())))
    assert [row.path for row in rows] == [*(f"cat/{n}.png" for n in range(20)), "cat/a,\nb.png"] + [
        f"cat/{n}.png" for n in range(21, 30)
    ]
    assert [row.line for row in rows] == [*range(2, 22), 23, *range(24, 33)]


def test_a_fault_far_down_has_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "BLOCK", 100)
    lines = ["path,label,split", *(f"cat/{n}.png,cat,train" for n in range(50))]
    file = tmp_path / "table.csv"
    for bad, message in (("cat/x.png,cat,fold 3", "line 41: split is 'fold 3'"), ('a,"b"c,', "line 41, ',' expected")):
        file.write_text("\n".join([*lines[:40], bad, *lines[40:]]))
        with pytest.raises(CatalogError, match=message):
            read(file)
    file.write_text("\n".join([*lines[:40], "cat/x.png,,train", *lines[40:]]))
    catalog = read(file)
    assert [(bad.path, bad.reason) for bad in catalog.quarantine] == [("cat/x.png", "the table has no label for it")]
    file.write_text("\n".join([*lines[:40], ",dog,train", *lines[40:]]))
    catalog = read(file)
    assert [bad.path for bad in catalog.quarantine] == ["table.csv, line 41"]
    assert catalog.classes == ("cat",)  # no class comes from a row that is not used


def test_parquet_in_columns_is_parquet_row_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "table.parquet"
    paths = ["a.png", "b.png", None, "é.png", " c.png", "d.png", "/e.png", "f//g.png"]
    labels = [
        pyarrow.array(["cat", "dog", "cat", "cat", None, "", "dog", "cat"]),
        pyarrow.array(["cat", "dog", "cat", "cat", None, "", "dog", "cat"]).dictionary_encode(),
        pyarrow.array([1, 2, 3, 1, None, 1, 2, 1], pyarrow.int16()),
        pyarrow.array([1.0, 2.0, None, float("nan"), 1.0, 1.0, 2.0, 1.0]),
        pyarrow.array([["a"], ["b"], ["a"], ["a"], None, [], ["b"], ["a"]]),
        pyarrow.array([b"a", b"b", b"a", b"a", None, b"", b"b", b"a"]),
    ]
    read_ones = 0
    for kind in (pyarrow.string(), pyarrow.large_string()):
        for label in labels:
            columns = {"path": pyarrow.array(paths, kind), "label": label}
            columns["group"] = pyarrow.array(["p", "", None, "q", "p", " r", "p", "q"])
            parquet.write_table(pyarrow.table(columns), file)
            for several in (False, True):
                with monkeypatch.context() as patched:
                    patched.setattr(tabular, "_arrow_cells", lambda *_: None)
                    expected = outcome(file, several)
                assert outcome(file, several) == expected
                read_ones += len(expected[1]) >= 4
    assert read_ones >= 16


def test_a_text_of_parquet_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "table.parquet"
    text = pyarrow.array([b"cat", b"caf\xe9"]).view(pyarrow.string())
    parquet.write_table(pyarrow.table({"path": ["a.png", "b.png"], "label": text}), file)
    with pytest.raises(CatalogError, match="not utf-8 text throughout"):
        read(file)
