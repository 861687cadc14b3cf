"""Unequal classes: when and how much they are weighted, and the effect on training and trace."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import pellucid
from pellucid.errors import TraceError
from pellucid.glassbox.arithmetic.loss import Loss
from pellucid.network.loss import mean_loss
from pellucid.runs.events import Started
from pellucid.runs.run import Run
from pellucid.training import recipe as recipes
from pellucid.training import weighting
from pellucid.training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("undrawn")

COUNTS, CLASSES = (30, 10, 20), ("cat", "owl", "dog")
WEIGHTS = (60 / 90, 2.0, 1.0)
SETTINGS = {"model": "conv(4, 3) batchnorm relu globalavgpool dense", "size": 16, "epochs": 2, "batch": 8}
SETTINGS |= {"augment": "none", "precision": "float32", "validation": 0.2, "test": 0.2}


def loss(recipe: Recipe, *numbers: Any) -> torch.Tensor:
    logits, labels, *weights = numbers
    return mean_loss(recipe.loss, logits, labels, recipe.label_smoothing, *weights)


def test_the_weights_are_n_over_k_times_the_class() -> None:
    weights = weighting.balanced(COUNTS)
    assert weights == pytest.approx(WEIGHTS)
    # on average a picture counts once, and each class equally in total
    assert np.dot(weights, COUNTS) == pytest.approx(sum(COUNTS))
    assert np.ptp(np.multiply(weights, COUNTS)) == pytest.approx(0)


@pytest.mark.parametrize(
    ("counts", "chosen"), [((20, 10), "none"), ((21, 10), "balanced"), ((10, 10), "none"), ((1, 5, 3), "balanced")]
)
def test_over_two_to_one_is_weighted_by_default(counts: tuple[int, ...], chosen: str) -> None:
    recipe, reasons = weighting.resolve(Recipe(), counts, CLASSES)
    assert recipe.class_weights == chosen
    assert len(reasons) == (chosen == "balanced")
    assert (weighting.of(recipe, counts) is None) == (chosen == "none")


def test_the_reason_names_both_classes() -> None:
    _, (reason,) = weighting.resolve(Recipe(), COUNTS, CLASSES)
    assert reason == (
        "class weights 0.67 (cat) to 2.00 (owl): cat has 3.0 times as many training pictures as owl, so each class "
        "counts the same"
    )


def test_asked_for_it_is_done_and_not_asked_for_it_is_not() -> None:
    recipe, reasons = weighting.resolve(Recipe(class_weights="balanced"), (11, 10), CLASSES)
    assert recipe.class_weights == "balanced"
    assert reasons[0].endswith(": as requested")
    recipe, reasons = weighting.resolve(Recipe(class_weights="none"), COUNTS, CLASSES)
    assert (recipe.class_weights, reasons) == ("none", ())
    assert recipes.make(model="article").class_weights == "none"


@pytest.mark.parametrize("settings", [{"label_smoothing": 0.0}, {"label_smoothing": 0.3}, {"loss": "mse"}])
def test_each_picture_counts_so_many_times(settings: dict[str, Any]) -> None:
    recipe = Recipe(**settings)
    torch.manual_seed(0)
    logits, labels = torch.randn(7, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 1, 0, 0, 2])
    alone = [loss(recipe, logits[n : n + 1], labels[n : n + 1]) for n in range(7)]
    expected = sum(WEIGHTS[label] * each for label, each in zip(labels.tolist(), alone, strict=True)) / 7
    assert float(loss(recipe, logits, labels, WEIGHTS)) == pytest.approx(float(expected), rel=1e-9)
    # parts of a batch add up to it, unlike with a division of each part by its own weights
    parts = [loss(recipe, logits[part], labels[part], WEIGHTS) * len(part) / 7 for part in np.array_split(range(7), 3)]
    assert float(sum(parts)) == pytest.approx(float(expected), rel=1e-9)


def test_it_is_pytorchs_weighted_sum_divided_by_the_pictures() -> None:
    logits, labels = torch.randn(5, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 1, 0])
    weights = torch.tensor(WEIGHTS, dtype=torch.float64)
    expected = F.cross_entropy(logits, labels, weights, reduction="sum") / 5
    assert float(mean_loss("cross_entropy", logits, labels, 0.0, WEIGHTS)) == pytest.approx(float(expected))


@pytest.mark.parametrize("kind", ["cross_entropy", "mse"])
def test_the_loss_of_a_trace_is_that_of_the_training(kind: Any) -> None:
    recipe = Recipe(loss=kind)
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 1, 2])
    ours = Loss(kind, recipe.label_smoothing, importance=WEIGHTS)
    assert torch.equal(ours.of(logits, labels), loss(recipe, logits, labels, WEIGHTS))


def test_importance_that_does_not_fit_is_refused() -> None:
    with pytest.raises(TraceError, match="2 numbers of importance, but there are 3 classes"):
        Loss(importance=(1.0, 2.0)).check(3, 0)
    with pytest.raises(TraceError, match="both importance and class weights"):
        Loss(weights=(1.0, 2.0), importance=(1.0, 2.0)).check(2, 0)


@pytest.fixture(scope="module")
def unequal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty blue pictures and ten red ones, noisy."""
    root = tmp_path_factory.mktemp("unequal") / "photos"
    generator = np.random.default_rng(3)
    for channel, name, count in ((2, "blue", 30), (0, "red", 10)):
        (root / name).mkdir(parents=True)
        for number in range(count):
            image = generator.integers(0, 170, (18, 18, 3))
            image[..., channel] += 60
            Image.fromarray(image.astype(np.uint8)).save(root / name / f"{number}.png")
    return root


@pytest.mark.parametrize("kind", ["cross_entropy", "mse"])
def test_from_the_folder_to_the_explained_step(unequal: Path, tmp_path: Path, kind: str) -> None:
    run = Run(unequal, recipes.make(**SETTINGS, loss=kind), tmp_path / "out", tmp_path / "cache")
    started = [event for event in run if isinstance(event, Started)]
    reasons = [reason for reason in started[0].reasons if reason.startswith("class weights")]
    pellucid.finish(run)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    counts = np.bincount([0] * 18 + [1] * 6)
    assert config["recipe"]["class_weights"] == "balanced"
    assert config["training"]["class_weights"] == pytest.approx(weighting.balanced(counts.tolist()))
    assert len(reasons) == 1
    assert reasons[0] in config["reasons"]
    card = (tmp_path / "out" / "README.md").read_text()
    assert "In the loss each picture was weighted by its class: blue 0.67, red 2.00." in card
    stated = json.loads((tmp_path / "out" / "metrics.json").read_text())["test"]
    assert f"| {stated['balanced_accuracy']:.1%} | " in card

    classifier = pellucid.load(tmp_path / "out")
    for label, name in enumerate(classifier.classes):
        trace = classifier.explain(unequal / "red" / "0.png", name)
        recipe = recipes.make(**config["recipe"])
        scores, target = torch.from_numpy(trace.logits)[None].requires_grad_(), torch.tensor([label])
        own = loss(recipe, scores, target)
        weighted = loss(recipe, scores, target, config["training"]["class_weights"])
        assert trace.loss == pytest.approx(weighted.item(), rel=1e-6)
        assert trace.loss == pytest.approx(config["training"]["class_weights"][label] * own.item(), rel=1e-6)
        assert trace.unit("loss").total == pytest.approx(trace.loss, rel=1e-6)
        weighted.backward()
        assert trace.gradients[trace.output][0] == pytest.approx(scores.grad[0].numpy(), rel=1e-4, abs=1e-7)
        assert trace.gradient(f"{trace.output}[{label}]").total == pytest.approx(float(scores.grad[0, label]), rel=1e-4)


def test_a_resumed_run_keeps_its_weights(unequal: Path, tmp_path: Path) -> None:
    whole = Run(unequal, recipes.make(**SETTINGS), tmp_path / "whole", tmp_path / "cache")
    for _ in whole:
        pass
    broken = Run(unequal, recipes.make(**SETTINGS), tmp_path / "broken", tmp_path / "cache", checkpoint_seconds=0.0)
    for event in broken:
        if getattr(event, "step", 0) == 2:
            break
    broken.save_checkpoint()
    broken.close()
    again = Run(unequal, recipes.make(**SETTINGS), tmp_path / "broken", tmp_path / "cache", resume=True)
    started = [event for event in again if isinstance(event, Started)]
    assert sum(reason.startswith("class weights") for reason in started[0].reasons) == 1
    assert again._ready is not None
    assert whole._ready is not None
    assert again._ready.task.weights == whole._ready.task.weights
    for one, other in zip(whole._ready.state.module.parameters(), again._ready.state.module.parameters(), strict=True):
        assert torch.equal(one, other)
    whole.close()
    again.close()
