"""Predictions by a cluster of two nodes: the same rows as without it, each once, also if a machine dies."""

import csv
import json
import os
import shutil
import signal
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import pellucid
from pellucid.app import cli
from pellucid.errors import ClusterError
from pellucid.scale import listing, work
from pellucid.scale.predicting import Done, Request, predict

if TYPE_CHECKING:
    from tests.scale.conftest import TwoNodes


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 20 pictures instead of 250."""
    monkeypatch.setattr(listing, "LEAST", 20)


def rows(folder: Path) -> list[dict[str, Any]]:
    """All rows of a folder of Parquet files, in the order of the files."""
    return pq.read_table(folder).to_pylist()


def job(model: Path, source: Path, out: Path, cluster: "TwoNodes") -> Generator[tuple[int, int], None, Done]:
    """The job of predicting the paths of a table."""
    names = [str(source.parent / line) for line in source.read_text().splitlines()[1:]]
    return predict(Request(model, (str(source),), cluster.address, out), ((0, name) for name in names))


def finished(steps: Generator[tuple[int, int], None, Done]) -> Done:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def each_once(out: Path, source: Path) -> None:
    """Every picture of the table has one row, in the table's order, and the manifest says so."""
    names = [str(source.parent / line) for line in source.read_text().splitlines()[1:]]
    table = rows(out)
    assert [row["picture"] for row in table] == names
    assert len({row["probability_1"] for row in table}) == 1
    manifest = json.loads((out / "_manifest.json").read_text())
    assert manifest["pictures"] == len(names) == sum(part["rows"] for part in manifest["parts"])
    assert {path.name for path in out.iterdir() if path.name.startswith(".")} == set()


def workers() -> list[int]:
    """The processes that answer a block now."""
    busy = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cmdline").read_bytes().startswith(b"ray::MapBatches"):
                busy.append(int(entry.name))
        except OSError:
            continue
    return busy


def test_a_cluster_gives_the_rows_of_one_machine(
    cluster: "TwoNodes", trained: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixed = Path(shutil.copytree(photos, tmp_path / "mixed"))
    (mixed / "blue" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (mixed / "red" / "empty.jpg").touch()
    single = str(photos / "red" / "0.png")
    assert cli.main(["predict", str(trained), str(mixed), single, "--format", "csv"]) == 3
    expected = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    command = ["predict", str(trained), str(mixed), single, "missing.png", "--ray", cluster.address]
    assert cli.main([*command, "--out", str(tmp_path / "out")]) == 3
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.startswith(f"36 pictures, 3 of them unusable: 1 file in {tmp_path / 'out'}, ")
    table = rows(tmp_path / "out")
    assert [row["picture"] for row in table] == [*(row["picture"] for row in expected), "missing.png"]
    assert [row["source"] for row in table] == [str(mixed)] * 34 + [single, "missing.png"]
    for ours, theirs in zip(table, expected, strict=False):
        assert (ours["label_1"] or "", ours["error"] or "") == (theirs["label_1"], theirs["error"])
        assert (ours["probability_1"] or 0) == pytest.approx(float(theirs["probability_1"] or 0), abs=1e-6)
    assert sum(row["error"] is not None for row in table) == 3
    assert table[-1]["error"] is not None


def test_features_are_those_of_one_machine(
    cluster: "TwoNodes", trained: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["predict", str(trained), str(photos), "--features", str(tmp_path / "one.parquet")]) == 0
    command = ["predict", str(trained), str(photos), "--ray", cluster.address, "--format", "csv"]
    assert cli.main([*command, "--out", str(tmp_path / "out"), "--features", str(tmp_path / "features")]) == 0
    one, many = pq.read_table(tmp_path / "one.parquet"), pq.read_table(tmp_path / "features")
    assert many.drop_columns("features").equals(one.drop_columns("features"))
    np.testing.assert_allclose(many["features"].to_pylist(), one["features"].to_pylist(), rtol=1e-5, atol=1e-5)
    assert (tmp_path / "out" / "part-00000.csv").read_text().startswith("picture,label_1,probability_1,")


def test_a_node_that_dies_loses_and_doubles_nothing(
    cluster: "TwoNodes", trained: Path, slow: Path, tmp_path: Path, small_blocks: None
) -> None:
    steps = job(trained, slow, tmp_path / "out", cluster)
    done = 0
    while not 100 <= done < 900:
        done, total = next(steps)
        assert total == 1000
    cluster.kill()
    try:
        assert finished(steps) == Done(1000, 0, 50, 0)
    finally:
        cluster.mend()
    each_once(tmp_path / "out", slow)


def test_a_worker_that_is_killed_and_a_job_that_is_stopped(
    cluster: "TwoNodes", trained: Path, slow: Path, tmp_path: Path, small_blocks: None
) -> None:
    steps = job(trained, slow, tmp_path / "out", cluster)
    killed: list[int] = []
    for done, _ in steps:
        if len(killed) < 2 and done and (busy := workers()):
            os.kill(busy[0], signal.SIGKILL)
            killed.append(busy[0])
        if done >= 500:
            steps.close()
    assert len(killed) == 2
    there = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("part-*")}
    assert 25 <= len(there) < 50
    assert not (tmp_path / "out" / "_manifest.json").exists()
    (tmp_path / "out" / "part-00000.parquet").unlink()  # somebody removed a file, and a write was killed
    (tmp_path / "out" / ".part-00049.parquet.abcdefgh.part").touch()
    with (tmp_path / "out" / "_parts.jsonl").open("a") as journal:
        journal.write('{"block": 49, "file": "part-0004')
    assert finished(job(trained, slow, tmp_path / "out", cluster)) == Done(1000, 0, 50, len(there) - 1)
    each_once(tmp_path / "out", slow)
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("part-*")}
    assert {name for name, time in there.items() if after[name] != time} == {"part-00000.parquet"}


def test_a_node_with_another_version_is_refused(
    cluster: "TwoNodes", trained: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pellucid, "__version__", "9.9.9")
    request = Request(trained, (str(photos),), cluster.address, tmp_path / "out")
    names = ((0, str(path)) for path in sorted(photos.rglob("*.png")))
    with pytest.raises(ClusterError, match=r"has Pellucid 0\.1\.0, but the job is of Pellucid 9\.9\.9\. Install"):
        finished(predict(request, names))


def test_a_block_that_ends_its_process_again_and_again_ends_the_job(cluster: "TwoNodes") -> None:
    import ray

    starts = ray.remote(work.Starts).options(num_cpus=0).remote()
    task = work.Work(None, starts, "", "", ("x",), "csv", 1, 1, "float32", False, False, pellucid.__version__)
    assert [ray.get(starts.begin.remote(7)) for _ in range(work.MOST_STARTS)] == [1, 2, 3, 4]
    row = work._row(7, [0, 0], [b"first.png", b"second.png"], task)
    assert row["fault"].startswith("Block 7 (first.png and 1 more) ended its process 4 times.")
    starts.end.remote(7)
    assert ray.get(starts.begin.remote(7)) == 1


def test_the_callable_in_a_pipeline_of_the_users_own(cluster: "TwoNodes", trained: Path, photos: Path) -> None:
    import ray

    paths = [*(str(path) for path in sorted(photos.rglob("*.png"))), "missing.png"]
    pictures = ray.data.from_items([{"path": path, "number": at} for at, path in enumerate(paths)])
    carried = pellucid.ray.packed(trained)
    answers = pictures.map_batches(
        pellucid.ray.Predictor, fn_constructor_args=[carried], batch_size=16, concurrency=1, batch_format="numpy"
    )
    table = sorted(answers.take_all(), key=lambda row: row["number"])
    expected = list(pellucid.predict(trained, paths))
    assert [row["label"] for row in table] == [each.label for each in expected]
    assert [row["error"] for row in table] == [each.error for each in expected]
    np.testing.assert_allclose([row["probability"] for row in table[:-1]], [each.probability for each in expected[:-1]])
