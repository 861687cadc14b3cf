"""The tests' copy of the article's numbers equals the shared one. Needs it beside the checkout."""

import json
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "article" / "figures.json"
if not SHARED.is_file():
    pytest.skip(f"NOT TESTED: the article's numbers are missing, {SHARED} is no file", allow_module_level=True)


def test_the_copy_is_the_shared_one() -> None:
    copy = Path(__file__).parents[1] / "lessons" / "figures.json"
    assert json.loads(copy.read_text()) == json.loads(SHARED.read_text())
