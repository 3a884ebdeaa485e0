"""A picture being made in a thread of its own, so that the page can follow it and stop it."""

import base64
import io
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import utils
from PIL import Image

from genrestore.pictures import image
from genrestore.ui.words import Words

W = Words("jobs")
STOPS, LONGEST_NAME = 1000, 64  # jobs that can be stopped at a time, far more than wait; letters of a name
GLIMPSE = 160  # pixels of its longer side
BEAT = 0.2  # seconds between two looks at a running job; a cancelled one is told to stop within it


class Job(threading.Thread):
    """One call of a task. A tab says in `work` what is done, and yields to the page while it follows."""

    ending = "writing"  # of W: what is told once the task is done

    def __init__(self, cancel: threading.Event) -> None:
        super().__init__(daemon=True)
        self.cancel = cancel
        self.fraction = 0.0  # done, 0 to 1
        self.first: tuple[float, float] | None = None  # fraction and moment of the first report; loading came before
        self.told: float | None = None  # seconds left, as they were last told
        self.glimpse = ""  # the address of a small picture of what it is at
        self.problem: Exception | None = None
        self.file: Path | None = None  # for the download, once the job is done

    def work(self) -> None:
        """Make the picture and set `file`; hand `report` and `cancel` to the task."""
        raise NotImplementedError

    def run(self) -> None:
        try:
            self.work()
        except Exception as problem:  # raised again where the page follows the job
            self.problem = problem

    def report(self, fraction: float, text: str) -> None:
        self.first = self.first or (fraction, time.monotonic())
        self.fraction = fraction

    def preview(self, picture: Image.Image) -> None:
        """Told after each step of a net that works in steps."""
        small, data = picture.copy(), io.BytesIO()
        small.thumbnail((GLIMPSE, GLIMPSE))
        small.save(data, "WEBP", quality=80)
        self.glimpse = f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode()}"

    def left(self) -> float | None:
        """Seconds until the net is done, never more than were told before; None while too little is done to tell."""
        if self.first is None or self.fraction <= self.first[0]:
            return None
        fraction, moment = self.first
        left = (time.monotonic() - moment) / (self.fraction - fraction) * (1 - self.fraction)
        self.told = left if self.told is None else min(left, self.told)
        return self.told

    def stage(self, request: gr.Request | None) -> str:
        """How far it is, for the visitor."""
        if self.fraction >= 1:
            return W.text(self.ending, request)
        if self.fraction == 0:
            return W.text("starting", request)
        percent, left = round(100 * self.fraction), self.left()
        if left is None:
            return W.text("running", request, percent=percent)
        return W.text("left", request, percent=percent, time=duration(left, request))

    def follow(self) -> Iterator[None]:
        """Start the job and yield every BEAT until it ends; then raise what it raised."""
        self.start()
        while self.is_alive():
            self.join(BEAT)
            yield
        if self.problem is not None:
            raise self.problem


class Stops:
    """What cancels jobs, by names that their pages chose at random: a job may yet wait in the queue when it is stopped.

    Gradio's own `cancels` would also end the job that a visitor starts in the same moment.
    """

    def __init__(self) -> None:
        self.events: OrderedDict[str, threading.Event] = OrderedDict()
        self.lock = threading.Lock()

    def of(self, name: object) -> threading.Event:
        """The event that stops the job of this name; one that no page can name has its own."""
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
            return threading.Event()
        with self.lock:
            event = self.events.setdefault(name, threading.Event())
            self.events.move_to_end(name)
            while len(self.events) > STOPS:
                self.events.popitem(last=False)
        return event


def cancel_at(triggers: Any, *events: Any) -> None:
    """Cancel what runs of these events at each of the triggers, before the handlers that are given to those later.

    Gradio's own `cancels=` beside a handler waits for its end, and then cancels what its answer has set off as well.
    """
    gr.on(triggers, None, cancels=list(events))


def written(picture: image.Picture, name: str, **told: bool) -> Path:
    """Write a result as `name` into a folder of its own in Gradio's cache, from where the page may offer it; `told` is of
    `image.encode`.

    Raises:
        OSError: the disk is full; nothing of it stays there.
    """
    return kept(image.encode(picture, **told), name)  # pyright: ignore[reportArgumentType] (recipe and strip)


def kept(data: bytes, name: str) -> Path:
    """The same of a file's bytes."""
    folder = Path(utils.get_upload_folder()) / secrets.token_hex(16)
    folder.mkdir(parents=True)
    path = folder / name
    try:
        path.write_bytes(data)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return path.resolve()


def duration(seconds: float, request: gr.Request | None) -> str:
    """About how long, for the visitor."""
    if seconds < 90:
        return W.text("seconds", request, n=max(1, round(seconds)))
    return W.text("minutes", request, n=round(seconds / 60))


def bar(fraction: float, text: str, glimpse: str = "") -> str:
    """HTML of a progress bar and its text, and of a small picture of what is being made."""
    shown = f'<img src="{glimpse}" alt="">' if glimpse else ""
    return f'<progress value="{fraction:.3f}" aria-label="{text}"></progress> {text}{shown}'
