"""Predictions with 8-bit integers: made once, measured on validation pictures, refused when the figure falls."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pellucid
from pellucid import files
from pellucid.app.cli import main
from pellucid.classifier import store
from pellucid.classifier.predict import graph as graphs
from pellucid.classifier.predict import int8 as eight
from pellucid.classifier.predict.int8 import FILE, Int8
from pellucid.classifier.saved import Saved
from pellucid.engine import blocks
from pellucid.errors import ArtefactError, ExportError, RecipeError, StorageError
from pellucid.network.text import parse
from pellucid.runs import made_from, quantise


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache in a folder of the test; and the network of the tests predicts in int8, though it is a single block."""
    monkeypatch.setattr(graphs, "cache", lambda: tmp_path / "cache" / graphs.CACHED)
    monkeypatch.setattr(blocks, "mostly_one_block", lambda steps: False)


@pytest.fixture
def made_already(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr(quantise, "_made", lambda *_: pytest.fail("it was stored already"))


def saved(folder: Path) -> Saved:
    read = store.read(folder)
    assert isinstance(read, Saved)
    return read


def changed(folder: Path, **about: object) -> None:
    """Write the classifier in a folder again, with another network or other weights, for the same pictures."""
    config = store.read_config(folder)
    store.save(folder, replace(store.load(folder), **about), {"data": config["data"], "recipe": config["recipe"]})


def sides(folder: Path, side: str) -> list[Path]:
    root = Path(store.read_config(folder)["data"]["root"])
    rows = [line.split(",") for line in (folder / "split.csv").read_text().splitlines()]
    return [root / row[rows[0].index("path")] for row in rows if row[rows[0].index("side")] == side]


def outputs(answers: list[pellucid.Prediction]) -> np.ndarray:
    return np.array([answer.logits for answer in answers])


def test_the_first_use_measures_and_stores(model: Path, photos: Path, made_already: Callable, capfd) -> None:
    pictures = sides(model, "val")
    theirs = list(pellucid.predict(model, pictures))
    assert main(["predict", str(model), str(photos), "--precision", "int8", "--format", "csv"]) == 0
    lines = capfd.readouterr().err
    assert lines.startswith("int8: accuracy ")
    assert f"on {len(pictures)} validation pictures" in lines
    assert "8 pictures are few: they can miss a fall of up to 37.5 points" in lines
    made_already()
    ours = list(pellucid.predict(model, pictures, precision="int8"))
    record = eight.stored(saved(model))
    assert record is not None
    assert (record.measured, record.calibrated, record.figure) == (8, len(sides(model, "train")), "accuracy")
    assert record.before == np.mean(
        [answer.label == path.parent.name for path, answer in zip(pictures, theirs, strict=True)]
    )
    assert record.after == np.mean(
        [answer.label == path.parent.name for path, answer in zip(pictures, ours, strict=True)]
    )
    assert record.changed == sum(one.label != other.label for one, other in zip(ours, theirs, strict=True))
    difference = np.abs(outputs(ours) - outputs(theirs))
    assert 0 < difference.max() <= 0.05 * np.abs(outputs(theirs)).max()
    main(["predict", str(model), str(photos), "--precision", "int8", "--format", "csv"])
    assert "int8" not in capfd.readouterr().err


def test_the_logits_are_right_on_average(model: Path) -> None:
    """On the pictures that gave the ranges."""
    record = quantise.ready(saved(model)).int8
    assert record is not None
    assert np.abs(record.shift).max() > 0
    pictures = sides(model, "train")
    theirs, ours = (outputs(list(pellucid.predict(model, pictures, precision=each))) for each in quantise.PRECISIONS)
    assert np.abs((ours - theirs).mean(axis=0)).max() <= 1e-5
    assert np.abs(ours - theirs).max() > 1e-4


def test_test_pictures_are_never_read(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    images = quantise._images

    def noted(saved: Saved, paths: list[str]):
        read.extend(paths)
        return images(saved, paths)

    monkeypatch.setattr(quantise, "_images", noted)
    quantise.ready(saved(model))
    assert set(read) == set(map(str, [*sides(model, "train"), *sides(model, "val")]))
    assert sides(model, "test")


@pytest.mark.parametrize(
    "damage", ["missing", "empty", "cut", "a text", "another figure", "another range", "other weights", "other network"]
)
def test_what_is_stale_or_damaged_is_made_again(model: Path, damage: str) -> None:
    first = quantise.ready(saved(model)).int8
    assert first == eight.stored(saved(model))
    path, whole = model / FILE, (model / FILE).read_text()
    content = json.loads(whole)
    if damage == "missing":
        path.unlink()
    elif damage == "other weights":
        module = store.load(model).module
        module.conv1.weight.data.mul_(1.01)
        changed(model, module=module)
    elif damage == "other network":
        network = parse("conv(4, 3) relu6 maxpool(2) flatten dense")
        changed(model, network=network)
    else:
        texts = {"empty": "", "cut": whole[:-30], "a text": '"Monday"'}
        texts["another figure"] = json.dumps(content | {"after": 1.0})
        content["ranges"][0][1] *= 2
        path.write_text({**texts, "another range": json.dumps(content)}[damage])
    assert eight.stored(saved(model)) is None
    again = quantise.ready(saved(model)).int8
    assert again == eight.stored(saved(model))
    assert (again == first) == (damage not in ("other weights", "other network"))


def test_a_read_only_folder(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_already: Callable
) -> None:
    write = files.write

    def refused(path: Path, content: str) -> None:
        if path.parent == model:
            raise StorageError(f"{path} could not be written: Read-only file system.")
        write(path, content)

    monkeypatch.setattr(files, "write", refused)
    quantise.ready(saved(model))
    assert not (model / FILE).exists()
    (cached,) = (tmp_path / "cache" / graphs.CACHED).iterdir()
    size = cached.stat().st_size
    made_already()
    assert quantise.ready(saved(model)).int8 is not None
    assert pellucid.clear_cache(tmp_path / "cache") == size


def test_a_folder_of_links_stays_as_it_is(model: Path, tmp_path: Path, made_already: Callable) -> None:
    linked = tmp_path / "snapshot"
    linked.mkdir()
    for path in model.iterdir():
        (linked / path.name).symlink_to(path)
    before = sorted(linked.iterdir())
    quantise.ready(saved(linked))
    assert sorted(linked.iterdir()) == before
    assert any((tmp_path / "cache" / graphs.CACHED).iterdir())
    made_already()
    assert quantise.ready(saved(linked)).int8 is not None


def test_a_kill_while_writing_leaves_the_old_file(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quantise.ready(saved(model))
    before, names = (model / FILE).read_bytes(), sorted(path.name for path in model.iterdir())

    def killed(path: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    record = eight.stored(saved(model))
    assert record is not None
    with pytest.raises(KeyboardInterrupt):
        eight.remember(saved(model), replace(record, changed=7))
    assert (model / FILE).read_bytes() == before
    assert sorted(path.name for path in model.iterdir()) == names


def test_a_fall_of_the_accuracy_is_refused(model: Path, tmp_path: Path, capfd) -> None:
    """A channel that nothing uses takes numbers 100,000 times as large, and the bytes of its map with them."""
    network = parse("conv(4, 3) relu conv(4, 1) maxpool(2) flatten dense")
    old, module = store.load(model), network.module((3, 12, 12), 2).eval()
    state = old.module.state_dict()
    module.load_state_dict({**module.state_dict(), **state})
    module.conv2.weight.data[:] = 0
    for channel in range(4):
        module.conv2.weight.data[channel, channel] = 1
    module.conv2.bias.data[:] = 0
    changed(model, network=network, module=module)
    assert quantise.ready(saved(model)).int8 is not None
    module.conv1.weight.data[3], module.conv2.weight.data[3, 3] = 1e5, 0
    module.dense1.weight.data.view(2, 4, -1)[:, 3] = 0
    changed(model, network=network, module=module)
    (model / FILE).unlink()
    message = (
        r"int8 is refused for .*: its accuracy on 8 validation pictures falls from \d+\.\d% to \d+\.\d%; it may fall "
        r"by 0\.5 points at most\. Leave out --precision int8\."
    )
    with pytest.raises(ExportError, match=message):
        list(pellucid.predict(model, sides(model, "val"), precision="int8"))
    with pytest.raises(ExportError, match=message):
        pellucid.export(model, tmp_path / "a.onnx", precision="int8")
    assert main(["predict", str(model), str(sides(model, "val")[0]), "--precision", "int8"]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "int8 is refused" in line
    assert not (model / FILE).exists()
    assert not (tmp_path / "a.onnx").exists()


@pytest.mark.parametrize(("before", "after", "allowed"), [(0.9, 0.895, True), (0.9, 0.8949, False), (0.7, 0.9, True)])
def test_half_a_point(before: float, after: float, allowed: bool) -> None:
    record = Int8("", (), (), 1, 1000, "validation", "accuracy", before, after, 1, "")
    assert record.allowed is allowed
    assert len(record.sentences()) == 1
    assert len(replace(record, measured=599).sentences()) == 2


def test_several_labels_are_measured_by_macro_f1(tagged: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tagged, tmp_path / "model"))
    record = quantise.ready(saved(folder)).int8
    assert record is not None
    assert record.figure == "macro F1"
    pictures = made_from.chosen_on(folder)
    for precision, figure in (("float32", record.before), ("int8", record.after)):
        called = [
            set(answer.labels or ())
            for answer in pellucid.predict(folder, [path for path, _ in pictures], precision=precision)
        ]
        shares = []
        for name in saved(folder).classes:
            has = [name in labels.split("|") for _, labels in pictures]
            hits = sum(one and name in other for one, other in zip(has, called, strict=True))
            shares.append(2 * hits / (sum(has) + sum(name in each for each in called)))
        assert figure == pytest.approx(np.mean(shares))


def test_the_exported_file_predicts_the_same(model: Path, photos: Path, tmp_path: Path, capfd) -> None:
    out = tmp_path / "a.onnx"
    done = pellucid.export(model, out, precision="int8")
    assert done.difference <= 1e-6
    assert done.int8 == eight.stored(saved(model))
    ours, theirs = list(pellucid.predict(out, photos)), list(pellucid.predict(model, photos, precision="int8"))
    assert np.abs(outputs(ours) - outputs(theirs)).max() <= 1e-5
    assert [each.label for each in pellucid.predict(out, photos, precision="int8")] == [each.label for each in theirs]
    assert main(["export", str(model), str(out), "--precision", "int8", "--json"]) == 0
    written = json.loads(capfd.readouterr().out)
    assert written["int8"] == done.int8.as_json()
    assert {"before", "after", "figure", "measured", "changed"} <= written["int8"].keys()
    assert main(["export", str(model), str(out), "--precision", "int8"]) == 0
    assert "int8: accuracy" in capfd.readouterr().out
    pellucid.export(model, out)
    with pytest.raises(RecipeError, match=r"a\.onnx computes in float32\. Leave out --precision int8"):
        list(pellucid.predict(out, photos, precision="int8"))


@pytest.mark.parametrize("name", ["a.xml", "a.pt2", "a.html"])
def test_formats_of_float32_refuse_int8_before_any_work(model: Path, tmp_path: Path, name: str, monkeypatch) -> None:
    monkeypatch.setattr(quantise, "_made", lambda *_: pytest.fail("it was measured first"))
    with pytest.raises(ExportError, match=r"computes in float32\. Leave out --precision int8, or choose onnx\."):
        pellucid.export(model, tmp_path / name, precision="int8")
    assert not any(tmp_path.glob("a.*"))


def test_labelled_pictures_replace_those_that_are_gone(model: Path, photos: Path, tmp_path: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    config["data"]["root"] = str(tmp_path / "gone")
    (model / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ArtefactError, match=r"are gone: .* exist\. Name a labelled folder or table: pellucid export .* .* FOLDER\."
    ):
        list(pellucid.predict(model, photos, precision="int8"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtefactError, match=r"empty has 0 labelled pictures; int8 needs at least 2\."):
        pellucid.export(model, tmp_path / "a.onnx", precision="int8", pictures=tmp_path / "empty")
    done = pellucid.export(model, tmp_path / "a.onnx", precision="int8", pictures=photos)
    assert done.int8 is not None
    assert (done.int8.calibrated, done.int8.measured, done.int8.side) == (16, 16, photos.name)  # not where it lies
    assert len(list(pellucid.predict(model, photos, precision="int8"))) == 32


def test_what_int8_cannot_do(model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    with pytest.raises(
        RecipeError, match=r"Precision 'int' is unknown\. Did you mean int8\? Precisions: float32, int8\."
    ):
        list(pellucid.predict(model, photos, precision="int"))
    with pytest.raises(ExportError, match="A Python module as a program predicts in float32"):
        quantise.ready(pellucid.load(model))
    table = tmp_path / "features.parquet"
    assert main(["predict", str(model), str(photos), "--precision", "int8", "--features", str(table)]) == 1
    assert "--features come from the float32 network" in capfd.readouterr().err
    assert not table.exists()


def test_a_network_that_is_faster_in_float32_stays_so(model: Path, photos: Path, monkeypatch, capfd) -> None:
    monkeypatch.undo()
    assert main(["predict", str(model), str(photos), "--precision", "int8", "--format", "csv"]) == 0
    captured = capfd.readouterr()
    assert captured.err == "float32 is faster than int8 for this network, so its predictions stay in float32\n"
    assert main(["predict", str(model), str(photos), "--format", "csv"]) == 0
    assert capfd.readouterr().out == captured.out
    assert not (model / FILE).exists()
