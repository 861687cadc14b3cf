"""The start of a training: a network from scratch, or known weights with a head that is fitted to the pictures."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Generator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.engine.device import Engine
from pellucid.errors import RecipeError
from pellucid.network import residual, text, zoo
from pellucid.network.own.own import Own
from pellucid.network.standardise import Standardise
from pellucid.network.window import Shape
from pellucid.pictures import familiar
from pellucid.pictures.decode import Form
from pellucid.pictures.space import another_place
from pellucid.pretrained.cache import FOLDER as WEIGHTS
from pellucid.pretrained.find import NAMES, find
from pellucid.pretrained.known import Known
from pellucid.runs import made_from
from pellucid.training import features, head, loop, road
from pellucid.training.data import Data, Sample
from pellucid.training.features import Backbone, Extracting, View
from pellucid.training.head import Fitted, Fitting, LinearHead, Side
from pellucid.training.history import Epoch
from pellucid.training.loop import State, Task
from pellucid.training.recipe import Recipe
from pellucid.training.resolve import resolve

if TYPE_CHECKING:
    from torch import nn

MIRRORED = 1000  # training pictures; with fewer, their mirror images are used too


@dataclass(frozen=True)
class Basis:
    """The start of a training.

    * named: the network
    * standardise: None if it will be measured on the training pictures
    * known: the weights; None from scratch, and for a resumed run, whose checkpoint has them
    * about: the entry "pretrained" in config.json; empty from scratch
    * grey: whether the pictures are; set only with known weights
    """

    named: zoo.Named | Own
    form: Form
    standardise: Standardise | None = None
    known: Known | None = None
    about: dict[str, Any] = dataclasses.field(default_factory=dict)
    grey: bool = False

    @property
    def is_known(self) -> bool:
        """Whether the training starts, or started, from known weights."""
        return bool(self.about)

    def as_json(self) -> dict[str, Any]:
        """Everything but the weights, for a checkpoint. Not for a user's own module."""
        assert isinstance(self.named, zoo.Named)
        return {
            "name": self.named.name,
            "network": text.write(self.named.network),
            "form": asdict(self.form),
            "standardise": None if self.standardise is None else asdict(self.standardise),
            "about": self.about,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Basis:
        """Read the output of `as_json`, for a resumed run."""
        scale = content["standardise"]
        return cls(
            zoo.Named(content["name"], text.parse(content["network"]), None),
            Form(**content["form"]),
            None if scale is None else Standardise(tuple(scale["mean"]), tuple(scale["deviation"])),
            None,
            content["about"],
        )


def choose(
    recipe: Recipe, sample: Sample, named: Collection[str], cache: Path
) -> tuple[Basis, Recipe, tuple[str, ...]]:
    """The basis, the recipe complete except for batch and epochs, and a sentence for each choice.

    `named`: the settings that the user named. Raises NetworkError, RecipeError, ArtefactError, StorageError.
    """
    recipe, reasons = road.choose(recipe, sample)
    if recipe.pretrained is None:
        network = zoo.find(recipe.model)
        recipe, more = resolve(recipe, network, sample)
        assert recipe.size is not None
        assert recipe.channels is not None
        form = Form(recipe.size, recipe.size, recipe.channels, recipe.fit)
        return Basis(network, form), recipe, (*reasons, *more)
    named_model = None if recipe.model == "auto" else recipe.model
    network = None if named_model is None else zoo.find(named_model).network  # report an unknown name first
    with another_place() if recipe.pretrained in NAMES else nullcontext():  # the hub caches the others
        known = find(recipe.pretrained, cache / WEIGHTS, named_model)
    if network is not None and network != known.network:
        raise RecipeError(
            f"model is {recipe.model!r}, but pretrained {recipe.pretrained!r} has the weights of {known.name}. "
            "Remove one of the two."
        )
    recipe, form, more = road.resolve(recipe, known.name, known.form, sample, named)
    about = {
        "name": known.name,
        "source": known.source,
        "seen": known.seen,
        "backbone_digest": known.backbone_digest,
    }
    shape = (form.channels, form.height, form.width)
    _check_shapes(known, shape)
    basis = Basis(zoo.Named(known.name, known.network, shape), form, known.standardise, known, about, sample.grey)
    return basis, recipe, (*reasons, f"weights: {known.source}, which have seen {known.seen}", *more)


def _check_shapes(known: Known, shape: Shape) -> None:
    """Raises RecipeError if the weights do not fit pictures of this shape: a dense layer on maps needs its size."""
    rows = len(known.tensors[f"{known.head}.weight"])
    for name, (_, needed) in residual.state(known.network.shapes(shape, rows)).items():
        if name in known.tensors and known.tensors[name].shape != needed:
            before = f"{known.form.height}x{known.form.width}"
            raise RecipeError(
                f"size is {shape[1]}, but the weights of {known.name} are for pictures of {before}: {name} is "
                f"{list(known.tensors[name].shape)} and would have to be {list(needed)}. Remove --size, or train "
                "with --from-scratch."
            )


def begin(
    basis: Basis, data: Data, task: Task, state: State, cache: Path, engine: Engine
) -> Generator[Extracting | Fitting, None, tuple[Basis, tuple[str, ...]]]:
    """Load the known weights into `state`, with the head that fits the pictures; it is the history's first entry.

    `engine` computes the features. Yields progress. Returns the basis, which now also says how the head was fitted, and
    sentences about it.
    """
    known = basis.known
    assert known is not None
    began = time.perf_counter()
    module = state.module
    start = initial_head(module, known, data.catalog.classes)
    _load(module, known)
    train, validation, views = yield from sides(basis, data, task, module, cache, engine)
    rows, held = task.train, task.validation
    fitted = (yield from head.fitting(train, validation, start)) if task.team.leads else None
    fitted = task.team.same(fitted)
    assert fitted is not None
    _put(module, known.head, fitted.rows)
    seconds = time.perf_counter() - began
    _note(state, fitted, seconds)
    if not task.team.leads:  # the rest is for the files, and for choices that the first process makes
        return dataclasses.replace(basis, known=None), ()
    if validation is not None and len(held) < head.FEW:
        state.head_losses = head.losses(fitted.rows, validation).tolist()
    head_about = {
        "c": fitted.c,
        "weight_decay": 0.0 if start.weight.any() else fitted.decay,  # gradient descent's decay pulls towards 0
        "learning_rate": fitted.step,
        "seconds": round(fitted.seconds, 3),
        "views": list(views),
        "tried": [list(pair) for pair in fitted.losses],
    }
    about = {**basis.about, "layer": known.head, "head": head_about}
    sentences = [_sentence(fitted, len(rows), views)]
    if fitted.validation_accuracy is not None and train.labels.ndim == 1:
        steps = 1 if task.recipe.minutes is not None else state.steps
        sentences += road.untried(basis.grey, len(rows), fitted.validation_accuracy, steps)
    if known.folder is not None:
        about["folder"] = str(known.folder.absolute())
        about["knew"], about["knew_by"], more = _knew(known.folder, data, folds=task.recipe.folds is not None)
        sentences += more
    return dataclasses.replace(basis, known=None, about=about), tuple(sentences)


def sides(
    basis: Basis, data: Data, task: Task, module: nn.Module, cache: Path, engine: Engine
) -> Generator[Extracting, None, tuple[Side, Side | None, list[View]]]:
    """The pictures to fit the head to, by their features, and those to choose it by, if there are any; and the views.

    The first has every training picture once in each view, in the order of `task.train`, one view after the other; the
    views of a picture count as one. `module` has the known weights. Yields progress.
    """
    known = basis.known
    assert known is not None
    rows, held = task.train, task.validation
    views: list[View] = ["plain", "mirror"] if len(rows) < MIRRORED and task.augment == "strong" else ["plain"]
    backbone = _backbone(basis, known, engine, module)
    seen = yield from features.extract(data.store, np.concatenate([rows, held]), backbone, "plain", cache, task.team)
    every = [seen[: len(rows)]]
    for view in views[1:]:
        every.append((yield from features.extract(data.store, rows, backbone, view, cache, task.team)))
    labels = np.concatenate([data.labels[rows]] * len(views))
    train = Side(np.concatenate(every), labels, _counts(labels, task.weights) / len(views))
    counts = None if task.weights is None else _counts(data.labels[held], task.weights)
    validation = Side(seen[len(rows) :], data.labels[held], counts) if len(held) else None
    return train, validation, views


def initial_head(module: nn.Module, known: Known, classes: Sequence[str]) -> LinearHead:
    """The head from which the search begins: the known rows of classes of equal names, and 0."""
    weight = np.zeros(_layer(module, known.head).weight.shape, np.float32)
    bias = np.zeros(len(weight), np.float32)
    before = {name: row for row, name in enumerate(known.classes)}
    for row, name in enumerate(classes):
        if name in before:
            weight[row] = known.tensors[f"{known.head}.weight"][before[name]]
            if f"{known.head}.bias" in known.tensors:
                bias[row] = known.tensors[f"{known.head}.bias"][before[name]]
    return LinearHead(weight, bias)


def _load(module: nn.Module, known: Known) -> None:
    """Load the known weights into `module`, except those of the head."""
    import torch

    own = module.state_dict()
    for name, tensor in known.tensors.items():
        if not name.startswith(f"{known.head}."):
            own[name].copy_(torch.from_numpy(np.array(tensor)))


def _knew(model: Path, data: Data, folds: bool) -> tuple[dict[str, int], dict[str, list[str]], list[str]]:
    """How many pictures of each side the starting model, or one before it, has seen; those models; and sentences.

    The models are named for each side, unless only the starting model has seen its pictures. Sides are "validation" and
    "test", or for a cross-validation "folds", all pictures. Pictures that chose the model may choose again.
    """
    memory = made_from.memory(model)
    sides = {"validation": data.rows("val"), "test": data.rows("test")}
    if folds:
        sides = {"folds": np.arange(len(data.labels))}
    counts, by, notes = {}, {}, []
    words = {"folds": "pictures that the folds test"}
    for side, rows in sides.items():
        paths = [data.catalog.pictures[row].path for row in rows.tolist()]
        digests = [data.store.digests[row] for row in rows.tolist()]
        seen = memory.recognise(paths, digests, familiar.coarse(data.store.descriptions[rows])) if len(rows) else []
        spoiled = [each for each in seen if side != "validation" or each.side == "train"]
        counts[side] = len(spoiled)
        if spoiled:
            who = sorted({each.model or model.name for each in spoiled})
            if any(each.model is not None for each in spoiled):
                by[side] = who
            have = f"{' and '.join(who)} {'has' if len(who) == 1 else 'have'} seen"
            notes.append(f"{have} {len(spoiled):,} of the {words.get(side, f'{side} pictures')}")
    return counts, by, [*notes, *([memory.untold.rstrip(".")] if memory.untold is not None else [])]


def _put(module: nn.Module, name: str, rows: LinearHead) -> None:
    import torch

    layer = _layer(module, name)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(rows.weight))
        layer.bias.copy_(torch.from_numpy(rows.bias))


def _layer(module: nn.Module, name: str) -> nn.Linear:
    from torch import nn

    layer = module.get_submodule(name)
    assert isinstance(layer, nn.Linear)
    return layer


def _backbone(basis: Basis, known: Known, engine: Engine, module: nn.Module) -> Backbone:
    from torch import __version__, nn

    from pellucid.engine import frozen

    assert isinstance(module, nn.Sequential)
    assert isinstance(basis.named, zoo.Named)
    assert basis.standardise is not None
    forward = frozen.of_stored(engine, nn.Sequential(*list(module)[:-1]), basis.standardise)
    identity = {
        "weights": known.backbone_digest,
        "standardise": asdict(basis.standardise),
        "precision": engine.precision,
        "device": engine.device,
        "torch": str(__version__),
    }
    return Backbone(basis.named.name or str(basis.named.network), forward, identity)


def _counts(labels: NDArray[np.int64], weights: Sequence[float] | None) -> NDArray[np.float64]:
    """How much each picture counts, (n,); all the same for several labels a picture."""
    return np.ones(len(labels)) if weights is None or labels.ndim == 2 else np.asarray(weights, np.float64)[labels]


def _note(state: State, fitted: Fitted, seconds: float) -> None:
    """Record that the head is the best so far, which later epochs must beat."""
    judged = fitted.train_loss, fitted.train_accuracy, fitted.validation_loss, fitted.validation_accuracy
    state.history.append(Epoch(0, 0, *judged, 0.0, seconds, best=True))
    loop.keep_best(state)
    state.seconds += seconds


def _sentence(fitted: Fitted, train: int, views: Sequence[View]) -> str:
    how = "the default: there is nothing to choose it by"
    if fitted.losses:
        least, _ = min(fitted.losses, key=lambda pair: pair[1])
        sure = least == fitted.c
        how = "by the lowest validation loss" if sure else "the default: too few validation pictures to choose another"
    more = " and their mirror images" if len(views) > 1 else ""
    return f"head: logistic regression on the features of {train:,} pictures{more}, C {fitted.c:.3g} {how}"
