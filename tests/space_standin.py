"""A Hub with Spaces over real HTTP, for the unmodified client: repositories in memory, and the rules for their README."""

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from hub_standin import Answering

TOKEN = "hf_good"
COLOURS = (
    "red",
    "yellow",
    "green",
    "blue",
    "indigo",
    "purple",
    "pink",
    "gray",
)  # as the Hub's documentation lists them


@dataclass
class Space:
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    private: bool = False
    sdk: str = ""
    commits: list[str] = field(default_factory=list[str])  # their messages


def errors_of(readme: str) -> list[str]:
    """What the Hub would say is wrong with the front matter of a Space's README."""
    if not readme.startswith("---\n") or "\n---\n" not in readme[4:]:
        return ["there is no front matter"]
    facts = yaml.safe_load(readme[4:].partition("\n---\n")[0])
    wrong = [
        f'"{name}" is required' for name in ("title", "emoji", "colorFrom", "colorTo", "sdk") if not facts.get(name)
    ]
    wrong += [
        f'"{name}" must be one of {COLOURS}' for name in ("colorFrom", "colorTo") if facts.get(name) not in COLOURS
    ]
    if facts.get("sdk") not in ("gradio", "docker", "static"):
        wrong.append('"sdk" must be one of [gradio, docker, static]')
    if not all(isinstance(facts.get(name), str) for name in ("sdk_version", "python_version", "app_file", "license")):
        wrong.append("versions, file and license must be strings")  # 3.10 would become 3.1
    if str(facts.get("emoji", "a")).isascii():
        wrong.append('"emoji" must be an emoji')
    if len(facts.get("short_description", "")) > 60:
        wrong.append('"short_description" length must be less than or equal to 60 characters long')
    for name in ("tags", "models"):
        if not all(isinstance(one, str) for one in facts.get(name, [])):
            wrong.append(f'"{name}" must be strings')
    return wrong


class Hub:
    """The server; `asked` holds a line for each request, such as "POST /api/repos/create"."""

    def __init__(self) -> None:
        self.spaces: dict[str, Space] = {}
        self.asked: list[str] = []
        self.stored: dict[str, bytes] = {}
        hub = self

        class Handler(_Handler):
            def __init__(self, *args: Any) -> None:
                self.hub = hub
                super().__init__(*args)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Handler(Answering):
    hub: Hub

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.asked.append(f"{self.command} {path}")
        if path.startswith("/store/"):
            oid = path.rpartition("/")[2]
            if hashlib.sha256(body).hexdigest() != oid:
                return self._send(400, {"error": "wrong bytes"})
            self.hub.stored[oid] = body
            return self._send(200, {})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._send(401, {"error": "Invalid token"}, X_Error_Code="RepoNotFound")
        if path == "/api/validate-yaml":
            wrong = errors_of(json.loads(body)["content"])
            return self._send(400 if wrong else 200, {"errors": [{"message": one} for one in wrong], "warnings": []})
        if path == "/api/repos/create":
            return self._created(json.loads(body))
        if path.endswith(".git/info/lfs/objects/batch"):
            return self._send(
                200, {"transfer": "basic", "objects": list(map(self._upload, json.loads(body)["objects"]))}
            )
        if path == "/verify":
            return self._send(200, {})
        owner, own, *more = [*path.removeprefix("/api/spaces/").split("/", 2), ""]
        name, rest = f"{owner}/{own}", more[0]
        space = self.hub.spaces.get(name)
        if space is None:
            return self._send(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        return self._of_space(space, name, rest, body)

    def _created(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] != "ann":
            return self._send(403, {"error": f"You cannot create {name}"})
        url = f"{self.hub.url}/spaces/{name}"
        if name in self.hub.spaces:
            return self._send(409, {"error": "You already created this", "url": url})
        assert asked["type"] == "space" and asked["sdk"] == "gradio"
        self.hub.spaces[name] = Space(private=asked.get("visibility") == "private", sdk=asked["sdk"])
        return self._send(200, {"url": url})

    def _upload(self, asked: dict[str, Any]) -> dict[str, Any]:
        facts = {"oid": asked["oid"], "size": asked["size"]}
        if asked["oid"] in self.hub.stored:
            return facts
        upload = {"href": f"{self.hub.url}/store/{asked['oid']}"}
        return {**facts, "actions": {"upload": upload, "verify": {"href": f"{self.hub.url}/verify"}}}

    def _of_space(self, space: Space, name: str, rest: str, body: bytes) -> None:
        if not rest or rest.startswith("revision/"):
            files = [{"rfilename": file} for file in space.files]
            return self._send(200, {"id": name, "sha": "0" * 40, "private": space.private, "siblings": files})
        if rest.startswith("tree/"):
            entries = [
                {"type": "file", "path": file, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for file, content in space.files.items()
            ]
            return self._send(200, entries)
        if rest.startswith("preupload/"):
            modes = [
                {
                    "path": one["path"],
                    "uploadMode": "lfs" if one["path"].endswith((".safetensors", ".webp", ".jpg")) else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for one in json.loads(body)["files"]
            ]
            return self._send(200, {"files": modes})
        if rest.startswith("commit/"):
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "header":
                    space.commits.append(value["summary"])
                elif line["key"] == "file":
                    space.files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    space.files[value["path"]] = self.hub.stored[value["oid"]]
                elif line["key"] == "deletedFile":
                    del space.files[value["path"]]
            return self._send(200, {"commitOid": "1" * 40, "commitUrl": f"{self.hub.url}/spaces/{name}/commit/1"})
        return self._send(404, {"error": "There is nothing here"})
