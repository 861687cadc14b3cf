"""A server that predicts with 8-bit integers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.serving.conftest import base64_of, running
from tests.serving.test_reload import wait_until, warmer

import pellucid
from pellucid.app.commands.serve import run as serve_command
from pellucid.classifier.predict.int8 import FILE
from pellucid.engine import blocks
from pellucid.errors import ArtefactError
from pellucid.runs import quantise
from pellucid.serving import logs, models
from pellucid.serving.served import version_of

Png = Callable[[int], bytes]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server looks often; the network of the tests predicts in int8, though it is a single block."""
    monkeypatch.setattr(models, "LOOK", 0.02)
    monkeypatch.setattr(blocks, "mostly_one_block", lambda steps: False)


def test_it_answers_as_predict_does_and_a_new_version_too(
    model: Path, png: Png, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(text: str) -> None:
        logs.line("precision", text=text)

    def truth() -> list[float]:
        (answer,) = pellucid.predict(model, [png(0)], precision="int8")
        assert answer.logits is not None
        return list(answer.logits)

    def answered() -> list[float]:
        tensor = {"name": "p", "datatype": "BYTES", "shape": [1], "data": [base64_of(png(0))]}
        wanted = {"inputs": [tensor], "outputs": [{"name": "logits"}]}
        return served.ask("POST", "/v2/models/small/infer", wanted).json["outputs"][0]["data"]

    plain = next(iter(pellucid.predict(model, [png(0)]))).logits
    with running({"small": model}, int8=quantise.for_predictions("int8", say)) as served:
        assert "int8: accuracy" in capsys.readouterr().err
        assert answered() == pytest.approx(truth(), rel=0, abs=1e-6)
        assert np.abs(np.array(answered()) - np.array(plain)).max() > 1e-4
        assert (model / FILE).is_file()
        warmer(model)
        (model / FILE).unlink()
        wait_until(lambda: served.ask("GET", "/v1/models").json["models"][0]["version"] == version_of(model))
        assert (model / FILE).is_file()
        assert answered() == pytest.approx(truth(), rel=0, abs=1e-6)


def test_without_the_pictures_to_prepare_it_nothing_is_served(model: Path) -> None:
    (model / "split.csv").unlink()
    with pytest.raises(ArtefactError, match="int8 needs the training and validation pictures"):
        serve_command([str(model), "--port", "0", "--precision", "int8"])
