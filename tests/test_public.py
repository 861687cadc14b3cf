"""The public names: pinned, annotated, documented, imported on first use."""

import inspect
import re

import pytest

import pellucid

MODULES = ["ray", "replay", "whatif"]
NAMES = [
    "Classifier",
    "Loss",
    "PellucidError",
    "Prediction",
    "Recipe",
    "Trace",
    "article",
    "cached",
    "clear_cache",
    "compare",
    "evaluate",
    "explain",
    "export",
    "finish",
    "import_keras",
    "life_of",
    "load",
    "makers",
    "offline",
    "pack",
    "parse",
    "plan",
    "predict",
    "probe",
    "push",
    "ray",
    "readout",
    "replay",
    "start",
    "suspects",
    "taught",
    "train",
    "trained_without",
    "whatif",
    "without",
]


def test_the_public_names_are_these() -> None:
    assert pellucid.__all__ == NAMES
    assert set(NAMES) <= set(dir(pellucid))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'pellucid' has no attribute 'trian'"):
        _ = pellucid.trian


@pytest.mark.parametrize("name", MODULES)
def test_every_public_module_is_documented_and_says_what_it_holds(name: str) -> None:
    module = getattr(pellucid, name)
    assert inspect.ismodule(module)
    assert module.__all__ == sorted(module.__all__, key=lambda each: (each.islower(), each))
    for each in module.__all__:
        thing = getattr(module, each)
        assert not inspect.isclass(thing) or len(inspect.getdoc(thing) or "") > 20


@pytest.mark.parametrize("name", [name for name in NAMES if name not in MODULES])
def test_every_public_callable_is_documented_and_annotated(name: str) -> None:
    thing = getattr(pellucid, name)
    assert len(inspect.getdoc(thing) or "") > 20
    assert not (inspect.getdoc(thing) or "").startswith(f"{name}(")  # a dataclass without one is given its signature
    functions = [thing]
    if inspect.isclass(thing):
        functions = [f for key, f in vars(thing).items() if inspect.isfunction(f) and not key.startswith("_")]
    for function in functions:
        assert function.__doc__ or name == "Recipe", function
        signature = inspect.signature(function)
        assert signature.return_annotation is not inspect.Signature.empty, function
        for parameter in signature.parameters.values():
            assert parameter.name == "self" or parameter.annotation is not inspect.Parameter.empty, (
                function,
                parameter,
            )


def test_the_version_is_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", pellucid.__version__)
