"""The verbs: start, train, finish, load, predict, evaluate, export, push, plan, probe, article, cached, clear_cache.

The command line calls them, and so can you. Each verb imports what it needs when it is called: a cold command that
predicts one picture must not wait for the imports of training. `explain`, `offline`, `import_keras` and the verbs of
`debugging` each need only their own room, and `pellucid` imports them from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.classifier.classifier import Classifier
    from pellucid.classifier.predict.pictures import Source
    from pellucid.classifier.predict.prediction import Prediction
    from pellucid.engine.probe import Probe
    from pellucid.exports.browser_runtime import RuntimeInfo
    from pellucid.exports.exporting import Exported
    from pellucid.exports.pushing import Pushed
    from pellucid.lessons.lesson import Lesson
    from pellucid.network.plan import Plan
    from pellucid.pictures.places import Place
    from pellucid.pictures.shards.fetched import ShardInfo
    from pellucid.pictures.store import StoreInfo
    from pellucid.pretrained.cache import WeightsInfo
    from pellucid.runs.evaluation import Evaluation
    from pellucid.runs.folds import CrossValidation
    from pellucid.runs.report import Report
    from pellucid.runs.run import Run
    from pellucid.training.features import FeaturesInfo
    from pellucid.training.team.team import Team


def start(
    directory: str | Place,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    cache: str | Path | None = None,
    recipe: str | Path | None = None,
    team: Team | None = None,
    **settings: Any,
) -> Run | CrossValidation:
    """Begin a training that you iterate yourself. It takes the arguments of `train`.

    >>> run = pellucid.start("photos/", out="model")  # doctest: +SKIP
    >>> for event in run:                             # doctest: +SKIP
    ...     print(event)
    >>> report = pellucid.finish(run)                 # doctest: +SKIP

    To stop the training, stop iterating at any event. `team`: the processes that share the training, if it is not this
    one alone (pellucid.training.team); each of them iterates, and the first one finishes. Raises the errors of `train`.
    """
    from pellucid.pictures.places import on_this_machine, place
    from pellucid.runs import start as starts
    from pellucid.training.team.team import ALONE

    where = None if out is None else on_this_machine(out, "out")
    file = None if recipe is None else Path(recipe)
    return starts.start(place(directory), where, _cache(cache), file, settings, resume, team or ALONE)


def train(
    directory: str | Place,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    cache: str | Path | None = None,
    recipe: str | Path | None = None,
    **settings: Any,
) -> Classifier:
    """Train a classifier on a folder of pictures or on a table, save it to `out`, return it.

    `directory` holds one folder per class, or the folders train, val and test with one folder per class in each. It is
    a path or an address that fsspec opens, such as "s3://bucket/photos", here and wherever pictures are named. It may
    also be a table (CSV, JSONL, Parquet) with a path, a label and optionally a split and a group in each row, or a
    folder that contains such a table as metadata.csv. `out` is a new folder; by default it is in the current folder and
    has the directory's name plus "-model". `settings` are the fields of pellucid.Recipe by name, over those of the TOML
    file `recipe`.

    `model` may also be a torch.nn.Module that takes float32 (n, C, H, W) and returns one float per class, (n, classes).
    A copy is trained from the module's current weights and becomes the `module` of the returned classifier; your module
    does not change. Pass it again to resume. Pictures are standardised by the mean and deviation of the training
    pictures. "net.py:build" runs that file and trains what its function `build` returns.

    On Ctrl-C it saves the best model so far and lets KeyboardInterrupt through; `resume=True` continues.

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
    """Evaluate the best weights of a run so far and save the model folder, without reporting progress.

    Raises TrainingError if the network's outputs are not finite, and StorageError.
    """
    from pellucid.steps import result_of

    return result_of(run.finish())


def load(model: str | Path, device: str = "cpu", trust: bool = False) -> Classifier:
    """Load a classifier from its folder. Raises ArtefactError that says what is wrong.

    `model` may also name a repository on a hub, here and wherever a model is taken: "hf://OWNER/NAME", the newest
    version, or the same with @ and a branch, a tag or a commit. It is downloaded to the hub's cache. Without a
    connection the cache answers, and a warning says so.

    `trust`: also load a folder that holds a user's module as a program. PyTorch may then run code from that folder, so
    you must trust whoever made it.
    """
    from pellucid.classifier import store
    from pellucid.classifier.locate import folder_of
    from pellucid.runs.learning import with_learning

    folder = folder_of(model, trust)
    return with_learning(store.load(folder, device, trust), folder)


def predict(
    model: str | Path,
    pictures: Source | Iterable[Source],
    batch: int = 32,
    trust: bool = False,
    precision: str = "float32",
) -> Iterator[Prediction]:
    """Classify pictures (paths, folders, globs, bytes or arrays) with the model in a folder, in order, as you iterate.

    `model` may also be a file that `export` wrote: .onnx, .xml or .pt2.

    A folder stands for all visible files in it and below, in each folder by name. As in training, links are followed
    and model folders are left out. A table (CSV, JSONL, Parquet) stands for the files in its column path, or file_name.
    An unusable picture, or a path or glob that matches nothing, yields a Prediction with an error. At most `batch`
    pictures go through the network at once. `trust`: as for `load`.

    `precision`: "float32" or "int8", for 8-bit integers. The first use of int8 measures the accuracy on the model's
    validation pictures before and after, and stores the result in the model folder.

    Raises ArtefactError, RecipeError if `batch` is below 1 or the precision unknown, and ExportError if int8 lowers the
    accuracy (with several labels the macro F1) by more than half a point.
    """
    from pellucid.classifier.locate import folder_of
    from pellucid.classifier.predict.expand import expand, listed_once
    from pellucid.classifier.predict.load import predictor
    from pellucid.classifier.predict.pictures import is_one

    int8 = None
    if precision != "float32":
        from pellucid.runs import quantise

        int8 = quantise.for_predictions(precision)
    several = [pictures] if is_one(pictures) else pictures
    several = listed_once(several) if isinstance(several, Sequence) else several
    return predictor(folder_of(model, trust, predicting=True), several, trust, int8).stream(expand(several), batch)


def evaluate(
    model: str | Path,
    directory: str | Place | None = None,
    *,
    path_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    trust: bool = False,
) -> Evaluation:
    """Measure how good a saved model is, on a labelled folder or table or on the test pictures that it remembers.

    A table's column that is not named here has the name it had in the table of the training, or else its usual name.

    SHA-256 and likeness decide which pictures of a folder the model has already seen. If a folder is split into train,
    val and test, each side is evaluated separately. `trust`: as for pellucid.load.

    Raises ArtefactError if the model cannot be read, and CatalogError if there is nothing to evaluate or the model does
    not know a class.
    """
    from pellucid.classifier.locate import folder_of
    from pellucid.pictures.tabular import Columns
    from pellucid.runs.evaluate import evaluating
    from pellucid.steps import result_of

    columns = Columns(path_column, label_column, split_column)
    return result_of(evaluating(folder_of(model, trust), directory, columns, trust))


def export(
    model: str | Path,
    out: str | Path,
    *,
    format: str | None = None,
    pictures: Source | Iterable[Source] | None = None,
    trust: bool = False,
    precision: str = "float32",
) -> Exported:
    """Write the classifier in a model folder for other programs or for a browser, and check it on real pictures.

    `format`: by default that of `out`'s ending. "onnx" (.onnx) is for ONNX Runtime and other programs that read ONNX.
    The input is a picture's pixels, uint8 (H, W, 3), RGB and upright; the outputs are probabilities and logits, float32
    (classes,). The file contains the weights, the resizing, the standardising and the temperature. Its metadata holds
    the class names and the model card.

    "openvino" (.xml, with a .bin file beside it) is for OpenVINO, "torch" (.pt2) for torch.export.load. "html" (.html)
    is a page that classifies pictures in a browser, without a connection. The first such export fetches ONNX Runtime
    for browsers (33 MB) from npm's registry into the user's cache.

    `pictures`: the pictures to compare on, as for `predict`, at most 32. By default those behind the model's reported
    figure; if these are gone, the thumbnails of its card. `trust`: as for `load`.

    `precision`: as for `predict`; the file is then compared with the model's predictions in int8. If the model's own
    pictures are gone, `pictures` may be a labelled folder or table: some of them prepare int8, the rest measure it.

    Raises ExportError if a probability differs too far from the model's, if int8 lowers the accuracy too far, if the
    network cannot be exported, or if there is no usable picture; then nothing is written. Raises RecipeError for an
    unknown format or precision or a wrong ending, ArtefactError for a damaged model folder or if the runtime for
    browsers cannot be fetched, and StorageError if the file cannot be written.
    """
    from pellucid.classifier.locate import folder_of
    from pellucid.classifier.predict.expand import expand
    from pellucid.classifier.predict.pictures import is_one
    from pellucid.errors import ArtefactError
    from pellucid.exports import exporting
    from pellucid.pictures.places import on_this_machine, place
    from pellucid.runs import made_from, quantise

    model = folder_of(model, trust)
    if pictures is None:
        try:
            several = iter([str(path) for path, _ in made_from.remembered(model)][: exporting.CHECKED])
        except ArtefactError:  # the pictures are gone, or it remembers none
            several = iter(())
    else:
        several = expand([pictures] if is_one(pictures) else pictures)
    labelled = place(pictures) if isinstance(pictures, str | Path) else None
    int8 = quantise.for_export(precision, labelled)
    return exporting.export(model, on_this_machine(out, "out"), format, several, pictures is not None, trust, int8)


def push(
    model: str | Path,
    repository: str,
    *,
    public: bool = False,
    branch: str | None = None,
    message: str | None = None,
    pictures: bool = False,
) -> Pushed:
    """Upload a model folder to a repository on a hub. `pellucid.load("hf://OWNER/NAME")` then opens it anywhere.

    `repository`: OWNER/NAME. It is created if it does not exist: private, unless `public`. `branch`: by default the
    main one. `message`: of the commit. The token is the one that `hf auth login` stored, or HF_TOKEN.

    What is uploaded predicts exactly like the folder. Files that show your pictures or name them stay here, unless
    `pictures`: thumbnails, the replay, the list of mistakes and the lists of files. Paths of this machine are removed.

    Raises ArtefactError if the folder is damaged, if the hub refuses, or if the repository is public and `public` is
    not set. The repository is then as it was; one that did not exist may be there, empty.
    """
    from pellucid.exports import pushing

    return pushing.push(model, repository, public, branch, message, pictures)


def plan(network: str, input: str | tuple[int, ...] | None = None, classes: int = 2, batch: int = 32) -> Plan:
    """The layers of a network and their cost, before any training.

    `network`: a name or a line of text. `input`: "HxWxC" or (C, H, W); None means the size it was published for, or
    128x128x3 if there is none. Raises NetworkError, RecipeError.
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
    """How a convolutional network works: lessons in the numbers of the 2017 article, each number computed.

    `picture` shows the filters; by default it is a photograph that comes with matplotlib. `only` names one lesson.
    `pellucid.article()[6].as_json()` is a lesson as data. Raises PictureError, TraceError.
    """
    from pellucid.classifier.predict.pictures import decoded
    from pellucid.lessons import photograph, walk
    from pellucid.pictures.decode import PIXEL_LIMIT, Form

    path = picture if picture is not None else photograph.at_hand()
    if path is None:
        return walk.lessons(only=only)
    form = Form(photograph.SIDE, photograph.SIDE, 3, "crop")
    return walk.lessons(form.apply(decoded(path, PIXEL_LIMIT)), "the picture in grey", only)


def cached(
    cache: str | Path | None = None,
) -> list[StoreInfo | FeaturesInfo | ShardInfo | WeightsInfo | RuntimeInfo]:
    """List what the cache holds: decoded pictures (a store for each folder and size), their features, shards from
    addresses, known weights, the runtime for exported pages.

    `cache`: a folder to use instead of the user's cache. Each entry has `bytes`. Raises StorageError if it is a file.
    """
    from pellucid.exports import browser_runtime
    from pellucid.pictures import store
    from pellucid.pictures.shards import fetched
    from pellucid.pretrained import cache as weights
    from pellucid.training import features

    folder = _cache_there(cache)
    kinds = store.stores, features.stored, fetched.stored, weights.weights, browser_runtime.stored
    return [each for kind in kinds for each in kind(folder)]


def clear_cache(cache: str | Path | None = None) -> int:
    """Remove everything from the cache; returns the bytes freed. The pictures themselves stay."""
    from pellucid.classifier.predict import graph
    from pellucid.exports import browser_runtime
    from pellucid.pictures import store
    from pellucid.pictures.shards import fetched
    from pellucid.pretrained import cache as weights
    from pellucid.runtime import machine_code
    from pellucid.training import features

    folder = _cache_there(cache)
    kinds = (store, features, fetched, weights, graph, browser_runtime, machine_code)
    return sum(kind.clear(folder) for kind in kinds)


def _cache(folder: str | Path | None) -> Path:
    from pellucid.pictures.places import on_this_machine
    from pellucid.pictures.store import default_cache

    return on_this_machine(folder, "cache") if folder is not None else default_cache()


def _cache_there(folder: str | Path | None) -> Path:
    """The same folder, to be read. Raises StorageError if a file is in its place."""
    from pellucid.errors import StorageError

    place = _cache(folder)
    if place.is_file():
        raise StorageError(f"{place} is a file; --cache, or cache=... in Python, names a folder.")
    return place
