"""The command `genrestore`, and `python -m genrestore`: the commands of `cli`, and the one that opens the page of `ui`.

They meet here only, so that neither knows the other.
"""

import os
import signal
import sys
import threading
import webbrowser
from typing import Annotated

import typer

from genrestore import paths
from genrestore.cli.main import main
from genrestore.cli.options import app

ENDINGS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # of the page: what visitors sent is removed first
LOOK = 0.5  # seconds between two looks at the server


@app.command("app")
def open_app(
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on; 0.0.0.0 lets other computers in.", show_default="127.0.0.1"),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on.", show_default="first free one from 7860")
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Stricter limits on pictures, for a page that strangers use.")
    ] = False,
    training: Annotated[
        bool,
        typer.Option("--training", help="Let everybody train who reaches a page on another address than 127.0.0.1."),
    ] = False,
    root_path: Annotated[
        str | None,
        typer.Option(
            help="Path, such as /pictures, or address under which another server shows the page.", show_default=False
        ),
    ] = None,
    mcp: Annotated[
        bool,
        typer.Option(
            "--mcp", help="Offer the page's endpoints to agents as MCP tools (pip install 'genrestore[mcp]')."
        ),
    ] = False,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
) -> None:
    """Open the page with all tasks in the browser.

    Example: genrestore app --port 8000
    """
    if public:
        os.environ["GENRESTORE_PUBLIC"] = "1"
    if (disk := paths.lasting()) is not None:
        os.environ.setdefault("HF_HOME", str(disk / ".huggingface"))  # read by the Hub's client as it is imported
    from genrestore import ui

    ended = threading.Event()
    server = None
    for name in ENDINGS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: ended.set())
    try:
        server = ui.launch(host, port, training or None, root_path, mcp)
        print(f"genrestore is open at {server.local_url} (end it with Ctrl-C)", flush=True)
        if mcp:
            print(f"Agents find its tools at {server.local_url}gradio_api/mcp", flush=True)
        if browser and _has_screen() and not ended.is_set():
            webbrowser.open(server.local_url)
        while server.running and not ended.wait(LOOK):
            pass
    finally:
        if server is not None:
            server.close()
    sys.stdout.flush()
    os._exit(0)  # a picture that is still being made in another thread would hold the process and then complain


def _has_screen() -> bool:
    """Without one, Linux would open a text browser in this very terminal."""
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    main()
