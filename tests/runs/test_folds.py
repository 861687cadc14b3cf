"""A cross-validation from folder to model folder: each picture tested once, stopped, killed, resumed, refused."""

import csv
import itertools
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.known import tiny

import pellucid
from pellucid import api, files
from pellucid.classifier import card
from pellucid.classifier.predict.expand import expand
from pellucid.errors import ArtefactError, CatalogError, RecipeError, TrainingError
from pellucid.pictures.store import Decoding
from pellucid.runs import folds, transfer
from pellucid.runs.events import DataSummary, FoldBegun, FoldDone, FoldStep, Started
from pellucid.runs.folds import CrossValidation
from pellucid.runs.report import Report
from pellucid.runs.run import Run
from pellucid.training import loop
from pellucid.training import recipe as recipes
from pellucid.training.folds import FoldPosition
from pellucid.training.history import Epoch

NETWORK = "conv(4, 3) batchnorm relu globalavgpool dense"
SETTINGS = {"model": NETWORK, "size": 16, "epochs": 2, "batch": 16, "augment": "strong", "folds": 3, "seed": 4}


@pytest.fixture(autouse=True)
def plain_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """The card has its own test here; its plots take longer than all the other tests."""
    monkeypatch.setattr(card, "write", lambda folder: files.write(folder / "README.md", "a card"))


def draw(path: Path, seed: int, channel: int) -> None:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    coarse[..., 2 - channel] //= 2
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC).save(path)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifteen pictures per class; four blue ones have a twin."""
    root = tmp_path_factory.mktemp("folds") / "photos"
    for label, name in enumerate(("blue", "red")):
        for number in range(15):
            draw(root / name / f"{number:02}.png", 100 * label + number, 2 * label)
    for number in range(4):
        with Image.open(root / "blue" / f"{number:02}.png") as picture:
            picture.save(root / "blue" / f"{number:02} again.jpg", quality=90)
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


Begin = Callable[..., CrossValidation]


@pytest.fixture
def begin(photos: Path, tmp_path: Path, cache: Path) -> Begin:
    def begin(
        directory: Path = photos, out: Path = tmp_path / "out", resume: bool = False, every: float = 0.0, **more: Any
    ) -> CrossValidation:
        return CrossValidation(directory, recipes.make(**{**SETTINGS, **more}), out, cache, resume, every)

    return begin


def finished(one: CrossValidation) -> Report:
    for _ in one:
        pass
    return api.finish(one)


def left(folder: Path) -> dict[str, bytes]:
    """The bytes of everything without a duration."""
    metrics = json.loads((folder / "metrics.json").read_text())
    for each in metrics["folds"]["each"]:
        del each["seconds"]
    timed = {"config.json", "history.csv", "README.md", "metrics.json"}
    results = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in timed
    }
    return results | {"metrics": json.dumps(metrics).encode()}


def test_each_picture_is_tested_once_and_the_last_model_learns_from_all(
    begin: Begin, photos: Path, tmp_path: Path
) -> None:
    one, tested, sides = begin(), [], []
    events = []
    for event in one:
        events.append(event)
        if isinstance(event, FoldDone):
            with (one.out / "folds" / str(event.fold.number) / "split.csv").open(newline="") as file:
                sides.append({row["path"]: row["side"] for row in csv.DictReader(file)})
            tested += [path for path, side in sides[-1].items() if side == "test"]
    report = api.finish(one)

    assert sorted(tested) == sorted(str(path.relative_to(photos)) for path in photos.rglob("*.*"))
    for split in sides:
        assert len(split) == 34
        assert set(split.values()) == {"train", "val", "test"}
        assert all(split[f"blue/{n:02}.png"] == split[f"blue/{n:02} again.jpg"] for n in range(4))
    chosen_by = [frozenset(path for path, side in split.items() if side == "val") for split in sides]
    assert len(set(chosen_by)) == 3

    (summary,) = [event for event in events if isinstance(event, DataSummary)]
    assert (summary.train, summary.validation, summary.test, summary.folds) == (34, 0, 34, 3)
    assert len([event for event in events if isinstance(event, Started)]) == 1
    begun = [(event.fold, event.test) for event in events if isinstance(event, FoldBegun)]
    assert [number for number, _ in begun] == [1, 2, 3, 0]
    assert sum(test for _, test in begun) == 34
    assert begun[-1][1] == 0
    steps = [event for event in events if isinstance(event, FoldStep)]
    assert all(before.done < after.done for before, after in itertools.pairwise(steps))
    assert steps[-1].done == steps[-1].total
    assert all(step.seconds_left >= 0 for step in steps)
    assert steps[-1].seconds_left == 0
    assert len([event for event in events if isinstance(event, Epoch)]) == 4 * 2

    assert (report.complete, report.reported, report.quotable) == (True, "folds", True)
    assert report.folds is not None
    assert report.folds.metrics.pictures == 34
    assert report.folds.metrics.correct == sum(fold.correct for fold in report.folds.each)
    assert report.folds.units == pytest.approx(34**2 / (26 + 4 * 2**2))
    assert {path.name for path in report.folder.iterdir()} >= {"config.json", "metrics.json", "split.csv"}
    assert not {"folds", "checkpoint", ".pellucid.lock"} & {path.name for path in report.folder.iterdir()}
    with (report.folder / "split.csv").open(newline="") as file:
        assert {row["side"] for row in csv.DictReader(file)} == {"train", "val"}

    stated = json.loads((report.folder / "metrics.json").read_text())
    assert (stated["reported"], stated["quotable"]) == ("folds", True)
    assert stated["folds"]["interval"] == list(report.folds.metrics.interval)
    assert [each["pictures"] for each in stated["folds"]["each"]] == [test for _, test in begun[:-1]]
    assert len(stated["mistakes"]) == min(12, 34 - report.folds.metrics.correct)
    assert json.loads((report.folder / "config.json").read_text())["recipe"]["folds"] == 3


def test_a_fold_is_what_a_training_on_the_others_gives(begin: Begin, cache: Path, tmp_path: Path, photos: Path) -> None:
    """The figures of fold 2, from a folder whose sides say the same."""
    one = begin()
    for event in one:
        if isinstance(event, FoldDone) and event.fold.number == 2:
            break
    with (one.out / "folds" / "2" / "split.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            target = tmp_path / "sides" / row["side"] / row["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(photos / row["path"], target)
    plain = recipes.make(**{**SETTINGS, "folds": None})
    run = Run(tmp_path / "sides", plain, tmp_path / "plain", cache)
    for _ in run:
        pass
    report = api.finish(run)
    assert report.metrics["test"].correct == event.fold.correct
    assert report.metrics["test"].loss == pytest.approx(event.fold.loss, rel=1e-3)
    assert report.classifier.temperature == pytest.approx(event.fold.temperature, rel=1e-3)


def test_stopped_in_any_fold_it_goes_on_with_the_same_bytes(begin: Begin, tmp_path: Path) -> None:
    whole = left(finished(begin(out=tmp_path / "whole")).folder)
    for where in [(1, 1), (2, 3), (3, 2), (0, 2)]:
        out = tmp_path / f"stopped {where[0]}"
        one = begin(out=out)
        for event in one:
            if isinstance(event, FoldStep) and (event.fold, event.step) == where:
                one.save_checkpoint()
                break
        one.close()
        assert (out / "folds" / "plan.json").is_file()
        again = begin(out=out, resume=True)
        events = list(again)
        begun = [event.fold for event in events if isinstance(event, FoldBegun)]
        done = [event.fold.number for event in events if isinstance(event, FoldDone)]
        assert begun == ([*range(where[0], 4)] if where[0] else []) + [0]
        assert done == [1, 2, 3]
        assert next(event.step for event in events if isinstance(event, FoldStep)) == where[1] + 1
        assert left(api.finish(again).folder) == whole


def test_killed_between_two_files_it_goes_on_with_the_same_bytes(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after kill -9: after each of the writes of a run, in turn."""
    whole = left(finished(begin(out=tmp_path / "whole", every=1e9)).folder)
    write, writes = files.write, 0

    class Killed(BaseException):
        pass

    def killing(path: Path, content: bytes | str) -> None:
        nonlocal writes
        write(path, content)
        writes += 1
        if writes == at:
            raise Killed

    # 1 plan, 2 first checkpoint, 3 to 5 lists, 6 plan, 7 last checkpoint, 8 answers, 9 first checkpoint of fold 2
    monkeypatch.setattr(files, "write", killing)
    for at in (1, 2, 4, 6, 7, 8, 9, 24, 31):
        writes, out = 0, tmp_path / f"killed {at}"
        one = begin(out=out, every=1e9)
        # a killed process cannot do this
        monkeypatch.setattr(CrossValidation, "_leave", lambda self: None)
        with pytest.raises(Killed):
            finished(one)
        monkeypatch.undo()
        monkeypatch.setattr(card, "write", lambda folder: write(folder / "README.md", "a card"))
        one.close()
        assert left(finished(begin(out=out, resume=True, every=1e9)).folder) == whole, at
        monkeypatch.setattr(files, "write", killing)


def test_killed_at_the_very_end_nothing_is_left_to_do(begin: Begin, tmp_path: Path) -> None:
    report = finished(begin())
    (report.folder / "folds").mkdir()
    plan = {"asked": recipes.make(**SETTINGS).as_json()}
    (report.folder / "folds" / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(ArtefactError, match="is complete; there is nothing to resume"):
        begin(resume=True)
    assert not (report.folder / "folds").exists()
    assert pellucid.load(report.folder)


def test_a_damaged_fold_is_trained_again_once_its_folder_is_removed(begin: Begin, tmp_path: Path) -> None:
    whole = left(finished(begin(out=tmp_path / "whole")).folder)
    one = begin()
    next(event for event in one if isinstance(event, FoldBegun) and not event.fold)
    one.close()
    place = tmp_path / "out" / "folds" / "2"
    (place / "answers.safetensors").write_bytes(b"torn")
    with pytest.raises(ArtefactError, match=r"answers.safetensors is damaged: .*Remove .*2, and --resume trains"):
        list(begin(resume=True))
    shutil.rmtree(place)
    again = begin(resume=True)
    assert [event.fold for event in again if isinstance(event, FoldBegun)] == [2, 0]
    assert left(api.finish(again).folder) == whole


@pytest.mark.parametrize("content", ["[]", "{}", '{"asked": {"folds": null}}', '{"asked": {"folds": 99}}', "{"])
def test_a_damaged_plan_is_named(begin: Begin, tmp_path: Path, content: str) -> None:
    (tmp_path / "out" / "folds").mkdir(parents=True)
    (tmp_path / "out" / "folds" / "plan.json").write_text(content)
    with pytest.raises(ArtefactError, match=r"plan.json is damaged: "):
        begin(resume=True)


def test_changed_pictures_are_noticed_in_the_next_fold(begin: Begin, photos: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(photos, tmp_path / "photos"))
    one = begin(root)
    for event in one:
        if isinstance(event, FoldDone):
            break
    one.close()
    moved = (root / "red" / "03.png").rename(tmp_path / "03.png")
    with pytest.raises(ArtefactError, match="have changed since the folds in"):
        list(begin(root, resume=True))
    moved.rename(root / "red" / "03.png")
    assert finished(begin(root, resume=True)).complete


def test_what_was_begun_goes_on(begin: Begin, photos: Path, cache: Path, tmp_path: Path) -> None:
    one = begin()
    next(event for event in one if isinstance(event, FoldDone))
    one.close()
    with pytest.raises(ArtefactError, match=r"is not empty.*or continue with --resume"):
        begin()
    same = api.start(photos, tmp_path / "out", resume=True, cache=cache)
    assert isinstance(same, CrossValidation)
    assert same.recipe == recipes.make(**SETTINGS)
    same.close()
    with pytest.raises(RecipeError, match="folds is 5 here and 3 in"):
        api.start(photos, tmp_path / "out", resume=True, cache=cache, folds=5)
    plain = Run(photos, recipes.make(**{**SETTINGS, "folds": None}), tmp_path / "plain", cache)
    next(event for event in plain if isinstance(event, Started))
    plain.close()
    with pytest.raises(RecipeError, match="folds is 3 here and None in"):
        api.start(photos, tmp_path / "plain", resume=True, cache=cache, folds=3)


def test_settings_that_were_named_hold_in_the_folds_to_come(
    photos: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known weights bring their own settings, except for those that the user named at the start."""
    monkeypatch.setattr(transfer, "find", tiny)
    out, inputs = tmp_path / "out", {"folds": 2, "pretrained": "imagenet", "epochs": 1, "learning_rate": 0.0123}
    one = api.start(photos, out, cache=cache, **inputs)
    next(event for event in one if isinstance(event, FoldDone))
    one.close()
    same = api.start(photos, out, resume=True, cache=cache)
    started = {}
    for event in same:
        if isinstance(event, FoldBegun):
            started[event.fold] = same._run.trained.task.recipe  # type: ignore[union-attr]
    same.close()
    assert {fold: recipe.learning_rate for fold, recipe in started.items()} == {2: 0.0123, 0: 0.0123}
    assert started[0].label_smoothing == 0.0  # not named: as the weights want it


def test_all_folds_weight_the_classes_or_none_does(begin: Begin, tmp_path: Path) -> None:
    """Near two to one, some folds would and others would not."""
    for label, (name, many) in enumerate((("blue", 22), ("red", 10))):
        for number in range(many):
            draw(tmp_path / "uneven" / name / f"{number:02}.png", 100 * label + number, 2 * label)
    one, weighted = begin(tmp_path / "uneven", folds=5, epochs=1), []
    for event in one:
        if isinstance(event, FoldBegun):
            weighted.append(one._run.trained.task.recipe.class_weights)  # type: ignore[union-attr]
    one.close()
    assert len(weighted) == 6
    assert len(set(weighted)) == 1


def test_a_model_that_is_stopped_in_the_last_training_has_the_figures_of_the_folds(begin: Begin) -> None:
    one = begin()
    next(event for event in one if isinstance(event, Epoch) and one.worth_finishing)
    one.save_checkpoint()
    report = api.finish(one)
    assert not report.complete
    assert report.folds is not None
    assert (report.folder / "folds").is_dir()
    one.close()
    assert finished(begin(resume=True)).complete


def test_the_pictures_are_decoded_once(begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.pictures import store

    looked: list[str] = []
    look = store.look
    monkeypatch.setattr(store, "look", lambda places, way: looked.extend(places) or look(places, way))
    one = CrossValidation(begin().directory, recipes.make(**SETTINGS), tmp_path / "out 2", tmp_path / "cache")
    events = list(one)
    assert len(looked) == 34
    assert isinstance(events[0], Decoding)


@pytest.mark.parametrize("fails", ["sides", "twins", "batch", "network", "minutes"])
def test_what_cannot_begin_leaves_nothing(begin: Begin, photos: Path, tmp_path: Path, fails: str) -> None:
    root, more, message = Path(shutil.copytree(photos, tmp_path / "photos")), {}, ""
    if fails == "sides":
        for side in ("train", "test"):
            shutil.copytree(photos, tmp_path / "sides" / side)
        root, message = tmp_path / "sides", "folds is 3, and .* gives sides of its own .test, train."
    elif fails == "twins":
        for path in (root / "red").iterdir():
            shutil.copy(root / "red" / "00.png", path) if path.name != "00.png" else None
        message = "The 15 pictures of class red stay together"
    elif fails == "batch":
        more, message = {"batch": 1}, "batch is 1, but batch norm needs several"
    elif fails == "network":
        more, message = {"model": "conv(4, 99) flatten dense"}, "99"
    else:
        more, message = (
            {"minutes": 0.03},
            "minutes is 0.03; 3 folds and the last training need 0.01 each, 0.04 together",
        )
    with pytest.raises((RecipeError, CatalogError, pellucid.PellucidError), match=message):
        finished(begin(root, **more))
    assert not (tmp_path / "out").exists()


def test_a_folder_of_the_users_that_is_called_folds_stays(begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "out" / "folds" / "1").mkdir(parents=True)
    (tmp_path / "out" / "folds" / "1" / "mine.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(ArtefactError):
            begin(resume=resume)
    assert (tmp_path / "out" / "folds" / "1" / "mine.txt").read_text() == "mine"


def test_a_training_error_names_its_fold(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    step, steps = loop.train_step, 0

    def failing(*inputs: Any) -> tuple[float, int]:
        nonlocal steps
        steps += 1
        if steps == 6:  # of fold 2: two epochs of two steps in fold 1
            raise TrainingError("The loss is nan.")
        return step(*inputs)

    monkeypatch.setattr(loop, "train_step", failing)
    with pytest.raises(TrainingError, match="Fold 2 of 3: The loss is nan"):
        list(begin(batch=16))


def test_minutes_are_for_all_trainings(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gets an equal share of the minutes left, in its recipe."""
    shares: list[float] = []
    made = folds.Run

    def noting(directory: Path, recipe: recipes.Recipe, *more: Any, part: FoldPosition) -> Run:
        if recipe.minutes is not None and part.number:
            shares.append(recipe.minutes)
            recipe = replace(recipe, minutes=None)
        return made(directory, recipe, *more, part=part)

    monkeypatch.setattr(folds, "Run", noting)
    clock = iter(range(0, 10**6, 1))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    one = begin(minutes=100.0, epochs=None, every=1e9)
    for event in one:
        if isinstance(event, FoldBegun) and event.fold == 3:
            break
    assert shares[0] == 25.0
    assert shares[1] == pytest.approx((100 - one._spent[0] / 60) / 3)
    assert shares[2] == pytest.approx((100 - sum(one._spent) / 60) / 2)


def test_without_validation_every_picture_teaches(begin: Begin, tmp_path: Path) -> None:
    one = begin(validation=0.0)
    begun = [event for event in one if isinstance(event, FoldBegun)]
    assert [(event.train, event.validation) for event in begun] == [
        *((34 - event.test, 0) for event in begun[:3]),
        (34, 0),
    ]
    report = api.finish(one)
    assert (report.reported, report.chosen, report.quotable) == ("folds", False, True)
    assert report.folds is not None
    assert [fold.temperature for fold in report.folds.each] == [1.0, 1.0, 1.0]


def test_only_the_last_training_keeps_a_replay(begin: Begin) -> None:
    report = finished(begin(replay=True))
    assert report.replay is not None
    assert report.replay.frames > 1
    assert (report.folder / "replay" / "replay.json").is_file()


def test_few_pictures_suggest_it(photos: Path, cache: Path, tmp_path: Path) -> None:
    def suggestions(name: str, directory: Path = photos, **more: Any) -> list[str]:
        run = Run(directory, recipes.make(**{**SETTINGS, "folds": None, **more}), tmp_path / "runs" / name, cache)
        started = next(event for event in run if isinstance(event, Started))
        run.close()
        return [reason for reason in started.reasons if "--folds" in reason]

    assert suggestions("few") == ["5 pictures to test on: --folds 5 would test on all 34"]
    assert suggestions("none", test=0.0) == []
    for path in photos.rglob("*.*"):
        target = tmp_path / "sides" / ("test" if int(path.name[:2]) % 5 == 0 else "train") / path.relative_to(photos)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    assert suggestions("sides", tmp_path / "sides") == []


def test_the_python_verb(photos: Path, cache: Path, tmp_path: Path) -> None:
    settings = {**SETTINGS, "folds": 2}
    classifier = pellucid.train(photos, tmp_path / "model", cache=cache, **settings)
    assert classifier.predict(photos / "red" / "00.png").label in ("blue", "red")
    assert classifier.learning is not None
    assert "folds" in json.loads((tmp_path / "model" / "metrics.json").read_text())


def test_the_walk_leaves_out_a_cross_validation_on_its_way(begin: Begin, photos: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(photos, tmp_path / "photos"))
    one = begin(root, root / "model")
    next(event for event in one if isinstance(event, FoldBegun))
    assert [Path(str(path)).suffix for path in expand([root])].count(".json") == 0
    one.close()
    again = begin(root, root / "model", resume=True)
    (summary,) = [event for event in again if isinstance(event, DataSummary)]
    assert [folder.reason for folder in summary.left_out] == ["the model folder of this training"]
    assert api.finish(again).complete
