"""The page's server: where it listens, how it starts and how it ends, with nothing of a visitor's left behind.

Gradio's `launch` tries a hundred ports for whatever reason the first one fails, puts its own answer to other sites round
every middleware, and leaves visitors' files on the disk unless it is closed in time.
"""

import errno
import os
import socket
import threading
from typing import Any

import gradio as gr
import uvicorn
from starlette.types import ASGIApp

from genrestore.errors import SettingError
from genrestore.paths import space
from genrestore.ui.server.uploads import Folder

HOST, OPEN = "127.0.0.1", "0.0.0.0"  # where a page listens that nobody gave a place, and one of a Space
PORTS = range(7860, 7960)  # the first free one is taken where none is named
CLOSING = 3  # seconds that open requests have to end


class Server:
    """A page that is being served from a thread of its own.

    Attributes:
        local_url: where this computer reaches it.
    """

    def __init__(self, page: gr.Blocks, app: ASGIApp, stop: Any, listener: socket.socket, folder: Folder) -> None:
        """Begin to serve; `stop` is Gradio's event that ends what its clients listen to."""
        self.page = page
        self.stop = stop
        self.folder = folder
        host, port = listener.getsockname()[:2]
        shown = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, f"[{host}]" if ":" in host else host)
        self.local_url = f"http://{shown}:{port}/"
        config = uvicorn.Config(
            app, log_level="warning", proxy_headers=False, server_header=False, timeout_graceful_shutdown=CLOSING
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, args=([listener],), daemon=True)
        self.thread.start()
        while not self.server.started:
            self.thread.join(0.01)
            if not self.thread.is_alive():
                raise SettingError("The page could not be started; what it printed above says why.")

    @property
    def running(self) -> bool:
        """Whether the page is still served."""
        return self.thread.is_alive()

    def close(self) -> None:
        """End the server and remove all that visitors sent and got. A picture that is being made is not waited for."""
        self.page._queue.close()  # pyright: ignore[reportPrivateUsage] (as Gradio's own close does)
        self.page.is_running = False
        self.stop.set()
        self.server.should_exit = True
        self.thread.join(CLOSING + 5)
        self.folder.close()


def listen(host: str | None, port: int | None) -> socket.socket:
    """A socket that listens at `host`, and at `port` or else at the first free one of PORTS; on a Space for all, at the first.

    The variables GRADIO_SERVER_NAME and GRADIO_SERVER_PORT stand in for what is None.

    Raises:
        SettingError: nothing can listen there.
    """
    host = host or os.environ.get("GRADIO_SERVER_NAME") or (OPEN if space() else HOST)
    chosen = port if port is not None else _named_port()
    if chosen is None and space():
        chosen = PORTS[0]  # where the Space's own server asks
    if chosen is not None and not 1 <= chosen <= 65535:
        raise SettingError(f"There is no port {chosen}; choose one from 1 to 65535 with --port.")
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise SettingError(
            f"There is no address {host[:80]!r}; use --host {HOST} for this computer, or 0.0.0.0 to let others in."
        ) from None
    family, _, _, _, address = found[0]
    for number in PORTS if chosen is None else (chosen,):
        try:
            listener = socket.create_server((str(address[0]), number), family=family, backlog=2048)
        except OSError as problem:
            if chosen is None and problem.errno == errno.EADDRINUSE:
                continue
            raise _unheard(host, number, problem) from problem
        # Named as TCP, or asyncio leaves Nagle's algorithm on, with which every other picture of a drag is 40 ms late.
        return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=listener.detach())
    raise SettingError(f"The ports {PORTS[0]} to {PORTS[-1]} are all taken; choose another with --port.")


def _named_port() -> int | None:
    """GRADIO_SERVER_PORT as a number; the package puts one that is none under another name, out of Gradio's sight."""
    text = os.environ.get("GRADIO_SERVER_PORT") or os.environ.get("GENRESTORE_WRONG_PORT")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 7):
        raise SettingError(f"GRADIO_SERVER_PORT is {text[:40]!r}; set it to a port from 1 to 65535, or unset it.")
    return int(text)


def _unheard(host: str, port: int, problem: OSError) -> SettingError:
    if problem.errno == errno.EADDRINUSE:
        return SettingError(f"Another program listens on port {port}; choose another with --port.")
    if problem.errno == errno.EADDRNOTAVAIL:
        return SettingError(
            f"This computer does not have the address {host}; use --host {HOST} for itself, or 0.0.0.0 to let others in."
        )
    if problem.errno in (errno.EACCES, errno.EPERM):
        return SettingError(f"Port {port} is kept for the system; choose one from 1024 on with --port.")
    return SettingError(
        f"The page cannot be served at {host}, port {port} ({problem.strerror}); choose another --port."
    )


def proxy(root_path: str | None) -> str:
    """Where another server publishes the page: a path such as /pictures, or an address; "" is nowhere.

    GRADIO_ROOT_PATH stands in for None.

    Raises:
        SettingError: it is neither.
    """
    given = os.environ.get("GRADIO_ROOT_PATH", "") if root_path is None else root_path
    path = given.strip().rstrip("/")
    if path and not path.startswith(("/", "http://", "https://")):
        raise SettingError(f"--root-path is a path such as /pictures or an address, not {given[:80]!r}.")
    return path
