"""The folder of a training run: what it has done and is doing, as files that any process may read. Loads no torch.

recipe.json        what was asked: the recipe and where the data lie
status.json        what it is doing now, at most a second old while it trains
log.jsonl          one line every LOG_STEPS steps, after each measurement on the hold-out, and for each event
control            a word to the run, "pause" or "stop"; no file: go on
checkpoint.pt      all that it needs to go on
samples/*.webp     what it draws from fixed seeds, named by the step; nearest.webp, nearest.json: memorisation
model.safetensors, card.json, sample.webp    the weight, as of the last checkpoint; a picker finds it at once
output.txt         what its process printed, if the page started it
"""

import dataclasses
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genrestore.card import home, shelves
from genrestore.errors import Cancelled, TrainingError
from genrestore.recipe import TrainRecipe

LIVE = ("preparing", "training", "paused")
LOST = 600.0  # seconds after which a run that says nothing is lost although some process has its number
TRAIN = ("-m", "genrestore.train")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

_children: list[
    "subprocess.Popen[bytes]"
] = []  # started here; an ended one stays visible to the system until it is asked


@dataclass(frozen=True)
class Status:
    """What a run is doing."""

    state: str  # of LIVE, or "done", "stopped", "failed", "lost"
    step: int = 0  # done so far
    steps: int = 0
    seconds: float = 0.0  # of training, all sessions together
    left: float = 0.0  # seconds that remain at this speed
    speed: float = 0.0  # pictures a second
    lr: float = 0.0
    message: str = ""  # one sentence: why it ended, or what it is preparing
    pid: int = 0
    host: str = ""
    beat: float = 0.0  # when it was written, seconds since 1970

    @property
    def live(self) -> bool:
        return self.state in LIVE


@dataclass(frozen=True)
class Estimate:
    """How long a training will take."""

    seconds: float  # of the whole run
    step: float  # seconds of one step
    steps: int  # that fit: all that remain, or fewer where the recipe limits the minutes

    @property
    def text(self) -> str:
        return f"About {duration(self.seconds)}: {self.steps:,} steps of {self.step:.2g} s each."


def duration(seconds: float) -> str:
    """In words of two units: "45 s", "12 min", "3 h 20 min", "4 days 6 h"."""
    minutes = round(seconds / 60)
    if seconds < 99.5:
        return f"{max(1, round(seconds))} s"
    if minutes < 100:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{round(minutes / 60) // 24} days {round(minutes / 60) % 24} h"


@dataclass(frozen=True)
class Run:
    """One run by its folder."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    def status(self) -> Status:
        """What it says; "lost" where its process has ended without a word, "stopped" where it never said anything."""
        said = _json(self.folder / "status.json")
        if said is None:
            resumable = (self.folder / "checkpoint.pt").exists()
            return Status("stopped" if resumable else "lost")
        known = {field.name for field in dataclasses.fields(Status)}
        status = Status(**{key: value for key, value in said.items() if key in known})
        if status.live and not _alive(status):
            if status.state == "preparing" and (words := self._last_words()):
                return dataclasses.replace(status, state="failed", message=words)
            message = "The process ended without a word; resume goes on from the last checkpoint."
            return dataclasses.replace(status, state="lost", message=message)
        return status

    def _last_words(self) -> str:
        """The last line that its process printed, if the page started it: why it refused to begin."""
        try:
            lines = (self.folder / "output.txt").read_text("utf-8", "replace").strip().splitlines()
        except FileNotFoundError:
            return ""
        return lines[-1] if lines else ""

    def tell(self, status: Status, pid: int | None = None) -> None:
        """Say what the run is doing; its own process does, or the one that has just started it as `pid`."""
        signed = dataclasses.replace(status, pid=pid or os.getpid(), host=socket.gethostname(), beat=time.time())
        replace(self.folder / "status.json", json.dumps(dataclasses.asdict(signed)))

    def log(self) -> list[dict[str, Any]]:
        """The lines of log.jsonl; one that is still being written is left out."""
        return self.log_from(0)[0]

    def log_from(self, start: int) -> tuple[list[dict[str, Any]], int, int]:
        """The whole lines from byte `start` on, and the bytes where they begin and end; all if the log has become shorter."""
        try:
            with (self.folder / "log.jsonl").open("rb") as file:
                if start > file.seek(0, os.SEEK_END):
                    start = 0
                file.seek(start)
                text, end, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return [], 0, 0
        lines: list[dict[str, Any]] = []
        for line in text.split(b"\n"):
            try:
                lines.append(json.loads(line))
            except ValueError:  # torn by a crash
                continue
        return lines, start, start + len(text) + len(end)

    def recipe(self) -> tuple[TrainRecipe, str]:
        """What was asked, and where the data lie.

        Raises:
            TrainingError: the folder does not say.
        """
        asked = _json(self.folder / "recipe.json")
        if asked is None:
            raise TrainingError(
                f"{self.folder} holds no recipe.json; begin the run again, or resume it with its preset's name."
            )
        return TrainRecipe.from_json(asked["recipe"]), asked["data"]

    def samples(self) -> list[tuple[int, Path]]:
        """(step, picture) of what it drew, oldest first."""
        return sorted((int(path.stem), path) for path in self.folder.glob("samples/*.webp") if path.stem.isdigit())

    def nearest(self) -> dict[str, Any] | None:
        """The last memorisation report (`genrestore.watch.Memorised` as JSON), or None; its picture is nearest.webp."""
        return _json(self.folder / "nearest.json")

    def ask(self, word: str) -> None:
        """Tell the run's process to "pause", "go" or "stop"; it listens before each step."""
        assert word in ("pause", "go", "stop")
        if word == "go":
            (self.folder / "control").unlink(missing_ok=True)
        else:
            replace(self.folder / "control", word)

    def asked(self) -> str:
        """The word last told: "pause", "stop", or "go"."""
        try:
            return (self.folder / "control").read_text("utf-8").strip() or "go"
        except FileNotFoundError:
            return "go"


def place(name: str) -> Path:
    """The folder of a run of that name among this user's runs.

    Raises:
        TrainingError: a folder cannot have that name, or a weight that was shipped has it.
    """
    if not NAME.fullmatch(name):
        raise TrainingError(f"{name!r} cannot name a model; use up to 64 Latin letters, digits, dots and hyphens.")
    if any((shelf / name).exists() for shelf in shelves() if shelf != home() / "runs"):
        raise TrainingError(f"A model named {name} lies here already; choose another name.")
    return home() / "runs" / name


def free_name(wish: str) -> str:
    """`wish` made a name, with a number behind it where it is taken."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", wish).strip("-._")[:48] or "model"
    taken = {path.name for shelf in shelves() if shelf.is_dir() for path in shelf.iterdir()}
    numbered = (plain if number == 1 else f"{plain}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in numbered if name not in taken)


def every() -> list[Run]:
    """This user's runs, the last begun first."""
    folders = [path for path in (home() / "runs").glob("*") if (path / "recipe.json").exists()]
    return [Run(path) for path in sorted(folders, key=lambda path: -(path / "recipe.json").stat().st_mtime)]


def start(name: str, recipe: TrainRecipe, data: str, *, resume: bool = False) -> Run:
    """Train in a process of its own, which goes on when the page and its server are closed.

    Args:
        name: of the run and of the model that it makes.
        data: where the pictures lie, as `genrestore.data.read` takes it; kept for `resume`.
        resume: go on with the run of that name.

    Raises:
        TrainingError: the name is not free, or another run is training here.
    """
    run = Run(place(name))
    _check_alone(run)
    if not resume and run.folder.exists():
        raise TrainingError(f"A run named {name} lies here already; choose another name, or resume it.")
    run.folder.mkdir(parents=True, exist_ok=True)
    run.ask("go")
    asked(run, recipe, data)
    command = [sys.executable, *TRAIN, "--recipe", str(run.folder / "recipe.json"), "--out", str(run.folder)]
    with (run.folder / "output.txt").open("ab") as output:
        child = subprocess.Popen(
            [*command, *(["--resume"] if resume else [])],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    _children.append(child)
    run.tell(Status("preparing", steps=recipe.steps, message="Starting"), child.pid)  # until it speaks, seconds later
    return run


def estimate(recipe: TrainRecipe, data: str, cancel: threading.Event | None = None) -> Estimate:
    """How long such a run will take: a process of its own trains a few steps, and keeps nothing of them.

    Args:
        data: where the pictures lie, as `genrestore.data.read` takes it.
        cancel: set it to stop.

    Raises:
        TrainingError: training would refuse too.
        Cancelled: `cancel` was set.
    """
    with tempfile.TemporaryDirectory() as folder:
        asked(Run(Path(folder)), recipe, data)
        command = [sys.executable, *TRAIN, "--recipe", str(Path(folder) / "recipe.json"), "--dry-run", "--json"]
        output, errors = Path(folder) / "output", Path(folder) / "errors"
        with output.open("wb") as out, errors.open("wb") as err:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            while child.poll() is None:
                if cancel is not None and cancel.is_set():
                    raise Cancelled("Cancelled; nothing was trained.")
                time.sleep(0.05)
        finally:
            child.kill()
            child.wait()
        try:
            said = json.loads(output.read_text("utf-8"))
            return Estimate(float(said["seconds"]), float(said["step"]), int(said["steps"]))
        except (ValueError, KeyError, TypeError):
            lines = errors.read_text("utf-8", "replace").strip().splitlines()
            why = lines[-1] if lines else f"The process that tried it ended with {child.returncode}; try again."
            raise TrainingError(why) from None


def go_on(run: Run) -> None:
    """Let a paused run train again.

    Raises:
        TrainingError: another run is training here.
    """
    _check_alone(run)
    run.ask("go")


def _check_alone(run: Run) -> None:
    for other in every():
        if other != run and other.status().state in ("preparing", "training"):
            raise TrainingError(
                f"{other.name} is being trained; pause or stop it first, for two would share the cores."
            )


def asked(run: Run, recipe: TrainRecipe, data: str) -> None:
    """Write down what was asked."""
    replace(run.folder / "recipe.json", json.dumps({"recipe": recipe.to_json(), "data": data}, indent=2))


def replace(path: Path, text: str) -> None:
    """Write a small file in one move, so that a reader never sees half of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, "utf-8")
    partial.replace(path)


def _json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def _alive(status: Status) -> bool:
    """Whether the process that wrote the status may still be at work."""
    for child in _children:
        if child.poll() is not None and child.pid == status.pid:
            return False
    age = time.time() - status.beat
    if status.host != socket.gethostname():
        return age < LOST  # on another machine, only its beat tells
    return _exists(status.pid) and age < LOST


def _exists(pid: int) -> bool:
    if sys.platform == "win32":  # where os.kill(pid, 0) would end the process
        import ctypes

        handle = ctypes.windll.kernel32.OpenProcess(0x1000, False, pid)
        if handle:
            ctypes.windll.kernel32.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
