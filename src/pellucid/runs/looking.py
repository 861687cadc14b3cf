"""Read and decode labelled pictures once: for the classifier, and to recognise those that a model has seen."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predict.pictures import Prepared, Source
from pellucid.classifier.predict.predictor import Predictor
from pellucid.errors import PictureError
from pellucid.pictures import familiar, twins
from pellucid.pictures.ahead import Ahead, Begun, content
from pellucid.pictures.decode import decode
from pellucid.pictures.places import place
from pellucid.runtime.threads import cores

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

AHEAD = 64  # pictures read before they are classified


class Looked(NamedTuple):
    """A picture's SHA-256 and the description to recognise it by."""

    digest: str
    coarse: NDArray[np.uint8]


def looking(classifier: Classifier | Predictor, paths: list[str], looked: deque[Looked]) -> Iterator[Source]:
    """The pictures for the classifier, read and decoded once by a few threads that run ahead; what is kept of each is
    appended to `looked`. An unusable picture is passed on as its path, and the classifier says why.
    """

    def look(path: str, picture: str | Place | Begun) -> tuple[Source, Looked]:
        try:
            read, _ = content(picture)
            image = decode(read, classifier.pixel_limit)
        except (PictureError, ValueError):
            return path, Looked("", np.zeros(familiar.COARSE, np.uint8))
        description = familiar.coarse(twins.describe(image)[None])[0]
        return Prepared(classifier.form.apply(image), path), Looked(hashlib.sha256(read).hexdigest(), description)

    with Ahead() as ahead, ThreadPoolExecutor(cores(), "looking") as pool:
        pending: deque[Future[tuple[Source, Looked]]] = deque()
        rest = iter(paths)
        try:
            while True:
                for path in rest:
                    pending.append(pool.submit(look, path, ahead.begun(place(path))))
                    if len(pending) >= AHEAD:
                        break
                if not pending:
                    return
                source, seen = pending.popleft().result()
                looked.append(seen)
                yield source
        finally:
            ahead.close()
            pool.shutdown(cancel_futures=True)
