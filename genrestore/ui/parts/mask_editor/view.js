// ---- the view ----

/** @type {(point: Point) => Point} */
const toPicture = (point) => ({ x: (point.x - view.x) / view.scale, y: (point.y - view.y) / view.scale });
/** @type {(point: Point) => Point} */
const toStage = (point) => ({ x: point.x * view.scale + view.x, y: point.y * view.scale + view.y });
const fitting = () => Math.min(1, stage.clientWidth / picture.width, stage.clientHeight / picture.height); // a small one as it is
const farthest = () => Math.min(fitting(), 1 / devicePixelRatio); // pixel for pixel is always within reach
const closest = () => Math.max(fitting(), CLOSEST / devicePixelRatio);

function fit() {
  view = { scale: 1, x: 0, y: 0, fitted: true };
  draw();
}

// Zooms to `scale` while the point (x, y) of the stage stays where it is.
/** @type {(scale: number, x?: number, y?: number) => void} */
function zoomTo(scale, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const next = clamp(scale, farthest(), closest());
  const factor = next / view.scale;
  view = { scale: next, x: x - (x - view.x) * factor, y: y - (y - view.y) * factor, fitted: next === fitting() };
  draw();
}

/** @type {(dx: number, dy: number) => void} */
function panBy(dx, dy) {
  view.x += dx;
  view.y += dy;
  draw();
}

// Where a side of the picture may begin on the stage, whose middle stays on the picture: then zooming in keeps every point
// under the pointer, be the picture smaller than the stage or larger.
/** @type {(start: number, length: number, room: number) => number} */
function held(start, length, room) {
  return view.fitted ? (room - length) / 2 : clamp(start, room / 2 - length, room / 2);
}

/** @type {{ photo: boolean, whole: boolean, box: Box | null } | null} */
let wanted = null; // what the next frame draws besides the marks: {photo, whole, box}, box a part of the mask or null

// Has everything drawn, once a frame at most, after it made the view fit its bounds.
function draw() {
  if (!picture || !stage.clientWidth) return; // nothing to show, or in a tab that is not open
  if (view.fitted) view.scale = fitting();
  view.x = held(view.x, picture.width * view.scale, stage.clientWidth);
  view.y = held(view.y, picture.height * view.scale, stage.clientHeight);
  redraw({ photo: true, whole: true });
}

/** @type {(what?: { photo?: boolean, whole?: boolean, box?: Box | null }) => void} */
function redraw({ photo = false, whole = false, box = null } = {}) {
  if (!wanted) requestAnimationFrame(drawNow);
  wanted ??= { photo: false, whole: false, box: null };
  wanted.photo ||= photo;
  wanted.whole ||= whole;
  if (box) wanted.box = wanted.box ? around(wanted.box, box) : box;
}

/** @type {(a: Box, b: Box) => Box} */
const around = (a, b) => ({
  left: Math.min(a.left, b.left),
  top: Math.min(a.top, b.top),
  right: Math.max(a.right, b.right),
  bottom: Math.max(a.bottom, b.bottom),
});

function drawNow() {
  const { photo, whole, box } = wanted ?? {};
  wanted = null;
  if (!picture) return; // it was refused since
  if (photo) drawPhoto();
  if (whole || box) drawMask(whole ? null : (box ?? null));
  drawMarks();
  find(".percent").textContent = `${Math.round(100 * view.scale * devicePixelRatio)} %`;
  enable("out", view.scale > farthest());
  enable("fit", !view.fitted);
  enable("in", view.scale < closest());
}

// Makes the canvas as large as the stage in screen pixels; setting a size also clears.
/** @type {(canvas: HTMLCanvasElement) => CanvasRenderingContext2D} */
function sized(canvas) {
  const width = Math.round(stage.clientWidth * devicePixelRatio);
  const height = Math.round(stage.clientHeight * devicePixelRatio);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}

function drawPhoto() {
  const context = sized(photoCanvas);
  context.clearRect(0, 0, photoCanvas.width, photoCanvas.height);
  drawScene(context, holding ? picture.original : picture.scene);
  drawGuesses(context);
  if (wipe === null || holding) return;
  context.save();
  context.beginPath();
  context.rect(0, 0, wipe * photoCanvas.width, photoCanvas.height);
  context.clip();
  context.clearRect(0, 0, photoCanvas.width, photoCanvas.height);
  drawScene(context, picture.original);
  context.restore();
}

/** @type {(context: CanvasRenderingContext2D, scene: Scene) => void} */
function drawScene(context, scene) {
  const { large, small } = scene;
  if (!large || !small) return;
  const scale = view.scale * devicePixelRatio;
  if (scale * picture.width > 1.1 * large.width) sharpen(scene);
  const source = scale * picture.width > 1.1 * small.width ? large : small;
  context.imageSmoothingEnabled = scale < BLOCKS;
  context.imageSmoothingQuality = Math.max(source.width, source.height) > PREVIEW ? "low" : "medium"; // for speed
  const [x, y] = [view.x * devicePixelRatio, view.y * devicePixelRatio];
  context.drawImage(source, x, y, picture.width * scale, picture.height * scale);
}

// Of a screen pixel: from its flags, those that all of its neighbours have, and its place across the stripes.
/** @type {(flags: number, beside: number, across: number) => number} */
function colour(flags, beside, across) {
  if (flags & MARKED) return beside & MARKED ? (flags & PAINTED ? INSIDE : RIM) : BORDER;
  return beside & FORBIDDEN ? STRIPES[Math.floor(across / (STRIPE * devicePixelRatio)) & 1] : FORBIDDEN_BORDER;
}

// First and last + 1 pixel of the picture under each screen pixel from `start` to `end`, along one axis.
/** @type {(start: number, end: number, offset: number, length: number) => Int32Array} */
function lookUp(start, end, offset, length) {
  const scale = view.scale * devicePixelRatio;
  const ranges = new Int32Array(2 * (end - start));
  for (let place = start; place < end; place++) {
    const from = Math.floor((place - offset * devicePixelRatio) / scale);
    const to = Math.max(from + 1, Math.floor((place + 1 - offset * devicePixelRatio) / scale));
    ranges[2 * (place - start)] = clamp(from, 0, length);
    ranges[2 * (place - start) + 1] = clamp(to, 0, length);
  }
  return ranges;
}

// Draws the mask, or its part in `box`. A screen pixel is painted if any pixel under it is, so that thin lines show at
// any zoom; those at the border of what is painted get a colour of their own.
/** @type {(box: Box | null) => void} */
function drawMask(box) {
  const context = sized(maskCanvas);
  const { left, top, right, bottom } = box ? onScreen(box) : { left: 0, top: 0, right: maskCanvas.width, bottom: maskCanvas.height };
  if (left >= right || top >= bottom) return;
  const [width, height] = [right - left, bottom - top];
  if (!mask.count && !mask.forbidden && !mask.changed) return context.clearRect(left, top, width, height);
  const columns = lookUp(left - 1, right + 1, view.x, picture.width);
  const rows = lookUp(top - 1, bottom + 1, view.y, picture.height);
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  let [above, here] = [coverage(rows, 0, columns), coverage(rows, 1, columns)];
  for (let y = 0; y < height; y++) {
    const below = coverage(rows, y + 2, columns);
    for (let x = 1, at = y * width; x <= width; x++, at++) {
      if (here[x]) pixels[at] = colour(here[x], here[x - 1] & here[x + 1] & above[x] & below[x], left + x + top + y);
    }
    [above, here] = [here, below];
  }
  context.putImageData(image, left, top);
}

// One row of screen pixels: the flags that any pixel under each has. At most four by four are looked at.
/** @type {(rows: Int32Array, index: number, columns: Int32Array) => Uint8Array} */
function coverage(rows, index, columns) {
  const covered = new Uint8Array(columns.length / 2);
  const [top, bottom] = [rows[2 * index], rows[2 * index + 1]];
  const down = Math.max(1, Math.ceil((bottom - top) / 4));
  for (let y = top; y < bottom; y += down) {
    const start = y * mask.width;
    for (let place = 0; place < covered.length; place++) {
      if ((covered[place] & PAINT) === PAINT) continue;
      const [from, to] = [columns[2 * place], columns[2 * place + 1]];
      const across = to - from <= 4 ? 1 : Math.ceil((to - from) / 4);
      for (let x = from; x < to; x += across) covered[place] |= mask.bits[start + x];
    }
  }
  return covered;
}

/** @type {(box: Box) => Box} */
function onScreen(box) {
  const first = toStage({ x: box.left, y: box.top });
  const last = toStage({ x: box.right, y: box.bottom });
  return {
    left: clamp(Math.floor(first.x * devicePixelRatio) - 2, 0, maskCanvas.width),
    top: clamp(Math.floor(first.y * devicePixelRatio) - 2, 0, maskCanvas.height),
    right: clamp(Math.ceil(last.x * devicePixelRatio) + 2, 0, maskCanvas.width),
    bottom: clamp(Math.ceil(last.y * devicePixelRatio) + 2, 0, maskCanvas.height),
  };
}

// The unfinished rectangle or lasso, the ring that is as large as the brush, the crosshair.
function drawMarks() {
  const outline = shape && !["stroke", "wand"].includes(shape.tool) ? outlineOf(shape) : "";
  for (const path of element.querySelectorAll(".shape path")) path.setAttribute("d", outline);
  const ringed = ["brush", "eraser", "forbid"].includes(tool);
  const at = cross ? toStage(cross) : hover;
  root.classList.toggle("aiming", Boolean(cross));
  root.classList.toggle("ringed", ringed && Boolean(at) && !panning());
  for (const circle of element.querySelectorAll(".ring circle")) {
    circle.setAttribute("r", Math.max(2, (brush * view.scale) / 2));
    if (at) circle.setAttribute("cx", at.x);
    if (at) circle.setAttribute("cy", at.y);
  }
  if (cross && at) find(".cross").setAttribute("transform", `translate(${at.x} ${at.y})`);
}

/** @type {(shape: Shape) => string} */
function outlineOf({ tool: kind, points }) {
  const corners = points.map(toStage);
  if (kind !== "rectangle") return `M${corners.map(({ x, y }) => `${x} ${y}`).join("L")}Z`;
  const [a, b] = [corners[0], corners[corners.length - 1]];
  return `M${a.x} ${a.y}H${b.x}V${b.y}H${a.x}Z`;
}
