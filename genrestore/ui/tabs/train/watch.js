// The runs of the Train tab: a list, and one of them as curves, pictures and buttons. Gradio runs this once, with `element`,
// `props`, `server`, `trigger` and `watch`. The server is asked once a second while the tab is seen, and answers with what
// the log of the shown run says since the last time.

/**
 * @typedef {[number, number]} Spot - step and value
 * @typedef {{ name: string, points: Spot[], dots: boolean, colour: string, dash: string }} Curve
 */

const SECOND = 1000; // ms between two questions while something trains
const CALM = 3000; // ms between two questions when all has ended
const SURE = 5000; // ms in which a second press of Delete deletes
const MOST = 3000; // points of a curve; beyond them every second one goes
const KEPT = 200; // pictures that the browser remembers
const LIVE = ["preparing", "training", "paused"];
const HEIGHT = 220; // of a chart, in CSS pixels, with these margins
const MARGIN = { top: 8, right: 10, bottom: 22, left: 48 };
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "1 4"];
const LATE = 0.98; // share of a curve's points that a chart always shows; a start far above them may leave it

/** @type {Find} */
const find = (query) => element.querySelector(query);
const language = languageOf(props.words);
const words = props.words[language];
/** @type {(key: string, values?: Record<string, unknown>) => string} */
const say = (key, values = {}) => words[key].replace(/{(\w+)}/g, (_, name) => String(values[name]));

/** @type {any} */
let run = null; // what the server last said about the shown run
/** @type {any[]} */
let lines = []; // its log, as far as it is known
let from = 0; // where in the log the next answer begins
/** @type {string | null} */
let wish = null; // name of the run to show; null is the newest
let follows = true; // whether the newest picture is shown
/** @type {Map<number, string>} */
let drawn = new Map(); // pictures of the shown run: step → address
let shown = ""; // the picture on the page, as "run step"

// ---- small things ----

/** @type {Make} */
function make(tag, attributes = {}, ...children) {
  const node = Object.assign(document.createElement(tag), attributes);
  node.append(...children);
  return node;
}

/** @type {(tag: string, attributes?: Record<string, string | number>, ...children: (Node | string)[]) => SVGElement} */
function draw(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Sets a property where it differs, so that what stays the same keeps its focus and is not read out again.
/** @type {<N extends object, K extends keyof N>(node: N, name: K, value: N[K]) => void} */
function put(node, name, value) {
  if (node[name] !== value) node[name] = value;
}

/** @type {(number: number) => string} */
const count = (number) => number.toLocaleString(language);

/** @type {(number: number) => string} */
function short(number) {
  const size = Math.abs(number);
  if (size >= 1e6) return `${+(number / 1e6).toPrecision(3)}M`;
  if (size >= 1e4) return `${+(number / 1e3).toPrecision(3)}k`;
  if (size && size < 1e-3) return number.toExponential(1).replace("e-", "e−");
  return String(+number.toPrecision(4)).replace("-", "−");
}

/** @type {(seconds: number) => string} */
function time(seconds) {
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? say("hours", { h, m }) : m ? say("minutes", { m, s }) : say("seconds", { s });
}

// ---- charts ----

// Round numbers between two, about `wanted` of them.
/** @type {(low: number, high: number, wanted: number) => number[]} */
function ticks(low, high, wanted) {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((times) => times * power >= rough) ?? 10) * power;
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, k) => (first + k) * step);
}

/** @type {(low: number, high: number) => number[]} */
function logTicks(low, high) {
  const times = high / low > 30 ? [1] : [1, 2, 5];
  const powers = Array.from({ length: Math.ceil(Math.log10(high)) - Math.floor(Math.log10(low)) + 1 }, (_, k) => 10 ** (Math.floor(Math.log10(low)) + k));
  return powers.flatMap((power) => times.map((one) => one * power)).filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
}

// Mean of the last points, weighed less the older they are.
/** @type {(points: Spot[]) => Spot[]} */
function smoothed(points) {
  const keep = 1 - 2 / (Math.max(5, points.length / 25) + 1);
  let sum = 0;
  let weight = 0;
  return points.map(([x, y]) => {
    sum = keep * sum + (1 - keep) * y;
    weight = keep * weight + (1 - keep);
    return [x, sum / weight];
  });
}

// One chart: `curves` are {name, points: [[step, value], …], dots}. It is read by pointing at it or with the arrow keys.
class Chart {
  /** @param {string} what */
  constructor(what) {
    this.what = what;
    this.noisy = what === "losses"; // a score is measured seldom and on many pictures: there is nothing to smooth
    /** @type {Curve[]} */
    this.curves = [];
    /** @type {number[]} */
    this.steps = [];
    /** @type {number | null} */
    this.read = null; // the step that is read
    this.low = 0; // first and last step, and the CSS pixels between them
    this.high = 1;
    this.inner = 1;
    this.svg = draw("svg", { tabindex: 0, role: "img", height: HEIGHT });
    this.legend = make("div", { className: "legend" });
    this.said = make("output", { ariaLive: "polite" });
    const head = make("div", { className: "title" }, make("h4", {}, words[what] ?? what), this.said);
    this.node = make("figure", {}, head, this.svg, this.legend);
    this.svg.addEventListener("pointermove", (event) => this.readAt(event.clientX));
    this.svg.addEventListener("pointerdown", (event) => this.readAt(event.clientX));
    this.svg.addEventListener("pointerleave", () => this.show(null));
    this.svg.addEventListener("blur", () => this.show(null));
    this.svg.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.node);
  }

  /** @type {(name: string, curves: Curve[]) => void} */
  set(name, curves) {
    this.curves = curves;
    this.svg.setAttribute("aria-label", say("chart", { what: words[this.what] ?? this.what, name }));
    this.steps = [...new Set(curves.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
    this.draw();
  }

  /** @type {(step: number | null) => void} */
  show(step) {
    if (step === this.read) return;
    this.read = step;
    this.draw();
  }

  /** @type {(clientX: number) => void} */
  readAt(clientX) {
    const left = this.svg.getBoundingClientRect().left + MARGIN.left;
    const wanted = this.low + ((clientX - left) / this.inner) * (this.high - this.low);
    this.show(this.nearest(wanted));
  }

  /** @type {(wanted: number) => number} */
  nearest(wanted) {
    return this.steps.reduce((best, step) => (Math.abs(step - wanted) < Math.abs(best - wanted) ? step : best), this.steps[0]);
  }

  /** @type {(event: KeyboardEvent) => void} */
  key(event) {
    /** @type {Record<string, number>} */
    const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
    if (!(event.key in moves) || !this.steps.length) return;
    event.preventDefault();
    const place = this.read === null ? this.steps.length : this.steps.indexOf(this.read);
    this.show(this.steps[Math.min(this.steps.length - 1, Math.max(0, place + moves[event.key]))]);
  }

  draw() {
    const width = this.svg.clientWidth;
    if (!width || !this.steps.length) return;
    this.inner = width - MARGIN.left - MARGIN.right;
    const high = HEIGHT - MARGIN.bottom;
    const log = this.noisy && find("input.log").checked;
    const smooth = this.noisy && find("input.smooth").checked;
    [this.low, this.high] = [this.steps[0], Math.max(this.steps[this.steps.length - 1], this.steps[0] + 1)];
    const [bottom, top] = this.range(log);
    /** @type {(value: number) => number} */
    const scale = log ? Math.log10 : (value) => value;
    /** @type {(step: number) => number} */
    const x = (step) => MARGIN.left + ((step - this.low) / (this.high - this.low)) * this.inner;
    /** @type {(value: number) => number} */
    const y = (value) => high - ((scale(value) - scale(bottom)) / (scale(top) - scale(bottom))) * (high - MARGIN.top);
    /** @type {(points: Spot[]) => string} */
    const path = (points) => points.map(([step, value], k) => `${k ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");

    const frame = [];
    for (const tick of log ? logTicks(bottom, top) : ticks(bottom, top, 5)) {
      const at = Math.round(y(tick)) + 0.5;
      frame.push(draw("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: at, y2: at }));
      frame.push(draw("text", { x: MARGIN.left - 6, y: at + 4, "text-anchor": "end" }, short(tick)));
    }
    for (const tick of ticks(this.low, this.high, Math.max(2, width / 110)).filter(Number.isInteger)) {
      frame.push(draw("text", { x: x(tick), y: HEIGHT - 6, "text-anchor": "middle" }, count(tick)));
    }
    frame.push(draw("line", { class: "axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: high + 0.5, y2: high + 0.5 }));

    const inside = draw("svg", { width, height: high + 4 }); // an inner picture clips what leaves it
    const seen = this.curves.map((curve) => ({ ...curve, points: curve.points.filter(([, value]) => !log || value > 0) }));
    for (const { points, dots, colour, dash } of seen) {
      if (dots) {
        for (const [step, value] of points) inside.append(draw("circle", { class: "dot", cx: x(step), cy: y(value), r: 3.5, fill: colour }));
        continue;
      }
      if (smooth) inside.append(draw("path", { class: "curve raw", d: path(points), stroke: colour }));
      inside.append(draw("path", { class: "curve", d: path(smooth ? smoothed(points) : points), stroke: colour, "stroke-dasharray": dash }));
    }
    if (this.read !== null) {
      const at = Math.round(x(this.read)) + 0.5;
      inside.append(draw("line", { class: "reader", x1: at, x2: at, y1: MARGIN.top, y2: high }));
    }
    this.svg.replaceChildren(...frame, inside);
    put(this.said, "textContent", this.read === null ? "" : say("samples_at", { step: count(this.read) }));
    this.label();
  }

  // The lowest and the highest value of the chart.
  /** @type {(log: boolean) => [number, number]} */
  range(log) {
    const values = this.curves.flatMap(({ points }) => points.map(([, value]) => value)).filter((value) => !log || value > 0);
    values.sort((a, b) => a - b);
    if (!values.length) return [1, 10];
    let [low, high] = [values[0], values[values.length - 1]];
    const usual = values[Math.floor(LATE * (values.length - 1))];
    if (!log && values.length > 50 && high - low > 3 * (usual - low)) high = usual + 0.2 * (usual - low);
    if (high === low) [low, high] = log ? [low / 2, high * 2] : [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
    if (log) return [low / 1.1, high * 1.1];
    return [low >= 0 && low < high / 3 ? 0 : low - 0.05 * (high - low), high + 0.05 * (high - low)];
  }

  label() {
    const entries = this.curves.map(({ name, points, dots, colour, dash }) => {
      const step = this.read ?? Infinity;
      const value = points.findLast(([x]) => x <= step)?.[1];
      const mark = dots
        ? draw("circle", { cx: 12, cy: 4, r: 3.5, fill: colour })
        : draw("line", { x1: 0, x2: 24, y1: 4, y2: 4, stroke: colour, "stroke-width": 2, "stroke-dasharray": dash });
      return make("span", {}, draw("svg", { viewBox: "0 0 24 8", "aria-hidden": "true" }, mark), name, make("b", {}, value === undefined ? "" : short(value)));
    });
    this.legend.replaceChildren(...entries);
  }
}

/** @type {Map<string, Chart>} */
const charts = new Map();

// The curves as charts: losses with what the hold-out says about the loss, and one chart for each other score.
function layCharts() {
  /** @type {Map<string, Map<string, { name: string, points: Spot[], dots: boolean }>>} */
  const curves = new Map([["losses", new Map()]]);
  /** @type {(chart: string, name: string, step: number, value: number | null, dots: boolean) => void} */
  const add = (chart, name, step, value, dots) => {
    if (value === null) return;
    const found = curves.get(chart) ?? new Map();
    const curve = found.get(name) ?? { name, points: [], dots };
    curve.points.push([step, value]);
    curves.set(chart, found.set(name, curve));
  };
  for (const { step, losses = {}, holdout = {} } of lines) {
    for (const [player, value] of Object.entries(losses)) add("losses", player, step, value, false);
    for (const [score, value] of Object.entries(holdout)) add(score === "loss" ? "losses" : score, words.kept, step, value, score === "loss");
  }
  for (const [name, chart] of charts) {
    if (curves.get(name)?.size) continue;
    chart.node.remove();
    charts.delete(name);
  }
  for (const [name, found] of curves) {
    if (!found.size) continue;
    const chart = charts.get(name) ?? new Chart(name);
    if (!charts.has(name)) find(".charts").append(chart.node);
    charts.set(name, chart);
    const styled = [...found.values()].map((curve, k) => ({ ...curve, colour: `var(--curve-${k % DASHES.length})`, dash: DASHES[k % DASHES.length] }));
    chart.set(run.name, styled);
  }
  put(find(".charts .quiet"), "hidden", charts.size > 0 || !LIVE.includes(run.state));
  put(find(".toggles"), "hidden", charts.size === 0);
}

// ---- the log ----

/** @type {(answer: any) => void} */
function learn(answer) {
  if (run?.name !== answer.name || answer.anew) {
    lines = [];
    drawn = run?.name === answer.name ? drawn : new Map();
    if (run?.name !== answer.name) [follows, shown] = [true, ""];
  }
  for (const line of answer.lines) {
    const last = lines.findLast(({ losses }) => losses)?.step ?? -1;
    // A run that goes on from an earlier step goes these steps once more.
    if (line.losses && line.step <= last) lines = lines.filter(({ step, event }) => event || step < line.step);
    lines.push(line);
  }
  if (lines.length > 2 * MOST) lines = lines.filter(({ losses }, k) => !losses || k % 2 || k > lines.length - 100);
  from = answer.from;
  run = answer;
}

// ---- showing ----

/** @type {(runs: any[]) => void} */
function showRuns(runs) {
  const when = new Intl.DateTimeFormat(language, { dateStyle: "short", timeStyle: "short" });
  const list = find(".list");
  while (list.children.length > runs.length) list.lastChild?.remove();
  runs.forEach(({ name, state, step, steps, begun }, place) => {
    if (!list.children[place]) {
      const button = make("button", { type: "button" }, make("b"), make("span"), make("span"));
      button.addEventListener("click", () => choose(button.dataset.run ?? ""));
      list.append(button);
    }
    const button = /** @type {HTMLElement} */ (list.children[place]);
    put(button.dataset, "run", name);
    put(button, "ariaCurrent", String(name === run.name));
    put(button.children[0], "textContent", name);
    put(button.children[1], "textContent", `${words[state]} · ${say("of", { step: count(step), steps: count(steps) })}`);
    put(button.children[2], "textContent", when.format(new Date(begun * 1000)));
  });
}

function showRun() {
  const live = LIVE.includes(run.state);
  /** @type {Record<string, string>} */
  const asked = { pause: "pausing", stop: "stopping" };
  const pending = run.state === "training" && asked[run.asked];
  /** @type {(name: string, text: string) => void} */
  const fact = (name, text) => put(find(`[data-fact=${name}]`), "textContent", text);
  put(find(".run").dataset, "state", run.state);
  put(find(".name"), "textContent", run.name);
  put(find(".state"), "textContent", words[pending || run.state]);
  put(find(".message"), "textContent", run.message);
  put(find("progress"), "hidden", !live);
  put(find("progress"), "value", run.steps ? run.step / run.steps : 0);
  put(find("progress"), "ariaLabel", say("progress", { name: run.name }));
  fact("step", say("of", { step: count(run.step), steps: count(run.steps) }));
  fact("speed", run.speed ? short(run.speed) : "–");
  fact("lr", run.lr ? short(run.lr) : "–");
  fact("spent", time(run.seconds));
  fact("left", live && run.left ? time(run.left) : "–");
  const orders = {
    pause: run.state !== "paused" && live && !pending,
    resume: run.state === "paused" || ["stopped", "failed", "lost"].includes(run.state),
    stop: live && pending !== "stopping",
    open: run.tab && !run.unripe,
    weight: run.tab !== "",
    delete: !live,
  };
  for (const [name, there] of Object.entries(orders)) put(find(`[data-do=${name}]`), "hidden", !there);
  if (orders.open) put(find("[data-do=open]"), "textContent", say("open", { tab: run.title }));
  showHow(live);
  layCharts();
  showSamples();
  showNearest();
  const events = lines.filter(({ event }) => event).slice(-8).reverse();
  put(find(".events"), "hidden", events.length === 0);
  const items = events.map(({ step, event }) => make("li", {}, make("span", {}, say("samples_at", { step: count(step + 1) })), event));
  if (find("ul").textContent !== items.map((item) => item.textContent).join("")) find("ul").replaceChildren(...items);
}

// Whether it goes well, in a sentence; once it has ended too early to say, there is none.
/** @type {(live: boolean) => void} */
function showHow(live) {
  const { code, mood, values } = run.how;
  const written = Object.entries(values).map(([name, value]) => [name, name === "name" ? words[`of_${value}`] ?? value : quantity(name, value)]);
  put(find(".how"), "textContent", live || code !== "early" ? say(`how_${code}`, Object.fromEntries(written)) : "");
  put(find(".how").dataset, "mood", mood);
  put(find(".unripe"), "textContent", run.unripe ? say("unripe", { steps: count(run.unripe) }) : "");
}

/** @type {(name: string, value: number) => string} */
function quantity(name, value) {
  if (name === "share") return `${Math.round(100 * value)} %`;
  return ["step", "steps"].includes(name) ? count(Math.round(value)) : short(value);
}

function showSamples() {
  const slider = find(".samples input");
  const steps = run.samples;
  put(find(".samples h4"), "textContent", run.invents ? words.samples : words.samples_other);
  put(slider, "hidden", steps.length < 2);
  put(find(".samples .quiet"), "hidden", steps.length > 0 || !LIVE.includes(run.state));
  put(find(".samples img"), "hidden", steps.length === 0);
  put(find(".samples"), "hidden", steps.length === 0 && !LIVE.includes(run.state));
  if (!steps.length) return put(find(".samples output"), "textContent", "");
  put(slider, "max", String(steps.length - 1));
  if (follows || Number(slider.value) > steps.length - 1) put(slider, "value", String(steps.length - 1));
  const step = steps[Number(slider.value)];
  put(slider, "ariaValueText", say("samples_at", { step: count(step) }));
  put(find(".samples output"), "textContent", say("samples_at", { step: count(step) }));
  showPicture(find(".samples img"), step, say("samples_picture", { name: run.name, step: count(step) }));
}

// Draws the picture of a step, and leaves the last one there until it has come.
/** @type {(image: HTMLImageElement, step: number, text: string) => Promise<void>} */
async function showPicture(image, step, text) {
  const name = run.name;
  const key = `${name} ${step}`;
  if (shown === key) return;
  shown = key;
  if (!drawn.has(step)) {
    const answer = await server.picture({ run: name, step });
    if (run.name !== name) return;
    if (!answer?.url) {
      if (shown === key) shown = "";
      return;
    }
    drawn.set(step, answer.url);
    if (drawn.size > KEPT) drawn.delete([...drawn.keys()][0]);
  }
  if (shown === key) Object.assign(image, { src: drawn.get(step), alt: text });
}

async function showNearest() {
  const section = find(".nearest");
  const { nearest, name } = run;
  if (!nearest) return put(section, "hidden", true);
  const key = `${name} ${nearest.step}`;
  if (section.dataset.key === key) return;
  const answer = await server.picture({ run: name, step: "nearest" });
  if (run.name !== name || !answer?.url) return;
  section.dataset.key = key;
  section.hidden = false;
  const percent = Math.round(100 * nearest.score);
  Object.assign(find(".nearest img"), { src: answer.url, alt: say("nearest_picture", { name }) });
  find(".nearest output").textContent = `${percent} %`;
  find(".nearest .hint").textContent = say("nearest_hint", { percent, n: nearest.n });
}

/** @type {(problem: string) => void} */
function tell(problem) {
  put(find(".problem"), "textContent", problem);
}

// ---- asking the server ----

let timer = 0;
let asking = false;
let again = false; // asked for while a question was under way

const isSeen = () => element.offsetParent !== null && document.visibilityState === "visible";

async function ask() {
  clearTimeout(timer);
  if (asking) {
    again = true;
    return;
  }
  let pause = SECOND;
  if (isSeen()) {
    asking = true;
    again = false;
    const answer = await server.look({ run: wish, from: run && run.name === wish ? from : 0 }).catch(() => null);
    asking = false;
    pause = again ? 0 : show(answer);
  }
  timer = setTimeout(ask, pause);
}

// Shows an answer; returns after how many ms the next is wanted.
/** @type {(answer: any) => number} */
function show(answer) {
  if (!answer || answer.problem) {
    tell(answer ? answer.problem : words.no_answer);
    return CALM;
  }
  tell("");
  put(find(".empty"), "hidden", answer.runs.length > 0);
  put(find(".both"), "hidden", answer.runs.length === 0);
  if (!answer.runs.length) {
    [run, wish] = [null, null];
    return CALM;
  }
  learn(answer.run);
  wish = run.name;
  showRuns(answer.runs);
  showRun();
  return answer.runs.some((/** @type {any} */ one) => LIVE.includes(one.state)) ? SECOND : CALM;
}

/** @type {(name: string) => void} */
function choose(name) {
  wish = name;
  calm();
  ask();
}

// ---- buttons ----

/** @type {(word: string) => Promise<void>} */
async function order(word) {
  const answer = await server.order({ run: run.name, word }).catch(() => null);
  if (!answer || answer.problem) {
    tell(answer ? answer.problem : words.no_answer);
    clearTimeout(timer);
    timer = setTimeout(ask, CALM); // the sentence stays for a while
    return;
  }
  if (word === "delete") wish = null;
  ask();
}

let sure = 0; // timer that calms Delete down

function calm() {
  clearTimeout(sure);
  const button = find("[data-do=delete]");
  button.classList.remove("sure");
  put(button, "textContent", words.delete);
}

/** @type {Record<string, () => unknown>} */
const actions = {
  pause: () => order("pause"),
  resume: () => order("resume"),
  stop: () => order("stop"),
  delete: () => {
    const button = find("[data-do=delete]");
    if (button.classList.contains("sure")) {
      calm();
      return order("delete");
    }
    button.classList.add("sure");
    button.textContent = words.really;
    sure = setTimeout(calm, SURE);
  },
  weight: async () => {
    const answer = await server.weight({ run: run.name }).catch(() => null);
    if (!answer?.url) return tell(answer?.problem ?? words.no_answer);
    const file = await fetch(answer.url, { cache: "no-store" }); // a link would bring it under the server's name for it
    const url = URL.createObjectURL(await file.blob());
    make("a", { href: url, download: answer.name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60 * SECOND);
  },
  open: () => {
    props.value = { run: run.name };
    trigger("open");
  },
};

for (const node of element.querySelectorAll("[data-word]")) node.textContent = words[node.dataset.word];
for (const node of element.querySelectorAll("[data-label]")) node.ariaLabel = words[node.dataset.label];
for (const node of element.querySelectorAll("[data-title]")) node.title = words[node.dataset.title];
for (const node of element.querySelectorAll("[data-do]")) node.addEventListener("click", actions[node.dataset.do]);
for (const box of element.querySelectorAll(".toggles input")) {
  box.addEventListener("change", () => charts.forEach((chart) => chart.draw()));
}
find(".list").addEventListener("keydown", (event) => {
  const by = ["ArrowDown", "ArrowRight"].includes(event.key) ? 1 : ["ArrowUp", "ArrowLeft"].includes(event.key) ? -1 : 0;
  /** @type {HTMLElement[]} */
  const buttons = [...element.querySelectorAll(".list button")];
  const next = by && buttons[buttons.indexOf(document.activeElement) + by];
  if (!next) return;
  event.preventDefault();
  next.focus();
});
find(".samples input").addEventListener("input", (event) => {
  follows = Number(event.target.value) === run.samples.length - 1;
  showSamples();
});
document.addEventListener("visibilitychange", ask);
watch("value", () => {
  if (!props.value?.run) return;
  choose(props.value.run);
  element.scrollIntoView({ behavior: "smooth", block: "start" });
});
ask();
