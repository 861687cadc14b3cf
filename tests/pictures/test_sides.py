"""Folder names that are sides of a split, alone and beside each other."""

import pytest

from pellucid.pictures import sides, split
from pellucid.pictures.sides import read, read_all, suspects


@pytest.mark.parametrize(
    ("side", "names"),
    [
        ("train", "train Training TRAIN training_set train_images trainset TrainImages train2017 01_train trainval"),
        ("val", "val valid Validation VALIDATION val_set dev Dev development ValidationData validate"),
        ("test", "test Test testing test_set testset holdout hold-out Held_Out test-dev devtest TestImages unseen"),
        ("eval", "eval Evaluation EVAL eval_set"),
    ],
)
def test_names_of_sides(side: str, names: str) -> None:
    assert {name: read(name) for name in names.split()} == dict.fromkeys(names.split(), (side, ()))


def test_what_is_left_of_a_name_is_what_has_to_be_the_same() -> None:
    assert read("fruits-train") == ("train", ("fruits",))
    assert read("trainA") == ("train", ("a",))
    assert [read(name) for name in ("cat", "contest", "trainer", "strain", "validity", "device", "")] == [None] * 7


@pytest.mark.parametrize(
    ("names", "sides"),
    [
        ("Training Test", "train test"),
        ("training_set test_set", "train test"),
        ("TRAIN Validation holdout", "train val test"),
        ("fruits_train fruits_test", "train test"),
        ("train eval", "train test"),
        ("train eval test", "train val test"),
        ("train valid dev", "train val val"),
    ],
)
def test_names_that_are_one_split(names: str, sides: str) -> None:
    assert read_all(names.split()) == dict(zip(names.split(), sides.split(), strict=True))


@pytest.mark.parametrize("names", ["train", "test val", "train cat", "steam_train test_tube", "train test cat", ""])
def test_names_that_are_none(names: str) -> None:
    assert read_all(names.split()) is None


@pytest.mark.parametrize(
    ("names", "looks"),
    [
        ("train test labels", "train test"),
        ("seg_train seg_test seg_pred", "seg_train seg_test"),
        ("trainA trainB testA testB", "trainA testA trainB testB"),
        ("test val", "test val"),
        ("dev eval", "dev eval"),
    ],
)
def test_names_that_look_like_a_split(names: str, looks: str) -> None:
    assert sorted(suspects(dict.fromkeys(names.split(), ()))) == sorted(looks.split())


def test_a_side_beside_the_same_folders_under_another_name() -> None:
    assert suspects({"train": ("cat", "dog"), "query": ("cat", "dog", "owl")}) == ["train", "query"]
    assert suspects({"train": ("cat", "dog"), "query": ("cat",)}) == []


@pytest.mark.parametrize("names", ["train cat", "steam_train test_tube car", "valid invalid", "cat dog", "train"])
def test_names_that_may_well_be_classes(names: str) -> None:
    assert suspects(dict.fromkeys(names.split(), ())) == []


def test_a_side_has_one_name_in_the_catalog_one_in_the_metrics_and_one_in_a_sentence() -> None:
    assert list(sides.LONG) == list(sides.SPOKEN) == list(split.SIDES)
    assert list(sides.LONG.values()) == ["train", "validation", "test"]
    assert list(sides.SPOKEN.values()) == ["training", "validation", "test"]
    assert [sides.SHORT[long] for long in sides.LONG.values()] == list(split.SIDES)
    assert [sides.LONG[side] for side in sides.REPORTED] == ["test", "validation", "train"]
