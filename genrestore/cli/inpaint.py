"""Repair."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import genrestore
from genrestore.cli.files import One, apart, each, folder_of, given, named
from genrestore.cli.options import (
    Conditions,
    Force,
    Format,
    Frame,
    Grow,
    Model,
    OtherFill,
    Out,
    Recipe,
    Strip,
    app,
    conditions_of,
    declared,
)
from genrestore.errors import SettingError
from genrestore.paths import expanded

if TYPE_CHECKING:
    from genrestore.cli.folders import Item
    from genrestore.pictures.image import Picture


LONG = 15  # seconds of a repair from which they are told
PROSPECTS = {  # of pipelines.prospects.REASONS
    "large": "Much of the picture is to be filled, and all of that will be made up.",
    "frame": "A wide hole reaches the edge of the picture, where the fill has less to go by.",
    "alone": "A wide hole has too little round it to copy from and will be filled smoothly.",
    "tight": "An edge runs along what is to be filled, as if it left out the rim of what should go; if so, use --grow.",
}


@app.command()
def inpaint(
    source: Annotated[Path, typer.Argument(help="Picture to repair, a folder of them, or - for standard input.")],
    mask: Annotated[
        Path | None,
        typer.Argument(
            help="Picture of the same size or proportions: white where it is to be filled.", show_default=False
        ),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            help="For a folder: one with a mask of the same name for each, or one mask for all.", show_default=False
        ),
    ] = None,
    transparent: Annotated[
        bool, typer.Option("--transparent", help="Fill what is transparent in the picture, without a mask.")
    ] = False,
    model: Model = "auto",
    strategy: Annotated[str, declared("inpaint", "strategy")] = "crop",
    seed: OtherFill = 0,
    grow: Grow = 0,
    feather: Annotated[
        int | None,
        declared("inpaint", "feather", show_default="by itself where the mask is widened, else hard"),
    ] = None,
    forbid: Annotated[
        Path | None, typer.Option(help="Mask of what must not be copied into wide holes.", show_default=False)
    ] = None,
    set_: Conditions = None,
    frame: Frame = None,
    out: Out = None,
    format: Format = None,
    recipe: Recipe = True,
    strip: Strip = False,
    force: Force = False,
) -> None:
    """Repair the white part of a mask, or what was erased; all else stays as it is.

    Thin parts are filled by a net, wide ones with pieces of the picture. --model exemplar takes pieces only, the name of a
    net that net only.

    Example: genrestore inpaint photo.jpg mask.png -o repaired.png
    """
    from genrestore.pictures import image
    from genrestore.pipelines.arguments import whole
    from genrestore.pipelines.inpaint import FORBID, changed_outside, marked, see_through
    from genrestore.pipelines.prospects import outlook
    from genrestore.pipelines.rim import widened
    from genrestore.tasks.inpaint import LARGEST_FEATHER, LARGEST_GROWTH

    marks = mask or masks
    if (mask, masks, transparent or None).count(None) != 2:
        raise SettingError("Name one mask, white where the picture is to be filled, or say --transparent.")
    whole("grow", grow, 0, LARGEST_GROWTH)
    if feather is not None:
        whole("feather", feather, 0, LARGEST_FEATHER)
    settings: dict[str, Any] = {"model": model, "strategy": strategy, "seed": seed, "grow": grow, "feather": feather}
    settings |= conditions_of(set_)
    inputs = named(source, marks, forbid)
    if folder := folder_of(source, *inputs, out, format=format):
        told = {"recipe": recipe, "strip": strip}
        _inpaint_folder(folder, marks, settings, forbid, frame, out, force, told)
        return
    job = One(source, frame, out, format, force, recipe, strip)
    picture = job.picture
    size = picture.width, picture.height
    drawn = see_through(picture) if marks is None else image.load_mask(given(marks), size)
    hole = widened(drawn, grow)
    forbidden = None if forbid is None else image.load_mask(given(forbid), size, FORBID)
    like = picture.with_pixels(picture.colour) if transparent else picture  # the result will be opaque
    job.plan("repaired", like, *inputs)
    share, ask = marked(hole)
    amount = f"{100 * share:.2g} % of the picture"
    if ask and transparent:
        print(f"{amount} is transparent, and what fills it will be made up.", file=sys.stderr)
    elif ask:
        print(f"The mask marks {amount}; if it should be the other way round, invert it.", file=sys.stderr)
    ahead = outlook(picture, hole, forbidden, model=model, strategy=strategy)
    for reason in dict.fromkeys(prospect.reason for prospect in ahead.prospects):
        if not (ask and reason == "large"):  # which has just been said
            print(PROSPECTS[reason], file=sys.stderr)
    if ahead.seconds > LONG:
        print(f"This will take about {10 * round(ahead.seconds / 10)} s.", file=sys.stderr)
    result = job.done(genrestore.inpaint, mask=None if transparent else drawn, **settings, forbid=forbidden)
    written = image.load(job.write(result))
    alike = written.pixels.shape == picture.pixels.shape and written.pixels.dtype == picture.pixels.dtype
    changed, outside = changed_outside(picture, written if alike else result, hole)
    beyond = "what was transparent" if transparent else "the mask"
    counts = f"{amount} filled; {changed:,} of {outside:,} samples changed outside {beyond}"
    if not alike:
        counts += f" by the repair: {written.format} holds them in another depth or without transparency."
    elif changed:
        counts += f": {written.format} encodes the whole picture anew; PNG keeps every sample."
    job.say(counts)


def _inpaint_folder(
    folder: Path,
    marks: Path | None,
    settings: dict[str, Any],
    forbid: Path | None,
    frame: int | None,
    out: Path | None,
    force: bool,
    told: dict[str, bool],
) -> None:
    """Each picture below a folder with its mask, or what is transparent in it."""
    from genrestore.cli import folders
    from genrestore.pictures import image
    from genrestore.tasks.inpaint import EXEMPLAR

    there, marks = apart(out), None if marks is None else expanded(marks)
    if marks is None:
        found = folders.items(folder, there)
    else:
        among = [marks] if folder.resolve() in marks.resolve().parents else []
        found = folders.masked(folders.items(folder, there, *among), marks)

    def work(item: "Item") -> "Picture":
        return genrestore.inpaint(image.load(item.source, frame=frame), item.mask, forbid=forbid, **settings)

    spared = None if forbid is None else folders.digest(expanded(forbid))
    weight = "auto" if settings["model"] == EXEMPLAR else settings["model"]
    each("inpaint", found, there, work, {**settings, "forbid": spared, "frame": frame}, weight, force, told)
