"""Unchanged files of an older store: what they are is taken over, not looked at again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pellucid.pictures import twins
from pellucid.pictures.decode import Form
from pellucid.pictures.index import Index
from pellucid.pictures.look import Looks
from pellucid.pictures.rows import RowFile
from pellucid.pictures.strings import Texts


class Reuse:
    """The files of `paths` in an older store. Close it after use.

    numbers: int64 (N,), each file's number there, or -1 if it is not there or has changed
    """

    def __init__(
        self, old: Index, form: Form, paths: Texts, stamps: NDArray[np.int64], with_images: bool = True
    ) -> None:
        """`with_images`: whether the new store holds images; without, a description is enough."""
        self._old = old
        self.numbers = _numbers(old.paths, paths)
        records = old.records[self.numbers]
        same = (records["stamp"] == stamps).all(axis=1) & (stamps[:, 0] >= 0)
        refused = np.isin(self.numbers, list(old.reasons))
        self.numbers[~same | ((records["row"] < 0) & ~refused)] = -1  # without a reason, it was in two classes then
        stored = int((old.records["row"] >= 0).sum())
        self._images = RowFile(old.folder / "images.raw", (stored, *form.shape)) if with_images else None
        self._none = np.empty((0, *form.shape), np.uint8)
        self._descriptions = RowFile(old.folder / "descriptions.raw", (stored, twins.DESCRIPTION))

    def looks(self, numbers: NDArray[np.int64]) -> Looks:
        """What the files with these numbers are, (n,) none of them -1."""
        records = self._old.records[numbers]
        usable = records["row"] >= 0
        rows = records["row"][usable]
        records["row"] = np.where(usable, np.cumsum(usable) - 1, -1)
        reasons = {int(at): self._old.reasons[int(numbers[at])] for at in np.flatnonzero(~usable)}
        images = self._none if self._images is None else self._images[rows]
        return Looks(records, images, self._descriptions[rows], reasons)

    def close(self) -> None:
        if self._images is not None:
            self._images.close()
        self._descriptions.close()


def _numbers(old: Texts, new: Texts) -> NDArray[np.int64]:
    """The place of each new text among the old ones, or -1, (N,). No text is twice in one of them."""
    order, differs = Texts.joined(old, new).order()
    places = np.empty(len(order), np.int64)
    places[order] = order[np.maximum.accumulate(np.where(differs, np.arange(len(order)), 0))]
    return np.where(places[len(old) :] < len(old), places[len(old) :], -1)
