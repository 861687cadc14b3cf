"""An unsupported layer is named, with its class and its name, and nothing is written."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pellucid
from pellucid.errors import ArtefactError, NetworkError, PellucidError, RecipeError

Layers = list[dict[str, Any]]


def named(layers: Layers, kind: str) -> dict[str, Any]:
    return next(layer for layer in layers if layer["class_name"] == kind)


def as_kind(kind: str, new: str, **config: Any) -> Callable[[Layers], None]:
    """Replaces the first layer of a kind by another kind."""

    def change(layers: Layers) -> None:
        layer = named(layers, kind)
        layer["class_name"] = new
        layer["config"] |= config

    return change


def with_settings(kind: str, **config: Any) -> Callable[[Layers], None]:
    return as_kind(kind, kind, **config)


def last(**config: Any) -> Callable[[Layers], None]:
    return lambda layers: layers[-1]["config"].update(config)


def twice(layers: Layers) -> None:
    layer = named(layers, "BatchNormalization")
    layer["inbound_nodes"] = layer["inbound_nodes"] * 2


def three(layers: Layers) -> None:
    (both,) = named(layers, "Add")["inbound_nodes"][0]["args"]
    both.append(both[0])


def never_met(layers: Layers) -> None:
    """The shortcut starts before the fork and leads past its Add."""
    (both,) = layers[-8]["inbound_nodes"][0]["args"]
    both[0]["config"]["keras_history"] = ["rescaling_1", 0, 0]


CASES = [
    (
        "article",
        as_kind("MaxPooling2D", "Conv2DTranspose"),
        r"^Conv2DTranspose max_pooling2d\w* is not supported\. Supported layers",
    ),
    ("article", as_kind("MaxPooling2D", "MyPool>Best"), r"^MyPool>Best max_pooling2d\w* is not supported"),
    ("blog", as_kind("Activation", "Lambda"), r"^Lambda activation\w* holds Python code, which is never run"),
    ("blog", as_kind("Activation", "PReLU"), r"^PReLU activation\w* is not supported"),
    ("blog", with_settings("Activation", activation="selu"), r"^Activation activation\w*: its activation selu is not"),
    ("blog", with_settings("Activation", activation="softmax"), r"A softmax stands before MaxPooling2D"),
    ("article", with_settings("Conv2D", activation="mish"), r"^Conv2D conv2d\w*: its activation mish is not supported"),
    ("article", with_settings("Conv2D", data_format="channels_first"), r"^Conv2D conv2d\w* takes its channels first"),
    ("article", with_settings("Conv2D", padding="causal"), r"its padding is 'causal'; supported are valid and same"),
    ("article", with_settings("Conv2D", strides=[0, 1]), r"its strides is \[0, 1\], but it must be one or two"),
    ("article", with_settings("Conv2D", filters="ten"), r"its filters is 'ten', but it must be a whole number"),
    ("article", with_settings("Conv2D", use_bias=1), r"its use_bias is 1, but it must be true or false"),
    ("article", with_settings("Conv2D", dtype="int8_from_float32"), r"is quantised \(int8_from_float32\)"),
    ("article", with_settings("MaxPooling2D", pool_size=[20, 20]), r"MaxPooling2D max_pooling2d\w*, `maxpool\(20"),
    ("article", last(activation="relu"), r"^The model ends with relu; supported are softmax, the sigmoid of one unit"),
    ("article", last(activation="sigmoid"), r"^The model ends with 2 sigmoids, several labels a picture"),
    ("article", lambda layers: layers.pop(), r"^The model ends with a flattened map; it needs a Dense layer"),
    (
        "article",
        lambda layers: layers.__delitem__(slice(3, None)),
        r"^The model ends with \[10, 6, 6\]; it must end with one",
    ),
    ("article", with_settings("InputLayer", batch_shape=[None, 16, 16, 4]), r"4 channels; supported are 1 \(grey"),
    ("article", with_settings("InputLayer", batch_shape=[None, 48]), r"takes \[48\]; it must take pictures"),
    ("article", lambda layers: layers.pop(0), r"does not say what it takes: it was never built"),
    ("tutorial", with_settings("BatchNormalization", axis=1), None),  # of a row it is the same axis
    ("residual", with_settings("BatchNormalization", axis=[1]), r"its axis is \[1\], but only the last axis"),
    ("residual", with_settings("Rescaling", scale=-1.0), r"multiplies pixels by \[-1\.0\]; the numbers must be"),
    ("residual", with_settings("Rescaling", scale="x"), r"its scale is not one number, nor one for each of 1 channels"),
    ("residual", with_settings("LeakyReLU", negative_slope=-1), r"its slope is -1\.0, but it must be 0 or more"),
    ("residual", with_settings("ReLU", max_value=1.5), r"ReLU with a threshold, or a max_value that is not 6"),
    ("residual", with_settings("Softmax", axis=1), r"its axis is 1, but only the last axis is supported"),
    ("residual", with_settings("AveragePooling2D", padding="same", strides=1), r"and stride 1 needs an odd size"),
    ("residual", as_kind("Add", "Concatenate"), r"^Concatenate add brings 2 branches together\. The only"),
    ("residual", as_kind("Add", "Multiply"), r"^Multiply add brings 2 branches together"),
    ("residual", three, r"^Add add brings 3 branches together"),
    ("residual", twice, r"^BatchNormalization batch_normalization\w* is used 2 times; a layer may be used only once"),
    ("grey", with_settings("Reshape", target_shape=[10, 12, 1]), r"^Reshape reshape to \[10, 12, 1\] is not supported"),
    ("adapted", with_settings("Normalization", invert=True), r"^Normalization normalization is inverted"),
]


@pytest.mark.parametrize(("name", "change", "message"), CASES)
def test_what_is_not_read_is_named(
    name: str,
    change: Callable[[Layers], None],
    message: str | None,
    edited: Callable[..., Path],
    tmp_path: Path,
) -> None:
    path = edited(name, change)
    before = {each.name for each in tmp_path.iterdir()}
    if message is None:
        pellucid.import_keras(path, tmp_path / "model")
        return
    with pytest.raises((NetworkError, ArtefactError), match=message) as raised:
        pellucid.import_keras(path, tmp_path / "model")

    assert "\n" not in str(raised.value)
    assert {each.name for each in tmp_path.iterdir()} == before


def test_branches_that_do_not_meet(edited: Callable[..., Path], tmp_path: Path) -> None:
    def change(layers: Layers) -> None:
        """The second Add takes the pixels instead of its shortcut."""
        add = [layer for layer in layers if layer["class_name"] == "Add"][1]
        add["inbound_nodes"][0]["args"][0][0]["config"]["keras_history"][0] = named(layers, "Rescaling")["name"]

    with pytest.raises(NetworkError, match=r"The output of \w+ leads nowhere|do not meet in one Add|leads nowhere"):
        pellucid.import_keras(edited("residual", change), tmp_path / "model")


def test_layers_in_a_circle(edited: Callable[..., Path], tmp_path: Path) -> None:
    def change(layers: Layers) -> None:
        first = named(layers, "Rescaling")
        first["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0] = named(layers, "Softmax")["name"]

    with pytest.raises(NetworkError):
        pellucid.import_keras(edited("residual", change), tmp_path / "model")


def test_a_second_input(edited: Callable[..., Path], stored: Path, tmp_path: Path) -> None:
    def change(layers: Layers) -> None:
        other = copy.deepcopy(layers[0])
        other["name"] = other["config"]["name"] = "second"
        layers.append(other)
        add = named(layers, "Add")
        add["inbound_nodes"][0]["args"][0][1]["config"]["keras_history"][0] = "second"

    with pytest.raises(NetworkError, match=r"do not meet in one Add|joins branches that did not split|leads nowhere"):
        pellucid.import_keras(edited("residual", change), tmp_path / "model")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": ["cat"]}, "The model distinguishes 2 classes, but classes has 1: cat."),
        ({"classes": ["cat", "cat"]}, "classes lists 'cat' twice."),
        ({"classes": ["cat", " "]}, "it must be a list of names, none of them empty."),
        ({"classes": "cat"}, "classes is 'cat'; it must be a list of names"),
        ({"size": (20, 20)}, "The model takes pictures of 16x16, and size says 20x20. Remove size."),
        ({"size": 0}, "size is 0; it must be one or two whole numbers from 1 to 16,384."),
        ({"pixels": (1, 0)}, "pixels is 1..0; the first number must be below the second, such as 0..1."),
        ({"pixels": (0, float("nan"))}, "pixels is 0..nan; the first number must be below the second"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str, stored: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as raised:
        pellucid.import_keras(stored / "article.keras", tmp_path / "model", **arguments)
    assert message in str(raised.value)
    assert not (tmp_path / "model").exists()


def test_nothing_is_overwritten(stored: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("words")
    (tmp_path / "file").write_text("words")
    for name, what in (("mine", "is not empty"), ("file", "is a file")):
        with pytest.raises(ArtefactError, match=f"{what}, and nothing of yours is overwritten"):
            pellucid.import_keras(stored / "article.keras", tmp_path / name)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "words"
    assert (tmp_path / "file").read_text() == "words"


def test_what_came_meanwhile_stays(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.keras import card

    out = tmp_path / "model"

    def meanwhile(folder: Path) -> None:
        out.mkdir()
        (out / "thesis.txt").write_text("words")

    monkeypatch.setattr(card, "write", meanwhile)
    with pytest.raises(PellucidError, match="nothing of yours is overwritten"):
        pellucid.import_keras(stored / "article.keras", out)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (out / "thesis.txt").read_text() == "words"
