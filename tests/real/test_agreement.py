"""Every way to a prediction says of each real picture what PyTorch says: runtimes, exported files, batches, dialects.

Needs the data beside the checkout. The usual run takes every 25th of the cats and dogs with one network; `--every 1`,
as in `make soak`, takes each with two. Both take all odd pictures. `-s` prints the largest difference of each way.
"""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.serving.conftest import Answer, Running, base64_of, multipart, running

import pellucid
from pellucid.classifier import store
from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predict import exported
from pellucid.classifier.predict.pictures import Prepared
from pellucid.classifier.predict.prediction import Prediction
from pellucid.network import zoo
from pellucid.network.standardise import Standardise
from pellucid.pictures.decode import Form, decode
from pellucid.serving.limits import Limits

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
if not (DATA / "odd").is_dir() or not (DATA / "cats_dogs").is_dir():
    pytest.skip(f"NOT TESTED: the real pictures; {DATA} lacks odd or cats_dogs", allow_module_level=True)

FORMS = {"compact": Form(64, 64, 3, "pad"), "article": Form(80, 80, 3, "crop")}
CLASSES = ("cat", "dog")
# the largest difference allowed between two probabilities, for each engine
BOUNDS = {"PyTorch": 5e-6, "ONNX Runtime": 5e-6, "ONNX": 5e-6, "OpenVINO": 5e-6, "torch.export": 5e-6, "server": 5e-6}
BATCHES = (1, 7, 32)
ENDINGS = {"ONNX": ".onnx", "OpenVINO": ".xml", "torch.export": ".pt2"}


@pytest.fixture(scope="module", params=FORMS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with random weights and probabilities of all sizes; its exports lie beside it."""
    if request.param != "compact" and request.config.getoption("--every") > 1:
        pytest.skip(f"NOT TESTED: {request.param} on real pictures; --every 1 tests it")
    torch.manual_seed(0)
    form, network = FORMS[request.param], zoo.find(request.param).network
    module = network.module((3, form.height, form.width), 2).eval()
    scale = Standardise((0.49, 0.45, 0.42), (0.26, 0.25, 0.26))
    classifier = Classifier(network, module, CLASSES, form, scale, 1.0)
    some = classifier.predict(sorted((DATA / "cats_dogs").rglob("*.jpg"))[::70])
    apart = np.array([answer.logits[0] - answer.logits[1] for answer in some if answer.logits])
    last = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.bias[0] -= apart.mean()
    folder = tmp_path_factory.mktemp("agreement")
    store.save(folder / "model", replace(classifier, temperature=float(apart.std())), {})
    for ending in ENDINGS.values():
        pellucid.export(folder / "model", folder / f"model{ending}", pictures=DATA / "odd" / "unusual")
    return folder / "model"


@pytest.fixture(scope="module")
def pictures(request: pytest.FixtureRequest) -> list[Path]:
    every = request.config.getoption("--every")
    photographs = sorted((DATA / "cats_dogs").rglob("*.jpg"))[::every]
    return [*sorted(path for path in (DATA / "odd").rglob("*") if path.is_file()), *photographs]


@pytest.fixture(scope="module")
def truth(model: Path, pictures: list[Path]) -> list[Prediction]:
    """PyTorch's answers."""
    answers = pellucid.load(model).predict(pictures)
    assert sum(answer.error is None for answer in answers) > 60
    assert sum(answer.error is not None for answer in answers) >= 10
    assert rows(answers)[:, 0].std() > 0.1
    return answers


@pytest.fixture(scope="module")
def usable(pictures: list[Path], truth: list[Prediction]) -> list[Path]:
    return [path for path, answer in zip(pictures, truth, strict=True) if answer.error is None]


def rows(answers: list[Prediction]) -> np.ndarray:
    """float64 (usable, 2)"""
    return np.array([list(answer.probabilities.values()) for answer in answers if answer.probabilities])


def check(way: str, engine: str, ours: np.ndarray, truth: list[Prediction]) -> None:
    difference = float(np.abs(ours - rows(truth)).max())
    print(f"{way}: {difference:.2g} on {len(ours)} pictures")
    assert difference <= BOUNDS[engine], way


def test_runtimes_and_batches(model: Path, pictures: list[Path], usable: list[Path], truth: list[Prediction]) -> None:
    classifier = pellucid.load(model)
    prepared = [Prepared(classifier.prepared(path), str(path)) for path in usable]
    for size in BATCHES:
        check(f"PyTorch, batches of {size}", "PyTorch", rows(list(classifier.stream(prepared, size))), truth)
        answers = list(pellucid.predict(model, prepared, size))
        check(f"ONNX Runtime, batches of {size}", "ONNX Runtime", rows(answers), truth)
    answers = list(pellucid.predict(model, pictures))
    assert [answer.error for answer in answers] == [answer.error for answer in truth]
    check("ONNX Runtime, from files", "ONNX Runtime", rows(answers), truth)


def test_exported_files(model: Path, pictures: list[Path], usable: list[Path], truth: list[Prediction]) -> None:
    opened = {engine: exported.opened(model.with_suffix(ending), trust=True) for engine, ending in ENDINGS.items()}
    ours: dict[str, list[np.ndarray]] = {engine: [] for engine in opened}
    predicted: dict[str, list[np.ndarray]] = {engine: [] for engine in opened}
    for path in usable:
        image = decode(path.read_bytes())
        for engine, file in opened.items():
            probabilities, logits = file.run(image)
            ours[engine].append(probabilities)
            predicted[engine].append(file.predictor.probabilities(logits[None])[0])
    for engine, file in opened.items():
        check(f"{engine}, its probabilities", engine, np.array(ours[engine]), truth)
        check(f"{engine}, predict", engine, np.array(predicted[engine]), truth)
        unusable = [path for path in pictures if path not in usable]
        errors = [answer.error for answer in file.predictor.predict(unusable)]
        assert errors == [answer.error for answer in truth if answer.error is not None]


@pytest.fixture(scope="module")
def served(model: Path) -> Iterator[Running]:
    with running({"model": model}, Limits(pixels=100_000_000)) as server:
        yield server


def test_the_dialects_of_the_server(served: Running, pictures: list[Path], truth: list[Prediction]) -> None:
    def differences(pair: tuple[Path, Prediction]) -> dict[str, float]:
        return {way: off(way, answer, pair[1]) for way, answer in asked(served, pair[0], pair[1].error).items()}

    with ThreadPoolExecutor(4) as callers:
        every = list(callers.map(differences, zip(pictures, truth, strict=True)))
    for way in ("form", "BYTES", "Hugging Face", "UINT8"):
        most = max(each.get(way, 0.0) for each in every)
        print(f"server, {way}: {most:.2g} on {sum(way in each for each in every)} pictures")
        assert most <= BOUNDS["server"], way


def asked(served: Running, picture: Path, error: str | None) -> dict[str, Answer]:
    """The answer of each dialect. A picture that cannot be decoded has no UINT8 tensor."""
    content = picture.read_bytes()
    tensor = {"name": "p", "datatype": "BYTES", "shape": [1], "data": [base64_of(content)]}
    answers = {
        "form": served.ask("POST", "/v1/predict", *multipart([("a", content)])),
        "BYTES": served.ask("POST", "/v2/models/model/infer", {"inputs": [tensor]}),
        "Hugging Face": served.ask("POST", "/", content),
    }
    if error is None:
        image = decode(content)
        raw = {"name": "p", "datatype": "UINT8", "shape": [1, *image.shape]}
        raw["parameters"] = {"binary_data_size": image.size}
        head = json.dumps({"inputs": [raw]}).encode()
        length = {"Inference-Header-Content-Length": str(len(head))}
        answers["UINT8"] = served.ask("POST", "/v2/models/model/infer", head + image.tobytes(), length)
    return answers


def off(way: str, answer: Answer, truth: Prediction) -> float:
    """The largest difference from the true probabilities; infinite if the answer is of another kind."""
    if truth.error is not None:
        return 0.0 if answer.status == 400 and truth.error in answer.json["error"] else float("inf")
    if answer.status != 200:
        return float("inf")
    right: Mapping[str, float] = truth.probabilities or {}
    if way == "form":
        row = answer.json["predictions"][0]["probabilities"]
    elif way == "Hugging Face":
        row = {each["label"]: each["score"] for each in answer.json}
    else:
        row = dict(zip(CLASSES, answer.json["outputs"][0]["data"], strict=True))
    return max(abs(row[name] - right[name]) for name in CLASSES)
