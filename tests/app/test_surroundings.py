"""No home folder, or a cache that cannot be written: an answer, or a sentence that says what to do."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid.runtime import compiled

ELSEWHERE = "Choose another place with --cache, or cache=... in Python.\n"


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user id that is not in /etc/passwd: ~ stays unexpanded."""
    for name in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize("command", [["cache"], ["cache", "--clear"], ["train", "photos"]])
def test_without_a_home_folder_the_cache_has_to_be_named(pellucid: Callable, photos: Path, command: list[str]) -> None:
    result = pellucid(*(photos if word == "photos" else word for word in command))
    message = "pellucid: There is no home folder to store decoded pictures in. "
    assert result == (1, "", message + ELSEWHERE)


@pytest.mark.usefixtures("homeless")
def test_without_a_home_folder_a_page_has_no_place_for_its_runtime(
    pellucid: Callable, trained: Path, tmp_path: Path
) -> None:
    result = pellucid("export", trained, tmp_path / "a.html")
    assert result == (1, "", "pellucid: There is no home folder for a cache. Set XDG_CACHE_HOME to a folder.\n")


@pytest.mark.usefixtures("homeless")
def test_without_a_home_folder_the_named_cache_will_do(pellucid: Callable, tmp_path: Path) -> None:
    assert pellucid("cache", "--cache", tmp_path) == (0, "The cache is empty.\n", "")


def test_a_cache_that_cannot_be_written(pellucid: Callable, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    result = pellucid("train", photos, "--out", tmp_path / "model", "--cache", tmp_path / "file" / "cache")
    assert result == (1, "", f"pellucid: {tmp_path}/file/cache could not be written: Not a directory. {ELSEWHERE}")
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "model").exists()


@pytest.mark.usefixtures("homeless")
def test_numba_makes_no_folder_called_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert not compiled._may_be_kept(compiled.compiled)
    monkeypatch.setattr(os, "access", lambda path, mode: True)  # beside the file itself
    assert compiled._may_be_kept(compiled.compiled)


def test_numba_keeps_what_it_compiled_where_there_is_a_home_folder() -> None:
    assert compiled._may_be_kept(compiled.compiled)
