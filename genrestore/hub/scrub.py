"""What of a card is nobody else's business: paths, names of people and machines, and what this version does not know."""

import dataclasses
import getpass
import html
import os
import platform
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

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

# What a path can begin with: ~, ~anna, $HOME, ${DATA}, %USERPROFILE%, C:, a share, ./, /, an address of files.
_ROOT = (
    r"(?:(?:file|smb|cifs|nfs|afp|s?ftp|ssh|scp|rsync|davs?|s3|gs):/*|~[\w.-]*[\\/]|\$(?:env:)?\{?\w+\}?[\\/]|%\w+%[\\/]|"
    r"[A-Za-z]:[\\/]|\\\\|\.{1,2}[\\/]|(?<!:)/|(?<=:)/(?!/))"
)
_END = r"""[^\s"'<>|,;()]"""  # a letter of a path
# A blank belongs to a path where a few words later it goes on.
_REST = rf"{_END}*(?:(?: +[^\s\"'<>|,;()/\\:]+){{1,3}}[\\/]{_END}*)*"
_BEFORE = r"(?<![\w/\\.~-])"
QUOTED = re.compile(rf"""(["'])([^"']*?{_BEFORE}){_ROOT}[^"']*\1""", re.IGNORECASE)
WHOLE = re.compile(rf"{_ROOT}[^\s\\/].*", re.DOTALL | re.IGNORECASE)  # a text that is a path, blanks and all
INSIDE = re.compile(rf"{_BEFORE}{_ROOT}(?={_END}){_REST}(?<![.\s])", re.IGNORECASE)
HOMES = re.compile(rf"[\\/]+(?:home|Users|Documents and Settings)[\\/]+{_REST}(?<![.\s])", re.IGNORECASE)
PRIVATE = re.compile(
    rf"https?://(?:localhost|[\w-]+|[\w.-]+\.(?:local|lan|home|internal|corp)|[\d.]+|\[[\da-f:]+\])(?::\d+)?/{_END}*",
    re.I,
)
PERSON = re.compile(
    r"""[\\/]+(?:home|Users|Documents and Settings)[\\/]+([^\s\\/\"'<>|,;()]+)|(?<!\w)~([A-Za-z][\w.-]*)|://([\w.-]+)(?::[^\s/@]*)?@""",
    re.IGNORECASE,
)
ADDRESS = re.compile(  # but a reference on the Hub, which looks like one
    r"(\bhf:[\w.-]+/[\w.-]+@)|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*|\bhf_[A-Za-z0-9]{20,}"
)
ESCAPED = re.compile(r"\\u([0-9A-Fa-f]{4})")
LAYERS = 4  # of escapes about each other


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
        found.update(name for groups in PERSON.findall(_decoded(text)) for name in groups)
    return {name for name in found if len(name) >= NAMED and name.lower() not in ANYONES}


def _without(text: str, names: set[str]) -> str:
    """The text without paths and names, however they are escaped: a word that hides one goes as a whole."""
    if WHOLE.fullmatch(_decoded(text)):
        return GONE
    words = re.split(r"(\s+)", _bare(text, names))
    return "".join(GONE if _decoded(word) != word != _bare_of(word, names) else word for word in words)


def _bare_of(word: str, names: set[str]) -> str:
    """The word itself, where nothing is hidden in it."""
    plain = _decoded(word)
    return word if _bare(plain, names) == plain else GONE


def _decoded(text: str) -> str:
    """A text as it was before it was written into an address, JSON or HTML."""
    for _ in range(LAYERS):
        plain = ESCAPED.sub(lambda found: chr(int(found[1], 16)), html.unescape(unquote(text))).replace("\\/", "/")
        if plain == text:
            break
        text = plain
    return text


def _bare(text: str, names: set[str]) -> str:
    text = QUOTED.sub(rf"\1\2{GONE}\1", text)
    for place in (home(), Path.home()):
        if place != place.parent:
            text = re.sub(rf"{re.escape(str(place))}{_END}*", GONE, text)
    for pattern in (PRIVATE, INSIDE, HOMES):
        text = pattern.sub(GONE, text)
    text = ADDRESS.sub(lambda found: found[1] or GONE, text)
    for name in names:
        text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", GONE, text, flags=re.IGNORECASE)
    return text
