"""`pellucid predict --features`: a Parquet file beside the usual answers, complete or absent."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest

import pellucid as verbs
from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predict import feature_table


@pytest.fixture
def pictures(photos: Path, tmp_path: Path) -> Path:
    """Twelve pictures in folders, and one file that is not a picture."""
    root = tmp_path / "pictures"
    for name in ("red", "blue"):
        (root / name).mkdir(parents=True)
        for number in range(6):
            shutil.copy(photos / name / f"{number}.png", root / name / f"{number}.png")
    (root / "elsewhere").mkdir()
    shutil.copy(photos / "red" / "7.png", root / "elsewhere" / "7.png")
    (root / "red" / "broken.png").write_bytes(b"no picture")
    return root


def test_rows_for_all_pictures_with_what_the_answers_say(
    pellucid: Callable, trained: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_table, "ROWS", 4)
    out = tmp_path / "out.parquet"
    result = pellucid("predict", trained, pictures, "--format", "jsonl", "--features", out)
    plain = pellucid("predict", trained, pictures, "--format", "jsonl")
    assert (result.status, plain.status) == (3, 3)
    content, expected = ([json.loads(line) for line in each.out.splitlines()] for each in (result, plain))
    assert [row["picture"] for row in content] == [row["picture"] for row in expected]
    assert [row.get("label") for row in content] == [row.get("label") for row in expected]

    file = parquet.ParquetFile(out)
    assert file.num_row_groups == 4
    rows = file.read().to_pylist()
    assert [row["path"] for row in rows] == [row["picture"] for row in content]
    assert [row["prediction"] for row in rows] == [row.get("label") for row in content]
    assert [row["error"] for row in rows] == [row.get("error") for row in content]
    classifier = verbs.load(trained)
    for row in rows:
        folder = Path(row["path"]).parent.name
        assert row["label"] == (folder if folder != "elsewhere" else None)
        if row["error"] is not None:
            assert Path(row["path"]).name == "broken.png"
            assert row["features"] is row["probability"] is row["prediction"] is None
            continue
        actual = np.array(row["features"], np.float32)
        np.testing.assert_allclose(actual, classifier.features(row["path"])[0], rtol=1e-4, atol=1e-5)
    kind = file.schema_arrow.field("features").type
    assert (str(kind.value_type), kind.list_size) == ("float", classifier.backbone.width)
    about = json.loads(file.schema_arrow.metadata[b"pellucid"])
    assert about == {"head": classifier.backbone.head, "classes": ["blue", "red"]}


def test_an_earlier_one_is_replaced_and_nothing_else(
    pellucid: Callable, trained: Path, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.parquet"
    assert pellucid("predict", trained, pictures / "blue", "--features", out).status == 0
    assert pellucid("predict", trained, pictures / "blue" / "0.png", "--features", out).status == 0
    assert parquet.read_metadata(out).num_rows == 1
    before = sorted(tmp_path.rglob("*"))
    taken = tmp_path / "notes.txt"
    taken.write_text("mine")
    for place, message in [
        (taken, "already exists and is not a Parquet file: nothing of yours is overwritten"),
        (pictures, "is a folder; --features names the file to write"),
        (tmp_path / "no" / "such" / "out.parquet", "could not be written: No such file or directory"),
        (Path(os.devnull), "is not a regular file"),
    ]:
        result = pellucid("predict", trained, pictures / "blue", "--features", place)
        assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
        assert message in result.err
    assert taken.read_text() == "mine"
    result = pellucid(
        "predict", trained, pictures / "blue", "--features", tmp_path / "both", "--out", tmp_path / "both"
    )
    assert result.status == 1
    assert "name two different files" in result.err
    assert sorted(tmp_path.rglob("*")) == sorted([*before, taken])


def test_broken_off_it_leaves_the_earlier_file(
    pellucid: Callable, trained: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.parquet"
    pellucid("predict", trained, pictures / "blue", "--features", out)
    before, described = out.read_bytes(), Classifier.described

    def broken(self: Classifier, *inputs: object) -> object:
        rows = described(self, *inputs)  # type: ignore[arg-type]
        yield next(rows)
        raise KeyboardInterrupt

    monkeypatch.setattr(Classifier, "described", broken)
    assert pellucid("predict", trained, pictures, "--features", out).status == 130
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_without_the_extra_it_names_what_to_install(
    pellucid: Callable, trained: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = pellucid("predict", trained, pictures, "--features", tmp_path / "out.parquet")
    assert (result.status, result.out) == (1, "")
    assert result.err == "pellucid: Parquet needs an extra: pip install 'pellucid[tables]'.\n"
    assert not (tmp_path / "out.parquet").exists()


def test_wide_features_are_written_in_smaller_groups(trained: Path, tmp_path: Path, monkeypatch) -> None:
    classifier = verbs.load(trained)
    monkeypatch.setattr(feature_table, "BYTES", 4 * classifier.backbone.width * 3)
    image = np.zeros((12, 12, 3), np.uint8)
    with feature_table.table(tmp_path / "out.parquet", classifier) as table:
        for row in classifier.described([image] * 8):
            table.add("a", row)
            assert len(table.rows) < 3
    assert parquet.read_metadata(tmp_path / "out.parquet").num_row_groups == 3


def test_a_name_that_is_no_utf_8_and_standard_input(
    pellucid: Callable, trained: Path, pictures: Path, tmp_path: Path
) -> None:
    odd = os.fsdecode(os.fsencode(pictures / "red") + b"/\xff.png")
    shutil.copy(pictures / "red" / "0.png", odd)
    out = tmp_path / "out.parquet"
    content = (pictures / "blue" / "0.png").read_bytes()
    assert pellucid("predict", trained, "-", odd, "--features", out, stdin=content).status == 0
    rows = parquet.read_table(out).to_pylist()
    assert rows[0]["path"] == "-"
    assert rows[1]["path"].endswith("\\udcff.png")
    assert rows[1]["label"] == "red"


def test_the_verb(trained: Path, pictures: Path) -> None:
    rows = list(feature_table.described(trained, [pictures / "blue"]))
    assert [row.prediction.error for row in rows] == [None] * 6
    assert all(row.features is not None for row in rows)
