"""What the server refuses before Gradio reads it, and what it hides of itself.

Gradio answers any origin, reads JSON without end on its event loop, fetches a payload whose path is an http address,
keeps something for good of every session that is named, and has many more routes than this page. So every request comes
through here first: other sites are turned away, routes that the page does not use are closed, bodies are bounded and
looked through beside the event loop, and nobody holds more of the server than `visitors` allows.
"""

import asyncio
import json
import os
import re
import time
from collections import Counter, OrderedDict, defaultdict
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, quote, unquote, urlsplit

import anyio.to_thread
import gradio as gr
from gradio import utils
from gradio.data_classes import _StaticFiles  # pyright: ignore[reportPrivateUsage] (what `set_static_paths` fills)
from PIL import Image
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genrestore import paths
from genrestore.pictures import image
from genrestore.ui.server import uploads, visitors
from genrestore.ui.server.uploads import ALIAS
from genrestore.ui.server.visitors import BusyError, Gate
from genrestore.ui.words import Words

API = "/gradio_api"
UPLOAD = f"{API}/upload"
QUESTION = f"{API}/component_server"
MCP = f"{API}/mcp"
JOIN = f"{API}/queue/join"
ENDS = (f"{API}/cancel", f"{API}/reset")
CALL = re.compile(rf"{API}/call/(?P<named>v2/)?(?P<name>[^/]+)")  # v2 takes arguments by name
RUN = re.compile(rf"{API}/run/(?P<name>[^/]+)")

# All that the page and its clients use. Gradio has more, such as /process_recording, /monitoring and /proxy=.
READ = re.compile(
    r"/|/config|/theme\.css|/(assets|static)/.+|/favicon\.ico|/robots\.txt|/manifest\.json|/pwa_icon(/\d+)?"
    r"|/logout|/login/(huggingface|callback)"
    rf"|{API}/(info|theme\.css|user|login_check|app_id|queue/status|queue/data|heartbeat/[^/]+|mcp|call/(v2/)?[^/]+/[^/]+"
    r"|file=.+)",
    re.DOTALL,
)
WRITE = re.compile(
    rf"{UPLOAD}|{QUESTION}|{JOIN}|{API}/(mcp|cancel|reset|run/[^/]+|call/(v2/)?[^/]+)",
    re.DOTALL,
)
FILE = f"{API}/file="
STREAM = re.compile(rf"{API}/(?:heartbeat/(?P<open>[^/]+)|queue/(?P<data>data)|call/(?:v2/)?[^/]+/(?P<event>[^/]+))")

LONGEST_PATH, LONGEST_NAME = 2048, 255  # bytes of what is asked for, and of each name in it, as file systems hold them
SESSION = re.compile(r"[\w.-]{1,64}")
BEAT = 0.1  # seconds between two looks at whether a place in the queue is free
HEARD = "genrestore.heard"  # of a scope: whether somebody listens to a session
PICTURES = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")  # formats whose header tells the size

# Nothing is loaded from elsewhere and nothing sent there, whatever slips into the page.
POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'"
)
FRAMES = "; frame-ancestors 'self'"

# What a visitor may come to read; what only a program that forges requests does stays English.
W = Words("guard")


@dataclass(frozen=True)
class Setting:
    """Where a page is served from.

    Attributes:
        hosts: by which it is known beside the one that a request names, such as those of a proxy before it.
        proxied: another server of the owner's hands requests on.
        space: it is a Hugging Face Space: others may frame it, and visitors come through the hub.
    """

    hosts: frozenset[str] = frozenset()
    proxied: bool = False
    space: bool = False

    @classmethod
    def of(cls, published: str) -> "Setting":
        """What the surroundings say; `published` is the path or the address under which another server shows the page."""
        space = bool(paths.space())
        hosts = {*os.environ.get("SPACE_HOST", "").split(","), netloc(published)}
        return cls(frozenset(_host(host.strip()) for host in hosts if host), bool(published) or space, space)


class Guard:
    """ASGI middleware round the whole of Gradio's app, its own middleware included."""

    def __init__(self, app: ASGIApp, page: gr.Blocks, setting: Setting) -> None:
        self.app = app
        self.page = page
        self.setting = setting
        self.agents: ASGIApp | None = None  # what answers at MCP
        self.sessions = Sessions(page)
        self.aliases = Aliases()
        self.requests: Counter[str] = Counter()  # that are being answered, by visitor
        self.bodies = Gate(visitors.ALL_BODIES, visitors.VISITOR_BODIES)
        self.uploads = Gate(visitors.ALL_UPLOADS, visitors.VISITOR_UPLOADS)
        self.questions = Gate(visitors.ALL_QUESTIONS, visitors.VISITOR_QUESTIONS)
        self.pictures = Gate(image.limits().megapixels, image.limits().megapixels)  # that are being decoded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        visitor = visitors.visitor(scope, proxied=self.setting.proxied, space=self.setting.space)
        receive = Incoming(receive)
        send = self._dressed(send)
        if self.requests[visitor] >= visitors.VISITOR_REQUESTS:
            await RefusedError(429, "crowd").answer(scope)(scope, receive, send)
            return
        self.requests[visitor] += 1
        try:
            async with AsyncExitStack() as held:
                try:
                    answer: ASGIApp = await self._admitted(scope, receive, visitor, held)
                except RefusedError as refused:
                    answer = refused.answer(scope)
                    await receive.dropped()
                except BusyError:
                    answer = RefusedError(503, "busy").answer(scope)
                    await receive.dropped()
                await answer(scope, receive, send)
        finally:
            self.requests[visitor] -= 1
            if not self.requests[visitor]:
                del self.requests[visitor]

    async def _admitted(self, scope: Scope, receive: Receive, visitor: str, held: AsyncExitStack) -> ASGIApp:
        """What answers the request; while it does, `held` holds the visitor's share of the server.

        Raises:
            RefusedError: the request must not come further.
            BusyError: its turn did not come.
        """
        path = scope["path"].rstrip("/") or "/"
        reads = scope["method"] in ("GET", "HEAD")
        if not _is_path(path) or not (READ if reads else WRITE).fullmatch(path):
            raise RefusedError(404, "There is nothing here.")
        if not reads and scope["method"] != "POST":
            raise RefusedError(404, "There is nothing here.")
        if path == MCP and (self.agents is None or reads):
            raise RefusedError(404 if self.agents is None else 405, "There is nothing to read here.")
        headers = Headers(scope=scope)
        opened = reads and headers.get("sec-fetch-mode") == "navigate"  # by a link that somebody followed
        shared = opened or (reads and not path.startswith(API) and path != "/config")
        if not shared and foreign(headers, self.setting.hosts):
            raise RefusedError(403, "other_site")
        scope.update(
            {
                "path": path,
                "raw_path": quote(path).encode(),
                "headers": self._own_headers(headers, scope["http_version"]),
                "genrestore.visitor": visitor,
                HEARD: lambda session: session in self.sessions.heard,
            }
        )
        if reads:
            self._reading(scope, visitor, held)
            return self.app
        if path == UPLOAD:
            await held.enter_async_context(self.uploads(visitor))
            return self.app
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise RefusedError(415, "Send JSON, with the content type application/json.")
        body = await self._body(headers, path, receive, visitor, held)
        large = len(body) > visitors.FREE_BYTES
        hosts = {_host(headers.get("host", "")), *self.setting.hosts}
        understood = self._understood
        sent, body = await anyio.to_thread.run_sync(understood, body, hosts) if large else understood(body, hosts)
        if path == MCP:
            assert self.agents is not None
            return _replayed(self.agents, body)  # which asks here again, for what it needs
        await self._writing(path, sent, visitor, held)
        if called := CALL.fullmatch(path):  # what was named is in order now, and filled up
            path = f"{API}/call/{called['name']}"
            scope.update({"path": path, "raw_path": quote(path).encode()})
            body = json.dumps(sent.content).encode()
        if path in ENDS and sent.content.get("event_id") is None:
            body = json.dumps({**sent.content, "event_id": await self.sessions.newest(sent.content)}).encode()
        return _replayed(self.app, body)

    def _understood(self, body: bytes, hosts: set[str]) -> tuple["Sent", bytes]:
        """What a body holds, and the body with no alias in it. In a thread, so that a large one holds nobody up."""
        sent = read(body)
        before = [entry["path"] for entry in sent.files]
        for entry in sent.files:
            entry["path"] = self.aliases.real(_path_of(entry["path"], hosts))
            if _is_address(entry["path"]):
                raise RefusedError(400, "elsewhere")
            # Gradio refuses it too, and says nothing.
            if _is_file(entry) and not uploads.is_here(entry["path"]):
                raise RefusedError(400, "not_uploaded")
        changed = before != [entry["path"] for entry in sent.files]
        return sent, json.dumps(sent.content).encode() if changed else body

    def _reading(self, scope: Scope, visitor: str, held: AsyncExitStack) -> None:
        """Note whether somebody listens, and find the file that is meant."""
        path: str = scope["path"]
        if path.startswith(FILE):
            wanted = path.removeprefix(FILE)
            if _is_address(wanted):
                raise RefusedError(403, "Addresses are not fetched.")
            scope["path"] = FILE + self.aliases.real(wanted)
        elif stream := STREAM.fullmatch(path):
            if stream["open"]:
                _check_session(stream["open"])
                self.sessions.named(visitor, stream["open"])
                held.enter_context(self.sessions.open(stream["open"]))
            elif stream["data"]:
                session = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
                held.enter_context(self._heard(session))
            else:
                held.enter_context(self._heard(self.sessions.of_event(stream["event"])))

    def _heard(self, session: str) -> AbstractContextManager[None]:
        """Somebody listens to a session; to one of which nothing is told Gradio's answer would break off in the middle."""
        if session not in self.sessions.queue.pending_messages_per_session:
            raise RefusedError(404, "Nothing of this session is waiting or being made.")
        return self.sessions.listening(session)

    async def _writing(self, path: str, sent: "Sent", visitor: str, held: AsyncExitStack) -> None:
        """Take the visitor's share of what the request will need."""
        session = sent.content.get("session_hash")
        if session is not None:
            self.sessions.named(visitor, _check_session(session))
        if path == QUESTION:
            if self._known(self.page.blocks, sent.content.get("component_id")) is None:
                raise RefusedError(404, "There is nothing of this number on the page.")
            if sent.files:
                paths = [Path(str(entry["path"])) for entry in sent.files]
                pixels = await anyio.to_thread.run_sync(megapixels, paths)
                await held.enter_async_context(self.pictures(visitor, pixels))
            await held.enter_async_context(self.questions(visitor))  # last, so that nobody waits inside
        elif path not in ENDS:
            self._fitting(path, sent)
        if path == JOIN or CALL.fullmatch(path):
            held.enter_context(self.sessions.arriving(sent.content))
            await held.enter_async_context(self.sessions.joining(visitor))

    def _fitting(self, path: str, sent: "Sent") -> None:
        """Refuse what an event cannot begin with: Gradio would print all of it, megabytes of it, into the log."""
        event, called = sent.content.get("fn_index"), CALL.fullmatch(path)
        if named := called or (RUN.fullmatch(path) if event is None else None):
            public = (fn for fn in self.page.fns.values() if fn.api_visibility == "public")
            found: Any = next((fn for fn in public if fn.api_name == named["name"]), None)
        else:
            found = self._known(self.page.fns, event)
        if found is None or (found.queue and path != JOIN and not called):
            raise RefusedError(404, "There is no such event on the page, or it is asked for through the queue alone.")
        if called and called["named"]:
            sent.content = {"data": _ordered(called["name"], sent.content, found)}
            return
        data = sent.content.get("data")
        if called and isinstance(data, list):
            _filled(cast("list[Any]", data), found)
        # Who calls by name may leave out what only the page itself knows.
        least = sum(not (called and block.skip_api) for block in found.inputs)
        if not isinstance(data, list) or len(cast("list[Any]", data)) < least:
            raise RefusedError(400, f"The event takes a list of {len(found.inputs)} values as its data.")

    @staticmethod
    def _known(numbered: Mapping[int, Any], number: object) -> Any:
        """What has this number, if it is one."""
        return numbered.get(number) if type(number) is int else None

    async def _body(self, headers: Headers, path: str, receive: Receive, visitor: str, held: AsyncExitStack) -> bytes:
        """All of the body, its room held."""
        limit = {JOIN: visitors.mask_bytes(), MCP: visitors.TOOL_BYTES}.get(path, visitors.JSON_BYTES)
        declared = headers.get("content-length")
        length = limit if declared is None or not declared.isdecimal() else min(int(declared[:20]), limit + 1)
        if length > limit:
            raise self._too_large(limit)
        if length > visitors.FREE_BYTES:
            await held.enter_async_context(self.bodies(visitor, length))
        body = bytearray()
        more = True
        try:
            async with asyncio.timeout(visitors.SILENCE + length / visitors.SLOWEST):
                while more:  # a chunked body declares no length
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RefusedError(400, "The connection broke.")
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > limit:
                        raise self._too_large(limit)
        except TimeoutError:
            raise RefusedError(408, "late") from None
        return bytes(body)

    def _own_headers(self, headers: Headers, version: str) -> list[tuple[bytes, bytes]]:
        """What Gradio sees: no origin to answer, and no host but those that the page is known by."""
        hidden = {b"origin", b"x-gradio-server"}
        if _host(headers.get("x-forwarded-host", "")) not in self.setting.hosts:
            hidden.add(b"x-forwarded-host")
        kept = [(name, value) for name, value in headers.raw if name.lower() not in hidden]
        # What was handed on stays known as such; see `visitors.forwarded`. HTTP/1.0 is what nginx speaks, without a word
        # of whom it speaks for, unless it is told otherwise; browsers do not.
        handed_on = "x-forwarded-host" in headers or version == "1.0"
        return [*kept, (b"via", b"1.1 unnamed")] if handed_on else kept

    def _dressed(self, send: Send) -> Send:
        """`send` with the headers that every answer has, and none that lets another site in."""

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name in [name for name in headers if name.startswith("access-control-")]:
                    del headers[name]
                headers["x-content-type-options"] = "nosniff"
                headers["referrer-policy"] = "same-origin"
                headers["content-security-policy"] = POLICY if self.setting.space else POLICY + FRAMES
                if not self.setting.space:
                    headers["x-frame-options"] = "SAMEORIGIN"
            await send(message)

        return dressed

    @staticmethod
    def _too_large(limit: int) -> "RefusedError":
        return RefusedError(413, "too_large", limit=limit // 2**20)


class Incoming:
    """What comes of a request, and whether all of it came."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.ended = False

    async def __call__(self) -> Message:
        message = await self.receive()
        self.ended = not message.get("more_body", False)
        return message

    async def dropped(self) -> None:
        """Read on for a moment: closed with something unread, a connection is reset, and the refusal lost on its way."""
        size = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(visitors.LINGER):
                while not self.ended and size < visitors.LINGER_BYTES:
                    size += len((await self()).get("body", b""))


def _check_session(name: object) -> str:
    if not isinstance(name, str) or not SESSION.fullmatch(name):
        raise RefusedError(400, "A session is named by 1 to 64 letters and digits.")
    return name


class RefusedError(Exception):
    """A request that is answered with one sentence: a word of W, or the sentence itself."""

    def __init__(self, status: int, said: str, **values: Any) -> None:
        super().__init__(said)
        self.status = status
        self.said = said
        self.values = values

    def answer(self, scope: Scope) -> Response:
        """The answer, in the language of whoever asked."""
        asking = cast("gr.Request", Request(scope))
        sentence = W.text(self.said, asking, **self.values) if self.said in W else self.said
        # "error" is where Gradio's page and its Python client look for a message; "detail" is where FastAPI puts one.
        told = {"error": sentence, "detail": sentence}
        return JSONResponse(told, status_code=self.status, headers={"connection": "close"})


def _replayed(app: ASGIApp, body: bytes) -> ASGIApp:
    """`app` with a body that was read already."""

    async def replayed(scope: Scope, receive: Receive, send: Send) -> None:
        waiting = True

        async def replay() -> Message:
            nonlocal waiting
            if not waiting:
                return await receive()
            waiting = False
            return {"type": "http.request", "body": body, "more_body": False}

        raw = [
            (name, value) for name, value in scope["headers"] if name not in (b"content-length", b"transfer-encoding")
        ]
        length = (b"content-length", str(len(body)).encode())
        await app({**scope, "headers": [*raw, length]}, replay, send)

    return replayed


# ---- who asks ----


def foreign(headers: Mapping[str, str], hosts: frozenset[str] = frozenset()) -> bool:
    """Whether a browser sent this for another site than the page itself, as far as its headers say.

    Browsers name the origin with everything that can change something, over plain http too, where they say nothing in
    `Sec-Fetch-Site`. Programs that are no browsers name none.
    """
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    if origin is None:
        return False
    host = _host(netloc(origin))
    return not host or host not in {_host(headers.get("host", "")), *hosts}


def netloc(address: str) -> str:
    """Host and port in an address; "" where it has none or makes no sense."""
    try:
        return urlsplit(address).netloc
    except ValueError:
        return ""


def _host(netloc: str) -> str:
    """Host and port as one writes them, whether or not the usual port was named."""
    return netloc.lower().removesuffix(":80").removesuffix(":443")


# ---- what is sent ----


@dataclass
class Sent:
    """A JSON body: what it holds, and each object in it that names a file."""

    content: dict[str, Any]
    files: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


def read(body: bytes) -> Sent:
    """Parse a body of JSON whose values are counted first: a few MB of them would become hundreds.

    Raises:
        RefusedError: it is no JSON object, or has too many values.
    """
    if sum(map(body.count, (b",", b"[", b"{"))) > visitors.VALUES:
        raise RefusedError(413, f"The request has more than {visitors.VALUES:,} values; send fewer.")
    try:
        content: Any = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise RefusedError(400, "The request is not a JSON object.")
    sent = Sent(cast("dict[str, Any]", content))
    waiting: list[Any] = [sent.content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(value.get("path"), str):
                sent.files.append(cast("dict[str, Any]", value))
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return sent


def _is_file(entry: dict[str, Any]) -> bool:
    """Whether Gradio takes an object for a file."""
    meta: Any = entry.get("meta")
    return isinstance(meta, dict) and cast("dict[str, Any]", meta).get("_type") == "gradio.FileData"


def _ordered(name: str, given: dict[str, Any], found: Any) -> list[Any]:
    """Arguments by name in the order of the endpoint's; Gradio's own way breaks off at a name that is wrong or missing.

    Raises:
        RefusedError: so is one.
    """
    takes = utils.get_function_params(found.fn)
    known = [one for one, *_ in takes]
    for unknown in given:
        if unknown not in known:
            raise RefusedError(400, "takes", name=name, unknown=unknown[:40], known=", ".join(known))
    for one, optional, *_ in takes:
        if not optional and one not in given:
            raise RefusedError(400, "needs", name=name, missing=one)
    return [given.get(one, usual) for one, _, usual, _ in takes]


def _filled(data: list[Any], found: Any) -> None:
    """Add the usual values of what a program left out at the end."""
    left = utils.get_function_params(found.fn)[len(data) :]
    if len(data) + len(left) == len(found.inputs) and all(optional for _, optional, *_ in left):
        data.extend(usual for _, _, usual, _ in left)


def _is_path(path: str) -> bool:
    """Whether a file could have this path; Gradio's routes for files raise at what the system cannot ask for."""
    longest = max(len(os.fsencode(name)) for name in path.split("/"))
    return "\0" not in path and len(os.fsencode(path)) <= LONGEST_PATH and longest <= LONGEST_NAME


def _is_address(path: str) -> bool:
    """Whether a path leads to another computer; a single letter before the colon is a drive."""
    return re.match(r"\s*([\w+.-]{2,}:|//|\\\\)", path) is not None


def megapixels(paths: list[Path]) -> float:
    """How much decoding the pictures takes, as their headers tell; what is no picture of this page takes nothing."""
    total = 0.0
    for path in paths:
        with suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            if uploads.is_here(path) and path.is_file():
                with Image.open(path, formats=PICTURES) as opened:
                    total += opened.width * opened.height / 1e6
    return total


class Aliases:
    """Short names for the folders whose files the page offers, so that it shows no path of the server."""

    def __init__(self) -> None:
        folders = {path if path.is_dir() else path.parent for path in map(Path, _StaticFiles.all_paths)}
        self.folders = {f"{ALIAS}{place}": str(folder) for place, folder in enumerate(sorted(folders))}
        self.folders[uploads.FILES] = str(uploads.folder())

    def real(self, path: str) -> str:
        """The path behind an alias; any other path as it is."""
        head, _, rest = path.removeprefix(ALIAS).partition("/")
        # A way up and out is told as it was asked for: what Gradio refuses, it names in full.
        within = path.startswith(ALIAS) and ".." not in re.split(r"[/\\]", rest)
        folder = self.folders.get(ALIAS + head) if within else None
        return path if folder is None else f"{folder}/{rest}"

    def hide(self, value: Any) -> Any:
        """The page's configuration with aliases in place of paths."""
        if isinstance(value, dict):
            return {key: self.hide(part) for key, part in cast("dict[Any, Any]", value).items()}
        if isinstance(value, list | tuple):
            return [self.hide(part) for part in cast("list[Any]", value)]
        if isinstance(value, str):
            for alias, folder in self.folders.items():
                for spelt in {folder, quote(Path(folder).as_posix())}:
                    value = value.replace(f"{spelt}/", f"{alias}/")
        return value


def address_of(alias: str) -> str:
    """Where a file is found on this server."""
    return f"{FILE}{quote(alias)}"


def _path_of(path: str, hosts: set[str]) -> str:
    """What the address of a file of this server's stands for; any other path as it is."""
    if not _is_address(path):
        return path
    _, found, rest = path.partition(FILE)
    return unquote(rest) if found and _host(netloc(path)) in hosts else path


# ---- pages that are open ----


class Sessions:
    """Which pages are open and what of theirs waits in the queue; what nobody comes back to is forgotten."""

    def __init__(self, page: gr.Blocks) -> None:
        self.page = page
        self.of: defaultdict[str, OrderedDict[str, None]] = defaultdict(
            OrderedDict
        )  # by visitor, the last used at the end
        self.opened: Counter[str] = Counter()
        self.heard: Counter[str] = Counter()
        self.coming: Counter[str] = Counter()  # events that are about to join the queue, by visitor
        self.unnumbered: Counter[str] = Counter()  # events whose page does not know their number yet, by `_kind`

    @property
    def queue(self) -> Any:
        return self.page._queue  # pyright: ignore[reportPrivateUsage] (Gradio has no other way to it)

    def named(self, visitor: str, session: str) -> None:
        """A visitor used a session. One who has too many loses those that have been closed longest."""
        mine = self.of[visitor]
        mine[session] = None
        mine.move_to_end(session)
        for old in list(mine)[: -visitors.VISITOR_SESSIONS]:
            if not self.opened[old]:
                self._forget(old)
                del mine[old]

    def open(self, session: str) -> AbstractContextManager[None]:
        """A page of the session is open while the block lasts."""
        return _counted(self.opened, session)

    def listening(self, session: str) -> AbstractContextManager[None]:
        """Somebody hears what becomes of the session's events while the block lasts."""
        return _counted(self.heard, session)

    def of_event(self, event: str) -> str:
        """The session of an event, until all of it is told; a call that named none has the event's own name."""
        if (found := self.queue.event_ids_to_events.get(event)) is not None:
            return found.session_hash
        pending: dict[str, set[str]] = self.queue.pending_event_ids_session
        return next((session for session, events in list(pending.items()) if event in events), event)

    def arriving(self, asked: dict[str, Any]) -> AbstractContextManager[None]:
        """An event that is asked for has no number while the block lasts."""
        return _counted(self.unnumbered, _kind(asked))

    async def newest(self, asked: dict[str, Any]) -> str:
        """The number of the session's last event of the function that is to be cancelled, or "" where there is none.

        Gradio's page cancels an event without its number if that is not back from the server yet; Gradio's server refuses
        that, and the event would go on.
        """
        late, before = time.monotonic() + visitors.PATIENCE, self._numbers(asked)
        if not self.unnumbered[_kind(asked)]:
            return before[-1] if before else ""
        while self.unnumbered[_kind(asked)] and time.monotonic() < late and self._numbers(asked) == before:
            await asyncio.sleep(BEAT)
        return next((number for number in self._numbers(asked) if number not in before), "")

    def _numbers(self, asked: dict[str, Any]) -> list[str]:
        session, function = asked.get("session_hash"), asked.get("fn_index")
        return [e._id for e in self._events() if e.session_hash == session and e.fn._id == function]

    @asynccontextmanager
    async def joining(self, visitor: str) -> AsyncGenerator[None]:
        """Take a place in the queue while the block lasts, once the visitor holds fewer than the share of one.

        Raises:
            RefusedError: no place of this visitor's became free.
        """
        await self.drop_unheard()
        late = time.monotonic() + visitors.PATIENCE
        while not visitors.local(visitor) and self.waiting(visitor) >= visitors.VISITOR_WAITING:
            if time.monotonic() > late:
                raise RefusedError(429, "waiting")
            await asyncio.sleep(BEAT)
        with _counted(self.coming, visitor):
            yield

    def waiting(self, visitor: str) -> int:
        """How many events of a visitor are in the queue, at work, or on their way there."""
        mine = sum(event.request.scope.get("genrestore.visitor") == visitor for event in self._events())
        return mine + self.coming[visitor]

    async def drop_unheard(self) -> None:
        """Take out of the queue what nobody has listened to for a while; its caller is gone."""
        late = time.monotonic() - visitors.UNHEARD
        for session in {
            e.session_hash for e in self._events() if e.enqueue_time < late and e.session_hash not in self.heard
        }:
            await self.queue.clean_events(session_hash=session)

    async def keep_tidy(self, beat: float, also: Callable[[], None]) -> None:
        """Forget what is over, every `beat` seconds, until cancelled; and call `also`."""
        while True:
            await asyncio.sleep(beat)
            await self.drop_unheard()
            self.expire()
            also()

    def expire(self) -> None:
        """Forget the sessions that were closed long ago, and those that were never opened."""
        known = {session for mine in self.of.values() for session in mine}
        holder: Any = self.page.state_holder
        now = datetime.now()
        for session, used in list(holder.time_last_used.items()):
            patience = visitors.SESSION_SECONDS if session in known else visitors.UNNAMED_SECONDS
            if not self.opened[session] and (now - used).total_seconds() > patience:
                self._forget(session)
        for visitor, mine in list(self.of.items()):
            for session in [s for s in mine if s not in holder.session_data and not self.opened[s]]:
                del mine[session]
            if not mine:
                del self.of[visitor]

    def _events(self) -> list[Any]:
        return list(self.queue.event_ids_to_events.values())

    def _forget(self, session: str) -> None:
        holder: Any = self.page.state_holder
        holder.session_data.pop(session, None)
        holder.time_last_used.pop(session, None)


def _kind(asked: dict[str, Any]) -> str:
    """Of which function of which session an event is."""
    return f"{asked.get('session_hash')!s:.64} {asked.get('fn_index')!s:.16}"


@contextmanager
def _counted(counter: Counter[str], key: str) -> Generator[None]:
    counter[key] += 1
    try:
        yield
    finally:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]
