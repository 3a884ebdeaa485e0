// ---- the magic wand: all connected pixels of nearly one colour ----

const REACH = 2; // CSS pixels that the wand is pulled for one more of the tolerance
const LARGEST_TOLERANCE = 128;
// The largest hole that is closed, such as a speck of noise: so much of what is selected, and a square of so much of the
// picture's longer side, as one dab of a small brush covers; what is larger may be a thing of its own.
const HOLE = { share: 1 / 200, side: 1 / 50, least: 4 };

const tolerating = find(".tolerance input");
let tolerance = 24; // by which a channel of 0 to 255 may differ from the colour that was touched
/** @type {{ of: ImageBitmap, width: number, height: number, data: Uint8ClampedArray } | null} */
let copy = null; // {of, width, height, data}: the pixels of the picture's large copy, kept while the wand is the tool
/** @type {{ tolerance: number } | null} */
let pulled = null; // {tolerance} before the wand was pulled, while it is down
let pulling = 0; // the frame in which it will select anew

function colours() {
  const of = picture.large;
  if (copy?.of === of) return copy;
  const { width, height } = of;
  const canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.drawImage(of, 0, 0);
  copy = { of, width, height, data: context.getImageData(0, 0, width, height).data };
  return copy;
}

function touchWand() {
  pulled = { tolerance };
  selectAlike();
}

// Pulling to the right takes more in, to the left less.
/** @type {(from: Point, to: Point) => void} */
function pullWand(from, to) {
  setTolerance((pulled?.tolerance ?? tolerance) + ((to.x - from.x) * view.scale) / REACH);
  pulling ||= requestAnimationFrame(selectAlike);
}

function endWand() {
  if (pulling) selectAlike();
  pulled = null;
}

function selectAlike() {
  cancelAnimationFrame(pulling);
  pulling = 0;
  if (shape?.tool !== "wand") return;
  const before = mask.abort();
  const box = mask.region(alike(shape.points[0]), shape.value);
  redraw({ box: before ? around(before, box) : box });
}

// The region of the picture that is connected to a point through colours like its own; see Mask.region.
/** @type {(point: Point) => Region} */
function alike(point) {
  const { width, height, data } = colours();
  const [across, down] = [picture.width / width, picture.height / height];
  const x = clamp(Math.floor(point.x / across), 0, width - 1);
  const y = clamp(Math.floor(point.y / down), 0, height - 1);
  const box = filled(flooded(width, height, x, y, like(data, width, height, x, y)), width, height);
  if (across === 1 && down === 1) return box;
  const [left, top] = [Math.floor(box.left * across), Math.floor(box.top * down)];
  const columns = Math.min(picture.width, Math.ceil((box.left + box.width) * across)) - left;
  const rows = Math.min(picture.height, Math.ceil((box.top + box.height) * down)) - top;
  const bits = new Uint8Array(columns * rows);
  for (let row = 0, at = 0; row < rows; row++) {
    const from = (clamp(Math.floor((top + row + 0.5) / down), box.top, box.top + box.height - 1) - box.top) * box.width;
    for (let column = 0; column < columns; column++, at++) {
      const place = Math.floor((left + column + 0.5) / across) - box.left;
      bits[at] = box.bits[from + clamp(place, 0, box.width - 1)];
    }
  }
  return { left, top, width: columns, height: rows, bits };
}

// Whether the pixel at a place in `data` is like the mean of those round (x, y), whose noise must not decide.
/** @type {(data: Uint8ClampedArray, width: number, height: number, x: number, y: number) => (at: number) => boolean} */
function like(data, width, height, x, y) {
  const sum = [0, 0, 0, 0];
  let count = 0;
  for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++) {
    for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++, count++) {
      for (let channel = 0; channel < 4; channel++) sum[channel] += data[4 * (row * width + column) + channel];
    }
  }
  const [red, green, blue, alpha] = sum.map((value) => value / count);
  return (at) =>
    Math.abs(data[4 * at] - red) <= tolerance &&
    Math.abs(data[4 * at + 1] - green) <= tolerance &&
    Math.abs(data[4 * at + 2] - blue) <= tolerance &&
    Math.abs(data[4 * at + 3] - alpha) <= tolerance;
}

// Fills runs of rows from (x, y), which is always inside: the region as a box of its own.
/** @type {(width: number, height: number, x: number, y: number, fits: (at: number) => boolean) => Region} */
function flooded(width, height, x, y, fits) {
  const inside = new Uint8Array(width * height);
  const waiting = [y * width + x];
  /** @type {(at: number) => boolean} */
  const open = (at) => !inside[at] && fits(at);
  let [left, top, right, bottom] = [x, y, x, y];
  while (waiting.length) {
    const at = /** @type {number} */ (waiting.pop());
    if (inside[at]) continue;
    inside[at] = 1;
    const row = Math.floor(at / width);
    const start = row * width;
    let [first, last] = [at, at];
    while (first > start && open(first - 1)) inside[--first] = 1;
    while (last < start + width - 1 && open(last + 1)) inside[++last] = 1;
    [left, right] = [Math.min(left, first - start), Math.max(right, last - start)];
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row)];
    for (const beside of [row && -width, row < height - 1 && width]) {
      if (!beside) continue;
      for (let place = first + beside; place <= last + beside; place++) {
        if (!open(place)) continue;
        waiting.push(place);
        while (place < last + beside && open(place + 1)) place++;
      }
    }
  }
  const [across, down] = [right + 1 - left, bottom + 1 - top];
  const bits = new Uint8Array(across * down);
  for (let row = 0; row < down; row++) {
    const from = (top + row) * width + left;
    bits.set(inside.subarray(from, from + across), row * across);
  }
  return { left, top, width: across, height: down, bits };
}

// The same region without its small holes: what is not inside, and reaches no further than to it and to the picture's edge.
/** @type {(box: Region, width: number, height: number) => Region} */
function filled(box, width, height) {
  const { left, top, width: across, height: down, bits } = box;
  let count = 0;
  for (let at = 0; at < bits.length; at++) count += bits[at];
  const largest = Math.max(HOLE.least, Math.min(HOLE.share * count, (HOLE.side * Math.max(width, height)) ** 2));
  const ways = { left: left > 0, top: top > 0, right: left + across < width, bottom: top + down < height }; // that lead out
  const found = new Int32Array(bits.length - count); // the pixels of each hole, one hole after the other
  const SEEN = 2;
  let end = 0;
  /** @type {(at: number) => void} */
  const see = (at) => {
    if (bits[at]) return;
    bits[at] = SEEN;
    found[end++] = at;
  };
  for (let at = 0; at < bits.length; at++) {
    if (bits[at]) continue;
    const start = end;
    let enclosed = true;
    see(at);
    for (let next = start; next < end; next++) {
      const place = found[next];
      const row = Math.floor(place / across);
      const column = place - row * across;
      if (column) see(place - 1);
      else if (ways.left) enclosed = false;
      if (column < across - 1) see(place + 1);
      else if (ways.right) enclosed = false;
      if (row) see(place - across);
      else if (ways.top) enclosed = false;
      if (row < down - 1) see(place + across);
      else if (ways.bottom) enclosed = false;
    }
    if (enclosed && end - start <= largest) for (let next = start; next < end; next++) bits[found[next]] = 1;
  }
  for (let next = 0; next < end; next++) if (bits[found[next]] === SEEN) bits[found[next]] = 0;
  return box;
}

/** @type {(value: number) => void} */
function setTolerance(value) {
  tolerance = clamp(Math.round(value), 0, LARGEST_TOLERANCE);
  tolerating.valueAsNumber = tolerance;
  find(".tolerance output").textContent = String(tolerance);
}

function wireWand() {
  setTolerance(tolerance);
  tolerating.addEventListener("input", () => setTolerance(tolerating.valueAsNumber));
}
