"""Predictions: the same for every batch size, order and kind of source; lazy, calibrated, and never an exception."""

import itertools
import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pellucid
from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predict.prediction import Prediction
from pellucid.classifier.predict.workers import MOST_WORKERS
from pellucid.errors import RecipeError
from pellucid.runtime.threads import cores


@pytest.fixture(scope="module")
def classifier(trained: Path) -> Classifier:
    return pellucid.load(trained)


@pytest.fixture(scope="module")
def files(photos: Path) -> list[Path]:
    return sorted(photos.rglob("*.png"))


def vectors(answers: Iterator[Prediction]) -> np.ndarray:
    """float64 (n, classes)"""
    return np.array([list((answer.probabilities or {}).values()) for answer in answers])


@pytest.mark.parametrize("batch", [2, 7, 32])
def test_batch_size_changes_nothing_but_rounding(classifier: Classifier, files: list[Path], batch: int) -> None:
    alone = vectors(classifier.stream(files, 1))
    assert alone.shape == (32, 2)
    assert alone.std(axis=0).min() > 0.01  # otherwise it would prove nothing
    assert np.abs(vectors(classifier.stream(files, batch)) - alone).max() < 1e-5


def test_order_changes_nothing_but_rounding(classifier: Classifier, files: list[Path]) -> None:
    answers = list(classifier.stream(files, 7))
    backwards = list(classifier.stream(files[::-1], 7))
    assert [answer.source for answer in backwards] == [str(path) for path in files[::-1]]
    assert np.abs(vectors(iter(answers)) - vectors(iter(backwards[::-1]))).max() < 1e-5


def test_it_learned_the_colours(classifier: Classifier, files: list[Path]) -> None:
    right = sum(answer.label == Path(answer.source).parent.name for answer in classifier.stream(files))
    assert 24 <= right <= 28  # six of the 32 labels are wrong


def test_path_text_bytes_and_array_are_the_same_picture(classifier: Classifier, files: list[Path]) -> None:
    path = files[0]
    image = np.array(Image.open(path))
    answers = classifier.predict([path, str(path), path.read_bytes(), image])
    assert [answer.source for answer in answers] == [str(path), str(path), "<bytes>", "<ndarray>"]
    assert np.ptp(vectors(iter(answers)), axis=0).max() < 1e-5
    one = classifier.predict(image)
    assert isinstance(one, Prediction)
    assert one.label == answers[0].label


def test_an_array_need_not_be_contiguous(classifier: Classifier, files: list[Path]) -> None:
    image = np.array(Image.open(files[0]))
    turned = np.ascontiguousarray(image[..., ::-1])[..., ::-1]
    assert not turned.flags.c_contiguous
    assert classifier.predict(turned).logits == classifier.predict(image).logits


def test_probabilities_are_calibrated_sum_to_one_and_follow_the_classes(classifier: Classifier, files: list) -> None:
    classifier = replace(classifier, temperature=1.7)
    answer = classifier.predict(files[0])
    assert list(answer.probabilities) == list(classifier.classes) == ["blue", "red"]
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-12)
    powers = [math.exp(logit / classifier.temperature) for logit in answer.logits]
    assert list(answer.probabilities.values()) == pytest.approx([power / sum(powers) for power in powers], rel=1e-6)
    assert answer.probability == max(answer.probabilities.values()) == answer.probabilities[answer.label]


def test_temperature_by_hand(classifier: Classifier) -> None:
    halved = replace(classifier, temperature=2.0)
    # softmax((0, 2 ln 4) / 2) = (1, 4) / 5
    assert halved.probabilities(np.array([[0, 2 * math.log(4)]], np.float32))[0] == pytest.approx([0.2, 0.8])
    assert halved.probabilities(np.array([[2000, -2000]], np.float32))[0] == pytest.approx([1, 0])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((5, 5), np.uint8), "uint8 (5, 5)"),
        (np.zeros((5, 5, 3), np.float32), "float32 (5, 5, 3)"),
        (np.zeros((5, 5, 4), np.uint8), "uint8 (5, 5, 4)"),
        (np.zeros((2, 5, 5, 3), np.uint8), "uint8 (2, 5, 5, 3)"),
        (np.zeros((0, 5, 3), np.uint8), "uint8 (0, 5, 3)"),
    ],
)
def test_an_array_that_is_no_picture_says_what_it_is(classifier: Classifier, image: np.ndarray, message: str) -> None:
    answer = classifier.predict(image)
    assert answer.error == f"an array of {message}; a picture is uint8 (height, width, 3)"
    assert (answer.label, answer.probability, answer.probabilities, answer.logits) == (None, None, None, None)
    assert answer.top(3) == []


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"", "empty file"),
        (b"no picture at all", "not a picture"),
        ("nowhere/cat.jpg", "not found"),
        ("nul\0.png", "not a path: "),
        ("x" * 5000, "File name too long"),
    ],
)
def test_what_cannot_be_read_is_a_row_with_its_reason(
    classifier: Classifier, files: list, source: object, reason: str
) -> None:
    before, bad, after = classifier.predict([files[0], source, files[1]])
    assert reason.lower() in bad.error.lower()
    assert before.error is None
    assert after.error is None
    assert classifier.predict(files[1]).logits == pytest.approx(after.logits, abs=1e-5)


def test_a_folder_is_no_picture(classifier: Classifier, photos: Path) -> None:
    assert classifier.predict(photos).error == "a folder"


def test_nothing_gives_nothing(classifier: Classifier) -> None:
    assert classifier.predict([]) == []


@pytest.mark.parametrize("batch", [1, 5])
def test_a_stream_reads_only_a_little_ahead(classifier: Classifier, files: list[Path], batch: int) -> None:
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        for path in itertools.cycle(files):
            taken += 1
            yield path

    stream = classifier.stream(endless(), batch)
    assert taken == 0
    most = batch * (2 * max(2, min(MOST_WORKERS, cores())) + 2)
    for count in range(1, 60):
        next(stream)
        assert taken <= count + most
    stream.close()


def test_an_abandoned_stream_leaves_no_thread(classifier: Classifier, files: list[Path]) -> None:
    before = set(threading.enumerate())
    stream = classifier.stream(files, 1)
    next(stream)
    assert set(threading.enumerate()) > before
    stream.close()
    assert set(threading.enumerate()) == before


def test_many_threads_may_ask_one_classifier(classifier: Classifier, files: list[Path]) -> None:
    alone = [classifier.predict(path).logits for path in files]
    with ThreadPoolExecutor(6) as pool:
        together = [answer.logits for answer in pool.map(classifier.predict, files * 2)]
    assert np.abs(np.array(together) - np.array(alone * 2)).max() < 1e-5


def test_an_error_of_whoever_hands_out_pictures_is_not_swallowed(classifier: Classifier, files: list[Path]) -> None:
    def failing() -> Iterator[Path]:
        yield files[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(classifier.stream(failing()))


def test_the_pixel_limit_is_the_classifiers(classifier: Classifier, files: list[Path]) -> None:
    assert "limit" in replace(classifier, pixel_limit=479).predict(files[0]).error  # 20 x 24 = 480
    assert replace(classifier, pixel_limit=480).predict(files[0]).error is None


def test_batch_must_be_positive(classifier: Classifier, files: list[Path]) -> None:
    with pytest.raises(RecipeError, match=r"batch is 0; it must be 1 or more\."):
        classifier.stream(files, 0)


def test_training_mode_is_left_before_predicting(classifier: Classifier, files: list[Path]) -> None:
    classifier.module.train()
    classifier.predict(files[0])
    assert not classifier.module.training


def test_top_and_json(classifier: Classifier, files: list[Path]) -> None:
    answer = classifier.predict(files[0])
    ranked = answer.top(5)
    assert [share for _, share in ranked] == sorted(answer.probabilities.values(), reverse=True)
    assert answer.as_json(1) == {
        "picture": str(files[0]),
        "label": answer.label,
        "probability": answer.probability,
        "probabilities": {answer.label: answer.probability},
    }
    assert len(answer.as_json()["probabilities"]) == 2
    assert classifier.predict(b"").as_json() == {"picture": "<bytes>", "error": "empty file"}


def test_grey_and_odd_sizes(classifier: Classifier, tmp_path: Path, paint: Callable[[int, int], np.ndarray]) -> None:
    Image.fromarray(paint(1, 0)[:1, :1]).save(tmp_path / "dot.png")
    Image.fromarray(paint(1, 0)).convert("L").save(tmp_path / "grey.png")
    answers = classifier.predict([tmp_path / "dot.png", tmp_path / "grey.png"])
    assert [answer.error for answer in answers] == [None, None]
