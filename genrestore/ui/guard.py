"""What the server refuses before Gradio reads it: JSON bodies without end, and file payloads that name an address.

Gradio limits uploads but not JSON, and fetches a payload whose path is an http address. This page fetches nothing.
"""

import json
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES = 32 * 2**20  # a painted mask of 100 megapixels as PNG in base64 takes a few MB
UPLOAD = "/upload"  # end of the one path whose bodies Gradio streams to disk and limits by itself


class Guard:
    """ASGI middleware that reads each body but an upload's, to `limit` bytes at most, and looks for addresses in it."""

    def __init__(self, app: ASGIApp, limit: int = BODY_BYTES) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        bodiless = scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS")
        if bodiless or scope["path"].rstrip("/").endswith(UPLOAD):
            await self.app(scope, receive, send)
            return
        problem, body = await self._read(scope, receive)
        if problem is not None:
            await problem(scope, receive, send)
            return
        waiting = True

        async def replay() -> Message:
            nonlocal waiting
            if not waiting:
                return await receive()
            waiting = False
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)

    async def _read(self, scope: Scope, receive: Receive) -> tuple[JSONResponse | None, bytes]:
        """The refusal, if there is one, and the body."""
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > self.limit:
            return self._too_large(), b""
        body = bytearray()
        more = True
        while more:  # a chunked body declares no length
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.limit:
                return self._too_large(), b""
        if names_address(bytes(body)):
            return _refusal(400, "A picture must be uploaded; addresses are not fetched."), b""
        return None, bytes(body)

    def _too_large(self) -> JSONResponse:
        return _refusal(413, f"The request is larger than {self.limit // 2**20} MB; upload pictures as files instead.")


def names_address(body: bytes) -> bool:
    """Whether the JSON of `body` holds an object whose "path" is an http address; what is not JSON holds none."""
    try:
        waiting: list[Any] = [json.loads(body)]
    except (ValueError, RecursionError):
        return False
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            path = value.get("path")
            if isinstance(path, str) and path.strip().lower().startswith(("http:", "https:")):
                return True
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return False


def _refusal(status: int, sentence: str) -> JSONResponse:
    # "error" is where Gradio's page and its Python client look for a message; "detail" is where FastAPI puts one.
    return JSONResponse({"error": sentence, "detail": sentence}, status_code=status, headers={"connection": "close"})
