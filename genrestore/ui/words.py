"""What the page says, in English and Simplified Chinese. Each tab brings its own words; `translations()` gathers them."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

LANGUAGES = ("en", "zh-CN")
_tables: dict[str, dict[str, str]] = {language: {} for language in LANGUAGES}


class Words:
    """The words of one tab: `W("seed")` for Gradio components, `W.text("seed", request)` for messages made in Python."""

    def __init__(self, tab: str, pairs: Mapping[str, tuple[str, str]]) -> None:
        self.tab = tab
        self.pairs = dict(pairs)
        for key, texts in pairs.items():
            for language, text in zip(LANGUAGES, texts, strict=True):
                _tables[language][f"{tab}.{key}"] = text

    def __call__(self, key: str) -> Any:
        """What a component takes as label, info, placeholder or value: the browser's language decides."""
        assert key in self.pairs, f"tab {self.tab} has no word {key!r}"
        return gr.I18n(**_tables)(f"{self.tab}.{key}")

    def text(self, key: str, request: gr.Request | None, **values: Any) -> str:
        """The plain text in the visitor's language, for toasts and measured lines; `values` fill its braces."""
        return self.pairs[key][LANGUAGES.index(language(request))].format(**values)

    def both(self, *others: "Words") -> dict[str, dict[str, str]]:
        """{language: {key: text}} of these words and others, for JavaScript that draws its own text; no key may be in two."""
        keys = [key for words in (self, *others) for key in words.pairs]
        assert len(keys) == len(set(keys)), (
            f"two words are called {sorted(key for key in set(keys) if keys.count(key) > 1)}"
        )
        pairs = {key: texts for words in (self, *others) for key, texts in words.pairs.items()}
        return {name: {key: texts[place] for key, texts in pairs.items()} for place, name in enumerate(LANGUAGES)}


def named(kind: str, texts: Mapping[str, str]) -> Any:
    """A text that comes with what is shown, such as a card's, for Gradio components; known before `translations()`."""
    key = f"{kind}.{texts['en']}"
    for name, text in texts.items():
        _tables[name][key] = text
    return gr.I18n(**_tables)(key)


def language(request: gr.Request | None) -> str:
    """The first of our languages that the visitor's browser asks for; English if none."""
    accepted = (request.headers.get("accept-language", "") if request else "").lower()
    for part in accepted.split(","):
        if part.strip().startswith("zh"):
            return "zh-CN"
        if part.strip().startswith("en"):
            return "en"
    return "en"


def translations() -> gr.I18n:
    """For `launch(i18n=…)`, once every tab has been imported."""
    return gr.I18n(**_tables, zh=_tables["zh-CN"])
