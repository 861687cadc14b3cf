"""The list of a job's pictures: blocks of a size that only the number of pictures decides, and every name unchanged."""

import os
from pathlib import Path

import pytest

from pellucid.errors import RecipeError
from pellucid.scale import listing
from pellucid.scale.listing import Listing


def test_the_names_come_back_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "ROWS", 7)  # blocks do not end where the file's groups end
    monkeypatch.setattr(listing, "LEAST", 10)
    names = [f"folder/{number}.png" for number in range(33)] + ["caf\udce9.png", "two\nlines.png"]
    written = listing.write(tmp_path / "list", ((at % 3, name) for at, name in enumerate(names)))
    assert (written.pictures, written.block, written.blocks) == (35, 10, 4)
    assert [written.rows(number) for number in range(4)] == [10, 10, 10, 5]
    blocks = dict(listing.blocks(tmp_path / "list", written, [0, 1, 2, 3]))
    assert [batch.num_rows for batch in blocks.values()] == [10, 10, 10, 5]
    back = [os.fsdecode(name) for batch in blocks.values() for name in batch["picture"].to_pylist()]
    assert back == names
    assert [at for batch in blocks.values() for at in batch["source"].to_pylist()] == [at % 3 for at in range(35)]
    assert [number for number, _ in listing.blocks(tmp_path / "list", written, [3, 1])] == [1, 3]


def test_the_hash_knows_the_order_the_names_and_the_sources(tmp_path: Path) -> None:
    lists = [[(0, "a"), (0, "b")], [(0, "b"), (0, "a")], [(0, "a"), (1, "b")], [(0, "ab")], [(0, Path("a")), (0, "b")]]
    hashes = [listing.write(tmp_path / "list", names).sha256 for names in lists]
    assert len(set(hashes)) == 4
    assert hashes[0] == hashes[4]


@pytest.mark.parametrize(
    ("pictures", "block", "blocks"),
    [(0, 500, 0), (1, 500, 1), (500, 500, 1), (501, 500, 2), (1_000_000, 1000, 1000), (10**9, 4000, 250_000)],
)
def test_the_size_of_a_block(pictures: int, block: int, blocks: int) -> None:
    assert (Listing(pictures, "").block, Listing(pictures, "").blocks) == (block, blocks)


def test_a_picture_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="has no name that a cluster could read"):
        listing.write(tmp_path / "list", [(0, b"\x89PNG")])
