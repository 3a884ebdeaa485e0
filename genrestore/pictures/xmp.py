"""XMP, as far as a picture tells in it how it was made: the recipe, and the source of its pixels in IPTC's words.

    <rdf:Description rdf:about="" xmlns:…>
      <Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/…</Iptc4xmpExt:DigitalSourceType>
      <genrestore:Recipe>{"task": …}</genrestore:Recipe>
    </rdf:Description>

ISO 16684-1; IPTC Photo Metadata Standard 2023.1. A packet that is there already keeps every other byte. One that is damaged, or
that declares entities, is not read and not changed.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.parsers import expat
from xml.sax.saxutils import escape

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
OURS = "urn:genrestore:recipe:1/"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
TERMS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
# From the least to the most that a net made up: what is the more of two steps is told of both.
ENHANCED, COMPOSITE, TRAINED = STRENGTHS = (
    "algorithmicallyEnhanced",  # changed or corrected by an algorithm
    "compositeWithTrainedAlgorithmicMedia",  # a part of it was generated
    "trainedAlgorithmicMedia",  # all of it was
)
TAG = re.compile(rb"""<[^<>"']*(?:"[^"]*"[^<>"']*|'[^']*'[^<>"']*)*>""")
ATTRIBUTE = rb"""\s+(?:[\w.-]+:)?%s\s*=\s*(?:"[^"]*"|'[^']*')"""
PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{rdf}">{inner}</rdf:RDF></x:xmpmeta>'
    '<?xpacket end="w"?>'
)


class Told(NamedTuple):
    """What a packet says of how its picture was made."""

    recipe: str | None = None
    source: str | None = None  # the last part of a term


@dataclass
class _Element:
    name: str
    start: int
    whole: int = 0  # where it ends, if it is one tag
    left: int = 0  # attributes and elements that are not taken out
    gone: int = 0  # those that are
    text: list[str] = field(default_factory=list[str])


class _Packet:
    """One reading of a packet: what it tells, which bytes say that, and where more can be put in."""

    def __init__(self, xmp: bytes) -> None:
        self.data = xmp
        self.about = ""
        self.end: int | None = None  # of what is within rdf:RDF
        self.name = b""  # of rdf:RDF, where it holds nothing yet and must be opened
        self.recipe: str | None = None
        self.source: str | None = None
        self.cuts: list[tuple[int, int]] = []
        self.open: list[_Element] = []
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._finish
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        self.parser = parser
        parser.Parse(xmp, True)

    def _refuse(self, *_: object) -> None:
        raise ValueError("it declares entities")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        at = self.parser.CurrentByteIndex
        tag = TAG.match(self.data, at)
        whole = tag[0] if tag else b""
        element = _Element(name, at, at + len(whole) if whole.endswith(b"/>") else 0)
        if name == f"{RDF} Description":
            self.about = self.about or attributes.get(f"{RDF} about", "")
        for key, value in attributes.items():
            local = self._known(key)
            found = re.search(ATTRIBUTE % local.encode(), whole) if local else None
            if found:
                self._keep(local, value)
                self.cuts.append((at + found.start(), at + found.end()))
                element.gone += 1
            elif key != f"{RDF} about":
                element.left += 1
        if name == f"{RDF} RDF" and whole.endswith(b"/>"):
            self.end, self.name = at + len(whole), whole[1:].split(None, 1)[0].rstrip(b"/>")
        self.open.append(element)

    def _known(self, name: str) -> str:
        """Recipe or DigitalSourceType, if it is the one of ours or of IPTC; else ""."""
        return {f"{OURS} Recipe": "Recipe", f"{IPTC} DigitalSourceType": "DigitalSourceType"}.get(name, "")

    def _keep(self, local: str, value: str) -> None:
        if local == "Recipe":
            self.recipe = value
        else:
            self.source = value.strip().rpartition("/")[2]

    def _text(self, text: str) -> None:
        if self.open:
            self.open[-1].text.append(text)

    def _finish(self, name: str) -> None:
        at = self.parser.CurrentByteIndex
        element = self.open.pop()
        tag = TAG.match(self.data, at)
        end = element.whole or (tag.end() if tag else at)
        if name == f"{RDF} RDF" and not self.name:
            self.end = at
        local = self._known(name)
        if local:
            self._keep(local, "".join(element.text))
        empty = name == f"{RDF} Description" and element.gone and not element.left
        if local or empty:
            self.cuts = [cut for cut in self.cuts if cut[0] < element.start]
            self.cuts.append((element.start, end))
        if self.open:
            self.open[-1].gone += bool(local or empty)
            self.open[-1].left += not (local or empty)


def told(xmp: bytes | None) -> Told:
    """What a packet says; nothing, where it is damaged."""
    packet = _read(xmp)
    return Told(packet.recipe, packet.source) if packet else Told()


def _read(xmp: bytes | None) -> _Packet | None:
    try:
        return _Packet(_utf8(xmp)) if xmp else None
    except (ValueError, expat.ExpatError):
        return None


def _utf8(xmp: bytes) -> bytes:
    """Raises:
    ValueError: it is no text.
    """
    if xmp[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return re.sub(r'(<\?xml[^>]*?) encoding\s*=\s*["\'][^"\']*["\']', r"\1", xmp.decode("utf-16")).encode()
    xmp = xmp.rstrip(b"\0")
    xmp.decode()
    return xmp


def extended(xmp: bytes | None, recipe: str | None, source: str) -> bytes | None:
    """The packet with a recipe and a source in the place of its own; a new one where there was none.

    Args:
        recipe: None leaves it out.
        source: one of STRENGTHS, of which the stronger of this one and the packet's own is told; "" leaves the packet's own.
    """
    if xmp is None or not xmp.strip(b"\0"):
        inner = _description(recipe, source, "")
        return PACKET.format(rdf=RDF, inner=inner).encode() if inner else None
    packet = _read(xmp)
    if packet is None or packet.end is None:
        return xmp
    if packet.recipe is None and recipe is None and not source:
        return xmp
    inner = _description(recipe, stronger(packet.source, source), packet.about).encode()
    data, edits = packet.data, [(start, end, b"") for start, end in packet.cuts]
    if packet.name:
        edits.append((packet.end - 2, packet.end, b">" + inner + b"</" + packet.name + b">"))
    else:
        edits.append((packet.end, packet.end, inner))
    for start, end, text in sorted(edits, reverse=True):
        data = data[:start] + text + data[end:]
    return data


def stronger(known: str | None, new: str) -> str:
    """Which of two sources says more of what a net made up; what else a packet says gives way to the new one."""
    if not new or (known in STRENGTHS and STRENGTHS.index(known) > STRENGTHS.index(new)):
        return known or ""
    return new


def _description(recipe: str | None, source: str, about: str) -> str:
    parts = f"<Iptc4xmpExt:DigitalSourceType>{TERMS}{escape(source)}</Iptc4xmpExt:DigitalSourceType>" if source else ""
    parts += f"<genrestore:Recipe>{escape(recipe)}</genrestore:Recipe>" if recipe else ""
    if not parts:
        return ""
    spaces = f'xmlns:rdf="{RDF}" xmlns:Iptc4xmpExt="{IPTC}" xmlns:genrestore="{OURS}"'
    about = escape(about, {'"': "&quot;"})
    return f'<rdf:Description rdf:about="{about}" {spaces}>{parts}</rdf:Description>'
