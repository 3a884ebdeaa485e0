"""The app as a Hugging Face Space: what is sent to a Hub of our own over HTTP, and how it starts there."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import httpx
import pytest
import space_standin
from conftest import ROOT, free_port
from packaging.requirements import Requirement
from space_standin import TOKEN, Hub

from genrestore import paths
from genrestore.errors import Cancelled, SettingError
from genrestore.hub import space
from genrestore.ui.server import access, serve


@pytest.fixture
def hub() -> Iterator[Hub]:
    running = Hub()
    yield running
    running.close()


def push(hub: Hub | str, home: Path, *arguments: str, answer: str = "", **environment: str) -> Any:
    """`genrestore space push` in a process of its own, for the client reads its settings as it is imported."""
    settings = {
        "HF_ENDPOINT": hub if isinstance(hub, str) else hub.url,
        "HF_HOME": str(home / "hf"),
        "GENRESTORE_HOME": str(home / "own"),
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1",  # which the stand-in does not speak
        **environment,
    }
    command = [sys.executable, "-m", "genrestore", "space", "push", *arguments]
    env = {name: value for name, value in {**os.environ, **settings}.items() if value}
    return subprocess.run(
        command, check=False, cwd=ROOT, env=env, input=answer, capture_output=True, text=True, timeout=120
    )


# ---- what is sent ----


def test_a_space_is_made_asked_for_and_brought_up_to_date(hub: Hub, tmp_path: Path) -> None:
    asked = push(hub, tmp_path, "ann/pictures", answer="n\n")
    assert asked.returncode == 130 and hub.spaces == {} and hub.stored == {}, "no was said"
    assert f"To {hub.url}/spaces/ann/pictures, a new Space for everybody:" in asked.stderr
    assert re.search(r"weights/span-x4/  3 files  0\.\d\d MB", asked.stderr)

    made = push(hub, tmp_path, "ann/pictures", "--private", answer="y\n")
    assert made.returncode == 0, made.stderr
    assert made.stdout == f"{hub.url}/spaces/ann/pictures\n"
    there = hub.spaces["ann/pictures"]
    assert there.private and there.sdk == "gradio" and len(there.commits) == 1
    sent = space.contents()
    assert there.files.keys() == sent.keys()
    for name, file in sent.items():
        assert there.files[name] == (file.read_bytes() if isinstance(file, Path) else file.encode()), name

    there.files |= {"genrestore/ui/gone.py": b"", "weights/old/card.json": b"{}", "notes.md": b"mine"}
    again = push(hub, tmp_path, "ann/pictures", "--yes")
    assert again.returncode == 0, again.stderr
    assert "Removed there, no longer part of the app: genrestore/ui/gone.py, weights/old/card.json" in again.stderr
    assert there.files.keys() == {*sent, "notes.md"}, "what the owner put beside the app stays"


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["pictures"], {}, "names no repository of the Hub"),
        (["ann/../x"], {}, "names no repository of the Hub"),
        (["ann/pictures", "--model", "x"], {}, "names no repository of the Hub"),
        (["ann/pictures"], {"HF_TOKEN": ""}, "The Hub must know who you are"),
        (["ann/pictures", "--yes"], {"HF_TOKEN": "hf_bad"}, "does not let you "),
        (["bob/pictures", "--yes"], {}, "does not let you "),
        (["ann/pictures", "--yes"], {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
        (
            ["ann/pictures", "--yes"],
            {"HF_ENDPOINT": "http://127.0.0.1:9"},
            "The Hub at http://127.0.0.1:9 does not answer",
        ),
        (["ann/open", "--private", "--yes"], {}, "The Space ann/open is there already and public"),
        (["ann/pictures"], {}, "There is nobody to ask here"),
    ],
)
def test_what_hinders_a_push_is_one_sentence(
    hub: Hub, tmp_path: Path, arguments: list[str], environment: dict[str, str], said: str
) -> None:
    hub.spaces["ann/open"] = space_standin.Space({"README.md": b"x"})
    ended = push(hub, tmp_path, *arguments, **environment)
    assert ended.returncode == 2 and said in ended.stderr, ended.stderr
    assert "Traceback" not in ended.stderr and len(ended.stderr.strip().splitlines()[-1]) < 300
    assert hub.spaces.keys() == {"ann/open"} and hub.spaces["ann/open"].files == {"README.md": b"x"}


def test_a_push_that_is_refused_in_python_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anybody was asked there is no word of it on the Hub."""
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "get_token", lambda: TOKEN)
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    shown: list[space.Parcel] = []
    with pytest.raises(Cancelled, match="Nothing was sent"):
        space.push("ann/pictures", confirm=lambda parcel: bool(shown.append(parcel)))
    assert shown[0].there == {"README.md", "genrestore/old.py"} and shown[0].removed == ["genrestore/old.py"]


class Api:
    """A client that knows one Space and writes nothing."""

    def space_info(self, repository: str) -> Any:
        files = [type("File", (), {"rfilename": name})() for name in ("README.md", "genrestore/old.py")]
        return type("Info", (), {"siblings": files, "private": False})()


def test_only_the_app_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing hidden, nothing compiled, nothing that this user trained."""
    monkeypatch.setenv("GENRESTORE_HOME", str(tmp_path))
    shutil.copytree(ROOT / "weights" / "vae-mnist", tmp_path / "weights" / "my-own")
    package = tmp_path / "copy" / "genrestore"
    shutil.copytree(paths.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "weights" / "vae-mnist", package / "shipped" / "vae-mnist")
    (package / ".env").write_text("secret")
    (package / "ui" / "__pycache__").mkdir()
    (package / "ui" / "__pycache__" / "words.pyc").write_bytes(b"x")
    (package / "shipped" / "vae-mnist" / "notes.txt").write_text("mine")
    left = (
        "#tab.py#",
        "tab.py~",
        "tab (copy).py",
        "tab.orig",
        "id_rsa",
        "key.pem",
        "key.json",
        "token.txt",
        "notes.md",
        "a.zip",
    )
    for name in left:
        for folder in (package, package / "ui", package / "ui" / "examples", package / "hub"):
            (folder / name).write_text("mine")
    (package / "link.py").symlink_to(ROOT / "pyproject.toml")
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copyfile(ROOT / name, package.parent / name)
    monkeypatch.setattr(paths, "PACKAGE", package)
    monkeypatch.setattr(space, "PACKAGE", package)
    files = space.contents()
    assert not [name for name in files if re.search(r"/\.|__pycache__|my-own|notes|link|shipped", name)]
    assert not [name for name in files if name.rpartition("/")[2] in left]
    assert {name for name in files if name.startswith("weights/")} == {
        f"weights/vae-mnist/{name}" for name in ("card.json", "model.safetensors", "sample.webp")
    }
    assert files.keys() >= {"README.md", "requirements.txt", "app.py", "LICENSE", "genrestore/ui/page.css"}


def test_all_of_the_app_leaves() -> None:
    """Of a new kind of file `space.SENT` must be told."""
    git = ["git", "-C", str(ROOT), "ls-files", "-z", "genrestore"]
    told = subprocess.run(git, capture_output=True, text=True, check=False)
    if told.returncode:
        pytest.skip("git does not know this copy")
    ours = {name for name in told.stdout.split("\0") if name and not name.endswith("tsconfig.json")}
    assert ours - space.contents().keys() == set()


def test_of_an_installed_package_what_was_installed_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "genrestore"
    (package / "ui").mkdir(parents=True)
    for name in ("__init__.py", "ui/page.css", "mine.py", "ui/mine.css"):
        (package / name).write_text("x")
    info = tmp_path / "genrestore-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: genrestore\nVersion: 0\n")
    (info / "RECORD").write_text("genrestore/__init__.py,,\ngenrestore/ui/page.css,,\n../../bin/genrestore,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(space, "PACKAGE", package)
    for name in ("readme", "requirements", "_licence"):
        monkeypatch.setattr(space, name, lambda *_, **__: "")
    assert {name for name in space.contents() if name.startswith("genrestore/")} == {
        "genrestore/__init__.py", "genrestore/ui/page.css",
    }  # fmt: skip


def test_the_hub_takes_the_readme() -> None:
    text = space.readme(("ann/photo-x4",))
    assert space_standin.errors_of(text) == []
    assert "- ann/photo-x4\n" in text and "span-x4" in text and "hf_oauth: true" in text
    assert space_standin.errors_of(text.replace("colorFrom: blue", "colorFrom: navy")) != []
    assert not (ROOT / "README.md").read_text("utf-8").startswith("---"), "GitHub would show it"


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(SettingError, match="is not empty"):
        space.build(tmp_path)


# ---- what it needs ----


def test_requirements_are_those_of_the_package() -> None:
    needed = [Requirement(line) for line in space.requirements()]
    names = [one.name for one in needed]
    assert len(set(names)) == len(names) and "torch" in names
    (page,) = (one for one in needed if one.name == "gradio")
    assert page.extras == {"oauth"} and metadata.version("gradio") in page.specifier
    assert space.requirements(cpu=True) == [f"--extra-index-url {space.CPU_WHEELS}", *space.requirements()]


def test_requirements_are_the_same_of_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel has no pyproject.toml; it has what its builder made of it."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = ["Metadata-Version: 2.4", "Name: genrestore", "Version: 0", f"License-Expression: {project['license']}"]
    lines += [f"Requires-Dist: {need}" for need in project["dependencies"]]
    for extra, needs in project["optional-dependencies"].items():
        lines += [f"Provides-Extra: {extra}", *(f"Requires-Dist: {need}; extra == '{extra}'" for need in needs)]
    (tmp_path / "genrestore-0.dist-info").mkdir()
    (tmp_path / "genrestore-0.dist-info" / "METADATA").write_text("\n".join(lines) + "\n")
    expected = {str(Requirement(line)) for line in space.requirements()}
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(space, "PACKAGE", tmp_path / "genrestore")
    space._project.cache_clear()
    try:
        assert {str(Requirement(line)) for line in space.requirements()} == expected
        assert "license: apache-2.0" in space.readme()
    finally:
        space._project.cache_clear()


def test_every_import_is_among_the_requirements() -> None:
    """At once or through another package; what only an extra brings is imported where it can be missing."""
    came: set[str] = set()
    waiting = [Requirement(line) for line in space.requirements()]
    while waiting:
        need = waiting.pop()
        name = _plain(need.name)
        if need.marker is not None and not any(need.marker.evaluate({"extra": one}) for one in ("", *need.extras)):
            continue
        if name in came and not need.extras:
            continue
        came.add(name)
        try:
            found = metadata.requires(need.name) or []
        except metadata.PackageNotFoundError:
            continue
        for line in found:
            inner = Requirement(line)
            if inner.marker is None or any(inner.marker.evaluate({"extra": one}) for one in ("", *need.extras)):
                inner.marker = None
                waiting.append(inner)
    owners = metadata.packages_distributions()
    missing: set[str] = set()
    for file in paths.PACKAGE.rglob("*.py"):
        for module in _imported(file):
            if module not in sys.stdlib_module_names and module != "genrestore":
                missing |= {module} if not came & set(map(_plain, owners.get(module, [module]))) else set()
    # The extras `diffusion`, `distributed`, `mcp` and `tensorboard`, and what ZeroGPU brings.
    assert missing <= {"accelerate", "diffusers", "mcp", "tensorboard", "spaces", "transformers"}, missing


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _imported(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


# ---- how it starts ----


# A program that takes from root what lets it write where it must not, and becomes another one, which then is to the disk
# as any user is. 24 is PR_CAPBSET_DROP, which the exec obeys.
POWERLESS = """
import ctypes, os, sys
for capability in range(64): ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.fixture
def built() -> Iterator[Path]:
    """A Space's folder, in which nothing can be written, beside a home of which the same is true."""
    place = Path(tempfile.mkdtemp(prefix="genrestore-space-test-"))
    space.build(place / "app")
    (place / "home").mkdir()
    folders = [place / "home", place / "app", *(path for path in place.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield place
    for folder in folders:
        folder.chmod(0o755)
    shutil.rmtree(place)


@pytest.mark.skipif(sys.platform != "linux", reason="a Space is Linux, and so is what takes root's powers away here")
def test_a_space_starts_where_nothing_can_be_written(built: Path) -> None:
    """The page opens and draws, from its own folder, and prints no traceback; root is as powerless as anybody."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(built / "home"),
        "SYSTEM": "spaces",
        "SPACE_ID": "ann/pictures",
        "GRADIO_SERVER_PORT": str(port),  # 7860 may be taken here
        "GRADIO_NUM_PORTS": "1",  # as a Space sets it
        "OMP_NUM_THREADS": "1",
    }
    check = f"import pathlib; pathlib.Path({str(built / 'home' / 'x')!r}).touch()"
    tried = subprocess.run([sys.executable, "-c", POWERLESS, "-c", check], check=False, capture_output=True)
    assert b"PermissionError" in tried.stderr
    with tempfile.TemporaryFile("w+") as log:
        command = [sys.executable, "-c", POWERLESS, "app.py"]
        server = subprocess.Popen(command, cwd=built / "app", env=environment, stdout=log, stderr=log)
        try:
            page = f"http://127.0.0.2:{port}"  # it listens for all
            deadline = time.monotonic() + 120
            while True:
                try:
                    opened = httpx.get(page, timeout=60)
                    break
                except httpx.TransportError:
                    assert server.poll() is None and time.monotonic() < deadline, _text(log)
                    time.sleep(0.2)
            assert opened.status_code == 200
            config = httpx.get(f"{page}/config", timeout=60).text
            assert "train-off" in config and "train-go" not in config, "nobody can sign in here"
            drawn = {"model": "vae-mnist", "seed": 3}
            event = httpx.post(f"{page}/gradio_api/call/v2/sample", json=drawn, timeout=60).json()["event_id"]
            answer = httpx.get(f"{page}/gradio_api/call/sample/{event}", timeout=120).text
            assert "event: complete" in answer and "vae-mnist-3.png" in answer
            time.sleep(3)  # in which what is loaded ahead may fail
        finally:
            server.terminate()
            server.wait(30)
        assert "Traceback" not in _text(log) and "rror" not in _text(log), _text(log)
    assert not list((built / "home").iterdir())


def _text(log: Any) -> str:
    log.seek(0)
    return log.read()


def test_a_space_listens_for_all_where_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first port or at none: another would never be found there."""
    for name in ("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT", "GENRESTORE_WRONG_PORT"):
        monkeypatch.delenv(name, raising=False)
    port = free_port()
    monkeypatch.setattr(serve, "PORTS", range(port, port + 50))
    with serve.listen(None, None) as found:
        assert found.getsockname() == ("127.0.0.1", port)
    monkeypatch.setenv("SPACE_ID", "ann/pictures")
    with serve.listen(None, None) as found:
        assert found.getsockname() == ("0.0.0.0", port)
        with pytest.raises(SettingError, match="Another program listens"):
            serve.listen(None, None)


def test_a_space_s_disk_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GENRESTORE_HOME", raising=False)
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    monkeypatch.setenv("SPACE_ID", "ann/pictures")
    assert paths.home() == Path.home() / ".genrestore"
    (tmp_path / "data").mkdir()
    assert paths.home() == tmp_path / "data" / "genrestore"
    monkeypatch.setenv("GENRESTORE_HOME", "/elsewhere")
    assert paths.home() == Path("/elsewhere")
    monkeypatch.delenv("GENRESTORE_HOME")
    monkeypatch.delenv("SPACE_ID")
    assert paths.home() == Path.home() / ".genrestore", "a folder of that name elsewhere is none of ours"


def test_the_hub_s_files_lie_on_the_space_s_disk(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; from genrestore import paths, ui; import genrestore.__main__ as begin\n"
        f"paths.DATA = pathlib.Path({str(tmp_path)!r})\n"
        "ui.launch = lambda *_: sys.exit(0)\n"
        "import os; os.environ.pop('HF_HOME', None)\n"
        "try: begin.open_app()\n"
        "except SystemExit: print(os.environ.get('HF_HOME'))\n"
    )
    for name, expected in (("ann/pictures", f"{tmp_path}/.huggingface"), ("", "None")):
        environment = {**os.environ, "SPACE_ID": name}
        command = [sys.executable, "-c", code]
        told = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=60)
        assert told.stdout.strip() == expected, told.stderr


def test_nobody_signs_in_where_gradio_s_sign_in_would_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page with its button then ended in a ValueError or an ImportError as it started."""
    monkeypatch.setattr(access.importlib.util, "find_spec", lambda name: name)
    for name in ("SYSTEM", *access.SIGN_IN):
        monkeypatch.setenv(name, "spaces")
    assert access.can_sign_in()
    for name in ("SYSTEM", *access.SIGN_IN):
        with monkeypatch.context() as patch:
            patch.delenv(name)
            assert not access.can_sign_in(), name
    monkeypatch.setattr(access.importlib.util, "find_spec", lambda name: None)
    assert not access.can_sign_in()
