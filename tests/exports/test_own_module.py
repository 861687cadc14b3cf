"""Exporting a module that somebody wrote in Python and that was saved as a program."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

import pellucid
from pellucid.classifier import store
from pellucid.errors import ArtefactError, ExportError
from pellucid.exports import formats, own_module, pipeline
from pellucid.network.own.own import Own
from pellucid.pictures.decode import Form


class Mixed(nn.Module):
    """A view that needs plain memory order, attention, a buffer, and a layer in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.twice, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 2)
        self.attention = nn.MultiheadAttention(3, 1, batch_first=True)
        self.register_buffer("scale", torch.tensor([1.5]))

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(torch.relu(self.twice(x))) * self.scale
        x = x.view(x.shape[0], 3, -1).transpose(1, 2)
        mixed: Tensor = self.attention(x, x, x)[0]
        logits: Tensor = self.head(nn.functional.silu(mixed).mean(1))
        return logits


class Exponential(nn.Module):
    """What torch.onnx cannot follow: a matrix exponential has no ONNX operator."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.linalg.matrix_exp(x[:, :, :8, :8] * 0.1).mean((2, 3)))
        return logits


@pytest.fixture(scope="module")
def own(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a Mixed, like `trained` otherwise. torch.export follows this filter sooner."""
    torch.manual_seed(0)
    ready = Own("module:Mixed", Mixed()).ready((3, 12, 12), 2)
    assert ready.program is not None
    folder = tmp_path_factory.mktemp("own") / "model"
    about = {"network": None, "module": ready.module.eval(), "program": ready.program}
    other = replace(pellucid.load(trained), form=Form(12, 12, 3, "pad", 1.0, "plain"), **about)
    store.save(folder, other, {})
    return folder


@pytest.fixture
def images() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*size, 3), np.uint8) for size in ((20, 24), (1, 1), (40, 9))]


@pytest.mark.parametrize("ending", ["onnx", "pt2"])
def test_a_module_becomes_a_file(own: Path, tmp_path: Path, images: list[np.ndarray], ending: str) -> None:
    out = tmp_path / f"own.{ending}"
    with pytest.raises(ArtefactError, match="as a program"):
        pellucid.export(own, out, pictures=images)
    assert pellucid.export(own, out, pictures=images, trust=True).difference <= 1e-6
    theirs = list(pellucid.predict(own, images, trust=True))
    ours = list(pellucid.predict(out, images, trust=True))
    for one, other in zip(theirs, ours, strict=True):
        assert np.abs(np.subtract(one.logits, other.logits)).max() <= 1e-6
    assert str(Path(__file__).parent).encode() not in out.read_bytes()  # where the author's code is
    assert formats.FORMATS["onnx" if ending == "onnx" else "torch"].made_here(out)  # it may be replaced
    if ending == "onnx":
        onnx.checker.check_model(str(out), full_check=True)


def test_what_cannot_be_exported_is_one_line(trained: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(pellucid.load(trained), network=None, module=Exponential())
    with pytest.raises(ExportError, match=r"^torch\.onnx cannot follow it: \w") as caught:
        pipeline.write(other, {})
    assert len(str(caught.value).splitlines()) == 1
    monkeypatch.setattr(own_module, "NEEDED", ("onnx", "onnx_script_of_nobody"))
    with pytest.raises(ExportError, match="a Python module needs onnx_script_of_nobody: pip install"):
        pellucid.export(own, own.parent / "own.onnx", trust=True)
    assert [path.name for path in own.parent.iterdir()] == ["model"]
