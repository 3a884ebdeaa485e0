"""What the floors below the page say, in the visitor's language: the sentences of errors and the texts of cards.

They are raised and written in English alone, as plain f-strings. A file a language holds each with `{}` for its values; here
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
    translation: str


def translated(text: object, request: gr.Request | None = None) -> str:
    """`text`, an error or what a card says, for the visitor who asked: `request`, or whoever is being answered."""
    return _found(str(text), words.language(request or LocalContext.request.get(None)))[0]


def by_language(text: str) -> dict[str, str]:
    """{language: text}, where one page shows any."""
    return {language: _found(text, language)[0] for language in words.LANGUAGES}


def label(text: str) -> Any:
    """The text of a card for a Gradio component, which may be built before anybody has asked."""
    known = by_language(text)
    if LocalContext.request.get(None) is not None or set(known.values()) == {text}:
        return translated(text)
    return words.named("card", known)


@functools.lru_cache
def forms(language: str) -> dict[str, str]:
    """{form: translation}: all that is known."""
    path = Path(__file__).with_name(f"{language}.json")
    parts: dict[str, dict[str, str]] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return {form: translation for part in parts.values() for form, translation in part.items()}


@functools.lru_cache
def _patterns(language: str) -> list[_Form]:
    return [
        _Form(re.compile("(.*?)".join(map(re.escape, form.split("{}"))), re.DOTALL), _letters(form), translation)
        for form, translation in forms(language).items()
        if "{}" in form
    ]


def _letters(form: str) -> int:
    return sum(character.isalpha() for character in form)


def _found(text: str, language: str) -> tuple[str, int]:
    """The translation that covers most of the text, and how many of its letters; the text itself and 0 if none does.

    Of two that cover as much, the one whose form begins as the text does is outermost.
    """
    known = forms(language)
    if text in known and "{}" not in text:
        return known[text], _letters(text)
    best = text, 0
    for form in _patterns(language):
        if found := form.pattern.fullmatch(text):
            values = [_found(value, language) for value in found.groups()]
            letters = form.letters + sum(covered for _, covered in values)
            begins = not form.pattern.pattern.startswith("(.*?)")
            if letters >= SHARE and (letters > best[1] or (begins and letters == best[1])):
                best = form.translation.format(*(value for value, _ in values)), letters
    return best
