// ---- the stage: repairing, and what is to be done with the result ----

/** @type {string[]} */
const formats = props.value?.formats ?? [];
const chooser = find(".format select");
const divider = find(".divider");
const holder = button("hold");
const WIPE = 0.02; // of the stage's width, one press of an arrow key

/** @type {Work | null} */
let pending = null; // the work that is under way: {run, used: what was marked as it began, step, question: what is yet to be sent}
let sure = false; // the visitor was asked whether so much is meant
let holding = false; // the photo is shown as it was
/** @type {number | null} */
let wipe = null; // where the divider is, as a part of the stage's width; left of it lies the photo as it was

// A name by which the server may be told to stop, which nobody else can guess.
const named = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

const repair = () => mask?.count && ask("repair");

// Has the picture repaired, or another event make something of it. The event takes its value from `asked()`, and its answers
// come to `answered`. `used` are the marks that go with it, all that there are unless said; later strokes stay when the result
// comes. `step` names the work where it is one of several. `then` is called when it has come. `facts` go with the question.
/** @type {(event: string, how?: { used?: Uint8Array | null, step?: string | null, then?: (() => void) | null, facts?: object }) => Promise<unknown>} */
async function ask(event, { used = null, step = null, then = null, facts = {} } = {}) {
  if (pending) return;
  complain("");
  warn([]);
  leave();
  const mine = { run: named(), used, step, question: null, then };
  pending = mine;
  progress(0, words.waiting);
  refresh();
  const whole = await value();
  mine.used ??= whole && (await readBits(whole.mask));
  if (mine !== pending) return; // cancelled
  if (!whole) return failed();
  const { mask, painted, grow, forbid } = whole;
  Object.assign(mine, { question: { ...whole, run: mine.run, sure, ...facts }, marks: { mask, painted, grow, forbid } });
  trigger(event);
}

/** @type {() => Work["question"]} */
function asked() {
  if (!pending) return null;
  const { question } = pending;
  pending.question = null;
  return question;
}

function cancel() {
  if (!pending) return;
  server.stop(pending.run).catch(() => {}); // then its result comes, and is dropped
  pending = null;
  announce(words.cancelled);
  refresh();
}

const failed = () => pending && answered({ run: pending.run });

// What a handler tells; of a repair that is no longer wanted, because there is another picture or it was cancelled, nothing.
/** @type {(answer: any) => Promise<unknown>} */
async function answered({ run, of, text, fraction, glimpse, scene, marks, problem, ask, rewritten, unwritten, ...other }) {
  if (rewritten || unwritten !== undefined) return rewrite(of, rewritten, unwritten);
  if (other.taken || other.untaken) return took({ of, ...other });
  if (other.offers) return found({ of, ...other });
  const mine = pending;
  const before = picture?.scene;
  if (!mine || run !== mine.run || mine.ended) return;
  if (text) return progress(fraction, text, glimpse);
  mine.ended = true;
  try {
    if (scene) await replace(scene, mine.used ?? undefined, () => mine === pending);
    else if (marks) await markDamage(marks, () => mine === pending);
    else complain(problem ?? words.failed);
  } catch {
    complain(words.failed);
  }
  if (mine !== pending) return;
  pending = null;
  sure = Boolean(ask);
  refresh();
  if ((scene || marks) && mine.then) return mine.then();
  if (scene?.parts && before && mine.marks) {
    picture.scene.made = { before, after: picture.scene, marks: mine.marks };
    seek();
  }
  if (scene) settle();
}

// Settles when no stroke is being drawn.
async function lifted() {
  while (shape) await new Promise(requestAnimationFrame);
}

// Puts what a handler made of the picture on the stage, as one step. `used` is what was marked for it, `wanted()` whether it
// still is when it could be shown.
/** @type {(scene: Omit<Scene, "id">, used?: Uint8Array, wanted?: () => boolean) => Promise<void>} */
async function replace(scene, used = new Uint8Array(mask.bits.length), wanted = () => true) {
  const mine = picture;
  const made = { ...scene, id: ++scenes };
  await load(made);
  await lifted();
  if (mine === picture && wanted()) arrive(made, used);
}

// ---- saving in another format ----

// Has what is shown written in the format that is chosen.
function settle() {
  const scene = picture?.scene;
  if (!scene?.state || scene.kind === chooser.value || scene.awaits === chooser.value) return;
  scene.awaits = chooser.value;
  refresh();
  trigger("resave");
}

// Has every scene written anew once it is shown, because files are to tell more or less.
function resave() {
  for (const scene of picture ? allScenes() : []) scene.kind = "";
  settle();
}

const unsaved = () => picture && rewrite(picture.scene.id);

/** @type {(of: number, made?: Scene | null, problem?: string | null) => Promise<void>} */
async function rewrite(of, made = null, problem = null) {
  const mine = picture;
  const scene = picture && allScenes().find(({ id }) => id === of);
  if (!scene) return;
  try {
    if (!made) throw new Error(problem ?? words.failed);
    const other = { ...made };
    await load(other);
    release(scene);
    Object.assign(scene, other);
  } catch ({ message }) {
    if (mine === picture) complain(message);
    chooser.value = scene.kind;
  }
  scene.awaits = null;
  if (mine !== picture) return;
  refresh();
  settle();
  keepAnew(scene);
  draw();
}

// ---- what is offered ----

// Shows what can be done now. The keyboard's place moves on from a button that has gone.
function refresh() {
  const scene = picture?.scene;
  const done = Boolean(scene?.state);
  const more = Boolean(mask?.count) || !done;
  const last = /** @type {HTMLButtonElement | null} */ (document.activeElement);
  /** @type {(name: string, on: unknown) => void} */
  const offer = (name, on) => (button(name).hidden = !on);
  offer("repair", !pending && more);
  offer("stop", pending);
  offer("old", old && picture && !pending && !done && !mask.count);
  offer("damage", old && picture);
  button("damage").disabled = Boolean(pending);
  find(".sensitivity").hidden = !searched();
  offer("suggest", picture?.suggested && !pending && !done && !mask.count);
  button("suggest").textContent = picture?.suggested?.says ?? "";
  offer("download", !pending && done);
  for (const name of ["hold", "wipe", "onward"]) offer(name, done);
  button("repair").disabled = !mask?.count;
  find(".actions .hint").hidden = Boolean(pending || mask?.count || (done && !mask.forbidden));
  find(".actions .hint").textContent = mask?.forbidden ? words.only_spared : words.hint;
  find(".progress").hidden = !pending;
  find(".format").hidden = Boolean(pending) || !done;
  button("download").classList.toggle("primary", !more);
  button("download").classList.toggle("waits", Boolean(scene?.awaits));
  if (done) {
    const name = scene.file.orig_name;
    const text = scene.awaits ? words.writing : say(words.download, { name: more ? "" : name }).trim(); // beside Repair it is short
    Object.assign(button("download"), { href: scene.file.url, download: name, title: name, textContent: text });
  }
  showFills();
  if (!done) setWipe(null);
  tell(done && !mask.count ? scene : null);
  const gone = find(".actions").contains(last) ? last?.closest("[hidden]") : last === button("damage") && last.disabled;
  if (gone) find(".actions :is(button, a):not([hidden], :disabled)")?.focus({ preventScroll: true });
}

// What is said of a result: first what matters, the rest for those who ask.
/** @type {(scene: Scene | null) => void} */
function tell(scene) {
  const place = find(".outcome");
  place.hidden = !scene;
  if (!scene) return;
  find(".outcome .line").textContent = scene.line;
  find(".outcome .notes").textContent = scene.notes.join(" ");
  find(".outcome .facts").replaceChildren(
    ...[...(scene.how ?? []), scene.counts].map((text) => Object.assign(document.createElement("p"), { textContent: text })),
  );
}

let looks = 0;

// Asks, once painting rests, where a repair of it may fail.
/** @type {(asked: Question | null) => Promise<void>} */
async function lookOut(asked) {
  const mine = ++looks;
  warn([]);
  if (!asked || !mask.count || pending) return;
  const sentences = await server.outlook(asked).catch(() => []);
  if (mine === looks && !pending && mask?.count) warn(sentences);
}

// Sentences of warning before a repair; none takes the last ones away.
/** @type {(sentences: string[]) => void} */
function warn(sentences) {
  find(".outlook").replaceChildren(...sentences.map((text) => Object.assign(document.createElement("p"), { textContent: text })));
}

// `glimpse` is the address of a small picture of what is being made, where there is one.
/** @type {(fraction: number | null, text: string, glimpse?: string) => void} */
function progress(fraction, text, glimpse) {
  const shown = find(".progress img");
  shown.hidden = !glimpse;
  if (glimpse) shown.src = glimpse;
  const bar = find(".progress progress");
  if (fraction) bar.value = fraction;
  else bar.removeAttribute("value"); // nobody knows yet
  find(".progress span").textContent = pending?.step ? say(words.step, { step: pending.step, text }) : text;
}

const isFull = fullScreen(root, button("full"), draw);

// ---- before and after ----

/** @type {(on: boolean) => void} */
function hold(on) {
  holding = on && Boolean(picture?.scene.state);
  root.classList.toggle("holding", holding);
  holder.setAttribute("aria-pressed", holding);
  draw();
}

// A place on the stage within the picture, both as parts of the stage's width.
/** @type {(place: number) => number} */
function within(place) {
  const width = stage.clientWidth;
  return clamp(place, Math.max(0, view.x) / width, Math.min(width, view.x + picture.width * view.scale) / width);
}

/** @type {(place: number | null) => void} */
function setWipe(place) {
  if (place === null && document.activeElement === divider) stage.focus({ preventScroll: true });
  wipe = place === null ? null : within(place);
  root.classList.toggle("wiping", wipe !== null);
  button("wipe").setAttribute("aria-pressed", wipe !== null);
  if (wipe !== null) {
    divider.style.left = `${100 * wipe}%`;
    divider.setAttribute("aria-valuenow", Math.round(100 * wipe));
  }
  draw();
}

function toggleWipe() {
  setWipe(wipe === null ? 0.5 : null);
  if (wipe !== null) divider.focus({ preventScroll: true });
}

/** @type {(event: KeyboardEvent) => void} */
function onDivider(event) {
  /** @type {Record<string, number>} */
  const moves = { ArrowLeft: -WIPE, ArrowDown: -WIPE, ArrowRight: WIPE, ArrowUp: WIPE, PageDown: -5 * WIPE, PageUp: 5 * WIPE, Home: -1, End: 1 };
  if (event.key in moves) setWipe(Number(wipe) + moves[event.key]);
  else if (event.key === "Escape") setWipe(null);
  else return;
  event.preventDefault();
  event.stopPropagation();
}

function wireStage() {
  for (const name of formats) chooser.append(new Option(words[name], name));
  chooser.addEventListener("change", settle);
  holder.title = words.before_hint;
  holder.addEventListener("pointerdown", (event) => {
    holder.setPointerCapture(event.pointerId);
    hold(true);
  });
  for (const end of ["pointerup", "pointercancel", "blur"]) holder.addEventListener(end, () => hold(false));
  holder.addEventListener("contextmenu", (event) => event.preventDefault());
  holder.addEventListener("keydown", (event) => [" ", "Enter"].includes(event.key) && hold(true));
  root.addEventListener("keyup", () => holding && hold(false));
  root.addEventListener("focusout", (event) => holding && !root.contains(/** @type {Node | null} */ (event.relatedTarget)) && hold(false));
  divider.addEventListener("pointerdown", (event) => {
    event.stopPropagation();
    divider.setPointerCapture(event.pointerId);
  });
  divider.addEventListener("pointermove", (event) => {
    if (divider.hasPointerCapture(event.pointerId)) setWipe(place(event).x / stage.clientWidth);
  });
  divider.addEventListener("keydown", onDivider);
  find(".candidates").setAttribute("aria-label", words.candidates);
}
