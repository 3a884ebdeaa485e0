"""A Hub of our own over real HTTP, for the unmodified client: repositories in memory, and faults on demand."""

import base64
import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_good"
LFS = (".safetensors", ".webp", ".pth", ".pt", ".ckpt")
Files = dict[str, bytes]


def blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Repository:
    commits: dict[str, Files] = field(default_factory=dict[str, Files])
    refs: dict[str, str] = field(default_factory=dict[str, str])
    private: bool = False
    gated: bool = False
    meta: dict[str, Any] = field(default_factory=dict[str, Any])  # what the metadata of its README say
    faults: dict[str, str] = field(
        default_factory=dict[str, str]
    )  # file → "cut", "wrong", "slow", "last" (the Hub is dead after it)
    listed: list[str] = field(default_factory=list[str])  # names that it claims to hold besides

    def put(self, files: Files, ref: str = "main") -> str:
        """A new commit of all the files."""
        text = json.dumps({name: sha256(content) for name, content in sorted(files.items())}) + str(len(self.commits))
        commit = hashlib.sha1(text.encode()).hexdigest()
        self.commits[commit] = files
        self.refs[ref] = commit
        return commit


class Hub:
    """The server; `asked` holds a line for each request, such as "GET /ann/net/resolve/…/model.safetensors"."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.asked: list[str] = []
        self.stored: dict[str, bytes] = {}
        self.pause = 0.0  # seconds between two pieces of a slow file
        self.dead = False  # closes every connection without a word
        hub = self

        class Handler(_Handler):
            def __init__(self, *args: Any) -> None:
                self.hub = hub
                super().__init__(*args)

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def new(self, name: str, files: Files, **more: Any) -> Repository:
        made = self.repositories[name] = Repository(**more)
        made.put(files)
        return made

    def fetched(self, name: str) -> list[str]:
        """The files of a repository that were sent, in their order."""
        return [line.rpartition("/")[2] for line in self.asked if line.startswith(f"GET /{name}/resolve/")]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None: ...  # whoever was cancelled hangs up


class Answering(BaseHTTPRequestHandler):
    """Each request is answered by `_answer`, which `_send` helps."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None: ...

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        raise NotImplementedError

    def _send(self, status: int, body: Any = b"", **headers: Any) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        sent = {"Content-Length": len(content), "Content-Type": "application/json"} | headers
        for name, value in sent.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class _Handler(Answering):
    hub: Hub

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._send(status, {"error": message}, X_Error_Code=code, X_Error_Message=message)

    @property
    def _known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _answer(self) -> None:
        if self.hub.dead:
            self.close_connection = True
            return
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), parse_qs(parts.query)
        self.hub.asked.append(f"{self.command} {path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        for pattern, method in (
            (r"/api/whoami-v2", self._whoami),
            (r"/api/validate-yaml", self._validated),
            (r"/api/repos/create", self._create),
            (r"/api/models/([^/]+/[^/]+)/preupload/(.+)", self._preupload),
            (r"/api/models/([^/]+/[^/]+)/commit/(.+)", self._commit),
            (r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", self._tree),
            (r"/api/models/([^/]+/[^/]+?)(?:/revision/(.+))?", self._info),
            (r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", self._batch),
            (r"/lfs/([0-9a-f]{64})", self._store),
            (r"/([^/]+/[^/]+)/resolve/(refs/pr/\d+|[^/]+)/(.+)", self._file),
        ):
            if found := re.fullmatch(pattern, path):
                method(body, query, *found.groups())
                return
        self._refuse(404, "", f"no route {path}")

    def _repository(self, name: str) -> Repository | None:
        """The repository, if whoever asks may see it; else the refusal was sent."""
        found = self.hub.repositories.get(name)
        if found is None or (found.private and not self._known):
            self._refuse(404 if self._known else 401, "RepoNotFound", "Repository not found")
        else:
            return found
        return None

    def _whoami(self, *_: Any) -> None:
        if self._known:
            self._send(200, {"type": "user", "name": "ann", "orgs": [], "auth": {}})
        else:
            self._refuse(401, "", "Invalid credentials")

    def _validated(self, *_: Any) -> None:
        self._send(200, {"errors": [], "warnings": []})

    def _create(self, body: bytes, *_: Any) -> None:
        if not self._known:
            self._refuse(401, "", "Invalid credentials")
            return
        asked = json.loads(body)
        name = f"{asked.get('organization') or 'ann'}/{asked['name']}"
        if name in self.hub.repositories:
            self._send(409, {"url": f"{self.hub.url}/{name}", "error": "exists"})
            return
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.hub.repositories[name] = made = Repository(private=private)
        made.put({})
        self._send(200, {"url": f"{self.hub.url}/{name}", "name": name})

    def _info(self, body: bytes, query: dict[str, list[str]], name: str, revision: str | None) -> None:
        found = self._repository(name)
        if found is None:
            return
        commit = self._commit_of(found, revision or "main")
        if commit is None:
            return
        siblings: list[dict[str, Any]] = [{"rfilename": each} for each in found.listed]
        for path, content in found.commits[commit].items():
            entry: dict[str, Any] = {"rfilename": path}
            if "blobs" in query:
                entry |= {"size": len(content), "blobId": blob(content)}
                if path.endswith(LFS):
                    entry["lfs"] = {"sha256": sha256(content), "size": len(content), "pointerSize": 130}
            siblings.append(entry)
        meta = {**found.meta, **_front_matter(found.commits[commit])}
        told = {"id": name, "sha": commit, "siblings": siblings, "private": found.private, "gated": False, "tags": []}
        self._send(200, told | ({"cardData": meta} if meta else {}))

    def _tree(self, body: bytes, query: Any, name: str, revision: str) -> None:
        found = self._repository(name)
        commit = self._commit_of(found, revision) if found else None
        if found and commit:
            self._send(200, [
                {"type": "file", "path": path, "size": len(content), "oid": blob(content)}
                for path, content in found.commits[commit].items()
            ])  # fmt: skip

    def _commit_of(self, found: Repository, revision: str) -> str | None:
        commit = found.refs.get(revision, revision)
        if commit in found.commits:
            return commit
        self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return None

    def _file(self, body: bytes, query: Any, name: str, revision: str, path: str) -> None:
        found = self._repository(name)
        commit = self._commit_of(found, revision) if found else None
        if found is None or commit is None:
            return
        if found.gated:  # which everybody may look at, but not have
            self._refuse(403 if self._known else 401, "GatedRepo", "Access to this model is restricted")
            return
        if path not in found.commits[commit]:
            self._refuse(404, "EntryNotFound", "Entry not found")
            return
        content = found.commits[commit][path]
        etag = sha256(content) if path.endswith(LFS) else blob(content)
        headers: dict[str, Any] = {"X_Repo_Commit": commit, "ETag": f'"{etag}"', "Accept_Ranges": "bytes"}
        fault = found.faults.get(path, "") if self.command == "GET" else ""
        if fault == "wrong":
            content = bytes(len(content))
        start = int(re.sub(r"\D", "", self.headers.get("Range") or "0"))
        rest = content[start:]
        if fault in ("cut", "slow"):
            self.send_response(206 if start else 200)
            if start:
                headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            for key, value in (headers | {"Content_Length": len(rest)}).items():
                self.send_header(key.replace("_", "-"), str(value))
            self.end_headers()
            self._piecewise(rest, fault)
            return
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.hub.dead = fault == "last"
        self._send(206 if start else 200, rest, **headers)

    def _piecewise(self, content: bytes, fault: str) -> None:
        self.close_connection = True
        if fault == "cut":
            self.wfile.write(content[: len(content) // 2])
            return
        for place in range(0, len(content), 1 << 20):
            self.wfile.write(content[place : place + (1 << 20)])
            self.wfile.flush()
            time.sleep(self.hub.pause)

    # --- what is sent here -------------------------------------------------------------------------------------------

    def _preupload(self, body: bytes, query: Any, name: str, revision: str) -> None:
        if self._repository(name) is None:
            return
        if not self._known:
            self._refuse(403, "", "You may not write")
            return
        modes = [
            {"path": path, "uploadMode": "lfs" if path.endswith(LFS) else "regular", "shouldIgnore": False, "oid": None}
            for path in (one["path"] for one in json.loads(body)["files"])
        ]
        self._send(200, {"files": modes})

    def _batch(self, body: bytes, query: Any, name: str) -> None:
        wanted = json.loads(body)["objects"]
        self._send(200, {"transfer": "basic", "objects": [
            {**one, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}", "header": {}}}} for one in wanted
        ]})  # fmt: skip

    def _store(self, body: bytes, query: Any, oid: str) -> None:
        assert sha256(body) == oid
        self.hub.stored[oid] = body
        self._send(200)

    def _commit(self, body: bytes, query: Any, name: str, revision: str) -> None:
        found = self._repository(name)
        if found is None:
            return
        files = dict(found.commits[found.refs[revision]])
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.hub.stored[value["oid"]]
        commit = found.put(files, revision)
        self._send(200, {"commitOid": commit, "commitUrl": f"{self.hub.url}/{name}/commit/{commit}", "success": True})


def _front_matter(files: Files) -> dict[str, Any]:
    import yaml

    text = files.get("README.md", b"").decode()
    found = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    return yaml.safe_load(found[1]) if found else {}
