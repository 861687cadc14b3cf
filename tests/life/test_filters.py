"""Who made each filter: by plain autograd picture by picture, exactly for SGD, in tenths, and what cannot be done."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.life.conftest import Train

import pellucid
from pellucid.errors import ArtefactError, TraceError
from pellucid.life import filters
from pellucid.life.again import Again, opened
from pellucid.life.filters import collect
from pellucid.life.makers import FilterMakers, Makers, Span
from pellucid.steps import Steps, result_of
from pellucid.training import forward, loop

# batch norm, and a convolution in groups; without dropout, whose draws the independent calculation would have to repeat
NETWORK = "conv(4, 3, padding=1) batchnorm relu maxpool(2) conv(4, 3, groups=2) relu flatten dense(6) relu dense"
SHARED: dict[str, Any] = {"model": NETWORK, "epochs": 3, "batch": 8, "label_smoothing": 0.0}
SGD = {**SHARED, "optimizer": "sgd", "momentum": 0.0, "learning_rate": 0.05, "weight_decay": 0.01}
ADAM = {**SHARED, "optimizer": "adam"}
KINDS = {"sgd": SGD, "adam": ADAM, "adamw": {**SHARED, "optimizer": "adamw"}}
KINDS["momentum"] = {**SGD, "momentum": 0.9}
KINDS["rmsprop"] = {**SHARED, "optimizer": "rmsprop", "momentum": 0.5}
FITTED = {"model": "auto", "pretrained": "efficientnet_lite0", "size": 32, "epochs": 1, "minutes": None}
EVERY = 100  # more pictures than there are
LAYERS = ["conv1", "conv2", "dense1"]


@pytest.fixture(scope="session")
def made(again: Callable[..., Again]) -> Callable[[str], Makers]:
    """made(kind) -> the makers of all layers, with every picture; made once."""
    results: dict[str, Makers] = {}

    def made(kind: str) -> Makers:
        if kind not in results:
            results[kind] = result_of(collect(again(**KINDS[kind]), count=EVERY))
        return results[kind]

    return made


def picture_parts(again: Again, name: str) -> np.ndarray:
    """Each picture's part in the gradient of the next step, (n, *weight), by autograd on a weight of its own."""
    module, task = again.state.module, again.task
    layer: Any = module.get_submodule(name)
    rows = again.rows(again.state.step + 1)
    generator = torch.Generator().manual_seed(loop.seed_of(task, again.state.step))
    images = forward.augmented(task, task.images.batch(rows), generator)
    own = [layer.weight.detach().clone().requires_grad_() for _ in rows]

    def apart(inputs: torch.Tensor) -> torch.Tensor:
        pictures = zip(inputs.split(1), own, strict=True)
        if isinstance(layer, torch.nn.Linear):
            return torch.cat([F.linear(each, weight, layer.bias) for each, weight in pictures])
        return torch.cat(
            [F.conv2d(each, w, layer.bias, layer.stride, layer.padding, 1, layer.groups) for each, w in pictures]
        )

    plain, buffers = layer.forward, [each.clone() for each in module.buffers()]
    layer.forward = apart
    try:
        module.train()
        loss = F.cross_entropy(module(images), torch.from_numpy(task.labels[rows]))
        gradients = torch.autograd.grad(loss, own)
    finally:
        layer.forward = plain
        for each, before in zip(module.buffers(), buffers, strict=True):
            each.copy_(before)
    return torch.stack(gradients).double().numpy()


def acts(recipe: pellucid.Recipe, step: int, later: int) -> float:
    """How much of the scaled gradient of `step` is in the update of a step `later`."""
    keeps, between = recipe.momentum, later - step
    if recipe.optimizer in ("adam", "adamw"):
        return (1 - keeps) * keeps**between / (1 - keeps**later)
    return keeps ** (between + 1) + (between == 0) if recipe.optimizer == "sgd" else keeps**between


def by_hand(again: Again, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Every picture's push on each filter in each step, (steps, pictures, filters), and the decay's."""
    recipe, weight = again.task.recipe, again.state.module.get_parameter(f"{name}.weight")
    last = again.material.classifier.module.get_parameter(f"{name}.weight").detach().double().numpy()
    movement = last - weight.detach().double().numpy()
    axes = tuple(range(1, last.ndim))
    direction = movement / np.sqrt((movement**2).sum(axes, keepdims=True))
    square = np.zeros_like(last)
    pushes = np.zeros((again.last, len(again.material.data.labels), len(last)))
    decays = np.zeros((again.last, len(last)))
    rates = {step: again.rate(step) for step in range(1, again.last + 1)}
    for step in rates:
        rows, before, each = again.rows(step), weight.detach().double().numpy().copy(), picture_parts(again, name)
        assert again.make().rate == rates[step]
        coupled = 0.0 if recipe.optimizer == "adamw" else recipe.weight_decay
        gradient = each.sum(0) + coupled * before
        if recipe.optimizer in ("adam", "adamw"):
            square = 0.999 * square + 0.001 * gradient**2
            scale = 1 / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        elif recipe.optimizer == "rmsprop":
            square = 0.99 * square + 0.01 * gradient**2
            scale = 1 / (np.sqrt(square) + 1e-8)
        else:
            scale = np.ones_like(last)
        reach = sum(rates[later] * acts(recipe, step, later) for later in range(step, again.last + 1))
        pushes[step - 1, rows] = -reach * (direction * scale * each).sum(tuple(axis + 1 for axis in axes))
        pull = before * (rates[step] if recipe.optimizer == "adamw" else reach * scale)
        decays[step - 1] = -recipe.weight_decay * (direction * pull).sum(axes)
    return pushes, decays


@pytest.mark.parametrize("kind", KINDS)
def test_every_push_is_that_of_plain_autograd(
    again: Callable[..., Again], made: Callable[[str], Makers], kind: str
) -> None:
    for layer in made(kind).layers:
        if layer.layer not in (LAYERS if kind in ("sgd", "adam") else ["conv2"]):
            continue
        pushes, decays = by_hand(again(**KINDS[kind]), layer.layer)
        largest = np.abs(pushes).max()
        for each in layer.filters:
            for span in (each.whole, *each.tenths):
                some = slice(span.first - 1, span.last)
                own = pushes[some, :, each.filter]
                assert span.push == pytest.approx(own.sum(), abs=1e-3 * largest)
                assert span.decay == pytest.approx(decays[some, each.filter].sum(), rel=1e-3, abs=1e-6)
                for sign, makers in ((1, span.toward), (-1, span.away)):
                    sums = own.sum(0)
                    assert {maker.row for maker in makers} >= set(np.flatnonzero(sign * sums > 1e-3 * largest).tolist())
                    assert [sign * maker.push for maker in makers] == sorted(sign * m.push for m in makers)[::-1]
                    for maker in makers:
                        assert maker.push == pytest.approx(sums[maker.row], abs=1e-3 * largest)
                        assert maker.most == pytest.approx((sign * own[:, maker.row]).max() * sign, abs=1e-3 * largest)
                        assert own[maker.step - span.first, maker.row] == pytest.approx(maker.most, abs=1e-3 * largest)


def spans_of(each: FilterMakers) -> tuple[Span, ...]:
    return each.whole, *each.tenths


@pytest.mark.parametrize("kind", ["sgd", "momentum", "rmsprop"])
def test_all_pushes_and_the_decay_are_the_movement(made: Callable[[str], Makers], kind: str) -> None:
    makers = made(kind)
    assert makers.exact
    assert makers.drift is None
    for layer in makers.layers:
        straight = np.linalg.norm((layer.after - layer.before).reshape(len(layer.after), -1), axis=1)
        for each in layer.filters:
            assert each.straight == pytest.approx(straight[each.filter], rel=1e-5)
            assert each.whole.moved == pytest.approx(each.straight, rel=1e-5)
            assert each.whole.distance >= each.straight
            assert each.whole.decay != 0
            for span in spans_of(each) if kind == "sgd" else (each.whole,):
                assert span.push + span.decay == pytest.approx(span.moved, abs=1e-4 * each.straight)


@pytest.mark.parametrize("kind", ["adam", "adamw"])
def test_for_adam_the_sum_is_an_estimate(made: Callable[[str], Makers], kind: str) -> None:
    makers = made(kind)
    assert not makers.exact
    each = [each for layer in makers.layers for each in layer.filters]
    ratios = np.array([(one.whole.push + one.whole.decay) / one.straight for one in each])
    assert 0.8 < np.median(ratios) < 1.25
    assert np.abs(ratios - 1).max() > 1e-3


def test_the_tenths_add_up_to_the_whole(made: Callable[[str], Makers]) -> None:
    makers = made("adam")
    for layer in makers.layers:
        for each in layer.filters:
            assert [span.first for span in each.tenths] == [1, *(span.last + 1 for span in each.tenths[:-1])]
            assert each.tenths[-1].last == makers.steps == each.whole.last
            for row in makers.pictures:
                sums = [
                    sum(maker.push for maker in (*span.toward, *span.away) if maker.row == row)
                    for span in spans_of(each)
                ]
                assert sums[0] == pytest.approx(sum(sums[1:]), rel=1e-4, abs=1e-6)


def test_only_some_layers_and_pictures(again: Callable[..., Again], made: Callable[[str], Makers]) -> None:
    makers = result_of(collect(again(**ADAM), ["dense1", "conv1"], count=2))
    assert [layer.layer for layer in makers.layers] == ["dense1", "conv1"]
    every = {layer.layer: layer for layer in made("adam").layers}
    for layer in makers.layers:
        for few, each in zip(layer.filters, every[layer.layer].filters, strict=True):
            for short, span in zip(spans_of(few), spans_of(each), strict=True):
                assert [*short.toward, *short.away] == [*span.toward[:2], *span.away[:2]]


def test_the_json_names_every_picture(made: Callable[[str], Makers], train: Train) -> None:
    content = made("adam").as_json(whole=3, tenth=1)
    config = pellucid.load(train(**ADAM))
    assert content["begins"] == "random weights, drawn by seed 0"
    rows = set()
    for layer in content["layers"]:
        assert layer["shape"][0] == len(layer["filters"])
        for each in layer["filters"]:
            assert max(len(each["whole"][side]) for side in ("toward", "away")) == 3
            assert max(len(span["toward"]) for span in each["tenths"]) <= 1
            rows |= {row for row, *_ in each["whole"]["toward"]}
    assert {str(row) for row in rows} <= set(content["pictures"])
    for picture in content["pictures"].values():
        assert (Path(content["root"]) / picture["path"]).is_file()
        assert picture["label"] in config.classes
        assert picture["path"].startswith(picture["label"])


def test_a_head_that_was_fitted_at_once(again: Callable[..., Again]) -> None:
    made = again(**FITTED)
    assert made.last == 0
    makers = result_of(collect(made, count=EVERY))
    (layer,) = makers.layers
    assert makers.exact
    for each in layer.filters:
        assert np.linalg.norm(layer.after[each.filter]) == pytest.approx(each.straight, rel=0.01)
        assert not layer.before.any(), "this head started at 0"
        pushes = [maker.push for maker in (*each.whole.toward, *each.whole.away)]
        assert sum(pushes) == pytest.approx(each.straight, rel=1e-4)
    with pytest.raises(TraceError, match=rf"No step changed .*--layer {layer.layer}\."):
        result_of(collect(made, ["0.conv1" if "0.conv1" in dict(made.state.module.named_modules()) else "conv1"]))


def test_known_weights_trained_further_begin_at_these(again: Callable[..., Again]) -> None:
    trained, made = again(**FITTED), again(**FITTED)
    # the saved weights of this model are the head's, so none of its steps counts: here they do
    trained.last = made.last = trained.material.plan.at(0)
    assert [each.step for each in trained.steps()] == list(range(1, made.last + 1)) != []
    made.material.classifier.module.load_state_dict(trained.state.module.state_dict())
    assert made.task.frozen_norms
    names = [name for name, part in made.state.module.named_modules() if isinstance(part, torch.nn.Conv2d)]
    known = {name: made.state.module.get_parameter(f"{name}.weight").detach().clone() for name in names[:3]}
    depthwise = made.state.module.get_submodule(names[1])
    assert isinstance(depthwise, torch.nn.Conv2d)
    assert depthwise.groups > 1
    makers = result_of(collect(made, names[:3]))
    assert makers.begins == "known weights of efficientnet_lite0"
    assert makers.drift is None
    for layer in makers.layers:
        assert np.array_equal(layer.before, known[layer.layer].numpy())
        for each in layer.filters:
            assert each.whole.moved == pytest.approx(each.straight, rel=1e-4)
            assert each.whole.distance >= 0.999 * each.straight
        assert sum(each.straight > 0 for each in layer.filters) > len(layer.filters) / 2  # some are 0 in ImageNet's too


def test_pictures_with_several_labels(tagged: Path) -> None:
    makers = pellucid.makers(tagged, ["conv1"], cache=tagged.parent / "cache")
    labels = {picture.label for picture in makers.pictures.values()}
    assert {"blue", "red", "blue|red"} <= labels <= {"blue", "red", "blue|red", ""}


def test_what_cannot_be_done_is_said(again: Callable[..., Again], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TraceError, match=r"no convolution or dense layer 'cnv1'\. Did you mean conv1"):
        result_of(collect(again(**ADAM), ["cnv1"]))
    with pytest.raises(TraceError, match=r"No layer is named\. There are: conv1, "):
        result_of(collect(again(**ADAM), []))
    monkeypatch.setattr(filters, "MOST_BYTES", 1000)
    with pytest.raises(TraceError, match=r"pictures on .* filters take .* --layer conv1"):
        result_of(collect(again(**ADAM)))


def test_other_weights_than_the_saved_ones_are_reported(again: Callable[..., Again]) -> None:
    made = again(**ADAM)
    with torch.no_grad():
        made.state.module.get_parameter("dense2.bias")[0] += 0.5
    makers = result_of(collect(made, ["conv1"]))
    assert makers.drift is not None
    assert makers.as_json()["drift"]["different"] > 0


def test_a_repeat_that_is_stopped_leaves_no_hook(again: Callable[..., Again]) -> None:
    made, threads = again(**ADAM), torch.get_num_threads()
    steps = Steps(collect(made, ["conv1"]))
    for done, _ in steps:
        if done == 2:
            break
    del steps
    assert not made.state.module.get_submodule("conv1")._forward_hooks
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("what", ["gone", "imported"])
def test_a_model_without_its_pictures(train: Train, tmp_path: Path, what: str) -> None:
    from pellucid.classifier import store

    model = tmp_path / "model"
    shutil.copytree(train(**ADAM), model)
    config = store.read_config(model)
    if what == "gone":
        config["data"]["root"] = str(tmp_path / "nowhere")
    else:
        config["imported"] = {"from": "keras"}
    store.write_json(model / store.CONFIG, config)
    with pytest.raises(ArtefactError, match="nowhere does not exist" if what == "gone" else "does not say how it was"):
        result_of(opened(model, tmp_path / "cache"))
