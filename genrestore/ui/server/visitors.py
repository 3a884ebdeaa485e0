"""Who asks, and how much of the server one visitor may hold at a time. Every limit of the page for visitors stands here."""

import asyncio
import ipaddress
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from starlette.datastructures import Headers
from starlette.types import Scope

from genrestore.pictures import image

# Bodies, in bytes. The largest that the page sends without a mask are 32 states of the Sample tab, all held by hand.
JSON_BYTES = 2 * 2**20
TOOL_BYTES = 4 * 2**20  # the call of an agent's tool, in which a small picture may stand
FREE_BYTES = 64 * 2**10  # a body up to this is read whoever else sends one
VALUES = 200_000  # of one JSON body: 100 bytes each once parsed, so 20 MB and 0.1 s; a mask is one value
ALL_BODIES, VISITOR_BODIES = 128 * 2**20, 64 * 2**20  # that are being read or answered at once
SILENCE = 30.0  # seconds without a byte after which an upload is given up; JSON gets these and its size at SLOWEST
SLOWEST = 50_000  # bytes a second
LINGER, LINGER_BYTES = (
    2.0,
    32 * 2**20,
)  # seconds and bytes that a refused request may go on sending before it is answered

# Requests at once.
VISITOR_REQUESTS = 250  # a browser holds about six for each page that is open
ALL_QUESTIONS, VISITOR_QUESTIONS = 24, 12  # questions of the page's own JavaScript that are being answered
ALL_UPLOADS, VISITOR_UPLOADS = 128, 32
PATIENCE = 20.0  # seconds that a request waits for its turn before it is told that the server is busy

# Queue and sessions.
WAITING = 32  # visitors in the queue before the next one is told that it is full
VISITOR_WAITING = 16  # places in the queue for one visitor, who may be a class room behind one address
UNHEARD = 10.0  # seconds after which what nobody listens to leaves the queue
ALL_SESSIONS, VISITOR_SESSIONS = 500, 64  # open pages whose state is kept, at 0.2 MB each
SESSION_SECONDS = 3600.0  # that the state of a page is kept after it was closed
UNNAMED_SECONDS = 60.0  # the same for a call that named no session, whose caller cannot come back to it

KEPT_UPLOADS = 16  # largest uploads that lie on the disk for one visitor; then the oldest go

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")


def mask_bytes() -> int:
    """The largest body with a mask: pure noise of one bit a pixel as PNG in base64, beside the rest."""
    return int(image.limits().megapixels * 1e6 / 8 * 1.1 * 4 / 3) + JSON_BYTES


def forwarded(headers: Mapping[str, str]) -> bool:
    """Whether another server handed the request on, so that it may come from anywhere."""
    return any(name in headers for name in FORWARDED)


def loopback(host: str) -> bool:
    """Whether only this computer can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def visitor(scope: Scope, *, proxied: bool, space: bool = False) -> str:
    """A name for whoever sent the request: an address, of IPv6 the network.

    What a request says of itself counts only where a server of the owner's hands it on: one on this computer, or any
    that stands in the same private network if the page is `proxied`. Such a server appends the address that it saw, so
    the last one is true; on a Hugging Face Space the last ones are the hub's own.
    """
    peer = scope["client"][0] if scope.get("client") else ""
    headers = Headers(scope=scope)
    if not (loopback(peer) or (proxied and _private(peer))) or "x-forwarded-for" not in headers:
        return _network(peer)
    chain = [part.strip() for line in headers.getlist("x-forwarded-for") for part in line.split(",")]
    if space:
        chain = [part for part in chain if not _private(part)] or chain
    return _network(chain[-1])


def local(name: str) -> bool:
    """Whether a visitor sits at this computer, where all pages share one address."""
    return loopback(name)


def _private(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False


def _network(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host[:64]
    if address.version == 6 and not address.is_loopback:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


class BusyError(Exception):
    """A request waited too long for its turn."""


class Gate:
    """Lets work through while all that is inside comes to `whole` at most, and that of one visitor to `each`.

    Whoever does not fit waits, up to PATIENCE. Work larger than `each` counts as `each`, so that it can pass at all.
    """

    def __init__(self, whole: float, each: float) -> None:
        self.whole = whole
        self.each = min(each, whole)
        self.inside: defaultdict[str, float] = defaultdict(float)
        self.turn = asyncio.Condition()

    @asynccontextmanager
    async def __call__(self, visitor: str, amount: float = 1.0) -> AsyncGenerator[None]:
        """Hold `amount` of the room for as long as the block lasts.

        Raises:
            BusyError: there was no room for PATIENCE seconds.
        """
        taken = min(amount, self.each)
        async with self.turn:
            try:
                await asyncio.wait_for(self.turn.wait_for(lambda: self._fits(visitor, taken)), PATIENCE)
            except TimeoutError:
                raise BusyError from None
            self.inside[visitor] += taken
        try:
            yield
        finally:
            async with self.turn:
                self.inside[visitor] -= taken
                if self.inside[visitor] <= 0:
                    del self.inside[visitor]
                self.turn.notify_all()

    def _fits(self, visitor: str, amount: float) -> bool:
        return sum(self.inside.values()) + amount <= self.whole and self.inside.get(visitor, 0) + amount <= self.each
