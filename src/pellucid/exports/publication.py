"""Which part of a model folder is published: what shows or names the user's pictures only if the user says so.

Nothing published states where a file lies on the user's machine.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.classifier import store
from pellucid.classifier.predict.graph import GRAPH
from pellucid.errors import ArtefactError
from pellucid.exports import published_card

CARD = "README.md"
PLOTS = ("curves.png", "confusion.png", "calibration.png")
FIGURES = (store.WEIGHTS, store.PROGRAM, store.OPTIMIZER, store.METRICS, store.HISTORY)
PICTURES = (store.SPLIT, store.QUARANTINE, store.TWINS, store.KNOWN)
"""Files that name pictures, or hold them in small."""
FOLDERS = ("thumbnails", "replay")
"""Folders that show pictures, or what a network computed from them."""
COMPUTES = ("format", "network", "program", "input", "classes", "preprocessing", "temperature", "thresholds")
"""The keys of config.json that predictions depend on: they stay as they are. So does `megapixels` of the recipe."""
_PATH = re.compile(r"""(?<![\w/:.~<\\])(?:~?/|[A-Za-z]:[\\/])(?:[^\s/\\"'`(),;<>]+[\\/])+(?=[^\s/\\"'`(),;<>])""")
"""The folders of an absolute path in a text."""


@dataclass(frozen=True)
class Publication:
    """The files to publish, and what stays on this machine.

    * contents: the bytes or the file, by name
    * pictures: the names of files and folders that are left out because they show or name pictures
    * others: the names of files and folders that are not part of the model
    """

    contents: Mapping[str, bytes | Path]
    pictures: tuple[str, ...]
    others: tuple[str, ...]


def is_ours(name: str) -> bool:
    """Whether a file in a repository is a part of a published model."""
    return name in (store.CONFIG, CARD, GRAPH, *PLOTS, *FIGURES, *PICTURES) or name.split("/")[0] in FOLDERS


def publication(folder: Path, name: str, pictures: bool = False) -> Publication:
    """What to publish of a model folder as `name`, OWNER/NAME. `pictures`: also what shows or names pictures.

    Raises ArtefactError if the folder is damaged. The folder does not change.
    """
    store.read_config(folder)
    config = store.read_json(folder / store.CONFIG)
    store.check_file(folder, store.WEIGHTS, config)
    stated = [each for each in (*FIGURES, *PICTURES) if each in config["files"] and (folder / each).exists()]
    for each in stated[1:]:
        store.check_file(folder, each, config)
    further = [each for each in (GRAPH, *PLOTS) if (folder / each).is_file()]
    chosen = [each for each in stated if pictures or each not in PICTURES]
    contents: dict[str, bytes | Path] = {each: folder / each for each in (*chosen, *further)}
    metrics = store.read_json(folder / store.METRICS) if store.METRICS in stated else None
    if metrics is not None and not pictures:
        contents[store.METRICS] = store.as_json({**metrics, "mistakes": []})
    if pictures:
        contents |= {
            path.relative_to(folder).as_posix(): path
            for each in FOLDERS
            for path in sorted((folder / each).rglob("*"))
            if path.is_file() and not path.name.startswith(".") and _is_inside(path, folder)
        }
    places = _places(config, folder)
    for each, content in contents.items():  # lists of files may name some outside the folder of the pictures
        if isinstance(content, Path) and each.endswith((".csv", ".json")):
            written = content.read_text(encoding="utf-8", errors="surrogateescape")
            if (cleared := without_paths(written, places)) != written:
                contents[each] = cleared.encode("utf-8", "surrogateescape")
    text = (folder / CARD).read_text(encoding="utf-8", errors="replace") if (folder / CARD).is_file() else _blank(name)
    card = published_card.published(text, name, config, metrics, pictures)
    contents[CARD] = without_paths(card, places).encode()
    contents[store.CONFIG] = store.as_json(_config(config, folder, name, contents))
    return Publication(contents, *_left_out(folder, contents))


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether it is no link to a file elsewhere, which the user may not want to publish."""
    return path.resolve().is_relative_to(folder.resolve())


def without_paths(text: str, places: tuple[str, ...] = ()) -> str:
    """The text with each absolute path cut to its last part. `places`: paths to find even if they hold spaces."""
    for place in places:
        text = text.replace(place, re.split(r"[\\/]", place)[-1])
    return _PATH.sub("", text)


def _config(config: dict[str, Any], folder: Path, name: str, contents: Mapping[str, bytes | Path]) -> dict[str, Any]:
    """config.json for the repository: the same model, with other names, and hashes of what is published."""
    places = _places(config, folder)
    rest = {key: _cleared(value, places) for key, value in config.items() if key not in (*COMPUTES, "files", "name")}
    rest["data"] = {key: value for key, value in rest.get("data", {}).items() if key not in ("root", "left_out")}
    if "pretrained" in rest:
        rest["pretrained"] = {key: value for key, value in rest["pretrained"].items() if key != "folder"}
    return {
        **{key: config[key] for key in COMPUTES if key in config},
        "name": name.split("/")[1],
        **rest,
        "files": {each: _described(contents[each]) for each in store.HASHED if each in contents},
    }


def _cleared(value: Any, places: tuple[str, ...]) -> Any:
    """Plain values of JSON, their texts without absolute paths."""
    if isinstance(value, str):
        whole = re.fullmatch(r"(?:~?/|[A-Za-z]:[\\/]).*[\\/]([^\\/]+)", value, re.DOTALL)
        return whole[1] if whole is not None else without_paths(value, places)
    if isinstance(value, dict):
        return {key: _cleared(each, places) for key, each in value.items()}
    return [_cleared(each, places) for each in value] if isinstance(value, list) else value


def _places(config: dict[str, Any], folder: Path) -> tuple[str, ...]:
    """The absolute paths that the folder is known to state, the longest first."""
    data, pretrained = config.get("data") or {}, config.get("pretrained") or {}
    stated = [data.get("root"), data.get("table"), pretrained.get("folder"), str(folder.absolute())]
    places = {each for each in stated if isinstance(each, str) and len(Path(each).parts) > 1}
    return tuple(sorted(places, key=len, reverse=True))


def _described(content: bytes | Path) -> dict[str, Any]:
    if isinstance(content, Path):
        return store.describe(content)
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _left_out(folder: Path, contents: Mapping[str, bytes | Path]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    there = {each.relative_to(folder).parts[0] for each in folder.rglob("*") if each.is_file()}
    away = sorted(there - {each.split("/")[0] for each in contents})
    shows = tuple(each for each in away if each in (*PICTURES, *FOLDERS))
    return shows, tuple(each for each in away if each not in shows)


def _blank(name: str) -> str:
    return f"# {name.split('/')[1]}\n\nAn image classifier, made with Pellucid.\n"


def is_model(path: Path) -> bool:
    """Whether a config.json describes a Pellucid model."""
    try:
        return store.is_model(store.read_json(path))
    except ArtefactError:
        return False
