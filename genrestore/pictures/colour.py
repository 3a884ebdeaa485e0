"""Colour profiles made from what PNG, AVIF and HEIC tell about their colours in a few numbers (ITU-T H.273, PNG 3).

An ICC profile is what every format can carry and every viewer reads; only PNG carries the numbers themselves.
"""

import struct

import numpy as np
import numpy.typing as npt

from genrestore.pictures.boxes import SRGB, UNSAID, Cicp

D65 = (0.3127, 0.329)
D50 = np.array([0.9642, 1.0, 0.8249])  # X, Y, Z of the white that profiles are made for
REC_709 = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06)  # x and y of red, green, blue
PRIMARIES: dict[int, tuple[float, ...]] = {  # of H.273: white, red, green, blue
    1: D65 + REC_709,
    4: (0.31, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
    6: (*D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (*D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    9: (*D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (*D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    22: (*D65, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077),
}
EXPONENTS = {4: 2.2, 5: 2.8, 8: 1.0}  # transfers of H.273 that are a power
LIKE_SRGB = (1, 2, 6, 13, 14, 15)  # those of video differ in the darkest tones only, and viewers take them for sRGB's
HDR = (16, 18)  # PQ and HLG, whose white is far brighter than a profile can tell
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
STEPS = 1024  # of sRGB's curve


def normal(cicp: Cicp) -> Cicp | None:
    """The numbers for colours in RGB, or None where they say nothing."""
    if cicp.transfer in LIKE_SRGB and cicp.primaries in (1, UNSAID):
        return None if cicp.primaries == cicp.transfer == UNSAID else SRGB
    return cicp._replace(matrix=0, full_range=1)


def profile_of(cicp: Cicp, channels: int) -> bytes | None:
    """The profile for grey (1) or RGB (3) by these numbers; None where they cannot be told so."""
    primaries = PRIMARIES.get(1 if cicp.primaries == UNSAID else cicp.primaries)
    if primaries is None or cicp.transfer not in (*EXPONENTS, *LIKE_SRGB):
        return None
    return profile(primaries, EXPONENTS.get(cicp.transfer), channels)


def profile(primaries: tuple[float, ...] | None, exponent: float | None, channels: int) -> bytes | None:
    """An ICC profile of version 2 for grey (1) or RGB (3).

    Args:
        primaries: x and y of white, red, green and blue; by default those of sRGB.
        exponent: light is the sample to this power; by default sRGB's curve.

    Returns: None where the numbers make no colours.
    """
    try:
        columns = _columns(primaries or PRIMARIES[SRGB.primaries])
    except (ZeroDivisionError, FloatingPointError, np.linalg.LinAlgError):
        return None
    if not np.isfinite(columns).all() or np.abs(columns).max() > 4 or not (exponent is None or 0.1 < exponent < 10):
        return None
    name = "PNG colours"
    described = b"desc" + bytes(4) + struct.pack(">I", len(name) + 1) + name.encode() + bytes(1 + 4 + 4 + 2 + 1 + 67)
    curve = _curve(exponent)
    tags = {b"desc": described, b"cprt": b"text" + bytes(4) + b"No copyright\0", b"wtpt": _xyz(D50)}
    if channels == 3:
        tags |= {name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns.T, strict=True)}
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    else:
        tags[b"kTRC"] = curve
    space = b"RGB " if channels == 3 else b"GRAY"
    directory, body, places = b"", b"", dict[bytes, int]()
    begin = 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        if content not in places:
            places[content] = begin + len(body)
            body += content + bytes(-len(content) % 4)
        directory += tag + struct.pack(">II", places[content], len(content))
    head = struct.pack(">I4sI4s4s4s", begin + len(body), bytes(4), 0x02400000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp"
    head = head.ljust(68, b"\0") + _fixed(D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + directory + body


def _columns(primaries: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """(3, 3): X, Y, Z of full red, green and blue, as seen where D50 is white."""
    xy = np.array(primaries).reshape(4, 2)
    with np.errstate(all="raise"):
        light = np.stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(1)) / xy[:, 1]])
    white, columns = light[:, 0], light[:, 1:]
    columns = columns * np.linalg.solve(columns, white)
    cones = np.diag((BRADFORD @ D50) / (BRADFORD @ white))
    return np.linalg.inv(BRADFORD) @ cones @ BRADFORD @ columns


def _curve(exponent: float | None) -> bytes:
    if exponent is not None:
        return b"curv" + bytes(4) + struct.pack(">IH", 1, round(exponent * 256))
    sample = np.arange(STEPS) / (STEPS - 1)
    light = np.where(sample <= 0.04045, sample / 12.92, ((sample + 0.055) / 1.055) ** 2.4)
    return b"curv" + bytes(4) + struct.pack(">I", STEPS) + np.rint(light * 65_535).astype(">u2").tobytes()


def _fixed(values: npt.NDArray[np.float64]) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65_536) for value in values.tolist()))


def _xyz(values: npt.NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(values)
