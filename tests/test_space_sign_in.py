"""Signing in on a Space: the whole way through a provider of our own over HTTP, and what the page then shows to whom."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from genrestore.hub import listed

jwt = pytest.importorskip("joserfc.jwt", reason="authlib is not installed")
pytest.importorskip("itsdangerous", reason="itsdangerous is not installed")
jwk = pytest.importorskip("joserfc.jwk", reason="authlib is not installed")

HUB = {"x-forwarded-host": "ann-pictures.hf.space", "x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.9"}


class Provider:
    """An OpenID provider: whoever brings a code is signed in under that name."""

    def __init__(self) -> None:
        self.key = jwk.RSAKey.generate_key(2048, parameters={"kid": "one"})
        self.nonce = ""
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None: ...

            def do_GET(self) -> None:
                self._send(provider.key_set() if self.path == "/jwks" else provider.facts())

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self._send(provider.token(form["code"][0]))

            def _send(self, body: Any) -> None:
                content = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def facts(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def key_set(self) -> dict[str, Any]:
        return {"keys": [self.key.as_dict(private=False)]}

    def token(self, name: str) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": self.url, "sub": name, "aud": "client", "iat": now, "exp": now + 600, "nonce": self.nonce,
            "name": name, "preferred_username": name, "profile": f"{self.url}/{name}", "picture": f"{self.url}/x.png",
        }  # fmt: skip
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)
        return {"access_token": "x", "token_type": "Bearer", "expires_in": 600, "id_token": signed}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    running = Provider()
    yield running
    running.server.shutdown()


@pytest.fixture(scope="module")
def page(provider: Provider, start_app: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of a Space of ann's."""
    home: Path = tmp_path_factory.mktemp("home")
    return start_app(
        cold=True, GENRESTORE_HOME=str(home), SYSTEM="spaces", SPACE_ID="ann/pictures", SPACE_HOST="ann-pictures.hf.space",
        OAUTH_CLIENT_ID="client", OAUTH_CLIENT_SECRET="secret", OAUTH_SCOPES="openid profile",
        OPENID_PROVIDER_URL=provider.url, HF_HOME=str(home / "hf"), HF_ENDPOINT="http://127.0.0.1:9", HF_TOKEN="",
    )  # fmt: skip


def signed_in(page: str, provider: Provider, name: str) -> str:
    """The cookie of a visitor who has signed in, as a browser keeps it that came through the Hub's https."""
    away = httpx.get(f"{page}/login/huggingface", headers=HUB, timeout=60)
    assert away.status_code == 302, away.text
    asked = parse_qs(urlsplit(away.headers["location"]).query)
    assert away.headers["location"].startswith(f"{provider.url}/authorize")
    assert asked["redirect_uri"][0].startswith("https://ann-pictures.hf.space/login/callback")
    provider.nonce = asked["nonce"][0]
    cookie = away.headers["set-cookie"].partition(";")[0]
    back = httpx.get(
        f"{page}/login/callback", params={"code": name, "state": asked["state"][0]}, headers={**HUB, "cookie": cookie},
        timeout=60,
    )  # fmt: skip
    assert back.status_code in (302, 307) and back.headers["location"].startswith("/"), back.text
    return back.headers["set-cookie"].partition(";")[0]


def fired(page: str, cookie: str, elem_id: str, event: str, *data: Any) -> tuple[list[Any], str]:
    """What an event of a part answers to whoever has this cookie, and what a toast says."""
    headers = {**HUB, "cookie": cookie, "origin": "https://ann-pictures.hf.space", "sec-fetch-site": "same-origin"}
    config = httpx.get(f"{page}/config", headers=headers, timeout=60).json()
    (part,) = (part["id"] for part in config["components"] if part["props"].get("elem_id") == elem_id)
    (fn,) = (
        one["id"] for one in config["dependencies"]
        if part in one["outputs"]
        and any(target[1] == event and (event == "load" or target[0] == part) for target in one["targets"])
    )  # fmt: skip
    session = f"s{abs(hash(cookie))}"
    asked = {"data": [*data], "fn_index": fn, "session_hash": session}
    httpx.post(f"{page}/gradio_api/queue/join", json=asked, headers=headers, timeout=60).raise_for_status()
    said = ""
    told = f"{page}/gradio_api/queue/data?session_hash={session}"
    with httpx.stream("GET", told, headers=headers, timeout=60) as stream:
        for line in filter(None, stream.iter_lines()):
            answer = json.loads(line.removeprefix("data: "))
            if answer["msg"] == "log":
                said = answer["log"]
            elif answer["msg"] == "process_completed":
                assert answer["success"], answer
                return answer["output"]["data"], said
    raise AssertionError("the event did not end")


def shown(page: str, cookie: str) -> bool:
    """Whether the page opens the training to whoever has this cookie."""
    return fired(page, cookie, "train-new", "load")[0][0]["visible"]


def test_the_training_opens_to_the_signed_in_owner_alone(page: str, provider: Provider) -> None:
    assert shown(page, signed_in(page, provider, "ann"))
    assert not shown(page, signed_in(page, provider, "bob"))
    assert not shown(page, "")
    assert not shown(page, "session=forged"), "a cookie counts only with the server's signature"


def test_a_space_fetches_what_is_listed_and_its_owner_alone_deletes(page: str, provider: Provider) -> None:
    listed_one, other = listed.models()[0].reference, {"do": "fetch", "reference": "hf:bob/other"}
    for cookie in (signed_in(page, provider, "ann"), ""):
        assert "only the models of its list" in fired(page, cookie, "models", "order", other)[1]
        assert "only the models of its list" in fired(page, cookie, "upscale-more", "order", other)[1]
        for part in ("models", "inpaint-more"):
            said = fired(page, cookie, part, "order", {"do": "look", "reference": listed_one})[1]
            assert said.startswith("The Hub at http://127.0.0.1:9 does not answer")
        said = fired(page, cookie, "models", "order", {"do": "delete", "name": "span-x4"})[1]
        assert ("only your own models can be deleted" if cookie else "whoever runs it") in said
