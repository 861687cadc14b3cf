"""The hub: its real client against a server on this machine that speaks its protocol."""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from tests.hub.server import FIRST, REPOSITORY, SECOND, Hub, Repo, no_account, serving
from tests.patience import PATIENCE

from pellucid.errors import ArtefactError
from pellucid.hub import words
from pellucid.pretrained import checkpoint, hub

SMALL = "mobilenetv2_100"


@pytest.fixture
def server(save, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    no_account(monkeypatch)
    monkeypatch.setattr(words, "PAUSE", 0.0)
    folder = save(SMALL, 3, folder="served")
    content = {each.name: each.read_bytes() for each in folder.iterdir()}
    with serving(Hub(repositories={REPOSITORY: Repo({FIRST: content})})) as hub:
        yield hub


def fetch(server: Hub, tmp_path: Path, name: str = REPOSITORY) -> hub.Snapshot:
    return hub.fetch(name, endpoint=server.address, cache=tmp_path / "cache")


def refused(server: Hub, tmp_path: Path, name: str = REPOSITORY) -> str:
    with pytest.raises(ArtefactError) as raised:
        fetch(server, tmp_path, name)
    assert "\n" not in str(raised.value)
    weights = list((tmp_path / "cache").glob("*/snapshots/*/model.safetensors*"))
    parts = list((tmp_path / "cache").rglob("*.incomplete"))
    assert weights == parts == []
    return str(raised.value)


def test_a_repository_is_read_and_its_commit_is_pinned(server: Hub, tmp_path: Path) -> None:
    snapshot = fetch(server, tmp_path)
    assert snapshot.source == f"{REPOSITORY}@{FIRST}"
    assert snapshot.weights.read_bytes() == server.commits[FIRST]["model.safetensors"]
    known = checkpoint.load(snapshot.weights, snapshot.config, snapshot.source)
    assert (known.name, known.source) == (SMALL, snapshot.source)
    assert known.seen.startswith("ImageNet-1k: ")


def test_the_newest_commit_is_taken_and_an_older_one_stays(server: Hub, tmp_path: Path) -> None:
    first = fetch(server, tmp_path)
    newer = json.loads(server.commits[FIRST]["config.json"]) | {"note": "newer"}
    server.commits[SECOND] = {**server.commits[FIRST], "config.json": json.dumps(newer).encode()}
    server.main = SECOND
    second = fetch(server, tmp_path)
    assert second.source == f"{REPOSITORY}@{SECOND}"
    assert json.loads(second.config.read_bytes())["note"] == "newer"
    server.requests.clear()
    assert fetch(server, tmp_path, first.source) == first
    assert server.requests == []  # a commit that is there needs no connection


def test_what_is_cached_is_not_downloaded_again(server: Hub, tmp_path: Path) -> None:
    first = fetch(server, tmp_path)
    server.requests.clear()
    assert fetch(server, tmp_path) == first
    assert [each for each in server.requests if each.startswith("GET")] == []


@pytest.mark.parametrize("revision", ["", f"@{FIRST}"])
def test_offline_the_cache_answers(revision: str, server: Hub, tmp_path: Path, monkeypatch) -> None:
    first = fetch(server, tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch(server, tmp_path, REPOSITORY + revision) == first


@pytest.mark.parametrize("status", [0, 503])
def test_without_a_connection_the_cache_answers(status: int, server: Hub, tmp_path: Path) -> None:
    first = fetch(server, tmp_path)
    server.status = status
    address = server.address if status else "http://127.0.0.1:9"
    assert hub.fetch(REPOSITORY, endpoint=address, cache=tmp_path / "cache") == first


def test_nothing_cached_says_what_to_download_and_where_to_put_it(server: Hub, tmp_path: Path, monkeypatch) -> None:
    server.address = "http://127.0.0.1:9"
    end = (
        f"On a machine with a connection, run `hf download {REPOSITORY} config.json model.safetensors --local-dir "
        f"FOLDER`; then use FOLDER for {REPOSITORY}."
    )
    message = refused(server, tmp_path)
    assert message.startswith(f"{REPOSITORY} is not in the cache, {tmp_path / 'cache'}, and there is no connection to")
    assert message.endswith(end)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    message = refused(server, tmp_path)
    assert "and HF_HUB_OFFLINE says not to connect. On" in message
    assert "--revision v2 --local-dir" in refused(server, tmp_path, f"{REPOSITORY}@v2")


def test_a_server_in_trouble_and_nothing_cached(server: Hub, tmp_path: Path) -> None:
    server.status = 500
    assert ", and the hub answers with an error, 500. On" in refused(server, tmp_path)


def test_a_repository_that_is_not_there(server: Hub, tmp_path: Path) -> None:
    assert refused(server, tmp_path, "timm/resnet999") == (
        f"There is no repository timm/resnet999 at {server.address}/timm/resnet999. Write OWNER/NAME, or an "
        "existing path."
    )
    assert refused(server, tmp_path, f"{REPOSITORY}@v9") == (
        f"{REPOSITORY} has no revision 'v9': no such branch, tag or commit."
    )


@pytest.mark.parametrize(("status", "error"), [(401, ""), (403, "GatedRepo"), (403, ""), (401, "GatedRepo")])
def test_a_repository_that_needs_a_token_says_how_to_set_one(status: int, error: str, server: Hub, tmp_path) -> None:
    server.status, server.error = status, error
    assert refused(server, tmp_path) == (
        f"The hub refuses access to {REPOSITORY} ({status}). If its name is right, it is private or gated: accept "
        f"its terms at {server.address}/{REPOSITORY}, then log in by `hf auth login` or set HF_TOKEN."
    )


def test_the_users_token_is_sent(server: Hub, tmp_path: Path, monkeypatch) -> None:
    server.token = "hf_secret"
    refused(server, tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert fetch(server, tmp_path).source == f"{REPOSITORY}@{FIRST}"


def test_a_wrong_hash_is_refused_and_nothing_is_kept(server: Hub, tmp_path: Path) -> None:
    server.lies = ".safetensors"
    digest = hashlib.sha256(server.commits[FIRST]["model.safetensors"]).hexdigest()[:12]
    other = hashlib.sha256(b"another").hexdigest()[:12]
    assert refused(server, tmp_path) == (
        f"model.safetensors does not match what the hub states: its hash is {digest}… and not {other}…. The file "
        "was deleted. Try again."
    )
    server.lies = ""
    assert fetch(server, tmp_path).source == f"{REPOSITORY}@{FIRST}"


def test_a_file_of_the_cache_that_changed_is_refused_and_left(server: Hub, tmp_path: Path) -> None:
    blob = fetch(server, tmp_path).weights.resolve()
    damaged = bytearray(blob.read_bytes())
    damaged[-1] ^= 1
    blob.write_bytes(damaged)
    with pytest.raises(ArtefactError, match=rf"is damaged: its hash is .* Delete {blob}, and it is downloaded again\."):
        fetch(server, tmp_path)
    assert blob.read_bytes() == damaged
    blob.unlink()
    assert fetch(server, tmp_path).weights.read_bytes() == server.commits[FIRST]["model.safetensors"]


def test_a_download_that_is_cut_goes_on_where_it_was(server: Hub, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 250_000)
    server.cut = 1_000_000
    assert fetch(server, tmp_path).weights.read_bytes() == server.commits[FIRST]["model.safetensors"]
    assert any(re.fullmatch("GET /cdn/[0-9a-f]{64} bytes=1000000-", each) for each in server.requests)


def test_a_download_that_is_killed_leaves_nothing_that_looks_whole(server: Hub, tmp_path: Path) -> None:
    server.stall = threading.Event()
    code = (
        "import sys; from pathlib import Path; from pellucid.pretrained import hub; "
        f"hub.fetch({REPOSITORY!r}, endpoint={server.address!r}, cache=Path({str(tmp_path / 'cache')!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert server.halfway.wait(PATIENCE)
    process.kill()
    process.wait()
    assert list((tmp_path / "cache").rglob("model.safetensors")) == []
    server.stall.set()
    server.stall = None
    assert fetch(server, tmp_path).weights.read_bytes() == server.commits[FIRST]["model.safetensors"]


@pytest.mark.parametrize("pickle", ["pytorch_model.bin", None])
def test_a_repository_without_safetensors(pickle: str | None, server: Hub, tmp_path: Path) -> None:
    del server.commits[FIRST]["model.safetensors"]
    if pickle is None:
        assert refused(server, tmp_path).startswith(f"{REPOSITORY} has no model.safetensors. Look for")
        return
    server.commits[FIRST][pickle] = b"\x80\x02."
    assert refused(server, tmp_path).startswith(
        f"{REPOSITORY} has no model.safetensors, only pytorch_model.bin: a pickle of unknown hash, which can run code"
    )
    assert [each for each in server.requests if each.startswith("GET") and "pytorch_model" in each] == []


def test_a_repository_without_config(server: Hub, tmp_path: Path) -> None:
    del server.commits[FIRST]["config.json"]
    assert refused(server, tmp_path).startswith(f"{REPOSITORY} has no config.json, which says what network")


@pytest.mark.parametrize("name", ["timm", "a/b/c", "-x/y", "timm/x@"])
def test_names_that_no_repository_has(name: str, server: Hub, tmp_path: Path) -> None:
    refused(server, tmp_path, name)
    assert server.requests == []


def test_without_the_package_the_error_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['huggingface_hub'] = None\n"
        "from pellucid.pretrained import hub\nfrom pellucid.errors import ArtefactError\n"
        "try:\n    hub.fetch('timm/x')\nexcept ArtefactError as error:\n    print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == (
        "timm/x is on a hub. Reading it needs huggingface_hub, which is not installed: pip install 'pellucid[hub]'\n"
    )


def test_find_reads_a_repository_as_the_users_own_settings_say(server: Hub, tmp_path: Path) -> None:
    """HF_ENDPOINT and HF_HOME belong to the hub's client; a process that starts with them needs nothing of ours."""
    environment: dict[str, Any] = {
        **os.environ,
        "HF_ENDPOINT": server.address,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    code = (
        "from pathlib import Path; from pellucid.pretrained.find import find; "
        f"known = find({REPOSITORY!r}, Path({str(tmp_path / 'ours')!r})); print(known.source, known.name)"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (result.stdout, result.stderr) == (f"{REPOSITORY}@{FIRST} {SMALL}\n", "")
    assert list((tmp_path / "home" / "hub").glob("*/snapshots/*/model.safetensors"))
