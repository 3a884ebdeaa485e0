import assert from "node:assert/strict";
import { test } from "node:test";
import { random, run } from "./scripts.mjs";

const editor = run(["state", "mask", "view"]);
const [Mask, PAINTED, MARKED, FORBIDDEN, PAINT] = ["Mask", "PAINTED", "MARKED", "FORBIDDEN", "PAINT"].map(editor);

// The mask as lines of text, one character a pixel, for a flag.
function drawn(mask, flag = MARKED) {
  const rows = Array.from({ length: mask.height }, (_, y) => mask.bits.subarray(y * mask.width, (y + 1) * mask.width));
  return rows.map((row) => [...row].map((flags) => (flags & flag ? "#" : ".")).join("")).join("\n");
}

// What a mask of this size is where `inside` holds for the middle of a pixel.
function where({ width, height }, inside) {
  const row = (y) => Array.from({ length: width }, (_, x) => (inside(x + 0.5, y + 0.5) ? "#" : ".")).join("");
  return Array.from({ length: height }, (_, y) => row(y)).join("\n");
}

// Whether a pixel of the flag lies within `radius` of the middle (x, y).
function near(mask, flag, radius, x, y) {
  for (let at = 0; at < mask.bits.length; at++) {
    if (!(mask.bits[at] & flag)) continue;
    if (Math.hypot((at % mask.width) + 0.5 - x, Math.floor(at / mask.width) + 0.5 - y) <= radius) return true;
  }
  return false;
}

// Nothing has changed but in the box that the mask tells, and no flag of an unfinished step is left.
function onlyInside({ bits, width, changed: { left, top, right, bottom } }, held) {
  const outside = (_, place) => place % width < left || place % width >= right || Math.floor(place / width) < top || Math.floor(place / width) >= bottom;
  assert.deepEqual(bits.filter(outside), held.filter(outside));
  assert.ok(bits.every((flags) => flags < 8));
}

const grownWhere = (mask) => where(mask, (x, y) => near(mask, PAINTED, mask.growth, x, y));

function toSegment(x, y, a, b) {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const share = Math.min(1, Math.max(0, ((x - a.x) * dx + (y - a.y) * dy) / (dx * dx + dy * dy)));
  return Math.hypot(x - a.x - share * dx, y - a.y - share * dy);
}

test("a stroke paints the pixels whose middles lie within its radius of a line, also beyond the border", () => {
  const next = random(1);
  for (let k = 0; k < 60; k++) {
    const mask = new Mask(40, 30);
    const point = () => ({ x: 56 * next() - 8, y: 46 * next() - 8 });
    const [a, b, radius] = [point(), point(), 1 + 7 * next()];
    const box = mask.stroke(a, b, radius, PAINT);
    const ends = [a, b].map(({ x, y }) => `${Math.floor(x)} ${Math.floor(y)}`);
    const inside = (x, y) => toSegment(x, y, a, b) <= radius || ends.includes(`${x - 0.5} ${y - 0.5}`);
    assert.equal(drawn(mask), where(mask, inside));
    assert.deepEqual(mask.changed, box);
    const bounds = mask.bounds(MARKED);
    if (bounds) assert.ok(box.left <= bounds.left && box.top <= bounds.top && box.right >= bounds.right && box.bottom >= bounds.bottom);
  }
});

test("the thinnest stroke paints the pixels under its ends", () => {
  const mask = new Mask(6, 3);
  mask.stroke({ x: 1.1, y: 0.1 }, { x: 4.9, y: 2.1 }, 0.01, PAINT);
  assert.equal(drawn(mask), ".#....\n......\n....#.");
});

test("what is painted is grown by a disc, whatever painted it", () => {
  const next = random(2);
  const ways = [
    (mask, at) => mask.stroke(at(), at(), 1 + 3 * next(), PAINT),
    (mask, at) => mask.polygon([at(), at(), at(), at()], PAINT),
    (mask, at) => mask.rectangle(at(), at(), PAINT),
    (mask) => mask.region({ left: 3, top: 5, width: 4, height: 2, bits: Uint8Array.from({ length: 8 }, () => next() < 0.5) }, PAINT),
    (mask) => mask.regrow(Math.floor(6 * next())),
  ];
  for (let k = 0; k < 8; k++) {
    const mask = new Mask(44, 36, 4);
    const at = () => ({ x: 60 * next() - 8, y: 50 * next() - 7 });
    for (let step = 0; step < 6; step++) {
      const way = Math.floor(next() * ways.length);
      const held = mask.bits.slice();
      ways[way](mask, at);
      onlyInside(mask, held);
      assert.equal(drawn(mask), grownWhere(mask), `way ${way}`);
      mask.commit();
    }
  }
});

test("the eraser takes away what it touches, and rims of which nothing is left that they were round", () => {
  const next = random(8);
  for (let k = 0; k < 12; k++) {
    const mask = new Mask(44, 36, 4);
    const at = () => ({ x: 44 * next(), y: 36 * next() });
    mask.stroke(at(), at(), 3, PAINT);
    mask.stroke(at(), at(), 2, PAINT);
    mask.commit();
    const held = mask.bits.slice();
    const stroke = [at(), at(), 1 + 5 * next()];
    mask.stroke(...stroke, 0);
    mask.trim();
    onlyInside(mask, held);
    const erased = new Mask(44, 36);
    erased.stroke(...stroke, PAINT);
    const rims = grownWhere(mask);
    assert.equal(drawn(mask), [...drawn(erased)].map((pixel, place) => (pixel === "#" ? "." : rims[place])).join(""));
  }
});

test("an outline goes round what its turns enclose, where it crosses itself too", () => {
  const mask = new Mask(50, 50);
  const star = [0, 2, 4, 1, 3].map((k) => ({ x: 25 + 23 * Math.sin(1.2567 * k), y: 25.3 - 23 * Math.cos(1.2567 * k) }));
  mask.polygon(star, PAINT);
  const turns = (x, y) =>
    star.reduce((sum, a, k) => {
      const b = star[(k + 1) % 5];
      const side = (b.x - a.x) * (y - a.y) - (x - a.x) * (b.y - a.y);
      if (a.y <= y && b.y > y && side > 0) return sum + 1;
      if (a.y > y && b.y <= y && side < 0) return sum - 1;
      return sum;
    }, 0);
  assert.equal(drawn(mask), where(mask, turns));
  assert.ok(mask.bits[25 * 50 + 25], "its middle, which it goes round twice");
});

test("an outline whose corners lie in the middles of pixels is as whole as any", () => {
  const mask = new Mask(9, 6);
  mask.polygon([{ x: 4.5, y: 0.5 }, { x: 7.5, y: 3.5 }, { x: 4.5, y: 5.5 }, { x: 1.5, y: 3.5 }], PAINT);
  assert.equal(drawn(mask), "....#....\n...###...\n..#####..\n.#######.\n...###...\n.........");
});

test("a rectangle covers each pixel that it touches, from whichever corner it is drawn", () => {
  const [one, other] = [new Mask(6, 5), new Mask(6, 5)];
  one.rectangle({ x: 1.9, y: 1.2 }, { x: 4.1, y: 2.8 }, PAINT);
  other.rectangle({ x: 4.1, y: 2.8 }, { x: 1.9, y: 1.2 }, PAINT);
  assert.equal(drawn(one), "......\n.####.\n.####.\n......\n......");
  assert.equal(drawn(other), drawn(one));
});

test("a mask is widened and shrunk by a disc, and does not shrink from the picture's border", () => {
  const next = random(3);
  const bar = Uint8Array.from({ length: 900 }, (_, at) => Number(at % 30 < 9 || next() < 0.1));
  const blob = Uint8Array.from({ length: 900 }, (_, at) => Number(at % 30 > 9 && at % 30 < 20 && at > 300 && at < 660));
  for (const [marked, widen, radius] of [bar, blob].flatMap((one) => [[one, true, 1], [one, true, 3], [one, false, 1], [one, false, 2]])) {
    const mask = new Mask(30, 30);
    mask.replace(marked);
    const before = new Mask(30, 30);
    before.replace(marked.map((pixel) => (widen ? pixel : 1 - pixel)));
    mask.spread(widen, radius);
    const expected = where(mask, (x, y) => near(before, MARKED, radius, x, y) === widen);
    assert.equal(drawn(mask), expected, `${widen} ${radius}`);
  }
});

test("whole masks: marks are replaced, added, taken away and inverted; what is forbidden stays", () => {
  const mask = new Mask(4, 1);
  mask.rectangle({ x: 0, y: 0 }, { x: 1, y: 0 }, FORBIDDEN);
  mask.replace(Uint8Array.of(0, 1, 1, 0));
  assert.equal(drawn(mask), ".##.");
  mask.add(Uint8Array.of(0, 0, 0, 1));
  assert.equal(drawn(mask), ".###");
  mask.without(Uint8Array.of(0, 1, 0, 0));
  assert.equal(drawn(mask), "..##");
  mask.invert();
  assert.equal(drawn(mask), "##..");
  assert.equal(drawn(mask, FORBIDDEN), "##..");
  mask.clear();
  assert.equal(drawn(mask, 255), "....");
});

test("the bounds of a flag are its smallest box", () => {
  const mask = new Mask(9, 7);
  assert.equal(mask.bounds(MARKED), null);
  mask.rectangle({ x: 2, y: 3 }, { x: 2, y: 3 }, PAINT);
  mask.rectangle({ x: 5, y: 1 }, { x: 6, y: 1 }, PAINT);
  mask.rectangle({ x: 8, y: 6 }, { x: 8, y: 6 }, FORBIDDEN);
  assert.deepEqual(mask.bounds(MARKED), { left: 2, top: 1, right: 7, bottom: 4 });
});

// ---- steps ----

function randomStep(mask, next) {
  const at = () => ({ x: 33 * next(), y: 21 * next() });
  const marked = () => Uint8Array.from({ length: 33 * 21 }, () => next() < 0.3);
  const ways = [
    () => mask.stroke(at(), at(), 4 * next(), PAINT),
    () => mask.stroke(at(), at(), 4 * next(), FORBIDDEN),
    () => (mask.stroke(at(), at(), 6 * next(), 0), mask.trim()),
    () => mask.regrow(Math.floor(5 * next())),
    () => mask.invert(),
    () => mask.replace(marked()),
    () => mask.without(marked()),
    () => mask.spread(next() < 0.5, 1),
    () => mask.clear(),
  ];
  ways[Math.floor(next() * ways.length)]();
}

const state = ({ bits, growth, counts }) => ({ bits: [...bits], growth, counts: { ...counts } });
const counted = (mask) => Object.fromEntries([PAINTED, MARKED, FORBIDDEN].map((flag) => [flag, mask.bits.filter((flags) => flags & flag).length]));

test("steps, undone and done again in any order, are as if the undone ones had never been", () => {
  const next = random(9);
  const mask = new Mask(33, 21, 2);
  let [states, now] = [[state(mask)], 0];
  for (let k = 0; k < 300; k++) {
    const what = next();
    if (what < 0.3) assert.equal(mask.undo(), now > 0 && Boolean(now--));
    else if (what < 0.5) assert.equal(mask.redo(), now < states.length - 1 && Boolean(++now));
    else {
      randomStep(mask, next);
      if (mask.commit()) states = [...states.slice(0, ++now), state(mask)];
      else mask.growth = mask.grown = states[now].growth;
    }
    assert.deepEqual(state(mask), states[now]);
  }
});

test("any steps can be undone one by one, and done again", () => {
  const next = random(4);
  const mask = new Mask(33, 21, 2);
  const states = [state(mask)];
  while (states.length < 60) {
    randomStep(mask, next);
    if (mask.commit()) states.push(state(mask));
    else mask.growth = mask.grown = states.at(-1).growth; // where nothing is painted, another growth is no step
    assert.deepEqual(mask.counts, counted(mask));
  }
  for (let k = states.length - 2; k >= 0; k--) {
    assert.equal(mask.undo(), true);
    assert.deepEqual(state(mask), states[k]);
  }
  assert.equal(mask.undo(), false);
  for (let k = 1; k < states.length; k++) {
    assert.equal(mask.redo(), true);
    assert.deepEqual(state(mask), states[k]);
  }
  assert.equal(mask.redo(), false);
});

test("a new step ends what could be done again; one that changes nothing is none", () => {
  const mask = new Mask(5, 5);
  mask.rectangle({ x: 1, y: 1 }, { x: 2, y: 2 }, PAINT);
  assert.equal(mask.commit(), true);
  mask.rectangle({ x: 1, y: 1 }, { x: 2, y: 2 }, PAINT);
  assert.equal(mask.commit(), false);
  mask.undo();
  mask.rectangle({ x: 4, y: 4 }, { x: 4, y: 4 }, PAINT);
  mask.commit();
  assert.equal(mask.redo(), false);
  mask.touch({ left: 0, top: 0, right: 1, bottom: 1 });
  assert.equal(mask.commit({ before: 1, after: 2 }), true, "a repair is a step though no mark changes");
});

test("an aborted step leaves no trace", () => {
  const mask = new Mask(20, 20, 3);
  mask.stroke({ x: 5, y: 5 }, { x: 9, y: 5 }, 2, PAINT);
  mask.commit();
  const before = state(mask);
  mask.stroke({ x: 8, y: 8 }, { x: 15, y: 15 }, 3, PAINT);
  const box = mask.changed;
  assert.deepEqual(mask.abort(), box);
  assert.deepEqual(state(mask), before);
  assert.equal(mask.abort(), null);
});

test("the oldest steps are forgotten where the memory of all would be too large", () => {
  const Small = run(["state", "mask", "view"], {}, { UNDO_BYTES: 25 })("Mask");
  const mask = new Small(16, 5); // a step that may be anywhere in it takes 10 bytes
  for (const at of [1, 2, 3, 4]) {
    mask.bits[at] = FORBIDDEN;
    mask.changed = mask.all();
    mask.commit();
  }
  assert.equal(mask.done.length, 2);
  while (mask.undo());
  assert.deepEqual([...mask.bits.subarray(0, 6)], [0, FORBIDDEN, FORBIDDEN, 0, 0, 0]);
});

test("another mask is taken over with its steps", () => {
  const next = random(5);
  const mask = new Mask(33, 21, 1);
  for (let k = 0; k < 12; k++) {
    randomStep(mask, next);
    mask.commit();
  }
  const flags = Object.fromEntries([PAINTED, MARKED, FORBIDDEN].map((flag) => [flag, mask.bits.map((bits) => Number(Boolean(bits & flag)))]));
  const other = new Mask(33, 21);
  other.restore(mask.counts[FORBIDDEN] ? flags : { ...flags, [FORBIDDEN]: null }, mask.growth, [...mask.done], []);
  assert.deepEqual(state(other), state(mask));
  for (const one of [mask, other]) {
    one.stroke({ x: 3, y: 3 }, { x: 30, y: 15 }, 3, 0);
    one.commit();
  }
  assert.deepEqual(state(other), state(mask));
  while (mask.undo()) other.undo();
  assert.deepEqual(state(other), state(mask));
});
