"""The config.json of timm's repositories: which network, how many classes, how to prepare pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import ArtefactError, RecipeError
from pellucid.network.standardise import Standardise
from pellucid.pictures.decode import Fit, Form
from pellucid.pretrained import layouts

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels, in 0..1
SIDE, CROP = 224, 0.875  # timm's, if a repository names none
SMALLEST, LARGEST = 8, 4096  # pixels, as of the recipe's `size`
FITS: Mapping[str, Fit] = {"center": "crop", "squash": "stretch", "border": "pad"}


@dataclass(frozen=True)
class Description:
    """* architecture: the network, in the variant that its weights need
    * classes: rows of the head
    * form, standardise: the preprocessing that the weights need
    * names: of the classes, in the head's order; empty if there are none
    * tag: the repository's name of these weights, "a1_in1k"; empty if there is none
    """

    architecture: layouts.Architecture
    classes: int
    form: Form
    standardise: Standardise
    names: tuple[str, ...]
    tag: str


def usual(architecture: layouts.Architecture, classes: int) -> Description:
    """The description of weights without a config.json, with timm's default preprocessing."""
    form = Form(SIDE, SIDE, 3, "crop", CROP, "bicubic")
    plain = Standardise((0.5,) * 3, (0.5,) * 3) if architecture.tensorflow else Standardise(MEAN, DEVIATION)
    return Description(architecture, classes, form, plain, (), "")


def is_ours(path: Path) -> bool:
    """Whether a config.json belongs to one of our model folders, which state their format."""
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and "format" in config and "architecture" not in config


def read(path: Path) -> Description:
    """Raises ArtefactError with the wrong key, its value, and the allowed values."""
    try:
        config = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ArtefactError(f"{path} is missing; it says what network the weights are for.") from error
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise ArtefactError(f"{path} is not JSON: {error}.") from error
    if not isinstance(config, dict):
        raise ArtefactError(
            f"{path} is not the config.json of a model: it holds {type(config).__name__}, not an object."
        )
    # the older layout has everything in one object
    prepared = config.get("pretrained_cfg", config)
    if not isinstance(prepared, dict):
        raise _wrong(path, "pretrained_cfg", prepared, "an object")
    called = config.get("architecture", prepared.get("architecture"))
    if not isinstance(called, str):
        raise _wrong(path, "architecture", called, f"one of {', '.join(layouts.architectures())}")
    architecture = layouts.architecture(called)
    if architecture is None:
        raise ArtefactError(
            f"{path}: the architecture {called!r} cannot be read. These can: {', '.join(layouts.architectures())}."
        )
    classes = config.get("num_classes", prepared.get("num_classes"))
    if not isinstance(classes, int) or not _whole(classes):
        raise _wrong(path, "num_classes", classes, "a whole number, 1 or more: weights without a head are not read")
    if config.get("model_args"):
        raise _wrong(path, "model_args", config["model_args"], "empty: with other settings it is another network")
    if config.get("global_pool") not in (None, "", "avg"):
        raise _wrong(path, "global_pool", config["global_pool"], "avg, the mean of each channel")
    form = _form(path, prepared)
    standardise = Standardise(
        _numbers(path, prepared, "mean", form.channels), _numbers(path, prepared, "std", form.channels)
    )
    if not all(deviation > 0 for deviation in standardise.deviation):
        raise _wrong(path, "std", list(standardise.deviation), "above 0")
    names = _names(path, config if "label_names" in config else prepared, classes)
    tag = prepared.get("tag") or str(prepared.get("hf_hub_id", "")).partition(".")[2] or called.partition(".")[2]
    return Description(architecture, classes, form, standardise, names, str(tag))


def _form(path: Path, config: Mapping[str, Any]) -> Form:
    size = config.get("input_size")
    if not (isinstance(size, list) and len(size) == 3 and all(map(_whole, size)) and size[0] in (1, 3)):
        raise _wrong(path, "input_size", size, "[channels, height, width], with 1 or 3 channels")
    if not all(SMALLEST <= side <= LARGEST for side in size[1:]):
        raise _wrong(path, "input_size", size, f"{SMALLEST} to {LARGEST} pixels high and wide")
    filters = ("bilinear", "bicubic")  # antialiased, as timm resizes
    interpolation = config.get("interpolation", "bicubic")
    if interpolation not in filters:
        raise _wrong(path, "interpolation", interpolation, " or ".join(filters))
    mode = config.get("crop_mode") or "center"
    if mode not in FITS:
        raise _wrong(path, "crop_mode", mode, ", ".join(FITS))
    crop = config.get("crop_pct", CROP)
    if not _real(crop):
        raise _wrong(path, "crop_pct", crop, "a number above 0 and at most 1")
    if mode != "center" and crop != 1:
        raise _wrong(path, "crop_pct", crop, f"1 with crop_mode {mode}, since no part of the picture is cut off then")
    try:
        return Form(size[1], size[2], size[0], FITS[mode], float(crop), interpolation)
    except RecipeError as error:
        raise ArtefactError(f"{path}: {error}") from error


def _numbers(path: Path, config: Mapping[str, Any], key: str, count: int) -> tuple[float, ...]:
    value = config.get(key)
    if not (isinstance(value, list) and len(value) == count and all(map(_real, value))):
        raise _wrong(path, key, value, f"{count} numbers, one for each channel")
    return tuple(map(float, value))


def _names(path: Path, config: Mapping[str, Any], classes: int) -> tuple[str, ...]:
    names, described = config.get("label_names"), config.get("label_descriptions")
    if names is None:
        return ()
    if not (isinstance(names, Sequence) and all(isinstance(name, str) for name in names)):
        raise _wrong(path, "label_names", names, "a list of names")
    if len(names) != classes:
        raise ArtefactError(f"{path}: label_names has {len(names):,} names for {classes:,} classes.")
    if isinstance(described, dict):
        words = [str(described.get(name, name)) for name in names]
        if len(set(words)) == len(words):
            return tuple(words)
    return tuple(names)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _real(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _wrong(path: Path, key: str, value: object, allowed: str) -> ArtefactError:
    shown = "missing" if value is None else repr(value) if len(repr(value)) < 80 else f"{repr(value)[:80]}…"
    return ArtefactError(f"{path}: {key} is {shown}; it must be {allowed}.")
