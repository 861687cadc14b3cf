"""A few pictures without torch: what is imported, and that the answers equal the torch module's."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

import pellucid
from pellucid.classifier import store
from pellucid.classifier.predict import with_numpy
from pellucid.classifier.predict.load import predictor
from pellucid.classifier.predict.with_numpy import NumpyBackend
from pellucid.classifier.predict.with_torch import TorchBackend
from pellucid.classifier.saved import Saved
from pellucid.engine.blocks import fused_numpy
from pellucid.errors import ArtefactError
from pellucid.network import zoo
from pellucid.network.text import parse
from pellucid.pictures.decode import Form

HEAVY = {"torch", "matplotlib", "captum", "sklearn", "scipy", "numba"}


@pytest.fixture
def files(photos: Path) -> list[Path]:
    return sorted(photos.rglob("*.png"))


def loaded(code: str, stdin: bytes = b"") -> tuple[list[str], set[str]]:
    """The lines that a separate program prints, and the packages that it has imported by its end."""
    code += "\nimport sys; print('LOADED', *sorted({name.split('.')[0] for name in sys.modules}))"
    result = subprocess.run([sys.executable, "-c", code], input=stdin, capture_output=True, check=True)
    *lines, last = result.stdout.decode().splitlines()
    return lines, set(last.split())


def command(*words: object) -> str:
    return f"from pellucid.app.cli import main; main({[str(word) for word in words]!r})"


def numbers(answers: Iterator[pellucid.Prediction]) -> np.ndarray:
    """float64 (n, classes)"""
    return np.array([list((answer.probabilities or {}).values()) for answer in answers])


def saved(model: Path) -> Saved:
    read = store.read(model)
    assert isinstance(read, Saved)
    return read


def goes_through_torch(model: Path, pictures: Iterable[Path]) -> bool:
    """Whether more pictures are known to come than NumPy should answer."""
    backend = predictor(model, pictures).backend
    assert isinstance(backend, NumpyBackend)
    return backend.many


def test_one_picture_imports_nothing_heavy(trained: Path, files: list[Path]) -> None:
    lines, names = loaded(command("predict", trained, files[0]))
    assert re.fullmatch(rf"blue .*%  {re.escape(str(files[0]))}  \(red .*%\)", lines[0])
    assert len(lines) == 1
    assert names & (HEAVY | {"rich", "tyro"}) == set()
    assert {"numpy", "pellucid"} <= names


def test_nor_do_a_folder_of_a_few_a_glob_a_flag_and_standard_input(trained: Path, photos: Path) -> None:
    line = command("predict", trained, photos / "red", f"{photos}/blue/*1.png", "-", "--format", "csv")
    lines, names = loaded(line, (photos / "red" / "0.png").read_bytes())
    assert len(lines) == 1 + 16 + 2 + 1
    assert names & HEAVY == set()


def test_nor_does_the_verb(trained: Path, files: list[Path]) -> None:
    lines, names = loaded(
        f"import pellucid; print(*(a.label for a in pellucid.predict({str(trained)!r}, {str(files[0])!r})))"
    )
    assert lines == ["blue"]
    assert names & (HEAVY | {"rich", "tyro"}) == set()


def test_many_pictures_are_worth_torch(trained: Path, photos: Path) -> None:
    lines, names = loaded(
        f"import pellucid.classifier.predict.with_numpy as n; n.MOST = 31; {command('predict', trained, photos)}"
    )
    assert len(lines) == 32
    assert "torch" in names


def test_the_rows_are_those_of_the_module(pellucid: Callable, trained: Path, photos: Path, monkeypatch) -> None:
    def rows() -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(pellucid("predict", trained, photos, "--format", "csv").out)))

    light = rows()
    monkeypatch.setattr(with_numpy, "MOST", 0)
    heavy = rows()
    assert len(light) == len(heavy) == 32
    for one, other in zip(light, heavy, strict=True):
        assert (one["picture"], one["label_1"]) == (other["picture"], other["label_1"])
        assert abs(float(one["probability_1"]) - float(other["probability_1"])) <= 1.5e-6  # printed to six places


def test_flags_or_none_say_the_same(pellucid: Callable, trained: Path, photos: Path) -> None:
    plain = pellucid("predict", trained, photos / "red")
    assert plain == pellucid("predict", trained, photos / "red", "--top", "3")
    line = json.loads(pellucid("predict", trained, photos / "red" / "0.png", "--format", "jsonl").out)
    assert line["picture"] == str(photos / "red" / "0.png")


def test_probabilities_agree_to_a_millionth(trained: Path, files: list[Path]) -> None:
    model, module = saved(trained).predictor(), pellucid.load(trained)
    light, heavy = numbers(model.stream(files)), numbers(module.stream(files))
    assert heavy.std(axis=0).min() > 0.01  # otherwise it would prove nothing
    assert np.abs(light - heavy).max() <= 1e-6
    assert model.input_shape == module.input_shape
    assert np.array_equal(model.prepared(files[0]), module.prepared(files[0]))


def test_unknown_numbers_begin_without_torch_and_go_on_with_it(
    trained: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = pellucid.load(trained)
    monkeypatch.setattr(with_numpy, "MOST", 5)
    images: list[int] = []
    light, heavy = NumpyBackend.logits, TorchBackend.alone

    def alone(self: TorchBackend) -> Callable[[np.ndarray], np.ndarray]:
        logits = heavy(self)
        return lambda inputs: images.append(-len(inputs)) or logits(inputs)

    monkeypatch.setattr(NumpyBackend, "logits", lambda self, inputs: images.append(len(inputs)) or light(self, inputs))
    monkeypatch.setattr(TorchBackend, "alone", alone)
    answers = list(pellucid.predict(trained, (path for path in files[:12]), batch=4))
    assert images[:5] == [1] * 5
    assert sorted(images[5:]) == [-4, -3]  # on two threads
    assert [answer.source for answer in answers] == [str(path) for path in files[:12]]
    assert np.abs(numbers(iter(answers)) - numbers(expected.stream(files[:12]))).max() <= 1e-6


def test_pictures_that_cannot_be_used_are_told_on_both_ways(
    trained: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(with_numpy, "MOST", 2)
    answers = list(pellucid.predict(trained, chain([files[0], b"", files[1], b"", "nowhere.png"])))
    assert [answer.error for answer in answers] == [None, "empty file", None, "empty file", "not found"]


def test_what_decides(trained: Path, photos: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(with_numpy, "MOST", 3)
    assert not goes_through_torch(trained, files[:3])
    assert goes_through_torch(trained, files[:4])
    assert goes_through_torch(trained, [photos])
    assert not goes_through_torch(trained, iter(files))
    assert not goes_through_torch(trained, ())
    monkeypatch.setattr(with_numpy, "WORTH_TORCH", 0)
    assert goes_through_torch(trained, files[:1])


def test_many_are_those_of_the_module(trained: Path, files: list[Path]) -> None:
    many = saved(trained).predictor(many=True)
    assert np.abs(numbers(many.stream(files)) - numbers(pellucid.load(trained).stream(files))).max() <= 1e-6


@pytest.mark.parametrize(("name", "few"), [("article", 200), ("compact", 200), ("lenet5", 200), ("resnet18", 8)])
def test_how_many_are_few(trained: Path, name: str, few: int) -> None:
    """30 G operations divided by those of a picture: 134 M, 141 M at 128x128, 0.8 M and 3.65 G."""
    named = zoo.find(name)
    channels, height, width = named.input or (3, 128, 128)
    form = Form(height, width, 1 if channels == 1 else 3)
    original = saved(trained)
    other = Saved(named.network, {}, original.classes, form, original.standardise, 1.0, original.pixel_limit)
    assert other.backend().few == few


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_damage_is_told_in_the_same_words(model: Path, files: list[Path], file: str) -> None:
    (model / file).write_bytes((model / file).read_bytes()[:-9])
    errors = []
    for ask in (lambda: pellucid.load(model), lambda: pellucid.predict(model, files[:1])):
        with pytest.raises(ArtefactError) as caught:
            ask()
        errors.append(str(caught.value))
    assert errors[0] == errors[1]
    assert str(model / file) in errors[0]


def test_a_network_that_is_one_block_says_what_its_module_says(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, form = saved(trained), Form(40, 48, 3)
    network = parse("conv(5, 3) relu maxpool(2) flatten dense")
    numbers = np.random.default_rng(0)
    weights = {
        f"{step.name}.{part}": numbers.normal(0, 0.1, shape).astype(np.float32)
        for step in network.shapes((3, 40, 48), 2)
        for part, (_, shape) in step.layer.state(step.input).items()
    }
    many = Saved(network, weights, original.classes, form, original.standardise, 1.0, original.pixel_limit)
    if not fused_numpy.applies(many.backend().steps):
        pytest.skip("this processor has no kernel")
    pictures = [numbers.integers(0, 256, (50, 60, 3), np.uint8) for _ in range(40)]
    expected = [answer.logits for answer in many.classifier().stream(pictures)]
    monkeypatch.setattr(Saved, "classifier", lambda self: pytest.fail("torch was not needed"))
    results = [answer.logits for answer in many.predictor(many=True).stream(pictures, 8)]
    assert np.std(expected) > 0.1
    assert np.abs(np.array(results) - np.array(expected)).max() < 1e-5
