"""What stopped runs had decoded of pictures at addresses is taken over, however often they are stopped."""

from pathlib import Path

import pytest

from pellucid.pictures import store
from pellucid.pictures import table as sources
from pellucid.pictures.decode import Form
from pellucid.pictures.places import place
from pellucid.steps import result_of

FORM = Form(4, 4)


def stopped(source: str, cache: Path, after: int) -> int:
    """Build a store until `after` pictures are done; returns how many were taken over."""
    steps = store.build(sources.read(place(source)), FORM, cache)
    for progress in steps:
        if progress.done >= after:
            steps.close()
            return progress.reused
    raise AssertionError("it came to its end")


def test_each_of_two_stopped_runs_leaves_its_pictures(
    memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_EVERY", 0.0)
    catalog = sources.read(place(memory))
    count, cache = len(catalog.pictures), tmp_path / "cache"
    assert stopped(memory, cache, 1) == 0
    first = stopped(memory, cache, count // 2)
    second = stopped(memory, cache, 3 * count // 4)
    assert 0 < first < count // 2 <= second
    (folder,) = cache.iterdir()
    assert folder.stat().st_mode & 0o077 == tmp_path.joinpath("cache").stat().st_mode & 0o077, "as any other store"
    stopped(memory, cache, 1)
    steps = list(store.build(sources.read(place(memory)), FORM, cache))
    assert steps[-1].done == count
    assert steps[-1].reused >= 3 * count // 4, "a shorter run has left the longer one's pictures"
    there = result_of(store.build(sources.read(place(memory)), FORM, cache))
    here = result_of(store.build(catalog, FORM, tmp_path / "whole"))
    assert (there.folder / "images.raw").read_bytes() == (here.folder / "images.raw").read_bytes()
