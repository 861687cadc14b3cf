"""The text of a card on known weights."""

from typing import Any

import pytest

from pellucid.classifier import origin

HEAD = {"accuracy": 0.976, "loss": 0.047}


def about(whole: dict[str, Any] | None = None, frozen: bool = True, tried: Any = ((0.1, 0.05), (0.3, 0.04))) -> Any:
    head = {"c": 0.3, "seconds": 1.04, "views": ["plain", "mirror"], "tried": [list(pair) for pair in tried]}
    validation = {"head": HEAD, "whole network": whole}
    description = {"name": "net", "source": "a package", "seen": "cats | and dogs", "frozen": frozen, "head": head}
    return {"pretrained": {**description, "validation": validation}}


def test_nothing_of_a_training_from_scratch() -> None:
    assert origin.lines({}) == []
    assert not origin.is_head({})


def test_the_head_alone() -> None:
    first, _, second, _ = origin.lines(about())

    assert first.startswith("It started from known weights of net (a package). The weights had seen cats ")
    assert "features of the training pictures and of their mirror images in 1.0 seconds" in second
    assert "C 0.3, chosen on the validation pictures. No other layer was trained." in second
    assert "a step of plain gradient descent on the head with that picture; the layers before it are frozen" in second
    assert origin.is_head(about())


def test_which_of_the_two_was_kept_with_both_figures() -> None:
    whole = {"accuracy": 0.98, "loss": 0.04}
    better, worse = (origin.lines(about(whole, frozen))[2] for frozen in (False, True))
    both = (
        "the head alone reached 97.6% on validation (cross-entropy 0.047), the whole network, trained from there, 98.0%"
    )

    assert f"The whole network was kept: {both} on validation (cross-entropy 0.040)." in better
    assert f"The head alone was kept: {both}" in worse
    assert "gradient descent" not in better


@pytest.mark.parametrize(
    ("whole", "more", "chance"),
    [
        ({"accuracy": 0.98, "loss": 0.06}, {}, True),
        ({"accuracy": 0.976, "loss": 0.04}, {}, True),
        ({"accuracy": 0.97, "loss": 0.01}, {}, False),
        ({"accuracy": 0.98, "loss": 0.06}, {"training": {"class_weights": [0.7, 1.8]}}, False),
        ({"accuracy": 0.97, "loss": 0.04}, {"recipe": {"labels": "several"}}, True),
    ],
)
def test_why_the_head_was_kept_where_the_whole_network_did_better(
    whole: dict[str, Any], more: dict[str, Any], chance: bool
) -> None:
    line = origin.lines({**about(whole), **more})[2]
    assert (
        "on validation (cross-entropy" in line and "; on so few pictures the difference may be chance." in line
    ) == chance


def test_a_strength_that_nothing_chose() -> None:
    assert "C 0.3, the default." in origin.lines(about(tried=()))[2]
    assert "C 0.3, the default." in origin.lines(about(tried=((0.1, 0.04), (0.3, 0.05))))[2]
