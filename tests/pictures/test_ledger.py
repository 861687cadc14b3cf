"""What a store keeps of its files' contents."""

import hashlib

import numpy as np

from pellucid.pictures.ledger import Digests


def test_digests_are_those_of_the_files() -> None:
    contents = [b"one", b"two", b"one", b"three", b"two", b"one"]
    raw = np.stack([np.frombuffer(hashlib.sha256(content).digest(), np.uint8) for content in contents])
    digests = Digests(raw)
    told = [hashlib.sha256(content).hexdigest() for content in contents]
    assert list(digests) == told
    assert list(digests[1:3]) == told[1:3]
    assert digests.repeated() == [0, 1, 2, 4, 5]
    assert digests[3:].repeated() == []
    assert (len(Digests(raw[:0])), Digests(raw[:0]).repeated()) == (0, [])
