"""A training made again ends in the saved weights, bit for bit; what stands in its way is named."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.life.conftest import NETWORK, SETTINGS, Train

import pellucid
from pellucid.errors import ArtefactError
from pellucid.life import parts
from pellucid.life.again import Again, opened
from pellucid.runs.run import Run
from pellucid.steps import result_of
from pellucid.training.loop import Step

BLOCK = {"model": "conv(6, 5) relu maxpool(2) flatten dense", "fused": True}
KINDS: dict[str, dict[str, Any]] = {
    "adamw": {},
    "sgd": {"optimizer": "sgd", "momentum": 0.0, "learning_rate": 0.05},
    "momentum": {"optimizer": "sgd", "learning_rate": 0.05, "class_weights": "balanced"},
    "adam": {"optimizer": "adam", "schedule": "onecycle"},
    "rmsprop": {"optimizer": "rmsprop", "augment": "light"},
    "bfloat16": {"precision": "bfloat16"},
    "unaugmented": {"augment": "none", "label_smoothing": 0.1},
    "minutes": {"minutes": 0.02, "epochs": None},
    "fused": {**BLOCK, "augment": "none"},
    "fused, augmented": {**BLOCK, "epochs": 1},
    "known weights": {"model": "auto", "pretrained": "efficientnet_lite0", "size": 32, "epochs": 1, "minutes": None},
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_ends_in_the_saved_weights(again: Callable[..., Again], kind: str) -> None:
    made = again(**KINDS[kind])
    steps = [each.step for each in made.steps()]
    assert steps == list(range(1, made.last + 1))
    assert steps or kind in ("known weights", "minutes")
    assert made.drift() is None
    made.check()
    assert made.task.engine.fused == kind.startswith("fused")


@pytest.mark.parametrize("kind", ["adamw", "momentum", "unaugmented", "fused", "fused, augmented"])
def test_the_parts_of_the_pictures_add_up_to_each_gradient(again: Callable[..., Again], kind: str) -> None:
    made, random = again(**KINDS[kind]), np.random.default_rng(1)
    parameters = dict(made.state.module.named_parameters())
    places = {name: parts.split(name, made.state.module) for name in parameters}
    with parts.watching(made, {layer for layer, _ in places.values()}) as watch:
        for step in made.steps():
            runs = watch.take()
            for name, parameter in parameters.items():
                layer, own = places[name]
                index = tuple(int(random.integers(size)) for size in parameter.shape)
                each = parts.of_weight(runs[layer], own, index)
                assert parameter.grad is not None
                assert each.shape == step.rows.shape
                assert each.sum() == pytest.approx(float(parameter.grad[index]), abs=1e-5 * np.abs(each).sum() + 1e-9)
                if parameter.ndim > 1:
                    direction = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(step.step))
                    along = parts.along(runs[layer], direction)
                    whole = (parameter.grad * direction).flatten(1).sum(1).double().numpy()
                    np.testing.assert_allclose(along.sum(0), whole, atol=2e-5 * np.abs(along).sum(0).max() + 1e-9)
    made.check()


def test_without_batch_norm_a_part_is_the_gradient_of_the_pictures_own_loss(again: Callable[..., Again]) -> None:
    plain = {"model": "conv(4, 3) relu maxpool(2) flatten dense", "augment": "none", "label_smoothing": 0}
    made = again(**{**KINDS["sgd"], **plain})
    before = {name: each.detach().clone() for name, each in made.state.module.named_parameters()}
    with parts.watching(made, ["conv1"]) as watch:
        step = made.make()
        shares = parts.of_weight(watch.take()["conv1"], "weight", (2, 1, 0, 2))
    network = made.material.classifier.network
    assert network is not None
    own = network.module(made.material.classifier.input_shape, 2)
    own.load_state_dict(before)
    for share, row in zip(shares, step.rows, strict=True):
        pixels = torch.from_numpy(made.material.data.store.batch(np.array([row]))).permute(0, 3, 1, 2).float() / 255
        scale = made.task.standardise
        mean, deviation = (torch.tensor(each)[:, None, None] for each in (scale.mean, scale.deviation))
        label = torch.tensor([int(made.material.data.labels[row])])
        loss = torch.nn.functional.cross_entropy(own((pixels - mean) / deviation), label)
        (gradient,) = torch.autograd.grad(loss, [own.get_parameter("conv1.weight")])
        assert share == pytest.approx(float(gradient[2, 1, 0, 2]) / len(step.rows), rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("change", ["gone", "changed", "broken"])
def test_a_picture_that_is_not_the_same_is_named(train: Train, photos: Path, tmp_path: Path, change: str) -> None:
    model, pictures = tmp_path / "model", tmp_path / "photos"
    shutil.copytree(photos, pictures)
    pellucid.train(pictures, model, cache=tmp_path / "cache", model="conv(2, 3) relu flatten dense", size=8, epochs=1)
    with (model / "split.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if row["side"] == "train")
    path = pictures / row["path"]
    if change == "gone":
        path.unlink()
    elif change == "broken":
        path.write_bytes(b"no picture")
    else:
        other = next(each for each in path.parent.iterdir() if each != path)
        path.write_bytes(other.read_bytes())
    says = {"gone": "is missing", "changed": "has changed since", "broken": "cannot be read"}[change]
    with pytest.raises(ArtefactError, match=says) as caught:
        result_of(opened(model, tmp_path / "cache"))
    assert str(path) in str(caught.value)
    assert row["sha256"][:12] in str(caught.value)


def test_other_weights_at_the_end_are_an_error_with_the_largest_difference(again: Callable[..., Again]) -> None:
    made = again()
    for _ in made.steps():
        pass
    with torch.no_grad():
        made.state.module.get_parameter("conv1.weight")[1, 2, 0, 1] += 0.25
    drift = made.drift()
    assert drift is not None
    assert (drift.where, drift.different) == ("conv1.weight[1, 2, 0, 1]", 1)
    assert drift.largest == pytest.approx(0.25)
    with pytest.raises(ArtefactError, match=r"conv1\.weight\[1, 2, 0, 1\] by 0\.25"):
        made.check()


def test_a_plan_in_minutes_that_is_missing_is_named(train: Train, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(train(**KINDS["minutes"]), model)
    (model / "plan.csv").unlink()
    with pytest.raises(ArtefactError, match=r"plan\.csv is missing"):
        result_of(opened(model, tmp_path / "cache"))


def test_a_training_in_minutes_that_was_stopped_and_resumed_is_made_again_as_one(photos: Path, tmp_path: Path) -> None:
    cache, model = tmp_path / "cache", tmp_path / "model"
    settings: dict[str, Any] = {**SETTINGS, "model": NETWORK, "minutes": 0.05, "epochs": None, "precision": "float32"}
    first = pellucid.start(photos, model, cache=cache, **settings)
    made = 0
    for event in first:
        made += isinstance(event, Step)
        if made == 2:
            break
    assert isinstance(first, Run)
    first.save_checkpoint()
    first.close()
    pellucid.train(photos, model, cache=cache, resume=True, **settings)
    again = result_of(opened(model, cache))
    steps = [each.step for each in again.steps()]
    assert steps == list(range(1, again.last + 1))
    assert (model / "plan.csv").exists()
    again.check()


def test_pictures_of_16_bits_are_decoded_as_in_the_training(tmp_path: Path) -> None:
    """Black and white were measured over all pictures; those that the network was trained on alone have others."""
    generator = np.random.default_rng(0)
    for number in range(24):
        place = tmp_path / "photos" / ("cat" if number % 2 else "dog") / f"{number:02}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(1000, 4000 + 700 * number, (8, 8), dtype=np.uint16)
        Image.fromarray(pixels).save(place)
    settings = {"model": "conv(2, 3) relu flatten dense", "size": 8, "epochs": 1, "batch": 8, "device": "cpu"}
    model, cache = tmp_path / "model", tmp_path / "cache"
    pellucid.train(tmp_path / "photos", model, cache=cache, seed=3, **settings)
    assert pellucid.load(model).ranges.integer is not None
    for stored in (cache, tmp_path / "another cache"):
        again = result_of(opened(model, stored))
        trained = [again.material.data.catalog.pictures.paths[row] for row in again.material.train]
        assert not {"cat/23.png", "dog/22.png"} & set(trained), "the brightest are not among them"
        for _ in again.steps():
            pass
        assert again.drift() is None
