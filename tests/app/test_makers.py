"""`pellucid makers`: the table, the file, the sheet, what is stored, Ctrl-C, and what it refuses."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pellucid as library
from pellucid.app.exits import Exit
from pellucid.classifier import store
from pellucid.life import filters, seen, sheet, stored
from pellucid.life.again import opened
from pellucid.life.makers import Makers
from pellucid.steps import result_of


@pytest.fixture(scope="module")
def made(trained: Path) -> Makers:
    return library.makers(trained, cache=trained.parent / "cache")


@pytest.fixture
def cache(trained: Path) -> tuple[str, Path]:
    return "--cache", trained.parent / "cache"


def test_the_table_and_what_is_stored(
    model: Path, pellucid: Callable, made: Makers, cache: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    result = pellucid("makers", model, *cache)
    assert (result.status, result.err) == (Exit.OK, "")
    assert f"{made.steps} steps of adamw, from random weights, drawn by seed 0" in result.out
    conv = result.out.split("conv1: 4 filters")[1].split("dense1: 2 filters")[0]
    rows = [line.split() for line in conv.splitlines() if line[:1].isdigit()]
    assert [int(row[0]) for row in rows] == [each.filter for each in made.layers[0].ranked]
    for row, each in zip(rows, made.layers[0].ranked, strict=True):
        assert row[1:3] == [f"{each.straight:.3g}", f"{each.whole.distance:.3g}"]
        first = made.pictures[each.whole.toward[0].row]
        assert row[5:7] == [f"{each.whole.toward[0].push / each.straight:+.1%}", first.path]
    kept = stored.read(model)["makers"]
    assert kept == json.loads(json.dumps(made.as_json(stored.WHOLE, stored.TENTH)))
    (model / "config.json").write_text((model / "config.json").read_text() + "\n")
    assert stored.read(model) == {}, "they belong to the model as it was"


def test_layers_are_stored_beside_each_other(model: Path, made: Makers, pellucid: Callable, cache: tuple) -> None:
    for layer in ("dense1", "conv1", "dense1"):
        assert pellucid("makers", model, "--layer", layer, *cache).status == Exit.OK
    kept = stored.read(model)["makers"]
    layers = {each["layer"]: each for each in kept["layers"]}
    whole = json.loads(json.dumps(made.as_json(stored.WHOLE, stored.TENTH)))
    assert layers == {each["layer"]: each for each in whole["layers"]}
    assert kept["pictures"] == whole["pictures"]


def test_json_a_file_and_a_filter(model: Path, made: Makers, pellucid: Callable, cache: tuple, tmp_path: Path) -> None:
    out = tmp_path / "makers.json"
    result = pellucid("makers", model, "--layer", "conv1", "--json", "--out", out, *cache)
    content = json.loads(result.out)
    assert json.loads(out.read_text()) == content
    (layer,) = content["layers"]
    assert layer == json.loads(json.dumps(made.layers[0].as_json(24, 24)))
    again = pellucid("makers", model, "--layer", "conv1", "--out", out, *cache)
    assert (again.status, "already exists" in again.err) == (Exit.ERROR, True)
    text = pellucid("makers", model, "--layer", "conv1", "--filter", 2, *cache).out
    each = made.layers[0].filters[2]
    for span in (*each.tenths, each.whole):
        assert f"{span.first} to {span.last} " in text
    assert f"{each.whole.toward[0].push:+.3g}" in text


@pytest.mark.parametrize("number", [None, 1])
def test_the_sheet_shows_the_pictures_as_the_network_saw_them(
    model: Path, made: Makers, pellucid: Callable, cache: tuple, tmp_path: Path, number: int | None
) -> None:
    plot, layer = tmp_path / "sheet.png", made.layers[0]
    some = [] if number is None else ["--filter", number]
    assert pellucid("makers", model, "--layer", "conv1", *some, "--plot", plot, *cache).status == Exit.OK
    page = np.array(Image.open(plot))
    each = layer.filters[number or 0]
    rows = len(layer.filters) if number is None else 1 + len(each.tenths)
    step = sheet.TILE + sheet.GAP
    assert page.shape[0] == 3 * sheet.LINE + rows * step + sheet.GAP
    again = result_of(opened(model, cache[1]))
    left = sheet.LABEL + 2 * (step + sheet.APART)
    for column, maker in enumerate(each.whole.toward[:2]):
        at = again.rows(maker.step).tolist().index(maker.row)
        image = seen.in_step(again, maker.step)[at]
        tile = page[
            3 * sheet.LINE : 3 * sheet.LINE + sheet.TILE, left + column * step : left + column * step + sheet.TILE
        ]
        np.testing.assert_array_equal(tile[2::4, 2::4], image)  # 12x12 pixels, each four wide


def test_ctrl_c_reports_and_stores_nothing(
    model: Path, pellucid: Callable, cache: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = filters._Track.end

    def interrupted(self: filters._Track, step: int, *rest: object) -> None:
        if step > 3:
            os.kill(os.getpid(), signal.SIGINT)
        whole(self, step, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(filters._Track, "end", interrupted)
    out = tmp_path / "makers.json"
    result = pellucid("makers", model, "--out", out, *cache)
    assert (result.status, result.out) == (Exit.STOPPED, "")
    assert not out.exists()
    assert stored.read(model) == {}


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--layer", "cnv1"], "no convolution or dense layer 'cnv1'. Did you mean conv1"),
        (["--layer", "relu1"], "no convolution or dense layer 'relu1'"),
        (["--layer", "conv1", "--filter", "4"], "--filter is 4; the filters of conv1 are 0 to 3."),
        (["--filter", "1"], "--filter is about one layer. Name it: --layer conv1 --filter 1."),
        (["--layer", "conv1", "--plot", "sheet.jpg"], "--plot is sheet.jpg; its name must end in .png."),
    ],
)
def test_what_it_refuses(model: Path, pellucid: Callable, cache: tuple, flags: list[str], says: str) -> None:
    result = pellucid("makers", model, *flags, *cache)
    assert result.status == Exit.ERROR
    assert says in result.err
    assert result.err.count("\n") == 1
    assert stored.read(model) == {}


@pytest.mark.parametrize("what", ["imported", "gone"])
def test_a_model_without_its_pictures(model: Path, pellucid: Callable, cache: tuple, what: str) -> None:
    config = store.read_config(model)
    if what == "imported":
        config["imported"] = {"from": "keras"}
    else:
        config["data"]["root"] = "/nowhere"
    store.write_json(model / store.CONFIG, config)
    result = pellucid("makers", model, *cache)
    assert result.status == Exit.ERROR
    assert ("does not say how it was trained" if what == "imported" else "/nowhere does not exist") in result.err


def test_other_weights_than_the_saved_ones_are_an_error(
    model: Path, pellucid: Callable, cache: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pellucid.life.again import Again, Drift

    monkeypatch.setattr(Again, "drift", lambda _: Drift(0.25, "conv1.weight[1, 2, 0, 1]", 7, 100))
    result = pellucid("makers", model, *cache)
    assert result.status == Exit.ERROR
    assert "7 of 100 differ, conv1.weight[1, 2, 0, 1] by 0.25" in result.err
    assert "conv1: 4 filters" in result.out
