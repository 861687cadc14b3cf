"""What stragglers, failures and checkpoints cost a training of N workers: a simulation, checked against real runs.

Workers step together: a step takes as long as its slowest worker, and then gradients are exchanged. A failure costs the
steps since the last checkpoint, and a restart. scale_check.py measures the parts, lets the simulation predict whole
runs from them, and prints the prediction beside the time of the runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

DAY = 86_400.0
LATENCY = 50e-6  # seconds a message between two machines
DRAWN = 1 << 20  # times of a worker's part, at a time


@dataclass(frozen=True)
class Team:
    """Workers that step together.

    * shares: float64 (M,), seconds in which one worker computed its part of a step, measured; drawn at random for each
      worker and step, so that their spread is that of the machine
    * bytes, bandwidth, latency: of the gradients, and bytes a second and seconds a message between two workers
    * checkpoint, restart: seconds to write a checkpoint; seconds from a failure to the next step
    * every: seconds of work between two checkpoints; 0 for the best interval
    * between_failures: mean seconds between two failures of one worker; infinite if it never fails
    """

    workers: int
    shares: NDArray[np.float64]
    bytes: float = 0.0
    bandwidth: float = 1.25e9
    latency: float = LATENCY
    checkpoint: float = 0.0
    restart: float = 0.0
    every: float = 0.0
    between_failures: float = inf

    @property
    def exchange(self) -> float:
        """Seconds to sum the gradients in a ring (Patarasuk and Yuan 2009): 2 (N - 1) messages of bytes / N."""
        messages = 2 * (self.workers - 1)
        return messages * (self.bytes / self.workers / self.bandwidth + self.latency)

    @property
    def interval(self) -> float:
        """Seconds of work between checkpoints: `every`, or the best by Young 1974, sqrt(2 C M) for M of the team."""
        if self.every or not self.checkpoint:
            return self.every or inf
        return sqrt(2 * self.checkpoint * self.between_failures / self.workers)


@dataclass(frozen=True)
class Outcome:
    """Where the seconds of a run went: steps + exchange + checkpoints + lost + restarts.

    * steps: computing the steps that count, each as long as its slowest worker
    * waiting: the part of it in which the mean worker had finished
    * lost: work that a failure undid
    """

    steps: float
    waiting: float
    exchange: float
    checkpoints: float
    lost: float
    restarts: float
    failures: int

    @property
    def seconds(self) -> float:
        return self.steps + self.exchange + self.checkpoints + self.lost + self.restarts

    @property
    def efficiency(self) -> float:
        """The share of the time in which the mean worker computed something that counts."""
        return (self.steps - self.waiting) / self.seconds


def simulate(team: Team, steps: int, random: np.random.Generator, failures: Sequence[float] | None = None) -> Outcome:
    """One run of `steps` steps. `failures`: their moments in seconds from the start, ascending; None to draw them.

    Failures during a restart do not count again: the restart would begin anew on the machines that are left.
    """
    moments = iter(_drawn(team, random) if failures is None else failures)
    failure = next(moments, inf)
    draws = _steps(team, random)
    clock = waiting = computing = exchange = checkpoints = lost = restarts = 0.0
    count = saved = 0
    while saved < steps:
        since, part, idle, made = 0.0, 0.0, 0.0, 0  # of the work since the last checkpoint
        while saved + made < steps and since < team.interval:
            slowest, mean = next(draws)
            if clock + since + slowest + team.exchange > failure:
                break
            since, made = since + slowest + team.exchange, made + 1
            part, idle = part + slowest, idle + slowest - mean
        if clock + since + team.checkpoint > failure or (saved + made < steps and since < team.interval):
            count += 1
            lost += failure - clock
            restarts += team.restart
            clock = failure + team.restart
            while failure <= clock:
                failure = next(moments, inf)
            continue
        clock += since + team.checkpoint
        saved += made
        computing, waiting, exchange = computing + part, waiting + idle, exchange + team.exchange * made
        checkpoints += team.checkpoint
    return Outcome(computing, waiting, exchange, checkpoints, lost, restarts, count)


def _steps(team: Team, random: np.random.Generator) -> Iterator[tuple[float, float]]:
    """For each step, the seconds of its slowest and of its mean worker."""
    while True:
        drawn = random.choice(team.shares, (max(1, DRAWN // team.workers), team.workers))
        yield from zip(drawn.max(axis=1).tolist(), drawn.mean(axis=1).tolist(), strict=True)


def _drawn(team: Team, random: np.random.Generator) -> Iterator[float]:
    """Moments of failures: those of all workers together are a Poisson process."""
    clock = 0.0
    while team.between_failures < inf:
        clock += random.exponential(team.between_failures / team.workers)
        yield clock
