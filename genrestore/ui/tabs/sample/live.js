// The live picture of the Sample tab. Gradio runs this once, with `element`, `props` and `server` in scope.
//
// `state` is everything that defines the picture; the server turns it into pixels, and the address bar holds it.

/**
 * @typedef {{ model: string, seed: number, truncation: number, a: number[], raw: Record<number, number>, told: Record<string, unknown> }} State
 * @typedef {{ row: HTMLElement, input: HTMLInputElement, show: (value: number) => void }} Row
 * @typedef {{ name: string, title: string, about: string, seed: number, inputs: any[] }} Model
 */

const REACH = props.reach; // how far a slider goes to each side, in standard deviations of the latent
const STEP = 0.05;
const END = 3; // where the little pictures at a slider's ends lie
const FEW = 8; // directions shown at first
const MANY = props.directions; // and after "more"
const PAGE = 16; // raw dimensions, and seeds, on one page
const SEEDS = props.seeds; // first seed that does not exist
const RANDOM = 1_000_000; // random seeds stay below this, so that they can be remembered
const QUIET = 250; // ms without a change before the small pictures and the address follow
const SLOW = 400; // ms without an answer before the page says that it waits
const LARGEST = props.largest; // pixels a side of an enlarged download

/** @type {Find} */
const find = (query) => element.querySelector(query);
const words = props.words[languageOf(props.words)];
/** @type {(key: string, values?: Record<string, unknown>) => string} */
const say = (key, values = {}) => words[key].replace(/{(\w+)}/g, (_, name) => String(values[name]));

const picture = find("canvas.picture");
/** @type {{ directions: Row[], dimensions: (Row & { index: number })[], told: { row: HTMLElement, show: () => void }[], toldOf: string }} */
const rows = { directions: [], dimensions: [], told: [], toldOf: "" }; // `told` as the model `toldOf` has them
/** @type {Model[]} */
let catalogue = [];
/** @type {State} */
let state = { model: "", seed: 0, truncation: 1, a: [], raw: {}, told: {} };
let waits = 0; // questions that have been on their way for long
/** @type {number[]} */
let z = []; // the latent of the drawn picture, from the server
let shown = FEW; // directions on the page
let rawFirst = 0; // first raw dimension on the page
let seedFirst = 0; // first seed in the grid

// ---- asking the server ----

/** @type {(ms: number) => Promise<unknown>} */
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// A question to the server; while its answer is long in coming, the picture says so.
/** @type {<W>(question: (wish: W) => Promise<any>) => (wish: W) => Promise<any>} */
const patient = (question) => async (wish) => {
  let long = 0;
  const timer = setTimeout(() => {
    long = 1;
    waits += 1;
    find(".wait").hidden = false;
  }, SLOW);
  try {
    return await question(wish);
  } finally {
    clearTimeout(timer);
    waits -= long;
    find(".wait").hidden = waits === 0;
  }
};

// Calls `ask` with the newest wish, at most `lanes` calls at a time, and draws the answers in the order of the wishes: nothing
// piles up, an answer that a newer one overtook is dropped, and the last wish is always the one that stays. When the server
// is busy, or the call failed on its way (the answer is undefined), ask again. `prepare` may take its time; `draw` may not.
/** @type {<W>(ask: (wish: W) => Promise<any>, prepare: (answer: any) => Promise<any>, draw: (ready: any, wish: W) => void, lanes?: number) => (wish: W) => Promise<void>} */
function follow(ask, prepare, draw, lanes = 1) {
  let flying = 0;
  let wanted = null;
  let sent = 0;
  let drawn = 0;
  let failures = 0;
  return async (wish) => {
    wanted = wish;
    if (flying === lanes) return;
    flying += 1;
    try {
      while (wanted) {
        /** @type {any} */
        const current = wanted;
        const turn = ++sent;
        wanted = null;
        const answer = await ask(current);
        if (answer && !answer.busy) {
          failures = 0;
          const ready = await prepare(answer).catch(console.error); // what cannot be drawn must not stop the next one
          if (ready && turn > drawn) {
            drawn = turn;
            draw(ready, current);
          }
          continue;
        }
        if (turn < sent) continue; // a newer wish is on its way
        failures += 1;
        tell(answer ? words.busy : words.lost);
        await pause(Math.min(10_000, 500 * 2 ** failures));
        if (turn === sent) wanted ??= current; // unless one has left meanwhile
      }
    } finally {
      flying -= 1;
    }
  };
}

// The answer with its picture ready to be drawn, where it has one.
/** @type {(answer: any) => Promise<any>} */
async function decoded(answer) {
  if (answer.pixels) return { ...answer, image: unpacked(answer) };
  if (!answer.picture) return answer;
  const image = new Image();
  image.src = answer.picture;
  await image.decode();
  return { ...answer, image };
}

// Red, green and blue of each pixel, in base64: nothing to wait for, while a browser answers `decode` up to a frame later.
/** @type {(answer: { pixels: string, width: number, height: number }) => ImageData} */
function unpacked({ pixels, width, height }) {
  const samples = atob(pixels);
  const image = new ImageData(width, height);
  const { data } = image;
  for (let from = 0, to = 0; from < samples.length; to += 4) {
    for (let channel = 0; channel < 3; channel += 1) data[to + channel] = samples.charCodeAt(from++);
    data[to + 3] = 255;
  }
  return image;
}

/** @type {(problem: string) => void} */
function tell(problem) {
  put(find(".problem"), "textContent", problem);
  find(".stage").classList.toggle("stale", problem !== "");
}

/** @type {(changes?: Partial<State>) => State} */
const copy = (changes = {}) => structuredClone({ ...state, ...changes });

const live = follow(
  patient(async (wish) => {
    const start = performance.now();
    const answer = await server.picture(wish);
    return answer && { ...answer, ms: performance.now() - start };
  }),
  decoded,
  ({ problem, image, ...answer }, wish) => {
    if (problem) return tell(problem);
    if (picture.width !== image.width || picture.height !== image.height) {
      picture.width = image.width;
      picture.height = image.height;
    }
    const canvas = /** @type {CanvasRenderingContext2D} */ (picture.getContext("2d"));
    if (image instanceof ImageData) canvas.putImageData(image, 0, 0);
    else canvas.drawImage(image, 0, 0);
    picture.dataset.state = JSON.stringify(wish);
    z = answer.z.split(",").map(Number);
    tell("");
    find(".measured").textContent = `${image.width} × ${image.height} · ${Math.round(answer.ms)} ms`;
    showSizes();
    showValues();
  },
  2, // while one answer is on its way to the screen, the server already draws the next
);

// The small pictures come as one strip, a picture below the other.
/** @type {(canvases: () => HTMLCanvasElement[]) => (wishes: State[]) => Promise<void>} */
const strips = (canvases) =>
  follow(
    (wishes) => server.strip(wishes),
    decoded,
    ({ problem, image }, wishes) => {
      if (problem) return tell(problem);
      const height = image.height / wishes.length;
      canvases().slice(0, wishes.length).forEach((canvas, place) => {
        canvas.width = image.width;
        canvas.height = height;
        canvas.getContext("2d")?.drawImage(image, 0, -place * height);
      });
    },
  );

const drawSeeds = strips(() => [...find(".grid").querySelectorAll("canvas")]);
const drawEnds = strips(() => [...find(".directions").querySelectorAll("canvas")]);

let timer = 0;
/** @type {Record<string, string | null>} */
const last = {};

function changed() {
  live(copy());
  showValues();
  soon();
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(settle, QUIET);
}

function settle() {
  if (!z.length) return soon(); // the large picture comes first
  /** @type {(name: string, wishes: State[], draw: (wishes: State[]) => void) => void} */
  const once = (name, wishes, draw) => {
    const key = JSON.stringify(wishes);
    if (last[name] === key) return;
    last[name] = key;
    draw(wishes);
  };
  once("seeds", gridSeeds().map((seed) => copy({ seed })), drawSeeds);
  const ends = rows.directions.flatMap((_, place) => [-END, END].map((end) => copy({ a: moved(place, end) })));
  if (ends.length) once("ends", ends, drawEnds);
  keepAddress();
}

// ---- the state and the address bar ----

/** @type {(value: number, low: number, high: number) => number} */
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
/** @type {(value: number) => number} */
const round = (value) => Math.round(value * 100) / 100;

/** @type {(place: number, value: number) => number[]} */
function moved(place, value) {
  const a = Array.from({ length: Math.max(state.a.length, place + 1) }, (_, k) => state.a[k] ?? 0);
  a[place] = value;
  while (a.length && a.at(-1) === 0) a.pop();
  return a;
}

function keepAddress() {
  const url = new URL(location.href);
  const start = { ...first(), model: catalogue[0].name };
  if (url.searchParams.has("tab") && url.searchParams.get("tab") !== "sample") return; // another tab has been opened
  /** @type {(key: string, text: string, plain: string) => void} */
  const put = (key, text, plain) => (text === plain ? url.searchParams.delete(key) : url.searchParams.set(key, text));
  put("model", state.model, start.model);
  put("seed", String(state.seed), String(start.seed));
  put("truncation", String(state.truncation), String(start.truncation));
  put("a", state.a.join(","), "");
  put("told", JSON.stringify(state.told), "{}");
  put("raw", Object.entries(state.raw).map(([index, value]) => `${index}:${value}`).join(","), "");
  history.replaceState(history.state, "", url);
}

function readAddress() {
  const query = new URLSearchParams(location.search);
  /** @type {(text: string | null, low: number, high: number, otherwise: number) => number} */
  const number = (text, low, high, otherwise) => {
    const value = text === null || text.trim() === "" ? NaN : Number(text);
    return Number.isFinite(value) ? clamp(value, low, high) : otherwise;
  };
  /** @type {(key: string) => string[]} */
  const list = (key) => (query.get(key) ?? "").split(",").filter(Boolean);
  const model = known(query.get("model")) ?? catalogue[0];
  state = first(model.name);
  const seed = query.get("seed");
  if (isSeed(seed)) state.seed = Number(seed);
  wrongSeed(seed === null || isSeed(seed) ? "" : seed);
  state.truncation = number(query.get("truncation"), 0, props.widest, 1);
  state.a = list("a").slice(0, MANY).map((text) => number(text, -REACH, REACH, 0));
  if (state.a.length > FEW) shown = MANY;
  try {
    const told = JSON.parse(query.get("told") ?? "{}");
    for (const { name } of model.inputs) if (Object.hasOwn(told, name)) state.told[name] = told[name];
  } catch {
    // an address that somebody has written by hand
  }
  for (const [index, value] of list("raw").map((text) => text.split(":"))) {
    if (/^\d{1,6}$/.test(index)) state.raw[Number(index)] = number(value ?? null, -REACH, REACH, 0);
  }
}

/** @type {(name: string | null) => Model | undefined} */
const known = (name) => catalogue.find((model) => model.name === name);
/** @type {(model?: string) => State} */
const first = (model = state.model) => ({ model, seed: known(model)?.seed ?? 0, truncation: 1, a: [], raw: {}, told: {} });
/** @type {(text: string | null) => boolean} */
const isSeed = (text) => text !== null && /^\d+$/.test(text) && Number(text) < SEEDS;

// Says what a seed is where `given` is none.
/** @type {(given: string) => void} */
function wrongSeed(given) {
  find(".wrong").textContent = given && say("seed_wrong", { given: given.slice(0, 40), last: SEEDS - 1 });
  find("input.number").ariaInvalid = String(given !== "");
}

/** @type {(seed: number) => void} */
function setSeed(seed) {
  wrongSeed("");
  state.seed = clamp(Math.floor(seed), 0, SEEDS - 1);
  seedFirst = state.seed - (state.seed % PAGE);
  changed();
}

// ---- drawing the controls ----

/** @type {Make} */
function make(tag, attributes = {}, ...children) {
  const node = Object.assign(document.createElement(tag), attributes);
  node.append(...children);
  return node;
}

// Sets a property where it differs. A text that is written anew is laid out and painted anew, even when it is the same; a
// drag sets all of them for every picture.
/** @type {<N extends object, K extends keyof N>(node: N, name: K, value: N[K]) => void} */
function put(node, name, value) {
  if (node[name] !== value) node[name] = value;
}

// One slider with its number. `move` is called with each value, `rest` when the row is to go back to where it rests.
/** @type {(what: { name: string, label: string, low: number, high: number, step?: number, move: (value: number) => void, rest: () => void }) => Row} */
function slider({ name, label, low, high, step = STEP, move, rest }) {
  const input = make("input", { type: "range", min: low, max: high, step, ariaLabel: label });
  const output = make("output");
  let drawn = NaN;
  const row = make("div", { className: "row", title: words.rest }, make("span", { className: "label" }, name), input, output);
  input.addEventListener("input", () => move(Number(input.value)));
  input.addEventListener("dblclick", rest);
  input.addEventListener("keydown", (event) => {
    if (["Delete", "Backspace", "0"].includes(event.key)) {
      event.preventDefault();
      rest();
    }
  });
  /** @type {Row["show"]} */
  const show = (value) => {
    /** @type {(number: number) => string} */
    const at = (number) => `${(100 * (clamp(number, low, high) - low)) / (high - low)}%`;
    if (Number(input.value) !== value) input.valueAsNumber = value;
    if (drawn === value) return;
    drawn = value;
    output.textContent = value.toFixed(2).replace("-", "−");
    row.style.setProperty("--from", at(Math.min(0, value)));
    row.style.setProperty("--to", at(Math.max(0, value)));
  };
  return { row, input, show };
}

function layDirections() {
  const count = z.length ? Math.min(shown, z.length) : shown;
  rows.directions = Array.from({ length: count }, (_, place) => {
    /** @type {(value: number) => void} */
    const move = (value) => {
      state.a = moved(place, value);
      changed();
    };
    const label = say("direction", { number: place + 1 });
    const row = slider({ name: String(place + 1), label, low: -REACH, high: REACH, move, rest: () => move(0) });
    /** @type {(value: number) => HTMLElement} */
    const end = (value) => {
      const button = make("button", { type: "button", className: "end", tabIndex: -1, ariaLabel: `${label}: ${value}` }, make("canvas"));
      button.addEventListener("click", () => move(value));
      return button;
    };
    row.input.before(end(-END));
    row.input.after(end(END));
    return row;
  });
  find(".directions").replaceChildren(...rows.directions.map((row) => row.row));
  const button = find("[data-do=more]");
  button.hidden = z.length > 0 && z.length <= FEW;
  button.textContent = shown === FEW ? words.more : words.fewer;
  button.ariaExpanded = String(shown !== FEW);
  last.ends = null;
  soon();
}

function layDimensions() {
  rawFirst = clamp(rawFirst, 0, Math.max(0, z.length - 1));
  rawFirst -= rawFirst % PAGE;
  const indices = Array.from({ length: Math.min(PAGE, z.length - rawFirst) }, (_, k) => rawFirst + k);
  rows.dimensions = indices.map((index) => {
    /** @type {(value: number) => void} */
    const move = (value) => {
      state.raw[index] = value;
      changed();
    };
    const rest = () => {
      delete state.raw[index];
      changed();
    };
    const label = say("dimension", { number: index });
    return { index, ...slider({ name: String(index), label, low: -REACH, high: REACH, move, rest }) };
  });
  find(".dimensions").replaceChildren(...rows.dimensions.map((row) => row.row));
  find(".raw .range").textContent = say("range", { first: rawFirst, last: rawFirst + indices.length - 1, all: z.length });
  find("input.index").max = String(Math.max(0, z.length - 1));
  find("[data-do=raw-back]").disabled = rawFirst === 0;
  find("[data-do=raw-on]").disabled = rawFirst + PAGE >= z.length;
}

// What the model takes beside the latent: a text, an amount, one of some words.
function layTold() {
  const inputs = known(state.model)?.inputs ?? [];
  rows.told = inputs.map(({ name, kind, usual, low, high, choices, label, help }) => {
    const type = kind === "str" ? "text" : kind === "bool" ? "checkbox" : "number";
    const input = choices.length
      ? make("select", {}, ...choices.map((/** @type {string} */ word) => make("option", { value: word }, word)))
      : make("input", { type, step: kind === "int" ? 1 : "any", ...(low !== null && { min: low }), ...(high !== null && { max: high }) });
    const checked = () => input instanceof HTMLInputElement && input.checked;
    input.addEventListener("input", () => {
      if (!input.validity.valid) return;
      const value = kind === "str" ? input.value : kind === "bool" ? checked() : Number(input.value);
      if (input.value === "" && kind !== "str") delete state.told[name];
      else state.told[name] = value;
      changed();
    });
    const show = () => {
      const value = state.told[name] ?? usual ?? "";
      if (kind === "bool") Object.assign(input, { checked: value === true });
      else if (document.activeElement !== input) put(input, "value", String(value));
    };
    const words = make("span", { className: "name" }, label, " ", make("small", {}, help));
    return { show, row: make("label", { className: "field" }, words, input) };
  });
  rows.toldOf = state.model;
  find(".told").replaceChildren(...rows.told.map(({ row }) => row));
}

const gridSeeds = () => Array.from({ length: PAGE }, (_, k) => seedFirst + k).filter((seed) => seed < SEEDS);

function layGrid() {
  find(".grid").replaceChildren(
    ...Array.from({ length: PAGE }, () => {
      const button = make("button", { type: "button" }, make("canvas"), make("span"));
      button.addEventListener("click", () => setSeed(Number(button.dataset.seed)));
      return button;
    }),
  );
}

const truncation = slider({
  name: "",
  label: words.truncation,
  low: 0,
  high: props.widest,
  move: (value) => {
    state.truncation = value;
    changed();
  },
  rest: () => {
    state.truncation = 1;
    changed();
  },
});

// Everything on the page that shows the state.
function showValues() {
  if (rows.directions.length !== (z.length ? Math.min(shown, z.length) : shown)) layDirections();
  if (find("details.raw").open && z.length && !rows.dimensions.length) layDimensions();

  if (rows.toldOf !== state.model && known(state.model)) layTold();
  rows.told.forEach((row) => row.show());
  put(find("select.model"), "value", state.model);
  put(find(".about"), "textContent", known(state.model)?.about ?? "");
  const number = find("input.number");
  const typed = document.activeElement === number && !(number.value && number.validity.valid);
  if (!typed) put(number, "value", String(state.seed));
  put(find("[data-do=previous]"), "disabled", state.seed === 0);
  put(find("[data-do=next]"), "disabled", state.seed === SEEDS - 1);
  truncation.show(state.truncation);
  rows.directions.forEach((row, place) => row.show(state.a[place] ?? 0));
  rows.dimensions.forEach((row) => {
    const held = row.index in state.raw;
    row.row.classList.toggle("held", held);
    row.show(held ? state.raw[row.index] : round(z[row.index] ?? 0));
  });
  const held = Object.keys(state.raw).length;
  put(find(".count"), "textContent", held ? say("held", { count: held, all: z.length }) : z.length ? `(${z.length})` : "");
  put(find("[data-do=release]"), "disabled", held === 0);
  put(find("[data-do=centre]"), "disabled", state.a.length === 0);
  put(picture, "ariaLabel", say("picture", { model: state.model, seed: state.seed }));

  const seeds = gridSeeds();
  put(find(".neighbours .range"), "textContent", `${seeds[0]} – ${seeds.at(-1)}`);
  element.querySelectorAll(".grid button").forEach((button, place) => {
    put(button, "hidden", place >= seeds.length);
    put(button.dataset, "seed", String(seeds[place]));
    put(button, "ariaLabel", say("seed_number", { seed: seeds[place] }));
    put(button, "ariaCurrent", String(seeds[place] === state.seed));
    put(/** @type {Node} */ (button.lastChild), "textContent", String(seeds[place]));
  });
  put(find("[data-do=seeds-back]"), "disabled", seedFirst === 0);
  put(find("[data-do=seeds-on]"), "disabled", seedFirst + PAGE >= SEEDS);
}

// ---- what the buttons do ----

/** @type {(question: (wish: any) => Promise<any>, wish: unknown) => Promise<void>} */
const fetched = async (question, wish) => {
  const answer = await patient(question)(wish);
  if (!answer) return tell(words.lost);
  if (answer.problem) return tell(answer.problem);
  make("a", { href: answer.url, download: answer.name }).click();
};

// How many screen pixels one of the picture's has, as a whole number, so that its squares stay squares.
function times() {
  const side = Math.max(picture.width, picture.height);
  const across = (picture.clientWidth * devicePixelRatio) / side;
  return clamp(Math.round(across), 1, Math.floor(LARGEST / side));
}

// What the two downloads are called: by their sizes.
function showSizes() {
  for (const [name, by] of Object.entries({ download: 1, enlarged: times() })) {
    const button = find(`[data-do=${name}]`);
    const size = `${picture.width * by} × ${picture.height * by}`;
    put(button, "textContent", size);
    put(button, "ariaLabel", say("download_size", { size }));
    put(button, "hidden", !z.length || (name === "enlarged" && by === 1));
  }
}

/** @type {(by: number) => void} */
function turnSeeds(by) {
  seedFirst = clamp(seedFirst + by * PAGE, 0, SEEDS - PAGE);
  showValues();
  settle();
}

/** @type {(by: number) => void} */
function turnRaw(by) {
  rawFirst += by * PAGE;
  layDimensions();
  showValues();
}

/** @type {Record<string, () => unknown>} */
const actions = {
  random: () => setSeed(Math.random() * RANDOM),
  previous: () => setSeed(state.seed - 1),
  next: () => setSeed(state.seed + 1),
  reset: () => {
    state = first();
    setSeed(state.seed);
  },
  download: () => fetched(server.download, copy()),
  enlarged: () => fetched(server.enlarged, { state: copy(), times: times(), smooth: find(".smooth input").checked }),
  centre: () => {
    state.a = [];
    changed();
  },
  more: () => {
    shown = shown === FEW ? MANY : FEW;
    layDirections();
    showValues();
  },
  release: () => {
    state.raw = {};
    changed();
  },
  "raw-back": () => turnRaw(-1),
  "raw-on": () => turnRaw(1),
  "seeds-back": () => turnSeeds(-1),
  "seeds-on": () => turnSeeds(1),
};

function connect() {
  for (const node of element.querySelectorAll("[data-word]")) node.textContent = words[node.dataset.word];
  for (const node of element.querySelectorAll("[data-label]")) node.ariaLabel = node.title = words[node.dataset.label];
  for (const node of element.querySelectorAll("[data-title]")) node.title = words[node.dataset.title];
  for (const node of element.querySelectorAll("[data-do]")) node.addEventListener("click", actions[node.dataset.do]);
  find(".truncation").replaceChildren(truncation.row);
  find("input.number").max = String(SEEDS - 1);
  find("input.number").addEventListener("input", ({ target }) => {
    if (target.value !== "" && target.validity.valid) setSeed(Number(target.value));
    else wrongSeed(target.value);
  });
  find("input.number").addEventListener("blur", showValues);
  find(".smooth input").addEventListener("change", (event) => find(".live").classList.toggle("smoothed", event.target.checked));
  find("details.raw").addEventListener("toggle", showValues);
  find("input.index").addEventListener("input", (event) => {
    const index = Number(event.target.value);
    if (event.target.value === "" || !(index >= 0 && index < z.length)) return;
    rawFirst = index;
    layDimensions();
    showValues();
    rows.dimensions.forEach((row) => row.row.classList.toggle("sought", row.index === index));
  });
  find("input.index").addEventListener("keydown", (event) => {
    if (event.key === "Enter") rows.dimensions.find((row) => row.row.classList.contains("sought"))?.input.focus();
  });
  find("select.model").addEventListener("change", (event) => choose(event.target.value));
}

/** @type {(model: string) => void} */
function choose(model) {
  // Directions and dimensions of one net mean nothing in another; the seed and the truncation do, once a visitor chose them.
  const untouched = state.seed === known(state.model)?.seed;
  Object.assign(state, { model, a: [], raw: {}, told: {}, ...(untouched && { seed: known(model)?.seed }) });
  seedFirst = state.seed - (state.seed % PAGE);
  z = [];
  rows.dimensions = [];
  changed();
}

const readCatalogue = () => follow(patient(server.catalogue), async (answer) => answer, layModels)("all");

/** @type {(answer: { models: Model[] }) => void} */
function layModels({ models }) {
  const begins = !catalogue.length;
  catalogue = models;
  find(".live").inert = !models.length;
  if (!models.length) return tell(words.none);
  find("select.model").replaceChildren(...models.map(({ name, title }) => make("option", { value: name }, title)));
  if (begins) {
    openAddress();
  } else if (models.some(({ name }) => name === state.model)) {
    showValues();
  } else {
    choose(models[0].name); // the one that was drawn has been deleted
  }
}

function openAddress() {
  readAddress();
  z = [];
  rows.dimensions = [];
  seedFirst = state.seed - (state.seed % PAGE);
  changed();
}

// The model that another tab asks for; that may be what opens this one for the first time.
function obey() {
  const wish = props.value?.model;
  if (wish !== state.model && known(wish)) choose(wish);
}

// Shows a result that is dropped here as it was made.
/** @type {(file: File | undefined) => Promise<void>} */
async function recall(file) {
  if (!file) return;
  try {
    const { path, url } = await upload(file);
    const answer = await server.recall({ path, url, orig_name: file.name, size: file.size, meta: { _type: "gradio.FileData" } });
    if (!answer?.state) return tell(answer?.problem ?? words.lost);
    state = { ...first(answer.state.model), ...answer.state };
    if (state.a.length > FEW) shown = MANY;
    seedFirst = state.seed - (state.seed % PAGE);
    z = [];
    rows.dimensions = [];
    tell("");
    changed();
  } catch (problem) {
    tell(genrestore.refusal(problem));
  }
}

async function start() {
  connect();
  genrestore.dropzone(element.closest('[role="tabpanel"]') ?? element, find(".live"), ({ files }) => recall(files[0]));
  layGrid();
  showValues();
  await readCatalogue();
  obey();
  // Back and Forward bring an address of this tab again.
  addEventListener("popstate", () => new URLSearchParams(location.search).get("tab") === "sample" && catalogue.length && openAddress());
  // A model may be trained or deleted while another tab is open.
  let open = true;
  new ResizeObserver(() => {
    showSizes();
    const opened = element.offsetParent !== null;
    if (opened && !open) readCatalogue();
    open = opened;
  }).observe(element);
  watch("value", async () => {
    await readCatalogue();
    obey();
  });
}

start();
