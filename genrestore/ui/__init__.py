"""The page: Gradio Blocks, one file a tab. Nothing here imports torch; the tabs do, on first use."""

import importlib
import os
import threading
from contextlib import suppress
from pathlib import Path

# Read by gradio and huggingface_hub as they are imported: nobody is told that this page was opened.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_UPDATE_CHECK"] = "1"

import gradio as gr
from starlette.middleware import Middleware

from genrestore import image
from genrestore.errors import GenrestoreError, SettingError
from genrestore.ui import words
from genrestore.ui.guard import Guard

TABS = ("sample", "inpaint", "upscale", "about")
WAITING = 32  # visitors in the queue before the next one is told that it is full
HOUR = 3600  # seconds
FILES_KEPT = 12 * HOUR  # how long uploads and results stay on the disk
WARM_AFTER = 2.0  # seconds; importing torch at once would slow the first page down
HERE = Path(__file__).parent

W = words.Words(
    "page",
    {
        "tagline": ("Generate, repair and enlarge pictures.", "生成、修复、放大图片。"),
        "sample": ("Sample", "生成"),
        "inpaint": ("Inpaint", "修复"),
        "upscale": ("Upscale", "放大"),
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
        button_primary_background_fill="*primary_600",  # white text on it: 5.2 : 1
        button_primary_background_fill_hover="*primary_700",
        block_shadow="none",
        block_shadow_dark="none",
    )


def build() -> gr.Blocks:
    """The whole page, not yet launched."""
    gr.set_static_paths([HERE / "examples"])
    with gr.Blocks(title="genrestore", analytics_enabled=False, delete_cache=(HOUR, FILES_KEPT)) as page:
        gr.HTML(f"<h1>genrestore</h1><p>{W('tagline')}</p>", elem_id="page-head", padding=False)
        with gr.Tabs():
            for name in TABS:
                with gr.Tab(W(name), id=name, elem_id=f"tab-{name}"):
                    importlib.import_module(f"genrestore.ui.{name}").build()
    page.queue(api_open=False, max_size=WAITING)
    return page


def launch(host: str | None = None, port: int | None = None) -> gr.Blocks:
    """Serve the page from a thread of its own and return at once; `local_url` of the result is the address.

    Args:
        host: address to listen on; None is this machine only, or what GRADIO_SERVER_NAME says.
        port: None is the first free one from 7860, or what GRADIO_SERVER_PORT says.

    Raises:
        SettingError: nothing can listen there.
    """
    page = build()
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
            max_file_size=image.limits().bytes,
            app_kwargs={"middleware": [Middleware(Guard)]},
            i18n=words.translations(),
            theme=theme(),
            css_paths=HERE / "page.css",
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
