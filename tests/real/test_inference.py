"""PyTorch, ONNX Runtime and an exported file agree on real pictures, with every batch size."""

from pathlib import Path

import numpy as np
import pytest
import torch

import pellucid
from pellucid.classifier import store
from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predict.graph import BOUND
from pellucid.exports.formats import FORMATS
from pellucid.network import zoo
from pellucid.network.standardise import Standardise
from pellucid.pictures.decode import Form

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
if not DATA.is_dir():
    pytest.skip(f"NOT TESTED: the real pictures are missing, {DATA} is no folder", allow_module_level=True)

EVERY = 25  # of the cats and dogs; all of the odd ones


@pytest.mark.parametrize(("name", "form"), [("compact", Form(64, 64, 3, "pad")), ("article", Form(80, 80, 3, "crop"))])
def test_they_agree_on_each_picture(name: str, form: Form, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = zoo.find(name).network
    module = network.module((3, form.height, form.width), 2).eval()
    scale = Standardise((0.49, 0.45, 0.42), (0.26, 0.25, 0.26))
    store.save(tmp_path / "model", Classifier(network, module, ("cat", "dog"), form, scale, 0.2), {})
    pictures = sorted((DATA / "cats_dogs").rglob("*.jpg"))[::EVERY]
    pictures += sorted(path for path in (DATA / "odd").rglob("*") if path.is_file())
    pellucid.export(tmp_path / "model", tmp_path / "model.onnx", pictures=pictures)

    theirs = pellucid.load(tmp_path / "model").predict(pictures)
    usable = [answer.error is None for answer in theirs]
    assert usable.count(True) > 100
    assert usable.count(False) >= 10
    logits = np.array([answer.logits for answer in theirs if answer.error is None])
    assert logits.std() > 0.05
    for model, batch in (("model", 32), ("model", 1), ("model.onnx", 32)):
        ours = list(pellucid.predict(tmp_path / model, pictures, batch))
        assert [answer.error for answer in ours] == [answer.error for answer in theirs]
        computed = np.array([answer.logits for answer in ours if answer.error is None])
        assert np.abs(computed - logits).max() <= BOUND * max(1, np.abs(logits).max())
        pairs = zip(ours, theirs, strict=True)
        most = max(
            abs(a.probabilities["cat"] - b.probabilities["cat"])
            for a, b in pairs
            if a.probabilities and b.probabilities
        )
        assert most <= FORMATS["onnx"].bound
