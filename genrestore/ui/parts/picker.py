"""The list from which a tab takes its model. It is read anew when its tab is opened: one may have been trained since."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

import genrestore
from genrestore import tasks
from genrestore.card import Card
from genrestore.errors import SettingError
from genrestore.paths import home
from genrestore.training.runs import Run
from genrestore.ui.words import Words
from genrestore.ui.words.sentences import label, translated

AUTO = "auto"
RIPE = 1000  # steps after which the pictures of a net begin to mean something

W = Words("picker")


def ripe(card: Card) -> bool:
    """Whether a model's pictures mean anything: not those of a training that has only begun, or ended soon."""
    assert card.folder is not None
    if card.folder.parent != home() / "runs" or not (card.folder / "status.json").exists():
        return True
    return Run(card.folder).status().step >= RIPE


def offered(task: str) -> list[Card]:
    """The models to `task` that the page offers; the others can still be named at the command line."""
    return [card for card in genrestore.list_models(task) if ripe(card)]


def titles(cards: Sequence[Card], say: Callable[[str], Any] = translated) -> list[Any]:
    """What to call each of the models in a list, as `say` says it: by its title, and by its name where two share one."""
    plain = [card.title or card.name for card in cards]
    return [
        say(title) if plain.count(title) == 1 or title == card.name else f"{translated(title)} ({card.name})"
        for title, card in zip(plain, cards, strict=True)
    ]


def choices(task: str) -> list[tuple[Any, str]]:
    """(what is shown, name) of the models to `task`."""
    cards = offered(task)
    own = [(W(way), way) for way in tasks.find(task).ways]
    return [(W("auto"), AUTO), *own, *zip(titles(cards, label), (card.name for card in cards), strict=True)]


def named(task: str, name: object) -> str:
    """`name`, if it is one of a model to `task` that lies here, or of another way. A path or a Hub reference is not: a visitor
    must not choose what is read.

    Raises:
        SettingError: it is not.
    """
    known = [AUTO, *tasks.find(task).ways, *(card.name for card in genrestore.list_models(task))]
    if name not in known:
        raise SettingError(f"Choose one of the models {', '.join(known)}, not {str(name)[:40]!r}.")
    return str(name)


def picker(task: str) -> gr.Dropdown:
    """The list, inside the layout that is open."""
    return gr.Dropdown(choices(task), value=AUTO, label=W("model"), elem_id=f"{task}-model")


def refreshed(task: str, chosen: str) -> gr.Dropdown:
    """The list as it is now; what was chosen stays where it is still there."""
    now = choices(task)
    return gr.Dropdown(now, value=chosen if chosen in [name for _, name in now] else AUTO)


def chosen(shown: Any, task: str, name: str) -> Any:
    """What makes the tab of `task` take the model `name`: its list, or the part `shown` that takes the names of models."""
    return refreshed(task, name) if isinstance(shown, gr.Dropdown) else {"model": name}


def opened(pickers: Mapping[str, Any], tab: str, name: str) -> tuple[Any, ...]:
    """What opens a tab and makes it take the model `name`: all tabs, and for each of `pickers` what it shows."""
    others = (chosen(shown, tab, name) if kind == tab else gr.skip() for kind, shown in pickers.items())
    return gr.Tabs(selected=tab), *others
