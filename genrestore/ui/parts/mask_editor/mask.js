// ---- the mask ----

// What a pixel is, as flags of one byte, so that one history holds it all.
const PAINTED = 1; // by hand, or read from a file
const MARKED = 2; // what the server gets as the mask: what is painted, and the rim that it is grown by
const FORBIDDEN = 4; // nothing may be copied from here
const FRESH = 8; // used while a step is made, and gone before it ends
const PAINT = PAINTED | MARKED;
const KEPT = [PAINTED, MARKED, FORBIDDEN];

class Mask {
  /** @param {number} width @param {number} height */
  constructor(width, height, growth = 0) {
    this.width = width;
    this.height = height;
    this.growth = growth; // pixels by which what is painted is grown
    this.bits = new Uint8Array(width * height); // flags, as they are seen
    this.kept = new Uint8Array(width * height); // as they were after the last finished step
    this.grown = growth; // the growth at that time
    /** @type {Record<number, number>} */
    this.counts = { [PAINTED]: 0, [MARKED]: 0, [FORBIDDEN]: 0 }; // pixels of `kept`
    /** @type {Box | null} */
    this.changed = null; // {left, top, right, bottom} holding all pixels where the two may differ
    /** @type {Step[]} */
    this.done = []; // steps that can be undone: {left, top, right, bottom, flips, growth}; see `commit`
    /** @type {Step[]} */
    this.undone = [];
  }

  get count() {
    return this.counts[MARKED];
  }

  get forbidden() {
    return this.counts[FORBIDDEN];
  }

  // The pixels of a box that are there.
  /** @type {(box: Box, wider?: number) => Box} */
  clipped({ left, top, right, bottom }, wider = 0) {
    return {
      left: clamp(left - wider, 0, this.width),
      top: clamp(top - wider, 0, this.height),
      right: clamp(right + wider, 0, this.width),
      bottom: clamp(bottom + wider, 0, this.height),
    };
  }

  /** @type {() => Box} */
  all() {
    return { left: 0, top: 0, right: this.width, bottom: this.height };
  }

  // Gives each pixel of a box the flags that `change` makes of those it has; returns the box.
  /** @type {(box: Box, change: (flags: number, at: number) => number) => Box} */
  each(box, change) {
    const bits = this.bits;
    for (let y = box.top; y < box.bottom; y++) {
      for (let at = y * this.width + box.left, end = y * this.width + box.right; at < end; at++) bits[at] = change(bits[at], at);
    }
    return box;
  }

  /** @type {(box: Box) => Box} */
  touch(box) {
    const touched = this.clipped(box);
    this.changed = this.changed ? around(this.changed, touched) : touched;
    return touched;
  }

  // ---- shapes: each calls visit(y, first, last) for the runs of pixels whose middles lie inside ----

  /** @type {(y: number, left: number, right: number, visit: Visit) => void} */
  span(y, left, right, visit) {
    const first = Math.max(0, Math.ceil(left - 0.5));
    const last = Math.min(this.width - 1, Math.floor(right - 0.5));
    if (first <= last) visit(y, first, last);
  }

  // Calls visit(y, middle) for the rows whose middles lie between `top` and `bottom`.
  /** @type {(top: number, bottom: number, visit: (y: number, middle: number) => void) => void} */
  rows(top, bottom, visit) {
    const last = Math.min(this.height - 1, Math.floor(bottom - 0.5));
    for (let y = Math.max(0, Math.ceil(top - 0.5)); y <= last; y++) visit(y, y + 0.5);
  }

  /** @type {(middle: Point, radius: number, visit: Visit) => void} */
  disc({ x, y }, radius, visit) {
    this.rows(y - radius, y + radius, (row, middle) => {
      const half = Math.sqrt(Math.max(0, radius ** 2 - (middle - y) ** 2));
      this.span(row, x - half, x + half, visit);
    });
  }

  // A closed outline; what it goes round more than once is inside too.
  /** @type {(points: Point[], visit: Visit) => void} */
  outline(points, visit) {
    const ys = points.map((point) => point.y);
    this.rows(Math.min(...ys), Math.max(...ys), (row, middle) => {
      /** @type {{ x: number, turn: number }[]} */
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
        if (turns) this.span(row, x, crossings[place + 1].x, visit);
      });
    });
  }

  // ---- painting: `value` is PAINT or FORBIDDEN, or 0, which erases both ----

  /** @type {(y: number, first: number, last: number, value: number) => void} */
  run(y, first, last, value) {
    const bits = this.bits;
    const [from, to] = [y * this.width + first, y * this.width + last + 1];
    if (!value) bits.fill(0, from, to);
    else for (let at = from; at < to; at++) bits[at] |= value;
  }

  // A stroke of a round brush from `a` to `b`, and the box that it changed. The pixels under its two ends are painted however
  // thin it is. A stroke is one run in each row, and so is what it grows to: that is quick enough for every move of a pointer.
  /** @type {(a: Point, b: Point, radius: number, value: number) => Box} */
  stroke(a, b, radius, value) {
    const box = this.clipped({
      left: Math.floor(Math.min(a.x, b.x) - radius),
      top: Math.floor(Math.min(a.y, b.y) - radius),
      right: Math.ceil(Math.max(a.x, b.x) + radius) + 1,
      bottom: Math.ceil(Math.max(a.y, b.y) + radius) + 1,
    });
    const runs = new Runs(box.top, box.bottom);
    /** @type {Visit} */
    const visit = (...run) => runs.add(...run);
    for (const end of [a, b]) {
      const [x, y] = [Math.floor(end.x), Math.floor(end.y)];
      if (x >= 0 && y >= 0 && x < this.width && y < this.height) visit(y, x, x);
      this.disc(end, radius, visit);
    }
    const length = Math.hypot(b.x - a.x, b.y - a.y);
    const [dx, dy] = length ? [(-(b.y - a.y) / length) * radius, ((b.x - a.x) / length) * radius] : [0, 0];
    const corners = [
      { x: a.x + dx, y: a.y + dy },
      { x: b.x + dx, y: b.y + dy },
      { x: b.x - dx, y: b.y - dy },
      { x: a.x - dx, y: a.y - dy },
    ];
    if (length) this.outline(corners, visit);
    runs.each((y, first, last) => this.run(y, first, last, value));
    if (value !== PAINT || !this.growth) return this.touch(box);
    const rim = this.clipped(box, this.growth);
    runs.grown(this.growth, rim).each((y, first, last) => this.run(y, first, last, MARKED));
    return this.touch(rim);
  }

  /** @type {(points: Point[], value: number) => void} */
  polygon(points, value) {
    const [xs, ys] = [points.map((point) => point.x), points.map((point) => point.y)];
    const [left, top] = [Math.floor(Math.min(...xs)), Math.floor(Math.min(...ys))];
    const box = { left, top, right: Math.ceil(Math.max(...xs)), bottom: Math.ceil(Math.max(...ys)) };
    this.shape(box, value, (visit) => this.outline(points, visit));
  }

  // All pixels that the rectangle between two corners touches.
  /** @type {(a: Point, b: Point, value: number) => void} */
  rectangle(a, b, value) {
    const [left, right] = [Math.floor(Math.min(a.x, b.x)), Math.floor(Math.max(a.x, b.x)) + 1];
    const [top, bottom] = [Math.floor(Math.min(a.y, b.y)), Math.floor(Math.max(a.y, b.y)) + 1];
    const box = { left, top, right, bottom };
    this.shape(box, value, (visit) => this.rows(top, bottom, (y) => this.span(y, left, right, visit)));
  }

  // What is not 0 in `bits`, of which `width` make a row; the first belongs at (left, top).
  /** @type {(region: Region, value: number) => Box} */
  region({ left, top, width, height, bits }, value) {
    const box = { left, top, right: left + width, bottom: top + height };
    return this.shape(box, value, (visit) => {
      for (let y = 0; y < height; y++) {
        for (let x = 0, row = y * width; x < width; x++) {
          const first = x;
          while (x < width && bits[row + x]) x++;
          if (x > first) visit(top + y, left + first, left + x - 1);
        }
      }
    });
  }

  // Paints the runs that `draw` gives to its visitor, all of them in the box, and grows them.
  /** @type {(box: Box, value: number, draw: (visit: Visit) => void) => Box} */
  shape(box, value, draw) {
    const growing = value === PAINT && this.growth;
    draw((y, first, last) => this.run(y, first, last, growing ? value | FRESH : value));
    if (growing) this.grow(FRESH, this.clipped(box));
    return this.touch({ left: box.left - this.growth, top: box.top - this.growth, right: box.right + this.growth, bottom: box.bottom + this.growth });
  }

  // Marks what lies within the growth of the pixels of `flag` in a box.
  /** @type {(flag: number, box: Box) => void} */
  grow(flag, box) {
    this.near(flag, flag, this.growth, this.clipped(box, this.growth), (y, first, last) => this.run(y, first, last, MARKED));
    this.each(box, (flags) => flags & ~FRESH);
  }

  // After erasing: a rim from which all that it was round has gone goes too.
  trim() {
    if (!this.changed || !this.growth) return;
    const inner = this.clipped(this.changed, this.growth);
    const outer = this.clipped(this.changed, 2 * this.growth);
    this.near(PAINTED, PAINTED, this.growth, outer, (y, first, last) => this.run(y, first, last, FRESH));
    this.each(inner, (flags) => (flags & FRESH ? flags : flags & ~MARKED));
    this.each(outer, (flags) => flags & ~FRESH);
    this.touch(inner);
  }

  // Grows all that is painted by another number of pixels.
  /** @type {(growth: number) => void} */
  regrow(growth) {
    this.growth = growth;
    this.touch(this.all());
    this.each(this.all(), (flags) => (flags & PAINTED ? flags | MARKED : flags & ~MARKED));
    const bounds = this.bounds(PAINTED);
    if (growth && bounds) this.grow(PAINTED, bounds);
  }

  // ---- the whole mask: what is marked is what is seen, and from then on it is what was painted ----

  clear() {
    this.bits.fill(0);
    this.touch(this.all());
  }

  invert() {
    this.touch(this.each(this.all(), (flags) => (flags & MARKED ? flags & ~PAINT : flags | PAINT)));
  }

  // Marks what is not 0 in `marked`, and not what is.
  /** @type {(marked: Uint8Array) => void} */
  replace(marked) {
    this.touch(this.each(this.all(), (flags, at) => (flags & FORBIDDEN) | (marked[at] ? PAINT : 0)));
  }

  // Marks what is not 0 in `marked` too, as it is: it does not grow.
  /** @type {(marked: Uint8Array) => void} */
  add(marked) {
    const box = this.bounds(1, marked) ?? { left: 0, top: 0, right: 0, bottom: 0 };
    this.touch(this.each(box, (flags, at) => (marked[at] ? flags | PAINT : flags)));
  }

  // Takes away the marks where `marked` is not 0.
  /** @type {(marked: Uint8Array) => void} */
  without(marked) {
    const box = this.bounds(1, marked) ?? { left: 0, top: 0, right: 0, bottom: 0 };
    this.touch(this.each(box, (flags, at) => (marked[at] ? flags & ~PAINT : flags)));
  }

  // Grows what is marked, or what is not: the first widens the mask, the second shrinks it. There is nothing beyond the
  // border, so shrinking does not eat into the mask from there.
  /** @type {(widen: boolean, radius: number) => void} */
  spread(widen, radius) {
    const bounds = this.bounds(MARKED);
    if (!bounds) return;
    const box = this.clipped(bounds, radius);
    /** @type {Visit} */
    const fresh = (y, first, last) => this.run(y, first, last, FRESH);
    this.near(MARKED, widen ? MARKED : 0, radius, box, fresh);
    this.touch(this.each(box, (flags) => (flags & FORBIDDEN) | (Boolean(flags & FRESH) === widen ? PAINT : 0)));
  }

  // The smallest box that holds all pixels of a flag, or null.
  /** @type {(flag: number, bits?: Uint8Array) => Box | null} */
  bounds(flag, bits = this.bits) {
    const box = { left: this.width, top: -1, right: 0, bottom: 0 };
    for (let y = 0; y < this.height; y++) {
      const row = bits.subarray(y * this.width, (y + 1) * this.width);
      let [first, last] = [0, this.width - 1];
      while (first <= last && !(row[first] & flag)) first++;
      if (first > last) continue;
      while (!(row[last] & flag)) last--;
      if (box.top < 0) box.top = y;
      box.left = Math.min(box.left, first);
      box.right = Math.max(box.right, last + 1);
      box.bottom = y + 1;
    }
    return box.top < 0 ? null : box;
  }

  // Calls visit(y, first, last) for the runs of all pixels of a box whose middles lie within `radius` of that of one in the
  // box whose `flag` is as `wanted`. Nothing that `visit` changes is looked at again.
  /** @type {(flag: number, wanted: number, radius: number, box: Box, visit: Visit) => void} */
  near(flag, wanted, radius, box, visit) {
    const { left, top, right, bottom } = box;
    const width = right - left;
    const away = this.distances(flag, wanted, radius, box);
    const halves = halfWidths(radius);
    const covered = new Int32Array(width + 1); // how many more discs cover a pixel than the one before it
    for (let y = top; y < bottom; y++) {
      covered.fill(0);
      for (let x = 0, at = (y - top) * width; x < width; x++, at++) {
        const distance = away[at];
        if (distance > radius) continue;
        covered[Math.max(0, x - halves[distance])]++;
        covered[Math.min(width, x + halves[distance] + 1)]--;
      }
      for (let x = 0, depth = 0, first = -1; x <= width; x++) {
        depth += covered[x];
        if (depth && x < width && first < 0) first = x;
        else if ((!depth || x === width) && first >= 0) {
          visit(y, left + first, left + x - 1);
          first = -1;
        }
      }
    }
  }

  // For each pixel of the box: how many rows up or down the next pixel is whose `flag` is as `wanted`; more than `radius` if
  // further.
  /** @type {(flag: number, wanted: number, radius: number, box: Box) => Uint8Array} */
  distances(flag, wanted, radius, { left, top, right, bottom }) {
    const [width, height] = [right - left, bottom - top];
    const bits = this.bits;
    const away = new Uint8Array(width * height);
    for (let y = 0, at = 0; y < height; y++) {
      for (let x = 0, from = (y + top) * this.width + left; x < width; x++, at++, from++) {
        if ((bits[from] & flag) === wanted) away[at] = 0;
        else away[at] = Math.min(y ? away[at - width] + 1 : radius + 1, radius + 1);
      }
    }
    for (let at = width * (height - 1) - 1; at >= 0; at--) {
      if (away[at] > away[at + width] + 1) away[at] = away[at + width] + 1;
    }
    return away;
  }

  // ---- steps ----

  // Ends a step: what it changed can be undone from now on. False if it changed nothing, and
  // `repair`, the scenes before and after it, are none. A step keeps, for each flag that it
  // changed, one bit for each pixel of its box, and the growth before and after it.
  /** @type {(repair?: Step["repair"]) => boolean} */
  commit(repair = null) {
    /** @type {[number, number]} */
    const growth = [this.grown, this.growth];
    this.grown = this.growth;
    if (!this.changed) return false;
    const box = this.changed;
    this.changed = null;
    const flips = KEPT.flatMap((flag) => {
      const pixels = this.flips(flag, box);
      return pixels ? [{ flag, pixels }] : [];
    });
    if (!flips.length && !repair) return false;
    const step = { ...box, repair, flips, growth };
    for (let y = box.top; y < box.bottom; y++) {
      const [from, to] = [y * this.width + box.left, y * this.width + box.right];
      this.kept.set(this.bits.subarray(from, to), from);
    }
    this.done.push(step);
    this.undone = [];
    for (let bytes = 0, i = this.done.length - 1; i >= 0; i--) {
      for (const { pixels } of this.done[i].flips) bytes += pixels.length;
      if (bytes > UNDO_BYTES) this.done.splice(0, i + 1);
    }
    return true;
  }

  // One bit for each pixel of a box, 1 where a flag has changed; null if it has nowhere.
  /** @type {(flag: number, box: Box) => Uint8Array | null} */
  flips(flag, { left, top, right, bottom }) {
    const { bits, kept, width } = this;
    let pixels = null;
    let more = 0;
    for (let y = top, place = 0; y < bottom; y++) {
      for (let at = y * width + left, end = y * width + right; at < end; at++, place++) {
        if (!((bits[at] ^ kept[at]) & flag)) continue;
        pixels ??= new Uint8Array(Math.ceil(((right - left) * (bottom - top)) / 8));
        pixels[place >> 3] |= 1 << (place & 7);
        more += bits[at] & flag ? 1 : -1;
      }
    }
    this.counts[flag] += more;
    return pixels;
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

  /** @type {(step: Step) => void} */
  flip({ left, top, right, bottom, flips }) {
    const { bits, kept, width } = this;
    for (const { flag, pixels } of flips) {
      let more = 0;
      for (let y = top, place = 0; y < bottom; y++) {
        for (let at = y * width + left, end = y * width + right; at < end; at++, place++) {
          if (!((pixels[place >> 3] >> (place & 7)) & 1)) continue;
          kept[at] = bits[at] ^= flag;
          more += bits[at] & flag ? 1 : -1;
        }
      }
      this.counts[flag] += more;
    }
  }

  // Takes over what was kept of another one of this size: the pixels of each flag that are not 0, null where none is.
  /** @type {(flags: Record<number, Uint8Array | null>, growth: number, done: Step[], undone: Step[]) => void} */
  restore(flags, growth, done, undone) {
    for (const flag of KEPT) {
      const pixels = flags[flag];
      if (!pixels) continue;
      this.each(this.all(), (bits, at) => (pixels[at] ? bits | flag : bits));
      this.counts[flag] = pixels.reduce((sum, pixel) => sum + pixel, 0);
    }
    this.kept.set(this.bits);
    Object.assign(this, { growth, grown: growth, done, undone });
  }

  undo() {
    const step = this.done.pop();
    if (!step) return false;
    this.flip(step);
    this.grown = this.growth = step.growth[0];
    this.undone.push(step);
    return true;
  }

  redo() {
    const step = this.undone.pop();
    if (!step) return false;
    this.flip(step);
    this.grown = this.growth = step.growth[1];
    this.done.push(step);
    return true;
  }
}

// How far a disc reaches to either side, by the rows from its middle.
/** @type {(radius: number) => Int32Array} */
const halfWidths = (radius) =>
  Int32Array.from({ length: radius + 1 }, (_, dy) => Math.floor(Math.sqrt(radius ** 2 - dy ** 2)));

// One run of pixels in each row from `top` on, which may be empty.
class Runs {
  /** @param {number} top @param {number} bottom */
  /** @param {number} top @param {number} bottom */
  constructor(top, bottom) {
    this.top = top;
    this.firsts = new Int32Array(Math.max(0, bottom - top)).fill(2 ** 30);
    this.lasts = new Int32Array(Math.max(0, bottom - top)).fill(-1);
  }

  /** @type {Visit} */
  add(y, first, last) {
    const row = y - this.top;
    this.firsts[row] = Math.min(this.firsts[row], first);
    this.lasts[row] = Math.max(this.lasts[row], last);
  }

  /** @type {(visit: Visit) => void} */
  each(visit) {
    for (let row = 0; row < this.lasts.length; row++) {
      if (this.lasts[row] >= 0) visit(this.top + row, this.firsts[row], this.lasts[row]);
    }
  }

  // What lies within `radius` of them in a box. Runs of a convex shape overlap when they are grown.
  /** @type {(radius: number, box: Box) => Runs} */
  grown(radius, { left, top, right, bottom }) {
    const grown = new Runs(top, bottom);
    const halves = halfWidths(radius);
    this.each((y, first, last) => {
      for (let row = Math.max(top, y - radius); row < Math.min(bottom, y + radius + 1); row++) {
        const half = halves[Math.abs(row - y)];
        grown.add(row, Math.max(left, first - half), Math.min(right - 1, last + half));
      }
    });
    return grown;
  }
}
