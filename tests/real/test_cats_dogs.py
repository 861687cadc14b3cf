"""The article's network on real photographs, then on every odd file. Needs the data beside the checkout."""

import json
from pathlib import Path

import pytest
from tests.forked import run as pellucid

from pellucid import load
from pellucid.errors import PictureError
from pellucid.pictures.decode import decode
from pellucid.pictures.reading import read

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
for folder in (DATA / "cats_dogs", DATA / "odd"):
    if not folder.is_dir():
        pytest.skip(f"NOT TESTED: real pictures are missing, {folder} is no folder", allow_module_level=True)


def refusal(path: Path) -> str | None:
    """Why a file holds no picture; None if it holds one."""
    try:
        decode(read(path))
    except PictureError as error:
        return error.reason
    return None


@pytest.fixture(scope="module")
def article(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The article's network, trained as in the article, for one epoch."""
    folder = tmp_path_factory.mktemp("article")
    settings = ["--model", "article", "--epochs", "1", "--validation", "0.3", "--test", "0"]
    result = pellucid("train", DATA / "cats_dogs", *settings, "--out", folder / "m", "--cache", folder / "cache")
    assert (result.returncode, result.stderr) == (0, "")
    assert "1,399 pictures in " in result.stdout
    return folder / "m"


def test_it_is_the_articles_training(article: Path) -> None:
    config = json.loads((article / "config.json").read_text())
    assert config["input"] == [3, 300, 300]
    assert config["network"] == "conv(10, 5) relu maxpool(2) flatten dense"
    recipe = {key: config["recipe"][key] for key in ("batch", "optimizer", "epochs", "fit", "augment")}
    assert recipe == {"batch": 128, "optimizer": "adam", "epochs": 1, "fit": "stretch", "augment": "none"}
    assert (config["data"]["train"] + config["data"]["validation"], config["data"]["test"]) == (1399, 0)
    assert abs(config["data"]["validation"] - 0.3 * 1399) <= 2
    metrics = json.loads((article / "metrics.json").read_text())
    assert metrics["reported"] == "validation"
    matrix = metrics["validation"]["confusion"]
    assert abs(sum(matrix[0]) - sum(matrix[1])) <= 3  # stratified, where the article's split has dogs only


def test_every_odd_file_is_answered(article: Path) -> None:
    files = sorted(path for path in (DATA / "odd").rglob("*") if path.is_file())
    result = pellucid("predict", article, DATA / "odd", "--format", "jsonl")
    rows = {Path(row["picture"]): row for row in map(json.loads, result.stdout.splitlines())}
    assert (result.returncode, result.stderr) == (3, "")
    assert sorted(rows) == files
    refused = 0
    for path, row in rows.items():
        if (reason := refusal(path)) is not None:
            assert row == {"picture": str(path), "error": reason}
            refused += 1
        else:
            assert row["label"] in ("cat", "dog")
            assert sum(row["probabilities"].values()) == pytest.approx(1)
    assert 0 < refused < len(rows)


def test_the_reported_figure_is_found_again(article: Path) -> None:
    result = pellucid("evaluate", article, "--json")
    stated = json.loads((article / "metrics.json").read_text())["validation"]
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["accuracy"] == stated["accuracy"]


def test_a_mistake_is_followed_to_its_numbers(article: Path, tmp_path: Path) -> None:
    """Unit, gradient, update and the difference between classes, on a photograph that the network misclassified."""
    mistake = json.loads((article / "metrics.json").read_text())["mistakes"][0]
    picture = DATA / "cats_dogs" / mistake["picture"]
    label, predicted = mistake["label"], mistake["predicted"]
    where = ["--unit", "conv1[3, 10, 12]", "--unit", f"dense1[{0 if label == 'cat' else 1}]"]
    weight = ["--update", "conv1.weight[3, 0, 2, 2]"]
    requested = [*where, *weight, "--backward", "--why-not", label]

    report = pellucid("explain", article, picture, *requested, "--out", tmp_path / "told.png")
    assert (report.returncode, report.stderr) == (0, "")
    for words in ("with respect to conv1[3, 10, 12]", "update of conv1.weight", f"why {predicted} and not {label}"):
        assert words in report.stdout
    assert (tmp_path / "told.png").stat().st_size > 0

    result = pellucid("explain", article, picture, *requested, "--out", tmp_path / "json.png", "--json")
    content = json.loads(result.stdout)
    assert (content["predicted"], content["classes"][0]["class"]) == (predicted, predicted)
    assert content["classes"][0]["probability"] == pytest.approx(mistake["predicted_probability"], rel=1e-3)
    for working in (*content["units"], *content["updates"]):
        added = sum(part["total"] for part in working["parts"])
        assert added == pytest.approx(working["total"])
        assert abs(working["total"] - working["recorded"]) <= working["bound"]
    why = content["why_not"]
    logits = {each["class"]: each["logit"] for each in content["classes"]}
    assert why["difference"] == pytest.approx(logits[predicted] - logits[label], rel=1e-4)
    assert why["pixels"]["sum"] + why["ops"] == pytest.approx(why["difference"], rel=1e-4, abs=1e-4)

    trace = load(article).explain(picture)
    conv, dense = (trace.unit(unit) for unit in (where[1], where[3]))
    assert (len(conv.parts[0].terms), len(dense.parts[0].terms)) == (75, 219_040)
    assert dense.recorded == pytest.approx(logits[label])
