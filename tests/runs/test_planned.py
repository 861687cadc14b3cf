"""The plan of a training in minutes is stored as it was, and names what is wrong with it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.classifier import store as artefact
from pellucid.errors import ArtefactError
from pellucid.runs import planned
from pellucid.runs.planned import Plan
from pellucid.training import recipe as recipes
from pellucid.training.loop import State

MINUTES = recipes.make(minutes=1.0)


def state(plan: list[list[int]]) -> State:
    module: Any = SimpleNamespace()
    return State(module, module, steps=plan[-1][1] if plan else 0, plan=plan)


def config(folder: Path) -> dict[str, Any]:
    entries = {name: artefact.describe(folder / name) for name in (artefact.PLAN,) if (folder / name).exists()}
    return {"recipe": {"minutes": 1.0}, "optimizer": {"steps": 9}, "files": entries}


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20, unique=True), st.data())
def test_each_step_has_the_plan_of_the_last_change_before_it(changes: list[int], data: st.DataObject) -> None:
    first = (0, *sorted(changes))
    steps = tuple(data.draw(st.integers(1, 500)) for _ in first)
    plan = Plan(first, steps)
    for step in range(60):
        assert plan.at(step) == [planned for at, planned in zip(first, steps, strict=True) if at <= step][-1]


def test_it_reads_as_it_was_written(tmp_path: Path) -> None:
    planned.write(tmp_path, MINUTES, state([[0, 120], [7, 118], [8, 131]]))
    assert planned.read(tmp_path, config(tmp_path)) == Plan((0, 7, 8), (120, 118, 131))


def test_a_training_in_epochs_has_no_file_and_one_plan(tmp_path: Path) -> None:
    planned.write(tmp_path, MINUTES, state([[0, 120]]))
    planned.write(tmp_path, recipes.make(epochs=3), state([[0, 9]]))
    assert not (tmp_path / artefact.PLAN).exists()
    assert planned.read(tmp_path, {"recipe": {"minutes": None}, "optimizer": {"steps": 9}}) == Plan((0,), (9,))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "by an older Pellucid, without plan.csv"),
        ("step,steps\n3,7\n", "does not begin at step 0"),
        ("step,steps\n0,many\n", "does not state how many steps"),
        ("step\n0\n", "does not state how many steps"),
        ("", "does not begin at step 0"),
    ],
)
def test_what_is_wrong_with_it_is_named(tmp_path: Path, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / artefact.PLAN).write_text(content)
    with pytest.raises(ArtefactError, match=says):
        planned.read(tmp_path, config(tmp_path))
