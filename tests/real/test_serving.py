"""Every dialect of the server says of real pictures what `predict` says. Needs the data beside the checkout."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.serving.conftest import Running, base64_of, multipart, running

import pellucid
from pellucid.classifier.predict.prediction import Prediction
from pellucid.serving.limits import Limits

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
if not (DATA / "odd").is_dir() or not (DATA / "cats_dogs").is_dir():
    pytest.skip(f"NOT TESTED: the server on real pictures; {DATA} lacks odd or cats_dogs", allow_module_level=True)

BOUND = 1e-6
EVERY = 25  # of the photographs: each takes three requests


@pytest.fixture(scope="module")
def served(trained: Path) -> Iterator[Running]:
    with running({"small": trained}, Limits(pixels=100_000_000)) as found:
        yield found


def test_the_dialects_agree_with_predict(served: Running, trained: Path) -> None:
    odd = sorted(path for path in (DATA / "odd").rglob("*") if path.is_file())
    photographs = sorted((DATA / "cats_dogs").rglob("*.jpg"))[::EVERY]
    files = [path.read_bytes() for path in (*odd, *photographs)]
    truth = pellucid.load(trained).predict(files)
    assert sum(each.error is None for each in truth) > len(photographs)
    with ThreadPoolExecutor(4) as callers:
        found = list(callers.map(lambda pair: wrong(served, *pair), zip(files, truth, strict=True)))
    assert [each for each in found if each] == []


def wrong(served: Running, content: bytes, truth: Prediction) -> list[str]:
    """The dialects that say something else of a picture."""
    body, headers = multipart([("a", content)])
    tensor = {"name": "p", "datatype": "BYTES", "shape": [1], "data": [base64_of(content)]}
    answers = {
        "form": served.ask("POST", "/v1/predict", body, headers),
        "tensor": served.ask("POST", "/v2/models/small/infer", {"inputs": [tensor]}),
        "Hugging Face": served.ask("POST", "/", content),
    }
    if truth.error is not None:
        return [
            name for name, answer in answers.items() if answer.status != 400 or truth.error not in answer.json["error"]
        ]
    failed = [name for name, answer in answers.items() if answer.status != 200]
    if failed:
        return failed
    classes = list(truth.probabilities or {})
    by_label = {each["label"]: each["score"] for each in answers["Hugging Face"].json}
    rows = {
        "form": [answers["form"].json["predictions"][0]["probabilities"][name] for name in classes],
        "tensor": answers["tensor"].json["outputs"][0]["data"],
        "Hugging Face": [by_label[name] for name in classes],
    }
    right = list((truth.probabilities or {}).values())
    return [name for name, row in rows.items() if not np.allclose(row, right, rtol=0, atol=BOUND)]
