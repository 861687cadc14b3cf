"""The records of a store about its files' contents."""

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from pellucid.pictures import index
from pellucid.pictures.decode import Form
from pellucid.pictures.index import Digests, identity_of


def test_digests_are_those_of_the_files() -> None:
    contents = [b"one", b"two", b"one", b"three", b"two", b"one"]
    raw = np.stack([np.frombuffer(hashlib.sha256(content).digest(), np.uint8) for content in contents])
    digests = Digests(raw)
    report = [hashlib.sha256(content).hexdigest() for content in contents]
    assert list(digests) == report
    assert list(digests[1:3]) == report[1:3]
    assert digests.repeated() == [0, 1, 2, 4, 5]
    assert digests[3:].repeated() == []
    assert (len(Digests(raw[:0])), Digests(raw[:0]).repeated()) == (0, [])


def test_what_was_refused_for_want_of_an_extra_is_looked_at_again(tmp_path: Path, monkeypatch) -> None:
    def installed(*missing: str) -> dict:
        def find(name: str) -> str:
            if name in missing:
                raise PackageNotFoundError(name)
            return "1.0" if name == "pillow_heif" else version(name)

        monkeypatch.setattr(index, "version", find)
        return identity_of(tmp_path, Form(4, 4), 100)

    assert installed() == installed()
    assert installed() != installed("pillow_heif")


def test_copies_with_different_values() -> None:
    raw = np.zeros((6, 32), np.uint8)
    raw[:, 31] = [1, 2, 1, 3, 2, 1]  # the first bytes alone do not tell them apart
    assert Digests(raw).repeated() == [0, 1, 2, 4, 5]
    assert Digests(raw).differing(np.array([7, 7, 7, 7, 7, 7])).tolist() == []
    assert Digests(raw).differing(np.array([7, 8, 7, 9, 8, 6])).tolist() == [0, 2, 5]
    raw[:, 0] = raw[:, 31]
    assert Digests(raw).differing(np.array([-1, 8, 7, 9, -2, 7])).tolist() == [0, 1, 2, 4, 5]
