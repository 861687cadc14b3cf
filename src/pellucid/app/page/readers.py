"""The page for many readers at once: each has a run of its own, which no other reader can ask for.

The model's own pictures stay with whoever serves it. Readers see what they bring, and at first a picture of plain grey.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Mapping
from http import HTTPStatus

import numpy as np

from pellucid.app.page import routes
from pellucid.app.page.shown import Glass
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Outdated, Refused, Reply
from pellucid.serving.served import Served

MOST = 8
"""Readers whose runs are in memory; the one who has asked for nothing longest begins again."""
OWN = ("/api/mistakes", "/api/exemplars", "/api/training", "/api/live", "/api/life", "/api/makers", "/api/taught")
"""Questions whose answers show the model's own pictures."""
_OWN = "A server does not show the model's own pictures. “pellucid open” shows them."
_NONE = {"state": "failed", "error": _OWN}
"""For the view of a layer, which shows why there are no patches."""
_MEASURES = {"state": "failed", "error": "A server does not measure the model. “pellucid open” does."}
MEASURED = ("/api/without", "/api/readout")
"""Measurements over the model's own pictures."""
_LONG = "A server does not compute these maps, which take hundreds of runs. “pellucid open” shows them."
_ONE = "A server shows one model at a time. “pellucid open” compares two on one picture."
GREY = 128
RUNS = 1_000_000
"""Numbers of runs that each Glass has for itself: an old window never reads the numbers of another one's run."""
OFFERS = ("difference",)


class Readers:
    """What each reader sees of a model, by a name that only the reader's browser knows."""

    def __init__(self) -> None:
        self._glasses: OrderedDict[str, tuple[Served, Glass]] = OrderedDict()
        """A reader -> the version of the model, and the reader's run through it."""
        self._lock, self._begun = threading.Lock(), itertools.count()

    def knows(self, served: Served, reader: str) -> bool:
        """Whether this reader has a run through this version already; to begin one takes seconds."""
        version, _ = self._glasses.get(reader, (None, None))
        return version is served

    def get(self, served: Served, reader: str, path: str, query: Mapping[str, str]) -> Reply | None:
        """The answer to a question of the page; None where there is none. Raises PellucidError."""
        if path not in routes.GET:
            return None
        if path == "/api/exemplars":
            return replies.as_json(_NONE)
        if path.startswith(MEASURED):
            return replies.as_json(_MEASURES)
        _check(path)
        return routes.GET[path](self._glass(served, reader, begin=path == "/api/document"), query)

    def post(self, served: Served, reader: str, path: str, query: Mapping[str, str], body: bytes) -> Reply | None:
        """The same for what is sent."""
        if path not in routes.POST:
            return None
        if path == "/api/exemplars":
            return replies.as_json(_NONE)
        if path.startswith(MEASURED):
            return replies.as_json(_MEASURES)
        if path == "/api/difference/where":
            return replies.as_json({"state": "failed", "error": _LONG})
        _check(path)
        return routes.POST[path](self._glass(served, reader, begin=False), query, body)

    def close(self) -> None:
        """End what is worked out beside the pages."""
        for _, glass in self._glasses.values():
            glass.finish()

    def _glass(self, served: Served, reader: str, begin: bool) -> Glass:
        with self._lock:
            version, known = self._glasses.get(reader, (None, None))
            if known is not None and (version is served or not begin):  # a page that is open keeps its version
                self._glasses.move_to_end(reader)
                return known
        if not begin:
            raise Outdated()
        if known is not None:
            picture, called = known.plain.picture, known.plain.called
        else:
            form = served.predictor.form
            picture, called = np.full((form.height, form.width, 3), GREY, np.uint8), "plain grey"
        run = next(self._begun) * RUNS
        glass = Glass(served.classifier(), served.loaded.folder, picture, called, list(OFFERS), run)
        with self._lock:
            gone = [known] if known is not None else []
            self._glasses[reader] = served, glass
            self._glasses.move_to_end(reader)
            gone += [self._glasses.popitem(last=False)[1][1] for _ in range(len(self._glasses) - MOST)]
        for each in gone:
            each.finish()
        return glass


def _check(path: str) -> None:
    if path.startswith("/api/beside"):
        raise Refused(HTTPStatus.FORBIDDEN, _ONE)
    if path.startswith(OWN):
        raise Refused(HTTPStatus.FORBIDDEN, _OWN)
