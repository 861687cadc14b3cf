"""Two models on many pictures: figures, changed answers, classes that differ, and what a second model may be."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as library
from pellucid import files
from pellucid.app import compared_text
from pellucid.classifier import store
from pellucid.debugging import comparing
from pellucid.debugging.pictures import held_out
from pellucid.errors import ArtefactError, PellucidError, RecipeError
from pellucid.glassbox.whatif import spelling
from pellucid.glassbox.whatif.change import Padding, Pooling, Stride, Weight, written
from pellucid.pictures.sides import VAL
from pellucid.runs import made_from


@pytest.fixture(scope="module")
def other(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model with its last bias turned, so that it calls more pictures red."""
    classifier = library.load(trained)
    turned = classifier.changed([Weight("dense1.bias", (1,), 5.0)])
    return saved(turned, tmp_path_factory.mktemp("other") / "other")


def saved(classifier: Any, folder: Path) -> Path:
    store.save(folder, replace(classifier, program=None), {})
    return folder


def test_the_figures_are_those_of_the_predictions(trained: Path, other: Path, photos: Path) -> None:
    result = library.compare(trained, other, photos)
    paths = [each.picture for each in result.pictures]
    assert len(paths) == 32
    truth = np.array([Path(path).parent.name for path in paths])
    one, two = ([each.label for each in library.predict(model, paths)] for model in (trained, other))
    right = result.labelled
    assert right is not None
    assert right.both + right.only_first == (np.array(one) == truth).sum()
    assert right.both + right.only_second == (np.array(two) == truth).sum()
    assert [each.picture for each in result.pictures if each.changed] == [
        path for path, a, b in zip(paths, one, two, strict=True) if a != b
    ]
    assert 0 < len(result.changed) < 32
    by_class = {each.name: each for each in result.by_class}
    assert by_class["red"].second == sum(b == "red" for b, t in zip(two, truth, strict=True) if t == "red")
    assert sum(each.agree for each in result.by_class) == 32 - len(result.changed)
    first = {each.source: each.probabilities for each in library.predict(trained, paths)}
    second = {each.source: each.probabilities for each in library.predict(other, paths)}
    changes = [abs(first[path][name] - second[path][name]) for path in paths for name in result.classes]  # type: ignore[index]
    assert abs(result.largest.shift) == pytest.approx(max(changes), abs=1e-9)


def test_pictures_that_a_model_was_trained_on_do_not_count_for_it(trained: Path, photos: Path) -> None:
    result = library.compare(trained, pictures=photos, precision="bfloat16")
    assert result.seen_by_first == result.seen_by_second == 24  # training and validation
    assert result.unseen is not None
    assert result.unseen.pictures == 8


def test_without_pictures_the_first_models_test_pictures_count(trained: Path) -> None:
    result = library.compare(trained, changes=[Weight("dense1.bias", (1,), 5.0)])
    assert (len(result.pictures), result.seen_by_first, result.seen_by_second) == (8, 0, 0)
    assert "test pictures" in result.name
    assert "dense1.bias[1] = 5" in result.second


def test_pictures_that_an_earlier_model_had_seen_give_no_figure_to_quote(model: Path) -> None:
    changes = [Weight("dense1.bias", (1,), 5.0)]
    assert library.compare(model, changes=changes).notes == ()
    config = json.loads((model / store.CONFIG).read_text())
    config["pretrained"] = {"knew": {"test": 3}}
    (model / store.CONFIG).write_text(json.dumps(config))
    result = library.compare(model, changes=changes)
    assert result.notes[0] == "No figure to quote: the model that it started from had seen 3 of these pictures."
    assert "which is no longer where it was" in result.notes[1]
    assert result.seen_by_first is None, "which of them it had seen is unknown"


def test_what_the_start_of_a_model_had_seen_of_its_test_pictures_counts_as_seen(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = shutil.copytree(model, tmp_path / "start")
    rows = (start / store.SPLIT).read_text().splitlines(keepends=True)
    tests = [at for at, row in enumerate(rows) if ",test," in row]
    for at in tests[:3]:
        rows[at] = rows[at].replace(",test,", ",train,")
    (start / store.SPLIT).write_text("".join(rows))
    config = json.loads((start / store.CONFIG).read_text())
    config["files"][store.SPLIT]["sha256"] = files.sha256(start / store.SPLIT)
    config["files"][store.SPLIT]["bytes"] = (start / store.SPLIT).stat().st_size
    (start / store.CONFIG).write_text(json.dumps(config))
    config = json.loads((model / store.CONFIG).read_text())
    weights = config["files"][store.WEIGHTS]["sha256"]
    config["pretrained"] = {"knew": {}, "folder": str(start), "source": f"start (SHA-256 {weights})"}
    (model / store.CONFIG).write_text(json.dumps(config))
    read: list[Path] = []
    memory = comparing.memory
    monkeypatch.setattr(comparing, "memory", lambda folder: (read.append(folder), memory(folder))[1])
    result = library.compare(model, changes=[Weight("dense1.bias", (1,), 5.0)])
    assert (len(result.pictures), result.seen_by_first, result.seen_by_second) == (8, 3, 3)
    assert result.unseen is not None
    assert result.unseen.pictures == 5
    assert read == [model], "both are of one folder, which is read once"


def test_validation_pictures_that_chose_nothing_are_not_called_optimistic(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made_from, "_side", lambda folder, _: (VAL, *made_from._split(folder, "", "")))
    assert any("optimistic" in note for note in held_out(model).notes)
    metrics = json.loads((model / store.METRICS).read_text())
    (model / store.METRICS).write_text(json.dumps({**metrics, "chosen": False}))
    assert held_out(model).notes == ()


def test_loose_pictures_have_no_labels(trained: Path, other: Path, photos: Path, tmp_path: Path) -> None:
    shutil.copy(photos / "red" / "0.png", tmp_path / "a.png")
    result = library.compare(trained, other, tmp_path)
    assert result.labelled is None
    assert [each.labels for each in result.pictures] == [None]
    in_folders = library.compare(trained, other, [photos / "red", photos / "blue" / "1.png"])
    assert [each.labels for each in in_folders.pictures] == [(1,)] * 16 + [(0,)]


def test_other_classes_are_left_out_and_named(trained: Path, photos: Path, tmp_path: Path) -> None:
    classifier = library.load(trained)
    renamed = saved(replace(classifier, classes=("green", "red")), tmp_path / "renamed")
    with pytest.raises(RecipeError, match="only 'red' in common"):
        library.compare(trained, renamed, photos)
    turned = saved(replace(classifier, classes=("red", "blue")), tmp_path / "turned")
    result = library.compare(trained, turned, photos)
    assert result.classes == ("blue", "red")
    assert len(result.changed) == 32, "the same outputs under exchanged names"


def test_an_unusable_picture_is_reported(trained: Path, other: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    result = library.compare(trained, other, [photos / "red" / "0.png", tmp_path / "broken.png"])
    assert len(result.pictures) == 1
    assert [path for path, _ in result.unusable] == [str(tmp_path / "broken.png")]
    with pytest.raises(PellucidError, match="only picture"):
        library.compare(trained, other, tmp_path / "broken.png")


def test_a_checkpoint_of_an_unfinished_training_compares(trained: Path, photos: Path, tmp_path: Path) -> None:
    settings = {"size": 12, "epochs": 3, "batch": 8, "learning_rate": 0.01, "device": "cpu"}
    run = library.start(
        photos, tmp_path / "run", cache=tmp_path / "cache", model="conv(4, 3) relu flatten dense", **settings
    )
    for event in run:
        if getattr(event, "step", 0) == 3:
            break
    run.save_checkpoint()  # type: ignore[union-attr]
    logits = run.trained.state.module  # type: ignore[union-attr]
    run.close()
    result = library.compare(trained, tmp_path / "run" / "checkpoint", photos)
    assert "step-00000003" in result.second
    assert any("not calibrated" in note for note in result.notes)
    assert result.seen_by_second is None
    image = library.load(trained).prepared(result.pictures[0].picture)
    task = run.trained.task  # type: ignore[union-attr]
    from pellucid.network.standardise import to_unit

    p = logits.eval()(task.standardise(to_unit(image[None]))).softmax(1)[0].tolist()
    assert result.pictures[0].second_probabilities == pytest.approx(p, abs=1e-5)


@pytest.mark.parametrize(
    ("first", "second", "settings", "message"),
    [
        (True, None, {}, "compared with itself"),
        (True, None, {"precision": "int9"}, "Precision 'int9' is unknown. Did you mean int8?"),
        (True, "missing", {}, "missing does not exist"),
        (True, None, {"precision": "int8", "changes": [Stride("conv1", (2, 2))]}, "computes in float32"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(
    trained: Path, first: bool, second: str | None, settings: dict[str, Any], message: str
) -> None:
    assert first
    with pytest.raises((ArtefactError, RecipeError), match=message.replace("?", r"\?")):
        library.compare(trained, second, **settings)


def test_one_label_and_several_do_not_compare(trained: Path, tagged: Path) -> None:
    with pytest.raises(RecipeError, match="several labels"):
        library.compare(trained, tagged)
    same = library.compare(tagged, precision="bfloat16")
    assert same.several
    assert same.labelled is not None


@pytest.mark.parametrize(
    "change",
    [
        Weight("conv1.weight", (3, 0, 2, 2), 0.5),
        Weight("a.b.bias", (0,), -1e-05),
        Stride("conv1", (2, 2)),
        Padding("residual2.body.conv1", (1, 2)),
        Pooling("maxpool1", "average"),
    ],
)
def test_a_change_is_read_as_messages_write_it(change: Any) -> None:
    assert spelling.read(written([change])) == change


@pytest.mark.parametrize("text", ["", "stride in conv1", "conv1.weight[0] = much", "mean pooling in maxpool1", "a=1"])
def test_a_change_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="is not understood"):
        spelling.read(text)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    from pellucid.app.cli import main

    def run(*words: object) -> tuple[int, str]:
        status = main(["compare", *map(str, words)])
        return status, capsys.readouterr().out

    return run


def test_the_command_prints_lists_and_writes(
    command: Callable[..., tuple[int, str]], trained: Path, other: Path, photos: Path, tmp_path: Path
) -> None:
    place = tmp_path / "rows.csv"
    status, text = command(trained, other, photos, "--list", "--csv", place)
    result = library.compare(trained, other, photos)
    assert status == 0
    assert "Newcombe 1998, method 10" in text
    assert "McNemar 1947" in text
    assert text.count(" becomes ") == len(result.changed) + len(result.moved[:5])
    rows = list(csv.DictReader(place.read_text().splitlines()))
    assert [int(row["changed"]) for row in rows] == [each.changed for each in result.pictures]
    assert command(trained, other, photos, "--csv", place)[0] == 1, "no file is overwritten"
    status, text = command(trained, photos, "--change", "dense1.bias[1] = 5", "--json")
    assert json.loads(text)["changed"] == len(result.changed)
    recipe = tmp_path / "changes.json"
    recipe.write_text('{"changes": [{"what": "weight", "name": "dense1.bias", "index": [1], "value": 5}]}')
    status, again = command(trained, photos, "--changes", recipe, "--json")
    assert json.loads(again)["changes"] == json.loads(text)["changes"]


def test_an_unusable_picture_has_its_reason_in_a_column_of_its_own(
    command: Callable[..., tuple[int, str]], trained: Path, other: Path, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    place = tmp_path / "rows.csv"
    assert command(trained, other, photos / "red" / "1.png", tmp_path / "broken.png", "--csv", place)[0] != 0
    usable, broken = csv.DictReader(place.read_text().splitlines())
    assert (usable["error"], usable["labels"]) == ("", "red")
    assert broken.pop("picture") == str(tmp_path / "broken.png")
    assert broken.pop("error") != ""
    assert set(broken.values()) == {""}


def test_the_second_model_may_be_int8_or_an_exported_file(
    command: Callable[..., tuple[int, str]], model: Path, photos: Path, tmp_path: Path
) -> None:
    plain, eight = tmp_path / "model.onnx", tmp_path / "int8.onnx"
    library.export(model, plain)
    library.export(model, eight, precision="int8")
    paths = sorted(photos.glob("*/*.png"))[:12]
    one = list(library.predict(model, paths))
    for file, words in ((plain, [plain]), (eight, [eight]), (eight, ["--precision", "int8"])):
        status, text = command(model, *words, *paths, "--json")
        result = json.loads(text)
        other = list(library.predict(file, paths))  # another program's graph, the same numbers
        red = [[(each.probabilities or {})["red"] for each in answers] for answers in (one, other)]
        changes = [abs(b - a) for a, b in zip(*red, strict=True)]
        assert (status, result["pictures"]) == (0, 12)
        assert result["changed"] == sum(a.label != b.label for a, b in zip(one, other, strict=True))
        assert abs(result["largest_change"]["change"]) == pytest.approx(max(changes), abs=1e-5)
        assert (max(changes) > 1e-3) == (file == eight)
        assert (result["seen_by_second"] is None) == (words == [file]), "an exported file does not say"
        assert result["second"] == (f"{model}, int8" if "int8" in words else str(file))


def test_a_tie_has_no_sign(command: Callable[..., tuple[int, str]], trained: Path, photos: Path) -> None:
    status, text = command(trained, photos, "--change", "conv1.bias[0] = 1e-8")
    assert status == 0
    assert "B − A: 0.0 points" in text
    assert not re.search(r"[−+]0\.0 points", text)
    assert [compared_text.points(share) for share in (0.0, -1e-9, 4e-4, -0.0123)] == ["0.0", "0.0", "0.0", "−1.2"]


def test_a_second_model_that_is_none_is_named(trained: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pellucid.app.cli import main

    assert main(["compare", str(trained), str(photos / "nope"), str(photos)]) == 1
    assert "nope is not a model" in capsys.readouterr().err
