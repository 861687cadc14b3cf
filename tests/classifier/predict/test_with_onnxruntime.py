"""ONNX Runtime predicts only if it agrees with PyTorch; the result of the comparison is stored beside the weights."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import pellucid
from pellucid import files
from pellucid.classifier import store
from pellucid.classifier.predict import graph as graphs
from pellucid.classifier.predict.graph import BOUND, GRAPH, KEY
from pellucid.classifier.predict.with_onnxruntime import RuntimeBackend
from pellucid.classifier.predict.with_torch import TorchBackend
from pellucid.classifier.saved import Saved
from pellucid.errors import ExportError, StorageError
from pellucid.runtime import sessions


@pytest.fixture
def pictures(paint: Callable[[int, int], np.ndarray]) -> list[np.ndarray]:
    return [paint(seed, seed % 3) for seed in range(9)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(graphs, "cache", lambda: tmp_path / "cache" / graphs.CACHED)
    return tmp_path / "cache"


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr(Saved, "classifier", lambda self: pytest.fail("torch was not needed"))


def backend(folder: Path) -> RuntimeBackend:
    read = store.read(folder)
    assert isinstance(read, Saved)
    runtime = read.runtime()
    assert runtime is not None
    return runtime


def logits(folder: Path, pictures: list[np.ndarray]) -> np.ndarray:
    return np.array([answer.logits for answer in pellucid.predict(folder, pictures)])


def expected(folder: Path, pictures: list[np.ndarray]) -> np.ndarray:
    return np.array([answer.logits for answer in pellucid.load(folder).predict(pictures)])


def agree(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert theirs.std() > 0.01
    assert np.abs(ours - theirs).max() <= BOUND * max(1, np.abs(theirs).max())


def recorded(folder: Path) -> dict[str, object]:
    """The comparison stored in graph.onnx, as the package onnx reads it."""
    (entry,) = onnx.load(str(folder / GRAPH), load_external_data=False).metadata_props
    assert entry.key == KEY
    return json.loads(entry.value)


def test_a_training_stores_the_graph_and_the_comparison(model: Path, pictures: list, no_torch: Callable) -> None:
    theirs = expected(model, pictures)
    content = (model / GRAPH).read_bytes()
    stored = recorded(model)
    assert stored["weights"] == files.sha256(model / "model.safetensors")
    assert isinstance(stored["pictures"], int)
    assert stored["pictures"] >= 2
    assert 0 <= float(str(stored["difference"])) <= BOUND
    no_torch()
    agree(logits(model, pictures), theirs)
    assert (model / GRAPH).read_bytes() == content


def test_any_runtime_opens_the_graph_beside_the_weights(model: Path, pictures: list) -> None:
    onnx.checker.check_model(str(model / GRAPH), full_check=True)
    session = onnxruntime.InferenceSession(str(model / GRAPH), providers=["CPUExecutionProvider"])
    classifier = pellucid.load(model)
    images = np.stack([classifier.prepared(picture) for picture in pictures])
    agree(session.run(["logits"], {"images": images})[0], classifier.logits(images))
    assert (model / GRAPH).stat().st_size < 10_000


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "other bytes", "no record", "other weights", "older"])
def test_a_stale_or_damaged_graph_is_replaced(model: Path, pictures: list, damage: str) -> None:
    path, whole = model / GRAPH, (model / GRAPH).read_bytes()
    path.write_bytes(
        {
            "missing": b"",
            "empty": b"",
            "cut": whole[:-40],
            "other bytes": bytes(200) + whole[200:],
            "no record": whole[: whole.index(b"{")],
            "other weights": whole.replace(b'"weights": "', b'"weights": "0'),
            "older": whole.replace(b"ONNX Runtime 1", b"ONNX Runtime 0"),
        }[damage]
    )
    if damage == "missing":
        path.unlink()
    assert backend(model).graph.compared() is None
    agree(logits(model, pictures), expected(model, pictures))
    compared = backend(model).graph.compared()
    assert compared is not None
    assert compared.agrees
    assert {path.name for path in model.iterdir() if path.name.startswith(".")} == set()


def test_the_graph_of_a_read_only_folder_is_cached(
    model: Path, pictures: list, cache: Path, monkeypatch: pytest.MonkeyPatch, no_torch: Callable
) -> None:
    theirs = expected(model, pictures)
    (model / GRAPH).unlink()
    write = files.write

    def refused(path: Path, content: bytes) -> None:
        if path.parent == model:
            raise StorageError(f"{path} could not be written: Read-only file system.")
        write(path, content)

    monkeypatch.setattr(files, "write", refused)
    agree(logits(model, pictures), theirs)
    assert not (model / GRAPH).exists()
    (cached,) = (cache / graphs.CACHED).iterdir()
    size = cached.stat().st_size
    no_torch()
    agree(logits(model, pictures), theirs)
    assert pellucid.clear_cache(cache) == size
    assert list(cache.iterdir()) == []


def test_it_predicts_if_nothing_can_be_written(model: Path, pictures: list, monkeypatch: pytest.MonkeyPatch) -> None:
    (model / GRAPH).unlink()
    theirs = expected(model, pictures)

    def refused(path: Path, content: bytes) -> None:
        raise StorageError(f"{path} could not be written: Read-only file system.")

    monkeypatch.setattr(files, "write", refused)
    agree(logits(model, pictures), theirs)


@pytest.mark.parametrize("wrong", [1.0, float("nan"), float("inf")])
def test_pytorch_predicts_with_a_warning_if_a_graph_disagrees(
    model: Path, pictures: list, wrong: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = expected(model, pictures)
    (model / GRAPH).unlink()
    run = graphs.Graph.opened

    def shifted(self: graphs.Graph, optimised: bool = True) -> sessions.Run:
        computed = run(self, optimised)
        return lambda images: computed(images) + np.float32(wrong)

    monkeypatch.setattr(graphs.Graph, "opened", shifted)
    for _ in range(2):  # first compared, then read
        caplog.clear()
        agree(logits(model, pictures), theirs)
        (record,) = caplog.records
        assert str(model) in record.getMessage()
        assert "PyTorch predicts instead" in record.getMessage()
    assert float(str(recorded(model)["difference"])) > BOUND


def test_pytorch_predicts_with_a_warning_if_onnx_runtime_refuses_a_graph(
    model: Path, pictures: list, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = expected(model, pictures)

    def refused(self: graphs.Graph, optimised: bool = True) -> sessions.Run:
        return sessions.opened(b"no graph")

    monkeypatch.setattr(graphs.Graph, "opened", refused)
    agree(logits(model, pictures), theirs)
    (record,) = caplog.records
    assert "ONNX Runtime" in record.getMessage()
    assert "PyTorch predicts instead" in record.getMessage()
    with pytest.raises(ExportError, match="does not accept the graph"):
        sessions.opened(b"no graph")


def test_without_onnx_runtime_pytorch_predicts(
    model: Path, pictures: list, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = expected(model, pictures)
    monkeypatch.setattr(sessions, "installed", lambda: False)
    read = store.read(model)
    assert isinstance(read, Saved)
    assert isinstance(read.backend(), TorchBackend)
    agree(logits(model, pictures), theirs)
    assert not caplog.records


@pytest.mark.parametrize("batch", [1, 2, 3, 32])
def test_the_batch_does_not_change_an_answer(model: Path, pictures: list, batch: int) -> None:
    answers = np.array([answer.logits for answer in pellucid.predict(model, pictures, batch)])
    agree(answers, expected(model, pictures))


def test_a_copy_with_other_weights_does_not_use_the_first_comparison(
    model: Path, tmp_path: Path, pictures: list
) -> None:
    classifier = pellucid.load(model)
    classifier.module.state_dict()["dense1.bias"] += 3
    store.save(tmp_path / "other", classifier, {})
    shutil.copy(model / GRAPH, tmp_path / "other")
    compared = backend(tmp_path / "other").graph.compared()
    assert compared is None
    agree(logits(tmp_path / "other", pictures), logits(model, pictures) + np.float32(3))
