"""A result made again."""

import sys
from pathlib import Path
from typing import Annotated

import typer

import genrestore
from genrestore.cli.bar import bar
from genrestore.cli.files import planned
from genrestore.cli.options import Force, app
from genrestore.paths import expanded


@app.command()
def replay(
    result: Annotated[Path, typer.Argument(help="A result that was saved with its recipe.")],
    input: Annotated[
        Path | None, typer.Option("--input", "-i", help="The picture that it was made of.", show_default=False)
    ] = None,
    mask: Annotated[
        list[Path] | None,
        typer.Option(help="A mask that was too large for the recipe; repeatable.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write.", show_default="beside the result")
    ] = None,
    force: Force = False,
) -> None:
    """Make a result again, as its recipe says, and tell whether it is the same. Models are not fetched for it.

    Example: genrestore replay repaired.png --input photo.jpg
    """
    from genrestore.pictures import image

    known = image.header(result)
    kind = image.FALLBACK.get(known.format, known.format)
    path = out or image.beside(result, "replayed", expanded(result).suffix or image.suffix_of(kind))
    inputs = [file for file in (result, input, *(mask or ())) if file is not None]
    path = planned(path, image.load(result), (known.width, known.height), force, None, *inputs)
    with bar() as progress:
        again = genrestore.replay(result, input, masks=mask or (), progress=progress)
    print(image.save(again.picture, path))
    for note in again.notes:
        print(note, file=sys.stderr)
    if again.differing is None:
        print("It cannot be compared with the result: size or depth differ.")
    elif again.differing:
        print(f"{again.differing:,} samples differ from the result, by at most {again.most}.")
    else:
        print("All samples are those of the result.")
