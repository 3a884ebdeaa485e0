// Before/after slider. Gradio runs this once for each slider, with full_screen.js before it and `element`, `props` and `watch` in scope.
//
// Lengths are CSS pixels measured from the stage's top left corner. The frame is the box that both pictures fill,
// whatever their own sizes are; `view` says where it lies, `split` where the handle stands in its visible part.

/**
 * @typedef {{ width: number, height: number, preview: ServerFile, full: ServerFile | null }} Shown
 * @typedef {{ before: Shown, after: Shown | null }} Compared
 */

const STEP = 0.01; // one press of an arrow key
const LEAP = 0.1; // with Shift, and for Page Up and Page Down
const PAN = 60; // pixels for one press of an arrow key
const NOTCH = 1.25; // zoom of one press of a button
const CLOSEST = 16; // screen pixels for one pixel of the picture
const BLOCKS = 2; // from here on pixels are drawn as squares
const MARGIN = 12; // between a tag and the picture's edge
const LOW = 120; // a picture of less height would hide behind the handle
const TAP = 6; // pixels a finger may stray before it is a drag

/** @type {Find} */
const find = (query) => element.querySelector(query);
const words = props.words[languageOf(props.words)];

const root = find(".compare");
const stage = find(".stage");
const frame = find(".frame");
const before = find("img.before");
const after = find("img.after");
const divider = find(".divider");
const handle = find(".handle");
const tags = { left: find(".tag.left"), right: find(".tag.right") };
const status = find(".empty p");
/** @type {(name: string) => HTMLButtonElement} */
const button = (name) => find(`[data-do="${name}"]`);

let shown = /** @type {Compared} */ (/** @type {unknown} */ (null)); // the value on the stage; null without one: then nothing is drawn
let wanted = 0; // number of the newest value; an older one that loads late is dropped
let split = 0.5; // 0 shows only after, 1 only before
let view = { zoom: 1, x: 0, y: 0 }; // zoom 1 fits; x and y move the frame's middle away from the stage's

// ---- what is shown ----

/** @type {(value: number, low: number, high: number) => number} */
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const reference = () => shown.after ?? shown.before; // the picture whose pixels count for zooming

/** @type {(source: ServerFile) => Promise<string>} */
async function load(source) {
  const image = new Image();
  image.src = source.url;
  await image.decode();
  return source.url;
}

/** @type {(value: Compared | null) => Promise<void>} */
async function show(value) {
  const number = ++wanted;
  if (!value) {
    shown = /** @type {any} */ (null);
    empty("empty", words.empty);
    return;
  }
  try {
    const [first, second] = await Promise.all([load(value.before.preview), value.after && load(value.after.preview)]);
    if (number !== wanted) return;
    const fresh = value.after ?? value.before;
    const same = shown && reference().width === fresh.width && reference().height === fresh.height;
    shown = value;
    before.src = first;
    if (second) after.src = second;
    else after.removeAttribute("src");
    root.dataset.state = second ? "pair" : "single";
    root.classList.toggle("transparent", /\.(png|webp)$/i.test(fresh.preview.path));
    stage.style.aspectRatio = `${fresh.width} / ${fresh.height}`;
    stage.style.setProperty("--tall", `${Math.ceil(fresh.height / dots()) + 2 * MARGIN}px`);
    stage.tabIndex = 0;
    if (!same || !second) view = { zoom: 1, x: 0, y: 0 };
    draw();
    if (second) reveal();
  } catch {
    if (number === wanted) empty("lost", words.lost);
  }
}

/** @type {(state: "empty" | "lost", text: string) => void} */
function empty(state, text) {
  root.dataset.state = state;
  root.classList.remove("zoomed");
  stage.style.aspectRatio = "";
  stage.style.removeProperty("--tall");
  stage.tabIndex = -1;
  status.textContent = text;
}

// On a narrow page the slider lies below what started the work.
function reveal() {
  const { top, bottom } = stage.getBoundingClientRect();
  if (!stage.clientWidth || (top < innerHeight / 2 && bottom > innerHeight / 2)) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  root.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
}

// Once more is asked for than a preview has, the whole picture takes its place.
/** @type {(image: HTMLImageElement, picture: Shown | null) => Promise<void>} */
async function sharpen(image, picture) {
  if (!picture?.full || picture.full.url === picture.preview.url || image.dataset.full === picture.full.url) return;
  image.dataset.full = picture.full.url;
  try {
    const url = await load(picture.full);
    if (shown?.before === picture || shown?.after === picture) image.src = url;
  } catch {
    // the preview stays
  }
}

// ---- geometry ----

// Where the page or a part of it is zoomed by CSS, a pixel of its own is not one of the window.
const magnified = () => stage.getBoundingClientRect().width / stage.offsetWidth || 1;
const dots = () => devicePixelRatio * magnified(); // screen pixels for one CSS pixel

// The frame at zoom 1: as large as the stage allows, but no picture is enlarged by itself.
function fitted() {
  const { width, height } = reference();
  const scale = Math.min(stage.clientWidth / width, stage.clientHeight / height, 1 / dots());
  return { width: width * scale, height: height * scale };
}

// Screen pixels for one pixel of the picture at zoom 1.
const density = () => (fitted().width * dots()) / reference().width;
const closest = () => Math.max(1, CLOSEST / density());

function box() {
  const fit = fitted();
  const [width, height] = [fit.width * view.zoom, fit.height * view.zoom];
  const left = stage.clientWidth / 2 + view.x - width / 2;
  const top = stage.clientHeight / 2 + view.y - height / 2;
  return { left, top, width, height };
}

// The part of the frame, left to right, that lies on the stage: the handle's way.
function way() {
  const { left, width } = box();
  const start = Math.max(0, left);
  return { start, length: Math.min(stage.clientWidth, left + width) - start };
}

// Zooms to `zoom` while the point (x, y) of the stage stays where it is.
/** @type {(zoom: number, x?: number, y?: number) => void} */
function zoomTo(zoom, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const next = clamp(zoom, 1, closest());
  const factor = next / view.zoom;
  const [dx, dy] = [x - stage.clientWidth / 2, y - stage.clientHeight / 2];
  view = { zoom: next, x: dx - (dx - view.x) * factor, y: dy - (dy - view.y) * factor };
  draw();
}

/** @type {(x: number, y: number) => void} */
function panBy(x, y) {
  view.x += x;
  view.y += y;
  draw();
}

/** @type {(value: number) => void} */
function splitTo(value) {
  split = clamp(value, 0, 1);
  draw();
}

const actual = () => 1 / density(); // the zoom at which one pixel of the picture is one of the screen

function draw() {
  if (!shown || !stage.clientWidth) return; // nothing to show, or in a tab that is not open
  const fit = fitted();
  const roomX = Math.max(0, (fit.width * view.zoom - stage.clientWidth) / 2);
  const roomY = Math.max(0, (fit.height * view.zoom - stage.clientHeight) / 2);
  view.x = clamp(view.x, -roomX, roomX);
  view.y = clamp(view.y, -roomY, roomY);

  const { left, top, width, height } = box();
  Object.assign(frame.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });

  const { start, length } = way();
  const border = start + split * length;
  const share = (100 * (border - left)) / width;
  const pair = root.dataset.state === "pair" && !root.classList.contains("holding");
  before.style.clipPath = pair ? `inset(0 ${100 - share}% 0 0)` : "";
  after.style.clipPath = `inset(0 0 0 ${share}%)`;
  divider.style.left = `${border}px`;
  handle.style.top = height < LOW ? "calc(100% - 26px)" : ""; // below a picture that it would cover
  const end = start + length;
  tags.left.style.left = `${start + MARGIN}px`;
  tags.right.style.right = `${stage.clientWidth - end + MARGIN}px`;
  tags.left.classList.toggle("hidden", border - start < tags.left.offsetWidth + 2 * MARGIN);
  tags.right.classList.toggle("hidden", end - border < tags.right.offsetWidth + 2 * MARGIN);
  const percent = Math.round(100 * split);
  handle.setAttribute("aria-valuenow", percent);
  handle.setAttribute("aria-valuetext", `${percent} % ${words.before}`);

  const pixels = view.zoom * density();
  const reduced = !reference().full;
  const ownSize = shown.before.width === reference().width;
  after.style.imageRendering = pixels > BLOCKS && !reduced ? "pixelated" : "auto";
  before.style.imageRendering = ownSize ? after.style.imageRendering : "auto";
  if (width * dots() > 2048) {
    sharpen(before, shown.before);
    sharpen(after, shown.after);
  }

  root.classList.toggle("zoomed", view.zoom > 1);
  find(".percent").textContent = `${Math.round(100 * pixels)} %`;
  find(".note").textContent = reduced ? words.reduced : "";
  setEnabled("out", view.zoom > 1);
  setEnabled("fit", view.zoom > 1);
  setEnabled("in", view.zoom < closest());
  setEnabled("actual", actual() > 1);
}

// Not `disabled`, which would take the focus, and the keys with it, from under a visitor's hands.
/** @type {(name: string, enabled: boolean) => void} */
function setEnabled(name, enabled) {
  button(name).setAttribute("aria-disabled", !enabled);
}

// ---- hold to see before ----

/** @type {(on: boolean) => void} */
function hold(on) {
  if (on && root.dataset.state !== "pair") return;
  root.classList.toggle("holding", on);
  find(".hold").setAttribute("aria-pressed", on);
  draw();
}

// ---- keys ----

/** @type {(event: KeyboardEvent) => void} */
function onHandleKey(event) {
  const step = event.shiftKey ? LEAP : STEP;
  /** @type {Record<string, number>} */
  const moves = { ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step, PageUp: LEAP, PageDown: -LEAP };
  if (event.key in moves) splitTo(Math.round((split + moves[event.key]) * 100) / 100);
  else if (event.key === "Home") splitTo(0);
  else if (event.key === "End") splitTo(1);
  else return;
  event.preventDefault();
  event.stopPropagation();
}

/** @type {(event: KeyboardEvent) => void} */
function onKey(event) {
  if (!shown || event.ctrlKey || event.metaKey || event.altKey) return;
  const onStage = event.target === stage;
  /** @type {Record<string, [number, number]>} */
  const moves = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] };
  if (event.key === "+" || event.key === "=") zoomTo(view.zoom * NOTCH);
  else if (event.key === "-") zoomTo(view.zoom / NOTCH);
  else if (event.key === "0") zoomTo(1);
  else if (event.key === "1") zoomTo(actual());
  else if (event.key.toLowerCase() === "b") hold(true);
  else if (onStage && event.key in moves && view.zoom > 1) panBy(...moves[event.key]);
  else return;
  event.preventDefault();
}

/** @type {(event: KeyboardEvent) => void} */
function onKeyUp(event) {
  if (event.key.toLowerCase() === "b") hold(false);
}

// ---- pointers ----

/** @type {Map<number, Point>} */
const fingers = new Map(); // pointerId → {x, y}, those on the stage
/** @type {({ kind: "split" | "pan" | "undecided" } & Point) | null} */
let drag = null; // what the one finger or the mouse does: {kind: "split" | "pan" | "undecided", x, y}

/** @type {(event: MouseEvent) => Point} */
function place(event) {
  const { left, top } = stage.getBoundingClientRect();
  /** @type {(client: number, edge: number) => number} */
  const inside = (client, edge) => (client - edge) / magnified();
  return { x: inside(event.clientX, left) - stage.clientLeft, y: inside(event.clientY, top) - stage.clientTop };
}

/** @type {(x: number) => void} */
function splitAt(x) {
  const { start, length } = way();
  splitTo((x - start) / length);
}

/** @type {(event: From<PointerEvent, HTMLElement>) => void} */
function onDown(event) {
  if (!shown || event.button > 0) return;
  const point = place(event);
  fingers.set(event.pointerId, point);
  const onHandle = handle.contains(event.target);
  if (fingers.size === 2) drag = null; // a pinch
  else if (onHandle) drag = { kind: "split", ...point };
  else if (view.zoom > 1) drag = { kind: "pan", ...point };
  else if (event.pointerType === "mouse") drag = { kind: "split", ...point };
  else drag = { kind: "undecided", ...point }; // may become a scroll of the page
  if (drag?.kind !== "undecided") stage.setPointerCapture(event.pointerId);
  if (drag?.kind === "split" && !onHandle) splitAt(point.x);
  if (drag?.kind === "pan") root.classList.add("panning");
  if (onHandle) handle.focus({ preventScroll: true });
}

/** @type {(event: PointerEvent) => void} */
function onMove(event) {
  if (!fingers.has(event.pointerId)) return;
  const point = place(event);
  if (fingers.size === 2) pinch(event.pointerId, point);
  fingers.set(event.pointerId, point);
  if (!drag) return;
  if (drag.kind === "undecided" && Math.abs(point.x - drag.x) > TAP) {
    drag.kind = "split";
    stage.setPointerCapture(event.pointerId);
  }
  if (drag.kind === "split") splitAt(point.x);
  if (drag.kind === "pan") panBy(point.x - drag.x, point.y - drag.y);
  if (drag.kind === "pan") Object.assign(drag, point);
}

/** @type {(moving: number, point: Point) => void} */
function pinch(moving, point) {
  const old = /** @type {Point} */ (fingers.get(moving));
  const resting = [...fingers].find(([id]) => id !== moving)?.[1] ?? old;
  /** @type {(point: Point) => number} */
  const distance = (p) => Math.hypot(p.x - resting.x, p.y - resting.y);
  const middle = { x: (point.x + resting.x) / 2, y: (point.y + resting.y) / 2 };
  view.x += (point.x - old.x) / 2;
  view.y += (point.y - old.y) / 2;
  zoomTo((view.zoom * distance(point)) / Math.max(1, distance(old)), middle.x, middle.y);
}

/** @type {(event: PointerEvent) => void} */
function onUp(event) {
  if (!fingers.delete(event.pointerId)) return;
  if (drag?.kind === "undecided" && event.type === "pointerup") splitAt(drag.x); // a tap
  const lone = [...fingers.values()][0];
  drag = lone && view.zoom > 1 ? { kind: "pan", ...lone } : null;
  if (!drag) root.classList.remove("panning");
}

/** @type {(event: WheelEvent) => void} */
function onWheel(event) {
  if (!shown) return;
  const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
  const factor = Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002));
  if (factor < 1 && view.zoom <= 1 && !event.ctrlKey) return; // nothing left to zoom out: the page may scroll
  event.preventDefault();
  const { x, y } = place(event);
  zoomTo(view.zoom * factor, x, y);
}

/** @type {(event: From<MouseEvent, HTMLElement>) => void} */
function onDouble(event) {
  if (!shown || handle.contains(event.target)) return;
  const { x, y } = place(event);
  zoomTo(view.zoom > 1 ? 1 : Math.max(actual(), 2), x, y);
}

// ---- wiring ----

for (const node of element.querySelectorAll("[data-word]")) node.textContent = words[node.dataset.word];
for (const node of element.querySelectorAll("img[data-alt]")) node.alt = words[node.dataset.alt];
for (const node of element.querySelectorAll("[data-label]")) {
  node.setAttribute("aria-label", words[node.dataset.label]);
  if (node.tagName === "BUTTON") node.title = words[node.dataset.label];
}
if (props.label) root.setAttribute("aria-label", props.label);
handle.tabIndex = 0;

root.addEventListener("keydown", onKey);
root.addEventListener("keyup", onKeyUp);
root.addEventListener("focusout", (event) => root.contains(/** @type {Node | null} */ (event.relatedTarget)) || hold(false));
handle.addEventListener("keydown", onHandleKey);
stage.addEventListener("pointerdown", onDown);
stage.addEventListener("pointermove", onMove);
stage.addEventListener("pointerup", onUp);
stage.addEventListener("pointercancel", onUp);
stage.addEventListener("wheel", onWheel, { passive: false });
stage.addEventListener("dblclick", onDouble);

const deeds = {
  in: () => zoomTo(view.zoom * NOTCH),
  out: () => zoomTo(view.zoom / NOTCH),
  fit: () => zoomTo(1),
  actual: () => zoomTo(actual()),
};
for (const [name, deed] of Object.entries(deeds)) button(name).addEventListener("click", deed);
fullScreen(root, button("fullscreen"), draw);

const holder = find(".hold");
holder.title = `${words.hold} (B)`;
holder.addEventListener("pointerdown", (event) => {
  holder.setPointerCapture(event.pointerId);
  hold(true);
});
for (const end of ["pointerup", "pointercancel", "blur"]) holder.addEventListener(end, () => hold(false));
holder.addEventListener("contextmenu", (event) => event.preventDefault());
holder.addEventListener("keydown", (event) => [" ", "Enter"].includes(event.key) && hold(true));
holder.addEventListener("keyup", (event) => [" ", "Enter"].includes(event.key) && hold(false));

new ResizeObserver(draw).observe(stage);
watch("value", () => show(props.value));
show(props.value);
