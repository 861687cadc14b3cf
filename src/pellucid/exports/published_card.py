"""The model card as the README.md of a repository: metadata for the hub, and nothing about single pictures."""

from __future__ import annotations

import re
from typing import Any

from pellucid.errors import ArtefactError

TAGS = ("pellucid", "convolutional-neural-network")
MISTAKES = re.compile(r"(^## The worst mistakes\n\n)(?!None\.)(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
LISTS = re.compile(r" \(\[(?:quarantine|twins)\.csv\]\(\w+\.csv\)\)")
UNPUBLISHED = "The list is not published, because it shows pictures and their names.\n\n"
FROM_HUB = re.compile(r"([\w.-]+/[\w.-]+)@[0-9a-f]{40}")
SIDES = {
    "test": "the test pictures",
    "validation": "the validation pictures",
    "folds": "all pictures, in a cross-validation",
}


def published(text: str, name: str, config: dict[str, Any], metrics: dict[str, Any] | None, pictures: bool) -> str:
    """The card `text` for the repository `name`. What the user has written into it stays, such as a license.

    `config`, `metrics`: the contents of config.json and metrics.json. The figure goes into the metadata only if the
    card lets you quote it. `pictures`: keep the list of mistakes. Raises ArtefactError if the metadata at the start of
    the card are not YAML.
    """
    if not pictures:
        text = LISTS.sub("", MISTAKES.sub(lambda match: match[1] + UNPUBLISHED, text))
    return _with_metadata(_renamed(text, str(config.get("name", "")), name), name, config, metrics)


def merged(ours: bytes, theirs: bytes) -> bytes:
    """Our card with the metadata that somebody has added to the one in the repository, such as a license.

    Figures are ours alone. A card there whose metadata cannot be read adds nothing.
    """
    from huggingface_hub import ModelCard
    from yaml import YAMLError

    try:
        data = ModelCard(theirs.decode(errors="replace")).data.to_dict()
    except (ValueError, TypeError, KeyError, YAMLError):
        return ours
    card = ModelCard(ours.decode())
    for key, value in data.items():
        if key not in ("model-index", "tags") and card.data.get(key) is None:
            card.data[key] = value
    card.data["tags"] = list(dict.fromkeys([*_listed(card.data.get("tags")), *_listed(data.get("tags"))]))
    return str(card).encode()


def _renamed(text: str, old: str, name: str) -> str:
    """The card with the commands that name the folder naming the repository."""
    if not old:
        return text
    command = re.compile(rf"^(pellucid (?:predict|evaluate) )('?){re.escape(old)}\2 ", re.MULTILINE)
    text = command.sub(lambda match: f"{match[1]}hf://{name} ", text)
    return text.replace(f'pellucid.load("{old}"', f'pellucid.load("hf://{name}"')


def _with_metadata(text: str, name: str, config: dict[str, Any], metrics: dict[str, Any] | None) -> str:
    from huggingface_hub import ModelCard
    from yaml import YAMLError

    try:
        card = ModelCard(text if text.startswith("---") else f"---\nlibrary_name: pellucid\n---\n\n{text}")
    except (ValueError, TypeError, KeyError, YAMLError) as error:
        problem = " ".join(str(error).split())
        raise ArtefactError(f"The metadata at the start of README.md are damaged: {problem}. Correct them.") from error
    data: Any = card.data
    data.library_name, data.pipeline_tag = "pellucid", "image-classification"
    data.tags = list(dict.fromkeys([*_listed(data.tags), *TAGS]))
    source = FROM_HUB.match(str((config.get("pretrained") or {}).get("source", "")))
    if source is not None and not data.base_model:
        data.base_model = source[1]
    if not data.eval_results and metrics is not None and metrics.get("quotable"):
        data.model_name, data.eval_results = name.split("/")[1], _results(metrics)
    return str(card)


def _results(metrics: dict[str, Any]) -> list[Any]:
    """The reported accuracy with its interval, and the cross-entropy, as the hub's metadata state figures."""
    from huggingface_hub import EvalResult

    side = metrics["reported"]
    measured = metrics[side]
    low, high = measured["interval"]
    what = "exact match" if measured.get("several") else "accuracy"
    accuracy = f"{what}, 95% interval {low:.4f} to {high:.4f}, {measured['pictures']} pictures"

    def result(kind: str, value: float, called: str) -> Any:
        return EvalResult(
            task_type="image-classification",
            dataset_type="imagefolder",  # what the hub calls pictures in folders
            dataset_name=f"the author's own: {SIDES.get(side, side)}",
            metric_type=kind,
            metric_value=value,
            metric_name=called,
        )

    results = [result("exact_match" if measured.get("several") else "accuracy", measured["accuracy"], accuracy)]
    loss = measured.get("loss")
    return [*results, result("loss", loss, "cross-entropy")] if isinstance(loss, float) else results


def _listed(tags: Any) -> list[str]:
    return [tags] if isinstance(tags, str) else list(tags or ())
