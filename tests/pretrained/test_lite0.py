"""EfficientNet-Lite0 from its package: reading, caching, and refusals."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pellucid.errors import ArtefactError
from pellucid.network import zoo
from pellucid.pretrained import lite0
from pellucid.pretrained.known import Known


def outputs(known: Known, image: np.ndarray) -> torch.Tensor:
    module = known.network.module((3, 224, 224), 1000).eval()
    module.load_state_dict({name: torch.from_numpy(array) for name, array in known.tensors.items()})
    with torch.inference_mode():
        return module(torch.from_numpy(known.standardise.plain(image))[None])[0]


def test_it_has_the_published_number_of_parameters():
    network = zoo.find("efficientnet_lite0").network
    steps = network.shapes((3, 224, 224), 1000)

    assert sum(step.layer.parameters(step.input) for step in steps) == 4_652_008


def test_the_second_reading_comes_from_the_cache_and_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = lite0.load(tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]
    monkeypatch.setattr(lite0, "PACKAGE", "not-a-package")
    second = lite0.load(tmp_path)

    assert list(first.tensors) == list(second.tensors)
    assert all(np.array_equal(first.tensors[name], second.tensors[name]) for name in first.tensors)
    assert first.backbone_digest == second.backbone_digest
    assert first.head == "dense1"


def test_a_file_in_the_cache_that_is_damaged_is_made_anew(tmp_path: Path):
    before = lite0.load(tmp_path).backbone_digest
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:1000])

    assert lite0.load(tmp_path).backbone_digest == before
    assert path.stat().st_size > 18_000_000


def test_a_file_in_the_cache_with_another_number_is_made_anew(tmp_path: Path):
    before = lite0.load(tmp_path).backbone_digest
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:9_000_000] + bytes([whole[9_000_000] ^ 1]) + whole[9_000_001:])

    assert lite0.load(tmp_path).backbone_digest == before
    assert path.read_bytes() == whole


def test_without_the_package_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lite0, "PACKAGE", "not-a-package")

    with pytest.raises(ArtefactError, match=r"pip install not-a-package==0\.1\.0\. Or train with --from-scratch"):
        lite0.load(tmp_path)


def test_another_file_is_refused_before_it_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lite0, "SHA256", "0" * 64)

    with pytest.raises(ArtefactError, match=r"its hash is 579344248a93… and not 000000000000…"):
        lite0.load(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_features_change_with_the_backbone_and_not_with_the_head(tmp_path: Path):
    known = lite0.load(tmp_path)
    tensors = dict(known.tensors)
    tensors["dense1.bias"] = tensors["dense1.bias"] + 1
    head = Known(**{**vars(known), "tensors": tensors})
    tensors = dict(known.tensors)
    tensors["conv1.weight"] = tensors["conv1.weight"] + 1
    backbone = Known(**{**vars(known), "tensors": tensors})

    assert head.backbone_digest == known.backbone_digest != backbone.backbone_digest
