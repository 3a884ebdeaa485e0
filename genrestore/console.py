"""How a command speaks, shows how far it is, and ends: any character on any terminal, one sentence for what a person can mend."""

import codecs
import io
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from genrestore.errors import Cancelled, GenrestoreError

FAILED, BAD_INPUT, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141  # exit codes; the last two as shells give them
PLAIN = {
    "→": "->", "←": "<-", "×": "x", "±": "+/-", "…": "...", "–": "-", "—": "-", "−": "-", "·": "*",
    "“": '"', "”": '"', "‘": "'", "’": "'", "²": "2", "³": "3", "≤": "<=", "≥": ">=", "\N{NO-BREAK SPACE}": " ",
}  # fmt: skip


def _plain(problem: UnicodeError) -> tuple[str | bytes, int]:
    """What a terminal's encoding lacks, in its next best letters; a byte of a file name that is no text, as it is."""
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    letter = problem.object[problem.start]
    if "\udc80" <= letter <= "\udcff":
        return letter.encode("ascii", "surrogateescape"), problem.start + 1
    return PLAIN.get(letter, "?"), problem.start + 1


codecs.register_error("genrestore", _plain)


def speak() -> None:
    """Let nothing that is printed fail for the encoding of the terminal, file or pipe behind stdout and stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="genrestore")


def bar(total: float, **look: Any) -> Any:
    """A progress bar of tqdm's with that look; where stderr is no terminal, one that shows nothing."""
    from tqdm import tqdm

    return tqdm(total=total, disable=None, dynamic_ncols=True, **look)


def starved(problem: BaseException) -> bool:
    """Whether a failure is one of too little memory, which PyTorch tells among its words."""
    text = str(problem)
    told = isinstance(problem, RuntimeError) and ("allocate memory" in text or "out of memory" in text)
    return isinstance(problem, MemoryError) or told


def sentence(problem: BaseException) -> str | None:
    """What to tell the user of a failure; None where it is a fault of the program, which keeps its traceback."""
    if isinstance(problem, GenrestoreError):  # which may quote a stranger, whose letters must not steer the terminal
        return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in str(problem))
    if starved(problem):
        return "There is too little memory for this; close other programs, or take something smaller."
    if isinstance(problem, OSError):
        name = f"{str(problem.filename)[-80:]}: " if problem.filename else ""
        reason = (problem.strerror or " ".join(str(problem).split()) or type(problem).__name__).rstrip(".")
        return f"{name}{reason}; check the name, your rights and the space on the disk."
    return None


def run(command: Callable[[], int | None]) -> NoReturn:
    """Do what a command does and end the process: 0 or the code it returns, 2 on bad input, 130 after Ctrl-C."""
    speak()
    try:
        code = command() or 0
        sys.stdout.flush()
    except (KeyboardInterrupt, Cancelled):
        code = INTERRUPTED
    except BrokenPipeError:  # `genrestore models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python's last flush would complain
        code = BROKEN_PIPE
    except Exception as problem:
        told = sentence(problem)
        if told is None:
            raise
        print(told, file=sys.stderr)
        code = BAD_INPUT
    if code == INTERRUPTED:
        print("Cancelled", file=sys.stderr)
    sys.exit(code)
