"""A function in a Python file: its arguments, and one line for every error."""

import re
import sys
from pathlib import Path

import pytest
from torch import nn

from pellucid.errors import NetworkError
from pellucid.network.own.file import Reference, make, reference

HEAD = "from torch import nn\n\n"


@pytest.fixture
def write(tmp_path: Path):
    def write(body: str, name: str = "net.py") -> Path:
        path = tmp_path / name
        path.write_text(HEAD + body)
        return path

    return write


def test_what_names_a_function_in_a_file() -> None:
    assert reference("net.py:build") == Reference(Path("net.py"), "build")
    assert reference(" a folder/my net.py:Net ") == Reference(Path("a folder/my net.py"), "Net")
    assert reference("/abs/v1:2/net.py:build") == Reference(Path("/abs/v1:2/net.py"), "build")
    assert str(reference("models/net.py:build")) == "models/net.py:build"
    for text in ("compact", "conv(10, 5) relu maxpool(2) flatten dense", "", "net.pyx", "module:Net"):
        assert reference(text) is None
    with pytest.raises(NetworkError, match=r"net\.py names a Python file\. Name the function in it"):
        reference("net.py")
    with pytest.raises(NetworkError, match="Name the function"):
        reference("net.py:")


@pytest.mark.parametrize(
    ("code", "outputs"),
    [
        ("def build(classes):\n    return nn.Linear(3, classes)", 5),
        ("def build(k, width=7):\n    return nn.Linear(3, k)", 5),
        ("def build(*args):\n    return nn.Linear(3, args[0])", 5),
        ("def build(num_classes=1000):\n    return nn.Linear(3, num_classes)", 5),
        ("def build():\n    return nn.Linear(3, 4)", 4),
        ("def build(pretrained=False, width=None):\n    return nn.Linear(3, 9 if pretrained else 8)", 8),
        ("def build(**settings):\n    return nn.Linear(3, 6)", 6),
        ("class build(nn.Linear):\n    def __init__(self, classes):\n        super().__init__(3, classes)", 5),
        ("build = nn.Linear(3, 2)", 2),
        ("import functools\nbuild = functools.partial(nn.Linear, 3)", 5),
    ],
)
def test_the_function_gets_the_number_of_classes_if_it_takes_an_argument(write, code: str, outputs: int) -> None:
    module = make(Reference(write(code), "build"), 5)
    assert isinstance(module, nn.Linear)
    assert module.out_features == outputs


def test_its_neighbours_can_be_imported_and_nothing_is_left_behind(write, tmp_path: Path) -> None:
    write("WIDTH = 11", "neighbour_of_net.py")
    path = write("import neighbour_of_net\ndef build(k):\n    return nn.Linear(neighbour_of_net.WIDTH, k)")
    before = list(sys.path)
    assert make(Reference(path, "build"), 2).in_features == 11
    assert sys.path == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["neighbour_of_net.py", "net.py"]


def test_dataclasses_in_the_file_work(write) -> None:
    code = "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom torch import nn\n\n"
    code += (
        "@dataclass\nclass Settings:\n    width: int = 3\n\ndef build(k):\n    return nn.Linear(Settings().width, k)"
    )
    path = write("")
    path.write_text(code)
    assert make(Reference(path, "build"), 4).out_features == 4


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def biuld(k):\n    return nn.Linear(3, k)", "has no function build. Did you mean biuld? It has biuld."),
        ("x = 3", "has no function build. It has no function."),
        ("build = 3", "build in {path} is of type int; name a function that returns a torch.nn.Module."),
        ("def build(k):\n    return None", "build(2) in {path} returns nothing; it must return a torch.nn.Module"),
        ("def build(k):\n    return [k]", "build(2) in {path} returns a list; it must return"),
        ("def build(k):\n    return nn.Linear", "returns the class Linear, not an instance of it; it must return"),
        (
            "def build(k, width):\n    return nn.Linear(width, k)",
            "build in {path} needs k, width; it gets one argument",
        ),
        ("def build(*, classes):\n    return nn.Linear(3, classes)", "build in {path} needs classes; it gets one"),
        ("def build(k):\n    return nn.Linear(3, k) + 1", "{path}, build(2): TypeError: unsupported operand"),
        ("def build(k):\n    raise ValueError('no\\nway')", "{path}, build(2): ValueError: no, at line 4."),
        ("def build(k):\n    raise ValueError", "{path}, build(2): ValueError, at line 4."),
        ("1 / 0", "{path}, running it: ZeroDivisionError: division by zero, at line 3."),
        ("import no_such_package", "running it: ModuleNotFoundError: No module named 'no_such_package', at line 3."),
        ("def build(k:\n    pass", "running it: SyntaxError: '(' was never closed, at line 3."),
        ("def build(k):\n    return 5", "build(2) in {path} returns an int; it must return"),
        ("raise SystemExit('usage')", "running it: SystemExit: usage, at line 3."),
    ],
)
def test_what_goes_wrong_is_one_line(write, code: str, message: str) -> None:
    path = write(code)
    with pytest.raises(NetworkError, match=re.escape(message.format(path=path))) as caught:
        make(Reference(path, "build"), 2)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"none\.py does not exist\. Name a Python file and a function in it"):
        make(Reference(tmp_path / "none.py", "build"), 2)
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(NetworkError, match=r"folder\.py is a folder"):
        make(Reference(tmp_path / "folder.py", "build"), 2)


def test_ctrl_c_while_the_file_runs_is_no_error_of_its(write) -> None:
    with pytest.raises(KeyboardInterrupt):
        make(Reference(write("raise KeyboardInterrupt"), "build"), 2)
