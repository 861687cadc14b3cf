"""Shards in a bucket of S3: trained on, predicted and evaluated by their addresses."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.addresses import s3
from upath import UPath

import pellucid
from pellucid import files
from pellucid.app.cli import main
from pellucid.pictures import remote
from pellucid.pictures.shards import fetched

NETWORK = "conv(4, 3) relu maxpool(2) flatten dense"

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def fetches(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A server with the pictures of `photos` in shards, below s3://pets/set; the shards that are fetched from there."""
    root = tmp_path_factory.mktemp("bucket")
    pellucid.pack(photos, root / "out", shard_size="20kB")
    with s3.serving() as bucket, pytest.MonkeyPatch.context() as patch:
        for name, value in s3.as_the_users(bucket.address).items():
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
        system.clear_instance_cache()


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
