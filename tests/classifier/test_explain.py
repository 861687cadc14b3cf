"""A trained classifier's glass box: its numbers equal those of prediction, its step is training's next one."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

import pellucid
from pellucid import api
from pellucid.classifier.classifier import Classifier
from pellucid.errors import ArtefactError, PictureError, TraceError
from pellucid.runs.made_from import trained_on
from pellucid.steps import Steps


@pytest.fixture
def classifier(trained: Path) -> Classifier:
    return api.load(trained)


@pytest.fixture
def picture(photos: Path) -> Path:
    return photos / "red" / "0.png"


def test_probabilities_are_those_of_predict(classifier: Classifier, picture: Path) -> None:
    trace, answer = classifier.explain(picture), classifier.predict(picture)
    assert trace.classes[trace.predicted] == trace.classes[trace.label] == answer.label
    assert answer.probabilities is not None
    assert trace.probabilities.tolist() == pytest.approx(list(answer.probabilities.values()), rel=1e-6)
    assert trace.logits.tolist() == pytest.approx(list(answer.logits or ()), rel=1e-6)
    assert trace.source == str(picture)
    assert trace.unit("probability[0]").total == pytest.approx(answer.probabilities["blue"], rel=1e-6)
    assert classifier.predict(picture) == answer, "explaining changes nothing"


def test_temperature_calibrates_the_probabilities_and_not_the_loss(classifier: Classifier, picture: Path) -> None:
    cold, warm = (replace(classifier, temperature=t).explain(picture) for t in (1.0, 3.0))
    assert warm.probabilities.max() < cold.probabilities.max()
    assert warm.loss == cold.loss
    assert warm.unit("probability[1]").total == pytest.approx(float(warm.probabilities[1]), rel=1e-6)


def test_from_the_pixel_on(classifier: Classifier, picture: Path) -> None:
    trace = classifier.explain(picture)
    pixel = classifier.prepared(picture)[5, 7, 2]
    assert trace.unit("picture[2, 5, 7]").recorded == pixel
    working = trace.unit("input[2, 5, 7]")
    assert (working.kind, len(working.parts)) == ("standardisation", 1)
    mean, deviation = classifier.standardise.mean[2], classifier.standardise.deviation[2]
    assert working.total == pytest.approx((pixel / 255 - mean) / deviation, rel=1e-6)
    gradient = trace.gradient("picture[2, 5, 7]")
    expected = trace.gradients["input"][0, 2, 5, 7] / 255 / deviation
    assert gradient.total == pytest.approx(expected, rel=1e-5)


def test_a_label_by_its_name(classifier: Classifier, picture: Path) -> None:
    trace = classifier.explain(picture, "blue")
    assert (trace.classes[trace.label], trace.as_json()["label"]) == ("blue", "blue")
    assert trace.loss > classifier.explain(picture, "red").loss
    with pytest.raises(
        TraceError, match=r"'blu' is not a class of this model. Did you mean 'blue'\? .* are blue, red\."
    ):
        classifier.explain(picture, "blu")


def test_pictures_of_every_form(classifier: Classifier, picture: Path, tmp_path: Path) -> None:
    expected = classifier.explain(picture)
    for source in (str(picture), picture.read_bytes(), np.array(Image.open(picture))):
        assert np.array_equal(classifier.explain(source).logits, expected.logits)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    for source in (tmp_path / "broken.png", tmp_path, tmp_path / "no.png", b"", np.zeros((4, 4), np.uint8)):
        for ask in (classifier.explain, lambda it: classifier.difference(it, "red"), classifier.attribute):
            with pytest.raises(PictureError):
                ask(source)


def test_the_update_is_the_step_that_training_would_make_next(trained: Path, picture: Path) -> None:
    """By hand from the folder's own files: AdamW's state, the recipe, the smoothed loss."""
    classifier = api.load(trained)
    trace = classifier.explain(picture, "red")
    config = json.loads((trained / "config.json").read_text())
    state = load_file(trained / "optimizer.safetensors")
    recipe = config["recipe"]
    assert recipe["optimizer"] == "adamw"

    module = classifier.module
    module.zero_grad()
    sample = torch.from_numpy(trace.values["input"])
    loss = F.cross_entropy(module(sample), torch.tensor([1]), label_smoothing=recipe["label_smoothing"])
    assert trace.loss == pytest.approx(float(loss.detach()), rel=1e-6)
    loss.backward()
    weight = module.get_parameter("conv1.weight")
    plain = torch.optim.AdamW(
        [weight],
        lr=trace.updates["conv1.weight"].settings["learning_rate"],
        betas=(recipe["momentum"], 0.999),
        weight_decay=recipe["weight_decay"],
    )
    plain.state[weight] = {key.split("/")[1]: v for key, v in state.items() if key.startswith("conv1.weight/")}
    assert set(plain.state[weight]) == {"step", "exp_avg", "exp_avg_sq"}
    steps = int(plain.state[weight]["step"])
    plain.step()
    after = weight.detach().clone()
    module.zero_grad()
    assert np.allclose(trace.updates["conv1.weight"].after, after.numpy(), rtol=1e-6, atol=1e-9)
    working = trace.update("conv1.weight[3, 1, 2, 0]")
    assert working.settings["step"] == steps + 1 > 1
    assert working.total == pytest.approx(float(after[3, 1, 2, 0]), rel=1e-6)
    assert "weight_decay" in working.settings
    assert "weight_decay" not in trace.update("conv1.bias[0]").settings


def test_explaining_steps_nothing(classifier: Classifier, picture: Path) -> None:
    before = {name: tensor.clone() for name, tensor in classifier.module.state_dict().items()}
    first, second = classifier.explain(picture), classifier.explain(picture)
    assert all(torch.equal(before[name], tensor) for name, tensor in classifier.module.state_dict().items())
    assert all(parameter.grad is None for parameter in classifier.module.parameters())
    assert first.update("conv1.weight[0, 0, 0, 0]").total == second.update("conv1.weight[0, 0, 0, 0]").total


def without_state(folder: Path) -> Path:
    """A model folder from before the optimizer's state was saved."""
    (folder / "optimizer.safetensors").unlink()
    config = json.loads((folder / "config.json").read_text())
    config.pop("optimizer")
    config.get("files", {}).pop("optimizer.safetensors", None)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_folder_without_the_optimizers_state_explains_a_first_step(model: Path, picture: Path) -> None:
    trace = api.load(without_state(model)).explain(picture)
    working = trace.update("conv1.weight[0, 0, 0, 0]")
    assert working.settings["step"] == 1
    assert working.settings["learning_rate"] == 0.01  # the recipe's
    assert working.complete


def test_a_folder_without_a_recipe_explains_plain_gradient_descent(model: Path, picture: Path) -> None:
    config = json.loads((without_state(model) / "config.json").read_text())
    config.pop("recipe")
    (model / "config.json").write_text(json.dumps(config))
    working = api.load(model).explain(picture).update("conv1.weight[0, 0, 0, 0]")
    assert (working.kind, working.settings["learning_rate"]) == ("SGD", 0.01)


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    root = tmp_path_factory.mktemp("grey")
    for name, level in (("bright", 160), ("dark", 20)):
        (root / "pictures" / name).mkdir(parents=True)
        for number in range(6):
            noise = np.random.default_rng(level + number).integers(0, 90, (12, 12)) + level
            Image.fromarray(noise.astype(np.uint8)).save(root / "pictures" / name / f"{number}.png")
    settings = {"size": 12, "channels": 1, "epochs": 1, "device": "cpu", "loss": "mse", "optimizer": "sgd"}
    network = "conv(2, 3) batchnorm relu l2pool(2) flatten dense"
    return pellucid.train(root / "pictures", root / "model", cache=root / "cache", model=network, **settings)


def test_a_grey_model(grey: Classifier, picture: Path) -> None:
    assert grey.learning is not None, "a classifier fresh from training knows how it was trained"
    trace = grey.explain(picture)
    assert trace.shape("picture") == (1, 12, 12)
    assert trace.unit("loss").kind == "mean squared error"
    assert [node.name for node in trace.nodes if not node.written] == []
    for unit in ("input[0, 3, 4]", "l2pool1[1, 2, 2]", "batchnorm1[0, 4, 4]"):
        assert trace.unit(unit).complete
        assert trace.gradient(unit).complete
    assert "Nesterov" in trace.update("conv1.weight[0, 0, 0, 0]").kind
    result = grey.difference(picture, "dark")
    assert result.pixels.shape == (12, 12)
    assert abs(result.remainder) < 1e-4
    assert grey.attribute(picture, "dark", "occlusion").map.shape == (12, 12)


def test_differences_and_their_defaults(classifier: Classifier, picture: Path) -> None:
    predicted = classifier.predict(picture)
    assert predicted.label == "red"
    logits = dict(zip(classifier.classes, predicted.logits or (), strict=True))
    cases = [(("red",), "blue"), (("blue",), "red"), (("blue", "red"), "red"), (("red", "blue"), "blue")]
    for requested, second in cases:
        result = classifier.difference(picture, *requested)
        assert (result.first, result.second) == (requested[0], second)
        assert result.difference == pytest.approx(logits[result.first] - logits[result.second], rel=1e-5)
        assert abs(result.remainder) < 1e-5
        assert result.source == str(picture)
    with pytest.raises(TraceError, match="'red' cannot be compared with itself"):
        classifier.difference(picture, "red", "red")
    with pytest.raises(TraceError, match="'green' is not a class"):
        classifier.difference(picture, "red", "green")


def test_attributions(classifier: Classifier, picture: Path) -> None:
    attribution = classifier.attribute(picture)
    assert (attribution.method, classifier.classes[attribution.target], attribution.map.shape) == (
        "grad_cam",
        "red",
        (12, 12),
    )
    assert classifier.attribute(picture, "blue", "integrated_gradients").target == 0
    with pytest.raises(TraceError, match="not a class"):
        classifier.attribute(picture, "green")
    with pytest.raises(TraceError, match="conv9"):
        classifier.attribute(picture, layer="conv9")


def test_exemplars_pass_over_what_is_no_picture(classifier: Classifier, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "no.png").write_text("no picture")
    sources = [tmp_path / "no.png", *sorted((photos / "red").iterdir())]
    steps = Steps(classifier.exemplars(sources, count=2))
    assert list(steps)[-1] == 16
    result, unusable = steps.result
    assert [source for source, _ in unusable] == [str(tmp_path / "no.png")]
    (row, *_) = result["conv1"].filters
    assert len(row) == 2
    channel, y, x = row[0].unit
    assert classifier.explain(row[0].source).unit(f"conv1[{channel}, {y}, {x}]").recorded == pytest.approx(
        row[0].activation, rel=1e-5
    )


def test_what_training_learned_from(trained: Path, model: Path, photos: Path, tmp_path: Path) -> None:
    learned = trained_on(trained)
    assert len(learned) == 16
    assert all(Path(path).is_file() for path in learned)
    config = json.loads((model / "config.json").read_text())
    config["data"]["root"] = str(tmp_path / "gone")
    (model / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtefactError, match=r"gone does not exist\. Name others"):
        trained_on(model)
    config.pop("data")
    (model / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtefactError, match="does not say where its pictures are"):
        trained_on(model)


def test_inside_of_inference_mode(classifier: Classifier, picture: Path) -> None:
    with torch.inference_mode():
        trace = classifier.explain(picture)
    assert trace.gradient("conv1.weight[0, 0, 0, 0]").complete
    other: Callable[[], object] = lambda: classifier.difference(picture, "blue")  # noqa: E731
    with torch.no_grad():
        assert other() is not None


def test_a_copied_folder_explains_the_same(trained: Path, picture: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(trained, tmp_path / "elsewhere"))
    one, other = (api.load(folder).explain(picture).as_json() for folder in (trained, copied))
    assert one == other
