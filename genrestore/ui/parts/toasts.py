"""From errors to what a visitor sees: a mistake is one sentence in a toast, a fault of ours is logged."""

import functools
import inspect
import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from html import escape
from typing import Any

import gradio as gr
from gradio.context import LocalContext

from genrestore.errors import Cancelled, GenrestoreError
from genrestore.ui.server import uploads
from genrestore.ui.words import Words
from genrestore.ui.words.sentences import translated

log = logging.getLogger(__name__)

W = Words("toasts")


def with_toasts(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler for an event listener: when it fails, the visitor reads why and the outputs stay as they were.

    Functions stay functions and generators stay generators, with the same signature. Every generator of the page is
    decorated: Gradio sets all outputs of one that ends before its first yield to None, which empties their labels and
    values for good, so such a one yields a skip here. Gradio has no toasts for events with `queue=False`; these must
    bring their own way to speak.
    """
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def generator(*args: Any, **kwargs: Any) -> Iterator[Any]:
            # A skip is yielded only where nothing came before it: a page that gets one on the heels of the handler's
            # last update may drop that update, and with it the button that was to come back.
            changed = False
            with _told(), closing(handler(*args, **kwargs)) as changes:
                for change in changes:
                    changed = True
                    yield change
            if not changed:
                yield gr.skip()

        return generator

    @functools.wraps(handler)
    def function(*args: Any, **kwargs: Any) -> Any:
        with _told():
            return handler(*args, **kwargs)
        return gr.skip()

    return function


@contextmanager
def _told() -> Generator[None, None, None]:
    """Turn an exception of the block into a toast."""
    try:
        yield
    except gr.Error:
        raise  # a handler that chose its own message and wants the outputs marked
    except Cancelled:
        gr.Info(W.text("cancelled", _visitor()))
    except Exception as problem:
        gr.Warning(escape(spoken(problem, _visitor())))  # a toast takes HTML, and the sentence may quote a file name


def spoken(problem: Exception, request: gr.Request | None) -> str:
    """What whoever asked is told of an error; one of ours is logged."""
    if isinstance(problem, GenrestoreError):
        return translated(problem, request)
    if isinstance(problem, OSError) and problem.errno in uploads.FULL:
        return uploads.W.text("disk_full", request)
    if isinstance(problem, TimeoutError):
        return translated("The server is busy; try again in a moment.", request)
    log.error("A handler of the page failed", exc_info=problem)
    return W.text("fault", request)


def _visitor() -> gr.Request | None:
    return LocalContext.request.get(None)
