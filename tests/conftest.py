"""What several test files share: the running page and a browser to look at it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # several of them share the cores, and threads of PyTorch wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parents[1]
BROWSERS = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
)  # the first has no windows to draw
CHROMIUM = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",  # Chromium's own errands would count as requests to outside hosts
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--renderer-process-limit=1",  # pages of a context share a process, which keeps what it compiled; see `contexts`
)
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
# Resolves once nothing on the page has moved for a dozen frames: Gradio adds part after part to a tab that is opened.
STANDING = """new Promise((stands) => {
    let before = "", frames = 0;
    const look = () => {
        const now = [...document.querySelectorAll("body *")].map((node) => Math.round(node.getBoundingClientRect().top)).join();
        frames = now === before ? frames + 1 : 0;
        before = now;
        if (frames < 12) requestAnimationFrame(look);
        else stands();
    };
    look();
})"""
COLD = (
    "from genrestore import ui; ui._warm = lambda: None; from app import main; import sys; main(['app', *sys.argv[1:]])"
)
HURRY = """
    const wait = window.setTimeout;
    window.setTimeout = (act, ms, ...rest) => wait(act, 1000 <= ms && ms <= 3000 ? ms / 5 : ms, ...rest);
"""
START_SECONDS = 90  # generous: other tests may hold both cores


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """PyTorch computes on one core."""
    import torch

    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(usual)


@pytest.fixture(scope="session")
def start_app() -> Iterator[Callable[..., str]]:
    """start_app(**environment) → address of a page of its own, served by `python app.py` to the end of the tests.

    With `cold` it loads no net before somebody asks for it.
    """
    running: list[subprocess.Popen[bytes]] = []
    scratch = Path(tempfile.mkdtemp(prefix="genrestore-test-"))

    def start(*, cold: bool = False, **environment: str) -> str:
        port = free_port()
        log = scratch / f"server-{port}.log"
        with log.open("wb") as sink:
            server = subprocess.Popen(
                [
                    sys.executable,
                    *(("-c", COLD) if cold else (str(ROOT / "app.py"),)),
                    "--port",
                    str(port),
                    "--no-browser",
                ],
                cwd=ROOT,
                env={**os.environ, "GRADIO_TEMP_DIR": str(scratch / f"files-{port}"), **environment},
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        running.append(server)
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(address, timeout=5):
                    return address
            except (urllib.error.URLError, OSError):
                assert server.poll() is None, f"python app.py ended:\n{log.read_text('utf-8')}"
                time.sleep(0.1)
        raise AssertionError(f"python app.py showed no page within {START_SECONDS} s:\n{log.read_text('utf-8')}")

    yield start
    for server in running:
        server.terminate()
    for server in running:
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
    shutil.rmtree(scratch, ignore_errors=True)


@pytest.fixture(scope="session")
def app_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page that all browser tests share keeps its files: home is its $GENRESTORE_HOME, files its uploads."""
    return tmp_path_factory.mktemp("app")


# What Python runs as it starts: it writes each name that is looked up, and each address outside that is called, into $HEARD.
LISTENER = """
import os, socket
def note(what, host):
    if isinstance(host, bytes): host = host.decode()
    if host not in (None, "", "localhost", "::1", "0.0.0.0", "::") and not str(host).startswith("127."):
        with open(os.environ["HEARD"], "a") as file: file.write(f"{what} {host}\\n")
def wrap(owner, name, place):
    original = getattr(owner, name)
    def heard(*args, **kwargs):
        target = args[place] if len(args) > place else None
        note(name, target[0] if isinstance(target, tuple) else target)
        return original(*args, **kwargs)
    setattr(owner, name, heard)
for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"): wrap(socket, name, 0)
class Socket(socket.socket): pass
for name in ("connect", "connect_ex", "sendto"):
    def method(self, *args, _original=getattr(socket.socket, name), _name=name):
        if isinstance(args[-1], tuple): note(_name, args[-1][0])
        return _original(self, *args)
    setattr(Socket, name, method)
socket.socket = Socket
open(os.environ["HEARD"], "a").close()
"""


@pytest.fixture(scope="session")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that, in $PYTHONPATH, makes a program note in the file $HEARD whom it asks outside."""
    folder = tmp_path_factory.mktemp("listener")
    (folder / "sitecustomize.py").write_text(LISTENER)
    return folder


@pytest.fixture(scope="session")
def app_url(start_app: Callable[..., str], app_folder: Path, listener: Path) -> str:
    """Address of the page that all browser tests share; whom its server asks outside is in app_folder / "heard"."""
    return start_app(
        GENRESTORE_HOME=str(app_folder / "home"),
        GRADIO_TEMP_DIR=str(app_folder / "files"),
        HEARD=str(app_folder / "heard"),
        PYTHONPATH=os.pathsep.join(filter(None, (str(listener), os.environ.get("PYTHONPATH")))),
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium. Without it the test is skipped, or fails where GENRESTORE_REQUIRE_BROWSER is set."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        message = "There is no chromium on this machine; install it with `apt-get install chromium-headless-shell`."
        if os.environ.get("GENRESTORE_REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright comes with `pip install genrestore[test]`"
    )
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=list(CHROMIUM))
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def contexts(browser: Any) -> Callable[..., Any]:
    """contexts(**options) → the context with these options: one for all tests, so that scripts are read but once.

    An empty page stays open in each, so that its process, and what that compiled, outlives the pages of a test.
    """
    made: dict[str, Any] = {}

    def context(**options: Any) -> Any:
        asked = {"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", **options}
        key = json.dumps(asked, sort_keys=True)
        if key not in made:
            made[key] = browser.new_context(**asked)
            made[key].new_page()
        return made[key]

    return context


@pytest.fixture(scope="session")
def open_page(contexts: Callable[..., Any], app_url: str) -> Callable[..., Any]:
    """open_page(path="/", **options) → a loaded page of a newcomer's; `page.problems` lists its console errors.

    On one in a `hurry` what is asked every few seconds is asked five times as often.
    """

    def ended(problem: str) -> bool:
        """Gradio says so of its own streams as a page is left, just before the next is asked for or after."""
        return "/assets/" in problem and problem.startswith(
            ("AbortError: signal is aborted", "Unexpected error Connection errored out")
        )

    def note(page: Any, message: Any) -> None:
        problem = f"{message.text} {message.location['url']}"
        if message.type == "error" and not (page.leaving and ended(problem)):
            page.problems.append(problem)

    def go(path: str = "/", *, address: str = app_url, hurry: bool = False, **options: Any) -> Any:
        context = contexts(**options)
        context.clear_cookies()
        page = context.new_page()
        forget = context.new_cdp_session(page)
        forget.send("Storage.clearDataForOrigin", {"origin": address, "storageTypes": "local_storage,indexeddb"})
        forget.detach()
        page.problems, page.leaving = [], False

        def leave(request: Any) -> None:
            if request.is_navigation_request() and request.frame == page.main_frame:
                page.leaving = True
                page.problems[:] = [problem for problem in page.problems if not ended(problem)]

        def arrive(_: Any) -> None:
            page.leaving = False

        page.on("request", leave)
        page.on("domcontentloaded", arrive)
        page.on("console", lambda message: note(page, message))
        page.on("pageerror", lambda problem: page.problems.append(str(problem)))
        if hurry:
            page.add_init_script(HURRY)
        page.goto(address + path)
        page.get_by_role("tab").first.wait_for()
        return page

    return go


def close(page: Any) -> None:
    if not page.is_closed():
        page.unroute_all(behavior="wait")
        page.close()


@pytest.fixture
def visit(open_page: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """What `open_page` is, for as long as a test lasts."""
    pages: list[Any] = []

    def go(*given: Any, **options: Any) -> Any:
        pages.append(open_page(*given, **options))
        return pages[-1]

    yield go
    for page in pages:
        close(page)


@pytest.fixture(scope="module")
def kept_pages() -> Iterator[list[Any]]:
    pages: list[Any] = []
    yield pages
    for page in pages:
        close(page)


@pytest.fixture
def same_page(request: pytest.FixtureRequest, open_page: Callable[..., Any], kept_pages: list[Any]) -> Iterator[Any]:
    """The page at 1280 × 900 as the test before in this file left it; a new one where there is none, or where that failed.

    For tests that begin by choosing a picture or a state, after which nothing is left of what was there, and that change the
    page by what it offers alone: neither its scripts and styles, nor its viewport, nor what is kept through a reload.
    """
    if not kept_pages:
        kept_pages.append(open_page())
    page, failed = kept_pages[0], request.session.testsfailed
    page.problems.clear()
    yield page
    if request.session.testsfailed > failed:
        close(kept_pages.pop())


@pytest.fixture
def page(visit: Callable[..., Any]) -> Any:
    """The page at 1280 × 900."""
    return visit()


@pytest.fixture
def phone(visit: Callable[..., Any]) -> Any:
    """The page at 390 × 844 with touch."""
    return visit(**PHONE)
