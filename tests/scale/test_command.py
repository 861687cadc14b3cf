"""What `pellucid predict --ray` refuses, in one line each, before a cluster does anything."""

import socket
import sys
from pathlib import Path

import pytest

from pellucid.app import cli
from pellucid.app.clustered import with_address
from pellucid.classifier.predict.columns import Columns
from pellucid.classifier.predict.prediction import Prediction
from pellucid.errors import ArtefactError, ClusterError
from pellucid.scale import cluster, rows
from pellucid.scale.carried import Carried, packed


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["m", "p", "--ray"], ["m", "p", "--ray", "local"]),
        (["m", "--ray", "photos/"], ["m", "--ray", "local", "photos/"]),
        (["m", "--ray", "--out", "o"], ["m", "--ray", "local", "--out", "o"]),
        (["m", "--ray", "auto", "p"], ["m", "--ray", "auto", "p"]),
        (["m", "--ray", "ray://host:10001"], ["m", "--ray", "ray://host:10001"]),
        (["m", "--ray", "10.0.0.1:6379", "p"], ["m", "--ray", "10.0.0.1:6379", "p"]),
        (["m", "--ray=auto"], ["m", "--ray=auto"]),
        (["m", "--ray", "s3://bucket/photos"], ["m", "--ray", "local", "s3://bucket/photos"]),
    ],
)
def test_an_address_after_the_flag_is_known_from_a_picture(words: list[str], expected: list[str]) -> None:
    assert with_address(words) == expected


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--ray"], "--ray writes many files: name a folder for them with --out."),
        (
            ["--ray", "--out", "o", "--format", "table"],
            "--format table does not go with --ray; it must be parquet,",
        ),
        (["--ray=host", "--out", "o"], "--ray host names no cluster; it must be auto, HOST:PORT or ray://HOST:PORT."),
        (["--ray", "--out", "o", "--features", "o"], "--out and --features are both o; name two different folders."),
        (["--ray", "--out", "o", "--batch", "0"], "--batch is 0; it must be 1 or more."),
        (
            ["--ray", "--out", "o", "--features", "f", "--precision", "int8"],
            "--features come from the float32 network.",
        ),
        (["--ray", "--out", "taken"], "taken already holds other files, such as thesis.txt. Choose another --out."),
        (["--format", "parquet"], "--format parquet needs --ray."),
    ],
)
def test_a_wrong_command_is_one_line(
    words: list[str],
    line: str,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken").mkdir()
    Path("taken/thesis.txt").touch()
    assert cli.main(["predict", str(trained), "a.png", *words]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"pellucid: {line}")
    assert told.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_cluster_that_is_not_there() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(ClusterError, match=rf"There is no Ray cluster at {address}: Connection refused\. Check"):
        cluster._knock(address)


def test_without_the_extra(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert cli.main(["predict", str(trained), "a.png", "--ray", "--out", str(tmp_path / "out")]) == 1
    line = "pellucid: Ray needs an extra: pip install 'pellucid[ray]'. (The package ray is missing.)\n"
    assert capsys.readouterr().err == line
    assert not (tmp_path / "out").exists()


def test_a_damaged_model_is_refused_here_and_on_its_way(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    carried = packed(model)
    with carried.unpacked() as folder:
        assert sorted(path.name for path in folder.iterdir()) == ["config.json", "graph.onnx", "model.safetensors"]
    changed = {**carried.files, "model.safetensors": carried.files["model.safetensors"][:-1] + b"\0"}
    with (
        pytest.raises(ArtefactError, match=r"model\.safetensors of .*model was damaged on its way"),
        Carried(carried.name, "", changed, carried.sha256).unpacked(),
    ):
        pass
    (model / "model.safetensors").write_bytes(changed["model.safetensors"])
    assert packed(model).digest != carried.digest
    assert cli.main(["predict", str(model), "a.png", "--ray", "--out", str(model / "out")]) == 1
    assert "model.safetensors is damaged: its hash is" in capsys.readouterr().err
    assert not (model / "out").exists()


def test_the_three_forms_of_a_file() -> None:
    answers = [
        Prediction("a,\udce9.png", "cat", 0.75, {"dog": 0.25, "cat": 0.75}),
        Prediction("b.png", error="empty file"),
    ]
    columns = Columns.of(("dog", "cat"), 3, False)
    assert rows.encoded("csv", columns, answers, ["x", "y"]).decode() == (
        "picture,label_1,probability_1,label_2,probability_2,error,source\n"
        '"a,\\udce9.png",cat,0.750000,dog,0.250000,,x\n'
        "b.png,,,,,empty file,y\n"
    )
    assert rows.encoded("jsonl", columns, answers, ["x", "y"]).decode() == (
        '{"picture": "a,\\udce9.png", "label": "cat", "probability": 0.75, '
        '"probabilities": {"cat": 0.75, "dog": 0.25}, "source": "x"}\n'
        '{"picture": "b.png", "error": "empty file", "source": "y"}\n'
    )
    import io

    from pyarrow import parquet

    several = Columns.of(("dog", "cat"), 1, True)
    tagged = [Prediction("a.png", "cat", 0.75, {"dog": 0.25, "cat": 0.75}, labels=("cat",)), answers[1]]
    table = parquet.read_table(io.BytesIO(rows.encoded("parquet", several, tagged, ["x", "y"])))
    assert table.to_pylist() == [
        {
            "picture": "a.png",
            "labels": ["cat"],
            "label_1": "cat",
            "probability_1": 0.75,
            "error": None,
            "source": "x",
        },
        {
            "picture": "b.png",
            "labels": None,
            "label_1": None,
            "probability_1": None,
            "error": "empty file",
            "source": "y",
        },
    ]
