"""Where visitors' files lie, and how they get there: a folder for this server alone, gone when the server ends.

Gradio keeps uploads and results in one folder of the temporary directory, which may belong to somebody else, is
readable to all, and outlives a server that was killed. Its own upload route keeps a field without a file name in memory
and leaves half a file behind when the connection breaks or the disk is full; `receive` takes its place.
"""

import asyncio
import atexit
import errno
import os
import secrets
import shutil
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

import anyio.to_thread
import gradio as gr
from filelock import FileLock, Timeout
from gradio import utils
from gradio_client.utils import strip_invalid_filename_characters
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from genrestore.errors import SettingError
from genrestore.ui.server import visitors
from genrestore.ui.words import Words

VARIABLE = "GRADIO_TEMP_DIR"  # tells Gradio where uploads and results lie
PREFIX = "genrestore-page-"
LOCK = "in-use"
YOUNG = 60.0  # seconds in which a folder may still get its lock
ALIAS = "@genrestore/"  # stands for the folders of the server in what the page and its clients are told
FILES = f"{ALIAS}files"  # for the one in which uploads and results lie
FREE = 64 * 2**20  # bytes of the disk that an upload leaves free
FIELD_BYTES = 64 * 2**10  # of multipart headers and fields beside the file
PIECE = 2**20  # bytes written at a time

FULL = (errno.ENOSPC, errno.EDQUOT)

W = Words("uploads")


class Folder:
    """A folder in the temporary directory that nobody else can enter, for as long as this process holds its lock."""

    def __init__(self) -> None:
        """Make the folder, and remove those of servers that were killed.

        Raises:
            SettingError: nothing can be written there.
        """
        self.before = os.environ.get(VARIABLE)
        parent = Path(self.before or tempfile.gettempdir())
        if parent.name.startswith(PREFIX):  # of another page of this process
            parent = parent.parent
        try:
            parent.mkdir(parents=True, exist_ok=True)
            sweep(parent)
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent)).resolve()  # mode 700
            self.lock = FileLock(self.path / LOCK)
            self.lock.acquire(timeout=0)
        except OSError as problem:
            full = problem.errno in FULL
            why = "its disk is full" if full else problem.strerror or str(problem)
            raise SettingError(
                f"Uploads cannot be kept in {parent} ({why}); name another folder in {VARIABLE}."
            ) from problem
        os.environ[VARIABLE] = str(self.path)
        atexit.register(self.close)  # for a program that ends without a word to its page

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        atexit.unregister(self.close)
        self.lock.release()
        shutil.rmtree(self.path, ignore_errors=True)
        if os.environ.get(VARIABLE) == str(self.path):
            if self.before is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = self.before


def sweep(parent: Path) -> None:
    """Remove the folders in `parent` that a server of this user left behind. One that lives holds its lock."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            facts = folder.lstat()
            if folder.is_symlink() or (hasattr(os, "getuid") and facts.st_uid != os.getuid()):
                continue
            if not (folder / LOCK).exists() and time.time() - facts.st_mtime < YOUNG:
                continue
            lock = FileLock(folder / LOCK)
            with suppress(Timeout):
                lock.acquire(timeout=0)
                lock.release()
                shutil.rmtree(folder, ignore_errors=True)


def folder() -> Path:
    """Where uploads and results lie."""
    return Path(utils.get_upload_folder()).resolve()


def alias_of(path: Path, within: Path | None = None) -> str:
    """What whoever asks is told of the path of an upload or a result; they lie in `folder()` if not `within` another."""
    return f"{FILES}/{path.relative_to(within or folder()).as_posix()}"


def is_here(path: str | Path) -> bool:
    """Whether a path leads to what visitors sent or got, or to what the page itself offers."""
    try:
        found = Path(path).resolve()
    except (OSError, ValueError):  # such as of a name with a zero byte
        return False
    return found.is_relative_to(folder()) or bool(utils.is_static_file(found))


class Uploads:
    """The route that takes files for one page.

    Args:
        page: what is told of each file, so that its handlers may read it.
        folder: where files are written, each in a folder of its own whose name cannot be guessed.
        limit: bytes of one file.
        kept: bytes that one visitor's files may come to on the disk; the oldest make room for a new one.
    """

    def __init__(self, page: gr.Blocks, folder: Path, limit: int, kept: int) -> None:
        self.page = page
        self.folder = folder
        self.limit = limit
        self.kept = kept
        self.files: defaultdict[str, deque[tuple[Path, int]]] = defaultdict(deque)

    async def receive(self, request: Request) -> Response:
        """Take the one file of a multipart form; answers a list with what its path is called, as Gradio's route does."""
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        if kind != b"multipart/form-data" or b"boundary" not in options:
            return self._refusal(request, 415, "Send the file as multipart/form-data.")
        declared = request.headers.get("content-length", "0")
        length = int(declared) if declared.isdecimal() and len(declared) < 20 else 0
        if length > self.limit + FIELD_BYTES:
            return self._refusal(request, 413, "too_large")
        if shutil.disk_usage(self.folder).free < length + FREE:
            return self._refusal(request, 507, "disk_full")
        place = self.folder / secrets.token_hex(16)
        part = Part(place)
        try:
            await self._read(request, options[b"boundary"], part)
            path = await anyio.to_thread.run_sync(part.finish)
        except _TooLargeError:
            answer = self._refusal(request, 413, "too_large")
        except TimeoutError:
            answer = self._refusal(request, 408, "late")
        except (MultipartParseError, ValueError) as problem:
            answer = self._refusal(request, 400, str(problem) or "The form cannot be read; send one file.")
        except OSError as problem:
            if problem.errno not in FULL:
                raise
            answer = self._refusal(request, 507, "disk_full")
        except ClientDisconnect:
            answer = Response(status_code=400)
        else:
            self._remember(request.scope.get("genrestore.visitor", ""), path, part.size)
            return JSONResponse([alias_of(path, self.folder)])
        finally:
            if part.file is not None:  # not finished
                with suppress(OSError):  # what is still buffered finds no room either
                    part.file.close()
                shutil.rmtree(place, ignore_errors=True)
        return answer

    async def _read(self, request: Request, boundary: bytes, part: "Part") -> None:
        """Write the file as it comes, a PIECE at a time, in threads."""
        parser = MultipartParser(boundary, part.callbacks())  # pyright: ignore[reportArgumentType]
        total = 0
        stream = aiter(request.stream())
        while (chunk := await asyncio.wait_for(anext(stream, None), visitors.SILENCE)) is not None:
            total += len(chunk)
            parser.write(chunk)
            if part.size > self.limit or total > self.limit + FIELD_BYTES:
                raise _TooLargeError
            if len(part.waiting) >= PIECE:
                await anyio.to_thread.run_sync(part.write)
        parser.finalize()
        await anyio.to_thread.run_sync(part.write)

    def _remember(self, visitor: str, path: Path, size: int) -> None:
        """Tell the page of a new file, and make room for it among those of its visitor."""
        self.page.upload_file_set.add(str(path))
        files = self.files[visitor]
        files.append((path, size))
        while len(files) > 1 and sum(size for _, size in files) > self.kept:
            oldest, _ = files.popleft()
            self.page.upload_file_set.discard(str(oldest))
            shutil.rmtree(oldest.parent, ignore_errors=True)

    def forget_lost(self) -> None:
        """Drop from memory the files that Gradio has deleted for their age."""
        for visitor, files in list(self.files.items()):
            left = deque(entry for entry in files if entry[0].exists())
            for path, _ in files:
                if not path.exists():
                    with suppress(OSError):
                        path.parent.rmdir()
            if left:
                self.files[visitor] = left
            else:
                del self.files[visitor]

    def _refusal(self, request: Request, status: int, said: str) -> Response:
        """A word of W, or a sentence, as plain text, which is what Gradio's page hands on of a failed upload."""
        asking = cast("gr.Request", request)
        sentence = W.text(said, asking, limit=self.limit // 2**20) if said in W else said
        return PlainTextResponse(sentence, status_code=status, headers={"connection": "close"})


class Part:
    """The file of a multipart form while it is read; anything else in the form is an error."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.file: BinaryIO | None = None
        self.name = ""
        self.size = 0
        self.whole = False
        self.waiting = bytearray()  # read and not yet written
        self.field = b""
        self.value = b""

    def callbacks(self) -> dict[str, Callable[..., Any]]:
        """For python_multipart."""
        return {
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._begin,
            "on_part_data": self._data,
            "on_part_end": self._end,
        }

    def write(self) -> None:
        """Bring what is waiting to the disk."""
        if self.file is None:
            return
        self.file.write(self.waiting)
        self.waiting.clear()

    def finish(self) -> Path:
        """Where the whole file lies.

        Raises:
            ValueError: there was none, or its end is missing.
        """
        if self.file is None or not self.whole:
            raise ValueError("The form holds no whole file.")
        self.file.close()
        self.file = None
        return self.place / self.name

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self.field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self.value += data[start:end]

    def _header_end(self) -> None:
        if self.field.lower() == b"content-disposition":
            _, options = parse_options_header(self.value)
            self.name = options.get(b"filename", b"").decode("utf-8", "replace")
        self.field = self.value = b""

    def _begin(self) -> None:
        if self.file is not None or not self.name:
            raise ValueError("Send one file, and nothing else, in the form.")
        name = strip_invalid_filename_characters(Path(self.name.replace("\\", "/")).name).strip(". ")
        self.name = name or "file"
        self.place.mkdir(mode=0o700)
        self.file = (self.place / self.name).open("xb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        self.waiting += data[start:end]
        self.size += end - start

    def _end(self) -> None:
        self.whole = True


class _TooLargeError(Exception):
    pass
