"""A hub on this machine to which this process's client belongs, and a small model on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from tests.app.conftest import pellucid  # noqa: F401  (the command line)
from tests.hub.server import Hub, as_the_users_hub, no_account, serving

from pellucid.hub import words

TOKEN = "hf_secret"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty hub. The user has a token for it, and an empty cache in `tmp_path / "cache"`."""
    no_account(monkeypatch)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(words, "PAUSE", 0.0)
    with serving(Hub(token=TOKEN)) as hub:
        as_the_users_hub(monkeypatch, hub.address, tmp_path / "cache")
        yield hub


@pytest.fixture
def pushed(hub: Hub, trained: Path) -> Hub:
    """The hub with the model anna/cats."""
    from pellucid import push

    push(trained, "anna/cats")
    hub.requests.clear()
    return hub
