"""What a user writes for a repository."""

from pathlib import Path

import pytest

from pellucid.errors import ArtefactError
from pellucid.hub import reference, upload
from pellucid.hub.reference import Reference


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("hf://anna/cats", Reference("anna/cats")),
        ("hf://anna/cats/", Reference("anna/cats")),
        ("hf://anna/cats@v1.2", Reference("anna/cats", "v1.2")),
        ("hf://anna/cats@refs/pr/3", Reference("anna/cats", "refs/pr/3")),
        (f"hf://anna-b/cats_2.1@{'a' * 40}", Reference("anna-b/cats_2.1", "a" * 40)),
    ],
)
def test_a_repository_is_read_as_text_and_as_a_path(written: str, meant: Reference) -> None:
    for each in (written, Path(written)):  # a Path merges the two slashes
        assert reference.is_reference(each)
        assert reference.parse(each) == meant
    assert reference.parse(str(meant)) == meant


@pytest.mark.parametrize("path", ["model", "./hf", "/hf:/x/y", "models/hf://x", "C:\\hf", "hf", "hf:x"])
def test_paths_are_paths(path: str) -> None:
    assert not reference.is_reference(path)


@pytest.mark.parametrize(
    "written",
    [
        "hf://",
        "hf://cats",
        "hf://a/b/c",
        "hf://anna/cats@",
        "hf://an na/cats",
        "hf://@v1",
        "hf://a/b@../x",
        "hf://../b",
    ],
)
def test_half_a_name_says_what_to_write(written: str) -> None:
    with pytest.raises(ArtefactError, match="is not the name of a repository; write hf://OWNER/NAME or hf://"):
        reference.parse(written)


def test_a_folder_of_the_hubs_cache_has_the_name_of_its_repository(tmp_path: Path) -> None:
    folder = tmp_path / "models--anna--cats-2" / "snapshots" / ("a" * 40)
    folder.mkdir(parents=True)
    assert reference.name_of(folder) == "cats-2"
    assert reference.name_of(tmp_path / "photos-model") == "photos-model"
    (tmp_path / "snapshots" / "mine").mkdir(parents=True)
    assert reference.name_of(tmp_path / "snapshots" / "mine") == "mine"


@pytest.mark.parametrize("written", ["anna/cats", "hf://anna/cats", " anna/cats "])
def test_a_repository_to_push_to(written: str) -> None:
    assert upload.named(written) == "anna/cats"


@pytest.mark.parametrize(
    "written",
    ["cats", "a/b/c", "", "anna/", "/cats", "anna/ca ts", "anna/cats.git", "an--na/cats", "-a/b", "a/b..c", "a/b-"],
)
def test_a_name_that_no_repository_can_have(written: str) -> None:
    with pytest.raises(ArtefactError, match="is not the name of a repository; write OWNER/NAME"):
        upload.named(written)


def test_a_revision_to_push_to_is_a_branch() -> None:
    with pytest.raises(ArtefactError, match="names a revision; write anna/cats and --branch v1"):
        upload.named("anna/cats@v1")
