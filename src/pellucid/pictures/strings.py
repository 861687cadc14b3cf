"""Many texts in one array of bytes: a million paths without a million objects."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 16  # rows at a time, if a step needs more memory than its result
WORD = 8  # bytes of a text compared at a time
CODE = ("utf-8", "surrogateescape")  # a file name need not be valid UTF-8


class Texts(Sequence[str]):
    """N texts: text n is content[ends[n]:ends[n + 1]]. `content`: uint8; `ends`: int64 (N + 1), the first is 0."""

    def __init__(self, content: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
        self.content, self.ends = content, ends

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        """Texts without lone surrogates other than those of `surrogateescape`; any other raises UnicodeEncodeError."""
        writer = TextWriter()
        for text in texts:
            writer.add(text)
        return writer.texts()

    @classmethod
    def at(cls, content: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Texts:
        """A copy of N texts, of `lengths` (N,) bytes, that begin at `starts`, (N,), of `content`."""
        ends = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=ends[1:])
        return cls(_gathered(content, ends, lambda some: starts[some]), ends)

    @classmethod
    def joined(cls, one: Texts, other: Texts) -> Texts:
        """The texts of both, in this order."""
        ends = np.concatenate([one.ends, other.ends[1:] + len(one.content)])
        return cls(np.concatenate([one.content, other.content]), ends)

    def __len__(self) -> int:
        return len(self.ends) - 1

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Texts: ...
    def __getitem__(self, at: int | slice) -> str | Texts:
        if isinstance(at, slice):
            return self.take(np.arange(len(self))[at])
        at = range(len(self))[at]
        return self.content[self.ends[at] : self.ends[at + 1]].tobytes().decode(*CODE)

    def encoded(self) -> list[bytes]:
        """Each text's bytes, as an object each."""
        whole = self.content[self.ends[0] : self.ends[-1]].tobytes()
        return [whole[a:b] for a, b in pairwise((self.ends - self.ends[0]).tolist())]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), BLOCK):
            ends = self.ends[start : start + BLOCK + 1]
            block = self.content[ends[0] : ends[-1]].tobytes()
            yield from (block[a:b].decode(*CODE) for a, b in pairwise((ends - ends[0]).tolist()))

    def take(self, rows: NDArray[np.integer]) -> Texts:
        """The texts of `rows`, (n,), in that order."""
        ends = np.zeros(len(rows) + 1, np.int64)
        ends[1:] = self.ends[1:][rows]
        ends[1:] -= self.ends[:-1][rows]
        np.cumsum(ends, out=ends)
        return Texts(_gathered(self.content, ends, lambda some: self.ends[rows[some]]), ends)

    def lengths(self) -> NDArray[np.int64]:
        """The bytes of each text, (N,)."""
        return self.ends[1:] - self.ends[:-1]

    def starting(self) -> NDArray[np.uint8]:
        """The first byte of each text, (N,); of an empty one any byte."""
        return np.append(self.content, np.uint8(0))[self.ends[:-1]]

    def ending(self) -> NDArray[np.uint8]:
        """The last byte of each text, (N,); of an empty one any byte."""
        return np.append(self.content, np.uint8(0))[self.ends[1:] - 1]

    def rows_at(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The texts that hold these places of `content`, (n,)."""
        return np.searchsorted(self.ends, places, "right") - 1

    def numbered(self) -> tuple[NDArray[np.int64], Texts]:
        """The different texts, sorted by their bytes; and which of them each text is, (N,)."""
        order, new = self.order()
        numbers = np.empty(len(order), np.int64)
        numbers[order] = np.cumsum(new) - 1
        return numbers, self.take(order[new])

    def order(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The rows sorted by their texts' bytes (stable), int64 (N,); and which differ from the one before, bool (N,).

        Compares one word of all texts that are still alike, then the next: memory does not grow with the longest text.
        """
        order = np.arange(len(self), dtype=np.int32)
        first = np.zeros(len(self), np.int32)  # for each place, the first place with a text alike so far
        places, at = np.arange(len(self), dtype=np.int32), 0
        while len(places) > 1:
            rows, alike = order[places], first[places]
            words, rest = self._words(rows, at)
            new = np.zeros(len(places), np.bool_)
            if (words != words[0]).any() or (rest != rest[0]).any() or alike[0] != alike[-1]:
                sort = np.lexsort((rest, words, alike))  # groups of texts that are alike so far stay together
                order[places], words, rest = rows[sort], words[sort], rest[sort]
                new[1:] = (words[1:] != words[:-1]) | (rest[1:] != rest[:-1]) | (alike[1:] != alike[:-1])
                new[0] = True
                first[places] = np.maximum.accumulate(np.where(new, places, 0))
            alone = new & np.append(new[1:], True)
            places, at = places[(rest > WORD) & ~alone], at + WORD
        return order.astype(np.int64), first == np.arange(len(self), dtype=np.int32)

    def _words(self, rows: NDArray[np.int32], at: int) -> tuple[NDArray[np.uint64], NDArray[np.int8]]:
        """WORD bytes from byte `at` of each text as one number, padded with zeros; and how many bytes are left."""
        rest = self.ends[rows + 1] - self.ends[rows] - at
        words = np.zeros((len(rows), WORD), np.uint8)
        for start in range(0, len(rows) if len(self.content) else 0, BLOCK):
            some = slice(start, start + BLOCK)
            places = (self.ends[rows[some]] + at)[:, None] + np.arange(WORD)
            words[some] = self.content[np.minimum(places, len(self.content) - 1)]
            words[some][np.arange(WORD) >= rest[some][:, None]] = 0
        return words.view(">u8").ravel(), np.minimum(rest, WORD + 1).astype(np.int8)


def _gathered(
    content: NDArray[np.uint8], ends: NDArray[np.int64], starts: Callable[[slice], NDArray[np.int64]]
) -> NDArray[np.uint8]:
    """The bytes of texts that will end at `ends`, from where they start in `content`; some texts at a time."""
    copied = np.empty(ends[-1], np.uint8)
    for start in range(0, len(ends) - 1, BLOCK):
        some = ends[start : start + BLOCK + 1]
        shift = np.repeat(starts(slice(start, start + len(some) - 1)) - some[:-1], np.diff(some))
        copied[some[0] : some[-1]] = content[np.arange(some[0], some[-1]) + shift]
    return copied


class TextWriter:
    """Collects texts one by one."""

    def __init__(self) -> None:
        self._content, self._ends = bytearray(), array("q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def add(self, text: str) -> None:
        """Raises UnicodeEncodeError for a lone surrogate that does not stand for a byte."""
        self._content += text.encode(*CODE)
        self._ends.append(len(self._content))

    def extend(self, texts: Texts, start: int, end: int) -> None:
        """Add texts `start` to `end` - 1 of many."""
        shift = len(self._content) - texts.ends[start]
        self._content += texts.content[texts.ends[start] : texts.ends[end]].tobytes()
        self._ends.frombytes((texts.ends[start + 1 : end + 1] + shift).tobytes())

    def repeat_empty(self, count: int) -> None:
        """Add `count` empty texts."""
        self._ends.extend([len(self._content)] * count)

    def texts(self) -> Texts:
        """All texts; the writer is empty afterwards."""
        content, ends = self._content, self._ends
        self._content, self._ends = bytearray(), array("q", [0])
        return Texts(np.frombuffer(content, np.uint8), np.frombuffer(ends, np.int64))
