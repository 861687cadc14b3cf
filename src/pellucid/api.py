"""The verbs: train, load, predict, evaluate, explain, article, plan, import_keras.

The command line calls these, and so may you.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.classifier import store as artefact
from pellucid.classifier.classifier import Classifier, Learning
from pellucid.classifier.predictor import Prediction, Prepared, Source, decoded
from pellucid.engine import device as devices
from pellucid.engine import probe as probes
from pellucid.engine.probe import Probe
from pellucid.errors import PellucidError, RecipeError, TrainingError
from pellucid.evaluating import Answer, Evaluation, evaluate, evaluating
from pellucid.folds import CrossValidation, Event, FoldBegun, FoldDone, FoldStep
from pellucid.glassbox.attribution import METHODS, Attribution, Method, overlay
from pellucid.glassbox.document import Document
from pellucid.glassbox.exemplars import LayerExemplars
from pellucid.glassbox.lessons import walk as lessons
from pellucid.glassbox.lessons.lesson import Grid, Lesson, Term, Value, Worked
from pellucid.glassbox.lessons.lesson import as_json as lessons_as_json
from pellucid.glassbox.loss import Loss
from pellucid.glassbox.mechanism import Mechanism
from pellucid.glassbox.page import WEB, offline
from pellucid.glassbox.recording import explain
from pellucid.glassbox.sheet import sheet
from pellucid.glassbox.trace import Trace
from pellucid.glassbox.whatif import Change, Padding, Pooling, Setting, Stride, Unfitting, Weight, latest, written
from pellucid.glassbox.whatif import adjustable as settings_of
from pellucid.glassbox.working import Part, Working
from pellucid.kept import Seen, remembered, remembers, trained_on
from pellucid.keras.importing import Imported, import_keras
from pellucid.network import plan as plans
from pellucid.network import zoo
from pellucid.network.own import own as owns
from pellucid.network.own.file import reference
from pellucid.network.plan import Plan, Row
from pellucid.outcome import Evaluating, Report
from pellucid.pictures import store as stores
from pellucid.pictures.decode import PIXEL_LIMIT, Form
from pellucid.pictures.png import encode as png
from pellucid.pictures.store import Decoding, StoreInfo
from pellucid.pictures.tabular import Columns
from pellucid.place import CHECKPOINTS
from pellucid.predicting import expand, predict
from pellucid.pretrained import kept as weights
from pellucid.pretrained.kept import WeightsInfo
from pellucid.run import Found, Run, Started
from pellucid.training import features
from pellucid.training import optimizer as optimizers
from pellucid.training import recipe as recipes
from pellucid.training import replay as replays
from pellucid.training.claim import Claim, inside
from pellucid.training.data import Comparing
from pellucid.training.evaluate import Metrics
from pellucid.training.features import Extracting, FeaturesInfo
from pellucid.training.folds import Fold, Folds, begun
from pellucid.training.history import Epoch
from pellucid.training.loop import Step
from pellucid.training.recipe import Recipe

if TYPE_CHECKING:
    import torch

LESSON_SIDE = 36  # pixels: a picture of that many columns of numbers


def start(
    directory: str | Path,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    cache: str | Path | None = None,
    recipe: str | Path | None = None,
    **settings: Any,
) -> Run | CrossValidation:
    """Begin a training that you iterate yourself; see pellucid.run.Run and `train` for the arguments."""
    folder = Path(directory)
    if resume and out is None:
        raise RecipeError("Resuming needs the folder of the training: add --out, or out=... in Python.")
    given = {**(recipes.read(Path(recipe)) if recipe is not None else {}), **settings}
    module = None if isinstance(given.get("model", ""), str) else given["model"]
    if module is not None:
        given["model"] = _label(module)
    place = Path(out) if out is not None else partial(free_place, folder)
    asked = recipes.make(**given)
    if resume and isinstance(place, Path) and (begun(place) or (place / CHECKPOINTS).is_dir()):
        crossed = begun(place)  # what was begun goes on
    else:
        crossed = asked.folds is not None
    run = (CrossValidation if crossed else Run)(folder, asked, place, _cache(cache), resume, module=module, named=given)
    changed = {name: value for name, value in given.items() if getattr(run.recipe, name) != getattr(asked, name)}
    for name, value in changed.items():
        run.close()
        raise RecipeError(
            f"{name} is {value!r} here and {getattr(run.recipe, name)!r} in {run.out}; "
            "a resumed run keeps its settings."
        )
    return run


def train(
    directory: str | Path,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    cache: str | Path | None = None,
    recipe: str | Path | None = None,
    **settings: Any,
) -> Classifier:
    """Train a classifier on a folder of pictures or on a table, save it to `out`, return it.

    `directory` holds a folder a class, or train, val and test folders with a folder a class each. Or it is a table
    (CSV, JSONL, Parquet) with a path and a label in each row, and if you like a split and a group; or a folder with
    such a table in it, metadata.csv. `out` is a new folder, by default the directory's name with "-model" in the
    current one. `settings` are the fields of pellucid.Recipe by name, over those of the TOML file `recipe`.

    `model` may also be a torch.nn.Module that takes float32 (n, C, H, W) and returns a float a class, (n, classes). A
    copy of it is trained, from the weights that it has, and becomes the `module` of the returned classifier; yours
    stays as it is. A resumed training needs it again. Pictures are standardised by the mean and deviation of those that
    it trains on. "net.py:build" runs that file and trains what its function `build` returns.

    Interrupted (Ctrl-C), it saves the best model so far before KeyboardInterrupt goes on; `resume=True` continues.

    Raises PellucidError: CatalogError, RecipeError, NetworkError, TrainingError, ArtefactError, StorageError.
    """
    run = start(directory, out, resume=resume, cache=cache, recipe=recipe, **settings)
    try:
        for _ in run:
            pass
        report = finish(run)
    except KeyboardInterrupt:
        if run.worth_finishing:
            finish(run)
        raise
    finally:
        run.close()
    return _with_learning(report.classifier, Path(run.out))


def finish(run: Run | CrossValidation) -> Report:
    """Evaluate and save a run, without watching."""
    return _last(run.finish())


def load(model: str | Path, device: str = "cpu", trust: bool = False) -> Classifier:
    """Load a classifier from its folder. Raises ArtefactError that says what is wrong.

    `trust`: also where the folder holds a module of somebody's as a program. PyTorch may then run code that the folder
    brings along: trust who made it.
    """
    return _with_learning(artefact.load(Path(model), device, trust), Path(model))


def _with_learning(classifier: Classifier, folder: Path) -> Classifier:
    """The same, knowing how it was trained, so that what it explains is the step that training would make next."""
    config = artefact.read_config(folder)
    given, weights = config.get("recipe"), config.get("training", {}).get("class_weights")
    if given is None:
        return classifier
    try:
        recipe = recipes.make(**given)
    except (RecipeError, TypeError):  # of a later version: it predicts all the same
        return classifier

    importance = None if weights is None else tuple(weights)
    if config.get("pretrained", {}).get("frozen"):
        return replace(classifier, learning=_of_head(config, Loss(recipe.loss, importance=importance)))
    loss = Loss(recipe.loss, recipe.label_smoothing, importance=importance)

    def optimizer(module: torch.nn.Module) -> torch.optim.Optimizer:
        state = artefact.read_optimizer(folder)
        rate, tensors = (state.learning_rate, state.tensors) if state is not None else (recipe.learning_rate, {})
        return optimizers.remembering(recipe, module, rate, tensors)

    return replace(classifier, learning=Learning(loss, optimizer))


def _label(module: object) -> str:
    """What the recipe calls a module. Raises RecipeError where it is none."""
    from torch import nn

    if isinstance(module, nn.Module):
        return owns.label(module)
    what = f"the class {module.__name__} itself" if isinstance(module, type) else repr(module)
    hint = f"; pass one of it, {module.__name__}(...)" if isinstance(module, type) else ""
    raise RecipeError(f"model is {what}{hint}; it must be a network's name or text, or a torch.nn.Module.")


def _of_head(config: dict[str, Any], loss: Loss) -> Learning:
    """Of a head that was fitted to all pictures at once: the step that gradient descent would make from there."""
    layer, said = config["pretrained"]["layer"], config["pretrained"]["head"]

    def optimizer(module: torch.nn.Module) -> torch.optim.Optimizer:
        head: Any = module.get_submodule(layer)
        return optimizers.of_head(head, said["learning_rate"], said["weight_decay"])

    return Learning(loss, optimizer)


def plan(network: str, input: str | tuple[int, ...] | None = None, classes: int = 2, batch: int = 32) -> Plan:
    """What a network is made of and would cost, before anything trains.

    `network`: a name or a line of text. `input`: "HxWxC" or (C, H, W); None for the size it was published for, and
    128x128x3 where there is none. Raises NetworkError, RecipeError.
    """
    if batch < 1:
        raise RecipeError(f"batch is {batch}; it must be 1 or more.")
    named = zoo.find(network)
    shape = plans.parse_input(input) if isinstance(input, str) else input or named.input or (3, 128, 128)
    return plans.plan(named.network, shape, classes, batch)


def probe(network: str, input: str | tuple[int, ...] | None = None, classes: int = 2, batch: int = 32) -> Probe:
    """Measure on this machine how fast a network trains and predicts."""
    shape = plan(network, input, classes, batch).input
    return probes.measure(zoo.find(network).network, shape, classes, batch, devices.choose())


def article(picture: Source | None = None, only: str | None = None) -> tuple[Lesson, ...]:
    """How a convolutional network works, in the numbers of the article that Pellucid grew from, each one computed.

    `picture`: what filters are shown on; by default a photograph that comes with matplotlib. `only`: one lesson by its
    name. `pellucid.article()[6].as_json()` is a lesson as data. Raises PictureError, TraceError.
    """
    path = picture if picture is not None else _photograph()
    if path is None:
        return lessons.lessons(only=only)
    form = Form(LESSON_SIDE, LESSON_SIDE, 3, "crop")
    return lessons.lessons(form.apply(decoded(path, PIXEL_LIMIT)), "the picture in grey", only)


def _photograph() -> Path | None:
    """Rear Admiral Grace Hopper, a photograph in the public domain, where matplotlib has brought it along."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return path if path.exists() else None


def cached(cache: str | Path | None = None) -> list[StoreInfo | WeightsInfo]:
    """What is kept: decoded pictures, a store for each folder and size; their features; weights of known networks."""
    folder = _cache(cache)
    return [*stores.stores(folder), *features.kept(folder), *weights.weights(folder)]


def clear_cache(cache: str | Path | None = None) -> int:
    """Remove all that is kept of pictures and weights; returns the bytes freed. The pictures themselves stay."""
    folder = _cache(cache)
    return stores.clear(folder) + features.clear(folder) + weights.clear(folder)


def free_place(directory: Path) -> Path:
    """A folder name for the model that is not taken: photos-model, photos-model-2, …; table-model for table.csv."""
    place = directory.resolve()
    name = f"{(place.stem if place.is_file() else place.name) or 'pictures'}-model"
    taken = (Path(name if number == 1 else f"{name}-{number}") for number in range(1, 10_000))
    return next(path for path in taken if not path.exists())


def _cache(folder: str | Path | None) -> Path:
    return Path(folder) if folder is not None else stores.default_cache()


def _last(steps: Generator[Any, None, Any]) -> Any:
    """Run a generator to its end and return what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


__all__ = [
    "METHODS",
    "WEB",
    "Answer",
    "Attribution",
    "Change",
    "Claim",
    "Classifier",
    "Columns",
    "Comparing",
    "CrossValidation",
    "Decoding",
    "Document",
    "Epoch",
    "Evaluating",
    "Evaluation",
    "Event",
    "Extracting",
    "FeaturesInfo",
    "Fold",
    "FoldBegun",
    "FoldDone",
    "FoldStep",
    "Folds",
    "Found",
    "Grid",
    "Imported",
    "LayerExemplars",
    "Lesson",
    "Mechanism",
    "Method",
    "Metrics",
    "Padding",
    "Part",
    "PellucidError",
    "Plan",
    "Pooling",
    "Prediction",
    "Prepared",
    "Probe",
    "Recipe",
    "Report",
    "Row",
    "Run",
    "Seen",
    "Setting",
    "Source",
    "Started",
    "Step",
    "StoreInfo",
    "Stride",
    "Term",
    "Trace",
    "TrainingError",
    "Unfitting",
    "Value",
    "Weight",
    "WeightsInfo",
    "Worked",
    "Working",
    "article",
    "cached",
    "clear_cache",
    "evaluate",
    "evaluating",
    "expand",
    "explain",
    "finish",
    "free_place",
    "import_keras",
    "inside",
    "latest",
    "lessons_as_json",
    "load",
    "offline",
    "overlay",
    "plan",
    "png",
    "predict",
    "probe",
    "recipes",
    "reference",
    "remembered",
    "remembers",
    "replays",
    "settings_of",
    "sheet",
    "start",
    "train",
    "trained_on",
    "written",
]
