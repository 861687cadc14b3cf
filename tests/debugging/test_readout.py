"""What each layer knows, on networks whose answer is known."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import pellucid
from pellucid.classifier.classifier import Classifier
from pellucid.debugging import features, measured, readout
from pellucid.debugging.cut import Batched
from pellucid.debugging.pictures import Pictures
from pellucid.debugging.readout import Readouts
from pellucid.errors import ArtefactError, TraceError
from pellucid.runs import made_from

EACH = 48


class Either(nn.Module):
    """Exclusive or of two brightnesses, and then only one of them: a layer that knows more, then one that forgets."""

    def __init__(self) -> None:
        super().__init__()
        self.sum, self.act, self.forget, self.last = nn.Conv2d(3, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 1), nn.Linear(2, 2)
        with torch.no_grad():
            # red and blue are 0 or 1: red + blue, and what is above 1
            self.sum.weight.copy_(torch.tensor([[1.0, 0, 1], [1, 0, 1]])[:, :, None, None])
            self.sum.bias.copy_(torch.tensor([0.0, -1.0]))  # type: ignore[union-attr]
            self.forget.weight.zero_()
            self.forget.bias.zero_()  # type: ignore[union-attr]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.forget(self.act(self.sum(x))).mean((2, 3)))


@pytest.fixture(scope="module")
def either(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Classifier, dict[str, Pictures]]:
    """The network, and pictures of one colour for each side; "red" if red and blue differ."""
    root, generator = tmp_path_factory.mktemp("either"), np.random.default_rng(0)
    sides = {}
    for side in ("train", "val", "test"):
        rows = []
        for number in range(EACH):
            red, blue = number % 2, number // 2 % 2
            image = np.zeros((12, 12, 3))
            image[..., 0], image[..., 2] = 255 * red, 255 * blue
            image[..., 1] = generator.integers(0, 255)
            place = root / f"{side}-{number}.png"
            Image.fromarray(image.astype(np.uint8)).save(place)
            rows.append((str(place), "red" if red != blue else "blue"))
        sides[side] = Pictures(side, tuple(rows), own=True, side="test" if side == "test" else "")
    standardise = replace(pellucid.load(trained).standardise, mean=(0.0,) * 3, deviation=(1.0,) * 3)
    classifier = replace(pellucid.load(trained), network=None, module=Either().eval(), standardise=standardise)
    return classifier, sides


@pytest.fixture
def constructed(
    either: tuple[Classifier, dict[str, Pictures]], trained: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Readouts]:
    classifier, sides = either
    rows = [[(Path(path), label) for path, label in sides[side].labelled] for side in ("train", "val")]
    monkeypatch.setattr(readout, "_sides", lambda *_: (*rows, "validation"))
    monkeypatch.setattr(readout, "held_out", lambda *_: sides["test"])
    return lambda: Readouts(classifier, trained)


def test_a_layer_knows_what_was_built_into_it(constructed: Callable[[], Readouts]) -> None:
    readouts = constructed()
    steps = list(readouts)
    assert steps[-1][0] == steps[-1][1]
    result = readouts.result
    knows = {each.layer: each.accuracy for each in result.layers}
    assert list(knows) == ["input", "sum", "act", "forget", "mean", "last"]
    assert knows["act"] == 1.0, "relu(red + blue - 1) separates them"
    assert max(knows["input"], knows["sum"]) <= 0.75, "no line separates an exclusive or: one of four is always wrong"
    assert knows["forget"] == knows["mean"] == knows["last"] == 0.5, "nothing is left to read"
    assert result.commonest == EACH // 2
    assert result.complete
    from_act = replace(result, layers=result.layers[2:])
    assert from_act.remark is not None
    assert from_act.remark.startswith("The readout of act is better than that of last: ")
    assert "chance" not in from_act.remark, "100% and 50% of 48"
    assert from_act.as_json()["remark"] == from_act.remark
    assert replace(result, layers=result.layers[2::-1]).remark is not None
    assert replace(result, layers=result.layers[3:]).remark is None, "they are equal"
    assert (result.pictures, result.fitted, result.chosen) == (EACH, EACH, EACH)


def test_a_class_without_pictures_is_named(
    either: tuple[Classifier, dict[str, Pictures]], constructed: Callable[[], Readouts], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, sides = either
    red = tuple(row for row in sides["test"].labelled if row[1] == "red")
    pairs = [(Path(path), label) for path, label in red]
    every = constructed()
    list(every)
    assert every.result.notes == ()
    monkeypatch.setattr(readout, "_sides", lambda *_: (pairs, pairs, "validation"))
    monkeypatch.setattr(readout, "held_out", lambda *_: replace(sides["test"], labelled=red))
    readouts = constructed()
    list(readouts)
    fitted, measured_on = readouts.result.notes
    assert fitted == "No picture that the readouts are fitted to is of blue, so they cannot name it."
    assert measured_on == "No test picture is of blue, so the figures say nothing about it."


def test_stopped_early_the_layers_before_are_whole(constructed: Callable[[], Readouts]) -> None:
    readouts = constructed()
    with pytest.raises(TraceError, match="Stopped before"):
        _ = readouts.result
    for _ in readouts:
        if len(readouts._layers) == 3:
            break
    result = readouts.result
    assert not result.complete
    assert [each.layer for each in result.layers] == ["input", "sum", "act"]


def test_the_layers_are_read_in_groups_that_fit_into_memory(
    constructed: Callable[[], Readouts], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = constructed()
    list(whole)
    monkeypatch.setattr(readout, "HELD", 1)
    single = constructed()
    list(single)
    assert single.result == whole.result


def test_the_figures_are_of_test_pictures_and_no_others(model: Path) -> None:
    result = pellucid.readout(model)
    assert [each.layer for each in result.layers] == ["input", "conv1", "relu1", "maxpool1", "dense1"]
    assert (result.side, result.pictures, result.fitted, result.chosen, result.chosen_from) == (
        "test",
        8,
        16,
        8,
        "validation",
    )
    evaluation = pellucid.evaluate(model)
    assert result.correct == evaluation.metrics.correct
    measured.store_readout(model, result)
    stored = measured.read(model)["readout"]
    assert [each["layer"] for each in stored["layers"]] == [each.layer for each in result.layers]
    part = pellucid.readout(model, ["relu1"])
    assert part.layers == (next(each for each in result.layers if each.layer == "relu1"),)
    with pytest.raises(TraceError, match="There is no layer with numbers of its own 'flatten1'"):
        pellucid.readout(model, ["flatten1"])


def test_several_labels(tagged: Path) -> None:
    result = pellucid.readout(tagged, ["maxpool1"])
    assert result.several
    assert 0 <= result.layers[0].accuracy <= 1
    assert result.layers[0].pictures == 12


def test_without_validation_a_part_of_the_training_chooses(model: Path) -> None:
    fitted, chosen, where = readout._sides(model, "validation")  # the model reports on its validation pictures
    assert where == "training"
    assert (len(fitted), len(chosen)) == (12, 4)
    assert not set(fitted) & set(chosen)


def test_pictures_that_are_gone_are_a_sentence(model: Path) -> None:
    config = (model / "config.json").read_text()
    (model / "config.json").write_text(config.replace('"root": "', '"root": "/gone'))
    with pytest.raises(ArtefactError, match=r"are gone: .* The readouts need these pictures; train the model again"):
        pellucid.readout(model)


def test_a_model_without_held_out_pictures_is_to_be_trained_again(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, rows = made_from.every(model)
    every = [{**row, "side": "train"} for row in rows]
    monkeypatch.setattr(made_from, "_split", lambda *_: (root, every))
    with pytest.raises(ArtefactError, match=r"was trained on all its pictures; the readouts need .* --test 0.15 does"):
        pellucid.readout(model)
    with pytest.raises(ArtefactError, match=r"was trained on all its pictures; name a folder of other pictures"):
        pellucid.without(model)


def test_a_large_map_is_averaged_over_a_grid(either: tuple[Classifier, dict[str, Pictures]]) -> None:
    assert features._source("a", (3, 224, 224)) == features.Source("a", (3, 224, 224), (13, 13), 507)
    assert features._source("a", (8, 8, 8)).cells is None
    assert features._source("a", (600, 7, 5)) == features.Source("a", (600, 7, 5), (1, 1), 600)
    assert features._source("a", (4, 2, 300)) == features.Source("a", (4, 2, 300), (2, 11), 88)
    assert features._source("a", (50, 64)) == features.Source("a", (50, 64), (1, 1), 64)
    assert features._source("a", (4096,)) == features.Source("a", (4096,), None, 4096)
    torch.manual_seed(0)
    output = torch.randn(2, 600, 7, 5)
    assert torch.allclose(features._source("a", (600, 7, 5)).read(output), output.mean((2, 3)), atol=1e-6)
    tokens = torch.randn(2, 50, 64)
    assert torch.equal(features._source("a", (50, 64)).read(tokens), tokens.mean(1))
    network = Batched(either[0], 3)
    assert [each.layer for each in features.sources(network)] == ["input", "sum", "act", "forget", "mean", "last"]
