"""The lives of all weights of a layer at once, beside those of single weights; and pictures as the network saw them."""

from collections.abc import Callable

import numpy as np
import pytest

from pellucid.errors import ArtefactError
from pellucid.life import seen
from pellucid.life.again import Again
from pellucid.life.parts import watching
from pellucid.life.story import living
from pellucid.life.whole import through
from pellucid.steps import result_of

PLAIN = {"optimizer": "sgd", "momentum": 0, "weight_decay": 0, "augment": "none", "epochs": 2}
NETWORK = "conv(3, 3, padding=1) relu maxpool(2) flatten dense"


@pytest.mark.parametrize("fused", [False, True])
def test_all_weights_at_once_are_those_one_by_one(again: Callable[..., Again], fused: bool) -> None:
    settings = {**PLAIN, "model": NETWORK, "fused": fused}
    names = ("conv1.weight", "conv1.bias", "dense1.weight", "dense1.bias")
    whole = result_of(through(again(**settings), names))
    starts = np.cumsum([0, *(int(np.prod(shape)) for shape in whole.shapes)])
    places = {"conv1.weight": (2, 1, 0, 2), "conv1.bias": (1,), "dense1.weight": (1, 30), "dense1.bias": (0,)}
    texts = [f"{name}[{', '.join(map(str, index))}]" for name, index in places.items()]
    lives = result_of(living(again(**settings), texts, largest=3))
    for number, (name, life) in enumerate(zip(names, lives, strict=True)):
        at = starts[number] + np.ravel_multi_index(places[name], whole.shapes[number])
        assert whole.values[at].tolist() == list(life.values)
        assert whole.gradients[at].tolist() == list(life.gradients)
        assert whole.rates.tolist() == list(life.rates)
        assert whole.largest(3)[at].tolist() == [each.step for each in life.largest]
        for large in life.largest:
            rows, shares = whole.rows[large.step - 1], whole.shares[large.step - 1][:, at]
            stated = {each.row: each.part for each in large.pictures}
            assert {*rows.tolist()} == {*stated}
            expected = [stated[row] for row in rows.tolist()]
            np.testing.assert_allclose(shares, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())


def test_a_training_that_drifts_is_refused(again: Callable[..., Again], monkeypatch: pytest.MonkeyPatch) -> None:
    repeat = again(**PLAIN, model=NETWORK)
    rate = repeat.rate
    monkeypatch.setattr(repeat, "rate", lambda step: rate(step) * 1.0001)
    with pytest.raises(ArtefactError, match="does not end in the saved weights"):
        result_of(through(repeat, ["conv1.bias"]))


@pytest.mark.parametrize("augment", ["strong", "none"])
def test_pictures_are_as_the_network_saw_them(again: Callable[..., Again], augment: str) -> None:
    repeat = again(**{**PLAIN, "augment": augment, "model": NETWORK})
    scale = repeat.task.standardise
    mean, deviation = (np.array(each)[:, None, None] for each in (scale.mean, scale.deviation))
    with watching(repeat, ["conv1"]) as watch:
        for made in repeat.steps(3):
            (run,) = watch.take()["conv1"]
            saw = (run.inputs.float().numpy() * deviation + mean) * 255
            shown = seen.in_step(repeat, made.step).transpose(0, 3, 1, 2).astype(np.float64)
            assert np.abs(shown - saw.clip(0, 255)).max() <= 0.51
            plain = np.stack([seen.plain(repeat, int(row)) for row in made.rows]).transpose(0, 3, 1, 2)
            assert (np.abs(plain - shown).max() > 5) == (augment == "strong")
