"""The simulation of benchmarks/scale.py, against numbers worked by hand and known formulas."""

from dataclasses import replace
from math import inf, sqrt
from statistics import fmean

import numpy as np
import pytest
from benchmarks import scale
from benchmarks.scale import Team, simulate

ONE_SECOND = np.ones(1)


def run(team: Team, steps: int, *failures: float, seed: int = 0) -> scale.Outcome:
    return simulate(team, steps, np.random.default_rng(seed), failures)


def test_without_failures_a_run_is_its_steps_and_checkpoints() -> None:
    outcome = run(Team(1, ONE_SECOND, checkpoint=0.5, every=4), 10)
    assert outcome == scale.Outcome(10, 0, 0, 3 * 0.5, 0, 0, 0)  # after steps 4, 8 and 10
    assert outcome.seconds == 11.5


def test_a_failure_costs_the_work_since_the_checkpoint_and_a_restart() -> None:
    # steps 1 to 4, a checkpoint until 4.5, step 5 until 5.5; at 6 the run begins again at step 5, at 8
    outcome = run(Team(1, ONE_SECOND, checkpoint=0.5, every=4, restart=2), 10, 6.0)
    assert (outcome.lost, outcome.restarts, outcome.failures) == (1.5, 2, 1)
    assert outcome.seconds == 10 + 1.5 + 1.5 + 2


def test_a_failure_during_a_checkpoint_costs_it() -> None:
    outcome = run(Team(1, ONE_SECOND, checkpoint=0.5, every=4, restart=2), 4, 4.25)
    assert (outcome.lost, outcome.failures, outcome.seconds) == (4.25, 1, 4.25 + 2 + 4.5)


def test_a_failure_during_a_restart_does_not_count_again() -> None:
    assert run(Team(1, ONE_SECOND, every=4, restart=2), 4, 1.0, 2.5).failures == 1


def test_the_slowest_worker_sets_the_pace() -> None:
    """Of N workers that take 1 or 2 seconds, all take 1 with probability 1 / 2^N."""
    for workers in (1, 2, 4):
        outcome = run(Team(workers, np.array([1.0, 2.0])), 20_000)
        assert outcome.steps / 20_000 == pytest.approx(2 - 0.5**workers, abs=0.02)
        assert outcome.waiting / 20_000 == pytest.approx(2 - 0.5**workers - 1.5, abs=0.02)


def test_the_ring_sends_twice_the_gradients() -> None:
    team = Team(4, ONE_SECOND, bytes=400, bandwidth=100, latency=0.5)
    assert team.exchange == 2 * 3 * (400 / 4 / 100 + 0.5)
    assert run(team, 3).exchange == 3 * team.exchange
    assert Team(1, ONE_SECOND, bytes=400).exchange == 0


def test_the_best_interval_is_better_than_a_tenth_and_ten_times_it() -> None:
    team = Team(16, ONE_SECOND, checkpoint=5, restart=30, between_failures=16 * 4000)
    assert team.interval == sqrt(2 * 5 * 4000)
    best, often, rarely = (
        fmean(
            simulate(replace(team, every=team.interval * by), 20_000, np.random.default_rng(n)).seconds
            for n in range(5)
        )
        for by in (1, 0.1, 10)
    )
    assert best < 0.9 * often
    assert best < 0.9 * rarely


def test_failures_come_as_often_as_the_workers_fail() -> None:
    team = Team(100, ONE_SECOND, checkpoint=1, restart=0, between_failures=100_000)
    count = simulate(team, 100_000, np.random.default_rng(0)).failures
    assert count == pytest.approx(100, abs=35)  # three deviations of a Poisson number, and some repeated work


def test_a_worker_that_never_fails_writes_one_checkpoint() -> None:
    assert Team(8, ONE_SECOND, checkpoint=1).interval == inf
    assert run(Team(8, ONE_SECOND, checkpoint=1), 5).checkpoints == 1


def test_the_parts_add_up() -> None:
    shares = np.random.default_rng(0).lognormal(-2, 0.3, 100)
    team = Team(8, shares, 1e6, checkpoint=0.2, restart=3, between_failures=300)
    outcome = simulate(team, 2000, np.random.default_rng(1))
    assert outcome.failures > 5
    parts = outcome.steps + outcome.exchange + outcome.checkpoints + outcome.lost + outcome.restarts
    assert outcome.seconds == parts
    assert 0 < outcome.efficiency < outcome.steps / outcome.seconds
