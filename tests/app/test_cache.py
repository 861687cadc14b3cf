"""`pellucid cache`: shows and clears the cache, and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path

import pellucid as package


def test_show_and_clear(pellucid: Callable, photos: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (cache / "of somebody else").mkdir(parents=True)
    (cache / "of somebody else" / "file").write_text("mine")
    assert pellucid("cache", "--cache", cache).out == "The cache is empty.\n"
    settings = {"model": "conv(2, 3) relu globalavgpool dense", "size": 8, "epochs": 1, "device": "cpu"}
    package.train(photos, tmp_path / "model", cache=cache, **settings)
    shown = pellucid("cache", "--cache", cache).out
    assert shown.splitlines()[0].split() == ["pictures", "of", "size", "fit", "pictures", "MB"]
    assert "8x8x3" in shown
    assert " 32 " in shown
    (stored,) = json.loads(pellucid("cache", "--cache", cache, "--json").out)
    assert (stored["pictures"], stored["root"]) == (32, str(photos))
    assert stored["bytes"] >= 32 * 8 * 8 * 3

    before = {path: path.read_bytes() for path in photos.rglob("*.png")}
    assert pellucid("cache", "--cache", cache, "--clear").out.endswith(" kB freed.\n")
    assert {path: path.read_bytes() for path in photos.rglob("*.png")} == before
    assert (cache / "of somebody else" / "file").read_text() == "mine"
    assert pellucid("cache", "--cache", cache).out == "The cache is empty.\n"
    assert json.loads(pellucid("cache", "--cache", cache, "--clear", "--json").out) == {"freed_bytes": 0}


def test_a_cache_that_is_not_there(pellucid: Callable, tmp_path: Path) -> None:
    assert pellucid("cache", "--cache", tmp_path / "nowhere") == (0, "The cache is empty.\n", "")
    assert pellucid("cache", "--cache", tmp_path / "nowhere", "--clear").status == 0
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_cache(pellucid: Callable, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for more in ((), ("--clear",), ("--json",)):
        result = pellucid("cache", "--cache", tmp_path / "file", *more)
        assert result == (
            1,
            "",
            f"pellucid: {tmp_path / 'file'} is a file; --cache, or cache=... in Python, names a folder.\n",
        )
