"""From the slider to the picture: how long a visitor waits for the pixels of each move, alone and among twenty.

    python benchmarks/slider.py                      # starts the page by itself
    python benchmarks/slider.py --url http://127.0.0.1:7860 --users 20

Alone: Chromium drags a slider by about 200 mouse moves; the clock runs from the DOM's `input` event to the moment the
canvas holds the picture of that value ("drawn"), or of a later one where it was passed over, and to the next frame of
the screen ("shown").
Together: HTTP clients in this process, which shares the machine, each ask the page's server function for five pictures
a second. The last line printed is JSON.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
MOVES = 200  # of the mouse in one drag
MOVE = 0.016  # seconds between them, a frame of the screen
RATE = 5  # pictures a second that one visitor asks for
SECONDS = 10  # of asking
WARM = 1  # seconds at the start that do not count

# Runs in the page. Every input event and every drawn picture is noted with its time.
RECORDER = """() => {
  const live = document.querySelector('#live'), canvas = live.querySelector('canvas.picture');
  window.moves = []; window.drawn = [];
  live.addEventListener('input', (event) => moves.push([performance.now(), Number(event.target.value)]), true);
  new MutationObserver(() => {
    const entry = [performance.now(), JSON.parse(canvas.dataset.state).a[0] ?? 0, null];
    drawn.push(entry);
    requestAnimationFrame(() => { entry[2] = performance.now(); });
  }).observe(canvas, {attributes: true, attributeFilter: ['data-state']});
}"""

# Whether the directions are known and the thumbnails at the sliders are drawn.
SETTLED = """() => [...document.querySelectorAll('#live .directions canvas')]
  .every((canvas) => canvas.getContext('2d').getImageData(0, 0, 1, 1).data[3] === 255)"""


@contextmanager
def page(url: str | None) -> Generator[str]:
    """The address of a running page: the one given, or one started for this measurement."""
    if url:
        yield url.rstrip("/")
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, str(ROOT / "app.py"), "--port", str(port), "--no-browser"], stdout=subprocess.DEVNULL
    )
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(20)


def spread(milliseconds: list[float]) -> dict[str, float]:
    ordered = sorted(milliseconds)
    return {"p50": round(statistics.median(ordered), 1), "p95": round(ordered[int(0.95 * (len(ordered) - 1))], 1)}


def drag(browser: Any, address: str, model: str) -> dict[str, Any]:
    """Drag the first direction of `model` to and fro: how many moves were drawn, how late, and whether the last was."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    tab.goto(f"{address}/?model={model}")
    tab.wait_for_selector("#live canvas[data-state]", timeout=60_000)
    handle = tab.locator("#live .directions input[type=range]").first
    handle.scroll_into_view_if_needed()
    tab.wait_for_function(SETTLED, timeout=60_000)
    tab.wait_for_timeout(500)
    box = handle.bounding_box()
    middle = box["y"] + box["height"] / 2
    tab.evaluate(RECORDER)
    tab.mouse.move(box["x"] + box["width"] / 2, middle)
    tab.mouse.down()
    start = time.perf_counter()
    for move in range(MOVES):
        share = abs((move / MOVES * 2) % 2 - 1)  # from end to end and back
        tab.mouse.move(box["x"] + box["width"] * (0.05 + 0.9 * share), middle)
        time.sleep(max(0.0, start + (move + 1) * MOVE - time.perf_counter()))
    tab.mouse.up()
    seconds = time.perf_counter() - start
    tab.wait_for_timeout(1000)
    moves, drawn = tab.evaluate("[moves, drawn]")
    last = float(handle.input_value())
    tab.close()
    waits: list[float] = []
    frames: list[float] = []
    for painted, value, frame in drawn:
        answered = max(k for k, (at, moved) in enumerate(moves) if at <= painted and moved == value)
        for at, _ in moves[len(waits) : answered + 1]:  # a move that was passed over waits for the next one's picture
            waits.append(painted - at)
            frames.append(frame - at)
    return {
        "model": model,
        "moves_per_second": round(len(moves) / seconds, 1),
        "moves": len(moves),
        "drawn": len(drawn),
        "last_right": bool(drawn) and drawn[-1][1] == last,
        "drawn_ms": spread(waits),
        "shown_ms": spread(frames),
    }


async def crowd(address: str, names: list[str], users: int) -> dict[str, Any]:
    """`users` clients, each with a model and a hand of its own: the wait for each picture, and the failures."""
    config = httpx.get(f"{address}/config").json()
    component = next(entry["id"] for entry in config["components"] if entry["props"].get("elem_id") == "live")
    call = {"component_id": component, "fn_name": "picture"}
    url = f"{address}/gradio_api/component_server/"
    waits: list[float] = []
    failures = 0
    start = time.perf_counter() + 0.5

    async def visitor(number: int) -> None:
        nonlocal failures
        hand = random.Random(number)
        async with httpx.AsyncClient(timeout=60) as client:
            due = start + hand.random() / RATE
            while due < start + SECONDS:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                a = [round(hand.uniform(-3, 3), 2) for _ in range(8)]
                state = {"model": names[number % len(names)], "seed": number, "a": a}
                sent = time.perf_counter()
                answer = await client.post(url, json={**call, "data": state, "session_hash": f"visitor-{number}"})
                if answer.status_code != 200 or "z" not in answer.json():
                    failures += 1
                elif sent > start + WARM:
                    waits.append(1000 * (time.perf_counter() - sent))
                due = max(due + 1 / RATE, time.perf_counter())

    await asyncio.gather(*(visitor(number) for number in range(users)))
    return {
        "users": users,
        "pictures_per_second": round(len(waits) / (SECONDS - WARM), 1),
        "failures": failures,
        "wait_ms": spread(waits) if waits else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a page that runs already")
    parser.add_argument("--users", type=int, nargs="*", default=[1, 20], help="how many at once")
    parser.add_argument("--models", nargs="*", help="names; all models to sample from otherwise")
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/slider.json")
    options = parser.parse_args()

    import genrestore

    names = options.models or [card.name for card in genrestore.list_models("sample")]
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with page(options.url) as address:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
            alone = [drag(browser, address, name) for name in names]
            browser.close()
        together = [asyncio.run(crowd(address, names, users)) for users in options.users]

    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| slider, one visitor | moves | drawn | last right | input → drawn p50 / p95 | input → shown p50 / p95 |")
    print("|---|---|---|---|---|---|")
    for row in alone:
        drawn, shown = row["drawn_ms"], row["shown_ms"]
        print(
            f"| {row['model']} | {row['moves']} | {row['drawn']} | {'yes' if row['last_right'] else 'NO'}"
            f" | {drawn['p50']} / {drawn['p95']} ms | {shown['p50']} / {shown['p95']} ms |"
        )
    print("\n| visitors at once | pictures/s | failures | wait p50 / p95 |\n|---|---|---|---|")
    for row in together:
        wait = row["wait_ms"] or {"p50": "-", "p95": "-"}
        print(
            f"| {row['users']} | {row['pictures_per_second']} | {row['failures']} | {wait['p50']} / {wait['p95']} ms |"
        )
    result = {"alone": alone, "together": together}
    print(json.dumps(result))
    if options.write:
        (ROOT / "benchmarks/results/slider.json").write_text(json.dumps(result, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
