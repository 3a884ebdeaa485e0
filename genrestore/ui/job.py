"""A picture being made in a thread of its own, so that the page can follow it and stop it."""

import secrets
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from gradio import utils

from genrestore import image
from genrestore.ui.words import Words

# The example photographs, and what to call them.
NAMES = Words(
    "examples",
    {
        "dog": ("Dog", "狗"),
        "bulb": ("Light bulb", "灯泡"),
        "guitar": ("Guitar", "吉他"),
        "nyc": ("New York", "纽约"),
        "sand": ("Sand", "沙"),
    },
)
EXAMPLES = [Path(__file__).with_name("examples") / f"{name}.jpg" for name in NAMES.pairs]
BEAT = 0.2  # seconds between two looks at a running job; a cancelled one is told to stop within it


class Job(threading.Thread):
    """One call of a task. A tab says in `work` what is done, and yields to the page while it follows."""

    def __init__(self, cancel: threading.Event) -> None:
        super().__init__(daemon=True)
        self.cancel = cancel
        self.fraction = 0.0  # done, 0 to 1
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
        self.fraction = fraction

    def follow(self) -> Iterator[None]:
        """Start the job and yield every BEAT until it ends; then raise what it raised."""
        self.start()
        while self.is_alive():
            self.join(BEAT)
            yield
        if self.problem is not None:
            raise self.problem


def written(picture: image.Picture, name: str) -> Path:
    """Write a result as `name` into a folder of its own in Gradio's cache, from where the page may offer it.

    Raises:
        OSError: the disk is full; nothing of it stays there.
    """
    data = image.encode(picture)
    folder = Path(utils.get_upload_folder()) / secrets.token_hex(16)
    folder.mkdir(parents=True)
    path = folder / name
    try:
        path.write_bytes(data)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return path.resolve()


def bar(fraction: float, text: str) -> str:
    """HTML of a progress bar and its text."""
    return f'<progress value="{fraction:.3f}" aria-label="{text}"></progress> {text}'
