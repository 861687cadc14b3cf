"""Counters for Prometheus, right however many processes answer: all write into one piece of shared memory.

Each process has a row of its own, so none waits for another. The process that a scraper reaches adds the rows up. A
process that replaces a dead one goes on in its row, so no counter ever falls. prometheus_client writes the text; its
own way to share counters needs a folder of files and an environment variable.
"""

from __future__ import annotations

import mmap
import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

DIALECTS = ("predict", "open_inference", "open_inference_grpc", "hugging_face", "explain", "other")
CODES = ("200", "400", "401", "403", "404", "405", "408", "409", "411", "413", "415", "422", "429", "500", "503", "504")
REST = "other"  # of a code
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0)
RELOADS = ("replaced", "refused")
PICTURES = ("answered", "unusable")
GAUGE = ("pictures in work",)

Labels = tuple[str, ...]


class Metrics(Collector):
    """`models`: their names. `workers`: how many processes will be forked from the one that makes this."""

    def __init__(self, models: Sequence[str], workers: int = 1) -> None:
        self._slots: dict[Labels, int] = {}
        for labels in _series(models):
            self._slots[labels] = len(self._slots)
        self._memory = mmap.mmap(-1, 8 * workers * len(self._slots))  # shared with every process that is forked
        self._rows = np.frombuffer(self._memory, np.float64).reshape(workers, -1)
        self._models, self._worker, self._lock = list(models), 0, threading.Lock()

    def work_as(self, worker: int) -> None:
        """This process counts in this row, from 0."""
        self._worker, self._lock = worker, threading.Lock()
        self._rows[worker, self._slots[GAUGE]] = 0

    def requested(self, dialect: str, status: int, seconds: float) -> None:
        code = str(status) if str(status) in CODES else REST
        self._add(("requests", dialect, code), 1)
        self._add(("seconds", dialect, str(bisect_left(SECONDS, seconds))), 1)
        self._add(("seconds", dialect, "sum"), seconds)

    def predicted(self, model: str, answered: int, unusable: int) -> None:
        self._add(("pictures", model, "answered"), answered)
        self._add(("pictures", model, "unusable"), unusable)

    def batched(self, size: int) -> None:
        self._add(("batches", str(bisect_left(SIZES, size))), 1)
        self._add(("batches", "sum"), size)

    def reloaded(self, model: str, outcome: str) -> None:
        self._add(("reloads", model, outcome), 1)

    def working_on(self, pictures: int) -> None:
        self._rows[self._worker, self._slots[GAUGE]] = pictures

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """All counters of all processes, and their media type, which depends on the scraper's Accept header."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        try:
            encoder, kind = choose_encoder(accept)
            return encoder(registry), kind
        except (TypeError, ValueError):  # prometheus_client's, of a header that names an impossible version
            encoder, kind = choose_encoder("")
            return encoder(registry), kind

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        total = self._rows.sum(axis=0)

        def of(*labels: str) -> float:
            return float(total[self._slots[labels]])

        requests = CounterMetricFamily("pellucid_requests", "Requests answered.", labels=("dialect", "code"))
        seconds = HistogramMetricFamily("pellucid_request_seconds", "From request to answer.", labels=("dialect",))
        for dialect in DIALECTS:
            for code in (*CODES, REST):
                if count := of("requests", dialect, code):
                    requests.add_metric((dialect, code), count)
            counts = [of("seconds", dialect, str(place)) for place in range(len(SECONDS) + 1)]
            seconds.add_metric((dialect,), _buckets(SECONDS, counts), of("seconds", dialect, "sum"))
        yield requests
        yield seconds
        pictures = CounterMetricFamily("pellucid_pictures", "Pictures in requests.", labels=("model", "outcome"))
        reloads = CounterMetricFamily("pellucid_reloads", "New versions of a model.", labels=("model", "outcome"))
        for model in self._models:
            for outcome in PICTURES:
                pictures.add_metric((model, outcome), of("pictures", model, outcome))
            for outcome in RELOADS:
                reloads.add_metric((model, outcome), of("reloads", model, outcome))
        yield pictures
        yield reloads
        batches = HistogramMetricFamily("pellucid_batch_pictures", "Pictures through the network together.")
        counts = [of("batches", str(place)) for place in range(len(SIZES) + 1)]
        batches.add_metric((), _buckets(SIZES, counts), of("batches", "sum"))
        yield batches
        yield GaugeMetricFamily("pellucid_pictures_in_work", "Pictures being worked on or waiting.", of(*GAUGE))

    def _add(self, labels: Labels, value: float) -> None:
        with self._lock:
            self._rows[self._worker, self._slots[labels]] += value


def _series(models: Sequence[str]) -> Iterator[Labels]:
    for dialect in DIALECTS:
        yield from (("requests", dialect, code) for code in (*CODES, REST))
        yield from (("seconds", dialect, str(place)) for place in range(len(SECONDS) + 1))
        yield "seconds", dialect, "sum"
    for model in models:
        yield from (("pictures", model, outcome) for outcome in PICTURES)
        yield from (("reloads", model, outcome) for outcome in RELOADS)
    yield from (("batches", str(place)) for place in range(len(SIZES) + 1))
    yield "batches", "sum"
    yield GAUGE


def _buckets(bounds: Sequence[float], counts: Sequence[float]) -> list[tuple[str, float]]:
    """(bound, how many are at most so large), as Prometheus has it; the last bound is infinity."""
    sums = np.cumsum(counts).tolist()
    return [(str(bound), count) for bound, count in zip((*bounds, "+Inf"), sums, strict=True)]
