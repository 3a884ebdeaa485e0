"""The commands of tasks that make of a picture another one, each made of what its task declares."""

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from genrestore import tasks
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
    enter,
)
from genrestore.pipelines import find
from genrestore.setting import KINDS, options
from genrestore.tasks.task import ImageToImage, Task


def _enter(task: Task) -> None:
    """Enter the command of a task."""
    own = options(task.options)

    def command(
        source: Path, model: str, set_: list[str] | None, frame: int | None, out: Path | None, format: str | None,
        force: bool, recipe: bool, strip: bool, **given: Any,
    ) -> None:  # fmt: skip
        settings = {"model": model, **given, **conditions_of(set_)}
        if folder := folder_of(source, out, format=format):
            each_alone(task.name, folder, settings, frame, out, force, {"recipe": recipe, "strip": strip})
            return
        job = One(source, frame, out, format, force, recipe, strip)
        job.plan(task.done, job.picture, source)
        job.write(job.done(find(task.name), **settings))

    picture = Annotated[Path, typer.Argument(help="Picture, a folder of them, or - for standard input.")]
    first: dict[str, tuple[Any, Any]] = {"source": (picture, inspect.Parameter.empty), "model": (Model, "auto")}
    ours = {one.name: (Annotated[KINDS[one.kind], typer.Option(help=one.setting.help)], one.usual) for one in own}
    last: dict[str, tuple[Any, Any]] = {
        "set_": (Conditions, None), "frame": (Frame, None), "out": (Out, None), "format": (Format, None),
        "recipe": (Recipe, True), "strip": (Strip, False), "force": (Force, False),
    }  # fmt: skip
    command.__doc__ = f"{task.help}\n\nExample: genrestore {task.name} photo.jpg -o {task.done}.png"
    enter(task.name, command, {**first, **ours, **last})


def enter_all() -> None:
    """Enter a command for each task of pictures that has no file of its own here."""
    there = {command.name for command in app.registered_commands} | {
        command.callback.__name__.replace("_", "-") for command in app.registered_commands if command.callback
    }
    for task in map(tasks.find, tasks.names()):
        if isinstance(task, ImageToImage) and task.function.replace("_", "-") not in there:
            _enter(task)
