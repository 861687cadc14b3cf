"""Join the team that a launcher started this process for: torchrun, `pellucid train --processes`, or srun.

The launcher describes the team in environment variables; their names are PyTorch's contract
(https://docs.pytorch.org/docs/stable/elastic/run.html, "Environment Variables").
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from pellucid.errors import TrainingError
from pellucid.training.team.meeting import fresh
from pellucid.training.team.team import ALONE, Team, connected

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
JOINING = 120.0  # seconds in which all processes of a team must be there
WORKING = timedelta(hours=12)  # of one process, while the others wait: decoding, the search for twins
SETTLING = 0.05  # seconds for PyTorch's threads to free the last exchange, see Team.wait
REPORTING = 5.0  # seconds in which the first process takes up another's error

ERROR, REPORTED = "pellucid/error", "pellucid/reported"


class Membership:
    """A process's place in a team, from `join` to `leave`; and the way of its error to the first process."""

    def __init__(self, team: Team, store: Store | None) -> None:
        self.team, self._store = team, store

    def hand_over(self, error: BaseException) -> bool:
        """Hand an error over to the first process, which prints it. False if that did not take it up in time."""
        if self._store is None:
            return False
        try:
            self._store.set(ERROR, f"process {self.team.rank} ({platform.node()}): {error}")
            self.leave()  # the first process notices
            self._store.wait([REPORTED], timedelta(seconds=REPORTING))
        except RuntimeError as lost:
            return "imeout" not in str(lost)  # the first process has ended, and reported its own error
        return True

    def take_up(self) -> str | None:
        """The error that another process handed over, if there is one. The first process prints it, and `reports`."""
        if self._store is None:
            return None
        end = time.monotonic() + REPORTING / 5
        with suppress(RuntimeError):
            while time.monotonic() < end:
                if self._store.check([ERROR]):
                    return self._store.get(ERROR).decode()
                time.sleep(0.05)
        return None

    def reports(self) -> None:
        """Tell the others that the first process has printed an error: they stay silent, and end."""
        if self._store is not None:
            with suppress(RuntimeError):
                self._store.set(REPORTED, "1")

    def leave(self) -> None:
        """Close the connections. Does not wait for the others, which may be gone."""
        import torch.distributed as dist

        if not self.team.alone and dist.is_initialized():
            time.sleep(SETTLING)
            closing = threading.Thread(target=dist.destroy_process_group, daemon=True)
            closing.start()
            closing.join(REPORTING)


def is_member(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a launcher started this process for a team, which may be of one."""
    return all(environment.get(name) for name in NEEDED)


def described(environment: Mapping[str, str] = os.environ) -> Team:
    """The team that the launcher describes, not yet connected. Raises TrainingError if it does not make sense."""
    if not is_member(environment):
        return ALONE

    def number(name: str, default: int | None = None) -> int:
        text = environment.get(name, "" if default is None else str(default))
        try:
            return int(text)
        except ValueError:
            raise TrainingError(f"The launcher set {name} to {text!r}; it must be a whole number.") from None

    rank, world = number("RANK"), number("WORLD_SIZE")
    if not 0 <= rank < world:
        raise TrainingError(
            f"The launcher set RANK to {rank} and WORLD_SIZE to {world}; RANK must be below WORLD_SIZE."
        )
    local_world = number("LOCAL_WORLD_SIZE", 1)
    restarts, most = number("TORCHELASTIC_RESTART_COUNT", 0), number("TORCHELASTIC_MAX_RESTARTS", 0)
    watched = "TORCHELASTIC_RUN_ID" in environment
    return Team(rank, world, number("LOCAL_RANK", 0), local_world, most > 0, restarts > 0, watched)


def join(team: Team, seconds: float = JOINING) -> Membership:
    """Connect to the other processes of `team`. Raises TrainingError if they do not come within `seconds`."""
    if team.alone:
        return Membership(team, None)
    import torch
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    from pellucid import __version__

    backend = "gloo"
    if torch.cuda.is_available():
        backend = "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(team.local_rank % torch.cuda.device_count())
    where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    try:
        waiting = timedelta(seconds=seconds)
        store, rank, world = next(iter(rendezvous("env://", team.rank, team.world, timeout=waiting)))
        store.set_timeout(waiting)
        own = fresh(store, rank, world, seconds)
        dist.init_process_group(backend, store=own, rank=rank, world_size=world, timeout=WORKING)
        store.set_timeout(WORKING)
    except (RuntimeError, ValueError, OSError) as error:
        raise TrainingError(
            f"The team's {team.world} processes did not meet at {where} ({_line(error)}; at most {seconds:.0f} s). "
            "Check that the address is right, that this machine reaches it, and that all processes were started."
        ) from error
    membership = Membership(team, own)
    with connected():
        team.check_same({"Pellucid's version": __version__, "PyTorch's version": str(torch.__version__)})
    return membership


def _line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
