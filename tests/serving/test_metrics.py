"""The counters, in one process and in several."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.serving.conftest import running

from pellucid.serving.metrics import Metrics

Png = Callable[[int], bytes]


def values(text: bytes) -> dict[str, float]:
    """Each sample, as `name{label="value"}`."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_requests_and_pictures_are_counted(trained: Path, png: Png) -> None:
    with running({"small": trained}) as served:
        for body in (png(0), png(1), b"no picture"):
            served.ask("POST", "/v1/predict", body)
        served.ask("POST", "/", png(0))
        served.ask("GET", "/none")
        answer = served.ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = values(answer.content)
    assert found["pellucid_requests_total{code=200,dialect=predict}"] == 2
    assert found["pellucid_requests_total{code=400,dialect=predict}"] == 1
    assert found["pellucid_requests_total{code=200,dialect=hugging_face}"] == 1
    assert found["pellucid_requests_total{code=404,dialect=other}"] == 1
    assert found["pellucid_pictures_total{model=small,outcome=answered}"] == 3
    assert found["pellucid_pictures_total{model=small,outcome=unusable}"] == 1
    assert found["pellucid_request_seconds_count{dialect=predict}"] == 3
    assert found["pellucid_batch_pictures_sum"] == 3
    assert found["pellucid_pictures_in_work"] == 0


def test_a_histogram_is_cumulative() -> None:
    metrics = Metrics(["a"])
    for seconds in (0.001, 0.0015, 0.3, 99.0):
        metrics.requested("predict", 200, seconds)
    found = values(metrics.text()[0])
    assert found["pellucid_request_seconds_bucket{dialect=predict,le=0.001}"] == 1
    assert found["pellucid_request_seconds_bucket{dialect=predict,le=0.002}"] == 2
    assert found["pellucid_request_seconds_bucket{dialect=predict,le=0.5}"] == 3
    assert found["pellucid_request_seconds_bucket{dialect=predict,le=+Inf}"] == 4
    assert found["pellucid_request_seconds_sum{dialect=predict}"] == pytest.approx(99.3025)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_what_other_processes_count_is_in_the_sum_also_after_their_end() -> None:
    metrics = Metrics(["a"], workers=3)
    for worker in (1, 2, 2):  # the third takes the place of one that ended
        process = os.fork()
        if process == 0:
            metrics.work_as(worker)
            metrics.predicted("a", answered=10, unusable=1)
            metrics.requested("predict", 599, 0.1)
            metrics.working_on(5)
            os._exit(0)
        os.waitpid(process, 0)
    metrics.predicted("a", answered=1, unusable=0)
    found = values(metrics.text()[0])
    assert found["pellucid_pictures_total{model=a,outcome=answered}"] == 31
    assert found["pellucid_pictures_total{model=a,outcome=unusable}"] == 3
    assert found["pellucid_requests_total{code=other,dialect=predict}"] == 3


@pytest.mark.parametrize("accept", ["application/openmetrics-text; version=x; escaping=y", "\xff", ";;q=,", "x" * 5000])
def test_any_accept_header_gets_the_counters(accept: str) -> None:
    assert values(Metrics(["a"]).text(accept)[0])["pellucid_pictures_in_work"] == 0
