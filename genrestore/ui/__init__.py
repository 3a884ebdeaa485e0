"""The page: Gradio Blocks, one file a tab. Nothing here imports torch; the tabs do, on first use."""

import functools
import importlib
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

# Read by gradio and huggingface_hub as they are imported: nobody is told that this page was opened.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_UPDATE_CHECK"] = "1"

import gradio as gr
from starlette.middleware import Middleware

from genrestore.errors import GenrestoreError, SettingError
from genrestore.ui import picker, train, words
from genrestore.ui.access import Access
from genrestore.ui.guard import Guard

TABS = ("inpaint", "upscale", "sample", "train", "about")  # the first is open where the address names none
WAITING = 32  # visitors in the queue before the next one is told that it is full
HOUR = 3600  # seconds
FILES_KEPT = 12 * HOUR  # how long uploads and results stay on the disk
WARM_AFTER = 2.0  # seconds; importing torch at once would slow the first page down
HERE = Path(__file__).parent

W = words.Words(
    "page",
    {
        "tagline": ("Repair, enlarge and generate pictures.", "修复、放大、生成图片。"),
        "sample": ("Sample", "生成"),
        "inpaint": ("Inpaint", "修复"),
        "upscale": ("Upscale", "放大"),
        "train": ("Train", "训练"),
        "about": ("About", "关于"),
    },
)


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


def build(access: Access = Access()) -> gr.Blocks:  # noqa: B008 (nobody may train: a constant)
    """The whole page, not yet launched. `access` says who may train; nobody, if it is left out."""
    gr.set_static_paths([HERE / "examples"])
    with gr.Blocks(title="genrestore", analytics_enabled=False, delete_cache=(HOUR, FILES_KEPT)) as page:
        gr.HTML(f"<h1>genrestore</h1><p>{W('tagline')}</p>", elem_id="page-head", padding=False)
        pickers: dict[str, Any] = {}
        with gr.Tabs() as tabs:
            for name in TABS:
                with gr.Tab(W(name), id=name, elem_id=f"tab-{name}") as tab:
                    if name == "train":
                        train.build(access, tabs, pickers)
                        continue
                    part = importlib.import_module(f"genrestore.ui.{name}").build()
                    if part is not None:
                        pickers[name] = part
                    if isinstance(part, gr.Dropdown):
                        refreshed = functools.partial(picker.refreshed, name)
                        tab.select(refreshed, part, part, show_progress="hidden", api_visibility="private")
    page.queue(api_open=False, max_size=WAITING)
    return page


def launch(host: str | None = None, port: int | None = None, training: bool | None = None) -> gr.Blocks:
    """Serve the page from a thread of its own and return at once; `local_url` of the result is the address.

    Args:
        host: address to listen on; None is this machine only, or what GRADIO_SERVER_NAME says.
        port: None is the first free one from 7860, or what GRADIO_SERVER_PORT says.
        training: whether visitors may train; None is yes if only this computer reaches the page. On a Space only its owner.

    Raises:
        SettingError: nothing can listen there.
    """
    access = Access.of(host, training)
    page = build(access)
    try:
        page.launch(
            server_name=host,
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            ssr_mode=False,
            run_history=False,
            enable_monitoring=False,
            footer_links=[],
            max_file_size=train.limit(access),
            app_kwargs={"middleware": [Middleware(Guard)]},
            i18n=words.translations(),
            theme=theme(),
            css_paths=HERE / "page.css",
            head=f"<script>{HERE.joinpath('page.js').read_text('utf-8')}</script>",
        )
    except OSError as problem:
        raise SettingError(
            f"The page cannot be served on port {port or 'the default one'}; try --port 8000."
        ) from problem
    warming = threading.Timer(WARM_AFTER, _warm)
    warming.daemon = True
    warming.start()
    return page


def _warm() -> None:
    """Load torch and the nets that the tabs begin with, so that the first click is quick."""
    import genrestore
    from genrestore.tasks import sample

    for task in ("sample", "inpaint", "upscale"):
        with suppress(GenrestoreError):  # the tab tells when it is used
            genrestore.load("auto", task=task)
    with suppress(GenrestoreError):
        sample.directions()
