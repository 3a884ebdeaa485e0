"""Training."""

from pathlib import Path
from typing import Annotated, Any

import typer

from genrestore.cli.options import app
from genrestore.recipe import TrainRecipe
from genrestore.setting import settings as declared


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
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any other field of the recipe.")
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
    from genrestore.training.command import diagnosis, rehearsal, run, use_threads

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
