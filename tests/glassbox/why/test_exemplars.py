"""Exemplars: planted spots found in order, streaming against brute force, and nothing left behind."""

import json
from base64 import b64decode
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pellucid.errors import TraceError
from pellucid.glassbox.why.exemplars import LayerExemplars, Pictures, find
from pellucid.steps import Steps


def run(module: nn.Module, pictures: Pictures, count: int = 9, layers: Sequence[str] | None = None) -> (
    tuple[list[int], dict[str, LayerExemplars]]
):  # fmt: skip
    steps = Steps(find(module, pictures, count, layers))
    return list(steps), steps.result


def adding() -> nn.Sequential:
    """A single filter that adds up 3x3 pixels, and its negative, followed by a ReLU that writes in place."""
    module = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.ReLU(inplace=True), nn.Conv2d(2, 1, 1))
    with torch.no_grad():
        layer = module[0]
        assert isinstance(layer, nn.Conv2d)
        layer.weight.copy_(torch.stack([torch.ones(1, 3, 3), -torch.ones(1, 3, 3)]))
    return module


def spots() -> Iterator[tuple[str, Tensor]]:
    for name, value, (row, column) in [("dim", 1.0, (4, 5)), ("bright", 3.0, (0, 7)), ("middle", 2.0, (2, 2))]:
        picture = torch.zeros(1, 1, 6, 8)
        # a second pixel tells which of the windows that hold the first is the strongest
        picture[0, 0, row, column], picture[0, 0, min(row + 2, 5), max(column - 2, 0)] = value, value / 2
        yield name, picture


def test_planted_spots_are_found_in_order() -> None:
    seen, result = run(adding(), spots(), count=2)
    assert seen == [3]
    assert list(result) == ["0", "2"]
    first = result["0"]
    assert first.sees == (3, 3)
    assert first.weight.tolist() == [[[[1.0] * 3] * 3], [[[-1.0] * 3] * 3]]
    assert [(e.source, e.activation, e.unit, e.box) for e in first.filters[0]] == [
        ("bright", 4.5, (0, 1, 6), (0, 5, 3, 8)),
        ("middle", 3.0, (0, 3, 1), (2, 0, 5, 3)),
    ]
    # the convolution's output before ReLU; the negative filter's best is zeros
    assert [e.activation for e in first.filters[1]] == [0.0, 0.0]
    assert [e.source for e in first.filters[1]] == ["dim", "bright"]  # of equals the earlier


def test_boxes_are_cut_at_the_edge() -> None:
    picture = torch.zeros(1, 1, 6, 8)
    picture[0, 0, 0, 0] = 1
    module = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, bias=False))
    with torch.no_grad():
        module[0].weight.zero_()[0, 0, 1, 1] = 1  # pyright: ignore
    _, result = run(module, [("corner", picture)])
    (exemplar,) = result["0"].filters[0]
    assert (exemplar.unit, exemplar.box) == ((0, 0, 0), (0, 0, 2, 2))


@pytest.mark.parametrize("count", [1, 4, 60])
def test_streaming_is_brute_force(count: int) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 5, 3, stride=2), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 4, 2)).eval()
    pictures = torch.randn(50, 3, 11, 9)
    pictures[30] = pictures[2]  # equals
    names = [f"{number}.png" for number in range(50)]
    seen, result = run(module, ((name, picture[None]) for name, picture in zip(names, pictures, strict=True)), count)
    assert seen == [16, 32, 48, 50]
    with torch.no_grad():
        outputs = {"0": module[0](pictures), "3": module(pictures)}
    for layer, output in outputs.items():
        for channel in range(output.shape[1]):
            strongest = output[:, channel].flatten(1).max(1).values.numpy()
            order = np.argsort(-strongest, kind="stable")[:count]
            exemplars = result[layer].filters[channel]
            # batches of another size round differently
            assert [e.activation for e in exemplars] == pytest.approx(strongest[order], abs=1e-5)
            assert [e.source for e in exemplars] == [names[number] for number in order]
            for number, exemplar in zip(order, exemplars, strict=True):
                assert output[number][exemplar.unit].item() == pytest.approx(exemplar.activation, abs=1e-5)


def test_the_module_stays_as_it_was_and_its_flags_do_not_matter() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.BatchNorm2d(3), nn.Conv2d(3, 2, 3), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Conv2d(2, 2, 1)
    )
    pictures = [(str(number), torch.randn(1, 3, 8, 8)) for number in range(5)]
    stored, weights = (
        [picture.clone() for _, picture in pictures],
        {k: v.clone() for k, v in module.state_dict().items()},
    )
    _, training = run(module.train(), pictures)
    assert all(part.training for part in module.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in module.parameters())
    assert all(not part._forward_hooks for part in module.modules())
    assert all(torch.equal(value, weights[name]) for name, value in module.state_dict().items())
    assert all(torch.equal(picture, before) for (_, picture), before in zip(pictures, stored, strict=True))
    with torch.inference_mode():
        _, evaluating = run(module.eval(), pictures)
    assert {k: v.filters for k, v in training.items()} == {k: v.filters for k, v in evaluating.items()}


def test_a_mode_does_not_leak_out_of_the_generator() -> None:
    progress = find(adding(), spots())
    next(progress)
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()
    assert not torch.ones(1).is_inference()


def test_what_is_not_finite_is_passed_over() -> None:
    names = [("nan", torch.full((1, 1, 6, 8), torch.nan)), *spots()]
    _, result = run(adding(), names)
    assert [e.source for e in result["0"].filters[0]] == ["bright", "middle", "dim"]


def test_layers_asked_for() -> None:
    _, result = run(adding(), spots(), layers=["2"])
    assert list(result) == ["2"]
    with pytest.raises(TraceError, match=r"no convolution '1'.*There are: 0, 2"):
        find(adding(), spots(), layers=["1"])


def test_what_cannot_be_shown() -> None:
    with pytest.raises(TraceError, match="no convolution, so it has no filters"):
        find(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), spots())
    with pytest.raises(TraceError, match="count is 0"):
        find(adding(), spots(), count=0)
    with pytest.raises(TraceError, match="no picture"):
        run(adding(), [])
    sizes = [*spots(), ("large", torch.zeros(1, 1, 9, 9))]
    with pytest.raises(TraceError, match=r"large is \[1, 9, 9\] and those before it \[1, 6, 8\]"):
        run(adding(), sizes)


def test_as_json() -> None:
    _, result = run(adding(), spots(), count=1)
    document = json.loads(json.dumps(result["0"].as_json(), allow_nan=False))
    weight = np.frombuffer(b64decode(document["weight"]["base64"]), "<f4").reshape(document["weight"]["shape"])
    assert np.array_equal(weight, result["0"].weight)
    assert document["layer"] == "0"
    assert document["sees"] == [3, 3]
    assert document["filters"][0] == [
        {"source": "bright", "activation": 4.5, "unit": [0, 1, 6], "box": [0, 5, 3, 8]},
    ]  # fmt: skip
