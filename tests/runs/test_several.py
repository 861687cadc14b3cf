"""Several labels a picture, from the folder to the explained step: pictures with blue, green and red in them."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import pellucid
from pellucid import api
from pellucid.app.cli import main
from pellucid.errors import PellucidError, RecipeError, TraceError
from pellucid.pictures import catalog as catalogs
from pellucid.pictures.joined import joined
from pellucid.runs.events import DataSummary, Started
from pellucid.runs.run import Run
from pellucid.training import recipe as recipes

pytestmark = pytest.mark.usefixtures("undrawn")

CLASSES = ("blue", "green", "red")
SETTINGS: dict[str, Any] = {
    "model": "conv(6, 3) batchnorm relu globalavgpool dense",
    "size": 12,
    "epochs": 12,
    "batch": 8,
}
SETTINGS |= {"augment": "none", "precision": "float32", "labels": "several", "learning_rate": 0.02, "device": "cpu"}


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety pictures, a copy in the folder of each of their colours. A fifth of the colours is too faint to see."""
    root = tmp_path_factory.mktemp("several") / "photos"
    generator = np.random.default_rng(5)
    for number in range(90):
        has = [n for n in range(3) if generator.random() < (0.6, 0.4, 0.2)[n]] or [number % 3]
        image = generator.integers(0, 120, (16, 16, 3))
        for n in has:
            image[..., 2 - n] += 90 if generator.random() < 0.8 else 0
        for n in has:
            (root / CLASSES[n]).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.astype(np.uint8)).save(root / CLASSES[n] / f"{number:02}.png")
    return root


@pytest.fixture(scope="module")
def model(colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    pellucid.train(colours, folder / "model", cache=folder / "cache", **SETTINGS)
    return folder / "model"


def truth(colours: Path) -> dict[str, set[str]]:
    catalog = joined(catalogs.scan(colours))
    return {picture.path: set(catalog.classes_of(picture).split("\0")) for picture in catalog.pictures}


def read(path: Path) -> Any:
    return json.loads(path.read_text())


Say = Callable[..., str]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Say:
    """say("predict", model, ...) -> the command's output."""

    def say(*words: object) -> str:
        monkeypatch.setattr("sys.argv", ["pellucid", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            raise SystemExit(main())
        out = capsys.readouterr()
        assert ended.value.code == 0, out.err
        return out.out

    return say


def test_what_the_model_folder_holds(model: Path, colours: Path) -> None:
    config, metrics = read(model / "config.json"), read(model / "metrics.json")
    assert (config["recipe"]["labels"], config["recipe"]["loss"]) == ("several", "binary_cross_entropy")
    assert len(config["thresholds"]) == 3
    assert all(0 < threshold < 1 for threshold in config["thresholds"])
    assert config["training"]["class_weights"] is None
    rows = list(csv.DictReader(io.StringIO((model / "split.csv").read_text())))
    assert {row["path"]: set(row["class"].split("|")) for row in rows} == truth(colours)
    for side in ("train", "val", "test"):
        assert set("|".join(row["class"] for row in rows if row["side"] == side).split("|")) == set(CLASSES)
    test = metrics["test"]
    assert test["several"]
    assert test["confusion"] == []
    assert [item["threshold"] for item in test["classes"]] == config["thresholds"]
    assert test["mean_average_precision"] > 0.75, "it has learned something"
    assert test["correct"] < test["pictures"], "and makes mistakes"
    for mistake in metrics["mistakes"]:
        assert set(mistake["labels"]) == truth(colours)[mistake["picture"]]
        assert set(mistake["called"]) != set(mistake["labels"])
        assert mistake["worst"] in set(mistake["called"]) ^ set(mistake["labels"])
        assert (model / mistake["thumbnail"]).exists()
    assert not (model / "confusion.png").exists()


def test_the_card_speaks_of_labels(model: Path) -> None:
    test, card = read(model / "metrics.json")["test"], (model / "README.md").read_text()
    assert f"**{test['accuracy']:.1%} exact match on {test['pictures']} test pictures" in card
    for item in test["classes"]:
        keys = ("precision", "recall", "f1", "average_precision", "threshold")
        shares = " | ".join("–" if item[key] is None else f"{item[key]:.1%}" for key in keys)
        assert f"| {item['name']} | {item['pictures']} | {shares} |" in card
    assert "Probabilities are sigmoid(logits / " in card
    assert "| picture | labels | predicted | furthest off |" in card
    assert "It answers with any number of its labels" in card
    assert "confusion" not in card


def test_predictions_are_independent_and_over_their_thresholds(model: Path, colours: Path) -> None:
    thresholds = dict(zip(CLASSES, read(model / "config.json")["thresholds"], strict=True))
    paths = [colours / path for path in truth(colours)]
    sums = []
    for answer in (*pellucid.predict(model, paths), *pellucid.load(model).predict(paths)):
        assert answer.probabilities is not None
        over = {name for name, p in answer.probabilities.items() if p >= thresholds[name]}
        assert answer.labels is not None
        assert set(answer.labels) == over
        assert list(answer.labels) == sorted(over, key=lambda name: -answer.probabilities[name])
        assert answer.label == (answer.labels[0] if answer.labels else None)
        sums.append(sum(answer.probabilities.values()))
    assert max(sums) > 1.05
    cold, warm = pellucid.predict(model, paths[:1]), pellucid.load(model).predict(paths[0])
    assert next(iter(cold)).probabilities == pytest.approx(warm.probabilities, rel=1e-5)


def test_json_csv_and_table_name_the_labels(say: Say, model: Path, colours: Path) -> None:
    folder = colours / "red"
    answers = list(pellucid.predict(model, folder))
    lines = [json.loads(line) for line in say("predict", model, folder, "--format", "jsonl", "--top", 2).splitlines()]
    assert [line["labels"] for line in lines] == [list(answer.labels or ()) for answer in answers]
    assert all(
        set(line) == {"picture", "labels", "probabilities"} and len(line["probabilities"]) == 2 for line in lines
    )
    rows = list(csv.DictReader(io.StringIO(say("predict", model, folder, "--format", "csv", "--top", 1))))
    assert list(rows[0]) == ["picture", "labels", "label_1", "probability_1", "error"]
    assert [row["labels"] for row in rows] == ["|".join(answer.labels or ()) for answer in answers]
    first = say("predict", model, folder).splitlines()[0]
    assert first.startswith(", ".join(answers[0].labels or ("–",)) + " ")
    assert f"{answers[0].top(1)[0][0]} {answers[0].top(1)[0][1]:.1%}" in first


def test_evaluate_repeats_the_figure(say: Say, model: Path, colours: Path) -> None:
    stated = read(model / "metrics.json")["test"]
    content = json.loads(say("evaluate", model, "--json"))
    for key in ("accuracy", "macro_f1", "micro_f1", "mean_average_precision", "loss"):
        assert content[key] == pytest.approx(stated[key], rel=1e-5)
    lines = say("evaluate", model).splitlines()
    assert f"{stated['accuracy']:.1%} of {stated['pictures']} pictures have exactly the right labels" in lines[0]
    assert f"macro F1 {stated['macro_f1']:.1%}, micro F1 {stated['micro_f1']:.1%}" in lines[1]
    assert " ".join(lines[3].split()) == "label pictures precision recall F1 average precision threshold"
    evaluation = pellucid.evaluate(model, colours)
    assert evaluation.metrics.pictures == len(truth(colours)), "copies in several folders are one picture"
    assert evaluation.unseen is not None
    assert evaluation.unseen.accuracy == pytest.approx(stated["accuracy"])


def test_the_run_says_what_it_found(colours: Path, tmp_path: Path) -> None:
    run = Run(colours, recipes.make(**SETTINGS), tmp_path / "out", tmp_path / "cache")
    events = list(run)
    (summary,) = (event for event in events if isinstance(event, DataSummary))
    labels = truth(colours).values()
    assert summary.pictures == tuple(sum(name in each for each in labels) for name in CLASSES)
    assert summary.train + summary.validation + summary.test == len(labels)
    assert summary.quarantine == ()
    assert summary.lacking == {}
    (started,) = (event for event in events if isinstance(event, Started))
    assert not any("class weights" in reason for reason in started.reasons)
    run.close()


def test_a_resumed_run_ends_with_the_same_weights(colours: Path, model: Path, tmp_path: Path) -> None:
    run = Run(colours, recipes.make(**SETTINGS), tmp_path / "out", tmp_path / "cache", checkpoint_seconds=0.0)
    for event in run:
        if getattr(event, "step", 0) == 20:
            break
    run.save_checkpoint()
    run.close()
    pellucid.train(colours, tmp_path / "out", cache=tmp_path / "cache", resume=True)
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    for name in ("thresholds", "temperature"):
        assert read(tmp_path / "out" / "config.json")[name] == read(model / "config.json")[name]


@pytest.mark.parametrize("labels", [("blue", "red"), ("green",), ()])
def test_the_trace_is_of_all_labels_together(model: Path, colours: Path, labels: tuple[str, ...]) -> None:
    classifier = pellucid.load(model)
    trace = classifier.explain(colours / "red" / sorted(p.name for p in (colours / "red").iterdir())[0], labels)
    target = torch.tensor([[float(name in labels) for name in CLASSES]])
    scores = torch.from_numpy(trace.logits)[None].requires_grad_()
    loss = F.binary_cross_entropy_with_logits(scores, target)
    loss.backward()
    assert trace.against == labels
    assert trace.loss == pytest.approx(loss.item(), rel=1e-6)
    assert trace.unit("loss").total == pytest.approx(loss.item(), rel=1e-6)
    for n in range(3):
        assert trace.gradient(f"dense1[{n}]").total == pytest.approx(float(scores.grad[0, n]), rel=1e-5)
        assert trace.unit(f"probability[{n}]").total == pytest.approx(float(trace.probabilities[n]), rel=1e-9)
    assert trace.probabilities == pytest.approx(1 / (1 + np.exp(-trace.logits.astype(float) / classifier.temperature)))
    working = trace.update("dense1.weight[0, 1]")
    assert working.total == pytest.approx(float(working.recorded), rel=1e-5)
    report = trace.as_json()
    assert report["labels"] == list(labels)
    assert report["called"] == list(classifier.predict(trace_picture(colours)).labels or ())


def trace_picture(colours: Path) -> Path:
    return colours / "red" / sorted(p.name for p in (colours / "red").iterdir())[0]


def test_by_default_the_loss_is_against_what_is_called(model: Path, colours: Path) -> None:
    classifier = pellucid.load(model)
    picture = trace_picture(colours)
    trace, answer = classifier.explain(picture), classifier.predict(picture)
    assert set(trace.against) == set(answer.labels or ())
    assert [trace.classes[n] for n in trace.predictions] == list(answer.labels or ())
    assert classifier.explain(picture, "blue|red").against == ("blue", "red"), "as split.csv has them"
    assert classifier.explain(picture, ["red", "red"]).against == ("red",)
    attribution = classifier.attribute(picture, "red")
    whole = float(trace.probabilities[CLASSES.index("red")])
    assert attribution.deletion.probabilities[0] == pytest.approx(whole, rel=1e-4)
    logits = trace.logits[[CLASSES.index("red"), CLASSES.index("blue")]]
    parts = classifier.difference(picture, "red", "blue")
    assert parts.difference == pytest.approx(float(logits[0] - logits[1]), rel=1e-5)


def test_explain_takes_several_labels(say: Say, model: Path, colours: Path, tmp_path: Path) -> None:
    picture = trace_picture(colours)
    out = say("explain", model, picture, "--label", "red", "--label", "blue", "--unit", "loss")
    assert "target[0] 1" in out.replace("  ", " ")
    assert "loss against blue, red: " in say("explain", model, picture, "--label", "red", "--label", "blue")
    content = json.loads(say("explain", model, picture, "--json", "--html", tmp_path / "page.html"))
    assert content["called"] == list(pellucid.load(model).predict(picture).labels or ())
    assert (tmp_path / "page.html").stat().st_size > 10_000


def test_a_wrong_label_is_named(model: Path, colours: Path, trained: Path) -> None:
    with pytest.raises(TraceError, match=r"'blu' is not a class of this model\. Did you mean 'blue'\?"):
        pellucid.load(model).explain(trace_picture(colours), ["red", "blu"])
    with pytest.raises(TraceError, match="The labels are blue, red; a picture of this model has exactly one"):
        api.load(trained).explain(trace_picture(colours), ["blue", "red"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "mse"}, "loss is 'mse', and labels is 'several'"),
        ({"class_weights": "balanced"}, "class_weights is 'balanced', and labels is 'several'"),
    ],
)
def test_what_does_not_go_with_several_labels(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipes.make(labels="several", **settings)


def test_the_binary_cross_entropy_needs_several_labels() -> None:
    assert recipes.make(labels="several").loss == "binary_cross_entropy"
    assert recipes.make(labels="several", loss="cross_entropy").loss == "binary_cross_entropy"
    with pytest.raises(RecipeError, match="set labels to several"):
        recipes.make(loss="binary_cross_entropy")


class Net(nn.Module):
    """A module that our text cannot write."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.dense = nn.Conv2d(3, 6, 3), nn.Linear(6, len(CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(torch.relu(self.conv(x)).mean((2, 3)) * 1.0)  # type: ignore[no-any-return]


def test_a_module_that_is_saved_as_a_program_keeps_its_thresholds(colours: Path, tmp_path: Path) -> None:
    settings = {**SETTINGS, "model": Net(), "epochs": 1}
    trained = pellucid.train(colours, tmp_path / "m", cache=tmp_path / "cache", **settings)
    loaded = pellucid.load(tmp_path / "m", trust=True)

    assert loaded.program is not None
    assert loaded.thresholds == trained.thresholds
    picture = trace_picture(colours)
    assert loaded.predict(picture).labels == trained.predict(picture).labels
    assert pellucid.evaluate(tmp_path / "m", trust=True).metrics.several


def test_damaged_thresholds_are_named(model: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    config = read(copy / "config.json")
    for thresholds in ([0.5, 0.5], [0.5, 0.5, "x"], [0.5, 0.5, 1.5], [0.5, -0.1, 0.5]):
        (copy / "config.json").write_text(json.dumps({**config, "thresholds": thresholds}))
        with pytest.raises(PellucidError, match=r"config\.json is damaged"):
            pellucid.load(copy)


def listed(colours: Path, place: Path, names: set[str] | None = None) -> Path:
    """The same pictures as a table: all their labels, or those of `names`."""
    lines = ["path,label"]
    for path, labels in truth(colours).items():
        lines.append(f"{colours / path},{'|'.join(sorted(labels if names is None else labels & names))}")
    place.write_text("\n".join(lines) + "\n")
    return place


def test_a_table_gives_the_same_weights(colours: Path, model: Path, tmp_path: Path) -> None:
    pellucid.train(listed(colours, tmp_path / "t.csv"), tmp_path / "out", cache=tmp_path / "cache", **SETTINGS)
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    assert read(tmp_path / "out" / "config.json")["thresholds"] == read(model / "config.json")["thresholds"]
    result = pellucid.evaluate(model, tmp_path / "t.csv")
    assert result.metrics.pictures == len(truth(colours))
    assert result.as_json()["micro_f1"] == pytest.approx(pellucid.evaluate(model, colours).metrics.micro_f1)


@pytest.mark.parametrize("names", [{"red", "blue"}, {"red"}])
def test_pictures_without_a_label_and_a_single_label(colours: Path, tmp_path: Path, names: set[str]) -> None:
    place = listed(colours, tmp_path / "t.csv", names)
    classifier = pellucid.train(place, tmp_path / "out", cache=tmp_path / "cache", **{**SETTINGS, "epochs": 3})
    assert classifier.classes == tuple(sorted(names))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "split.csv").read_text())))
    assert sum(row["class"] == "" for row in rows) == sum(not labels & names for labels in truth(colours).values())
    assert read(tmp_path / "out" / "metrics.json")["test"]["pictures"] == sum(row["side"] == "test" for row in rows)
    picture = trace_picture(colours)
    answer, trace = classifier.predict(picture), classifier.explain(picture, ["red"])
    assert answer.probabilities is not None
    assert trace.probabilities == pytest.approx(list(answer.probabilities.values()), rel=1e-5)
    assert trace.unit("loss").total == pytest.approx(trace.loss, rel=1e-6)
    assert classifier.attribute(picture, "red").deletion.probabilities[0] == pytest.approx(answer.probabilities["red"])
    assert pellucid.evaluate(tmp_path / "out").metrics.several


def test_the_usual_loss_may_be_named_too(colours: Path, tmp_path: Path) -> None:
    api.start(colours, tmp_path / "m", cache=tmp_path, **SETTINGS, loss="cross_entropy").close()
