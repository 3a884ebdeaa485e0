"""Pictures on their way through a command: out of files or standard input, into files or standard output."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from genrestore import console
from genrestore.cli.bar import bar
from genrestore.cli.options import STREAM
from genrestore.errors import SettingError
from genrestore.paths import expanded

if TYPE_CHECKING:
    from genrestore.cli.folders import Item
    from genrestore.pictures.image import Picture


class One:
    """One picture on its way through a command: out of a file or standard input, into a file or standard output."""

    def __init__(
        self,
        source: Path,
        frame: int | None,
        out: Path | None,
        format: str | None,
        force: bool,
        recipe: bool = True,
        strip: bool = False,
    ) -> None:
        self.source, self.format, self.force = source, format, force
        self.told: dict[str, bool] = {"recipe": recipe, "strip": strip}  # of `image.save`
        self.out = STREAM if out is None and source == STREAM else out
        if self.out == STREAM and sys.stdout.isatty():
            raise SettingError("A terminal shows no pictures; pipe the result on, or name a file with -o.")
        self.picture = opened(source, frame)
        self.path: Path | None = None
        self.kind = ""

    def plan(self, word: str, like: "Picture", *inputs: Path, size: tuple[int, int] | None = None) -> Path | None:
        """Whether the result may be written, asked before the work: None to standard output, else where.

        Args:
            word: what the file's name says of it, where nobody has named it.
            like: what has its format, depth, channels and, without `size`, its size.
        """
        from genrestore.pictures import image

        size = size or (like.width, like.height)
        if self.out == STREAM:
            self.kind = kind_of(like, size, self.format)
        else:
            path = self.out or image.beside(self.source, word, image.suffix_of(kind_of(like, size, self.format)))
            self.path = planned(path, like, size, self.force, self.format, *inputs)
        return self.path

    def done(self, work: Callable[..., Any], **settings: Any) -> Any:
        """What a public function makes of it."""
        with bar() as progress:
            return work(self.picture, **settings, progress=progress)

    def write(self, result: "Picture") -> Path | bytes:
        """The file that was written, whose name is told, or the bytes that were."""
        from genrestore.pictures import image

        if self.path is not None:
            print(image.save(result, self.path, format=self.format, **self.told))
            return self.path
        data = image.encode(result, format=self.kind, **self.told)
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return data

    def say(self, text: str) -> None:
        """Beside the picture, not into it."""
        print(text, file=sys.stderr if self.path is None else sys.stdout)


def named(*files: Path | None) -> list[Path]:
    """Those of the files that are given.

    Raises:
        SettingError: two of them are standard input.
    """
    there = [file for file in files if file is not None]
    if there.count(STREAM) > 1:
        raise SettingError("Only one of picture and masks can come from standard input; name files for the others.")
    return there


def given(file: Path) -> Path | bytes:
    """A file as `image` takes it: of standard input, the bytes."""
    from genrestore.pictures import image

    return sys.stdin.buffer.read(image.limits().bytes + 1) if file == STREAM else file


def folder_of(source: Path, *others: Path | None, format: str | None = None) -> Path | None:
    """The source, if it is a folder.

    Raises:
        SettingError: it is one, and something else is only for one picture.
    """
    path = expanded(source)
    if source == STREAM or not os.path.isdir(path):  # which no name makes raise
        return None
    if STREAM in others:
        raise SettingError("Standard input and output are for one picture; name files or folders beside a folder.")
    if format is not None:
        raise SettingError("Results of a folder keep the format of their pictures; leave --format out.")
    return path


def apart(out: Path | None) -> Path:
    if out is None:
        raise SettingError("A folder of pictures needs a folder for the results; name one with -o.")
    return expanded(out)


def each_alone(
    task: str,
    folder: Path,
    settings: dict[str, Any],
    frame: int | None,
    out: Path | None,
    force: bool,
    told: dict[str, bool],
) -> None:
    """A task that needs nothing but the picture, for each below a folder."""
    from genrestore.cli import folders
    from genrestore.pictures import image
    from genrestore.pipelines import find

    def work(item: "Item") -> "Picture":
        return find(task)(image.load(item.source, frame=frame), **settings)

    there = apart(out)
    found = folders.items(folder, there)
    each(task, found, there, work, {**settings, "frame": frame}, settings["model"], force, told)


def each(
    task: str,
    found: "list[Item]",
    out: Path,
    work: "Callable[[Item], Picture]",
    options: dict[str, Any],
    model: str,
    force: bool,
    told: dict[str, bool],
) -> None:
    """The work for each file, saved as `told` says; ends with code 1 if one failed."""
    from genrestore import weights
    from genrestore.cli import folders

    options = {**options, **told, "task": task, "weight": weights.resolve(model, task).sha256}
    with bar() as progress:

        def show(done: int, item: "Item") -> None:
            progress(done / len(found), f"{done + 1} of {len(found)}: {item.name.name[-40:]}")

        outcome = folders.run(found, out, work, options, told, force=force, show=show)
    for failure in outcome.failures:
        print(f"{failure.name}: {failure.reason}", file=sys.stderr)
    print(f"{out}: {outcome.written} written, {outcome.skipped} done before, {len(outcome.failures)} failed")
    if outcome.failures:
        raise typer.Exit(console.FAILED)


def opened(source: Path, frame: int | None) -> "Picture":
    """The picture in a file; what of it no result can keep is said before the work."""
    from genrestore.pictures import image

    there = given(source)
    if frame is None and (count := image.header(there).frames) > image.limits().frames:
        name = "The picture" if source == STREAM else source
        raise SettingError(f"{name} holds {count} frames or pages; choose one of them with --frame, 1 to {count}.")
    picture = image.load(there, frame=frame)
    for note in picture.notes:
        print(note, file=sys.stderr)
    return picture


def planned(
    path: Path, picture: "Picture", size: tuple[int, int], force: bool, format: str | None = None, *inputs: Path
) -> Path:
    """The path, if a result of that size may be written there in the format it names; asked before the work begins."""
    from genrestore.pictures import image

    path = expanded(path)
    image.output(picture, path, format=format, size=size)
    if path.resolve() in [expanded(file).resolve() for file in inputs]:
        raise SettingError(f"{path} is an input and would be overwritten; choose another name with -o.")
    if path.exists() and not path.is_file():
        raise SettingError(f"{path} is no ordinary file; choose another name with -o.")
    if path.exists() and not force:
        raise SettingError(f"{path} exists; replace it with --force, or choose another name with -o.")
    return path


def kind_of(picture: "Picture", size: tuple[int, int], format: str | None) -> str:
    """The format of a result for which no file was named; one that was not asked for and can't hold it gives way to PNG."""
    from genrestore.pictures import image

    kind = image.output(picture, format=format, size=size)
    if format is None and kind != picture.format:
        print(f"{picture.format} cannot hold the result, so it is written as {kind}.", file=sys.stderr)
    return kind
