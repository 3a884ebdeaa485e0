"""What the page asks of models, one order at a time, from the question to the Hub to the model that is here.

A part with the script `orders.js` sends {"do": word, "run": name of the order, …} as its value when it sets off `order`, and gets
{"answer": {"run", "state", …}} as its value back, as often as there is something to tell: "busy" with `fraction` and `text`, and
at the end "done" with what came of it, or "failed" with the `problem`, which a toast tells, too. The server function `halt` ends
an order by its name.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import gradio as gr

from genrestore import paths, tasks
from genrestore.card import Card
from genrestore.errors import Cancelled, GenrestoreError, ModelError, SettingError
from genrestore.references import SCHEME, Reference
from genrestore.ui.parts import jobs
from genrestore.ui.words import Words
from genrestore.ui.words.sentences import translated

AT_ONCE = 4  # orders of all visitors that are at work; the next one waits in the queue

stops = jobs.Stops()

W = Words("orders")

Report = Callable[[float, str], None]
Does = Callable[[Report, threading.Event], dict[str, Any]]


class Order(jobs.Job):
    """One order. `does` gets what reports how far it is, and the event that ends it; it returns what the page is told."""

    def __init__(self, name: object, does: Does) -> None:
        super().__init__(stops.of(name))
        self.does = does
        self.text = ""
        self.outcome: dict[str, Any] = {}

    def work(self) -> None:
        self.outcome = self.does(self.report, self.cancel)

    def report(self, fraction: float, text: str) -> None:
        super().report(fraction, text)
        self.text = text

    def stage(self, request: gr.Request | None) -> str:
        return translated(self.text, request) if self.text else ""  # the page has said what it does


def answers(value: object, begin: Callable[[], Does], request: gr.Request) -> Iterator[dict[str, Any]]:
    """An order from its beginning to its end, as values of the part that asked; `begin` says what is done, or why not.

    Gradio closes this generator when the visitor leaves; the work is stopped then.
    """
    order = None
    try:
        order = Order(asked(value).get("run"), begin())
        for _ in order.follow():
            yield _told(value, state="busy", fraction=order.fraction, text=order.stage(request))
        yield _told(value, state="done", **order.outcome)
    except Cancelled:
        yield _told(value, state="failed")
    except Exception as problem:  # `with_toasts` tells it, too; a dialog lies above its toast
        sentence = translated(problem, request) if isinstance(problem, GenrestoreError) else ""
        yield _told(value, state="failed", problem=sentence)
        raise
    finally:
        if order is not None:
            order.cancel.set()


def halt(name: object) -> None:
    """For the page: the order of that name is no longer wanted."""
    stops.of(name).set()


def wire(
    part: gr.HTML, handler: Callable[..., Any], then: Callable[..., Any] | None = None, outputs: Any = None
) -> None:
    """Let `handler` answer the orders of a part; `then` is given the last answer."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    running = part.order(
        handler, part, part, trigger_mode="multiple", concurrency_limit=AT_ONCE, concurrency_id="orders", **quiet
    )
    running.failure(None, None, part, js="() => ({answer: {state: 'failed'}})", **quiet)
    if then is not None:
        running.success(then, part, outputs, **quiet)


def asked(value: object) -> dict[str, Any]:
    """What a part sent."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def wanted(value: object) -> Reference:
    """The model of the Hub that an order names; "owner/repo" will do, and nothing else than a reference.

    Raises:
        ModelError: it names none.
    """
    text = asked(value).get("reference")
    text = text.strip() if isinstance(text, str) else ""
    return Reference.parse(text if ":" in text else SCHEME + text)


def check_listed(wanted: Reference, anything: bool) -> None:
    """Raises:
    SettingError: it does not stand on our list, and the visitor may not fetch `anything`, or this is a Space.
    """
    from genrestore.hub import listed

    if listed.find(wanted) is None and (paths.space() or not anything):
        raise SettingError(
            "This page fetches only the models of its list; run genrestore on your own computer to fetch others."
        )


def look(wanted: Reference) -> Does:
    """Ask the Hub what it has under a reference; nothing of it is fetched."""

    def does(report: Report, cancel: threading.Event) -> dict[str, Any]:
        from genrestore import weights
        from genrestore.hub import listed, pull

        offer = pull.look(wanted)
        pull.usable(offer)
        try:
            here = weights.resolve(str(wanted)).revision == offer.commit
        except ModelError:
            here = False
        known = listed.find(wanted)
        return {
            "reference": str(wanted), "file": offer.weight, "size": pull.megabytes(offer.bytes), "licence": offer.licence,
            "commit": offer.commit, "foreign": not offer.carded, "untested": known is not None and not known.tested,
            "here": here,
        }  # fmt: skip

    return does


def fetch(wanted: Reference, commit: object) -> Does:
    """Fetch what the visitor was shown, which is the reference at that commit."""

    def same(offer: Any) -> bool:
        if offer.commit != commit:
            raise ModelError(f"{wanted} has changed since you were asked; look at it again.")
        return True

    def does(report: Report, cancel: threading.Event) -> dict[str, Any]:
        from genrestore.hub.pull import pull
        from genrestore.hub.push import portray

        card = pull(str(wanted), confirm=same, progress=report, cancel=cancel)
        portray(card)
        return here(card)

    return does


def here(card: Card) -> dict[str, Any]:
    """What the page is told of a model that is here now."""
    import genrestore

    # By its folder: one whose name is taken already goes by that.
    known = next((one for one in genrestore.list_models() if one.folder == card.folder), card)
    return {"name": known.name, "title": translated(known.title or known.name), "tab": tasks.find(known.task).tab}


def _told(value: object, **facts: Any) -> dict[str, Any]:
    return {"answer": {"run": asked(value).get("run"), **facts}}
