"""Processes of a team, forked from one that has imported PyTorch, so that a test of four takes under a second."""

import os
import socket
import traceback
from collections.abc import Callable
from typing import Any

from tests.forked import WARM

from pellucid.training.team.joining import described, join
from pellucid.training.team.team import ALONE, Team

Work = Callable[..., Any]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def in_team(world: int, work: Work, *arguments: Any) -> list[Any]:
    """`work(team, *arguments)` in `world` processes: what each returns, by rank. `work` is a module's function."""
    port, pipes, processes = free_port(), [], []
    for rank in range(world):
        end, other = WARM.Pipe(duplex=False)
        process = WARM.Process(target=_run, args=(rank, world, port, other, work, arguments))
        process.start()
        other.close()
        pipes.append(end)
        processes.append(process)
    results = [end.recv() if end.poll(60) else "no answer within a minute" for end in pipes]
    for process in processes:
        process.join(10)
        if process.is_alive():
            process.kill()
    failed = [text for text in results if isinstance(text, str)]
    assert not failed, "\n".join(failed)
    return [result[0] for result in results]


def _run(rank: int, world: int, port: int, pipe: Any, work: Work, arguments: tuple[Any, ...]) -> None:
    import torch

    torch.set_num_threads(1)
    about = {"RANK": rank, "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in about.items()})
    try:
        membership = join(described(), 30)
        team: Team = membership.team if world > 1 else ALONE
        pipe.send((work(team, *arguments),))
        membership.leave()
    except BaseException:
        pipe.send(traceback.format_exc())
