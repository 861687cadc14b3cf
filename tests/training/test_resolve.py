"""What a recipe leaves open, and what is said of it."""

import pytest

from pellucid.network import zoo
from pellucid.training import recipe as recipes
from pellucid.training.data import Sample
from pellucid.training.resolve import resolve, resolve_epochs

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
    asked = recipes.make(model="article", size=64, channels=1, augment="strong")
    assert resolve(asked, zoo.find("article"), DIGITS) == (asked, ())


@pytest.mark.parametrize(("train", "epochs"), [(100, 120), (2000, 30), (4000, 15), (1_000_000, 12)])
def test_epochs_where_the_recipe_does_not_say(train: int, epochs: int) -> None:
    found, reason = resolve_epochs(recipes.make(), train)
    assert found == epochs
    assert reason.startswith(f"epochs {epochs}: ")


def test_epochs_that_are_said() -> None:
    assert resolve_epochs(recipes.make(epochs=7), 100) == (7, "")
