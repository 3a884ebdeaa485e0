// Mask editor. Gradio runs this once for each editor, with `element`, `trigger`, `props`, `server`, `upload` and
// `watch` in scope. Its value is {file, mask, w, h}: the picture's original file as it lies on the server, and what is
// painted as a PNG data URL of one bit a pixel at the picture's full size. Without a picture it is null.
//
// The mask is a byte array of the picture's size that this file paints into by itself, so that a pixel is painted or
// not: canvases blend edges, differ between browsers, and hold four times as much. Points are in pixels of the picture
// unless they are said to lie on the stage, where they are CSS pixels from its top left corner.

const PREVIEW = 1600; // longest side of the small copy, drawn while the whole picture is in view
const DETAIL = 16e6; // most pixels of the large copy, drawn when zoomed in
const CLOSEST = 32; // screen pixels for one pixel of the picture
const BLOCKS = 3; // from here on pixels are drawn as squares
const NOTCH = 1.25; // zoom of one press of a button, growth of the brush of one press of a bracket
const MARGIN = 48; // CSS pixels of the stage beyond a picture that is smaller than it
const STRIDE = 10; // CSS pixels that an arrow key moves the crosshair
const BRUSH = 0.06; // first brush size, as a part of the longer side
const WIDEST_BRUSH = 0.4; // the same for the largest one
const WIDEST_SPREAD = 200; // pixels that a mask grows or shrinks by in one step
const UNDO_BYTES = 48 * 2 ** 20;
const STRIP = 256; // rows of a mask file that are decoded at a time
const WAIT = 200; // ms without painting before the value is told
const PEN = 1000; // ms after a pen was last near in which fingers are taken for its hand
const SURE = ["image/jpeg", "image/png", "image/gif", "image/bmp"]; // shown before the server has said how they lie
const INSIDE = 0x802d2dff; // colour of what is painted, as the bytes alpha, blue, green, red
const BORDER = 0xffffffff; // the same for its outermost screen pixels

const find = (query) => element.querySelector(query);
const button = (name) => find(`[data-do="${name}"]`);
const words = props.words[/^zh/i.test(navigator.language) ? "zh-CN" : "en"];
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const say = (text, values = {}) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

const root = find(".mask-editor");
const stage = find(".stage");
const photoCanvas = find("canvas.photo");
const maskCanvas = find("canvas.mask");
const slider = find(".size input");
const spread = find(".by input");

let picture = null; // {name, width, height, large, small, file, pages}; file is what the server knows it by, pages see askFrame
let mask = null;
let view = { scale: 1, x: 0, y: 0, fitted: true }; // stage point = picture point · scale + (x, y)
let tool = "brush";
let brush = 0; // diameter in pixels
let opening = Promise.resolve(); // settles when the newest picture is shown and on the server
let opened = 0; // its number; an older one that comes late is dropped

// ---- the mask ----

class Mask {
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.bits = new Uint8Array(width * height); // 1 = painted, as it is seen
    this.kept = new Uint8Array(width * height); // as it was after the last finished step
    this.count = 0; // painted pixels of `kept`
    this.changed = null; // {left, top, right, bottom} holding all pixels where the two may differ
    this.done = []; // steps that can be undone: {left, top, right, bottom, flips}, flips one bit for each pixel in there
    this.undone = [];
  }

  touch(left, top, right, bottom) {
    const old = this.changed ?? { left, top, right, bottom };
    this.changed = {
      left: clamp(Math.min(old.left, left), 0, this.width),
      top: clamp(Math.min(old.top, top), 0, this.height),
      right: clamp(Math.max(old.right, right), 0, this.width),
      bottom: clamp(Math.max(old.bottom, bottom), 0, this.height),
    };
  }

  // Paints the pixels of row `y` whose middles lie between `left` and `right`.
  span(y, left, right, value) {
    const first = Math.max(0, Math.ceil(left - 0.5));
    const last = Math.min(this.width - 1, Math.floor(right - 0.5));
    if (first <= last) this.bits.fill(value, y * this.width + first, y * this.width + last + 1);
  }

  // Calls visit(y, middle) for the rows whose middles lie between `top` and `bottom`.
  rows(top, bottom, visit) {
    const last = Math.min(this.height - 1, Math.floor(bottom - 0.5));
    for (let y = Math.max(0, Math.ceil(top - 0.5)); y <= last; y++) visit(y, y + 0.5);
  }

  disc({ x, y }, radius, value) {
    this.rows(y - radius, y + radius, (row, middle) => {
      const half = Math.sqrt(Math.max(0, radius ** 2 - (middle - y) ** 2));
      this.span(row, x - half, x + half, value);
    });
  }

  // A closed outline; what it goes round more than once is inside too.
  polygon(points, value) {
    const [xs, ys] = [points.map((point) => point.x), points.map((point) => point.y)];
    const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
    this.rows(top, bottom, (row, middle) => {
      const crossings = [];
      points.forEach((a, place) => {
        const b = points[(place + 1) % points.length];
        if (a.y <= middle === b.y <= middle) return;
        crossings.push({ x: a.x + ((middle - a.y) * (b.x - a.x)) / (b.y - a.y), turn: a.y < b.y ? 1 : -1 });
      });
      crossings.sort((a, b) => a.x - b.x);
      let turns = 0;
      crossings.forEach(({ x, turn }, place) => {
        turns += turn;
        if (turns) this.span(row, x, crossings[place + 1].x, value);
      });
    });
    this.touch(Math.floor(Math.min(...xs)), Math.floor(top), Math.ceil(Math.max(...xs)), Math.ceil(bottom));
  }

  // A stroke of a round brush from `a` to `b`. The pixels under its two ends are painted however thin it is.
  stroke(a, b, radius, value) {
    for (const end of [a, b]) {
      const [x, y] = [Math.floor(end.x), Math.floor(end.y)];
      if (x >= 0 && y >= 0 && x < this.width && y < this.height) this.bits[y * this.width + x] = value;
      this.disc(end, radius, value);
      this.touch(Math.floor(end.x - radius), Math.floor(end.y - radius), Math.ceil(end.x + radius) + 1, Math.ceil(end.y + radius) + 1);
    }
    const length = Math.hypot(b.x - a.x, b.y - a.y);
    if (!length) return;
    const [dx, dy] = [(-(b.y - a.y) / length) * radius, ((b.x - a.x) / length) * radius];
    const corners = [
      { x: a.x + dx, y: a.y + dy },
      { x: b.x + dx, y: b.y + dy },
      { x: b.x - dx, y: b.y - dy },
      { x: a.x - dx, y: a.y - dy },
    ];
    this.polygon(corners, value);
  }

  // All pixels that the rectangle between two corners touches.
  rectangle(a, b, value) {
    const [left, right] = [Math.floor(Math.min(a.x, b.x)), Math.floor(Math.max(a.x, b.x)) + 1];
    const [top, bottom] = [Math.floor(Math.min(a.y, b.y)), Math.floor(Math.max(a.y, b.y)) + 1];
    this.rows(top, bottom, (row) => this.span(row, left, right, value));
    this.touch(left, top, right, bottom);
  }

  fill(value) {
    this.bits.fill(value);
    this.touch(0, 0, this.width, this.height);
  }

  invert() {
    for (let i = 0; i < this.bits.length; i++) this.bits[i] ^= 1;
    this.touch(0, 0, this.width, this.height);
  }

  replace(bits) {
    this.bits.set(bits);
    this.touch(0, 0, this.width, this.height);
  }

  // The smallest box that holds all painted pixels, or null.
  bounds() {
    const box = { left: this.width, top: -1, right: 0, bottom: 0 };
    for (let y = 0; y < this.height; y++) {
      const row = this.bits.subarray(y * this.width, (y + 1) * this.width);
      const first = row.indexOf(1);
      if (first < 0) continue;
      if (box.top < 0) box.top = y;
      box.left = Math.min(box.left, first);
      box.right = Math.max(box.right, row.lastIndexOf(1) + 1);
      box.bottom = y + 1;
    }
    return box.top < 0 ? null : box;
  }

  // Grows the pixels of `value` by all that have their middle within `radius` of one of theirs: 1 grows what is
  // painted, 0 shrinks it. There is nothing beyond the border, so shrinking does not eat into the mask from there.
  spread(value, radius) {
    const bounds = this.bounds();
    if (!bounds) return;
    const left = Math.max(0, bounds.left - radius);
    const top = Math.max(0, bounds.top - radius);
    const right = Math.min(this.width, bounds.right + radius);
    const bottom = Math.min(this.height, bounds.bottom + radius);
    const width = right - left;
    const away = this.distances(value, radius, left, top, right, bottom);
    const halves = Int32Array.from({ length: radius + 1 }, (_, dy) => Math.floor(Math.sqrt(radius ** 2 - dy ** 2)));
    for (let y = top; y < bottom; y++) {
      const covered = new Int32Array(width + 1); // how many more discs cover a pixel than the one before it
      for (let x = 0; x < width; x++) {
        const distance = away[(y - top) * width + x];
        if (distance > radius) continue;
        covered[Math.max(0, x - halves[distance])]++;
        covered[Math.min(width, x + halves[distance] + 1)]--;
      }
      for (let x = 0, depth = 0; x < width; x++) {
        depth += covered[x];
        if (depth) this.bits[y * this.width + left + x] = value;
      }
    }
    this.touch(left, top, right, bottom);
  }

  // For each pixel of the box: how many rows up or down the next pixel of `value` is; more than `radius` if further.
  distances(value, radius, left, top, right, bottom) {
    const [width, height] = [right - left, bottom - top];
    const away = new Uint8Array(width * height).fill(radius + 1);
    for (let y = 0; y < height; y++) {
      for (let x = 0, at = y * width; x < width; x++, at++) {
        if (this.bits[(y + top) * this.width + x + left] === value) away[at] = 0;
        else if (y) away[at] = Math.min(away[at - width] + 1, radius + 1);
      }
    }
    for (let at = width * (height - 1) - 1; at >= 0; at--) away[at] = Math.min(away[at], away[at + width] + 1);
    return away;
  }

  // Ends a step: what it changed can be undone from now on. False if it changed nothing.
  commit() {
    if (!this.changed) return false;
    const { left, top, right, bottom } = this.changed;
    const width = right - left;
    const step = { ...this.changed, flips: new Uint8Array(Math.ceil((width * (bottom - top)) / 8)) };
    let different = false;
    for (let y = top; y < bottom; y++) {
      for (let x = left, at = y * this.width + left, place = (y - top) * width; x < right; x++, at++, place++) {
        if (this.bits[at] === this.kept[at]) continue;
        different = true;
        step.flips[place >> 3] |= 1 << (place & 7);
        this.count += this.bits[at] ? 1 : -1;
        this.kept[at] = this.bits[at];
      }
    }
    this.changed = null;
    if (!different) return false;
    this.done.push(step);
    this.undone = [];
    for (let bytes = 0, i = this.done.length - 1; i >= 0; i--) {
      bytes += this.done[i].flips.length;
      if (bytes > UNDO_BYTES) this.done.splice(0, i + 1);
    }
    return true;
  }

  // Forgets an unfinished step; the box that must be drawn again, or null.
  abort() {
    const box = this.changed;
    if (!box) return null;
    for (let y = box.top; y < box.bottom; y++) {
      const [from, to] = [y * this.width + box.left, y * this.width + box.right];
      this.bits.set(this.kept.subarray(from, to), from);
    }
    this.changed = null;
    return box;
  }

  flip(step) {
    const width = step.right - step.left;
    step.flips.forEach((byte, index) => {
      for (let bit = 0; byte >> bit; bit++) {
        if (!((byte >> bit) & 1)) continue;
        const place = index * 8 + bit;
        const at = (step.top + Math.floor(place / width)) * this.width + step.left + (place % width);
        this.kept[at] = this.bits[at] ^= 1;
        this.count += this.bits[at] ? 1 : -1;
      }
    });
  }

  undo() {
    const step = this.done.pop();
    if (!step) return false;
    this.flip(step);
    this.undone.push(step);
    return true;
  }

  redo() {
    const step = this.undone.pop();
    if (!step) return false;
    this.flip(step);
    this.done.push(step);
    return true;
  }
}

// ---- the mask as a file ----

const CRC = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function chunk(name, data) {
  const bytes = new Uint8Array(data.length + 12);
  const numbers = new DataView(bytes.buffer);
  numbers.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(data, 8);
  let crc = 0xffffffff;
  for (const byte of bytes.subarray(4, -4)) crc = (crc >>> 8) ^ CRC[(crc ^ byte) & 255];
  numbers.setUint32(data.length + 8, ~crc);
  return bytes;
}

async function deflate(data) {
  const stream = new Blob([data]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// A greyscale PNG of one bit a pixel, white = painted.
async function png({ width, height, bits }) {
  const stride = 1 + Math.ceil(width / 8); // a row begins with the number of its filter, 0 = none
  const rows = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0, at = y * width; x < width; x++, at++) {
      if (bits[at]) rows[y * stride + 1 + (x >> 3)] |= 128 >> (x & 7);
    }
  }
  const header = new Uint8Array(13);
  new DataView(header.buffer).setUint32(0, width);
  new DataView(header.buffer).setUint32(4, height);
  header[8] = 1;
  const parts = [chunk("IHDR", header), chunk("IDAT", await deflate(rows)), chunk("IEND", new Uint8Array())];
  return new Blob([new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]), ...parts], { type: "image/png" });
}

function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

// The server reads mask files, so that the page takes one as the command line does; it answers with a PNG of the picture's
// size and two colours.
function startMask(file) {
  const before = opening;
  opening = before.then(() => loadMask(file));
}

async function loadMask(file) {
  const mine = picture;
  if (!mine?.file) return;
  complain("");
  veil(words.sending);
  try {
    const answer = await server.mask({ picture: mine.file, mask: await send(file, file.name) });
    if (answer.problem) throw new Error(answer.problem);
    const bits = await readBits(answer.url);
    if (mine === picture) edit(words.mask_loaded, () => mask.replace(bits));
  } catch (problem) {
    if (mine === picture) complain(problem.message);
  } finally {
    veil("");
  }
}

// 1 where a picture of black and white is white. Strips of it are looked at, so that a large one takes little memory.
async function readBits(url) {
  const bitmap = await createImageBitmap(await (await fetch(url)).blob());
  const { width, height } = bitmap;
  const bits = new Uint8Array(width * height);
  const canvas = new OffscreenCanvas(width, Math.min(STRIP, height));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  for (let top = 0; top < height; top += STRIP) {
    const rows = Math.min(STRIP, height - top);
    context.drawImage(bitmap, 0, top, width, rows, 0, 0, width, rows);
    const { data } = context.getImageData(0, 0, width, rows);
    for (let i = 0, at = top * width; i < data.length; i += 4, at++) bits[at] = data[i] >> 7;
  }
  bitmap.close();
  return bits;
}

async function saveMask() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await png(mask));
  link.download = `${picture.name.replace(/\.\w+$/, "")}.mask.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60e3);
}

// ---- opening a picture ----

async function decode(blob) {
  let large = await createImageBitmap(blob, { imageOrientation: "from-image" });
  const { width, height } = large;
  if (width * height > DETAIL) {
    const whole = large;
    const factor = Math.sqrt(DETAIL / (width * height));
    large = await shrunk(whole, Math.round(width * factor), Math.round(height * factor));
    whole.close();
  }
  return { width, height, large, small: large };
}

const shrunk = (bitmap, width, height) =>
  createImageBitmap(bitmap, { resizeWidth: width, resizeHeight: height, resizeQuality: "medium" });

async function addSmall(shown) {
  const { width, height } = shown.large;
  const factor = PREVIEW / Math.max(width, height);
  if (factor >= 1) return;
  const size = [width, height].map((side) => Math.max(1, Math.round(side * factor)));
  shown.small = await shrunk(shown.large, ...size).catch(() => shown.large); // another picture may have taken its place
  draw();
}

async function send(blob, name) {
  const file = new File([blob], name, { type: blob.type });
  const { path, url } = await upload(file).catch((problem) => {
    throw new Error(genrestore.refusal(problem));
  });
  return { path, url, orig_name: name, size: blob.size, mime_type: blob.type, meta: { _type: "gradio.FileData" } };
}

function put(decoded, name) {
  picture = { ...decoded, name, file: null };
  mask = new Mask(picture.width, picture.height);
  root.classList.add("unsent");
  setState("ready");
  setBrush(BRUSH * Math.max(picture.width, picture.height));
  cross = null;
  fit();
  told();
  return picture;
}

// Shows a picture and takes it to the server; meanwhile the editor is `unsent`, and what belongs to the one before is hidden.
// `file` is what the server knows it by if it lies there already; `ask` asks the server about it. Without a `blob` the server
// draws it. A picture that the server refuses gives way to the one before.
async function open(blob, name, file = null, ask = server.inspect) {
  const number = ++opened;
  const before = { picture, mask };
  complain("");
  veil(words.opening);
  const decoding = blob ? decode(blob).catch(() => null) : null;
  let mine = null;
  const show = (decoded) => {
    mine = put(decoded, name);
    addSmall(mine);
  };
  try {
    const drawn = SURE.includes(blob?.type) && (await decoding);
    if (number !== opened) return;
    if (drawn) show(drawn);
    veil(file ? "" : words.sending);
    const whole = file ?? (await send(blob, name));
    const facts = await ask(whole);
    if (facts.problem) throw new Error(facts.problem);
    const known = facts.file ?? whole; // one of several frames lies in a file of its own
    const right = (one) => facts.alike && one?.width === facts.width && one?.height === facts.height;
    if (right(mine)) mine.file = known; // also where a newer one is shown by now, which may yet give way to this
    else {
      const decoded = await decoding;
      const upright = right(decoded) ? decoded : await decodeOnServer(known, facts);
      if (number === opened) show(upright);
      if (mine) mine.file = known;
    }
    if (mine && facts.frames) mine.pages = { whole, frames: facts.frames, frame: facts.frame };
    if (number !== opened) return;
    root.classList.remove("unsent");
    announce(say(words.opened, { w: mine.width, h: mine.height }));
    publish();
    trigger("upload");
  } catch (problem) {
    if (number !== opened) return;
    ({ picture, mask } = before);
    root.classList.toggle("unsent", Boolean(picture && !picture.file));
    setState(picture ? "ready" : "start");
    if (picture) told();
    fit();
    complain(problem.message);
  } finally {
    if (number === opened) {
      veil("");
      askFrame(picture?.pages ?? null);
    }
  }
}

const askFrame = genrestore.frameField(find(".which-frame"), (whole, number) => {
  opening = open(null, picture.name, whole, (file) => server.frame({ file, frame: number }));
});

function start(...what) {
  opening = open(...what);
}

async function decodeOnServer(file, { width, height }) {
  const answer = await server.preview(file);
  if (answer.problem) throw new Error(answer.problem);
  const large = await createImageBitmap(await (await fetch(answer.url)).blob());
  return { width, height, large, small: large };
}

// A picture that already lies on the server: an example, or a result to go on from.
async function fetchAndOpen(file) {
  const name = file.orig_name || file.path.split(/[\\/]/).pop();
  try {
    const answer = await fetch(file.url);
    if (!answer.ok) throw new Error(answer.statusText);
    await open(await answer.blob(), name, file);
  } catch {
    complain(words.lost);
  }
}

// ---- the camera ----

let stream = null;

async function openCamera() {
  complain("");
  if (!navigator.mediaDevices?.getUserMedia) return complain(words.camera_insecure);
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 }, height: { ideal: 1080 } } });
  } catch (problem) {
    return complain(problem.name === "NotAllowedError" ? words.camera_refused : words.camera_absent);
  }
  find("video").srcObject = stream;
  setState("camera");
  button("snap").focus();
}

function closeCamera() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  find("video").srcObject = null;
}

async function snap() {
  const video = find("video");
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/png" });
  closeCamera();
  setState("start");
  start(blob, "camera.png");
}

// ---- the value ----

let encoded = null; // a promise of the mask's data URL; null when it must be made again
let timer = 0;

async function value() {
  await opening;
  if (!picture?.file) return null;
  if (shape) finish();
  encoded ??= png(mask).then(dataUrl);
  return { file: picture.file, mask: await encoded, w: picture.width, h: picture.height };
}

// Tells the value once painting rests; `value()` gives it at any time.
function publish() {
  encoded = null;
  clearTimeout(timer);
  timer = setTimeout(async () => {
    if (shape) return publish(); // the next stroke has begun; asking for the value would end it
    props.value = await value();
    trigger("change");
  }, WAIT);
}

function take() {
  const file = props.value?.file;
  if (!file || props.value.mask || file.path === picture?.file?.path) return;
  if (document.activeElement.closest(".of-picture")) stage.focus({ preventScroll: true }); // what is there will be hidden
  opening = fetchAndOpen(file);
}

// ---- the view ----

const toPicture = (point) => ({ x: (point.x - view.x) / view.scale, y: (point.y - view.y) / view.scale });
const toStage = (point) => ({ x: point.x * view.scale + view.x, y: point.y * view.scale + view.y });
const fitting = () => Math.min(1, stage.clientWidth / picture.width, stage.clientHeight / picture.height); // a small one as it is
const closest = () => Math.max(fitting(), CLOSEST / devicePixelRatio);

function fit() {
  view = { scale: 1, x: 0, y: 0, fitted: true };
  draw();
}

// Zooms to `scale` while the point (x, y) of the stage stays where it is.
function zoomTo(scale, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const next = clamp(scale, fitting(), closest());
  const factor = next / view.scale;
  view = { scale: next, x: x - (x - view.x) * factor, y: y - (y - view.y) * factor, fitted: next <= fitting() };
  draw();
}

function panBy(dx, dy) {
  view.x += dx;
  view.y += dy;
  draw();
}

// Where a side of the picture may begin on the stage, whose middle stays on the picture: then zooming in keeps every point
// under the pointer, be the picture smaller than the stage or larger.
function held(start, length, room) {
  return view.fitted ? (room - length) / 2 : clamp(start, room / 2 - length, room / 2);
}

let wanted = null; // what the next frame draws besides the marks: {photo, whole, box}, box a part of the mask or null

// Has everything drawn, once a frame at most, after it made the view fit its bounds.
function draw() {
  if (!picture || !stage.clientWidth) return; // nothing to show, or in a tab that is not open
  if (view.fitted) view.scale = fitting();
  view.x = held(view.x, picture.width * view.scale, stage.clientWidth);
  view.y = held(view.y, picture.height * view.scale, stage.clientHeight);
  redraw({ photo: true, whole: true });
}

function redraw({ photo = false, whole = false, box = null } = {}) {
  if (!wanted) requestAnimationFrame(drawNow);
  wanted ??= { photo: false, whole: false, box: null };
  wanted.photo ||= photo;
  wanted.whole ||= whole;
  if (box) wanted.box = wanted.box ? around(wanted.box, box) : box;
}

const around = (a, b) => ({
  left: Math.min(a.left, b.left),
  top: Math.min(a.top, b.top),
  right: Math.max(a.right, b.right),
  bottom: Math.max(a.bottom, b.bottom),
});

function drawNow() {
  const { photo, whole, box } = wanted;
  wanted = null;
  if (!picture) return; // it was refused since
  if (photo) drawPhoto();
  if (whole || box) drawMask(whole ? null : box);
  drawMarks();
  find(".percent").textContent = `${Math.round(100 * view.scale * devicePixelRatio)} %`;
  for (const name of ["out", "fit"]) enable(name, view.scale > fitting());
  enable("in", view.scale < closest());
}

// Makes the canvas as large as the stage in screen pixels; setting a size also clears.
function sized(canvas) {
  const width = Math.round(stage.clientWidth * devicePixelRatio);
  const height = Math.round(stage.clientHeight * devicePixelRatio);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return canvas.getContext("2d");
}

function drawPhoto() {
  const context = sized(photoCanvas);
  const scale = view.scale * devicePixelRatio;
  const source = scale * picture.width > 1.1 * picture.small.width ? picture.large : picture.small;
  context.clearRect(0, 0, photoCanvas.width, photoCanvas.height);
  context.imageSmoothingEnabled = scale < BLOCKS;
  context.imageSmoothingQuality = Math.max(source.width, source.height) > PREVIEW ? "low" : "medium"; // for speed
  const [x, y] = [view.x * devicePixelRatio, view.y * devicePixelRatio];
  context.drawImage(source, x, y, picture.width * scale, picture.height * scale);
}

// First and last + 1 pixel of the picture under each screen pixel from `start` to `end`, along one axis.
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
function drawMask(box) {
  const context = sized(maskCanvas);
  const { left, top, right, bottom } = box ? onScreen(box) : { left: 0, top: 0, right: maskCanvas.width, bottom: maskCanvas.height };
  if (left >= right || top >= bottom) return;
  const [width, height] = [right - left, bottom - top];
  if (!mask.count && !mask.changed) return context.clearRect(left, top, width, height);
  const columns = lookUp(left - 1, right + 1, view.x, picture.width);
  const rows = lookUp(top - 1, bottom + 1, view.y, picture.height);
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  let [above, here, below] = [coverage(rows, 0, columns), coverage(rows, 1, columns), null];
  for (let y = 0; y < height; y++) {
    below = coverage(rows, y + 2, columns);
    for (let x = 1, at = y * width; x <= width; x++, at++) {
      if (!here[x]) continue;
      pixels[at] = here[x - 1] && here[x + 1] && above[x] && below[x] ? INSIDE : BORDER;
    }
    [above, here] = [here, below];
  }
  context.putImageData(image, left, top);
}

// One row of screen pixels: 1 where a pixel under it is painted. At most four by four are looked at.
function coverage(rows, index, columns) {
  const covered = new Uint8Array(columns.length / 2);
  const [top, bottom] = [rows[2 * index], rows[2 * index + 1]];
  const down = Math.max(1, Math.ceil((bottom - top) / 4));
  for (let y = top; y < bottom; y += down) {
    const start = y * mask.width;
    for (let place = 0; place < covered.length; place++) {
      if (covered[place]) continue;
      const [from, to] = [columns[2 * place], columns[2 * place + 1]];
      const across = to - from <= 4 ? 1 : Math.ceil((to - from) / 4);
      for (let x = from; x < to; x += across) if (mask.bits[start + x]) covered[place] = 1;
    }
  }
  return covered;
}

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
  const outline = shape && shape.tool !== "stroke" ? outlineOf(shape) : "";
  for (const path of element.querySelectorAll(".shape path")) path.setAttribute("d", outline);
  const ringed = tool === "brush" || tool === "eraser";
  const at = cross ? toStage(cross) : hover;
  root.classList.toggle("aiming", Boolean(cross));
  root.classList.toggle("ringed", ringed && Boolean(at) && !panning());
  for (const circle of element.querySelectorAll(".ring circle")) {
    circle.setAttribute("r", Math.max(2, (brush * view.scale) / 2));
    if (at) circle.setAttribute("cx", at.x);
    if (at) circle.setAttribute("cy", at.y);
  }
  if (cross) find(".cross").setAttribute("transform", `translate(${at.x} ${at.y})`);
}

function outlineOf({ tool: kind, points }) {
  const corners = points.map(toStage);
  if (kind === "lasso") return `M${corners.map(({ x, y }) => `${x} ${y}`).join("L")}Z`;
  const [a, b] = [corners[0], corners.at(-1)];
  return `M${a.x} ${a.y}H${b.x}V${b.y}H${a.x}Z`;
}

// ---- painting ----

let shape = null; // what is being drawn: {tool: "stroke" | "rectangle" | "lasso", value: 1 paints and 0 erases, points}

function begin(point, erase) {
  const kind = tool === "rectangle" || tool === "lasso" ? tool : "stroke";
  shape = { tool: kind, value: erase ? 0 : 1, points: [point] };
  if (kind === "stroke") strokeTo(point, point);
}

function extend(point) {
  const last = shape.points.at(-1);
  if (shape.tool === "stroke") {
    strokeTo(last, point);
    shape.points = [point];
  } else if (shape.tool === "rectangle") {
    shape.points = [shape.points[0], point];
  } else if (Math.hypot(point.x - last.x, point.y - last.y) * view.scale >= 1) {
    shape.points.push(point);
  }
  redraw();
}

function strokeTo(from, to) {
  const reach = brush / 2 + 1;
  mask.stroke(from, to, brush / 2, shape.value);
  redraw({
    box: {
      left: Math.min(from.x, to.x) - reach,
      top: Math.min(from.y, to.y) - reach,
      right: Math.max(from.x, to.x) + reach,
      bottom: Math.max(from.y, to.y) + reach,
    },
  });
}

function finish() {
  const { tool: kind, value: bit, points } = shape;
  shape = null;
  if (kind === "rectangle" && points.length > 1) mask.rectangle(points[0], points[1], bit);
  if (kind === "lasso" && points.length > 2) mask.polygon(points, bit);
  edit(words.painted, () => {});
}

function abort() {
  shape = null;
  redraw({ box: mask?.abort() });
}

// Does one step that can be undone.
function edit(said, change) {
  if (!picture) return;
  if (shape) finish();
  change();
  if (mask.commit()) changed(said);
  draw();
}

function changed(said) {
  complain("");
  told();
  announce(`${said}. ${find(".note").textContent}`);
  publish();
}

function undo() {
  if (shape) return abort();
  if (mask?.undo()) changed(words.undone);
  draw();
}

function redo() {
  if (shape || !mask?.redo()) return;
  changed(words.redone);
  draw();
}

function spreadBy(value) {
  const radius = clamp(Math.round(Number(spread.value)) || 1, 1, WIDEST_SPREAD);
  spread.value = radius;
  edit(value ? words.grown : words.shrunk, () => mask.spread(value, radius));
}

// ---- brush size: the slider's steps are even on a logarithmic scale ----

const largest = () => Math.max(2, WIDEST_BRUSH * Math.max(picture.width, picture.height));

function setBrush(size) {
  brush = clamp(Math.round(size), 1, Math.round(largest()));
  slider.value = (100 * Math.log(brush)) / Math.log(largest());
  slider.setAttribute("aria-valuetext", `${brush} px`);
  find(".size output").textContent = `${brush} px`;
  drawMarks();
}

function resizeBrush(factor) {
  const next = Math.round(brush * factor);
  setBrush(next === brush ? brush + Math.sign(factor - 1) : next);
}

function setTool(name) {
  if (shape) abort();
  tool = name;
  for (const node of element.querySelectorAll("[data-tool]")) {
    node.setAttribute("aria-pressed", node.dataset.tool === name);
  }
  root.classList.toggle("moving", name === "move");
  if (picture) announce(words[name]);
  if (picture) drawMarks();
}

// ---- keys ----

let cross = null; // the crosshair that arrow keys move, in the middle of a pixel; null while a pointer is used
let space = false; // the space bar is held to pan

const shortcuts = {
  b: () => setTool("brush"),
  e: () => setTool("eraser"),
  r: () => setTool("rectangle"),
  l: () => setTool("lasso"),
  h: () => setTool("move"),
  "[": () => resizeBrush(1 / NOTCH),
  "]": () => resizeBrush(NOTCH),
  i: () => deeds.invert(),
  Delete: () => deeds.clear(),
  Backspace: () => deeds.clear(),
  "+": () => deeds.in(),
  "=": () => deeds.in(),
  "-": () => deeds.out(),
  0: () => fit(),
  1: () => zoomTo(1 / devicePixelRatio),
  "?": () => deeds.help(),
};
const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function onKey(event) {
  root.classList.remove("by-pointer");
  if (root.dataset.state !== "ready" || event.target.type === "number") return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") event.shiftKey ? redo() : undo();
    else if (key === "y") redo();
    else return;
  } else if (event.altKey) return;
  else if (key === "Escape") escape();
  else if (key in shortcuts) shortcuts[key]();
  else if (event.target !== stage) return; // arrows, Enter and Space mean other things there
  else if (key in arrows) aim(...arrows[key], event.shiftKey);
  else if (key === "Enter" || (key === " " && cross)) pen(event.repeat);
  else if (key === " ") holdSpace(true);
  else return;
  event.preventDefault();
}

function escape() {
  if (!find(".help").hidden) toggleHelp();
  abort();
  root.classList.remove("pen");
}

function middle() {
  const centre = toPicture({ x: stage.clientWidth / 2, y: stage.clientHeight / 2 });
  return pixel(centre.x, centre.y);
}

const pixel = (x, y) => ({
  x: clamp(Math.floor(x), 0, picture.width - 1) + 0.5,
  y: clamp(Math.floor(y), 0, picture.height - 1) + 0.5,
});

function aim(dx, dy, fine) {
  const stride = fine ? 1 : Math.max(1, Math.round(STRIDE / view.scale));
  cross = cross ? pixel(cross.x + dx * stride, cross.y + dy * stride) : middle();
  if (shape) extend(cross);
  follow();
  announceSoon();
}

// Keeps the crosshair in view.
function follow() {
  const { x, y } = toStage(cross);
  const near = 3 * STRIDE;
  panBy(clamp(x, near, stage.clientWidth - near) - x, clamp(y, near, stage.clientHeight - near) - y);
}

// Puts the pen down at the crosshair, or lifts it.
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

function holdSpace(on) {
  space = on;
  root.classList.toggle("moving", on || tool === "move");
  drawMarks();
}

// ---- pointers ----

const fingers = new Map(); // pointerId → point on the stage, of those that are down
let penned = -Infinity; // when a pen was last on the stage or above it, in ms since the page was opened; never at first
let hover = null; // where the mouse or pen is on the stage; null off it and for fingers
let gesture = null; // "draw", "pan", "pinch", or "rest": until all fingers are up

const panning = () => gesture === "pan" || space || tool === "move";

// Where the page is zoomed or scaled by CSS, a pixel of the stage is not one of the pointer's.
function place(event) {
  const { left, top, width, height } = stage.getBoundingClientRect();
  const [across, down] = [stage.offsetWidth / width, stage.offsetHeight / height];
  return { x: (event.clientX - left) * across - stage.clientLeft, y: (event.clientY - top) * down - stage.clientTop };
}

const onPanel = (event) => event.target.closest(".panel, .help");

// A hand rests beside its pen: around the time of a pen, touches are none, and from then on fingers only move the picture.
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
  } else if (event.button === 1 || panning() || (touch && penned > 0)) {
    gesture = "pan";
    root.classList.add("panning");
  } else {
    gesture = "draw";
    begin(toPicture(place(event)), tool === "eraser" || event.button === 2 || event.altKey);
  }
}

function dropCross() {
  if (shape) finish();
  cross = null;
  root.classList.remove("pen");
}

function onMove(event) {
  if (!picture) return;
  const point = place(event);
  const old = fingers.get(event.pointerId);
  if (event.pointerType === "touch" && !old) return; // the hand beside a pen
  if (event.pointerType === "pen" && !old) penned = event.timeStamp;
  hover = event.pointerType === "touch" ? null : point;
  if (hover && cross && !shape && (event.movementX || event.movementY)) dropCross();
  if (!old) return drawMarks();
  if (gesture === "draw") for (const part of shape ? parts(event) : []) extend(toPicture(place(part)));
  else if (gesture === "pan") panBy(point.x - old.x, point.y - old.y);
  else if (gesture === "pinch") pinch(event.pointerId, point);
  fingers.set(event.pointerId, point);
  drawMarks();
}

// All the places the pointer was at since the last frame, so that quick strokes stay round.
function parts(event) {
  const list = event.getCoalescedEvents?.() ?? [];
  return list.length ? list : [event];
}

function pinch(moving, point) {
  const resting = [...fingers].find(([id]) => id !== moving)[1];
  const old = fingers.get(moving);
  const distance = (p) => Math.max(1, Math.hypot(p.x - resting.x, p.y - resting.y));
  view.x += (point.x - old.x) / 2;
  view.y += (point.y - old.y) / 2;
  zoomTo((view.scale * distance(point)) / distance(old), (point.x + resting.x) / 2, (point.y + resting.y) / 2);
}

function onUp(event) {
  if (!fingers.delete(event.pointerId)) return;
  if (event.pointerType === "pen") penned = event.timeStamp;
  if (gesture === "draw" && shape) event.type === "pointerup" ? finish() : abort();
  gesture = fingers.size ? "rest" : null;
  root.classList.remove("panning");
  drawMarks();
}

function onWheel(event) {
  if (root.dataset.state !== "ready" || onPanel(event)) return;
  const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
  const factor = Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002));
  if (factor < 1 && view.scale <= fitting() && !event.ctrlKey) return; // nothing left to zoom out: the page may scroll
  event.preventDefault();
  const { x, y } = place(event);
  zoomTo(view.scale * factor, x, y);
}

// ---- files from outside ----

const isPicture = (file) => /^image\//.test(file.type) || /\.(tiff?|hei[cf]|avif|jxl|bmp|webp|gif|png|jpe?g)$/i.test(file.name);

function takeFiles(files) {
  const file = [...files].find(isPicture) ?? files[0];
  if (file) start(file, file.name);
}

function onPaste(event) {
  const visible = root.isConnected && root.offsetParent;
  const typing = event.target.closest?.("input, textarea, [contenteditable]");
  if (!visible || typing || !event.clipboardData?.files.length) return;
  event.preventDefault();
  takeFiles(event.clipboardData.files);
}

function onDrop(event) {
  event.preventDefault();
  root.classList.remove("dropping");
  takeFiles(event.dataTransfer.files);
}

function onDragOver(event) {
  event.preventDefault();
  root.classList.add("dropping");
}

// ---- what the editor says ----

function setState(state) {
  root.dataset.state = state;
  root.classList.toggle("empty", !picture);
  stage.tabIndex = state === "ready" ? 0 : -1;
  stage.style.aspectRatio = state === "ready" && picture ? `${picture.width} / ${picture.height}` : "";
  stage.style.setProperty("--room", picture ? `${picture.height + 2 * MARGIN}px` : ""); // a small one needs no more
}

function told() {
  const share = (100 * mask.count) / (mask.width * mask.height);
  const digits = share && share < 1 ? 2 : 1;
  const values = { name: picture.name, w: picture.width, h: picture.height, share: share.toFixed(mask.count ? digits : 0) };
  find(".note").textContent = say(mask.count ? words.note : words.note_empty, values);
  enable("undo", mask.done.length);
  enable("redo", mask.undone.length);
  for (const name of ["clear", "shrink", "grow", "save"]) enable(name, mask.count);
}

// A button that is switched off while it has the focus would swallow all keys: the stage takes them.
function enable(name, on) {
  const node = button(name);
  if (!on && node === document.activeElement) stage.focus({ preventScroll: true });
  node.disabled = !on;
}

const veil = (text) => (find(".veil").textContent = text);
const complain = (text) => (find(".problem").textContent = text);
const announce = (text) => (find(".said").textContent = text);

let pause = 0;

// The crosshair's place, once it rests: a screen reader need not hear each step.
function announceSoon() {
  clearTimeout(pause);
  pause = setTimeout(() => {
    if (cross) announce(`${Math.floor(cross.x)}, ${Math.floor(cross.y)}${shape ? `, ${words.pen_down}` : ""}`);
  }, 400);
}

function toggleHelp() {
  const help = find(".help");
  help.hidden = !help.hidden;
  find("[data-do='help'][aria-expanded]").setAttribute("aria-expanded", !help.hidden);
  (help.hidden ? stage : help).focus({ preventScroll: true });
}

function fillHelp() {
  const rows = [
    ["B E R L H", words.help_tools],
    ["[ ]", words.help_size],
    ["Ctrl+Z", words.undo],
    ["Ctrl+Y", words.redo],
    ["I", words.invert],
    ["Delete", words.clear],
    ["+ − 0 1", words.help_zoom],
    ["← ↑ → ↓", words.help_arrows],
    ["Shift+←", words.help_fine],
    ["Enter", words.help_pen],
    ["Esc", words.help_escape],
    ["Ctrl+V", words.help_paste],
  ];
  const gestures = [words.help_right, words.help_space, words.help_fingers];
  const term = (keys) => keys.split(" ").map((key) => `<kbd>${key}</kbd>`).join(" ");
  const described = ([keys, text]) => `<dt>${term(keys)}</dt><dd>${text}</dd>`;
  find(".help dl").innerHTML = rows.map(described).join("") + gestures.map((text) => `<dt>·</dt><dd>${text}</dd>`).join("");
}

// ---- wiring ----

const deeds = {
  choose: () => find(".photo-file").click(),
  camera: openCamera,
  snap,
  leave: () => (closeCamera(), setState("start")),
  start: () => setState("start"),
  back: () => (setState("ready"), draw()),
  undo,
  redo,
  help: toggleHelp,
  clear: () => edit(words.cleared, () => mask.fill(0)),
  invert: () => edit(words.inverted, () => mask.invert()),
  shrink: () => spreadBy(0),
  grow: () => spreadBy(1),
  load: () => find(".mask-file").click(),
  save: saveMask,
  in: () => zoomTo(view.scale * NOTCH),
  out: () => zoomTo(view.scale / NOTCH),
  fit,
};

function wordUp() {
  for (const node of element.querySelectorAll("[data-word]")) node.textContent = words[node.dataset.word];
  for (const node of element.querySelectorAll("[data-label]")) node.setAttribute("aria-label", words[node.dataset.label]);
  for (const node of element.querySelectorAll("button[data-key], button[data-label]")) {
    const name = words[node.dataset.label ?? node.dataset.word];
    node.title = node.dataset.key ? `${name} (${node.dataset.key})` : name;
  }
  if (props.label) root.setAttribute("aria-label", props.label);
  fillHelp();
}

function addExamples() {
  for (const file of props.value?.examples ?? []) {
    const name = file.path.split(/[\\/]/).pop();
    const node = document.createElement("button");
    node.type = "button";
    const stem = name.replace(/\.\w+$/, "");
    node.title = say(words.example, { name: words[stem] ?? stem });
    node.setAttribute("aria-label", node.title);
    const image = new Image();
    Object.assign(image, { src: file.url, alt: "", loading: "lazy" });
    node.append(image);
    node.addEventListener("click", () => (opening = fetchAndOpen(file)));
    find(".examples").append(node);
  }
}

for (const node of element.querySelectorAll("[data-do]")) node.addEventListener("click", () => deeds[node.dataset.do]());
for (const node of element.querySelectorAll("[data-tool]")) {
  node.addEventListener("click", () => setTool(node.dataset.tool));
}
for (const [query, take] of [[".photo-file", (file) => start(file, file.name)], [".mask-file", startMask]]) {
  find(query).addEventListener("change", (event) => {
    const file = event.target.files[0];
    if (file) take(file);
    event.target.value = ""; // so that the same file can be chosen again
  });
}
slider.addEventListener("input", () => setBrush(largest() ** (slider.value / 100)));
root.addEventListener("keydown", onKey);
root.addEventListener("keyup", (event) => event.key === " " && holdSpace(false));
stage.addEventListener("blur", () => space && holdSpace(false));
stage.addEventListener("pointerdown", onDown);
stage.addEventListener("pointermove", onMove);
stage.addEventListener("pointerup", onUp);
stage.addEventListener("pointercancel", onUp);
stage.addEventListener("pointerleave", () => ((hover = null), drawMarks()));
stage.addEventListener("wheel", onWheel, { passive: false });
stage.addEventListener("contextmenu", (event) => root.dataset.state === "ready" && event.preventDefault());
root.addEventListener("dragover", onDragOver);
root.addEventListener("dragleave", () => root.classList.remove("dropping"));
root.addEventListener("drop", onDrop);
document.addEventListener("paste", onPaste);
new ResizeObserver(draw).observe(stage);

wordUp();
addExamples();
setTool("brush");
setState("start");
root.editor = { value };
watch("value", take);
