"""The folder of a job: whose it is, what is in it, and what is refused. No cluster is needed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pellucid import files
from pellucid.errors import ArtefactError, StorageError
from pellucid.pictures.walk import walk
from pellucid.scale.folder import JOURNAL, LISTING, MANIFEST, Output
from pellucid.scale.listing import Listing
from pellucid.scale.plan import Plan

PLAN = Plan("abc", ("photos",), "/home", "csv", 3, "float32", False, Listing(1200, "123"), "0.1.0")


@pytest.fixture
def output(tmp_path: Path) -> Output:
    return Output(tmp_path / "out", None)


def test_files_that_are_whole_are_not_made_again(output: Output) -> None:
    with output.claimed():
        assert output.begin(PLAN) == {}
        first, last = output.write(PLAN, 0, 1, b"first", None), output.write(PLAN, 2, 0, b"last", None)
    assert (first.rows, last.rows, first.unusable, first.file) == (500, 200, 1, "part-00000.csv")
    with output.claimed():
        assert output.begin(PLAN) == {0: first, 2: last}
        (output.answers / "part-00000.csv").write_bytes(b"other length")
        assert output.begin(PLAN) == {2: last}
        middle, again = output.write(PLAN, 1, 0, b"middle", None), output.write(PLAN, 0, 1, b"first", None)
        output.finish(PLAN, {0: again, 2: last, 1: middle})
        assert output.begin(PLAN) == {0: again, 1: middle, 2: last}
    manifest = json.loads((output.answers / MANIFEST).read_text())
    assert (manifest["pictures"], manifest["unusable"]) == (1200, 1)
    assert [part["file"] for part in manifest["parts"]] == ["part-00000.csv", "part-00001.csv", "part-00002.csv"]
    for part in manifest["parts"]:
        assert part["sha256"] == files.sha256(output.answers / part["file"])
    assert not (output.answers / JOURNAL).exists()


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (replace(PLAN, model="other"), "the model is another one, or has changed"),
        (replace(PLAN, sources=("trips",)), r"its pictures are from \['photos'\]"),
        (replace(PLAN, folder="/tmp"), "it was begun in the folder /home"),
        (replace(PLAN, form="jsonl"), "its format is csv, not jsonl"),
        (replace(PLAN, top=1), "it names 3 classes for each picture, not 1"),
        (replace(PLAN, precision="int8"), "its precision is float32, not int8"),
        (replace(PLAN, features=True), "one of the two is without --features"),
        (replace(PLAN, version="0.2.0"), r"Pellucid 0\.1\.0 began it, and this is 0\.2\.0"),
        (replace(PLAN, listing=Listing(1201, "124")), "it is about 1,200 pictures, and now there are 1,201 or others"),
    ],
)
def test_another_job_is_refused(output: Output, other: Plan, reason: str) -> None:
    with output.claimed():
        output.begin(replace(PLAN, top=7))  # of a job that answered nothing, as without a cluster
        output.begin(PLAN)
        output.write(PLAN, 0, 0, b"first", None)
        with pytest.raises(StorageError, match=rf"out holds the answers of another job: {reason}\. Choose another"):
            output.begin(other)


def test_a_damaged_plan_is_refused(output: Output) -> None:
    with output.claimed():
        output.begin(PLAN)
        output.write(PLAN, 0, 0, b"first", None)
        (output.answers / "_plan.json").write_text("[1")
        with pytest.raises(StorageError, match="holds a plan that is damaged"):
            output.begin(PLAN)


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    refusals = {
        r"file is a file; with --ray, --out names a folder": Output(tmp_path / "file", None),
        r"already holds other files, such as thesis\.txt": Output(tmp_path / "full", None),
        r"Choose another --features": Output(tmp_path / "new", tmp_path / "full"),
    }
    for reason, output in refusals.items():
        with pytest.raises(StorageError, match=reason), output.claimed():
            pass
    assert not (tmp_path / "new").exists()
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.txt"]


def test_answers_among_the_pictures_are_left_out(output: Output, tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with output.claimed():
        output.begin(PLAN)
        (output.answers / LISTING).touch()
        output.write(PLAN, 0, 0, b"first", None)
    assert [(entry.path, entry.kind, entry.reason) for entry in walk(tmp_path)] == [
        ("a.png", "file", ""),
        ("out/", "ours", "the output of `pellucid predict --ray`"),
    ]


def test_one_process_at_a_time(output: Output) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from pellucid.scale.folder import Output\n"
        f"with Output(Path({str(output.answers)!r}), None).claimed(): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ArtefactError, match="Another process is writing to"), output.claimed():
            pass
        other.communicate()
    with output.claimed():
        output.begin(PLAN)


def test_a_full_disk_is_one_sentence_and_the_job_continues(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with output.claimed():
        output.begin(PLAN)
        with monkeypatch.context() as patch:
            patch.setattr(files, "sync", full)
            with pytest.raises(StorageError, match=r"The disk is full: .*part-00000\.csv could not be written"):
                output.write(PLAN, 0, 0, b"first", None)
        assert output.begin(PLAN) == {}
        assert sorted(path.name for path in output.answers.iterdir()) == [".pellucid.lock", "_plan.json"]
        assert output.write(PLAN, 0, 0, b"first", None).bytes == 5
