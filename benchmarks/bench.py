"""Pellucid and its peers side by side: same pictures, split, network, batch and epochs, in turns, in one run.

    python benchmarks/bench.py [--pictures DIR] [--only JOB ...] [--quick]

Every run is a separate process. The peers' environments are made from the pinned lists in peers/. Each run is added to
benchmarks/bench.json when it ends; the tables show the medians, between the marks in docs/benchmarks.md and README.md.
Running a case again replaces its figures; the others of its job stay, if they are of the same machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import samples
from contenders import OURS, TITLES, perform
from job import NETWORKS, Case, Headline, Setting
from jobs import accuracy_for_time, article, growth, predicting, training, transfer
from measuring import machine
from platformdirs import user_cache_path
from tables import Run, table, write

HERE = Path(__file__).parent
RESULTS, PAGE, README = HERE / "bench.json", HERE.parent / "docs" / "benchmarks.md", HERE.parent / "README.md"
MARK = "benchmarks/bench.py"
JOBS = {
    "article": article,
    "training": training,
    "predicting": predicting,
    "transfer": transfer,
    "accuracy": accuracy_for_time,
    "growth": growth,
}
LONG = ("accuracy", "growth")  # hours; only if --only names them
MADE = 2000  # pictures, if none are passed


def main() -> None:
    arguments = parsed()
    names = arguments.only or [name for name in JOBS if name not in LONG]
    results = {} if arguments.quick or not RESULTS.exists() else json.loads(RESULTS.read_text())
    with tempfile.TemporaryDirectory(prefix="pellucid-bench-") as folder:
        pictures = arguments.pictures or Path(folder) / "made"
        if arguments.pictures is None:
            samples.make(pictures, 64 if arguments.quick else MADE)
        setting = Setting(
            *(pictures.resolve(), Path(folder), arguments.environments, (OURS, *arguments.peers)),
            *(tuple(arguments.networks), arguments.quick, arguments.minutes, arguments.limit),
        )
        source = "made from scikit-learn's two photographs" if arguments.pictures is None else "given with --pictures"
        for name in names:
            about = {"machine": machine(), "date": date.today().isoformat(), "pictures": source}
            cases = list(JOBS[name].cases(setting))  # once: some jobs train networks for them
            results[name] = begun(cases, results.get(name), about)
            for run in perform_all(name, cases, setting, 1 if name in LONG else arguments.rounds):
                results[name]["runs"].append(run)
                if not arguments.quick:
                    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    if arguments.quick:
        print(page(results))
        return
    write(PAGE, MARK, page(results))
    write(README, MARK, short(results))
    print(short(results))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    peers = [name for name in TITLES if name != OURS]
    networks = [name for name in NETWORKS if name != "tiny"]
    add("--pictures", type=Path, metavar="DIR", help="a folder with a folder a class; else pictures are made")
    add(
        "--only",
        nargs="+",
        choices=list(JOBS),
        metavar="JOB",
        help=f"of {', '.join(JOBS)}; all but {' and '.join(LONG)}",
    )
    add("--peers", nargs="+", choices=peers, default=peers, metavar="PEER", help=f"of {', '.join(peers)}")
    add("--networks", nargs="+", choices=networks, default=networks, metavar="NETWORK", help="of the job training")
    add("--rounds", type=int, default=3, help="turns that each contender has (3); the long jobs have one")
    add("--minutes", type=float, default=10, help="of the job accuracy, each training (10)")
    add("--limit", type=float, default=1800, help="seconds after which a run is ended and its row says so (1800)")
    add(
        "--environments",
        type=Path,
        default=user_cache_path("pellucid-benchmarks"),
        help="where the peers are installed",
    )
    add("--quick", action="store_true", help="tiny sizes, one round, nothing written: does everything run")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds = 1
    return arguments


def begun(cases: list[Case], before: dict[str, Any] | None, about: dict[str, Any]) -> dict[str, Any]:
    """A job's result before its first run: with the figures of the cases that are not run now, from the same machine.

    Each of them has its own date from then on.
    """
    runs: list[Run] = []
    if before is not None and before["machine"] == about["machine"]:
        now = {case.name for case in cases}
        runs = [{"date": before["date"], **run} for run in before["runs"] if run["case"] not in now]
    return {**about, "runs": runs}


def perform_all(job: str, cases: list[Case], setting: Setting, rounds: int) -> Iterator[Run]:
    """All cases of a job, round after round: a temporary slowdown of the machine then affects each contender alike.

    A contender that failed, or took too long, has no further turn.
    """
    failed = set()
    for turn in range(rounds):
        for number, case in enumerate(cases):
            if (case.name, case.contender) in failed:
                continue
            settings = (
                {**case.settings, "out": str(setting.work / f"{job}-{turn}-{number}")} if case.writes else case.settings
            )
            measured = perform(case.contender, case.verb, settings, setting.environments, setting.limit)
            run = {"contender": case.contender, "case": case.name, **measured.as_json()}
            if measured.failed:
                failed.add((case.name, case.contender))
            print(f"{time.strftime('%H:%M:%S')} {job}, {line_of(case, run)}", file=sys.stderr, flush=True)
            yield run


def line_of(case: Case, run: Run) -> str:
    what = run.get("failed") or f"{run['seconds']:.1f} s, {run['peak_mb']:,.0f} MB, {json.dumps(run['answer'])}"
    return f"{case.name}, {TITLES[case.contender]}: {what}"


def page(results: dict[str, Any]) -> str:
    """The tables of all jobs, each under its heading, the short one first."""
    parts = [goals(results)]
    for name, job in JOBS.items():
        if name in results:
            parts += [f"### {job.TITLE}", job.report(results[name]["runs"]), circumstances(results[name])]
    return "\n\n".join(parts)


def circumstances(result: dict[str, Any]) -> str:
    machine, loads = result["machine"], [run["load"] for run in result["runs"]]
    earlier: dict[str, list[str]] = {}
    for run in result["runs"]:
        if run.get("date", result["date"]) != result["date"]:
            earlier.setdefault(run["date"], []).append(run["case"])
    when = [result["date"], *(f"{', '.join(dict.fromkeys(cases))} on {day}" for day, cases in earlier.items())]
    return (
        f"{'; '.join(when)}, {machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB; pictures "
        f"{result['pictures']}; load average before the runs {min(loads):.1f} to {max(loads):.1f}."
    )


def lines(results: dict[str, Any]) -> list[Headline]:
    return [line for name, job in JOBS.items() if name in results for line in job.headlines(results[name]["runs"])]


def goals(results: dict[str, Any]) -> str:
    rows = [[line.job, line.ours, line.best, line.ratio, line.goal] for line in lines(results)]
    return table(["", "Pellucid", "best peer", "ratio", "goal"], rows)


def short(results: dict[str, Any]) -> str:
    rows = [[line.job, line.ours, line.best, line.ratio] for line in lines(results)]
    return table(["", "Pellucid", "best peer", "ratio"], rows)


if __name__ == "__main__":
    main()
