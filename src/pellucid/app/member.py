"""A command in each process of a team: the first one prints, and one line reports an error, whoever meets it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pellucid.app import streams
from pellucid.app.cli import report
from pellucid.app.exits import Exit
from pellucid.errors import PellucidError, TrainingError
from pellucid.training.team import joining
from pellucid.training.team.team import Lost, Team


class Unreported(PellucidError):
    """An error of a later process, which the first one did not take up: this process has to print it."""


@contextmanager
def quiet() -> Iterator[None]:
    """Within the block only the first process of a team prints.

    An error before the team is joined is most likely the same in all of them: one process of each machine prints it.
    """
    if joining.is_member():  # PyTorch's own warnings about connections; read when it is imported
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    team = joining.described()
    if team.leads:
        yield
        return
    try:
        with streams.silent():
            yield
    except Unreported:
        raise
    except PellucidError as error:
        if team.local_rank == 0:
            raise
        raise SystemExit(Exit.ERROR) from error
    except KeyboardInterrupt as stop:
        raise SystemExit(Exit.STOPPED) from stop


@contextmanager
def joined(team: Team) -> Iterator[None]:
    """Connected to the team within the block. The first process prints an error, its own or that of another one.

    It prints before it lets the others go: a launcher ends all processes when one ends with an error. Raises SystemExit
    where the error is printed by then, or where another process or the launcher prints it.
    """
    if team.alone:
        yield
        return
    membership = joining.join(team)
    try:
        yield
    except Lost as lost:
        if not team.leads or ((error := membership.take_up()) is None and team.watched):
            raise SystemExit(Exit.ERROR) from lost
        report(TrainingError(error or str(lost)))
        membership.reports()
        raise SystemExit(Exit.ERROR) from lost
    except (PellucidError, OSError, ImportError) as error:
        if team.leads:
            its_own_way = isinstance(error, ImportError | BrokenPipeError)  # see cli.main
            if not its_own_way:
                report(error)
            membership.reports()
            if its_own_way:
                raise
            raise SystemExit(Exit.ERROR) from error
        if membership.hand_over(error):
            raise SystemExit(Exit.ERROR) from error
        raise Unreported(f"process {team.rank}: {error}") from error
    finally:
        membership.leave()
