"""The verbs: train, predict, evaluate, plan."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pellucid
from pellucid import api
from pellucid.classifier.predict.expand import expand
from pellucid.errors import ArtefactError, CatalogError, NetworkError, RecipeError
from pellucid.runs.made_from import remembered
from pellucid.runs.place import free_place

pytestmark = pytest.mark.usefixtures("undrawn")

TINY = {"model": "conv(2, 3) relu globalavgpool dense", "size": 8, "epochs": 1, "batch": 16, "device": "cpu"}


@pytest.fixture
def mixed(tmp_path: Path, photos: Path) -> Path:
    """A folder without labels: pictures at two depths, a broken one, a hidden one."""
    root = tmp_path / "mixed"
    (root / "deeper").mkdir(parents=True)
    (root / ".hidden").mkdir()
    for name in ("b.png", "a.png", "deeper/c.png", ".hidden/d.png", ".e.png"):
        shutil.copy(photos / "red" / "0.png", root / name)
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    return root


def relative(paths: object, root: Path) -> list[str]:
    return [os.path.relpath(path, root) for path in paths]  # type: ignore[attr-defined]


def test_a_folder_stands_for_the_visible_files_in_it(mixed: Path) -> None:
    assert relative(expand([mixed]), mixed) == ["a.png", "b.png", "broken.jpg", "deeper/c.png"]


def test_globs(mixed: Path) -> None:
    assert relative(expand([f"{mixed}/*.png"]), mixed) == ["a.png", "b.png"]
    assert relative(expand([f"{mixed}/[ab].png"]), mixed) == ["a.png", "b.png"]
    assert relative(expand([f"{mixed}/d*"]), mixed) == ["deeper/c.png"]
    # every file once, although ** names the folders as well
    assert relative(expand([f"{mixed}/**"]), mixed) == ["a.png", "b.png", "broken.jpg", "deeper/c.png"]
    assert relative(expand([f"{mixed}/**/*.png"]), mixed) == ["a.png", "b.png", "deeper/c.png"]


def test_a_name_with_brackets_is_a_name_first(mixed: Path) -> None:
    shutil.copy(mixed / "a.png", mixed / "[ab].png")
    assert relative(expand([mixed / "[ab].png"]), mixed) == ["[ab].png"]


def test_what_is_not_there_passes_and_becomes_an_error(trained: Path, mixed: Path) -> None:
    sources = [mixed / "nowhere.png", f"{mixed}/*.tiff", "y" * 5000]
    assert list(expand(sources)) == sources
    answers = list(pellucid.predict(trained, sources))
    assert [answer.error for answer in answers[:2]] == ["not found", "not found"]
    assert "too long" in answers[2].error.lower()


def test_an_empty_folder_stands_for_nothing(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert list(pellucid.predict(trained, tmp_path / "empty")) == []


def test_predict_takes_one_source_or_many(trained: Path, mixed: Path) -> None:
    path = mixed / "a.png"
    image = np.array(Image.open(path))
    for one in (path, str(path), path.read_bytes(), image):
        (answer,) = pellucid.predict(trained, one)
        assert answer.label == "red"
    folder = list(pellucid.predict(trained, mixed))
    assert [answer.error is None for answer in folder] == [True, True, False, True]
    several = list(pellucid.predict(trained, [path, image, mixed], batch=2))
    assert len(several) == 6


def test_predict_is_lazy_but_not_about_the_model(trained: Path) -> None:
    with pytest.raises(ArtefactError, match="does not exist"):
        pellucid.predict("nowhere", [])
    with pytest.raises(RecipeError, match="batch is 0"):
        pellucid.predict(trained, [], batch=0)


def test_evaluate_remembers_the_test_pictures(trained: Path) -> None:
    stated = json.loads((trained / "metrics.json").read_text())["test"]
    result = pellucid.evaluate(trained)
    assert result.unusable == ()
    assert result.metrics.side == "test"
    assert (result.metrics.accuracy, result.metrics.correct) == (stated["accuracy"], stated["correct"])
    assert [list(row) for row in result.metrics.confusion] == stated["confusion"]
    assert result.metrics.loss == pytest.approx(stated["loss"], abs=1e-5)
    assert result.as_json()["unusable"] == []


def test_evaluate_on_a_folder(trained: Path, photos: Path) -> None:
    result = pellucid.evaluate(trained, photos)
    right = sum(answer.label == Path(answer.source).parent.name for answer in pellucid.predict(trained, photos))
    assert (result.metrics.pictures, result.metrics.correct) == (32, right)
    assert result.metrics.side == str(photos)


def test_evaluate_on_a_folder_with_a_broken_picture(trained: Path, photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos / "red", tmp_path / "data" / "red")
    (tmp_path / "data" / "red" / "bad.png").write_bytes(b"bad")
    result = pellucid.evaluate(trained, tmp_path / "data")
    assert result.metrics.pictures == 16
    assert [item.precision for item in result.metrics.classes if item.name == "blue"] == [0]
    ((path, reason),) = result.unusable
    assert path == str(tmp_path / "data" / "red" / "bad.png")
    assert "not a picture" in reason.lower()


@pytest.fixture
def own(photos: Path, tmp_path: Path) -> tuple[Path, Path]:
    """(pictures, model) of a training whose pictures a test may change."""
    shutil.copytree(photos, tmp_path / "photos")
    pellucid.train(tmp_path / "photos", tmp_path / "model", cache=tmp_path / "cache", **TINY, test=0.3)
    return tmp_path / "photos", tmp_path / "model"


def test_changed_and_missing_pictures_are_told_from_the_same_ones(own: tuple[Path, Path]) -> None:
    pictures, model = own
    paths = [path for path, _ in remembered(model)]
    assert len(paths) > 3
    paths[0].unlink()
    Image.new("RGB", (9, 9)).save(paths[1])
    result = pellucid.evaluate(model)
    assert result.unusable == ((str(paths[0]), "no longer there"), (str(paths[1]), "changed since the training"))
    assert result.metrics.pictures == len(paths) - 2
    assert [path for path, _ in remembered(model)] == paths[2:]
    for path in paths[1:]:
        path.unlink()
    with pytest.raises(CatalogError, match=rf"^None of the {len(paths)} pictures \(test\) can be used; the first is "):
        pellucid.evaluate(model)
    shutil.rmtree(pictures)
    with pytest.raises(ArtefactError, match=r"are gone: .* does not exist\. Give a folder\."):
        pellucid.evaluate(model)


def test_a_class_that_the_model_does_not_know(trained: Path, photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos / "red", tmp_path / "data" / "rouge")
    with pytest.raises(CatalogError, match="has a class 'rouge' that the model does not know; it knows blue, red"):
        pellucid.evaluate(trained, tmp_path / "data")


def test_a_folder_with_nothing_to_evaluate(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "red").mkdir()
    with pytest.raises(CatalogError, match="There is no picture to evaluate"):
        pellucid.evaluate(trained, tmp_path)
    with pytest.raises(CatalogError, match="does not exist"):
        pellucid.evaluate(trained, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda model: (model / "split.csv").unlink(), "split.csv is missing"),
        (lambda model: (model / "split.csv").write_text("path,class,side,sha256\n"), "was cut or changed"),
    ],
)
def test_evaluate_checks_the_split_that_it_reads(model: Path, damage: object, message: str) -> None:
    damage(model)  # type: ignore[operator]
    with pytest.raises(ArtefactError, match=message):
        pellucid.evaluate(model)


def test_a_model_that_does_not_know_its_pictures(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    del config["data"]
    (model / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtefactError, match="does not say where its pictures are"):
        pellucid.evaluate(model)


def test_train_returns_what_it_saved(photos: Path, tmp_path: Path) -> None:
    classifier = pellucid.train(photos, tmp_path / "model", cache=tmp_path / "cache", **TINY)
    picture = photos / "red" / "1.png"
    assert pellucid.load(tmp_path / "model").predict(picture).logits == classifier.predict(picture).logits


def test_settings_go_over_the_recipe_file(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('model = "lenet5"\nbatch = 4\nseed = 9\n')
    run = pellucid.start(photos, tmp_path / "model", recipe=tmp_path / "recipe.toml", batch=8, epochs=2)
    assert (run.recipe.model, run.recipe.batch, run.recipe.seed, run.recipe.epochs) == ("lenet5", 8, 9, 2)
    assert not (tmp_path / "model").exists()


def test_an_unknown_setting_has_a_near_name(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no setting 'epocs'\. Did you mean 'epochs'\?"):
        pellucid.start(photos, tmp_path / "model", epocs=3)


def test_resume_needs_its_folder(photos: Path) -> None:
    with pytest.raises(RecipeError, match="Resuming needs the folder of the training: add --out"):
        pellucid.start(photos, resume=True)


def test_a_default_place_is_free(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert free_place(photos) == Path("photos-model")
    (tmp_path / "photos-model").mkdir()
    assert free_place(photos) == Path("photos-model-2")
    assert pellucid.start(photos).out == Path("photos-model-2")
    assert free_place(Path()) == Path(f"{tmp_path.name}-model")
    assert free_place(Path("/")) == Path("pictures-model")


@pytest.mark.parametrize(("classes", "parameters"), [(2, 438_842), (1, 219_801)])
def test_plan_of_the_article(classes: int, parameters: int) -> None:
    planned = pellucid.plan("article", "300x300x3", classes)
    assert planned.parameters == parameters
    assert planned == pellucid.plan("article", (3, 300, 300), classes) == pellucid.plan("article", classes=classes)


def test_plan_refuses_what_makes_no_sense() -> None:
    with pytest.raises(RecipeError, match="batch is 0"):
        pellucid.plan("article", batch=0)
    with pytest.raises(NetworkError, match="300x300x3"):
        pellucid.plan("article", "300")


def test_the_cache_verbs(photos: Path, tmp_path: Path) -> None:
    assert api.cached(tmp_path / "cache") == []
    pellucid.train(photos, tmp_path / "model", cache=tmp_path / "cache", **TINY)
    (stored,) = api.cached(tmp_path / "cache")
    assert (stored.pictures, stored.form.height) == (32, 8)
    before = sorted(photos.rglob("*"))
    assert api.clear_cache(tmp_path / "cache") >= 32 * 8 * 8 * 3
    assert api.cached(tmp_path / "cache") == []
    assert sorted(photos.rglob("*")) == before
