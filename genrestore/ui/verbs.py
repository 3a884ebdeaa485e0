"""What programs ask of the page: one endpoint a verb, files and plain values in, files out.

The verb of a task follows from what the task declares, so that a new task which makes of a picture another one has its own.
"""

import inspect
import mimetypes
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module, util
from pathlib import Path
from typing import Any, cast

import gradio as gr
import numpy as np
from gradio import route_utils
from gradio.context import Context, LocalContext

import genrestore
from genrestore import tasks, weights
from genrestore.card import Card
from genrestore.errors import SettingError
from genrestore.pictures import image
from genrestore.setting import Option, Setting, checked, options
from genrestore.tasks.damage import GROW, MILD
from genrestore.tasks.task import Generation, ImageToImage, Task
from genrestore.ui.parts import jobs, picker, toasts
from genrestore.ui.parts.mask_editor.checks import uploaded
from genrestore.ui.server import agents, guard, uploads, visitors
from genrestore.ui.tabs import image_to_image
from genrestore.ui.tabs.image_to_image import Seen
from genrestore.ui.tabs.sample import tab as drawing

FORMATS = {"input": None, "png": "PNG", "jpeg": "JPEG", "webp": "WEBP", "avif": "AVIF", "tiff": "TIFF"}
BLACK, WHITE = np.uint8(0), np.uint8(255)  # of a mask

# JSON Schema, as Gradio and agents read it. By "meta" Gradio's clients know what they have to upload and download.
META: dict[str, Any] = {"_type": "gradio.FileData"}
GIVEN: dict[str, Any] = {
    "title": "FileData",
    "type": "object",
    "properties": {
        "path": {
            "type": "string",
            "description": "What the upload answered, or the url of a file that came from here.",
        },
        "meta": {
            "type": "object",
            "properties": {"_type": {"const": META["_type"], "type": "string"}},
            "default": META,
        },
    },
    "required": ["path"],
}
MADE: dict[str, Any] = {
    **GIVEN,
    "properties": {
        "path": {"type": "string", "description": "What another call takes as its file."},
        "url": {"type": "string", "description": "Where the file is downloaded."},
        "orig_name": {"type": "string", "description": "The file's name."},
        "size": {"type": "integer", "description": "Bytes."},
        "mime_type": {"type": "string"},
        "meta": GIVEN["properties"]["meta"],
    },
}
MODEL: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "What the other endpoints take as their model."},
        "title": {"type": "string"},
        "task": {"type": "string"},
        "endpoint": {"type": "string", "description": "The endpoint that takes it."},
        "parameters": {"type": "integer", "description": "Numbers that its net has learnt."},
        "bytes": {"type": "integer", "description": "Of its file."},
        "license": {"type": "string"},
        "about": {"type": "string", "description": "What it is for."},
        "limits": {"type": "string", "description": "What it cannot do."},
        "scale": {"type": "integer", "description": "How many times wider and higher its net makes a picture."},
        "conditions": {"type": "object", "description": "What it takes as conditions, by name, each as a JSON Schema."},
    },
}


@dataclass(frozen=True)
class Parameter:
    """What a verb takes.

    Attributes:
        schema: JSON Schema, with its description.
        read: what was sent, checked.
        usual: holds where nothing is sent; without one something must be.
        label: as people call it.
        is_file: it is a file that was uploaded.
    """

    name: str
    schema: dict[str, Any]
    read: Callable[[Any], Any]
    usual: Any = inspect.Parameter.empty
    label: str = ""
    is_file: bool = False

    @classmethod
    def of(cls, one: Option) -> "Parameter":
        """What is declared elsewhere."""
        usual = list(one.usual) if isinstance(one.usual, tuple) else one.usual
        return cls(one.name, one.schema(), one.value, usual, one.setting.label)

    @classmethod
    def file(cls, name: str, help: str, *, needed: bool) -> "Parameter":
        """A file that was uploaded."""
        schema: dict[str, Any] = {**GIVEN, "description": help}
        if needed:
            return cls(name, schema, uploaded, label=name.capitalize(), is_file=True)
        either: dict[str, Any] = {"anyOf": [GIVEN, {"type": "null"}], "description": help}
        return cls(name, either, lambda given: given and uploaded(given), None, name.capitalize(), is_file=True)

    @property
    def told(self) -> dict[str, Any]:
        """The schema for agents, who name a file by a text."""
        schema = self.schema
        if self.is_file:
            kind: Any = "string" if self.usual is inspect.Parameter.empty else ["string", "null"]
            schema = {"type": kind, "description": f"{schema['description']} {agents.FILES}"}
        return schema if self.usual is inspect.Parameter.empty else {**schema, "default": self.usual}


@dataclass(frozen=True)
class Verb:
    """An endpoint.

    Attributes:
        help: what it does, for people and agents.
        result: JSON Schema of what it answers.
        work: makes the answer of what was read, and of how far it is tells a job.
    """

    name: str
    help: str
    parameters: tuple[Parameter, ...]
    result: dict[str, Any]
    work: Callable[["Job", dict[str, Any]], Any]


class Job(jobs.Job):
    """One call of a verb."""

    def __init__(self, verb: Verb, given: dict[str, Any], root: str) -> None:
        super().__init__(threading.Event())
        self.verb, self.given = verb, given
        self.root = root  # the page's address, as whoever asked knows it
        self.answer: Any = None

    def work(self) -> None:
        self.answer = self.verb.work(self, self.given)

    def made(self, path: Path) -> dict[str, Any]:
        """A file as it is told to whoever asked."""
        alias = uploads.alias_of(path)
        return {
            "path": alias,
            "url": f"{self.root}{guard.address_of(alias)}",
            "orig_name": path.name,
            "size": path.stat().st_size,
            "mime_type": mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        }


def verbs() -> list[Verb]:
    """All of them, in the order in which people are shown the tasks."""
    found: list[Verb] = []
    for task in map(tasks.find, tasks.names()):
        if isinstance(task, ImageToImage):
            found.append(_changing(task))
        elif isinstance(task, Generation):
            found.append(_drawing(task))
    return [*found, _mending(), _listing()]


def build() -> None:
    """Enter the endpoints of all verbs, inside the gr.Blocks that is open."""
    for verb in verbs():
        gr.api(_handler(verb), api_name=verb.name, api_description=verb.help)
        entered: Any = list(cast("Any", Context.root_block).fns.values())[-1]
        assert entered.api_name == verb.name, f"another event of the page is named {verb.name}"
        # Gradio makes of a function's types a schema without ranges and words.
        for block, parameter in zip(entered.inputs, verb.parameters, strict=True):
            schema = parameter.schema
            block._api_info = {**schema, "additional_description": schema.get("description", "")}
            block.label = parameter.label or parameter.name
            if parameter.is_file:
                block.example_payload = block.example_value = lambda: {"path": "photo.jpg", "meta": META}
        (answer,) = entered.outputs
        answer._api_info, answer.label = verb.result, "Result"


def tools() -> list[agents.Tool]:
    """The same for agents."""
    found: list[agents.Tool] = []
    for verb in verbs():
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {one.name: one.told for one in verb.parameters},
            "required": [one.name for one in verb.parameters if one.usual is inspect.Parameter.empty],
            "additionalProperties": False,
        }
        files = frozenset(one.name for one in verb.parameters if one.is_file)
        found.append(agents.Tool(verb.name, verb.help, schema, files))
    return found


def _handler(verb: Verb) -> Callable[..., Any]:
    """The function for Gradio, which calls it with what was sent, in order, and the request."""

    def handler(request: gr.Request, *sent: Any) -> Any:
        with _refusing(request):
            pairs = zip(verb.parameters, sent, strict=True)
            job = Job(verb, {one.name: one.read(given) for one, given in pairs}, _root(request))
            progress, listened = gr.Progress(), time.monotonic()
            for _ in job.follow():
                progress(job.fraction, desc=job.stage(request))
                if _heard(request):
                    listened = time.monotonic()
                elif time.monotonic() - listened > visitors.UNHEARD:
                    job.cancel.set()
            return job.answer

    empty = inspect.Parameter.empty
    taken: list[tuple[str, Any, Any]] = [("request", gr.Request, empty)]
    taken += [(one.name, Any, one.usual) for one in verb.parameters]
    made = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind, default=usual)
        for name, kind, usual in taken
    ]
    handler.__name__, handler.__doc__ = verb.name, verb.help
    handler.__annotations__ = {one.name: one.annotation for one in made} | {"return": Any}
    # Gradio reads it.
    handler.__signature__ = inspect.Signature(made, return_annotation=Any)  # pyright: ignore[reportFunctionMemberAccess]
    return handler


def _root(request: gr.Request) -> str:
    """The page's address, without a slash at its end."""
    asked: Any = request.request
    app: Any = cast("Any", LocalContext.blocks.get()).app
    return route_utils.get_root_url(asked, route_utils.get_api_call_path(asked), app.root_path)


def _heard(request: gr.Request) -> bool:
    """Whether somebody still waits for the answer; what the guard has not let in is not known to."""
    asked: Any = request.request
    heard = asked.scope.get(guard.HEARD) if asked is not None else None
    return heard is None or heard(request.session_hash)


@contextmanager
def _refusing(request: gr.Request) -> Generator[None]:
    """Whatever goes wrong is one sentence for whoever asked."""
    try:
        yield
    except Exception as problem:
        raise gr.Error(toasts.spoken(problem, request), print_exception=False) from None


# ---- pictures of pictures ----


def _changing(task: ImageToImage) -> Verb:
    """The verb of a task that makes of a picture another one."""
    own = [Parameter.of(one) for one in options(task.options)]
    others = [Parameter.file(name, help, needed=False) for name, help in task.pictures.items()]
    parameters = _around(*others, _model(task), *own, _conditions())
    names = [one.name for one in own]

    def work(job: Job, given: dict[str, Any]) -> dict[str, Any]:
        return _changed(task, job, given, {name: given[name] for name in (*names, *task.pictures)})

    says = f"{task.help} Answers the file; metadata and size stay unless the verb changes them."
    return Verb(task.function, says, parameters, MADE, work)


def _around(*parameters: Parameter) -> tuple[Parameter, ...]:
    """What is taken besides where a picture comes in and one goes out."""
    frame = Setting("Of an animation or a document of pages, the one to take, from 1 on.", "Frame", within="[1, ∞)")
    kept = "Format of the result; input keeps that of the picture, or is PNG where that cannot hold it."
    return (
        Parameter.file("image", "The picture: JPEG, PNG, WebP, AVIF, HEIC, TIFF, GIF or BMP.", needed=True),
        *parameters,
        Parameter.of(Option("frame", "int", None, frame)),
        Parameter.of(Option("format", "str", "input", Setting(kept, "Format", choices=tuple(FORMATS)))),
    )


def _changed(task: ImageToImage, job: Job, given: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """The file that the call of a task gives."""
    from genrestore.pipelines import find

    tab = _tab(task)
    model, kind = picker.named(task.name, given["model"]), FORMATS[given["format"]]
    told = checked(_inputs(task, model), given["conditions"], model)
    picture = image.load(given["image"], frame=given["frame"])
    size = tab.size(Seen(picture.width, picture.height, picture), settings, model)
    image.output(picture, format=kind, size=size)  # says what the format cannot hold, before the work
    result = find(task.name)(picture, model=model, **{**settings, **told}, progress=job.report, cancel=job.cancel)
    made = result if isinstance(result, image.Picture) else image.Picture(np.where(result, WHITE, BLACK)[..., None])
    if kind:
        made = replace(made, format=kind, lossless=made.lossless or task.exact)
    return job.made(jobs.written(made, tab.name(given["image"], picture, made)))


def _mending() -> Verb:
    """The verb that mends old photos, which takes several tasks."""
    named = {one.name: one for task in ("damage", "inpaint", "restore") for one in options(tasks.find(task).options)}
    usual = {"sensitivity": named["sensitivity"].usual, "grow": GROW, "strength": MILD, "seed": named["seed"].usual}
    own = [Parameter.of(replace(named[name], usual=value)) for name, value in usual.items()]
    mask = Parameter.file("mask", "White where the photo is to be filled, instead of what is found.", needed=False)

    def work(job: Job, given: dict[str, Any]) -> dict[str, Any]:
        kind, source = FORMATS[given["format"]], given["image"]
        picture = image.load(source, frame=given["frame"])
        image.output(picture, format=kind)  # says what the format cannot hold, before the work
        settings = {name: given[name] for name in ("mask", *usual)}
        mended = genrestore.old_photo(picture, **settings, progress=job.report, cancel=job.cancel).picture
        made = replace(mended, format=kind) if kind else mended
        return job.made(jobs.written(made, image.beside(source, "mended", image.suffix(made)).name))

    says = "Mend an old photo: find its damage, fill it, and take some of its grain out. Answers the file."
    return Verb("old_photo", says, _around(mask, *own), MADE, work)


def _tab(task: Task) -> image_to_image.Tab:
    """What the task's tab knows of sizes and names."""
    own = f"genrestore.ui.tabs.{task.name}"
    module = import_module(own) if util.find_spec(own) else None
    return getattr(module, "TAB", None) or image_to_image.Tab(task)


# ---- pictures of numbers ----


def _drawing(task: Generation) -> Verb:
    """The verb of a task that draws pictures from latent vectors."""
    far = Setting(
        "How far to go along each of the directions in which the model's pictures change most, strongest first, in standard "
        "deviations.",
        "Directions",
        within=f"[-{drawing.REACH:g}, {drawing.REACH:g}]",
    )
    held = {
        "type": "object",
        "additionalProperties": {"type": "number", "minimum": -drawing.REACH, "maximum": drawing.REACH},
        "description": 'Components of the latent vector that are set, by their number from 0 on, such as {"3": -0.4}.',
    }
    own = {one.name: one for one in options(task.options)}
    parameters = (
        _model(task),
        *map(Parameter.of, own.values()),
        Parameter.of(Option("a", "float", (), far)),
        Parameter("raw", held, _object("raw"), {}, "Components"),
        _conditions(),
    )

    def work(job: Job, given: dict[str, Any]) -> list[dict[str, Any]]:
        name = weights.resolve(picker.named(task.name, given["model"]), task.name).name
        state = {"model": name, "truncation": given["truncation"], "a": list(given["a"]), "raw": given["raw"]}
        first, count = given["seed"], given["n"]
        own["seed"].value(first + count - 1)
        files: list[dict[str, Any]] = []
        for seed in range(first, first + count):
            if job.cancel.is_set():
                break
            file, data = drawing.png({**state, "seed": seed, "told": given["conditions"]})
            files.append(job.made(jobs.kept(data, file)))
            job.report(len(files) / count, "")
        return files

    says = f"{task.help} Answers one PNG a picture, at the net's own size."
    return Verb(task.function, says, parameters, {"type": "array", "items": MADE}, work)


# ---- what there is ----


def _listing() -> Verb:
    """The verb that lists the models."""
    names = tuple(tasks.names())
    only = Option("task", "str", "", Setting("Of this task alone; empty is all.", "Task", choices=("", *names)))

    def work(job: Job, given: dict[str, Any]) -> list[dict[str, Any]]:
        asked = [given["task"]] if given["task"] else names
        return [_described(name, card) for name in asked for card in picker.offered(name)]

    says = "List the models that are installed here: name, task, size, licence, and what each is for."
    return Verb("models", says, (Parameter.of(only),), {"type": "array", "items": MODEL}, work)


def _described(task: str, card: Card) -> dict[str, Any]:
    return {
        "name": card.name,
        "title": card.title or card.name,
        "task": task,
        "endpoint": f"/{tasks.find(task).function}",
        "parameters": card.parameters,
        "bytes": weights.size(card),
        "license": card.license,
        "about": card.intended,
        "limits": card.limits,
        "scale": card.scale,
        "conditions": {one.name: {**one.schema(), "default": one.usual} for one in card.inputs},
    }


# ---- what verbs share ----


def _model(task: Task) -> Parameter:
    ways = "".join(f"; {way} works without a net" for way in task.ways)
    help = f"Name from /models, or auto, which takes the best one here{ways}."
    return Parameter.of(Option("model", "str", picker.AUTO, Setting(help, "Model")))


def _inputs(task: Task, model: str) -> Sequence[Option]:
    return () if model in task.ways else weights.resolve(model, task.name).inputs


def _conditions() -> Parameter:
    schema = {"type": "object", "description": "What the model takes besides, by name; /models tells what."}
    return Parameter("conditions", schema, _object("conditions"), {}, "Conditions")


def _object(name: str) -> Callable[[Any], dict[str, Any]]:
    def read(given: Any) -> dict[str, Any]:
        if not isinstance(given, dict):
            raise SettingError(f"{name} must be an object of names and values.")
        return cast("dict[str, Any]", given)

    return read
