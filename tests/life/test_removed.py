"""A training made again without some pictures: the same bits before their first use, a hand-made loop after it."""

import copy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.life.conftest import Train

import pellucid
from pellucid.errors import CatalogError
from pellucid.life import named, removed
from pellucid.life.again import Again, start
from pellucid.network.loss import mean_loss
from pellucid.steps import result_of
from pellucid.training import forward, loop
from pellucid.training.norms import train_mode

PLAIN = {"model": "conv(4, 3) batchnorm relu maxpool(2) flatten dropout(0.2) dense", "size": 8}
KNOWN = {"model": "auto", "pretrained": "efficientnet_lite0", "size": 32, "epochs": 0, "augment": "strong"}


def late(again: Again, after: int) -> int:
    """A row whose first use is after step `after`."""
    return next(
        row for row in again.rows(after + 1).tolist() if removed.first_use(again, frozenset([row])) == after + 1
    )


def test_before_the_first_use_all_bits_are_the_same_and_after_it_those_of_a_loop_by_hand(
    again: Callable[..., Again],
) -> None:
    made = again(**PLAIN)
    row = late(made, 1)
    other = removed.branch(made, frozenset([row]))
    by_hand = copy.deepcopy(made.state)
    for step in range(1, made.last + 1):
        made.make()
        other.make()
        if step < 2:
            assert all(map(torch.equal, made.state.module.parameters(), other.state.module.parameters()))
        _step_by_hand(made, by_hand, row, step)
        for one, two in zip(
            other.state.module.state_dict().values(), by_hand.module.state_dict().values(), strict=True
        ):
            assert torch.equal(one, two)
    assert not all(map(torch.equal, made.state.module.parameters(), other.state.module.parameters()))
    assert made.drift() is None


def _step_by_hand(made: Again, state: loop.State, row: int, step: int) -> None:
    """Draw for all pictures of the step, train on the others."""
    task, rows = made.task, made.rows(step)
    torch.manual_seed(seed := loop.seed_of(task, step - 1))
    train_mode(state.module, frozen_norms=False)
    images = forward.augmented(task, task.images.batch(rows), torch.Generator().manual_seed(seed))
    stays = np.flatnonzero(rows != row)
    labels = torch.from_numpy(task.labels[rows[stays]])
    recipe = task.recipe
    state.optimizer.zero_grad()
    before, last = state.module[:-2], state.module[-1]  # type: ignore[index]
    features = before(images[stays])
    draws = torch.nn.functional.dropout(torch.ones(len(rows), features.shape[1]), 0.2)
    mean_loss(recipe.loss, last(features * draws[stays]), labels, recipe.label_smoothing).backward()
    for group in state.optimizer.param_groups:
        group["lr"] = made.rate(step)
    state.optimizer.step()


def test_the_two_networks_are_compared(train: Train, photos: Path) -> None:
    model = train(**{**PLAIN, "test": 0.25})
    material = result_of(_gathering(model))
    rows = material.train[[3, 9]]
    paths = [material.data.catalog.pictures[int(row)].path for row in rows]
    result = pellucid.trained_without(model, paths, cache=model.parent / "cache")
    assert [each.path for each in result.pictures] == paths
    assert [each.label for each in result.pictures] == [path.split("/")[0] for path in paths]
    assert 1 <= result.first <= result.steps
    assert result.drift is None
    other = result_of(removed.made_without(material, frozenset(rows.tolist()))).again.state.module.eval()
    own = dict(material.classifier.module.named_parameters())
    for layer in result.layers:
        apart = [
            (each.detach() - own[name].detach()).abs().double().flatten()
            for name, each in other.named_parameters()
            if name.rpartition(".")[0] == layer.layer
        ]
        assert layer.weights == sum(map(len, apart))
        assert layer.largest == pytest.approx(float(torch.cat(apart).max()))
        assert layer.mean == pytest.approx(float(torch.cat(apart).mean()))
    assert result.comparison is not None
    assert result.losses is not None
    without = replace(material.classifier, module=other)
    losses = []
    for each in result.comparison.pictures:
        assert each.second_probabilities == pytest.approx(
            list((without.predict(each.picture).probabilities or {}).values())
        )
        assert each.labels is not None
        losses.append(-np.log(each.second_probabilities[each.labels[0]]))
    assert result.losses[1] == pytest.approx(np.mean(losses))
    assert result.as_json()["first_step"] == result.first


def _gathering(model: Path) -> Any:
    from pellucid.life.material import gather

    return gather(model, pellucid.load(model), model.parent / "cache")


def test_a_whole_step_and_all_but_one_of_a_step_with_batch_norm(again: Callable[..., Again]) -> None:
    """Without all of a step it is not made; of one picture batch norm still has the places of its map."""
    made = again(**PLAIN)
    rows = made.rows(1)
    for left_out in (rows, rows[1:]):
        result = result_of(removed.removing(made.material, left_out.tolist()))
        assert result.first == 1
        assert all(np.isfinite(layer.largest) for layer in result.layers)
    none = removed.branch(made, frozenset(rows.tolist()))
    none.make()
    assert all(map(torch.equal, made.state.module.parameters(), none.state.module.parameters()))


def test_a_head_is_fitted_again_to_the_other_pictures(again: Callable[..., Again]) -> None:
    made = again(**KNOWN)
    row = int(made.task.train[4])
    result = result_of(removed.removing(made.material, [row]))
    assert (result.first, result.steps) == (0, 0)
    assert {layer.layer: layer.largest > 0 for layer in result.layers if layer.largest} == {"dense1": True}
    assert result.pictures[0].before != result.pictures[0].after
    fitted = result_of(start(made.material, frozenset([row])))
    assert [layer.largest for layer in result.layers if layer.largest] == pytest.approx(
        [
            max(
                float((one - two).detach().abs().max())
                for one, two in zip(
                    *(list(each.state.module.children())[-1].parameters() for each in (fitted, made)), strict=True
                )
            )
        ]
    )


def test_pictures_are_named_by_path_or_content(train: Train, photos: Path, tmp_path: Path) -> None:
    model = train(**PLAIN)
    material = result_of(_gathering(model))
    row = int(material.train[0])
    path = material.data.catalog.pictures[row].path
    copy_of = tmp_path / "copy.png"
    shutil.copy(photos / path, copy_of)
    assert named.rows(material, [path, photos / path, copy_of]) == [row]
    with pytest.raises(CatalogError, match=r"lists no picture of this name\. Did you mean red/1"):
        named.rows(material, ["red/1x.png"])
    stranger = tmp_path / "stranger.png"
    stranger.write_bytes(copy_of.read_bytes() + b"0")
    with pytest.raises(CatalogError, match="has no picture with this content"):
        named.rows(material, [stranger])
    validation = material.data.catalog.pictures[int(material.validation[0])].path
    with pytest.raises(CatalogError, match=r"is one of its validation pictures.*was not trained on it"):
        named.rows(material, [validation])
    with pytest.raises(CatalogError, match="No picture is named"):
        pellucid.trained_without(model, [], cache=model.parent / "cache")


@pytest.mark.parametrize("settings", [PLAIN, KNOWN])
def test_one_picture_must_be_left(settings: dict[str, Any], again: Callable[..., Again]) -> None:
    material = again(**settings).material
    count = len(material.train)
    for work in (removed.removing, lambda material, rows: removed.made_without(material, frozenset(rows))):
        with pytest.raises(CatalogError, match=f"Without these {count} pictures nothing is left"):
            result_of(work(material, material.train.tolist()))


def test_a_drift_is_told_and_both_networks_are_made_here(again: Callable[..., Again]) -> None:
    made = again(**PLAIN)
    classifier = made.material.classifier
    other = copy.deepcopy(classifier.module)
    with torch.no_grad():
        next(other.parameters())[0, 0, 0, 0] += 0.5
    material = replace(made.material, classifier=replace(classifier, module=other))
    result = result_of(removed.removing(material, [int(made.task.train[0])]))
    assert result.drift is not None
    assert result.drift.largest == pytest.approx(0.5)
    assert "Both networks were made here." in result.notes[0]
    assert all(layer.largest < 0.5 for layer in result.layers)
