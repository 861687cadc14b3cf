"""One picture takes the stored graph only if it is certain to be current, and then gives the same answer."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pellucid
from pellucid.classifier import store
from pellucid.classifier.predict import graph as graphs
from pellucid.classifier.predict import one
from pellucid.classifier.predict.graph import BOUND, GRAPH
from pellucid.classifier.predict.load import predictor
from pellucid.classifier.predict.one import OneBackend
from pellucid.classifier.saved import Saved
from pellucid.errors import ArtefactError
from pellucid.runtime import sessions


@pytest.fixture
def pictures(paint: Callable[[int, int], np.ndarray]) -> list[np.ndarray]:
    return [paint(seed, seed % 3) for seed in range(5)]


def longer(folder: Path, pictures: list[np.ndarray]) -> np.ndarray:
    """Logits by the backend for many pictures, float32 (n, classes)."""
    read = store.read(folder)
    assert isinstance(read, Saved)
    return np.array([answer.logits for answer in read.predictor().predict(pictures)])


def test_the_answer_is_the_same(model: Path, pictures: list, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = longer(model, pictures)
    assert theirs.std() > 0.01
    monkeypatch.setattr(store, "read", lambda folder, trust=False: pytest.fail("the network was not needed"))
    ours = np.array([next(pellucid.predict(model, [picture])).logits for picture in pictures])
    assert np.abs(ours - theirs).max() <= BOUND * max(1, np.abs(theirs).max())


def test_more_pictures_than_expected_are_answered_in_order(model: Path, pictures: list) -> None:
    soon = one.opened(model)
    assert soon is not None
    ours = np.array([answer.logits for answer in soon.stream(iter(pictures), batch=2)])
    theirs = longer(model, pictures)
    assert np.abs(ours - theirs).max() <= BOUND * max(1, np.abs(theirs).max())
    images = np.stack([soon.prepared(picture) for picture in pictures])
    assert np.abs(soon.logits(images) - theirs).max() <= BOUND * max(1, np.abs(theirs).max())


def test_what_does_not_decide_the_graph_is_taken_from_the_config(model: Path, pictures: list) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "temperature": 3.5}))
    soon = one.opened(model)
    assert soon is not None
    assert soon.temperature == 3.5
    expected = pellucid.load(model).predict(pictures[0]).probability
    assert next(soon.stream(iter(pictures[:1]))).probability == pytest.approx(expected, abs=1e-5)


def test_two_pictures_take_the_backend_for_many(model: Path, pictures: list) -> None:
    assert isinstance(predictor(model, pictures[:1]).backend, OneBackend)
    assert not isinstance(predictor(model, pictures[:2]).backend, OneBackend)
    assert not isinstance(predictor(model, iter(pictures)).backend, OneBackend)


@pytest.mark.parametrize(
    "part", ["preprocessing", "code", "graph", "record", "runtime", "difference", "plain", "link", "absent"]
)
def test_what_is_not_certainly_current_is_not_used(
    model: Path, pictures: list, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, content = model / GRAPH, (model / GRAPH).read_bytes()
    assert one.opened(model) is not None
    if part == "preprocessing":
        config = json.loads((model / "config.json").read_text())
        prepared = config["preprocessing"]
        changed = {**prepared, "mean": [each + 0.01 for each in prepared["mean"]]}
        (model / "config.json").write_text(json.dumps({**config, "preprocessing": changed}))
    elif part == "code":
        monkeypatch.setattr(graphs, "_code", lambda: "other")
    elif part == "graph":
        path.write_bytes(content.replace(b"Relu", b"Selu", 1))
    elif part == "record":
        path.write_bytes(content[:-9])
    elif part == "runtime":
        monkeypatch.setattr(graphs, "runtime", lambda: "another")
    elif part == "link":  # as in a hub's cache: a stranger may have written it
        path.rename(model.parent / "elsewhere.onnx")
        path.symlink_to(model.parent / "elsewhere.onnx")
    elif part == "absent":
        path.unlink()
    else:
        start = content.index(f'"{part}": '.encode()) + len(part) + 4
        path.write_bytes(content[:start] + b"1" + content[start:].replace(b"e-", b"e+", 1))
    assert one.opened(model) is None
    expected = pellucid.load(model).predict(pictures[0]).probability
    assert next(pellucid.predict(model, [pictures[0]])).probability == pytest.approx(expected, abs=1e-5)
    # what is out of date is written again, by a prediction that needs the layers anyway
    assert (one.opened(model) is not None) == (part not in ("difference", "plain", "link"))


def test_other_weights_are_not_used(model: Path, tmp_path: Path) -> None:
    path = model / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert one.opened(model) is None
    with pytest.raises(ArtefactError, match="is damaged: its hash is"):
        predictor(model, [tmp_path / "picture.png"])


def test_without_onnx_runtime_it_is_not_used(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "installed", lambda: False)
    assert one.opened(model) is None
