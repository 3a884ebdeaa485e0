// ---- pointers ----

/** @type {Map<number, Point>} */
const fingers = new Map(); // pointerId → point on the stage, of those that are down
let penned = -Infinity; // when a pen was last on the stage or above it, in ms since the page was opened; never at first
/** @type {Point | null} */
let hover = null; // where the mouse or pen is on the stage; null off it and for fingers
/** @type {"draw" | "pan" | "pinch" | "rest" | null} */
let gesture = null; // "draw", "pan", "pinch", or "rest": until all fingers are up

const panning = () => gesture === "pan" || space || tool === "move";

// Where the page is zoomed or scaled by CSS, a pixel of the stage is not one of the pointer's.
/** @type {(event: MouseEvent) => Point} */
function place(event) {
  const { left, top, width, height } = stage.getBoundingClientRect();
  const [across, down] = [stage.offsetWidth / width, stage.offsetHeight / height];
  return { x: (event.clientX - left) * across - stage.clientLeft, y: (event.clientY - top) * down - stage.clientTop };
}

/** @type {(event: From<MouseEvent, HTMLElement>) => unknown} */
const onPanel = (event) => event.target.closest(".panel, .help, .divider");

// A hand rests beside its pen: around the time of a pen, touches are none, and from then on fingers only move the picture.
/** @type {(event: From<PointerEvent, HTMLElement>) => void} */
function onDown(event) {
  if (root.dataset.state !== "ready" || onPanel(event)) return;
  event.preventDefault();
  const touch = event.pointerType === "touch";
  if (event.pointerType === "pen") {
    if (fingers.size) abort();
    fingers.clear();
    penned = Infinity;
  } else if (touch && event.timeStamp < penned + PEN) return;
  root.classList.add("by-pointer");
  stage.focus({ preventScroll: true });
  stage.setPointerCapture(event.pointerId);
  if (!fingers.size) dropCross();
  fingers.set(event.pointerId, place(event));
  if (fingers.size > 1) {
    abort(); // what the first of two fingers painted was no stroke
    gesture = fingers.size === 2 ? "pinch" : "rest";
  } else if (touch && tool === "move" && view.fitted) {
    gesture = "rest"; // the page scrolls, unless another finger comes
  } else if (event.button === 1 || panning() || (touch && penned > 0)) {
    gesture = "pan";
    root.classList.add("panning");
  } else {
    gesture = "draw";
    begin(toPicture(place(event)), tool === "eraser" || event.button === 2 || event.altKey, press(event));
  }
}

function dropCross() {
  if (shape) finish();
  cross = null;
  root.classList.remove("pen");
}

/** @type {(event: PointerEvent) => void} */
function onMove(event) {
  if (!picture) return;
  const point = place(event);
  const old = fingers.get(event.pointerId);
  if (event.pointerType === "touch" && !old) return; // the hand beside a pen
  if (event.pointerType === "pen" && !old) penned = event.timeStamp;
  hover = event.pointerType === "touch" ? null : point;
  if (hover && cross && !shape && (event.movementX || event.movementY)) dropCross();
  if (!old) return drawMarks();
  if (gesture === "draw") for (const part of shape ? parts(event) : []) extend(toPicture(place(part)), press(part));
  else if (gesture === "pan") panBy(point.x - old.x, point.y - old.y);
  else if (gesture === "pinch") pinch(event.pointerId, point);
  fingers.set(event.pointerId, point);
  drawMarks();
}

// All the places the pointer was at since the last frame, so that quick strokes stay round.
/** @type {(event: PointerEvent) => PointerEvent[]} */
function parts(event) {
  const list = event.getCoalescedEvents?.() ?? [];
  return list.length ? list : [event];
}

let felt = false; // whether a pen has told how hard it is pressed: those that cannot always say 0 or 0.5

// The part of the brush's width that a pointer paints.
/** @type {(event: PointerEvent) => number} */
function press({ pointerType, pressure }) {
  if (pointerType !== "pen") return 1;
  felt ||= pressure !== 0 && pressure !== 0.5;
  return felt ? LIGHTEST + (1 - LIGHTEST) * pressure : 1;
}

/** @type {(moving: number, point: Point) => void} */
function pinch(moving, point) {
  const old = /** @type {Point} */ (fingers.get(moving));
  const resting = [...fingers].find(([id]) => id !== moving)?.[1] ?? old;
  /** @type {(point: Point) => number} */
  const distance = (p) => Math.max(1, Math.hypot(p.x - resting.x, p.y - resting.y));
  view.x += (point.x - old.x) / 2;
  view.y += (point.y - old.y) / 2;
  zoomTo((view.scale * distance(point)) / distance(old), (point.x + resting.x) / 2, (point.y + resting.y) / 2);
}

/** @type {(event: PointerEvent) => void} */
function onUp(event) {
  if (!fingers.delete(event.pointerId)) return;
  if (event.pointerType === "pen") penned = event.timeStamp;
  if (gesture === "draw" && shape) event.type === "pointerup" ? finish() : abort();
  gesture = fingers.size ? "rest" : null;
  root.classList.remove("panning");
  drawMarks();
}

/** @type {(event: From<WheelEvent, HTMLElement>) => void} */
function onWheel(event) {
  if (root.dataset.state !== "ready" || onPanel(event)) return;
  if (!event.ctrlKey && document.activeElement !== stage && !isFull()) return; // the page scrolls
  const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
  const factor = Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002));
  if (factor < 1 && view.scale <= fitting() && !event.ctrlKey) return; // nothing left to zoom out: the page may scroll
  event.preventDefault();
  const { x, y } = place(event);
  zoomTo(view.scale * factor, x, y);
}

// ---- files from outside ----

/** @type {(file: File) => boolean} */
const isPicture = (file) => /^image\//.test(file.type) || /\.(tiff?|hei[cf]|avif|jxl|bmp|webp|gif|png|jpe?g)$/i.test(file.name);

/** @type {(files: FileList | undefined) => void} */
function takeFiles(files) {
  const file = [...(files ?? [])].find(isPicture) ?? files?.[0];
  if (file) start(file, file.name);
}

/** @type {(event: From<ClipboardEvent, HTMLElement>) => void} */
function onPaste(event) {
  const visible = root.isConnected && root.offsetParent;
  const typing = event.target.closest?.("input, textarea, [contenteditable]");
  if (!visible || typing || !event.clipboardData?.files.length) return;
  event.preventDefault();
  takeFiles(event.clipboardData.files);
}

/** @type {(event: DragEvent) => void} */
function onDrop(event) {
  event.preventDefault();
  root.classList.remove("dropping");
  takeFiles(event.dataTransfer?.files);
}

/** @type {(event: DragEvent) => void} */
function onDragOver(event) {
  event.preventDefault();
  root.classList.add("dropping");
}
