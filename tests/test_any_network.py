"""Training a user's own torch.nn.Module, from Python and from a file; the model folder needs neither."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests import forked
from torch import nn

import pellucid
from pellucid import api
from pellucid.app.cli import main
from pellucid.app.page.shown import Glass
from pellucid.classifier import store
from pellucid.engine.device import Engine
from pellucid.errors import ArtefactError, NetworkError, PellucidError, RecipeError, TraceError
from pellucid.glassbox.whatif.change import Stride, Weight
from pellucid.network.own.own import Own
from pellucid.runs.events import Started
from pellucid.runs.run import Run
from pellucid.training import bring
from pellucid.training import recipe as recipes
from pellucid.training.loop import Step

pytestmark = pytest.mark.usefixtures("undrawn")

# every source of randomness and every kind of state: dropout, batch norm, a moving rate, augmentation, an order
SETTINGS = {
    "size": 12,
    "epochs": 4,
    "batch": 8,
    "validation": 0.25,
    "test": 0.25,
    "learning_rate": 0.01,
    "device": "cpu",
    "augment": "strong",
}
SOURCE = """
import torch
from torch import nn


class Skip(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return torch.relu(self.norm(self.conv(x))) + x


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.blocks = nn.ModuleList([Skip(6), Skip(6)])
        self.again = self.blocks[0].conv
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(6, classes)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.drop(self.again(x)).mean((2, 3)))


def build(classes):
    return Net(classes)
"""


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python file with a network. Tests must not change it."""
    path = tmp_path_factory.mktemp("source") / "net.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def module(net: Path) -> nn.Module:
    names: dict[str, Any] = {"__name__": "own_net"}
    exec(compile(net.read_text(), str(net), "exec"), names)
    torch.manual_seed(2)
    return names["Net"](2)


@pytest.fixture(scope="module")
def own(photos: Path, net: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of the network in the file, which no longer exists. Tests must not change it."""
    folder = tmp_path_factory.mktemp("own")
    shutil.copy(net, folder / "passing_net.py")
    model = f"{folder / 'passing_net.py'}:build"
    pellucid.train(photos, folder / "model", cache=folder / "cache", model=model, **SETTINGS)
    (folder / "passing_net.py").unlink()
    return folder / "model"


@pytest.fixture
def copy(own: Path, tmp_path: Path) -> Path:
    """A copy of `own` that a test may damage."""
    return Path(shutil.copytree(own, tmp_path / "copy"))


def weights(folder: Path) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in load_file(folder / store.WEIGHTS).items()}


def test_a_module_from_python_is_trained_as_a_copy_and_opens_without_its_class(
    module: nn.Module, photos: Path, tmp_path: Path
) -> None:
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    classifier = pellucid.train(photos, tmp_path / "m", cache=tmp_path / "c", model=module, **SETTINGS)
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert type(classifier.module) is type(module)
    assert not torch.equal(classifier.module.state_dict()["stem.weight"], before["stem.weight"])
    assert classifier.network is None

    pictures = [photos / "red" / "1.png", photos / "blue" / "2.png"]
    # another interpreter, which has never seen the class
    code = (
        "import sys, pellucid; print([list(a.logits) for a in pellucid.predict(sys.argv[1], sys.argv[2:], trust=True)])"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, tmp_path / "m", *pictures],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    wanted = [answer.logits for answer in classifier.predict(pictures)]
    np.testing.assert_allclose(json.loads(result.stdout), wanted, atol=1e-5)

    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert config["recipe"]["model"] == "module:Net"
    assert config["network"] is None
    assert config["program"] == {
        "name": "Net",
        "plain": False,
        "shared": {"again.weight": "blocks.0.conv.weight", "again.bias": "blocks.0.conv.bias"},
    }
    assert "program.pt2" in config["files"]
    card = (tmp_path / "m" / "README.md").read_text()
    assert "its maker's own PyTorch module, Net (module:Net)" in card
    assert 'pellucid.load("m", trust=True)' in card
    assert "pellucid predict m picture.jpg --trust" in card


def test_the_learned_weights_begin_as_those_of_the_module(module: nn.Module, photos: Path, tmp_path: Path) -> None:
    slow = {**SETTINGS, "learning_rate": 1e-12, "weight_decay": 0.0, "epochs": 1}
    classifier = pellucid.train(photos, tmp_path / "m", cache=tmp_path / "c", model=module, **slow)
    torch.testing.assert_close(classifier.module.head.weight, module.head.weight, rtol=0, atol=1e-6)


def test_a_sequential_becomes_text_and_needs_no_trust(photos: Path, tmp_path: Path) -> None:
    module = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2)), nn.Flatten(), nn.Linear(100, 2)
    )
    slow = {**SETTINGS, "learning_rate": 1e-12, "weight_decay": 0.0, "epochs": 1}
    run = api.start(photos, tmp_path / "m", cache=tmp_path / "c", model=module, **slow)
    events = list(run)
    api.finish(run)
    (started,) = [event for event in events if isinstance(event, Started)]
    text = "conv(4, 3) relu maxpool(2) flatten dense"
    assert f"saved as text, {text}" in started.reasons
    loaded = pellucid.load(tmp_path / "m")
    assert str(loaded.network) == text
    assert not (tmp_path / "m" / "program.pt2").exists()
    torch.testing.assert_close(loaded.module.conv1.weight, module[0][0].weight, rtol=0, atol=1e-6)


def test_broken_off_anywhere_and_resumed_it_ends_with_the_same_bytes(
    module: nn.Module, photos: Path, tmp_path: Path
) -> None:
    recipe, cache = recipes.make(model="module:Net", **SETTINGS), tmp_path / "c"

    def run(out: str, resume: bool = False) -> Run:
        return Run(photos, recipe, tmp_path / out, cache, resume, checkpoint_seconds=0.0, module=module)

    whole = run("whole")
    steps = sum(isinstance(event, Step) for event in whole)
    api.finish(whole)
    stopped = run("stopped")
    for event in stopped:
        if isinstance(event, Step) and event.step == steps // 2:
            stopped.save_checkpoint()
            break
    stopped.close()
    resumed = run("stopped", resume=True)
    (started,) = [event for event in resumed if isinstance(event, Started)]
    assert started.resumed_at == steps // 2
    api.finish(resumed)
    for name in (store.WEIGHTS, store.OPTIMIZER, store.PROGRAM):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "stopped" / name).read_bytes(), name


def test_what_is_resumed_needs_the_same_module_again(module: nn.Module, photos: Path, tmp_path: Path) -> None:
    place = {"out": tmp_path / "m", "cache": tmp_path / "c"}
    run = api.start(photos, **place, model=module, **SETTINGS)
    next(event for event in run if isinstance(event, Step))
    run.save_checkpoint()
    run.close()
    before = sorted(path.name for path in (tmp_path / "m" / "checkpoint").iterdir())
    with pytest.raises(NetworkError, match=r"began with a module from Python, Net, .*Pass it again: .*resume=True"):
        pellucid.train(photos, **place, resume=True)
    with pytest.raises(RecipeError, match="model is 'module:Sequential' here and 'module:Net' in"):
        pellucid.train(photos, **place, resume=True, model=nn.Sequential(nn.Flatten(), nn.Linear(432, 2)))

    class Net(type(module)):  # type: ignore[misc]
        def forward(self, x):
            return 2 * super().forward(x)

    with pytest.raises(ArtefactError, match="The module differs from the one that"):
        pellucid.train(photos, **place, resume=True, model=Net(2))
    assert sorted(path.name for path in (tmp_path / "m" / "checkpoint").iterdir()) == before
    classifier = pellucid.train(photos, **place, resume=True, model=module)
    assert classifier.predict(photos / "red" / "0.png").error is None


def test_killed_and_resumed_by_its_name_from_the_command_line(net: Path, photos: Path, tmp_path: Path) -> None:
    shutil.copy(net, tmp_path / "net.py")
    flags = [each for name, value in SETTINGS.items() for each in (f"--{name.replace('_', '-')}", str(value))]
    flags[flags.index("--epochs") + 1] = "30"
    start = ["train", str(photos), "--cache", "c", "--model", "net.py:build", *flags]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    whole = forked.run(*start, "--out", "whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    assert "runs net.py: build" in whole.stdout
    with forked.Command(*start, "--out", "killed", cwd=tmp_path, env=environment) as process:
        for line in process.stdout:
            if line.startswith("epoch"):
                process.send_signal(signal.SIGKILL)
                break
    assert not (tmp_path / "killed" / "config.json").exists()
    # without --model: the run keeps its settings, including the names of the file and the function
    resumed = forked.run("train", photos, "--cache", "c", "--out", "killed", "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert "runs net.py: build" in resumed.stdout
    assert "resumed at step" in resumed.stdout
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")

    (tmp_path / "net.py").unlink()
    answer = forked.run("predict", "whole", photos / "red" / "1.png", "--trust", cwd=tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "red" in answer.stdout


def test_a_seed_is_the_first_weights_of_a_file_too(net: Path, photos: Path, tmp_path: Path) -> None:
    def first(name: str, seed: int) -> dict[str, torch.Tensor]:
        slow = {**SETTINGS, "learning_rate": 1e-12, "weight_decay": 0.0, "epochs": 1, "seed": seed}
        out = tmp_path / name
        pellucid.train(photos, out, cache=tmp_path / "c", model=f"{net}:build", **slow)
        return load_file(out / store.WEIGHTS)

    one, same, other = first("1", 1), first("2", 1), first("3", 2)
    assert torch.equal(one["stem.weight"], same["stem.weight"])
    assert not torch.allclose(one["stem.weight"], other["stem.weight"], atol=1e-3)


COMMANDS: dict[str, Callable[[Path, Path, Path], list[str]]] = {
    "predict": lambda model, picture, _: [str(model), str(picture)],
    "evaluate": lambda model, _, __: [str(model)],
    "explain": lambda model, picture, out: [str(model), str(picture), "--html", str(out / "page.html")],
    "filters": lambda model, _, out: [str(model), "--out", str(out / "filters")],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_asks_for_trust_and_then_works(
    command: str, own: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [command, *COMMANDS[command](own, photos / "red" / "1.png", tmp_path)]
    assert main(arguments) == 1
    refused = capsys.readouterr()
    assert refused.err.count("\n") == 1
    assert "holds a network that somebody wrote in Python, Net, as a program (program.pt2)" in refused.err
    assert "--trust" in refused.err
    assert list(tmp_path.iterdir()) == []
    assert main([*arguments, "--trust"]) == 0
    assert capsys.readouterr().out != ""
    made = {"explain": {"page.html"}, "filters": {"filters"}}
    assert {path.name for path in tmp_path.iterdir()} == made.get(command, set())


def test_open_asks_for_trust(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["open", str(own), "--no-browser"]) == 1
    assert "--trust" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [pellucid.load, pellucid.evaluate, lambda m: next(pellucid.predict(m, "x.png"))])
def test_every_verb_asks_for_trust(own: Path, verb: Callable[[Path], object]) -> None:
    with pytest.raises(ArtefactError, match=r"Opening it may run code .* --trust, or trust=True in Python"):
        verb(own)


def test_the_hash_is_checked_before_the_program_is_opened(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object, **__: object) -> object:
        raise AssertionError("opened")

    monkeypatch.setattr(torch.export, "load", opened)
    with pytest.raises(ArtefactError, match=r"program\.pt2: .* cannot open it: AssertionError: opened"):
        pellucid.load(copy, trust=True)
    content = bytearray((copy / store.PROGRAM).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / store.PROGRAM).write_bytes(content)
    with pytest.raises(ArtefactError, match=r"program\.pt2 is damaged: its hash is"):
        pellucid.load(copy, trust=True)
    (copy / store.PROGRAM).write_bytes(content[:-3])
    with pytest.raises(ArtefactError, match=r"program\.pt2 has .* it was cut or changed"):
        pellucid.load(copy, trust=True)
    (copy / store.PROGRAM).unlink()
    with pytest.raises(ArtefactError, match=r"program\.pt2 is missing"):
        pellucid.load(copy, trust=True)


def test_a_damaged_description_of_the_program_is_told(copy: Path) -> None:
    config = json.loads((copy / store.CONFIG).read_text())
    for program in (3, {}, {"name": "Net", "plain": False, "shared": []}):
        (copy / store.CONFIG).write_text(json.dumps({**config, "program": program}))
        with pytest.raises(ArtefactError, match=r"config\.json is damaged: its program is "):
            pellucid.load(copy, trust=True)
    (copy / store.CONFIG).write_text(json.dumps({**config, "program": None}))
    with pytest.raises(ArtefactError, match=r"config\.json is damaged"):
        pellucid.load(copy, trust=True)


def test_a_loaded_one_is_saved_again_as_it_was(own: Path, photos: Path, tmp_path: Path) -> None:
    loaded = pellucid.load(own, trust=True)
    store.save(tmp_path / "again", loaded, {})
    again = pellucid.load(tmp_path / "again", trust=True)
    picture = photos / "blue" / "3.png"
    assert again.predict(picture).logits == loaded.predict(picture).logits
    assert weights(tmp_path / "again") == weights(own)
    assert (tmp_path / "again" / store.PROGRAM).read_bytes() == (own / store.PROGRAM).read_bytes()


def test_the_glass_box_works_on_it(own: Path, photos: Path) -> None:
    classifier = pellucid.load(own, trust=True)
    picture = photos / "red" / "1.png"
    trace = classifier.explain(picture, "red")
    names = [node.name for node in trace.nodes]
    assert {"stem", "blocks.0.conv", "blocks.1.norm", "blocks.1.add", "head"} <= set(names)
    assert trace.logits == pytest.approx(classifier.predict(picture).logits, abs=1e-5)
    for working in (trace.unit("stem[2, 3, 4]"), trace.gradient("stem[2, 3, 4]"), trace.update("head.weight[1, 2]")):
        assert abs(working.difference) < 1e-5
    assert classifier.difference(picture, "red", "blue").difference == pytest.approx(
        trace.logits[1] - trace.logits[0], abs=1e-5
    )
    assert classifier.attribute(picture, "red").map.shape == (12, 12)
    many = list(classifier.stream([picture] * 300))
    assert {answer.label for answer in many} == {classifier.predict(picture).label}
    np.testing.assert_allclose([answer.logits for answer in many], np.tile(trace.logits, (300, 1)), atol=1e-4)


def test_what_if_its_weights_were_others_but_not_its_strides(own: Path, photos: Path) -> None:
    classifier = pellucid.load(own, trust=True)
    changed = classifier.changed([Weight("head.bias", (1,), 50.0)])
    assert changed.predict(photos / "red" / "1.png").label == classifier.classes[1]
    assert classifier.module.get_parameter("head.bias")[1] != 50
    assert changed.stored(Weight("head.bias", (1,), 0.0)) == 50.0
    for verb in (lambda change: classifier.changed([change]), classifier.stored):
        with pytest.raises(TraceError, match="stem cannot be changed in this way: this network is a PyTorch module"):
            verb(Stride("stem", (2, 2)))
    assert classifier.instead([Stride("stem", (2, 2))]) == ()
    glass = Glass(classifier, own, photos / "red" / "1.png")
    content = json.loads(glass.shown.text)
    assert content["model"]["network"] == ""
    assert content["what_if"]["settings"] == []
    glass.change((Weight("head.bias", (1,), 50.0),))
    assert glass.shown.document.trace.predicted == 1
    glass.finish()


class Views(nn.Module):
    """view() after a convolution, for grey pictures of 32x32."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 6, 5)
        self.second = nn.Conv2d(6, 16, 5)
        self.head = nn.Linear(400, 2)

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.first(x)), 2)
        x = torch.max_pool2d(torch.relu(self.second(x)), 2)
        return self.head(x.view(x.size(0), -1))


def test_the_size_that_a_module_needs_is_chosen_where_none_is_asked_for(photos: Path, tmp_path: Path) -> None:
    settings = {**SETTINGS, "epochs": 1, "replay": True}
    del settings["size"]
    run = api.start(photos, tmp_path / "m", cache=tmp_path / "c", model=Views(), **settings)
    (started,) = [event for event in run if isinstance(event, Started)]
    report = api.finish(run)
    assert (started.recipe.size, started.recipe.channels) == (32, 1)
    assert "size 32: Views does not take 48x48" in started.reasons
    assert "channels 1: Views does not take 3" in started.reasons
    assert not any(reason.startswith("size 48") for reason in started.reasons)
    loaded = pellucid.load(tmp_path / "m", trust=True)
    picture = photos / "red" / "1.png"
    assert loaded.predict(picture).logits == pytest.approx(report.classifier.predict(picture).logits, abs=1e-5)
    for classifier in (loaded, report.classifier):
        trace = classifier.explain(picture)
        assert abs(trace.unit("first[2, 3, 4]").difference) < 1e-5
        assert len(list(classifier.stream([picture] * 40))) == 40

    with pytest.raises(NetworkError, match=r"does not take pictures of 12x12x3: .* It takes 32x32x1: give size=32 and"):
        pellucid.train(photos, tmp_path / "n", cache=tmp_path / "c", model=Views(), **SETTINGS)


class Mixes(nn.Module):
    """Adds autocast's bfloat16 to float32, like code that never ran under autocast."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        between = self.first(x.mean((2, 3)))
        count = x.shape[0]
        # raises unless both have the same dtype
        return self.last(torch.index_add(torch.zeros(count, 4), 0, torch.arange(count), between))


def test_a_module_that_does_not_work_in_bfloat16_is_trained_in_float32() -> None:
    engine = Engine("cpu", "bfloat16", 1, ("bfloat16: this processor multiplies it", "threads: 1"))
    recipe = recipes.make()
    mixes = Own("module:Mixes", Mixes()).ready((3, 8, 8), 2)
    chosen = bring.computing(engine, recipe, mixes, (3, 8, 8))
    assert chosen.precision == "float32"
    assert chosen.reasons[0] == "threads: 1"
    assert chosen.reasons[1].startswith("float32: in bfloat16 the module raises RuntimeError: ")
    with pytest.raises(RecipeError, match=r"does not work in bfloat16: RuntimeError: .* Use --precision float32\."):
        bring.computing(engine, recipes.make(precision="bfloat16"), mixes, (3, 8, 8))
    plain = Own("module:Linear", nn.Sequential(nn.Flatten(), nn.Linear(192, 2))).ready((3, 8, 8), 2)
    assert bring.computing(engine, recipe, plain, (3, 8, 8)) == engine


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "the class": (lambda _: Views, r"model is the class Views itself; pass one of it, Views\(\.\.\.\); it must be"),
    "a number": (lambda _: 5, "model is 5; it must be a network's name or text, or a torch.nn.Module"),
    "too many numbers": (
        lambda _: nn.Sequential(nn.Flatten(), nn.Linear(432, 1000)),
        r"Sequential returns \[2, 1000\] for 2 pictures, and 2 classes need \[2, 2\]",
    ),
    "no such file": (lambda folder: f"{folder / 'none.py'}:build", r"none\.py does not exist"),
    "no function named": (lambda net: f"{net / 'net.py'}", "Name the function in it"),
    "no such function": (lambda net: f"{net / 'net.py'}:biuld", "has no function biuld. Did you mean build?"),
    "a name of ours that is none": (lambda _: "module:Net", "began with a module from Python, Net"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_refused_leaves_nothing(why: str, net: Path, photos: Path, tmp_path: Path) -> None:
    make, message = REFUSED[why]
    with pytest.raises(PellucidError, match=message):
        pellucid.train(photos, tmp_path / "m", cache=tmp_path / "c", model=make(net.parent), **SETTINGS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("settings", [{"pretrained": "imagenet"}, {"pretrained": "imagenet", "epochs": 0}], ids=str)
def test_known_weights_are_not_for_a_module_that_has_its_own(
    settings: dict[str, Any], module: nn.Module, photos: Path, tmp_path: Path
) -> None:
    message = "pretrained is 'imagenet', but Net starts from its own weights. Remove one"
    with pytest.raises(RecipeError, match=message):
        pellucid.train(photos, tmp_path / "m", cache=tmp_path / "c", model=module, **settings)
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_says_what_is_wrong_in_a_line(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.py").write_text("def build(classes):\n    raise ValueError('three is a crowd')\n")
    assert main(["train", str(photos), "--out", "m", "--cache", "c", "--model", "bad.py:build"]) == 1
    report = capsys.readouterr()
    assert re.search(r"^runs bad\.py: build", report.out, re.MULTILINE)
    assert report.err == "pellucid: bad.py, build(2): ValueError: three is a crowd, at line 2.\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.py"]
