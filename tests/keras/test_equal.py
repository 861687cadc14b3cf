"""Pellucid predicts what Keras predicted: files that Keras wrote, both formats, read without Keras."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import pellucid
from pellucid.classifier import store
from pellucid.classifier.saved import Saved
from pellucid.keras.importing import Imported

NETWORKS = {
    "article": "conv(10, 5) relu maxpool(2) flatten dense",
    "blog": "conv(4, 3) relu maxpool(2) conv(4, 3) relu maxpool(2) conv(8, 3) relu maxpool(2) flatten dense(8) relu "
    "dropout(0.5) dense",
    "tutorial": "conv(4, 3, padding=same) relu maxpool(3, stride=2, padding=same) "
    "conv(6, 2, stride=2, padding=same) relu avgpool(2, padding=same) flatten "
    "batchnorm(eps=0.001) dropout(0.2) dense(5) elu dense",
    "residual": "conv(4, 3, stride=2, padding=same, bias=false) batchnorm(eps=0.001) leaky_relu(0.2) "
    "residual(conv(4, 3, padding=same, groups=4, bias=false) conv(4, 1) batchnorm(eps=0.01)) "
    "residual(silu conv(8, 3, padding=same, dilation=2, groups=4) conv(6, 3, stride=2, padding=same, groups=2) tanh "
    "| conv(6, 1, stride=2)) relu conv(5, 4, padding=1) gelu avgpool(2) globalavgpool dense",
    "nested": "conv(4, 3, stride=2, padding=same, bias=false) batchnorm(eps=0.001) relu6 "
    "residual(conv(4, 3, padding=same, groups=4, bias=false) batchnorm(eps=0.001)) "
    "conv(4, 3, stride=2, padding=same, groups=4, bias=false) batchnorm(eps=0.01) globalavgpool dropout(0.2) dense",
    "grey": "conv(4, 3) relu6 maxpool(3, stride=2) flatten dense",
    "adapted": "conv(6, 3) leaky_relu(0.3) maxpool(9) flatten dense",
    "odds": "conv(4, 5x6, stride=2x1, padding=3x4) relu maxpool(3, stride=2, padding=1) "
    "avgpool(2x1, stride=1, padding=1x0) conv(5, 1) hardswish batchnorm(eps=0.001) conv(10, 3, groups=5, bias=false) "
    "conv(4, 1) elu conv(5, 2, padding=same, dilation=2) leaky_relu(0.2) maxpool(4x9) conv(4, 1, bias=false) elu "
    "avgpool(1) flatten residual(dense(4) sigmoid) dense(bias=false)",
}
KERAS_2 = {
    "cats_dogs": "conv(4, 3) relu maxpool(2) conv(6, 3) relu maxpool(2) flatten dropout(0.5) dense(8) relu dense",
    "mobile": "conv(4, 3, stride=2, padding=same, bias=false) batchnorm(eps=0.001) relu6 "
    "conv(4, 3, padding=same, groups=4, bias=false) batchnorm relu6 "
    "conv(6, 1, bias=false) batchnorm(eps=0.001) relu6 "
    "conv(6, 4, stride=2, padding=1, groups=6) leaky_relu(0.2) globalavgpool dense",
    "scaled": "conv(4, 3, padding=same) relu maxpool(2) conv(4, 3, padding=same) relu maxpool(2) "
    "dropout(0.2) flatten dense(6) relu dense",
    "transfer": "conv(4, 3, stride=2, padding=same, bias=false) batchnorm(eps=0.001) relu6 "
    "residual(conv(4, 3, padding=same, groups=4, bias=false)) batchnorm(eps=0.001) globalavgpool dropout(0.2) dense",
}
FILES = [f"{name}.keras" for name in NETWORKS] + [f"{name}.h5" for name in ("article", "blog", "residual", "nested")]
FILES += [f"{name}.{kind}" for name in KERAS_2 for kind in ("h5", "keras")]


def imported(path: Path, out: Path, divide: float = 1) -> Imported:
    return pellucid.import_keras(path, out, pixels=(0, 255 / divide))


def probabilities(outputs: np.ndarray) -> np.ndarray:
    """float64 (n, classes) from Keras's output: probabilities, of one sigmoid or of all classes, or scores."""
    outputs = outputs.astype(np.float64)
    if outputs.shape[1] == 1:
        return np.hstack([1 - outputs, outputs])
    if np.allclose(outputs.sum(1), 1, atol=1e-4):
        return outputs
    powers = np.exp(outputs - outputs.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def keras_said(name: str, predictions: dict[str, np.ndarray]) -> np.ndarray:
    outputs = predictions[f"{name}.predictions"]
    if name in ("nested", "transfer"):  # they end with one score
        outputs = 1 / (1 + np.exp(-outputs.astype(np.float64)))
    return probabilities(outputs)


@pytest.mark.parametrize("file", FILES)
def test_predictions_are_those_of_keras(
    file: str, stored: Path, predictions: dict[str, np.ndarray], tmp_path: Path
) -> None:
    name = file.split(".")[0]
    result = imported(stored / file, tmp_path / "model", float(predictions[f"{name}.divide"]))
    pictures = predictions[f"{name}.pictures"]
    pictures = pictures if pictures.ndim == 4 else pictures[..., None]
    expected = keras_said(name, predictions)

    assert str(result.classifier.network) == (NETWORKS | KERAS_2)[name]
    assert expected.std(axis=0).max() > 1e-3  # the pictures are told apart at all
    loaded = pellucid.load(tmp_path / "model")
    saved = store.read(tmp_path / "model")
    assert isinstance(saved, Saved)
    for classifier in (result.classifier, loaded, saved.predictor()):
        assert np.abs(classifier.probabilities(classifier.logits(pictures)) - expected).max() < 1e-4
    assert loaded.form.shape == pictures.shape[1:]
    assert (loaded.form.fit, loaded.form.filter) == ("stretch", "plain")


def as_keras_2(path: Path) -> None:
    """An .h5 file in Keras 2's notation: lists for calls, ":0" after names, the input's shape in the first layer."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        _older(config)
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
        for layer in file["model_weights"].values():
            names = [str(name) for name in layer.attrs["weight_names"]]
            for name in names:
                layer.move(name, f"{name}:0")
            layer.attrs["weight_names"] = np.array([f"{name}:0".encode() for name in names], dtype="S")


def _older(model: dict[str, Any]) -> None:
    config = model["config"]
    for layer in config["layers"]:
        layer["config"].pop("dtype", None)
        if "batch_shape" in layer["config"]:
            layer["config"]["batch_input_shape"] = layer["config"].pop("batch_shape")
        if "layers" in layer["config"]:
            _older(layer)
        calls = layer.get("inbound_nodes", [])
        if calls:
            layer["inbound_nodes"] = [_older_call(layer, calls[0]["args"])]
    if model["class_name"] == "Functional":
        for key in ("input_layers", "output_layers"):
            config[key] = [config[key]]


def _older_call(layer: dict[str, Any], arguments: list[Any]) -> list[Any]:
    first = arguments[0] if isinstance(arguments[0], list) else arguments[:1]
    keywords: dict[str, Any] = {}
    if len(arguments) > 1:  # x / 127.5
        sign = {"TrueDivide": "math.truediv", "Subtract": "math.subtract"}[layer["class_name"]]
        layer["class_name"], layer["config"]["function"] = "TFOpLambda", sign
        keywords = {"y": arguments[1], "name": None}
    return [[*tensor["config"]["keras_history"], keywords] for tensor in first]


@pytest.mark.parametrize("name", ["article", "blog", "residual", "nested"])
def test_the_notation_of_keras_2_is_read(
    name: str, stored: Path, predictions: dict[str, np.ndarray], tmp_path: Path
) -> None:
    path = Path(shutil.copy(stored / f"{name}.h5", tmp_path / "old.h5"))
    as_keras_2(path)
    result = imported(path, tmp_path / "model", float(predictions[f"{name}.divide"]))
    classifier = result.classifier
    p = classifier.probabilities(classifier.logits(predictions[f"{name}.pictures"]))

    assert result.keras == "2.15.0"
    assert str(classifier.network) == NETWORKS[name]
    assert np.abs(p - keras_said(name, predictions)).max() < 1e-4


@pytest.mark.parametrize("folder", ["layers", "_layer_checkpoint_dependencies"])
@pytest.mark.parametrize("name", ["residual", "tutorial"])
def test_weights_without_names_are_read_by_kind_and_number(
    name: str, folder: str, edited: Callable[..., Path], predictions: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """As earlier versions of Keras 3, and late ones of Keras 2, wrote them."""

    def older(file: h5py.File) -> None:
        file.visititems(lambda place, each: each.attrs.pop("name", None) and None)
        if folder != "layers":
            file.move("layers", folder)

    classifier = imported(edited(name, weights=older), tmp_path / "model").classifier
    p = classifier.probabilities(classifier.logits(predictions[f"{name}.pictures"]))
    assert np.abs(p - keras_said(name, predictions)).max() < 1e-4


@pytest.mark.parametrize("file", ["transfer.h5", "transfer.keras"])
def test_a_file_of_keras_2_is_told_as_such(file: str, stored: Path, tmp_path: Path) -> None:
    result = pellucid.import_keras(stored / file, tmp_path / "model")
    told = {line.kind: line.became for line in result.layers}
    assert told["RandomFlip"] == "acts in training alone"
    assert told["TFOpLambda"] == "preprocessing"
    made_by = store.read_config(tmp_path / "model")["imported"]["from"]
    assert made_by == "Keras 2.21.0"


def test_layers_are_told_one_by_one(stored: Path, tmp_path: Path) -> None:
    result = imported(stored / "nested.keras", tmp_path / "model")
    report = {line.kind: line.became for line in result.layers}

    assert report["RandomFlip"] == report["RandomRotation"] == "acts only in training"
    assert report["TrueDivide"] == report["Subtract"] == "preprocessing"
    assert report["ZeroPadding2D"] == "zeros of the next layer"
    assert report["Add"] == "residual, the two branches above"
    assert [line.became for line in result.layers if line.kind == "DepthwiseConv2D"] == [
        "conv(4, 3, padding=same, groups=4, bias=false)",
        "conv(4, 3, stride=2, padding=same, groups=4, bias=false)",
    ]
    json.dumps(result.as_json())  # no more and no less than JSON


def test_a_wider_filter_is_told(stored: Path, tmp_path: Path) -> None:
    notes = " ".join(imported(stored / "residual.keras", tmp_path / "model").notes)
    assert "its filters of 3x3 become filters of 4x4, filled up with zeros" in notes


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("blog.keras", "Its one unit with a sigmoid became two scores, 0 and the unit, whose softmax is the same."),
        ("article.keras", "Its softmax moved into the prediction: the network ends with the scores."),
        ("tutorial.keras", "It ends without an activation, so its outputs are taken as scores before softmax."),
        ("nested.keras", "It ends with one unit without an activation, taken as the score before a sigmoid"),
        ("article.keras", "so it sees 0..255. If it was trained on pixels / 255, import it again with --pixels 0..1."),
        ("article.keras", "A Keras file holds no class names. Give what 0 and what 1 meant: --classes cat,dog."),
    ],
)
def test_what_the_file_cannot_say_is_said(file: str, message: str, stored: Path, tmp_path: Path) -> None:
    assert message in " ".join(pellucid.import_keras(stored / file, tmp_path / "model").notes)


def test_every_number_can_be_followed(stored: Path, predictions: dict[str, np.ndarray], tmp_path: Path) -> None:
    from PIL import Image

    imported(stored / "article.keras", tmp_path / "model")
    Image.fromarray(predictions["article.pictures"][0]).save(tmp_path / "picture.png")
    trace = pellucid.load(tmp_path / "model").explain(tmp_path / "picture.png")
    working = trace.unit("conv1[3, 0, 0]")

    assert working.total == pytest.approx(working.recorded, abs=1e-4)
    assert trace.probabilities == pytest.approx(keras_said("article", predictions)[0], abs=1e-4)


@pytest.mark.parametrize("pixels", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_pixels_say_what_the_model_was_fed(pixels: tuple[float, float], stored: Path, tmp_path: Path) -> None:
    low, high = pixels
    classifier = pellucid.import_keras(stored / "article.keras", tmp_path / "model", pixels=pixels).classifier
    table = classifier.standardise.table()  # what each byte becomes

    assert table[:, 0] == pytest.approx([low] * 3, abs=1e-5)
    assert table[:, 255] == pytest.approx([high] * 3, rel=1e-6)


def test_the_folder_is_whole_and_says_what_it_is(stored: Path, tmp_path: Path) -> None:
    pellucid.import_keras(stored / "blog.keras", tmp_path / "model", classes=["cat", "dog"], pixels=(0, 1))
    config = store.read_config(tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()

    assert {path.name for path in (tmp_path / "model").iterdir()} == {"README.md", "config.json", "model.safetensors"}
    assert config["classes"] == ["cat", "dog"]
    assert config["imported"]["from"] == "Keras 3.15.1"
    assert config["imported"]["file"] == "blog.keras"
    assert "**Imported from Keras 3.15.1. Its accuracy is not known here.**" in card
    assert "| dense\\_2 | Dense | dense(1) |" in card or "| dense_2 | Dense | dense(1) |" in card


def test_evaluate_measures_it_and_says_what_it_cannot_know(photos: Path, stored: Path, tmp_path: Path) -> None:
    pellucid.import_keras(stored / "article.keras", tmp_path / "model", classes=["blue", "red"])
    evaluation = pellucid.evaluate(tmp_path / "model", photos)

    assert evaluation.metrics.pictures == 32
    assert evaluation.untold is not None
    assert evaluation.untold.startswith(f"{tmp_path / 'model'} was imported, so it is unknown which")
    with pytest.raises(pellucid.PellucidError, match=r"was imported, and the pictures .* are not known; give a folder"):
        pellucid.evaluate(tmp_path / "model")


def test_its_weights_are_known_weights(photos: Path, stored: Path, tmp_path: Path) -> None:
    pellucid.import_keras(stored / "blog.keras", tmp_path / "model", classes=["cat", "dog"], pixels=(0, 1))
    classifier = pellucid.train(photos, tmp_path / "on", cache=tmp_path / "cache", pretrained=str(tmp_path / "model"))

    assert list(classifier.classes) == ["blue", "red"]
    assert (classifier.form.filter, classifier.form.shape) == ("plain", (22, 22, 3))
    assert pellucid.evaluate(tmp_path / "on").metrics.pictures > 0


def test_a_size_that_the_file_leaves_open(edited: Callable[..., Path], tmp_path: Path) -> None:
    def open_size(layers: list[dict[str, Any]]) -> None:
        layers[0]["config"]["batch_shape"] = [None, None, None, 1]

    path = edited("residual", open_size)
    with pytest.raises(pellucid.PellucidError, match=r"does not fix the size of its pictures\. State it: --size 150"):
        pellucid.import_keras(path, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    assert pellucid.import_keras(path, tmp_path / "model", size=(40, 36)).classifier.form.shape == (40, 36, 1)
