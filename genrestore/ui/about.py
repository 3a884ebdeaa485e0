"""The About tab: the cards as a page. What each net is, learnt from, scores and cannot do; whose photographs we use."""

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path
from urllib.parse import quote

import gradio as gr
from PIL import Image

import genrestore
from genrestore import machine, tasks
from genrestore.card import Card, DataSource, Metric
from genrestore.licences import licence_told
from genrestore.ui import job as jobs
from genrestore.ui.drawn import drawn
from genrestore.ui.said import in_both
from genrestore.ui.words import Words

W = Words(
    "about",
    {
        "privacy": (
            "Your pictures go to the computer that runs this page and nowhere else. "
            "No telemetry, no account, no outside service; uploads are deleted after some hours.",
            "您的图片只会发送到运行本页面的电脑，不会发往别处。没有遥测，无需账户，也不使用外部服务；上传的文件会在数小时后删除。",
        ),
        "models": ("The models", "模型"),
        "models_hint": (
            "What names its data was trained by this program, and its recipe trains it again; what names its origin, by others.",
            "列出训练数据的模型由本程序训练，按其配方即可重新训练；列出来源的模型由他人训练。",
        ),
        "none": (
            "No model is installed yet; train one in the Train tab.",
            "尚未安装模型，请先在“训练”页训练一个。",
        ),
        "compress": ("Compress", "压缩"),
        "intended": ("Good for", "适用于"),
        "limits": ("Limits", "局限"),
        "data": ("Trained on", "训练数据"),
        "pictures": ("pictures", "张图片"),
        "architecture": ("Architecture", "网络结构"),
        "origin": ("Origin", "来源"),
        "converted": ("Taken in by", "导入程序"),
        "scale": ("Enlarges", "放大倍数"),
        "parameters": ("Parameters", "参数量"),
        "size": ("File", "文件大小"),
        "license": ("Licence", "许可"),
        "time": ("Trained for", "训练用时"),
        "hours": ("h", "小时"),
        "minutes": ("min", "分钟"),
        "here": ("On this computer", "在本机上"),
        "speed": ("{} times as fast as exact arithmetic", "速度是精确计算的 {} 倍"),
        "off": (
            "no sample further than {} of 255 levels from it, as measured here",
            "在本机实测，任一像素值与其相差不超过 {} 级（共 255 级）",
        ),
        "paper": ("Paper", "论文"),
        "scores": ("Scores", "评测"),
        "set": ("Set", "数据集"),
        "protocol": ("Protocol", "评测方法"),
        "value": ("Value", "数值"),
        "count": ("Pictures", "图片数"),
        "unmeasured": ("Not measured yet.", "尚未评测。"),
        "recipe": ("Recipe and commands", "配方与命令"),
        "photos": ("The example photographs", "示例照片"),
        "photos_hint": (
            "From the GB82 image set, given to the public domain (CC0 1.0) by its photographer.",
            "取自 GB82 图像集，摄影者已以 CC0 1.0 将其贡献给公有领域。",
        ),
        "program": ("The program", "程序"),
    },
)


def build() -> None:
    """Lay out the tab inside the gr.Tab that is open."""
    cards = sorted(genrestore.list_models(), key=lambda card: tasks.names().index(card.task))
    gr.set_static_paths([path for card in cards if (path := sample_picture(card))])
    drawn(
        "about",
        f"<p>{say('privacy')}</p>"
        f"<h2>{say('models')}</h2>{models(cards)}"
        f"<h2>{say('photos')}</h2><p>{say('photos_hint')}</p><div class='photos'>{''.join(map(photo, jobs.EXAMPLES))}</div>"
        f"<h2>{say('program')}</h2><p>genrestore {genrestore.__version__}, Apache-2.0</p>",
        elem_id="about",
    )


def say(key: str) -> str:
    """The word in both languages; page.css shows the visitor's. (Gradio translates one word in an HTML, not many.)"""
    return _either({language: words[key] for language, words in W.both(jobs.NAMES).items()})


def told(text: str) -> str:
    """What a card says, in both languages where it is known in both."""
    both = in_both(text)
    return _either(both) if len(set(both.values())) > 1 else escape(text)


def _either(texts: dict[str, str]) -> str:
    return "".join(f"<span lang='{language}'>{escape(text)}</span>" for language, text in texts.items())


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
        f"<figcaption>{say(path.stem)}</figcaption></figure>"
    )


def sample_picture(card: Card) -> Path | None:
    """The picture that lies beside the weight, if there is one."""
    path = card.folder / "sample.webp" if card.folder else None
    return path if path and path.is_file() else None


def address(path: Path) -> str:
    """Where the page finds a file that is served as it is; relative, so that the page may live below a sub-path."""
    return f"gradio_api/file={quote(path.resolve().as_posix())}"


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
