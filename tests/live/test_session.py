"""Training by hand: real steps, changes, undo and redo to the last bit, and what is refused."""

from __future__ import annotations

import base64
import csv
import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import pellucid
from pellucid.errors import ArtefactError, NetworkError, PellucidError, RecipeError, TrainingError
from pellucid.files import sha256
from pellucid.live import history, keep, limits, look
from pellucid.live.material import Material, gather
from pellucid.live.session import SETTINGS, Session
from pellucid.network.standardise import to_unit
from pellucid.runs import made_from
from pellucid.steps import result_of
from pellucid.training.loop import NotFinite

OPTIMIZERS = {
    "sgd": lambda weights, momentum: torch.optim.SGD(weights, 0.05, momentum=momentum, nesterov=momentum > 0),
    "adam": lambda weights, momentum: torch.optim.Adam(weights, 0.05, betas=(momentum, 0.999)),
    "adamw": lambda weights, momentum: torch.optim.AdamW(weights, 0.05, betas=(momentum, 0.999), weight_decay=0),
    "rmsprop": lambda weights, momentum: torch.optim.RMSprop(weights, 0.05, momentum=momentum),
}


def tensors(session: Session) -> dict[str, torch.Tensor]:
    """All that a step changes: weights, and the optimizer's memory."""
    named = {name: each.clone() for name, each in session.state.module.state_dict().items()}
    for number, kept in enumerate(history.memory_of(session.state)):
        named |= {f"{number}/{key}": torch.as_tensor(value).clone() for key, value in kept.items() if value is not None}
    return named


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def stepped(session: Session, count: int) -> dict[str, torch.Tensor]:
    for _ in range(count):
        session.step()
    session.close()
    return tensors(session)


@pytest.mark.parametrize(
    ("optimizer", "momentum"), [("sgd", 0.0), ("sgd", 0.9), ("adam", 0.5), ("adamw", 0.9), ("rmsprop", 0.3)]
)
def test_steps_are_those_of_a_pytorch_loop(session: Session, taught: Path, optimizer: str, momentum: float) -> None:
    """The loop reads the files and knows nothing of Pellucid's training; the page's numbers are before − change."""
    session.edit(optimizer=optimizer, momentum=momentum, learning_rate=0.05, batch=5)
    classifier = pellucid.load(taught)
    conv, dense = nn.Conv2d(3, 4, 3), nn.Linear(100, 2)
    module = nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), dense)
    module.load_state_dict(dict(zip(module.state_dict(), classifier.module.state_dict().values(), strict=True)))
    mine = OPTIMIZERS[optimizer](module.parameters(), momentum)
    root, rows = made_from.every(taught)
    side = {row["path"]: row["side"] for row in rows}
    seen = []
    for _ in range(4):
        before = {name: each.clone() for name, each in module.state_dict().items()}
        last = session.step()
        pictures = session.material.data.catalog.pictures
        names = [pictures[int(row)].path for row in last.rows]
        assert len(names) <= 5
        assert {side[name] for name in names} == {"train"}
        seen += names
        images = np.stack([classifier.prepared(root / name) for name in names])
        labels = torch.tensor([classifier.classes.index(name.split("/")[0]) for name in names])
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255
        mean, deviation = (
            torch.tensor(v)[:, None, None] for v in (classifier.standardise.mean, classifier.standardise.deviation)
        )
        logits = module(((pixels - mean) / deviation).float())
        loss = nn.functional.cross_entropy(logits, labels)
        mine.zero_grad()
        loss.backward()
        mine.step()
        assert last.loss == pytest.approx(loss.item(), rel=1e-5)
        assert last.correct == int((logits.argmax(1) == labels).sum())
        shown = look.look(session, images[0])["layers"]
        for layer, part, at in ((shown[0], conv, "0"), (shown[-1], dense, "4")):
            for weight in layer["weights"]:
                name = weight["name"].rpartition(".")[2]
                first = (slice(16), slice(3 if part is conv else 256))[: getattr(part, name).ndim]
                now, was, gradient = (decoded(weight, key) for key in ("now", "before", "gradient"))
                own = getattr(part, name).detach()[first].numpy()
                np.testing.assert_allclose(now, own, rtol=2e-4, atol=2e-6)
                np.testing.assert_allclose(was, before[f"{at}.{name}"][first].numpy(), rtol=2e-4, atol=2e-6)
                np.testing.assert_allclose(gradient, getattr(part, name).grad[first].numpy(), rtol=1e-3, atol=1e-6)
                if (optimizer, momentum) == ("sgd", 0.0):  # the change is the gradient times the rate
                    np.testing.assert_allclose(now, was - 0.05 * gradient, rtol=1e-6, atol=1e-8)
    assert len(seen) == len(set(seen))  # no picture twice in an epoch


def decoded(array: dict[str, Any], key: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(array[key]), "<f4").reshape(array["shape"])


def test_it_goes_on_from_the_saved_weights_and_optimizer(trained: Path) -> None:
    """The model's own next step: adamw with the memory that it had."""
    material = result_of(gather(trained, pellucid.load(trained), trained.parent / "cache"))
    session = Session(material)
    assert material.watched == "validation"
    assert material.memory is not None
    kept = history.memory_of(session.state)
    assert any(torch.equal(value, each["exp_avg"]) for each in kept for value in material.memory.tensors.values())
    weights = session.state.module.state_dict()
    assert all(torch.equal(each, weights[name]) for name, each in pellucid.load(trained).module.state_dict().items())


def test_each_step_change_and_run_is_undone_bit_for_bit_and_made_again(session: Session) -> None:
    session.edit(optimizer="adamw", momentum=0.9)
    acts = [
        ("1 step", lambda: stepped(session, 1)),
        ("3 steps", lambda: stepped(session, 3)),
        ("batch 8 to 3", lambda: session.edit(batch=3)),
        ("learning rate 0.1 to 0.01", lambda: session.edit(learning_rate=0.01)),
        ("9 steps", lambda: stepped(session, 9)),
        ("adamw to sgd", lambda: session.edit(optimizer="sgd")),
        ("2 steps", lambda: stepped(session, 2)),
        ("the network flatten dense", lambda: session.edit(model="flatten dense")),
        ("4 steps", lambda: stepped(session, 4)),
        ("random weights", lambda: session.scratch()),
        ("1 step", lambda: stepped(session, 1)),
        ("the reset", lambda: session.reset()),
    ]
    states = [(tensors(session), session.progress, session.recipe)]
    for name, act in acts:
        act()
        assert session.undoable == name
        states.append((tensors(session), session.progress, session.recipe))
    assert states[-1][2] == session.material.recipe
    for number in reversed(range(len(acts))):
        assert session.undo()
        assert (session.progress, session.recipe) == states[number][1:]
        assert same(tensors(session), states[number][0]), acts[number][0]
        assert session.redoable == acts[number][0]
    for number in range(len(acts)):
        assert session.redo()
        assert (session.progress, session.recipe) == states[number + 1][1:]
        assert same(tensors(session), states[number + 1][0]), acts[number][0]
    assert not session.redo()
    session.undo()
    assert same(stepped(session, 2), stepped_again(session, 2))  # the same steps from the same place


def stepped_again(session: Session, count: int) -> dict[str, torch.Tensor]:
    session.undo()
    return stepped(session, count)


def test_batch_norm_and_dropout_are_undone_too(session: Session) -> None:
    session.edit(
        model="conv(4, 3) batchnorm relu residual(conv(4, 3, padding=same)) dropout(0.5) flatten dense(8) dense"
    )
    start = tensors(session)
    assert any("num_batches_tracked" in name for name in start)
    ends = stepped(session, 3)
    assert not same(start, ends)
    session.undo()
    assert same(tensors(session), start)
    assert same(stepped(session, 3), ends)


def test_several_labels_a_picture(tagged: Path, tmp_path: Path, undrawn: None) -> None:
    model = Path(shutil.copytree(tagged, tmp_path / "tagged"))
    session = Session(result_of(gather(model, pellucid.load(model), tmp_path / "cache")))
    session.step()
    session.close()
    image = session.task.images.batch(session.task.train[:1])[0]
    assert isinstance(image, np.ndarray)
    odds = look.look(session, image)["probabilities"]
    pixels = session.task.standardise(to_unit(image[None]))
    session.state.module.eval()
    assert odds == pytest.approx(torch.sigmoid(session.state.module(pixels))[0].tolist(), rel=1e-5)
    kept = keep.keep(session, model)
    assert pellucid.load(kept.folder).thresholds is not None


def test_a_change_forgets_what_was_undone(session: Session) -> None:
    stepped(session, 2)
    session.undo()
    session.edit(batch=4)
    assert (session.undoable, session.redoable) == ("batch 8 to 4", None)
    assert not session.edit(batch=4)
    assert session.undoable == "batch 8 to 4"


def test_from_scratch_are_the_weights_that_a_training_begins_with(session: Session) -> None:
    stepped(session, 3)
    session.edit(learning_rate=0.3)
    session.scratch()
    torch.manual_seed(session.recipe.seed)
    fresh = session.network.module((3, 12, 12), 2).state_dict()
    assert all(torch.equal(each, fresh[name]) for name, each in session.state.module.state_dict().items())
    assert (session.progress.step, session.recipe.learning_rate, session.last) == (0, 0.3, None)


def test_the_past_is_bounded(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_MOMENTS", 3)
    for _ in range(6):
        stepped(session, 1)
    assert [session.undo() for _ in range(4)] == [True, True, True, False]
    assert session.progress.step == 3
    monkeypatch.setattr(history, "MOST_BYTES", 1)
    stepped(session, 1)
    stepped(session, 1)
    assert [session.undo() for _ in range(2)] == [True, False]


def test_points_are_bounded_and_keep_both_ends(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_POINTS", 5)
    for _ in range(12):
        stepped(session, 1)
    steps = [point.step for point in session.progress.points]
    assert (steps[0], steps[-1]) == (0, 12)
    assert len(steps) <= 5
    assert steps == sorted(set(steps))


def test_epochs_and_the_log_are_bounded(
    session: Session, taught: Path, written: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MOST_EPOCHS", 5)
    monkeypatch.setattr(history, "MOST_CHANGES", 3)
    for batch in range(4, 9):
        session.edit(batch=batch)
    session.edit(batch=16)
    seconds = 0.0
    while session.progress.epochs_done < 12:
        seconds += session.step().seconds
    session.close()
    now = session.progress
    numbers = [each.epoch for each in now.epochs]
    assert (numbers[0], numbers[-1], now.epochs_done) == (1, 12, 12)
    assert len(numbers) <= 5
    assert numbers == sorted(set(numbers))
    assert sum(each.seconds for each in now.epochs) == pytest.approx(seconds)
    assert [line.rpartition(": ")[2] for line in now.log][-1] == "batch 8 to 16"
    assert len(now.log) == 3
    report = keep.keep(session, taught)
    written.append(report.folder)
    config = json.loads((report.folder / "config.json").read_text())
    assert f"{now.unlisted:,} earlier changes are not listed" in json.dumps(config)
    assert config["training"]["epochs"] == 12
    with pytest.raises(ArtefactError, match="was trained by hand on a page, from another model"):
        pellucid.life_of(report.folder, "conv1.weight[0, 0, 0, 0]", cache=taught.parent / "cache")


def test_a_first_step_that_fails_leaves_what_can_be_made_again(session: Session) -> None:
    stepped(session, 2)
    assert session.undo()
    session.state.module.load_state_dict({name: each * float("nan") for name, each in tensors(session).items()})
    with pytest.raises(NotFinite):
        session.step()
    assert session.redoable == "2 steps", "no step was made"
    assert session.redo()


def test_a_loss_that_is_no_number_stops_and_is_undone(session: Session) -> None:
    start = before = tensors(session)
    session.edit(learning_rate=1000)
    with suppress(NotFinite):
        for _ in range(100):
            before = tensors(session)
            session.step()
    assert same(tensors(session), before)
    assert session.trouble is not None
    assert session.trouble.startswith("The loss is nan, after ")
    assert "with learning rate 1000" in session.trouble
    assert "Undo, then choose a smaller learning rate." in session.trouble
    assert session.undo()
    assert session.trouble is None
    assert session.undo()
    assert same(tensors(session), start)
    stepped(session, 1)


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"model": "conv(4, 3) rely flatten dense"}, NetworkError, "did you mean relu?"),
        ({"model": ""}, NetworkError, "the text is empty"),
        ({"model": "conv(4, 30) flatten dense"}, NetworkError, "conv1"),
        ({"model": "conv(4, 3) dense"}, NetworkError, "put flatten"),
        ({"model": 3}, RecipeError, "model is 3; it must be a text."),
        ({"model": "flatten dense(4000) dense"}, NetworkError, "at most 1,000,000"),
        ({"model": "relu " * 300 + "flatten dense"}, NetworkError, "has 302 layers; here it may have at most 300."),
        ({"model": "relu " * 4001}, NetworkError, "has 20,005 characters; here it may have at most 20,000."),
        ({"learning_rate": 0}, RecipeError, "learning_rate is 0; it must be more than 0"),
        ({"learning_rate": float("nan")}, RecipeError, "learning_rate is nan"),
        ({"learning_rate": "fast"}, RecipeError, "learning_rate is 'fast'"),
        ({"batch": 0}, RecipeError, "batch is 0; it must be from 1"),
        ({"batch": 2.5}, RecipeError, "batch is 2.5"),
        ({"batch": None}, RecipeError, "batch is none"),
        ({"optimizer": "lion"}, RecipeError, "optimizer is 'lion'; it must be one of sgd, adam"),
        ({"momentum": 1}, RecipeError, "momentum is 1; it must be from 0"),
        ({"epochs": 4}, RecipeError, "epochs cannot be changed here"),
    ],
)
def test_an_invalid_change_changes_nothing(
    session: Session, settings: dict[str, Any], error: type[PellucidError], sentence: str
) -> None:
    session.step()
    before, recipe = tensors(session), session.recipe
    with pytest.raises(error) as caught:
        session.edit(**settings)
    assert sentence in str(caught.value)
    assert (session.recipe, session.undoable) == (recipe, "1 step")
    assert same(tensors(session), before)
    session.step()  # the run goes on
    assert session.undoable == "2 steps"


def test_a_step_that_needs_too_much_names_a_batch_that_fits(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_OPERATIONS", 500_000)
    with pytest.raises(NetworkError, match=r"Use a smaller network, or at most (\d+) pictures in a batch") as caught:
        session.edit(batch=20)
    fits = int(str(caught.value).split("at most ")[-1].split()[0])
    assert session.edit(batch=fits)


def test_the_watched_pictures_are_measured_as_evaluate_does(session: Session, taught: Path) -> None:
    assert session.material.watched == "test"
    point = session.progress.points[0]
    report = pellucid.evaluate(taught)
    assert point.watched_accuracy == pytest.approx(report.metrics.accuracy)
    assert point.watched_loss == pytest.approx(report.metrics.loss, rel=1e-5)


def test_the_picture_has_the_probabilities_of_predict(session: Session, taught: Path, photos: Path) -> None:
    classifier = pellucid.load(taught)
    path = photos / "red" / "1.png"
    shown = look.look(session, classifier.prepared(path))
    expected = classifier.predict(path).probabilities
    assert expected is not None
    assert shown["probabilities"] == pytest.approx(list(expected.values()), rel=1e-5)
    trace = classifier.explain(path)
    for layer in shown["layers"]:
        np.testing.assert_allclose(
            decoded(layer["output"], "numbers"), trace.values[layer["name"]][0], rtol=1e-4, atol=1e-5
        )


@pytest.fixture
def written(taught: Path) -> Iterator[list[Path]]:
    """Folders to remove: they are written beside the model, which other tests share."""
    before = set(taught.parent.iterdir())
    hashes = {path: sha256(path) for path in taught.rglob("*") if path.is_file()}
    places: list[Path] = []
    yield places
    assert {path: sha256(path) for path in taught.rglob("*") if path.is_file()} == hashes
    assert set(taught.parent.iterdir()) - before == set(places)
    for place in places:
        shutil.rmtree(place)


def test_kept_models_predict_and_say_how_they_were_made(
    session: Session, taught: Path, photos: Path, written: list[Path]
) -> None:
    with pytest.raises(TrainingError, match="No step has been made"):
        keep.keep(session, taught)
    session.edit(model="conv(3, 5) relu flatten dense", learning_rate=0.02)
    stepped(session, 5)
    weights = tensors(session)
    report = keep.keep(session, taught)
    written.append(report.folder)
    assert report.folder == taught.with_name("small-live")
    assert same(tensors(session), weights)
    kept = pellucid.load(report.folder)
    assert str(kept.network) == "conv(3, 5) relu flatten dense"
    assert all(torch.equal(each, weights[name]) for name, each in kept.module.state_dict().items())
    assert kept.predict(photos / "red" / "1.png").label in kept.classes
    kept.explain(photos / "red" / "1.png")
    card = (report.folder / "README.md").read_text()
    assert "batch" in card or "pictures: 5" in card
    with (report.folder / "split.csv").open(newline="") as file:
        sides = {row["path"]: row["side"] for row in csv.DictReader(file)}
    _, rows = made_from.every(taught)
    assert sides == {row["path"]: row["side"].replace("test", "val") for row in rows}
    assert (report.reported, report.quotable) == ("validation", False)
    again = keep.keep(session, taught)
    written.append(again.folder)
    assert again.folder == taught.with_name("small-live-2")


def test_a_failed_keep_leaves_nothing(
    session: Session, taught: Path, written: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stepped(session, 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keep, "save", full)
    with pytest.raises(OSError, match="No space"):
        keep.keep(session, taught)


def test_what_cannot_be_trained_further_says_why(taught: Path, tmp_path: Path, material: Material) -> None:
    classifier = pellucid.load(taught)
    with pytest.raises(ArtefactError, match="is a Python module"):
        result_of(gather(taught, replace(classifier, network=None), tmp_path))
    lone = Path(shutil.copytree(taught, tmp_path / "lone"))
    (lone / "split.csv").unlink()
    with pytest.raises(ArtefactError, match=r"split\.csv is missing"):
        result_of(gather(lone, classifier, tmp_path))
    assert set(SETTINGS) <= set(material.recipe.as_json())


def test_pictures_that_changed_since_do_not_train(
    taught: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = Path(shutil.copytree(photos, tmp_path / "photos"))
    root, rows = made_from.every(taught)
    changed, gone = [row["path"] for row in rows if row["side"] == "train"][:2]
    (pictures / changed).write_bytes((pictures / gone).read_bytes())
    (pictures / gone).unlink()
    monkeypatch.setattr(made_from, "every", lambda *_: (pictures, rows))
    material = result_of(gather(taught, pellucid.load(taught), tmp_path / "cache"))
    assert material.gone == 2
    used = {material.data.catalog.pictures[int(row)].path for row in material.data.rows("train")}
    assert used == {row["path"] for row in rows if row["side"] == "train"} - {changed, gone}
    assert root == photos
