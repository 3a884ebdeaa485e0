"""How long filling takes: as it was measured, and corrected by what this process has seen of this machine."""

USUAL = {"net": (0.0, 2e-6), "pieces": (1.8, 5e-6)}  # seconds of a part, and of a pixel, on one busy core of 2026
ENOUGH = 100_000  # pixels of a net's crops from which the time tells something
_slower: dict[str, float] = {}  # how many times as long it took here, the last times counting most


def seconds(engine: str, pixels: int) -> float:
    """What a part will take: of "net" the pixels of its crop, of "pieces" those of its hole."""
    known = list(_slower.values())
    return _usual(engine, pixels) * _slower.get(engine, sum(known) / len(known) if known else 1.0)


def learn(engine: str, pixels: int, took: float) -> None:
    """Told after each part."""
    if engine != "net" or pixels >= ENOUGH:
        ratio = took / _usual(engine, pixels)
        _slower[engine] = (_slower.get(engine, ratio) + ratio) / 2


def _usual(engine: str, pixels: int) -> float:
    part, pixel = USUAL[engine]
    return part + pixel * pixels
