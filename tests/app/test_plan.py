"""`pellucid plan`: the table, its JSON, its errors."""

import json
from collections.abc import Callable

import pytest

from pellucid.app import tables
from pellucid.engine.probe import Probe

ARTICLE = """\
conv(10, 5) relu maxpool(2) flatten dense
input 300x300x3, 2 classes; operations and memory for one picture
layer     output      parameters  forward  backward     kept
conv1     296x296x10         760    131 M     131 M  1.08 MB
  conv(10, 5)   ([300 - 5 + 2*0] / 1) + 1 = 296   parameters 5*5*3*10 + 10 = 760
"""


@pytest.mark.parametrize(("classes", "parameters"), [(2, 438_842), (1, 219_801)])
def test_the_articles_numbers_as_json(pellucid: Callable, classes: int, parameters: int) -> None:
    result = pellucid("plan", "article", "--input", "300x300x3", "--classes", classes, "--json")
    assert (result.status, result.err) == (0, "")
    planned = json.loads(result.out)
    assert planned["total_parameters"] == parameters
    assert [layer["output"] for layer in planned["layers"]] == [
        [10, 296, 296],
        [10, 296, 296],
        [10, 148, 148],
        [219_040],
        [classes],
    ]
    assert planned["layers"][0]["output_formula"] == "([300 - 5 + 2*0] / 1) + 1 = 296"
    assert planned["layers"][0]["parameters_formula"] == "5*5*3*10 + 10 = 760"


def test_the_articles_table(pellucid: Callable) -> None:
    result = pellucid("plan", "article", "--input", "300x300x3")
    assert result.out.startswith(ARTICLE)
    assert "\n438,842 parameters, " in result.out
    assert "300*300*3 * 296*296*10 + 296*296*10 = 236564076160 parameters, 946 GB\n" in result.out
    assert result.out.endswith("--probe measures how fast this machine trains the network\n")


@pytest.mark.parametrize(
    ("network", "width"), [("article", 80), ("compact", 100), ("resnet18", 100), ("resnet18", 160)]
)
def test_the_table_fits_the_width(
    pellucid: Callable, network: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = pellucid("plan", network).out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("layer "))
    end = next(number for number, line in enumerate(lines) if " parameters, " in line)
    table = lines[start:end]
    assert max(map(len, table)) <= width
    # every line of figures ends below the end of the headings: no column is broken
    assert {len(line) for line in table if not line.startswith("  ")} == {len(table[0])}


def test_errors_keep_their_caret_below_the_character(pellucid: Callable) -> None:
    result = pellucid("plan", "conv(10, 5) relu maxpol(2) flatten dense")
    assert (result.status, result.out) == (1, "")
    first, text, caret, message = result.err.splitlines()
    assert first == "pellucid:"
    assert text[caret.index("^") :].startswith("maxpol")
    assert "did you mean maxpool?" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "300"], "The input size '300' is not HEIGHTxWIDTHxCHANNELS; write 300x300x3."),
        (["--input", "3x3x3"], "its input is 3x3, and ([3 - 5 + 2*0] / 1) + 1 = -1; use"),
        (["--classes", "0"], "--classes is 0; it must be 1 or more."),
        (["--batch", "-1"], "--batch is -1; it must be 1 or more."),
        (["--epochs", "0"], "--epochs is 0; it must be 1 or more."),
    ],
)
def test_errors_are_one_line(pellucid: Callable, arguments: list[str], message: str) -> None:
    result = pellucid("plan", "article", *arguments)
    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert message in result.err


def test_probe_measures_and_says_what_training_would_take(pellucid: Callable, capsys, monkeypatch) -> None:
    made: list[tuple] = []
    figures = {"device": "cpu", "precision": "float32", "threads": 1, "batch": 32, "training_images_per_second": 250.0}
    figures |= {"predicting_images_per_second": 900.0, "training_bytes": 1_500_000_000}

    def probe(*arguments: object) -> Probe:
        made.append(arguments)
        return Probe(**figures)

    monkeypatch.setattr("pellucid.api.probe", probe)
    result = pellucid("plan", "lenet5", "--probe", "--pictures", "2000", "--epochs", "30")
    assert made == [("lenet5", None, 2, 32)]
    assert (
        "\nmeasured here (cpu, 1 thread): training 250 images/s in float32, predicting 900 in float32; " in result.out
    )
    assert "the whole program took 1.5 GB of memory\n" in result.out
    assert result.out.endswith("30 epochs of 2,000 pictures would take 4:00 min\n")  # 2000 * 30 / 250 = 240 s
    content = json.loads(pellucid("plan", "lenet5", "--probe", "--json", "--pictures", "50", "--epochs", "1").out)
    assert content["probe"]["seconds"] == 0.2
    assert content["probe"]["training_images_per_second"] == 250


def test_probe_for_real(pellucid: Callable) -> None:
    text = "conv(2, 3) relu globalavgpool dense"
    content = json.loads(pellucid("plan", text, "--input", "8x8x3", "--batch", "2", "--probe", "--json").out)["probe"]
    assert content["training_images_per_second"] > 0
    assert content["predicting_images_per_second"] > 0
    assert content["training_bytes"] > 1_000_000
    assert content["seconds"] == pytest.approx(30_000 / content["training_images_per_second"])


def test_folding_never_breaks_a_formula() -> None:
    assert tables._folded(["aaa", "bb", "cccc"], 8) == ["aaa   bb", "cccc"]
    assert tables._folded(["aaa", "bb"], 7) == ["aaa", "bb"]
    assert tables._folded(["a" * 20], 7) == ["a" * 20]
    assert tables._folded([], 7) == []
