"""What the page says: {part: {key: text}}, a file a language. Another language is another file beside these.

What comes from the floors below the page, such as the sentences of errors, is in `sentences`.
"""

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

HERE = Path(__file__).parent
PLAIN = "en"  # for visitors who ask for no language that is there


def read(folder: Path) -> dict[str, dict[str, dict[str, str]]]:
    """{language: {part: {key: text}}} of the files in a folder.

    Raises:
        AssertionError: a language lacks a word that another has.
    """
    found = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}
    known = {language: {f"{part}.{key}" for part in parts for key in parts[part]} for language, parts in found.items()}
    for language, keys in known.items():
        assert keys == known[PLAIN], (
            f"words/{language}.json and words/{PLAIN}.json differ: {sorted(keys ^ known[PLAIN])}"
        )
    return found


_texts = read(HERE)
LANGUAGES = list(_texts)
NEAREST: dict[str, str] = {}  # language by what a browser may ask for: "zh-CN" for "zh-CN" and "zh"
for _language in LANGUAGES:
    for _tag in (_language, _language.split("-")[0]):
        NEAREST.setdefault(_tag, _language)
_tables = {  # as Gradio takes them
    language: {f"{part}.{key}": text for part, texts in parts.items() for key, text in texts.items()}
    for language, parts in _texts.items()
}


class Words:
    """The words of one part: `W("seed")` for Gradio components, `W.text("seed", request)` for messages made in Python."""

    def __init__(self, part: str) -> None:
        assert part in _texts[PLAIN], f"the files beside words/{PLAIN}.json have no part {part!r}"
        self.part = part

    def __contains__(self, key: str) -> bool:
        return key in _texts[PLAIN][self.part]

    def __call__(self, key: str) -> Any:
        """What a component takes as label, info, placeholder or value: the browser's language decides."""
        assert key in self, f"part {self.part} has no word {key!r}"
        return gr.I18n(**_tables)(f"{self.part}.{key}")

    def text(self, key: str, request: gr.Request | None, **values: Any) -> str:
        """The plain text in the visitor's language, for toasts and measured lines; `values` fill its braces."""
        return _texts[language(request)][self.part][key].format(**values)

    def by_language(self, *others: "Words") -> dict[str, dict[str, str]]:
        """{language: {key: text}} of these words and others, for JavaScript that draws its own text; no key may be in two."""
        parts = [words.part for words in (self, *others)]
        keys = [key for part in parts for key in _texts[PLAIN][part]]
        assert len(keys) == len(set(keys)), f"two words are called {sorted(key for key in keys if keys.count(key) > 1)}"
        return {
            name: {key: text for part in parts for key, text in known[part].items()} for name, known in _texts.items()
        }

    def html(self, key: str) -> str:
        """The text in all languages, of which the page shows the visitor's: for what is HTML, where `self(key)` cannot be."""
        return html({language: parts[self.part][key] for language, parts in _texts.items()})


def html(texts: Mapping[str, str]) -> str:
    """A text in all its languages as HTML; `style` shows the visitor's. (Gradio translates one word in an HTML, not many.)"""
    return "".join(f"<span lang='{language}'>{escape(text)}</span>" for language, text in texts.items())


def style() -> str:
    """CSS that hides the texts of `html` in other languages than page.js found to be the visitor's."""
    return "".join(f"html:not([data-words='{name}']) span[lang='{name}'] {{ display: none; }}\n" for name in LANGUAGES)


def named(kind: str, texts: Mapping[str, str]) -> Any:
    """A text that comes with what is shown, such as a card's, for Gradio components; known before `translations()`."""
    key = f"{kind}.{texts[PLAIN]}"
    for name, text in texts.items():
        _tables[name][key] = text
    return gr.I18n(**_tables)(key)


def language(request: gr.Request | None) -> str:
    """The first of our languages that the visitor's browser asks for; English if none."""
    accepted = request.headers.get("accept-language", "") if request else ""
    for part in accepted.split(","):
        tag = part.partition(";")[0].strip()
        if found := NEAREST.get(tag) or NEAREST.get(tag.split("-")[0].lower()):
            return found
    return PLAIN


def translations() -> gr.I18n:
    """For `launch(i18n=…)`, once every tab has been imported."""
    return gr.I18n(**{tag: _tables[name] for tag, name in NEAREST.items()})
