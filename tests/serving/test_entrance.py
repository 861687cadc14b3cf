"""Who may ask, what the log holds, and what a fault of ours looks like from outside."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.datastructures import Headers
from tests.serving.conftest import Running, running
from tests.serving.test_reload import wait_until

from pellucid.classifier.predict.backend import Logits
from pellucid.serving.entrance import Access
from pellucid.serving.refusal import Refusal

Png = Callable[[int], bytes]
TOKEN = "a long random text"


@pytest.fixture(scope="module")
def locked(trained: Path) -> Iterator[Running]:
    with running({"small": trained}, token=TOKEN) as found:
        yield found


@pytest.mark.parametrize(
    "header", [{}, {"Authorization": "Bearer"}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}]
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("POST", "/v1/predict"), ("GET", "/metrics"), ("GET", "/docs"), ("GET", "/none")]
)
def test_without_the_token_nothing_is_answered(locked: Running, method: str, path: str, header: dict[str, str]) -> None:
    answer = locked.ask(method, path, None, header)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.json["error"]


def test_with_the_token_everything_is_and_from_any_name(locked: Running, png: Png) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": "pictures.example", "Origin": "https://pictures.example"}
    assert locked.ask("POST", "/v1/predict", png(0), headers).status == 200
    assert locked.ask("GET", "/v2/health/ready").status == 200, "health needs no token"
    assert locked.ask("GET", "/v2/health/live").json == {"live": True}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::2]", "a b", "[", "@"]
)
def test_without_a_token_only_this_machine_is_answered(served: Running, png: Png, host: str) -> None:
    answer = served.ask("POST", "/v1/predict", png(0), {"Host": host})
    assert answer.status == 403
    assert "--token-file" in answer.json["error"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9", "[::1]:8000", "LOCALHOST"])
def test_this_machine_has_several_names(served: Running, png: Png, host: str) -> None:
    assert served.ask("POST", "/v1/predict", png(0), {"Host": host}).status == 200
    assert served.ask("POST", "/v1/predict", png(0), {"Host": host, "Origin": f"http://{host}"}).status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1"])
def test_another_website_may_not_ask(served: Running, png: Png, origin: str) -> None:
    assert served.ask("POST", "/v1/predict", png(0), {"Origin": origin}).status == 403


def test_the_log_has_a_line_a_request_and_nothing_of_the_picture(
    served: Running, png: Png, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = {"X-Request-Id": "mine-1", "Content-Type": "image/secret"}
    answer = served.ask("POST", "/v1/predict?model=small&secret=1", png(0), headers)
    assert answer.headers["x-request-id"] == "mine-1"
    lines: list[str] = []
    wait_until(lambda: lines.extend(capsys.readouterr().err.splitlines()) or any("mine-1" in line for line in lines))
    (text,) = [line for line in lines if "mine-1" in line]
    line = json.loads(text)
    assert (line["event"], line["status"], line["path"]) == ("request", 200, "/v1/predict")
    assert int(line["bytes_in"]) == len(png(0))
    assert "secret" not in text
    other = served.ask("GET", "/v2", None, {"X-Request-Id": 'x"\\{ '})
    assert other.headers["x-request-id"] != 'x"\\{ '


@pytest.mark.parametrize("token", ["schlüssel", "ключ", "two words"])
def test_a_token_may_hold_any_letters(token: str) -> None:
    """A header's bytes reach the application as Latin-1; clients send UTF-8."""
    sent = f"Bearer {token} ".encode().decode("latin-1")
    Access(token).check("/v2", Headers({"authorization": sent}))
    for wrong in (sent[:-2], sent + "x", "Bearer \xff"):
        with pytest.raises(Refusal, match="needs its token"):
            Access(token).check("/v2", Headers({"authorization": wrong}))


def test_a_log_that_nobody_reads_stops_no_answer(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def write(self, _text: str) -> None:
            raise BrokenPipeError

    for gone in (Closed(), None):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", gone)
            assert served.ask("GET", "/v2").status == 200


def test_a_fault_of_ours_is_a_sentence_outside_and_a_trace_in_the_log(
    trained: Path, png: Png, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_logits: Logits) -> Logits:
        def fails(_images: object) -> object:
            raise ZeroDivisionError("secret inner thing")

        return fails  # type: ignore[return-value]

    with running({"small": trained}, around=broken) as served:
        answer = served.ask("POST", "/v1/predict", png(0))
        assert answer.status == 500
        assert "ZeroDivisionError" in answer.json["error"]
        assert b"secret inner thing" not in answer.content
        assert b"Traceback" not in answer.content
        assert served.ask("GET", "/v2").status == 200
    assert "secret inner thing" in capsys.readouterr().err


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/metrics", "/v1/models", "/v2", "/v2/health/ready", "/v2/models/small", "/none"]
)
def test_head_answers_as_get_without_the_body(served: Running, path: str) -> None:
    head, get = served.ask("HEAD", path), served.ask("GET", path)
    assert head.status == get.status
    assert head.content == b""
    for name in ("content-type", "content-length"):
        if path != "/metrics":  # the first request counts in the second's text
            assert head.headers[name] == get.headers[name]
    assert served.ask("HEAD", "/v1/predict").status == 405
