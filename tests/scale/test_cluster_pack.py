"""Shards that a cluster of two nodes writes: the same bytes as without it, also if a process dies."""

import hashlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tests.patience import PATIENCE

import pellucid
from pellucid.app import cli
from pellucid.errors import ClusterError, StorageError
from pellucid.pictures import table
from pellucid.pictures.shards import packing as packer
from pellucid.pictures.shards import writing
from pellucid.pictures.shards.packing import Packed, Packing
from pellucid.pictures.shards.verb import catalog_of
from pellucid.pictures.shards.writing import Written
from pellucid.pictures.tabular import Columns
from pellucid.scale import packing, shard
from pellucid.scale.shard import Outcome
from pellucid.steps import result_of

if TYPE_CHECKING:
    from tests.scale.conftest import TwoNodes

SIZE = "6MB"  # of a shard: seven pictures
SHARDS = 9


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 pictures of 750 kB that take a while, in two classes, and two files that are none."""
    root = tmp_path_factory.mktemp("heavy") / "pictures"
    image = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    for name in ("cat", "großer Hund"):
        (root / name).mkdir(parents=True)
    Image.fromarray(image).save(root / "cat" / "0.png", compress_level=1)
    for number in range(1, 64):
        os.link(root / "cat" / "0.png", root / ("cat", "großer Hund")[number % 2] / f"{number}.png")
    (root / "cat" / "notes.txt").write_text("no picture")
    (root / "cat" / "cut.png").write_bytes((root / "cat" / "0.png").read_bytes()[:5000])
    return root


@pytest.fixture(scope="module")
def whole(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `pack` alone writes: the SHA-256 of each file."""
    out = tmp_path_factory.mktemp("alone") / "out"
    assert len(pellucid.pack(pictures, out, shard_size=SIZE).shards) == SHARDS
    return contents(out)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def job(source: Path, out: Path, cluster: "TwoNodes", form: str = "webdataset") -> Generator[Packing, None, Packed]:
    return packing.packing(source, out, form, SIZE, 0, Columns(), cluster.address)


def workers() -> list[int]:
    """The processes that write a shard now."""
    busy = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cmdline").read_bytes().startswith(b"ray::write"):
                busy.append(int(entry.name))
        except OSError:
            continue
    return busy


def test_the_command_writes_the_bytes_of_pack_alone(
    cluster: "TwoNodes", pictures: Path, whole: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["pack", str(pictures), str(tmp_path / "out"), "--shard-size", SIZE, "--ray", cluster.address]
    assert cli.main(words) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.startswith(f"64 pictures in {SHARDS} shards, ")
    assert "Not packed: 2 files, each with its reason in quarantine.csv." in told.out
    assert contents(tmp_path / "out") == whole
    changed = tmp_path / "out" / "train-000003.tar"
    changed.write_bytes(changed.read_bytes()[:-1] + b"!")
    assert cli.main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reused"] == SHARDS - 1
    assert contents(tmp_path / "out") == whole


@pytest.mark.parametrize("form", ["webdataset", "parquet"])
def test_a_part_of_a_plan_has_all_that_a_shard_needs(
    form: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another process and folder: sides, groups and several labels of a table at a relative path."""
    lines = [f"cat/{n}.png,{'a|b' if n % 4 else 'b'},{('train', '')[n // 2 % 2]},p{n // 4}" for n in range(0, 24, 2)]
    listing = pictures / f"{form}.csv"
    listing.write_text("\n".join(["path,label,split,group", *lines]))
    monkeypatch.chdir(pictures.parent)
    try:
        source, out = Path(f"pictures/{form}.csv"), tmp_path / "out"
        alone = pellucid.pack(source, tmp_path / "alone", format=form, labels="several", shard_size="2MB")
        plan = packer.prepared(catalog_of(source, out, Columns(several=True)), form, "2MB", 0)
    finally:
        listing.unlink()
    out.mkdir()
    packer.begun(plan, out)
    parts = [pickle.dumps(plan.part(number)) for number in range(len(plan.names))]
    monkeypatch.chdir(tmp_path)
    reports = list[int]()
    monkeypatch.setattr(shard, "EVERY", 0)
    assert len(parts) > 2
    for expected, part in zip(alone.shards, map(pickle.loads, parts), strict=True):
        items = shard._items(part, out, "here", [], reports.append)
        assert writing.write(out / part.names[0], part.form, items, part.catalog.classes, True) == expected
        assert reports[-1] == expected.pictures


def test_a_worker_that_is_killed_and_a_job_that_is_stopped(
    cluster: "TwoNodes", pictures: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    out, killed = tmp_path / "out", list[int]()
    steps = job(pictures, out, cluster)
    for progress in steps:
        if len(killed) < 2 and (busy := workers()):
            os.kill(busy[0], signal.SIGKILL)
            killed.append(busy[0])
        if killed and progress.done >= 24:
            steps.close()
    assert killed
    there = {path.name: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    assert 3 <= len(there) < SHARDS
    assert {path.name for path in out.iterdir()} == {"packing.json", *there}, "a part of a file stayed"
    noted = {each["name"] for each in json.loads((out / "packing.json").read_text())["shards"]}
    packed = result_of(job(pictures, out, cluster))
    assert packed.reused == len(noted) >= 3
    assert contents(out) == whole
    assert [each.name for each in packed.shards] == sorted(name for name in whole if name.endswith(".tar"))
    assert {name for name in noted if (out / name).stat().st_mtime_ns != there[name]} == set()


def test_a_driver_that_is_killed(
    cluster: "TwoNodes", pictures: Path, whole: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["pack", str(pictures), str(out), "--shard-size", SIZE, "--ray", cluster.address]
    code = f"import sys; from pellucid.app import cli; sys.exit(cli.main({words}))"
    driver = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    until = monotonic() + PATIENCE
    while len(list(out.glob("*.tar"))) < 2 and driver.poll() is None and monotonic() < until:
        sleep(0.01)
    driver.kill()
    _, complaints = driver.communicate()
    assert (driver.returncode, complaints) == (-signal.SIGKILL, b"")
    assert cli.main(words) == 0
    assert contents(out) == whole


def test_a_machine_without_the_folders_says_so(pictures: Path, tmp_path: Path) -> None:
    plan = packer.prepared(table.read(pictures), "webdataset", SIZE, 0)
    part = plan.part(5)
    with pytest.raises(ClusterError, match=r"far does not see the shards of this job in .*out\. With --ray, OUT must"):
        shard.check_sees(part, tmp_path / "out", "far")
    (tmp_path / "out").mkdir()
    packer.begun(plan, tmp_path / "out")
    shard.check_sees(part, tmp_path / "out", "far")
    with pytest.raises(ClusterError, match=r"does not see the shards of this job"):
        shard.check_sees(packer.prepared(table.read(pictures), "webdataset", SIZE, 1), tmp_path / "out", "far")
    shutil.copytree(pictures, tmp_path / "moved", copy_function=os.link)
    moved = packer.prepared(table.read(tmp_path / "moved"), "webdataset", SIZE, 0)
    (tmp_path / "moved").rename(tmp_path / "gone")
    with pytest.raises(ClusterError, match=r"far does not see .*moved\. With --ray, all machines must see the"):
        shard.check_sees(moved, tmp_path / "out", "far")


def test_the_quarantine_is_not_what_another_machine_cannot_reach(
    cluster: "TwoNodes", pictures: Path, tmp_path: Path
) -> None:
    plan = packer.prepared(table.read(pictures), "webdataset", SIZE, 0)
    paths = [plan.catalog.pictures.paths[row] for row in plan.rows[0].tolist()]
    written = Written(plan.names[0], "", 0, len(paths) - 1)
    lost = Outcome("far", written, ((paths[0], "not found"),))
    with pytest.raises(ClusterError, match=rf"far could not read {paths[0]} \(not found\), but this machine can"):
        packing._accept(plan, 0, lost, packer.Done(), packer.Done())
    at = next(number for number, name in enumerate(plan.catalog.pictures.paths) if name == "cat/cut.png")
    number = next(n for n, rows in enumerate(plan.rows) if at in rows)
    state = packer.Done()
    packing._accept(plan, number, Outcome("far", written, (("cat/cut.png", "cut"),)), packer.Done(), state)
    assert state.unreadable == {plan.names[number]: [["cat/cut.png", "cut"]]}
    full = Outcome("far", fault=StorageError("The disk is full: /out."))
    with pytest.raises(StorageError, match=r"^On far: The disk is full: /out\.$"):
        packing._accept(plan, 0, full, packer.Done(), packer.Done())


def test_a_shard_that_never_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "LATE", 0.0)
    (tmp_path / "train-000000.tar").write_bytes(b"12345")
    shards = {"train-000000.tar": Written("train-000000.tar", "", 5, 1)}
    packing._check_arrived(tmp_path, packer.Done(shards))
    shards["train-000001.tar"] = Written("train-000001.tar", "", 5, 1)
    with pytest.raises(ClusterError, match=r"wrote train-000001\.tar, but it is not in .* of this machine\."):
        packing._check_arrived(tmp_path, packer.Done(shards))


def test_a_node_with_another_version_is_refused(
    cluster: "TwoNodes", pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pellucid, "__version__", "9.9.9")
    with pytest.raises(ClusterError, match=r"has Pellucid 0\.1\.0, but the job is of Pellucid 9\.9\.9\. Install"):
        result_of(job(pictures, tmp_path / "out", cluster))


def test_a_shard_that_ends_its_process_again_and_again_ends_the_job(pictures: Path) -> None:
    board = shard.Board()
    assert [board.begin(7) for _ in range(5)] == [1, 2, 3, 4, 5]
    board.report(7, 3)
    board.report(8, 1)  # of a task that ended
    assert board.done() == {7: 3}
    board.end(7)
    assert board.done() == {}
    assert board.begin(7) == 1
    part = packer.prepared(table.read(pictures), "webdataset", SIZE, 0).part(0)
    line = shard.deadly("train-000000.tar", part, 4)
    assert line.startswith(f"The shard train-000000.tar ({part.catalog.pictures.paths[0]} and ")
    assert "more) ended its process 4 times." in line


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--ray=host"], "--ray host names no cluster; it must be auto, HOST:PORT or ray://HOST:PORT."),
        (["--ray", "127.0.0.1:9", "--shard-size", "big"], "shard_size is 'big'; it must be a number of bytes,"),
    ],
)
def test_a_wrong_command_is_one_line(
    words: list[str], line: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["pack", str(pictures), str(tmp_path / "out"), *words]) == 1
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert told.err.startswith(f"pellucid: {line}")
    assert not (tmp_path / "out").exists()


def test_shards_at_an_address_are_refused(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["pack", str(pictures), "s3://bucket/shards"]) == 1
    assert capsys.readouterr().err.startswith("pellucid: OUT is s3://bucket/shards, and it must be on this machine: ")
    assert [*tmp_path.iterdir()] == []


def test_a_node_that_dies(
    cluster: "TwoNodes", pictures: Path, whole: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if request.config.getoption("--every") != 1:
        pytest.skip("NOT TESTED: a machine that dies while it packs; --every 1 tests it")
    steps = job(pictures, tmp_path / "out", cluster)
    for progress in steps:
        if progress.done >= 14:
            break
    cluster.kill()
    try:
        assert result_of(steps).reused == 0
    finally:
        cluster.mend()
    assert contents(tmp_path / "out") == whole
