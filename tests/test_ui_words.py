"""Words from below the page: errors and cards are written in English and read in the visitor's language."""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.context import LocalContext

import genrestore
from genrestore.errors import ImageError
from genrestore.models import find, names
from genrestore.ui.parts import picker
from genrestore.ui.parts.toasts import with_toasts
from genrestore.ui.words import sentences

PACKAGE = Path(genrestore.__file__).parent
# Files that tell a visitor nothing: what the command line and the start of a page say, the answers to programs, and verdicts on
# a run, for which the page has words of its own.
ELSEWHERE = {
    "cli", "__main__", "console", "hub/readme", "hub/space",
    "training/command", "training/distributed", "training/judge", "training/loggers", "training/options",
    "ui/server/agents", "ui/server/guard", "ui/server/serve", "ui/server/uploads", "ui/verbs",
}  # fmt: skip
CHINESE: Any = SimpleNamespace(headers={"accept-language": "zh-CN,zh;q=0.9"})


def told(file: Path) -> set[str]:
    """The forms of all that a file can tell a person: literals that end like a sentence or say what to do."""
    tree = ast.parse(file.read_text("utf-8"))
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):  # what our own code must never see
        if isinstance(node, ast.Assert | ast.Dict | ast.Call) and is_ours(node):
            silent |= {id(inner) for inner in ast.walk(node)}
        if isinstance(node, ast.JoinedStr):
            silent |= {id(inner) for inner in ast.walk(node) if isinstance(inner, ast.Constant)} - {id(node)}
    found = {form(node) for node in ast.walk(tree) if id(node) not in silent}
    return {
        text
        for text in found
        if len(re.findall(r"[a-z]{2,}", text)) > 2 and (text[-1] in ".?" or "; " in text) and "{ " not in text
    }


def is_ours(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).split(".")[-1] in ("exception", "warn", "warning", "info")
    return isinstance(node, ast.Assert)


def form(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def told_by() -> list[Path]:
    def elsewhere(path: Path) -> bool:
        inside = path.relative_to(PACKAGE)
        return inside.parts[0] in ELSEWHERE or inside.with_suffix("").as_posix() in ELSEWHERE

    return [path for path in sorted(PACKAGE.rglob("*.py")) if not elsewhere(path)]


@pytest.mark.parametrize("file", told_by(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_every_sentence_of_a_picture_s_way_has_its_chinese(file: Path) -> None:
    missing = sorted(told(file) - set(sentences.forms("zh-CN")))
    assert not missing, f"add to ui/words/sentences/zh-CN.json, with {{}} for each value: {missing}"


def test_the_collector_hears_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('"""A docstring is silent."""\nraise ImageError(f"{a} is no picture; use {b}.")\n')
    assert told(tmp_path / "a.py") == {"{} is no picture; use {}."}


def test_chinese_forms_hold_the_same_values() -> None:
    for english, chinese in sentences.forms("zh-CN").items():
        count = english.count("{}")
        filled = chinese.format(*(f"«{k}»" for k in range(count)))
        assert all(f"«{k}»" in filled for k in range(count)), english


def test_cards_and_presets_have_their_chinese() -> None:
    texts = [
        text for card in genrestore.list_models() for text in (card.title, card.intended, card.limits, card.license)
    ]
    texts += [metric.protocol for card in genrestore.list_models() for metric in card.metrics]
    texts += [
        text for one in map(find, names()) for text in (one.title, one.intended, one.limits, one.makes, one.advice)
    ]
    assert [text for text in texts if text and not re.search("[一-鿿]", sentences.translated(text, CHINESE))] == []


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("cat.heic is a HEIC photo; export it as JPEG, or set the camera to “most compatible”.", "cat.heic 是 HEIC 照片"),
        ("a is b.jpg cannot be read (its header makes no sense); save it again as PNG or JPEG in a picture editor.",
         "无法读取 a is b.jpg（文件头无效）"),
        ("cat.png is 9×9; the limit here is 50 megapixels: scale it down first.", "上限为 50 百万像素"),
        ("640×480 is more than 16 times 30×20; ask for less.", "640×480 超过了 30×20 的 16 倍"),
        ('raw must be an object of at most 9 numbers such as {"3": -0.4}.', '例如 {"3": -0.4}'),
        ("They cannot be read; the first: a.jpg cannot be read (its header makes no sense); save it again as PNG or JPEG in a "
         "picture editor.", "无法读取；第一张：无法读取 a.jpg（文件头无效）"),
        ("cats · VAE, clothing 64×64", "cats · VAE · 服装 64×64"),
    ],
)  # fmt: skip
def test_a_sentence_is_found_with_its_values(english: str, chinese: str) -> None:
    assert chinese in sentences.translated(english, CHINESE)
    assert sentences.translated(english, None) == english


@pytest.mark.parametrize("text", ["", "cats", "Mine is yours.", "a · b", "{} is {}.", "x" * 10_000, "It is " * 2_000])
def test_what_is_not_known_stays(text: str) -> None:
    assert sentences.translated(text, CHINESE) == text


def test_a_toast_speaks_the_visitor_s_language(monkeypatch: pytest.MonkeyPatch) -> None:
    @with_toasts
    def handler() -> None:
        raise ImageError("cat.png is empty (0 bytes); choose another file.")

    told: list[str] = []
    monkeypatch.setattr(gr, "Warning", lambda text, **_: told.append(text))
    token = LocalContext.request.set(CHINESE)
    try:
        handler()
    finally:
        LocalContext.request.reset(token)
    handler()
    assert told == ["cat.png 是空文件（0 字节），请选择其他文件。", "cat.png is empty (0 bytes); choose another file."]


def test_a_model_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cards: list[Any] = [
        SimpleNamespace(name=name, title=title)
        for name, title in [("cats", "cats"), ("dogs", ""), ("a", "Twice"), ("b", "Twice"), ("c", "Once")]
    ]
    assert picker.titles(cards) == ["cats", "dogs", "Twice (a)", "Twice (b)", "Once"]


def test_no_sentence_goes_to_a_visitor_as_it_was_raised() -> None:
    """`translated` must be asked for each, or a Chinese page speaks English where it matters most."""
    for file in (path for path in told_by() if "ui" in path.parts):
        assert "str(problem)" not in file.read_text("utf-8").replace("translated(str(problem)", ""), file.name


def test_a_chinese_page_shows_chinese_cards(visit: Callable[..., Any]) -> None:
    page = visit("/?tab=upscale", locale="zh-CN")
    page.get_by_role("button", name="设置").click()
    page.locator("#upscale-model input").click()
    page.get_by_role("option", name="放大 4 倍，忠于原图").wait_for()
    page.goto(page.url.replace("upscale", "sample"))
    page.locator("#live option", has_text="VAE · 服装 64×64").wait_for(state="attached")
    page.goto(page.url.replace("sample", "models"))
    page.get_by_text("照片上的划痕、灰尘、文字和小物体。").wait_for()
