"""Two runs of one picture: which layers correspond, where they part, and the numbers that differ most."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import pellucid as library
from pellucid.classifier.classifier import Classifier
from pellucid.debugging.matching import Layer, matched
from pellucid.debugging.narrow import rounded
from pellucid.debugging.parting import Parting, parting
from pellucid.glassbox.trace.recording import explain
from pellucid.glassbox.trace.trace import Trace
from pellucid.whatif import Pooling, Weight


@pytest.fixture(scope="module")
def classifier(trained: Path) -> Classifier:
    return library.load(trained)


@pytest.fixture(scope="module")
def plain(classifier: Classifier, photos: Path) -> Trace:
    return classifier.explain(photos / "red" / "1.png")


def layers(*written: str) -> list[Layer]:
    """ "conv1:convolution" -> a layer; "=" in front of the kind makes it a role."""
    parts = [each.split(":") for each in written]
    return [Layer(name, kind, (1,), kind if kind in ("picture", "loss") else "") for name, kind in parts]


def names(first: Sequence[Layer], second: Sequence[Layer]) -> list[tuple[str, str]]:
    return [
        ("" if one is None else first[one].name, "" if other is None else second[other].name)
        for one, other in matched(first, second)
    ]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("a:conv b:relu", "a:conv b:relu", "a-a b-b"),
        ("p:picture a:conv b:relu l:loss", "q:picture a:conv n:norm b:relu m:loss", "p-q a-a -n b-b l-m"),
        ("0:conv 1:relu 2:pool", "0:conv 1:norm 2:relu 3:pool", "0-0 -1 1-2 2-3"),
        ("c1:conv r1:relu c2:conv r2:relu", "c1:conv r1:relu", "c1-c1 r1-r1 c2- r2-"),
        ("c1:conv r1:relu", "c2:conv s1:silu", "c1-c2 r1- -s1"),
        ("m1:max pooling", "m1:average pooling", "m1-m1"),
        ("0:relu", "0:norm", "0- -0"),
        ("", "a:conv", "-a"),
    ],
)
def test_layers_are_matched_in_order(first: str, second: str, expected: str) -> None:
    def read(text: str) -> list[Layer]:
        return layers(*text.replace("max pooling", "max_pooling").replace("average pooling", "mean").split())

    pairs = names(read(first), read(second))
    assert " ".join(f"{one}-{other}" for one, other in pairs) == expected


def test_the_same_model_does_not_part(classifier: Classifier, plain: Trace, photos: Path) -> None:
    result = parting(plain, classifier.explain(photos / "red" / "1.png"), ("a", "b"))
    assert result.at is None
    assert result.back_at is None
    assert [layer.name for layer in result.layers] == [node.name for node in plain.nodes]
    assert all(layer.value is not None and not layer.value.different for layer in result.layers)


@pytest.mark.parametrize("name", ["conv1.weight", "conv1.bias", "dense1.weight", "dense1.bias"])
def test_one_changed_weight_parts_exactly_its_layer(
    classifier: Classifier, plain: Trace, photos: Path, name: str
) -> None:
    index = (1,) + (0,) * (plain.values[name].ndim - 1)
    if name == "dense1.weight":  # one that meets a number other than 0
        index = (1, int(np.abs(plain.values["flatten1"][0]).argmax()))
    was = float(plain.values[name][index])
    for change in (0.5, 1e-3):
        turned = classifier.changed([Weight(name, index, was + change)])
        result = parting(plain, turned.explain(photos / "red" / "1.png"), ("a", "b"))
        assert result.where is not None
        assert result.where.name == name.split(".")[0]
        (weights,) = result.where.weights
        assert (weights.first, weights.apart.index, weights.apart.different) == (name, index, 1)
        assert weights.apart.difference == pytest.approx(change, rel=1e-3)


def test_the_number_that_differs_most_is_that_of_the_two_modules(classifier: Classifier, photos: Path) -> None:
    turned = classifier.changed([Weight("conv1.weight", (1, 0, 1, 1), 2.5)])
    image = classifier.prepared(photos / "red" / "1.png")
    runs = [each.explain(photos / "red" / "1.png") for each in (classifier, turned)]
    result = parting(runs[0], runs[1], ("a", "b"))
    with torch.no_grad():
        maps = []
        for each in (classifier, turned):
            x = each.standardised(image[None])
            for name, layer in each.module.named_children():
                x = layer(x)
                maps.append((name, x[0].double()))
    each = {layer.name: layer for layer in result.layers}
    count = len(maps) // 2
    for (name, one), (_, other) in zip(maps[:count], maps[count:], strict=True):
        if name not in each:
            continue
        apart = each[name].value
        assert apart is not None
        assert abs(apart.difference) == (other - one).abs().max().item()
        assert (apart.first, apart.second) == (one[apart.index].item(), other[apart.index].item())
        assert apart.different == (other != one).sum().item()
    assert {"conv1", "dense1"} <= {name for name, _ in maps} & set(each)


def test_rounding_is_no_parting_and_more_is(plain: Trace) -> None:
    """Values that differ by less than the tolerance, by more, and where one is not finite."""

    def shifted(by: float) -> Parting:
        values = {**plain.values, "relu1": plain.values["relu1"].copy()}
        largest = np.abs(values["relu1"]).max()
        values["relu1"][0, 1, 2, 3] += largest * by
        return parting(plain, _with(plain, values), ("a", "b"))

    below, above = shifted(3e-6), shifted(3e-5)
    assert below.at is None
    assert below.layers[[layer.name for layer in below.layers].index("relu1")].value.different == 1  # type: ignore[union-attr]
    assert above.where is not None
    assert (above.where.name, above.where.value.index) == ("relu1", (1, 2, 3))  # type: ignore[union-attr]
    broken = shifted(float("nan"))
    assert broken.where is not None
    assert broken.where.name == "relu1"
    assert json.dumps(broken.as_json(), allow_nan=False)
    same = parting(
        _with(plain, {**plain.values, "relu1": np.full_like(plain.values["relu1"], np.nan)}),
        _with(plain, {**plain.values, "relu1": np.full_like(plain.values["relu1"], np.nan)}),
        ("a", "b"),
    )
    assert same.at is None


def _with(trace: Trace, values: dict[str, Any]) -> Trace:
    from dataclasses import replace

    return replace(trace, values=values)


def test_fewer_bits_part_at_the_first_weights(classifier: Classifier, plain: Trace, photos: Path) -> None:
    for kind in ("int8", "bfloat16"):
        result = parting(plain, rounded(classifier, kind).explain(photos / "red" / "1.png"), ("a", "b"))  # type: ignore[arg-type]
        assert result.where is not None
        assert result.where.name == "conv1"
        assert next(each.first for each in result.where.weights) == "conv1.weight"


def test_other_settings_and_kinds_match_by_their_place(classifier: Classifier, plain: Trace, photos: Path) -> None:
    pooled = classifier.changed([Pooling("maxpool1", "average")]).explain(photos / "red" / "1.png")
    result = parting(plain, pooled, ("a", "b"))
    assert result.where is not None
    assert (result.where.first, result.where.second) == ("maxpool1", "maxpool1")
    assert result.where.kinds[0] != result.where.kinds[1]
    assert all(layer.matched for layer in result.layers)
    torch.manual_seed(0)
    image = torch.rand(1, 3, 8, 8)
    runs = []
    for stride in (1, 2):
        conv = nn.Conv2d(3, 4, 3, stride)
        runs.append(explain(nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)), image, 1))
    result = parting(runs[0], runs[1], ("a", "b"))
    assert result.where is not None
    assert (result.where.first, result.where.value) == ("0", None)
    assert result.where.shapes == ((4, 6, 6), (4, 3, 3))


def test_another_architecture_says_what_has_no_partner() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 3)
    image = torch.rand(1, 3, 8, 8)
    dense = nn.Linear(4 * 9, 3)
    short = nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), dense)
    norm = nn.BatchNorm2d(4)
    norm.running_mean.fill_(0.1)  # type: ignore[union-attr]
    long = nn.Sequential(conv, norm, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), dense, nn.Dropout())
    one, other = (explain(each.eval(), image, 1) for each in (short, long))
    result = parting(one, other, ("a", "b"))
    alone = [(layer.first, layer.second) for layer in result.layers if not layer.matched]
    assert alone[0] == (None, "1")
    assert ("2", "3") in [(layer.first, layer.second) for layer in result.layers]
    assert result.where is not None
    assert (result.where.first, result.where.second) == ("1", "2"), "ReLU behind the layer that only one has"


def test_gradients_part_from_the_loss_backward(classifier: Classifier, plain: Trace, photos: Path) -> None:
    turned = classifier.changed([Weight("conv1.weight", (1, 0, 1, 1), 2.5)])
    result = parting(plain, turned.explain(photos / "red" / "1.png", plain.against[0]), ("a", "b"))
    assert result.back_at is not None
    last = result.layers[result.back_at]
    assert last.gradient is not None
    assert not any(each.gradient and each.gradient.parted for each in result.layers[result.back_at + 1 :])
    other = next(name for name in plain.classes if name != plain.against[0])
    assert "two questions" in parting(plain, turned.explain(photos / "red" / "1.png", other), ("a", "b")).notes[0]
