"""Who may import whom: only from a floor below, never sideways. Imports inside functions count too."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "genrestore"
FLOORS = [
    {"errors", "card", "console", "recipe", "setting"},
    {
        "image",
        "samples",
        "container",
        "structure",
        "boxes",
        "colour",
        "heif",
        "jpeg",
        "coder",
        "registry",
        "locks",
        "machine",
        "damage",
    },
    {"layers", "losses", "optimizers", "degrade", "augment", "metrics", "sources", "flaws", "judge", "select"},
    {"decoded"},
    {"models", "data", "fill"},
    {"weights", "backends", "doctor", "runs", "resident"},
    {"runtime", "batch"},
    {"tasks", "train"},
    {"cli", "ui"},
]
# Within the lowest floor, errors stand below the others.
BELOW_WITHIN = {
    ("card", "errors"),
    ("console", "errors"),
    ("recipe", "errors"),
    ("recipe", "setting"),
    ("image", "structure"),
    ("image", "jpeg"),
    ("image", "heif"),
    ("image", "samples"),
    ("image", "colour"),
    ("image", "container"),
    ("image", "boxes"),
    ("structure", "samples"),
    ("structure", "container"),
    ("structure", "boxes"),
    ("jpeg", "samples"),
    ("colour", "boxes"),
    ("samples", "container"),
    ("samples", "boxes"),
    # the command `genrestore app` opens the page; the page knows nothing of the command line
}
FLOOR = {part: height for height, parts in enumerate(FLOORS) for part in parts}


def part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imported(file: Path) -> set[str]:
    """Parts of genrestore that a file imports anywhere, type-checking blocks aside."""
    found: set[str] = set()
    tree = ast.parse(file.read_text("utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {part_of(alias.name) for alias in node.names if alias.name.startswith("genrestore.")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "genrestore":
            assert node.level == 0
            if node.module == "genrestore":
                found |= {alias.name for alias in node.names}
            else:
                found.add(part_of(node.module or ""))
    return found - {""}


FILES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name not in ("__init__.py", "__main__.py") or path.parent != PACKAGE
]


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_come_from_floors_below(file: Path) -> None:
    own = file.relative_to(PACKAGE).with_suffix("").parts[0]
    assert own in FLOOR, f"{own} stands on no floor; add it to FLOORS"
    public = {
        "__version__",
        "sample",
        "inpaint",
        "upscale",
        "restore",
        "find_damage",
        "old_photo",
        "train",
        "load",
        "models",
    }
    for part in imported(file) - {own}:
        if own in ("cli", "ui") and part in public:
            continue  # the public functions, by their public names
        assert part in FLOOR, f"{file.name} imports genrestore.{part}, which stands on no floor"
        allowed = FLOOR[part] < FLOOR[own] or (own, part) in BELOW_WITHIN
        assert allowed, f"{file.name} (floor {FLOOR[own]}) imports {part} (floor {FLOOR[part]})"


@pytest.mark.parametrize(
    "statement",
    ["import genrestore; genrestore.models()", "import genrestore.cli"],
)
def test_no_torch_before_it_is_needed(statement: str) -> None:
    """A --help that loads torch would start seconds later; test_ui_page.py looks at the page."""
    code = f"{statement}\nimport sys\nassert 'torch' not in sys.modules and 'openvino' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_public_names_stay_functions() -> None:
    """`genrestore.train` is a function although genrestore/train.py is a module, whichever is imported first."""
    code = (
        "import importlib, genrestore\n"
        "importlib.import_module('genrestore.train'); importlib.import_module('genrestore.models')\n"
        "assert callable(genrestore.train) and callable(genrestore.models)\n"
        "assert set(genrestore.__all__) <= set(dir(genrestore))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
