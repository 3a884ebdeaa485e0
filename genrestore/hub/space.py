"""A Hugging Face Space of this app: its folder, made of what is installed here, and the way to the Hub.

A Space installs requirements.txt before its other files are there, so a wheel among them could not be named in it: the
package and its weights lie in the Space as they lie in a checkout.
"""

import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from genrestore import tasks
from genrestore.card import Card
from genrestore.errors import Cancelled, SettingError
from genrestore.hub import client
from genrestore.paths import PACKAGE, shelves
from genrestore.references import Reference, repository_of

EXTRA = "space"  # of pyproject.toml: what the app needs there besides
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
TITLE, EMOJI, COLOURS = "genrestore", "🖼️", ("blue", "indigo")
SHORT = "Repair, enlarge, restore and generate pictures"  # the Hub takes 60 letters
WEIGHT = ("card.json", "model.safetensors", "sample.webp")  # files of a weight
# What of a checkout's package is the app; whatever else lies there, an editor's or its owner's, stays.
SENT = (
    r"(\w+/)*\w+\.py",
    r"(\w+/)*models\.toml",
    r"ui/(\w+/)*[\w-]+\.(css|html|js|d\.ts)",
    r"ui/words/(\w+/)*[\w-]+\.json",
    r"ui/examples/[\w.-]+\.(jpg|png)",
)
OURS = ("genrestore/*", "weights/*")  # what a later push removes of an earlier one; * goes through folders

APP = '''"""What the Space starts: the page of genrestore."""

from genrestore.__main__ import main

if __name__ == "__main__":
    main(["app"])
'''


@dataclass(frozen=True)
class Parcel:
    """What a push would send.

    Attributes:
        repository: "owner/name" of the Space.
        files: by name there, either a file of this computer or the text itself.
        private: a new Space is for its owner alone.
        there: names of the files that the Space holds now; None where there is none yet.
    """

    repository: str
    files: dict[str, Path | str]
    private: bool = False
    there: frozenset[str] | None = field(default=None)

    @property
    def removed(self) -> list[str]:
        """What lies there of an earlier push and is no longer part of the app."""
        of_ours = tuple(pattern.rstrip("*") for pattern in OURS)
        return sorted(name for name in self.there or () if name.startswith(of_ours) and name not in self.files)

    def size(self, name: str) -> int:
        """Bytes of a file."""
        file = self.files[name]
        return file.stat().st_size if isinstance(file, Path) else len(file.encode())


def push(
    repository: str,
    *,
    private: bool = False,
    cpu: bool = False,
    models: tuple[str, ...] = (),
    confirm: Callable[[Parcel], bool] | None = None,
) -> str:
    """Send the app to a Space, which is made if there is none; returns its address.

    Args:
        repository: "owner/name".
        private: a new Space is for its owner alone.
        cpu: see `requirements`.
        models: repositories of the Hub that the Space's page links to.
        confirm: is shown all that would leave; nothing does if it says no.

    Raises:
        SettingError: the Space is public and was to be private.
        ModelError: the name is none, nobody is signed in, or the Hub refuses or does not answer.
        Cancelled: `confirm` said no.
    """
    repository = repository_of(repository)
    files = contents(cpu=cpu, models=models)
    with client.told(Reference(repository), writing=True):
        from huggingface_hub.errors import RepositoryNotFoundError

        client.check_signed_in()
        api = client.api()
        try:
            info = api.space_info(repository)
        except RepositoryNotFoundError:
            there = None
        else:
            there = frozenset(str(file.rfilename) for file in info.siblings or ())
            if private and not info.private:
                raise SettingError(
                    f"The Space {repository} is there already and public; make it private in its settings first."
                )
        parcel = Parcel(repository, files, private, there)
        if confirm is not None and not confirm(parcel):
            raise Cancelled("Nothing was sent.")
        api.create_repo(repository, repo_type="space", space_sdk="gradio", private=private or None, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="genrestore-space-") as place:
            write(files, Path(place))
            api.upload_folder(
                repo_id=repository,
                repo_type="space",
                folder_path=place,
                delete_patterns=list(OURS),
                commit_message=f"genrestore {_version()}",
            )
    return address(repository)


def address(repository: str) -> str:
    """Where people find a Space."""
    return f"{client.endpoint()}/spaces/{repository}"


def build(folder: Path, *, cpu: bool = False, models: tuple[str, ...] = ()) -> None:
    """Write all that a push would send into a folder that is empty or not there yet.

    Raises:
        SettingError: something lies there.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise SettingError(f"{folder} is not empty; name a folder that is, or a new one.")
    write(contents(cpu=cpu, models=models), folder)


def write(files: dict[str, Path | str], folder: Path) -> None:
    """Write the files of a Space into a folder."""
    for name, file in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(file, Path):
            shutil.copyfile(file, place)
        else:
            place.write_text(file, "utf-8")


def contents(*, cpu: bool = False, models: tuple[str, ...] = ()) -> dict[str, Path | str]:
    """All files of the Space by name: of the package what belongs to the app, of the weights those that ship with it."""
    files: dict[str, Path | str] = {
        "README.md": readme(models),
        "requirements.txt": "\n".join(requirements(cpu=cpu)) + "\n",
        "app.py": APP,
        "LICENSE": _licence(),
    }
    shipped, installed = shelves()[0], _installed()
    for file in sorted(PACKAGE.rglob("*")):
        name = file.relative_to(PACKAGE).as_posix()
        sent = name in installed if installed else any(re.fullmatch(form, name) for form in SENT)
        if sent and file.is_file() and not file.is_symlink() and not file.is_relative_to(shipped):
            files[f"genrestore/{name}"] = file
    for card in _cards():
        for name in WEIGHT:
            if card.folder is not None and (card.folder / name).is_file():
                files[f"weights/{card.folder.name}/{name}"] = card.folder / name
    return files


def readme(models: tuple[str, ...] = ()) -> str:
    """The Space's README: what the Hub must know of it, and what people want to."""
    import yaml

    models = tuple(map(repository_of, models))
    project = _project()
    facts: dict[str, Any] = {
        "title": TITLE,
        "emoji": EMOJI,
        "colorFrom": COLOURS[0],
        "colorTo": COLOURS[1],
        "sdk": "gradio",
        "sdk_version": metadata.version("gradio"),  # what it was tried with here
        "python_version": f"{sys.version_info.major}.{sys.version_info.minor}",
        "app_file": "app.py",
        "pinned": False,
        "license": str(project["license"]).lower(),  # as the Hub spells it
        "short_description": SHORT,
        "tags": [TITLE, *tasks.names()],
        "hf_oauth": True,  # so that the owner can sign in, who alone may train
    }
    if models:
        facts["models"] = list(models)
    head = yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)
    rows = [f"| `{card.name}` | {card.task} | {card.title} | {card.license} |" for card in _cards()]
    table = "\n".join(["| net | task | what it does | licence |", "|---|---|---|---|", *rows])
    return (
        f"---\n{head}---\n\n# {TITLE}\n\n{SHORT}. What visitors send is deleted after some hours.\n\n"
        f"Training is for the Space's owner, once signed in. Version {_version()}.\n\n{table}\n"
    )


def requirements(*, cpu: bool = False) -> list[str]:
    """The lines of requirements.txt: what the package declares that it needs, with what it needs on a Space besides.

    Args:
        cpu: take PyTorch's build for processors, a tenth as large, which no GPU helps.
    """
    from packaging.requirements import Requirement

    lines = [f"--extra-index-url {CPU_WHEELS}"] if cpu else []
    merged: dict[str, str] = {}
    for line in _project()["requires"]:
        merged[Requirement(line).name] = line  # gradio comes once more, with what signing in takes
    return lines + list(merged.values())


@lru_cache(maxsize=1)
def _project() -> dict[str, Any]:
    """`license` and `requires` of the package, from pyproject.toml in a checkout, else as it was installed.

    Raises:
        SettingError: it is neither, as in a Space.
    """
    from packaging.requirements import Requirement

    path = PACKAGE.parent / "pyproject.toml"
    if path.is_file():
        project = tomllib.loads(path.read_text("utf-8"))["project"]
        return {
            "license": project["license"],
            "requires": [*project["dependencies"], *project["optional-dependencies"][EXTRA]],
        }
    try:
        found = metadata.metadata("genrestore")
    except metadata.PackageNotFoundError:
        raise SettingError(
            "A Space is made from a checkout or an installed genrestore, and this copy is neither."
        ) from None
    requires: list[str] = []
    for line in metadata.requires("genrestore") or []:
        need = Requirement(line)
        if str(need.marker) == f'extra == "{EXTRA}"':
            need.marker = None
        if "extra ==" not in str(need.marker):
            requires.append(str(need))
    return {"license": found["License-Expression"], "requires": requires}


def _installed() -> set[str]:
    """The files of the package by their paths in it, as whoever installed it wrote them down; none of a checkout."""
    try:
        listed = metadata.files("genrestore") or []
    except metadata.PackageNotFoundError:
        return set()
    places = {Path(str(file.locate())) for file in listed if file.suffix != ".pyc"}
    if PACKAGE / "__init__.py" not in places:  # it lies elsewhere, or was installed to be edited
        return set()
    return {place.relative_to(PACKAGE).as_posix() for place in places if place.is_relative_to(PACKAGE)}


def _licence() -> Path | str:
    """The licence's text: of the checkout, or as it was installed."""
    path = PACKAGE.parent / "LICENSE"
    return path if path.is_file() else metadata.distribution("genrestore").read_text("licenses/LICENSE") or ""


def _version() -> str:
    import genrestore

    return genrestore.__version__


def _cards() -> list[Card]:
    """Of the weights that ship with the package; what its user trained or fetched stays here."""
    return [Card.read(folder) for folder in sorted(shelves()[0].iterdir()) if (folder / WEIGHT[0]).is_file()]
