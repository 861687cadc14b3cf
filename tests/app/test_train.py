"""`pellucid train`: flags, recipe files, places, resuming, and where output goes."""

import csv
import json
import os
import pty
import re
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest
from PIL import Image
from tests import forked

from pellucid import Recipe, api
from pellucid.app import progress
from pellucid.errors import RecipeError
from pellucid.runs.run import Run
from pellucid.training.loop import Step
from pellucid.training.team.team import Team

pytestmark = pytest.mark.usefixtures("undrawn")

NETWORK = "conv(2, 3) relu globalavgpool dense"
TINY = ["--model", NETWORK, "--size", "8", "--epochs", "2", "--batch", "16", "--device", "cpu"]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Runs that the command line started; none of them trains."""
    runs: list[Run] = []

    def note(run: Run, team: Team) -> int:
        runs.append(run)
        return 0

    monkeypatch.setattr(progress, "watch", note)
    return runs


def test_every_setting_is_a_flag(pellucid: Callable) -> None:
    shown = pellucid("train", "--help").out
    for field in fields(Recipe):
        assert f"--{field.name.replace('_', '-')} " in shown, field.name
    assert "--resume " in shown
    assert "--out PATH" in shown


def test_help_shows_the_defaults_that_would_hold(pellucid: Callable, tmp_path: Path) -> None:
    def epochs(*arguments: object) -> str:
        flat = " ".join(pellucid("train", *arguments, "--help").out.replace("│", " ").split())
        return flat.split("--epochs INT ")[1].split(" --minutes")[0]

    assert epochs() == "How often each training picture is seen. (default: chosen from the number of pictures)"
    assert epochs("--model", "article") == "How often each training picture is seen. (default: 5)"
    (tmp_path / "recipe.toml").write_text("epochs = 77")
    assert epochs("--recipe", tmp_path / "recipe.toml").endswith("(default: 77)")


def test_flags_over_recipe_over_model_over_defaults(
    pellucid: Callable, started: list, tmp_path: Path, photos: Path
) -> None:
    (tmp_path / "recipe.toml").write_text('model = "article"\nepochs = 7\nlearning_rate = 0.5\n')
    arguments = [photos, "--recipe", tmp_path / "recipe.toml", "--out", tmp_path / "m", "--learning-rate=0.25"]
    assert pellucid("train", *arguments).status == 0
    recipe = started[0].recipe
    assert (recipe.learning_rate, recipe.epochs, recipe.optimizer, recipe.momentum) == (0.25, 7, "adam", 0.9)
    # a flag counts even if it states the default
    pellucid("train", *arguments, "--model", "compact", "--epochs", "9")
    assert (started[1].recipe.model, started[1].recipe.epochs, started[1].recipe.optimizer) == ("compact", 9, "adamw")


def test_a_replay_is_switched_on_and_off(pellucid: Callable, started: list, tmp_path: Path, photos: Path) -> None:
    place = [photos, "--out", tmp_path / "m"]
    (tmp_path / "recipe.toml").write_text("replay = true\nreplay_every = 5\n")
    pellucid("train", *place)
    pellucid("train", *place, "--replay", "--replay-every", "7")
    pellucid("train", *place, "--recipe", tmp_path / "recipe.toml")
    pellucid("train", *place, "--recipe", tmp_path / "recipe.toml", "--replay")
    (tmp_path / "recipe.toml").write_text("replay = true\n")
    pellucid("train", *place, "--recipe", tmp_path / "recipe.toml", "--no-replay")
    results = [(run.recipe.replay, run.recipe.replay_every) for run in started]
    assert results == [(False, None), (True, 7), (True, 5), (True, 5), (False, None)]
    result = pellucid("train", *place, "--replay-every", "7")
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "replay_every is 7, which requires --replay" in result.err


def test_the_default_place_is_a_free_name(
    pellucid: Callable, started: list, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos-model").mkdir()
    pellucid("train", photos)
    assert started[0].out == Path("photos-model-2")


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("epocs = 3", "There is no setting 'epocs'. Did you mean 'epochs'?"),
        ("epochs = 0", "epochs is 0; it must be 1 or more."),
        ('epochs = "three"', "epochs is 'three'; it must be of type"),
        ("epochs = ", "is not valid TOML: "),
        (None, "cannot be read: No such file or directory."),
    ],
)
def test_a_bad_recipe_file(
    pellucid: Callable, started: list, photos: Path, tmp_path: Path, recipe: str | None, message: str
) -> None:
    if recipe is not None:
        (tmp_path / "recipe.toml").write_text(recipe)
    result = pellucid("train", photos, "--recipe", tmp_path / "recipe.toml", "--out", tmp_path / "m")
    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert message in result.err
    assert started == []


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (["--epochs", "0"], 1, "epochs is 0; it must be 1 or more."),
        (["--epochs", "x"], 2, "--epochs"),
        (["--optimizer", "adamm"], 2, "adamm"),
        (["--model"], 2, "--model"),
        (["--recipe"], 2, "--recipe"),
        (["--epocs", "3"], 2, "--epochs"),
        (["--test", "0.8", "--validation", "0.8"], 1, "together they must be at most 0.9."),
        (["--resume"], 1, "Resuming needs the folder of the training: add --out"),
    ],
)
def test_bad_flags(
    pellucid: Callable, started: list, photos: Path, flags: list[str], status: int, message: str
) -> None:
    result = pellucid("train", photos, *flags)
    assert (result.status, result.out) == (status, "")
    assert message in result.err
    assert started == []


def test_places_that_are_taken(pellucid: Callable, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    result = pellucid("train", photos, "--out", tmp_path / "mine")
    assert (result.status, result.out) == (1, "")
    assert "mine is not empty, and nothing of yours is overwritten. Choose another --out." in result.err
    result = pellucid("train", photos, "--out", tmp_path / "mine" / "thesis.txt")
    assert result.err.endswith("is a file; choose another --out.\n")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda root: None, "does not exist"),
        (lambda root: root.write_text(""), "is not a folder"),
        (lambda root: root.mkdir(), "has no class folders"),
        (lambda root: (root / "cat").mkdir(parents=True), "has only one class, cat (0 usable pictures)"),
    ],
)
def test_folders_without_data(pellucid: Callable, tmp_path: Path, build: Callable, message: str) -> None:
    build(tmp_path / "data")
    result = pellucid("train", tmp_path / "data", "--out", tmp_path / "m", "--cache", tmp_path / "cache")
    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert message in result.err
    assert not (tmp_path / "m").exists()


@pytest.fixture(scope="module")
def strange(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with markup in its names, a broken picture whose name is not UTF-8, and a hidden file."""
    root = tmp_path_factory.mktemp("strange") / "[red]data[nothing]"
    shutil.copytree(photos / "red", root / "[bold]a|b")
    shutil.copytree(photos / "blue", root / "<i>\n")
    for number in range(4):
        shutil.copy(photos / "blue" / "0.png", os.fsencode(root / "<i>\n") + b"/caf\xe9%d.png" % number)
    (root / "[bold]a|b" / "bad [i].png").write_bytes(b"bad")
    (root / "[bold]a|b" / ".hidden").write_bytes(b"")
    return root


def test_a_whole_training_in_a_pipe(strange: Path, tmp_path: Path) -> None:
    arguments = ["train", strange, *TINY, "--out", "[model]", "--cache", "cache", "--test", "0.4"]
    result = forked.run(*arguments, cwd=tmp_path)
    assert result.stderr == ""
    assert result.returncode == 0
    out = result.stdout
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", out)  # no colours, no bars, no carriage returns
    assert f"36 pictures in {strange}: <i>\\n 20, [bold]a|b 16\n" in out
    assert "1 in quarantine (not used, left in place):\n  [bold]a|b/bad [i].png: " in out
    assert "skipped: 1 hidden or system file\n" in out
    assert re.search(r"\n5 pictures have a near-duplicate \(\d+ pairs\); twins stay on the same side\n", out)
    assert re.search(r"\nsplit: \d+ to train, \d+ for choices \(validation\), \d+ for the final figure \(test\)\n", out)
    assert re.search(r"\ntraining: 2 epochs, 2 steps of 16, adamw, augmentation strong\n", out)
    assert re.search(r"\nepoch 1: training loss .*\nepoch 2: training loss ", out)
    assert re.search(r"\nvalidation: .* 95% interval .*; epoch and temperature were chosen on these\n", out)
    assert re.search(r"\ntest: .* of \d+ pictures, 95% interval .*; .*this is the figure to quote\n", out)
    assert out.endswith("\nmodel folder: [model] (start with its README.md)\n")
    card = (tmp_path / "[model]" / "README.md").read_text(encoding="utf-8")
    assert "| \\[bold\\]a\\|b |" in card
    assert 'pellucid.load("[model]")' in card
    config = json.loads((tmp_path / "[model]" / "config.json").read_text(encoding="utf-8"))
    assert config["classes"] == ["<i>\n", "[bold]a|b"]
    with (tmp_path / "[model]" / "quarantine.csv").open(encoding="utf-8", newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["[bold]a|b/bad [i].png"]
    again = forked.run("evaluate", "[model]", "--json", cwd=tmp_path)
    assert again.returncode == 0
    stated = json.loads((tmp_path / "[model]" / "metrics.json").read_text(encoding="utf-8"))
    assert json.loads(again.stdout)["accuracy"] == stated["test"]["accuracy"]


def all_of(terminal: int) -> str:
    """Everything written to a terminal until its other end is closed."""
    parts = []
    with suppress(OSError):  # Linux's way to say that
        while part := os.read(terminal, 1 << 16):
            parts.append(part)
    return b"".join(parts).decode()


def test_bars_go_to_the_terminal_and_lines_to_the_file(photos: Path, tmp_path: Path) -> None:
    terminal, other_end = pty.openpty()
    arguments = ["train", photos, *TINY, "--out", tmp_path / "m", "--cache", tmp_path / "cache"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "160"}
    with ThreadPoolExecutor(1) as reader:
        showing = reader.submit(all_of, terminal)
        command = forked.Command(*arguments, stderr=other_end, env=environment)
        os.close(other_end)
        out, _ = command.communicate()
        shown = showing.result()
    os.close(terminal)
    assert command.returncode == 0
    assert "\x1b" in shown
    assert "choosing the fastest way to train here" in shown
    assert "images/s" in shown
    assert "\x1b" not in out
    assert out.startswith("32 pictures in ")
    assert "model folder: " in out
    assert "model folder: " not in shown


def test_ctrl_c_saves_and_resume_goes_on(pellucid: Callable, photos: Path, tmp_path: Path, monkeypatch) -> None:
    real, seen = progress._show, 0

    def interrupt_in_the_second_epoch(event: object, *rest: object) -> None:
        nonlocal seen
        seen += isinstance(event, Step)
        if seen == 3:
            seen += 1
            signal.raise_signal(signal.SIGINT)
        real(event, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(progress, "_show", interrupt_in_the_second_epoch)
    place = [photos, "--out", tmp_path / "m", "--cache", tmp_path / "cache"]
    result = pellucid("train", *place, *TINY)
    assert result.status == 130
    assert result.err == "\nstopping after this step; press Ctrl-C again to stop immediately\n"
    assert result.out.endswith(f"Stopped by Ctrl-C; continue with --out {tmp_path}/m --resume.\n")
    assert "The training was stopped after" in (tmp_path / "m" / "README.md").read_text()
    before = signal.getsignal(signal.SIGINT)
    assert before is signal.default_int_handler

    result = pellucid("train", *place, "--resume", "--batch", "8")
    assert result.status == 1
    assert result.err == (f"pellucid: batch is 8 here and 16 in {tmp_path}/m; a resumed run keeps its settings.\n")
    # 32 is the default of --batch, but not the run's
    assert "batch is 32 here and 16 in" in pellucid("train", *place, "--resume", "--batch", "32").err
    result = pellucid("train", *place, "--resume", "--batch", "16")
    assert result.status == 0
    assert "resumed at step 3 of " in result.out
    assert "was stopped" not in (tmp_path / "m" / "README.md").read_text()
    result = pellucid("train", *place, "--resume")
    assert result == (1, "", f"pellucid: The training in {tmp_path}/m is complete; there is nothing to resume.\n")


def test_a_training_with_a_replay_says_what_it_takes(pellucid: Callable, photos: Path, tmp_path: Path) -> None:
    result = pellucid("train", photos, *TINY, "--out", tmp_path / "m", "--cache", tmp_path / "cache", "--replay")
    assert result.status == 0
    frames = len(list((tmp_path / "m" / "replay").glob("frame-*.safetensors")))
    size = sum(path.stat().st_size for path in (tmp_path / "m" / "replay").iterdir()) / 1e6
    assert f"\nreplay: {frames} frames, {size:.1f} MB in {tmp_path}/m/replay\n" in result.out


def test_ctrl_c_while_pictures_are_read(pellucid: Callable, photos: Path, tmp_path: Path, monkeypatch) -> None:
    def interrupt(event: object, *rest: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(progress, "_show", interrupt)
    result = pellucid("train", photos, *TINY, "--out", tmp_path / "m", "--cache", tmp_path / "cache")
    assert (result.status, result.out) == (130, "")
    assert result.err.endswith("pellucid: stopped.\n")
    assert not (tmp_path / "m").exists()


def test_without_validation_and_test_it_says_what_the_figure_is(
    pellucid: Callable, photos: Path, tmp_path: Path
) -> None:
    place = [photos, "--out", tmp_path / "m", "--cache", tmp_path / "cache", "--validation", "0", "--test", "0"]
    result = pellucid("train", *place, *TINY)
    assert result.status == 0
    assert "split: 32 to train\n" in result.out
    assert "; on the training pictures themselves: not a measure of how good the model is\n" in result.out
    assert pellucid("evaluate", tmp_path / "m").err.endswith("name a folder of other pictures.\n")


def test_more_classes_than_can_be_named(pellucid: Callable, tmp_path: Path, paint: Callable) -> None:
    for number in range(15):
        (tmp_path / "data" / f"k{number}").mkdir(parents=True)
        for picture in range(4):
            image = Image.fromarray(paint(100 * number + picture, number % 3))
            image.save(tmp_path / "data" / f"k{number}" / f"{picture}.png")
    result = pellucid("train", tmp_path / "data", *TINY, "--out", tmp_path / "m", "--cache", tmp_path / "cache")
    assert result.status == 0
    assert "k10 4, k11 4 and 3 more\n" in result.out


def test_the_verb_refuses_what_differs(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="optimizer is 'lion'"):
        api.start(photos, tmp_path / "m", optimizer="lion")


def test_resume_says_where_there_is_nothing_to_resume(pellucid: Callable, photos: Path, tmp_path: Path) -> None:
    network = ["--model", "conv(2, 3) relu globalavgpool dense", "--size", "8", "--epochs", "1"]
    place = [str(photos), "--out", str(tmp_path / "m"), "--cache", str(tmp_path / "cache")]
    result = pellucid("train", *place, "--resume", *network)
    message = f"{tmp_path}/m holds no training to resume; starting a new one.\n"
    assert (result.status, result.err[: len(message)]) == (0, message)


def test_ctrl_c_in_the_last_step_of_an_epoch_and_resume(
    pellucid: Callable, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, seen = progress._show, []

    def interrupt_after_the_first_epoch(event: object, *rest: object) -> None:
        if isinstance(event, Step) and event.epoch == 1:
            seen.append(event.step)
            if len(seen) == 2:  # 22 pictures to train on, 16 a step
                signal.raise_signal(signal.SIGINT)
        real(event, *rest)  # type: ignore[arg-type]

    place = [photos, "--out", tmp_path / "m", "--cache", tmp_path / "cache"]
    with monkeypatch.context() as patched:
        patched.setattr(progress, "_show", interrupt_after_the_first_epoch)
        assert pellucid("train", *place, *TINY).status == 130
    result = pellucid("train", *place, "--resume")
    assert (result.status, result.err) == (0, "")
    assert re.search(r"resumed at step 2 of .*\nepoch 1: training loss", result.out)
