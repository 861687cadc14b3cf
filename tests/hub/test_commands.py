"""The commands on a model that is on a hub: each takes hf://OWNER/NAME where it takes a folder."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants
from tests.hub.server import Hub

from pellucid.app import models, serving
from pellucid.app.commands import serve
from pellucid.errors import RecipeError
from pellucid.serving.served import version_of

CATS = "hf://anna/cats"


def test_predict_and_evaluate_answer_as_for_the_folder(pushed: Hub, trained: Path, photos: Path, pellucid) -> None:
    for command in (["predict"], ["predict", "--format", "csv"], ["predict", "--top", "1", "--format", "jsonl"]):
        verb, *flags = command
        mine, hosted = pellucid(verb, trained, photos, *flags), pellucid(verb, CATS, photos, *flags)
        assert hosted == mine
        assert len(hosted.out.splitlines()) >= 32
    figures = [json.loads(pellucid("evaluate", each, photos, "--json").out) for each in (trained, CATS)]
    assert figures[0]["accuracy"] == figures[1]["accuracy"]


def test_explain_works_out_the_same_numbers(pushed: Hub, trained: Path, photos: Path, pellucid: Callable) -> None:
    picture = photos / "red" / "0.png"
    unit = ["--unit", "conv1[3, 1, 2]", "--backward", "--update", "conv1.weight[3, 0, 2, 2]"]
    mine = pellucid("explain", trained, picture, *unit)
    assert pellucid("explain", CATS, picture, *unit) == mine
    assert mine.out != ""


def test_export_carries_the_card(pushed: Hub, photos: Path, pellucid, tmp_path: Path) -> None:
    assert pellucid("export", CATS, tmp_path / "cats.onnx", "--pictures", photos / "red").status == 0
    assert b"pellucid predict hf://anna/cats picture.jpg" in (tmp_path / "cats.onnx").read_bytes()
    picture = photos / "red" / "0.png"
    assert pellucid("predict", tmp_path / "cats.onnx", picture) == pellucid("predict", CATS, picture)


def test_filters_are_named_after_the_repository(pushed: Hub, photos: Path, pellucid, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert pellucid("filters", CATS, photos / "red").status == 0
    assert Path("cats-filters/filters.json").is_file()
    without = pellucid("filters", CATS, "--out", "others")
    assert "does not list the pictures that it was made from; name others" in without.err


def test_serve_gives_it_the_name_of_its_repository(pushed: Hub, trained: Path, photos: Path) -> None:
    assert serving.named((CATS, "dogs=hf://anna/dogs@v1")).keys() == {"cats", "dogs"}
    with pytest.raises(RecipeError, match="Two models are called 'cats'"):
        serving.named((CATS, "hf://bert/cats"))
    assert version_of(models.local(CATS)) == version_of(models.local(f"{CATS}@main")) != version_of(trained)
    assert "hf://OWNER/NAME" in (serve.serve.__doc__ or "")


@pytest.mark.parametrize(
    "line",
    [
        "predict {} {picture}",
        "predict {} {picture} --top 1",
        "evaluate {} {photos}",
        "explain {} {picture}",
        "open {} {picture} --no-browser",
        "serve {} --port 0",
        "filters {} {photos}",
        "export {} out.onnx",
        "train {photos} --pretrained {}",
    ],
)
def test_every_command_that_takes_a_model_looks_on_the_hub(
    line: str, hub: Hub, photos: Path, pellucid, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = line.format("hf://anna/nothing", picture=photos / "red" / "0.png", photos=photos).split()
    result = pellucid(*words)
    assert (result.status, result.out) == (1, "")
    assert f"There is no repository anna/nothing at {hub.address}/anna/nothing." in result.err


def test_where_the_cache_answers_a_line_says_so(pushed: Hub, photos: Path, pellucid: Callable, monkeypatch) -> None:
    online = pellucid("predict", CATS, photos / "red" / "0.png")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    offline = pellucid("predict", CATS, photos / "red" / "0.png")
    assert (offline.status, offline.out) == (0, online.out)
    assert online.err == ""
    commit = pushed.repositories["anna/cats"].branches["main"]
    assert offline.err == (
        f"pellucid: {CATS}: HF_HUB_OFFLINE says not to connect. Commit {commit[:12]} from the cache is used.\n"
    )


def test_push_prints_where_it_is_and_what_stayed_here(hub: Hub, trained: Path, pellucid: Callable) -> None:
    result = pellucid("push", trained, "anna/cats", "--message", "The first")
    repo = hub.repositories["anna/cats"]
    commit = repo.branches["main"]
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines()[0] == f"{hub.address}/anna/cats (private), commit {commit}"
    assert "(--with-pictures uploads them): known.safetensors, quarantine.csv, split.csv, thumbnails" in result.out
    assert result.out.endswith("To use it: pellucid predict hf://anna/cats picture.jpg\n")
    assert repo.messages[commit] == "The first"
    again = pellucid("push", trained, "anna/cats", "--public", "--branch", "v1")
    assert "The repository was private and stays private" in again.out
    assert again.out.endswith("To use it: pellucid predict hf://anna/cats@v1 picture.jpg\n")


def test_push_as_json(hub: Hub, trained: Path, pellucid: Callable) -> None:
    result = json.loads(pellucid("push", trained, "anna/cats", "--json", "--public").out)
    assert result["commit"] == hub.repositories["anna/cats"].branches["main"]
    assert (result["public"], result["changed"]) == (True, True)
    assert result["files"]["model.safetensors"] == (trained / "model.safetensors").stat().st_size


def test_push_refuses_in_one_line(hub: Hub, trained: Path, pellucid: Callable, monkeypatch) -> None:
    result = pellucid("push", trained, "cats")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("pellucid: 'cats' is not the name of a repository; write OWNER/NAME")
    assert pellucid("push", trained).status == 2
    assert "is on a hub already. Push a model folder." in pellucid("push", CATS, "anna/dogs").err
    monkeypatch.delenv("HF_TOKEN")
    assert "log in by `hf auth login` or set HF_TOKEN" in pellucid("push", trained, "anna/cats").err
    assert hub.requests == []


def test_a_local_model_imports_no_client_of_a_hub(trained: Path, photos: Path) -> None:
    import subprocess
    import sys

    code = (
        f"import sys; from pellucid.app.cli import main; main(['predict', {str(trained)!r}, {str(photos)!r}])\n"
        "print('LOADED', *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "pellucid" in loaded
    assert loaded & {"huggingface_hub", "httpx2", "yaml", "hf_xet"} == set()
