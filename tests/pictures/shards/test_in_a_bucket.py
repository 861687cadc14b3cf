"""Shards in a bucket of S3: trained on, predicted and evaluated by their addresses."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from upath import UPath

import pellucid
from pellucid import files
from pellucid.app.cli import main
from pellucid.pictures import remote
from pellucid.pictures.shards import fetched

NETWORK = "conv(4, 3) relu maxpool(2) flatten dense"
SERVER = """
import sys, threading
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
WSGIRequestHandler.protocol_version = "HTTP/1.1"  # connections are kept
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()  # the test has ended
"""

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def fetches(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A server with the pictures of `photos` in shards, below s3://pets/set; the shards that are fetched from there."""
    root = tmp_path_factory.mktemp("bucket")
    pellucid.pack(photos, root / "out", shard_size="20kB")
    command = [sys.executable, "-W", "ignore", "-c", SERVER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as server, pytest.MonkeyPatch.context() as patch:  # type: ignore[call-overload]
        user = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
        user |= {"AWS_ENDPOINT_URL": server.stdout.readline().strip(), "AWS_EC2_METADATA_DISABLED": "true"}
        user |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        for name, value in user.items():
            patch.setenv(name, value)
        patch.setattr(files, "user_cache", lambda: root / "user")
        patch.setattr(remote, "_STORES", {})
        patch.setattr(fetched, "_known", {})
        names: list[str] = []
        get = fetched._get
        patch.setattr(fetched, "_get", lambda *about: names.append(about[1]) or get(*about))
        system = UPath("s3://pets/set").fs
        system.mkdir("pets")
        for path in (root / "out").iterdir():
            system.put_file(str(path), f"pets/set/{path.name}")
        yield names
        server.stdin.close()


def test_shards_in_a_bucket(fetches: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, settings = tmp_path / "model", ["--model", NETWORK, "--size", "12", "--epochs", "2", "--batch", "8"]
    cache = ["--cache", str(tmp_path / "cache")]
    assert main(["train", "s3://pets/set", "--out", str(model), *settings, *cache, "--device", "cpu"]) == 0
    with (model / "split.csv").open() as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    assert len(paths) == 32
    capsys.readouterr()
    assert main(["predict", str(model), "s3://pets/set", "--format", "jsonl"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 32
    assert main(["predict", str(model), f"s3://pets/set/{paths[0]}", "--format", "jsonl"]) == 0
    (alone,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (alone["picture"], alone["label"]) in [(row["picture"], row["label"]) for row in rows]
    assert main(["evaluate", str(model), "s3://pets/set/train-{000000..000001}.tar", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pictures"] > 2
    assert main(["evaluate", str(model), "--json"]) == 0
    capsys.readouterr()
    assert main(["pack", "s3://pets/set", str(tmp_path / "again"), "--shard-size", "20kB", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == 32
    assert sorted(fetches) == sorted({f"pets/set/{path.partition('/')[0]}" for path in paths}), "each once"


@pytest.mark.parametrize("place", ["s3://nowhere/set", "s3://nowhere/a.tar", "s3://pets/set/x-{0..3}.tar"])
def test_a_bucket_that_is_not_there_is_one_line(
    fetches: list[str], place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", place, "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert "Traceback" not in error
