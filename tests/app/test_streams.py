"""Closed standard streams, and JSON in any encoding of standard output."""

import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pellucid.app import streams

LOST = "pellucid: standard output is closed; the output is lost.\n"


def run(command: list[object], closed: str, tmp_path: Path) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command that a shell starts with the streams `closed`."""
    line = " ".join(shlex.quote(str(word)) for word in [sys.executable, "-m", "pellucid", *command])
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        status = subprocess.run(["sh", "-c", f"exec {line} {closed}"], stdin=subprocess.DEVNULL, stdout=out, stderr=err)
    return status.returncode, (tmp_path / "out").read_text(), (tmp_path / "err").read_text()


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_the_answer_comes_where_it_can(closed: str, trained: Path, photos: Path, tmp_path: Path) -> None:
    status, out, err = run(["predict", trained, photos / "red/0.png"], closed, tmp_path)
    assert (status, out.split()[0], err) == (0, "red", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full, a disk that is always full")
def test_a_full_disk_behind_standard_error_spoils_no_training(photos: Path, tmp_path: Path) -> None:
    network = ["--model", "conv(2, 3) relu globalavgpool dense", "--size", "8", "--epochs", "1"]
    command = ["train", photos, "--out", tmp_path / "model", "--cache", tmp_path / "cache", *network]
    status, _, _ = run(command, "2>/dev/full", tmp_path)
    assert (status, (tmp_path / "model/model.safetensors").is_file()) == (0, True)
    status, out, _ = run(["predict", tmp_path / "nowhere", photos / "red/0.png"], "2>/dev/full", tmp_path)
    assert (status, out) == (1, "")


@pytest.mark.parametrize("closed", [">&-", "<&- >&-"])
def test_an_answer_that_can_go_nowhere_has_failed(closed: str, trained: Path, photos: Path, tmp_path: Path) -> None:
    assert run(["predict", trained, photos / "red/0.png"], closed, tmp_path) == (1, "", LOST)
    assert run(["plan", "article"], closed, tmp_path) == (1, "", LOST)


def test_without_anybody_to_tell_what_goes_to_a_file_has_not_failed(
    trained: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "answers.csv"
    command = ["predict", trained, photos / "red/0.png", "--format", "csv", "--out", out]
    assert run(command, ">&-", tmp_path) == (0, "", "")
    assert len(out.read_text().splitlines()) == 2
    command = ["filters", trained, photos / "red/0.png", "--out", tmp_path / "sheets"]
    assert run(command, ">&-", tmp_path) == (0, "", LOST)
    assert (tmp_path / "sheets" / "filters.json").is_file()


def test_a_reader_that_has_seen_enough_is_told_nothing(trained: Path, photos: Path, tmp_path: Path) -> None:
    line = " ".join(shlex.quote(str(word)) for word in [sys.executable, "-m", "pellucid", "predict", trained, photos])
    done = subprocess.run(["sh", "-c", f"{line} | head -1"], capture_output=True, text=True)
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


def test_where_all_are_closed_the_exit_status_is_the_answer(trained: Path, tmp_path: Path) -> None:
    closed = "<&- >&- 2>&-"
    assert run(["predict", trained, tmp_path / "nowhere.png"], closed, tmp_path) == (3, "", "")
    assert run(["predict", trained, "-"], closed, tmp_path) == (1, "", "")
    assert run(["plan", "article"], closed, tmp_path) == (1, "", "")


def test_a_picture_from_a_closed_standard_input(trained: Path, tmp_path: Path) -> None:
    message = "pellucid: Standard input is closed, so - cannot be read. Name files or folders instead.\n"
    assert run(["predict", trained, "-"], "<&-", tmp_path) == (1, "", message)


def test_a_file_does_not_get_the_number_of_a_closed_stream(trained: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.txt"
    assert run(["predict", trained, photos / "red/0.png", "--out", out], "<&- >&- 2>&-", tmp_path)[0] == 0
    assert out.read_text().split()[0] == "red"
    code = (
        "from pellucid.app import streams; streams.open_all(); print(open('/dev/null').fileno(), file=open('n', 'w'))"
    )
    line = f"exec {shlex.quote(sys.executable)} -c {shlex.quote(code)} <&- >&- 2>&-"
    subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True)
    assert int((tmp_path / "n").read_text()) > 2


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-16", "utf-8"])
def test_json_is_valid_in_every_encoding(encoding: str) -> None:
    content = {"picture": "crème 😀 \udce9.png"}
    stream = io.TextIOWrapper(io.BytesIO(), encoding, "backslashreplace")
    streams.write_json(content, stream)
    stream.flush()
    written = stream.buffer.getvalue()  # type: ignore[attr-defined]
    assert json.loads(written.decode(encoding)) == content
    assert ("crème 😀".encode() in written) == (encoding == "utf-8")


def test_lines_of_json_on_a_terminal_of_windows(trained: Path, photos: Path, tmp_path: Path) -> None:
    name = tmp_path / "crème 😀.png"
    name.write_bytes((photos / "red" / "0.png").read_bytes())
    command = [sys.executable, "-m", "pellucid", "predict", str(trained), str(name), "--format", "jsonl"]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    out = subprocess.run(command, capture_output=True, env=environment, check=True).stdout
    assert json.loads(out.decode("ascii"))["picture"] == str(name)
