"""`pellucid life`: the text, the files, and what stands in its way."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

import pellucid
from pellucid.app import life_text
from pellucid.app.cli import main
from pellucid.app.exits import Exit
from pellucid.classifier import store as artefact

WEIGHT = "conv1.weight[1, 2, 0, 1]"
NETWORK = "conv(2, 3) relu maxpool(2) flatten dense"
KINDS = {
    "sgd": {"optimizer": "sgd", "momentum": 0.0},
    "momentum": {"optimizer": "sgd"},
    "adamw": {},
    "rmsprop": {"optimizer": "rmsprop"},
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def model_of(photos: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """model_of(kind) -> a model folder, which tests must not change."""
    folder = tmp_path_factory.mktemp("models")

    def made(kind: str) -> Path:
        out = folder / kind
        if not out.exists():
            chosen = {"epochs": 2, "size": 8, "batch": 8, "test": 0, "device": "cpu", "precision": "float32"}
            pellucid.train(photos, out, cache=cache, model=NETWORK, **chosen, **KINDS[kind])
        return out

    return made


def numbers(line: str) -> list[float]:
    """The numbers of a line "a + b (…) = c"."""
    words = line.replace("(", " ( ").split()
    values = []
    for before, word in zip(["", *words], words, strict=False):
        try:
            values.append(float(word) * (-1 if before == "-" else 1))
        except ValueError:
            continue
    return values


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_adds_up(
    model_of: Callable[[str], Path], cache: Path, pellucid: Callable, tmp_path: Path, kind: str
) -> None:
    out, plot = tmp_path / "life.json", tmp_path / "life.svg"
    flags = ("--cache", cache, "--out", out, "--plot", plot, "--largest", "2")
    result = pellucid("life", model_of(kind), WEIGHT, *flags)
    assert (result.status, result.err) == (Exit.OK, "")
    content = json.loads(out.read_text())
    lines = result.out.splitlines()
    assert lines[0] == f"{WEIGHT} of {model_of(kind)}: {content['steps']} steps of {content['optimizer']}"
    assert "begins as random weights, drawn by seed 0" in lines
    (total,) = [line for line in lines if line.endswith(f"= {content['last']!r}")]
    first, moved, updates, last = numbers(total.replace(" updates)", ""))
    assert (first, moved, updates, last) == (content["first"], content["moved"], content["steps"], content["saved"])
    assert "equal to the saved weight, to the last bit" in lines
    (rounding,) = [line for line in lines if line.endswith("  rounding")]
    assert float(rounding.split()[0]) == pytest.approx(content["rounding"], rel=1e-5)
    for step in content["largest"]:
        before, by, after = numbers(next(line for line in lines if line.startswith(f"step {step['step']} ")))[-3:]
        assert before + by == pytest.approx(after, abs=1e-5)
        up = [each["path"] for each in step["pictures"] if each["push"] > 0][:3]
        assert all(any(f"up: {up[0]}" in line and path in line for line in lines) for path in up)
    for each in content["pushers"][:10]:
        assert any(line.startswith(each["path"]) and each["label"] in line for line in lines)
    assert plot.read_text().count("<svg") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_arithmetic_of_a_step_leads_to_its_value(model_of: Callable[[str], Path], cache: Path, kind: str) -> None:
    """Each line is "name = sum = value": Python evaluates the printed sum."""
    life = pellucid.life_of(model_of(kind), WEIGHT, largest=3, cache=cache)
    for step in life.largest:
        lines = list(life_text.worked(step, life))
        for line in lines:
            *_, written, value = line.split(" = ")
            sum_ = written.replace("²", "**2").replace("^", "**").replace("√", "")
            if "√" in written:  # the divisor is a root and a small number
                before, _, root = written.partition("√")
                square, _, rest = root.partition(" ")
                sum_ = f"{before}({square})**0.5 {rest}".replace("^", "**").replace("²", "**2")
            assert eval(sum_) == pytest.approx(float(value), rel=1e-4, abs=1e-7), line
        assert float(lines[-1].split(" = ")[-1]) == pytest.approx(step.after, rel=1e-5)


def test_json_and_a_part_of_the_steps(model_of: Callable[[str], Path], cache: Path, pellucid: Callable) -> None:
    result = pellucid("life", model_of("adamw"), WEIGHT, "--cache", cache, "--json", "--steps", "2:3")
    content = json.loads(result.out)
    assert (content["begin"], len(content["values"]), content["saved"]) == (1, 3, None)
    shown = pellucid("life", model_of("adamw"), WEIGHT, "--cache", cache, "--steps", "2:3").out
    assert f"steps 2 to 3 of {content['steps']}, adamw" in shown
    assert "momentum from the steps before" in shown
    assert "the training made again ends in the saved weights, to the last bit" in shown


def test_a_picture_of_the_curve(
    model_of: Callable[[str], Path], cache: Path, pellucid: Callable, tmp_path: Path
) -> None:
    plot = tmp_path / "life.png"
    assert pellucid("life", model_of("sgd"), "dense1.bias[0]", "--cache", cache, "--plot", plot).status == Exit.OK
    with Image.open(plot) as image:
        assert image.size == (840, 384)
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 20
    before = plot.read_bytes()
    again = pellucid("life", model_of("sgd"), "dense1.bias[0]", "--cache", cache, "--plot", plot)
    assert again.status == Exit.ERROR
    assert "Choose another --plot" in again.err
    assert plot.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["conv1.weight"],
            "'conv1.weight' has no index: conv1.weight has filters 0 to 1, channels 0 to 2, rows 0 to 2",
        ),
        (["conv1.weight[2, 0, 0, 0]"], "'conv1.weight[2, 0, 0, 0]' is not a weight: conv1.weight has filters 0 to 1"),
        (["conv2.weight[0, 0, 0, 0]"], "There is no weight 'conv2.weight'. Nearest: conv1.weight"),
        ([WEIGHT, "--steps", "3"], "--steps is '3'; it must be the first and the last step, such as 1:100."),
        ([WEIGHT, "--steps", "2:900"], "steps are 2:900, but the training made steps 1 to "),
        ([WEIGHT, "--largest", "0"], "--largest is 0; it must be 1 or more."),
        ([WEIGHT, "--plot", "x.svg", "--out", "x.svg"], "--out and --plot are both x.svg; name two different files."),
        ([WEIGHT, "--out", "no/x"], "no/x could not be written: there is no folder no. Create it first."),
        ([""], "'' names no weight. Write the parameter and its index: conv1.weight[2, 1, 1, 1]."),
        ([WEIGHT, "--plot", "life.gif"], "--plot is life.gif; its name must end in .png or .svg."),
    ],
)
def test_what_is_wrong_is_one_sentence(
    model_of: Callable[[str], Path], cache: Path, pellucid: Callable, arguments: list[str], says: str
) -> None:
    result = pellucid("life", model_of("sgd"), *arguments, "--cache", cache)
    assert (result.status, result.out) == (Exit.ERROR, "")
    assert result.err.startswith(f"pellucid: {says}")
    assert result.err.count("\n") == 1


def test_a_training_that_ends_elsewhere_shows_the_drift(
    model_of: Callable[[str], Path], cache: Path, pellucid: Callable, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(model_of("sgd"), model)
    tensors = load_file(model / artefact.WEIGHTS)
    tensors["dense1.bias"] = tensors["dense1.bias"] + 0.125
    save_file(tensors, model / artefact.WEIGHTS)
    config = json.loads((model / artefact.CONFIG).read_text())
    config["files"][artefact.WEIGHTS] = {
        "sha256": artefact.files.sha256(model / artefact.WEIGHTS),
        "bytes": (model / artefact.WEIGHTS).stat().st_size,
    }
    (model / artefact.CONFIG).write_text(json.dumps(config))
    result = pellucid("life", model, WEIGHT, "--cache", cache)
    assert result.status == Exit.ERROR
    assert "2 of" in result.err
    assert "by 0.125, the most" in result.err
    assert "no exact claim" in result.out
    assert "to the last bit" not in result.out
    content = json.loads(pellucid("life", model, WEIGHT, "--cache", cache, "--json").out)
    assert content["exact"] is False
    assert content["drift"]["different"] == 2


def test_a_training_with_checkpoints_alone_is_refused_with_the_reason(
    model_of: Callable[[str], Path], pellucid: Callable, tmp_path: Path
) -> None:
    (tmp_path / "run" / "checkpoint").mkdir(parents=True)
    for place in (tmp_path / "run", tmp_path / "run" / "checkpoint"):
        result = pellucid("life", place, WEIGHT)
        assert result.status == Exit.ERROR
        assert f"The training in {tmp_path / 'run'} has not finished. Its checkpoints do not say" in result.err
    model = tmp_path / "model"
    shutil.copytree(model_of("sgd"), model)
    (model / "checkpoint").mkdir()
    assert f"Name the model folder, {model}." in pellucid("life", model / "checkpoint", WEIGHT).err


def test_ctrl_c_leaves_no_file(
    model_of: Callable[[str], Path], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pellucid.life.again import Again

    def stop(self: Again) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Again, "make", stop)
    out = tmp_path / "life.json"
    assert main(["life", str(model_of("sgd")), WEIGHT, "--cache", str(cache), "--out", str(out)]) == Exit.STOPPED
    assert list(tmp_path.iterdir()) == []


def test_the_curve() -> None:
    lines = list(life_text.curve([0.0, 1.0, 2.0, 3.0], 0, blocks=True))
    assert lines[0] == "3 │   █"
    assert lines[4].startswith("0 │ █")
    assert lines[-1] == "   0 3 steps" or lines[-1].endswith("3 steps")
    plain = "".join(life_text.curve([0.0, 1.0, 0.5], 10, blocks=False))
    assert plain.isascii()
    assert "10" in plain
    assert len(next(life_text.curve(list(range(1000)), 0, blocks=True))) <= life_text.WIDTH + 10


def test_a_life_without_steps_is_told_too(photos: Path, cache: Path, pellucid: Callable, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shown = pellucid("train", photos, "--out", model, "--cache", cache, "--pretrained", "imagenet", "--size", "32")
    assert shown.status == Exit.OK, shown.err
    backbone = pellucid("life", model, "conv1.weight[3, 0, 2, 2]", "--cache", cache)
    assert "begins as known weights of efficientnet_lite0" in backbone.out
    head = pellucid("life", model, "dense1.weight[0, 7]", "--cache", cache)
    assert "fitted to all pictures at once" in head.out
    assert "where the search for the minimum ended" in head.out
    bias = pellucid("life", model, "dense1.bias[0]", "--cache", cache)
    assert bias.status == Exit.ERROR
    assert "makes the errors of its class add up to 0" in bias.err
