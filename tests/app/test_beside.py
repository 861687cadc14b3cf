"""`pellucid explain --beside`: a second model on the same picture, printed, as JSON and in a file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pellucid as package


@pytest.fixture
def picture(photos: Path) -> Path:
    return photos / "red" / "1.png"


def test_json_names_the_first_layer_where_they_part(pellucid: Callable, trained: Path, picture: Path) -> None:
    done = pellucid("explain", trained, picture, "--beside", "dense1.bias[1] = 5; conv1.bias[0] = 1", "--json")
    assert done.status == 0
    result = json.loads(done.out)["beside"]
    classifier = package.load(trained)
    from pellucid.whatif import Weight

    other = classifier.changed([Weight("dense1.bias", (1,), 5.0), Weight("conv1.bias", (0,), 1.0)])
    one, two = classifier.explain(picture), other.explain(picture)
    assert result["layers"][result["parts"]]["first"] == "conv1"
    for layer in result["layers"]:
        by = two.values[layer["second"]].astype(np.float64) - one.values[layer["first"]]
        assert abs(layer["value"]["difference"]) == np.abs(by).max()
    assert result["predicted"] == two.classes[two.predicted]
    assert {each["class"]: each["probability"] for each in result["classes"]} == pytest.approx(
        dict(zip(two.classes, two.probabilities.tolist(), strict=True))
    )


def test_the_same_model_does_not_part(pellucid: Callable, model: Path, trained: Path, picture: Path) -> None:
    done = pellucid("explain", trained, picture, "--beside", model)
    assert done.status == 0
    assert "The models agree in every layer that both have." in done.out
    assert done.out.count("  equal") == 9


def test_a_file_has_both_models_for_each_picture(
    pellucid: Callable, trained: Path, photos: Path, tmp_path: Path
) -> None:
    place, alone = tmp_path / "both.html", tmp_path / "one.html"
    pictures = [photos / "red" / "1.png", photos / "blue" / "2.png"]
    done = pellucid("explain", trained, *pictures, "--beside", "bfloat16", "--html", place)
    assert done.status == 0
    assert done.out.count("They part first at conv1") == 2
    assert "every weight is rounded to bfloat16" in done.out
    pellucid("explain", trained, *pictures, "--html", alone)
    text, plain = place.read_text(), alone.read_text()
    assert [f'id="beside-{number}"' in text for number in (0, 1, 2)] == [True, True, False]
    assert 'id="beside-0"' not in plain
    assert len(text) < 1.2 * len(plain)


def test_a_checkpoint_is_a_model_on_either_side(pellucid: Callable, photos: Path, tmp_path: Path) -> None:
    settings = {"size": 12, "epochs": 3, "batch": 8, "learning_rate": 0.01, "device": "cpu"}
    run = package.start(
        photos, tmp_path / "run", cache=tmp_path / "cache", model="conv(4, 3) relu flatten dense", **settings
    )
    for event in run:
        if getattr(event, "step", 0) in (2, 3):
            run.save_checkpoint()  # type: ignore[union-attr]
        if getattr(event, "step", 0) == 3:
            break
    run.close()
    folder = tmp_path / "run" / "checkpoint"
    (last,) = folder.glob("step-00000003.safetensors")
    done = pellucid("explain", last, photos / "red" / "1.png", "--beside", folder)
    assert done.status == 0, done.err
    assert "agree in every layer" in done.out
    assert "after step 3; its probabilities are not calibrated" in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("nope", "The second model is 'nope'. Name a model"),
        ("", "The second model is ''"),
        ("conv9.weight[0] = 1", "conv9"),
        ("model.onnx", "exported file without a PyTorch module"),
    ],
)
def test_what_is_no_second_model_is_a_sentence(
    pellucid: Callable,
    trained: Path,
    picture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if words.endswith(".onnx"):
        package.export(shutil.copytree(trained, tmp_path / "copy"), tmp_path / words)
    done = pellucid("explain", trained, picture, "--beside", words, "--html", tmp_path / "page.html")
    assert done.status == 1
    assert message in done.err
    assert not (tmp_path / "page.html").exists()
