"""The Models tab: what lies here as a gallery, what can be had, and what may be done with a model by whom.

Everybody may look. Whoever runs the page (`Access.owned`) may also check, delete and send models, and fetch any of the Hub; on a
Space nobody fetches others than those of our list.
"""

import base64
import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import gradio as gr

import genrestore
from genrestore import errors, paths, tasks
from genrestore.card import Card
from genrestore.errors import GenrestoreError, ModelError, SettingError
from genrestore.licences import licence_told
from genrestore.references import SCHEME, Reference
from genrestore.ui.parts import more, orders, picker
from genrestore.ui.parts.component import component
from genrestore.ui.parts.toasts import with_toasts
from genrestore.ui.server.access import Access
from genrestore.ui.tabs.models.card import W as CARD
from genrestore.ui.tabs.models.card import article
from genrestore.ui.words import Words
from genrestore.ui.words.sentences import translated

SAMPLE = "sample.webp"  # beside a weight: what it makes
MOST_SAMPLE = 4 << 20  # bytes of such a picture; a larger one is not sent

W = Words("models")

Question = Callable[[dict[str, Any], gr.OAuthProfile | None, gr.Request], dict[str, Any]]


class Page:
    """What one page answers; its `access` says in whose hands it is."""

    def __init__(self, access: Access, pickers: Mapping[str, Any]) -> None:
        self.access = access
        self.pickers = pickers

    # ---- what the browser may ask ----

    def gallery(self, _: dict[str, Any], profile: gr.OAuthProfile | None, request: gr.Request) -> dict[str, Any]:
        """All models that lie here, in short, and what this visitor may do with them."""
        from genrestore.hub import shelf
        from genrestore.hub.pull import megabytes

        cards, taken = _cards(), shelf.taken()
        free = shutil.disk_usage(_there(paths.home())).free
        manages = self._manages(profile, request)
        return {
            "models": [_short(card) for card in cards.values()],
            "taken": megabytes(taken) if taken else "",
            "free": megabytes(free),
            "manages": manages,
            "fetches": manages and not paths.space(),
            "owner": bool(self.access.owner),
        }

    def card(self, data: dict[str, Any], profile: gr.OAuthProfile | None, request: gr.Request) -> dict[str, Any]:
        """All that the card of `data["name"]` tells, as HTML."""
        return {"html": article(_named(data))}

    def picture(self, data: dict[str, Any], profile: gr.OAuthProfile | None, request: gr.Request) -> dict[str, Any]:
        """The sample picture of `data["name"]`."""
        path = _sample(_named(data))
        if path is None:
            raise ModelError("This model has no sample picture.")
        return {"url": f"data:image/webp;base64,{base64.b64encode(path.read_bytes()).decode()}"}

    # ---- handlers ----

    @with_toasts
    def ordered(self, profile: gr.OAuthProfile | None, request: gr.Request, value: object) -> Iterator[Any]:
        """Something is to be done with a model; see `orders`."""
        yield from orders.answers(value, lambda: self._begun(profile, request, orders.asked(value)), request)

    def _begun(self, profile: gr.OAuthProfile | None, request: gr.Request, asked: dict[str, Any]) -> orders.Does:
        """What an order does.

        Raises:
            GenrestoreError: this visitor may not give it, or it makes no sense.
        """
        word = asked.get("do")
        own = {"verify": _verified, "delete": _deleted, "pack": _packed, "send": _sent}.get(str(word))
        if own is None:
            return more.begun(asked, anything=self._manages(profile, request))
        self.access.check_owned(profile, request)
        return own(_named(asked), asked)

    @with_toasts
    def opened(self, profile: gr.OAuthProfile | None, request: gr.Request, value: object) -> Any:
        """A model is to be used: its tab, and for each of `pickers` what it shows."""
        card = _named(orders.asked(value))
        tab = tasks.find(card.task).tab
        if tab == card.task:
            return picker.opened(self.pickers, tab, card.name)
        return gr.Tabs(selected=tab), *(gr.skip() for _ in self.pickers)  # of one that serves a button of another's tab

    def _manages(self, profile: gr.OAuthProfile | None, request: gr.Request) -> bool:
        try:
            self.access.check_owned(profile, request)
        except SettingError:
            return False
        return True


# ---- what is done with a model ----


def _verified(card: Card, asked: dict[str, Any]) -> orders.Does:
    def does(report: orders.Report, cancel: threading.Event) -> dict[str, Any]:
        genrestore.verify_model(f"file:{card.folder}")
        return {"did": "verified"}

    return does


def _deleted(card: Card, asked: dict[str, Any]) -> orders.Does:
    def does(report: orders.Report, cancel: threading.Event) -> dict[str, Any]:
        genrestore.remove_model(f"file:{card.folder}")
        return {"did": "deleted"}

    return does


def _packed(card: Card, asked: dict[str, Any]) -> orders.Does:
    """Show all that a push would send; nothing is sent."""
    repository, private = str(asked.get("repository", "")).strip(), asked.get("private") is not False

    def does(report: orders.Report, cancel: threading.Event) -> dict[str, Any]:
        from genrestore.hub import client, push
        from genrestore.hub.pull import megabytes

        parcel = push.packed(f"file:{card.folder}", repository, private=private)
        return {
            "did": "packed",
            "digest": parcel.digest,
            "address": f"{client.endpoint()}/{parcel.repository}",
            "there": parcel.replaced is not None,
            "private": parcel.private,
            "files": [[name, megabytes(parcel.size(name)), name in (parcel.replaced or ())] for name in parcel.files],
            "fields": [[name, json.dumps(value, ensure_ascii=False)] for name, value in parcel.fields.items()],
            "left_out": list(parcel.left_out),
        }

    return does


def _sent(card: Card, asked: dict[str, Any]) -> orders.Does:
    """Send what was shown, and nothing else."""
    repository, private = str(asked.get("repository", "")).strip(), asked.get("private") is not False

    def same(parcel: Any) -> bool:
        if parcel.digest != asked.get("digest"):
            raise ModelError(f"What would be sent of {card.name} has changed since you were asked; look at it again.")
        return True

    def does(report: orders.Report, cancel: threading.Event) -> dict[str, Any]:
        reference = genrestore.push(f"file:{card.folder}", repository, private=private, confirm=same)
        return {"did": "sent", "reference": reference}

    return does


# ---- what is told ----


def _cards() -> dict[str, Card]:
    """The models that lie here by their names, those of one task together."""
    cards = sorted(filter(picker.ripe, genrestore.list_models()), key=lambda card: tasks.names().index(card.task))
    return {card.name: card for card in cards}


def _named(data: dict[str, Any]) -> Card:
    """The model that `data["name"]` names: one of the gallery, never a path.

    Raises:
        ModelError: none of that name lies here.
    """
    name, known = data.get("name"), _cards()
    if not isinstance(name, str) or name not in known:
        raise errors.unknown("model", str(name)[:100], known, "Choose one of the gallery.")
    return known[name]


def _short(card: Card) -> dict[str, Any]:
    from genrestore import weights
    from genrestore.hub import listed, shelf
    from genrestore.hub.pull import megabytes

    reference = weights.reference_of(card)
    known = listed.find(Reference.parse(reference)) if reference.startswith(SCHEME) else None
    task, whose = tasks.find(card.task), shelf.whose(card)
    best = card.metrics[0] if card.metrics else None
    return {
        "name": card.name,
        "title": translated(card.title or card.name),
        "task": translated(task.title),
        "tab": translated(tasks.find(task.tab).title),
        "size": megabytes(weights.size(card)),
        "licence": translated(licence_told(card.license)),
        "about": translated(known.about if known else card.intended),
        "score": {"value": best.told, "name": best.name, "set": best.set} if best else None,
        "pictured": _sample(card) is not None,
        "whose": whose,
        "deletes": whose in ("own", "pulled"),
    }


def _sample(card: Card) -> Path | None:
    """The picture that lies beside the weight, if there is one."""
    path = card.folder / SAMPLE if card.folder else None
    return path if path and path.is_file() and path.stat().st_size <= MOST_SAMPLE else None


def _there(path: Path) -> Path:
    """The path, or the folder that is there of those above it."""
    return next(one for one in (path, *path.absolute().parents) if one.exists())


def _answered(question: Question) -> Callable[..., dict[str, Any]]:
    """A server function whose error becomes {"problem": sentence}."""

    def answer(data: Any, profile: gr.OAuthProfile | None, request: gr.Request) -> dict[str, Any]:
        try:
            return question(cast("dict[str, Any]", data) if isinstance(data, dict) else {}, profile, request)
        except GenrestoreError as problem:
            return {"problem": translated(problem)}

    answer.__name__ = question.__name__
    return answer


# ---- layout ----


def build(access: Access, tabs: gr.Tabs, pickers: Mapping[str, Any]) -> None:
    """Lay out the tab inside the gr.Tab that is open.

    Args:
        access: in whose hands the models are.
        tabs: all tabs, to go to another one.
        pickers: by task, what takes the name of a model to show.
    """
    page = Page(access, pickers)
    panel = component(
        "tabs/models/models",
        shared=("parts/controls", "parts/orders"),
        server_functions=[*map(_answered, (page.gallery, page.card, page.picture)), more.listing(), orders.halt],
        elem_id="models",
        words=W.by_language(orders.W, CARD),
    )
    orders.wire(panel, page.ordered)
    panel.open(page.opened, panel, [tabs, *pickers.values()], show_progress="hidden", api_visibility="private")
