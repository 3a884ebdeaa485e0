// The stage of the mask editor: its view, wand, files, pens, and what it keeps.
import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32, inflateSync } from "node:zlib";
import { random, run } from "./scripts.mjs";

const SCRIPTS = ["full_screen", "state", "mask", "png", "growth", "opening", "view", "painting", "wand", "object", "keys", "pointers", "history", "keep"];
const GROWTH = { edge: 3, hand: 1 / 500, most: 64 };

// The editor with a picture on a stage of 800 × 600.
function editor(width, height, given = {}) {
  const page = run(SCRIPTS, { ...given, props: { value: { growth: GROWTH } } });
  Object.assign(page("stage"), { clientWidth: 800, clientHeight: 600, clientLeft: 0, clientTop: 0, offsetWidth: 800, offsetHeight: 600 });
  page(`picture = { width: ${width}, height: ${height} }; mask = new Mask(${width}, ${height})`);
  page("fit()");
  return page;
}

const close = (a, b) => assert.ok(Math.hypot(a.x - b.x, a.y - b.y) < 1e-6, `${JSON.stringify(a)} is not ${JSON.stringify(b)}`);

// ---- view ----

test("a picture that is fitted lies whole in the middle of the stage; a small one is not enlarged", () => {
  assert.deepEqual(editor(4000, 2000)("view"), { scale: 0.2, x: 0, y: 100, fitted: true });
  assert.deepEqual(editor(200, 100)("view"), { scale: 1, x: 300, y: 250, fitted: true });
});

test("a point goes to the stage and back", () => {
  const page = editor(4000, 3000);
  page("zoomTo(1.7, 200, 100)");
  const point = { x: 123.4, y: 2345.6 };
  close(page("toPicture")(page("toStage")(point)), point);
});

test("zooming leaves the point under the pointer where it is, within its limits", () => {
  const page = editor(4000, 3000, { devicePixelRatio: 2 });
  const at = { x: 500, y: 320 };
  for (const scale of [0.3, 1, 9, 4]) {
    const held = page("toPicture")(at);
    page("zoomTo")(scale, at.x, at.y);
    assert.equal(page("view").scale, scale);
    close(page("toPicture")(at), held);
  }
  page("zoomTo")(1e9);
  assert.equal(page("view").scale, page("CLOSEST") / 2); // screen pixels for one of the picture, two of which are one of CSS
  page("zoomTo")(0);
  assert.deepEqual([page("view").scale, page("view").fitted], [0.2, true]);
});

test("a picture cannot be moved so far that the middle of the stage is beside it", () => {
  const page = editor(4000, 3000);
  page("zoomTo(1)");
  page("panBy(1e6, -1e6)");
  assert.deepEqual([page("view").x, page("view").y], [400, 300 - 3000]);
});

test("boxes: the one round both", () => {
  const around = editor(9, 9)("around");
  const boxes = [{ left: 1, top: 5, right: 2, bottom: 6 }, { left: 0, top: 7, right: 9, bottom: 8 }];
  assert.deepEqual(around(...boxes), { left: 0, top: 5, right: 9, bottom: 8 });
  assert.deepEqual(around(...boxes.toReversed()), { left: 0, top: 5, right: 9, bottom: 8 });
});

test("a painted pixel is seen at any zoom, and at the place where it is", () => {
  const page = editor(4000, 3000);
  for (const scale of [0.2, 0.37, 1, 3.3, 20]) {
    for (const [x, y] of [[2000, 1500], [2003, 1497], [1999, 1502]]) {
      page("zoomTo")(scale);
      page(`mask = new Mask(4000, 3000); mask.bits[${y} * 4000 + ${x}] = PAINT`);
      const corner = page("toStage")({ x, y });
      const [columns, rows] = [page("lookUp")(0, 800, page("view").x, 4000), page("lookUp")(0, 600, page("view").y, 3000)];
      const seen = [];
      for (let row = 0; row < 600; row++) page("coverage")(rows, row, columns).forEach((flags, column) => flags && seen.push([column, row]));
      // Of more than four rows and columns under a screen pixel only some are looked at.
      if (scale > 0.25) assert.ok(seen.length >= Math.max(1, Math.floor(scale)) ** 2, `${seen.length} pixels at ${scale}`);
      for (const [column, row] of seen) {
        assert.ok(column > corner.x - 1 && column < corner.x + scale + 1 && row > corner.y - 1 && row < corner.y + scale + 1, `${column} ${row} at ${scale}`);
      }
    }
  }
});

test("a screen pixel is of the colour of what it shows, and the border of a mask of its own", () => {
  const page = editor(9, 9);
  const { colour, PAINT, MARKED, FORBIDDEN, INSIDE, RIM, BORDER, FORBIDDEN_BORDER, STRIPES, STRIPE } = page("({ colour, PAINT, MARKED, FORBIDDEN, INSIDE, RIM, BORDER, FORBIDDEN_BORDER, STRIPES, STRIPE })");
  assert.equal(colour(PAINT, PAINT, 0), INSIDE);
  assert.equal(colour(MARKED, MARKED, 0), RIM);
  assert.equal(colour(PAINT, 0, 0), BORDER);
  assert.equal(colour(PAINT | FORBIDDEN, PAINT | FORBIDDEN, 0), INSIDE);
  assert.equal(colour(FORBIDDEN, 0, 0), FORBIDDEN_BORDER);
  assert.deepEqual([0, STRIPE, 2 * STRIPE].map((across) => colour(FORBIDDEN, FORBIDDEN, across)), [STRIPES[0], STRIPES[1], STRIPES[0]]);
});

test("an unfinished rectangle is drawn from its first corner to its last, a lasso through all", () => {
  const page = editor(800, 600);
  const points = [{ x: 1, y: 2 }, { x: 9, y: 9 }, { x: 30, y: 40 }];
  assert.equal(page("outlineOf")({ tool: "rectangle", points }), "M1 2H30V40H1Z");
  assert.equal(page("outlineOf")({ tool: "lasso", points }), "M1 2L9 9L30 40Z");
});

// ---- the wand ----

test("the wand takes what is connected to a point, row by row", () => {
  const next = random(6);
  const flooded = editor(9, 9)("flooded");
  for (let k = 0; k < 30; k++) {
    const fits = Uint8Array.from({ length: 24 * 17 }, () => next() < 0.6);
    const [x, y] = [Math.floor(24 * next()), Math.floor(17 * next())];
    const inside = new Set([y * 24 + x]);
    for (const at of inside) {
      if (at % 24 > 0 && fits[at - 1]) inside.add(at - 1);
      if (at % 24 < 23 && fits[at + 1]) inside.add(at + 1);
      if (fits[at - 24]) inside.add(at - 24);
      if (fits[at + 24]) inside.add(at + 24);
    }
    const { left, top, width, height, bits } = flooded(24, 17, x, y, (at) => fits[at]);
    const found = [...bits.keys()].filter((at) => bits[at]).map((at) => (top + Math.floor(at / width)) * 24 + left + (at % width));
    assert.deepEqual(found, [...inside].sort((a, b) => a - b));
    const [xs, ys] = [found.map((at) => at % 24), found.map((at) => Math.floor(at / 24))];
    assert.deepEqual([left, top, width, height], [Math.min(...xs), Math.min(...ys), Math.max(...xs) - left + 1, Math.max(...ys) - top + 1]);
  }
});

const region = (left, top, text) => {
  const rows = text.split(" ");
  return { left, top, width: rows[0].length, height: rows.length, bits: Uint8Array.from(rows.join(""), (pixel) => Number(pixel === "#")) };
};
const pixels = ({ width, bits }) => [...bits].map((bit) => (bit ? "#" : ".")).join("").match(new RegExp(`.{${width}}`, "g")).join(" ");

test("small holes of what the wand takes are closed, but not those that lead out of it, nor large ones", () => {
  const filled = editor(9, 9)("filled");
  const row = "#".repeat(60);
  const holed = Array.from({ length: 60 }, (_, y) => (y > 8 && y < 12 ? `${row.slice(3)}...` : row)).map((text) => text.slice(30) + text.slice(0, 30)).join(" ");
  assert.equal(pixels(filled(region(2, 2, "###### #.#..# ##.### ######"), 40, 40)), "###### ###### ###### ######");
  const notched = { top: "#.# ### ###", left: "### .## ###", right: "### ##. ###", bottom: "### ### #.#" };
  for (const [side, text] of Object.entries(notched)) assert.equal(pixels(filled(region(2, 2, text), 40, 40)), text, `one leads out: ${side}`);
  const whole = Array(60).fill(row).join(" ");
  assert.equal(pixels(filled(region(2, 2, holed), 200, 100)), whole, "nine pixels are few here");
  assert.equal(pixels(filled(region(2, 2, holed), 100, 100)), holed, "and many in a small picture");
  const ring = "##### #...# #.#.# #...# #####";
  assert.equal(pixels(filled(region(2, 2, ring), 400, 400)), ring, "as in a small region");
  const edge = "###. #.## ####";
  assert.equal(pixels(filled(region(36, 0, edge), 40, 40)), "#### #### ####", "nothing leads out beyond the picture's edge");
});

test("a colour is like the mean of those round the point, each channel within the tolerance", () => {
  const page = editor(9, 9);
  const data = Uint8ClampedArray.from([90, 100, 110, 100, 124, 125, 100, 76, 75].flatMap((red) => [red, 50, 50, 255]));
  page("setTolerance(24)");
  const fits = page("like")(data, 9, 1, 1, 0); // the mean of the first three is 100
  assert.deepEqual([...Array(9).keys()].filter(fits), [0, 1, 2, 3, 4, 6, 7]);
  for (const channel of [1, 2, 3]) {
    const other = data.slice();
    other[4 * 3 + channel] += channel === 3 ? -25 : 25;
    assert.equal(page("like")(other, 9, 1, 1, 0)(3), false, `channel ${channel}`);
  }
});

test("where a smaller copy is looked at, the region is of the picture's own pixels", () => {
  const page = editor(40, 20);
  const data = new Uint8ClampedArray(4 * 10 * 4).fill(255);
  for (const row of [1, 2, 3]) for (const x of [2, 3, 4, 5]) data.fill(0, 4 * (10 * row + x), 4 * (10 * row + x) + 3); // a dark box
  page("(data) => { picture.large = {}; copy = { of: picture.large, width: 10, height: 4, data }; }")(data);
  Object.assign(page("HOLE"), { least: 0, share: 0 }); // or it would be closed
  const { left, top, width, height, bits } = page("alike")({ x: 39.9, y: 0.1 });
  assert.deepEqual([left, top, width, height], [0, 0, 40, 20]);
  const dark = [...bits.keys()].filter((at) => !bits[at]);
  assert.deepEqual(dark, [...bits.keys()].filter((at) => at % 40 >= 8 && at % 40 < 24 && at >= 5 * 40));
  const inner = page("alike")({ x: 16, y: 12 });
  assert.deepEqual([inner.left, inner.top, inner.width, inner.height, inner.bits.includes(0)], [8, 5, 16, 15, false]);
});

// ---- the mask as a file ----

test("a mask's PNG holds its pixels, at widths that fill no byte too", async () => {
  const next = random(7);
  const { png, MARKED } = editor(9, 9)("({ png, MARKED })");
  for (const [width, height] of [[1, 1], [7, 3], [8, 2], [9, 4], [37, 11]]) {
    const bits = Uint8Array.from({ length: width * height }, () => Math.floor(8 * next()));
    const blob = await png({ width, height, bits });
    assert.equal(blob.type, "image/png");
    const file = Buffer.from(await blob.arrayBuffer());
    assert.deepEqual([...file.subarray(0, 8)], [137, 80, 78, 71, 13, 10, 26, 10]);
    const chunks = {};
    let at = 8;
    while (at < file.length) {
      const length = file.readUInt32BE(at);
      const [name, data] = [file.toString("latin1", at + 4, at + 8), file.subarray(at + 8, at + 8 + length)];
      assert.equal(file.readUInt32BE(at + 8 + length), crc32(file.subarray(at + 4, at + 8 + length)), `checksum of ${name}`);
      chunks[name] = data;
      at += 12 + length;
    }
    assert.deepEqual(Object.keys(chunks), ["IHDR", "IDAT", "IEND"]);
    assert.deepEqual([...chunks.IHDR.subarray(8)], [1, 0, 0, 0, 0]); // one bit, grey
    assert.deepEqual([chunks.IHDR.readUInt32BE(0), chunks.IHDR.readUInt32BE(4)], [width, height]);
    const rows = inflateSync(chunks.IDAT);
    const stride = 1 + Math.ceil(width / 8);
    assert.equal(rows.length, stride * height);
    for (let y = 0; y < height; y++) {
      assert.equal(rows[y * stride], 0);
      for (let x = 0; x < 8 * (stride - 1); x++) {
        const bit = (rows[y * stride + 1 + (x >> 3)] >> (7 - (x & 7))) & 1;
        assert.equal(bit, x < width && bits[y * width + x] & MARKED ? 1 : 0);
      }
    }
  }
});

// ---- growth ----

test("what is painted is grown as the picture's size asks for, or as the visitor chose before", () => {
  const kept = {};
  const localStorage = { getItem: (key) => kept[key] ?? null, setItem: (key, text) => (kept[key] = text) };
  const page = editor(4000, 3000, { localStorage });
  assert.equal(page("usualGrowth()"), 3 + 8);
  assert.equal(page("firstGrowth()"), 11);
  page("setGrowth(22)");
  page("picture = { width: 1000, height: 500 }");
  assert.equal(page("firstGrowth()"), 10, "twice the usual 5");
  page("picture = { width: 100000, height: 10 }");
  assert.equal(page("firstGrowth()"), GROWTH.most);
  page("setGrowth(0)");
  assert.equal(page("firstGrowth()"), 0);
  kept[page("GROWTH_KEY")] = "nonsense";
  assert.equal(page("firstGrowth()"), page("usualGrowth()"));
});

test("where the browser refuses its store, growth is as usual", () => {
  const refuse = () => {
    throw new Error("denied");
  };
  const page = editor(1000, 500, { localStorage: { getItem: refuse, setItem: refuse } });
  page("setGrowth(17)");
  assert.equal(page("mask.growth"), 17);
  assert.equal(page("firstGrowth()"), 5);
});

// ---- pens and pointers ----

test("a pen paints as wide as it is pressed, once it has shown that it can tell", () => {
  const press = editor(9, 9)("press");
  assert.equal(press({ pointerType: "mouse", pressure: 0.5 }), 1);
  assert.equal(press({ pointerType: "pen", pressure: 0.5 }), 1, "some pens always say 0.5");
  assert.equal(press({ pointerType: "pen", pressure: 1 }), 1);
  assert.ok(Math.abs(press({ pointerType: "pen", pressure: 0.5 }) - 0.65) < 1e-9);
  assert.equal(press({ pointerType: "touch", pressure: 0.2 }), 1);
});

test("where the page is scaled by CSS, a pointer's place is told in the stage's own pixels", () => {
  const page = editor(9, 9);
  page("stage").getBoundingClientRect = () => ({ left: 100, top: 50, width: 1600, height: 300 });
  Object.assign(page("stage"), { clientLeft: 1, clientTop: 2 });
  assert.deepEqual(page("place")({ clientX: 300, clientY: 80 }), { x: 99, y: 58 });
});

test("two fingers zoom by how far they go apart, and move by half of one's way", () => {
  const page = editor(4000, 3000);
  page("zoomTo(1)");
  const held = page("toPicture")({ x: 300, y: 300 });
  page("fingers").set(1, { x: 200, y: 300 }).set(2, { x: 400, y: 300 });
  page("pinch")(2, { x: 600, y: 300 });
  assert.equal(page("view").scale, 2);
  close(page("toStage")(held), { x: 400, y: 300 });
});

test("of several files the first picture is taken, whatever the browser knows of its kind", () => {
  const isPicture = editor(9, 9)("isPicture");
  for (const file of [{ type: "image/png", name: "a" }, { type: "", name: "A.HEIC" }, { type: "", name: "b.tif" }]) assert.ok(isPicture(file));
  for (const file of [{ type: "text/plain", name: "a.txt" }, { type: "", name: "png" }, { type: "", name: "a.png.zip" }]) assert.ok(!isPicture(file));
});

test("the crosshair stands in the middle of a pixel of the picture", () => {
  const pixel = editor(40, 30)("pixel");
  assert.deepEqual(pixel(7.9, 3.2), { x: 7.5, y: 3.5 });
  assert.deepEqual(pixel(-5, 99), { x: 0.5, y: 29.5 });
  assert.deepEqual(pixel(99, -5), { x: 39.5, y: 0.5 });
});

test("an outline of many points is thinned before it is sent; one that hardly moved is a click", async () => {
  const asked = [];
  const server = { select: async ({ outline }) => (asked.push(outline), { problem: "enough" }) };
  const page = editor(800, 600, { server, complain: () => {}, veil: () => {} });
  page("picture.file = {}");
  const round = Array.from({ length: 3000 }, (_, k) => ({ x: 400 + 100 * Math.cos(k / 480), y: 300 + 100 * Math.sin(k / 480) }));
  page("startObject")(round, 3);
  page("startObject")(round.slice(0, 3).map(({ y }, k) => ({ x: 400 + k, y })), 3);
  await page("opening");
  assert.equal(asked[0].length, 500);
  assert.deepEqual(asked[0][1], [round[6].x, round[6].y]);
  assert.deepEqual(asked[1], [[400, 300]]);
});

// ---- what is kept ----

test("bitmaps of scenes that were not shown for long are let go, never those of the photo", () => {
  const page = editor(9, 9);
  const closed = [];
  const scene = (id) => ({ id, large: { width: 6000, height: 3000, close: () => closed.push(id) }, small: null });
  const scenes = [0, 1, 2, 3, 4, 5].map(scene);
  page("(scenes) => { picture.original = picture.scene = scenes[0]; recent = [scenes[0]]; }")(scenes);
  for (const one of scenes.slice(1)) page("setScene")(one);
  assert.deepEqual(closed, [1, 2]); // two of 18 megapixels are held besides the one that is shown
  assert.deepEqual([scenes[1].large, Boolean(scenes[0].large), Boolean(scenes[3].large)], [null, true, true]);
  page("setScene")(scenes[3]);
  page("setScene")(scenes[4]);
  assert.deepEqual(page("recent").map(({ id }) => id), [0, 5, 3, 4]);
});

test("all scenes: the one that is shown, and those that a step leads to", () => {
  const page = editor(9, 9);
  page("picture.scene = 'b'; mask.done = [{ repair: null }, { repair: { before: 'a', after: 'b' } }]; mask.undone = [{ repair: { before: 'b', after: 'c' } }]");
  assert.deepEqual([...new Set(page("allScenes()"))].sort(), ["a", "b", "c"]);
});

// A store of the browser's that tells what was put into it and what was deleted.
async function written(page, now, room) {
  const [put, deleted] = [{}, []];
  const store = { put: (content, key) => (put[key.replace(/^\S+ /, "")] = content), delete: (key) => deleted.push(key.replace(/^\S+ /, "")) };
  page("(store) => (withStore = async (mode, act) => (act(store), true))")(store);
  return { done: await page("written")(now, [null, null, null], room, new Map()), put, deleted };
}

test("where the store has too little room, the oldest steps are not kept, and no step whose scenes are not", async () => {
  const page = editor(9, 9, { sessionStorage: { genrestoreStage: "tab" } });
  const flips = (bytes) => [{ flag: 1, pixels: new Uint8Array(bytes) }];
  const blob = (bytes) => ({ size: bytes });
  const original = { id: 1 };
  const scene = (id, bytes) => ({ id, kept: { base: blob(bytes), shown: blob(0), file: blob(0) } });
  const [first, second] = [scene(2, 400), scene(3, 100)];
  const done = [
    { flips: flips(10), repair: null },
    { flips: flips(10), repair: { before: original, after: first } },
    { flips: flips(10), repair: null },
    { flips: flips(10), repair: { before: first, after: second } },
    { flips: flips(10), repair: null },
  ];
  const now = { of: { original }, scene: second, growth: 4, done, undone: [{ flips: flips(5), repair: null }] };

  const all = await written(page, now, 1000);
  assert.equal(all.put.stage.done.length, 5);
  assert.deepEqual(Object.keys(all.put).filter((name) => name.startsWith("scene")), ["scene 3", "scene 2"]);
  assert.deepEqual(all.put[all.put.stage.done[1]].repair, { before: null, after: 2 }, "the photo's own scene has no number");
  assert.deepEqual([all.put.stage.scene, all.put.stage.growth], [3, 4]);

  const again = await written(page, now, 1000);
  assert.deepEqual(Object.keys(again.put), ["stage"], "what lies there already is not written once more");

  const less = await written(page, now, 300);
  assert.deepEqual(less.put.stage.done, [all.put.stage.done[4]], "the repair before it would need a scene of 400 bytes");
  assert.deepEqual(less.deleted.sort(), ["scene 2", ...all.put.stage.done.slice(0, 4)].sort());

  assert.equal((await written(page, now, 50)).done, false, "not even what is shown fits");

  const plain = { ...now, done: Array.from({ length: 4 }, () => ({ flips: flips(10), repair: null })) };
  const { stage } = (await written(page, plain, 125)).put;
  assert.deepEqual([stage.done.length, stage.undone.length], [2, 1], "scene, two steps and one that was undone: 125 bytes");
});
