"""The Inpaint tab: one stage on which a picture is opened, painted over, repaired, and painted on again."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import gradio as gr
import numpy as np
from gradio import processing_utils, utils
from gradio.context import LocalContext

import genrestore
from genrestore import weights
from genrestore.errors import GenrestoreError, ModelError, SettingError
from genrestore.pictures import image
from genrestore.setting import Option
from genrestore.tasks.damage import Options
from genrestore.tasks.inpaint import STRATEGIES
from genrestore.ui.parts import compare, examples, jobs, mask_editor, more, picker, recipes, slots
from genrestore.ui.parts.mask_editor import MaskEditor
from genrestore.ui.parts.mask_editor.recent import Recent
from genrestore.ui.parts.toasts import with_toasts
from genrestore.ui.tabs.inpaint.candidates import Candidates
from genrestore.ui.tabs.inpaint.candidates import W as FILLS
from genrestore.ui.words import Words
from genrestore.ui.words.sentences import translated

AUTO, FEATHERS = "auto", (2, 4, 8, 16, 32)  # pixels over which a repair can be made to fade into the photo
FORMATS = {"input": None, "png": "PNG", "webp": "WEBP", "tiff": "TIFF"}  # the last three lose nothing
EDITOR = "inpaint-editor"
LONG = 10  # seconds from which a repair says before it begins how long it takes
stops = jobs.Stops()
likelihoods: Recent[np.ndarray] = Recent(
    64 * 2**20, lambda likely: likely.nbytes
)  # of damage; 12 megapixels take 48 MB

W = Words("inpaint")


class Written(NamedTuple):
    """A repaired picture as a file."""

    file: Path
    shown: str  # what a browser draws as that file decodes
    in_file: int | None  # samples outside all marks that differ from the photo's; None: stored in another depth
    by_repair: int  # how many of them the repairs changed
    outside: int  # samples outside all marks


def written(
    original: image.Picture, repaired: image.Picture, touched: np.ndarray, name: str, kind: str, tell: object = None
) -> Written:
    """Write what repairs made of a photo, in one of FORMATS, and measure what differs where nothing was marked; `tell` is what
    `recipes.field` says.

    Raises:
        ImageError: the format cannot hold it.
        OSError: the disk is full.
    """
    from genrestore.pipelines.inpaint import changed_outside

    output = replace(repaired, format=FORMATS[kind], lossless=True) if FORMATS[kind] else repaired
    file = jobs.written(output, image.beside(Path(name), "repaired", image.suffix(output)).name, **recipes.told(tell))
    decoded = image.load(file)
    by_repair, outside = changed_outside(original, repaired, touched)
    alike = decoded.pixels.shape == original.pixels.shape and decoded.pixels.dtype == original.pixels.dtype
    in_file = changed_outside(original, decoded, touched)[0] if alike else None
    seen = str(file) if compare.drawn_alike(file) else _drawable(decoded)
    return Written(file, seen, in_file, by_repair, outside)


def _drawable(picture: image.Picture) -> str:
    """The path of a copy in Gradio's cache that every browser draws."""
    data, kind = mask_editor.drawable(picture)
    return processing_utils.save_bytes_to_cache(data, f"view.{kind}", utils.get_upload_folder())


class Job(jobs.Job):
    """One repair of what the visitor sees: the photo, or what repairs before have made of it."""

    def __init__(
        self,
        value: dict[str, Any],
        kind: str,
        original: image.Picture,
        filled: np.ndarray,
        tell: object = None,
        **settings: Any,
    ) -> None:
        super().__init__(stops.of(value.get("run")))
        self.original = original
        self.now, self.before = MaskEditor.reached(value, original)
        self.filled = filled  # what the repair may change
        self.name = MaskEditor.file(value).name
        self.kind = kind  # one of FORMATS
        self.tell = tell  # of `recipes.field`
        self.settings = settings  # of pipelines.inpaint.repair
        self.reasons: set[str] = set()  # of pipelines.inpaint.REASONS, why wide parts were filled as they were
        self.pieces = 0  # how many parts were made of pieces: there are other fills of those
        self.state: dict[str, Any] = {}  # from which the next one starts
        self.written: Written | None = None
        self.began = time.monotonic()

    def work(self) -> None:
        repaired, touched = self.made()
        self.fraction = 1.0
        self.written = written(self.original, repaired, touched, self.name, self.kind, self.tell)
        self.state = MaskEditor.state(repaired, touched)

    def outcome(self, request: gr.Request) -> dict[str, Any]:
        """What the stage is told at the end."""
        assert self.written is not None
        how = _how(self, time.monotonic() - self.began, request)
        scene = {"state": self.state, "parts": self.pieces, "how": how}
        return {"scene": scene | _scene(self.written, self.original, self.kind, request)}

    def made(self) -> tuple[image.Picture, np.ndarray]:
        """What comes out, and what of the photo was changed so far, (H, W) bool."""
        from genrestore.pipelines.inpaint import repair, signed_repair

        told: dict[str, Any] = {"progress": self.report, "preview": self.preview, "cancel": self.cancel}
        made = repair(self.now, **self.settings, **told)
        self.reasons = {part.reason for part in made.parts}
        self.pieces = sum(part.copied for part in made.parts)
        conditions = dict(self.settings.get("conditions", {}))
        seed = conditions.pop("seed", 0)
        settings = {name: self.settings[name] for name in ("strategy", "grow", "feather")} | conditions
        masks = {"mask": self.settings["mask"], "hole": self.settings["hole"], "forbid": self.settings["forbidden"]}
        signed = signed_repair(made, self.now, self.settings["model"], settings, seed, masks)
        return signed, self.before | self.filled


class Cleaning(Job):
    """Some of the grain of all the picture taken out, the last step of an old photo."""

    def made(self) -> tuple[image.Picture, np.ndarray]:
        from genrestore.pipelines.restore import restore
        from genrestore.tasks.damage import MILD

        self.reasons = {"cleaned"}
        clean = restore(self.now, strength=MILD, progress=self.report, cancel=self.cancel)
        return clean, np.ones_like(self.before)


class Finding(jobs.Job):
    """The damage of what the visitor sees, as marks."""

    ending = "marking"

    def __init__(self, value: dict[str, Any]) -> None:
        from genrestore.pipelines.arguments import settled

        super().__init__(stops.of(value.get("run")))
        self.options = settled("damage", sensitivity=value.get("sensitivity", Options().sensitivity))
        self.now, _ = MaskEditor.reached(value, MaskEditor.photo(value))
        self.of = MaskEditor.told_apart(value)
        self.marks = ""  # a mask for the stage

    def work(self) -> None:
        from genrestore.pipelines.damage import likelihood, marked
        from genrestore.pipelines.inpaint import widened
        from genrestore.tasks.damage import GROW

        likely = likelihoods.get(self.of, lambda: likelihood(self.now, progress=self.report, cancel=self.cancel))
        self.marks = mask_editor.url(widened(marked(likely, **self.options), GROW))

    def outcome(self, request: gr.Request) -> dict[str, Any]:
        return {"marks": self.marks}


# ---- handlers: each returns or yields what the stage is told ----


@with_toasts
def run(
    value: dict[str, Any] | None,
    model: str,
    strategy: str,
    request: gr.Request,
    feather: str = AUTO,
    tell: Any = None,
    *told: Any,
) -> Iterator[dict[str, Any]]:
    """Repair what is painted, and tell how far it is; a mistake is told on the stage, which may fill the screen.

    `told` are the fields of the model's own conditions.
    Gradio closes this generator when the visitor leaves; the job is stopped then.
    """
    if value is not None:  # else it was cancelled before it began

        def begin() -> Job | dict[str, Any]:
            conditions = slots.read(_conditions(model), told) if told else {}
            return _repair(value, {**_settings(model, strategy, feather), "conditions": conditions}, tell, request)

        yield from _followed(value, begin, request)


@with_toasts
def clean(value: dict[str, Any] | None, request: gr.Request, tell: Any = None) -> Iterator[dict[str, Any]]:
    """Take grain out of the picture, and tell how far it is."""
    if value is not None:
        yield from _followed(value, lambda: _cleaning(value, tell), request)


@with_toasts
def damage(value: dict[str, Any] | None, request: gr.Request) -> Iterator[dict[str, Any]]:
    """Look for damage in what is shown, and tell how far it is and at last where it is."""
    if value is not None:
        yield from _followed(value, lambda: Finding(value), request)


def _cleaning(value: dict[str, Any], tell: object) -> Job:
    picture = MaskEditor.photo(value)
    return Cleaning(value, _kind(value), picture, np.zeros((picture.height, picture.width), bool), tell, model="")


def _settings(model: str, strategy: str, feather: str) -> dict[str, Any]:
    """What the fields beside the stage say, as `pipelines.inpaint.repair` takes it."""
    return {
        "model": picker.named("inpaint", model),
        "strategy": strategy,
        "feather": None if feather == AUTO else int(feather),
    }


def asking(model: str) -> list[Any]:
    """Another model was chosen: the fields of its conditions."""
    return slots.shown(_conditions(model))


def _conditions(model: str) -> tuple[Option, ...]:
    """What the model takes besides; nothing where there is no such model, which its use will say."""
    try:
        return weights.resolve(model, "inpaint").inputs
    except ModelError:
        return ()


def _repair(value: dict[str, Any], settings: dict[str, Any], tell: object, request: gr.Request) -> Job | dict[str, Any]:
    """The job that the stage asks for, or what speaks against it."""
    kind = _kind(value)
    picture, mask, marks = MaskEditor.read(value)
    image.output(picture, format=FORMATS[kind])  # says what the format cannot hold, before the work
    return _doubt(value, mask, request) or Job(value, kind, picture, mask, tell, **settings, **marks)


def _followed(
    value: dict[str, Any], begin: Callable[[], Job | Finding | dict[str, Any]], request: gr.Request
) -> Iterator[dict[str, Any]]:
    """A job from its beginning to its end, as answers for the stage."""
    job: Job | Finding | dict[str, Any] | None = None
    try:
        job = begin()
        if isinstance(job, dict):
            yield MaskEditor.answer(value, **job)
            return
        for _ in job.follow():
            yield MaskEditor.answer(value, fraction=job.fraction, text=job.stage(request), glimpse=job.glimpse)
        yield MaskEditor.answer(value, **job.outcome(request))
    except GenrestoreError as problem:
        yield MaskEditor.answer(value, problem=translated(problem, request))
    except Exception:  # `with_toasts` tells it
        yield MaskEditor.answer(value)
        raise
    finally:
        if isinstance(job, jobs.Job):
            job.cancel.set()


def stop(name: object) -> None:
    """For the stage: the repair of that name, or the search for damage or other fills, is no longer wanted."""
    stops.of(name).set()


def outlook(value: object) -> list[str]:
    """For the stage: where a repair of what is marked now may fail, and that it takes long; sentences."""
    from genrestore.pipelines import prospects

    request = LocalContext.request.get(None)
    try:
        picture, hole, marks = MaskEditor.read(value)
        if not hole.any():
            return []
        now, _ = MaskEditor.reached(value, picture)
        ahead = prospects.outlook(now, hole, marks["forbidden"])
    except GenrestoreError:  # the repair itself will say it
        return []
    reasons = dict.fromkeys(prospect.reason for prospect in ahead.prospects)
    time = jobs.duration(ahead.seconds, request)
    slow = [W.text("prospect_slow", request, time=time)] if ahead.seconds > LONG else []
    return [W.text(f"prospect_{reason}", request) for reason in reasons] + slow


@with_toasts
def resaved(value: dict[str, Any] | None, request: gr.Request, tell: Any = None) -> Iterator[dict[str, Any]]:
    """Write what is repaired already in another format, or so that its file tells more or less."""
    if not isinstance(value, dict) or not value.get("state"):
        return
    try:
        original = MaskEditor.photo(value)
        now, touched = MaskEditor.reached(value, original)
        name, kind = MaskEditor.file(value).name, _kind(value)
        done = written(original, now, touched, name, kind, tell)
        yield MaskEditor.answer(value, rewritten=_scene(done, original, kind, request))
    except GenrestoreError as problem:
        yield MaskEditor.answer(value, unwritten=translated(problem, request))
    except Exception:  # `with_toasts` tells it
        yield MaskEditor.answer(value, unwritten=None)
        raise


@with_toasts
def others(
    value: dict[str, Any] | None,
    model: str,
    strategy: str,
    request: gr.Request,
    feather: str = AUTO,
    tell: Any = None,
) -> Iterator[dict[str, Any]]:
    """Look for other fills of a repair's wide parts, and tell each as it is found.

    Gradio closes this generator when something else is begun and when the visitor leaves; the work is stopped then.
    """
    if not isinstance(value, dict) or not value.get("after"):
        return
    stopped = stops.of(value.get("run"))
    try:
        picture, _, marks = MaskEditor.read(value)
        now, _ = MaskEditor.reached(value, picture)
        repaired, _ = MaskEditor.reached({**value, "state": value["after"]}, picture)
        job = Candidates(stopped, now, repaired, **_settings(model, strategy, feather), **marks)
        told = 0
        for _ in job.follow():
            if len(job.found) > told:
                told = len(job.found)
                yield MaskEditor.answer(value, offers=job.found[:told])
        yield MaskEditor.answer(value, offers=job.found, complete=True)
    except GenrestoreError:  # nobody asked for them; the repair itself is there
        yield MaskEditor.answer(value, offers=[], complete=True)
    finally:
        stopped.set()


@with_toasts
def take(value: dict[str, Any] | None, request: gr.Request, tell: Any = None) -> Any:
    """Put another fill in the place of one that is shown."""
    from genrestore.pipelines.made import chosen_by_hand

    if not isinstance(value, dict) or not value.get("fill"):
        return gr.skip()
    try:
        original = MaskEditor.photo(value)
        now, touched = MaskEditor.reached(value, original)
        repaired = chosen_by_hand(MaskEditor.refilled(value, now, touched), "inpaint")
        kind = _kind(value)
        done = written(original, repaired, touched, MaskEditor.file(value).name, kind, tell)
        state = MaskEditor.state(repaired, touched)
    except GenrestoreError as problem:
        return MaskEditor.answer(value, untaken=translated(problem, request))
    return MaskEditor.answer(value, taken={"state": state} | _scene(done, original, kind, request))


@with_toasts
def restored(value: dict[str, Any] | None, request: gr.Request) -> list[Any]:
    """What the fields beside the stage are to show, where a result of this tab was opened."""
    nothing = [gr.skip()] * 3
    if value is None:
        return nothing
    recipe = recipes.read(MaskEditor.file(value), "inpaint", request)
    if recipe is None:
        return nothing
    told, width = recipe.settings, recipe.settings.get("feather")
    strategy = gr.update(value=told["strategy"]) if told.get("strategy") in STRATEGIES else gr.skip()
    widths = {None: AUTO, **{width: str(width) for width in (0, *FEATHERS)}}
    feather = gr.update(value=widths[width]) if width is None or (type(width) is int and width in widths) else gr.skip()
    return [recipes.restored(recipe, request), strategy, feather]


def _doubt(value: dict[str, Any], mask: np.ndarray, request: gr.Request) -> dict[str, Any] | None:
    """What speaks against the repair, if anything: where most of the picture is marked, the visitor must be `sure`."""
    from genrestore.pipelines.inpaint import marked

    if not mask.any():
        return {"problem": W.text("no_mask", request)}
    share, ask = marked(mask)
    if ask and value.get("sure") is not True:
        return {"problem": W.text("much", request, share=round(100 * share)), "ask": True}
    return None


def _kind(value: object) -> str:
    kind = cast("dict[str, Any]", value).get("kind", "input") if isinstance(value, dict) else "input"
    if not isinstance(kind, str) or kind not in FORMATS:
        raise SettingError(f"Save as one of {', '.join(FORMATS)}, not {str(kind)[:40]!r}.")
    return kind


# ---- what the page says ----


def _scene(done: Written, original: image.Picture, kind: str, request: gr.Request) -> dict[str, Any]:
    """What the stage shows of a repaired picture and says under it."""
    key = "unlike" if done.in_file is None else "encoded" if done.in_file > done.by_repair else "kept"
    numbers = {"changed": f"{done.in_file or 0:,}", "repair": f"{done.by_repair:,}", "all": f"{done.outside:,}"}
    suffix = done.file.suffix[1:].upper().replace("JPG", "JPEG")
    lossy = key == "encoded" and not done.by_repair
    line = "all" if not done.outside else "more" if done.by_repair else "only_saved" if lossy else "only"
    return {
        "file": gr.FileData(path=str(done.file), orig_name=done.file.name).model_dump(),
        "shown": gr.FileData(path=done.shown).model_dump(),
        "kind": kind,
        "line": W.text(line, request, format=suffix, **numbers),
        "counts": W.text(key, request, format=suffix, **numbers) if done.outside else "",
        "notes": [translated(note, request) for note in original.notes],
    }


def _how(job: Job, seconds: float, request: gr.Request) -> list[str]:
    """How it was filled: sentences."""
    reasons = {"wide" if reason == "asked" else reason for reason in job.reasons} or {"thin"}
    how = [W.text(reason, request) for reason in ("wide", "even", "alone", "thin", "cleaned") if reason in reasons]
    names = dict(zip(*_titles(), strict=True))
    model = job.settings["model"]
    named = [W.text("filler", request, name=names[model])] if model in names else []
    return [*how, *named, W.text("took", request, seconds=f"{seconds:.1f}")]


def _titles() -> tuple[list[str], list[Any]]:
    cards = picker.offered("inpaint")
    return [card.name for card in cards], picker.titles(cards)


# ---- layout ----


def build() -> gr.Dropdown:
    """Lay out the tab inside the gr.Tab that is open; returns its list of models."""
    editor = MaskEditor(
        elem_id=EDITOR,
        label=W("editor"),
        examples=examples.PHOTOS,
        formats=list(FORMATS),
        names=[examples.W, examples.MARKS, W, FILLS],
        functions=[stop, outlook],
        old=bool(genrestore.list_models("damage")),
    )
    with gr.Accordion(W("settings"), open=False, elem_id="inpaint-settings") as more_settings, gr.Row():
        model = picker.picker("inpaint")
        strategy = gr.Radio(
            [(W(name), name) for name in STRATEGIES], value="crop", label=W("strategy"), elem_id="inpaint-strategy"
        )
        widths = [(W("auto"), AUTO), (W("hard"), "0"), *((f"{width} px", str(width)) for width in FEATHERS)]
        feather = gr.Dropdown(widths, value=AUTO, label=W("feather"), min_width=160, elem_id="inpaint-feather")
        tell = recipes.field("inpaint")
    with more_settings:  # below that row
        with gr.Row():
            told = slots.laid("inpaint-condition")
        more.more("inpaint", model)
    settings = [editor, model, strategy, feather, tell]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    repaired, saved = MaskEditor.ear(EDITOR), MaskEditor.ear(EDITOR)
    working: dict[str, Any] = {"js": MaskEditor.asked(EDITOR), "trigger_mode": "multiple", **quiet}
    for running in (
        editor.repair(run, [*settings, *told], repaired, **working),
        editor.clean(clean, [editor, tell], repaired, **working),
        editor.damage(damage, editor, repaired, **working),
    ):
        running.failure(None, None, None, js=MaskEditor.failed(EDITOR), **quiet)
    editor.others(
        others, settings, MaskEditor.ear(EDITOR), js=MaskEditor.asked(EDITOR, "others"),
        trigger_mode="multiple", **quiet,
    )  # fmt: skip
    taking = editor.take(take, [editor, tell], MaskEditor.ear(EDITOR), js=MaskEditor.asked(EDITOR, "take"), **quiet)
    taking.failure(None, None, None, js=MaskEditor.failed(EDITOR, "take"), **quiet)
    latest = MaskEditor.latest(EDITOR)
    saving = editor.resave(resaved, [editor, tell], saved, js=latest, trigger_mode="always_last", **quiet)
    saving.failure(None, None, None, js=MaskEditor.failed(EDITOR, "resave"), **quiet)
    model.change(with_toasts(asking), model, told, **quiet)
    editor.recall(restored, editor, [model, strategy, feather], js=latest, **quiet)
    tell.change(None, None, None, js=MaskEditor.again(EDITOR), **quiet)
    return model
