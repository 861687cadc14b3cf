"""EfficientNet-Lite0 on real photographs: the outputs of its published weights, recorded with timm."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pellucid.pictures.decode import decode
from pellucid.pictures.reading import read
from pellucid.pretrained import lite0

SHARED = Path(__file__).parents[3] / "shared"
REFERENCE = SHARED / "timm" / "lite0_reference.json"
if not REFERENCE.is_file():
    pytest.skip(f"NOT TESTED: the published weights on photographs, {REFERENCE} is missing", allow_module_level=True)


def test_the_published_weights_give_the_recorded_outputs(tmp_path: Path):
    known = lite0.load(tmp_path)
    module = known.network.module((3, 224, 224), 1000).eval()
    module.load_state_dict({name: torch.from_numpy(array) for name, array in known.tensors.items()})
    recorded = json.loads(REFERENCE.read_text())
    assert recorded["sha256"] == lite0.SHA256
    for name, expected in recorded["pictures"].items():
        image = known.form.apply(decode(read(SHARED / "data" / "cats_dogs" / name)))
        with torch.inference_mode():
            logits = module(torch.from_numpy(known.standardise.plain(image))[None])[0].numpy()
        order = np.argsort(-logits)[:5]
        assert order.tolist() == expected["top5"], name
        assert np.allclose(logits[order], expected["logits"], atol=1e-3), name
