"""The verbs: start, train, finish, load, predict, evaluate, plan, probe, article, cached, clear_cache.

The command line calls these, and so may you. Each imports what it needs when it is called: one picture from a cold
command must not wait for what a training needs. `explain`, `offline` and `import_keras` need no other room than their
own, and `pellucid` takes them from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.classifier.classifier import Classifier
    from pellucid.classifier.predict.pictures import Source
    from pellucid.classifier.predict.prediction import Prediction
    from pellucid.engine.probe import Probe
    from pellucid.lessons.lesson import Lesson
    from pellucid.network.plan import Plan
    from pellucid.pictures.store import StoreInfo
    from pellucid.pretrained.cache import WeightsInfo
    from pellucid.runs.evaluation import Evaluation
    from pellucid.runs.folds import CrossValidation
    from pellucid.runs.report import Report
    from pellucid.runs.run import Run
    from pellucid.training.features import FeaturesInfo


def start(
    directory: str | Path,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    cache: str | Path | None = None,
    recipe: str | Path | None = None,
    **settings: Any,
) -> Run | CrossValidation:
    """Begin a training that you iterate yourself; the arguments are those of `train`.

    >>> run = pellucid.start("photos/", out="model")  # doctest: +SKIP
    >>> for event in run:                             # doctest: +SKIP
    ...     print(event)
    >>> report = pellucid.finish(run)                 # doctest: +SKIP

    Stop iterating at any event, and the training stops there. Raises what `train` raises.
    """
    from pellucid.runs import start as starts

    where, file = (None if path is None else Path(path) for path in (out, recipe))
    return starts.start(Path(directory), where, _cache(cache), file, settings, resume)


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
    from pellucid.runs.learning import with_learning

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
    return with_learning(report.classifier, Path(run.out))


def finish(run: Run | CrossValidation) -> Report:
    """Evaluate the best weights of a run so far and save the model folder, without watching.

    Raises TrainingError where the network's outputs are not finite, and StorageError.
    """
    from pellucid.steps import result_of

    return result_of(run.finish())


def load(model: str | Path, device: str = "cpu", trust: bool = False) -> Classifier:
    """Load a classifier from its folder. Raises ArtefactError that says what is wrong.

    `trust`: also where the folder holds a module of somebody's as a program. PyTorch may then run code that the folder
    brings along: trust who made it.
    """
    from pellucid.classifier import store
    from pellucid.runs.learning import with_learning

    return with_learning(store.load(Path(model), device, trust), Path(model))


def predict(
    model: str | Path, pictures: Source | Iterable[Source], batch: int = 32, trust: bool = False
) -> Iterator[Prediction]:
    """Classify pictures with the model in a folder: paths, folders, globs, bytes or arrays; in order, as you iterate.

    A folder stands for all visible files in it and below, each folder's by name, as a training walks it: links are
    followed, model folders left out. A table (CSV, JSONL, Parquet) stands for the files in its column path, or
    file_name. A picture that cannot be used, or a path or glob that nothing is found under, is a Prediction with an
    error. At most `batch` pictures go through the network at once. `trust`: as for `load`. Raises ArtefactError, and
    RecipeError where `batch` is below 1.
    """
    from pellucid.classifier.predict.expand import expand
    from pellucid.classifier.predict.load import predictor
    from pellucid.classifier.predict.pictures import is_one

    several = [pictures] if is_one(pictures) else pictures
    return predictor(model, several, trust).stream(expand(several), batch)


def evaluate(
    model: str | Path,
    directory: str | Path | None = None,
    *,
    path_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    trust: bool = False,
) -> Evaluation:
    """How good a saved model is: on a labelled folder or table, or on the test pictures that it remembers.

    A table's column that is not named here is called as in the table that the model was trained on, or has its usual
    name.

    Which pictures of a folder the model has seen is told by their SHA-256 and by their likeness. The sides of a folder
    that is split into train, val and test are judged one by one. Raises ArtefactError where the model cannot be read,
    and CatalogError where there is nothing to evaluate or a class that the model does not know. `trust`: as for
    pellucid.load.
    """
    from pellucid.pictures.tabular import Columns
    from pellucid.runs.evaluate import evaluating
    from pellucid.steps import result_of

    return result_of(evaluating(model, directory, Columns(path_column, label_column, split_column), trust))


def plan(network: str, input: str | tuple[int, ...] | None = None, classes: int = 2, batch: int = 32) -> Plan:
    """What a network is made of and would cost, before anything trains.

    `network`: a name or a line of text. `input`: "HxWxC" or (C, H, W); None for the size it was published for, and
    128x128x3 where there is none. Raises NetworkError, RecipeError.
    """
    from pellucid.errors import RecipeError
    from pellucid.network import plan as plans
    from pellucid.network import zoo

    if batch < 1:
        raise RecipeError(f"batch is {batch}; it must be 1 or more.")
    named = zoo.find(network)
    shape = plans.parse_input(input) if isinstance(input, str) else input or named.input or (3, 128, 128)
    return plans.plan(named.network, shape, classes, batch)


def probe(network: str, input: str | tuple[int, ...] | None = None, classes: int = 2, batch: int = 32) -> Probe:
    """Measure on this machine how fast a network trains and predicts. The arguments and errors are those of `plan`."""
    from pellucid.engine import device
    from pellucid.engine import probe as probes
    from pellucid.network import zoo

    shape = plan(network, input, classes, batch).input
    return probes.measure(zoo.find(network).network, shape, classes, batch, device.choose())


def article(picture: Source | None = None, only: str | None = None) -> tuple[Lesson, ...]:
    """How a convolutional network works, in the numbers of the article that Pellucid grew from, each one computed.

    `picture`: what filters are shown on; by default a photograph that comes with matplotlib. `only`: one lesson by its
    name. `pellucid.article()[6].as_json()` is a lesson as data. Raises PictureError, TraceError.
    """
    from pellucid.classifier.predict.pictures import decoded
    from pellucid.lessons import photograph, walk
    from pellucid.pictures.decode import PIXEL_LIMIT, Form

    path = picture if picture is not None else photograph.at_hand()
    if path is None:
        return walk.lessons(only=only)
    form = Form(photograph.SIDE, photograph.SIDE, 3, "crop")
    return walk.lessons(form.apply(decoded(path, PIXEL_LIMIT)), "the picture in grey", only)


def cached(cache: str | Path | None = None) -> list[StoreInfo | FeaturesInfo | WeightsInfo]:
    """What is kept in the cache: decoded pictures, a store for each folder and size; their features; known weights.

    `cache`: another folder than the user's cache. Each entry has `bytes`. Raises StorageError where it is a file.
    """
    from pellucid.pictures import store
    from pellucid.pretrained import cache as weights
    from pellucid.training import features

    folder = _cache_there(cache)
    return [*store.stores(folder), *features.stored(folder), *weights.weights(folder)]


def clear_cache(cache: str | Path | None = None) -> int:
    """Remove all that is kept in the cache; returns the bytes freed. The pictures themselves stay."""
    from pellucid.pictures import store
    from pellucid.pretrained import cache as weights
    from pellucid.training import features

    folder = _cache_there(cache)
    return store.clear(folder) + features.clear(folder) + weights.clear(folder)


def _cache(folder: str | Path | None) -> Path:
    from pellucid.pictures.store import default_cache

    return Path(folder) if folder is not None else default_cache()


def _cache_there(folder: str | Path | None) -> Path:
    """The same, to be read. Raises StorageError where a file stands in its place."""
    from pellucid.errors import StorageError

    place = _cache(folder)
    if place.is_file():
        raise StorageError(f"{place} is a file; --cache, or cache=... in Python, names a folder.")
    return place
