"""Old photographs: what is damage, and all of its mending."""

from pathlib import Path
from typing import Annotated

import typer

import genrestore
from genrestore.cli.files import One, given, named, planned
from genrestore.cli.options import (
    Force,
    Format,
    Frame,
    Grow,
    Model,
    OtherFill,
    Out,
    Recipe,
    Scan,
    Sensitivity,
    Strip,
    app,
)
from genrestore.errors import SettingError
from genrestore.tasks.damage import GROW, MILD


@app.command()
def find_damage(
    source: Scan,
    model: Model = "auto",
    sensitivity: Sensitivity = 0.5,
    frame: Frame = None,
    out: Out = None,
    format: Format = None,
    force: Force = False,
) -> None:
    """Propose a mask of dust, scratches, creases, stains and writing, white where `genrestore inpaint` should fill.

    Example: genrestore find-damage photo.jpg -o mask.png
    """
    import numpy as np

    from genrestore.pictures import image

    job = One(source, frame, out, format, force)
    job.plan("damage", image.Picture(np.zeros((job.picture.height, job.picture.width, 1), np.uint8)), source)
    mask = job.done(genrestore.find_damage, model=model, sensitivity=sensitivity)
    job.write(image.Picture(np.where(mask, np.uint8(255), np.uint8(0))[..., None]))
    found = f"{100 * mask.mean():.2g} % of the picture is marked."
    job.say(found if mask.any() else "Nothing was found; a higher --sensitivity marks more.")


@app.command()
def old_photo(
    source: Scan,
    mask: Annotated[
        Path | None, typer.Option(help="What to fill, instead of what is found.", show_default=False)
    ] = None,
    sensitivity: Sensitivity = 0.5,
    grow: Grow = GROW,
    strength: Annotated[float, typer.Option(help="How much of noise and JPEG blocks is taken out, 0 to 1.")] = MILD,
    seed: OtherFill = 0,
    steps: Annotated[
        bool, typer.Option("--steps", help="Also write the mask and the picture after each step.")
    ] = False,
    frame: Frame = None,
    out: Out = None,
    format: Format = None,
    recipe: Recipe = True,
    strip: Strip = False,
    force: Force = False,
) -> None:
    """Mend an old photograph: its damage is found and filled, then some of its noise is taken out.

    Example: genrestore old-photo photo.jpg -o mended.png --steps
    """
    import numpy as np

    from genrestore.pictures import image

    inputs = named(source, mask)
    job = One(source, frame, out, format, force, recipe, strip)
    size = job.picture.width, job.picture.height
    path = job.plan("mended", job.picture, *inputs)
    if steps and path is None:
        raise SettingError("The steps are written beside the result; name a file with -o.")
    own = None if mask is None else image.load_mask(given(mask), size)
    beside: dict[str, Path] = {}
    if steps and path is not None:
        beside = {name: path.with_stem(f"{path.stem}.{name}").with_suffix(".png") for name in ("mask", "filled")}
        for file in beside.values():
            planned(file, job.picture, size, force, None, *inputs)
    result = job.done(genrestore.old_photo, mask=own, sensitivity=sensitivity, grow=grow, strength=strength, seed=seed)
    if beside:
        between = {step.name: step.picture for step in result.steps[1:-1]}
        between["mask"] = image.Picture(np.where(result.mask, np.uint8(255), np.uint8(0))[..., None])
        for name, made in between.items():
            print(image.save(made, beside[name], recipe=recipe, strip=strip))
    job.write(result.picture)
    job.say(", ".join(step.name for step in result.steps[1:]) or "Nothing was found to mend.")
