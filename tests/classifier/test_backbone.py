"""Features: the input of the last dense layer. Times its weight, plus its bias, they give the logits."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pellucid.classifier import store
from pellucid.classifier.classifier import Classifier
from pellucid.errors import NetworkError, PictureError, RecipeError
from pellucid.network import text
from pellucid.network.standardise import Standardise
from pellucid.pictures.decode import Form

NETWORKS = [
    "conv(4, 3) relu maxpool(2) flatten dense",
    "conv(4, 3) batchnorm relu residual(conv(4, 3, padding=same) relu) globalavgpool dropout(0.5) dense",
    "flatten dense(7) relu dense",
]


def classifier(network: str | torch.nn.Module, classes: int = 3) -> Classifier:
    torch.manual_seed(1)
    described = text.parse(network if isinstance(network, str) else "flatten dense")
    module = described.module((3, 16, 16), classes) if isinstance(network, str) else network
    scale = Standardise((0.5,) * 3, (0.25,) * 3)
    names = tuple("abcdefgh"[:classes])
    return Classifier(described, module.eval(), names, Form(16, 16, 3, "stretch"), scale, 1.7)


def images(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(2)
    return [random.integers(0, 256, (16, 16, 3)).astype(np.uint8) for _ in range(count)]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("count", [1, 3, 50])
def test_features_times_weight_plus_bias_are_the_logits(network: str, count: int) -> None:
    one = classifier(network)
    result = one.features(images(count))
    head = one.module.get_submodule(one.backbone.head)
    assert isinstance(head, torch.nn.Linear)
    assert result.dtype == np.float32
    assert result.shape == (count, head.in_features)
    weight, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
    logits = np.array([answer.logits for answer in one.predict(images(count))])
    np.testing.assert_allclose(result @ weight.T + bias, logits, rtol=1e-5, atol=1e-5)


def test_predictions_come_with_their_features_in_order(photos: Path, trained: Path) -> None:
    one = store.load(trained)
    paths = sorted(photos.rglob("*.png"))
    pictures = [*paths[:20], photos / "no such.png", *paths[20:]]
    rows = list(one.described(pictures))
    assert [row.prediction.source for row in rows] == [str(path) for path in pictures]
    assert rows[20].features is None
    assert rows[20].prediction.error is not None
    for row, answer in zip(rows, one.predict(pictures), strict=True):
        assert row.prediction.label == answer.label
        if row.features is not None:
            np.testing.assert_allclose(row.prediction.logits, answer.logits, rtol=1e-4, atol=1e-5)
            alone = one.features(row.prediction.source)
            assert alone.shape == (1, one.backbone.width)
            np.testing.assert_allclose(alone[0], row.features, rtol=1e-4, atol=1e-5)


def test_pictures_are_described_as_they_are_asked_for() -> None:
    one, seen = classifier(NETWORKS[0]), 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal seen
        while True:
            seen += 1
            yield images(1)[0]

    rows = one.described(endless(), batch=4)
    for _ in range(10):
        next(rows)
    assert seen < 200


def test_what_cannot_be_described(photos: Path, tmp_path: Path) -> None:
    one = classifier(NETWORKS[0])
    with pytest.raises(PictureError, match=r"gone\.png: "):
        one.features([photos / "red" / "0.png", tmp_path / "gone.png"])
    with pytest.raises(RecipeError, match="batch is 0"):
        one.described([], batch=0)
    assert one.features([]).shape == (0, 4 * 7 * 7)


class Scaled(torch.nn.Module):
    """Does not end in its dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = torch.nn.Linear(768, 3)

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        return self.dense(sample.flatten(1)) * 2.0


class Named(torch.nn.Module):
    """A user's module: the dense layer has its own name, and was not made last."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = torch.nn.Linear(12, 3, bias=False)
        self.inner = torch.nn.Linear(768, 12)

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        return self.answer(torch.tanh(self.inner(sample.flatten(1))))


def test_a_module_of_the_users_has_features_too_and_so_has_its_export() -> None:
    module = Named().eval()
    one = classifier(module)
    assert (one.backbone.head, one.backbone.width) == ("answer", 12)
    result = one.features(images(5))
    inputs, any_number = (torch.zeros(2, 3, 16, 16),), ({0: torch.export.Dim("n")},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of PyTorch about PyTorch
        exported = torch.export.unflatten(torch.export.export(module, inputs, dynamic_shapes=any_number)).eval()
    other = replace(one, module=exported)
    assert (other.backbone.head, other.backbone.width) == ("answer", 12)
    np.testing.assert_allclose(other.features(images(5)), result, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "network",
    [Scaled(), torch.nn.Sequential(torch.nn.Conv2d(3, 3, 16), torch.nn.Flatten())],
    ids=["scaled", "convolution"],
)
def test_a_network_that_does_not_end_in_a_dense_layer_is_refused(network: torch.nn.Module) -> None:
    with pytest.raises(NetworkError, match="This network has no features"):
        classifier(network).features(images(1))
