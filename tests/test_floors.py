"""Who may import whom: only from a floor below, never sideways. Imports inside functions count too."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "genrestore"
FLOORS = [
    {"errors", "paths"},
    {"setting", "console", "licences", "locks", "machine", "references", "zerogpu"},
    {"card", "recipe"},
    {"pictures", "model_index", "registry", "nets", "metrics"},
    {"data", "tasks"},
    {"models", "fill"},
    {"weights", "backends"},
    {"runtime", "community"},
    {"hub", "pipelines", "training"},
    {"cli", "ui"},
]
FLOOR = {part: height for height, parts in enumerate(FLOORS) for part in parts}
PAGE = ["words", "server", "parts", "tabs.image_to_image", "tabs"]  # of ui, below what puts the page together


def part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def modules(file: Path) -> set[str]:
    """Modules of genrestore that a file imports anywhere, type-checking blocks aside."""
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
            found |= {alias.name for alias in node.names if alias.name.startswith("genrestore.")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "genrestore":
            assert node.level == 0 and node.module
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if is_module(name) or node.module == "genrestore" else node.module for name in below}
    return found


def is_module(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def module_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(file: Path) -> set[str]:
    """Parts of genrestore that a file imports."""
    return {part_of(module) for module in modules(file)}


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
        "add_model",
        "sample",
        "inpaint",
        "upscale",
        "restore",
        "find_damage",
        "old_photo",
        "train",
        "load",
        "list_models",
        "pull",
        "push",
        "verify_model",
        "remove_model",
    }
    for part in imported(file) - {own}:
        if own in ("cli", "ui") and part in public:
            continue  # the public functions, by their public names
        assert part in FLOOR, f"{file.name} imports genrestore.{part}, which stands on no floor"
        assert FLOOR[part] < FLOOR[own], f"{file.name} (floor {FLOOR[own]}) imports {part} (floor {FLOOR[part]})"


def page_floor(module: str) -> int:
    inside = module.removeprefix("genrestore.ui.") + "."
    return next((height for height, name in enumerate(PAGE) if inside.startswith(f"{name}.")), len(PAGE))


@pytest.mark.parametrize(
    "file", sorted((PACKAGE / "ui").rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_on_the_page_too_and_no_tab_imports_another(file: Path) -> None:
    own = module_of(file)
    height = page_floor(own)
    for module in (name for name in modules(file) if part_of(name) == "ui"):
        same = own.split(".")[:4] == module.split(".")[:4] if PAGE[height : height + 1] == ["tabs"] else True
        assert page_floor(module) < height or (page_floor(module) == height and same), f"{own} imports {module}"


@pytest.mark.parametrize(
    "statement",
    ["import genrestore; genrestore.list_models()", "import genrestore.cli.main"],
)
def test_no_torch_before_it_is_needed(statement: str) -> None:
    """A --help that loads torch would start seconds later; test_ui_page.py looks at the page."""
    code = f"{statement}\nimport sys\nassert 'torch' not in sys.modules and 'openvino' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_no_file_imports_itself_by_a_detour() -> None:
    """Within a floor files may use one another, but in one direction."""
    graph = {module_of(file): modules(file) for file in FILES}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " imports ".join([*path[path.index(module) :], module])
        if module in done:
            return
        for other in graph.get(module, set()):
            visit(other, (*path, module))
        done.add(module)

    for module in graph:
        visit(module, ())
    assert len(done) > 100
