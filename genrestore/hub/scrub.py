"""What of a card is nobody else's business: paths, names of people and machines, and what this version does not know."""

import dataclasses
import getpass
import os
import platform
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from genrestore.card import Card, DataSource, Metric
from genrestore.errors import ModelError
from genrestore.paths import home
from genrestore.recipe import TrainRecipe

GONE = "…"  # in the place of what was taken out
# Names of accounts and machines that tell nothing of a person.
ANYONES = {
    "root", "user", "users", "admin", "administrator", "ubuntu", "debian", "runner", "home", "guest", "app", "nobody", "worker",
    "jovyan", "colab", "build", "builder", "local", "localhost", "default", "docker", "container", "public", "shared", "data",
}  # fmt: skip
NAMED = 3  # letters that a name must have, or it would be found in words

_ROOT = r"(?:file:/+|~[\w.-]*[\\/]|[A-Za-z]:[\\/]|\\\\|\.{1,2}[\\/]|/)"
QUOTED = re.compile(rf"""(["']){_ROOT}[^"']*\1""")
WHOLE = re.compile(rf"{_ROOT}[^\s\\/].*", re.DOTALL)  # a text that is a path, blanks and all
INSIDE = re.compile(rf"""(?<![\w/\\.:~-]){_ROOT}[^\s"'<>|,;()]*[^\s"'<>|,;().]""")
PERSON = re.compile(r"[\\/](?:home|Users|Documents and Settings|export/home)[\\/]([^\s\\/\"'<>|,;()]+)")
ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*|\bhf_[A-Za-z0-9]{20,}")


def scrubbed(card: Card) -> tuple[Card, list[str]]:
    """The card as others may read it, and what was taken out of it, field by field.

    Paths, addresses of people and names of this computer, its users and those whose paths it holds give way to “…”. What a
    later version wrote is left out, for this one cannot tell what it is.

    Raises:
        ModelError: the net's own settings hold a path, without which it would be another net.
    """
    told: list[str] = []
    names = _people(_texts(dataclasses.asdict(card)))

    def clean(text: str, where: str) -> str:
        found = _without(text, names)
        if found != text:
            told.append(where)
        return found

    def known(data: dict[str, Any], where: str) -> dict[str, Any]:
        told.extend(f"{where}{name}" for name in data)
        return {}

    def deep(value: Any, where: str) -> Any:
        return _each(value, lambda text: clean(text, where))

    if any(_without(text, names) != text for text in _texts(card.config)):
        raise ModelError(
            f"The settings of {card.name} hold a path or a name; they are part of the net and cannot be sent."
        )
    recipe = {key: value for key, value in card.recipe.items() if key in _FIELDS}
    told.extend(f"recipe.{key}" for key in card.recipe if key not in _FIELDS)
    plain = {
        field.name: clean(getattr(card, field.name), field.name)
        for field in dataclasses.fields(card)
        if field.type is str and field.name not in ("task", "architecture", "sha256", "revision", "paper")
    }
    paper = card.paper if re.fullmatch(r"https://\S+", card.paper) else clean(card.paper, "paper")
    return dataclasses.replace(
        card,
        **plain,
        paper=paper,
        revision="",
        data=tuple(
            DataSource(
                **deep(_own(source), "data"), extra=known(source.extra, "data.")
            ) for source in card.data
        ),
        metrics=tuple(
            Metric(**deep(_own(metric), "metrics"), extra=known(metric.extra, "metrics.")) for metric in card.metrics
        ),
        recipe={key: deep(value, f"recipe.{key}") for key, value in recipe.items()},
        origin=deep(card.origin, "origin"),
        extra=known(card.extra, ""),
        folder=None,
    ), sorted(set(told))  # fmt: skip


_FIELDS = {field.name for field in dataclasses.fields(TrainRecipe)}


def _own(part: DataSource | Metric) -> dict[str, Any]:
    return {field.name: getattr(part, field.name) for field in dataclasses.fields(part) if field.name != "extra"}


def _texts(value: Any) -> Iterable[str]:
    """All texts within plain data, the names of its fields too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts([*value, *value.values()])
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _each(value: Any, change: Callable[[str], str]) -> Any:
    """Plain data with each text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key) if isinstance(key, str) else key: _each(inner, change) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_each(inner, change) for inner in value]
    return value


def _people(texts: Iterable[str]) -> set[str]:
    """Names of this computer and its user, and those in the paths of home folders."""
    found = {os.environ.get(name, "") for name in ("USER", "USERNAME", "LOGNAME", "SUDO_USER")}
    found |= {Path.home().name, platform.node(), platform.node().partition(".")[0]}
    with suppress(OSError, KeyError, ImportError):  # a container may have a user without a name
        found.add(getpass.getuser())
    for text in texts:
        found.update(PERSON.findall(text))
    return {name for name in found if len(name) >= NAMED and name.lower() not in ANYONES}


def _without(text: str, names: set[str]) -> str:
    if WHOLE.fullmatch(text):
        return GONE
    text = QUOTED.sub(rf"\1{GONE}\1", text)
    for place in (home(), Path.home()):
        if place != place.parent:
            text = re.sub(rf"{re.escape(str(place))}[^\s\"'<>|,;()]*", GONE, text)
    text = ADDRESS.sub(GONE, INSIDE.sub(GONE, text))
    for name in names:
        text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", GONE, text, flags=re.IGNORECASE)
    return text
