"""Damage to files, by seed, and what a reader makes of it, in processes of their own whose memory is poisoned and bounded.

reader: "test_fuzz_pictures:read", a function of a path that returns bytes, the same for the same file, or raises GenrestoreError
files → outcomes(reader, files) → "right <hash>", "said <sentence>", or "broke <traceback>" for each file
"""

import contextlib
import ctypes
import hashlib
import importlib
import json
import os
import random
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from genrestore.errors import GenrestoreError

ROOT = Path(__file__).parents[1]
SECONDS = 20.0  # a file may take
MEMORY = 1 << 30  # bytes a file may take
POISONS = (85, 170)  # glibc fills memory with these bytes as it is asked for and given back
M_PERTURB = -6  # what that is called in its `mallopt`


def mutated(content: bytes, seed: int) -> bytes:
    """`content` with one to eight faults: bits turned, bytes replaced, a part cut out, doubled or set, the end gone."""
    rng = random.Random(seed)
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        if not damaged:
            break
        place = rng.randrange(min(len(damaged), rng.choice((64, 512, len(damaged)))))
        length = rng.choice((1, 2, 4, 16, 64))
        match rng.randrange(6):
            case 0:
                damaged[place] ^= 1 << rng.randrange(8)
            case 1:
                damaged[place : place + length] = rng.randbytes(length)
            case 2:
                del damaged[place : place + length]
            case 3:
                damaged[place:place] = damaged[place : place + length]
            case 4:
                damaged[place : place + length] = bytes([rng.choice((0, 0x7F, 0xFF))]) * length
            case _:
                del damaged[max(1, place) :]
    return bytes(damaged)


def outcomes(reader: str, files: list[Path]) -> list[str]:
    """What the reader makes of each file; "broke …" also where two readings differ, or one takes too much time or memory."""
    done = subprocess.run(
        [sys.executable, __file__, reader, *map(str, files)],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONHASHSEED": "0",
        },  # this checkout's code, whichever is installed
        capture_output=True,
        text=True,
        timeout=2 * (60 + SECONDS * len(files)),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = json.loads(done.stdout.splitlines()[-1])
    return [
        one if one == other or one.startswith("broke") else f"broke: read twice, {one!r} and {other!r}"
        for one, other in zip(first, second, strict=True)
    ]


def _read(read: Callable[[Path], bytes], files: list[Path], poison: int) -> list[str]:
    """In a process that is forked from this one, which has imported what a reader needs."""
    found: list[str] = []
    while len(found) < len(files):  # a reader that kills its process is asked for the files behind
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            with os.fdopen(theirs, "w") as out:
                try:
                    _poison_and_bound(poison)
                    for path in files[len(found) :]:
                        print(json.dumps(_judge(read, path)), file=out, flush=True)
                finally:
                    os._exit(0)
        os.close(theirs)
        with os.fdopen(ours) as told:
            found += [json.loads(line) for line in told]
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if len(found) < len(files):
            found.append(f"broke: the process ended with {ended}")
    return found


def _poison_and_bound(poison: int) -> None:
    with contextlib.suppress(AttributeError):  # not glibc
        ctypes.CDLL(None).mallopt(M_PERTURB, poison)
    with open("/proc/self/statm", encoding="ascii") as statm:
        here = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (here + MEMORY, here + MEMORY))


def _judge(read: Callable[[Path], bytes], path: Path) -> str:
    begun = time.monotonic()
    try:
        outcome = f"right {hashlib.sha256(read(path)).hexdigest()}"
    except GenrestoreError as problem:
        sentence = str(problem)
        outcome = f"said {sentence}" if sentence and "\n" not in sentence else f"broke: not one sentence: {sentence!r}"
    except BaseException:
        outcome = f"broke: {traceback.format_exc()}"
    seconds = time.monotonic() - begun
    return outcome if seconds < SECONDS else f"broke: {seconds:.0f} s for {path.name}"


def main() -> None:
    reader, *files = sys.argv[1:]
    module, _, name = reader.partition(":")
    sys.path.insert(0, str(Path(__file__).parent))
    read = getattr(importlib.import_module(module), name)
    print(json.dumps([_read(read, [Path(file) for file in files], poison) for poison in POISONS]))


if __name__ == "__main__":
    main()
