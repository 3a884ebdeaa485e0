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

  // Takes away what is not 0 in `marked`.
  without(marked) {
    const box = this.bounds(marked) ?? { left: 0, top: 0, right: 0, bottom: 0 };
    for (let i = box.top * this.width; i < box.bottom * this.width; i++) if (marked[i]) this.bits[i] = 0;
    this.touch(box.left, box.top, box.right, box.bottom);
  }

  // The smallest box that holds all painted pixels, or all that are 1 in other bits, or null.
  bounds(bits = this.bits) {
    const box = { left: this.width, top: -1, right: 0, bottom: 0 };
    for (let y = 0; y < this.height; y++) {
      const row = bits.subarray(y * this.width, (y + 1) * this.width);
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

  // Ends a step: what it changed can be undone from now on. False if it changed nothing, and `repair`, the scenes before and
  // after it, are none.
  commit(repair = null) {
    if (!this.changed) return false;
    const { left, top, right, bottom } = this.changed;
    const width = right - left;
    const step = { ...this.changed, repair, flips: new Uint8Array(Math.ceil((width * (bottom - top)) / 8)) };
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
    if (!different && !repair) return false;
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
