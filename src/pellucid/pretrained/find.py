"""From what a user writes to known weights: a name, a repository on a hub, a folder, a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pellucid import files
from pellucid.classifier.locate import folder_of
from pellucid.errors import ArtefactError, did_you_mean
from pellucid.hub.reference import REPOSITORY, Reference, is_reference, parse
from pellucid.network import published, zoo
from pellucid.pretrained import checkpoint, described, hub, layouts, lite0, ours
from pellucid.pretrained.known import Known

SUFFIX = ".safetensors"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
NAMES = (lite0.NAME, "imagenet")
"""Weights that need no download; the second name means the first, for users who know no networks by name."""
FORMS = (
    "imagenet, OWNER/NAME of a repository on the hub, a model folder, a folder with config.json and model.safetensors, "
    "or a file of safetensors"
)


def find(name: str, cache: Path, model: str | None = None) -> Known:
    """The weights that `name` stands for.

    * `efficientnet_lite0` or `imagenet`: those in the package
    * `timm/resnet18.a1_in1k`, with `@` and a revision unless it is the newest, and perhaps `hf://` before it: a
      repository on the hub, of timm or with a Pellucid model
    * a model folder of ours, or a folder that holds the two files of such a repository, config.json and
      model.safetensors
    * a file of safetensors; config.json beside it names their network, else `model` does

    `cache`: the folder for converted weights. An existing path takes precedence over a repository of that name. Raises
    ArtefactError with what was wrong and what to write.
    """
    written = name.strip()
    path = Path(written).expanduser()
    if is_reference(written):
        return _of_hub(parse(written))
    if written in NAMES:
        return lite0.load(cache)
    if written and path.is_dir():
        return _of_folder(path)
    if path.is_file() or path.suffix == SUFFIX:
        return _of_file(path, model)
    if REPOSITORY.fullmatch(written) and path.suffix not in PICKLES and not written.startswith("."):
        return _of_hub(parse(written))
    if written in zoo.NAMES:
        raise ArtefactError(
            f"{written} comes without weights. Of the networks by name, {lite0.NAME} has them; others are on a hub, "
            "such as timm/resnet18.a1_in1k."
        )
    hint = did_you_mean(written.lower(), NAMES)
    raise ArtefactError(f"There are no known weights {written!r}.{hint} Write {FORMS}.")


def _of_hub(reference: Reference) -> Known:
    snapshot = hub.fetch(str(reference).removeprefix("hf://"))
    if described.is_ours(snapshot.config):
        # with what it knows about the pictures that it has seen; what is missing, the training says
        folder = folder_of(f"hf://{snapshot.source}", say=lambda _: None)
        known = ours.load(folder)
        source, seen = (text.replace(folder.name, snapshot.source) for text in (known.source, known.seen))
        return replace(known, source=source, seen=seen)
    return checkpoint.load(snapshot.weights, snapshot.config, snapshot.source)


def _of_folder(folder: Path) -> Known:
    if described.is_ours(folder / hub.CONFIG):
        return ours.load(folder)
    weights = folder / hub.WEIGHTS
    if not weights.is_file():
        pickle = next((each.name for each in sorted(folder.iterdir()) if each.suffix in PICKLES), None)
        if pickle is not None:
            raise _refused(folder / pickle)
        raise ArtefactError(f"{folder} holds no {hub.WEIGHTS}. Write {FORMS}.")
    if not (folder / hub.CONFIG).is_file():
        raise ArtefactError(
            f"{folder} holds no {hub.CONFIG}, which says what network its weights are for. Get it from where "
            f"{hub.WEIGHTS} came from."
        )
    return checkpoint.load(weights, folder / hub.CONFIG, _source(folder, weights))


def _of_file(path: Path, model: str | None) -> Known:
    if path.suffix in PICKLES:
        raise _refused(path)
    if path.suffix != SUFFIX:
        raise ArtefactError(f"{path} is not a file of weights. Write {FORMS}.")
    config = path.with_name(hub.CONFIG)
    if path.name == hub.WEIGHTS and described.is_ours(config):
        return ours.load(path.parent)
    if config.is_file():
        return checkpoint.load(path, config, _source(path, path))
    if not path.is_file():
        raise ArtefactError(f"There is no file {path}.")
    architecture = layouts.of_zoo(model.strip()) if model is not None else None
    if architecture is not None:
        return checkpoint.load_as(path, architecture, _source(path, path))
    raise ArtefactError(
        f"Nothing says what network {path} is for. Put its {hub.CONFIG} beside it, or name the network with --model: "
        f"{', '.join(published.NAMES)}."
    )


def _source(named: Path, weights: Path) -> str:
    """The source of weights on this disk: a name, and the file's hash, by which they are recognised."""
    try:
        return f"{named.resolve().name} (SHA-256 {files.sha256(weights)[:16]})"
    except OSError as error:
        raise ArtefactError(f"{weights} cannot be read: {error.strerror or error}.") from error


def _refused(path: Path) -> ArtefactError:
    return ArtefactError(
        f"{path} is a pickle, which can run code when it is read, so it is refused. Name a safetensors file, or "
        "convert it to one."
    )
