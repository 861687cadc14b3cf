"""What of a model folder is published, and that no path of this machine is in it."""

import json
from pathlib import Path

import pytest

from pellucid.classifier import store
from pellucid.errors import ArtefactError
from pellucid.exports import published_card
from pellucid.exports.publication import is_ours, publication, without_paths


@pytest.mark.parametrize(
    ("text", "cleared"),
    [
        ("see /home/anna/pets/cat.jpg.", "see cat.jpg."),
        ("(/data/x/net.py:build)", "(net.py:build)"),
        ("~/models/first", "first"),
        (r"C:\Users\anna\cats", "cats"),
        ("D:/photos/2024/a.png,cat", "a.png,cat"),
        ('{"path": "/mnt/disk/a/b.tif"}', '{"path": "b.tif"}'),
        ("and/or 1/2 a/b.png 3 / 4 km/h", "and/or 1/2 a/b.png 3 / 4 km/h"),
        ("<details><br/></details>", "<details><br/></details>"),
        ("https://example.org/a/b?c=/d", "https://example.org/a/b?c=/d"),
        ("hf://anna/cats and timm/resnet18.a1_in1k", "hf://anna/cats and timm/resnet18.a1_in1k"),
        ("`conv(10, 5) relu`, softmax(logits / 1.3)", "`conv(10, 5) relu`, softmax(logits / 1.3)"),
    ],
)
def test_absolute_paths_become_names_and_all_else_stays(text: str, cleared: str) -> None:
    assert without_paths(text) == cleared
    assert without_paths(cleared) == cleared


def test_known_places_are_found_even_with_spaces(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    root = "/home/Anna Berg/My Pictures/cats & dogs"
    config["data"]["root"], config["data"]["table"] = root, f"{root}/list of all.csv"
    config["pretrained"] = {"folder": "/home/Anna Berg/models/first one", "source": "first one (SHA-256 1)"}
    config["reasons"].append(f"weights: {config['pretrained']['folder']}, which have seen {root}/cat")
    config["recipe"]["model"] = "/home/Anna Berg/net.py:build"
    (model / "config.json").write_text(json.dumps(config))
    (model / "README.md").write_text(f"# Cats\n\nFrom {root}/cat, by {root}.\n")
    what = publication(model, "anna/cats", pictures=True)
    content = b"".join(each.read_bytes() if isinstance(each, Path) else each for each in what.contents.values())
    assert b"Berg" not in content
    published = json.loads(what.contents["config.json"])  # type: ignore[arg-type]
    assert published["data"]["table"] == "list of all.csv"
    assert published["recipe"]["model"] == "net.py:build"
    assert published["reasons"][-1] == "weights: first one, which have seen cats & dogs/cat"
    assert published["pretrained"]["source"] == "first one (SHA-256 1)"


def test_lists_that_name_files_elsewhere_name_them_without_their_folders(model: Path) -> None:
    split = (model / "split.csv").read_text()
    (model / "split.csv").write_text(split.replace("blue/0.png", "/mnt/more/blue/0.png"))
    config = json.loads((model / "config.json").read_text())
    config["files"]["split.csv"] = store.describe(model / "split.csv")
    (model / "config.json").write_text(json.dumps(config))
    what = publication(model, "anna/cats", pictures=True)
    content = what.contents["split.csv"]
    assert isinstance(content, bytes)
    assert b"\n0.png,blue," in content
    assert b"/mnt/more" not in content
    stated = json.loads(what.contents["config.json"])["files"]["split.csv"]  # type: ignore[arg-type]
    assert stated["bytes"] == len(content)


def test_what_predictions_depend_on_is_the_same_and_the_folder_is_whole(model: Path, tmp_path: Path) -> None:
    what = publication(model, "anna/cats")
    (tmp_path / "copy").mkdir()
    for name, content in what.contents.items():
        (tmp_path / "copy" / name).write_bytes(content.read_bytes() if isinstance(content, Path) else content)
    ours, theirs = store.read_config(model), store.read_config(tmp_path / "copy")
    for key in ("format", "network", "program", "input", "classes", "preprocessing", "temperature", "recipe"):
        assert theirs[key] == ours[key]
    assert theirs["name"] == "cats"
    for name in theirs["files"]:
        store.check_file(tmp_path / "copy", name, theirs)
    read = store.read(tmp_path / "copy")
    assert read.classes == ("blue", "red")


def test_class_names_that_look_like_paths_stay(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    config["classes"] = ["/a/b/blue", "C:/x/red"]
    (model / "config.json").write_text(json.dumps(config))
    assert json.loads(publication(model, "anna/cats").contents["config.json"])["classes"] == config["classes"]  # type: ignore[arg-type]


def test_another_folder_in_it_is_no_part_of_the_model(model: Path) -> None:
    (model / "checkpoint").mkdir()
    (model / "checkpoint" / "state.safetensors").write_bytes(b"x")
    (model / ".pellucid.lock").write_text("1")
    (model / "replay").mkdir()
    (model / "replay" / "picture-1.png").write_bytes(b"x")
    what = publication(model, "anna/cats")
    assert what.others == (".pellucid.lock", "checkpoint")
    assert "replay" in what.pictures
    assert "replay/picture-1.png" in publication(model, "anna/cats", pictures=True).contents
    assert is_ours("replay/picture-1.png")
    assert not is_ours("LICENSE")


def test_a_model_with_several_labels_states_what_its_figure_is(tagged: Path) -> None:
    card = publication(tagged, "anna/tags").contents["README.md"]
    assert isinstance(card, bytes)
    assert b"type: exact_match" in card
    assert b"type: accuracy" not in card
    assert b"thumbnails/" not in card


def test_weights_from_a_hub_are_named_as_the_base_model() -> None:
    source = f"timm/resnet18.a1_in1k@{'a' * 40}"
    card = published_card.published("# Cats\n", "anna/cats", {"pretrained": {"source": source}}, None, False)
    assert "base_model: timm/resnet18.a1_in1k\n" in card
    other = published_card.published(
        "# Cats\n", "anna/cats", {"pretrained": {"source": "model (SHA-256 1)"}}, None, False
    )
    assert "base_model" not in other


def test_a_folder_without_weights_is_refused(model: Path) -> None:
    (model / "model.safetensors").unlink()
    with pytest.raises(ArtefactError, match=r"model\.safetensors is missing"):
        publication(model, "anna/cats")


@pytest.mark.parametrize("stated", [None, [], 5, {}])
def test_a_config_that_states_no_files_is_refused(model: Path, stated: object) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"files": stated}))
    with pytest.raises(ArtefactError, match=r"config\.json is damaged: it does not state size and hash of model\.safe"):
        publication(model, "anna/cats")
