"""`pellucid predict`: every kind of argument, every format, every wrong use."""

import csv
import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pellucid.app import bars


@pytest.fixture
def pictures(tmp_path: Path, photos: Path) -> Path:
    """Three good pictures and a broken one."""
    root = tmp_path / "pictures"
    root.mkdir()
    for name, source in (("a", "red/0"), ("c", "blue/1"), ("d", "red/2")):
        shutil.copy(photos / f"{source}.png", root / f"{name}.png")
    (root / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    return root


def test_one_picture(pellucid: Callable, trained: Path, pictures: Path) -> None:
    result = pellucid("predict", trained, pictures / "a.png")
    assert (result.status, result.err) == (0, "")
    shown = rf"red    {{1,4}}\d+\.\d%  {re.escape(str(pictures / 'a.png'))}  \(blue \d+\.\d%\)\n"
    assert re.fullmatch(shown, result.out)


def test_a_broken_picture_among_good_ones(pellucid: Callable, trained: Path, pictures: Path) -> None:
    result = pellucid("predict", trained, pictures)
    lines = result.out.splitlines()
    assert (result.status, result.err, len(lines)) == (3, "", 4)
    assert [line.split()[0] for line in lines] == ["red", "–", "blue", "red"]
    assert re.fullmatch(r"– +.*/b\.png: [^:]*PNG.*", lines[1])
    assert len({line.index(str(pictures)) for line in lines}) == 1  # the names stand below each other


def test_csv_parses_back(pellucid: Callable, trained: Path, pictures: Path) -> None:
    result = pellucid("predict", trained, pictures, "--format", "csv", "--top", "5")
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert list(rows[0]) == ["picture", "label_1", "probability_1", "label_2", "probability_2", "error"]
    assert [row["label_1"] for row in rows] == ["red", "", "blue", "red"]
    assert [row["picture"] for row in rows] == [str(pictures / f"{name}.png") for name in "abcd"]
    assert [bool(row["error"]) for row in rows] == [False, True, False, False]
    assert float(rows[0]["probability_1"]) + float(rows[0]["probability_2"]) == pytest.approx(1, abs=2e-6)


def test_jsonl_parses_back(pellucid: Callable, trained: Path, pictures: Path) -> None:
    result = pellucid("predict", trained, pictures, "--format", "jsonl", "--top", "1")
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert [row.get("label") for row in rows] == ["red", None, "blue", "red"]
    assert list(rows[0]["probabilities"]) == ["red"]
    assert rows[0]["probability"] == rows[0]["probabilities"]["red"]
    assert set(rows[1]) == {"picture", "error"}


def test_top(pellucid: Callable, trained: Path, pictures: Path) -> None:
    assert "(" not in pellucid("predict", trained, pictures / "a.png", "--top", "1").out
    result = pellucid("predict", trained, pictures / "a.png", "--top", "0")
    assert (result.status, result.out, result.err) == (1, "", "pellucid: --top is 0; it must be 1 or more.\n")
    assert pellucid("predict", trained, "x", "--batch", "0").err == "pellucid: --batch is 0; it must be 1 or more.\n"


def test_batch_size_and_format_do_not_change_the_answer(pellucid: Callable, trained: Path, photos: Path) -> None:
    def shares(batch: int) -> list[float]:
        result = pellucid("predict", trained, photos, "--format", "jsonl", "--batch", batch)
        return [json.loads(line)["probability"] for line in result.out.splitlines()]

    assert len(shares(7)) == 32
    assert shares(7) == pytest.approx(shares(1), abs=1e-5)


def test_no_pictures_are_a_usage_error(pellucid: Callable, trained: Path) -> None:
    result = pellucid("predict", trained)
    assert (result.status, result.out) == (2, "")
    assert result.err == "pellucid predict: PICTURE is missing. See `pellucid predict --help`.\n"


def test_no_model(pellucid: Callable, pictures: Path, tmp_path: Path) -> None:
    result = pellucid("predict", tmp_path / "nowhere", pictures)
    assert (result.status, result.out) == (1, "")
    assert result.err.count("\n") == 1
    assert "nowhere does not exist. A model folder is what `pellucid train` writes" in result.err
    assert pellucid("predict", pictures, pictures).err.endswith("is not a model folder: it has no config.json.\n")


def test_missing_files_globs_without_a_match_and_an_empty_folder(
    pellucid: Callable, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    result = pellucid("predict", trained, tmp_path / "no.png", tmp_path / "*.gif", tmp_path / "empty")
    assert result.status == 3
    assert [line.split(": ")[1] for line in result.out.splitlines()] == ["not found", "not found"]
    nothing = f"There is no picture in {tmp_path / 'empty'}.\n"
    assert pellucid("predict", trained, tmp_path / "empty") == (0, "", nothing)


@pytest.mark.parametrize(
    "name",
    [
        "[bold]x[bold].png",
        "[red]x[.png",
        "[a-z].png",
        "-dash.png",
        "a b.png",
        "two\nlines.png",
        "\x1b[31mred.png",
        "猫.png",
        "*.png",
    ],
)
def test_odd_names(
    pellucid: Callable, trained: Path, photos: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(photos / "red" / "0.png", name)
    shutil.copy(photos / "red" / "0.png", "z.png")
    table = pellucid("predict", trained, "--", name)
    assert table.status == 0
    assert len(table.out.splitlines()) == 1
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", table.out)
    if name.isprintable():
        assert f"  {name}  (" in table.out
    rows = pellucid("predict", trained, "--format", "jsonl", "--", name).out.splitlines()
    assert [json.loads(row)["picture"] for row in rows] == [name]
    rows = csv.DictReader(io.StringIO(pellucid("predict", trained, "--format", "csv", "--", name).out))
    assert [row["picture"] for row in rows] == [name]


def test_a_name_that_is_no_utf8(trained: Path, photos: Path, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    with open(name, "wb") as file:
        file.write((photos / "red" / "0.png").read_bytes())
    command = [sys.executable, "-m", "pellucid", "predict", trained, tmp_path, "--format"]
    table = subprocess.run([*command, "table"], capture_output=True)
    assert table.returncode == 0
    assert table.stderr == b""
    assert "/caf\\udce9.png  (" in table.stdout.decode("utf-8")
    line = subprocess.run([*command, "jsonl"], capture_output=True).stdout.decode("utf-8")
    assert os.fsencode(json.loads(line)["picture"]) == name


def test_a_picture_on_standard_input(pellucid: Callable, trained: Path, pictures: Path) -> None:
    result = pellucid("predict", trained, "-", stdin=(pictures / "a.png").read_bytes())
    assert result.status == 0
    assert re.search(r"^red .*%  -  \(", result.out)


def test_a_bright_netpbm_picture_is_no_text(pellucid: Callable, trained: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (20, 20), (255, 80, 80)).save(stream, "PPM")
    assert not any(byte < 32 and byte != 10 for byte in stream.getvalue())
    assert pellucid("predict", trained, "-", stdin=stream.getvalue()).status == 0


def test_a_list_of_paths_on_standard_input(pellucid: Callable, trained: Path, pictures: Path) -> None:
    listed = f"{pictures / 'a.png'}\n\n{pictures / 'gone.png'}\r\n{pictures / '[cd].png'}"
    result = pellucid("predict", trained, "-", pictures / "a.png", stdin=listed.encode())
    assert result.status == 3
    assert [line.split()[0] for line in result.out.splitlines()] == ["red", "–", "blue", "red", "red"]


def test_nothing_on_standard_input(pellucid: Callable, trained: Path) -> None:
    result = pellucid("predict", trained, "-", stdin=b"")
    assert (result.status, result.out.split()) == (3, ["–", "-:", "empty", "file"])


def test_nonsense_on_standard_input(pellucid: Callable, trained: Path) -> None:
    result = pellucid("predict", trained, "-", stdin=bytes(range(256)))
    assert result.status == 3
    assert " -: not a picture" in result.out.lower()
    result = pellucid("predict", trained, "-", stdin=b"x" * 9000)  # text, and too long for a path
    assert result.status == 3


def test_out_is_the_same_as_standard_output(pellucid: Callable, trained: Path, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.csv"
    out.write_text("old")
    result = pellucid("predict", trained, pictures, "--format", "csv", "--out", out)
    assert result == (3, "", "")
    assert out.read_text() == pellucid("predict", trained, pictures, "--format", "csv").out


def test_out_replaces_no_picture(pellucid: Callable, trained: Path, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.png"
    out.write_bytes(next(pictures.rglob("*.png")).read_bytes())
    before = out.read_bytes()
    result = pellucid("predict", trained, out, "--out", out)
    assert result.status == 1
    assert "is not a text file, so it is not an earlier answer: nothing of yours is overwritten" in result.err
    assert out.read_bytes() == before


def test_an_error_leaves_the_old_file_and_nothing_else(
    pellucid: Callable, trained: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "to" / "answers.csv"
    out.parent.mkdir()
    out.write_text("old")
    assert pellucid("predict", tmp_path / "nowhere", pictures, "--out", out).status == 1
    assert [path.name for path in out.parent.iterdir()] == ["answers.csv"]

    def interrupted(*items: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(bars, "counted", interrupted)
    assert pellucid("predict", trained, pictures, "--out", out).status == 130
    assert [path.name for path in out.parent.iterdir()] == ["answers.csv"]
    assert out.read_text() == "old"


def test_out_that_cannot_be_written(pellucid: Callable, trained: Path, pictures: Path, tmp_path: Path) -> None:
    result = pellucid("predict", trained, pictures, "--out", tmp_path / "no" / "where.csv")
    assert result == (1, "", f"pellucid: {tmp_path}/no/where.csv could not be written: No such file or directory.\n")
    result = pellucid("predict", trained, pictures, "--out", pictures)
    assert result == (1, "", f"pellucid: {pictures} is a folder; --out names the file to write.\n")


def test_out_may_be_a_link_or_a_device(trained: Path, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    command = [sys.executable, "-m", "pellucid", "predict", trained, pictures / "a.png", "--out"]
    assert subprocess.run([*command, tmp_path / "link.txt"], capture_output=True).returncode == 0
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text().startswith("red ")
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen([*command, tmp_path / "pipe"]) as writer:
        assert (tmp_path / "pipe").read_text().startswith("red ")
    assert writer.returncode == 0
    assert (tmp_path / "pipe").is_fifo()


def test_the_bar_goes_to_the_terminal_and_the_rows_to_the_pipe(trained: Path, pictures: Path) -> None:
    terminal, other_end = pty.openpty()
    command = [sys.executable, "-m", "pellucid", "predict", trained, pictures]
    environment = {**os.environ, "TERM": "xterm"}
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=other_end, env=environment)
    os.close(other_end)
    shown = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert result.returncode == 3
    assert b"\x1b" not in result.stdout
    assert result.stdout.count(b"\n") == 4
    assert "pictures" in shown
    assert "/4" in shown
