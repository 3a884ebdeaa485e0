"""What this computer gives the process: processors, memory that goes back, and which backend was measured to be the best here."""

import contextlib
import ctypes
import hashlib
import json
import logging
import math
import os
import platform
import sys
import threading
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from genrestore.paths import home, replace

log = logging.getLogger(__name__)

ARENAS = 2  # heaps of the C library; of eight a core, its usual bound, each keeps what its threads freed
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of glibc's mallopt
LARGEST_KEPT = 32 << 20  # bytes of what is freed and kept; glibc takes no more
KEPT = 200  # measured nets that are remembered: each checkpoint of a training is another one

# --- processors ------------------------------------------------------------------------------------------------------


def cores() -> int:
    """Processors that this process may keep busy: those it may run on, or fewer where a container has a quota of time."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(there, quota())))


def quota(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float:
    """Processors' worth of time that the control groups of this process leave it, in either version; infinity without a limit."""
    groups: list[tuple[Path, str]] = []  # where a hierarchy is mounted, and this process's place in it
    with contextlib.suppress(OSError, ValueError):
        for line in own.read_text("utf-8").splitlines():
            _, controllers, place = line.split(":", 2)
            if not controllers:
                groups.append((root, place))
            elif "cpu" in controllers.split(","):
                groups += [(root / controllers, place), (root / "cpu", place)]
    most = math.inf
    for mount, place in [*groups, (root, "/"), (root / "cpu", "/")]:
        folder = mount / place.strip("/")
        for level in [folder, *folder.parents]:  # a limit further up holds too
            if not level.is_relative_to(mount):
                break
            most = min(most, _limit(level))
    return most


def _limit(group: Path) -> float:
    with contextlib.suppress(OSError, ValueError):  # "max" is no number and no limit
        given, period = (float(word) for word in (group / "cpu.max").read_text("ascii").split())
        if given > 0 and period > 0:
            return given / period
    with contextlib.suppress(OSError, ValueError):
        given = float((group / "cpu.cfs_quota_us").read_text("ascii"))
        period = float((group / "cpu.cfs_period_us").read_text("ascii"))
        if given > 0 and period > 0:  # -1 is no limit
            return given / period
    return math.inf


# --- memory ----------------------------------------------------------------------------------------------------------


def _libc() -> Any:
    return ctypes.CDLL(None) if sys.platform == "linux" else None


def bound_arenas() -> None:
    """Let threads share few heaps, where the C library is glibc: what one freed the next can use. For the process's start."""
    with contextlib.suppress(AttributeError, OSError):
        _libc().mallopt(M_ARENA_MAX, ARENAS)


def keep_heap() -> None:
    """Let the C library keep what is freed, where it is glibc: for training, which takes the same again in the next step.

    By default every activation above 128 KB is asked from and given back to the system, which fills fresh pages with zeros
    each time: a step of DCGAN took a quarter longer.
    """
    with contextlib.suppress(AttributeError, OSError):
        libc = _libc()
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def free() -> float:
    """Bytes of memory that can still be taken of the system and of this process's control group; infinity if nobody tells."""
    there = math.inf
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        there = 1024.0 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable")))
    for most, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with contextlib.suppress(OSError, ValueError):  # "max", or no control groups
            group = Path("/sys/fs/cgroup")
            there = min(there, float(int((group / most).read_text("ascii")) - int((group / used).read_text("ascii"))))
    return there


def trim() -> None:
    """Give freed memory back to the system, where the C library is glibc."""
    with contextlib.suppress(AttributeError, OSError):
        _libc().malloc_trim(0)


# --- what was measured here ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """Which backend a net runs on here, and why."""

    backend: str
    speeds: dict[str, float]  # pixels a second that the heavy part takes in, of every backend that was tried
    difference: float  # largest to float32 of PyTorch, in levels of 255


@lru_cache(maxsize=1)
def _processor() -> str:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
        flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
        # virtual machines give one name to processors that can do different things
        return f"{name or platform.machine()} ({hashlib.sha256(flags.encode()).hexdigest()[:8]})"
    return platform.processor() or platform.machine()


def title() -> str:
    """The processor, its share, and the versions of what computes: a measured choice holds while all are the same."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    threads = min(cores(), int(wanted)) if wanted.isdecimal() and int(wanted) else cores()
    versions: list[str] = []
    for package in ("torch", "openvino"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions.append(f"{package} {metadata.version(package)}")
    return ", ".join([_processor(), f"{threads} threads", *versions])


_lock = threading.Lock()
_known: dict[tuple[str, str], Choice] = {}  # (home, sha256) → of this process, should the file not be writable


def _file() -> Path:
    return home() / "backends.json"


def recall(sha256: str) -> Choice | None:
    """What was measured on this machine, by these versions, for the weight of that sha256."""
    with _lock:
        if (own := _known.get((str(home()), sha256))) is not None:
            return own
        choice = _choice(_read().get(title(), {}).get(sha256))
        if choice is not None:
            _known[str(home()), sha256] = choice
        return choice


def remember(sha256: str, choice: Choice) -> None:
    """Keep a choice for this process, and for later ones where the user's folder can be written."""
    with _lock:
        _known[str(home()), sha256] = choice
        everything = _read()
        mine = everything.setdefault(title(), {})
        mine.pop(sha256, None)
        mine[sha256] = asdict(choice)  # last, as the newest
        for old in list(mine)[:-KEPT]:
            del mine[old]
        try:
            _file().parent.mkdir(parents=True, exist_ok=True)
            replace(_file(), json.dumps(everything, indent=1) + "\n")
        except OSError as problem:
            log.info("%s cannot be written (%s); the next start measures again.", _file(), problem)


def _read() -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(_file().read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {machine: nets for machine, nets in found.items() if isinstance(nets, dict)}


def _choice(found: Any) -> Choice | None:
    """A remembered choice, unless somebody else has written there."""
    with contextlib.suppress(TypeError, ValueError, KeyError, AttributeError):
        speeds = {str(way): float(speed) for way, speed in found["speeds"].items()}
        difference = float(found["difference"])
        if isinstance(found["backend"], str) and math.isfinite(difference):
            return Choice(found["backend"], speeds, difference)
    return None
