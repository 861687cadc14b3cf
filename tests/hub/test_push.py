"""Pushing a model: the round trip, what stays on this machine, and what the hub may refuse."""

import csv
import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard, constants
from tests.hub.server import FIRST, Hub, Repo

import pellucid
from pellucid.errors import ArtefactError

PUBLISHED = [
    "README.md",
    "calibration.png",
    "config.json",
    "confusion.png",
    "curves.png",
    "graph.onnx",
    "history.csv",
    "metrics.json",
    "model.safetensors",
    "optimizer.safetensors",
]


def names_of_pictures(trained: Path) -> list[str]:
    with (trained / "split.csv").open(newline="") as file:
        return [row["path"] for row in csv.DictReader(file)]


def everything(hub: Hub, name: str = "anna/cats") -> bytes:
    """All that a reader of a repository's newest commit sees."""
    return b"\n".join(hub.repositories[name].head().values())


def refused(model: Path, **settings: object) -> str:
    with pytest.raises(ArtefactError) as raised:
        pellucid.push(model, "anna/cats", **settings)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_what_is_pushed_predicts_exactly_the_same(hub: Hub, trained: Path, photos: Path) -> None:
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    done = pellucid.push(trained, "anna/cats")
    assert {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()} == before
    repo = hub.repositories["anna/cats"]
    assert (done.repository, done.address) == ("anna/cats", f"{hub.address}/anna/cats")
    assert done.commit == repo.branches["main"]
    assert repo.private
    assert not done.public
    assert repo.head()["model.safetensors"] == (trained / "model.safetensors").read_bytes()
    for model in ("hf://anna/cats", f"hf://anna/cats@{done.commit}"):
        ours = [answer.probabilities for answer in pellucid.predict(trained, photos)]
        theirs = [answer.probabilities for answer in pellucid.predict(model, photos)]
        assert len(ours) == 32
        assert ours == theirs
    picture = photos / "blue" / "0.png"
    mine, hosted = pellucid.load(trained), pellucid.load("hf://anna/cats")
    weight = "conv1.weight[3, 0, 2, 2]"
    assert hosted.predict(picture).probabilities == mine.predict(picture).probabilities
    assert hosted.explain(picture).update(weight).total == mine.explain(picture).update(weight).total


def test_pictures_their_names_and_this_machines_paths_stay_here(hub: Hub, trained: Path, photos: Path) -> None:
    done = pellucid.push(trained, "anna/cats")
    assert sorted(hub.repositories["anna/cats"].head()) == [".gitattributes", *PUBLISHED]
    assert sorted(done.files) == PUBLISHED
    assert done.pictures_left_out == ("known.safetensors", "quarantine.csv", "split.csv", "thumbnails", "twins.csv")
    content = everything(hub)
    for secret in (str(photos), str(photos.parent), str(trained.parent), *names_of_pictures(trained)):
        assert secret.encode() not in content
    metrics = json.loads(hub.repositories["anna/cats"].head()["metrics.json"])
    assert json.loads((trained / "metrics.json").read_text())["mistakes"] != []
    assert metrics["mistakes"] == []
    assert b"The list is not published" in hub.repositories["anna/cats"].head()["README.md"]
    assert b"thumbnails/" not in hub.repositories["anna/cats"].head()["README.md"]


def test_with_pictures_the_lists_and_thumbnails_go_too_but_no_path_of_this_machine(hub, trained, photos) -> None:
    done = pellucid.push(trained, "anna/cats", pictures=True)
    there = hub.repositories["anna/cats"].head()
    assert done.pictures_left_out == ()
    for name in ("split.csv", "known.safetensors", "thumbnails/01.jpg", "metrics.json"):
        assert there[name] == (trained / name).read_bytes()
    assert str(photos.parent).encode() not in everything(hub)
    again = pellucid.push(trained, "anna/cats")
    assert "thumbnails/01.jpg" in again.removed
    assert sorted(hub.repositories["anna/cats"].head()) == [".gitattributes", *PUBLISHED]


def test_links_to_files_elsewhere_are_not_followed(hub: Hub, model: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "key.txt").write_text("a secret of mine")
    (model / "thumbnails" / "02.jpg.txt").symlink_to(tmp_path / "elsewhere" / "key.txt")
    (model / "replay").symlink_to(tmp_path / "elsewhere")
    done = pellucid.push(model, "anna/cats", pictures=True)
    assert "thumbnails/01.jpg" in done.files
    assert b"a secret of mine" not in everything(hub)


def test_evaluate_says_what_a_pushed_model_no_longer_knows(pushed: Hub, photos: Path) -> None:
    with pytest.raises(ArtefactError, match="does not list the pictures that it was made from; give a folder"):
        pellucid.evaluate("hf://anna/cats")
    assert "was saved without split.csv" in json.dumps(pellucid.evaluate("hf://anna/cats", photos).as_json())


def test_the_card_is_a_page_of_the_hub_with_the_measured_figures(pushed: Hub, trained: Path) -> None:
    text = pushed.repositories["anna/cats"].head()["README.md"].decode()
    data = yaml.safe_load(text.split("---\n")[1])
    assert (data["library_name"], data["pipeline_tag"]) == ("pellucid", "image-classification")
    assert "pellucid" in data["tags"]
    assert not {"license", "datasets"} & set(data)  # nobody knows them
    metrics = json.loads((trained / "metrics.json").read_text())
    figures = {each.metric_type: each.metric_value for each in ModelCard(text).data.eval_results}
    assert figures == {"accuracy": metrics["test"]["accuracy"], "loss": metrics["test"]["loss"]}
    assert "pellucid predict hf://anna/cats picture.jpg" in text
    assert 'pellucid.load("hf://anna/cats")' in text
    assert "](quarantine.csv)" not in text


def test_what_the_user_wrote_into_the_card_stays(hub: Hub, model: Path) -> None:
    card = (model / "README.md").read_text()
    mine = "library_name: pellucid\nlicense: mit\ntags:\n- birds\ndatasets:\n- anna/birds\n"
    (model / "README.md").write_text(card.replace("library_name: pellucid\n", mine) + "\nAsk Anna.\n")
    pellucid.push(model, "anna/cats")
    text = hub.repositories["anna/cats"].head()["README.md"].decode()
    data = yaml.safe_load(text.split("---\n")[1])
    assert (data["license"], data["datasets"]) == ("mit", ["anna/birds"])
    assert data["tags"][:2] == ["birds", "pellucid"]
    assert text.endswith("\nAsk Anna.\n")


def test_metadata_that_somebody_added_on_the_hub_stay(pushed: Hub, model: Path) -> None:
    repo = pushed.repositories["anna/cats"]
    text = repo.head()["README.md"].decode()
    text = text.replace("library_name: pellucid\n", "library_name: pellucid\nlicense: mit\nlanguage: de\n", 1)
    repo.commits["3" * 40] = {**repo.head(), "README.md": text.replace("tags:\n", "tags:\n- birds\n", 1).encode()}
    repo.branches["main"] = "3" * 40
    pellucid.push(model, "anna/cats")
    data = yaml.safe_load(repo.head()["README.md"].decode().split("---\n")[1])
    assert (data["license"], data["language"]) == ("mit", "de")
    (model / "README.md").write_text("---\nlanguage: en\n---\n# Cats\n")
    pellucid.push(model, "anna/cats")
    text = repo.head()["README.md"].decode()
    data = yaml.safe_load(text.split("---\n")[1])
    assert (data["license"], data["language"]) == ("mit", "en")
    assert set(data["tags"]) == {"birds", "pellucid", "convolutional-neural-network"}
    assert text.endswith("\n# Cats\n")
    repo.commits["4" * 40] = {**repo.head(), "README.md": b"---\ntags: [\n---\n# Theirs\n"}
    repo.branches["main"] = "4" * 40
    assert pellucid.push(model, "anna/cats").changed


def test_a_figure_that_may_not_be_quoted_is_no_metadata(hub: Hub, model: Path) -> None:
    config, metrics = (json.loads((model / name).read_text()) for name in ("config.json", "metrics.json"))
    (model / "metrics.json").write_text(json.dumps({**metrics, "quotable": False}))
    del config["files"]["metrics.json"]
    from pellucid.classifier import store

    config["files"]["metrics.json"] = store.describe(model / "metrics.json")
    (model / "config.json").write_text(json.dumps(config))
    pellucid.push(model, "anna/cats")
    assert b"model-index" not in hub.repositories["anna/cats"].head()["README.md"]


def test_without_a_card_or_plots_it_is_pushed_too(hub: Hub, model: Path) -> None:
    for name in ("README.md", "curves.png", "confusion.png", "calibration.png", "optimizer.safetensors", "graph.onnx"):
        (model / name).unlink()
    pellucid.push(model, "anna/cats")
    assert b"# cats\n" in hub.repositories["anna/cats"].head()["README.md"]
    assert "optimizer.safetensors" not in json.loads(hub.repositories["anna/cats"].head()["config.json"])["files"]
    assert pellucid.load("hf://anna/cats").classes == ("blue", "red")


def test_pushing_again_sends_and_changes_nothing(pushed: Hub, trained: Path) -> None:
    commits = dict(pushed.repositories["anna/cats"].commits)
    again = pellucid.push(trained, "anna/cats")
    assert not again.changed
    assert again.commit == pushed.repositories["anna/cats"].branches["main"]
    assert pushed.repositories["anna/cats"].commits == commits
    assert [each for each in pushed.requests if each.startswith("PUT")] == []


def test_files_of_the_user_in_folder_and_repository_are_left_alone(pushed: Hub, model: Path) -> None:
    (model / "notes.txt").write_text("mine")
    (model / "program.py").write_text("print('mine')")
    repo = pushed.repositories["anna/cats"]
    repo.head()["LICENSE"] = b"mine"
    done = pellucid.push(model, "anna/cats", message="Second version")
    assert done.others_left_out == ("notes.txt", "program.py")
    assert repo.head()["LICENSE"] == b"mine"
    assert "notes.txt" not in repo.head()


def test_a_branch_and_a_message(pushed: Hub, model: Path) -> None:
    repo = pushed.repositories["anna/cats"]
    main = repo.branches["main"]
    (model / "README.md").write_text("# Another card\n")
    done = pellucid.push(model, "anna/cats", branch="trial", message="With another card")
    assert repo.branches == {"main": main, "trial": done.commit}
    assert repo.messages[done.commit] == "With another card"
    assert pellucid.load("hf://anna/cats@trial").classes == ("blue", "red")
    with pytest.raises(ArtefactError, match="anna/cats has no revision 'other': no such branch, tag or commit"):
        pellucid.load("hf://anna/cats@other")


def test_nothing_becomes_public_unless_the_user_says_so(pushed: Hub, trained: Path) -> None:
    repo = pushed.repositories["anna/cats"]
    assert not pellucid.push(trained, "anna/cats", public=True).public  # it was private
    repo.private = False
    commits = dict(repo.commits)
    assert "anna/cats is public: anybody could download the model. Add --public" in refused(trained)
    assert repo.commits == commits
    assert pellucid.push(trained, "anna/cats", public=True).public
    assert pellucid.push(trained, "anna/birds", public=True).public
    assert not pushed.repositories["anna/birds"].private


@pytest.mark.parametrize("there", [{"config.json": b'{"model_type": "vit"}'}, {"model.safetensors": b"other"}])
def test_another_model_is_not_replaced(there: dict[str, bytes], hub: Hub, trained: Path) -> None:
    hub.repositories["anna/cats"] = Repo({FIRST: there}, private=True)
    assert refused(trained) == (
        "anna/cats holds a model of another kind, which would be replaced. Push to another name."
    )
    assert list(hub.repositories["anna/cats"].commits) == [FIRST]


def test_a_repository_that_changes_meanwhile_is_not_overwritten(pushed: Hub, model: Path) -> None:
    repo = pushed.repositories["anna/cats"]

    def somebody() -> None:
        repo.commits["5" * 40] = {**repo.head(), "README.md": b"theirs"}
        repo.branches["main"] = "5" * 40

    pushed.before["/preupload/"] = somebody
    (model / "README.md").write_text("# Ours\n")
    assert refused(model).startswith("anna/cats was not pushed: somebody else changed it meanwhile (412: A commit has")
    assert repo.head()["README.md"] == b"theirs"
    assert pellucid.push(model, "anna/cats").changed


def test_two_who_create_the_same_repository_at_once(hub: Hub, trained: Path) -> None:
    def somebody() -> None:
        hub.repositories["anna/cats"] = Repo({FIRST: {".gitattributes": b""}}, private=True)

    hub.before["/api/repos/create"] = somebody
    assert pellucid.push(trained, "anna/cats").changed


@pytest.mark.parametrize(
    ("status", "said", "message"),
    [
        (
            401,
            "Invalid user token.",
            "the hub does not accept the token (401: Invalid user token). To use",
        ),
        (
            403,
            "You don't have the rights",
            "the token may not write there (403: You don't have the rights). Use a token",
        ),
        (
            403,
            "Private repository storage limit reached",
            "the hub has no room for it (403: Private rep",
        ),
        (402, "Payment required", "the hub has no room for it (402: Payment required). Free some space of anna"),
        (413, "", "the hub has no room for it (413). Free some space"),
        (404, "", "the hub does not know it, or anna (404). Check the name."),
        (400, "a bad\nfile", "the hub refuses (400: a bad file)."),
    ],
)
@pytest.mark.parametrize("where", ["/api/repos/create", "/commit/"])
def test_each_refusal_is_a_sentence_that_says_what_to_do(where, status, said, message, hub, trained) -> None:
    hub.failing[where], hub.said = [status, status], said.replace("\n", " ")
    assert refused(trained).startswith(f"anna/cats was not pushed: {message}")
    assert ".gitattributes" in hub.repositories.get("anna/cats", Repo({FIRST: {".gitattributes": b""}})).head()
    assert "config.json" not in hub.repositories.get("anna/cats", Repo({FIRST: {}})).head()


PASSING = [
    "/api/models/anna",
    "repos/create",
    "/preupload/",
    "objects/batch",
    "objects/verify",
    "PUT /lfs/",
    "/commit/",
]


@pytest.mark.parametrize("where", PASSING)
@pytest.mark.parametrize("status", [500, 0])
def test_a_fault_that_passes_is_overcome(status: int, where: str, hub: Hub, trained: Path, monkeypatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # the client's pause
    hub.failing[where] = [status]
    assert pellucid.push(trained, "anna/cats").changed
    assert hub.failing == {}


def test_a_commit_whose_answer_is_lost_is_not_made_twice(hub: Hub, trained: Path) -> None:
    hub.lost = "/commit/"
    done = pellucid.push(trained, "anna/cats")
    repo = hub.repositories["anna/cats"]
    assert done.changed
    assert done.commit == repo.branches["main"]
    assert len(repo.commits) == 2  # with the one that made it
    assert hub.lost == ""


@pytest.mark.parametrize("where", ["/api/models/anna/cats", "/commit/"])
def test_a_lost_connection_and_a_busy_hub(where: str, hub: Hub, trained: Path) -> None:
    again = "Push again: what has arrived is not sent twice."
    hub.failing[where] = [0, 0]
    message = refused(trained)
    assert message.startswith("anna/cats was not pushed: there is no connection to the hub (")
    assert message.endswith(again)
    hub.failing = {where: [503, 503]}
    assert refused(trained) == "anna/cats was not pushed: the hub answers with an error (503). Push again later."
    hub.failing = {where: [429, 429]}
    assert "the hub limits how often it is called (429). Push again later." in refused(trained)
    assert pellucid.push(trained, "anna/cats").changed


def test_without_a_token_or_a_connection(hub: Hub, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert refused(trained) == (
        "anna/cats was not pushed: HF_HUB_OFFLINE says not to connect. Unset it and push again."
    )
    monkeypatch.delenv("HF_TOKEN")
    assert refused(trained) == (
        "Pushing needs a token with write access to anna/cats: log in by `hf auth login` or set HF_TOKEN."
    )
    assert hub.requests == []


def test_without_the_client_the_error_says_what_to_install(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    end = "needs huggingface_hub, which is not installed: pip install 'pellucid[hub]'"
    assert refused(trained) == f"anna/cats is on a hub. Pushing {end}"
    with pytest.raises(ArtefactError, match=re.escape(f"anna/cats is on a hub. Reading it {end}")):
        pellucid.load("hf://anna/cats")


def test_a_damaged_folder_is_not_pushed(hub: Hub, model: Path) -> None:
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "it was cut or changed" in refused(model)
    (model / "README.md").write_text("---\ntags: [\n---\n")
    weights.unlink()
    assert "model.safetensors is missing" in refused(model)
    assert "is not a model folder: it has no config.json" in refused(model.parent)
    assert hub.requests == []


def test_a_card_whose_metadata_is_damaged_is_named(hub: Hub, model: Path) -> None:
    (model / "README.md").write_text("---\ntags: [\n---\n# Cats\n")
    assert refused(model).startswith("The metadata at the start of README.md are damaged: ")
    assert hub.requests == []


def test_a_hub_without_the_newer_storage_says_how_to_send(hub: Hub, trained: Path, monkeypatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    message = refused(trained)
    assert message.startswith("anna/cats was not pushed: the upload failed (")
    assert message.endswith("HF_HUB_DISABLE_XET=1 sends it the older way.")


def test_the_newer_storage_takes_it_too(hub: Hub, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's default wherever hf_xet is installed, which comes with it."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    hub.xet = True
    pellucid.push(trained, "anna/cats")
    there = hub.repositories["anna/cats"].head()
    for name in ("model.safetensors", "optimizer.safetensors", "graph.onnx"):
        assert there[name] == (trained / name).read_bytes()
    assert [each for each in hub.requests if "objects/batch" in each] == []
    assert any("/xet/v1/xorbs/" in each for each in hub.requests)


def test_what_the_hub_says_about_the_card_is_passed_on(hub: Hub, trained: Path) -> None:
    hub.unread = ["empty or missing yaml metadata in repo card"]
    notes = pellucid.push(trained, "anna/cats").notes
    assert len(notes) == 1
    assert notes[0].endswith("empty or missing yaml metadata in repo card")
