"""The folder of a training run: what it has done and is doing, as files that any process may read. Loads no torch.

recipe.json        what was asked: the recipe and where the data lie
status.json        what it is doing now, at most a second old while it trains
log.jsonl          one line every LOG_STEPS steps, after each measurement on the hold-out, and for each event
control            a word to the run, "pause" or "stop"; no file: go on
checkpoint.pt      all that it needs to go on
samples/*.webp     what it draws from fixed seeds, named by the step; nearest.webp, nearest.json: memorisation
model.safetensors, card.json, sample.webp    the weight, as of the last checkpoint; a picker finds it at once
output.txt         what its process printed, if the page started it
lock               held by the process that trains here, for as long as it lives
"""

import dataclasses
import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from genrestore import locks
from genrestore.data import sources
from genrestore.errors import TrainingError, stop_if
from genrestore.locks import PATIENCE, Lock
from genrestore.paths import home, replace, shelves
from genrestore.recipe import TrainRecipe
from genrestore.training.judge import number

LIVE = ("preparing", "training", "paused")
ENDED = ("done", "stopped", "failed", "lost")
STARTING = 120.0  # seconds that a process may take before it holds its run's lock
LOCK = "lock"  # in a run's folder, held by the process that trains there; beside the folders, by who starts a training
WAITING = 10.0  # seconds for another start to end
LOST = 600.0  # seconds after which a run that says nothing is lost although some process has its number
TRAIN = ("-m", "genrestore.training")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

# Started here; an ended one stays visible to the system until it is asked.
_children: list["subprocess.Popen[bytes]"] = []


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

    @classmethod
    def read(cls, said: object) -> "Status | None":
        """What a status.json holds; nothing where it is none. Fields that later versions add are left out."""
        if not isinstance(said, dict) or said.get("state") not in (*LIVE, *ENDED):
            return None
        values: dict[str, Any] = {"state": said["state"]}
        for field in dataclasses.fields(cls)[1:]:
            value, usual = said.get(field.name, field.default), field.default
            fitting = isinstance(value, str) if isinstance(usual, str) else number(value) is not None
            values[field.name] = (type(usual)(value) if fitting else usual) if value is not usual else usual
        return cls(**values)

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
        status = Status.read(_json(self.folder / "status.json"))
        if status is None:
            resumable = (self.folder / "checkpoint.pt").exists()
            return Status("stopped" if resumable else "lost")
        if status.live and not self._alive(status):
            if status.state == "preparing" and (words := self._last_words()):
                return dataclasses.replace(status, state="failed", message=words)
            message = "The process ended without a word; resume goes on from the last checkpoint."
            return dataclasses.replace(status, state="lost", message=message)
        return status

    def _alive(self, status: Status) -> bool:
        """Whether the process that wrote the status may still be at work."""
        age = time.time() - status.beat
        if status.host != socket.gethostname():
            return age < LOST  # on another machine, only its beat tells
        if any(child.poll() is not None and child.pid == status.pid for child in _children):
            return False
        if status.pid == os.getpid():
            return age < LOST
        return locks.held(self.folder / LOCK) or (
            status.state == "preparing" and _exists(status.pid) and age < STARTING
        )

    @contextmanager
    def alone(self, resume: bool) -> Generator[None, None, None]:
        """Be the only one, in all processes, who trains in this folder; it is made, and removed if nothing came into it.

        Args:
            resume: there must be a folder.

        Raises:
            TrainingError: another one trains there, or the folder cannot be made.
        """
        made = not self.folder.exists()
        if made and resume:
            yield  # there is nothing to go on from, which whoever looks will say
            return
        status = self.status()
        busy = f"{self.folder} is being trained already{{}}; stop that first."
        if not made and status.live and status.pid != os.getpid():
            raise TrainingError(busy.format(f", by process {status.pid}"))
        lock = Lock(self.folder / LOCK)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            mine = lock.take(PATIENCE)
        except OSError as problem:
            raise TrainingError(
                f"{self.folder} cannot be written ({problem.strerror}); mend that, or name another folder."
            ) from problem
        if not mine:
            raise TrainingError(busy.format(""))
        try:
            yield
        finally:
            if made and [path.name for path in self.folder.iterdir()] == [LOCK]:
                shutil.rmtree(self.folder, ignore_errors=True)
            lock.leave()

    def _last_words(self) -> str:
        """The last line that its process printed, if the page started it: why it refused to begin."""
        try:
            lines = (self.folder / "output.txt").read_text("utf-8", "replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""

    def tell(self, status: Status, pid: int | None = None) -> None:
        """Say what the run is doing; its own process does, or the one that has just started it as `pid`."""
        signed = dataclasses.replace(status, pid=pid or os.getpid(), host=socket.gethostname(), beat=time.time())
        replace(self.folder / "status.json", strict(dataclasses.asdict(signed)))

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
        except OSError:
            return [], 0, 0
        lines: list[dict[str, Any]] = []
        for line in text.split(b"\n"):
            with suppress(ValueError, RecursionError):  # torn by a crash, or no line of ours
                said = json.loads(line)
                if isinstance(said, dict) and number(said.get("step")) is not None:
                    lines.append(said)
        return lines, start, start + len(text) + len(end)

    def recipe(self) -> tuple[TrainRecipe, str]:
        """What was asked, and where the data lie.

        Raises:
            TrainingError: the folder does not say.
        """
        path = self.folder / "recipe.json"
        if not path.exists():
            raise TrainingError(
                f"{self.folder} holds no recipe.json; begin the run again, or resume it with its preset's name."
            )
        recipe, data = read_recipe(path)
        if data is None:
            raise TrainingError(f"{path} does not say where the pictures lie; name them with --data.")
        return recipe, data

    def samples(self) -> list[tuple[int, Path]]:
        """(step, picture) of what it drew, oldest first."""
        return sorted((int(path.stem), path) for path in self.folder.glob("samples/*.webp") if path.stem.isdigit())

    def nearest(self) -> dict[str, Any] | None:
        """The last report on memorisation ("step", "score", "n"), or None; its picture is nearest.webp."""
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
            word = (self.folder / "control").read_text("utf-8").strip()
        except (OSError, ValueError):
            return "go"
        return word if word in ("pause", "stop") else "go"


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
    begun: list[tuple[float, Path]] = []
    for path in (home() / "runs").glob("*/recipe.json"):
        with suppress(OSError):  # deleted meanwhile
            begun.append((-path.stat().st_mtime, path.parent))
    return [Run(path) for _, path in sorted(begun)]


def start(name: str, recipe: TrainRecipe, data: str, *, resume: bool = False) -> Run:
    """Train in a process of its own, which goes on when the page and its server are closed.

    Args:
        name: of the run and of the model that it makes.
        data: where the pictures lie, as `genrestore.data.dataset.read` takes it; kept for `resume`.
        resume: go on with the run of that name.

    Raises:
        TrainingError: the name is not free, or another run is training here.
    """
    run = Run(place(name))
    with _starting():
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
        # until it speaks, seconds later
        run.tell(Status("preparing", steps=recipe.steps, message="Starting"), child.pid)
    return run


def estimate(recipe: TrainRecipe, data: str, cancel: threading.Event | None = None) -> Estimate:
    """How long such a run will take: a process of its own trains a few steps, and keeps nothing of them.

    Args:
        data: where the pictures lie, as `genrestore.data.dataset.read` takes it.
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
                stop_if(cancel, "Cancelled; nothing was trained.")
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
    with _starting():
        _check_alone(run)
        run.ask("go")


@contextmanager
def _starting() -> Generator[None, None, None]:
    """One start after the other, in all processes: each sees what the one before it has begun.

    Raises:
        TrainingError: the others take too long.
    """
    with locks.alone(home() / "runs" / f".{LOCK}", WAITING) as mine:
        if not mine:
            raise TrainingError("Another training is just being started; try again in a moment.")
        yield


def _check_alone(run: Run) -> None:
    for other in every():
        state = other.status().state
        woken = state == "paused" and other.asked() == "go"  # it has not heard yet
        if other != run and (state in ("preparing", "training") or woken):
            raise TrainingError(
                f"{other.name} is being trained; pause or stop it first, for two would share the cores."
            )


def asked(run: Run, recipe: TrainRecipe, data: str) -> None:
    """Write down what was asked.

    Raises:
        TrainingError: a number of the recipe is infinite or none.
    """
    wanted = recipe.to_json()
    for name, value in wanted.items():
        if isinstance(value, float) and number(value) is None:
            raise TrainingError(f"{name} must be a finite number, not {value}.")
    replace(run.folder / "recipe.json", json.dumps({"recipe": wanted, "data": data}, indent=2, allow_nan=False))


def read_recipe(path: Path) -> tuple[TrainRecipe, str | None]:
    """A recipe in a JSON file, alone or as a run writes it, and where the pictures lie if it says so.

    Raises:
        TrainingError: there is no such file, or it is no recipe.
    """
    if not path.is_file():
        folder = path.is_dir()
        hint = f"name a file in it, such as {path / 'recipe.json'}" if folder else "check the name"
        raise TrainingError(f"{path} is a folder; {hint}." if folder else f"There is no file {path}; {hint}.")
    try:
        said = json.loads(path.read_text("utf-8"))
        recipe = TrainRecipe.from_json(said.get("recipe", said))
        data = said.get("data") if "recipe" in said else None
    except TrainingError as problem:
        raise TrainingError(f"{path}: {problem}") from None
    except (OSError, ValueError, AttributeError, TypeError, KeyError, OverflowError, RecursionError) as problem:
        reason = sources.shortened(str(problem)).rstrip(".")
        raise TrainingError(f"{path} is not a recipe ({reason}); take the recipe.json of a run.") from problem
    return recipe, data if isinstance(data, str) and data else None


def strict(value: Any) -> str:
    """One line of JSON as every reader takes it: null for numbers that are none or infinite."""
    return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in cast("list[Any]", value)]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _json(path: Path) -> dict[str, Any] | None:
    """The object in a file, else nothing."""
    try:
        said = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", said) if isinstance(said, dict) else None


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
