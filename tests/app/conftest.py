"""Run the command line inside the test's own process."""

import io
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from pellucid.app.cli import main


class Result(NamedTuple):
    status: object
    out: str
    err: str


@pytest.fixture
def pellucid(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """pellucid("predict", model, "-", stdin=b"...") -> exit status, standard output, standard error."""

    def run(*arguments: object, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin))))
        capsys.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as end:
            status = end.code
        result = Result(status, *capsys.readouterr())
        assert "Traceback" not in result.err
        return result

    return run
