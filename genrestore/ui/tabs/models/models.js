// The models as a gallery, each card's own page with what can be done with the model, and those that can be had. The server is
// asked when the tab is opened and whenever something has changed. Gradio runs this once, with `element`, `props`, `server`
// and `trigger`, after orders.js.

/**
 * @typedef {{
 *   name: string, title: string, task: string, tab: string, size: string, licence: string, about: string, pictured: boolean,
 *   score: { value: string, name: string, set: string } | null, whose: "shipped" | "own" | "trained" | "pulled", deletes: boolean,
 * }} Model
 */

const { words, say, make, button, day, halt, work, obtain, offerRow } = ordering();
/** @type {Find} */
const find = (query) => element.querySelector(query);
const language = languageOf(props.words);
const dialog = /** @type {HTMLDialogElement} */ (/** @type {unknown} */ (find("dialog")));

/** @type {Model[]} */
let models = [];
/** @type {Entry[]} */
let offers = [];
let manages = false; // whether this visitor may check, delete and send
let task = ""; // the one that is shown; "" is all
/** @type {Map<string, string>} */
const pictures = new Map(); // by name: addresses
/** @type {Model | null} */
let open = null; // whose own page is shown

// ---- the gallery ----

// A picture is asked for once its card comes near the window.
const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    draw(/** @type {HTMLImageElement} */ (target));
  }
}, { rootMargin: "300px" });

/** @type {(image: HTMLImageElement) => Promise<void>} */
async function draw(image) {
  const name = image.dataset.name ?? "";
  if (!pictures.has(name)) {
    const answer = await server.picture({ name }).catch(() => null);
    if (!answer?.url) return;
    pictures.set(name, answer.url);
  }
  image.src = pictures.get(name) ?? "";
}

/** @type {(model: Model) => HTMLElement} */
function card(model) {
  const { name, title, task, size, licence, about, score, pictured, whose } = model;
  const frame = make("div", { className: "frame" });
  if (pictured) {
    const image = make("img", { alt: "" });
    image.dataset.name = name;
    frame.append(image);
    near.observe(image);
  } else {
    frame.append(make("span", { ariaHidden: "true" }, task.slice(0, 1)));
  }
  const heading = make("h3", {}, button(title, () => show(model)));
  const measured = make("p", { className: "score" });
  if (score) measured.append(make("b", {}, score.value), ` ${say("on", score)}`, make("small", {}, words[`hint_${score.name.toLowerCase()}`] ?? ""));
  else measured.append(make("small", {}, words.unmeasured));
  const licensed = make("p", { className: "licence", title: licence }, licence ? say("licensed", { licence }) : words.no_licence);
  const facts = make("p", { className: "facts" }, `${task} · ${size} · ${words[`whose_${whose}`]}`);
  const node = make("article", {}, frame, make("div", { className: "body" }, heading, facts, make("p", { className: "about" }, about), measured, licensed));
  node.dataset.name = name;
  return node;
}

/** @type {(...texts: string[]) => boolean} */
function sought(...texts) {
  const all = texts.join(" ").toLowerCase();
  return find("input[type=search]").value.toLowerCase().split(/\s+/).every((word) => all.includes(word));
}

function lay() {
  const known = [...new Set([...models, ...offers].map((one) => one.task))];
  if (!known.includes(task)) task = "";
  find(".filters").replaceChildren(
    ...["", ...known].map((name) => {
      const choice = button(name || words.all, () => {
        task = name;
        lay();
        /** @type {HTMLElement | undefined} */ ([...element.querySelectorAll(".filters button")].find((node) => node.ariaPressed === "true"))?.focus();
      });
      choice.ariaPressed = String(task === name);
      return choice;
    }),
  );
  filter();
}

function filter() {
  const here = models.filter((one) => (!task || one.task === task) && sought(one.title, one.name, one.task, one.about, one.licence));
  near.disconnect();
  find(".gallery").replaceChildren(...here.map(card));
  find(".none").hidden = here.length > 0;
  const rows = offers.filter((one) => (!task || one.task === task) && sought(one.name, one.task, one.about, one.licence));
  find(".offers").replaceChildren(...rows.map((one) => offerRow(one, arrived)));
  find(".had").hidden = rows.length === 0;
}

async function refresh() {
  const [gallery, had] = await Promise.all([server.gallery({}), server.offers({})]).catch(() => [null, null]);
  const problem = gallery && had ? gallery.problem ?? had.problem ?? "" : words.no_answer;
  find(".problem").textContent = problem;
  if (problem) return;
  const same = JSON.stringify([models, offers]) === JSON.stringify([gallery.models, had.models]);
  [models, offers] = [gallery.models, had.models];
  manages = gallery.manages;
  for (const name of pictures.keys()) if (!models.some((one) => one.name === name)) pictures.delete(name);
  find(".disk").textContent = say(gallery.taken ? "disk" : "disk_none", { count: models.length, taken: gallery.taken, free: gallery.free });
  find(".dated").textContent = say("dated", { date: day(had.dated) });
  find(".any").hidden = !gallery.fetches;
  find(".hands").textContent = manages ? "" : gallery.owner ? words.hands_owner : words.hands;
  if (!same) lay(); // what is drawn anew loses the focus
}

// ---- a model's own page ----

/** @type {(model: Model) => Promise<void>} */
async function show(model) {
  open = model;
  find(".title").textContent = model.title;
  find(".full").replaceChildren();
  tell("");
  const image = find("dialog > img");
  image.hidden = true;
  leave();
  layActions(model);
  if (!dialog.open) dialog.showModal();
  find(".title").focus();
  dialog.scrollTop = 0;
  const answer = await server.card({ name: model.name }).catch(() => null);
  if (open !== model) return;
  if (!answer?.html) {
    find(".full").textContent = answer?.problem ?? words.no_answer;
    return;
  }
  find(".full").innerHTML = answer.html; // made by the server, which takes all that a card says for text
  if (!model.pictured) return;
  image.dataset.name = model.name;
  await draw(image);
  image.hidden = false;
}

/** @type {(model: Model) => void} */
function layActions(model) {
  const use = button(say("use", { tab: model.tab }), () => {
    dialog.close();
    props.value = { name: model.name };
    trigger("open");
  }, "primary");
  const more = manages
    ? [
        button(words.verify, () => verify(model)),
        button(words.push, () => askPush(model)),
        ...(model.deletes ? [button(words.delete, () => askDelete(model), "danger")] : []),
      ]
    : [];
  find(".actions").replaceChildren(use, ...more);
}

const place = () => find("dialog .place");

// Ends what was begun on this page.
function leave() {
  halt();
  place().replaceChildren();
}

/** @type {(text: string, bad?: boolean) => void} */
function tell(text, bad = false) {
  find("dialog .came").textContent = text;
  find("dialog .came").classList.toggle("bad", bad);
}

/** @type {(problem?: string) => void} */
function back(problem = "") {
  place().replaceChildren();
  if (problem) tell(problem, true); // the toast lies below this page
  find(".title").focus({ preventScroll: true });
}

/** @type {(model: Model) => void} */
function verify({ name }) {
  tell("");
  work(place(), { do: "verify", name }, words.verifying, () => {
    tell(words.verified);
    back();
  }, back);
}

/** @type {(model: Model) => void} */
function askDelete({ name, title, size, whose }) {
  leave();
  tell("");
  const go = button(words.delete_it, () => {
    if (go.classList.contains("sure")) {
      return work(place(), { do: "delete", name }, words.deleting, async () => {
        dialog.close();
        await refresh();
        find(".came").textContent = say("deleted", { title });
      }, back);
    }
    go.classList.add("sure");
    go.textContent = words.really;
  }, "danger");
  const text = say(whose === "pulled" ? "delete_pulled" : "delete_own", { title, size });
  place().replaceChildren(make("p", {}, text), make("div", { className: "buttons" }, go, button(words.cancel, () => back())));
  go.focus();
}

/** @type {(model: Model) => void} */
function askPush(model) {
  leave();
  tell("");
  const repository = make("input", { type: "text", placeholder: "owner/repo", spellcheck: false, autocomplete: "off", required: true, ariaLabel: words.repository });
  const hidden = make("input", { type: "checkbox", checked: true });
  const form = make(
    "form",
    { className: "push" },
    make("p", { className: "hint" }, words.push_hint),
    make("label", {}, words.repository, repository),
    make("label", { className: "check" }, hidden, words.private),
    make("div", { className: "buttons" }, make("button", { type: "submit", className: "primary" }, words.pack), button(words.cancel, () => back())),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    tell("");
    const wish = { name: model.name, repository: repository.value, private: hidden.checked };
    work(place(), { do: "pack", ...wish }, words.packing, (parcel) => showParcel(wish, parcel), (problem) => askPushAgain(form, problem));
  });
  place().replaceChildren(form);
  repository.focus();
}

/** @type {(form: HTMLElement, problem?: string) => void} */
function askPushAgain(form, problem = "") {
  tell(problem, true);
  place().replaceChildren(form);
  form.querySelector("input")?.focus();
}

// All that would leave, before any of it does.
/** @type {(wish: object, parcel: Answer) => void} */
function showParcel(wish, parcel) {
  const { address, there, files, fields, left_out, digest } = parcel;
  const seen = there ? words.repository_there : parcel.private ? words.repository_private : words.repository_public;
  const listed = files.map((/** @type {[string, string, boolean]} */ [name, size, again]) => make("li", {}, make("code", {}, name), ` ${size}${again ? ` · ${words.replaces}` : ""}`));
  const rows = fields.flatMap((/** @type {[string, string]} */ [name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
  const send = button(words.send, () =>
    work(place(), { do: "send", digest, ...wish }, words.sending, ({ reference }) => {
      tell(say("sent", { reference }));
      back();
    }, back), "primary");
  place().replaceChildren(
    make("p", {}, make("b", {}, address), ` · ${seen}`),
    make("ul", { className: "files" }, ...listed),
    make("p", { className: "hint" }, words.fields),
    make("dl", { className: "fields" }, ...rows),
    ...(left_out.length ? [make("p", { className: "hint" }, say("left_out", { names: left_out.join(", ") }))] : []),
    make("p", {}, words.push_look),
    make("div", { className: "buttons" }, send, button(words.cancel, () => back())),
  );
  send.focus({ preventScroll: true });
  send.scrollIntoView({ block: "nearest" });
}

// ---- models that come ----

/** @type {(answer: Answer) => Promise<void>} */
async function arrived({ name, title }) {
  await refresh();
  find(".came").textContent = say("here_now", { title });
  [...element.querySelectorAll(".gallery article")].find((node) => node.dataset.name === name)?.querySelector("button")?.focus();
}

find(".any form").addEventListener("submit", (event) => {
  event.preventDefault();
  const reference = find("input.reference").value.trim();
  if (!reference) return find("input.reference").focus();
  obtain(find(".any .place"), reference, (answer) => {
    find("input.reference").value = "";
    arrived(answer);
  }, () => find("input.reference").focus());
});

// ---- wiring ----

for (const node of element.querySelectorAll("[data-word]")) node.textContent = words[node.dataset.word];
for (const node of element.querySelectorAll("[data-label]")) node.ariaLabel = words[node.dataset.label];
find("input[type=search]").placeholder = words.search;
find("input[type=search]").addEventListener("input", filter);
find(".close").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => {
  leave();
  open = null;
});
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside the page itself

// A model may be trained, fetched or deleted while another tab is open.
let seen = false;
new ResizeObserver(() => {
  const now = element.offsetParent !== null;
  if (now && !seen) refresh();
  seen = now;
}).observe(element);
