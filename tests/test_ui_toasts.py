"""What every handler of the page keeps: the outputs stay as they were where it changes nothing."""

import asyncio
import inspect
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("gradio")

import gradio as gr

from genrestore import ui
from genrestore.errors import MaskError
from genrestore.ui.parts.toasts import with_toasts
from genrestore.ui.server.access import Access


@with_toasts
def returning(value: str) -> Iterator[Any]:
    """Like one whose visitor forgot something."""
    if value:
        yield value, value


@with_toasts
def failing(value: str) -> Iterator[Any]:
    """Like one whose setting is wrong."""
    raise MaskError("Paint something first.")
    yield value, value


@pytest.mark.parametrize("handler", [returning, failing])
@pytest.mark.filterwarnings("ignore:Paint something first")
def test_a_generator_that_ends_before_its_first_yield_changes_nothing(handler: Any) -> None:
    """Gradio would send null to all outputs, which blanks a button for good and empties what has a value."""
    assert list(handler("")) == [gr.skip()]
    with gr.Blocks() as page:
        go, result = gr.Button("Go"), gr.Textbox("result")
        go.click(handler, gr.Textbox(""), [go, result])
    with ThreadPoolExecutor(1) as other:  # a browser of another test has its event loop in this thread
        answer = other.submit(lambda: asyncio.run(page.process_api(page.fns[0], [""]))).result()
    assert answer["data"] == [{"__type__": "update"}] * 2


def test_what_a_generator_yields_is_all_that_is_sent() -> None:
    assert list(returning("x")) == [("x", "x")]


def test_a_generator_that_is_closed_closes_the_handler() -> None:
    ended: list[bool] = []

    @with_toasts
    def handler() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            ended.append(True)

    following = handler()
    next(following)
    following.close()
    assert ended == [True]


def test_every_generator_of_the_page_is_such_a_handler() -> None:
    page = ui.build(Access(anyone=True, local=True))
    generators = [event.fn for event in page.fns.values() if inspect.isgeneratorfunction(event.fn)]
    assert len(generators) >= 5
    bare = [fn.__qualname__ for fn in generators if fn.__code__.co_filename != with_toasts.__code__.co_filename]
    assert not bare, f"{bare} are not decorated with `with_toasts`"
