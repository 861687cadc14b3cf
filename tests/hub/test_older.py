"""Model folders of every format, and a module of the user's own, are pushed and opened as they are."""

from pathlib import Path

import pytest
from tests.hub.server import Hub

import pellucid
from pellucid.errors import ArtefactError

STORED = Path(__file__).parents[1] / "classifier" / "stored"


@pytest.mark.parametrize("name", ["format1-first", "format1", "format2", "format2-program"])
def test_a_folder_of_an_older_pellucid(name: str, hub: Hub, request: pytest.FixtureRequest) -> None:
    trust = name.endswith("program")
    pellucid.push(STORED / name, f"anna/{name}")
    picture = STORED / "picture.png"
    (mine,), (hosted,) = (
        list(pellucid.predict(model, picture, trust=trust)) for model in (STORED / name, f"hf://anna/{name}")
    )
    assert mine.error is None
    assert hosted.probabilities == mine.probabilities
    if trust:
        command = request.getfixturevalue("pellucid")
        assert "hf://anna/format2-program picture.jpg --trust\n" in command("push", STORED / name, f"anna/{name}").out
        with pytest.raises(ArtefactError, match=f"hf://anna/{name} holds a network that somebody wrote in Python"):
            pellucid.load(f"hf://anna/{name}")
