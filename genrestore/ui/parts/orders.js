// What is asked of models, one order at a time, and the row of a model that can be had. Runs before the script of the part
// that uses it, with `props`, `server`, `trigger` and `watch`; orders.py answers.

/** @type {typeof globalThis.ordering} */
function ordering() {
  const words = props.words[languageOf(props.words)];
  /** @type {(key: string, values?: Record<string, unknown>) => string} */
  const say = (key, values = {}) => words[key].replace(/{(\w+)}/g, (_, name) => String(values[name]));

  /** @type {Make} */
  function make(tag, attributes = {}, ...children) {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...children);
    return node;
  }

  /** @type {(text: string, act: () => unknown, className?: string) => HTMLButtonElement} */
  function button(text, act, className = "") {
    const node = make("button", { type: "button", className }, text);
    node.addEventListener("click", act);
    return node;
  }

  /** @type {(date: string) => string} */
  const day = (date) => new Date(date).toLocaleDateString(languageOf(props.words), { dateStyle: "long", timeZone: "UTC" });

  // ---- orders ----

  let run = ""; // name of the newest
  /** @type {((answer: Answer) => void) | null} */
  let heard = null; // what hears of it, while it is at work
  /** @type {(() => void) | null} */
  let calm = null; // takes away what shows it

  // Gives an order; where another one comes before its end, `ended` takes away what shows it.
  /** @type {(wish: object, told: (answer: Answer) => void, ended: () => void) => void} */
  function order(wish, told, ended) {
    halt();
    run = crypto.getRandomValues(new Uint32Array(4)).join("-");
    [heard, calm] = [told, ended];
    props.value = { ...wish, run };
    trigger("order");
  }

  function halt() {
    const [waiting, end] = [heard, calm];
    [heard, calm] = [null, null];
    if (waiting) server.halt(run);
    end?.();
  }

  watch("value", () => {
    const answer = /** @type {Answer | undefined} */ (props.value?.answer);
    if (!answer || !heard || (answer.run ?? run) !== run) return;
    const told = heard;
    if (answer.state !== "busy") heard = null; // the next order may be given where it is told
    told(answer);
  });

  // Gives an order and shows in `place` how far it is; `done` gets what came of it. Where nothing did, `left` gets the problem, if
  // that is known.
  /** @type {Ordering["work"]} */
  function work(place, wish, first, done, left) {
    const bar = make("progress", { max: 1 });
    const text = make("span", { role: "status" }, first);
    const stop = button(words.cancel, halt);
    const end = (problem = "") => {
      place.replaceChildren();
      left(problem);
    };
    order(wish, (answer) => {
      if (answer.state === "busy") {
        if (answer.fraction > 0 && answer.fraction < 1) bar.value = answer.fraction;
        else bar.removeAttribute("value");
        if (answer.text && text.textContent !== answer.text) text.textContent = answer.text;
        return;
      }
      calm = null;
      if (answer.state === "failed") return end(answer.problem);
      place.replaceChildren();
      done(answer);
    }, end);
    place.replaceChildren(make("div", { className: "working" }, bar, text, stop));
    stop.focus({ preventScroll: true });
  }

  // ---- a model on its way ----

  // Asks the Hub about a model, shows what it would bring, and fetches it once that is agreed to; all in `place`.
  // `came` is called with what is here then, `left` where nothing came of it.
  /** @type {Ordering["obtain"]} */
  function obtain(place, reference, came, left) {
    work(place, { do: "look", reference }, words.asking, offered, left);

    /** @type {(answer: Answer) => void} */
    function offered({ reference, file, size, licence, commit, foreign, untested, here }) {
      const lines = [say("from", { reference, commit: commit.slice(0, 12) })];
      if (!reference.endsWith(file)) lines.push(say("its_file", { file }));
      if (foreign) lines.push(words.foreign);
      if (untested) lines.push(words.untested_hint);
      const fetch = button(here ? words.again : words.fetch, () => work(place, { do: "fetch", reference, commit }, words.waiting, came, left), "primary");
      const leave = button(words.cancel, () => {
        place.replaceChildren();
        left();
      });
      place.replaceChildren(
        make("p", { className: "offer" }, make("b", {}, `${size} · ${licence ? say("licensed", { licence }) : words.no_licence}`)),
        ...lines.map((line) => make("p", { className: "hint" }, line)),
        make("div", { className: "buttons" }, fetch, leave),
      );
      fetch.focus({ preventScroll: true });
    place.scrollIntoView({ block: "nearest", behavior: "smooth" });
    }
  }

  // The row of a model of the list. `came` is called once it is here.
  /** @type {(entry: Entry, came: (answer: Answer) => void) => HTMLElement} */
  function offerRow({ name, reference, task, size, licence, about, untested, here }, came) {
    const place = make("div", { className: "place" });
    const get = button(words.get, () => {
      get.hidden = true;
      obtain(place, reference, came, () => {
        get.hidden = false;
        get.focus({ preventScroll: true });
      });
    });
    get.ariaLabel = say("get_named", { name });
    const facts = make("p", { className: "facts" }, [task, size, licence].filter(Boolean).join(" · "));
    if (untested) facts.append(" · ", make("span", { className: "untested", title: words.untested_hint }, words.untested));
    const head = make("div", { className: "head" }, make("b", {}, name), here ? make("span", { className: "here" }, words.here_already) : get);
    return make("li", {}, head, make("p", { className: "about" }, about), facts, place);
  }

  return { words, say, make, button, day, halt, work, obtain, offerRow };
}
