"""What the page says: every language says all of it, and nothing that nobody asks for."""

import ast
import json
import re
from pathlib import Path
from string import Formatter

import pytest

import genrestore
from genrestore import tasks
from genrestore.licences import LICENCES
from genrestore.recipe import FLAWS
from genrestore.tasks.inpaint import STRATEGIES
from genrestore.training import runs
from genrestore.ui import words

PACKAGE = Path(genrestore.__file__).parent
UI = PACKAGE / "ui"
TEXTS = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((UI / "words").glob("*.json"))}
EDITOR = "genrestore.ui.parts.mask_editor"
NAMED = re.compile(
    r'(?:\bwords\.|\bdata-(?:word|label|title|alt)=")(\w+)'
)  # a key that a script or a template asks for
MENTIONED = re.compile(r'(?:\bwords\.|"(?=\w+"))(\w+)')  # or may ask for
# Keys that are names of the floors below.
BELOW = {
    "findings": set(FLAWS),
    "inpaint": set(STRATEGIES),
    "picker": {way for name in tasks.names() for way in tasks.find(name).ways},
    "train": set(LICENCES) & {"own", "public-domain", "unknown"},  # the rest are names in every language
    "watch": {*runs.LIVE, *runs.ENDED, "psnr", "ssim", "swd"},
}


def module(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


class Source:
    """A file of Python, read for the words that it asks for."""

    def __init__(self, file: Path) -> None:
        self.name = module(file)
        self.tree = ast.parse(file.read_text("utf-8"))
        nodes = [*ast.walk(self.tree)]
        self.strings = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        starts = (node.values[0] for node in nodes if isinstance(node, ast.JoinedStr) and node.values)
        self.starts = {str(start.value) for start in starts if isinstance(start, ast.Constant)}
        self.imported = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in nodes
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        self.own = {  # part by the variable that holds its words
            node.targets[0].id: str(ast.literal_eval(node.value.args[0]))
            for node in nodes
            if isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and isinstance(node.targets[0], ast.Name)
            if ast.unparse(node.value.func) == "Words"
        }

    def scripts(self) -> set[Path]:
        """Scripts and templates that it names, by their names or their folder."""
        names = {name for name in self.strings if re.fullmatch(r"[\w/.]+", name)}
        files = {UI / f"{name}{ending}" for name in names for ending in ("", ".js", ".html")}
        for start in self.starts:
            files |= {*(UI / start).glob("*.js")} if start.endswith("/") else set[Path]()
        drawn = {file for file in files if file.suffix in (".js", ".html") and file.is_file()}
        used = f"{EDITOR}.MaskEditor" in self.imported.values() and self.name != EDITOR
        return drawn | (SOURCES[f"{EDITOR}.component"].scripts() if used else set[Path]())


SOURCES = {source.name: source for source in map(Source, sorted(UI.rglob("*.py")))}


def parts(source: Source) -> set[str]:
    """The parts whose words a file may ask for: its own, and those of the files that it imports."""
    own = [other.own.values() for other in SOURCES.values() if other is source or imports(source, other.name)]
    return {part for values in own for part in values}


def imports(source: Source, name: str) -> bool:
    return any(full == name or full.rpartition(".")[0] == name for full in source.imported.values())


def asked(source: Source) -> set[tuple[str, str]]:
    """(part, key) of all that Python asks for by name."""
    known = dict(source.own)
    for alias, full in source.imported.items():
        owner, _, variable = full.rpartition(".")
        if full in SOURCES:
            known |= {f"{alias}.{variable}": part for variable, part in SOURCES[full].own.items()}
        elif owner in SOURCES and variable in SOURCES[owner].own:
            known[alias] = SOURCES[owner].own[variable]
    found: set[tuple[str, str]] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            part = known.get(re.sub(r"\.(text|html)$", "", ast.unparse(node.func)))
            found |= {(part, str(node.args[0].value))} if part else set[tuple[str, str]]()
    return found


def braces(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_every_language_says_the_same_in_the_same_order() -> None:
    english = TEXTS[words.PLAIN]
    for language, texts in TEXTS.items():
        assert [*texts] == [*english], language
        for part, known in english.items():
            assert [*texts[part]] == [*known], f"{language}, {part}"
            assert all(texts[part].values()), f"{language}, {part}"
            unlike = [key for key in known if braces(texts[part][key]) != braces(known[key])]
            # Chinese counts in units of ten thousand.
            assert unlike == (["quote"] if (language, part) == ("zh-CN", "upscale") else []), f"{language}, {part}"


def test_a_language_that_lacks_a_word_is_refused_at_once(tmp_path: Path) -> None:
    for language, texts in {"en": {"page": {"a": "A", "b": "B"}}, "fr": {"page": {"a": "À"}}}.items():
        (tmp_path / f"{language}.json").write_text(json.dumps(texts), "utf-8")
    with pytest.raises(AssertionError, match=r"words/fr\.json .*\['page\.b'\]"):
        words.read(tmp_path)
    (tmp_path / "fr.json").write_text(json.dumps({"page": {"a": "À", "b": "B"}}), "utf-8")
    assert words.read(tmp_path)["fr"]["page"]["a"] == "À", "another language is a file more"


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda source: source.name)
def test_python_asks_for_no_word_that_is_not_there(source: Source) -> None:
    assert [(part, key) for part, key in sorted(asked(source)) if key not in TEXTS["en"][part]] == []


@pytest.mark.parametrize("script", [*UI.rglob("*.js"), *UI.rglob("*.html")], ids=lambda path: str(path.relative_to(UI)))
def test_the_browser_asks_for_no_word_that_is_not_there(script: Path) -> None:
    """It would show as `undefined`."""
    users = [source for source in SOURCES.values() if script in source.scripts()]
    assert users, "nothing draws it"
    known = {key for source in users for part in parts(source) for key in TEXTS["en"][part]}
    assert sorted({*NAMED.findall(script.read_text("utf-8"))} - known) == []


@pytest.mark.parametrize("part", TEXTS["en"])
def test_nothing_is_there_that_nobody_asks_for(part: str) -> None:
    used, starts = set(BELOW.get(part, ())), set[str]()
    assert used <= TEXTS["en"][part].keys()
    askers = [source for source in SOURCES.values() if part in parts(source)]
    assert any(part in source.own.values() for source in askers), "no file has its words"
    for source in askers:
        used |= source.strings
        starts |= source.starts
        for text in (script.read_text("utf-8") for script in source.scripts()):
            used |= {*MENTIONED.findall(text)}
            starts |= {*re.findall(r"`(\w+_)\$\{", text)}
    ends = tuple(start for start in starts if start.endswith("_"))
    assert sorted(key for key in TEXTS["en"][part] if key not in used and not key.startswith(ends)) == []
