"""Enlarging."""

from pathlib import Path
from typing import Annotated

import typer

import genrestore
from genrestore.cli.files import One, each_alone, folder_of
from genrestore.cli.options import (
    Conditions,
    Force,
    Format,
    Frame,
    Model,
    Out,
    Recipe,
    Strip,
    app,
    conditions_of,
    declared,
)


@app.command()
def upscale(
    source: Annotated[Path, typer.Argument(help="Picture to enlarge, a folder of them, or - for standard input.")],
    scale: Annotated[float, declared("upscale", "scale")] = 4,
    model: Model = "auto",
    width: Annotated[int | None, declared("upscale", "width", show_default=False)] = None,
    height: Annotated[int | None, declared("upscale", "height", show_default=False)] = None,
    strength: Annotated[float, declared("upscale", "strength")] = 0.0,
    frame: Frame = None,
    out: Out = None,
    format: Format = None,
    set_: Conditions = None,
    recipe: Recipe = True,
    strip: Strip = False,
    force: Force = False,
) -> None:
    """Enlarge a picture.

    Example: genrestore upscale cat.png -o cat-x4.png
    """
    from genrestore.pipelines.upscale import quote

    settings = {
        "scale": scale,
        "model": model,
        "width": width,
        "height": height,
        "strength": strength,
        **conditions_of(set_),
    }
    if folder := folder_of(source, out, format=format):
        each_alone("upscale", folder, settings, frame, out, force, {"recipe": recipe, "strip": strip})
        return
    job = One(source, frame, out, format, force, recipe, strip)
    picture = job.picture
    planned = quote(picture.width, picture.height, scale, model, to_width=width, to_height=height)
    job.plan("enlarged", picture, source, size=(planned.width, planned.height))
    result = job.done(genrestore.upscale, **settings)
    job.write(result)
    job.say(f"{picture.width}×{picture.height} → {result.width}×{result.height}")
