"""`pellucid without`: the table, the file, what is stored, and Ctrl-C."""

import json
import os
import signal
from pathlib import Path

import pytest

import pellucid
from pellucid.app.cli import main
from pellucid.app.exits import Exit
from pellucid.debugging import measured
from pellucid.debugging.without import Removing


def test_the_table_and_what_is_stored(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["without", str(model)]) == Exit.OK
    text = capsys.readouterr().out
    layer = pellucid.without(model).layers[0]
    assert "conv1: 4 filters, set to zero after relu1" in text
    assert "on 8 pictures: test pictures of" in text
    rows = [line.split() for line in text.splitlines() if "to" in line and line[:1].isdigit()]
    assert [int(row[0]) for row in rows] == [each.filter for each in layer.ranked]
    assert [row[1] for row in rows] == [f"{each.right.second:.1%}" for each in layer.ranked]
    assert "differences may be chance" in text
    assert "conv1" in measured.read(model)["without"]


def test_json_and_a_file_on_other_pictures(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    assert main(["without", str(model), str(photos), "--layer", "conv1", "--json", "--out", str(out)]) == Exit.OK
    content = json.loads(capsys.readouterr().out)
    assert json.loads(out.read_text()) == content
    (layer,) = content["layers"]
    assert (content["pictures"], content["seen"], content["complete"], layer["pictures"]) == (32, 24, True, 32)
    assert {each["filter"] for each in layer["filters"]} == set(range(4))
    assert [each["accuracy"] for each in layer["filters"]] == sorted(each["accuracy"] for each in layer["filters"])
    assert measured.read(model) == {}, "only figures on the model's own pictures are stored"
    assert main(["without", str(model), "--out", str(out)]) == Exit.ERROR
    assert "already exists" in capsys.readouterr().err


def test_ctrl_c_reports_what_is_done(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pellucid.debugging.cut.MOST", 4)
    whole = Removing.__iter__

    def interrupted(self: Removing):  # type: ignore[no-untyped-def]
        for done, total in whole(self):
            if done == 4 * 4 + 4:  # in the second group of four pictures
                os.kill(os.getpid(), signal.SIGINT)
            yield done, total

    monkeypatch.setattr(Removing, "__iter__", interrupted)
    out = tmp_path / "part.json"
    assert main(["without", str(model), "--layer", "conv1", "--out", str(out)]) == Exit.STOPPED
    content = json.loads(out.read_text())
    assert (content["complete"], content["pictures"], content["layers"][0]["pictures"]) == (False, 8, 4)
    assert "on the first 4" in capsys.readouterr().out
    assert measured.read(model) == {}, "a part is not stored"


def test_an_unknown_layer_and_a_model_without_pictures(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["without", str(model), "--layer", "conv9"]) == Exit.ERROR
    assert "There is no layer 'conv9'. Did you mean conv1" in capsys.readouterr().err
    config = json.loads((model / "config.json").read_text())
    config["data"]["root"] = "/gone"
    (model / "config.json").write_text(json.dumps(config))
    assert main(["without", str(model)]) == Exit.ERROR
    assert "are gone" in capsys.readouterr().err
