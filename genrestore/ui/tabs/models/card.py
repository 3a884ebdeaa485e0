"""A model's card as HTML. Everything a card says is text: a downloaded one may hold anything."""

import json
from collections.abc import Iterable
from html import escape

from genrestore import tasks
from genrestore.card import Card, Metric
from genrestore.hub import shelf
from genrestore.ui.words import Words, html
from genrestore.ui.words.sentences import by_language

LINKS = ("paper", "origin")  # facts that may be an address
CODE = ("reference", "commit", "sha256", "sha256 of the file")

W = Words("card")
say = W.html


def told(text: str) -> str:
    """What a card says, in both languages where it is known in both."""
    known = by_language(text)
    return html(known) if len(set(known.values())) > 1 else escape(text)


def article(card: Card) -> str:
    """All that a card tells: what `genrestore models show` tells too, the measured numbers as a table, and the recipe."""
    rows: dict[str, list[str]] = {}
    for name, text in shelf.facts(card):
        if name != "score":
            rows.setdefault(name, []).append(_fact(name, text))
    listed = "".join(f"<dt>{_name(name)}</dt><dd>{'<br>'.join(texts)}</dd>" for name, texts in rows.items())
    commands = "\n".join(dict.fromkeys(metric.command for metric in card.metrics if metric.command))
    recipe = json.dumps(card.recipe, indent=2, ensure_ascii=False)
    return (
        f"<p class='of'>{told(tasks.find(card.task).title)}</p><dl>{listed}</dl>"
        f"<h4>{say('scores')}</h4>{_scores(card.metrics)}"
        + (
            f"<details><summary>{say('recipe')}</summary>"
            f"<pre>{escape(recipe)}</pre><pre>{escape(commands)}</pre></details>"
            if card.recipe or commands
            else ""
        )
    )


def _name(fact: str) -> str:
    return say(f"fact_{fact.replace(' ', '_')}")


def _fact(name: str, text: str) -> str:
    if name in LINKS and text.startswith("https://"):
        shown = escape(text.removeprefix("https://"))
        return f"<a href='{escape(text)}' rel='noreferrer' target='_blank'>{shown}</a>"
    return f"<code>{escape(text)}</code>" if name in CODE else told(text)


def _scores(metrics: Iterable[Metric]) -> str:
    rows = "".join(
        f"<tr><td>{escape(m.set)}</td><td>{told(m.protocol)}</td>"
        f"<td>{told(m.name)} {escape(m.told)}</td><td>{m.n:,}</td></tr>"
        for m in metrics
    )
    if not rows:
        return f"<p>{say('unmeasured')}</p>"
    head = "".join(f"<th>{say(key)}</th>" for key in ("set", "protocol", "value", "count"))
    return f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
