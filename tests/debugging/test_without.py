"""A network without a filter: the oracle is PyTorch, with a forward hook that sets the channel to zero."""

import json
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import pellucid
from pellucid.classifier.classifier import Classifier
from pellucid.debugging import labelled, measured
from pellucid.debugging.cut import Batched
from pellucid.debugging.pictures import Pictures, chosen
from pellucid.debugging.removed import FilterRemoved, LayerWithout, holm
from pellucid.debugging.without import Removing
from pellucid.errors import TraceError


class Branched(nn.Module):
    """A convolution with batch norm and activation, a residual block, and one that two layers read."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.act = nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5), nn.Hardswish(inplace=True)
        self.branch, self.branch_norm = nn.Conv2d(5, 5, 3, padding=1, groups=5), nn.BatchNorm2d(5)
        self.shared, self.dense = nn.Conv2d(5, 4, 1), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.norm(self.first(x)))
        x = torch.relu(x + self.branch_norm(self.branch(x)))
        y = self.shared(x)
        return self.dense((torch.relu(y) + torch.tanh(y)).mean((2, 3)))


@pytest.fixture(scope="module")
def branched(trained: Path) -> Classifier:
    torch.manual_seed(0)
    module = Branched()
    for _ in range(4):
        module(2 * torch.randn(16, 3, 12, 12) + 1)  # the batch norms have shifts, so zeros before them would not stay
    return replace(pellucid.load(trained), network=None, module=module.eval(), temperature=1.0)


def hooked(classifier: Classifier, name: str, channel: int, paths: tuple[str, ...]) -> list[int]:
    """The predictions of the module itself, with a hook that sets a channel of a part's output to zero."""

    def zero(_part: nn.Module, _input: Any, output: torch.Tensor) -> torch.Tensor:
        output = output.clone()
        output[:, channel] = 0
        return output

    part = classifier.module.get_submodule(name)
    handle = part.register_forward_hook(zero)
    try:
        images = np.stack([classifier.prepared(path) for path in paths])
        with torch.no_grad():
            return classifier.module(classifier.standardised(images)).argmax(1).tolist()
    finally:
        handle.remove()


def everything(classifier: Classifier, photos: Path, layers: list[str] | None = None) -> Removing:
    removing = Removing(classifier, None, chosen(None, [photos], classifier.classes, False), layers)
    assert list(removing)
    return removing


def truths(paths: tuple[str, ...], classifier: Classifier) -> list[int]:
    return [classifier.classes.index(Path(path).parent.name) for path in paths]


def test_the_predictions_are_those_of_pytorch_with_a_hook(
    trained: Path, branched: Classifier, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pellucid.debugging.cut.MOST", 7)  # a last batch that is not full
    # layer -> the part that makes the array whose channels are zero
    places = {"first": "act", "branch": "branch_norm", "shared": "shared"}
    text = pellucid.load(trained)
    relu = next(name for name, part in text.module.named_modules() if isinstance(part, nn.ReLU))
    for classifier, part in ((text, {"conv1": relu}), (branched, places)):
        classifier.module.eval()
        removing = everything(classifier, photos)
        paths = removing._labelled.paths  # type: ignore[union-attr]
        truth = np.array(truths(paths, classifier))
        before = np.array([classifier.predict(path).label for path in paths])
        before_right = before == np.array(classifier.classes)[truth]
        assert [each.layer for each in removing.result.layers] == list(part)
        for layer in removing.result.layers:
            assert layer.pictures == 32
            for each in layer.filters:
                now = np.array(hooked(classifier, part[layer.layer], each.filter, paths))
                right = now == truth
                counts = each.right.both, each.right.only_first, each.right.only_second, each.right.neither
                assert counts == (
                    (before_right & right).sum(),
                    (before_right & ~right).sum(),
                    (~before_right & right).sum(),
                    (~before_right & ~right).sum(),
                )
                for number, one in enumerate(each.classes):
                    own = truth == number
                    assert one.right.second == pytest.approx((now[own] == number).mean())
                    assert one.right.first == pytest.approx(before_right[own].mean())


def test_the_place_is_behind_batch_norm_and_activation_where_nothing_else_reads_before(branched: Classifier) -> None:
    network = Batched(branched, 4)
    places = {name: network.cut(name).place for name in network.convolutions()}
    assert places == {"first": "act", "branch": "branch_norm", "shared": "shared"}
    last = network.cut("shared")
    assert {call.name for call in last.after}.isdisjoint({"first", "act", "branch"})


def test_any_layer_with_channels_and_no_other(trained: Path, branched: Classifier, photos: Path) -> None:
    result = pellucid.without(trained, photos, ["maxpool1"])
    assert [(each.layer, each.place, len(each.filters)) for each in result.layers] == [("maxpool1", "maxpool1", 4)]
    with pytest.raises(TraceError, match=r"There is no layer 'conv'\. Did you mean conv1"):
        pellucid.without(trained, photos, ["conv"])
    with pytest.raises(TraceError, match="dense1 makes the network's scores"):
        pellucid.without(trained, photos, ["dense1"])
    alone = replace(branched, module=nn.Sequential(nn.Flatten(), nn.Linear(432, 2)).eval())
    with pytest.raises(TraceError, match="no convolution, so it has no filters"):
        Removing(alone, None, chosen(None, [photos], branched.classes, False))


def test_a_filter_that_alone_knows_a_class_is_first(branched: Classifier, photos: Path) -> None:
    first, last = nn.Conv2d(3, 3, 1, bias=False), nn.Linear(3, 2)
    module = nn.Sequential(first, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)
    with torch.no_grad():
        first.weight.copy_(torch.eye(3)[:, :, None, None])
        last.weight.copy_(torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))
        last.bias.zero_()
    standardise = replace(branched.standardise, mean=(0.0,) * 3, deviation=(1.0,) * 3)
    classifier = replace(branched, module=module.eval(), standardise=standardise)
    (layer,) = everything(classifier, photos).result.layers
    # without green nothing changes; without the colour of a class, none of its pictures is right
    green = layer.filters[1]
    assert (green.right.only_first, green.right.only_second, green.worst) == (0, 0, None)
    assert layer.ranked[-1] is green
    blue = layer.filters[2]
    assert blue.worst is not None
    assert (blue.worst.name, blue.worst.right.second) == ("blue", 0.0)
    assert not blue.worst.within_chance
    assert layer.within_chance(1)


def test_stopped_early_the_rest_is_whole(branched: Classifier, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.debugging.cut.MOST", 10)
    pictures = chosen(None, [photos], branched.classes, False)
    removing = Removing(branched, None, pictures)
    with pytest.raises(TraceError, match="Stopped before"):
        _ = removing.result
    for done, total in removing:
        assert total == (5 + 5 + 4) * 32
        if done > (5 * 32) + 5 * 10:  # one filter of the second batch of the second layer
            break
    result = removing.result
    assert not result.complete
    assert [(each.layer, each.pictures) for each in result.layers] == [("first", 32), ("branch", 10)]
    assert {each.right.pictures for each in result.layers[1].filters} == {10}
    whole = everything(branched, photos, ["first"]).result
    assert result.layers[0] == whole.layers[0]
    both = [one.right.pictures for one in result.layers[1].filters[0].classes]
    assert sum(both) == 10
    assert min(both) >= 4  # a beginning is spread over the classes


def test_pictures_that_do_not_fit_into_memory_are_decoded_again(
    trained: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pellucid.without(trained, photos)
    monkeypatch.setattr(labelled, "HELD", 0)
    assert pellucid.without(trained, photos) == before
    assert before.seen == 24


def test_several_labels(tagged: Path) -> None:
    result = pellucid.without(tagged)
    assert result.several
    classifier = pellucid.load(tagged)
    pictures = chosen(tagged, [], classifier.classes, True)
    right = [
        set(classifier.predict(path).labels or ()) == set(filter(None, (label or "").split("|")))
        for path, label in pictures.labelled
    ]
    each = result.layers[0].filters[0]
    assert each.right.first == pytest.approx(np.mean(right))
    assert {one.name: one.right.pictures for one in each.classes} == {
        name: sum(name in (label or "").split("|") for _, label in pictures.labelled) for name in classifier.classes
    }


def test_unusable_pictures_are_named(trained: Path, photos: Path, tmp_path: Path) -> None:
    for name in ("blue", "red"):
        (tmp_path / name).mkdir()
        shutil.copy(photos / name / "1.png", tmp_path / name)
    content = (photos / "red" / "2.png").read_bytes()
    (tmp_path / "red" / "cut.png").write_bytes(content[: len(content) // 2])
    result = pellucid.without(trained, tmp_path)
    assert result.pictures == 2
    assert [Path(path).name for path, _ in result.unusable] == ["cut.png"]


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # by hand: 4, 3, 2, 1 times
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_of_equal_losses_the_one_that_changes_more_pictures_comes_first() -> None:
    filters = [
        FilterRemoved.of(0, (8, 1, 1, 0), []),
        FilterRemoved.of(1, (6, 2, 2, 0), []),
        FilterRemoved.of(2, (9, 1, 0, 0), []),
    ]
    assert [each.filter for each in LayerWithout("a", "a", 10, tuple(filters)).ranked] == [2, 1, 0]


def test_what_was_measured_is_kept_for_these_weights_only(model: Path, branched: Classifier) -> None:
    assert measured.read(model) == {}
    result = pellucid.without(model)
    measured.store_without(model, result)
    content = json.loads(json.dumps(measured.read(model)))
    assert content["without"]["conv1"]["side"] == "test"
    assert [each["filter"] for each in content["without"]["conv1"]["filters"]] == [
        each.filter for each in result.layers[0].ranked
    ]
    measured.store_without(model, pellucid.without(model, layers=["maxpool1"]))
    assert list(measured.read(model)["without"]) == ["conv1", "maxpool1"]
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"temperature": 2.0}))
    assert measured.read(model) == {}
    (model / measured.FILE).write_text("[" * 100_000)
    assert measured.read(model) == {}


def test_two_measurements_that_end_together_are_both_stored(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = [pellucid.without(model, layers=[layer]) for layer in ("conv1", "maxpool1")]
    real = measured.read

    def slowly(folder: Path) -> dict[str, Any]:
        content = real(folder)
        time.sleep(0.1)
        return content

    monkeypatch.setattr(measured, "read", slowly)
    threads = [threading.Thread(target=measured.store_without, args=(model, result)) for result in results]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(real(model)["without"]) == ["conv1", "maxpool1"]


def test_figures_of_another_form_are_left_out(model: Path) -> None:
    measured.store_without(model, pellucid.without(model, layers=["conv1"]))
    content = json.loads((model / measured.FILE).read_text())
    content["without"] |= {"old": {"accuracy": 0.5}, "older": 3}
    (model / measured.FILE).write_text(json.dumps(content))
    assert list(measured.for_page(model)["without"]) == ["conv1"]


def test_a_network_whose_scores_are_not_finite_is_refused(branched: Classifier, trained: Path) -> None:
    last = nn.Linear(288, 2)
    module = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten(), last).eval()
    with torch.no_grad():
        last.bias.fill_(torch.inf)
    classifier = replace(branched, module=module)
    removing = Removing(classifier, None, chosen(trained, [], branched.classes, False))
    with pytest.raises(TraceError):
        list(removing)


def test_without_a_label_there_is_nothing_to_measure(branched: Classifier, photos: Path) -> None:
    pictures = Pictures("some", ((str(photos / "red" / "1.png"), None),))
    with pytest.raises(pellucid.PellucidError, match="No picture of some has a known label"):
        list(Removing(branched, None, pictures))
