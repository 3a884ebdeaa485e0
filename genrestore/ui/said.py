"""What the floors below the page say, in the visitor's language: the sentences of errors and the texts of cards.

They are raised and written in English alone, as plain f-strings. `chinese.json` holds each with `{}` for its values; here
a sentence is found by its form again. Whatever is not there stays English.
"""

import functools
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio.context import LocalContext

from genrestore.ui import words

SHARE = 10  # letters that a sentence and its form must have in common; "{} is {}." alone would fit nearly all


class _Form(NamedTuple):
    pattern: re.Pattern[str]
    letters: int  # of the form itself
    chinese: str


def said(text: object, request: gr.Request | None = None) -> str:
    """`text`, an error or what a card says, for the visitor who asked: `request`, or whoever is being answered."""
    asked = request or LocalContext.request.get(None)
    return _chinese(str(text))[0] if words.language(asked) == "zh-CN" else str(text)


def in_both(text: str) -> dict[str, str]:
    """{language: text}, where one page shows either."""
    return {"en": text, "zh-CN": _chinese(text)[0]}


def label(text: str) -> Any:
    """The text of a card for a Gradio component, which may be built before anybody has asked."""
    if LocalContext.request.get(None) is not None or not _chinese(text)[1]:
        return said(text)
    return words.named("card", in_both(text))


@functools.lru_cache(maxsize=1)
def forms() -> dict[str, str]:
    """{form: Chinese}: all that is known."""
    parts = json.loads(Path(__file__).with_name("chinese.json").read_text("utf-8"))
    return {form: chinese for part in parts.values() for form, chinese in part.items()}


@functools.lru_cache(maxsize=1)
def _patterns() -> list[_Form]:
    return [
        _Form(re.compile("(.*?)".join(map(re.escape, form.split("{}"))), re.DOTALL), _letters(form), chinese)
        for form, chinese in forms().items()
        if "{}" in form
    ]


def _letters(form: str) -> int:
    return sum(character.isalpha() for character in form)


def _chinese(text: str) -> tuple[str, int]:
    """The translation that covers most of the text, and how many of its letters; the text itself and 0 if none does.

    Of two that cover as much, the one whose form begins as the text does is outermost.
    """
    if text in forms() and "{}" not in text:
        return forms()[text], _letters(text)
    best = text, 0
    for form in _patterns():
        if found := form.pattern.fullmatch(text):
            values = [_chinese(value) for value in found.groups()]
            letters = form.letters + sum(covered for _, covered in values)
            begins = not form.pattern.pattern.startswith("(.*?)")
            if letters >= SHARE and (letters > best[1] or (begins and letters == best[1])):
                best = form.chinese.format(*(value for value, _ in values)), letters
    return best
