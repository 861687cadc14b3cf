"""Training, prediction and evaluation on shards, and on a set that does not fit into the cache."""

import csv
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

import pellucid
from pellucid.app.cli import main
from pellucid.errors import StorageError
from pellucid.pictures import order, space, store
from pellucid.pictures.strings import Texts
from pellucid.runs import made_from
from pellucid.runs.report import Report
from pellucid.runs.run import Run
from pellucid.steps import result_of
from pellucid.training import recipe
from pellucid.training.loop import Step, epoch_order

NETWORK = "conv(4, 3) relu maxpool(2) flatten dropout(0.2) dense"
SETTINGS = {"model": NETWORK, "size": 12, "epochs": 3, "batch": 8, "augment": "strong", "learning_rate": 0.01}

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def shards(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pictures of `photos` in one tar, in several, and in Parquet files."""
    root = tmp_path_factory.mktemp("shards")
    pellucid.pack(photos, root / "one")
    pellucid.pack(photos, root / "several", shard_size="12kB")
    pellucid.pack(photos, root / "parquet", format="parquet", shard_size="12kB")
    return {"folder": photos, "one": root / "one", "several": root / "several", "parquet": root / "parquet"}


@pytest.fixture(scope="module")
def models(shards: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pellucid.classifier.figures.save", lambda path, figure: path.write_bytes(PNG))
        for name in ("folder", "one", "parquet"):
            pellucid.train(shards[name], root / name, cache=root / "cache", device="cpu", **SETTINGS)
    return {name: root / name for name in ("folder", "one", "parquet")}


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "PNG")
    return buffer.getvalue()


PNG = _png()


def split(model: Path) -> dict[str, tuple[str, str]]:
    """SHA-256 -> (class, side)."""
    with (model / "split.csv").open() as file:
        return {row["sha256"]: (row["class"], row["side"]) for row in csv.DictReader(file)}


def test_shards_train_like_their_folder(models: dict[str, Path]) -> None:
    """The same files, labels and sides; and in one tar, whose names sort like the folder's, the same weights."""
    assert len(split(models["folder"])) == 32
    for name in ("one", "parquet"):
        assert split(models[name]) == split(models["folder"])
    folder, one = (load_file(models[name] / "model.safetensors") for name in ("folder", "one"))
    assert all(np.array_equal(folder[name], one[name]) for name in folder)
    texts = [(models[name] / "metrics.json").read_text() for name in ("folder", "one")]
    assert json.loads(texts[0]) == json.loads(texts[1].replace("train-000000.tar/", ""))


@pytest.mark.parametrize("name", ["parquet"])
def test_shards_are_predicted_and_evaluated(
    models: dict[str, Path], shards: dict[str, Path], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = models[name]
    by_path = {answer.source: answer for answer in pellucid.predict(model, str(shards[name]))}
    assert len(by_path) == 32
    assert all(answer.error is None for answer in by_path.values())
    path = next(iter(by_path))
    (alone,) = pellucid.predict(model, path)
    assert alone.label == by_path[path].label
    evaluation = pellucid.evaluate(model, shards[name])
    assert evaluation.metrics.pictures == 32
    assert {seen.same_file for seen in evaluation.trained_on} == {True}
    assert len(made_from.learned_from(model)) == sum(side == "train" for _, side in split(model).values())
    assert made_from.remembers(model)
    own = pellucid.evaluate(model)
    assert own.metrics.pictures == sum(side == "test" for _, side in split(model).values())
    assert main(["explain", str(model), path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["picture"] == path


# ---- streaming


@pytest.fixture
def little_space(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """little_space(bytes) sets how many bytes are free in the cache."""

    def little_space(free: int) -> None:
        for module in (space, store):
            monkeypatch.setattr(module, "free_in", lambda _: free)
        monkeypatch.setattr("pellucid.runs.prepare.free_in", lambda _: free)

    return little_space


def run(place: Path, out: Path, cache: Path, **more: Any) -> Run:
    return Run(place, recipe.make(**{**SETTINGS, "device": "cpu"}), out, cache, checkpoint_seconds=0.0, **more)


def finished(run: Run) -> Report:
    for _ in run:
        pass
    return result_of(run.finish())


@pytest.mark.parametrize("name", ["several", "parquet"])
def test_a_set_larger_than_the_cache_streams(
    name: str,
    shards: dict[str, Path],
    models: dict[str, Path],
    tmp_path: Path,
    little_space: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is resumed bit for bit, from any step, even once there is space again; and it has the same sides."""
    monkeypatch.setattr(order, "BLOCK", 3)
    monkeypatch.setattr(order, "BUFFER", 7)
    little_space(store._bytes(store.Form(12, 12, 3, "stretch"), 32) - 1)
    whole = run(shards[name], tmp_path / "whole", tmp_path / "cache")
    finished(whole)
    data = whole.trained.data
    assert data.store.streams
    assert not list((tmp_path / "cache").rglob("images.raw"))
    assert any(reason.startswith("each epoch decodes the pictures again") for reason in whole.trained.reasons)
    assert split(tmp_path / "whole") == split(models["folder"])
    for epoch in range(3):
        rows = np.concatenate(epoch_order(whole.trained.task, epoch))
        assert sorted(rows.tolist()) == whole.trained.task.train.tolist()
    stopped = run(shards[name], tmp_path / "stopped", tmp_path / "cache")
    for event in stopped:
        if isinstance(event, Step) and event.step == 4:
            break
    stopped.close()
    little_space(10**9)
    again = run(shards[name], tmp_path / "stopped", tmp_path / "cache", resume=True)
    finished(again)
    assert not again.trained.data.store.streams
    one, two = (load_file(tmp_path / which / "model.safetensors") for which in ("whole", "stopped"))
    assert all(np.array_equal(one[key], two[key]) for key in one)


def test_streamed_images_are_those_of_the_store(
    shards: dict[str, Path], tmp_path: Path, little_space: Callable[[int], None]
) -> None:
    from pellucid.pictures import table

    catalog, form = table.read(shards["several"]), store.Form(12, 12, 3, "stretch")
    stored = result_of(store.build(catalog, form, tmp_path / "a"))
    little_space(store._bytes(form, 32) - 1)
    streamed = result_of(store.build(catalog, form, tmp_path / "b"))
    rows = np.random.default_rng(0).permutation(32)
    streamed.coming(rows)
    for part in np.array_split(rows, 5):
        assert np.array_equal(streamed.batch(part), stored.batch(part))
    assert streamed.batch(rows[:0]).shape == (0, 12, 12, 3)
    assert np.array_equal(streamed.batch(np.array([3, 3, 1])), stored.batch(np.array([3, 3, 1]))), "unannounced"
    assert (streamed.fingerprint, *streamed.digests) == (stored.fingerprint, *stored.digests)
    with pytest.raises(IndexError):
        streamed.batch(np.array([32]))
    little_space(100)
    with pytest.raises(StorageError, match="The disk is full"):
        result_of(store.build(catalog, form, tmp_path / "c"))


def test_a_picture_that_is_gone_is_named_and_the_run_continues_once_it_is_back(
    photos: Path, tmp_path: Path, little_space: Callable[[int], None]
) -> None:
    folder = Path(shutil.copytree(photos, tmp_path / "photos"))
    little_space(store._bytes(store.Form(12, 12, 3, "stretch"), 32) - 1)
    whole = run(folder, tmp_path / "whole", tmp_path / "cache")
    finished(whole)
    broken = run(folder, tmp_path / "broken", tmp_path / "cache")
    gone = ""
    for event in broken:
        if isinstance(event, Step) and event.step == 3 and not gone:
            task = broken.trained.task
            gone = broken.trained.data.catalog.pictures[int(epoch_order(task, 1)[1][0])].path
            break
    os.rename(folder / gone, tmp_path / "elsewhere.png")
    with pytest.raises(StorageError, match=rf"{gone} is needed again, and it cannot be used any more: not found"):
        finished(broken)
    broken.close()
    os.rename(tmp_path / "elsewhere.png", folder / gone)
    again = run(folder, tmp_path / "broken", tmp_path / "cache", resume=True)
    assert again.resumes
    finished(again)
    one, two = (load_file(tmp_path / which / "model.safetensors") for which in ("whole", "broken"))
    assert all(np.array_equal(one[key], two[key]) for key in one)


def test_the_streamed_order_has_each_picture_once_and_reads_few_blocks_at_a_time() -> None:
    paths = Texts.of([f"s{n // 500}.parquet/{n % 500}.jpg" for n in range(2000)])
    stamps = np.array([[10**6, 1, (n % 500) // 50 * order.GROUP + n % 50] for n in range(2000)])
    where = order.blocks(paths, stamps)
    assert len(np.unique(where.block)) == 40
    rows = np.arange(0, 2000, 2)
    first, second = (order.shuffled(rows, where, np.random.default_rng(seed)) for seed in (0, 1))
    assert sorted(first.tolist()) == rows.tolist() == sorted(second.tolist())
    assert not np.array_equal(first, second)
    assert np.array_equal(first, order.shuffled(rows, where, np.random.default_rng(0)))
    size = order.HELD // 4 // 10**6  # pictures in a buffer
    for start in range(0, 1000, size):
        assert len(np.unique(where.block[first[start : start + size]])) <= size / 25 + 3
    assert np.abs(np.diff(first)).mean() > 100
