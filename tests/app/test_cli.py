"""The front door: help, version, unknown commands, exit status, and never a traceback."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.patience import PATIENCE

from pellucid.app import cli
from pellucid.app.commands import plan
from pellucid.app.exits import Exit
from pellucid.errors import PellucidError


def test_every_command_has_a_file_and_every_file_a_command() -> None:
    names = {path.stem for path in (Path(cli.__file__).parent / "commands").glob("*.py")} - {"__init__"}
    assert names == set(cli.COMMANDS.values())


def test_each_exit_status_has_a_meaning_of_its_own() -> None:
    assert {status.name: int(status) for status in Exit} == {
        "OK": 0,
        "ERROR": 1,
        "USAGE": 2,
        "UNUSABLE": 3,
        "STOPPED": 130,
    }
    assert len({status.meaning for status in Exit}) == len(Exit)


def test_help_names_every_command(pellucid: Callable) -> None:
    result = pellucid("--help")
    assert result.status == 0
    assert all(f"pellucid {name}" in result.out for name in cli.COMMANDS)
    assert result.err == ""
    assert max(map(len, result.out.splitlines())) <= 110


def test_no_arguments_are_a_usage_error(pellucid: Callable) -> None:
    result = pellucid()
    assert (result.status, result.out) == (2, pellucid("--help").out)


def test_version(pellucid: Callable) -> None:
    assert pellucid("--version").out == "pellucid 0.1.0\n"


def test_an_unknown_command(pellucid: Callable) -> None:
    result = pellucid("trian", "photos")
    assert (result.status, result.out) == (2, "")
    assert result.err == "pellucid: there is no command 'trian'. Did you mean train? See `pellucid --help`.\n"


def test_an_unknown_command_loads_nothing_heavy() -> None:
    code = "import sys; from pellucid.app.cli import main; main(['frobnicate']); print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split())
    assert "pellucid.app.cli" in loaded
    assert loaded & {"torch", "numpy", "rich", "tyro"} == set()


@pytest.mark.parametrize(
    ("does", "status", "message"),
    [
        ("return 3", 3, ""),
        ("raise SystemExit(2)", 2, ""),
        ("raise SystemExit", 0, ""),
        ("raise ZeroDivisionError('ours')", 1, "ZeroDivisionError: ours"),
    ],
)
def test_it_ends_as_every_python_program_does(tmp_path: Path, does: str, status: int, message: str) -> None:
    code = f"""
import atexit, sys, tempfile, threading, time
from pellucid.app import cli

def work(args):
    folder = tempfile.TemporaryDirectory(dir=args[1])
    atexit.register(print, "asked for later")
    threading.Thread(target=lambda: (time.sleep(0.3), print("thread", len(list(folder.name))))).start()
    print("begun", args[0])
    {does}

cli._run = work
sys.argv = ["pellucid", "plan", {str(tmp_path)!r}]
sys.exit(cli.main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["begun", "thread", "asked"]
    assert (done.returncode, done.stderr.splitlines()[-1:]) == (status, [message] if message else [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_each_command_explains_itself(pellucid: Callable, command: str) -> None:
    result = pellucid(command, "--help")
    assert result.status == 0
    assert result.out.startswith(f"usage: pellucid {command}")
    for ugly in ("{None", "default: None", "--no-", "STR ...", "\x1b"):
        assert ugly not in result.out.replace("--no-browser", "").replace("--no-page", "")


@pytest.mark.parametrize("line", ["train x", "predict x y", "evaluate x", "plan article", "cache", "demo"])
def test_an_unknown_flag_is_a_usage_error(pellucid: Callable, line: str) -> None:
    result = pellucid(*line.split(), "--frobnicate")
    assert result.status == 2
    assert result.out == ""
    assert "--frobnicate" in result.err


@pytest.mark.parametrize("command", ["train", "predict", "evaluate", "plan"])
def test_a_missing_argument_is_a_usage_error(pellucid: Callable, command: str) -> None:
    result = pellucid(command)
    assert (result.status, result.out) == (2, "")
    assert f"pellucid {command} --help" in result.err


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (PellucidError("one line."), 1, "pellucid: one line.\n"),
        (PellucidError("conv(3\n    ^\nexpected )"), 1, "pellucid:\nconv(3\n    ^\nexpected )\n"),
        (PellucidError("mo\ndel\x1b[2J does not exist."), 1, "pellucid: mo\\ndel\\x1b[2J does not exist.\n"),
        (OSError("mo\ndel"), 1, "pellucid: mo\\ndel\n"),
        (
            ImportError("libfoo.so is missing"),
            1,
            "pellucid: a package cannot be imported: libfoo.so is missing. Install it again.\n",
        ),
        (KeyboardInterrupt(), 130, "\npellucid: stopped.\n"),
        (PermissionError(13, "Permission denied", "x"), 1, "pellucid: [Errno 13] Permission denied: 'x'\n"),
    ],
)
def test_errors_and_their_status(
    pellucid: Callable, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, message: str
) -> None:
    def fail(args: list[str]) -> int:
        raise error

    monkeypatch.setattr(plan, "run", fail)
    assert pellucid("plan", "article") == (status, "", message)


def test_ctrl_c_while_a_compiled_module_loads_stops_too(pellucid: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(args: list[str]) -> int:
        try:
            raise ImportError("initialization failed") from KeyboardInterrupt()
        except ImportError as error:
            raise PellucidError("ONNX Runtime is not installed.") from error

    monkeypatch.setattr(plan, "run", fail)
    assert pellucid("plan", "article") == (130, "", "\npellucid: stopped.\n")


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "run", lambda args: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["plan"])
    monkeypatch.setitem(cli.COMMANDS, "plan", "no_such_file")
    with pytest.raises(ImportError):
        cli.main(["plan"])


def test_a_reader_that_leaves_early_is_no_error(trained: Path) -> None:
    # every row is flushed, so the pipe breaks in the middle; `plan` writes everything at once
    for command in (["predict", str(trained), *["nowhere.png"] * 20_000], ["plan", "resnet18", "--json"]):
        writer = subprocess.Popen(
            [sys.executable, "-m", "pellucid", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert writer.stdout is not None
        assert writer.stderr is not None
        writer.stdout.read(10)
        writer.stdout.close()
        message = writer.stderr.read().decode()
        writer.stderr.close()
        writer.wait()
        assert message == ""


def test_python_dash_m_and_a_terminal_that_knows_only_ascii(trained: Path, photos: Path, tmp_path: Path) -> None:
    name = tmp_path / "grün.png"
    name.write_bytes((photos / "red" / "0.png").read_bytes())
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    result = subprocess.run(
        [sys.executable, "-m", "pellucid", "predict", trained, name, "nowhere.png"],
        capture_output=True,
        env=environment,
    )
    assert result.returncode == 3
    assert result.stdout.decode("ascii").count("\n") == 2
    assert b"gr\\xfcn.png" in result.stdout
    assert result.stderr == b""


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("plan lenet5 --bach 3", "Unrecognized options: --bach, 3. Did you mean --batch? See `pellucid plan --help`."),
        ("plan lenet5 --batch", "--batch needs a value. See `pellucid plan --help`."),
        ("train photos --minutes abc", "--minutes is 'abc'; it must be a number. See `pellucid train --help`."),
        ("train photos --epochs 1.5", "--epochs is '1.5'; it must be a whole number. See `pellucid train --help`."),
        (
            "train photos --loss foo",
            "--loss is 'foo'; it must be binary_cross_entropy or cross_entropy or mse. See `pellucid train --help`.",
        ),
        ("train", "DIR is missing. See `pellucid train --help`."),
        ("plan lenet5 --classes x", "--classes is 'x'; it must be a whole number. See `pellucid plan --help`."),
        ("train photos --test x", "--test is 'x'; it must be a number. See `pellucid train --help`."),
        (
            "train --epochs 3 --bach 8 photos",
            "Unrecognized options: --bach. Did you mean --batch? See `pellucid train --help`.",
        ),
        (
            "predict model a.png --top 1 b.png",
            "b.png is one name too many there. Names stand together, before the flags. See `pellucid predict --help`.",
        ),
        ("predict --jsn", "Unrecognized options: --jsn. See `pellucid predict --help`."),
        (
            "explain model a.png --map gradcam",
            "--map is 'gradcam'; it must be grad_cam or integrated_gradients or occlusion. Did you mean grad_cam? "
            "See `pellucid explain --help`.",
        ),
    ],
)
def test_a_wrong_flag_is_told_in_a_line(command: str, message: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(command.split())
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", f"pellucid: {message}\n")
