"""Endpoints of the page as tools for agents, over MCP's streamable HTTP.

Gradio's own MCP server asks the page at whatever host a request names, as one and the same visitor for all, and encodes
pictures anew. Here the call of a tool becomes a request like any other, which comes through the guard with the address and the
headers of whoever asked, so that all its limits hold.
"""

import base64
import binascii
import importlib.util
import json
import mimetypes
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

import gradio as gr
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from genrestore import __version__
from genrestore.errors import SettingError
from genrestore.ui.server.guard import API, UPLOAD
from genrestore.ui.words import Words

if TYPE_CHECKING:
    import httpx
    from mcp import types

OWN = {  # headers of the call of a tool itself
    "accept", "accept-encoding", "connection", "content-length", "content-type", "host", "transfer-encoding",
}  # fmt: skip
DATA = re.compile(r"data:(?P<kind>[\w.+/-]*)(?:;[^,;]*)*?;base64,(?P<data>.*)", re.DOTALL)
LOOKED_AT = ("image/png", "image/jpeg", "image/webp", "image/gif")  # what agents can look at
LOOK_BYTES, LOOKS = 512 * 2**10, 4  # of a picture that is shown and not only named, and how many of one answer are
FILES = (
    f"A file is named by its address on this page: send it to {UPLOAD} as the one part of a multipart form, and write what "
    "that answers here; or write the url of a file that another tool gave. A small one may be a data: URL."
)

W = Words("agents")


@dataclass(frozen=True)
class Tool:
    """An endpoint as agents are told of it.

    Attributes:
        schema: JSON Schema of its arguments, a file being a text.
        files: arguments that are files.
    """

    name: str
    help: str
    schema: dict[str, Any]
    files: frozenset[str]


def installed() -> bool:
    """Whether the package mcp is."""
    return importlib.util.find_spec("mcp") is not None


class RefusedError(Exception):
    """One sentence for the agent."""


class Agents:
    """An ASGI app that answers at `guard.MCP`. `running` must be entered as the server starts.

    Args:
        page: the whole page with its guard, which every call goes through.

    Raises:
        SettingError: the package mcp is not installed.
    """

    def __init__(self, page: ASGIApp, tools: Sequence[Tool]) -> None:
        if not installed():
            raise SettingError(
                "Agents are served through the package mcp; install it with: pip install 'genrestore[mcp]'."
            )
        from mcp.server.lowlevel import Server
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        self.page = page
        self.tools = {tool.name: tool for tool in tools}
        self.server: Server[Any, Any] = Server("genrestore", __version__, FILES)
        self.server.list_tools()(self._listed)
        self.server.call_tool(validate_input=False)(self._called)  # the endpoint says it in one sentence
        self.manager = StreamableHTTPSessionManager(self.server, stateless=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.manager.handle_request(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """While the server runs."""
        async with self.manager.run():
            yield

    async def _listed(self) -> "list[types.Tool]":
        from mcp import types

        return [
            types.Tool(name=tool.name, description=tool.help, inputSchema=tool.schema) for tool in self.tools.values()
        ]

    async def _called(self, name: str, arguments: dict[str, Any]) -> "list[types.ContentBlock]":
        """What an endpoint answers: JSON with the files' addresses, and small pictures to look at.

        Raises:
            RefusedError: as the endpoint says it.
        """
        if name not in self.tools:
            raise self._refused("tool", name=name[:40], known=", ".join(self.tools))
        async with self._asking() as client:
            files = self.tools[name].files
            sent = {key: await self._file(client, value) if key in files else value for key, value in arguments.items()}
            event = _told(await client.post(f"{API}/call/v2/{name}", json=sent)).json()["event_id"]
            (answer,) = self._last((await client.get(f"{API}/call/{name}/{event}")).text)
            return await _content(client, answer)

    @property
    def request(self) -> Request:
        """Of the tool's call that is being answered."""
        asked: Any = self.server.request_context.request
        assert isinstance(asked, Request)
        return asked

    def _refused(self, key: str, **values: str) -> RefusedError:
        """A word of W, in the language of whoever asked."""
        return RefusedError(W.text(key, cast("gr.Request", self.request), **values))

    async def _file(self, client: "httpx.AsyncClient", given: Any) -> Any:
        """A file as the endpoint takes it; what is in a data: URL is uploaded."""
        if not isinstance(given, str):
            return given
        if not given.startswith("data:"):
            return {"path": given}
        found = DATA.fullmatch(given)
        try:
            data = base64.b64decode(found["data"], validate=True) if found else b""
        except binascii.Error:
            data = b""
        if found is None or not data:
            raise self._refused("data_url")
        name = f"picture{mimetypes.guess_extension(found['kind']) or ''}"
        (path,) = _told(await client.post(UPLOAD, files={"files": (name, data)})).json()
        return {"path": path}

    def _last(self, stream: str) -> Any:
        """What the stream of a call ends with.

        Raises:
            RefusedError: it is an error, or nothing.
        """
        events = re.findall(r"event: (\w+)\ndata: (.*)\n", stream)
        kind, data = events[-1] if events else ("error", "null")
        told: Any = json.loads(data)
        if kind == "complete":
            return told
        said = cast("dict[str, Any]", told).get("error") if isinstance(told, dict) else told
        raise RefusedError(str(said)) if said else self._refused("silent")

    @asynccontextmanager
    async def _asking(self) -> "AsyncGenerator[httpx.AsyncClient]":
        """What asks the page as whoever called the tool."""
        import httpx

        request = self.request
        headers = {key: value for key, value in request.headers.items() if key not in OWN}
        peer = (request.client.host, request.client.port) if request.client else ("", 0)
        transport = httpx.ASGITransport(self.page, client=peer)
        host = request.headers.get("host", "localhost")
        async with httpx.AsyncClient(
            transport=transport, base_url=f"{request.url.scheme}://{host}", headers=headers, timeout=None
        ) as client:
            yield client


def _told(answer: "httpx.Response") -> "httpx.Response":
    """The answer.

    Raises:
        RefusedError: it is a refusal.
    """
    if answer.status_code == 200:
        return answer
    try:
        said: Any = answer.json()["error"]
    except (ValueError, LookupError, TypeError):
        said = answer.text
    raise RefusedError(str(said)[:1000])


async def _content(client: "httpx.AsyncClient", answer: Any) -> "list[types.ContentBlock]":
    """The answer for an agent."""
    from mcp import types

    content: list[types.ContentBlock] = []
    for file in cast("list[Any]", answer) if isinstance(answer, list) else [answer]:
        if not (isinstance(file, dict) and "url" in file and "mime_type" in file):
            continue
        known = cast("dict[str, Any]", file)
        del known["path"]
        small = known["size"] <= LOOK_BYTES and len(content) < LOOKS
        if small and known["mime_type"] in LOOKED_AT:
            where = unquote(urlsplit(known["url"]).path)
            data = _told(await client.get(where[where.index(API) :])).content
            seen = base64.b64encode(data).decode("ascii")
            content.append(types.ImageContent(type="image", data=seen, mimeType=known["mime_type"]))
    return [types.TextContent(type="text", text=json.dumps(answer, ensure_ascii=False)), *content]
