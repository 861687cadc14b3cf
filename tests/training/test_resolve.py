"""The open settings of a recipe, and the messages about them."""

import pytest

from pellucid.network import zoo
from pellucid.training import recipe as recipes
from pellucid.training.data import Sample
from pellucid.training.resolve import resolve, resolve_length

PHOTOS, DIGITS = Sample(446, grey=False), Sample(28, grey=True)


@pytest.mark.parametrize(
    ("model", "sample", "size", "channels", "augment"),
    [
        ("article", PHOTOS, 300, 3, "none"),
        ("lenet5", DIGITS, 32, 1, "light"),
        ("flatten dense", PHOTOS, 128, 3, "strong"),  # the largest
        ("flatten dense", DIGITS, 48, 3, "light"),  # the smallest
        ("flatten dense", Sample(61, grey=False), 64, 3, "strong"),  # a multiple of 4
    ],
)
def test_what_is_left_open_is_chosen_from_the_pictures(
    model: str, sample: Sample, size: int, channels: int, augment: str
) -> None:
    recipe, reasons = resolve(recipes.make(model=model), zoo.find(model), sample)
    assert (recipe.size, recipe.channels, recipe.augment) == (size, channels, augment)
    assert any(reason.startswith(f"size {size}: ") for reason in reasons)
    assert any(reason.startswith("augment ") for reason in reasons) is (model != "article")


def test_what_is_said_stays() -> None:
    requested = recipes.make(model="article", size=64, channels=1, augment="strong")
    assert resolve(requested, zoo.find("article"), DIGITS) == (requested, ())


@pytest.mark.parametrize(
    ("train", "batch", "epochs"), [(100, 16, 120), (1999, 16, 40), (2000, 32, 40), (4000, 32, 20), (1_000_000, 32, 12)]
)
def test_batch_and_epochs_where_the_recipe_does_not_say(train: int, batch: int, epochs: int) -> None:
    recipe, reasons = resolve_length(recipes.make(), train)
    assert (recipe.batch, recipe.epochs) == (batch, epochs)
    assert [reason.split(": ")[0] for reason in reasons] == [f"batch {batch}", f"epochs {epochs}"]


def test_batch_and_epochs_that_are_said() -> None:
    requested = recipes.make(epochs=7, batch=5)
    assert resolve_length(requested, 100) == (requested, ())


def test_with_minutes_nothing_is_said_of_epochs() -> None:
    recipe, reasons = resolve_length(recipes.make(model="article", minutes=3.0), 100)
    assert (recipe.epochs, recipe.batch, reasons) == (None, 128, ())
