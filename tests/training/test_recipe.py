"""Settings: names, types, ranges, files, presets."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import RecipeError
from pellucid.training import recipe as recipes
from pellucid.training.recipe import Recipe


def test_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"no setting 'learning_rat'\. Did you mean 'learning_rate'\? The settings"):
        recipes.make(learning_rat=1e-3)
    with pytest.raises(RecipeError) as caught:
        recipes.make(qqq=1)
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("epochs", 1.5, "epochs is 1.5; it must be of type int or none."),
        ("epochs", True, "epochs is True; it must be of type int or none."),
        ("epochs", "3", "epochs is '3'; it must be of type int or none."),
        ("batch", 2.5, "batch is 2.5; it must be of type int or none."),
        ("learning_rate", "fast", "learning_rate is 'fast'; it must be of type float."),
        ("learning_rate", False, "learning_rate is False; it must be of type float."),
        ("channels", 2, "channels is 2; it must be one of 1, 3."),
        ("channels", True, "channels is True; it must be one of 1, 3."),
        ("channels", 3.0, "channels is 3.0; it must be one of 1, 3."),
        ("optimizer", "lion", "optimizer is 'lion'; it must be one of sgd, adam, adamw, rmsprop."),
        ("augment", "much", "augment is 'much'; it must be one of auto, none, light, strong."),
        ("fit", ["pad"], "fit is ['pad']; it must be one of"),
        ("model", ["conv"], "model is ['conv']; it must be of type str."),
        ("device", 0, "device is 0; it must be of type str."),
        ("replay", 1, "replay is 1; it must be of type bool."),
        ("replay", "yes", "replay is 'yes'; it must be of type bool."),
        ("replay_every", True, "replay_every is True; it must be of type int or none."),
    ],
)
def test_a_wrong_type_says_what_is_right(name: str, value: object, says: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipes.make(**{name: value})
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("size", [7, 4097]),
        ("validation", [-0.01, 0.91, math.nan]),
        ("test", [-0.01, 1, math.inf]),
        ("seed", [-1, 2**32]),
        ("epochs", [0, -3]),
        ("minutes", [0, math.nan, -1.0]),
        ("batch", [0, 65537]),
        ("learning_rate", [0, -1e-3, math.nan, math.inf]),
        ("lowest_rate", [0, 1.1, math.nan]),
        ("momentum", [1, -0.1, math.nan]),
        ("weight_decay", [-1e-9, 11, math.nan]),
        ("warmup", [-0.1, 1.1]),
        ("label_smoothing", [1, -0.1]),
        ("patience", [0]),
        ("megapixels", [0, math.nan]),
        ("replay_every", [0, -1]),
    ],
)
def test_what_is_out_of_range_says_the_range(name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(RecipeError, match=f"{name} is .*; it must be .*[0-9]"):
            recipes.make(**{name: value})


def test_no_epoch_is_needed_only_by_the_head_on_known_weights() -> None:
    assert recipes.make(pretrained="imagenet", epochs=0).epochs == 0
    with pytest.raises(RecipeError, match="epochs is -1; it must be"):
        recipes.make(pretrained="imagenet", epochs=-1)


def test_from_scratch_and_known_weights_contradict_each_other() -> None:
    with pytest.raises(RecipeError, match=r"pretrained is 'imagenet', but from_scratch starts from random weights"):
        recipes.make(pretrained="imagenet", from_scratch=True)


def test_every_number_has_a_range() -> None:
    numbers = {f.name for f in dataclasses.fields(Recipe) if "int" in str(f.type) or "float" in str(f.type)}
    assert numbers == set(recipes._RANGES)


def test_the_sides_must_leave_something_to_train_on() -> None:
    with pytest.raises(RecipeError, match=r"validation 0\.5 and test 0\.45 leave 5% for training"):
        recipes.make(validation=0.5, test=0.45)
    assert recipes.make(validation=0.3, test=0).test == 0


def test_frames_of_no_replay_are_refused() -> None:
    with pytest.raises(RecipeError, match="replay_every is 3, which requires --replay"):
        recipes.make(replay_every=3)
    assert recipes.make(replay=True, replay_every=3).replay_every == 3


def test_whole_numbers_pass_for_fractions() -> None:
    assert recipes.make(minutes=10, learning_rate=1).minutes == 10


@pytest.mark.parametrize("name", ["article", " article "])
def test_the_articles_settings_are_the_articles_defaults(name: str) -> None:
    recipe = recipes.make(model=name)
    assert (recipe.epochs, recipe.batch, recipe.optimizer, recipe.learning_rate) == (5, 128, "adam", 1e-3)
    assert (recipe.fit, recipe.schedule, recipe.augment, recipe.weight_decay) == ("stretch", "constant", "none", 0.0)
    assert recipes.make(model=name, epochs=2, augment="light").epochs == 2
    assert recipes.make(model="compact") == Recipe(model="compact")


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "model": st.sampled_from(["article", "compact", "flatten dense"]),
            "size": st.none() | st.integers(8, 4096),
            "channels": st.sampled_from([None, 1, 3]),
            "seed": st.integers(0, 2**32 - 1),
            "minutes": st.none() | st.floats(0.01, 1e6),
            "learning_rate": st.floats(1e-12, 1e3),
            "schedule": st.sampled_from(["constant", "cosine", "onecycle"]),
            "patience": st.none() | st.integers(1, 100),
        },
    )
)
def test_json_round_trip(settings: dict[str, Any]) -> None:
    recipe = recipes.make(**settings)
    assert recipes.make(**json.loads(json.dumps(recipe.as_json()))) == recipe


def test_a_toml_file_says_what_a_recipe_says(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text('model = "article"\nlearning_rate = 0.01\nepochs = 3\n')
    settings = recipes.read(file)
    assert settings == {"model": "article", "learning_rate": 0.01, "epochs": 3}
    assert recipes.make(**settings).batch == 128


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"epochs = ", "is not valid TOML: Invalid value"), (b"\xff\xfe", "cannot be read:"), (None, "No such file")],
)
def test_a_toml_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, says: str) -> None:
    file = tmp_path / "recipe.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        recipes.read(file)
    assert str(file) in str(caught.value)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe().batch = 3  # type: ignore[misc]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_a_recipe_that_windows_wrote(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes("# für Katzen\r\nepochs = 3\r\n".encode(encoding))
    assert recipes.read(path) == {"epochs": 3}


def test_a_recipe_that_is_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes("# für Katzen\nepochs = 3\n".encode("latin-1"))
    with pytest.raises(RecipeError, match=r": it is not UTF-8 text, byte 3 is 0xfc\. Save it as UTF-8\.$"):
        recipes.read(path)
