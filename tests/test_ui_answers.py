"""Answers arrive: no event of the page is missed, whatever is sent at the same time, and none is cancelled by an older one."""

from collections.abc import Callable
from typing import Any

import genrestore.ui
from genrestore.ui.server.access import Access

SLOW = 60_000

# The end of the stream of answers reaches the page late, as on a slow or crowded line.
LATE_END = """
(() => {
  const plain = window.fetch;
  window.ends = 0;
  window.fetch = async (input, init) => {
    const answer = await plain(input, init);
    if (!String(input.url ?? input).includes("/queue/data")) return answer;
    const held = new TransformStream({
      async transform(message, out) {
        const [before, end] = message.split(/(?=data: ?{"msg":"close_stream")/);
        out.enqueue(before);
        if (!end && !before.includes("close_stream")) return;
        window.ends += 1;
        await new Promise((go) => setTimeout(go, 1000));
        if (end) out.enqueue(end);
      },
    });
    const body = answer.body.pipeThrough(new TextDecoderStream()).pipeThrough(held).pipeThrough(new TextEncoderStream());
    return new Response(body, answer);
  };
})();
"""


def test_an_event_that_is_sent_as_the_stream_ends_gets_its_answer(contexts: Callable[..., Any], app_url: str) -> None:
    """Gradio's page closed the stream all the same, and waited for ever."""
    page = contexts().new_page()
    try:
        page.add_init_script(LATE_END)
        page.goto(f"{app_url}/?tab=upscale")
        # First of all: what a program fills in within some 20 ms of a box's appearing, Gradio's page overwrites.
        page.get_by_role("button", name="Settings").click()
        page.locator("#upscale-source .examples button").first.click(timeout=SLOW)
        quote = page.locator("#upscale-quote [data-testid=markdown]")
        quote.get_by_text("2304 × 2304").wait_for(timeout=SLOW)
        for width in range(1000, 1004):  # each in the gap that the one before leaves
            page.locator("#upscale-width input").fill(str(width))
            page.locator("#upscale-width input").blur()
            quote.get_by_text(f"{width} × {width}").wait_for(timeout=15_000)
        assert page.evaluate("ends") >= 3
    finally:
        page.close()


def test_what_is_cancelled_at_an_event_is_so_before_its_handler_runs() -> None:
    """The page cancelled when a handler had ended, and with the old work the new, which the handler's answer had set off: of
    pictures that were dropped on the Train tab as a recipe was chosen, nothing was ever told."""
    handlers = genrestore.ui.build(Access(anyone=True, local=True)).config.get("dependencies", [])
    cancelling = [one for one in handlers if one["cancels"]]
    assert len(cancelling) >= 4
    for one in cancelling:
        beside = [other for other in handlers if other["backend_fn"] and set(other["targets"]) & set(one["targets"])]
        assert all(one["id"] < other["id"] for other in beside), one["targets"]
