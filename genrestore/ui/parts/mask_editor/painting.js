// ---- painting ----

// What is being drawn: {tool: one of the kinds below, value: what it paints, see Mask, points}.
/** @type {Shape | null} */
let shape = null;
const KINDS = ["rectangle", "lasso", "wand", "object"]; // tools that draw in ways of their own; all others draw strokes

// `press` is how hard a pen is pressed, as a part of the brush's width.
/** @type {(point: Point, erase: boolean, press?: number) => void} */
function begin(point, erase, press = 1) {
  const value = erase ? 0 : tool === "forbid" ? FORBIDDEN : PAINT;
  shape = { tool: KINDS.includes(tool) ? tool : "stroke", value, points: [point] };
  if (shape.tool === "stroke") strokeTo(point, point, press, value);
  if (shape.tool === "wand") touchWand();
}

/** @type {(point: Point, press?: number) => void} */
function extend(point, press = 1) {
  if (!shape) return;
  const last = shape.points[shape.points.length - 1];
  if (shape.tool === "stroke") {
    strokeTo(last, point, press, shape.value);
    shape.points = [point];
  } else if (shape.tool === "rectangle" || shape.tool === "wand") {
    shape.points = [shape.points[0], point];
    if (shape.tool === "wand") pullWand(shape.points[0], point);
  } else if (Math.hypot(point.x - last.x, point.y - last.y) * view.scale >= 1) {
    shape.points.push(point);
  }
  redraw();
}

/** @type {(from: Point, to: Point, press: number, value: number) => void} */
function strokeTo(from, to, press, value) {
  redraw({ box: mask.stroke(from, to, (brush * press) / 2, value) });
}

function finish() {
  const { tool: kind, value, points } = /** @type {Shape} */ (shape);
  if (kind === "wand") endWand();
  shape = null;
  if (kind === "rectangle" && points.length > 1) mask.rectangle(points[0], points[1], value);
  if (kind === "lasso" && points.length > 2) mask.polygon(points, value);
  if (kind === "object") startObject(points, value);
  if (!value) mask.trim();
  edit(value === FORBIDDEN ? words.forbidden : words.painted, () => {});
}

function abort() {
  shape = null;
  redraw({ box: mask?.abort() });
}

// Does one step that can be undone.
/** @type {(said: string, change: () => void) => void} */
function edit(said, change) {
  if (!picture) return;
  if (shape) finish();
  change();
  if (mask.commit()) changed(said);
  draw();
}

/** @type {(said: string) => void} */
function changed(said) {
  complain("");
  told();
  announce(`${said}. ${find(".note").textContent}`);
  publish();
}

function undo() {
  if (shape) return abort();
  travel("undo");
}

function redo() {
  if (!shape) travel("redo");
}

/** @type {(widen: boolean) => void} */
function spreadBy(widen) {
  const radius = clamp(Math.round(Number(spread.value)) || 1, 1, WIDEST_SPREAD);
  spread.valueAsNumber = radius;
  edit(widen ? words.grown : words.shrunk, () => mask.spread(widen, radius));
}

// ---- brush size: the slider's steps are even on a logarithmic scale ----

const largest = () => Math.max(2, WIDEST_BRUSH * Math.max(picture.width, picture.height));

/** @type {(size: number) => void} */
function setBrush(size) {
  brush = clamp(Math.round(size), 1, Math.round(largest()));
  slider.valueAsNumber = (100 * Math.log(brush)) / Math.log(largest());
  slider.setAttribute("aria-valuetext", `${brush} px`);
  find(".size output").textContent = `${brush} px`;
  drawMarks();
}

/** @type {(factor: number) => void} */
function resizeBrush(factor) {
  if (tool === "wand") return setTolerance(tolerance + Math.sign(factor - 1));
  const next = Math.round(brush * factor);
  setBrush(next === brush ? brush + Math.sign(factor - 1) : next);
}

/** @type {(name: string) => void} */
function setTool(name) {
  if (shape) abort();
  tool = name;
  for (const node of element.querySelectorAll("[data-tool]")) {
    node.setAttribute("aria-pressed", node.dataset.tool === name);
  }
  root.classList.toggle("moving", name === "move");
  root.dataset.painting = name;
  if (name !== "wand") copy = null;
  if (picture) announce(words[name]);
  if (picture) drawMarks();
}
