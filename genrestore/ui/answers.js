// Gradio's page has one stream for the answers to all its events. The server ends it when none is left, and the page then
// closes it even if an event was sent in that moment, to whose answer nobody listens. So an end that comes while an answer is
// awaited is not told: the stream is opened again behind it. This runs before Gradio takes `fetch`.

/** @typedef {ReadableStream<Uint8Array<ArrayBuffer>>} Stream */

(() => {
  const plain = window.fetch;
  const awaited = new Set(); // ids of the events that the server has taken and not answered
  const early = new Set(); // ids whose answer was here before the server said that it has taken them
  let closed = Promise.resolve(); // an end was told: resolved once the page has closed the stream

  window.fetch = async (input, init) => {
    const { pathname } = new URL(input instanceof Request ? input.url : input, location.href);
    if (pathname.endsWith("/queue/join")) return sent(await plain(input, init));
    const answer = await plain(input, init);
    if (!pathname.endsWith("/queue/data") || !answer.ok || !answer.body) return answer;
    return new Response(stream(answer.body, () => plain(input, init), init?.signal), answer);
  };

  /** @type {(answer: Response) => Promise<Response>} */
  async function sent(answer) {
    const id = answer.ok && (await answer.clone().json()).event_id;
    if (id && !early.delete(id)) awaited.add(id);
    await closed; // or Gradio would take a stream for open that it is about to close
    return answer;
  }

  // Bytes of the messages in `body`, and, as long as answers are awaited at its end, of those that `again()` brings.
  /** @type {(body: Stream, again: () => Promise<Response>, signal?: AbortSignal | null) => Stream} */
  function stream(body, again, signal) {
    const encoder = new TextEncoder();
    return new ReadableStream({
      async start(out) {
        try {
          for (let next = /** @type {Stream | null} */ (body); next; ) {
            const last = await passed(next, (message) => out.enqueue(encoder.encode(message)));
            const late = awaited.size && last;
            awaited.clear(); // what the server has not answered by the next end, it never will
            next = late && !signal?.aborted ? (await again()).body : null;
            if (next || !last) continue;
            closed = new Promise((resolve) => (signal ? signal.addEventListener("abort", () => resolve(), { once: true }) : resolve()));
            out.enqueue(encoder.encode(last));
          }
          out.close();
        } catch (problem) {
          out.error(problem); // the line was cut, or the page closed it
        }
      },
    });
  }

  // Passes all messages on but the one that ends the stream, which it returns.
  /** @type {(body: Stream, pass: (message: string) => void) => Promise<string | null>} */
  async function passed(body, pass) {
    let rest = "";
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return null;
      const messages = (rest + value).split(/(?<=\n\n)/);
      rest = messages.at(-1)?.endsWith("\n\n") ? "" : (messages.pop() ?? "");
      for (const message of messages) {
        const { msg, event_id } = message.startsWith("data:") ? JSON.parse(message.slice(5)) : {};
        if (msg === "close_stream") return message;
        if (msg === "process_completed" && !awaited.delete(event_id)) early.add(event_id);
        pass(message);
      }
    }
  }
})();
