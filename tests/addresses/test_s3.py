"""Pictures in a bucket: the same model as from a folder, and nothing lost when something is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
from safetensors.numpy import load_file
from tests.addresses import s3
from tests.addresses.s3 import Bucket
from tests.app.conftest import Result
from tests.conftest import NETWORK
from tests.patience import PATIENCE

import pellucid as verbs
from pellucid.pictures import remote
from pellucid.pictures.store import Decoding

SETTINGS = {"model": NETWORK, "size": 12, "epochs": 2, "batch": 8, "validation": 0.25, "test": 0.25}


def _train(source: object, folder: Path) -> Path:
    verbs.train(str(source), folder / "model", cache=folder / "cache", **SETTINGS)
    return folder / "model"


@pytest.fixture(scope="module")
def model(stored: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the pictures in the bucket. Not to be changed."""
    return _train(stored, tmp_path_factory.mktemp("far"))


def test_the_model_is_that_of_the_folder(model: Path, stored: str, photos: Path, tmp_path: Path) -> None:
    near = _train(photos, tmp_path)
    mine, theirs = (load_file(each / "model.safetensors") for each in (model, near))
    assert mine.keys() == theirs.keys()
    assert all((mine[name] == theirs[name]).all() for name in mine)
    far, here = (json.loads((each / "config.json").read_bytes())["data"] for each in (model, near))
    assert far["fingerprint"] == here["fingerprint"]
    assert far["root"] == stored
    for name in ("split.csv", "quarantine.csv"):
        assert (model / name).read_bytes() == (near / name).read_bytes()


def test_the_next_training_reads_the_listing_alone(server: Bucket, model: Path, stored: str, tmp_path: Path) -> None:
    server.tell("requests")
    catalog = verbs.start(stored, tmp_path / "model").look()
    assert int(server.tell("requests")) <= 4
    assert len(catalog.pictures) == 32


def test_the_model_finds_its_own_test_pictures(model: Path) -> None:
    judged = verbs.evaluate(model)
    assert judged.held_out
    assert judged.metrics.pictures == 8
    system, path = fsspec.filesystem("s3"), judged.answers[0].picture
    before = system.cat(path)
    try:
        system.pipe(path, before + b"more")
        changed = verbs.evaluate(model)
        system.rm(path)
        gone = verbs.evaluate(model)
    finally:
        system.pipe(path, before)
    assert changed.unusable == ((path, "changed since the training"),)
    assert gone.unusable == ((path, "no longer there"),)
    assert gone.metrics.pictures == 7


def test_evaluating_and_predicting_what_a_bucket_holds(
    model: Path, stored: str, photos: Path, pellucid: Callable[..., Result]
) -> None:
    far, here = (json.loads(pellucid("evaluate", model, each, "--json").out) for each in (stored, photos))
    assert far["confusion"] == here["confusion"]
    assert far["trained_on"] == here["trained_on"] or len(far["trained_on"]) == len(here["trained_on"])
    rows = [pellucid("predict", model, each, "--format", "csv").out for each in (stored, photos)]
    assert rows[0].replace(stored, "X") == rows[1].replace(str(photos), "X")
    some = pellucid("predict", model, f"{stored}/*/1?.png", "--format", "csv")
    names = [line.partition(",")[0] for line in some.out.splitlines()[1:]]
    assert names == [f"{stored}/{name}/1{digit}.png" for name in ("blue", "red") for digit in range(6)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("predict", "{model}", "s3://nowhere/x"), "s3://nowhere/x cannot be read: there is no such bucket."),
        (("train", "s3://pictures/none"), "s3://pictures/none does not exist, or holds nothing."),
        (("predict", "{model}", "{stored}", "--out", "s3://pictures/x"), "--out is s3://pictures/x, and it must be on"),
        (
            ("train", "{stored}", "--cache=s3://pictures/x"),
            "--cache is s3://pictures/x, and it must be on",
        ),
        (("pack", "{stored}", "s3://pictures/packed"), "OUT is s3://pictures/packed, and it must be on this machine"),
        (("predict", "s3://pictures/m", "x.png"), "s3://pictures/m is an address; a model is a folder of this machine"),
        (("teach", "s3://pictures/m"), "teach is s3://pictures/m, and it must be on this machine"),
    ],
)
def test_one_line_for_bad_input(
    arguments: tuple[str, ...], message: str, model: Path, stored: str, pellucid: Callable[..., Result]
) -> None:
    result = pellucid(*(each.format(model=model, stored=stored) for each in arguments))
    assert result.status == 1
    assert message in result.err
    assert len(result.err.splitlines()) == 1


def test_missing_credentials_are_named(
    stored: str, model: Path, pellucid: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setattr(remote, "_STORES", {})
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    result = pellucid("evaluate", model, stored)
    assert result.status == 1
    assert result.err.startswith(f"pellucid: {stored} cannot be read: credentials are missing")
    assert len(result.err.splitlines()) == 1
    row = pellucid("predict", model, f"{stored}/red/1.png", "--format", "csv")
    assert row.status == 3
    assert "credentials are missing" in row.out
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def test_a_killed_training_goes_on_with_what_it_had_fetched(
    server: Bucket, stored: str, model: Path, tmp_path: Path
) -> None:
    flags = [f"--{name}={value}" for name, value in SETTINGS.items()]
    command = [sys.executable, "-m", "pellucid", "train", stored, "--out", str(tmp_path / "model")]
    command += ["--cache", str(tmp_path / "cache"), *flags]
    server.tell("hold /red/9.png")
    try:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            began = time.monotonic()
            while not (lines := _journal(tmp_path / "cache")) and time.monotonic() < began + PATIENCE:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
    finally:
        server.tell("hold")
    assert lines
    assert not (tmp_path / "model" / "config.json").exists()
    run = verbs.start(stored, tmp_path / "model", cache=tmp_path / "cache", **SETTINGS)
    decoded = [event for event in run if isinstance(event, Decoding)]
    verbs.finish(run)
    assert decoded[-1].reused >= lines
    mine, theirs = (load_file(each / "model.safetensors") for each in (tmp_path / "model", model))
    assert all((mine[name] == theirs[name]).all() for name in mine)
    assert (tmp_path / "model/split.csv").read_bytes() == (model / "split.csv").read_bytes()
    (store,) = (tmp_path / "cache").glob("*.store")
    assert not (store / "begun.jsonl").exists()


def _journal(cache: Path) -> int:
    """How many pictures an unfinished store in the cache has."""
    lines = (line for path in cache.glob(".*.part/begun.jsonl") for line in path.read_text().splitlines()[1:])
    return sum(len(json.loads(line)["paths"]) for line in lines if line.endswith("}"))


def test_a_server_that_dies_leaves_rows_with_reasons(model: Path, photos: Path, tmp_path: Path) -> None:
    with s3.serving() as server:
        environment = {**os.environ, **s3.as_the_users(server.address)}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            system = fsspec.filesystem("s3", endpoint_url=server.address, skip_instance_cache=True)
            system.mkdir("dying")
            paths = [f"dying/{copy}/{path.name}" for copy in range(12) for path in photos.rglob("*.png")]
            content = (photos / "red/1.png").read_bytes()
            system.pipe(dict.fromkeys(paths, content))
        server.tell("latency 0.1")
        command = [sys.executable, "-m", "pellucid", "predict", str(model), "s3://dying", "--format", "csv"]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            rows = [process.stdout.readline() for _ in range(3)]
            server.process.kill()
            rows += process.stdout.readlines()
            err = process.stderr.read()
    reasons = Counter(row.strip().rpartition(",")[2] for row in rows[1:])
    assert process.returncode == 3
    assert sum(reasons.values()) == len(set(paths))
    assert reasons.pop("") > 0
    assert reasons
    assert all(reason.startswith("cannot be read: the ") for reason in reasons)
    assert "Traceback" not in err
