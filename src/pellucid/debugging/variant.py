"""A model as it is compared: from its folder or an exported file, from a checkpoint, in a precision, or changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from pellucid.classifier import store
from pellucid.classifier.locate import folder_of
from pellucid.classifier.predict import exported_readers, load
from pellucid.classifier.predict.predictor import Predictor
from pellucid.debugging.narrow import rounded
from pellucid.errors import ArtefactError, PellucidError, RecipeError, did_you_mean
from pellucid.glassbox.whatif.change import Change, written
from pellucid.hub.reference import is_reference
from pellucid.pictures.places import is_written_as_address

if TYPE_CHECKING:
    from pellucid.classifier.classifier import Classifier
    from pellucid.classifier.saved import Saved

PRECISIONS = ("float32", "int8", "bfloat16")
CHECKPOINTS = "checkpoint"
Say = Callable[[str], None]
_STEP = re.compile(r"step-(\d{8,})\.safetensors")


@dataclass(frozen=True, eq=False)
class Variant:
    """One of two models that are compared.

    * name: what the output calls it: the path, and what is different about it
    * folder: the model folder that knows which pictures the model has seen; None for an exported file
    * source: what it computes with; None for an exported file, which has only a predictor
    * notes: sentences about it
    """

    name: str
    folder: Path | None
    source: Saved | Classifier | None
    file: Predictor | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def predictor(self) -> Predictor:
        from pellucid.classifier.saved import Saved

        if self.file is not None:
            return self.file
        assert self.source is not None
        return self.source.predictor(load.MANY) if isinstance(self.source, Saved) else self.source.predictor

    @cached_property
    def classifier(self) -> Classifier:
        """The PyTorch module, for traces; of int8, with the weights that it computes with. Raises RecipeError."""
        from pellucid.classifier.saved import Saved

        if self.source is None:
            raise RecipeError(
                f"{self.name} is an exported file without a PyTorch module, so its layers cannot be shown. Name the "
                "model folder that it was exported from, or compare on many pictures."
            )
        if not isinstance(self.source, Saved):
            return self.source
        if self.source.int8 is None:
            return self.source.classifier()
        return rounded(replace(self.source, int8=None).classifier(), "int8")


def pair(
    first: str | Path,
    second: str | Path | None,
    precision: str = "float32",
    changes: Sequence[Change] = (),
    trust: bool = False,
    say: Say | None = None,
) -> tuple[Variant, Variant]:
    """Two models to compare; without a second name, the first and its altered self. Raises as `opened`."""
    if second is None and precision == "float32" and not changes:
        raise RecipeError(
            f"{first} would be compared with itself. Name a second model, or what is different: a precision or changes."
        )
    folder = _local(first, trust, say)
    other = folder if second is None else _local(second, trust, say)
    return opened(folder, trust=trust), opened(other, precision, changes, trust, say)


def opened(
    model: Path, precision: str = "float32", changes: Sequence[Change] = (), trust: bool = False, say: Say | None = None
) -> Variant:
    """Open a model folder, an exported file (.onnx, .xml, .pt2), or a checkpoint (RUN/checkpoint, or a file in it).

    `precision`: "float32", "int8" as in pellucid.predict, or "bfloat16", which rounds the weights. `changes`: to
    weights, strides, paddings and poolings. `say` receives sentences about the making of int8.

    Raises ArtefactError, ExportError if int8 is refused, and RecipeError if the arguments do not go together.
    """
    if precision not in PRECISIONS:
        hint = did_you_mean(precision, PRECISIONS)
        raise RecipeError(f"Precision {precision!r} is unknown.{hint} Precisions: {', '.join(PRECISIONS)}.")
    if changes and precision != "float32":
        raise RecipeError(f"A changed model computes in float32. Leave out the precision {precision}, or the changes.")
    if model.is_file() and model.suffix.lower() in exported_readers.READERS:
        if changes or precision == "bfloat16":
            what = "changed" if changes else "computed in bfloat16"
            raise RecipeError(f"{model} is an exported file, which cannot be {what}. Name the model folder.")
        from pellucid.classifier.predict import exported

        return Variant(str(model), None, None, exported.opened(model, trust, precision == "int8").predictor)
    place = checkpoint_at(model)
    base = Variant(str(model), model, store.read(model, trust)) if place is None else _of_checkpoint(place)
    if precision == "int8":
        from pellucid.runs import quantise

        assert base.source is not None
        return replace(base, name=f"{base.name}, int8", source=quantise.ready(base.source, say=say))
    if precision == "bfloat16":
        return replace(base, name=f"{base.name}, weights in bfloat16", source=rounded(base.classifier, "bfloat16"))
    if changes:
        changed = base.classifier.changed(changes)
        return replace(base, name=f"{base.name}, with {written(changes)}", source=changed)
    return base


def checkpoint_at(place: Path) -> Path | None:
    """The file of a checkpoint: `place` itself, or the newest in the folder `checkpoint`; None if it is neither.

    Raises ArtefactError if the folder holds none.
    """
    if place.is_file() and _STEP.fullmatch(place.name):
        return place
    if place.is_dir() and place.name == CHECKPOINTS and not (place / store.CONFIG).exists():
        steps = sorted(path for path in place.iterdir() if _STEP.fullmatch(path.name))
        if not steps:
            raise ArtefactError(f"{place} holds no checkpoint. A complete training has removed its checkpoints.")
        return steps[-1]
    return None


def is_model(name: str | Path) -> bool:
    """Whether a name on a command line means a model, rather than pictures."""
    if is_written_as_address(name):  # hf://datasets/ holds pictures
        return is_reference(name) and not str(name).startswith("hf://datasets/")
    place = Path(name)
    exported = place.is_file() and place.suffix.lower() in exported_readers.READERS
    folder = (place / store.CONFIG).is_file() or (place / CHECKPOINTS).is_dir()
    return exported or folder or checkpoint_at(place) is not None


def _local(model: str | Path, trust: bool, say: Say | None) -> Path:
    return folder_of(model, trust) if say is None else folder_of(model, trust, say=say)


def _of_checkpoint(file: Path) -> Variant:
    """The network at that step. Its probabilities are not calibrated: a training fits the temperature at its end."""
    from pellucid.training import checkpoint

    content, run = checkpoint.read(file), file.absolute().parent.parent
    about = content.context.get("classifier")
    if about is None and (run / store.CONFIG).is_file():  # an older Pellucid wrote the checkpoint
        about = store.read_config(run)
    if about is None or about.get("network") is None:
        what = "does not describe its network" if about is None else "is of a network that has no text"
        raise ArtefactError(
            f"{file} {what}, so it cannot be opened by itself. Continue the training with --resume, and compare the "
            "model folder."
        )
    weights = {
        name.removeprefix("module/"): tensor.numpy()
        for name, tensor in content.tensors.items()
        if name.startswith("module/")
    }
    try:
        source = _saved(about, weights)
        step = int(content.counters["step"])
    except (KeyError, AttributeError, TypeError, ValueError, OverflowError, PellucidError) as error:
        raise ArtefactError(f"{file} is damaged: it does not describe its classifier: {error}.") from error
    note = f"{file.name} is the network after step {step:,}; its probabilities are not calibrated."
    return Variant(str(file), run, source, notes=(note,))


def _saved(about: Mapping[str, Any], weights: dict[str, NDArray[Any]]) -> Saved:
    """A classifier from its description (store.description) and its weights, at temperature 1."""
    from pellucid.classifier.saved import Saved
    from pellucid.network import text
    from pellucid.network.standardise import Standardise

    classes, form, _, pixel_limit, ranges, thresholds = store.described(dict(about))
    prepared = about["preprocessing"]
    standardise = Standardise(tuple(map(float, prepared["mean"])), tuple(map(float, prepared["deviation"])))
    network = text.parse(about["network"])
    return Saved(network, weights, classes, form, standardise, 1.0, pixel_limit, ranges, thresholds)
