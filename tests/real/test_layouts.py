"""Names, shapes and parameters of timm's networks."""

import json
from pathlib import Path

import pytest

from pellucid.pretrained import layouts

LAYOUTS = Path(__file__).parents[3] / "shared" / "timm" / "layouts.json"
if not LAYOUTS.is_file():
    pytest.skip(f"NOT TESTED: timm's names and shapes, {LAYOUTS} is missing", allow_module_level=True)


@pytest.mark.parametrize("called", layouts.architectures())
def test_names_and_shapes_are_timms(called: str) -> None:
    content = json.loads(LAYOUTS.read_text()).get(called)
    if content is None:
        assert called == "tf_mobilenetv3_large_100"  # which is not recorded
        return
    architecture = layouts.architecture(called)
    assert architecture is not None
    shapes = {name: tuple(shape) for name, shape in content["tensors"]}
    expected = layouts.state(architecture.network, (3, 224, 224), 1000)
    paired = layouts.pairs(architecture.name, architecture.network, (3, 224, 224), 1000)

    layouts.check(shapes, paired, expected, called, "recorded")
    assert set(paired.values()) == set(shapes)
    assert len(set(paired.values())) == len(paired)
    assert layouts.head(architecture.name) == content["classifier"]
