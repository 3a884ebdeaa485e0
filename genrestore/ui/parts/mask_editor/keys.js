// ---- keys ----

/** @type {Point | null} */
let cross = null; // the crosshair that arrow keys move, in the middle of a pixel; null while a pointer is used
let space = false; // the space bar is held to pan

/** @type {Record<string, () => void>} */
const shortcuts = {
  b: () => setTool("brush"),
  e: () => setTool("eraser"),
  r: () => setTool("rectangle"),
  l: () => setTool("lasso"),
  o: () => setTool("object"),
  w: () => setTool("wand"),
  d: () => setTool("forbid"),
  g: () => setGrowth(mask.growth ? 0 : usualGrowth()),
  h: () => setTool("move"),
  q: () => hold(true),
  "[": () => resizeBrush(1 / NOTCH),
  "]": () => resizeBrush(NOTCH),
  i: () => deeds.invert(),
  Delete: () => deeds.clear(),
  Backspace: () => deeds.clear(),
  "+": () => deeds.in(),
  "=": () => deeds.in(),
  "-": () => deeds.out(),
  0: () => fit(),
  1: () => deeds.actual(),
  "?": () => deeds.help(),
};
/** @type {Record<string, [number, number]>} */
const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @type {(event: From<KeyboardEvent, HTMLElement>) => void} */
function onKey(event) {
  root.classList.remove("by-pointer");
  if (root.dataset.state !== "ready" || event.target.matches("select, [type=number]")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") event.shiftKey ? redo() : undo();
    else if (key === "y") redo();
    else if (key === "Enter") repair();
    else return;
  } else if (event.altKey) return;
  else if (key === "Escape") dismiss();
  else if (key in shortcuts) shortcuts[key]();
  else if (event.target !== stage) return; // arrows, Enter and Space mean other things there
  else if (key in arrows) aim(...arrows[key], event.shiftKey);
  else if (key === "Enter" || (key === " " && cross)) pen(event.repeat);
  else if (key === " ") holdSpace(true);
  else return;
  event.preventDefault();
}

function dismiss() {
  if (!find(".help").hidden) toggleHelp();
  abort();
  root.classList.remove("pen");
}

function middle() {
  const centre = toPicture({ x: stage.clientWidth / 2, y: stage.clientHeight / 2 });
  return pixel(centre.x, centre.y);
}

/** @type {(x: number, y: number) => Point} */
const pixel = (x, y) => ({
  x: clamp(Math.floor(x), 0, picture.width - 1) + 0.5,
  y: clamp(Math.floor(y), 0, picture.height - 1) + 0.5,
});

/** @type {(dx: number, dy: number, fine: boolean) => void} */
function aim(dx, dy, fine) {
  const stride = fine ? 1 : Math.max(1, Math.round(STRIDE / view.scale));
  cross = cross ? pixel(cross.x + dx * stride, cross.y + dy * stride) : middle();
  if (shape) extend(cross);
  follow(cross);
  announceSoon();
}

// Keeps a point in view.
/** @type {(point: Point) => void} */
function follow(point) {
  const { x, y } = toStage(point);
  const near = 3 * STRIDE;
  panBy(clamp(x, near, stage.clientWidth - near) - x, clamp(y, near, stage.clientHeight - near) - y);
}

// Puts the pen down at the crosshair, or lifts it.
/** @type {(repeated: boolean) => void} */
function pen(repeated) {
  if (repeated || tool === "move") return;
  cross ??= middle();
  if (shape) finish();
  else {
    begin(cross, tool === "eraser");
    announce(words.pen_down);
  }
  root.classList.toggle("pen", Boolean(shape));
  draw();
}

/** @type {(on: boolean) => void} */
function holdSpace(on) {
  space = on;
  root.classList.toggle("moving", on || tool === "move");
  drawMarks();
}
