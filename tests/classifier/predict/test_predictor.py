"""One Predictor for every backend: it follows the stages of its Backend."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from pellucid.classifier.predict.backend import Logits, Stage
from pellucid.classifier.predict.pictures import Prepared
from pellucid.classifier.predict.predictor import Predictor
from pellucid.errors import PictureError, RecipeError
from pellucid.pictures.decode import ALONE, Form

FORM = Form(4, 4, 3, "stretch")


@dataclass
class Brightness:
    """A backend of two classes: the first pixel, and its opposite. It records the calls."""

    expected: list[int] = field(default_factory=list)
    groups: dict[str, list[int]] = field(default_factory=lambda: {"first": [], "rest": [], "one": []})

    def logits(self, images: np.ndarray) -> np.ndarray:
        value = images[:, 0, 0, 0].astype(np.float32) / 255
        return np.stack([value, -value], axis=1)

    def noting(self, name: str) -> Logits:
        def logits(images: np.ndarray) -> np.ndarray:
            self.groups[name].append(len(images))
            return self.logits(images)

        return logits

    def stages(self, expected: int, batch: int) -> Iterator[Stage]:
        self.expected.append(expected)
        yield Stage(3, 1, lambda: self.noting("first"), lambda: self.noting("one"))
        yield Stage(None, batch, lambda: self.noting("rest"), lambda: self.noting("one"))


@pytest.fixture
def backend() -> Brightness:
    return Brightness()


@pytest.fixture
def predictor(backend: Brightness) -> Predictor:
    return Predictor(("bright", "dark"), FORM, 2.0, 1000, ALONE, None, backend)


def pictures(count: int) -> list[np.ndarray]:
    return [np.full((6, 5, 3), 20 * number, np.uint8) for number in range(count)]


def test_a_stream_goes_through_the_stages_in_order(predictor: Predictor, backend: Brightness) -> None:
    answers = list(predictor.stream(pictures(11), batch=4))
    assert [answer.logits for answer in answers] == [
        pytest.approx((20 * n / 255, -20 * n / 255)) for n in range(len(answers))
    ]
    assert backend.expected == [11]
    assert backend.groups["first"] == [1, 1, 1]
    assert sorted(backend.groups["rest"]) == [4, 4]
    assert backend.groups["one"] == []


def test_the_last_stage_loads_only_if_it_is_needed(predictor: Predictor, backend: Brightness) -> None:
    list(predictor.stream(iter(pictures(2)), batch=4))
    assert backend.groups == {"first": [1, 1], "rest": [], "one": []}
    assert predictor.predict(pictures(1)[0]).label == "bright"
    assert backend.groups["one"] == [1]


def test_probabilities_are_calibrated(predictor: Predictor) -> None:
    answer = predictor.predict(np.full((4, 4, 3), 255, np.uint8))
    assert answer.probability == pytest.approx(1 / (1 + np.exp(-1.0)))  # (1 - -1) / 2
    assert answer.probabilities == pytest.approx({"bright": 1 / (1 + np.exp(-1.0)), "dark": 1 / (1 + np.exp(1.0))})


def test_unusable_pictures(predictor: Predictor) -> None:
    wrong = Prepared(np.zeros((4, 5, 3), np.uint8), "wrong")
    (answer,) = predictor.predict([wrong])
    assert (answer.source, answer.label) == ("wrong", None)
    assert answer.error == "an array of uint8 (4, 5, 3); a prepared image is uint8 (4, 4, 3)"
    with pytest.raises(PictureError, match="a prepared image is uint8"):
        predictor.prepared(wrong)
    with pytest.raises(RecipeError, match="batch is 0"):
        predictor.stream([], batch=0)
    assert predictor.logits(np.zeros((0, 4, 4, 3), np.uint8)).shape == (0, 2)


def test_nobody_subclasses_it() -> None:
    assert vars(Predictor)["__final__"]  # which pyright checks
    assert Predictor.__subclasses__() == []
