"""How a model of the Hub is named: hf:owner/repo[@revision][/file].

    hf:ann/photo-x4                             the newest of its main branch
    hf:ann/photo-x4@v1.0                        a tag, a branch or a commit
    hf:ann/photo-x4@refs/pr/3                   a pull request, as the Hub's own addresses write it
    hf:ann/photo-x4@trial%2Ftwo                 any other revision with a slash in it
    hf:ann/zoo@v2/faces/model.safetensors       one of several models of a repository; its card lies beside it
    hf:bob/upscalers/4x-sharp.pth               a checkpoint of others

The revision ends at the next slash, but for those of refs/pr and refs/convert. Every part becomes part of a path and of an
address, so that each may hold only what means nothing in either.
"""

import dataclasses
import functools
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from genrestore.errors import ModelError

SCHEME = "hf:"
WEIGHT = "model.safetensors"  # the file where none is named
MAIN = "main"  # the branch where no revision is named
COMMIT = re.compile("[0-9a-f]{40}")
OWNER = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?")  # and the name of a repository
PART = re.compile(
    r"[A-Za-z0-9_]([A-Za-z0-9_.+=,() -]{0,118}[A-Za-z0-9_+=)])?"
)  # of a revision or a file, between slashes
WITH_SLASHES = re.compile(r"(refs/pr/[0-9]+|refs/convert/[A-Za-z0-9_.-]+)(?:/(.*)|)")
LONGEST = 240  # letters of the folder's name, of which file systems take 255
EXAMPLE = "hf:owner/repo, hf:owner/repo@v1.0 or hf:owner/repo@v1.0/folder/model.safetensors"


@dataclass(frozen=True)
class Reference:
    """A file of a repository on the Hub, at a revision.

    Attributes:
        repository: "owner/name".
        revision: a branch, tag or commit; "" is the main branch.
        file: the weight, by its path in the repository.
    """

    repository: str
    revision: str = ""
    file: str = WEIGHT

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """What a text such as "hf:owner/repo@v1.0" names.

        Raises:
            ModelError: it is no reference, or a part of it could lead elsewhere.
        """
        told = text if len(text) <= 100 else f"{text[:100]}…"
        wrong = ModelError(f"{told!r} names no model of the Hub; write {EXAMPLE}.")
        head, at, tail = text.removeprefix(SCHEME).partition("@")
        if at:
            repository = head
            if special := WITH_SLASHES.fullmatch(tail):
                revision, file = special[1], special[2]
            else:
                revision, _, file = tail.partition("/")
                revision = unquote(revision)
            if not revision:
                raise wrong
        else:
            owner, _, rest = head.partition("/")
            name, _, file = rest.partition("/")
            repository, revision = f"{owner}/{name}", ""
        names = repository.split("/")
        if not text.startswith(SCHEME) or len(names) != 2 or not all(map(_named, names)):
            raise wrong
        found = cls(repository, "" if revision == MAIN else revision, file or WEIGHT)
        if (found.revision and not _plain(found.revision)) or found.at(found.file) is None:
            raise wrong
        return found

    def __str__(self) -> str:
        at = f"@{_written(self.revision)}" if self.revision else ""
        return f"{SCHEME}{self.repository}{at}{'' if self.file == WEIGHT else f'/{self.file}'}"

    @property
    def folder(self) -> str:
        """The name of the folder where it lies once it was pulled; each reference has its own."""
        at = f"@{quote(self.revision, safe='')}" if self.revision else ""
        return (
            self.repository.replace("/", "--") + at + ("" if self.file == WEIGHT else f"~{quote(self.file, safe='')}")
        )

    @classmethod
    @functools.lru_cache(maxsize=4096)
    def of_folder(cls, name: str) -> "Reference | None":
        """The reference whose folder bears that name; None where that is none's."""
        head, _, file = name.partition("~")
        repository, _, revision = head.partition("@")
        found = cls(repository.replace("--", "/", 1), unquote(revision), unquote(file) or WEIGHT)
        try:
            return found if found == cls.parse(str(found)) and found.folder == name else None
        except ModelError:
            return None

    def at(self, file: str) -> "Reference | None":
        """Another file of the repository at the same revision; None where its name could lead elsewhere."""
        found = dataclasses.replace(self, file=file)
        return found if _plain(file) and len(found.folder) <= LONGEST else None

    @property
    def beside(self) -> str:
        """The folder of the weight within the repository, with the slash after it; "" is the root."""
        return self.file[: self.file.rfind("/") + 1]

    @property
    def pinned(self) -> bool:
        """Whether it means the same files for ever."""
        return bool(COMMIT.fullmatch(self.revision))


def repository_of(text: str) -> str:
    """ "owner/name" of a repository or a Space to be written to or linked.

    Raises:
        ModelError: it is none, or names more than a repository.
    """
    told = text if len(text) <= 100 else f"{text[:100]}…"
    wrong = ModelError(f"{told!r} names no repository of the Hub; write owner/name, such as ann/pictures.")
    try:
        found = Reference.parse(text if text.startswith(SCHEME) else SCHEME + text)
    except ModelError:
        raise wrong from None
    if found != Reference(found.repository):
        raise wrong
    return found.repository


def _named(text: str) -> bool:
    """Whether the Hub lets an owner or a repository bear that name."""
    return bool(OWNER.fullmatch(text)) and "--" not in text and ".." not in text and not text.endswith(".git")


def _plain(text: str) -> bool:
    return all(PART.fullmatch(part) and ".." not in part for part in text.split("/"))


def _written(revision: str) -> str:
    return revision if WITH_SLASHES.fullmatch(revision) else quote(revision, safe="+=,() ")
