"""What the page's server refuses, hides, bounds and leaves behind: asked over HTTP, without a browser."""

import asyncio
import errno
import io
import itertools
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from conftest import ROOT, free_port
from fastapi import FastAPI
from filelock import FileLock
from fuzzing import mutated
from gradio import utils
from gradio_client import Client
from PIL import Image

from genrestore import ui
from genrestore.__main__ import main
from genrestore.errors import SettingError
from genrestore.pictures import image
from genrestore.ui.parts.toasts import with_toasts
from genrestore.ui.server import guard, serve, uploads, visitors
from genrestore.ui.server.access import Access
from genrestore.ui.server.guard import Guard, RefusedError, Sessions, Setting
from genrestore.ui.server.uploads import Folder, Uploads
from genrestore.ui.server.visitors import BusyError, Gate, visitor

OWN = "page.example:7860"  # what browsers of other computers call the page in these tests
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serve.Server]:
    """The whole page, served from this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(uploads.VARIABLE, str(tmp_path_factory.mktemp("files")))
        patch.setattr(ui, "_warm", lambda: None)
        running = ui.launch(port=free_port())
        yield running
        running.close()


@pytest.fixture
def client(server: serve.Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.local_url, timeout=60) as asking:
        yield asking


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., httpx.Client]]:
    """serving(page, setting) → a client of a small page behind a guard of its own; `.guard` is the guard."""
    running: list[tuple[serve.Server, httpx.Client]] = []
    monkeypatch.setenv(uploads.VARIABLE, str(tmp_path))

    def start(page: gr.Blocks, setting: Setting = Setting()) -> httpx.Client:  # noqa: B008 (a constant)
        folder = Folder()
        host = FastAPI()
        gr.mount_gradio_app(host, page.queue(max_size=visitors.WAITING), path="/", show_error=False)
        guarding = Guard(host, page, setting)
        stop: Any = host.routes[-1]
        begun = serve.Server(page, guarding, stop.app.stop_event, serve.listen(None, free_port()), folder)
        asking = httpx.Client(base_url=begun.local_url, timeout=60)
        asking.guard = guarding  # pyright: ignore[reportAttributeAccessIssue]
        running.append((begun, asking))
        return asking

    yield start
    for begun, asking in running:
        asking.close()
        begun.close()


def left(server: serve.Server) -> list[str]:
    """What lies in the folder of a server beside its lock."""
    return sorted(
        entry.name for entry in server.folder.path.iterdir() if entry.name not in (uploads.LOCK, "vibe_edit_history")
    )


def stored(folder: Path, answer: httpx.Response) -> Path:
    """Where an upload lies; its answer does not say it."""
    (alias,) = answer.json()
    return folder / alias.removeprefix(f"{uploads.FILES}/")


def png(width: int = 8, height: int = 8) -> bytes:
    data = io.BytesIO()
    Image.new("1", (width, height)).save(data, "PNG")
    return data.getvalue()


def component(page: gr.Blocks, elem_id: str) -> int:
    return next(key for key, block in page.blocks.items() if block.elem_id == elem_id)


def ask(
    client: httpx.Client, page: gr.Blocks, elem_id: str, function: str, data: Any, **headers: str
) -> httpx.Response:
    body = {"session_hash": "s", "component_id": component(page, elem_id), "fn_name": function, "data": data}
    return client.post(guard.QUESTION, json=body, headers=headers)


# ---- other sites ----


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"http://{OWN.replace('7860', '7861')}"},
        {"origin": f"http://{OWN}.evil.example"},
        {"origin": f"http://{OWN}", "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},  # a form that posts itself
    ],
)
@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
def test_another_site_is_refused_over_plain_http_too(
    server: serve.Server, client: httpx.Client, headers: dict[str, str], kind: str
) -> None:
    """Without https a browser says nothing in Sec-Fetch-Site, and asks nobody before it sends plain text."""
    body = json.dumps(
        {"session_hash": "s", "component_id": component(server.page, "watch"), "fn_name": "look", "data": {}}
    )
    for path in (guard.QUESTION, guard.JOIN, f"{guard.API}/call/sample", guard.UPLOAD, f"{guard.API}/run/predict"):
        answer = client.post(path, content=body, headers={"host": OWN, "content-type": kind, **headers})
        assert answer.status_code == 403, path
        assert "Another site" in answer.json()["error"]
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_refusal_is_read_by_who_is_still_sending(client: httpx.Client) -> None:
    """Closed on bytes that nobody read, a connection is reset, and the browser knows of nothing but a broken network."""
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=10) as sending:
        head = "Host: x\r\nOrigin: http://evil.example\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
        sending.sendall(f"POST {guard.QUESTION} HTTP/1.1\r\n{head}{{".encode())
        assert select.select([sending], [], [], 0.3)[0] == [], "it was answered, and closed, too early"
        sending.sendall(b"}")
        assert sending.recv(100).startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize("path", ["/config", f"{guard.API}/info", f"{guard.API}/queue/data?session_hash=s"])
def test_another_site_reads_nothing(client: httpx.Client, path: str) -> None:
    assert client.get(path, headers={"host": OWN, "origin": "http://evil.example"}).status_code == 403


def test_a_refusal_speaks_the_visitor_s_language(client: httpx.Client) -> None:
    asked = {"host": OWN, "origin": "http://evil.example", "accept-language": "zh-CN,zh;q=0.9"}
    assert "其他网站" in client.post(guard.JOIN, json={}, headers=asked).json()["error"]


def test_a_link_from_another_site_opens_the_page(client: httpx.Client) -> None:
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "host": OWN}
    assert client.get("/", headers=followed).status_code == 200
    assert client.get("/?__theme=dark", headers=followed).status_code == 200


def test_no_site_gets_leave_beforehand(client: httpx.Client) -> None:
    asked = {"host": OWN, "origin": "http://evil.example", "access-control-request-method": "POST"}
    answer = client.options(guard.JOIN, headers=asked)
    assert answer.status_code == 404
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": f"http://{OWN}"},
        {"origin": f"https://{OWN}", "sec-fetch-site": "same-origin"},
        {"host": "page.example", "origin": "https://page.example:443"},
    ],
)
def test_the_page_itself_and_programs_are_let_in(
    server: serve.Server, client: httpx.Client, headers: dict[str, str]
) -> None:
    answer = ask(client, server.page, "live", "catalogue", "all", **{"host": OWN, **headers})
    assert answer.status_code == 200
    assert answer.json()["models"]
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_only_json_is_read_as_json(client: httpx.Client) -> None:
    for kind in ("text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", ""):
        answer = client.post(guard.QUESTION, content=b"{}", headers={"content-type": kind})
        assert answer.status_code == 415


@pytest.mark.parametrize("header", visitors.FORWARDED)
def test_what_another_server_hands_on_is_not_local(server: serve.Server, client: httpx.Client, header: str) -> None:
    answer = ask(client, server.page, "watch", "look", {}, **{header: "127.0.0.1"})
    assert "this computer only" in answer.json()["problem"]
    assert "problem" not in ask(client, server.page, "watch", "look", {}).json()


def test_a_bare_proxy_is_not_local(server: serve.Server) -> None:
    """nginx without settings names this computer as the host and nobody as the visitor, but speaks HTTP/1.0."""
    question = {"session_hash": "s", "component_id": component(server.page, "watch"), "fn_name": "look", "data": {}}
    body = json.dumps(question)
    port = int(server.local_url.rsplit(":", 1)[1].strip("/"))
    for version, local in (("1.0", False), ("1.1", True)):
        lines = [f"POST {guard.QUESTION} HTTP/{version}", f"Host: 127.0.0.1:{port}", "Connection: close"]
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", body]
        with socket.create_connection(("127.0.0.1", port)) as asking:
            asking.sendall("\r\n".join(lines).encode())
            said = b"".join(iter(lambda: asking.recv(65536), b"")).decode()
        assert ("this computer only" not in said) == local


def test_a_page_behind_another_server_is_not_local() -> None:
    assert Access.of("127.0.0.1", None, proxied=True).closed
    assert Access.of("127.0.0.1", True, proxied=True) == Access(anyone=True)


# ---- routes ----


@pytest.mark.parametrize(
    "path",
    [
        "/monitoring", "/monitoring/summary", "/monitoring/x", "/docs", "/openapi.json", "/svelte/x",
        f"{guard.API}/deep_link", f"{guard.API}/proxy=https://x.hf.space/", f"{guard.API}/startup-events",
        f"{guard.API}/stream/s/1/2/playlist.m3u8", f"{guard.API}/custom_component/1/client/component/x.js",
        f"{guard.API}/dev/reload", f"{guard.API}/token", f"{guard.API}/runs", f"{guard.API}/file/etc/passwd",
        f"{guard.API}/upload_progress?upload_id=x", f"{guard.API}/vibe-code/", f"{guard.API}/file=https://example.invalid/x",
    ],
)  # fmt: skip
def test_what_the_page_does_not_use_is_closed_to_readers(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code in (403, 404)


@pytest.mark.parametrize(
    "path",
    [
        "process_recording",
        "stream/x",
        "vibe-edit",
        "undo-vibe-edit",
        "api/sample",
        "x/upload",
        "file=/upload",
        "upload/x",
    ],
)
def test_what_the_page_does_not_use_is_closed_to_writers(client: httpx.Client, path: str) -> None:
    """Whatever ended in /upload once passed by unread."""
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, f"{guard.API}/{path}", content=b"x" * 100).status_code == 404
    assert client.post("/login", data={"username": "a", "password": "b"}).status_code == 404


@pytest.mark.parametrize("wrong", ["http://[", "http://[::1", "http://a]", "//", "http://"])
def test_an_origin_that_makes_no_sense_is_another_site(client: httpx.Client, wrong: str) -> None:
    assert client.post(guard.JOIN, json={}, headers={"origin": wrong}).status_code == 403


@pytest.mark.parametrize("wrong", ["[", "[::1", "a]b"])
def test_a_host_that_makes_no_sense_is_not_local(server: serve.Server, client: httpx.Client, wrong: str) -> None:
    answer = client.post(guard.JOIN, json={}, headers={"host": wrong, "origin": f"http://{wrong}"})
    assert answer.status_code == 403
    assert "this computer only" in ask(client, server.page, "watch", "look", {}, host=wrong).json()["problem"]


@pytest.mark.parametrize("route", ["/assets/", "/static/", f"{guard.FILE}/tmp/"])
@pytest.mark.parametrize("name", ["x" * 256, "x/" * 2000, "%00", "a%00b"])
def test_a_path_that_no_file_has_leads_nowhere(client: httpx.Client, route: str, name: str) -> None:
    assert client.get(route + name).status_code == 404


@pytest.mark.parametrize("rest", ["../../../etc/passwd", "%2e%2e/x", "x/../../y", "..%5cx"])
def test_a_way_out_of_an_alias_names_no_folder_of_the_server(client: httpx.Client, rest: str) -> None:
    """Gradio tells the path that it refuses."""
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=10) as asking:
        asking.sendall(
            f"GET {guard.FILE}{guard.ALIAS}0/{rest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
        said = b"".join(iter(lambda: asking.recv(65536), b"")).decode()
    assert said.startswith("HTTP/1.1 40")
    assert not [folder for folder in guard.Aliases().folders.values() if folder in said]


@pytest.mark.parametrize("path", [f"{guard.API}/queue/data?session_hash=nobody", f"{guard.API}/call/sample/nothing"])
def test_who_listens_to_nothing_is_told_so(client: httpx.Client, path: str) -> None:
    """Gradio would begin an answer and break it off, with a traceback in the log."""
    answer = client.get(path)
    assert answer.status_code == 404
    assert "Nothing of this session" in answer.json()["error"]


@pytest.mark.parametrize("event", [-1, 10**6, 10**40, "1", True, None, [1], {}])
def test_an_event_that_is_not_on_the_page(server: serve.Server, client: httpx.Client, event: Any) -> None:
    body = {"session_hash": "s", "fn_index": event, "data": [], "component_id": event, "fn_name": "look"}
    for path in (guard.JOIN, f"{guard.API}/run/nothing", f"{guard.API}/call/nothing", guard.QUESTION):
        assert client.post(path, json=body).status_code == 404, path


# ---- bodies ----


def test_values_without_end_are_refused_before_they_are_parsed(client: httpx.Client) -> None:
    """A byte or two of JSON becomes a hundred in memory: 31 MB stopped the page for seconds and left 2.5 GB."""
    for body in (
        b'{"data":[' + b"1," * 4_000_000 + b"1]}",
        b"[" * 4_000_000,
        b'{"data":[' + b"{}," * 2_000_000 + b"1]}",
    ):
        answer = client.post(guard.JOIN, content=body, headers=JSON)
        assert answer.status_code == 413
        assert "values" in answer.json()["error"]
    with pytest.raises(RefusedError):
        guard.read(b'{"a":[' + b"1," * visitors.VALUES + b"1]}")
    assert guard.read(b'{"a":[' + b"1," * (visitors.VALUES - 9) + b"1]}").content["a"][0] == 1


@pytest.mark.parametrize("body", [b"", b"[1]", b"nonsense", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}", b"\xff"])
def test_what_is_no_json_object_is_refused(client: httpx.Client, body: bytes) -> None:
    assert client.post(guard.QUESTION, content=body, headers=JSON).status_code == 400


@pytest.mark.parametrize(
    ("path", "leads_away"),
    [
        ("http://x", True), (" https://x", True), ("HTTPS:x", True), ("//x/y", True), ("\\\\x\\y", True), ("ftp://x", True),
        ("file:///etc/passwd", True), ("data:image/png;base64,", True),
        ("/tmp/files/a.png", False), ("C:\\files\\a.png", False), ("@genrestore/0/a.png", False), ("/tmp/a:b.png", False),
    ],
)  # fmt: skip
def test_addresses_are_found_however_they_are_written(path: str, leads_away: bool) -> None:
    written = json.dumps({"data": [[{"a": {"path": path}}]]}).replace("http", "\\u0068ttp")
    (entry,) = guard.read(written.encode()).files
    assert guard._is_address(entry["path"]) is leads_away


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_no_larger_than_what_the_page_sends_there(client: httpx.Client, chunked: bool) -> None:
    """A mask reaches the queue; nothing as large goes anywhere else, declared or not."""

    def sent(path: str, size: int) -> int:
        body = json.dumps({"data": "x" * size, "session_hash": "s"}).encode()
        pieces = (body[k : k + 2**18] for k in range(0, len(body), 2**18)) if chunked else body
        try:
            return client.post(path, content=pieces, headers=JSON).status_code
        except httpx.TransportError:
            return 413  # the server hung up before all was sent

    for path in (guard.QUESTION, f"{guard.API}/call/sample", f"{guard.API}/cancel"):
        assert sent(path, visitors.JSON_BYTES) == 413
    assert sent(guard.JOIN, 12 * 2**20) != 413
    assert sent(guard.JOIN, visitors.mask_bytes()) == 413


def test_the_largest_body_follows_the_largest_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENRESTORE_PUBLIC", "1")
    pixels = image.limits().megapixels * 1e6
    assert pixels / 8 * 4 / 3 < visitors.mask_bytes() < pixels / 8 * 2


@pytest.mark.parametrize(
    ("path", "kind"), [(guard.JOIN, "application/json"), (guard.UPLOAD, "multipart/form-data; boundary=x")]
)
def test_a_body_that_never_comes_is_given_up(
    server: serve.Server, monkeypatch: pytest.MonkeyPatch, path: str, kind: str
) -> None:
    monkeypatch.setattr(visitors, "SILENCE", 0.2)
    monkeypatch.setattr(visitors, "SLOWEST", 1e6)
    with socket.create_connection(("127.0.0.1", int(server.local_url.rsplit(":", 1)[1].strip("/")))) as held:
        lines = [f"POST {path} HTTP/1.1", f"Host: {OWN}", f"Content-Type: {kind}", "Content-Length: 100"]
        held.sendall(("\r\n".join(lines) + "\r\n\r\n-").encode())
        held.settimeout(20)
        assert b" 408 " in held.recv(100)


def test_an_event_that_cannot_begin_is_not_printed(client: httpx.Client, capfd: pytest.CaptureFixture[str]) -> None:
    config = client.get("/config").json()
    event = next(one for one in config["dependencies"] if one["queue"] and len(one["inputs"]) > 1)
    body = {"data": ["secret"], "fn_index": event["id"], "session_hash": "s"}
    answer = client.post(guard.JOIN, json=body)
    assert answer.status_code == 400
    for path, status in (("call/restore", 400), ("call/v2/sample", 400), ("run/sample", 404)):
        sent = {"data": [] if path == "call/restore" else ["secret"]}
        assert client.post(f"{guard.API}/{path}", json=sent).status_code == status
    assert "secret" not in "".join(capfd.readouterr())


# ---- visitors ----


@pytest.mark.parametrize(
    ("peer", "told", "proxied", "space", "name"),
    [
        ("9.9.9.1", "8.8.4.4", True, False, "9.9.9.1"),  # says so itself
        ("127.0.0.1", None, False, False, "127.0.0.1"),
        ("127.0.0.1", "6.6.6.6, 9.9.9.1", False, False, "9.9.9.1"),  # the first was sent, the last was seen
        ("127.0.0.1", "6.6.6.6, 192.168.1.5", False, False, "192.168.1.5"),
        ("172.17.0.1", "9.9.9.1", False, False, "172.17.0.1"),
        ("172.17.0.1", "9.9.9.1", True, False, "9.9.9.1"),
        ("10.0.0.1", "9.9.9.1, 10.1.1.1", True, True, "9.9.9.1"),
        ("2a00:1:2:3:4:5:6:7", None, False, False, "2a00:1:2:3::/64"),
        ("127.0.0.1", "nonsense", False, False, "nonsense"),
    ],
)
def test_a_visitor_is_an_address_that_was_seen(
    peer: str, told: str | None, proxied: bool, space: bool, name: str
) -> None:
    headers = [] if told is None else [(b"x-forwarded-for", told.encode())]
    assert visitor({"type": "http", "client": (peer, 1), "headers": headers}, proxied=proxied, space=space) == name


def test_a_gate_bounds_all_and_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "PATIENCE", 0.05)

    async def tried() -> None:
        gate = Gate(10, 6)
        async with AsyncExitStack() as held:
            await held.enter_async_context(gate("a", 4))
            with pytest.raises(BusyError):
                await held.enter_async_context(gate("a", 3))  # 7 of 6
            await held.enter_async_context(gate("b", 6))
            with pytest.raises(BusyError):
                await held.enter_async_context(gate("c", 1))  # 11 of 10
        async with gate("a", 100):  # more than ever fits goes alone
            assert gate.inside == {"a": 6}
        assert not gate.inside

    asyncio.run(tried())


def test_who_waits_comes_in_when_there_is_room() -> None:
    async def tried() -> list[str]:
        gate, order = Gate(1, 1), []

        async def work(name: str) -> None:
            async with gate(name):
                order.append(name)
                await asyncio.sleep(0)

        await asyncio.gather(*(work(name) for name in "abcd"))
        return order

    assert asyncio.run(tried()) == list("abcd")


def test_requests_at_once_are_bounded_for_each_visitor(
    serving: Callable[..., httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    with gr.Blocks() as page:
        gr.HTML(elem_id="x")
    client = serving(page)
    monkeypatch.setattr(visitors, "VISITOR_REQUESTS", 1)
    one, other = {"x-forwarded-for": "203.0.113.1"}, {"x-forwarded-for": "203.0.113.2"}
    with client.stream("GET", f"{guard.API}/heartbeat/s", headers=one):
        assert client.get("/config", headers=one).status_code == 429
        assert client.get("/config", headers=other).status_code == 200


def test_pictures_are_decoded_together_up_to_their_pixels(serving: Callable[..., httpx.Client]) -> None:
    """A server function that is handed files waits for the pixels that the headers of the files tell."""
    inside: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def preview(data: object) -> str:
        with lock:
            inside.append(1)
            most.append(len(inside))
        time.sleep(0.1)
        with lock:
            inside.pop()
        return "done"

    with gr.Blocks() as page:
        gr.HTML(elem_id="x", server_functions=[preview])
    client = serving(page)
    client.guard.pictures = Gate(10, 10)  # pyright: ignore[reportAttributeAccessIssue]
    path = Path(utils.get_upload_folder()) / "large.png"
    path.write_bytes(png(3000, 2000))
    assert guard.megapixels([path]) == 6
    assert guard.megapixels([Path("/dev/zero"), Path("/etc/passwd"), path.parent, path.with_name("none")]) == 0

    def together(data: Any) -> int:
        most.clear()
        asked = [threading.Thread(target=ask, args=(client, page, "x", "preview", data)) for _ in range(4)]
        for each in asked:
            each.start()
        for each in asked:
            each.join()
        assert len(most) == 4
        return max(most)

    assert together({"file": {"path": str(path)}}) == 1
    assert together({}) > 1


# ---- queue and sessions ----


def test_one_visitor_cannot_fill_the_queue(
    serving: Callable[..., httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what nobody listens to leaves it: 33 joins that were never heard closed it for everybody."""
    go = threading.Event()
    monkeypatch.setattr(visitors, "PATIENCE", 0.0)
    with gr.Blocks() as page:
        button = gr.Button()
        button.click(lambda: [go.wait(30)][1:] or None, None, None)
    client = serving(page)

    def join(address: str, session: str) -> int:
        body = {"data": [], "fn_index": 0, "session_hash": session}
        return client.post(guard.JOIN, json=body, headers={"x-forwarded-for": address}).status_code

    try:
        seen = [join("203.0.113.1", f"s{k}") for k in range(33)]
        assert seen.count(200) == visitors.VISITOR_WAITING
        assert set(seen[visitors.VISITOR_WAITING :]) == {429}
        assert join("203.0.113.2", "other") == 200
        monkeypatch.setattr(visitors, "UNHEARD", 0.0)
        assert join("203.0.113.2", "again") == 200
        assert len(page._queue) <= 1
    finally:
        go.set()


def test_a_class_room_behind_one_address_waits_for_its_places(
    serving: Callable[..., httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitors, "VISITOR_WAITING", 2)
    with gr.Blocks() as page:
        text = gr.Textbox()
        gr.Button().click(lambda: "done", None, text)
    client = serving(page)
    seen: list[str] = []

    def one(session: str) -> None:
        body = {"data": [], "fn_index": 0, "session_hash": session}
        client.post(guard.JOIN, json=body, headers={"x-forwarded-for": "203.0.113.1"}).raise_for_status()
        with client.stream("GET", f"{guard.API}/queue/data?session_hash={session}") as answer:
            seen.append(answer.read().decode())

    pupils = [threading.Thread(target=one, args=(f"s{k}",)) for k in range(8)]
    for pupil in pupils:
        pupil.start()
    for pupil in pupils:
        pupil.join()
    assert len(seen) == 8 and all("done" in said for said in seen)


def test_what_somebody_listens_to_stays(serving: Callable[..., httpx.Client], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "UNHEARD", 0.2)

    def slow() -> Iterator[str]:
        for k in range(6):
            time.sleep(0.1)
            yield str(k)

    with gr.Blocks() as page:
        text = gr.Textbox()
        gr.Button().click(slow, None, text, api_name="slow")
    client = serving(page)
    program = Client(str(client.base_url), verbose=False)
    job = program.submit(api_name="/slow")
    time.sleep(0.4)
    body = {"data": [], "fn_index": 0, "session_hash": "other"}
    assert client.post(guard.JOIN, json=body).status_code == 200  # looks for what nobody hears
    assert job.result(timeout=30) == "5"


def test_a_visitor_s_sessions_are_bounded(
    server: serve.Server, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each costs 0.2 MB, and any name makes one."""
    monkeypatch.setattr(visitors, "VISITOR_SESSIONS", 3)
    holder: Any = server.page.state_holder
    for k in range(8):
        body = {"session_hash": f"n{k}", "component_id": 1, "fn_name": "x", "data": {}}
        client.post(guard.QUESTION, json=body, headers={"x-forwarded-for": "203.0.113.7"})
    assert sum(name.startswith("n") for name in holder.session_data) <= visitors.VISITOR_SESSIONS
    assert holder.capacity == visitors.ALL_SESSIONS
    assert client.get(f"{guard.API}/heartbeat/{'x' * 65}").status_code == 400
    for name in ("x" * 65, "a/b", "", 3, ["s"]):
        body = {"session_hash": name, "component_id": 1, "fn_name": "x", "data": {}}
        assert client.post(guard.QUESTION, json=body).status_code == 400


def test_a_session_is_forgotten_after_its_page_was_closed() -> None:
    with gr.Blocks() as page:
        gr.HTML()
    gr.mount_gradio_app(FastAPI(), page, path="/")
    sessions = Sessions(page)
    holder: Any = page.state_holder
    for name in ("open", "closed", "fresh", "unnamed"):
        _ = holder[name]
        if name != "unnamed":
            sessions.named("a", name)
    for name in ("open", "closed", "unnamed"):
        holder.time_last_used[name] = datetime.now() - timedelta(seconds=visitors.SESSION_SECONDS + 1)
    with sessions.open("open"):
        sessions.expire()
        assert set(holder.session_data) == set(sessions.of["a"]) == {"open", "fresh"}
    holder.time_last_used["fresh"] = datetime.now() - timedelta(days=1)
    sessions.expire()
    assert not holder.session_data and not sessions.of


# ---- uploads ----


def test_an_upload_can_be_used_and_seen(server: serve.Server, client: httpx.Client) -> None:
    for path in (guard.UPLOAD, f"{guard.UPLOAD}/", f"{guard.UPLOAD}?upload_id=x"):
        answer = client.post(path, files={"files": ("ein Bild 猫.png", png(), "image/png")})
        (where,) = answer.json()
        assert Path(where).name == "ein Bild 猫.png"
        assert where.startswith(f"{uploads.FILES}/"), "the page tells where its files lie on this computer"
        assert client.get(f"{guard.FILE}{where}").content == png()
        known = ask(client, server.page, "inpaint-editor", "inspect", {"path": where}).json()
        assert known == {"width": 8, "height": 8, "alike": True}


def test_what_was_not_uploaded_is_not_read(server: serve.Server, client: httpx.Client, tmp_path: Path) -> None:
    """Gradio itself checks only in a page that its own `launch` has started."""
    source = component(server.page, "upscale-source")
    event = next(one["id"] for one in client.get("/config").json()["dependencies"] if one["inputs"] == [source])
    (tmp_path / "private.png").write_bytes(png())
    for file in ({"path": str(tmp_path / "private.png")}, {"path": str(ROOT / "pyproject.toml")}):
        for meta in ({}, {"meta": {"_type": "gradio.FileData"}}):
            body = {"data": [{"file": {**file, **meta}}], "fn_index": event, "session_hash": "forger"}
            joined = client.post(guard.JOIN, json=body)
            said = joined.text
            if joined.status_code == 200:
                with client.stream("GET", f"{guard.API}/queue/data?session_hash=forger") as answer:
                    said = answer.read().decode()
            assert "not uploaded here" in said and bool(meta) == (joined.status_code == 400)
            assert "not uploaded here" in ask(client, server.page, "inpaint-editor", "inspect", {**file, **meta}).text


@pytest.mark.parametrize(
    "name", ["../../../evil.png", "..\\evil.png", "/etc/evil.png", "..", "a\0b.png", "x" * 249 + ".png"]
)
def test_a_forged_name_stays_in_its_folder(server: serve.Server, client: httpx.Client, name: str) -> None:
    body = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\nabc\r\n--x--\r\n'
    answer = client.post(
        guard.UPLOAD, content=body.encode(), headers={"content-type": "multipart/form-data; boundary=x"}
    )
    where = stored(server.folder.path, answer)
    assert where.read_bytes() == b"abc"
    assert where.resolve().parent.parent == server.folder.path


def test_a_form_is_one_file_and_nothing_else(server: serve.Server, client: httpx.Client) -> None:
    """Fields without a file name were kept in memory, whatever their size."""
    before = left(server)
    field = b"x" * 3_000_000
    forms: list[dict[str, Any]] = [
        {"data": {"note": field.decode()}, "files": {"files": ("a.png", png())}},
        {"files": {"note": (None, field)}},
        {"files": [("files", ("a.png", png())), ("files", ("b.png", png()))]},
        {"content": b"nonsense", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        {"content": b"--x--\r\n", "headers": {"content-type": "multipart/form-data; boundary=x"}},
    ]
    for sent in forms:
        assert client.post(guard.UPLOAD, **sent).status_code == 400
    assert client.post(guard.UPLOAD, content=b"x", headers=JSON).status_code == 415
    assert left(server) == before


@pytest.fixture
def taking(serving: Callable[..., httpx.Client], tmp_path: Path) -> httpx.Client:
    """A client of an upload route for files of 1 MB, three of them a visitor."""
    with gr.Blocks() as page:
        gr.HTML()
    client = serving(page)
    (tmp_path / "here").mkdir()
    route = Uploads(page, tmp_path / "here", 2**20, 3 * 2**20)
    host: Any = client.guard.app  # pyright: ignore[reportAttributeAccessIssue]
    host.add_api_route(guard.UPLOAD, route.receive, methods=["POST"], response_model=None)
    host.router.routes.insert(0, host.router.routes.pop())
    return client


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_that_is_too_large_leaves_nothing(taking: httpx.Client, tmp_path: Path, chunked: bool) -> None:
    whole = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n' + b"x" * 2_000_000 + b"\r\n--x--"
    )
    body = (whole[k : k + 100_000] for k in range(0, len(whole), 100_000)) if chunked else whole
    try:
        answer = taking.post(guard.UPLOAD, content=body, headers={"content-type": "multipart/form-data; boundary=x"})
        assert answer.status_code == 413
        assert "larger than 1 MB" in answer.text
    except httpx.TransportError:
        assert chunked  # the server hung up before all was sent
    assert list((tmp_path / "here").iterdir()) == []


def test_a_connection_that_breaks_leaves_nothing(taking: httpx.Client, tmp_path: Path) -> None:
    with socket.create_connection((taking.base_url.host, taking.base_url.port or 0)) as sending:
        lines = ["POST /gradio_api/upload HTTP/1.1", "Host: x", "Content-Length: 900000"]
        sending.sendall("\r\n".join([*lines, "Content-Type: multipart/form-data; boundary=x", "", ""]).encode())
        sending.sendall(b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n' + b"x" * 1000)
        deadline = time.monotonic() + 20
        while not list((tmp_path / "here").iterdir()):
            assert time.monotonic() < deadline, "the file was never begun"
            time.sleep(0.01)
    deadline = time.monotonic() + 20
    while list((tmp_path / "here").iterdir()):
        assert time.monotonic() < deadline, "the part stayed"
        time.sleep(0.01)


def test_damaged_forms_leave_nothing_behind(taking: httpx.Client, tmp_path: Path) -> None:
    """Whatever is wrong with a form: a file that is whole, or one sentence and nothing on the disk."""
    form = (
        b'--bound\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        + png()
        + b"\r\n--bound--\r\n"
    )
    taken = 0
    for seed in range(150):
        content = mutated(form, seed)
        answer = taking.post(
            guard.UPLOAD, content=content, headers={"content-type": "multipart/form-data; boundary=bound"}
        )
        assert answer.status_code in (200, 400), (seed, answer.text)
        if answer.status_code == 200:
            taken += 1
            assert content.count(b"\r\n--bound") == 1, "the end of the file was guessed"
            assert stored(tmp_path / "here", answer).is_file()
        else:
            assert answer.text.count("\n") == 0
        assert len(list((tmp_path / "here").iterdir())) == taken, seed
    assert 0 < taken < 150


def test_damaged_json_is_read_or_refused() -> None:
    body = json.dumps({"data": [{"path": "/x", "meta": {"a": [1.5, None, "é"]}}] * 3, "session_hash": "s"}).encode()
    refused = 0
    for seed in range(500):
        try:
            assert isinstance(guard.read(mutated(body, seed)), guard.Sent)
        except RefusedError:
            refused += 1
    assert 0 < refused < 500


def test_a_full_disk_is_called_so(taking: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(uploads.Part, "write", full)
        answer = taking.post(guard.UPLOAD, files={"files": ("a", b"x")})
    assert answer.status_code == 507 and "disk of the server is full" in answer.text
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10})())
        answer = taking.post(guard.UPLOAD, files={"files": ("a", b"x")})
    assert answer.status_code == 507
    assert list((tmp_path / "here").iterdir()) == []
    handler = with_toasts(full)
    with pytest.warns(UserWarning, match="disk of the server is full"):
        assert handler() == gr.skip()


def test_a_result_on_a_full_disk_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genrestore.ui.parts import jobs

    def full(path: Path, data: bytes) -> int:
        path.open("wb").write(data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv(uploads.VARIABLE, str(tmp_path))
    picture = image.load(png())
    assert jobs.written(picture, "a.png").read_bytes()[:4] == b"\x89PNG"
    before = set(tmp_path.rglob("*"))
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError):
        jobs.written(picture, "a.png")
    assert set(tmp_path.rglob("*")) == before


def test_a_visitor_s_oldest_uploads_make_room(taking: httpx.Client, tmp_path: Path) -> None:
    def send(visitor: str) -> Path:
        answer = taking.post(guard.UPLOAD, files={"files": ("a", b"x" * 2**20)}, headers={"x-forwarded-for": visitor})
        return stored(tmp_path / "here", answer)

    other = send("203.0.113.2")
    mine = [send("203.0.113.1") for _ in range(5)]
    assert [path.exists() for path in mine] == [False, False, True, True, True]
    assert other.exists()


# ---- the folder ----


def test_nobody_else_enters_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(uploads.VARIABLE, str(tmp_path / "new"))
    folder = Folder()
    assert Path(utils.get_upload_folder()) == folder.path
    assert folder.path.stat().st_mode & 0o777 == 0o700
    (folder.path / "upload").write_bytes(b"x")
    second = Folder()  # another server of the same user, or of this process, leaves it alone
    assert (folder.path / "upload").exists()
    assert second.path.parent == folder.path.parent
    second.close()
    assert (folder.path / "upload").exists() and os.environ[uploads.VARIABLE] == str(folder.path)
    folder.close()
    assert list((tmp_path / "new").iterdir()) == []
    assert os.environ[uploads.VARIABLE] == str(tmp_path / "new")


def test_a_program_that_just_ends_leaves_nothing(tmp_path: Path) -> None:
    script = "from genrestore.ui.server.uploads import Folder; (Folder().path / 'upload').touch()"
    surroundings = {**os.environ, uploads.VARIABLE: str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], env=surroundings, check=True)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_server_left_goes(tmp_path: Path) -> None:
    killed, alive, starting = (tmp_path / f"{uploads.PREFIX}{name}" for name in ("killed", "alive", "starting"))
    for folder in (killed, alive, starting):
        folder.mkdir()
        (folder / "upload.png").write_bytes(b"x")
    (killed / uploads.LOCK).touch()
    (tmp_path / "genrestore-other").mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / f"{uploads.PREFIX}link").symlink_to(outside)
    with FileLock(alive / uploads.LOCK):
        uploads.sweep(tmp_path)
        assert not killed.exists()
        assert (alive / "upload.png").exists() and (starting / "upload.png").exists()
        assert (tmp_path / "genrestore-other").exists() and outside.exists()


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv(uploads.VARIABLE, str(file))
    with pytest.raises(SettingError, match=rf"Uploads cannot be kept in {file} .*{uploads.VARIABLE}"):
        Folder()

    def refused(*_: Any, **__: Any) -> str:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(uploads.tempfile, "mkdtemp", refused)
    monkeypatch.setenv(uploads.VARIABLE, str(tmp_path))
    with pytest.raises(SettingError, match="Read-only file system"):
        Folder()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals like these")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_uploads_go_when_the_server_is_told_to_end(tmp_path: Path, how: signal.Signals) -> None:
    """With a page still open, whose connection holds the server."""
    port = free_port()
    environment = {**os.environ, uploads.VARIABLE: str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "app.py"), "--port", str(port), "--no-browser"]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        assert "is open at" in server.stdout.readline()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            answer = client.post(guard.UPLOAD, files={"files": ("a.png", png())})
            path = stored(next(tmp_path.glob(f"{uploads.PREFIX}*")), answer)
            assert path.exists()
            with client.stream("GET", f"{guard.API}/heartbeat/s"):
                server.send_signal(how)
                assert server.wait(60) == 0
        assert list(tmp_path.iterdir()) == []
        assert "Traceback" not in server.stdout.read()
    finally:
        server.kill()


# ---- what is shown ----


def test_the_headers_of_every_answer(client: httpx.Client) -> None:
    for path in ("/", "/config", "/nothing", f"{guard.API}/info"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "SAMEORIGIN"
        assert "frame-ancestors 'self'" in headers["content-security-policy"]
        assert "default-src 'self'" in headers["content-security-policy"]


def test_the_page_shows_no_path_of_the_server(server: serve.Server, client: httpx.Client) -> None:
    shown = client.get("/config").text + client.get("/").text
    for place in (ROOT, Path(ui.__file__).parent, Path.home(), server.folder.path, Path(gr.__file__).parent):
        assert str(place) not in shown
    named = set(re.findall(r"@genrestore/\d+/[\w.-]+", shown))
    assert len(named) > 5
    for name in named:
        assert client.get(f"{guard.FILE}{name}").status_code == 200
    dog = next(name for name in named if name.endswith("dog.jpg"))
    assert ask(client, server.page, "inpaint-editor", "inspect", {"path": dog}).json()["width"] > 0
    for forged in (dog.replace("dog.jpg", "../guard.py"), "@genrestore/999/x", "@genrestore/x"):
        assert client.get(f"{guard.FILE}{forged}").status_code in (403, 404)


def test_a_forged_host_is_not_reflected(client: httpx.Client) -> None:
    forged = {"x-forwarded-host": "evil.example", "x-gradio-server": "http://evil.example", "host": OWN}
    for path in ("/", "/config"):
        answer = client.get(path, headers=forged)
        assert "evil.example" not in answer.text
        assert f"http://{OWN}" in answer.text


def test_a_space_may_be_framed_and_asks_no_outside_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPACE_ID", "Ann/pets")
    monkeypatch.setenv("SPACE_HOST", "ann-pets.hf.space")
    monkeypatch.setenv(uploads.VARIABLE, str(tmp_path))
    monkeypatch.setattr(ui, "_warm", lambda: None)
    server = ui.launch(port=free_port())
    try:
        with httpx.Client(base_url=server.local_url, timeout=60) as client:
            answer = client.get(
                "/config", headers={"x-forwarded-host": "ann-pets.hf.space", "x-forwarded-proto": "https"}
            )
            assert answer.json()["space_id"] is None  # of which the page would ask huggingface.co
            assert answer.json()["root"] == "https://ann-pets.hf.space"
            html = client.get("/").text
            assert "Ann/pets" not in html
            assert re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=.?(?:https?:)?//", html) == []
            assert "x-frame-options" not in answer.headers
            policy = answer.headers["content-security-policy"]
            assert "frame-ancestors" not in policy and "default-src 'self'" in policy and "http" not in policy
            own = {"origin": "https://ann-pets.hf.space", "x-forwarded-for": "203.0.113.1"}
            assert ask(client, server.page, "live", "catalogue", "all", **own).status_code == 200
            assert ask(client, server.page, "live", "catalogue", "all", origin="https://x.hf.space").status_code == 403
    finally:
        server.close()


# ---- the start ----


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--port", "80000"], "There is no port 80000"),
        (["--port", "0"], "There is no port 0"),
        (["--port", "-1"], "There is no port -1"),
        (["--host", "203.0.113.7"], "does not have the address 203.0.113.7"),
        (["--host", "203.0.113.7", "--port", "8000"], "does not have the address"),
        (["--host", "no such host"], "There is no address 'no such host'"),
        (["--root-path", "pictures"], "--root-path is a path such as /pictures"),
    ],
)
def test_a_place_that_cannot_be_is_one_sentence_at_once(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    """A foreign address once tried a hundred ports for 90 seconds: here there is one attempt to listen."""
    tried: list[Any] = []
    original = socket.create_server
    monkeypatch.setattr(socket, "create_server", lambda *args, **more: (tried.append(args), original(*args, **more))[1])
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with pytest.raises(SystemExit) as ended:
        main(["app", "--no-browser", *options])
    for number, handler in before.items():
        assert signal.getsignal(number) is not None
        signal.signal(number, handler)
    assert ended.value.code == 2
    errors = capfd.readouterr().err
    assert said in errors and errors.count("\n") == 1
    assert len(tried) <= 1


def test_a_taken_port_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingError, match=f"Another program listens on port {port}"):
            serve.listen(None, port)
        monkeypatch.setattr(serve, "PORTS", range(port, port + 50))
        with serve.listen(None, None) as found:  # where none is named, the next one is taken
            assert found.getsockname()[1] > port


@pytest.mark.parametrize("value", ["80000", "7860.5", "-1", "9" * 5000])
def test_a_port_in_the_surroundings_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GRADIO_SERVER_PORT", value)
    with pytest.raises(SettingError, match="port"):
        serve.listen(None, None)


def test_answers_are_sent_at_once() -> None:
    """Nagle's algorithm was on, and held every answer back for 40 ms that came while another was on its way."""

    async def delay_is_off() -> bool:
        answered = asyncio.Event()
        off = False

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal off
            off = bool(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()
            answered.set()

        listener = serve.listen(None, free_port())
        async with await asyncio.start_server(answer, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
            await asyncio.wait_for(answered.wait(), 10)
            writer.close()
        return off

    assert asyncio.run(delay_is_off())


def test_a_port_in_the_surroundings_that_is_none_is_said(value: str = "abc") -> None:
    """Gradio reads it as it is imported, so this needs a process of its own."""
    command = [sys.executable, "-c", "from genrestore.__main__ import main; main(['app', '--no-browser'])"]
    surroundings = {**os.environ, "GRADIO_SERVER_PORT": value, "GRADIO_NUM_PORTS": value}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "port" in done.stderr.lower() and done.stderr.count("\n") == 1 and value in done.stderr


def test_an_address_of_six(tmp_path: Path) -> None:
    try:
        with serve.listen("[::1]", free_port()) as listener:
            assert listener.family == socket.AF_INET6
    except SettingError:
        pytest.skip("this computer has no IPv6")


# ---- behind another server ----

PROXY_HEADERS = {"host": "pictures.example", "x-forwarded-proto": "https", "x-forwarded-for": "9.9.9.1"}


@pytest.fixture(params=["/pictures", "https://pictures.example/pictures"])
def published(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[serve.Server]:
    """A page that another server publishes."""
    monkeypatch.setenv(uploads.VARIABLE, str(tmp_path))
    monkeypatch.setattr(ui, "_warm", lambda: None)
    server = ui.launch(port=free_port(), root_path=request.param)
    yield server
    server.close()


def test_a_published_page_knows_its_address(published: serve.Server) -> None:
    with httpx.Client(base_url=published.local_url, timeout=60) as client:
        config = client.get("/config", headers=PROXY_HEADERS)
        assert config.json()["root"] == "https://pictures.example/pictures"
        own = {**PROXY_HEADERS, "origin": "https://pictures.example", "sec-fetch-site": "same-origin"}
        assert ask(client, published.page, "live", "catalogue", "all", **own).status_code == 200
        foreign = {**PROXY_HEADERS, "origin": "https://evil.example"}
        assert ask(client, published.page, "live", "catalogue", "all", **foreign).status_code == 403
        assert "train-off" in config.text and "train-folder" not in config.text


# ---- programs ----


def test_a_program_uses_the_page_with_gradio_s_client(server: serve.Server) -> None:
    program = Client(server.local_url, verbose=False)
    (made,) = program.predict(model="vae-clothing", seed=3, api_name="/sample")
    assert Path(made).name == "vae-clothing-3.png"


def test_a_program_uses_the_page_with_plain_http(client: httpx.Client) -> None:
    asked = client.post(f"{guard.API}/call/v2/sample", json={"model": "vae-clothing", "seed": 3}).json()
    with client.stream("GET", f"{guard.API}/call/sample/{asked['event_id']}") as answer:
        assert "event: complete" in answer.read().decode()


# ---- cancelling ----


@pytest.mark.parametrize("slow", [False, True], ids=["queued", "on its way"])
def test_an_event_is_cancelled_before_its_page_knows_its_number(
    serving: Callable[..., httpx.Client], monkeypatch: pytest.MonkeyPatch, slow: bool
) -> None:
    """Gradio's page then sends no number, which Gradio's server answers with 422: the event went on unheard."""
    begun, ended, go = threading.Event(), threading.Event(), threading.Event()

    def work() -> Iterator[str]:
        try:
            for step in itertools.count():
                if step == 2:
                    begun.set()
                time.sleep(0.01)
                yield "x"
        finally:
            ended.set()

    with gr.Blocks() as page:
        out = gr.Textbox()
        gr.Button().click(work, None, out)
    client = serving(page)
    join: dict[str, Any] = {"data": [], "fn_index": 0, "session_hash": "s"}
    sessions: Sessions = client.guard.sessions  # pyright: ignore[reportAttributeAccessIssue]
    asked: list[Any] = []
    if slow:
        usual = sessions.drop_unheard

        async def late() -> None:
            await asyncio.to_thread(go.wait, 10)
            await usual()

        monkeypatch.setattr(sessions, "drop_unheard", late)
        joining = threading.Thread(target=lambda: asked.append(client.post("/gradio_api/queue/join", json=join)))
        joining.start()
        while not sessions.unnumbered:
            time.sleep(0.01)
        threading.Timer(0.3, go.set).start()
    else:
        client.post("/gradio_api/queue/join", json=join).raise_for_status()
        assert begun.wait(10)
    answer = client.post("/gradio_api/cancel", json={"event_id": None, "fn_index": 0, "session_hash": "s"})
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert client.post("/gradio_api/reset", json={"event_id": None}).status_code == 200
    while sessions.queue.event_ids_to_events:
        time.sleep(0.01)
    assert ended.wait(10) or not begun.is_set()
    assert not sessions.unnumbered


def test_cancelling_what_is_not_there_is_no_fault(client: httpx.Client) -> None:
    for asked in ({"fn_index": 3, "session_hash": "nobody"}, {"fn_index": 10**6, "session_hash": "nobody"}):
        assert client.post("/gradio_api/cancel", json=asked).status_code == 200
    assert client.post("/gradio_api/cancel", json={"fn_index": [1], "session_hash": "nobody"}).status_code == 422
