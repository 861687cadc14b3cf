"""A server on this machine that speaks the model hub's protocol, for its unmodified client.

It creates repositories and branches; says how a file is to be sent (preupload); takes large files by the LFS protocol
(batch, upload, verify) and commits as lines of JSON; and serves a file by its revision: small ones itself, large ones
by a redirect to another host. It fails where a test wants it to.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants
from tests.hub import xet
from tests.patience import PATIENCE

REPOSITORY = "timm/mobilenetv2_100.ra_in1k"
FIRST, SECOND = "1" * 40, "2" * 40
LARGE = (".safetensors", ".onnx", ".pt2")

Files = dict[str, bytes]


@dataclass
class Repo:
    """A repository's commits, its branches, and each commit's message."""

    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=lambda: {"main": FIRST})
    private: bool = False
    messages: dict[str, str] = field(default_factory=dict)

    def head(self, branch: str = "main") -> Files:
        """The files at the end of a branch."""
        return self.commits[self.branches[branch]]


@dataclass
class Hub:
    """The server's content, and its failures."""

    address: str = ""
    repositories: dict[str, Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    """Large files that were sent, by SHA-256."""
    status: int = 0
    """Of every answer, unless it is 0."""
    error: str = ""
    said: str = ""
    """The message of a refusal."""
    token: str = ""
    """The token that a request must have."""
    failing: dict[str, list[int]] = field(default_factory=dict)
    """Part of a request's line -> the statuses of its next answers; 0 closes the connection instead."""
    before: dict[str, Callable[[], object]] = field(default_factory=dict)
    """Part of a request's line -> what happens once before it is answered."""
    lies: str = ""
    """The end of the names of files for which it states the hash of another."""
    lost: str = ""
    """Part of the line of a request that is carried out, but whose answer is lost, once."""
    cut: int = 0
    """Bytes after which it hangs up, the next time."""
    stall: threading.Event | None = None
    """The event that it waits for after half of a file."""
    halfway: threading.Event = field(default_factory=threading.Event)
    requests: list[str] = field(default_factory=list)
    xet: bool = False
    """Whether it has the newer storage, too."""
    unread: list[str] = field(default_factory=list)
    """What the card's metadata lack, as the hub would say."""

    @property
    def commits(self) -> dict[str, Files]:
        """Of the repository of known weights."""
        return self.repositories[REPOSITORY].commits

    @property
    def main(self) -> str:
        return self.repositories[REPOSITORY].branches["main"]

    @main.setter
    def main(self, commit: str) -> None:
        self.repositories[REPOSITORY].branches["main"] = commit


class Refused(Exception):
    def __init__(self, status: int, code: str = "", commit: str = "", said: str = "") -> None:
        super().__init__(status)
        self.status, self.code, self.commit, self.said = status, code, commit, said


class Answering(BaseHTTPRequestHandler):
    """Answers one request after another of a connection."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer()

    do_GET = do_POST = do_PUT = do_HEAD

    def answer(self) -> None:
        hub, line = self.hub, f"{self.command} {self.path}"
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        hub.requests.append(f"{line} {self.headers.get('Range', '')}".strip())
        for part in [part for part in hub.before if part in line]:
            hub.before.pop(part)()
        try:
            for part in [part for part in hub.failing if part in line]:
                status = hub.failing[part].pop(0)
                if not hub.failing[part]:
                    del hub.failing[part]
                if not status:
                    self.close_connection = True
                    return None
                raise Refused(status, said=hub.said)
            if hub.status:
                raise Refused(hub.status, hub.error, said=hub.said)
            path = unquote(urlsplit(self.path).path)
            if path.startswith("/cdn/"):  # whose address is the permission
                return self.large(hub.objects[path.rpartition("/")[2]])
            if path.startswith("/xet/"):
                return self.newer(path.split("/")[3], body)
            if path.startswith("/lfs/"):
                return self.take(path.rpartition("/")[2], body)
            if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
                raise Refused(401, "GatedRepo")
            return self.route(path, json.loads(body) if body and b"\n" not in body.strip() else body)
        except Refused as refused:
            return self.refuse(refused)

    def newer(self, verb: str, body: bytes) -> None:
        """The newer storage: chunks in a body; then the list of the files that they make up."""
        if verb == "xorbs" and "/v1/" in self.path:
            self.hub.objects |= {hashlib.sha256(chunk).hexdigest(): chunk for chunk in xet.chunks(body)}
            return self.send({"was_inserted": True})
        if verb == "shards" and "/v1/" in self.path:
            return self.send({"result": 1})
        raise Refused(404)

    def route(self, path: str, body: Any) -> None:
        hub = self.hub
        if path == "/api/repos/create":
            return self.create(body)
        if path == "/api/validate-yaml":
            return self.validate(body)
        if match := re.fullmatch(r"/([\w.-]+/[\w.-]+)\.git/info/lfs/objects/(batch|verify)", path):
            return self.lfs(match[1], match[2], body)
        if match := re.fullmatch(r"/api/models/([\w.-]+/[\w.-]+)(?:/(\w[\w-]*)/(.+))?", path):
            name, verb, rest = match[1], match[2] or "revision", match[3] or "main"
            repo = self.repo(name)
            if verb == "branch":
                repo.branches[rest] = repo.branches["main"]
                return self.send({})
            if verb == "xet-write-token" and hub.xet:
                return self.send({"casUrl": f"{hub.address}/xet", "accessToken": "xet", "exp": 9_999_999_999})
            if verb.startswith("xet-"):
                raise Refused(404)
            commit = self.commit_of(repo, rest)
            does = {"revision": self.info, "preupload": self.preupload, "commit": self.commit}[verb]
            return does(name, repo, commit, rest, body)
        if match := re.fullmatch(r"/([\w.-]+/[\w.-]+)/resolve/(.+)", path):
            return self.resolve(self.repo(match[1]), match[2])
        raise Refused(404)

    def repo(self, name: str) -> Repo:
        if name not in self.hub.repositories:
            raise Refused(404, "RepoNotFound")
        return self.hub.repositories[name]

    def commit_of(self, repo: Repo, revision: str) -> str:
        commit = repo.branches.get(revision, revision)
        if commit not in repo.commits:
            raise Refused(404, "RevisionNotFound")
        return commit

    def create(self, body: dict[str, Any]) -> None:
        name = f"{body['organization']}/{body['name']}"
        if name in self.hub.repositories:
            self.send({"error": "You already created it", "url": f"{self.hub.address}/{name}"}, 409)
            return
        private = body.get("visibility", "public") == "private"
        commit = hashlib.sha1(name.encode()).hexdigest()
        attributes = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
        self.hub.repositories[name] = Repo({commit: {".gitattributes": attributes}}, {"main": commit}, private)
        self.send({"url": f"{self.hub.address}/{name}", "name": name})

    def validate(self, body: dict[str, Any]) -> None:
        if not body["content"].startswith("---\n") or "\n---\n" not in body["content"][4:]:
            return self.send({"errors": [{"message": "no metadata"}], "warnings": []}, 400)
        return self.send({"errors": [], "warnings": [{"message": each} for each in self.hub.unread]})

    def info(self, name: str, repo: Repo, commit: str, rest: str, body: Any) -> None:
        siblings = [{"rfilename": file} for file in sorted(repo.commits[commit])]
        self.send({"id": name, "sha": commit, "private": repo.private, "siblings": siblings, "tags": []})

    def preupload(self, name: str, repo: Repo, commit: str, rest: str, body: Any) -> None:
        there, answers = repo.commits[commit], []
        for file in body["files"]:
            large = file["path"].endswith(LARGE)
            answer = {"path": file["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
            if file["path"] in there:
                answer["oid"] = digest(file["path"], there[file["path"]])
            answers.append(answer)
        self.send({"files": answers})

    def lfs(self, name: str, verb: str, body: dict[str, Any]) -> None:
        if verb == "verify":
            if len(self.hub.objects.get(body["oid"], b"")) != body["size"]:
                raise Refused(404, said="the object is not there")
            return self.send({})
        objects = []
        for each in body["objects"]:
            actions = {
                "upload": {"href": f"{self.hub.address}/lfs/{each['oid']}"},
                "verify": {"href": f"{self.hub.address}/{name}.git/info/lfs/objects/verify"},
            }
            objects.append({**each, **({} if each["oid"] in self.hub.objects else {"actions": actions})})
        return self.send({"transfer": "basic", "objects": objects})

    def take(self, oid: str, body: bytes) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            raise Refused(400, said="the hash differs")
        self.hub.objects[oid] = body
        self.send({})

    def commit(self, name: str, repo: Repo, parent: str, branch: str, body: Any) -> None:
        lines = [json.loads(line) for line in (body.splitlines() if isinstance(body, bytes) else [json.dumps(body)])]
        about = lines[0]["value"]
        if about.get("parentCommit", parent) != parent:
            raise Refused(412, said="A commit has happened since. Please refresh and try again.")
        content = dict(repo.commits[parent])
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                content[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.hub.objects:
                    raise Refused(400, said=f"{value['path']} was not uploaded")
                content[value["path"]] = self.hub.objects[value["oid"]]
            else:
                assert line["key"] == "deletedFile"
                del content[value["path"]]
        commit = hashlib.sha1(parent.encode() + repr(sorted(content.items())).encode()).hexdigest()
        repo.commits[commit], repo.messages[commit] = content, about["summary"]
        repo.branches[branch] = commit
        url = f"{self.hub.address}/{name}/commit/{commit}"
        self.send({"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})

    def resolve(self, repo: Repo, rest: str) -> None:
        revision = next((each for each in repo.branches if rest.startswith(f"{each}/")), rest.split("/")[0])
        commit, file = self.commit_of(repo, revision), rest.removeprefix(f"{revision}/")
        if file not in repo.commits[commit]:
            raise Refused(404, "EntryNotFound", commit)
        body = repo.commits[commit][file]
        stated = digest(file, b"another" if self.hub.lies and file.endswith(self.hub.lies) else body)
        if not file.endswith(LARGE):  # kept in git
            return self.send(body, headers={"ETag": f'"{stated}"', "X-Repo-Commit": commit})
        oid = digest(file, body)
        self.hub.objects[oid] = body
        # another host, as the hub's own storage is
        place = f"{self.hub.address.replace('127.0.0.1', 'localhost')}/cdn/{oid}"
        linked = {"X-Linked-Etag": f'"{stated}"', "X-Linked-Size": str(len(body))}
        headers = {"ETag": '"redirect"', "X-Repo-Commit": commit, "Location": place, **linked}
        return self.send(b"", 302, headers)

    def large(self, body: bytes) -> None:
        hub, wanted = self.hub, self.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        if self.command == "HEAD":
            return
        if hub.cut:
            self.wfile.write(body[start : start + hub.cut])
            hub.cut = 0
            self.close_connection = True
            return
        if hub.stall is not None:
            self.wfile.write(body[start : len(body) // 2])
            self.wfile.flush()
            hub.halfway.set()
            hub.stall.wait(PATIENCE)
            self.close_connection = True
            return
        self.wfile.write(body[start:])

    def send(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        if self.hub.lost and self.hub.lost in self.path:
            self.hub.lost, self.close_connection = "", True
            return
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, refused: Refused) -> None:
        headers = {"X-Error-Code": refused.code, "X-Repo-Commit": refused.commit, "X-Error-Message": refused.said}
        self.send(b"", refused.status, {name: value for name, value in headers.items() if value})


def digest(file: str, body: bytes) -> str:
    """The hash that the hub states: SHA-256 of a large file, git's of a small one."""
    if file.endswith(LARGE):
        return hashlib.sha256(body).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub, with its address."""
    service = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Answering,), {"hub": hub}))
    service.daemon_threads = True
    hub.address = f"http://127.0.0.1:{service.server_address[1]}"
    thread = threading.Thread(target=service.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        if hub.stall is not None:
            hub.stall.set()
        service.shutdown()
        service.server_close()
        thread.join()


def no_account(patch: pytest.MonkeyPatch) -> None:
    """The client of somebody without a token, whatever this machine has."""
    patch.delenv("HF_TOKEN", raising=False)
    patch.setattr(constants, "HF_TOKEN_PATH", "/nowhere/token")
    patch.setattr(constants, "HF_HUB_OFFLINE", False)


def as_the_users_hub(patch: pytest.MonkeyPatch, address: str, cache: Path) -> None:
    """Make `address` the hub that the client of this process calls, and `cache` its cache."""
    patch.setattr(constants, "ENDPOINT", address)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    patch.setattr(constants, "HF_HUB_CACHE", str(cache))
