"""Below a list of models, "Get more": the public ones that are worth having for its task, each fetched with one click."""

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from genrestore import tasks
from genrestore.errors import SettingError
from genrestore.ui.parts import orders, picker
from genrestore.ui.parts.component import component
from genrestore.ui.parts.toasts import with_toasts
from genrestore.ui.words import Words
from genrestore.ui.words.sentences import translated

W = Words("more")


def more(task: str, shown: Any) -> gr.HTML:
    """The part, inside the layout that is open. What came is chosen at once in `shown`, which takes the names of models."""
    part = component(
        "parts/more",
        shared=("parts/controls", "parts/orders"),
        server_functions=[listing(task), orders.halt],
        elem_id=f"{task}-more",
        words=W.by_language(orders.W),
    )

    def arrived(value: object) -> Any:
        answer = orders.asked(orders.asked(value).get("answer"))
        return picker.chosen(shown, task, answer["name"]) if isinstance(answer.get("name"), str) else gr.skip()

    orders.wire(part, ordered, arrived, shown)
    return part


@with_toasts
def ordered(value: object, request: gr.Request) -> Iterator[Any]:
    """Look at a model of the list, or fetch it; no other is fetched here, whoever asks."""
    yield from orders.answers(value, lambda: begun(value, anything=False), request)


def begun(value: object, *, anything: bool) -> orders.Does:
    """What an order to look at a model of the Hub, or to fetch it, does.

    Raises:
        GenrestoreError: it names no model, or one that this visitor may not have, or asks for something else.
    """
    wanted, word = orders.wanted(value), orders.asked(value).get("do")
    orders.check_listed(wanted, anything)
    if word == "look":
        return orders.look(wanted)
    if word == "fetch":
        return orders.fetch(wanted, orders.asked(value).get("commit"))
    raise SettingError(f"{str(word)[:40]!r} is nothing that can be done with a model.")


def listing(task: str | None = None) -> Callable[[Any], dict[str, Any]]:
    """A server function that tells the models of the list, for one task or all, and which of them are here."""

    def offers(_: Any) -> dict[str, Any]:
        from genrestore.hub import listed
        from genrestore.hub.pull import megabytes

        return {
            "dated": listed.dated(),
            "models": [
                {
                    "name": one.name,
                    "reference": one.reference,
                    "task": translated(tasks.find(one.task).title),
                    "tab": tasks.find(one.task).tab,
                    "size": megabytes(one.bytes),
                    "licence": one.licence,
                    "about": translated(one.about),
                    "untested": not one.tested,
                    "here": one.here is not None,
                }
                for one in listed.models(task)
            ],
        }

    return offers
