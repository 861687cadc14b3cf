"""The artefact: bit for bit what was saved, or one line that says what is wrong with which file."""

import ast
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import pellucid
from pellucid.classifier import store
from pellucid.classifier.classifier import Classifier
from pellucid.errors import ArtefactError, StorageError
from pellucid.network import zoo
from pellucid.network.standardise import Standardise
from pellucid.pictures.decode import Form, Ranges


def same_weights(one: Classifier, other: Classifier) -> bool:
    first, second = one.module.state_dict(), other.module.state_dict()
    return list(first) == list(second) and all(
        first[name].dtype == second[name].dtype and first[name].numpy().tobytes() == second[name].numpy().tobytes()
        for name in first
    )


@pytest.mark.parametrize(
    "network", [*zoo.NAMES, "conv(3, 3, bias=false) batchnorm relu globalavgpool dropout(0.5) dense"]
)
def test_round_trip_bit_for_bit(network: str, tmp_path: Path) -> None:
    named = zoo.find(network)
    shape = named.input if named.input is not None and named.input[1] < 100 else (3, 64, 64)
    torch.manual_seed(3)
    form = Form(shape[1], shape[2], shape[0], "crop")
    scale = Standardise((0.25, 0.5, 1 / 3)[: shape[0]], (0.1, 0.2, 1 / 7)[: shape[0]])
    made = Classifier(named.network, named.network.module(shape, 3).eval(), ("a", "ü|<", "c"), form, scale, 1 / 3)
    store.save(tmp_path / "model", made, {"recipe": {"megapixels": 0.5}, "name": "model"})
    read = store.load(tmp_path / "model")
    assert same_weights(made, read)
    assert (read.network, read.classes, read.form) == (made.network, made.classes, made.form)
    assert (read.standardise, read.temperature) == (made.standardise, made.temperature)
    assert read.pixel_limit == 500_000
    images = np.random.default_rng(0).integers(0, 256, (2, shape[1], shape[2], shape[0]), np.uint8)
    assert np.abs(read.logits(images) - made.logits(images)).max() < 1e-4
    assert all(parameter.requires_grad for parameter in read.module.parameters())
    assert not read.module.training


def test_the_ranges_of_deep_pictures(model: Path) -> None:
    def stated(ranges: object) -> Ranges:
        config = json.loads((model / store.CONFIG).read_text())
        config["preprocessing"]["ranges"] = ranges
        if ranges is None:
            config["format"] = 1
            del config["preprocessing"]["ranges"]
        (model / store.CONFIG).write_text(json.dumps(config))
        assert store.load(model).ranges == store.read(model).ranges
        return store.read(model).ranges

    assert store.read(model).ranges == Ranges()  # learned from 8 bits alone
    assert stated({"integer": [0, 4095], "real": [-1, 1]}) == Ranges((0, 4095), (-1, 1))
    assert stated(None) == Ranges(integer=(0, 65535))  # of an older Pellucid, which took all integers for 16 bits


def test_loading_leaves_the_random_numbers_alone(trained: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    pellucid.load(trained)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_folder_can_move(trained: Path, tmp_path: Path, photos: Path) -> None:
    picture = photos / "red" / "0.png"
    moved = shutil.copytree(trained, tmp_path / "else where" / "renamed")
    assert pellucid.load(moved).predict(picture).logits == pellucid.load(trained).predict(picture).logits


def test_card_pictures_and_lists_are_not_needed_to_predict(model: Path, photos: Path) -> None:
    for path in model.iterdir():
        if path.name not in (store.CONFIG, store.WEIGHTS):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert pellucid.load(model).predict(photos / "red" / "0.png").error is None


def test_the_optimizer_is_read_or_told_to_be_damaged_or_not_there(model: Path) -> None:
    saved = store.read_optimizer(model)
    assert saved is not None
    weights = load_file(model / store.WEIGHTS)
    for name, tensor in weights.items():
        assert saved.tensors[f"{name}/exp_avg"].shape == saved.tensors[f"{name}/exp_avg_sq"].shape == tensor.shape
    assert saved.step > 0
    assert 0 < saved.learning_rate <= 0.01

    content = (model / store.OPTIMIZER).read_bytes()
    flip(model / store.OPTIMIZER)
    with pytest.raises(ArtefactError, match=r"optimizer\.safetensors is damaged: its hash is"):
        store.read_optimizer(model)
    (model / store.OPTIMIZER).write_bytes(content[:-1])
    with pytest.raises(ArtefactError, match=r"optimizer\.safetensors has .* it was cut or changed"):
        store.read_optimizer(model)
    assert pellucid.load(model).classes == ("blue", "red")
    (model / store.OPTIMIZER).unlink()
    assert store.read_optimizer(model) is None
    (model / store.OPTIMIZER).write_bytes(content)
    change(optimizer={"step": 3})(model)
    with pytest.raises(ArtefactError, match=r"config\.json is damaged: its optimizer is \{'step': 3\}"):
        store.read_optimizer(model)
    change(optimizer=None)(model)  # as an older Pellucid wrote it
    assert store.read_optimizer(model) is None


def test_the_loaded_weights_do_not_hang_on_the_file(model: Path, photos: Path) -> None:
    classifier = pellucid.load(model)
    before = classifier.predict(photos / "red" / "0.png").logits
    with (model / store.WEIGHTS).open("r+b") as file:
        file.write(bytes(1000))
    assert classifier.predict(photos / "red" / "0.png").logits == before


def test_what_lies_in_the_folder(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    assert names >= {"config.json", "model.safetensors", "README.md", "metrics.json", "history.csv", "thumbnails"} | {
        "split.csv",
        "quarantine.csv",
        "twins.csv",
        "curves.png",
        "confusion.png",
        "calibration.png",
    }
    config = json.loads((trained / "config.json").read_text())
    assert config["network"] == "conv(4, 3) relu maxpool(2) flatten dense"
    assert config["classes"] == ["blue", "red"]
    assert config["input"] == [3, 12, 12]
    assert config["recipe"]["learning_rate"] == 0.01
    assert set(config["versions"]) >= {"pellucid", "python", "torch", "numpy", "pillow"}
    assert len(config["data"]["fingerprint"]) == len(config["data"]["split_fingerprint"]) == 64
    for name, stated in config["files"].items():
        assert store.describe(trained / name) == stated
    assert set(config["files"]) == set(store.HASHED) - {store.PROGRAM, store.PLAN}  # only of a module, only of minutes


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def change(**values: Any) -> Callable[[Path], None]:
    """Damages config.json: sets keys, or removes those with None."""

    def damage(model: Path) -> None:
        config = json.loads((model / store.CONFIG).read_text())
        for name, value in values.items():
            config[name] = value
            if value is None:
                del config[name]
        (model / store.CONFIG).write_text(json.dumps(config))

    return damage


def weights(edit: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    """Changes tensors and states the right hash: not damage, but another network's weights."""

    def damage(model: Path) -> None:
        tensors = load_file(model / store.WEIGHTS)
        edit(tensors)
        save_file(tensors, model / store.WEIGHTS)
        config = json.loads((model / store.CONFIG).read_text())
        config["files"][store.WEIGHTS] = store.describe(model / store.WEIGHTS)
        (model / store.CONFIG).write_text(json.dumps(config))

    return damage


def no_safetensors(model: Path) -> None:
    weights(lambda tensors: None)(model)
    (model / store.WEIGHTS).write_bytes(b"no weights")
    config = json.loads((model / store.CONFIG).read_text())
    config["files"][store.WEIGHTS] = store.describe(model / store.WEIGHTS)
    (model / store.CONFIG).write_text(json.dumps(config))


def unfinished(model: Path) -> None:
    (model / store.CONFIG).unlink()
    (model / "checkpoint").mkdir(exist_ok=True)


def not_a_model(model: Path) -> None:
    shutil.rmtree(model)
    model.mkdir()


def a_file(model: Path) -> None:
    shutil.rmtree(model)
    model.write_text("")


PREPROCESSING = {"fit": "pad", "mean": [0, 0, 0], "deviation": [1, 1, 1]}
DAMAGE = {
    "cut weights": (
        lambda m: (m / store.WEIGHTS).write_bytes((m / store.WEIGHTS).read_bytes()[:-7]),
        "was cut or changed",
    ),
    "a flipped bit": (lambda m: flip(m / store.WEIGHTS), "model.safetensors is damaged: its hash is "),
    "no weights": (lambda m: (m / store.WEIGHTS).unlink(), "model.safetensors is missing. Copy the folder again"),
    "no safetensors": (no_safetensors, "model.safetensors cannot be read: "),
    "wrong shape": (
        weights(lambda t: t.update({"conv1.bias": torch.zeros(5)})),
        "conv1.bias is float32 (5,), but the network in config.json needs float32 (4,).",
    ),
    "wrong number format": (
        weights(lambda t: t.update({"conv1.bias": torch.zeros(4, dtype=torch.float64)})),
        "conv1.bias is float64 (4,), but the network in config.json needs float32 (4,).",
    ),
    "a tensor too many": (weights(lambda t: t.update({"more": torch.zeros(1)})), "has more, which the network in"),
    "a tensor missing": (weights(lambda t: t.pop("dense1.bias")), "has no dense1.bias, which the network in"),
    "bad JSON": (lambda m: (m / store.CONFIG).write_text('{"format": 1,'), "config.json is damaged: "),
    "not UTF-8": (lambda m: (m / store.CONFIG).write_bytes(b"\xff\xfe{}"), "config.json is damaged: "),
    "deep JSON": (lambda m: (m / store.CONFIG).write_text("[" * 100_000), "config.json is damaged: "),
    "JSON that is a list": (lambda m: (m / store.CONFIG).write_text("[]"), "is of format 'list'; this Pellucid reads"),
    "a later format": (
        change(format=3, versions={"pellucid": "7.1.0"}),
        f"of format 3; this Pellucid {pellucid.__version__} reads formats 1 to 2. Pellucid 7.1.0 wrote it: install "
        "that version, pip install 'pellucid>=7.1.0', or train again.",
    ),
    "a later format of nobody": (change(format=9), "config.json is of format 9; this Pellucid"),
    "no format": (change(format=None), "config.json is of format None; this Pellucid reads formats 1 to 2."),
    "a format that is no number": (change(format="1"), "config.json is of format '1'; this Pellucid reads formats 1"),
    "a format before the first": (change(format=0), "config.json is of format 0; this Pellucid reads formats 1 to 2."),
    "no network": (change(network=None), "config.json is damaged: it has no 'network'."),
    "a bad network": (change(network="conv(4, 3) relux dense"), "config.json is damaged: "),
    "a network that is no text": (change(network=3), "config.json is damaged: "),
    "sizes that do not fit": (change(input=[3, 1, 1]), "config.json is damaged: "),
    "a size that is no number": (change(input=[3, "a", 12]), "config.json is damaged: "),
    "a gigantic size": (change(input=[3, 10**6, 10**6]), "model.safetensors: dense1.weight is float32 (2, 100), but"),
    "two numbers for a size": (change(input=[3, 12]), "config.json is damaged: "),
    "another number of classes": (change(classes=["a", "b", "c"]), "is float32 (2, 100), but the network in config"),
    "no class": (change(classes=[]), "config.json is damaged: "),
    "a class twice": (change(classes=["a", "a"]), "config.json is damaged: it lists a class twice."),
    "classes that are no names": (change(classes="ab"), "config.json is damaged: its classes are not a list of names."),
    "temperature 0": (change(temperature=0), "config.json is damaged: 0 is in it in place of a positive number."),
    "temperature NaN": (change(temperature=float("nan")), "config.json is damaged: nan is in it in place of"),
    "a range without white": (
        change(preprocessing={**PREPROCESSING, "ranges": {"integer": [5], "real": None}}),
        "config.json is damaged: ",
    ),
    "a range upside down": (
        change(preprocessing={**PREPROCESSING, "ranges": {"integer": [5, 4], "real": None}}),
        "config.json is damaged: the integer range 5 to 4 needs two finite numbers, black first.",
    ),
    "half of the ranges": (
        change(preprocessing={**PREPROCESSING, "ranges": {"integer": [4, 5]}}),
        "config.json is damaged: it has no 'real'.",
    ),
    "no preprocessing": (change(preprocessing=None), "config.json is damaged: it has no 'preprocessing'."),
    "an unknown fit": (
        change(preprocessing={"fit": "zoom", "mean": [0, 0, 0], "deviation": [1, 1, 1]}),
        "config.json is damaged: Fit 'zoom' is unknown",
    ),
    "two means for three channels": (
        change(preprocessing={"fit": "pad", "mean": [0, 0], "deviation": [1, 1, 1]}),
        "config.json is damaged: [0, 0] is in it in place of 3 numbers.",
    ),
    "a limit without end": (change(recipe={"megapixels": float("inf")}), "config.json is damaged: "),
    "a mean that no float holds": (
        change(preprocessing={**PREPROCESSING, "mean": [10**400, 0, 0], "ranges": {"integer": None, "real": None}}),
        "config.json is damaged: ",
    ),
    "bytes without end": (
        change(files={"model.safetensors": {"bytes": float("inf"), "sha256": ""}}),
        "it does not state size and hash of model.safetensors",
    ),
    "a training that is a number": (change(training=3), "config.json is damaged: its training is 3; it must be"),
    "a recipe that is a list": (
        change(recipe=[]),
        "config.json is damaged: its recipe is []; it must be an object.",
    ),
    "no hashes": (change(files=None), "config.json is damaged: it does not state size and hash of model.safetensors."),
    "hashes that are none": (change(files={"model.safetensors": 5}), "it does not state size and hash"),
    "unfinished": (unfinished, "has not finished. Continue with `pellucid train … --out "),
    "not a model": (not_a_model, "is not a model folder: it has no config.json."),
    "a file": (a_file, "is a file, not a model folder. A model folder is what `pellucid train` writes"),
    "nothing": (lambda m: shutil.rmtree(m), "does not exist. A model folder is what `pellucid train` writes"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told(model: Path, damage: str) -> None:
    do, message = DAMAGE[damage]
    do(model)
    with pytest.raises(ArtefactError, match=re.escape(message)) as caught:
        pellucid.load(model)
    assert str(model) in str(caught.value)


def test_a_name_that_is_no_utf8_survives(trained: Path, tmp_path: Path) -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    classifier = replace(pellucid.load(trained), classes=(name, "tea"))
    store.save(tmp_path / "model", classifier, {})
    (tmp_path / "model" / store.CONFIG).read_bytes().decode("utf-8")  # valid, or this raises
    assert store.load(tmp_path / "model").classes == (name, "tea")


def test_a_folder_that_cannot_be_written(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        store.save(tmp_path / "file" / "model", pellucid.load(trained), {})


def test_no_pickle_is_written_and_none_read_but_a_known_one_without_code() -> None:
    for path in Path(pellucid.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text())
        imported = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        imported += [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        modules = {name.split(".")[0] for name in imported}
        assert modules & {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "shelve", "marshal"} == set(), path
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        assert "torch.save" not in {ast.unparse(call.func) for call in calls}, path
        # published weights, of which lite0.py checks the hash first
        loads = [call for call in calls if ast.unparse(call.func) == "torch.load"]
        assert not loads or path.name == "lite0.py", path
        safe = [key for call in loads for key in call.keywords if key.arg == "weights_only"]
        assert [ast.unparse(key.value) for key in safe] == ["True"] * len(loads), path
        allowed = [key for call in calls for key in call.keywords if key.arg == "allow_pickle"]
        assert all(ast.unparse(key.value) == "False" for key in allowed), path


def test_nothing_in_the_folder_is_a_pickle(trained: Path) -> None:
    kinds = {path.suffix for path in trained.rglob("*") if path.is_file()}
    assert kinds <= {".json", ".onnx", ".safetensors", ".md", ".csv", ".png", ".jpg"}
