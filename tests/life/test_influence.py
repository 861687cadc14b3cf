"""Who taught an answer: the oracles are trainings in which a picture weighs a little more, and per-picture autograd."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.life.conftest import Train

import pellucid
from pellucid.errors import TraceError
from pellucid.life import answer as answering
from pellucid.life import backward, influence, tracin
from pellucid.life.again import Again, start
from pellucid.life.answer import Answer
from pellucid.network.loss import each_loss
from pellucid.steps import result_of
from pellucid.training import forward, loop
from pellucid.training.optimizer import optimizer

SMALL = {"model": "conv(3, 3, bias=false) batchnorm tanh avgpool(2) flatten dropout(0.2) dense", "size": 8, "epochs": 2}
KINDS: dict[str, dict[str, Any]] = {
    "sgd": {**SMALL, "optimizer": "sgd", "learning_rate": 0.05},
    "adam": {**SMALL, "optimizer": "adam", "class_weights": "balanced"},
    "adamw": SMALL,
    "rmsprop": {**SMALL, "optimizer": "rmsprop", "learning_rate": 3e-4},
    "frozen": {"model": "auto", "pretrained": "efficientnet_lite0", "size": 32, "epochs": 0, "augment": "strong"},
}


def answer_of(again: Again, photos: Path) -> Answer:
    return answering.of(again.material.classifier, photos / "red" / "5.png")


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw", "rmsprop"])
def test_the_derivative_is_that_of_a_training_in_which_the_picture_weighs_less(
    again: Callable[..., Again], photos: Path, kind: str
) -> None:
    """In double precision, every picture's weight in the losses and in batch norm's means, by finite differences."""
    made = again(**KINDS[kind])
    answer = answer_of(made, photos)
    effect = result_of(backward.through_training(made, [answer]))[0]
    assert made.drift() is None
    assert effect.shape == made.task.train.shape
    fresh = result_of(start(made.material))
    for at in (0, 7, 13):
        slopes = [_loss_with(fresh, int(made.task.train[at]), answer, 1 + step) for step in (1e-4, -1e-4)]
        assert -(slopes[0] - slopes[1]) / 2e-4 == pytest.approx(effect[at], rel=2e-3, abs=2e-5 * np.abs(effect).max())


def _loss_with(fresh: Again, row: int, answer: Answer, weight: float) -> float:
    """The answer's loss after the whole training, written out by hand, in which one picture has another weight."""
    task, recipe = fresh.task, fresh.task.recipe
    module = copy.deepcopy(fresh.state.module).double()
    norms = [each for each in module.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    descent = optimizer(fresh.task.recipe, module)
    shares = torch.ones(0)

    def weighted(norm: Any, images: torch.Tensor) -> torch.Tensor:
        repeated = shares.view(-1, 1, 1, 1).expand_as(images[:, :1])
        total = repeated.sum()
        mean = (repeated * images).sum((0, 2, 3)) / total
        variance = (repeated * (images - mean.view(1, -1, 1, 1)) ** 2).sum((0, 2, 3)) / total
        with torch.no_grad():
            norm.running_mean += 0.1 * (mean - norm.running_mean)
            norm.running_var += 0.1 * (variance * total / (total - 1) - norm.running_var)
        away = (images - mean.view(1, -1, 1, 1)) / (variance + norm.eps).sqrt().view(1, -1, 1, 1)
        return away * norm.weight.view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1)

    for norm in norms:
        norm.forward = lambda images, norm=norm: weighted(norm, images)  # type: ignore[method-assign]
    module.train()
    for step in range(1, fresh.last + 1):
        rows = fresh.rows(step)
        shares = torch.ones(len(rows), dtype=torch.float64)
        shares[np.flatnonzero(rows == row)] = weight
        torch.manual_seed(seed := loop.seed_of(task, step - 1))
        images = forward.augmented(task, task.images.batch(rows), torch.Generator().manual_seed(seed))
        with torch.random.fork_rng():
            factors = torch.nn.functional.dropout(torch.ones(len(rows), _width(module)), 0.2)
        logits = _with_dropout(module, images.double(), factors.double())
        labels = torch.from_numpy(task.labels[rows])
        each = each_loss(recipe.loss, logits, labels, recipe.label_smoothing, task.weights)
        descent.zero_grad()
        ((shares * each).sum() / shares.sum()).backward()
        for group in descent.param_groups:
            group["lr"] = fresh.rate(step)
        descent.step()
    for norm in norms:
        del norm.forward
    module.eval()
    image = torch.from_numpy(answer.image[None].copy()).permute(0, 3, 1, 2).double() / 255
    mean, deviation = (torch.tensor(each).double()[:, None, None] for each in _scale(task))
    with torch.no_grad():
        return float(-torch.log_softmax(module((image - mean) / deviation), 1)[0, answer.label])


def _scale(task: Any) -> tuple[Any, Any]:
    return task.standardise.mean, task.standardise.deviation


def _width(module: torch.nn.Module) -> int:
    return next(each for each in module.modules() if isinstance(each, torch.nn.Linear)).in_features


def _with_dropout(module: Any, images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """The network with dropout's own draw in float32, because a draw in float64 is another one."""
    for part in module:
        images = images * factors if isinstance(part, torch.nn.Dropout) else part(images)
    return images


def test_tracin_is_the_sum_of_products_of_gradients(again: Callable[..., Again], photos: Path) -> None:
    """With plain gradient descent: at each moment, per-picture autograd against torch.func.jvp."""
    plain = {"model": "conv(3, 3) relu maxpool(2) flatten dense", "size": 8, "augment": "none", "epochs": 2}
    settings = {**plain, "optimizer": "sgd", "momentum": 0.0, "learning_rate": 0.05}
    made = again(**settings)
    answer = answer_of(made, photos)
    effect = result_of(tracin.estimate(made, [answer]))[0]
    own = result_of(tracin.self_influence(result_of(start(made.material))))
    fresh = result_of(start(made.material))
    assert tracin.moments(fresh) == [fresh.task.steps_per_epoch, 2 * fresh.task.steps_per_epoch]
    expected, rates = np.zeros((2, len(effect))), 0.0
    for step in fresh.steps():
        rates += step.rate
        if step.step not in tracin.moments(fresh):
            continue
        module = fresh.state.module.eval()
        share, rates = rates / len(effect), 0.0
        of_answer = _slope(module, fresh.task, answer.image[None], answer.label, 0.0)
        for at, row in enumerate(fresh.task.train.tolist()):
            label = int(fresh.task.labels[row])
            slope = _slope(module, fresh.task, fresh.task.images.batch(np.array([row])), label, 0.1)
            expected[0, at] += share * float(slope @ of_answer)
            expected[1, at] += share * float(slope @ slope)
    np.testing.assert_allclose(effect, expected[0], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(own, expected[1], rtol=1e-3)


def _slope(module: torch.nn.Module, task: Any, pixels: Any, label: int, smoothing: float) -> torch.Tensor:
    images = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float() / 255
    mean, deviation = (torch.tensor(each)[:, None, None] for each in _scale(task))
    logits = module((images - mean) / deviation)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor([label]), label_smoothing=smoothing)
    return torch.cat([each.flatten() for each in torch.autograd.grad(loss, list(module.parameters()))]).double()


def test_a_frozen_heads_parts_add_up_to_the_logit_and_its_effects_are_those_of_a_new_fit(
    again: Callable[..., Again], photos: Path
) -> None:
    made = again(**KINDS["frozen"])
    assert made.last == 0
    classifier, answer = made.material.classifier, answer_of(made, photos)
    result = result_of(influence.teaching(made, answer))
    assert (result.method, result.steps) == ("head", 0)
    logit = float(classifier.logits(answer.image[None])[0, answer.label])
    assert result.rest is not None
    assert sum(each.part or 0 for each in result.every) + result.rest == pytest.approx(logit, abs=2e-3)
    groups = [[each] for each in (*result.helped(2), *result.hurt(2))]
    checked = result_of(influence.verifying(made.material, answer, result, groups))
    assert len(checked.verified) == 4
    for each in checked.verified:
        assert each.agrees
        assert each.after - each.before == pytest.approx(each.expected, rel=0.5)


def test_helpers_and_hurters_are_verified_by_training_again(train: Train, photos: Path) -> None:
    model = train(**KINDS["sgd"])
    result = pellucid.taught(model, photos / "red" / "5.png", verify=3, cache=model.parent / "cache")
    assert (result.label, result.method, result.drift) == (result.label, "derivative", None)
    assert [each.effect for each in result.every] == sorted((each.effect for each in result.every), reverse=True)
    assert len(result.every) == len({each.path for each in result.every})
    helpers, hurters = result.verified
    assert helpers.pictures == tuple(each.path for each in result.helped(3))
    assert helpers.expected > 0 > hurters.expected
    assert helpers.agrees
    content = result.as_json(2)
    assert [each["path"] for each in content["hurt"]] == [each.path for each in result.hurt(2)]
    assert content["estimate"] is True


def test_suspects_put_wrong_labels_first(train: Train) -> None:
    """Of the photographs three in sixteen of each class show the other colour."""
    plain = {"model": "conv(4, 3) relu maxpool(2) flatten dense", "augment": "none", "epochs": 6}
    model = train(**{**plain, "optimizer": "sgd", "learning_rate": 0.02})
    ranked = pellucid.suspects(model, cache=model.parent / "cache").every
    wrong = np.array([Path(each.path).stem in ("3", "7", "11") for each in ranked])
    effects = np.array([each.effect for each in ranked])
    assert wrong.sum() >= 3
    assert wrong[:2].all()
    assert np.median(effects[wrong]) > 1.5 * np.median(effects[~wrong])
    assert all(each.effect >= 0 for each in ranked)


def test_what_cannot_be_followed_is_one_clear_sentence(
    again: Callable[..., Again], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = again(**KINDS["adamw"])
    with pytest.raises(TraceError, match=r"There is no class 'redd'\. Did you mean 'red'"):
        answering.of(made.material.classifier, photos / "red" / "5.png", "redd")
    with pytest.raises(pellucid.PellucidError, match="method is 'guess'; it must be derivative or tracin"):
        result_of(influence.teaching(made, answer_of(made, photos), "guess"))  # type: ignore[arg-type]
    with pytest.raises(pellucid.PellucidError, match="verify is -1; it must be 0 or more"):
        pellucid.taught(made.material.model, photos / "red" / "5.png", verify=-1)
    monkeypatch.setattr(backward, "MEMORY", 1000)
    with pytest.raises(TraceError, match=r"copies of \d.\d GB"):
        result_of(backward.through_training(made, [answer_of(made, photos)]))


def test_on_another_machine_the_drift_is_in_the_result(again: Callable[..., Again], photos: Path) -> None:
    made = again(**KINDS["adamw"])
    answer = answer_of(made, photos)
    classifier = made.material.classifier
    other = copy.deepcopy(classifier.module)
    with torch.no_grad():
        next(other.parameters())[0, 0, 0, 0] += 0.5
    material = replace(made.material, classifier=replace(classifier, module=other))
    result = result_of(influence.teaching(result_of(start(material)), answer, "tracin"))
    assert result.drift is not None
    assert result.drift.different == 1
    assert "does not end in the saved weights" in result.notes[0]
