"""The layers of a Keras model in the order in which a picture passes them, each with its arrays.

A Sequential is a row. A functional model is one too if each layer has one input and one user. If a tensor has two users
that an Add joins again, the two rows between them are a fork. Nested models are expanded into the row around them.
Anything else (other merges, several inputs or outputs, a layer that is used twice) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pellucid.errors import ArtefactError, NetworkError
from pellucid.keras.archive import Archive, Stored

MODELS = ("Sequential", "Functional", "Model")
DEEPEST = 20  # models inside models, forks inside forks
MOST_LAYERS = 10_000


@dataclass(frozen=True)
class Node:
    """A layer. `constant`: the number in an operator's call (x / 127.5); None for a layer."""

    kind: str
    name: str
    config: dict[str, Any]
    arrays: tuple[Stored, ...] = ()
    constant: float | None = None

    @property
    def called(self) -> str:
        """`Conv2D conv2d_1`, as messages name it."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Fork:
    """Two rows over one input, added by `name`. An empty row passes its input on."""

    name: str
    rows: tuple[tuple[Node | Fork, ...], tuple[Node | Fork, ...]]


Row = tuple[Node | Fork, ...]


def row(archive: Archive) -> Row:
    """Raises NetworkError for a model that is not a row, ArtefactError if the JSON is damaged."""
    kind = archive.config.get("class_name")
    if kind not in MODELS:
        raise NetworkError(
            f"The file holds a {kind}; supported are Sequential and functional models. "
            "A subclassed Model has its layers in code, and the file does not contain them."
        )
    try:
        return _model(archive, archive.config, (), 0)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise ArtefactError(f"The model's description is damaged ({type(error).__name__}: {error}).") from error


def every(row: Sequence[Node | Fork]) -> Iterator[Node]:
    """All layers of a row, including those in its forks."""
    for item in row:
        if isinstance(item, Fork):
            for branch in item.rows:
                yield from every(branch)
        else:
            yield item


@dataclass
class _Graph:
    """A functional model during its expansion."""

    name: str
    items: dict[str, Row] = field(default_factory=dict)
    """A layer's name -> its replacement: itself, or the row of a model."""
    merges: set[str] = field(default_factory=set)
    users: dict[str, list[str]] = field(default_factory=dict)


def _model(archive: Archive, described: dict[str, Any], place: tuple[tuple[str, str], ...], depth: int) -> Row:
    """`place`: for the models around it, the name in the file and the layer's own name."""
    if depth > DEEPEST:
        raise NetworkError(f"The models in {described['config']['name']} are nested more than {DEEPEST} deep.")
    config = described["config"]
    layers = config if isinstance(config, list) else config["layers"]  # a list: Keras before 2.2.3
    if len(layers) > MOST_LAYERS:
        raise NetworkError(f"The model has {len(layers):,} layers; the limit is {MOST_LAYERS:,}.")
    counts: dict[str, int] = {}
    parts: list[tuple[dict[str, Any], Row]] = []
    for layer in layers:
        kind, own = str(layer["class_name"]), layer["config"]
        name = str(layer.get("name") or own.get("name") or kind)
        snake = _snake(kind)
        counts[snake] = counts.get(snake, -1) + 1
        here = (*place, (f"{snake}_{counts[snake]}" if counts[snake] else snake, name))
        if kind in MODELS:
            parts.append((layer, _model(archive, layer, here, depth + 1)))
        else:
            parts.append((layer, (Node(kind, name, dict(own), _arrays(archive, here), _constant(layer)),)))
    if described["class_name"] == "Sequential":
        return tuple(item for _, part in parts for item in part)
    return _laid_out(config, parts)


def _laid_out(config: Any, parts: list[tuple[dict[str, Any], Row]]) -> Row:
    graph = _Graph(str(config.get("name", "the model")))
    for layer, part in parts:
        name = str(layer["name"])
        graph.items[name] = part
        calls = layer["inbound_nodes"]
        if len(calls) > 1:
            raise NetworkError(
                f"{layer['class_name']} {name} is used {len(calls)} times; a layer may be used only once."
            )
        sources = list(_sources(calls[0])) if calls else []
        if len(sources) > 1:
            if layer["class_name"] != "Add" or len(sources) > 2:
                what = f"brings {len(sources)} branches together"
                raise NetworkError(
                    f"{layer['class_name']} {name} {what}. The only supported merge is an Add of two branches, as in a "
                    "residual network."
                )
            graph.merges.add(name)
        for source in sources:
            graph.users.setdefault(source, []).append(name)
    first, last = _one(config, "input_layers", "inputs"), _one(config, "output_layers", "outputs")
    if first not in graph.items or last not in graph.items:
        raise NetworkError(f"{graph.name} names an input or output layer that it does not have.")
    graph.users.setdefault(last, []).append("")  # used by the end
    items, end = _follow(graph, first, 0)
    if end != "":
        raise NetworkError(f"Add {end} joins branches that did not split before it.")
    return (*graph.items[first], *items)


def _follow(graph: _Graph, at: str, depth: int) -> tuple[Row, str]:
    """The row after the layer `at`, up to the named merge, or to the end, ""."""
    if depth > DEEPEST:
        raise NetworkError(f"The branches of {graph.name} are nested more than {DEEPEST} deep.")
    items: list[Node | Fork] = []
    for _ in range(len(graph.items) + 1):
        users = graph.users.get(at, [])
        if len(users) == 1:
            if users[0] == "" or users[0] in graph.merges:
                return tuple(items), users[0]
            at = users[0]
            items += graph.items[at]
        elif len(users) == 2:
            branches = [_branch(graph, user, depth + 1) for user in users]
            if branches[0][1] != branches[1][1] or not branches[0][1]:
                raise NetworkError(
                    f"The branches behind {at} do not meet in one Add. Supported are layers in sequence, and two "
                    "branches that one Add joins."
                )
            at = branches[0][1]
            longer, shorter = sorted((branch for branch, _ in branches), key=len, reverse=True)
            items.append(Fork(at, (longer, shorter)))
        else:
            what = "leads nowhere" if not users else f"has {len(users)} users"
            raise NetworkError(f"The output of {at} {what}; one or two layers must use it.")
    raise NetworkError(f"The layers of {graph.name} go in a circle.")


def _branch(graph: _Graph, user: str, depth: int) -> tuple[Row, str]:
    if user == "" or user in graph.merges:
        return (), user
    row, end = _follow(graph, user, depth)
    return (*graph.items[user], *row), end


def _sources(call: Any) -> Iterator[str]:
    """The layers whose outputs go into a call, in the notation of Keras 3 (a dictionary) or 2 (lists)."""
    if isinstance(call, dict):
        if call.get("class_name") == "__keras_tensor__":
            yield str(call["config"]["keras_history"][0])
            return
        for value in call.values():
            yield from _sources(value)
    elif isinstance(call, list | tuple):
        if len(call) in (3, 4) and isinstance(call[0], str) and all(isinstance(each, int) for each in call[1:3]):
            yield call[0]
            for value in call[3:]:
                yield from _sources(value)
            return
        for value in call:
            yield from _sources(value)


def _constant(layer: dict[str, Any]) -> float | None:
    """The number in an operator's call such as x / 127.5, after its tensor; None for any other call."""
    match layer.get("inbound_nodes"):
        case [{"args": [{"class_name": "__keras_tensor__"}, int() | float() as number], "kwargs": {}}]:
            pass
        case [[str(), int(), int(), {"y": int() | float() as number}]]:  # Keras 2, an operator
            pass
        case [[[str(), int(), int(), {"y": int() | float() as number}]]]:
            pass
        case _:
            return None
    return None if isinstance(number, bool) else float(number)


def _one(config: dict[str, Any], key: str, what: str) -> str:
    """The name of the one input or output; `[name, 0, 0]` in Keras 3, a list of such in Keras 2."""
    named = config[key]
    if isinstance(named, dict):
        named = list(named.values())
    if named and not isinstance(named[0], str):
        if len(named) != 1:
            raise NetworkError(f"The model has {len(named)} {what}; only one is supported.")
        named = named[0]
    return str(named[0])


def _arrays(archive: Archive, place: tuple[tuple[str, str], ...]) -> tuple[Stored, ...]:
    """A layer's arrays in the order in which Keras lists them."""
    if archive.layout == "keras":
        return _of_zip(archive, place)
    top, own = place[0][1], place[-1][1]
    listed = [each.rpartition("/") for each in archive.names.get(top, [])]
    if len(place) > 1:  # a model's group lists the arrays of all its layers, "conv2d/kernel:0"
        listed = [each for each in listed if each[0].rpartition("/")[2] == own]
    arrays = []
    for group, _, name in listed:
        if name not in archive.arrays.get(group, {}):
            raise ArtefactError(f"The file lists {group}/{name} but does not hold it. Copy it again, or save it again.")
        arrays.append(archive.arrays[group][name])
    if len({each.name for each in arrays}) < len(arrays):
        raise NetworkError(
            f"Two layers of {top} are named {own}, and the file does not say which weights belong to which."
        )
    return tuple(arrays)


def _of_zip(archive: Archive, place: tuple[tuple[str, str], ...]) -> tuple[Stored, ...]:
    """A layer's group is named after its kind and number, conv2d_1; later versions wrote the layer's name beside it."""
    for folder in ("layers", "_layer_checkpoint_dependencies"):
        group = ""
        for counted, own in place:
            inside = f"{group}/{folder}".lstrip("/")
            group = archive.names.get((inside, own), "") if archive.names else f"{inside}/{counted}"
        if arrays := archive.arrays.get(f"{group}/vars"):
            return tuple(arrays[key] for key in sorted(arrays, key=lambda name: (len(name), name)))
    return ()


def _snake(name: str) -> str:
    """Keras's name of a layer's group from its class: keras/src/utils/naming.py, to_snake_case."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
