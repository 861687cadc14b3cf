"""Training from a table, from the file to the model folder: the same as from folders, and the table's own features."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pellucid
from pellucid import files
from pellucid.app import cli
from pellucid.classifier import card
from pellucid.errors import ArtefactError, CatalogError, PellucidError, RecipeError
from pellucid.pictures import store as stores
from pellucid.pictures.decode import Form
from pellucid.pictures.table import read
from pellucid.runs.events import DataSummary, Started
from pellucid.steps import Steps
from pellucid.training import recipe as recipes
from pellucid.training.data import read_catalog
from pellucid.training.history import Epoch

SETTINGS = {
    "model": "conv(4, 3) batchnorm relu globalavgpool dense",
    "size": 16,
    "epochs": 2,
    "batch": 16,
    "augment": "light",
    "precision": "float32",
}
Row = tuple[str, ...]


@pytest.fixture(autouse=True)
def plain_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """The card's plots take longer than everything tested here; its text comes from the function."""
    monkeypatch.setattr(card, "write", lambda folder: files.write(folder / "README.md", "a card"))


def draw(path: Path, seed: int) -> Path:
    """A smooth picture, different for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8))
    coarse.resize((48, 48), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen pictures per class, on the sides of their own split; 2 comes before 10."""
    root = tmp_path_factory.mktemp("table") / "photos"
    for label, name in enumerate(("10", "2")):
        for number in range(16):
            side = "train" if number < 12 else "test"
            draw(root / side / name / f"{number}.png", 100 * label + number)
    return root


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def paths(photos: Path) -> Iterator[tuple[str, str, str]]:
    """(path, class, side) of each picture, not in the catalog's order."""
    for path in sorted(photos.rglob("*.png"), key=lambda path: (path.name, path)):
        side, name, _ = path.relative_to(photos).parts
        yield path.relative_to(photos).as_posix(), name, side


def table_of(path: Path, header: Row, rows: list[Row]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_a_table_trains_what_folders_train(photos: Path, tmp_path: Path, cache: Path) -> None:
    """Bit for bit: with the sides in a column, and without sides over folders without sides."""
    pellucid.train(photos, tmp_path / "folders", cache=cache, **SETTINGS)
    table = table_of(
        photos.parent / "sides.csv", ("path", "label", "split"), [(f"photos/{p}", c, s) for p, c, s in paths(photos)]
    )
    pellucid.train(table, tmp_path / "table", cache=cache, **SETTINGS)
    assert weights(tmp_path / "table") == weights(tmp_path / "folders")

    plain = tmp_path / "plain"
    for path, name, _ in paths(photos):
        (plain / name).mkdir(parents=True, exist_ok=True)
        (plain / name / Path(path).name).write_bytes((photos / path).read_bytes())
    rows = [
        {"file": path.relative_to(plain).as_posix(), "kind": int(path.parent.name)} for path in plain.rglob("*.png")
    ]
    lines = tmp_path / "plain" / "list.jsonl"
    pellucid.train(plain, tmp_path / "free", cache=cache, **SETTINGS)
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    named = {"path_column": "file", "label_column": "kind"}
    pellucid.train(lines, tmp_path / "listed", cache=cache, **SETTINGS, **named)
    assert weights(tmp_path / "listed") == weights(tmp_path / "free")
    for name in ("split.csv", "quarantine.csv", "twins.csv"):
        assert (tmp_path / "listed" / name).read_bytes() == (tmp_path / "free" / name).read_bytes()


def found_in(table: Path, out: Path, cache: Path, **settings: object) -> DataSummary:
    run = pellucid.start(table, out, cache=cache, **{**SETTINGS, **settings})
    try:
        events = list(takewhile(lambda event: not isinstance(event, Started), run))
        return next(event for event in events if isinstance(event, DataSummary))
    finally:
        run.close()


def test_groups_stand_on_one_side_with_their_twins(photos: Path, tmp_path: Path, cache: Path) -> None:
    """Eight patients with pictures of both classes, and a copy of one of the first that belongs to no patient."""
    rows = [(path, name, f"patient {int(Path(path).stem) % 8}") for path, name, _ in paths(photos)]
    copy = photos / "copy.png"
    copy.write_bytes((photos / rows[0][0]).read_bytes())
    try:
        table = table_of(photos / "t.csv", ("path", "label", "group"), [*rows, ("copy.png", rows[0][1], "")])
        summary = found_in(table, tmp_path / "out", cache)
    finally:
        copy.unlink()
    assert (summary.groups, summary.twin_pairs, summary.quarantine) == (8, 1, ())
    with (tmp_path / "out" / "split.csv").open(newline="") as file:
        side = {row["path"]: row["side"] for row in csv.DictReader(file)}
    for patient in range(8):
        assert len({side[path] for path, _, group in rows if group == f"patient {patient}"}) == 1
    assert side["copy.png"] == side[rows[0][0]]
    assert set(side.values()) == {"train", "val", "test"}


def test_a_group_on_two_sides_of_the_table_keeps_the_later_one(photos: Path, tmp_path: Path, cache: Path) -> None:
    rows = [(path, name, side, "") for path, name, side in paths(photos)]
    first, test = (next(row for row in rows if row[2] == side) for side in ("train", "test"))
    rows = [(*row[:3], "p" if row in (first, test) else "") for row in rows]
    summary = found_in(table_of(photos / "t.csv", ("path", "label", "split", "group"), rows), tmp_path / "out", cache)
    reasons = [(bad.path, bad.reason) for bad in summary.quarantine]
    assert reasons == [(first[0], "its group is on another side of the table's split")]
    assert (summary.test, summary.groups) == (8, 1)


def test_missing_files_unlabelled_rows_and_rows_that_come_again(photos: Path, tmp_path: Path, cache: Path) -> None:
    rows = [(path, name) for path, name, _ in paths(photos)]
    more = [("gone.png", "2"), (rows[0][0], ""), rows[1], (".", "2")]
    table = table_of(photos / "t.csv", ("path", "label"), [*rows, *more])
    for again in ("new", "kept"):
        summary = found_in(table, tmp_path / again, cache)
        assert {bad.path: bad.reason for bad in summary.quarantine} == {
            "gone.png": "not found",
            rows[0][0]: "the table has no label for it",
            ".": "a folder",
        }
        assert (sum(summary.pictures), summary.repeated) == (32, 1)


def test_two_tables_and_the_folder_keep_stores_of_their_own(photos: Path, tmp_path: Path, cache: Path) -> None:
    """And take over decoded pictures from each other."""
    every = [(path, name) for path, name, _ in paths(photos)]
    tables = [table_of(photos / f"{n}.csv", ("path", "label"), every[n:]) for n in range(2)]
    reused = []
    for place in (*tables, photos, *tables):
        steps = Steps(stores.build(read(place), Form(16, 16), cache))
        *_, last = steps
        steps.result.close()
        reused.append((last.reused, last.total))
    assert reused == [(0, 32), (31, 31), (31, 32), (32, 32), (31, 31)]
    stored = {store.root: store.pictures for store in stores.stores(cache)}
    assert stored == {tables[0]: 32, tables[1]: 31, photos: 32}
    for table in tables:
        table.unlink()


def test_the_model_folder_says_which_table(photos: Path, tmp_path: Path, cache: Path) -> None:
    rows = [(path, name, str(int(Path(path).stem) // 2)) for path, name, _ in paths(photos)]
    table = table_of(photos / "t_1.csv", ("image", "label", "group"), rows)
    model = tmp_path / "model"
    pellucid.train(table, model, cache=cache, path_column="image", **SETTINGS)
    config = json.loads((model / "config.json").read_text())
    assert (config["data"]["root"], config["data"]["table"]) == (str(photos), str(table))
    assert config["data"]["groups"] == 8
    text = card.text(config, json.loads((model / "metrics.json").read_text()))
    assert "The table t_1.csv lists the pictures. Its 8 groups stay on one side each." in text

    own = pellucid.evaluate(model)  # it finds its own pictures again
    assert own.metrics.pictures == config["data"]["test"]
    again = pellucid.evaluate(model, table)
    assert again.metrics.pictures == 32
    usual = table_of(photos / "usual.csv", ("path", "label"), [row[:2] for row in rows])
    assert pellucid.evaluate(model, usual).metrics.pictures == 32
    usual.unlink()
    assert len(again.trained_on) == config["data"]["train"]
    table.unlink()


def test_evaluate_on_a_table(photos: Path, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "model"
    pellucid.train(photos, model, cache=cache, **SETTINGS)
    rows = [(path, name, side) for path, name, side in paths(photos)]
    table = table_of(tmp_path / "t.csv", ("file", "kind", "split"), [(str(photos / p), c, s) for p, c, s in rows])
    result = pellucid.evaluate(model, table, path_column="file", label_column="kind")
    assert [side.side for side in result.sides] == ["test", "train"]
    folder = pellucid.evaluate(model, photos)
    assert result.metrics == replace(folder.metrics, side=result.metrics.side)
    assert result.unusable == ()
    flags = ["--path-column", "file", "--label-column", "kind"]
    assert cli.main(["evaluate", str(model), str(table), *flags]) == 0
    assert "of 8 pictures" in capsys.readouterr().out
    table_of(table, ("path", "label"), [(str(photos / p), c) for p, c, _ in rows] + [("gone.png", "2"), ("x", "")])
    result = pellucid.evaluate(model, table)
    assert dict(result.unusable) == {
        str(tmp_path / "gone.png"): "not found",
        str(tmp_path / "x"): "the table has no label for it",
    }
    table_of(table, ("path", "label"), [(str(photos / p), "3") for p, _, _ in rows])
    with pytest.raises(CatalogError, match="has a class '3' that the model does not know; it knows 2, 10"):
        pellucid.evaluate(model, table)
    with pytest.raises(CatalogError, match="is not a table and has no column 'kind'"):
        pellucid.evaluate(model, photos, label_column="kind")


def test_columns_are_settings_and_need_a_table(photos: Path, tmp_path: Path) -> None:
    toml = tmp_path / "recipe.toml"
    toml.write_text('path_column = "image"\nlabel_column = "species"\n')
    table = table_of(tmp_path / "t.csv", ("image", "species"), [("a", "x"), ("b", "y")])
    recipe = recipes.make(**recipes.read(toml))
    assert read_catalog(table, recipe).classes == ("x", "y")
    with pytest.raises(RecipeError, match=r"path_column is 'image', and .* is not a table"):
        read_catalog(photos, recipe)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("image,species\na,b\n", "has no column 'path' or 'file_name'. Its columns are 'image', 'species'"),
        ("path,label\na,b\na,c\n", "gives a two labels, b and c"),
        ("path,label\n1,a\n2,a\n3,b\n4,b\n", "The most common reason in quarantine, 4 files: not found"),
    ],
)
def test_bad_input_is_a_line_and_leaves_nothing(
    tmp_path: Path, cache: Path, content: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: Callable
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text(content)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(PellucidError) as caught:
        pellucid.train("t.csv", cache=cache, **SETTINGS)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path for path in sorted(tmp_path.iterdir()) if path != cache] == before


def test_a_model_folder_beside_the_table_has_the_tables_name(
    photos: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = table_of(tmp_path / "birds.csv", ("path", "label"), [(str(photos / p), c) for p, c, _ in paths(photos)])
    run = pellucid.start(table, cache=cache, **SETTINGS)
    assert run.out == Path("birds-model")
    run.close()


def test_a_run_from_a_table_goes_on_and_refuses_a_table_that_says_something_else(
    photos: Path, tmp_path: Path, cache: Path
) -> None:
    rows = [(path, name) for path, name, _ in paths(photos)]
    table = table_of(photos / "t.csv", ("file", "label"), rows)
    settings = {**SETTINGS, "path_column": "file"}
    pellucid.train(table, tmp_path / "whole", cache=cache, **settings)
    run = pellucid.start(table, tmp_path / "stopped", cache=cache, **settings)
    next(event for event in run if isinstance(event, Epoch))
    run.save_checkpoint()
    run.close()

    table_of(table, ("file", "label"), [*rows[:-1], (rows[-1][0], "2" if rows[-1][1] == "10" else "10")])
    with pytest.raises(ArtefactError, match=r"The pictures in .*t\.csv have changed"):
        pellucid.train(table, tmp_path / "stopped", resume=True, cache=cache)
    table_of(table, ("file", "label"), rows)
    pellucid.train(table, tmp_path / "stopped", resume=True, cache=cache)
    assert weights(tmp_path / "stopped") == weights(tmp_path / "whole")
    table.unlink()


def test_an_image_folder_with_metadata_trains_and_is_judged(photos: Path, tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "hub"
    for side in ("train", "test"):
        rows = [
            (Path(path).as_posix().split("/", 1)[1].replace("/", "-"), name, path)
            for path, name, s in paths(photos)
            if s == side
        ]
        (folder / side).mkdir(parents=True)
        for file, _, path in rows:
            (folder / side / file).write_bytes((photos / path).read_bytes())
        table_of(folder / side / "metadata.csv", ("file_name", "label"), [row[:2] for row in rows])
    summary = found_in(folder, tmp_path / "model", cache)
    assert (summary.test, summary.train + summary.validation, summary.quarantine) == (8, 24, ())
    pellucid.train(folder, tmp_path / "judged", cache=cache, **SETTINGS)
    result = pellucid.evaluate(tmp_path / "judged", folder)
    assert [(side.side, side.metrics.pictures) for side in result.sides] == [("test", 8), ("train", 24)]
