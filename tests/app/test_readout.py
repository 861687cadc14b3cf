"""`pellucid readout`: the table, the file, and what is stored."""

import json
from pathlib import Path

import pytest

from pellucid.app.cli import main
from pellucid.app.exits import Exit
from pellucid.debugging import measured


def test_the_table_the_file_and_what_is_stored(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    assert main(["readout", str(model), "--out", str(out)]) == Exit.OK
    text = capsys.readouterr().out
    content = json.loads(out.read_text())
    assert "fitted to 16 training pictures; 8 validation pictures chose the penalty" in text
    assert f"the network itself: {content['network']['accuracy']:.1%}" in text
    for each in content["layers"]:
        assert f"{each['layer']} " in text
        assert f"{each['accuracy']:.1%}" in text
    assert [each["layer"] for each in content["layers"]] == ["input", "conv1", "relu1", "maxpool1", "dense1"]
    assert measured.read(model)["readout"]["layers"] == content["layers"]
    assert main(["readout", str(model), "--layer", "relu9"]) == Exit.ERROR
    assert "There is no layer with numbers of its own 'relu9'" in capsys.readouterr().err
