import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.pictures.columns import Picture, Pictures
from pellucid.pictures.strings import Texts

NAMES = st.text(st.characters(codec="utf-8"), max_size=30)
SOME = st.lists(
    st.builds(
        Picture,
        NAMES,
        st.integers(-1, 5),
        st.sampled_from([None, "train", "val", "test"]),
        st.lists(st.integers(0, 9), max_size=3).map(tuple),
        st.integers(-1, 3),
    ),
    max_size=20,
)


@settings(deadline=None)
@given(SOME, st.data())
def test_columns_are_the_pictures_that_they_were_made_from(some: list[Picture], data: st.DataObject) -> None:
    columns = Pictures.of(some)
    assert columns == some
    assert [columns[at] for at in range(len(some))] == some
    assert [columns[at - len(some)] for at in range(len(some))] == some
    assert columns[1:7:2] == some[1:7:2]
    rows = data.draw(st.lists(st.integers(0, len(some) - 1), max_size=9) if some else st.just([]))
    assert columns.take(np.array(rows, np.int64)) == [some[row] for row in rows]
    assert columns.ordered() == sorted(some, key=lambda one: (one.label, one.path.encode()))
    labels = [label for one in some for label in (one.label, *one.also)]
    assert columns.counts(10).tolist() == [labels.count(label) for label in range(10)]
    with pytest.raises(IndexError):
        columns[len(some)]


@settings(deadline=None)
@given(st.lists(st.one_of(NAMES, st.text("ab\0", max_size=40))))
def test_the_order_of_texts_is_that_of_their_bytes_and_stable(texts: list[str]) -> None:
    order, new = Texts.of(texts).order()
    sorted_ = sorted(range(len(texts)), key=lambda row: texts[row].encode())
    assert order.tolist() == sorted_
    assert new.tolist() == [not n or texts[row] != texts[sorted_[n - 1]] for n, row in enumerate(sorted_)]


def test_a_name_that_is_no_utf8_keeps_its_bytes_and_no_other_surrogate_passes() -> None:
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    assert list(Texts.of([name, "b"])) == [name, "b"]
    with pytest.raises(UnicodeEncodeError):
        Texts.of(["\ud800"])


def test_a_million_pictures_take_no_million_objects() -> None:
    import tracemalloc

    columns = Pictures.of(Picture(f"some/folder/{n % 97}/picture-{n}.jpg", n % 7, None) for n in range(20_000))
    tracemalloc.start()
    ordered = columns.ordered()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(ordered) == 20_000
    assert size < 80 * 20_000  # a Picture alone takes 72 bytes, its path 80 and more
