"""What the served page shows: one picture's run through a model, replaced as a whole by the next."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pellucid import api


@dataclass(frozen=True)
class Shown:
    """One picture's run. A new picture is a new Shown with the next number."""

    run: int
    picture: api.Source
    called: str
    document: api.Document
    extra: dict[str, Any]
    """What the served page is told besides, JSON types: "offers", the views that this model has."""

    @cached_property
    def text(self) -> bytes:
        """The document as the page gets it."""
        content = {**self.document.content, **self.extra, "run": self.run}
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


class Glass:
    """A model and what is shown of it. One picture is followed at a time; reading needs no lock."""

    def __init__(self, classifier: api.Classifier, model: Path, picture: Path) -> None:
        self.classifier, self.model = classifier, model
        self._lock = threading.Lock()
        self.shown = self._follow(0, picture, str(picture), None)

    def show(self, picture: api.Source | None = None, label: str | None = None, name: str = "your picture") -> None:
        """Another picture, or the same against another class. Raises PictureError, TraceError."""
        with self._lock:
            before = self.shown
            chosen, called = (before.picture, before.called) if picture is None else (picture, name)
            self.shown = self._follow(before.run + 1, chosen, called, label)

    def finish(self, seconds: float = 10.0) -> None:
        """Let a picture that is being followed come to its end, so that nothing runs while Python shuts down."""
        self._lock.acquire(timeout=seconds)

    def _follow(self, run: int, picture: api.Source, called: str, label: str | None) -> Shown:
        trace = replace(self.classifier.explain(picture, label), source=called)
        document = api.Document(trace, self.model.resolve().name)
        shown = Shown(run, picture, called, document, {"offers": _offers(self.model)})
        assert shown.text, "written here, under the lock, and not by each who reads"
        return shown


def _offers(model: Path) -> list[str]:
    """What this model's folder has to show besides the walk, by the names of the page's views."""
    return []
