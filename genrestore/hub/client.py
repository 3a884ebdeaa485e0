"""The Hub's own client: how it is asked, and its failures as one sentence each.

It is imported only where the Hub is meant, and reads HF_HOME, HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and the proxies by itself.
"""

import errno
import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from genrestore.errors import Cancelled, GenrestoreError, ModelError
from genrestore.references import SCHEME, Reference

PROBE = 6.0  # seconds in which the Hub must answer the first question; the client's own downloads try for 23
PIECE = (
    1 << 20
)  # bytes between two words on progress, and looks at `cancel`; the client's own 10 MB are most of our nets

# Read by the client as it is imported: nobody is told that this package was used.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_UPDATE_CHECK", "1")


class Unreachable(ModelError):
    """The Hub did not answer, or was not to be asked."""

    @property
    def reason(self) -> str:
        """What hindered it, without what follows from that and what to do."""
        return str(self).rpartition("; ")[0].partition(f", and {SCHEME}")[0]


def api() -> Any:
    """The client, at the Hub that HF_ENDPOINT names."""
    from huggingface_hub import HfApi

    return HfApi()


def check_signed_in() -> None:
    """Raises:
    ModelError: there is no token by which the Hub knows who writes.
    """
    from huggingface_hub import get_token

    if not get_token():
        raise ModelError(
            "The Hub must know who you are: set HF_TOKEN to a token that may write, or run `hf auth login`."
        )


def endpoint() -> str:
    """The address of the Hub, as people may read it: without the password of a mirror."""
    from huggingface_hub import constants

    scheme, slashes, rest = constants.ENDPOINT.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"


@contextmanager
def told(wanted: Reference, *, writing: bool = False) -> Generator[None, None, None]:
    """Turn what the client raises in the block into one sentence about what was asked of it.

    Raises:
        Unreachable: the Hub did not answer, or HF_HUB_OFFLINE says that it is not to be asked.
        ModelError: anything else.
    """
    from huggingface_hub.utils import logging

    usual = logging.get_verbosity()
    logging.set_verbosity_error()  # it tells of each retry, with addresses
    try:
        yield
    except GenrestoreError:
        raise
    except Exception as problem:  # a stranger's server may answer anything, and the client trusts what it is told
        raise sentence(problem, wanted, writing=writing) from problem
    finally:
        logging.set_verbosity(usual)


def sentence(problem: Exception, wanted: Reference, *, writing: bool = False) -> ModelError:
    """What to say of a failure of the client, or of the disk, at what was wanted."""
    from huggingface_hub import errors

    repository = wanted.repository
    if isinstance(problem, errors.GatedRepoError):  # one that does not exist, to the client, so it comes first
        page = f"{endpoint()}/{repository}"
        return ModelError(f"{repository} is gated: ask its owner on {page}, then set HF_TOKEN to a token of yours.")
    if isinstance(problem, errors.RepositoryNotFoundError):
        if writing:
            return ModelError(
                f"The Hub does not let you write to {repository}; check the name, and that HF_TOKEN may write."
            )
        return ModelError(
            f"There is no repository {repository} on the Hub, or it is private; check it, or set HF_TOKEN."
        )
    if isinstance(problem, errors.RevisionNotFoundError):
        return ModelError(
            f"{repository} has no revision {wanted.revision or 'main'!r}; leave it out to take the newest."
        )
    if isinstance(problem, errors.OfflineModeIsEnabled):
        if writing:
            return Unreachable("HF_HUB_OFFLINE is set; unset it to ask the Hub.")
        return Unreachable(f"HF_HUB_OFFLINE is set, and {wanted} is not on this computer; unset it to ask the Hub.")
    if isinstance(problem, errors.LocalEntryNotFoundError):
        return Unreachable(f"The Hub does not answer, and {wanted} is not on this computer; try again later.")
    if isinstance(problem, errors.EntryNotFoundError):
        return ModelError(
            f"{repository} has no file {wanted.file}; `genrestore models show {wanted}` tells what it has."
        )
    if isinstance(problem, errors.HfHubHTTPError):
        status = problem.response.status_code
        if status in (401, 403):
            return ModelError(
                f"The Hub does not let you do that with {repository} ({status}); set HF_TOKEN to a token that may."
            )
        reason = problem.server_message or problem.response.reason_phrase
        if status >= 500:
            return Unreachable(f"The Hub at {endpoint()} does not answer ({status} {_short(reason)}); try again later.")
        return ModelError(f"The Hub refused {repository} ({status} {_short(reason)}); try again later.")
    if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ModelError(f"The disk is full, so nothing of {wanted} was kept; free some space and try again.")
    if isinstance(problem, OSError) and problem.filename is not None:
        name = str(problem.filename)[-80:]
        return ModelError(f"{name}: {problem.strerror}; nothing of {wanted} was kept.")
    if isinstance(problem, ConnectionError | TimeoutError | errors.HTTPError):  # of whatever it speaks HTTP through
        return Unreachable(f"The Hub at {endpoint()} does not answer ({_short(problem)}); see to the network.")
    if isinstance(problem, OSError):
        return ModelError(f"What came of {wanted} was cut short ({_short(problem)}); nothing was kept, try again.")
    return ModelError(f"The Hub's answer to {wanted} makes no sense ({_short(problem)}).")


def _short(reason: object) -> str:
    text = " ".join(str(reason).split())[:120].rstrip(".")
    return text or type(reason).__name__


def counter(arrived: Callable[[int], None], cancel: threading.Event | None) -> type[Any]:
    """What the client takes for its bar: it counts bytes, shows nothing, and ends the download once `cancel` is set."""
    from tqdm import tqdm

    bar: Any = tqdm

    class Counter(bar):
        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*args, **(options | {"disable": True}))

        def update(self, n: float | None = 1) -> bool | None:
            if cancel is not None and cancel.is_set():
                raise Cancelled("Cancelled; nothing was kept.")
            arrived(int(n or 0))
            return None

        # of one transfer the client tells twice, as sent and as written
        def update_transfer(self, n: float | None = 1) -> None: ...

        def set_transfer_postfix_str(self, *args: Any, **options: Any) -> None: ...

    return Counter


def at_most(limit: int, what: str) -> Callable[[int], None]:
    """For `counter`: ends a download that brings more bytes.

    Raises:
        ModelError: it does, when it is called.
    """
    done = 0

    def arrived(count: int) -> None:
        nonlocal done
        done += count
        if done > limit:
            raise ModelError(f"{what} is larger than {limit >> 20} MB; it was not read.")

    return arrived


@contextmanager
def small_pieces() -> Generator[None, None, None]:
    """Within the block the client tells of its downloads every PIECE bytes."""
    from huggingface_hub import constants

    usual = constants.DOWNLOAD_CHUNK_SIZE
    constants.DOWNLOAD_CHUNK_SIZE = PIECE
    try:
        yield
    finally:
        constants.DOWNLOAD_CHUNK_SIZE = usual
