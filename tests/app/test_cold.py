"""A few pictures without torch: what is imported, and that the answers equal the torch module's."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

import pellucid
from pellucid.app.commands import predict
from pellucid.classifier import store
from pellucid.classifier.predict import with_onnxruntime
from pellucid.classifier.predict.load import predictor
from pellucid.classifier.predict.with_onnxruntime import RuntimeBackend
from pellucid.classifier.saved import Saved
from pellucid.engine import blocks
from pellucid.errors import ArtefactError
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


def known(model: Path, pictures: Iterable[Path]) -> int:
    """How many pictures are known to come."""
    backend = predictor(model, pictures).backend
    assert isinstance(backend, RuntimeBackend)
    return backend.expected


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


def test_flags_or_none_say_the_same(pellucid: Callable, trained: Path, photos: Path) -> None:
    plain = pellucid("predict", trained, photos / "red")
    assert plain == pellucid("predict", trained, photos / "red", "--top", "3")
    line = json.loads(pellucid("predict", trained, photos / "red" / "0.png", "--format", "jsonl").out)
    assert line["picture"] == str(photos / "red" / "0.png")


@pytest.mark.parametrize(
    "flags", ["", "--top 1", "--format csv", "--format jsonl --top 2", "--out DIR/a.csv --format csv", "--batch 2"]
)
def test_few_flags_are_read_as_the_parser_reads_them(
    trained: Path, photos: Path, tmp_path: Path, flags: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[object, ...]] = []
    monkeypatch.setattr(predict, "_run", lambda *words, **settings: read.append((*words, settings)) or 0)
    words = [str(trained), str(photos), "-", *flags.replace("DIR", str(tmp_path)).split()]
    parse = predict._parsed
    monkeypatch.setattr(predict, "_parsed", lambda args: pytest.fail("the parser was not needed"))
    assert predict.run(words) == 0
    assert parse(words) == 0
    (model, pictures, settings), (*theirs, _) = read
    defaults = (predict.TOP, predict.FORMAT, None, predict.BATCH, None, False, predict.PRECISION)
    names = ("top", "format", "out", "batch", "features", "trust", "precision")
    assert isinstance(settings, dict)
    assert [model, pictures, *({**dict(zip(names, defaults, strict=True)), **settings}.values())] == theirs


@pytest.mark.parametrize(
    "flags",
    ["--help", "--top", "--top x", "--top -1", "--top ٣", "--top 1 --top 2", "--format cvs", "--out -x", "--trust",
     "--top=1", "--tops 1", f"--batch {'9' * 5000}", "--top 1 more.png"],
)  # fmt: skip
def test_all_else_is_left_to_the_parser(flags: str) -> None:
    assert predict._few_flags(["model", "picture.png", *flags.split()]) is None
    assert predict._few_flags(["model", *flags.split()]) is None


def test_probabilities_agree_to_a_millionth(trained: Path, files: list[Path]) -> None:
    model, module = saved(trained).predictor(), pellucid.load(trained)
    light, heavy = numbers(model.stream(files)), numbers(module.stream(files))
    assert heavy.std(axis=0).min() > 0.01  # otherwise it would prove nothing
    assert np.abs(light - heavy).max() <= 1e-6
    assert model.input_shape == module.input_shape
    assert np.array_equal(model.prepared(files[0]), module.prepared(files[0]))


def test_unusable_pictures_are_reported(trained: Path, files: list[Path]) -> None:
    answers = list(pellucid.predict(trained, chain([files[0], b"", files[1], b"", "nowhere.png"])))
    assert [answer.error for answer in answers] == [None, "empty file", None, "empty file", "not found"]


def test_how_many_are_known_to_come(
    trained: Path, photos: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert known(trained, files[:3]) == 3
    assert known(trained, [photos]) == 32
    assert known(trained, iter(files)) == known(trained, ()) == 0
    monkeypatch.setattr("pellucid.classifier.predict.load.MANY", 10)  # more are not counted
    assert known(trained, [photos]) == 10


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


def test_a_network_that_is_one_block_says_what_its_module_says(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through ONNX Runtime first, and through the kernel once the pictures are many."""
    original, form = pellucid.load(trained), Form(40, 48, 3)
    network = parse("conv(5, 3) relu maxpool(2) flatten dense")
    store.save(tmp_path, replace(original, network=network, module=network.module((3, 40, 48), 2), form=form), {})
    several = saved(tmp_path)
    if not blocks.runs_without_torch(network.shapes((3, 40, 48), 2)):
        pytest.skip("this processor has no kernel")
    pictures = [np.random.default_rng(seed).integers(0, 256, (50, 60, 3), np.uint8) for seed in range(40)]
    expected = np.array([answer.logits for answer in several.classifier().stream(pictures)])
    assert expected.std() > 0.1
    first = list(several.predictor().stream(pictures[:2]))
    monkeypatch.setattr(Saved, "classifier", lambda self: pytest.fail("torch was not needed"))
    monkeypatch.setattr(with_onnxruntime, "WORTH_KERNELS", 12)
    for expected_pictures in (0, 40):
        results = np.array([answer.logits for answer in several.predictor(expected_pictures).stream(iter(pictures), 8)])
        assert np.abs(results - expected).max() < 1e-5
        assert np.abs(results[:2] - np.array([answer.logits for answer in first])).max() < 1e-5
