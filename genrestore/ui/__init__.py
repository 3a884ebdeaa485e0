"""The page: Gradio Blocks, a folder a tab. Nothing here imports torch; the tabs do, on first use."""

import asyncio
import functools
import importlib
import importlib.util
import json
import os
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

# Read by gradio and huggingface_hub as they are imported: nobody is told that this page was opened.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_UPDATE_CHECK"] = "1"
# Else Gradio spends 4 ms after each event on a summary of all events, which nobody can ask for.
os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = "1000000000"
# Gradio ends in a traceback as it is imported over a number that is none. The port is for `serve.listen` to refuse.
os.environ.pop("GRADIO_NUM_PORTS", None)
if not os.environ.get("GRADIO_SERVER_PORT", "0").isdecimal():
    os.environ["GENRESTORE_WRONG_PORT"] = os.environ.pop("GRADIO_SERVER_PORT")

import gradio as gr
from fastapi import FastAPI
from gradio import routes

from genrestore import machine, tasks, zerogpu
from genrestore.errors import GenrestoreError
from genrestore.tasks.task import Task
from genrestore.ui import verbs, words
from genrestore.ui.parts import frames, picker
from genrestore.ui.parts.component import text_of
from genrestore.ui.server import serve, uploads, visitors
from genrestore.ui.server.access import Access
from genrestore.ui.server.agents import Agents
from genrestore.ui.server.guard import UPLOAD, Guard, Setting
from genrestore.ui.tabs import about, image_to_image, models, train
from genrestore.ui.words import Words, sentences

HOUR = 3600  # seconds
FILES_KEPT = 12 * HOUR  # how long uploads and results stay on the disk
TIDY = 5.0  # seconds between two looks at what nobody listens to any more
WARM_AFTER = 2.0  # seconds; importing torch at once would slow the first page down
HERE = Path(__file__).parent

W = Words("page")


def theme() -> gr.themes.Base:
    """Plain greys and one blue, in the fonts of the visitor's system."""
    plain = gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=(
            "system-ui",
            "-apple-system",
            "Segoe UI",
            "PingFang SC",
            "Microsoft YaHei",
            "Noto Sans CJK SC",
            "sans-serif",
        ),
        font_mono=("ui-monospace", "Consolas", "monospace"),
    )
    return plain.set(
        body_text_color_subdued="*neutral_500",  # contrast 4.8 : 1; Gradio's own grey has 2.6 : 1
        color_accent="*primary_600",  # as text on white 5.2 : 1; in the dark page.css takes a lighter one
        link_text_color_dark="*secondary_400",
        link_text_color_visited_dark="*secondary_400",
        link_text_color_hover_dark="*secondary_300",
        link_text_color_active_dark="*secondary_400",
        error_text_color_dark="#fca5a5",  # Gradio's own is nearly white: no error in a line of text
        button_primary_background_fill="*primary_600",  # white text on it: 5.2 : 1
        button_primary_background_fill_hover="*primary_700",
        block_shadow="none",
        block_shadow_dark="none",
    )


def script(limit: int) -> str:
    """What runs in the browser before Gradio does; `limit` is the bytes of one upload."""
    texts = {
        language: {key: text.replace("{limit}", str(limit // 2**20)) for key, text in known.items()}
        for language, known in uploads.W.by_language(frames.W).items()
    }
    answers, language, page = map(text_of, ("answers.js", "parts/language.js", "page.js"))
    return answers + language + page.replace("/* words */", json.dumps(texts, ensure_ascii=False))


def build(access: Access = Access()) -> gr.Blocks:  # noqa: B008 (nobody may train: a constant)
    """The whole page, not yet launched. `access` says who may train; nobody, if it is left out."""
    gr.set_static_paths([HERE / "examples"])
    with gr.Blocks(title="genrestore", analytics_enabled=False, delete_cache=(HOUR, FILES_KEPT)) as page:
        gr.HTML(f"<h1>genrestore</h1><p>{W('tagline')}</p>", elem_id="page-head", padding=False)
        pickers: dict[str, Any] = {}
        with gr.Tabs() as tabs:
            for task in map(tasks.find, tasks.names()):  # the first is open where the address names none
                if task.tab != task.name:
                    continue
                with gr.Tab(sentences.label(task.title), id=task.name, elem_id=f"tab-{task.name}") as tab:
                    part = pickers[task.name] = _tab(task)
                    if isinstance(part, gr.Dropdown):
                        refreshed = functools.partial(picker.refreshed, task.name)
                        tab.select(refreshed, part, part, show_progress="hidden", api_visibility="private")
            with gr.Tab(W("train"), id="train", elem_id="tab-train"):
                train.build(access, tabs, pickers)
            with gr.Tab(W("models"), id="models", elem_id="tab-models"):
                models.build(access, tabs, pickers)
            with gr.Tab(W("about"), id="about", elem_id="tab-about"):
                about.build()
        verbs.build()
    page.queue(api_open=False, max_size=visitors.WAITING)
    return page


def _tab(task: Task) -> Any:
    """Lay out the tab of a task, from the folder or file of its name, or as every task of pictures has it; returns what takes
    the names of models."""
    if importlib.util.find_spec(f"genrestore.ui.tabs.{task.name}"):
        return importlib.import_module(f"genrestore.ui.tabs.{task.name}").build()
    return image_to_image.Tab(task).build()


def launch(
    host: str | None = None,
    port: int | None = None,
    training: bool | None = None,
    root_path: str | None = None,
    mcp: bool = False,
) -> serve.Server:
    """Serve the page from a thread of its own and return at once; `local_url` of the result is the address.

    Args:
        host: address to listen on; None is what GRADIO_SERVER_NAME says, else this machine only; on a Space all may come.
        port: None is the first free one from 7860, or what GRADIO_SERVER_PORT says.
        training: whether visitors may train; None is yes if only this computer reaches the page. On a Space only its owner.
        root_path: where another server publishes the page, a path or an address; None is nowhere, or what
            GRADIO_ROOT_PATH says.
        mcp: agents find the endpoints as tools at `guard.MCP`.

    Raises:
        SettingError: nothing can listen there, uploads have no place, or the package mcp is asked for and is not installed.
    """
    machine.bound_arenas()  # before there are threads; torch, which would do so too, is loaded later
    if zerogpu.start():
        importlib.import_module("genrestore.runtime")  # whose functions must be known before the first visitor comes
        zerogpu.report()
    published = serve.proxy(root_path)
    access = Access.of(host, training, proxied=bool(published))
    listener = serve.listen(host, port)
    try:
        folder = uploads.Folder()
    except BaseException:
        listener.close()
        raise
    try:
        app, stop, page = serving(access, folder.path, published, mcp)
        server = serve.Server(page, app, stop, listener, folder)
    except BaseException:
        listener.close()
        folder.close()
        raise
    warming = threading.Timer(WARM_AFTER, _warm)
    warming.daemon = True
    warming.start()
    return server


def serving(
    access: Access, folder: Path, published: str = "", mcp: bool = False
) -> tuple[Guard, asyncio.Event, gr.Blocks]:
    """The page as an ASGI app, the event that ends what its clients listen to, and its Blocks.

    Args:
        access: who may train.
        folder: where uploads and results lie; the same that GRADIO_TEMP_DIR names.
        published: where another server publishes the page; "" is nowhere.
        mcp: as for `launch`.
    """
    routes.DEFAULT_TEMP_DIR = str(folder)  # in which Gradio makes a folder as it starts, wherever that was
    page = build(access)
    page.state_session_capacity = visitors.ALL_SESSIONS
    limit = train.limit(access)
    taken = uploads.Uploads(page, folder, limit, visitors.KEPT_UPLOADS * limit)
    host = FastAPI(openapi_url=None, lifespan=lambda _: tidied())
    host.add_api_route(UPLOAD, taken.receive, methods=["POST"], response_model=None)
    gr.mount_gradio_app(
        host,
        page,
        path="/",
        root_path=published,
        ssr_mode=False,
        show_error=False,
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        footer_links=[],
        max_file_size=limit,
        i18n=words.translations(),
        theme=theme(),
        css_paths=HERE / "page.css",
        head=f"<style>{words.style()}</style><script>{script(limit)}</script>",
    )
    page.has_launched = True  # without it Gradio takes any file of this computer for an upload
    guard = Guard(host, page, Setting.of(published))
    agents = guard.agents = Agents(guard, verbs.tools()) if mcp else None
    # The browser would ask the hub about the Space, and everybody could read where on this computer the files lie.
    page.config = guard.aliases.hide({**page.config, "space_id": None})

    @asynccontextmanager
    async def tidied() -> AsyncGenerator[None]:
        tidying = asyncio.create_task(guard.sessions.keep_tidy(TIDY, taken.forget_lost))
        async with agents.running() if agents else nullcontext():
            yield
        tidying.cancel()

    return guard, host.routes[-1].app.stop_event, page  # the mounted app of Gradio


def _warm() -> None:
    """Load torch and the nets that the tabs begin with, so that the first click is quick."""
    import genrestore
    from genrestore.pipelines import sample

    for name in dict.fromkeys(tasks.find(name).tab for name in tasks.names()):
        with suppress(GenrestoreError):  # the tab tells when it is used
            genrestore.load("auto", task=name)
    with suppress(GenrestoreError):
        sample.directions()
