"""One training from folder to model folder: its events, its files, and that a failure blocks nothing."""

import csv
import errno
import itertools
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pellucid import files
from pellucid.classifier import card
from pellucid.classifier import store as artefact
from pellucid.classifier.predict.with_torch import TorchBackend
from pellucid.classifier.saved import Saved
from pellucid.engine import kernels
from pellucid.errors import (
    ArtefactError,
    CatalogError,
    NetworkError,
    PellucidError,
    RecipeError,
    StorageError,
    TrainingError,
)
from pellucid.pictures.store import Decoding
from pellucid.runs import choose, prepare, run
from pellucid.runs.events import DataSummary, Started
from pellucid.runs.report import Report
from pellucid.runs.run import Run
from pellucid.steps import result_of
from pellucid.training import recipe as recipes
from pellucid.training import replay
from pellucid.training.data import Comparing, Sample
from pellucid.training.history import Epoch
from pellucid.training.loop import Step
from pellucid.training.recorder import is_due

NETWORK = "conv(4, 3) batchnorm relu globalavgpool dense"
SETTINGS = {"model": NETWORK, "size": 16, "epochs": 2, "batch": 16, "augment": "none", "precision": "float32"}


@pytest.fixture(autouse=True)
def plain_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """The card has its own tests; its plots take longer than everything tested here."""
    monkeypatch.setattr(card, "write", lambda folder: files.write(folder / "README.md", "a card"))


def draw(path: Path, seed: int, tint: int = 0) -> Image.Image:
    """A smooth picture with texture, different for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    coarse[..., tint] //= 2
    image = Image.fromarray(coarse).resize((72, 72), Image.Resampling.BICUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return image


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty pictures per class, and one file that is not a picture."""
    root = tmp_path_factory.mktemp("run") / "photos"
    for label, name in enumerate(("blue", "red")):
        for number in range(20):
            draw(root / name / f"{number:02}.png", 100 * label + number, 2 - 2 * label)
    (root / "red" / "notes.txt").write_text("not a picture")
    return root


Begin = Callable[..., Run]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def begin(photos: Path, tmp_path: Path, cache: Path) -> Begin:
    """begin(directory=, out=, resume=, checkpoint_seconds=, **settings) -> a Run."""

    def begin(
        directory: Path = photos,
        out: Path = tmp_path / "out",
        resume: bool = False,
        every: float = 15.0,
        **settings: Any,
    ) -> Run:
        return Run(directory, recipes.make(**{**SETTINGS, **settings}), out, cache, resume, every)

    return begin


def finished(one: Run) -> Report:
    for _ in one:
        pass
    return last(one)


def last(one: Run) -> Report:
    return result_of(one.finish())


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_12_bits_in_16_are_seen_alike_in_training_and_prediction(begin: Begin, tmp_path: Path) -> None:
    folder = tmp_path / "detector"
    for label, name in enumerate(("dim", "bright")):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            picture = draw(tmp_path / "plain.png", 100 * label + number).convert("L").resize((24, 24))
            values = 900 + np.asarray(picture).astype(np.uint16) // (2 - label)  # 900 to 1155 of 65535
            Image.fromarray(values).save(folder / name / f"{number:02}.png")
    one = begin(folder)
    started = next(event for event in one if isinstance(event, Started))
    reasons = [reason for reason in started.reasons if reason.startswith("pictures of more than 8 bits: ")]
    report = finished(one)
    ranges = report.classifier.ranges
    assert ranges.integer is not None
    assert reasons == list(ranges.sentences)
    assert 900 <= ranges.integer[0] < ranges.integer[1] <= 1155
    assert json.loads((tmp_path / "out" / "config.json").read_text())["preprocessing"]["ranges"] == ranges.as_json()
    store = one._ready.data.store  # type: ignore[union-attr]
    saved = artefact.read(tmp_path / "out")
    assert isinstance(saved, Saved)
    for predictor in (saved.predictor(), artefact.load(tmp_path / "out")):
        for row in (0, 23):
            path = folder / store.catalog.pictures[row].path
            assert np.array_equal(predictor.prepared(path), store.images[row])
            assert np.array_equal(predictor.prepared(path.read_bytes()), store.images[row])
    assert np.ptp(store.images) > 200


def test_what_a_run_tells_and_leaves(begin: Begin, tmp_path: Path, photos: Path) -> None:
    one = begin()
    assert not one.worth_finishing
    events = list(one)
    kinds = [kind for kind, _ in itertools.groupby(events, type)]
    assert kinds == [Decoding, Comparing, DataSummary, Started, Step, Epoch, Step, Epoch]
    summary = next(event for event in events if isinstance(event, DataSummary))
    assert (summary.classes, summary.pictures) == (("blue", "red"), (20, 20))
    assert [bad.path for bad in summary.quarantine] == ["red/notes.txt"]
    assert (summary.train, summary.validation, summary.test) == (28, 6, 6)
    started = next(event for event in events if isinstance(event, Started))
    assert (started.epochs, started.steps, started.resumed_at) == (2, 4, None)
    assert started.parameters == 4 * 27 + 4 + 2 * 4 + 2 * 4 + 2
    assert started.recipe.channels == 3
    assert one.worth_finishing
    assert (tmp_path / "out" / "checkpoint").is_dir()

    report = last(one)
    assert report.complete
    assert report.reported == "test"
    assert report.metrics["test"].pictures == 6
    left = {path.name for path in report.folder.iterdir()} - {"thumbnails"}
    assert left == {
        *("config.json", "model.safetensors", "optimizer.safetensors", "metrics.json", "history.csv", "README.md"),
        *("split.csv", "twins.csv", "quarantine.csv", "known.safetensors", "graph.onnx"),
    }
    config = json.loads((report.folder / "config.json").read_text())
    assert config["training"]["complete"] is True
    assert (config["training"]["steps"], config["training"]["epochs"]) == (4, 2)
    assert (config["data"]["train"], config["data"]["quarantined"]) == (28, 1)
    assert config["data"]["split_fingerprint"] == files.sha256(report.folder / "split.csv")
    metrics = json.loads((report.folder / "metrics.json").read_text())
    assert metrics["test"]["correct"] == report.metrics["test"].correct
    wrong = metrics["test"]["pictures"] - metrics["test"]["correct"]
    assert len(metrics["mistakes"]) == wrong
    assert all((report.folder / mistake["thumbnail"]).is_file() for mistake in metrics["mistakes"])

    loaded = artefact.load(report.folder)
    answer = loaded.predict(photos / "red" / "00.png")
    assert answer.probabilities == report.classifier.predict(photos / "red" / "00.png").probabilities


def test_finishing_half_way_does_not_disturb_the_run(begin: Begin, tmp_path: Path) -> None:
    whole = finished(begin(out=tmp_path / "whole", epochs=3))
    one = begin(epochs=3)
    for event in one:
        if isinstance(event, Step) and event.step == 3:  # the weights are not those of the best epoch
            report = last(one)
            assert not report.complete
            assert (report.folder / "checkpoint").is_dir()
            one.save_checkpoint()
    assert last(one).complete
    for file in ("model.safetensors", "optimizer.safetensors", "metrics.json"):
        assert (tmp_path / "out" / file).read_bytes() == (whole.folder / file).read_bytes()


@pytest.mark.parametrize(
    ("optimizer", "keys"), [("sgd", {"momentum_buffer"}), ("adam", {"exp_avg", "exp_avg_sq", "step"})]
)
def test_the_optimizer_of_the_best_epoch_is_saved_with_its_weights(
    begin: Begin, tmp_path: Path, optimizer: str, keys: set[str]
) -> None:
    one = begin(epochs=3, validation=0, optimizer=optimizer)  # each epoch is the best
    for event in one:
        if isinstance(event, Epoch) and event.epoch == 1:
            assert one._ready is not None
            state = one._ready.state
            stored = {name: tensor.clone() for name, tensor in state.best_optimizer.items()}
        if isinstance(event, Step) and event.step == event.steps // 3 + 1:  # one more than the epoch
            last(one)
            break
    saved = artefact.read_optimizer(tmp_path / "out")
    assert saved is not None
    assert saved.tensors.keys() == stored.keys()
    assert all(torch.equal(saved.tensors[name], tensor) for name, tensor in stored.items())
    assert {name.split("/")[1] for name in stored} == keys
    assert {name.split("/")[0] for name in stored} == {name for name, _ in state.module.named_parameters()}
    assert (saved.step, state.step, state.steps) == (3, 4, 9)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["optimizer"] == {"step": 3, "steps": 9, "learning_rate": saved.learning_rate}
    # the cosine after a warm-up of 0.15: step 4 is at 3.5 of 9 steps
    assert saved.learning_rate == pytest.approx(1.5e-3 * 0.5 * (1 + math.cos(math.pi * (3.5 / 9 - 0.15) / 0.85)))
    size = (tmp_path / "out" / artefact.OPTIMIZER).stat().st_size
    assert config["files"][artefact.OPTIMIZER]["bytes"] == size
    if optimizer == "adam":
        assert saved.tensors["conv1.weight/step"] == 3


def test_where_training_is_over_the_rate_is_that_of_the_last_step(begin: Begin, tmp_path: Path) -> None:
    finished(begin(validation=0))
    saved = artefact.read_optimizer(tmp_path / "out")
    assert saved is not None
    assert saved.step == 6
    assert saved.learning_rate == pytest.approx(1.5e-3 * 0.5 * (1 + math.cos(math.pi * (5.5 / 6 - 0.15) / 0.85)))


def test_the_same_seed_gives_the_same_files(begin: Begin, tmp_path: Path) -> None:
    weights = []
    for number, seed in enumerate((1, 1, 2)):
        report = finished(begin(out=tmp_path / str(number), seed=seed, augment="strong"))
        weights.append((report.folder / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


# ---- a split without a leak (Done when 6)


@pytest.fixture
def with_twins(tmp_path: Path) -> Path:
    """Thirty pictures per class, twelve of each with a near-duplicate, and one picture in both classes."""
    root = tmp_path / "twins"
    for label, name in enumerate(("blue", "red")):
        for number in range(30):
            image = draw(root / name / f"{number:02}.png", 1000 * label + number, 2 - 2 * label)
            if number < 4:
                image.save(root / name / f"{number:02} recompressed.jpg", quality=70)
            elif number < 8:
                image.resize((54, 54)).save(root / name / f"{number:02} smaller.png")
            elif number < 12:
                image.point([min(255, value + 8) for value in range(256)] * 3).save(
                    root / name / f"{number:02} brighter.png"
                )
    Image.open(root / "blue" / "20.png").save(root / "red" / "planted.jpg", quality=80)
    return root


def test_twins_never_straddle_the_split_and_a_planted_leak_is_reported(begin: Begin, with_twins: Path) -> None:
    for seed in range(3):
        out = with_twins.parent / f"out {seed}"
        one = begin(with_twins, out, seed=seed, validation=0.25, test=0.25, epochs=1)
        events = iter(one)
        summary = next(event for event in events if isinstance(event, DataSummary))
        assert summary.twins_across_classes == (("blue/20.png", "red/planted.jpg"),)
        assert summary.twin_pairs == 25
        assert summary.twin_pictures == 50
        assert summary.train + summary.validation + summary.test == 85
        next(events)  # Started: the lists are written

        with (out / "split.csv").open(newline="") as file:
            side = {row["path"]: row["side"] for row in csv.DictReader(file)}
        with (out / "twins.csv").open(newline="") as file:
            pairs = list(csv.DictReader(file))
        assert len(pairs) == 25
        assert [pair["path"] for pair in pairs if side[pair["path"]] != side[pair["twin"]]] == []
        # by their names, whatever the search for twins says
        for path in side:
            if " " in path:
                assert side[path] == side[path.split(" ")[0] + ".png"]
        assert side["blue/20.png"] == side["red/planted.jpg"]
        across = [pair for pair in pairs if pair["same_class"] == "0"]
        assert across == [{"path": "blue/20.png", "twin": "red/planted.jpg", "same_class": "0", "across": "copy"}]
        assert {side[pair["path"]] for pair in pairs} == {"train", "val", "test"}  # they are not simply all in train


# ---- errors that block nothing


@pytest.mark.parametrize(
    ("error", "settings"),
    [
        (NetworkError, {"model": "conv(4, 99) flatten dense"}),
        (NetworkError, {"model": "no-such-network"}),
        (NetworkError, {"model": "globalavgpool flatten", "channels": 3}),
        (RecipeError, {"device": "cuda:77"}),
    ],
)
def test_an_error_before_the_training_leaves_nothing(
    begin: Begin, tmp_path: Path, error: type[PellucidError], settings: dict[str, Any]
) -> None:
    with pytest.raises(error):
        list(begin(**settings))
    assert not (tmp_path / "out").exists()
    assert next(iter(begin())) is not None


def test_a_folder_without_classes_leaves_nothing(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CatalogError):
        list(begin(tmp_path / "empty"))
    assert not (tmp_path / "out").exists()


def test_a_device_that_is_not_there_costs_no_decoding(begin: Begin) -> None:
    with pytest.raises(RecipeError):
        next(iter(begin(device="cuda:77")))


@pytest.mark.parametrize("name", ["step-00000000.safetensors", "split.csv"])
def test_after_a_full_disk_it_can_be_tried_again(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    replacing = files.replacing

    @contextmanager
    def full(path: Path, new: bool = False) -> Iterator[Path]:
        if path.name == name:
            with files.storage_errors(path):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with replacing(path, new) as part:
            yield part

    monkeypatch.setattr(files, "replacing", full)
    with pytest.raises(StorageError, match=f"The disk is full: .*{name}"):
        list(begin())
    monkeypatch.setattr(files, "replacing", replacing)
    if name == "split.csv":  # a checkpoint stands: it is a training to go on with
        with pytest.raises(ArtefactError, match="or continue with --resume"):
            begin()
    assert finished(begin(resume=name == "split.csv")).complete


def test_a_loss_that_is_not_finite_leaves_the_checkpoint(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    one = begin(every=0.0)
    with monkeypatch.context() as patch:
        patch.setattr(run.loop.backward, "mean_loss", lambda kind, logits, *_: logits.sum() * float("nan"))
        with pytest.raises(TrainingError, match="The loss is nan at step 1 of 4"):
            list(one)
    assert not one.worth_finishing
    assert finished(begin(resume=True)).complete


def test_outputs_that_are_not_finite_are_not_saved(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = begin()
    for _ in one:
        pass
    monkeypatch.setattr(TorchBackend, "logits", lambda self, images: np.full((len(images), 2), np.inf, np.float32))
    with pytest.raises(TrainingError, match="outputs for the validation pictures are not finite"):
        last(one)
    assert not (tmp_path / "out" / "config.json").exists()


# ---- the place


def test_what_stands_in_out_is_not_overwritten(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("mine")
    with pytest.raises(
        ArtefactError, match=r"is not empty, and nothing of yours is overwritten\. Choose another --out\.$"
    ):
        begin()
    with pytest.raises(ArtefactError, match=r"holds other files and no training to resume"):
        begin(resume=True)
    assert (tmp_path / "out" / "README.md").read_text() == "mine"
    with pytest.raises(ArtefactError, match=r"README\.md is a file; choose another --out"):
        begin(out=tmp_path / "out" / "README.md")


@pytest.mark.parametrize("resume", [False, True])
def test_what_a_run_leaves_that_was_killed_before_its_first_checkpoint_is_no_hindrance(
    begin: Begin, tmp_path: Path, resume: bool
) -> None:
    left = tmp_path / "out" / "checkpoint"
    left.mkdir(parents=True)
    (left / ".step-00000000.safetensors.abcd1234.part").write_bytes(b"torn")
    events = iter(begin(resume=resume))
    started = next(event for event in events if isinstance(event, Started))
    assert started.resumed_at is None
    assert [path.name for path in left.iterdir()] == ["step-00000000.safetensors"]


def test_resuming_where_nothing_is_begins(begin: Begin) -> None:
    started = next(event for event in begin(resume=True) if isinstance(event, Started))
    assert started.resumed_at is None


def test_a_complete_training_is_not_resumed(begin: Begin, tmp_path: Path) -> None:
    finished(begin())
    before = bytes_of(tmp_path / "out")
    with pytest.raises(ArtefactError, match="is complete; there is nothing to resume"):
        begin(resume=True)
    with pytest.raises(ArtefactError, match=r"is not empty.*Choose another --out\.$"):
        begin()
    assert bytes_of(tmp_path / "out") == before


# ---- going on


def stopped(one: Run, steps: int) -> None:
    """Train this many steps, as before a power failure."""
    for event in one:
        if isinstance(event, Step) and event.step == steps:
            return


def test_a_resumed_run_keeps_what_was_chosen(
    begin: Begin, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Size, channels and augmentation were chosen from the pictures; a later file must not change them."""
    own = shutil.copytree(photos, tmp_path / "own")
    stopped(begin(own, every=0.0, size=None, augment="auto"), 3)
    Image.fromarray(np.zeros((200, 300, 3), np.uint8)).save(own / "red" / "cut.png")
    content = (own / "red" / "cut.png").read_bytes()
    (own / "red" / "cut.png").write_bytes(content[: len(content) // 2])
    monkeypatch.setattr(choose.datasets, "sample", lambda *_: Sample(40, grey=True))  # what the pictures now look like
    one = begin(own, resume=True, size=None, augment="auto", epochs=99, seed=99)
    started = next(event for event in one if isinstance(event, Started))
    assert (started.recipe.size, started.recipe.augment, started.recipe.epochs) == (72, "strong", 2)
    assert (started.recipe.seed, started.resumed_at, started.steps) == (0, 3, 4)
    assert one.recipe.size is None  # as requested
    assert any(reason.startswith("size 72: ") for reason in started.reasons)


def test_a_run_that_was_begun_without_our_kernels_goes_on_without(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = {"model": "conv(16, 3) conv(16, 5, groups=16) relu flatten dense"}
    with monkeypatch.context() as before:
        before.setattr(kernels, "described", lambda _: ())
        stopped(begin(every=0.0, **network), 3)
    started = [event for event in begin(resume=True, **network) if isinstance(event, Started)]
    assert not any(reason.startswith("kernels of our own") for reason in started[0].reasons)
    started = [event for event in begin(out=tmp_path / "new", **network) if isinstance(event, Started)]
    assert "kernels of our own: gradients of depthwise convolutions" in started[0].reasons


def test_pictures_that_have_changed_are_refused(begin: Begin, photos: Path, tmp_path: Path) -> None:
    own = shutil.copytree(photos, tmp_path / "own")
    one = begin(own, every=0.0)
    stopped(one, 2)
    one.close()  # otherwise its lock is in the folder until the interpreter collects the run
    before = bytes_of(tmp_path / "out")
    draw(own / "red" / "new.png", 555)
    with pytest.raises(ArtefactError, match=r"The pictures in .* have changed since .*step-00000002.* was written"):
        list(begin(own, resume=True))
    assert bytes_of(tmp_path / "out") == before
    (own / "red" / "new.png").unlink()
    assert finished(begin(own, resume=True)).complete


@pytest.mark.parametrize(
    "name", ["metrics.json", "optimizer.safetensors", "model.safetensors", "config.json", "README.md"]
)
def test_broken_off_while_saving_it_is_finished_by_resuming(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    whole = finished(begin(out=tmp_path / "whole"))
    one = begin()
    for _ in one:
        pass
    write = files.write

    def killed(path: Path, content: bytes | str) -> None:
        if path.name == name:
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(files, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        last(one)
    monkeypatch.setattr(files, "write", write)
    if name != "README.md":
        with pytest.raises(ArtefactError, match="has not finished"):
            artefact.load(tmp_path / "out")

    resumed = begin(resume=True)
    events = list(resumed)
    assert [event for event in events if isinstance(event, Step | Epoch)] == []
    last(resumed)
    for file in ("model.safetensors", "optimizer.safetensors", "metrics.json", "split.csv"):
        assert (tmp_path / "out" / file).read_bytes() == (whole.folder / file).read_bytes()
    assert (tmp_path / "out" / "README.md").exists()
    assert not (tmp_path / "out" / "checkpoint").exists()


def test_a_second_saving_leaves_nothing_of_the_first(begin: Begin, tmp_path: Path) -> None:
    one = begin(epochs=3)
    for event in one:
        if isinstance(event, Epoch) and event.epoch == 1:
            report = last(one)
            (report.folder / "thumbnails").mkdir(exist_ok=True)
            (report.folder / "thumbnails" / "99.jpg").touch()
    metrics = json.loads((last(one).folder / "metrics.json").read_text())
    result = tmp_path / "out" / "thumbnails"
    left = sorted(path.name for path in result.iterdir()) if result.is_dir() else []
    assert left == [Path(mistake["thumbnail"]).name for mistake in metrics["mistakes"]]


def test_a_second_saving_that_is_broken_off_does_not_look_whole(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the first one's config would be beside the second one's weights."""
    one = begin(epochs=2)
    for event in one:
        if isinstance(event, Epoch):
            last(one)
            artefact.load(tmp_path / "out")
            break
    write = files.write

    def killed(path: Path, content: bytes | str) -> None:
        if path.name == "config.json":
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(files, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        finished(begin(resume=True))
    with pytest.raises(ArtefactError, match="has not finished"):
        artefact.load(tmp_path / "out")


# ---- minutes


def test_minutes_plan_the_steps_and_a_resumed_run_keeps_the_plan(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run.loop, "measure_steps", lambda task, state, seconds: seconds)
    one = begin(minutes=1000, epochs=None, every=0.0)
    started = next(event for event in one if isinstance(event, Started))
    # 2 % of the time a step: 50 would fit, and validating 6 of 28 + 6 pictures takes 6/28/3 of the time
    assert started.steps == 46
    assert started.recipe.epochs is None
    assert one._ready is not None
    allowed = one._ready.state.seconds_allowed
    assert allowed is not None
    assert 59_000 < allowed < 60_000

    monkeypatch.setattr(run.loop, "measure_steps", None)  # not measured again
    again = begin(resume=True)
    resumed = next(event for event in again if isinstance(event, Started))
    assert (resumed.steps, resumed.resumed_at, resumed.recipe.minutes) == (46, 0, 1000)
    assert again._ready is not None
    assert again._ready.state.seconds_allowed == allowed


def test_minutes_win_over_the_epochs_of_a_preset(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run.loop, "measure_steps", lambda task, state, seconds: 1.0)
    one = begin(model="article", size=16, minutes=0.5, epochs=5, every=99.0)
    started = next(event for event in one if isinstance(event, Started))
    assert started.steps > 5 * 2
    assert started.recipe.epochs is None


# ---- a replay


def test_a_replay_changes_nothing_but_itself(begin: Begin, tmp_path: Path) -> None:
    settings = {"epochs": 3, "augment": "strong", "model": NETWORK.replace("dense", "dropout(0.3) dense")}
    without = finished(begin(out=tmp_path / "without", **settings))
    report = finished(begin(replay=True, **settings))
    for file in ("model.safetensors", "optimizer.safetensors", "metrics.json"):
        assert (report.folder / file).read_bytes() == (without.folder / file).read_bytes()
    assert without.replay is None
    assert not (without.folder / "replay").exists()

    recorded = replay.read(report.folder / "replay")
    assert [frame.step for frame in recorded.frames] == list(range(7))
    assert [layer.name for layer in recorded.layers] == ["conv1", "relu1", "globalavgpool1.average", "dense1"]
    with (report.folder / "split.csv").open(newline="") as file:
        listed = {row["path"]: (row["class"], row["side"]) for row in csv.DictReader(file)}
    assert [listed[picture.path] for picture in recorded.pictures] == [("blue", "val"), ("red", "val")]
    assert report.replay is not None
    size = sum(path.stat().st_size for path in (report.folder / "replay").iterdir())
    assert (report.replay.frames, report.replay.bytes) == (7, size)
    with (report.folder / "history.csv").open(newline="") as file:
        losses = [float(row["train_loss"]) for row in csv.DictReader(file)]
    assert [recorded.frames[step].train_loss for step in (2, 4, 6)] == pytest.approx(losses, rel=1e-5)


def test_a_replay_follows_the_minutes(begin: Begin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The plan changes during the training; the frames are those of the final plan."""
    monkeypatch.setattr(run.loop, "measure_steps", lambda task, state, seconds: 0.001)
    monkeypatch.setattr(prepare.minutes, "REPLAN", 5)
    report = finished(begin(minutes=0.03, epochs=None, replay=True, every=99.0))
    recorded = replay.read(tmp_path / "out" / "replay")
    steps = json.loads((report.folder / "config.json").read_text())["training"]["steps"]
    assert recorded.frames[0].step == 0
    assert recorded.frames[-1].step == recorded.steps == steps
    assert all(is_due(frame.step, steps, None) for frame in recorded.frames)
    assert len(recorded.frames) <= 65 + math.log2(steps)


# ---- without some sides


@pytest.mark.parametrize(
    ("validation", "test", "reported", "sides"),
    [(0.3, 0, "validation", {"validation"}), (0, 0.3, "test", {"test"}), (0, 0, "train", {"train"})],
)
def test_what_is_reported_where_a_side_is_missing(
    begin: Begin, validation: float, test: float, reported: str, sides: set[str]
) -> None:
    report = finished(begin(validation=validation, test=test, epochs=1))
    assert report.reported == reported
    assert set(report.metrics) == sides
    assert report.classifier.temperature == 1.0 or validation > 0
    assert report.best_epoch == 1


def test_who_stops_asking_and_asks_again_goes_on(begin: Begin, tmp_path: Path) -> None:
    whole, halting = begin(out=tmp_path / "whole"), begin(out=tmp_path / "halting")
    finished(whole)
    stopped(halting, 2)
    steps = [event.step for event in halting if isinstance(event, Step)]
    assert steps[0] == 3
    last(halting)
    weights = [(tmp_path / name / artefact.WEIGHTS).read_bytes() for name in ("whole", "halting")]
    assert weights[0] == weights[1]


def test_one_picture_a_step_is_too_few_for_batch_norm(begin: Begin) -> None:
    with pytest.raises(RecipeError, match=r"^batch is 1, but batch norm needs several pictures per step"):
        list(begin(batch=1))
    events = list(begin(batch=1, epochs=1, model="flatten dense"))
    assert any(isinstance(event, Epoch) for event in events)


def test_a_model_folder_inside_the_pictures_is_no_class_and_can_be_resumed(
    begin: Begin, photos: Path, tmp_path: Path
) -> None:
    own = shutil.copytree(photos, tmp_path / "own")
    out, other = own / "deep" / "model", own / "other"
    stopped(begin(own, out, every=0.0), 2)
    resumed = begin(own, out, resume=True)
    events = list(resumed)
    assert next(event for event in events if isinstance(event, Started)).resumed_at == 2
    assert last(resumed).complete
    summary = next(event for event in begin(own, other) if isinstance(event, DataSummary))
    assert (summary.classes, summary.pictures) == (("blue", "red"), (20, 20))
    assert [folder.path for folder in summary.left_out] == ["deep/"]
    config = finished(begin(own, other)).folder / "config.json"
    assert json.loads(config.read_text())["data"]["left_out"] == ["deep/"]


def test_class_names_that_hardly_differ_are_told(begin: Begin, photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos / "blue", tmp_path / "own" / "Cat")
    shutil.copytree(photos / "red", tmp_path / "own" / "cat")
    one = begin(tmp_path / "own")
    summary = next(event for event in one if isinstance(event, DataSummary))
    assert summary.classes_alike == (("Cat", "cat"),)
