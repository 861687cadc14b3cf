"""The model card: the figures of metrics.json, with any class names, and plots that are not blank."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pellucid.classifier import card, figures
from pellucid.pictures.decode import Ranges
from pellucid.training import evaluate
from pellucid.training.evaluate import calibration, measure, probabilities


def metrics(names: list[str], each: int = 6, temperature: float = 2.0) -> dict[str, Any]:
    """In the form of metrics.json, of a classifier that is mostly right."""
    labels = np.repeat(np.arange(len(names)), each)
    logits = np.random.default_rng(0).normal(0, 1, (len(labels), len(names))).astype(np.float32)
    logits[np.arange(len(labels)), labels] += 2
    measured = measure("test", logits, labels, tuple(names), temperature)
    return json.loads(json.dumps(measured.as_json()))


def history(epochs: int, validated: bool = True) -> list[dict[str, str]]:
    return [
        {
            "epoch": str(epoch),
            "train_loss": f"{2 / epoch}",
            "train_accuracy": f"{1 - 0.5 / epoch}",
            "validation_loss": f"{2.2 / epoch}" if validated else "",
            "validation_accuracy": f"{1 - 0.6 / epoch}" if validated else "",
            "best": "1",
        }
        for epoch in range(1, epochs + 1)
    ]


def drawn(path: Path) -> np.ndarray:
    """The picture, uint8 (H, W, 3), after a check that it is not blank."""
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        image = np.array(picture.convert("RGB"))
    assert min(image.shape[:2]) >= 250
    share = (image != 255).any(axis=2).mean()
    assert 0.01 < share < 0.9
    return image


def test_the_card_says_what_metrics_json_says(trained: Path) -> None:
    text = (trained / "README.md").read_text()
    stated = json.loads((trained / "metrics.json").read_text())
    config = json.loads((trained / "config.json").read_text())
    test = stated["test"]
    low, high = test["interval"]
    assert stated["reported"] == "test"
    figure = f"{test['accuracy']:.1%} accuracy on {test['pictures']} test pictures"
    assert f"**{figure} (95% interval {low:.1%} to {high:.1%})**" in text
    assert "The test pictures took no part in training or in any choice." in text
    for side in ("test", "validation"):
        assert re.search(rf"\| {side} \| .* \| {stated[side]['pictures']} \| {stated[side]['accuracy']:.1%} \|", text)
    for item in test["classes"]:
        shares = " | ".join(f"{item[key]:.1%}" for key in ("precision", "recall", "f1"))
        assert f"| {item['name']} | {item['pictures']} | {shares} |" in text
    assert f"softmax(logits / {config['temperature']:.3f})" in text
    assert f"error before: {test['calibration_before']['error']:.3f}, after: {test['calibration']['error']:.3f}" in text
    assert "`conv(4, 3) relu maxpool(2) flatten dense`" in text
    assert "learning rate 0.01," in text


def test_the_card_says_what_may_be_deleted(trained: Path) -> None:
    text = (trained / "README.md").read_text()
    assert "`optimizer.safetensors` (0.0 MB) holds the optimizer's state at these weights" in text


def test_links_of_the_card_lead_somewhere(trained: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", (trained / "README.md").read_text())
    assert {"confusion.png", "calibration.png", "curves.png", "quarantine.csv", "twins.csv"} <= set(links)
    assert any(link.startswith("thumbnails/") for link in links)
    for link in links:
        assert (trained / link).is_file(), link


def test_mistakes_have_thumbnails_labels_and_probabilities(trained: Path) -> None:
    text = (trained / "README.md").read_text()
    stated = json.loads((trained / "metrics.json").read_text())
    assert len(stated["mistakes"]) == stated["test"]["pictures"] - stated["test"]["correct"] > 0
    doubts = [mistake["label_probability"] for mistake in stated["mistakes"]]
    assert doubts == sorted(doubts)
    for m in stated["mistakes"]:
        assert m["picture"].startswith(m["label"] + "/")
        assert m["label"] != m["predicted"]
        label = f"{m['label']}, {m['label_probability']:.1%}"
        called = f"{m['predicted']}, {m['predicted_probability']:.1%}"
        assert f"| ![]({m['thumbnail']}) | {m['picture']} | {label} | {called} |" in text
        with Image.open(trained / m["thumbnail"]) as thumbnail:
            assert thumbnail.size == (48, 40)


@pytest.mark.parametrize("name", ["curves.png", "confusion.png", "calibration.png"])
def test_its_pictures_are_not_blank(trained: Path, name: str) -> None:
    drawn(trained / name)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cat", "cat"),
        ("blue_jay", "blue_jay"),
        ("_cat_", r"\_cat\_"),
        ("a|b", r"a\|b"),
        ("<script>", r"\<script\>"),
        ("*bold* `code` [link](x)", r"\*bold\* \`code\` \[link\](x)"),
        ("back\\slash", r"back\\slash"),
        ("R&amp;D $x$", r"R\&amp;D \$x\$"),
        ("two\nlines\t here", "two lines here"),
        ("grün 猫", "grün 猫"),
    ],
)
def test_names_are_shown_letter_by_letter(name: str, shown: str) -> None:
    assert card._plain(name) == shown


ODD = ["a|b", "<b>", "$\\frac{", "猫", "x" * 200, "two\nlines", b"caf\xe9".decode("utf-8", "surrogateescape"), "😀"]


def test_odd_class_names_make_a_card(model: Path) -> None:
    config, stated = (json.loads((model / name).read_text()) for name in ("config.json", "metrics.json"))
    config["classes"], stated["test"], stated["validation"] = ODD, metrics(ODD), None
    for name, content in (("config.json", config), ("metrics.json", stated)):
        (model / name).write_text(json.dumps(content))
    card.write(model)
    text = (model / "README.md").read_text(encoding="utf-8")
    assert text.count(r"| a\|b | 6 |") == 1
    assert "\n# a\\|b, \\<b\\>, \\$\\\\frac{, 猫, " in text
    assert "caf\\udce9" in text
    rows = [line for line in text.splitlines() if line.startswith("| ") and line.endswith("% |")]
    assert len(rows) >= len(ODD)
    drawn(model / "confusion.png")


@pytest.mark.parametrize("count", [2, 10, 40, 120])
def test_confusion_of_few_and_many_classes(count: int, tmp_path: Path) -> None:
    figure = figures.confusion(metrics([f"class {number}" for number in range(count)]))
    axes = figure.axes[0]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert ("class 1" in labels) == (count <= figures.MOST_NAMED)
    assert ("numbered as in the table" in axes.get_xlabel()) == (count > figures.MOST_NAMED)
    figures.save(tmp_path / "picture.png", figure)
    assert max(drawn(tmp_path / "picture.png").shape) < 1600


def test_confusion_shows_the_counts(tmp_path: Path) -> None:
    stated = {"confusion": [[7, 3], [0, 5]], "classes": [{"name": "a"}, {"name": "b"}], "pictures": 15, "side": "test"}
    axes = figures.confusion(stated).axes[0]
    assert sorted(text.get_text() for text in axes.texts) == ["3", "5", "7"]
    assert axes.images[0].get_array().tolist() == [[0.7, 0.3], [0, 1]]
    assert axes.get_title() == "15 test pictures"


@pytest.mark.parametrize(("epochs", "validated"), [(1, True), (1, False), (2, True), (100, True), (100, False)])
def test_curves(epochs: int, validated: bool, tmp_path: Path) -> None:
    figure = figures.curves(history(epochs, validated))
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == (["train", "validation", "best"] if validated else ["train"])
    loss, accuracy = figure.axes
    assert loss.lines[0].get_ydata()[0] == pytest.approx(2)
    assert accuracy.lines[0].get_ydata()[-1] == pytest.approx(1 - 0.5 / epochs)
    figures.save(tmp_path / "picture.png", figure)
    drawn(tmp_path / "picture.png")


def test_calibration_shows_both_sides_or_the_only_one(tmp_path: Path) -> None:
    both = figures.calibration(metrics(["a", "b"], each=40))
    assert [axes.get_title().split(":")[0] for axes in both.axes] == [
        "before temperature scaling",
        "after temperature scaling",
    ]
    one = figures.calibration(metrics(["a", "b"], each=40, temperature=1.0))
    assert [axes.get_title().split(":")[0] for axes in one.axes] == ["no temperature scaling"]
    figures.save(tmp_path / "picture.png", both)
    drawn(tmp_path / "picture.png")


def test_calibration_bars_are_the_bins() -> None:
    p = np.array([[0.65, 0.35], [0.62, 0.38], [0.05, 0.95]])
    labels = np.array([0, 1, 1])
    stated = json.loads(json.dumps(evaluate.asdict(calibration(p, labels))))
    axes = figures.calibration({"calibration": stated, "calibration_before": stated}).axes[0]
    # two of about 0.6, one of them right; one of about 0.9, right
    assert [bar.get_height() for bar in axes.patches] == [0.5, 1]
    assert [bar.get_x() + bar.get_width() / 2 for bar in axes.patches] == pytest.approx([0.65, 0.95])
    assert [text.get_text() for text in axes.texts] == ["2", "1"]
    assert probabilities(np.zeros((1, 2), np.float32), 1.0).tolist() == [[0.5, 0.5]]


def test_without_a_test_side_the_card_does_not_boast(model: Path) -> None:
    config, stated = (json.loads((model / name).read_text()) for name in ("config.json", "metrics.json"))
    stated = {"reported": "validation", "validation": stated["validation"], "mistakes": []}
    text = card.text(config, stated)
    assert "validation pictures (95% interval" in text
    assert "so it is slightly optimistic" in text
    assert "## The worst mistakes\n\nNone.\n" in text
    stated = {"reported": "train", "train": {**stated["validation"], "side": "train"}, "mistakes": []}
    text = card.text({**config, "temperature": 1.0}, stated)
    assert "not a measure of how good the model is" in text
    assert "left at 1: there were no pictures to fit it on" in text
    assert "best on the validation" not in text


def test_the_range_of_deep_pictures_is_told(model: Path) -> None:
    config, stated = (json.loads((model / name).read_text()) for name in ("config.json", "metrics.json"))
    assert "becomes black" not in card.text(config, stated)
    config["preprocessing"]["ranges"] = {"integer": [0, 4095], "real": [-0.5, 1.25]}
    report = "Pictures of more than 8 bits: 0 becomes black and 4,095 becomes white (12 bits). Predictions use the same"
    assert report in card.text(config, stated)
    assert "floating-point numbers: -0.5 becomes black and 1.25 becomes white." in card.text(config, stated)
    del config["preprocessing"]["ranges"]  # of an older Pellucid
    assert "becomes black" not in card.text(config, stated)


def test_thumbnails_are_seen_in_the_range(tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 64), 1000, np.uint16)).save(tmp_path / "a.png")
    for white, shown in ((1000, 255), (2000, 128), (65535, 4)):
        card.write_thumbnail(tmp_path / "a.png", tmp_path / "a.jpg", Ranges(integer=(0, white)))
        with Image.open(tmp_path / "a.jpg") as thumbnail:
            assert abs(np.asarray(thumbnail).astype(int) - shown).max() <= 1


def test_a_training_that_was_stopped_says_so(model: Path) -> None:
    config, stated = (json.loads((model / name).read_text()) for name in ("config.json", "metrics.json"))
    assert "was stopped" not in card.text(config, stated)
    config["training"] |= {"complete": False, "epochs": 3}
    assert "> The training was stopped after 3 of 8 epochs." in card.text(config, stated)


@pytest.mark.parametrize(
    ("size", "expected"), [((640, 320), (160, 80)), ((40, 30), (40, 30)), ((8, 5), (64, 40)), ((5000, 3), (160, 1))]
)
def test_thumbnails_keep_the_shape(tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]) -> None:
    Image.new("RGB", size, (200, 30, 30)).save(tmp_path / "picture.png")
    card.write_thumbnail(tmp_path / "picture.png", tmp_path / "thumbnails" / "01.jpg")
    with Image.open(tmp_path / "thumbnails" / "01.jpg") as thumbnail:
        assert thumbnail.size == expected
        assert thumbnail.format == "JPEG"


def test_a_picture_that_is_gone_has_no_thumbnail(tmp_path: Path) -> None:
    card.write_thumbnail(tmp_path / "gone.png", tmp_path / "thumbnails" / "01.jpg")
    assert list(tmp_path.iterdir()) == []
