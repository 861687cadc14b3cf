"""Loading a model from a hub: which files, of which commit, from the cache or not, and what may be wrong."""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from huggingface_hub import constants
from tests.hub.server import FIRST, Hub, Repo
from tests.patience import PATIENCE

import pellucid
from pellucid.classifier.locate import folder_of
from pellucid.errors import ArtefactError

CATS = "hf://anna/cats"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def refused(model: str = CATS, **settings: object) -> str:
    with pytest.raises(ArtefactError) as raised:
        folder_of(model, **settings)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def silent(note: str) -> None:
    raise AssertionError(note)


def newer(hub: Hub) -> str:
    """A second commit of anna/cats, with another temperature."""
    repo = hub.repositories["anna/cats"]
    config = json.loads(repo.head()["config.json"]) | {"temperature": 2.0}
    repo.commits["2" * 40] = {**repo.head(), "config.json": json.dumps(config).encode()}
    repo.branches["main"] = "2" * 40
    return "2" * 40


def test_only_what_is_needed_is_downloaded(pushed: Hub, trained: Path) -> None:
    commit = pushed.repositories["anna/cats"].branches["main"]
    folder = folder_of(CATS, predicting=True, say=silent)
    assert folder.name == commit
    assert names(folder) == {"config.json", "model.safetensors", "graph.onnx"}
    whole = folder_of(f"{CATS}@{commit}", say=silent)
    assert whole == folder
    stated = {"optimizer.safetensors", "metrics.json", "history.csv", "README.md"}
    assert names(whole) == {"config.json", "model.safetensors", "graph.onnx"} | stated
    pushed.requests.clear()
    assert folder_of(f"{CATS}@{commit}", say=silent) == folder
    assert folder_of(f"{CATS}@{commit}", predicting=True, say=silent) == folder
    assert pushed.requests == []


def test_a_path_is_a_path(tmp_path: Path) -> None:
    assert folder_of(tmp_path) == folder_of(str(tmp_path)) == tmp_path
    assert folder_of("hf") == Path("hf")


def test_the_newest_commit_is_loaded_and_an_older_one_stays(pushed: Hub) -> None:
    first = pushed.repositories["anna/cats"].branches["main"]
    assert pellucid.load(CATS).temperature == 1.0
    second = newer(pushed)
    assert pellucid.load(CATS).temperature == 2.0
    assert pellucid.load(f"{CATS}@{first}").temperature == 1.0
    assert pellucid.load(f"{CATS}@{second}").temperature == 2.0


@pytest.mark.parametrize("when", ["/resolve/{first}/model", "GET /cdn/", "/resolve/main/"])
def test_a_repository_that_changes_meanwhile_never_mixes_two_commits(when: str, pushed: Hub) -> None:
    repo = pushed.repositories["anna/cats"]
    first = repo.branches["main"]

    def changes() -> None:
        newer(pushed)
        repo.head()["model.safetensors"] = b"other weights"

    pushed.before[when.format(first=first)] = changes
    if "main" in when:  # before the first answer: the new commit's weights do not match its own config.json
        with pytest.raises(ArtefactError, match=r"model\.safetensors has 13 bytes, but config\.json states"):
            pellucid.load(CATS)
    else:
        assert pellucid.load(CATS).temperature == 1.0
    assert pushed.before == {}


@pytest.mark.parametrize("revision", ["", "commit"])
@pytest.mark.parametrize("how", ["HF_HUB_OFFLINE", "no connection", "503", "429"])
def test_offline_the_cache_answers_and_says_so(how: str, revision: str, pushed: Hub, monkeypatch) -> None:
    commit = pushed.repositories["anna/cats"].branches["main"]
    model = f"{CATS}@{commit}" if revision == "commit" else CATS + revision
    first, notes = folder_of(CATS, say=silent), []
    if how == "HF_HUB_OFFLINE":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    elif how == "no connection":
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
        template = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    else:
        pushed.status = int(how)
    assert folder_of(model, say=notes.append) == first
    if revision == "commit":
        assert notes == []  # a commit never changes, so nobody needs to be asked
    else:
        assert len(notes) == 1
        assert notes[0].startswith(f"{CATS}: ")
        assert notes[0].endswith(f". Commit {commit[:12]} from the cache is used.")
        with pytest.warns(UserWarning, match="from the cache is used"):
            pellucid.load(model)


def test_offline_the_note_names_what_the_cache_lacks(pushed: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(CATS, predicting=True, say=silent)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    notes: list[str] = []
    folder_of(CATS, predicting=True, say=notes.append)
    assert "the cache has no" not in notes[0]
    folder_of(CATS, say=notes.append)
    assert "and the cache has no README.md, optimizer.safetensors, metrics.json, history.csv. Commit" in notes[1]


def test_offline_with_nothing_in_the_cache_says_what_to_do(hub: Hub, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert refused(f"{CATS}@v1") == (
        f"anna/cats@v1 is not in the cache, {tmp_path / 'cache'}, and HF_HUB_OFFLINE says not to connect. On a machine "
        "with a connection, run `hf download anna/cats --revision v1 --local-dir FOLDER`; then use FOLDER for "
        "anna/cats."
    )


@pytest.mark.parametrize("status", [429, 500, 0])
def test_a_fault_that_passes_is_overcome(status: int, pushed: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    first = "HEAD /anna/cats/resolve/main/config.json"
    monkeypatch.setattr("time.sleep", lambda _: None)  # the client's pause, and ours
    commit = pushed.repositories["anna/cats"].branches["main"]
    pushed.failing = {first: [status], f"HEAD /anna/cats/resolve/{commit}/model": [500], "GET /cdn/": [429, 0]}
    assert pellucid.load(CATS).classes == ("blue", "red")
    assert pushed.failing == {}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, f"{CATS} is not a Pellucid model: it has no config.json."),
        (
            b'{"model_type": "vit"}',
            f"{CATS} is not a Pellucid model: its config.json describes another kind. Weights of",
        ),
        (b'{"architecture": "resnet18"}', f"{CATS} is not a Pellucid model: its config.json describes another kind."),
        (b"[]", f"{CATS} is not a Pellucid model: its config.json describes another kind."),
        (b'{"format": 2, "files": {}}', f"{CATS} is not a Pellucid model: it has no model.safetensors."),
        (b'{"format": 99, "files": {}}', "this Pellucid 0.1.0 reads formats 1 to 2"),
        (b'{"format": 2, "files": {', "config.json is damaged"),
    ],
)
def test_a_repository_that_is_no_pellucid_model_says_what_is_missing(config, message: str, hub: Hub) -> None:
    content = {"README.md": b"# Nothing"} | ({} if config is None else {"config.json": config})
    hub.repositories["anna/cats"] = Repo({FIRST: content})
    assert message in refused()


def test_a_strangers_config_names_no_file_outside(pushed: Hub, tmp_path: Path) -> None:
    repo = pushed.repositories["anna/cats"]
    config = json.loads(repo.head()["config.json"])
    config["files"] |= {"../../evil.py": {"bytes": 1, "sha256": "0"}, "program.pt2": {"bytes": 1, "sha256": "0"}}
    repo.head()["config.json"] = json.dumps(config).encode()
    repo.head()["program.pt2"] = b"x"
    folder_of(CATS, say=silent)
    assert [each for each in pushed.requests if "evil" in each or "program" in each] == []


def test_a_program_is_not_even_downloaded_without_trust(pushed: Hub) -> None:
    repo = pushed.repositories["anna/cats"]
    program = {"name": "Net", "plain": True, "shared": {}}
    config = json.loads(repo.head()["config.json"]) | {"program": program, "network": None}
    repo.head()["config.json"], repo.head()["program.pt2"] = json.dumps(config).encode(), b"code"
    assert refused() == (
        f"{CATS} holds a network that somebody wrote in Python, Net, as a program (program.pt2). Opening it may run "
        "code from there. If you trust its maker, add --trust, or trust=True in Python."
    )
    assert [each for each in pushed.requests if "program.pt2" in each or "/cdn/" in each] == []
    assert (folder_of(CATS, trust=True, say=silent) / "program.pt2").read_bytes() == b"code"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "optimizer.safetensors"])
def test_a_file_that_differs_from_its_stated_hash_is_refused(name: str, pushed: Hub, tmp_path: Path) -> None:
    pushed.lies = name
    assert refused().startswith(f"{name} does not match what the hub states: its hash is ")
    assert list((tmp_path / "cache").rglob(name)) == []
    pushed.lies = ""
    assert pellucid.load(CATS).classes == ("blue", "red")


def test_a_damaged_file_in_the_cache_is_named_and_left(pushed: Hub) -> None:
    blob = (folder_of(CATS, say=silent) / "model.safetensors").resolve()
    blob.write_bytes(damaged := blob.read_bytes()[:-1] + b"?")
    assert refused().endswith(f"Delete {blob}, and it is downloaded again.")
    assert blob.read_bytes() == damaged


def test_a_download_that_is_cut_goes_on(pushed: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100)
    pushed.cut = 700
    assert pellucid.load(CATS).classes == ("blue", "red")
    assert any(each.startswith("GET /cdn/") and each.endswith("bytes=700-") for each in pushed.requests)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, "The hub refuses access to anna/cats (403)."),
        (500, "anna/cats could not be read completely: the hub answers with an error, 500. Try again."),
    ],
)
def test_a_fault_that_stays_is_named(status: int, message: str, pushed, monkeypatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    pushed.failing = {"/model.safetensors": [status] * 20}
    assert refused().startswith(message)


def test_who_may_not_read_it(pushed: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "wrong")
    assert refused().startswith("The hub refuses access to anna/cats (401). If its name is right, it is private or")
    monkeypatch.setenv("HF_TOKEN", pushed.token)
    assert refused("hf://anna/dogs").startswith("There is no repository anna/dogs at ")
    assert refused(f"{CATS}@v9") == "anna/cats has no revision 'v9': no such branch, tag or commit."


def test_nothing_is_written_into_the_hubs_cache(pushed: Hub, photos: Path, tmp_path: Path, monkeypatch) -> None:
    """Where no comparison of ONNX Runtime with PyTorch is known, its result goes into the user's own cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "mine"))
    repo = pushed.repositories["anna/cats"]
    del repo.head()["graph.onnx"]
    answers = list(pellucid.predict(CATS, photos / "blue"))
    assert all(answer.error is None for answer in answers)
    folder = folder_of(CATS, predicting=True, say=silent)
    assert names(folder) == {"config.json", "model.safetensors"}
    assert len(list((tmp_path / "mine").rglob("*.onnx"))) == 1


def test_known_weights_may_be_a_pellucid_model_on_a_hub(pushed: Hub, trained: Path, tmp_path: Path) -> None:
    from pellucid.pretrained.find import find

    commit = pushed.repositories["anna/cats"].branches["main"]
    for written in (CATS, "anna/cats", f"{CATS}@{commit}"):
        known = find(written, tmp_path)
        assert known.classes == ("blue", "red")
        assert known.source.startswith(f"anna/cats@{commit} (SHA-256 ")
        assert known.seen == f"16 pictures of 2 classes (anna/cats@{commit})"


def test_two_at_once_share_the_cache(pushed: Hub, photos: Path, tmp_path: Path) -> None:
    """One in this process's threads, one in another process; each downloads or waits, and both have the whole."""
    code = (
        "import sys; from huggingface_hub import constants; from pathlib import Path; import pellucid\n"
        "from pellucid.classifier.locate import folder_of\n"
        "print(folder_of('hf://anna/cats'))"
    )
    environment = {
        "PATH": "/usr/bin:/bin",
        "HF_ENDPOINT": pushed.address,
        "HF_HUB_CACHE": str(tmp_path / "cache"),
        "HF_TOKEN": pushed.token,
        "HF_HUB_DISABLE_XET": "1",
        "HOME": str(tmp_path),
    }
    other = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    pushed.before["GET /cdn/"] = lambda: started.wait(PATIENCE)
    started = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        several = [pool.submit(folder_of, CATS, say=silent) for _ in range(2)]
        started.set()
        folders = {each.result() for each in several}
    out, err = other.communicate(timeout=PATIENCE)
    assert (other.returncode, err) == (0, b"")
    assert {str(each) for each in folders} == {out.decode().strip()}
    assert pellucid.load(CATS).classes == ("blue", "red")
    assert list((tmp_path / "cache").rglob("*.incomplete")) == []


def test_a_killed_download_leaves_nothing_half(pushed: Hub, tmp_path: Path) -> None:
    pushed.stall = threading.Event()
    code = "from pellucid.classifier.locate import folder_of; folder_of('hf://anna/cats')"
    environment = {
        "PATH": "/usr/bin:/bin",
        "HF_ENDPOINT": pushed.address,
        "HF_HUB_CACHE": str(tmp_path / "cache"),
        "HF_TOKEN": pushed.token,
        "HOME": str(tmp_path),
    }
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL)
    assert pushed.halfway.wait(PATIENCE)
    process.kill()
    process.wait()
    assert list((tmp_path / "cache").rglob("model.safetensors")) == []
    pushed.stall.set()
    pushed.stall = None
    assert pellucid.load(CATS).classes == ("blue", "red")
