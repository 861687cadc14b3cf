"""The start of a training, and the settings that known weights decide."""

from typing import Any

import pytest

from pellucid.errors import RecipeError
from pellucid.pictures.decode import Form
from pellucid.training import recipe as recipes
from pellucid.training import road
from pellucid.training.data import Sample
from pellucid.training.resolve import resolve_length

PHOTOS, XRAYS, DIGITS, ICONS = Sample(446, False), Sample(1300, True), Sample(28, True), Sample(63, False)
FORM = Form(224, 224, 3, "crop", 0.875, "bicubic")


@pytest.mark.parametrize(
    ("sample", "model", "pretrained", "why"),
    [
        (PHOTOS, "auto", "imagenet", "efficientnet_lite0 with ImageNet weights: colour photographs, and the pictures'"),
        (XRAYS, "auto", "imagenet", "efficientnet_lite0 with ImageNet weights: grey pictures"),
        (DIGITS, "compact", None, "compact, from scratch: the pictures' longer side is 28 (median), and known weights"),
        (ICONS, "compact", None, "compact, from scratch: the pictures' longer side is 63 (median)"),
    ],
)
def test_the_pictures_choose(sample: Sample, model: str, pretrained: str | None, why: str) -> None:
    recipe, (reason,) = road.choose(recipes.make(), sample)
    assert (recipe.model, recipe.pretrained) == (model, pretrained)
    assert reason.startswith(why)


@pytest.mark.parametrize(
    ("settings", "model", "pretrained"),
    [
        ({"model": "article"}, "article", None),
        ({"model": "efficientnet_lite0"}, "efficientnet_lite0", None),
        ({"pretrained": "my-model"}, "auto", "my-model"),
        ({"model": "resnet18", "pretrained": "x"}, "resnet18", "x"),
        ({"from_scratch": True}, "compact", None),
        ({"from_scratch": True, "model": "lenet5"}, "lenet5", None),
    ],
)
def test_what_the_user_says_counts(settings: dict[str, Any], model: str, pretrained: str | None) -> None:
    recipe, _ = road.choose(recipes.make(**settings), PHOTOS)
    assert (recipe.model, recipe.pretrained) == (model, pretrained)


def test_the_weights_decide_what_is_not_named() -> None:
    requested = recipes.make(pretrained="x", learning_rate=0.5)
    recipe, form, reasons = road.resolve(requested, "net", FORM, PHOTOS, {"pretrained", "learning_rate"})

    assert form == FORM
    assert (recipe.model, recipe.size, recipe.channels, recipe.fit) == ("net", 224, 3, "crop")
    assert (recipe.learning_rate, recipe.weight_decay) == (0.5, road.SETTINGS["weight_decay"])
    assert reasons[0].startswith("size 224, crop, 0.875 of the middle, bicubic")
    assert recipe.augment == "strong"
    assert road.resolve(requested, "net", FORM, XRAYS, ())[0].augment == "light"


@pytest.mark.parametrize(
    ("settings", "form"),
    [
        ({"size": 160}, Form(160, 160, 3, "crop", 0.875, "bicubic")),
        ({"fit": "pad"}, Form(224, 224, 3, "pad", 1.0, "bicubic")),
        ({"fit": "crop"}, FORM),
        ({"channels": 3}, FORM),
    ],
)
def test_another_form_where_it_is_named(settings: dict[str, Any], form: Form) -> None:
    requested = recipes.make(pretrained="x", **settings)
    assert road.resolve(requested, "net", FORM, PHOTOS, {"pretrained", *settings})[1] == form


@pytest.mark.parametrize(
    ("grey", "train", "accuracy", "steps", "says"),
    [
        (True, 5000, 0.952, 0, "wrong: with so many grey pictures --from-scratch may do better"),
        (True, 5000, 0.952, 9, "wrong: with so many grey pictures --from-scratch may do better"),
        (True, 500, 0.85, 0, "the head gets 15.0% of the validation pictures wrong: you can try --from-scratch"),
        (
            False,
            5000,
            0.85,
            0,
            "the head gets 15.0% of the validation pictures wrong: you can try --from-scratch",
        ),
        (False, 5000, 0.85, 9, None),
        (False, 5000, 0.9, 0, None),
        (True, 5000, 0.98, 0, None),
        (False, 500, 0.97, 0, None),
    ],
)
def test_a_poor_head_says_what_else_may_help(
    grey: bool, train: int, accuracy: float, steps: int, says: str | None
) -> None:
    report = road.untried(grey, train, accuracy, steps)
    assert len(report) == (says is not None)
    assert all(says in sentence for sentence in report if says)


@pytest.mark.parametrize(("size", "report"), [(None, False), (160, False), (113, False), (112, True), (32, True)])
def test_a_size_far_below_what_the_weights_have_seen_is_told(size: int | None, report: bool) -> None:
    requested = recipes.make(pretrained="x", size=size)
    reasons = road.resolve(requested, "net", FORM, PHOTOS, {"size"} if size else ())[2]
    message = [reason for reason in reasons if "far below" in reason]

    assert len(message) == report
    assert all(
        f"size {size} is far below what the weights have seen" in reason and "224" in reason for reason in message
    )


def test_what_the_weights_cannot_take() -> None:
    with pytest.raises(RecipeError, match="channels is 1, and the weights of net were trained with 3"):
        road.resolve(recipes.make(pretrained="x", channels=1), "net", FORM, PHOTOS, ())
    with pytest.raises(RecipeError, match="loss is 'mse'"):
        road.resolve(recipes.make(pretrained="x", loss="mse"), "net", FORM, PHOTOS, ())


def test_the_head_alone_where_neither_epochs_nor_minutes_are_named() -> None:
    recipe, reasons = resolve_length(recipes.make(pretrained="x"), 500)
    assert recipe.epochs == 0
    assert [reason.split(":")[0] for reason in reasons] == ["epochs 0"]
    assert resolve_length(recipes.make(pretrained="x", epochs=4), 500)[0].epochs == 4
    assert resolve_length(recipes.make(pretrained="x", minutes=4.0), 500)[0].epochs is None
