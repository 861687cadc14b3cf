"""The served page's mistakes and the difference between two classes: the server's replies and refusals."""

import io
import json
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.patience import PATIENCE

import pellucid
from pellucid import api
from pellucid.app.page import difference, job, mistakes, where
from pellucid.app.page.job import Jobs
from pellucid.app.page.shown import Glass
from pellucid.classifier.predict.pictures import Prepared
from pellucid.errors import TraceError
from pellucid.glassbox.page.replies import Refused, Reply
from pellucid.runs.evaluation import Answer
from pellucid.runs.made_from import remembered, remembers
from pellucid.whatif import Weight


def content_of(reply: Reply) -> Any:
    return json.loads(reply.body)


def waited(ask: Callable[[], Any]) -> Any:
    """The answer after all jobs have ended."""
    until = time.monotonic() + PATIENCE
    while (answer := ask())["state"] == "running":
        assert time.monotonic() < until
        time.sleep(0.02)
    return answer


@pytest.fixture(scope="module")
def glass(trained: Path, photos: Path) -> Iterator[Glass]:
    glass = Glass(api.load(trained), trained, photos / "red" / "1.png")
    assert waited(lambda: content_of(mistakes.start(glass, {}, b"")))["state"] == "done"
    yield glass
    glass.finish()


@pytest.fixture(scope="module")
def answers(trained: Path) -> tuple[Answer, ...]:
    return api.evaluate(trained).answers


@pytest.fixture
def own(model: Path, photos: Path, tmp_path: Path) -> Path:
    """A model whose pictures, in tmp_path / "photos", a test may damage."""
    shutil.copytree(photos, tmp_path / "photos")
    config = json.loads((model / "config.json").read_text())
    config["data"]["root"] = str(tmp_path / "photos")
    (model / "config.json").write_text(json.dumps(config))
    return model


def test_an_evaluation_says_what_each_picture_was_taken_for(trained: Path, answers: tuple[Answer, ...]) -> None:
    classifier = pellucid.load(trained)
    assert len(answers) == len(list(remembered(trained))) == 8
    for answer, (path, label) in zip(answers, remembered(trained), strict=True):
        alone = classifier.predict(path)
        assert (answer.picture, classifier.classes[answer.label]) == (str(path), label)
        assert alone.probabilities is not None
        assert classifier.classes[answer.predicted] == alone.label
        assert answer.label_probability == pytest.approx(alone.probabilities[label], abs=1e-6)
        assert answer.predicted_probability == pytest.approx(alone.probability, abs=1e-6)


def test_the_matrix_is_that_of_the_evaluation(glass: Glass, trained: Path, answers: tuple[Answer, ...]) -> None:
    content, metrics = content_of(mistakes.start(glass, {}, b"")), api.evaluate(trained).metrics
    assert content["confusion"] == [list(row) for row in metrics.confusion]
    assert (content["side"], content["pictures"], content["correct"]) == ("test", 8, metrics.correct)
    assert content["interval"] == list(metrics.interval)
    counted = [[0, 0], [0, 0]]
    for answer in answers:
        counted[answer.label][answer.predicted] += 1
    assert content["confusion"] == counted
    assert counted[0][1] + counted[1][0] > 0, "the pictures under wrong labels are mistakes"


@pytest.mark.parametrize(("label", "predicted"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_cell_has_its_pictures_worst_first(
    glass: Glass, answers: tuple[Answer, ...], label: int, predicted: int
) -> None:
    content = content_of(mistakes.cell(glass, {"label": str(label), "predicted": str(predicted)}))["pictures"]
    inside = [number for number, a in enumerate(answers) if (a.label, a.predicted) == (label, predicted)]
    assert sorted(each["number"] for each in content) == inside
    believed = [each["label_probability"] for each in content]
    assert believed == sorted(believed)
    assert all(each["name"] == Path(answers[each["number"]].picture).name for each in content)


def test_a_picture_comes_by_its_number_as_the_network_gets_it(glass: Glass, answers: tuple[Answer, ...]) -> None:
    reply = mistakes.picture(glass, {"number": "3"})
    assert reply.kind == "image/png"
    seen = np.array(Image.open(io.BytesIO(reply.body)))
    assert np.array_equal(seen, glass.classifier.prepared(answers[3].picture))


@pytest.mark.parametrize("number", ["8", "-1", "x", "", "../../etc/passwd"])
def test_a_number_that_is_none_is_refused(glass: Glass, number: str) -> None:
    with pytest.raises(Refused, match="it must be a number from 0 to 7"):
        mistakes.picture(glass, {"number": number})


def test_a_picture_is_opened_against_its_true_class(trained: Path, photos: Path, glass: Glass) -> None:
    fresh = Glass(api.load(trained), trained, photos / "red" / "1.png")
    waited(lambda: content_of(mistakes.start(fresh, {}, b"")))
    wrong = next(n for n, a in enumerate(api.evaluate(trained).answers) if a.label != a.predicted)
    assert content_of(mistakes.opened(fresh, {"number": str(wrong)}, b"")) == {"ok": True, "run": 1}
    content = json.loads(fresh.shown.text)
    assert content["label"] != content["predicted"]
    fresh.finish()


def test_what_has_changed_since_is_told(own: Path, tmp_path: Path) -> None:
    stored = list(remembered(own))
    stored[0][0].unlink()
    stored[1][0].write_bytes(b"something else")
    glass = Glass(api.load(own), own, stored[2][0])
    content = waited(lambda: content_of(mistakes.start(glass, {}, b"")))
    assert content["pictures"] == len(stored) - 2
    assert content["unusable"] == [
        {"picture": str(stored[0][0]), "reason": "no longer there"},
        {"picture": str(stored[1][0]), "reason": "changed since the training"},
    ]
    stored[2][0].unlink()
    with pytest.raises(Refused, match="can no longer be used: "):
        mistakes.picture(glass, {"number": "0"})
    with pytest.raises(Refused, match="can no longer be used: "):
        mistakes.opened(glass, {"number": "0"}, b"")
    glass.finish()


def test_a_model_without_its_split_offers_no_mistakes_and_says_why(own: Path, photos: Path) -> None:
    with_it = Glass(api.load(own), own, photos / "red" / "1.png")
    assert {"mistakes", "difference"} <= set(json.loads(with_it.shown.text)["offers"])
    (own / "split.csv").unlink()
    glass = Glass(api.load(own), own, photos / "red" / "1.png")
    assert "mistakes" not in json.loads(glass.shown.text)["offers"]
    content = waited(lambda: content_of(mistakes.start(glass, {}, b"")))
    assert content["state"] == "failed"
    assert "split.csv" in content["error"]
    with pytest.raises(Refused, match=r"split\.csv"):
        mistakes.cell(glass, {"label": "0", "predicted": "0"})
    with_it.finish()
    glass.finish()


def test_no_picture_there_is_no_mistakes(own: Path, photos: Path, tmp_path: Path) -> None:
    assert remembers(own)
    for path, _ in remembered(own):
        path.unlink()
    assert not remembers(own)
    shutil.rmtree(tmp_path / "photos")
    assert not remembers(own)


# ---- the difference


def test_the_parts_add_up_to_the_difference(glass: Glass) -> None:
    query = {"first": "1", "second": "0", "run": "0"}
    content = content_of(difference.start(glass, query, b""))
    logits = json.loads(glass.shown.text)["logits"]
    assert content["difference"] == pytest.approx(logits[1] - logits[0], abs=1e-5)
    assert content["pixels"] + content["own"] == pytest.approx(content["difference"], abs=1e-5)
    assert sum(layer["own"] for layer in content["layers"]) == pytest.approx(content["own"], abs=1e-9)
    for layer in content["layers"]:
        assert layer["units"] + layer["after"] == pytest.approx(content["difference"], abs=1e-5)
    pixels = difference.pixels(glass, query)
    values = np.frombuffer(pixels.body, "<f8").reshape(12, 12)
    assert (pixels.headers["X-Shape"], pixels.headers["X-Dtype"]) == ("12,12", "float64")
    assert values.sum() == pytest.approx(content["pixels"], abs=1e-9)


def test_the_other_way_round_is_the_negative(glass: Glass) -> None:
    one, other = (content_of(difference.start(glass, {"first": a, "second": b}, b"")) for a, b in ("10", "01"))
    assert one["difference"] == -other["difference"]
    assert one["pixels"] == pytest.approx(-other["pixels"], abs=1e-9)


def test_what_cannot_be_compared_is_refused(glass: Glass) -> None:
    with pytest.raises(TraceError, match="cannot be compared with itself"):
        difference.start(glass, {"first": "1", "second": "1"}, b"")
    with pytest.raises(Refused, match="second is '2'; it must be a number from 0 to 1"):
        difference.start(glass, {"first": "1", "second": "2"}, b"")
    with pytest.raises(Refused, match="changed something since"):
        difference.start(glass, {"first": "1", "second": "0", "run": "7"}, b"")


def test_the_difference_is_that_of_the_pixels_and_weights_that_are_shown(
    trained: Path, photos: Path, tmp_path: Path
) -> None:
    picture = Path(shutil.copy(photos / "red" / "1.png", tmp_path / "p.png"))
    glass = Glass(api.load(trained), trained, picture)
    before = content_of(difference.start(glass, {"first": "1", "second": "0"}, b""))
    picture.write_bytes(b"written over")
    assert content_of(difference.start(glass, {"first": "1", "second": "0"}, b"")) == before
    shutil.copy(photos / "red" / "1.png", picture)
    bias = float(glass.shown.document.trace.values["dense1.bias"][1])
    glass.change((Weight("dense1.bias", (1,), bias + 2),))
    after = content_of(difference.start(glass, {"first": "1", "second": "0"}, b""))
    assert after["difference"] == pytest.approx(before["difference"] + 2, abs=1e-5)
    assert after["own"] == pytest.approx(before["own"] + 2, abs=1e-5)
    glass.finish()


def test_units_without_a_difference_are_counted(glass: Glass) -> None:
    content = content_of(difference.start(glass, {"first": "1", "second": "0"}, b""))
    shares = glass.classifier.difference(glass.shown.picture, *glass.classifier.classes[::-1]).shares
    counts = [(share.units.size, int(np.count_nonzero(share.units == 0))) for share in shares]
    assert [(layer["count"], layer["nothing"]) for layer in content["layers"]] == counts
    assert any(0 < nothing < count for count, nothing in counts), "a ReLU blocks some"


def test_where_the_network_looked_for_both_classes(glass: Glass) -> None:
    query = {"first": "1", "second": "0", "run": "0"}
    assert content_of(where.where(glass, query)) == {"state": "idle"}
    with pytest.raises(Refused, match="has not been computed yet"):
        where.heat(glass, {**query, "class": "0", "method": "occlusion"})
    where.start(glass, query, b"")
    content = waited(lambda: content_of(where.where(glass, {**query, "first": "0", "second": "1"})))
    picture = Prepared(glass.classifier.prepared(glass.shown.picture), "same")
    every = [(number, method) for number in (0, 1) for method in ("grad_cam", "occlusion")]
    assert [(each["class"], each["method"]) for each in content["maps"]] == every
    for each in content["maps"]:
        wanted = glass.classifier.attribute(picture, glass.classifier.classes[each["class"]], each["method"])
        assert each["trust"] == pytest.approx(wanted.deletion.trust, abs=1e-6)
        assert each["random"] - each["area"] == pytest.approx(each["trust"])
        assert (each["verdict"], each["layer"]) == (wanted.deletion.verdict, wanted.layer)
        reply = where.heat(glass, {**query, "class": str(each["class"]), "method": each["method"]})
        assert (reply.headers["X-Shape"], reply.headers["X-Dtype"]) == ("12,12", "float32")
        assert np.frombuffer(reply.body, "<f4") == pytest.approx(wanted.map.ravel(), abs=1e-5)
    with pytest.raises(Refused, match="method is grad_cam or occlusion"):
        where.heat(glass, {**query, "class": "0", "method": "x"})
    with pytest.raises(Refused, match="changed something since"):
        where.start(glass, {**query, "run": "7"}, b"")


def test_another_run_drops_the_maps_of_the_one_before(trained: Path, photos: Path) -> None:
    glass = Glass(api.load(trained), trained, photos / "red" / "1.png")
    before = {"first": "0", "second": "1"}
    where.start(glass, before, b"")
    glass.show(photos / "blue" / "1.png")
    assert glass.jobs.known("where 0 0 1") is None, "at once: a job holds all numbers of its run"
    where.start(glass, before, b"")
    waited(lambda: content_of(where.where(glass, before)))
    assert glass.jobs.known("where 1 0 1") is not None
    glass.finish()


# ---- jobs


def test_a_job_is_begun_once_and_tells_how_far_it_is() -> None:
    go, begun = threading.Event(), []

    def work() -> Generator[tuple[int, int], None, str]:
        begun.append(1)
        yield 3, 10
        go.wait(PATIENCE)
        yield 10, 10
        return "found"

    jobs = Jobs()
    assert jobs.ask("a", work).as_json()["state"] == "running"
    until = time.monotonic() + PATIENCE
    while not (now := jobs.ask("a", work)).done:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert {**now.as_json(), "seconds": 0} == {"state": "running", "done": 3, "total": 10, "seconds": 0}
    go.set()
    assert waited(lambda: jobs.ask("a", work).as_json()) == {"state": "done"}
    assert jobs.ask("a", work).result == "found"
    assert begun == [1]


def test_what_goes_wrong_in_a_job_is_a_sentence() -> None:
    def refused() -> Generator[tuple[int, int], None, None]:
        yield 0, 1
        raise TraceError("That cannot be.")

    def faulty() -> Generator[tuple[int, int], None, None]:
        yield 0, 1
        raise KeyError("secret")

    jobs = Jobs()
    assert waited(lambda: jobs.ask("a", refused).as_json()) == {"state": "failed", "error": "That cannot be."}
    fault = "This is a bug in Pellucid (KeyError). Please report it."
    assert waited(lambda: jobs.ask("b", faulty).as_json()) == {"state": "failed", "error": fault}


def test_the_jobs_of_other_runs_stop_and_can_begin_again() -> None:
    closed = threading.Event()

    def endless() -> Generator[tuple[int, int], None, None]:
        try:
            while True:
                yield 0, 1
                time.sleep(0.001)
        finally:
            closed.set()

    jobs = Jobs()
    assert jobs.known("a 1") is None
    jobs.ask("a 1", endless, 1)
    jobs.ask("a 2", endless, 2)
    jobs.ask("b", endless)
    jobs.only(2)
    assert closed.wait(PATIENCE)
    assert [jobs.known(name) is None for name in ("a 1", "a 2", "b")] == [True, False, False]
    jobs.ask("a 1", endless, 1)
    jobs.only(1)
    assert [jobs.known(name) is None for name in ("a 1", "a 2", "b")] == [False, True, False]
    jobs.end(20)


def test_the_jobs_of_a_line_compute_one_after_the_other_and_a_left_one_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    go, computing, most = {name: threading.Event() for name in "abc"}, set[str](), [0]

    def work(name: str) -> Generator[tuple[int, int], None, str]:
        computing.add(name)
        most[0] = max(most[0], len(computing))
        try:
            while not go[name].is_set():
                yield 1, 2
                time.sleep(0.001)
            return name
        finally:
            computing.discard(name)

    jobs = Jobs()
    for name in "abc":
        jobs.ask(name, lambda name=name: work(name), 1, line="pairs")
    for name in "ab":  # two windows ask for theirs
        go[name].set()
        assert waited(lambda name=name: jobs.ask(name, lambda: work(name), 1, line="pairs").as_json())
        assert jobs.ask(name, lambda name=name: work(name), 1, line="pairs").result == name
    assert most == [1]
    monkeypatch.setattr(job, "LEFT", 0.0)  # and a third has left its
    time.sleep(0.01)
    go["d"] = go["a"]
    jobs.ask("d", lambda: work("d"), 1, line="pairs")
    assert [jobs.known(name) is None for name in "abc"] == [False, False, True]
    until = time.monotonic() + PATIENCE
    while "c" in computing:
        assert time.monotonic() < until
        time.sleep(0.01)
    jobs.end(20)


def test_ending_stops_what_runs() -> None:
    closed = threading.Event()

    def endless() -> Generator[tuple[int, int], None, None]:
        try:
            while True:
                yield 0, 1
                time.sleep(0.001)
        finally:
            closed.set()

    jobs = Jobs()
    jobs.ask("a", endless)
    jobs.end(20)
    assert closed.is_set()
    assert jobs.ask("a", endless).as_json()["state"] == "failed"


def test_the_latest_is_kept_for_its_key() -> None:
    jobs, made = Jobs(), []

    def make() -> int:
        made.append(1)
        return len(made)

    assert [jobs.latest("a", key, make) for key in (1, 1, 2, 1)] == [1, 1, 2, 3]
