// The other parts of the page: what they work out before they draw it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { run } from "./scripts.mjs";

// ---- answers.js: the stream of Gradio's answers ----

// A browser whose page asks `/queue/data` for streams that `say` writes to.
function answers() {
  const streams = [];
  const window = {
    fetch: async (address, how) => {
      if (address.endsWith("/queue/join")) return Response.json({ event_id: how.body });
      if (!address.endsWith("/queue/data")) return new Response("plain");
      let out;
      const body = new ReadableStream({ start: (controller) => (out = controller) });
      streams.push({ say: (text) => out.enqueue(Buffer.from(text)), end: () => out.close() });
      return new Response(body);
    },
  };
  run(["answers"], { window, location: { href: "http://here/" } });
  return { fetch: window.fetch, streams };
}

const message = (msg, event_id) => `data: ${JSON.stringify({ msg, event_id })}\n\n`;
const over = message("close_stream");
const moment = () => new Promise((resolve) => setImmediate(resolve));

test("messages arrive as they are, however the network cuts them", async () => {
  const { fetch, streams } = answers();
  const answer = await fetch("/queue/data");
  const sent = `${message("process_starts", "a")}: ping\n\n${message("process_generating", "ü€")}`;
  for (const byte of Buffer.from(sent)) streams[0].say([byte]);
  await moment();
  streams[0].end();
  assert.equal(await answer.text(), sent);
});

test("an end that comes while an answer is awaited is not told: the stream is opened again behind it", async () => {
  const { fetch, streams } = answers();
  const answer = await fetch("/queue/data");
  await fetch("/queue/join", { body: "a" });
  for (const part of [message("process_starts", "a") + over.slice(0, 9), over.slice(9)]) {
    streams[0].say(part);
    await moment();
  }
  assert.equal(streams.length, 2);
  streams[1].say(message("process_completed", "a") + over);
  assert.equal(await answer.text(), message("process_starts", "a") + message("process_completed", "a") + over);
});

test("an end after all answers is told, also where an answer came before the server had said that it took the event", async () => {
  const { fetch, streams } = answers();
  const answer = await fetch("/queue/data");
  streams[0].say(message("process_completed", "early"));
  await moment();
  await fetch("/queue/join", { body: "early" });
  streams[0].say(over);
  assert.equal(await answer.text(), message("process_completed", "early") + over);
  assert.equal(streams.length, 1);
});

test("other requests are left alone", async () => {
  const { fetch } = answers();
  assert.equal(await (await fetch("/theme.css")).text(), "plain");
});

// ---- language.js ----

test("a visitor reads the words of the language that the browser asks for, or of its kin, else English", () => {
  const language = (asked, ...known) => run(["focus"], { navigator: { language: asked } })("languageOf")(Object.fromEntries(known.map((name) => [name, {}])));
  assert.equal(language("zh-CN", "en", "zh-CN"), "zh-CN");
  assert.equal(language("zh-TW", "en", "zh-CN"), "zh-CN");
  assert.equal(language("ZH", "en", "zh-CN"), "zh-CN");
  assert.equal(language("en-GB", "zh-CN", "en"), "en");
  assert.equal(language("de", "zh-CN", "en"), "en");
  assert.equal(language("zh-TW", "en", "zh-CN", "zh-TW"), "zh-TW");
});

// ---- page.js ----

const PARTS = [
  { id: 1, type: "tabs", props: {} },
  { id: 2, type: "tabitem", props: { id: "inpaint" } },
  { id: 3, type: "tabitem", props: { id: "sample" } },
  { id: 4, type: "html", props: { elem_id: "live" } },
];

// The page at an address.
function whole(search = "") {
  const window = { gradio_config: { components: structuredClone(PARTS), layout: {} } };
  run(["ui/page"], { window, WORDS: { en: {} }, location: { search, href: `http://here/${search}` } });
  return window;
}

test("the address says which tab is open at first; where it names none, what the Sample tab has written does", () => {
  const first = (search) => whole(search).gradio_config.components[0].props.selected;
  assert.equal(first(""), "inpaint");
  assert.equal(first("?tab=sample"), "sample");
  assert.equal(first("?tab=nothing"), "inpaint");
  assert.equal(first("?seed=3"), "sample");
  assert.equal(first("?tab=inpaint&seed=3"), "inpaint");
});

test("a refused upload is told in the server's sentence, where one came", () => {
  const { refusal } = whole().genrestore;
  assert.equal(refusal({ message: "File(s) exceed the maximum" }), "too_large");
  assert.equal(refusal({ message: 'HTTP 413: {"error": "Too large."}' }), "Too large.");
  assert.equal(refusal({ message: "HTTP 429: Wait a little." }), "Wait a little.");
  assert.equal(refusal({ message: "HTTP 502: <html>Bad gateway</html>" }), "not_sent");
  assert.equal(refusal({ message: "HTTP 500: {}" }), "not_sent");
  assert.equal(refusal({ message: "Failed to fetch" }), "not_sent");
});

test("a picture that is handed to a tab waits there until the tab is drawn", () => {
  const { hand, taker } = whole().genrestore;
  const taken = [];
  hand("upscale", "first");
  taker("upscale", (file) => taken.push(file));
  hand("upscale", "second");
  assert.deepEqual(taken, ["first", "second"]);
  taker("upscale", (file) => taken.push(`again ${file}`));
  assert.equal(taken.length, 2);
});

// ---- live.js ----

const MODELS = [
  { name: "dcgan", title: "DCGAN", about: "", seed: 7, inputs: [] },
  { name: "vae", title: "VAE", about: "", seed: 0, inputs: [{ name: "text", kind: "str", choices: [] }] },
];

function live(search = "", given = {}) {
  const address = { href: `http://here/${search}`, search };
  const history = { replaceState: (state, title, url) => Object.assign(address, { href: String(url), search: url.search }) };
  const page = run(["live"], { location: address, history, props: { reach: 5, directions: 64, seeds: 2 ** 32, widest: 1.5, largest: 1024 }, ...given });
  page("(models) => (catalogue = models)")(MODELS);
  page("readAddress()");
  return Object.assign(page, { address });
}

test("the address holds everything that defines a picture, and nothing that is as usual", () => {
  const page = live();
  assert.deepEqual(page("state"), { model: "dcgan", seed: 7, truncation: 1, a: [], raw: {}, told: {} });
  page("keepAddress()");
  assert.equal(page.address.search, "");
  const state = { model: "vae", seed: 123, truncation: 0.35, a: [0, -1.5, 0, 2], raw: { 3: 1.25, 700: -5 }, told: { text: "a & b = ü" } };
  page("(wanted) => (state = wanted)")(state);
  page("keepAddress()");
  assert.deepEqual(live(page.address.search)("state"), state);
  assert.equal(new URLSearchParams(page.address.search).has("tab"), false);
});

test("while another tab is open the address stays as it is", () => {
  const page = live("?tab=train");
  page("state.seed = 99; keepAddress()");
  assert.equal(page.address.search, "?tab=train");
});

test("what somebody has written into the address by hand is brought into range or left out", () => {
  const state = (search) => live(search)("state");
  assert.equal(state("?model=none").model, "dcgan");
  for (const seed of ["-1", "1e3", "4294967296", "x", ""]) assert.equal(state(`?seed=${seed}`).seed, 7);
  assert.equal(state("?seed=4294967295").seed, 4294967295);
  assert.equal(state("?truncation=9").truncation, 1.5);
  assert.equal(state("?truncation=x").truncation, 1);
  assert.deepEqual(state("?a=99,x,-99").a, [5, 0, -5]);
  assert.equal(state(`?a=${Array(100).fill(1)}`).a.length, 64);
  assert.deepEqual(state("?raw=3:9,x:1,-1:1,5:,12345678:1").raw, { 3: 5, 5: 0 });
  assert.deepEqual(state('?model=vae&told={"text":"ok","other":1}').told, { text: "ok" });
  for (const told of ["{", '{"other":1}', "null"]) assert.deepEqual(state(`?model=vae&told=${told}`).told, {});
});

test("a direction that is moved back to the middle leaves nothing behind", () => {
  const page = live();
  page("state.a = [1]");
  assert.deepEqual(page("moved(3, 2)"), [1, 0, 0, 2]);
  page("state.a = [1, 0, 0, 2]");
  assert.deepEqual(page("moved(3, 0)"), [1]);
  assert.deepEqual(page("state.a"), [1, 0, 0, 2]);
});

test("pixels that come as text are red, green and blue, and opaque", () => {
  class ImageData {
    constructor(width, height) {
      Object.assign(this, { width, height, data: new Uint8ClampedArray(4 * width * height) });
    }
  }
  const page = live("", { ImageData });
  const { data, width, height } = page("unpacked")({ pixels: btoa("\x01\x02\x03\xfa\xfb\xfc"), width: 1, height: 2 });
  assert.deepEqual([width, height, ...data], [1, 2, 1, 2, 3, 255, 250, 251, 252, 255]);
});

// `follow` with a server whose answers are given by hand: asked[k].answer(…).
async function followed(lanes) {
  const [asked, drawn, pauses] = [[], [], []];
  const setTimeout = (act, ms) => pauses.push({ act, ms });
  const page = live("", { setTimeout });
  await moment();
  pauses.length = 0; // those of the part itself
  const ask = (wish) => new Promise((answer) => asked.push({ wish, answer }));
  const wish = page("follow")(ask, async (answer) => answer, (ready, of) => drawn.push([of, ready.text]), lanes);
  return { wish, asked, drawn, pauses };
}

test("of many wishes only the newest waits, and the last is the one that stays", async () => {
  const { wish, asked, drawn } = await followed(1);
  for (const one of ["a", "b", "c", "d"]) wish(one);
  assert.deepEqual(asked.map((question) => question.wish), ["a"]);
  asked[0].answer({ text: "A" });
  await moment();
  assert.deepEqual(asked.map((question) => question.wish), ["a", "d"]);
  asked[1].answer({ text: "D" });
  await moment();
  assert.deepEqual(drawn, [["a", "A"], ["d", "D"]]);
  assert.equal(asked.length, 2);
});

test("an answer that a newer one overtook is not drawn", async () => {
  const { wish, asked, drawn } = await followed(2);
  wish("a");
  wish("b");
  asked[1].answer({ text: "B" });
  await moment();
  asked[0].answer({ text: "A" });
  await moment();
  assert.deepEqual(drawn, [["b", "B"]]);
});

test("a server that is busy, or does not answer, is asked again later and later, for the newest wish", async () => {
  const { wish, asked, drawn, pauses } = await followed(1);
  wish("a");
  asked[0].answer({ busy: true });
  await moment();
  wish("b");
  assert.equal(pauses.at(-1).ms, 1000);
  pauses.at(-1).act();
  await moment();
  assert.equal(asked[1].wish, "b");
  asked[1].answer(undefined);
  await moment();
  assert.equal(pauses.at(-1).ms, 2000);
  pauses.at(-1).act();
  await moment();
  asked[2].answer({ text: "B" });
  await moment();
  assert.deepEqual(drawn, [["b", "B"]]);
});

// ---- compare.js ----

function slider(width, height, size = {}) {
  const page = run(["full_screen", "compare"]);
  Object.assign(page("stage"), { clientWidth: 800, clientHeight: 600, offsetWidth: 800, ...size });
  page("stage").getBoundingClientRect = () => ({ left: 0, top: 0, width: 800 });
  page("(size) => (shown = { before: size, after: { ...size } })")({ width, height, preview: { url: "p" }, full: { url: "p" } });
  return page;
}

test("compared pictures fill the stage as far as they can, but are not enlarged", () => {
  assert.deepEqual(slider(4000, 2000)("box()"), { left: 0, top: 100, width: 800, height: 400 });
  assert.deepEqual(slider(100, 50)("box()"), { left: 350, top: 275, width: 100, height: 50 });
});

test("zooming leaves the point of the pictures under the pointer, up to sixteen screen pixels for one of theirs", () => {
  const page = slider(4000, 3000);
  page("zoomTo(4, 200, 150)");
  const { left, top, width } = page("box()");
  assert.equal(width, 3200);
  assert.deepEqual([(200 - left) / 4, (150 - top) / 4], [200, 150]);
  page("zoomTo(1e9)");
  assert.equal(page("view.zoom"), 16 / (800 / 4000));
  page("zoomTo(0)");
  assert.deepEqual(page("view"), { zoom: 1, x: 0, y: 0 });
});

test("zoomed pictures cannot be moved off the stage, and the handle goes along what is seen of them", () => {
  const page = slider(4000, 3000);
  assert.deepEqual(page("way()"), { start: 0, length: 800 });
  page("zoomTo(2); panBy(1e6, -1e6)");
  assert.deepEqual(page("box()"), { left: 0, top: -600, width: 1600, height: 1200 });
  assert.deepEqual(slider(100, 50)("way()"), { start: 350, length: 100 });
  const small = slider(100, 50);
  small("splitAt(375)");
  assert.equal(small("split"), 0.25);
  page("splitAt(200)");
  assert.equal(page("split"), 0.25);
  page("splitAt(-5)");
  assert.equal(page("split"), 0);
});

// ---- pictures.js ----

const SUFFIXES = [".png", ".jpg"];
const archive = () => run(["pictures"], { props: { suffixes: SUFFIXES, limit: 5000 } });
const files = (...paths) => paths.map((path) => ({ path, file: new File([`content of ${path}`], path.split("/").pop()) }));
const always = () => true;

test("chosen files become a zip of their own bytes, with their checksums, names and places", async () => {
  const page = archive();
  const entries = files("b/ü.png", "a.png", "empty.txt");
  entries[2].file = new File([], "empty.txt");
  const shares = [];
  const blob = await page("zip")(entries, (share) => shares.push(share));
  const bytes = Buffer.from(await blob.arrayBuffer());
  const end = bytes.length - 22;
  assert.equal(bytes.readUInt32LE(end), 0x06054b50);
  assert.deepEqual([bytes.readUInt16LE(end + 8), bytes.readUInt16LE(end + 10), bytes.readUInt16LE(end + 20)], [3, 3, 0]);
  const [size, start] = [bytes.readUInt32LE(end + 12), bytes.readUInt32LE(end + 16)];
  assert.equal(start + size, end);
  let at = start;
  for (const { path, file } of entries) {
    assert.equal(bytes.readUInt32LE(at), 0x02014b50);
    const length = bytes.readUInt16LE(at + 28);
    assert.equal(bytes.toString("utf-8", at + 46, at + 46 + length), path);
    const head = bytes.readUInt32LE(at + 42);
    assert.equal(bytes.readUInt32LE(head), 0x04034b50);
    assert.deepEqual(bytes.subarray(head + 6, head + 28), bytes.subarray(at + 8, at + 30), "both say the same of it");
    assert.equal(bytes.readUInt16LE(at + 8), 0x0800, "its name is UTF-8");
    const content = Buffer.from(await file.arrayBuffer());
    const from = head + 30 + length;
    assert.deepEqual(bytes.subarray(from, from + content.length), content);
    assert.equal(bytes.readUInt32LE(at + 16), crc32(content));
    assert.deepEqual([bytes.readUInt32LE(at + 20), bytes.readUInt32LE(at + 24)], [content.length, content.length]);
    at += 46 + length;
  }
  assert.equal(at, end);
  assert.deepEqual(shares, [1, 2, 3].map((k) => k / 3));
  assert.equal(await page("zip")(entries, () => false), null, "no longer wanted");
});

test("of a folder the pictures and captions are sent, without what is hidden, named after the folder", async () => {
  const found = files("cats/b.PNG", "cats/a/1.jpg", "cats/.hidden/2.jpg", "cats/__MACOSX/3.jpg", "cats/notes.md", "cats/captions.csv");
  const { file, pictures, others } = await archive()("packed")(found, always);
  assert.equal(file.name, "cats.zip");
  assert.deepEqual([pictures, others], [2, 4]);
  const text = Buffer.from(await file.arrayBuffer()).toString("latin1");
  const order = ["a/1.jpg", "b.PNG", "captions.csv"].map((name) => text.lastIndexOf(name));
  assert.ok(order[0] > 0 && order[0] < order[1] && order[1] < order[2]);
  assert.ok(!/cats\/|hidden|MACOSX|notes/.test(text.replace(/content of [\w/.]+/g, "")));
});

test("files of several folders keep them, and one archive goes as it is", async () => {
  const page = archive();
  assert.equal(page("lead")(files("a/1.png", "ab/2.png")), "");
  assert.equal(page("lead")(files("a/1.png", "a/b/2.png")), "a");
  const [only] = files("data.ZIP");
  assert.deepEqual(await page("packed")([only], always), { file: only.file });
});

test("what cannot be sent is said before it is read", async () => {
  const page = archive();
  const refused = (found, word) => assert.rejects(page("packed")(found, always), (problem) => problem.message === word);
  await refused(files("a/notes.txt"), "no_picture");
  const large = (path) => ({ path, file: new File([new Uint8Array(6000)], path) });
  await refused([large("a.png")], "too_large");
  await refused([large("a.zip")], "too_large");
  const many = files("a.png")[0];
  await refused(Array(65_536).fill(many), "too_many");
  assert.deepEqual([1, 2 ** 20 + 1, 3 * 2 ** 29].map(page("gigabytes")), ["1 MB", "2 MB", "1.5 GB"]);
});

// ---- watch.js ----

const watched = () => run(["watch"], { props: { words: { en: { hours: "{h} h {m}", minutes: "{m} min {s}", seconds: "{s} s" } } } });

test("a chart has round ticks", () => {
  const page = watched();
  const near = (found, wanted) => assert.deepEqual(found.map((tick) => +tick.toPrecision(9)), wanted);
  near(page("ticks")(0, 1, 5), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  near(page("ticks")(-7, 21, 5), [0, 10, 20]);
  near(page("ticks")(0.031, 0.048, 4), [0.035, 0.04, 0.045]);
  near(page("ticks")(0, 97_000, 5), [0, 20_000, 40_000, 60_000, 80_000]);
  near(page("logTicks")(0.8, 12), [1, 2, 5, 10]);
  near(page("logTicks")(0.002, 300), [0.01, 0.1, 1, 10, 100]);
});

test("numbers and times are written shortly", () => {
  const page = watched();
  const written = [0, 1.23456, -0.5, 12345, 2.5e6, 0.00012, 9999].map(page("short"));
  assert.deepEqual(written, ["0", "1.235", "−0.5", "12.3k", "2.5M", "1.2e−4", "9999"]);
  assert.deepEqual([59.6, 61, 3600 * 2 + 60 * 5 + 3, 3].map(page("time")), ["1 min 0", "1 min 1", "2 h 5", "3 s"]);
});

test("a smoothed curve keeps its steps, is as long, and lies between its points", () => {
  const smoothed = watched()("smoothed");
  const points = Array.from({ length: 200 }, (_, k) => [10 * k, k % 2 ? 3 : 1]);
  const curve = smoothed(points);
  assert.deepEqual(curve.map(([step]) => step), points.map(([step]) => step));
  assert.equal(curve[0][1], 1);
  for (const [, value] of curve.slice(20)) assert.ok(Math.abs(value - 2) < 0.25);
  for (const [, value] of smoothed(points.map(([step]) => [step, 4]))) assert.ok(Math.abs(value - 4) < 1e-9, "from the first point on");
});

const chart = (page, values, log = false) => page("(curves, log) => Chart.prototype.range.call({ curves }, log)")([{ points: values.map((value, k) => [k, value]) }], log);

test("a chart shows all values, begins at 0 where that is near, and lets a start far above leave it", () => {
  const page = watched();
  assert.deepEqual(chart(page, [1, 5, 10]), [0, 10.45]);
  const [low, high] = chart(page, [8, 9, 10]);
  assert.ok(Math.abs(low - 7.9) < 1e-9 && Math.abs(high - 10.1) < 1e-9);
  assert.deepEqual(chart(page, []), [1, 10]);
  const [below, above] = chart(page, [4, 4]);
  assert.ok(below < 4 && above > 4);
  const late = chart(page, [1000, ...Array(100).fill(0).map((_, k) => 2 + (k % 10) / 10)]);
  assert.ok(late[1] < 4, "one high value among many");
  assert.ok(chart(page, [1000, 2, 3])[1] > 1000, "but not among few");
  assert.deepEqual(chart(page, [0, -1, 10, 1000], true), [10 / 1.1, 1000 * 1.1]);
});

test("a run that goes on from an earlier step goes those steps once more", () => {
  const page = watched();
  page("run = null; lines = []");
  const learn = (lines, anew = false) => page("learn")({ name: "a", lines, from: 1, anew });
  const loss = (step) => ({ step, losses: { g: step } });
  learn([loss(50), loss(100), { step: 100, event: "stopped" }, loss(150)]);
  learn([loss(100), loss(200)]);
  assert.deepEqual(page("lines").map(({ step, event }) => event ?? step), [50, "stopped", 100, 200]);
  learn([loss(50)], true);
  assert.deepEqual(page("lines").map(({ step }) => step), [50]);
  page("learn")({ name: "b", lines: [loss(7)], from: 1 });
  assert.deepEqual(page("lines").map(({ step }) => step), [7], "of another run");
});

test("a long log is thinned, but not its end nor what happened", () => {
  const page = watched();
  page("run = null; lines = []");
  const lines = Array.from({ length: 6001 }, (_, k) => (k === 10 ? { step: 10, event: "paused" } : { step: k, losses: { g: 1 } }));
  page("learn")({ name: "a", lines, from: 1 });
  const steps = page("lines").map(({ step }) => step);
  assert.ok(steps.length < 3100 && steps.length > 2900);
  assert.ok(steps.includes(10));
  assert.deepEqual(steps.slice(-99), Array.from({ length: 99 }, (_, k) => 5902 + k));
});

// ---- focus.js ----

test("the focus goes to the first place that can take it, and to none for a wish that has passed", () => {
  const focused = [];
  const node = (name, usable) => ({ matches: () => true, isConnected: true, checkVisibility: () => usable, disabled: false, focus: () => focused.push(name) });
  const place = { ...node("place", false), querySelectorAll: () => [node("hidden", false), node("button", true), node("next", true)], scrollIntoView: () => {} };
  const document = { getElementById: (id) => (id === "here" ? place : null) };
  const waiting = [];
  const value = { to: "here" };
  const page = run(["focus"], { document, props: { value }, setTimeout: (act) => waiting.push(act) });
  page("go")({ to: "here" });
  assert.deepEqual(focused, [], "another one since");
  page("go")(value);
  assert.deepEqual(focused, ["button"]);
  page("props").value = { to: "later" };
  page("go")(page("props").value);
  assert.equal(waiting.length, 1, "it may come with the same answer, a moment later");
});
