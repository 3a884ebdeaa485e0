"""The About tab: the cards as a page. What each net is, learnt from, scores and cannot do; whose photographs we use."""

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path

import gradio as gr
from PIL import Image

import genrestore
from genrestore import machine, tasks
from genrestore.card import Card, DataSource, Metric
from genrestore.licences import licence_told
from genrestore.ui.parts import examples
from genrestore.ui.parts.component import address, component
from genrestore.ui.words import Words, html
from genrestore.ui.words.sentences import by_language

W = Words("about")
say = W.html


def build() -> None:
    """Lay out the tab inside the gr.Tab that is open."""
    cards = sorted(genrestore.list_models(), key=lambda card: tasks.names().index(card.task))
    gr.set_static_paths([path for card in cards if (path := sample_picture(card))])
    component(
        "tabs/about/about",
        f"<p>{say('privacy')}</p>"
        f"<h2>{say('models')}</h2>{models(cards)}"
        f"<h2>{say('photos')}</h2><p>{say('photos_hint')}</p><div class='photos'>{''.join(map(photo, examples.PHOTOS))}</div>"
        f"<h2>{say('program')}</h2><p>genrestore {genrestore.__version__}, Apache-2.0</p>",
        elem_id="about",
    )


def told(text: str) -> str:
    """What a card says, in both languages where it is known in both."""
    known = by_language(text)
    return html(known) if len(set(known.values())) > 1 else escape(text)


def models(cards: Iterable[Card]) -> str:
    """The cards as HTML, one article each."""
    articles = "".join(map(article, cards))
    return f"<p>{say('models_hint')}</p>{articles}" if articles else f"<p>{say('none')}</p>"


def article(card: Card) -> str:
    """One card as HTML. Everything a card says is text: a downloaded one may hold anything."""
    picture = sample_picture(card)
    hours = ", ".join(part for part in (_time(card.hours), told(card.hardware)) if part)
    facts = [
        ("intended", told(card.intended)),
        ("limits", told(card.limits)),
        ("data", "<br>".join(map(_source, card.data))),
        ("architecture", escape(_origin(card, "architecture"))),
        ("scale", f"×{card.scale}" if card.origin and card.scale > 1 else ""),
        ("parameters", f"{card.parameters:,}"),
        ("size", f"{card.weights.stat().st_size / 1e6:.1f} MB" if card.weights.exists() else ""),
        ("license", told(card.license)),
        ("origin", _file(card)),
        ("converted", escape(_origin(card, "converter"))),
        ("time", hours),
        ("here", _here(card)),
        ("paper", _paper(card.paper)),
    ]
    rows = "".join(f"<dt>{say(key)}</dt><dd>{text}</dd>" for key, text in facts if text)
    commands = "\n".join(dict.fromkeys(metric.command for metric in card.metrics if metric.command))
    recipe = json.dumps(card.recipe, indent=2, ensure_ascii=False)
    return (
        f"<article><header><h3>{told(card.title or card.name)}</h3>"
        + f"<p>{told(tasks.find(card.task).title)} · <code>{escape(card.name)}</code></p></header>"
        + (f"<img src='{address(picture)}' {_room(picture)} alt='' loading='lazy'>" if picture else "")
        + f"<dl>{rows}</dl>"
        + f"<h4>{say('scores')}</h4>{_scores(card.metrics)}"
        + (
            f"<details><summary>{say('recipe')}</summary>"
            f"<pre>{escape(recipe)}</pre><pre>{escape(commands)}</pre></details>"
            if card.recipe or commands
            else ""
        )
        + "</article>"
    )


def photo(path: Path) -> str:
    """One example photograph with its name as HTML."""
    return (
        f"<figure><img src='{address(path)}' {_room(path)} alt='' loading='lazy'>"
        f"<figcaption>{examples.W.html(path.stem)}</figcaption></figure>"
    )


def sample_picture(card: Card) -> Path | None:
    """The picture that lies beside the weight, if there is one."""
    path = card.folder / "sample.webp" if card.folder else None
    return path if path and path.is_file() else None


def _room(path: Path) -> str:
    """The attributes that keep a picture's place until it is there."""
    try:
        with Image.open(path) as picture:
            return f"width='{picture.width}' height='{picture.height}'"
    except (OSError, ValueError, SyntaxError):  # one's own weight may bring anything; the rest of the page is good
        return ""


def _origin(card: Card, key: str) -> str:
    return str(card.origin.get(key, ""))[:200]


def _file(card: Card) -> str:
    """Where a net that others made comes from."""
    digest = _origin(card, "sha256")
    file = [escape(_origin(card, "file")), f"<code>sha256 {escape(digest)}</code>" if digest else ""]
    return "<br>".join(filter(None, [_paper(_origin(card, "source")), *file]))


def _time(hours: float) -> str:
    if hours <= 0:
        return ""
    return f"{hours:.1f} {say('hours')}" if hours >= 1 else f"{max(1, round(60 * hours))} {say('minutes')}"


def _source(source: DataSource) -> str:
    licence = f" · {escape(licence_told(source.licence))}" if source.licence else ""
    return f"{escape(source.name)}: {source.count:,} {say('pictures')}{licence}"


def _here(card: Card) -> str:
    """What runs a net here and what that changes, where it has been measured; by itself it is when the net gets work."""
    choice = machine.recall(card.sha256)
    exact, own = (choice.speeds.get(way) for way in ("torch fp32", choice.backend)) if choice else (None, None)
    if choice is None or not exact or not own:
        return ""
    faster, off = f"{own / exact:.1f}", f"{choice.difference:.1f}"
    return f"{escape(choice.backend)}: {say('speed').replace('{}', faster)}; {say('off').replace('{}', off)}"


def _paper(reference: str) -> str:
    if not reference.startswith("https://"):
        return escape(reference)
    return f"<a href='{escape(reference)}' rel='noreferrer' target='_blank'>{escape(reference.removeprefix('https://'))}</a>"


def _scores(metrics: Iterable[Metric]) -> str:
    rows = "".join(
        f"<tr><td>{escape(m.set)}</td><td>{told(m.protocol)}</td>"
        f"<td>{told(m.name)} {m.value:g}</td><td>{m.n:,}</td></tr>"
        for m in metrics
    )
    if not rows:
        return f"<p>{say('unmeasured')}</p>"
    head = "".join(f"<th>{say(key)}</th>" for key in ("set", "protocol", "value", "count"))
    return f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
