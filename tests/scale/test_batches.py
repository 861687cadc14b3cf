"""The callable for Ray Data, called as Ray Data calls it. No cluster is needed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pellucid
from pellucid.errors import RecipeError
from pellucid.ray import Predictor, packed


@pytest.fixture(scope="module")
def predictor(trained: Path) -> Predictor:
    return Predictor(packed(trained), features=True)


def test_paths_bytes_images_and_pairs_give_the_same(predictor: Predictor, trained: Path, photos: Path) -> None:
    paths = [photos / "blue" / "0.png", photos / "red" / "1.png"]
    expected = pellucid.load(trained).predict(paths)
    contents = [path.read_bytes() for path in paths]
    pairs = np.empty(2, object)
    pairs[:] = [{"bytes": contents[0], "path": "x"}, {"bytes": None, "path": str(paths[1])}]
    forms = {
        "path": np.array([str(path) for path in paths]),
        "bytes": np.array(contents, object),
        "image": np.stack([np.asarray(Image.open(path)) for path in paths]),
    }
    for batch in ({name: values} for name, values in [*forms.items(), ("image", pairs)]):
        answers = predictor({**batch, "number": np.array([7, 8])})
        assert answers["number"].tolist() == [7, 8]
        assert answers["label"].tolist() == [each.label for each in expected]
        assert answers["error"].tolist() == [None, None]
        np.testing.assert_allclose(answers["probability"], [each.probability for each in expected], atol=1e-6)
        for row, each in zip(answers["probabilities"], expected, strict=True):
            np.testing.assert_allclose(row, [each.probabilities[name] for name in predictor.classes], atol=1e-6)
        assert answers["features"].dtype == np.float32
        assert "bytes" not in answers
        assert "image" not in answers
    np.testing.assert_allclose(answers["features"], pellucid.load(trained).features(paths), rtol=1e-5, atol=1e-5)


def test_an_unusable_picture_has_its_reason_and_no_numbers(predictor: Predictor) -> None:
    answers = predictor({"bytes": np.array([b"", b"text"], object), "path": np.array(["a", "b"])})
    assert all(isinstance(reason, str) for reason in answers["error"])
    assert answers["label"].tolist() == [None, None]
    assert np.isnan(answers["probability"]).all()
    assert np.isnan(answers["probabilities"]).all()
    assert np.isnan(answers["features"]).all()
    assert answers["path"].tolist() == ["a", "b"]


@pytest.mark.parametrize("empty", [None, float("nan"), {"bytes": None, "path": None}])
def test_an_empty_cell_is_an_unusable_picture(predictor: Predictor, photos: Path, empty: object) -> None:
    """As in a Parquet file with a null. The pictures around it are answered."""
    path = photos / "blue" / "0.png"
    cells = np.empty(4, object)
    cells[:] = [path.read_bytes(), empty, memoryview(path.read_bytes()), 7]
    answers = predictor({"bytes": cells})
    assert answers["label"].tolist() == ["blue", None, "blue", None]
    number = "its cell is of type int; it must hold a path, bytes or an array"
    assert answers["error"].tolist() == [None, "its cell is empty", None, number]
    assert np.isnan(answers["features"][1]).all()


def test_several_labels_are_joined(tagged: Path) -> None:
    folder = tagged.parent / "photos"
    paths = [str(folder / f"{number}.png") for number in range(6)]
    answers = Predictor(tagged)({"path": np.array(paths)})
    expected = list(pellucid.predict(tagged, paths))
    assert answers["labels"].tolist() == ["|".join(each.labels or ()) for each in expected]
    assert "features" not in answers


def test_wrong_use_is_one_sentence(predictor: Predictor, trained: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"no column of pictures: image or bytes or path\. Its columns: name, label\."
    ):
        predictor({"name": np.array(["a"]), "label": np.array(["b"])})
    with pytest.raises(RecipeError, match="batch is 0; it must be 1 or more"):
        Predictor(trained, batch=0)
