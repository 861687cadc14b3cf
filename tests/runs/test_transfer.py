"""From known weights to a model folder: what is computed once, what is saved, the messages, and kills on the way."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from tests.known import NETWORK, SIDE, tiny

import pellucid
from pellucid import files
from pellucid.app import progress
from pellucid.classifier import card
from pellucid.errors import ArtefactError, RecipeError, StorageError
from pellucid.pretrained.find import find
from pellucid.runs import choose, transfer
from pellucid.runs.events import Started
from pellucid.runs.report import Report
from pellucid.runs.run import Run
from pellucid.steps import result_of
from pellucid.training import features, loop, replay, weighting
from pellucid.training import recipe as recipes
from pellucid.training.features import Extracting
from pellucid.training.history import Epoch
from pellucid.training.loop import Step
from pellucid.training.resolve import resolve_length

pytestmark = pytest.mark.usefixtures("undrawn")

CLASSES, EACH = ("blue", "red"), 20
QUICK: dict[str, Any] = {"pretrained": "imagenet", "precision": "float32", "seed": 1}


def draw(path: Path, seed: int, tint: int) -> None:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    coarse[..., tint] //= 2
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coarse).resize((80, 72), Image.Resampling.BICUBIC).save(path)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("transfer") / "photos"
    for label, name in enumerate(CLASSES):
        for number in range(EACH):
            draw(root / name / f"{number:02}.png", 100 * label + number, 2 - 2 * label)
    return root


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "find", tiny)


Begin = Callable[..., Run]


@pytest.fixture
def begin(photos: Path, tmp_path: Path) -> Begin:
    def begin(directory: Path = photos, out: str = "out", resume: bool = False, **settings: Any) -> Run:
        inputs = {**QUICK, **settings}
        place = tmp_path / out
        return Run(directory, recipes.make(**inputs), place, tmp_path / "cache", resume, 0.0, named=inputs)

    return begin


def finished(run: Run) -> tuple[list[Any], Report]:
    events = list(run)
    return events, last(run.finish())


def last(steps: Generator[Any, None, Any]) -> Any:
    return result_of(steps)


def config_of(report: Report) -> dict[str, Any]:
    return json.loads((report.folder / "config.json").read_text())


# ---- the head alone


def test_the_head_alone(begin: Begin) -> None:
    events, report = finished(begin(epochs=0))
    config = config_of(report)
    started = next(event for event in events if isinstance(event, Started))
    (head,) = [event for event in events if isinstance(event, Epoch)]

    assert not any(isinstance(event, Step) for event in events)
    assert (started.steps, started.epochs) == (0, 0)
    assert head.epoch == report.best_epoch == 0
    assert head.best
    assert report.complete
    assert (config["network"], config["input"]) == (NETWORK, [3, SIDE, SIDE])
    prepared = config["preprocessing"]
    assert (prepared["fit"], prepared["crop"], prepared["filter"], prepared["mean"]) == (
        "crop",
        0.875,
        "bicubic",
        [0.5, 0.5, 0.5],
    )
    about = config["pretrained"]
    assert (about["name"], about["seen"], about["road"], about["frozen"]) == ("tiny", "nothing but noise", "head", True)
    assert about["validation"]["head"]["accuracy"] == head.validation_accuracy
    assert about["validation"]["whole network"] is None
    assert about["backbone_digest"] == tiny().backbone_digest
    assert about["head"]["weight_decay"] > 0


def test_the_backbone_stays_as_it_was(begin: Begin) -> None:
    _, report = finished(begin(epochs=0))
    state = report.classifier.module.state_dict()

    for name, tensor in tiny().tensors.items():
        assert np.array_equal(state[name].numpy(), tensor) != name.startswith("dense1."), name


def test_what_it_predicts_is_what_the_head_was_fitted_for(begin: Begin, photos: Path) -> None:
    run = begin(epochs=0, validation=0.3, test=0)
    _, report = finished(run)
    config = config_of(report)

    assert report.metrics["validation"].loss_uncalibrated == pytest.approx(
        config["pretrained"]["validation"]["head"]["loss"], abs=1e-4
    )
    answer = pellucid.load(report.folder).predict(photos / "red" / "00.png")
    assert sum(answer.probabilities.values()) == pytest.approx(1)


def test_features_are_computed_once(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    first, one = finished(begin(epochs=0))
    monkeypatch.setattr(features, "_computed", None)  # not asked again
    again, other = finished(begin(out="again", epochs=0))
    reused = [event.reused for event in again if isinstance(event, Extracting)]

    assert next(event.reused for event in first if isinstance(event, Extracting)) == 0
    assert reused[-1] > 0
    weights = [(report.folder / "model.safetensors").read_bytes() for report in (one, other)]
    assert weights[0] == weights[1]


def test_few_pictures_are_seen_mirrored_too(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    _, both = finished(begin(epochs=0))
    monkeypatch.setattr(transfer, "MIRRORED", 5)
    _, plain = finished(begin(out="plain", epochs=0))
    _, unmirrored = finished(begin(out="light", epochs=0, augment="light"))

    assert config_of(both)["pretrained"]["head"]["views"] == ["plain", "mirror"]
    assert config_of(plain)["pretrained"]["head"]["views"] == ["plain"]
    assert config_of(unmirrored)["pretrained"]["head"]["views"] == ["plain"]


def test_classes_of_equal_names_keep_their_row(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tiny(classes=("green", "red"))
    monkeypatch.setattr(transfer, "find", lambda *_: before)
    monkeypatch.setattr(transfer.head, "DEFAULT", 1e-12)  # so strong a pull that the rows stay where they begin
    _, report = finished(begin(epochs=0, validation=0, test=0))
    weight = report.classifier.module.get_submodule("dense1").weight.detach().numpy()  # type: ignore[union-attr]

    assert np.allclose(weight[1], before.tensors["dense1.weight"][1], atol=1e-4)
    assert np.allclose(weight[0], 0, atol=1e-4)


def test_a_replay_of_the_head_alone_has_one_frame(begin: Begin) -> None:
    _, report = finished(begin(epochs=0, replay=True))
    recorded = replay.read(report.folder / "replay")

    assert [frame.step for frame in recorded.frames] == [0]
    assert (recorded.steps, recorded.frames[0].epoch) == (0, 0)


def test_what_people_see(begin: Begin, capsys: pytest.CaptureFixture[str]) -> None:
    assert progress.watch(begin(epochs=0)) == 0
    output = capsys.readouterr().out
    assert "training: the head alone, on a frozen backbone" in output
    assert "weights: made by a test as imagenet, which have seen nothing but noise" in output
    assert "head: training loss " in output
    assert "kept: the head on the frozen backbone" in output

    assert progress.watch(begin(out="whole", epochs=2, learning_rate=1e-3)) == 0
    output = capsys.readouterr().out
    assert "training: the head on a frozen backbone, then the whole network: 2 epochs, " in output
    assert "epoch 1: training loss " in output


# ---- the whole network


def test_the_better_of_both_is_kept(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer.head, "FEW", 0)  # these pictures are few, and would have to be sure
    events, report = finished(begin(epochs=3, learning_rate=1e-3))
    epochs = [event for event in events if isinstance(event, Epoch)]
    best = max(epochs, key=lambda epoch: (epoch.validation_accuracy, -epoch.validation_loss))
    about = config_of(report)["pretrained"]

    assert [epoch.epoch for epoch in epochs] == [0, 1, 2, 3]
    assert report.best_epoch == best.epoch
    assert about["frozen"] == (best.epoch == 0)
    tuned = max(epochs[1:], key=lambda epoch: (epoch.validation_accuracy, -epoch.validation_loss))
    assert about["validation"]["whole network"]["loss"] == tuned.validation_loss


def test_few_validation_pictures_have_to_be_sure(begin: Begin) -> None:
    """Six of them: the losses of the head are saved for comparison, even after a run was stopped."""
    run = begin(epochs=2, learning_rate=1e-3)
    for event in run:
        if isinstance(event, Step):
            break
    run.save_checkpoint()
    run.close()
    resumed = begin(epochs=2, resume=True)
    events = list(resumed)
    (head, *_) = resumed.trained.state.history

    assert run.trained.state.head_losses == resumed.trained.state.head_losses
    assert np.mean(resumed.trained.state.head_losses) == pytest.approx(head.validation_loss)
    assert any(isinstance(event, Epoch) for event in events)


@pytest.mark.parametrize("length", [{"epochs": 4}, {"minutes": 5.0}])
@pytest.mark.parametrize("lacking", [False, True])
def test_without_validation_the_head_stays_and_nothing_else_is_trained(
    begin: Begin, photos: Path, tmp_path: Path, length: dict[str, float], lacking: bool
) -> None:
    if lacking:  # of a class: then it cannot choose either
        for side, classes in {"train": CLASSES, "val": CLASSES[:1], "test": CLASSES}.items():
            for number, name in enumerate(classes):
                place = tmp_path / "sides" / side / name
                place.mkdir(parents=True)
                for picture in sorted((photos / name).iterdir())[
                    {"train": slice(9), "val": slice(9, 13)}.get(side, slice(13, 20))
                ]:
                    shutil.copy(picture, place / f"{number}{picture.name}")
        run = begin(tmp_path / "sides", **length)
    else:
        run = begin(validation=0, **length)
    events, report = finished(run)
    started = next(event for event in events if isinstance(event, Started))
    (message,) = [reason for reason in started.reasons if reason.startswith("the head alone, despite")]

    assert not any(isinstance(event, Step) for event in events)
    assert (report.best_epoch, report.complete) == (0, True)
    assert config_of(report)["pretrained"]["road"] == "head"
    assert "no validation can tell whether the whole network is better than the head" in message
    assert not any("weights of the last epoch" in reason for reason in started.reasons)


@pytest.mark.parametrize("stop", [1, 5])
def test_what_an_earlier_version_began_without_validation_goes_on_as_it_was_chosen(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """It trained the whole network then, and kept the last epoch: the head may not be in the checkpoint any more."""
    with monkeypatch.context() as before:
        before.setattr(choose, "resolve_length", lambda recipe, train, chooses: resolve_length(recipe, train))
        before.setattr(loop, "is_best", lambda history, accuracy, loss: True)
        for event in begin(validation=0, epochs=2):
            if isinstance(event, Step) and event.step == stop:
                break
    events, report = finished(begin(validation=0, epochs=2, resume=True))
    started = next(event for event in events if isinstance(event, Started))
    config = config_of(report)

    assert started.resumed_at == stop
    assert started.recipe.epochs == started.epochs == report.best_epoch == 2
    assert not any("head alone" in reason for reason in started.reasons)
    assert (config["pretrained"]["road"], config["recipe"]["epochs"]) == ("whole network", 2)
    assert config["training"]["best_epoch"] == 2


def test_a_head_that_nothing_beats_is_kept(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    _, alone = finished(begin(epochs=0))
    # every picture gets the wrong class from the whole network
    wrong = lambda task, module, rows: np.eye(2, dtype=np.float32)[1 - task.labels[rows]]  # noqa: E731
    monkeypatch.setattr(transfer.loop, "predict_rows", wrong)
    events, report = finished(begin(out="worse", epochs=5, patience=2))

    assert [event.epoch for event in events if isinstance(event, Epoch)] == [0, 1, 2]  # and patience ends it
    assert report.best_epoch == 0
    assert config_of(report)["pretrained"]["road"] == "head"
    assert "no better validation in 2 epochs" in (report.early or "")
    same = [(each.folder / "model.safetensors").read_bytes() for each in (alone, report)]
    assert same[0] == same[1]


def test_the_sums_of_batch_norm_stay_and_lower_layers_move_less(begin: Begin) -> None:
    run = begin(epochs=2, learning_rate=1e-3, lowest_rate=1e-6, patience=9)
    _ = list(run)
    assert run._ready is not None
    state = run._ready.state.module.state_dict()
    known = tiny().tensors

    assert np.array_equal(state["batchnorm1.running_mean"].numpy(), known["batchnorm1.running_mean"])
    moved = {name: np.abs(state[name].numpy() - known[name]).max() for name in ("conv1.weight", "conv2.weight")}
    assert 0 < moved["conv1.weight"] < 1e-2 * moved["conv2.weight"]


def test_minutes_cover_everything(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer.loop, "measure_steps", lambda task, state, seconds: 1e9)
    events, report = finished(begin(minutes=0.05))

    assert not any(isinstance(event, Step) for event in events)  # no step fits, and none is needed
    assert report.best_epoch == 0
    assert report.complete


def slow_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever a run reads the clock, another hundred seconds have passed."""
    clock = SimpleNamespace(perf_counter=itertools.count(0.0, 100.0).__next__)
    for module in ("prepare", "run"):
        monkeypatch.setattr(f"pellucid.runs.{module}.time", clock)


def test_minutes_that_are_over_before_the_first_step_are_told(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_clock(monkeypatch)
    over = next(event for event in begin(minutes=0.01) if isinstance(event, Started))
    (message,) = [reason for reason in over.reasons if reason.startswith("minutes")]
    assert re.fullmatch(
        r"minutes 0\.01 were over before the first step: reading the pictures took \d+\.\d s, their features and the "
        r"head \d+\.\d s; only the head is trained",
        message,
    )
    monkeypatch.setattr(transfer.loop, "measure_steps", lambda task, state, seconds: 1e9)
    few = next(event for event in begin(out="few", minutes=100) if isinstance(event, Started))
    assert any(reason.startswith("minutes 100 are too few for a step of the whole network") for reason in few.reasons)
    monkeypatch.setattr(transfer.loop, "measure_steps", lambda task, state, seconds: 1.0)
    enough = next(event for event in begin(out="enough", minutes=100) if isinstance(event, Started))
    assert not any(reason.startswith("minutes") for reason in enough.reasons)


def test_minutes_that_reading_takes_are_told_from_scratch_too(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_clock(monkeypatch)
    network = {"pretrained": None, "model": "conv(2, 3, stride=2) relu globalavgpool dense", "size": 16}
    over = next(event for event in begin(minutes=0.01, **network) if isinstance(event, Started))
    (message,) = [reason for reason in over.reasons if reason.startswith("minutes")]
    assert message.startswith("minutes 0.01 were over before the first step: reading the pictures took ")
    assert message.endswith("; one step is trained anyway")


def test_the_heads_time_counts_once(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer.loop, "measure_steps", lambda task, state, seconds: 1.0)
    run = begin(minutes=100)
    next(event for event in run if isinstance(event, Started))
    assert run._ready is not None
    state = run._ready.state

    assert state.seconds_allowed is not None
    assert state.seconds > 0
    assert state.seconds < state.seconds_allowed <= 6000
    assert state.seconds_allowed > 6000 - 1000


def test_a_class_that_counts_more_is_called_more(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    fit, sides_seen = transfer.head.fitting, []
    monkeypatch.setattr(transfer.head, "fitting", lambda *sides: sides_seen.extend(sides[:2]) or fit(*sides))
    monkeypatch.setattr(weighting, "of", lambda *_: (3.0, 0.5))
    run = begin(epochs=0)
    finished(run)
    train, validation = sides_seen
    half = len(train.labels) // 2  # the second half are mirror images

    assert np.array_equal(train.weights, np.where(train.labels == 0, 3.0, 0.5) / 2)
    assert np.array_equal(train.labels[:half], train.labels[half:])
    assert np.array_equal(validation.weights, np.where(validation.labels == 0, 3.0, 0.5))
    state, mean = run.trained.state, validation.weights.mean()
    assert np.mean(state.head_losses) == pytest.approx(state.history[0].validation_loss)
    rows = run.trained.task.validation
    plain = transfer.head.targets.losses(loop.predict_rows(run.trained.task, state.module, rows), validation.labels)
    assert np.mean(plain * validation.weights / mean) == pytest.approx(state.history[0].validation_loss, rel=1e-3)


# ---- what decides


def test_what_the_user_named_wins_over_the_weights(begin: Begin) -> None:
    run = begin(epochs=1, size=32, fit="pad", learning_rate=0.0123)
    started = next(event for event in run if isinstance(event, Started))

    assert (started.recipe.size, started.recipe.fit, started.recipe.learning_rate) == (32, "pad", 0.0123)
    assert started.recipe.model == "tiny"
    assert started.recipe.label_smoothing == 0.0  # not named: as the weights want it
    assert "bicubic, mean and deviation: as the weights were trained" in started.reasons
    assert "size 32, pad: as requested" in started.reasons


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"channels": 1}, r"channels is 1, and the weights of tiny were trained with 3"),
        ({"loss": "mse"}, r"loss is 'mse', and the head on known weights is fitted by cross-entropy"),
        ({"model": "compact"}, r"model is 'compact', but pretrained 'imagenet' has the weights of tiny"),
    ],
)
def test_what_the_weights_cannot_take_is_refused(begin: Begin, tmp_path: Path, settings: Any, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        list(begin(**settings))
    assert not (tmp_path / "out").exists()


def test_photographs_start_from_known_weights_and_small_pictures_from_scratch(begin: Begin, tmp_path: Path) -> None:
    large = next(event for event in begin(pretrained=None) if isinstance(event, Started))
    own = next(event for event in begin(out="own", pretrained=None, from_scratch=True) if isinstance(event, Started))
    for label, name in enumerate(CLASSES):
        for number in range(8):
            draw(tmp_path / "small" / name / f"{number}.png", 100 * label + number, 2 - 2 * label)
            with Image.open(tmp_path / "small" / name / f"{number}.png") as image:
                image.resize((40, 30)).save(tmp_path / "small" / name / f"{number}.png")
    small = begin(tmp_path / "small", "small-out", pretrained=None)
    started = next(event for event in small if isinstance(event, Started))

    assert (large.recipe.model, large.recipe.pretrained) == ("tiny", "imagenet")
    assert any("colour photographs, and the pictures' longer side is 80" in reason for reason in large.reasons)
    assert any(reason.startswith("weights: made by a test") for reason in large.reasons)
    for other in (own, started):
        assert (other.recipe.model, other.recipe.pretrained) == ("compact", None)
    assert any("longer side is 40 (median), and known weights need 64" in reason for reason in started.reasons)


# ---- the glass box


def test_the_next_step_changes_only_the_head(begin: Begin, photos: Path) -> None:
    _, report = finished(begin(epochs=0))
    trace = pellucid.load(report.folder).explain(photos / "red" / "00.png")
    left, moved = trace.update("conv1.weight[0, 0, 0, 0]"), trace.update("dense1.weight[0, 3]")

    assert set(trace.updates) == {"dense1.weight", "dense1.bias"}
    assert left.note.startswith("Nothing changes")
    assert left.recorded == trace.values["conv1.weight"][0, 0, 0, 0]
    fitted = config_of(report)["pretrained"]["head"]
    weight, gradient = trace.values["dense1.weight"][0, 3], trace.gradients["dense1.weight"][0, 3]
    expected = weight - fitted["learning_rate"] * (gradient + fitted["weight_decay"] * weight)
    assert moved.recorded == pytest.approx(expected, rel=1e-6)


def test_after_the_whole_network_the_next_step_changes_all(
    begin: Begin, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer.head, "FEW", 0)  # or so few pictures might keep the head
    _, report = finished(begin(epochs=3, learning_rate=2e-3, patience=9))
    assert report.best_epoch > 0
    trace = pellucid.load(report.folder).explain(photos / "red" / "00.png")

    low, high = trace.update("conv1.weight[0, 0, 0, 0]"), trace.update("dense1.weight[0, 3]")
    assert low.settings["learning_rate"] == pytest.approx(0.1 * high.settings["learning_rate"])


# ---- going on


def without_times(folder: Path) -> dict[str, bytes]:
    timed = {"config.json", "history.csv", "README.md", "curves.png"}
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name not in timed)
    content = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    with io.StringIO((folder / "history.csv").read_text()) as file:
        rows = [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]
    return content | {"history": repr(rows).encode()}


# Each line of standard input: a moment (the name of an event or "writing"), its number, and the folder to run into. The
# run is killed there.
CHILD = f"""
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.known import tiny
from pellucid import files
from pellucid.runs import choose, transfer
from pellucid.classifier import card
from pellucid.runs.run import Run
from pellucid.pictures import augment_cpu
from pellucid.training import recipe
import numba
numba.njit(lambda: None)()  # the first loop of a process pays for Numba's own tables: a second for each run
transfer.find = tiny
directory = Path(sys.argv[1])
settings = {dict(QUICK, epochs=3, learning_rate=1e-3)!r}

def train(word, number, folder):
    seen = [0]
    def note(name):
        seen[0] += name == word
        if seen[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
    write = files.write
    def writing(path, content):
        note("writing")
        write(path, content)
    files.write = writing
    card.write = lambda folder: files.write(folder / "README.md", "a card")
    run = Run(directory, recipe.make(**settings), folder / "out", folder / "cache", True, 0.0, named=settings)
    for event in run:
        note(type(event).__name__)
    for event in run.finish():
        note(type(event).__name__)

for line in sys.stdin:
    word, number, folder = line.rstrip("\\n").split(" ", 2)
    child = os.fork()
    if not child:
        try:
            train(word, int(number), Path(folder))
        finally:
            os._exit(0)
    print(word, os.waitpid(child, 0)[1], flush=True)
"""


def killed(photos: Path, moments: list[tuple[str, int, Path]]) -> list[tuple[str, int]]:
    """Runs, killed at each moment in turn. The result of each: the moment's name and the wait status."""
    command = [sys.executable, "-c", CHILD, str(photos)]
    lines = "".join(f"{word} {number} {folder}\n" for word, number, folder in moments)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    results = [line.split() for line in done.stdout.splitlines()]
    return [(word, int(status)) for word, status in results]


def test_killed_on_the_way_it_ends_with_the_same_bytes(photos: Path, tmp_path: Path) -> None:
    moments = [
        ("Decoding", 2),
        ("Extracting", 1),
        ("Extracting", 3),  # features are there
        ("writing", 1),  # the first checkpoint, with the head
        ("Started", 1),
        ("Step", 2),
        ("Epoch", 1),
        ("writing", 4),
    ]
    torn = [(word, number, tmp_path / "torn") for word, number in [*moments, ("never", 1)]]
    whole, *result = killed(photos, [("never", 1, tmp_path / "whole"), *torn])

    assert whole == ("never", 0)
    assert result == [*((word, signal.SIGKILL) for word, _ in moments), ("never", 0)]
    expected, left = without_times(tmp_path / "whole" / "out"), without_times(tmp_path / "torn" / "out")
    assert left.keys() == expected.keys()
    assert [name for name in expected if left[name] != expected[name]] == []


def test_a_resumed_run_asks_nothing_of_the_weights(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for event in begin(epochs=2):
        if isinstance(event, Step) and event.step == 1:
            break
    shutil.rmtree(tmp_path / "cache")
    monkeypatch.setattr(transfer, "find", None)
    monkeypatch.setattr(features, "extract", None)
    events, report = finished(begin(epochs=2, resume=True))

    assert next(event for event in events if isinstance(event, Started)).resumed_at == 1
    assert [event.epoch for event in events if isinstance(event, Epoch)] == [1, 2]
    assert config_of(report)["pretrained"]["seen"] == "nothing but noise"


# ---- a model of ours


def test_a_model_of_ours_is_known_weights(
    photos: Path, tmp_path: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(card, "write", lambda folder: files.write(folder / "README.md", "a card"))
    written = "conv(6, 3, stride=2) batchnorm relu globalavgpool dense"
    run = begin(out="first", pretrained=None, model=written, size=32, epochs=1)
    _, first = finished(run)
    events, report = finished(begin(out="second", pretrained=str(first.folder), epochs=0))
    started = next(event for event in events if isinstance(event, Started))
    about = config_of(report)["pretrained"]

    assert started.recipe.model == written
    assert (started.recipe.size, started.recipe.fit) == (32, "stretch")
    assert about["seen"] == f"{len(run._ready.task.train)} pictures of 2 classes (first)"  # type: ignore[union-attr]
    before, after = first.classifier.module.state_dict(), report.classifier.module.state_dict()
    assert torch.equal(before["conv1.weight"], after["conv1.weight"])
    assert config_of(report)["preprocessing"]["mean"] == config_of(first)["preprocessing"]["mean"]


def test_pictures_that_the_model_had_seen_before_give_no_figure_to_quote(
    tmp_path: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    written = "conv(6, 3, stride=2) batchnorm relu globalavgpool dense"
    _, first = finished(begin(out="first", pretrained=None, model=written, size=32, epochs=1))
    _, same = finished(begin(out="same", pretrained=str(first.folder)))
    events, other = finished(begin(out="other", pretrained=str(first.folder), seed=8))
    started = next(event for event in events if isinstance(event, Started))
    sides = {}
    for folder in ("first", "other"):
        with (tmp_path / folder / "split.csv").open(newline="") as file:
            sides[folder] = {row["path"]: row["side"] for row in csv.DictReader(file)}
    seen = sum(side == "test" and sides["first"][path] != "test" for path, side in sides["other"].items())

    assert same.quotable
    assert pellucid.evaluate(same.folder).quotable
    assert seen
    assert other.knew == seen
    assert not other.quotable
    assert f"first has seen {seen} of the test pictures" in started.reasons
    assert f"No figure to quote: the model that the training started from had seen {seen} of" in (
        other.folder / "README.md"
    ).read_text(encoding="utf-8")
    again = pellucid.evaluate(other.folder)
    assert not again.quotable
    assert again.honest is None


def on_side(model: Path, side: str) -> list[str]:
    with (model / "split.csv").open(newline="") as file:
        return [row["path"] for row in csv.DictReader(file) if row["side"] == side]


def test_the_pictures_of_all_models_before_it_are_recognised(
    tmp_path: Path, photos: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(card, "write", lambda folder: files.write(folder / "README.md", "a card"))
    for place, seed in (("second", 1000), ("third", 2000), ("new", 3000)):
        for label, name in enumerate(CLASSES):
            for number in range(7):
                draw(tmp_path / "photos" / place / name / f"{number}.png", seed + 100 * label + number, 2 - 2 * label)
    written = "conv(6, 3, stride=2) batchnorm relu globalavgpool dense"
    _, first = finished(begin(out="models/first", pretrained=None, model=written, size=32, epochs=1))
    _, second = finished(begin(tmp_path / "photos/second", "models/second", pretrained=str(first.folder)))
    _, third = finished(begin(tmp_path / "photos/third", "models/third", pretrained=str(second.folder)))

    of_first = pellucid.evaluate(third.folder, photos)
    assert [seen.of for seen in of_first.trained_on] == on_side(first.folder, "train")
    assert {(seen.model, seen.same_file) for seen in of_first.trained_on} == {("first", True)}
    assert [seen.of for seen in of_first.chosen_on] == on_side(first.folder, "val")
    assert (of_first.untold, of_first.quotable) == (None, False)
    assert of_first.honest == of_first.unseen
    of_second = pellucid.evaluate(third.folder, tmp_path / "photos/second")
    assert [seen.of for seen in of_second.trained_on] == on_side(second.folder, "train")
    assert {seen.model for seen in of_second.trained_on} == {"second"}
    own = pellucid.evaluate(third.folder, tmp_path / "photos/third")
    assert [seen.of for seen in own.trained_on] == on_side(third.folder, "train")
    assert {seen.model for seen in own.trained_on} == {None}
    assert pellucid.evaluate(third.folder, tmp_path / "photos/new").quotable

    copy = tmp_path / "copies" / "red" / "copy.jpg"
    copy.parent.mkdir(parents=True)
    path = next(path for path in on_side(first.folder, "train") if path.startswith("red"))
    with Image.open(photos / path) as image:
        image.resize((60, 54)).save(copy, quality=85)
    (seen,) = pellucid.evaluate(third.folder, copy.parent.parent).trained_on
    assert (seen.of, seen.model, seen.same_file) == (path, "first", False)

    (tmp_path / "models").rename(tmp_path / "moved")  # together: they lie beside each other as before
    moved = pellucid.evaluate(tmp_path / "moved/third", photos)
    assert [seen.of for seen in moved.trained_on] == on_side(tmp_path / "moved/first", "train")
    shutil.rmtree(tmp_path / "moved/first")
    without = pellucid.evaluate(tmp_path / "moved/third", photos)
    assert (without.trained_on, without.honest, without.quotable) == ((), None, False)
    assert "second started from the model first, which is no longer where it was" in (without.untold or "")
    shutil.copytree(tmp_path / "moved/third", tmp_path / "moved/first")  # another model of that name
    assert pellucid.evaluate(tmp_path / "moved/third", photos).untold == without.untold


def test_what_a_grandparent_has_seen_gives_no_figure_to_quote(
    tmp_path: Path, begin: Begin, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(card, "write", lambda folder: files.write(folder / "README.md", "a card"))
    for label, name in enumerate(CLASSES):
        for number in range(7):
            draw(tmp_path / "others" / name / f"{number}.png", 1000 + 100 * label + number, 2 - 2 * label)
    written = "conv(6, 3, stride=2) batchnorm relu globalavgpool dense"
    _, first = finished(begin(out="first", pretrained=None, model=written, size=32, epochs=1, validation=0, test=0))
    _, second = finished(begin(tmp_path / "others", "second", pretrained=str(first.folder)))
    _, third = finished(begin(photos, "third", pretrained=str(second.folder)))

    assert third.knew == third.metrics["test"].pictures
    assert f"first has seen {third.knew} of the test pictures" in config_of(third)["reasons"]
    stated = json.loads((third.folder / "metrics.json").read_text())
    assert (stated["knew"], stated["knew_by"]) == (third.knew, ["first"])
    sentence = f"the training builds on first, which had seen {third.knew} of these pictures"
    assert f"**No figure to quote: {sentence}. " in card.text(config_of(third), stated)
    assert pellucid.evaluate(third.folder).untold == f"No figure to quote: {sentence}."
    progress._show_report(third, Console(soft_wrap=True, highlight=False))
    assert f"; no figure to quote: {sentence}\n" in capsys.readouterr().out
    assert not third.quotable


def test_a_head_without_bias_gets_one(tmp_path: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the saved model would answer differently from the fitted head."""
    monkeypatch.undo()
    monkeypatch.setattr(card, "write", lambda folder: files.write(folder / "README.md", "a card"))
    written = "conv(3, 5, stride=4) relu globalavgpool dense(bias=false)"
    _, first = finished(begin(out="first", pretrained=None, model=written, size=32, epochs=1, learning_rate=1e-4))
    events, report = finished(begin(out="second", pretrained=str(first.folder)))
    head = next(event for event in events if isinstance(event, Epoch))

    assert report.metrics["validation"].accuracy == head.validation_accuracy
    assert report.metrics["validation"].loss_uncalibrated == pytest.approx(head.validation_loss, rel=1e-3)


def test_a_model_of_ours_that_needs_its_size_is_not_asked_for_another(
    tmp_path: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(card, "write", lambda folder: files.write(folder / "README.md", "a card"))
    written = "conv(2, 3, stride=2) relu flatten dense"
    _, first = finished(begin(out="first", pretrained=None, model=written, size=32, epochs=1))
    says = r"size is 40, but the weights of conv.* are for pictures of 32x32: dense1\.weight is \[2, 450\] and would"
    with pytest.raises(RecipeError, match=says):
        list(begin(out="second", pretrained=str(first.folder), size=40))
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere", r"There are no known weights '.*nowhere'\. Write imagenet"),
        ("file", r"file is not a file of weights\."),
    ],
)
def test_weights_that_are_not_there(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    monkeypatch.undo()
    (tmp_path / "file").write_text("no weights")
    with pytest.raises(ArtefactError, match=says):
        list(begin(pretrained=str(tmp_path / name)))
    assert not (tmp_path / "out").exists()


# ---- ImageNet's own weights


def test_where_known_weights_cannot_be_kept_it_says_what_to_do(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "find", find)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"could not be written: .* Choose another place with --cache"):
        pellucid.train(photos, tmp_path / "m", cache=tmp_path / "file", **QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_imagenets_weights_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for label, name in enumerate(CLASSES):
        for number in range(12):
            draw(tmp_path / "photos" / name / f"{number:02}.png", 100 * label + number, 2 - 2 * label)
    classifier = pellucid.train(tmp_path / "photos", tmp_path / "out", cache=tmp_path / "cache", epochs=None)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    card = (tmp_path / "out" / "README.md").read_text()

    assert (config["recipe"]["model"], config["recipe"]["pretrained"]) == ("efficientnet_lite0", "imagenet")
    assert "which have seen ImageNet-1k" in config["reasons"][1]
    assert "The weights had seen ImageNet-1k: 1.28 million photographs of 1,000 classes, cats, dogs" in card
    assert classifier.predict(tmp_path / "photos" / "red" / "00.png").label == "red"
    stored = pellucid.api.cached(tmp_path / "cache")
    assert [type(each).__name__ for each in stored] == ["StoreInfo", "FeaturesInfo", "FeaturesInfo", "WeightsInfo"]
    assert pellucid.api.clear_cache(tmp_path / "cache") == sum(each.bytes for each in stored)
    assert pellucid.api.cached(tmp_path / "cache") == []
