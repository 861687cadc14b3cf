"""Every setting of a training. Flags, TOML keys, the saved JSON and the reference page come from here."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pellucid.engine.device import Precision
from pellucid.errors import RecipeError, did_you_mean
from pellucid.pictures.augment import Augment
from pellucid.pictures.decode import Fit
from pellucid.texts import decoded

AugmentChoice = Literal["auto"] | Augment


@dataclass(frozen=True)
class Recipe:
    """All settings of one training. `None` or "auto": chosen from the pictures; the run prints the choice and why."""

    model: str = "auto"
    """The network. auto: chosen from the pictures. Or a name (compact, article, resnet18 and others; the reference has
    all), a line of layers such as "conv(10, 5) relu maxpool(2) flatten dense", or FILE.py:FUNCTION, which runs the
    file and trains the torch.nn.Module that the function returns. The function receives the number of classes if it
    takes an argument. A named network trains from scratch unless pretrained is set."""
    pretrained: str | None = None
    """Start from known weights: imagenet, a timm repository on the Hugging Face hub (timm/resnet18.a1_in1k), a folder
    or file of such weights, or a Pellucid model, as a folder or as hf://OWNER/NAME. A new head is fitted first."""
    from_scratch: bool = False
    """Train from random weights, whatever the pictures."""
    size: int | None = None
    """Side of the square that every picture is resized to, in pixels."""
    channels: Literal[1, 3] | None = None
    """3: red, green, blue; 1: grey."""
    labels: Literal["one", "several"] = "one"
    """one: each picture has one class; several: any number of labels, each judged by itself."""
    fit: Fit = "stretch"
    """How a picture becomes square: pad adds borders, crop keeps the middle, stretch distorts."""
    validation: float = 0.15
    """Fraction of the pictures for choices, such as the best epoch."""
    test: float = 0.15
    """Fraction of the pictures for the reported figure alone; 0 for none."""
    folds: int | None = None
    """Cross-validate: train this many times, each time tested on another part. The saved model learns from all
    pictures. `test` is ignored."""
    seed: int = 0
    """Seed of all randomness: split, initial weights, order, augmentation."""
    epochs: int | None = None
    """How often each training picture is seen."""
    minutes: float | None = None
    """Train for this many minutes instead of epochs, from the first picture to the saved model; each step updates the
    plan.
    """
    batch: int | None = None
    """Pictures per step."""
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = "adamw"
    """The rule that turns gradients into new weights."""
    learning_rate: float = 1.5e-3
    """Largest step size of the schedule."""
    lowest_rate: float = 1.0
    """Share of the learning rate for the first layers, from known weights; it rises to 1 at the last layer."""
    momentum: float = 0.9
    """Momentum of sgd (Nesterov) and rmsprop; the first beta of adam and adamw."""
    weight_decay: float = 0.05
    """Pull of the weights towards zero, except biases and batch norm. Decoupled in adamw, L2 in the others."""
    schedule: Literal["constant", "cosine", "onecycle"] = "cosine"
    """The learning rate after the warm-up: constant, falling along a cosine, or rising and falling as one cycle."""
    warmup: float = 0.15
    """Fraction of all steps over which the learning rate rises to its largest value."""
    loss: Literal["cross_entropy", "mse", "binary_cross_entropy"] = "cross_entropy"
    """Categorical cross-entropy, or the mean squared error of the probabilities; with several labels the binary
    cross-entropy of each."""
    label_smoothing: float = 0.1
    """Share of the target that is spread over all classes (one label, cross-entropy)."""
    class_weights: Literal["auto", "balanced", "none"] = "auto"
    """balanced: pictures of a rare class count more in the loss, so each class counts the same; auto: balanced
    where the largest class has over twice the training pictures of the smallest."""
    augment: AugmentChoice = "auto"
    """How training pictures are varied: light by shift, scale, rotation and brightness; strong also by mirror and
    colour; auto chooses light for grey pictures and strong for colour."""
    patience: int | None = None
    """Stop after this many epochs without a better validation; by default never."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    precision: Precision = "auto"
    """Number format of the convolutions while training. Predictions do not depend on it."""
    megapixels: float = 100.0
    """Larger pictures are quarantined without being decoded."""
    path_column: str | None = None
    """The column of a table that holds the pictures' paths."""
    label_column: str | None = None
    """The column of a table that holds the labels."""
    split_column: str | None = None
    """The column of a table that holds train, val or test; empty if a picture may be on any side."""
    group_column: str | None = None
    """The column of a table whose equal values must stay on one side of the split: a patient, a camera."""
    replay: bool = False
    """Record how the filters, and the maps, gradients and predictions of a few pictures, change during training."""
    replay_every: int | None = None
    """Steps between two frames of the replay; by default 32 to 64 frames, and more of the first steps."""

    def __post_init__(self) -> None:
        for name, annotation in typing.get_type_hints(Recipe).items():
            _check_type(name, getattr(self, name), annotation)
        _check_ranges(self)
        _check_labels(self)
        if self.labels == "several":  # the equivalent of cross-entropy there
            object.__setattr__(self, "loss", "binary_cross_entropy")

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


# The settings with which a named network was published are its defaults.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "article": {
        "fit": "stretch",
        "epochs": 5,
        "batch": 128,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "schedule": "constant",
        "warmup": 0.0,
        "label_smoothing": 0.0,
        "class_weights": "none",
        "augment": "none",
    },
}


def make(**settings: Any) -> Recipe:
    """A recipe from settings by name over the defaults of its network. Raises RecipeError."""
    known = [field.name for field in dataclasses.fields(Recipe)]
    for name in settings:
        if name not in known:
            hint = did_you_mean(name, known, quoted=True)
            raise RecipeError(f"There is no setting {name!r}.{hint} The settings are {', '.join(known)}.")
    model = settings.get("model", Recipe.model)
    preset = PRESETS.get(model.strip(), {}) if isinstance(model, str) else {}
    return Recipe(**{**preset, **settings})


def read(path: Path) -> dict[str, Any]:
    """Settings from a TOML file, not yet checked (see `make`). Raises RecipeError if it cannot be read."""
    try:
        return tomllib.loads(decoded(path.read_bytes()))
    except OSError as error:
        raise RecipeError(f"The recipe {path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"The recipe {path} cannot be read: it is not UTF-8 text, byte {error.start} is "
            f"{error.object[error.start]:#04x}. Save it as UTF-8."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"The recipe {path} is not valid TOML: {error}.") from error


def _check_type(name: str, value: object, annotation: Any) -> None:
    options = typing.get_args(annotation) if _is_union(annotation) else (annotation,)
    allowed: list[object] = []
    for option in options:
        if typing.get_origin(option) is Literal:
            allowed.extend(_literals(option))
            if any(type(value) is type(one) and value == one for one in allowed):  # neither True nor 1.0 equals 1
                return
        elif isinstance(value, bool) != (option is bool):
            continue
        elif isinstance(value, (int, float) if option is float else option):
            return
    if allowed:
        raise RecipeError(f"{name} is {value!r}; it must be one of {', '.join(map(str, allowed))}.")
    names = " or ".join("none" if option is type(None) else option.__name__ for option in options)
    raise RecipeError(f"{name} is {value!r}; it must be of type {names}.")


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def _literals(option: Any) -> list[object]:
    nested = [_literals(arg) if typing.get_origin(arg) is Literal else [arg] for arg in typing.get_args(option)]
    return [value for values in nested for value in values]


def _check_labels(recipe: Recipe) -> None:
    if recipe.labels == "one":
        if recipe.loss == "binary_cross_entropy":
            raise RecipeError(
                "loss is 'binary_cross_entropy', which judges each label by itself; set labels to several."
            )
        return
    if recipe.loss == "mse":
        raise RecipeError(
            "loss is 'mse', and labels is 'several'. Remove loss: it is binary_cross_entropy with several labels."
        )
    if recipe.class_weights == "balanced":
        raise RecipeError(
            "class_weights is 'balanced', and labels is 'several'. Weights are for pictures of one class; with several "
            "labels each has a threshold of its own instead. Leave class_weights out."
        )


# name -> (smallest, largest, the allowed values in words)
_RANGES: Mapping[str, tuple[float, float, str]] = {
    "size": (8, 4096, "from 8 to 4096 pixels"),
    "validation": (0, 0.9, "from 0 to 0.9"),
    "test": (0, 0.9, "from 0 to 0.9"),
    "folds": (2, 20, "from 2 to 20"),
    "seed": (0, 2**32 - 1, "from 0 to 4294967295"),
    "epochs": (0, 1e6, "1 or more, or 0 for the head on known weights alone"),
    "minutes": (0.01, 1e6, "0.01 or more"),
    "batch": (1, 65536, "from 1 to 65536"),
    "learning_rate": (1e-12, 1e3, "more than 0 and at most 1000"),
    "lowest_rate": (1e-6, 1, "more than 0 and at most 1"),
    "momentum": (0, 0.9999, "from 0 to 0.9999"),
    "weight_decay": (0, 10, "from 0 to 10"),
    "warmup": (0, 1, "from 0 to 1"),
    "label_smoothing": (0, 0.99, "from 0 to 0.99"),
    "patience": (1, 1e6, "1 or more"),
    "megapixels": (0.001, 1e5, "from 0.001 to 100000"),
    "replay_every": (1, 1e9, "1 or more"),
}


def _check_ranges(recipe: Recipe) -> None:
    for name, (low, high, words) in _RANGES.items():
        value = getattr(recipe, name)
        if value is not None and not low <= value <= high:  # `not (…)` also refuses NaN
            raise RecipeError(f"{name} is {value!r}; it must be {words}.")
    if recipe.epochs == 0 and recipe.pretrained is None:
        raise RecipeError(
            "epochs is 0; it must be 1 or more. Only the head on --pretrained weights needs none: add "
            "--pretrained imagenet."
        )
    if recipe.from_scratch and recipe.pretrained is not None:
        raise RecipeError(
            f"pretrained is {recipe.pretrained!r}, but from_scratch starts from random weights. Remove one of the two."
        )
    if recipe.replay_every is not None and not recipe.replay:
        raise RecipeError(f"replay_every is {recipe.replay_every}, which requires --replay.")
    if recipe.validation + recipe.test > 0.9:
        raise RecipeError(
            f"validation {recipe.validation} and test {recipe.test} leave "
            f"{1 - recipe.validation - recipe.test:.0%} for training; together they must be at most 0.9."
        )
