"""A user's text becomes a path of this machine or an address, and nothing that must stay secret is shown."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import CatalogError
from pellucid.pictures import places
from pellucid.pictures.places import is_address, is_written_as_address, place, shown, within

NAMES = st.text(st.characters(categories=["L", "N"], include_characters=" _-."), min_size=1, max_size=12)
SECRETS = ("X-Amz-Signature", "sig", "token", "AWSAccessKeyId", "X-Goog-Credential", "api_key", "access_token")


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_a_path_of_this_machine_stays_one(names: list[str]) -> None:
    path = "/".join(names)
    assert place(path) == Path(path)
    assert shown(path) == path
    assert not is_address(place(path))


@given(st.lists(NAMES.filter(lambda name: name.strip(" .")), min_size=1, max_size=4))
def test_an_address_keeps_its_name(names: list[str]) -> None:
    address = f"memory://{'/'.join(names)}"
    where = place(address)
    assert is_address(where)
    assert str(where) == address
    assert places.identity(address) == places.absolute(address) == address
    assert places.name_of(address) == names[-1]


@given(NAMES, st.sampled_from(SECRETS), st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=6))
def test_no_secret_is_shown(name: str, field: str, secret: str) -> None:
    for address in (f"https://anna:{secret}@host/a.jpg", f"https://host/a.jpg?w=1&{field}={secret}"):
        assert f"={secret}" not in shown(address)
        assert f":{secret}" not in shown(address)
        with pytest.raises(CatalogError, match="password or a signature") as caught:
            place(address)
        assert f"={secret}" not in str(caught.value)
        assert f":{secret}@" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("s3://bucket/photos", True),
        ("S3://bucket", True),
        ("simplecache::s3://bucket/x", True),
        ("zip://*.jpg::s3://bucket/x.zip", True),
        ("C:/photos", False),
        ("C:\\photos", False),
        ("a::b.jpg", False),
        ("photos/s3://x", False),
        ("", False),
    ],
)
def test_what_is_written_as_an_address(text: str, is_one: bool) -> None:
    assert is_written_as_address(text) is is_one


def test_an_address_of_this_machine_is_a_path() -> None:
    assert place("file:///data/my%20photos") == Path("/data/my photos")
    assert place("S3://Bucket/Key").path == "Bucket/Key"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [
        ("s3://b/a", "cat/1.jpg", "s3://b/a/cat/1.jpg"),
        ("s3://b/a", "gs://c/1.jpg", "gs://c/1.jpg"),
        ("s3://b/a", "cat/what? #1%.jpg", "s3://b/a/cat/what? #1%.jpg"),
        ("https://h/a", "cat/a b#1.jpg", "https://h/a/cat/a%20b%231.jpg"),
        ("https://h/a", "/top.jpg", "https://h/top.jpg"),
        ("https://h/a", "https://i/b%20c.jpg", "https://i/b%20c.jpg"),
        ("/data", "s3://b/x.jpg", "s3://b/x.jpg"),
        ("/data", "x.jpg", "/data/x.jpg"),
    ],
)
def test_a_picture_within_a_place(root: str, path: str, expected: str) -> None:
    assert str(within(place(root), path)) == expected
