"""What if: a change gives PyTorch's results, unfitting sizes are refused, the original stays."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predict.pictures import Prepared
from pellucid.errors import NetworkError, PictureError, TraceError
from pellucid.glassbox.page.document import Document
from pellucid.glassbox.whatif import suggest
from pellucid.glassbox.whatif.change import (
    Change,
    Padding,
    Pooling,
    Stride,
    Unfitting,
    Weight,
    adjustable,
    changed,
    latest,
    places,
    resized,
    written,
)
from pellucid.network.standardise import Standardise
from pellucid.network.text import parse
from pellucid.network.window import Shape
from pellucid.pictures.decode import Form

INPUT = (3, 12, 12)
CLASSES = 2
FLAT = "conv(4, 3) relu maxpool(2) flatten dense"
BLOCK = "residual(conv(4, 3, padding=1) relu conv(4, 3, padding=1))"
FREE = f"conv(4, 3, padding=same) batchnorm relu maxpool(2) {BLOCK} globalavgpool dense"


def classifier(text: str, shape: Shape = INPUT, seed: int = 1) -> Classifier:
    """A classifier with untrained weights."""
    torch.manual_seed(seed)
    network = parse(text)
    module = network.module(shape, CLASSES).eval()
    form = Form(shape[1], shape[2], 3 if shape[0] == 3 else 1, "stretch")
    return Classifier(network, module, ("cat", "dog"), form, Standardise((0.5,) * shape[0], (0.25,) * shape[0]), 1.0)


def image(shape: Shape = INPUT, seed: int = 2) -> np.ndarray:
    """uint8 (H, W, C)"""
    return np.random.default_rng(seed).integers(0, 256, (*shape[1:], shape[0]), np.uint8)


def bits(module: nn.Module) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in module.state_dict().items()}


def test_a_weight_moves_a_logit_by_what_one_can_work_out() -> None:
    """One filter of 1x1 on a grey picture of one pixel, then one weight per class: logit = w2 * (w1 * x + b1) + b2."""
    one = classifier("conv(1, 1) flatten dense", (1, 1, 1))
    with torch.no_grad():
        for name, value in (("conv1.weight", 2.0), ("conv1.bias", 1.0)):
            one.module.get_parameter(name).fill_(value)
        one.module.get_parameter("dense1.weight").copy_(torch.tensor([[3.0], [-1.0]]))
    pixel = np.array([[[255]]], np.uint8)  # (1 - 0.5) / 0.25 = 2
    assert one.logits(pixel[None])[0].tolist() == [3 * (2 * 2 + 1), -(2 * 2 + 1)]
    other = one.changed([Weight("conv1.weight", (0, 0, 0, 0), 2.5)])
    assert other.logits(pixel[None])[0].tolist() == [3 * (2.5 * 2 + 1), -(2.5 * 2 + 1)]  # 3 * 2 * 0.5 more
    assert other.changed([Weight("dense1.weight", (1, 0), 4.0)]).logits(pixel[None])[0].tolist() == [18, 24]
    assert one.logits(pixel[None])[0].tolist() == [15, -5]


def test_it_is_what_pytorch_computes_with_that_weight() -> None:
    one, pixels = classifier(FREE), image()
    name, index = "residual1.body.conv2.weight", (3, 1, 0, 2)
    with torch.no_grad():
        before = one.module.get_parameter(name)[index].item()
        one.module.get_parameter(name)[index] = 0.75
        wanted = one.logits(pixels[None])
        one.module.get_parameter(name)[index] = before
    other = one.changed([Weight(name, index, 0.75)])
    assert np.array_equal(other.logits(pixels[None]), wanted)
    assert not np.array_equal(one.logits(pixels[None]), wanted)
    trace = other.explain(Prepared(pixels, "it"))
    assert trace.values[name][index] == np.float32(0.75)
    assert np.abs(trace.logits - wanted[0]).max() < 1e-5
    assert trace.unit("dense1[1]").difference == pytest.approx(0, abs=1e-5)


def test_the_original_is_never_touched() -> None:
    one = classifier(FREE)
    stored, text = bits(one.module), str(one.network)
    state = torch.get_rng_state()
    one.changed(
        [
            Weight("conv1.weight", (0, 0, 0, 0), 9.0),
            Weight("batchnorm1.running_mean", (2,), 1.0),
            Stride("conv1", (2, 2)),
            Pooling("maxpool1", "average"),
        ]
    )
    assert bits(one.module) == stored
    assert str(one.network) == text
    assert torch.equal(torch.get_rng_state(), state)  # no weight was drawn


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ([Stride("conv1", (2, 2))], FREE.replace("conv(4, 3, padding=same) b", "conv(4, 3, stride=2, padding=1) b")),
        ([Stride("conv1", (2, 1)), Padding("conv1", (0, 2))], FREE.replace("padding=same", "stride=2x1, padding=0x2")),
        ([Pooling("maxpool1", "average")], FREE.replace("maxpool", "avgpool")),
        ([Pooling("maxpool1", "l2")], FREE.replace("maxpool", "l2pool")),
        (
            [Padding("maxpool1", (1, 1)), Stride("maxpool1", (1, 1))],
            FREE.replace("maxpool(2)", "maxpool(2, stride=1, padding=1)"),
        ),
        (
            [Padding("residual1.body.conv1", (0, 0)), Padding("residual1.body.conv2", (2, 2))],
            FREE.replace(BLOCK, "residual(conv(4, 3) relu conv(4, 3, padding=2))"),
        ),
    ],
)
def test_other_settings_are_the_network_written_so(changes: list[Change], wanted: str) -> None:
    one, pixels = classifier(FREE), image()
    other = one.changed(changes)
    assert other.network == parse(wanted)
    twin = parse(wanted).module(INPUT, CLASSES).eval()
    twin.load_state_dict(one.module.state_dict())  # no pooling has weights
    wanted_logits = replace(one, module=twin).logits(pixels[None])
    assert np.array_equal(other.logits(pixels[None]), wanted_logits)
    assert not np.array_equal(one.logits(pixels[None]), wanted_logits)
    trace = other.explain(Prepared(pixels))
    assert np.abs(trace.logits - wanted_logits[0]).max() < 1e-5


def test_a_pooling_of_another_kind_keeps_its_name_and_its_arithmetic() -> None:
    one = classifier("conv(4, 3) maxpool(2) maxpool(2, stride=1) flatten dense")
    other = one.changed([Pooling("maxpool1", "average")])
    assert str(other.network) == "conv(4, 3) avgpool(2) maxpool(2, stride=1) flatten dense"
    assert other.called == {"avgpool1": "maxpool1", "maxpool1": "maxpool2"}
    trace = other.explain(Prepared(image()))
    nodes = {node["name"]: node for node in Document(trace).content["nodes"]}
    assert nodes["maxpool1"]["kind"] == "average pooling"
    assert nodes["maxpool1"]["size_formula"] == "([10 - 2 + 2*0] / 2) + 1 = 5"
    assert nodes["maxpool2"]["kind"] == "max pooling"
    assert nodes["maxpool2"]["size_formula"] == "([5 - 2 + 2*0] / 1) + 1 = 4"
    window = trace.values["conv1"][0, 1, :2, :2].astype(np.float64)
    assert trace.unit("maxpool1[1, 0, 0]").total == pytest.approx(window.mean(), abs=1e-6)
    # a changed one keeps the first one's names
    again = other.changed([Pooling("maxpool2", "l2")])
    assert str(again.network) == "conv(4, 3) avgpool(2) l2pool(2, stride=1) flatten dense"
    assert again.changed([Pooling("maxpool1", "max"), Pooling("maxpool2", "max")]).network == one.network


def test_what_does_not_fit_is_refused_with_both_numbers_and_with_what_does() -> None:
    one = classifier(FLAT)
    with pytest.raises(
        Unfitting, match=r"With stride 2 in conv1, dense1 would get 16 numbers, but has weights for 100\.$"
    ):
        one.changed([Stride("conv1", (2, 2))])
    further = one.instead([Stride("conv1", (2, 2))])
    assert written(further) == "padding 1 in conv1 and stride 1 in maxpool1"
    fits = one.changed([Stride("conv1", (2, 2)), *further])
    assert str(fits.network) == "conv(4, 3, stride=2, padding=1) relu maxpool(2, stride=1) flatten dense"
    assert fits.logits(image()[None]).shape == (1, 2)


def test_branches_that_do_not_match_say_what_would() -> None:
    one = classifier("conv(4, 3) residual(conv(4, 3, padding=1) | conv(4, 1)) globalavgpool dense")
    with pytest.raises(Unfitting, match=r"the body gives \[4, 5, 5\] but the shortcut \[4, 10, 10\]") as refused:
        one.changed([Stride("residual1.body.conv1", (2, 2))])
    assert "would fit" not in str(refused.value)  # another network would, not this one
    further = one.instead([Stride("residual1.body.conv1", (2, 2))])
    assert written(further) == "stride 2 in residual1.shortcut.conv1"


def test_a_network_that_would_not_end_with_the_classes_is_refused() -> None:
    one = classifier("conv(2, 12, padding=0) flatten")
    with pytest.raises(Unfitting, match=r"the network would end with \[8\] for 2 classes\.$"):
        one.changed([Padding("conv1", (1, 1)), Stride("conv1", (2, 2))])


def test_nothing_that_helps_is_no_help() -> None:
    one = classifier("conv(4, 3) flatten dense")
    assert one.instead([Stride("conv1", (5, 5)), Padding("conv1", (0, 0))]) == ()


@settings(max_examples=60)
@given(
    stride=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    pool=st.integers(1, 4),
)
def test_it_fits_where_the_sizes_are_equal_and_is_refused_elsewhere(
    stride: tuple[int, int], padding: tuple[int, int], pool: int
) -> None:
    """The article's formula decides, for each axis."""
    changes = (Stride("conv1", stride), Padding("conv1", padding), Stride("maxpool1", (pool, pool)))
    rows = [(12 - 3 + 2 * p) // s + 1 for s, p in zip(stride, padding, strict=True)]
    after = [(row - 2) // pool + 1 for row in rows]
    one = SHARED
    if min(after) >= 1 and 4 * prod(after) == 100:
        other = one.changed(changes)
        assert other.module(torch.zeros(1, *INPUT)).shape == (1, 2)
    else:
        with pytest.raises(Unfitting):
            one.changed(changes)
        further = one.instead(changes)
        if further:
            resized(one.network, INPUT, CLASSES, (*changes, *further))


SHARED = classifier(FLAT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Weight("conv2.weight", (0, 0, 0, 0), 1.0), r"no weight 'conv2.weight'. Did you mean conv1.weight"),
        (Weight("conv1.weight", (4, 0, 0, 0), 1.0), r"conv1.weight\[4, 0, 0, 0\] does not exist; .* to \[3, 2, 2, 2\]"),
        (Weight("conv1.weight", (0, 0, 0, -1), 1.0), r"does not exist"),
        (Weight("conv1.weight", (0, 0, 0), 1.0), r"does not exist"),
        (Weight("conv1.weight", (0, 0, 0, 0), float("nan")), r"cannot be nan; it must be a finite float32"),
        (Weight("conv1.weight", (0, 0, 0, 0), 1e39), r"cannot be 1e\+39"),
        (Weight("batchnorm1.num_batches_tracked", (), 1.0), r"no weight 'batchnorm1.num_batches_tracked'"),
        (Stride("conv7", (1, 1)), r"no layer 'conv7'"),
        (Stride("relu1", (1, 1)), r"relu1 `relu` has no window"),
        (Stride("conv1", (0, 1)), r"stride of conv1 cannot be 0x1; it can be from 1 to 6"),
        (Stride("conv1", (1, 99)), r"stride of conv1 cannot be 1x99"),
        (Padding("conv1", (3, 3)), r"padding of conv1 cannot be 3; it can be from 0 to 2"),
        (Padding("conv1", (True, 1)), r"padding of conv1 is \(True, 1\); it must be two whole numbers"),
        (Padding("maxpool1", (-1, 0)), r"padding of maxpool1 cannot be -1x0"),
        (Pooling("conv1", "max"), r"conv1 `conv\(4, 3, padding=same\)` is not a pooling"),
        (Pooling("globalavgpool1", "max"), r"is not a pooling over a window"),
        (Pooling("maxpool1", "least"), r"cannot pool by 'least'; the kinds are max, average, l2"),  # type: ignore[arg-type]
    ],
)
def test_what_there_is_not_is_refused_in_a_sentence(change: Change, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        classifier(FREE).changed([change])


def test_l2_pooling_has_no_padding() -> None:
    one = classifier("conv(4, 3) maxpool(3, padding=1) globalavgpool dense")
    with pytest.raises(TraceError, match=r"L2 pooling has no padding, and maxpool1 has 1; set its padding to 0 too"):
        one.changed([Pooling("maxpool1", "l2")])
    assert "l2pool(3)" in str(one.changed([Pooling("maxpool1", "l2"), Padding("maxpool1", (0, 0))]).network)
    with pytest.raises(TraceError, match=r"padding of l2pool1 cannot be 1"):
        classifier("conv(4, 3) l2pool(2) globalavgpool dense").changed([Padding("l2pool1", (1, 1))])


def test_a_pool_that_hangs_over_is_changed_and_worked_out() -> None:
    one = classifier("conv(4, 3) maxpool(3, stride=2, padding=same) globalavgpool dense")
    average = one.changed([Pooling("maxpool1", "average")])
    padded = one.changed([Padding("maxpool1", (1, 0))])

    assert str(average.network) == "conv(4, 3) avgpool(3, stride=2, padding=same) globalavgpool dense"
    assert str(padded.network) == "conv(4, 3) maxpool(3, stride=2, padding=1x0) globalavgpool dense"
    with pytest.raises(TraceError, match=r"L2 pooling has no padding, and maxpool1 has padding=same; set its padding"):
        one.changed([Pooling("maxpool1", "l2")])
    for each, layer in ((one, "maxpool1"), (average, "avgpool1")):
        trace = each.explain(Prepared(image(), "it"))
        corner = trace.unit(f"{trace.called.get(layer, layer)}[1, 4, 4]")  # of its 3x3 numbers it sees 2x2
        shown = trace.values["conv1"][0, 1, 8:, 8:]
        assert corner.total == pytest.approx(shown.max() if each is one else shown.mean(), abs=1e-6)
        assert corner.total == pytest.approx(corner.recorded, abs=1e-6)


def test_outputs_too_many_to_keep_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one = classifier("conv(4, 3, stride=3) globalavgpool dense")
    monkeypatch.setattr("pellucid.glassbox.whatif.change.LARGEST", 1000)
    with pytest.raises(NetworkError, match=r"the layers' outputs would be \d+ numbers, too many to keep"):
        one.changed([Stride("conv1", (1, 1))])


def test_of_two_changes_of_the_same_the_later_counts() -> None:
    first, second = Weight("conv1.weight", (0, 0, 0, 0), 1.0), Weight("conv1.weight", (0, 0, 0, 0), 2.0)
    other = Stride("conv1", (2, 2))
    assert latest([first, other, second]) == (second, other)
    one = SHARED.changed([first]).changed([second])
    assert one.changes == (second,)
    assert one.module.get_parameter("conv1.weight")[0, 0, 0, 0] == 2
    assert SHARED.stored(second) == SHARED.module.get_parameter("conv1.weight")[0, 0, 0, 0].item()
    assert SHARED.stored(other) == (1, 1)
    assert SHARED.stored(Pooling("maxpool1", "l2")) == "max"


def test_a_layer_inside_a_gate_changes_too() -> None:
    text = (
        "conv(4, 3) layernorm gate(conv(6, 3) relu globalavgpool dense(4) hardsigmoid) scale(0.5) globalavgpool dense"
    )
    one, pixels = classifier(text), image()
    place = "gate1.body.conv1"
    assert [each.layer for each in adjustable(one.network, CLASSES)] == ["conv1", place]
    assert {name for name, _ in places(one.network, CLASSES)} <= {name for name, _ in one.module.named_modules()}
    other = one.changed([Stride(place, (2, 2)), Weight("scale1.weight", (1,), 2.0)])
    assert other.network == parse(text.replace("conv(6, 3)", "conv(6, 3, stride=2)"))
    assert not np.array_equal(one.logits(pixels[None]), other.logits(pixels[None]))
    trace = other.explain(Prepared(pixels))
    assert np.abs(trace.logits - other.logits(pixels[None])[0]).max() < 1e-5
    with pytest.raises(NetworkError, match="sizes do not fit"):
        one.changed([Stride(place, (1, 1)), Padding("conv1", (0, 0)), Stride("conv1", (6, 6))])


def test_names_are_those_of_the_module() -> None:
    one = classifier(FREE)
    named = {name for name, _ in one.module.named_modules()}
    assert {name for name, _ in places(one.network, CLASSES)} <= named
    assert [each.layer for each in adjustable(one.network, CLASSES)] == [
        "conv1",
        "maxpool1",
        "residual1.body.conv1",
        "residual1.body.conv2",
    ]


def test_the_search_for_what_fits_ends() -> None:
    network = parse("conv(4, 3) " * 5 + "flatten dense")
    tried: list[int] = []
    original = suggest.resized

    def count(*inputs: object) -> object:
        tried.append(1)
        return original(*inputs)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suggest, "resized", count)
        result = suggest.instead(network, INPUT, CLASSES, [Stride("conv1", (2, 2))], tries=50)
    assert result == () or len(result) <= 2
    assert len(tried) <= 50


def test_a_prepared_image_arrives_bit_for_bit_and_another_size_is_refused() -> None:
    one, pixels = classifier(FLAT), image()
    trace = one.explain(Prepared(pixels, "painted"), "dog")
    assert np.array_equal(trace.values["picture"][0].transpose(1, 2, 0), pixels)
    assert (trace.source, trace.label) == ("painted", 1)
    assert one.predict(Prepared(pixels)).logits == tuple(one.logits(pixels[None])[0].tolist())
    with pytest.raises(PictureError, match=r"an array of uint8 \(11, 12, 3\); a prepared image is uint8 \(12, 12, 3\)"):
        one.explain(Prepared(pixels[1:]))
    floats = Prepared(pixels.astype(np.float32))  # type: ignore[arg-type]
    assert "prepared" in (one.predict(floats).error or "")


def test_a_module_of_its_own_follows() -> None:
    """What is asked of `changed` itself, without a classifier."""
    network = parse(FLAT)
    module = network.module(INPUT, CLASSES)
    result = changed(network, module, INPUT, CLASSES, [Weight("dense1.bias", (1,), 5.0)])
    assert result.module is not module
    assert result.called == {}
    assert result.module.get_parameter("dense1.bias")[1] == 5
    assert result.module.training == module.training
