"""What the processes of a team do at the end: one line for an error, and nobody ends before the first has written."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.training.team.members import in_team

from pellucid.app import member, progress
from pellucid.app.exits import Exit
from pellucid.errors import StorageError
from pellucid.training.loop import NotFinite
from pellucid.training.team import joining
from pellucid.training.team.team import Lost, Team

FIRST = Team(0, 2)


class Membership:
    """Notes what is on standard error when the others are let go."""

    def __init__(self, capsys: pytest.CaptureFixture[str], other: str | None = None) -> None:
        self.capsys, self.other = capsys, other
        self.printed = "", ""

    def take_up(self) -> str | None:
        return self.other

    def reports(self) -> None:
        self.printed = self.printed[0] + self.capsys.readouterr().err, self.printed[1]

    def leave(self) -> None:
        self.printed = self.printed[0], self.capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "other", "line"),
    [
        (StorageError("The disk is full."), None, "pellucid: The disk is full.\n"),
        (OSError("It cannot be read"), None, "pellucid: It cannot be read\n"),
        (Lost("Another process has ended."), "process 1 (b): No space.", "pellucid: process 1 (b): No space.\n"),
        (Lost("Another process has ended."), None, "pellucid: Another process has ended.\n"),
    ],
)
def test_the_line_is_printed_before_the_others_are_let_go(
    error: Exception,
    other: str | None,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    membership = Membership(capsys, other)
    monkeypatch.setattr(joining, "join", lambda team: membership)
    with pytest.raises(SystemExit) as end, member.joined(FIRST):
        raise error
    assert end.value.code == Exit.ERROR
    assert membership.printed == (line, "")


class Ending:
    """A run whose model takes a while to write."""

    worth_finishing = True

    def __init__(self, out: Path) -> None:
        self.out = out

    def finish(self) -> Iterator[Any]:
        time.sleep(0.5)
        (self.out / "written").touch()
        return SimpleNamespace(complete=False)
        yield


def _at_the_end(team: Team, folder: Path, diverges: bool) -> tuple[bool, int]:
    """Whether the model is there when a process has ended, and its status."""

    def train(*_: Any) -> bool:
        if diverges:
            raise NotFinite("The loss is nan", "at step 7")
        return True

    progress._train = train
    progress._show_report = lambda *_: None
    try:
        status = progress.watch(Ending(folder), team)  # type: ignore[arg-type]
    except NotFinite:
        status = Exit.ERROR
    return (folder / "written").exists(), int(status)


@pytest.mark.parametrize("diverges", [False, True])
def test_no_process_ends_before_the_first_has_written(tmp_path: Path, diverges: bool) -> None:
    """A launcher ends all processes when one ends with an error, or as after Ctrl-C."""
    expected = True, int(Exit.ERROR if diverges else Exit.STOPPED)
    assert in_team(2, _at_the_end, tmp_path, diverges) == [expected, expected]
