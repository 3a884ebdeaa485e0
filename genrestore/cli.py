"""The command `genrestore`: one command a task. A command parses, calls the task, writes; torch is imported inside."""

import dataclasses
import json
import os
import re
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

import genrestore
from genrestore import console
from genrestore.card import TASKS, expanded
from genrestore.console import BAD_INPUT, FAILED
from genrestore.errors import SettingError
from genrestore.recipe import TrainRecipe
from genrestore.setting import settings as declared

if TYPE_CHECKING:
    from genrestore.batch import Item
    from genrestore.card import Card
    from genrestore.image import Picture

app = typer.Typer(
    help="Generate, repair and enlarge pictures with small nets, on this computer.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

LONG = 15  # seconds of a repair from which they are told
PROSPECTS = {  # of tasks.prospects.REASONS
    "large": "Much of the picture is to be filled, and all of that will be made up.",
    "frame": "A wide hole reaches the edge of the picture, where the fill has less to go by.",
    "alone": "A wide hole has too little round it to copy from and will be filled smoothly.",
    "tight": "An edge runs along what is to be filled, as if it left out the rim of what should go; if so, use --grow.",
}

Model = Annotated[
    str, typer.Option(help="Name from `genrestore models`, or file:PATH; auto takes the best one shipped.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="File to write, whose suffix chooses the format; a folder for a folder; - for standard output.",
        show_default=False,
    ),
]
Frame = Annotated[
    int | None, typer.Option(help="Of an animation or a document of pages, the one to take.", show_default=False)
]
Force = Annotated[bool, typer.Option("--force", help="Replace the output if it exists.")]
Format = Annotated[
    str | None,
    typer.Option(help="Format to write, such as png, in place of the suffix's or the input's.", show_default=False),
]
OtherFill = Annotated[int, typer.Option(help="Another seed gives another fill of wide holes.")]
Grow = Annotated[int, typer.Option(help="Pixels by which the mask is widened on every side before it is filled.")]
Scan = Annotated[Path, typer.Argument(help="Scanned photograph, or - for standard input.")]
Sensitivity = Annotated[float, typer.Option(help="0 to 1; the higher, the more is found, and wrongly found.")]
STREAM = Path("-")  # standard input or output in place of a file
TWICE = "Only one of picture and masks can come from standard input; name files for the others."


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    if version:
        print(f"genrestore {genrestore.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def sample(
    model: Model = "auto",
    n: Annotated[int, typer.Option("-n", "--n", help="How many pictures; the next ones take the next seeds.")] = 1,
    seed: Annotated[int, typer.Option(help="Where the randomness starts; the same seed gives the same picture.")] = 0,
    latent: Annotated[
        Path | None, typer.Option(help=".npy with one latent vector a row, instead of a seed.", show_default=False)
    ] = None,
    truncation: Annotated[float, typer.Option(help="Below 1: more typical, above 1: more varied.")] = 1.0,
    out: Out = None,
    force: Force = False,
) -> None:
    """Make pictures from nothing but a seed.

    Example: genrestore sample --model vae-clothing -n 4 --seed 7 -o shirt.png
    """
    import numpy as np

    from genrestore import image, weights
    from genrestore.tasks import whole
    from genrestore.tasks.sample import MOST, seeds

    if out == STREAM:
        raise SettingError("Samples are written to files only; name one with -o.")
    rows = None if latent is None else _read_latent(latent)
    numbers = seeds(n, seed) if rows is None else range(whole("rows of latent", len(rows), 1, MOST))
    single = out or Path(f"{_file_name(weights.resolve(model, 'sample').name)}.png")
    named = [single] if out and len(numbers) == 1 else [single.with_stem(f"{single.stem}-{k}") for k in numbers]
    like = image.Picture(np.zeros((1, 1, 3), np.uint8))
    paths = [_planned(path, like, (1, 1), force) for path in named]
    pictures = genrestore.sample(model, n, seed, latent=rows, truncation=truncation)
    for picture, path in zip(pictures, paths, strict=True):
        print(image.save(image.load(picture), path))


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
    strategy: Annotated[
        str, typer.Option(help="crop: work round each hole; whole: all of it, at most 768 pixels at once.")
    ] = "crop",
    seed: OtherFill = 0,
    grow: Grow = 0,
    feather: Annotated[
        int | None,
        typer.Option(
            help="Pixels inside the mask's edge over which the fill fades into the picture; 0 ends it hard.",
            show_default="by itself where the mask is widened, else hard",
        ),
    ] = None,
    forbid: Annotated[
        Path | None, typer.Option(help="Mask of what must not be copied into wide holes.", show_default=False)
    ] = None,
    frame: Frame = None,
    out: Out = None,
    format: Format = None,
    force: Force = False,
) -> None:
    """Repair the white part of a mask, or what was erased; all else stays as it is.

    Thin parts are filled by a net, wide ones with pieces of the picture. --model exemplar takes pieces only, the name of a
    net that net only.

    Example: genrestore inpaint photo.jpg mask.png -o repaired.png
    """
    from genrestore import image
    from genrestore.tasks import whole
    from genrestore.tasks.growth import LARGEST_FEATHER, LARGEST_GROWTH
    from genrestore.tasks.inpaint import FORBID, changed_outside, marked, see_through
    from genrestore.tasks.prospects import outlook
    from genrestore.tasks.rim import widened

    marks = mask or masks
    if (mask, masks, transparent or None).count(None) != 2:
        raise SettingError("Name one mask, white where the picture is to be filled, or say --transparent.")
    whole("grow", grow, 0, LARGEST_GROWTH)
    if feather is not None:
        whole("feather", feather, 0, LARGEST_FEATHER)
    settings: dict[str, Any] = {"model": model, "strategy": strategy, "seed": seed, "grow": grow, "feather": feather}
    inputs = [file for file in (source, marks, forbid) if file is not None]
    if folder := _folder(source, *inputs, out, format=format):
        _inpaint_folder(folder, marks, settings, forbid, frame, out, force)
        return
    if inputs.count(STREAM) > 1:
        raise SettingError(TWICE)
    job = _One(source, frame, out, format, force)
    picture = job.picture
    size = picture.width, picture.height
    drawn = see_through(picture) if marks is None else image.load_mask(_given(marks), size)
    hole = widened(drawn, grow)
    forbidden = None if forbid is None else image.load_mask(_given(forbid), size, FORBID)
    like = picture.with_pixels(picture.colour) if transparent else picture  # the result will be opaque
    job.plan("repaired", like, *inputs)
    share, ask = marked(hole)
    told = f"{100 * share:.2g} % of the picture"
    if ask and transparent:
        print(f"{told} is transparent, and what fills it will be made up.", file=sys.stderr)
    elif ask:
        print(f"The mask marks {told}; if it should be the other way round, invert it.", file=sys.stderr)
    ahead = outlook(picture, hole, forbidden, model=model, strategy=strategy)
    for reason in dict.fromkeys(prospect.reason for prospect in ahead.prospects):
        if not (ask and reason == "large"):  # which has just been said
            print(PROSPECTS[reason], file=sys.stderr)
    if ahead.seconds > LONG:
        print(f"This will take about {10 * round(ahead.seconds / 10)} s.", file=sys.stderr)
    result = job.done("inpaint", mask=None if transparent else drawn, **settings, forbid=forbidden)
    written = image.load(job.write(result))
    alike = written.pixels.shape == picture.pixels.shape and written.pixels.dtype == picture.pixels.dtype
    changed, outside = changed_outside(picture, written if alike else result, hole)
    beyond = "what was transparent" if transparent else "the mask"
    counts = f"{told} filled; {changed:,} of {outside:,} samples changed outside {beyond}"
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
) -> None:
    """Each picture below a folder with its mask, or what is transparent in it."""
    from genrestore import batch, image
    from genrestore.tasks.inpaint import EXEMPLAR

    there, marks = _apart(out), None if marks is None else expanded(marks)
    if marks is None:
        found = batch.items(folder, there)
    else:
        among = [marks] if folder.resolve() in marks.resolve().parents else []
        found = batch.masked(batch.items(folder, there, *among), marks)

    def work(item: "Item") -> "Picture":
        return genrestore.inpaint(image.load(item.source, frame=frame), item.mask, forbid=forbid, **settings)

    spared = None if forbid is None else batch.digest(expanded(forbid))
    weight = "auto" if settings["model"] == EXEMPLAR else settings["model"]
    _each("inpaint", found, there, work, {**settings, "forbid": spared, "frame": frame}, weight, force)


@app.command()
def upscale(
    source: Annotated[Path, typer.Argument(help="Picture to enlarge, a folder of them, or - for standard input.")],
    scale: Annotated[float, typer.Option(help="How many times wider and higher.")] = 4,
    model: Model = "auto",
    width: Annotated[
        int | None, typer.Option(help="Width to reach in pixels, instead of a scale.", show_default=False)
    ] = None,
    height: Annotated[
        int | None, typer.Option(help="Height to reach in pixels, instead of a scale.", show_default=False)
    ] = None,
    strength: Annotated[float, typer.Option(help="0 is faithful, 1 invents as much texture as the net can.")] = 0.0,
    frame: Frame = None,
    out: Out = None,
    format: Format = None,
    force: Force = False,
) -> None:
    """Enlarge a picture.

    Example: genrestore upscale cat.png -o cat-x4.png
    """
    from genrestore.tasks.upscale import quote

    settings = {"scale": scale, "model": model, "width": width, "height": height, "strength": strength}
    if folder := _folder(source, out, format=format):
        _each_alone("upscale", folder, settings, frame, out, force)
        return
    job = _One(source, frame, out, format, force)
    picture = job.picture
    planned = quote(picture.width, picture.height, scale, model, to_width=width, to_height=height)
    job.plan("enlarged", picture, source, size=(planned.width, planned.height))
    result = job.done("upscale", **settings)
    job.write(result)
    job.say(f"{picture.width}×{picture.height} → {result.width}×{result.height}")


@app.command()
def restore(
    source: Annotated[
        Path, typer.Argument(help="Picture with noise or JPEG blocks, a folder of them, or - for standard input.")
    ],
    model: Model = "auto",
    strength: Annotated[float, typer.Option(help="How much of the change is made, 0 to 1.")] = 1.0,
    frame: Frame = None,
    out: Out = None,
    format: Format = None,
    force: Force = False,
) -> None:
    """Take noise and JPEG blocks out of a picture.

    Example: genrestore restore night.jpg -o clean.png
    """
    settings = {"model": model, "strength": strength}
    if folder := _folder(source, out, format=format):
        _each_alone("restore", folder, settings, frame, out, force)
        return
    job = _One(source, frame, out, format, force)
    job.plan("restored", job.picture, source)
    job.write(job.done("restore", **settings))


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

    from genrestore import image

    job = _One(source, frame, out, format, force)
    job.plan("damage", image.Picture(np.zeros((job.picture.height, job.picture.width, 1), np.uint8)), source)
    mask = job.done("find_damage", model=model, sensitivity=sensitivity)
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
    grow: Grow = 2,
    strength: Annotated[float, typer.Option(help="How much of noise and JPEG blocks is taken out, 0 to 1.")] = 0.5,
    seed: OtherFill = 0,
    steps: Annotated[
        bool, typer.Option("--steps", help="Also write the mask and the picture after each step.")
    ] = False,
    frame: Frame = None,
    out: Out = None,
    format: Format = None,
    force: Force = False,
) -> None:
    """Mend an old photograph: its damage is found and filled, then some of its noise is taken out.

    Example: genrestore old-photo photo.jpg -o mended.png --steps
    """
    import numpy as np

    from genrestore import image

    inputs = [file for file in (source, mask) if file is not None]
    if inputs.count(STREAM) > 1:
        raise SettingError(TWICE)
    job = _One(source, frame, out, format, force)
    size = job.picture.width, job.picture.height
    path = job.plan("mended", job.picture, *inputs)
    if steps and path is None:
        raise SettingError("The steps are written beside the result; name a file with -o.")
    own = None if mask is None else image.load_mask(_given(mask), size)
    beside: dict[str, Path] = {}
    if steps and path is not None:
        beside = {name: path.with_stem(f"{path.stem}.{name}").with_suffix(".png") for name in ("mask", "filled")}
        for file in beside.values():
            _planned(file, job.picture, size, force, None, *inputs)
    result = job.done("old_photo", mask=own, sensitivity=sensitivity, grow=grow, strength=strength, seed=seed)
    if beside:
        between = {step.name: step.picture for step in result.steps[1:-1]}
        between["mask"] = image.Picture(np.where(result.mask, np.uint8(255), np.uint8(0))[..., None])
        for name, made in between.items():
            print(image.save(made, beside[name]))
    job.write(result.picture)
    job.say(", ".join(step.name for step in result.steps[1:]) or "Nothing was found to mend.")


def _field(name: str, usual: str = "the recipe's") -> Any:
    """The option of a field of the recipe."""
    return typer.Option(help=declared(TrainRecipe)[name].told, show_default=usual)


@app.command()
def train(
    preset: Annotated[
        str | None,
        typer.Argument(help="What to train, such as span-x4; a wrong name lists them all.", show_default=False),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Folder of pictures, .zip, .npy, .npz, or torchvision:NAME@ROOT.", show_default=False),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(help="Of the pictures: own, CC0-1.0, CC-BY-4.0 …, or 'other: words'.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder of the run; its name becomes the model's.", show_default="among your runs"
        ),
    ] = None,
    steps: Annotated[int | None, _field("steps")] = None,
    minutes: Annotated[float | None, _field("minutes", "no limit")] = None,
    batch: Annotated[int | None, _field("batch")] = None,
    lr: Annotated[float | None, _field("lr")] = None,
    seed: Annotated[int | None, _field("seed")] = None,
    holdout: Annotated[float | None, _field("holdout", "none")] = None,
    folds: Annotated[
        int | None, typer.Option(help="Train so many times, each with another part kept aside.", show_default="none")
    ] = None,
    precision: Annotated[str | None, _field("precision")] = None,
    leave_out: Annotated[str | None, _field("leave_out", "none")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Any other field of the recipe.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    recipe: Annotated[
        Path | None, typer.Option(help="JSON file with a recipe, instead of a preset.", show_default=False)
    ] = None,
    reproduce: Annotated[
        Path | None, typer.Option(help="Weight whose recipe is run again, instead of a preset.", show_default=False)
    ] = None,
    doctor: Annotated[bool, typer.Option("--doctor", help="Only look at the pictures and say what is wrong.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only try a few steps and say how long it will take.")
    ] = False,
    threads: Annotated[int | None, typer.Option(help="Processor threads to use.", show_default="all")] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write TensorBoard's files.")] = False,
) -> None:
    """Train a net on your own pictures. Ctrl-C ends it with a checkpoint; --resume goes on where it was.

    Example: genrestore train dcgan-cifar10 --data cats --licence own --minutes 30
    """
    from genrestore.recipe import settings_of
    from genrestore.train import diagnosis, rehearsal, run, use_threads

    options = {
        "steps": steps, "minutes": minutes, "batch": batch, "lr": lr, "seed": seed, "holdout": holdout,
        "precision": precision, "leave_out": leave_out,
    }  # fmt: skip
    settings = settings_of(setting or [], options)
    if doctor:
        print(diagnosis(preset, data=data, recipe=recipe, settings=settings))
        return
    if dry_run:
        use_threads(threads)
        print(rehearsal(preset, data=data, recipe=recipe, resume=out if resume else None, settings=settings).text)
        return
    run(
        preset, data=data, licence=licence, out=out, resume=resume, recipe=recipe, reproduce=reproduce, folds=folds,
        threads=threads, tensorboard=tensorboard, settings=settings,
    )  # fmt: skip


@app.command()
def models(
    task: Annotated[
        str | None, typer.Option(help=f"Only those for one task: {', '.join(TASKS)}.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole cards, for programs.")] = False,
) -> None:
    """List the installed nets, what they score and where they lie.

    Example: genrestore models --task upscale
    """
    if task is not None and task not in TASKS:
        raise SettingError(f"There is no task {task!r}; tasks are {', '.join(TASKS)}.")
    cards = genrestore.models(task)
    if as_json:
        print(json.dumps([dataclasses.asdict(card) for card in cards], indent=2, ensure_ascii=False, default=str))
        return
    rows = [("name", "task", "parameters", "score", "title"), *map(_row, cards)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command()
def cache(
    empty: Annotated[
        bool, typer.Option("--empty", help="Remove them all but those that a training is reading.")
    ] = False,
) -> None:
    """Tell where training keeps the pictures it has decoded and how much they take, or remove them: they can be made again.

    Example: genrestore cache --empty
    """
    from genrestore import decoded

    freed = decoded.empty() if empty else 0
    removed = f"{freed / 1e9:.2f} GB were removed; " if empty else ""
    print(
        f"{decoded.cache()}: {removed}{decoded.taken() / 1e9:.2f} GB are taken, {decoded.cache_limit() / 1e9:g} GB at most "
        "(GENRESTORE_CACHE_GB)."
    )


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and end the process.

    Exit code: 0 if all went well, 1 if a file of a folder failed, 2 on bad input, 130 after Ctrl-C.
    """
    console.run(lambda: _called(arguments))


def _called(arguments: list[str] | None) -> int:
    """The exit code of a command line that parses; one that does not is told with the way to its help."""
    try:
        return app(arguments, prog_name="genrestore", standalone_mode=False) or 0
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.TyperException as problem:  # the command line itself is wrong
        context = getattr(problem, "ctx", None)
        command = context.command_path if context else "genrestore"
        sentence = " ".join(problem.format_message().split())
        stop = "" if sentence.endswith((".", "?")) else "."
        print(f"{sentence}{stop} `{command} --help` shows what it takes.", file=sys.stderr)
        return BAD_INPUT


@contextmanager
def _progress() -> Generator[Callable[[float, str], None] | None, None, None]:
    """A bar for a task's `progress`, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(total=100, leave=False, bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed} < {remaining}") as bar:

        def show(share: float, what: str) -> None:
            bar.set_description_str(what, refresh=False)
            bar.update(100 * share - bar.n)

        yield show


class _One:
    """One picture on its way through a command: out of a file or standard input, into a file or standard output."""

    def __init__(self, source: Path, frame: int | None, out: Path | None, format: str | None, force: bool) -> None:
        self.source, self.format, self.force = source, format, force
        self.out = STREAM if out is None and source == STREAM else out
        if self.out == STREAM and sys.stdout.isatty():
            raise SettingError("A terminal shows no pictures; pipe the result on, or name a file with -o.")
        self.picture = _opened(source, frame)
        self.path: Path | None = None
        self.kind = ""

    def plan(self, word: str, like: "Picture", *inputs: Path, size: tuple[int, int] | None = None) -> Path | None:
        """Whether the result may be written, asked before the work: None to standard output, else where.

        Args:
            word: what the file's name says of it, where nobody has named it.
            like: what has its format, depth, channels and, without `size`, its size.
        """
        from genrestore import image

        size = size or (like.width, like.height)
        if self.out == STREAM:
            self.kind = _kind(like, size, self.format)
        else:
            path = self.out or image.beside(self.source, word, _suffix(_kind(like, size, self.format)))
            self.path = _planned(path, like, size, self.force, self.format, *inputs)
        return self.path

    def done(self, task: str, **settings: Any) -> Any:
        """What a task makes of it."""
        with _progress() as progress:
            return getattr(genrestore, task)(self.picture, **settings, progress=progress)

    def write(self, result: "Picture") -> Path | bytes:
        """The file that was written, whose name is told, or the bytes that were."""
        from genrestore import image

        if self.path is not None:
            print(image.save(result, self.path, format=self.format))
            return self.path
        data = image.encode(result, format=self.kind)
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return data

    def say(self, text: str) -> None:
        """Beside the picture, not into it."""
        print(text, file=sys.stderr if self.path is None else sys.stdout)


def _given(file: Path) -> Path | bytes:
    """A file as `image` takes it: of standard input, the bytes."""
    from genrestore import image

    return sys.stdin.buffer.read(image.limits().bytes + 1) if file == STREAM else file


def _folder(source: Path, *others: Path | None, format: str | None = None) -> Path | None:
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


def _apart(out: Path | None) -> Path:
    if out is None:
        raise SettingError("A folder of pictures needs a folder for the results; name one with -o.")
    return expanded(out)


def _each_alone(
    task: str, folder: Path, settings: dict[str, Any], frame: int | None, out: Path | None, force: bool
) -> None:
    """A task that needs nothing but the picture, for each below a folder."""
    from genrestore import batch, image

    def work(item: "Item") -> "Picture":
        return getattr(genrestore, task)(image.load(item.source, frame=frame), **settings)

    there = _apart(out)
    found = batch.items(folder, there)
    _each(task, found, there, work, {**settings, "frame": frame}, settings["model"], force)


def _each(
    task: str,
    found: "list[Item]",
    out: Path,
    work: "Callable[[Item], Picture]",
    options: dict[str, Any],
    model: str,
    force: bool,
) -> None:
    """The work for each file; ends with code 1 if one failed."""
    from genrestore import batch, weights

    options = {**options, "task": task, "weight": weights.resolve(model, task).sha256}
    with _progress() as progress:

        def show(done: int, item: "Item") -> None:
            if progress is not None:
                progress(done / len(found), f"{done + 1} of {len(found)}: {item.name.name[-40:]}")

        outcome = batch.run(found, out, work, options, force=force, show=show)
    for failure in outcome.failures:
        print(f"{failure.name}: {failure.reason}", file=sys.stderr)
    print(f"{out}: {outcome.written} written, {outcome.skipped} done before, {len(outcome.failures)} failed")
    if outcome.failures:
        raise typer.Exit(FAILED)


def _opened(source: Path, frame: int | None) -> "Picture":
    """The picture in a file; what of it no result can keep is said before the work."""
    from genrestore import image

    given = _given(source)
    if frame is None and (count := image.header(given).frames) > image.limits().frames:
        name = "The picture" if source == STREAM else source
        raise SettingError(f"{name} holds {count} frames or pages; choose one of them with --frame, 1 to {count}.")
    picture = image.load(given, frame=frame)
    for note in picture.notes:
        print(note, file=sys.stderr)
    return picture


def _planned(
    path: Path, picture: "Picture", size: tuple[int, int], force: bool, format: str | None = None, *inputs: Path
) -> Path:
    """The path, if a result of that size may be written there in the format it names; asked before the work begins."""
    from genrestore import image

    path = expanded(path)
    image.output(picture, path, format=format, size=size)
    if path.resolve() in [expanded(file).resolve() for file in inputs]:
        raise SettingError(f"{path} is an input and would be overwritten; choose another name with -o.")
    if path.exists() and not path.is_file():
        raise SettingError(f"{path} is no ordinary file; choose another name with -o.")
    if path.exists() and not force:
        raise SettingError(f"{path} exists; replace it with --force, or choose another name with -o.")
    return path


def _kind(picture: "Picture", size: tuple[int, int], format: str | None) -> str:
    """The format of a result for which no file was named; one that was not asked for and can't hold it gives way to PNG."""
    from genrestore import image

    kind = image.output(picture, format=format, size=size)
    if format is None and kind != picture.format:
        print(f"{picture.format} cannot hold the result, so it is written as {kind}.", file=sys.stderr)
    return kind


def _suffix(kind: str) -> str:
    from genrestore import image

    return next(suffix for suffix, other in image.SUFFIXES.items() if other == kind)


def _file_name(name: str) -> str:
    """A model's name, of which a card may say anything, as the name of a file in this folder."""
    return re.sub(r"[^\w.-]+", "-", name)[:100].strip(".-") or "sample"


def _read_latent(path: Path) -> Any:
    """(n, Z) numbers.

    Raises:
        SettingError: it is no .npy file, or holds other than rows of numbers.
    """
    import numpy as np

    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: a header may claim any number of rows
    except (OSError, ValueError, EOFError, OverflowError) as problem:  # the last of a negative shape
        raise SettingError(f"{path} is not a readable .npy file ({problem}); write one with numpy.save.") from problem
    if not isinstance(rows, np.ndarray) or rows.ndim > 2 or rows.dtype.kind not in "fiu":
        raise SettingError(f"{path} holds no rows of numbers; write one latent a row with numpy.save.")
    return np.atleast_2d(rows)


def _row(card: "Card") -> tuple[str, ...]:
    best = card.metrics[0] if card.metrics else None
    score = f"{best.set} {best.name} {best.value:g}" if best else "not measured"
    return card.name, card.task, f"{card.parameters:,}", score, card.title
